"""Statements that bind, declare, return or branch, and comprehensions."""

from __future__ import annotations

from tree_sitter import Node

from engram_context.python import grammar as g
from engram_context.python.conditions import filtered
from engram_context.python.walk import PythonWalk
from engram_context.records import (
    AUGMENTED,
    GENERATOR,
    WALRUS,
    SyntaxProblem,
    ValueKind,
)
from engram_context.text import Span


def on_assignment(walk: PythonWalk, node: Node, scope: int) -> None:
    # `a = b = value` nests to the right; all its targets are bound here, to the one value.
    parts: list[Node] = [node]
    right = node.child_by_field_id(g.RIGHT)
    while right is not None and right.kind_id in g.ASSIGNMENTS:
        parts.append(right)
        right = right.child_by_field_id(g.RIGHT)
    body = node.byte_range
    outer = walk.builder.scopes[scope][0]
    detail = walk.one_line(*body, limit=120) if outer in (g.MODULE_SCOPE, g.CLASS_SCOPE) else ""
    walk.visit(right, scope)
    declared = node.child_by_field_id(g.TYPE)
    if right is not None and declared is not None and walk.data.endswith(b"TypeAlias", 0, declared.end_byte):
        walk.read_strings(right, scope)
    value = walk.ref(right, scope)
    for part in parts:
        annotation = walk.annotation(declared if part is node else part.child_by_field_id(g.TYPE), scope)
        left = part.child_by_field_id(g.LEFT)
        if left is None:
            continue
        walk.bind(left, scope, body, value=value, annotation=annotation, detail=detail)
        if scope == 0 and right is not None and left.kind_id == g.IDENTIFIER:
            exported(walk, left, right, replace=True)


def on_augmented_assignment(walk: PythonWalk, node: Node, scope: int) -> None:
    left, right = node.child_by_field_id(g.LEFT), node.child_by_field_id(g.RIGHT)
    walk.visit(right, scope)
    if left is None:
        return
    if left.kind_id != g.IDENTIFIER:
        walk.visit(left, scope)
        return
    walk.bind(left, scope, node.byte_range, flags=AUGMENTED)
    if scope == 0 and right is not None:
        exported(walk, left, right, replace=False)


def exported(walk: PythonWalk, target: Node, value: Node, *, replace: bool) -> None:
    """Take in a change of `__all__`: literals by name, `module.__all__` as "module.*"."""
    builder = walk.builder
    if walk.data[target.start_byte : target.end_byte] != b"__all__":
        return
    exports = builder.exports if builder.exports is not None and not replace else []
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if node.kind_id in g.STRINGS:
            match = g.STRING.fullmatch(walk.data, node.start_byte, node.end_byte)
            if match is None or b"\\" in match[3]:
                continue
            exports.append(match[3].decode("utf-8", "replace"))
            if g.NAME_TEXT.fullmatch(match[3]):
                builder.add_occurrence(*match.span(3), 0, "string")
        elif node.kind_id in g.ATTRIBUTES:
            owner, _, name = walk.data[node.start_byte : node.end_byte].rpartition(b".")
            if name == b"__all__":
                exports.append(owner.decode("utf-8", "replace") + ".*")
        elif node.kind_id in g.EXPORT_PARTS:
            waiting.extend(reversed(node.named_children))
    builder.exports = exports


def on_named_expression(walk: PythonWalk, node: Node, scope: int) -> None:
    name, value = node.child_by_field_id(g.NAME), node.child_by_field_id(g.VALUE)
    walk.visit(value, scope)
    if name is not None:
        walk.bind(name, scope, node.byte_range, value=walk.ref(value, scope), flags=WALRUS)


def on_for(walk: PythonWalk, node: Node, scope: int) -> None:
    left, right = node.child_by_field_id(g.LEFT), node.child_by_field_id(g.RIGHT)
    walk.builder.branch(scope, node.end_byte)
    body = node.child_by_field_id(g.BODY)
    if body is not None:
        walk.block(body, loop=True)
    walk.push([child for child in node.named_children if child != left], scope)
    if left is not None:
        element = walk.builder.add_value("element", walk.ref(right, scope))
        end = right.end_byte if right is not None else left.end_byte
        walk.bind(left, scope, (node.start_byte, end), value=element)


def on_comprehension(walk: PythonWalk, node: Node, scope: int) -> None:
    inner = walk.builder.add_scope("comprehension", *node.byte_range, scope)
    outside = scope  # the first iterable is evaluated there, everything else inside
    for child in node.named_children:
        if child.kind_id not in g.FOR_CLAUSES:
            if child.kind_id in g.IF_CLAUSES:
                filtered(walk, node, child, inner)
            walk.visit(child, inner)
            continue
        left, right = child.child_by_field_id(g.LEFT), child.child_by_field_id(g.RIGHT)
        walk.push([part for part in child.named_children if part != left], outside)
        if left is not None:
            element = walk.builder.add_value("element", walk.ref(right, outside))
            walk.bind(left, inner, child.byte_range, value=element)
        outside = inner


def on_as_pattern(walk: PythonWalk, node: Node, scope: int, kind: ValueKind = "entered") -> None:
    value, alias = g.first(node), node.child_by_field_id(g.ALIAS)
    walk.visit(value, scope)
    if alias is not None:
        derived = walk.builder.add_value(kind, walk.ref(value, scope))
        walk.bind(alias, scope, node.byte_range, value=derived)


def on_except(walk: PythonWalk, node: Node, scope: int) -> None:
    children = node.named_children
    if children:
        walk.block(children[-1])
    if children and children[0].kind_id in g.AS_PATTERNS:
        walk.push(children[1:], scope)
        on_as_pattern(walk, children[0], scope, "raised")
    else:
        walk.push(children, scope)


def on_delete(walk: PythonWalk, node: Node, scope: int) -> None:
    for child in reversed(node.named_children):
        walk.bind(child, scope, node.byte_range, role="delete")


def on_declaration(walk: PythonWalk, node: Node, scope: int) -> None:
    is_global = walk.data[node.start_byte : node.start_byte + 6] == b"global"
    for child in node.named_children:
        if child.kind_id == g.IDENTIFIER and child.end_byte > child.start_byte:
            name = walk.builder.add_occurrence(*child.byte_range, scope, "declaration", int(is_global))
            walk.builder.declared[scope, name] = is_global


def on_return(walk: PythonWalk, node: Node, scope: int) -> None:
    value = g.first(node)
    if value is not None:
        walk.visit(value, scope)
        walk.builder.returned.setdefault(scope, []).append(walk.ref(value, scope))


def on_yield(walk: PythonWalk, node: Node, scope: int) -> None:
    builder = walk.builder
    symbol = builder.scopes[scope][4]
    if symbol >= 0:
        builder.symbols[symbol][14] |= GENERATOR
        value = g.first(node)
        if value is not None:
            ref = walk.ref(value, scope)
            delegates = any(child.type == "from" for child in node.children)
            builder.yielded.setdefault(scope, []).append(builder.add_value("element", ref) if delegates else ref)
    walk.push(node.named_children, scope)


def on_branching(walk: PythonWalk, node: Node, scope: int) -> None:
    walk.builder.branch(scope, node.end_byte)
    walk.push(node.named_children, scope)


# --- Python 2 -------------------------------------------------------------------------------------


def on_print(walk: PythonWalk, node: Node, scope: int) -> None:
    """`print x` is an error in Python 3; its names are read all the same."""
    word = b"print" if walk.data.startswith(b"print", node.start_byte) else b"exec"
    start, end = node.start_byte, node.start_byte + len(word)
    walk.builder.add_occurrence(start, end, scope, "read")
    walk.push(node.named_children, scope)
    message = f"Missing parentheses in call to '{word.decode()}'"
    walk.problems.append(SyntaxProblem(Span(start, end), message))
