"""Whatever a text looks like, every question about it is answered, and answers lie within it."""

from __future__ import annotations

import argparse
import random
import textwrap
import typing
from pathlib import Path

import pytest
from engram_context.languages import language_of
from engram_context.outside.environment import Environment
from engram_context.reader import parse
from engram_context.text import Place, Span, Text
from engram_context.views.call_hierarchy import definitions_at, incoming, outgoing, show
from engram_context.views.declarations import declarations, type_definitions
from engram_context.views.folding import folds
from engram_context.views.highlight import highlights
from engram_context.views.hints import Wishes, hints
from engram_context.views.lenses import lenses
from engram_context.views.links import links
from engram_context.views.selection import selections
from engram_context.views.semantic import encoded, semantic_tokens
from engram_context.views.signatures import signature_help
from engram_context.views.type_hierarchy import implementations
from fixture import snapshot_of

SOURCES = [Path(module.__file__ or "").read_text(encoding="utf-8") for module in (textwrap, typing, argparse)]
PIECES = [
    "(",
    ")",
    "[",
    "{",
    '"',
    "'''",
    "\n",
    "    ",
    ":",
    ",",
    "=",
    "def ",
    "class ",
    "😀",
    "é",
    "*",
    "lambda ",
    "#",
    "\\",
    ".",
]


def broken(chance: random.Random) -> str:
    """A stretch of real code with a few things put in, left out, or doubled."""
    source = chance.choice(SOURCES)
    lines = source.split("\n")
    first = chance.randrange(len(lines))
    text = "\n".join(lines[first : first + chance.randrange(1, 120)])
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(PIECES) + text[at + chance.randrange(12) :]
    return text


def check(source: str, path: str, chance: random.Random, environment: Environment) -> None:
    snapshot, text = snapshot_of({path: source}), Text.of(source)
    whole = Span(0, len(text))
    tree = parse(text, language_of(path) or "")
    assert tree is not None
    places = [Place(path, chance.randrange(len(text) + 1)) for _ in range(8)]
    record = snapshot.records[path]
    places += [Place(path, chance.choice(record.occurrences.start)) for _ in range(8) if len(record.occurrences)]
    for place in places:
        found = signature_help(snapshot, place)
        if found is not None:
            for one in found.signatures:
                assert one.active is None or 0 <= one.active < len(one.parameters)
                assert all(0 <= each.start < each.end <= len(one.label) for each in one.parameters)
        for one in highlights(snapshot, place):
            assert whole.contains(one.span)
        for location in (*declarations(snapshot, place), *type_definitions(snapshot, place)):
            assert location.path != path or whole.contains(location.span)
        implementations(snapshot, place, environment)
        spans = selections(tree, text, place.offset)
        assert spans[-1] == whole and all(span.touches(place.offset) for span in spans)
        for definition in definitions_at(snapshot, place):
            assert show(snapshot, definition) is not None
            for call in (*incoming(snapshot, definition), *outgoing(snapshot, definition)):
                assert call.spans and show(snapshot, call.definition) is not None
    tokens = semantic_tokens(snapshot, path)
    assert tokens is not None
    assert all(end <= start for end, start in zip(tokens.end[:-1].tolist(), tokens.start[1:].tolist(), strict=True))
    lines, columns = text.positions(tokens.start)
    _, ends = text.positions(tokens.end)
    numbers = encoded(lines, columns, ends - columns, tokens)
    assert not len(numbers) or int(numbers.min()) >= 0
    for hint in hints(snapshot, path, whole, Wishes("all", True, True)):
        assert 0 <= hint.offset <= len(text)
    for fold in folds(tree, text):
        assert 0 <= fold.start < fold.end < text.line_count
    for span in (*lenses(snapshot, path), *(link.span for link in links(tree, text))):
        assert whole.contains(span)


@pytest.mark.parametrize("seed", range(40))
def test_broken_python_is_answered_within_its_text(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    check(broken(chance), "a.py", chance, Environment.discover(tmp_path))


@pytest.mark.parametrize("path", ["a.ts", "a.go", "a.rs", "a.java", "a.cpp", "a.tsx"])
def test_text_that_is_in_no_way_of_its_language_is_answered_too(path: str, tmp_path: Path) -> None:
    for seed in range(4):
        chance = random.Random(seed)
        check(broken(chance), path, chance, Environment.discover(tmp_path))


@pytest.mark.parametrize("source", ["", "\n", "x", "\ufeffx = 1", "(((((", '"""', "\x00", "a\rb\r\nc = a"])
def test_texts_of_next_to_nothing_are_answered(source: str, tmp_path: Path) -> None:
    check(source, "a.py", random.Random(1), Environment.discover(tmp_path))
