"""Arguments among the candidates, and lines that are only half written."""

from __future__ import annotations

import ast

import pytest
from engram_context.completion.candidates import Candidate, Candidates, candidates
from engram_context.completion.unfinished import missing
from engram_context.reader import read_record
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text
from fixture import parse_fixture
from hypothesis import given, settings
from hypothesis import strategies as st

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


OTHERS = (
    "def resume(): ...\nclass Result: ...\n",
    "import os\ndef resize(): ...\n",
    "from main import *\nreserve = 1\n",
)
STEPS = st.lists(
    st.one_of(
        st.sampled_from(
            ["r", "re", "res", "x", "_", "f", "for", "draw(", "base.", ", ", ")", '"', "# ", " = ", "\n", "    "]
        ),
        st.sampled_from(["erase", "record", "left", "end", *OTHERS]),
    ),
    min_size=1,
    max_size=14,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_what_was_kept_of_an_earlier_reading_answers_as_a_fresh_one(steps: list[str]) -> None:
    rest = "\n\ndef after(result, retry):\n    return result\n"
    source, at = DEFINITIONS, len(DEFINITIONS)
    texts = {"main.py": Text.of(source + rest), "other.py": Text.of(OTHERS[0])}
    snapshot = Snapshot.empty(texts.get).after({path: read_record(text, "python") for path, text in texts.items()})
    kept = Candidates()
    for step in steps:
        letters = ""
        if step in OTHERS:
            texts["other.py"] = Text.of(step)
            snapshot = snapshot.after({"other.py": read_record(texts["other.py"], "python")})
        elif step == "record":
            snapshot = snapshot.after({"main.py": read_record(texts["main.py"], "python")})
        elif step == "erase":
            source, at = source[:-1], at - 1
        elif step in ("left", "end"):
            at = max(at - 1, 0) if step == "left" else len(source)
        else:
            letters = step
        for letter in letters or ("",):
            source, at = source[:at] + letter + source[at:], at + len(letter)
            texts["main.py"] = Text.of(source + rest)
            place = Place("main.py", at)
            assert kept.at(snapshot, place) == candidates(snapshot, place)


def test_an_import_below_the_word_is_put_where_the_text_has_it_however_long_the_word_is() -> None:
    kept = Candidates()
    for word in ("re", "resu", "resume"):
        fixture = parse_fixture(f"{word}$0\n\n\ndef own(): ...\n-- other.py --\ndef resume(): ...\n")
        texts = {path: Text.of(source) for path, source in fixture.files.items()}
        records = {path: read_record(text, "python") for path, text in texts.items()}
        found = kept.at(Snapshot.empty(texts.get).after(records), fixture.cursor)
        (edit,) = [one.import_edit for one in found if one.name == "resume" and one.origin == "auto-import"]
        assert edit is not None and edit.span.start == 0


def test_a_string_that_is_not_closed_has_no_candidates() -> None:
    for line in ('draw("$0', 'draw("w$0', "draw('wi$0"):
        fixture = parse_fixture(DEFINITIONS + line)
        assert not fixture.snapshot().candidates(fixture.cursor)


def test_arguments_that_are_handed_on_are_offered_too() -> None:
    fixture = parse_fixture("""
        def inner(a, key=1, other=2): ...
        def outer(first, **options):
            return inner(first, other=3, **options)
        outer(1, $0)
    """)
    found = fixture.snapshot().candidates(fixture.cursor)
    assert {one.name for one in found if one.origin == "argument"} == {"first", "a", "key"}
