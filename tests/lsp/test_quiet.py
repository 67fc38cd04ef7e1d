"""Quiet hours."""

from datetime import time

import pytest
from engram_lsp.features.inline_completion import comes_unasked
from engram_lsp.quiet import is_quiet
from engram_lsp.settings import InlineSettings, Settings

NIGHT, LUNCH = "22:00-07:00", "12:30 - 13:00"


@pytest.mark.parametrize(
    ("now", "quiet"),
    [
        ("21:59", False),
        ("22:00", True),
        ("00:00", True),
        ("06:59", True),
        ("07:00", False),
        ("12:45", True),
        ("13:00", False),
    ],
)
def test_spans_hold_their_beginning_and_may_run_over_midnight(now: str, quiet: bool) -> None:
    assert is_quiet((NIGHT, LUNCH), time.fromisoformat(now)) is quiet


def test_a_span_that_ends_when_it_begins_is_the_whole_day() -> None:
    assert is_quiet(("8:00-8:00",), time(3)) and not comes_unasked(InlineSettings(quiet_hours=("00:00-00:00",)))  # type: ignore[arg-type]


def test_none_means_never_and_manual_means_always() -> None:
    assert not is_quiet((), time(3)) and comes_unasked(InlineSettings())
    assert not comes_unasked(InlineSettings(automatic=False))


@pytest.mark.parametrize("value", ["22-7", "25:00-07:00", "22:00", "night", ""])
def test_what_is_no_span_is_said(value: str) -> None:
    settings, warnings = Settings.read({"inline.quietHours": ["22:00-07:00", value]})
    assert settings.inline.quiet_hours == () and "hours like" in warnings[0]
