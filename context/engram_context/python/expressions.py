"""Attributes, calls, subscripts and strings: what receivers, callees and arguments are."""

from __future__ import annotations

from tree_sitter import Node

from engram_context.python import grammar as g
from engram_context.python.statements import exported
from engram_context.python.walk import PythonWalk
from engram_context.records import (
    NO_REF,
)


def on_attribute(walk: PythonWalk, node: Node, scope: int) -> None:
    children = node.named_children
    attribute = children.pop()
    if children and attribute.kind_id == g.IDENTIFIER:
        start, end = attribute.byte_range
        owner = children[0]
        receiver = owner.end_byte if owner.kind_id in g.PRIMARY else walk.ref(owner, scope)
        if end > start:
            walk.builder.add_occurrence(start, end, scope, "attribute", receiver)
    else:
        children.append(attribute)
    walk.push(children, scope)


def on_call(walk: PythonWalk, node: Node, scope: int) -> None:
    builder = walk.builder
    children = node.named_children
    function, given = children[0], children[-1]
    if len(children) < 2 or given.kind_id not in g.ARGUMENT_LISTS:
        walk.push(children, scope)
        return
    start, end = node.byte_range
    row = len(builder.calls)
    inside = given.byte_range
    call = [start, end, inside[0] + 1, max(inside[1] - 1, inside[0] + 1), scope, 0, 0, 0]
    builder.calls.append(call)
    callee = call[5] = function.end_byte if function.kind_id in g.PRIMARY else walk.ref(function, scope)
    builder.add_value("call", callee, row, end=end)
    if given.kind_id in g.GENERATORS:
        call[6:8] = argued(walk, [(-1, 0, builder.add_value("generator"))])
        walk.visit(given, scope)
        walk.visit(function, scope)
        return
    arguments: list[tuple[int, int, int]] = []
    later: list[Node] = []
    # Types in strings: cast's first argument; all but the name that a type variable or new type is given.
    called = walk.data[function.start_byte : function.end_byte].rpartition(b".")[2]
    if called in g.TYPE_MAKERS:
        for at, child in enumerate(child for child in given.named_children if child.kind_id not in g.COMMENTS):
            value = child.child_by_field_id(g.VALUE) if child.kind_id in g.KEYWORD_ARGUMENTS else child
            if value is not None and value.kind_id in g.STRINGS and (at == 0) == (called == b"cast"):
                walk.read_strings(value, scope)
    for child in given.named_children:
        kind = child.kind_id
        if kind in g.COMMENTS:
            continue
        if kind in g.KEYWORD_ARGUMENTS:
            name, value = child.child_by_field_id(g.NAME), child.child_by_field_id(g.VALUE)
            keyword = -1
            if name is not None and name.end_byte > name.start_byte:
                keyword = builder.add_occurrence(*name.byte_range, scope, "keyword", row)
            arguments.append((keyword, 0, walk.ref(value, scope)))
            if value is not None:
                later.append(value)
            continue
        stars = g.STARS.get(kind, 0)
        value = g.first(child) if stars else child
        arguments.append((-1, stars, child.end_byte if kind in g.PRIMARY else walk.ref(value, scope)))
        later.append(child)
    call[6:8] = argued(walk, arguments)
    walk.push([function, *later], scope)
    if scope == 0:
        export_call(walk, function, given)


def argued(walk: PythonWalk, arguments: list[tuple[int, int, int]]) -> tuple[int, int]:
    low = len(walk.builder.arguments)
    walk.builder.arguments.extend(arguments)
    return low, len(walk.builder.arguments)


def export_call(walk: PythonWalk, function: Node, given: Node) -> None:
    """`__all__.extend([...])` and `__all__.append("x")`."""
    source = walk.data[function.start_byte : function.end_byte]
    if source in (b"__all__.extend", b"__all__.append") and given.named_child_count == 1:
        owner, value = g.first(function), g.first(given)
        if owner is not None and value is not None:
            exported(walk, owner, value, replace=False)


def on_keyword_argument(walk: PythonWalk, node: Node, scope: int) -> None:
    """Outside of calls: `class A(metaclass=M)`."""
    name, value = node.child_by_field_id(g.NAME), node.child_by_field_id(g.VALUE)
    if name is not None and name.end_byte > name.start_byte:
        walk.builder.add_occurrence(*name.byte_range, scope, "keyword")
    walk.visit(value, scope)


def on_subscript(walk: PythonWalk, node: Node, scope: int) -> None:
    children = [child for child in node.named_children if child.kind_id not in g.COMMENTS]
    index = NO_REF
    inside = children[1:]
    base = walk.data[children[0].start_byte : children[0].end_byte] if children else b""
    if base.rpartition(b".")[2] in g.TYPE_FORMS:
        walk.read_strings(node, scope)
    if len(inside) == 1 and inside[0].kind_id in g.TYPE_ARGUMENTS:
        inside = inside[0].named_children
    if len(inside) == 1:
        index = walk.ref(inside[0], scope)
    elif 1 < len(inside) <= (g.LITERAL_ELEMENTS if is_literal(walk, children[0]) else g.ELEMENTS):
        index = walk.builder.add_value("tuple", *walk.builder.pooled([walk.ref(child, scope) for child in inside]))
    if children:
        walk.builder.add_value("subscript", walk.ref(children[0], scope), index, end=node.end_byte)
    walk.push(children, scope)


def is_literal(walk: PythonWalk, base: Node) -> bool:
    return walk.data.endswith(b"Literal", base.start_byte, base.end_byte)


def on_string(walk: PythonWalk, node: Node, scope: int) -> None:
    prefix = walk.data[node.start_byte : node.start_byte + 3].split(b'"')[0].split(b"'")[0]
    if prefix and prefix.lower().strip(b"rbu"):
        walk.push(node.named_children, scope)
