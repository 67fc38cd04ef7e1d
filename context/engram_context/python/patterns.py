"""The patterns of match statements: captures, and names that are only read."""

from __future__ import annotations

from tree_sitter import Node

from engram_context.python import grammar as g
from engram_context.python.conditions import matched
from engram_context.python.walk import PythonWalk
from engram_context.records import (
    NO_REF,
    Role,
)


def on_case(walk: PythonWalk, node: Node, scope: int) -> None:
    patterns = [child for child in node.named_children if child.kind_id in g.CASE_PATTERNS]
    walk.builder.branch(scope, node.end_byte)
    walk.push([child for child in node.named_children if child.kind_id not in g.CASE_PATTERNS], scope)
    body = node.child_by_field_id(g.CONSEQUENCE)
    if body is not None:
        walk.block(body)
    for pattern in patterns:
        bind_pattern(walk, pattern, scope)
    if len(patterns) == 1:
        matched(walk, node, patterns[0])


def bind_pattern(walk: PythonWalk, pattern: Node, scope: int) -> None:
    """Names in a pattern are captures, except dotted ones, classes, keywords and mapping keys."""
    body = pattern.byte_range
    waiting: list[tuple[Node, int]] = [(pattern, NO_REF)]  # with what a capture there is known to be
    while waiting:
        node, value = waiting.pop()
        kind = node.kind_id
        if kind in g.DOTTED:
            parts = walk.path_parts(node)
            if len(parts) == 1:
                capture(walk, *parts[0], scope, body, value)
            else:
                chain(walk, parts, scope)
        elif kind == g.IDENTIFIER:
            capture(walk, *node.byte_range, scope, body, value)
        elif kind in g.CLASS_PATTERNS:
            class_pattern(walk, node, scope, waiting)
        elif kind in g.AS_PATTERNS:
            children = node.named_children
            waiting.append((children[-1], tested_class(walk, children[0])))
            waiting.extend((child, NO_REF) for child in reversed(children[:-1]))
        elif kind in g.DICT_PATTERNS:
            for child in reversed(node.children):
                if child.kind_id in g.CASE_PATTERNS or child.kind_id in g.SPLAT_PATTERNS:
                    waiting.append((child, NO_REF))
                elif child.kind_id in g.DOTTED:
                    chain(walk, walk.path_parts(child), scope)
        else:
            inner = value if kind in g.CASE_PATTERNS else NO_REF
            waiting.extend((child, inner) for child in reversed(node.named_children))


def capture(walk: PythonWalk, start: int, end: int, scope: int, body: tuple[int, int], value: int) -> None:
    if end > start and walk.data[start:end] != b"_":
        kind = walk.variable_kind(start, end, scope)
        walk.builder.add_symbol(start, end, scope, kind, "write", body, value=value)


def chain(walk: PythonWalk, parts: list[tuple[int, int]], scope: int) -> None:
    """a.b.c as occurrences."""
    before = NO_REF
    for start, end in parts:
        role: Role = "read" if before == NO_REF else "attribute"
        walk.builder.add_occurrence(start, end, scope, role, before)
        before = end


def tested_class(walk: PythonWalk, node: Node) -> int:
    """For `case C() as name`: what the name is."""
    while node.kind_id in g.CASE_PATTERNS and node.named_child_count == 1:
        node = g.first(node) or node
    named = g.first(node) if node.kind_id in g.CLASS_PATTERNS else None
    return NO_REF if named is None else walk.builder.add_value("instance", named.end_byte)


def class_pattern(walk: PythonWalk, node: Node, scope: int, waiting: list[tuple[Node, int]]) -> None:
    children = node.named_children
    if not children:
        return
    chain(walk, walk.path_parts(children[0]), scope)
    later: list[tuple[Node, int]] = []
    for child in children[1:]:
        inner = g.first(child) if child.named_child_count == 1 else None
        if inner is None or inner.kind_id not in g.KEYWORD_PATTERNS:
            later.append((child, NO_REF))
            continue
        parts = inner.named_children
        if parts and parts[0].kind_id == g.IDENTIFIER:
            owner = walk.builder.add_value("instance", children[0].end_byte)
            walk.builder.add_occurrence(*parts[0].byte_range, scope, "attribute", owner)
            later.extend((part, parts[0].end_byte) for part in parts[1:])
    waiting.extend(reversed(later))
