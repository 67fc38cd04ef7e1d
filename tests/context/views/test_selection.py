"""What a selection grows to."""

from __future__ import annotations

import argparse
import itertools
import random
from pathlib import Path

from engram_context.reader import parse
from engram_context.text import Text
from engram_context.views.selection import selections
from fixture import parse_fixture


def grown(source: str) -> list[str]:
    """What the selection at the cursor grows to, step by step."""
    fixture = parse_fixture(source)
    text = fixture.text(fixture.cursor.path)
    assert text is not None
    tree = parse(text, "python")
    assert tree is not None
    return [text.slice(span) for span in selections(tree, text, fixture.cursor.offset)]


def test_a_name_grows_to_its_expression_statement_and_file() -> None:
    assert grown("x = f(a.b$0c, 1)\ny\n") == [
        "bc", "a.bc", "a.bc, 1", "(a.bc, 1)", "f(a.bc, 1)", "x = f(a.bc, 1)", "x = f(a.bc, 1)\ny\n",
    ]  # fmt: skip


def test_a_string_grows_from_a_word_to_its_contents_and_quotation_marks() -> None:
    assert grown("x = 'one t$0wo'")[:3] == ["two", "one two", "'one two'"]


def test_a_comment_grows_from_a_word_to_the_comment() -> None:
    assert grown("x = 1  # some wo$0rds\n")[:2] == ["words", "# some words"]


def test_a_statement_in_a_body_grows_to_the_body_and_the_definition() -> None:
    found = grown("def f():\n    a = 1\n    re$0turn a\n\nx = 1\n")
    assert found == ["return", "return a", "a = 1\n    return a", "def f():\n    a = 1\n    return a",
                     "def f():\n    a = 1\n    return a\n\nx = 1\n"]  # fmt: skip


def test_behind_a_word_the_word_is_meant() -> None:
    assert grown("value$0 = 1")[0] == "value"
    assert grown("f(value$0)")[0] == "value"


def test_an_empty_text_has_one_empty_selection() -> None:
    assert grown("$0") == [""]


def test_every_selection_contains_the_one_before_and_the_place() -> None:
    text = Text.of(Path(argparse.__file__).read_text(encoding="utf-8"))
    tree = parse(text, "python")
    assert tree is not None
    chance = random.Random(1)
    for _ in range(300):
        offset = chance.randrange(len(text) + 1)
        spans = selections(tree, text, offset)
        assert spans[-1].start == 0 and spans[-1].end == len(text)
        assert all(inner != outer and outer.contains(inner) for inner, outer in itertools.pairwise(spans))
        assert all(span.touches(offset) for span in spans)
