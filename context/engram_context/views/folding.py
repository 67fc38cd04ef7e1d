"""What can be folded away in a text: blocks, brackets, comments, imports and regions, read off its syntax tree.

The tree of any language will do: only the shape of nodes is asked, and whether they are comments or strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tree_sitter import Language, Node, Tree

from engram_context.text import Text

FoldKind = Literal["comment", "imports", "region"]

_BRACKETS = {"{": "}", "[": "]", "(": ")", "{|": "|}"}
_REGION = re.compile(rb"\W{1,4}\s*#?\s*(?:pragma\s+)?(end)?\s*region\b", re.IGNORECASE)
_BETWEEN = re.compile(rb"(?:\s|#[^\n]*|//[^\n]*|;)*")
_IMPORTS = frozenset(
    {"import_statement", "import_from_statement", "future_import_statement", "import_declaration", "use_declaration"}
    | {"preproc_include", "extern_crate_declaration"}
)


@dataclass(frozen=True, slots=True, order=True)
class Fold:
    """Lines `start..end`, counted from 0: the first stays to be seen, the others fold away."""

    start: int
    end: int
    kind: FoldKind | None = None


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The numbers of a grammar's node kinds that mean something here."""

    comments: frozenset[int]
    strings: frozenset[int]
    elements: frozenset[int]
    blocks: frozenset[int]
    imports: frozenset[int]
    openings: Mapping[int, int]  # of each closing bracket


def folds(tree: Tree, text: Text, limit: int | None = None) -> tuple[Fold, ...]:
    """In order; of those that begin on one line the widest alone. With a `limit` the smallest are left out."""
    found: dict[int, Fold] = {}
    comments: list[Node] = []
    imports: list[tuple[int, int]] = []
    for fold in _of_tree(tree, text, comments, imports):
        _keep(found, fold)
    for fold in (*_comments(text, comments), *_imports(imports, text)):
        _keep(found, fold)
    found.update((fold.start, fold) for fold in _regions(text, comments))
    order = sorted(found.values(), key=lambda fold: fold.start)
    if limit is not None and len(order) > limit:
        widest = sorted(order, key=lambda fold: fold.start - fold.end)[:limit]
        order = sorted(widest, key=lambda fold: fold.start)
    return tuple(order)


def _keep(found: dict[int, Fold], fold: Fold) -> None:
    if fold.end > fold.start and (fold.start not in found or found[fold.start].end < fold.end):
        found[fold.start] = fold


def _of_tree(tree: Tree, text: Text, comments: list[Node], imports: list[tuple[int, int]]) -> Iterator[Fold]:
    """The folds of nodes; comments and imports are gathered by the way. Nodes on one line are not looked into."""
    kinds = _kinds(tree.language)
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        children = node.children
        fold = _of_node(node, children, text, kinds)
        if fold is not None:
            yield fold
        for child in children:
            kind = child.kind_id
            if kind in kinds.comments:
                comments.append(child)
                continue
            first, last = child.start_point[0], child.end_point[0]
            if kind in kinds.imports:
                imports.append(child.byte_range)
            if kind in kinds.strings:
                is_statement = node.named_child_count == 1 and node.type == "expression_statement"
                yield Fold(first, last, "comment" if is_statement else None)
                continue
            if kind in kinds.blocks:
                # A block without brackets folds from its header on; those with brackets are wider by a line.
                yield Fold(node.start_point[0], _block_end(child, kinds, last))
            if first != last:
                waiting.append(child)


def _block_end(block: Node, kinds: _Kinds, last: int) -> int:
    return last if block.child_count and block.children[-1].kind_id not in kinds.openings else -1


def _of_node(node: Node, children: Sequence[Node], text: Text, kinds: _Kinds) -> Fold | None:
    """What stands between brackets, or between tags."""
    if not children:
        return None
    if node.kind_id in kinds.elements:
        return Fold(node.start_point[0], node.end_point[0] - 1)
    opening = kinds.openings.get(children[-1].kind_id)
    if opening is not None:
        for child in children:
            if child.kind_id == opening:
                return Fold(child.start_point[0], _last_hidden(text, children[-1]))
    return None


def _last_hidden(text: Text, closing: Node) -> int:
    """A bracket that begins a line stays to be seen."""
    line = closing.start_point[0]
    before = text.data[text.line_start(line) : closing.start_byte]
    return line if before.strip(b" \t)]}") else line - 1


def _comments(text: Text, comments: Sequence[Node]) -> Iterator[Fold]:
    """Runs of lines that are nothing but comments, and comments of several lines."""
    start = end = column = -1
    for node in sorted(comments, key=lambda node: node.start_byte):
        first, at = node.start_point
        last = node.end_point[0] - (node.end_point[1] == 0)
        alone = not text.data[text.line_start(first) : node.start_byte].strip()
        if alone and first == end + 1 and at == column and not _region(text, node):
            end = max(last, first)
            continue
        if end > start:
            yield Fold(start, end, "comment")
        start, end, column = (first, max(last, first), at) if alone else (-1, -1, -1)
        if not alone and last > first:
            yield Fold(first, last, "comment")
        if _region(text, node):
            start = end = column = -1
    if end > start:
        yield Fold(start, end, "comment")


def _region(text: Text, node: Node) -> re.Match[bytes] | None:
    return _REGION.match(text.data, node.start_byte, node.end_byte)


def _regions(text: Text, comments: Sequence[Node]) -> Iterator[Fold]:
    """`# region` to `# endregion`, nested ones too."""
    opened: list[int] = []
    for node in sorted(comments, key=lambda node: node.start_byte):
        match = _region(text, node)
        if match is None:
            continue
        if match[1] is None:
            opened.append(node.start_point[0])
        elif opened:
            yield Fold(opened.pop(), node.start_point[0], "region")


def _imports(imports: Sequence[tuple[int, int]], text: Text) -> Iterator[Fold]:
    """Import statements with nothing but blank lines and comments between them."""
    run: tuple[int, int] | None = None
    for start, end in sorted(imports):
        if run is not None and _BETWEEN.fullmatch(text.data, run[1], start):
            run = (run[0], end)
            continue
        if run is not None:
            yield Fold(text.line_of(run[0]), text.line_of(run[1]), "imports")
        run = (start, end)
    if run is not None:
        yield Fold(text.line_of(run[0]), text.line_of(run[1]), "imports")


@cache
def _kinds(language: Language) -> _Kinds:
    every = {at: language.node_kind_for_id(at) or "" for at in range(language.node_kind_count)}
    named = {at: name for at, name in every.items() if language.node_kind_is_named(at)}
    bare = {name: at for at, name in every.items() if not language.node_kind_is_named(at)}
    brackets = {bare[last]: bare[first] for first, last in _BRACKETS.items() if first in bare and last in bare}
    return _Kinds(
        frozenset(at for at, name in named.items() if name == "comment" or name.endswith("_comment")),
        frozenset(at for at, name in named.items() if name in ("string", "template_string", "raw_string_literal")),
        frozenset(at for at, name in named.items() if name in ("jsx_element", "jsx_fragment", "element")),
        frozenset(at for at, name in named.items() if name == "block"),
        frozenset(at for at, name in named.items() if name in _IMPORTS),
        brackets,
    )
