"""How long a question waits for the next keystroke."""

import pytest
from engram_lsp.pace import Pace, wait
from hypothesis import given, settings
from hypothesis import strategies as st

SECONDS = st.floats(0.001, 5)


def test_before_the_first_answer_it_waits_as_long_as_it_may() -> None:
    assert wait(0.03, None, 0.1) == wait(0.03, None, None) == 0.03


def test_nobody_who_is_not_typing_is_waited_for() -> None:
    assert wait(0.03, 5.0, None) == 0.0


@pytest.mark.parametrize(
    ("latency", "interval", "share"), [(0.03, 0.2, 0.0), (0.08, 0.2, 0.0), (0.14, 0.2, 0.5), (0.2, 0.2, 1.0)]
)
def test_it_waits_the_longer_the_later_the_answer_comes_in_the_rhythm(
    latency: float, interval: float, share: float
) -> None:
    assert wait(0.03, latency, interval) == pytest.approx(0.03 * share)


@settings(deadline=None)
@given(SECONDS, SECONDS, SECONDS, SECONDS)
def test_it_never_waits_longer_than_it_may_nor_longer_for_a_quicker_answer(
    most: float, latency: float, longer: float, interval: float
) -> None:
    assert 0 <= wait(most, latency, interval) <= wait(most, latency + longer, interval) <= most


def test_what_counts_is_the_usual_latency_and_the_rhythm_of_this_burst() -> None:
    pace = Pace()
    assert pace.wait(1.0) == 1.0
    for seconds in (0.05, 0.06, 9.0):
        pace.answered(seconds)
    assert pace.wait(1.0) == 0.0, "nobody types"
    for at in (1.0, 1.05, 1.1, 1.15):
        pace.typed(at)
    assert pace.wait(1.0) == 1.0, "an answer takes longer than the next keystroke"
    pace.typed(60.0)
    assert pace.wait(1.0) == 0.0, "a rest ended that burst"
    for at in (60.3, 60.6, 60.9):
        pace.typed(at)
    assert pace.wait(1.0) == 0.0, "an answer is there before the next keystroke"
