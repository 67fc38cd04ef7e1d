"""How many guesses are worth checking, and what is learned from the check."""

from collections.abc import Sequence

import numpy as np
import pytest
from engram_runtime.speculation import COST, MOST, Acceptance, Drafts
from hypothesis import given
from hypothesis import strategies as st

OUTCOMES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, MOST), st.integers(0, MOST)).map(lambda o: (o[0], o[1], min(o[1:]))),
    max_size=60,
)


class Copying:
    """Proposes ever the same tokens, and says what they rest on."""

    def __init__(self, tokens: Sequence[int], match: int) -> None:
        self.tokens, self.match = tokens, match

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        return self.tokens[:count]

    def draft(self, tokens: Sequence[int], count: int) -> tuple[Sequence[int], int]:
        return self.tokens[:count], self.match


class Silent:
    """Proposes, and does not say what its guesses rest on."""

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        return [7] * count


def rate(history: Acceptance, match: int, count: int) -> float:
    """Expected tokens per decoding call when `count` drafts are checked."""
    reached = np.cumprod([history.chance(match + i) for i in range(count)])
    return (1 + reached.sum()) / (1 + COST * count)


@given(OUTCOMES, st.integers(0, 40), st.integers(0, MOST))
def test_as_many_drafts_are_checked_as_give_most_tokens_per_time(
    outcomes: list[tuple[int, int, int]], match: int, most: int
) -> None:
    history = Acceptance()
    for outcome in outcomes:
        history.learn(*outcome)
    count = history.worth(match, most)
    assert 0 <= count <= most
    rates = [rate(history, match, n) for n in range(most + 1)]
    assert rates[count] == pytest.approx(max(rates))


def test_longer_matches_earn_longer_drafts() -> None:
    history = Acceptance()
    counts = [history.worth(match, MOST) for match in range(30)]
    assert counts == sorted(counts)
    assert counts[1] <= 3 and counts[24] > 2 * counts[1]


@pytest.mark.parametrize("chance", [0.0, 0.2, 0.6, 0.95])
def test_what_is_believed_becomes_what_is_true(chance: float) -> None:
    history, random = Acceptance(), np.random.default_rng(0)
    for _ in range(3000):
        agreed = int((random.random(4) >= chance).argmax()) if (random.random(4) >= chance).any() else 4
        history.learn(5, 4, agreed)
        right = random.random(4) < chance
        history.learn(12, 4, 4 if right.all() else int(right.argmin()))
    assert history.chance(12) == pytest.approx(chance, abs=0.1)


def test_only_what_was_decided_is_learned_from() -> None:
    history = Acceptance()
    before = [history.chance(match) for match in range(10)]
    history.learn(3, 5, 2)
    after = [history.chance(match) for match in range(10)]
    assert [new > old for old, new in zip(before, after, strict=True)] == [False] * 3 + [True] * 2 + [False] * 5
    assert [new < old for old, new in zip(before, after, strict=True)] == [False] * 5 + [True] + [False] * 4


def test_a_drafter_that_is_always_wrong_is_left_alone_and_then_tried_again() -> None:
    drafts = Drafts(Copying([7] * MOST, 2), Acceptance(), 100)
    tries: list[int] = []
    for turn in range(2000):
        if found := drafts.after([1], 50):
            tries.append(turn)
            drafts.learn(len(found), 0)
    assert tries[:10] == list(range(10)), "at first it is believed"
    assert 5 < sum(turn >= 1000 for turn in tries) < 100, "later it is tried now and then"


def test_a_drafter_that_does_not_say_is_judged_by_its_streak() -> None:
    drafts = Drafts(Silent(), Acceptance(), 100)
    lengths: list[int] = []
    for _ in range(12):
        found = drafts.after([1], 50)
        drafts.learn(len(found), len(found))
        lengths.append(len(found))
    assert lengths[-1] > 2 * lengths[0]
    drafts.learn(len(drafts.after([1], 50)), 0)
    assert len(drafts.after([1], 50)) < lengths[-1]


@given(st.lists(st.integers(-2, 12), max_size=30), st.integers(-1, 30))
def test_drafts_fit_the_room_and_the_vocabulary(proposed: list[int], room: int) -> None:
    found = Drafts(Copying(proposed, 24), Acceptance(), 10).after([1], room)
    assert found == proposed[: len(found)]
    assert len(found) <= max(0, min(room, MOST))
    assert all(0 <= token < 10 for token in found)


def test_without_a_drafter_there_are_no_drafts() -> None:
    assert Drafts(None, Acceptance(), 10).after([1], 9) == []
