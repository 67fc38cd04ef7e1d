"""Suggestions that stay right while they are typed, and only then."""

import asyncio
from collections.abc import Callable

import pytest
from engram_context.text import Span, Text
from engram_lsp.features.inline_completion import next_places
from engram_lsp.offers import Offer, Offers
from engram_lsp.schedule import Cancelled, Tasks
from engram_lsp.suggestion import Suggestion
from hypothesis import given, settings
from hypothesis import strategies as st

Suggest = Callable[[str], object]


def offer(before: str, after: str, *texts: str, word: str = "") -> Offer:
    """Of texts to be written behind `before`, the end of which is the typed `word`."""
    end = len(before.encode())
    span = Span(end - len(word.encode()), end)
    suggestions = tuple(Suggestion(word + text, span, 0.5, "both", 1) for text in texts)
    return Offer("a", Text.of(before + after), end, suggestions)


def left(one: Offer, before: str, after: str) -> list[tuple[str, int]] | None:
    """(text, where its span starts) of what is left to suggest."""
    found = one.at(Text.of(before + after), len(before.encode()))
    return None if found is None else [(suggestion.text, suggestion.span.start) for suggestion in found]


def test_what_is_typed_of_a_suggestion_is_taken_off_it() -> None:
    made = offer("é = foo(ba", ")\n", "r_one, two", word="ba")
    assert left(made, "é = foo(ba", ")\n") == [("bar_one, two", 9)]
    assert left(made, "é = foo(bar_", ")\n") == [("bar_one, two", 9)]
    assert left(made, "é = foo(bar_one, ", ")\n") == [("two", 18)]
    assert left(made, "é = foo(bar_one, t", ")\n") == [("two", 18)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = foo(baz", ")\n"),
        ("x = foo(b", ")\n"),
        ("y = foo(bar", ")\n"),
        ("x = foo(bar", "]\n"),
        ("x = foo(bar", "\n"),
        ("x = foo(bar", "x)\n"),
        ("x = foo(bar_one, two", ")\n"),
        ("x = foo(bar_one, two, ", ")\n"),
    ],
)
def test_any_other_text_has_no_part_in_it(before: str, after: str) -> None:
    assert left(offer("x = foo(ba", ")\n", "r_one, two", word="ba"), before, after) is None


def test_brackets_and_quotes_that_the_editor_closed_are_not_suggested_again() -> None:
    made = offer("x = ", "\n", 'open("a")')
    assert left(made, "x = open(", ")\n") == [('"a"', 9)]
    assert left(made, 'x = open("', '")\n') == [("a", 10)]
    assert left(made, "x = open(", "]\n") is None
    assert left(offer("x = ", "\n", "f(a)[0]"), "x = f(", ")\n") is None


def test_lines_are_typed_through_too() -> None:
    made = offer("    ", "\n", "if a:\r\n        b()\r\n    c()")
    assert left(made, "    if a:\r\n        ", "\n") == [("b()\r\n    c()", 19)]
    assert left(made, "    if a:\r\n        b()\r\n", "\n") == [("    c()", 24)]


def test_other_candidates_stay_as_long_as_they_fit() -> None:
    made = offer("x = ", "", "open(1)", "other()", "none")
    assert left(made, "x = o", "") == [("open(1)", 4), ("other()", 4)]
    assert left(made, "x = ot", "") == [("other()", 4)]


TEXT = st.text(alphabet="ab (é\n)", max_size=12)


@settings(deadline=None)
@given(TEXT, TEXT, TEXT, st.data())
def test_what_is_left_makes_the_text_that_was_suggested(
    before: str, suggested: str, after: str, data: st.DataObject
) -> None:
    made = offer(before, after, suggested)
    typed = suggested[: data.draw(st.integers(0, len(suggested)))]
    text = Text.of(before + typed + after)
    for suggestion in made.at(text, len((before + typed).encode())) or ():
        whole = text.splice(suggestion.span.start, suggestion.span.end, suggestion.text.encode())
        assert whole.decode() == before + suggested + after


def kept(*offers: Offer) -> Offers:
    offers_ = Offers()
    for one in offers:
        offers_.keep(one)
    return offers_


def test_an_edit_ends_what_it_does_not_continue() -> None:
    offers = kept(offer("x = ", "\ny\n", "open(1)"))
    assert offers.edited("a", Text.of("x = o\ny\n")) is None
    assert offers.find("a", Text.of("x = o\ny\n"), 5)
    assert offers.edited("a", Text.of("x = o\nyy\n")) is None
    assert offers.find("a", Text.of("x = o\ny\n"), 5) is None, "not even when the text comes back"


def test_an_edit_elsewhere_ends_all() -> None:
    offers = kept(offer("x = ", "", "open(1)"))
    offers.edited("b", Text.of(""))
    assert offers.find("a", Text.of("x = "), 4) is None


def test_that_there_is_nothing_to_suggest_is_known_of_the_very_place_only() -> None:
    offers = kept(offer("x = ", ""))
    assert offers.find("a", Text.of("x = "), 4) == ()
    assert offers.find("a", Text.of("x = "), 3) is None
    assert offers.find("b", Text.of("x = "), 4) is None


def test_accepting_a_suggestion_says_where_it_ends() -> None:
    offers = kept(offer("x = ", "\n", "open(1)", "other()"))
    assert offers.edited("a", Text.of("x = other()\n")) == 11


def run_ahead(act: Callable[[Offers, list[str]], object], suggest: Suggest) -> list[str]:
    """Makes offers ahead for "one" and then "two", does something meanwhile, and returns for which it was asked."""
    asked: list[str] = []

    async def answered(text: Text, offset: int, outdated: Cancelled) -> tuple[Suggestion, ...] | None:
        asked.append(text.decode())
        await asyncio.sleep(0)
        found = suggest(text.decode())
        return None if outdated() else found  # type: ignore[return-value]

    async def main() -> None:
        offers, tasks = Offers(), Tasks()
        places = [(Text.of("one"), 3), (Text.of("two"), 3)]
        offers.ahead("a", places, answered, lambda work: tasks.start("ahead", work))
        result = act(offers, asked)
        if asyncio.iscoroutine(result):
            await result
        await asyncio.sleep(0.01)

    asyncio.run(main())
    return asked


SOMETHING = (Suggestion("x", Span(3, 3), 0.5, "both", 1),)


def test_the_second_place_is_asked_about_where_the_first_has_nothing() -> None:
    assert run_ahead(lambda offers, asked: None, lambda _: ()) == ["one", "two"]
    assert run_ahead(lambda offers, asked: None, lambda _: SOMETHING) == ["one"]


def test_a_question_about_the_very_place_waits_for_what_is_being_made() -> None:
    async def act(offers: Offers, asked: list[str]) -> None:
        assert await offers.known("a", Text.of("two"), 3) == SOMETHING
        assert await offers.known("a", Text.of("one"), 3) == ()
        assert await offers.known("a", Text.of("three"), 5) is None
        assert offers.tally.ahead == 2

    assert run_ahead(act, lambda text: SOMETHING if text == "two" else ()) == ["one", "two"]


def test_an_edit_stops_it_unless_it_leads_just_there() -> None:
    async def act(offers: Offers, asked: list[str]) -> None:
        await asyncio.sleep(0)
        offers.edited("a", Text.of("three"))
        assert await offers.known("a", Text.of("one"), 3) is None

    assert run_ahead(act, lambda _: ()) == ["one"]
    assert run_ahead(lambda offers, _: offers.edited("a", Text.of("two")), lambda _: ()) == ["one", "two"]


def test_who_asks_something_else_stops_it() -> None:
    async def act(offers: Offers, asked: list[str]) -> None:
        await asyncio.sleep(0)
        offers.stop()
        assert await offers.known("a", Text.of("one"), 3) is None
        assert offers.tally.ahead == 0

    assert run_ahead(act, lambda _: SOMETHING) == ["one"]


def test_a_failure_leaves_the_place_unknown(caplog: pytest.LogCaptureFixture) -> None:
    async def act(offers: Offers, asked: list[str]) -> None:
        assert await offers.known("a", Text.of("one"), 3) is None

    assert run_ahead(act, lambda _: 1 / 0) == ["one"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ("def f():", "\n", "\n    "),
        ("    x = 1", "\n", "\n    "),
        ("    return x", "\n", "\n"),
        ("\tx = (", "\n", "\n\t\t"),
        ("    x = 1", "\r\ny", "\r\n    "),
        ("    x = (", ")\n", None),
    ],
)
def test_typing_goes_on_right_there_or_in_a_new_line(before: str, after: str, new: str | None) -> None:
    places = [(text.decode(), offset) for text, offset in next_places(Text.of(before + after), len(before))]
    assert places[0] == (before + after, len(before))
    assert places[1:] == ([] if new is None else [(before + new + after, len(before + new))])
