"""Copied statements in which one place was not changed with the rest.

Two neighbours of the same shape are read word by word: where the second says `right` for each `left` of the first but
one, that one was forgotten, most likely.
"""

from __future__ import annotations

import builtins
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import tree_sitter

from engram_context.text import Span, Text

_LEAST_WORDS, _MOST_WORDS = 8, 400
_MOST_BYTES = 4000
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+|_+|\W+")
_IDENTIFIERS = re.compile(r"[^\W\d]\w*")
_NAMED = frozenset(("identifier", "string_content"))
_OPERATORS = frozenset(("<", ">", "<=", ">=", "==", "!=", "+", "-", "*", "/", "and", "or", "&", "|", "+=", "-="))
# What stands on the other side of a range: neighbours often differ in it and mean to.
_OPPOSITE = frozenset(map(frozenset, (("<", ">"), ("<=", ">="), ("<", ">="), (">", "<="), ("+", "-"), ("+=", "-="))))
_NUMBERS = frozenset(("integer", "float"))
_STATEMENTS = frozenset(
    (
        "expression_statement",
        "if_statement",
        "for_statement",
        "while_statement",
        "with_statement",
        "return_statement",
        "assert_statement",
        "elif_clause",
        "function_definition",
        "case_clause",
        "try_statement",
        "raise_statement",
    )
)


@dataclass(frozen=True, slots=True)
class Uneven:
    """`span` says what the copy was made of, `original` where that stands there; `expected` is what it most likely
    should say. `changed`: in how many places it
    was. `is_token`: it is an operator or a number, of which neighbours say otherwise: then that proves little."""

    span: Span
    original: Span
    written: str
    expected: str
    changed: int
    is_token: bool = False


@dataclass(frozen=True, slots=True)
class _Word:
    said: str
    leaf: int
    is_name: bool


@dataclass(frozen=True, slots=True)
class _Read:
    node: tree_sitter.Node
    leaves: tuple[tree_sitter.Node, ...]
    shape: tuple[str, ...]
    words: tuple[_Word, ...]


def uneven_copies(tree: tree_sitter.Tree, text: Text) -> Iterator[Uneven]:
    """The places in the file that look forgotten."""
    seen: set[Span] = set()
    names: frozenset[str] | None = None
    for run in _runs(tree.root_node):
        reads = _read_alike(run)
        for at in range(1, len(reads)):
            first, second = reads[at - 1], reads[at]
            if first is None or second is None:
                continue
            for found in _compared(first, second):
                if names is None:
                    names = frozenset(_IDENTIFIERS.findall(text.data.decode("utf-8", "replace")))
                if found.span not in seen and found.expected in names:
                    seen.add(found.span)
                    yield found
        for found in _odd_ones(reads):
            if found.span not in seen:
                seen.add(found.span)
                yield found


def matching(tree: tree_sitter.Tree) -> Iterator[tuple[Sequence[tree_sitter.Node], Sequence[tree_sitter.Node]]]:
    """The leaves of each two neighbours that differ in names alone, of at least one."""
    for run in _runs(tree.root_node):
        for first, second in pairwise(_read_alike(run)):
            if first is None or second is None or first.shape != second.shape:
                continue
            pairs = list(zip(first.leaves, second.leaves, strict=True))
            differing = [one for one, other in pairs if one.text != other.text]
            if differing and all(one.type in _NAMED for one in differing):
                yield first.leaves, second.leaves


def _runs(root: tree_sitter.Node) -> Iterator[list[tree_sitter.Node]]:
    """Neighbouring statements of the same kind, two at least."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        run: list[tree_sitter.Node] = []
        for child in node.named_children:
            if child.type == "comment":
                continue
            if child.type in _STATEMENTS and run and run[-1].type == child.type:
                run.append(child)
                continue
            if len(run) > 1:
                yield run
            run = [child] if child.type in _STATEMENTS else []
        if len(run) > 1:
            yield run
        waiting.extend(child for child in reversed(node.named_children) if child.named_child_count)


def _read_alike(run: Sequence[tree_sitter.Node]) -> list[_Read | None]:
    """The statements of a run that may be copies of their neighbours: reading one costs more than seeing that it is
    not."""
    wanted = [False] * len(run)
    for at in range(1, len(run)):
        first, second = run[at - 1], run[at]
        one, other = (node.end_byte - node.start_byte for node in (first, second))
        lines = [node.end_point[0] - node.start_point[0] for node in (first, second)]
        if lines[0] == lines[1] and abs(one - other) * 3 <= max(one, other) and max(one, other) <= _MOST_BYTES:
            wanted[at - 1] = wanted[at] = True
    return [_read(node) if want else None for node, want in zip(run, wanted, strict=True)]


def _read(node: tree_sitter.Node) -> _Read | None:
    leaves: list[tree_sitter.Node] = []
    waiting = [node]
    while waiting:
        at = waiting.pop()
        if at.type == "comment":
            continue
        if at.child_count:
            waiting.extend(reversed(at.children))
        else:
            leaves.append(at)
        if len(leaves) > _MOST_WORDS:
            return None
    words: list[_Word] = []
    for row, leaf in enumerate(leaves):
        said = (leaf.text or b"").decode("utf-8", "replace")
        if leaf.type in _NAMED and (leaf.type == "identifier" or said.isidentifier()):
            words.extend(_Word(part, row, True) for part in _WORDS.findall(said))
        else:
            words.append(_Word(said, row, False))
    if not _LEAST_WORDS <= len(words) <= _MOST_WORDS:
        return None
    shape = tuple("operator" if leaf.type in _OPERATORS else leaf.type for leaf in leaves)
    return _Read(node, tuple(leaves), shape, tuple(words))


def _compared(first: _Read, second: _Read) -> Iterator[Uneven]:
    if first.shape != second.shape or len(first.words) != len(second.words):
        return
    pairs = list(zip(first.words, second.words, strict=True))
    if any(one.leaf != other.leaf for one, other in pairs):
        return
    changes = Counter((one.said, other.said) for one, other in pairs if one.said != other.said)
    if not changes or sum(changes.values()) * 2 > len(pairs):
        return
    if any(not (one.is_name and other.is_name) for one, other in pairs if one.said != other.said):
        return
    becomes: dict[str, Counter[str]] = {}
    for (one, other), count in changes.items():
        becomes.setdefault(one, Counter())[other] += count
    for word, into in becomes.items():
        if len(into) != 1 or (len(word) < 2 and not word.isalpha()):
            continue
        ((other, changed),) = into.items()
        if changed < 2 or any(other in more for one, more in becomes.items() if one != word):
            continue
        kept = [one for one, also in pairs if one.said == word == also.said]
        # Where the first already speaks of both, it is no copy that was renamed.
        if len(kept) != 1 or any(one.said == other for one in first.words):
            continue
        if hasattr(builtins, (second.leaves[kept[0].leaf].text or b"").decode("utf-8", "replace")):
            continue  # `def __str__(self) -> str` beside `def __repr__(self) -> str`
        yield _forgotten(first, second, kept[0], word, other, changed)


def _forgotten(first: _Read, second: _Read, at: _Word, word: str, other: str, changed: int) -> Uneven:
    leaf, model = second.leaves[at.leaf], first.leaves[at.leaf]
    written = (leaf.text or b"").decode("utf-8", "replace")
    parts = _WORDS.findall(written)
    expected = "".join(other if part == word else part for part in parts)
    return Uneven(
        Span(leaf.start_byte, leaf.end_byte), Span(model.start_byte, model.end_byte), written, expected, changed
    )


def _odd_ones(reads: Sequence[_Read | None]) -> Iterator[Uneven]:
    """Of neighbours that differ in names alone, the one with another operator or, of three and more, number."""
    for at, read in enumerate(reads):
        if read is None or (at and (before := reads[at - 1]) is not None and before.shape == read.shape):
            continue
        alike = [read]
        for other in reads[at + 1 :]:
            if other is None or other.shape != read.shape or len(other.words) != len(read.words):
                break
            alike.append(other)
        if len(alike) > 2:
            yield from _odd_one(alike)
        elif len(alike) == 2:
            yield from _odd_pair(*alike)


def _odd_one(alike: Sequence[_Read]) -> Iterator[Uneven]:
    columns = list(zip(*(one.leaves for one in alike), strict=True))
    said = [[(leaf.text or b"").decode("utf-8", "replace") for leaf in column] for column in columns]
    for row, column in enumerate(columns):
        is_operator = column[0].type in _OPERATORS
        if not is_operator and column[0].type not in _NUMBERS:
            continue
        (usual, count), *others = Counter(said[row]).most_common()
        if len(others) != 1 or others[0][1] != 1 or count < 2:
            continue
        odd = said[row].index(others[0][0])
        span = Span(column[odd].start_byte, column[odd].end_byte)
        model = column[1 if odd == 0 else odd - 1]
        yield Uneven(span, Span(model.start_byte, model.end_byte), said[row][odd], usual, count, True)


def _odd_pair(first: _Read, second: _Read) -> Iterator[Uneven]:
    """The operator in which the second differs from the first, besides names, each of which became one other."""
    if second.node.type == "function_definition":
        return  # `__eq__` and `__ne__`
    pairs = list(zip(first.words, second.words, strict=True))
    becomes: dict[str, str] = {}
    renamed = 0
    odd: list[int] = []
    for one, other in pairs:
        if one.is_name != other.is_name or one.leaf != other.leaf:
            return
        if one.is_name:
            renamed += one.said != other.said
            if becomes.setdefault(one.said, other.said) != other.said:
                return
        elif one.said != other.said:
            odd.append(one.leaf)
    if len(odd) != 1 or renamed < 2:
        return
    model, leaf = first.leaves[odd[0]], second.leaves[odd[0]]
    if not _OPERATORS.issuperset((model.type, leaf.type)) or frozenset((model.type, leaf.type)) in _OPPOSITE:
        return
    yield Uneven(
        Span(leaf.start_byte, leaf.end_byte),
        Span(model.start_byte, model.end_byte),
        (leaf.text or b"").decode("utf-8", "replace"),
        (model.text or b"").decode("utf-8", "replace"),
        1,
        True,
    )
