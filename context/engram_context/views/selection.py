"""What a selection grows to, step by step: the word, what is around it in the syntax tree, the file."""

from __future__ import annotations

import re

from tree_sitter import Node, Tree

from engram_context.text import Span, Text

_WORD = re.compile(rb"[\w\x80-\xff]+")
_OPENING = frozenset({"(", "[", "{", "string_start", '"', "'", "`"})
_DEEPEST = 200
"""Nodes around a place that a selection can grow to, besides the file."""
_CLOSING = frozenset({")", "]", "}", "string_end", '"', "'", "`"})


def selections(tree: Tree, text: Text, offset: int) -> tuple[Span, ...]:
    """The spans around an offset, smallest first: each contains the one before and is larger. The last is the file."""
    offset = min(max(offset, 0), len(text))
    spans = [Span(0, len(text))]
    for node in _around(tree, text, offset):
        span = Span(node.start_byte, node.end_byte)
        if not span.touches(offset):
            continue  # white space before a file's first node is nobody's
        spans.append(span)
        if (inside := _inside(node)) is not None and inside.touches(offset):
            spans.append(inside)
    word = _word_at(text, offset)
    if word is not None:
        spans.append(word)
    found: list[Span] = []
    for span in sorted(set(spans), key=len, reverse=True):
        # A comment's word may lie across a node: what does not nest is left out.
        if not found or (found[-1].contains(span) and span != found[-1]):
            found.append(span)
    return tuple(reversed([span for span in found if len(span) or span == found[-1]]))


def _around(tree: Tree, text: Text, offset: int) -> list[Node]:
    """The nodes around an offset, from the root on. Between two the one that is a word is chosen."""
    at, end = offset, offset
    before, behind = text.data[offset - 1 : offset], text.data[offset : offset + 1]
    if _WORD.match(behind):
        end = offset + 1
    elif _WORD.match(before):
        at = offset - 1
    # Downwards: a node finds its parent by looking for itself from the root on, which takes long in a deep tree.
    cursor = tree.walk()
    nodes = [tree.root_node]
    while cursor.goto_first_child_for_byte(at) is not None:
        node = cursor.node
        if node is None or node.start_byte > at or node.end_byte < end:
            break
        nodes.append(node)
    return nodes[:1] + nodes[1:][-_DEEPEST:]


def _inside(node: Node) -> Span | None:
    """What stands between a node's brackets or quotation marks."""
    children = node.children
    if len(children) < 2 or children[0].type not in _OPENING or children[-1].type not in _CLOSING:
        return None
    start, end = children[0].end_byte, children[-1].start_byte
    return Span(start, end) if start <= end else None


def _word_at(text: Text, offset: int) -> Span | None:
    start = end = offset
    line = text.line_span(text.line_of(offset))
    for match in _WORD.finditer(text.data, line.start, line.end):
        if match.start() <= offset <= match.end():
            start, end = match.span()
            break
    return Span(start, end) if end > start else None
