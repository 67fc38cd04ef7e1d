"""Arguments among the candidates, and lines that are only half written."""

from __future__ import annotations

import ast

import pytest
from engram_context.candidates import Candidate
from engram_context.text import Text
from engram_context.unfinished import missing
from fixture import parse_fixture

DEFINITIONS = """
class Base:
    def resize(self, width, *, height=0, **rest): ...
class Point:
    left: int
    top: int
def draw(canvas, /, colour, *shapes, dashed=False): ...
base = Base()
"""


def arguments(line: str, below: str = "") -> list[str]:
    """The names of the arguments that may stand at the cursor in `line`."""
    fixture = parse_fixture(DEFINITIONS + line + "\n" + below)
    found: tuple[Candidate, ...] = fixture.snapshot().candidates(fixture.cursor)
    return [one.name for one in found if one.origin == "argument"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("draw($0)", ["colour", "dashed"]),
        ("draw($0", ["colour", "dashed"]),
        ("draw(1, 2, $0", ["colour", "dashed"]),
        ("draw(1, colour=3, $0)", ["dashed"]),
        ("draw(1, da$0)", ["colour", "dashed"]),
        ("base.resize($0", ["width", "height"]),
        ("base.resize(draw($0", ["colour", "dashed"]),
        ("if base.resize(3, $0", ["width", "height"]),
        ("Point(left=1, $0", ["top"]),
        ("draw([1, $0", []),
        ("draw(colour=$0", []),
        ("draw(1 + $0", []),
        ("draw('$0", []),
        ("unknown($0", []),
        ("draw()$0", []),
    ],
)
def test_parameters_of_the_call_are_offered_where_an_argument_begins(line: str, expected: list[str]) -> None:
    assert arguments(line) == expected


def test_an_argument_is_found_in_a_call_over_several_lines() -> None:
    assert arguments("draw(\n    1,\n    $0", ")") == ["colour", "dashed"]


def test_a_local_name_and_an_argument_of_the_same_name_are_both_offered() -> None:
    fixture = parse_fixture(DEFINITIONS + "colour = 1\ndraw(1, $0")
    found = [one.origin for one in fixture.snapshot().candidates(fixture.cursor) if one.name == "colour"]
    assert sorted(found) == ["argument", "module"]


@pytest.mark.parametrize(
    ("before", "below", "lacking"),
    [
        ("x = f(a, [b, ", "", "])"),
        ("x = f('(', ", "", ")"),
        ("if f(", "    pass", "):"),
        ("def f(a: ", "    pass", "):"),
        ("x = f(", "    + 1)", ""),
        ("f(a, ", ")", ""),
        ("x = ", "y = 1", ""),
    ],
)
def test_what_a_half_written_line_lacks_is_what_closes_it(before: str, below: str, lacking: str) -> None:
    text = Text.of(before + "\n" + below + "\n")
    assert missing(text, len(before)) == lacking
    ast.parse(before + "_" + lacking + "\n" + below)


def test_nothing_lacks_where_more_is_written_behind_the_cursor() -> None:
    assert missing(Text.of("f(a, b\n"), 5) == ""
