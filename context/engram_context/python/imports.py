"""Import statements of every form, as rows of the import table and the names they bind."""

from __future__ import annotations

from tree_sitter import Node

from engram_context.python import grammar as g
from engram_context.python.walk import PythonWalk
from engram_context.records import (
    IMPORT_CONDITIONAL,
    IMPORT_TYPE_CHECKING,
)


def on_import(walk: PythonWalk, node: Node, scope: int) -> None:
    for child in node.named_children:
        alias = child.child_by_field_id(g.ALIAS)
        path = child if alias is None else child.child_by_field_id(g.NAME)
        if path is None or path.kind_id not in g.DOTTED:
            continue
        imported(walk, node, scope, path, 0, None, alias)


def on_import_from(walk: PythonWalk, node: Node, scope: int) -> None:
    source = node.child_by_field_id(g.MODULE_NAME)
    path, level = source, 0
    if source is None and node.kind_id not in g.FUTURE_IMPORTS:
        return
    if source is not None and source.kind_id not in g.DOTTED:
        path = next((child for child in source.named_children if child.kind_id in g.DOTTED), None)
        end = path.start_byte if path is not None else source.end_byte
        level = walk.data[source.start_byte : end].count(b".")
    parts = walk.path_parts(path)
    row = len(walk.builder.imports)
    for start, end in parts:
        walk.builder.add_occurrence(start, end, scope, "import", row)
    for child in node.named_children:
        if child == source:
            continue
        if child.kind_id in g.WILDCARDS or child.kind_id in g.DOTTED:
            imported(walk, node, scope, path, level, child, None, parts)
        else:
            alias, name = child.child_by_field_id(g.ALIAS), child.child_by_field_id(g.NAME)
            if name is not None and name.kind_id in g.DOTTED:
                imported(walk, node, scope, path, level, name, alias, parts)
    if row == len(walk.builder.imports) and (parts or level):
        # `from a import` being typed: the module is known, the name is not yet.
        module = dotted(walk, parts)
        first = parts[0][0] if parts else -1
        walk.builder.imports.append(
            [*node.byte_range, walk.builder.string(module), level, -1, -1, scope, 0, -1, first, -1]
        )


def dotted(walk: PythonWalk, parts: list[tuple[int, int]]) -> str:
    return b".".join(walk.data[start:end] for start, end in parts).decode("utf-8", "replace")


def imported(
    walk: PythonWalk,
    statement: Node,
    scope: int,
    path: Node | None,
    level: int,
    named: Node | None,
    alias: Node | None,
    parts: list[tuple[int, int]] | None = None,
) -> None:
    """One row of the import table, with its occurrences and what it binds."""
    builder = walk.builder
    row = len(builder.imports)
    is_from = parts is not None
    if parts is None:
        parts = walk.path_parts(path)
        if not parts:
            return
    module = dotted(walk, parts)
    if not is_from or path is None:
        module = module if parts else ("__future__" if level == 0 else "")
    name_id = alias_id = -1
    name_start = -1
    bound = -1
    target: tuple[int, int] | None = None
    if alias is not None and alias.kind_id == g.IDENTIFIER and alias.end_byte > alias.start_byte:
        target = alias.byte_range
        alias_id = builder.name(*target)
    if is_from:
        if named is not None and named.kind_id in g.WILDCARDS:
            name_id = builder.names.setdefault(b"*", len(builder.names))
        else:
            spans = walk.path_parts(named)
            if len(spans) != 1:
                return
            name_start, name_end = spans[0]
            name_id = builder.name(name_start, name_end)
            if target is None:
                bound = bind_import(walk, scope, name_start, name_end, statement)
            builder.add_occurrence(name_start, name_end, scope, "import", row)
    else:
        if target is None:
            bound = bind_import(walk, scope, *parts[0], statement)
        for start, end in parts:
            builder.add_occurrence(start, end, scope, "import", row)
    if target is not None:
        bound = builder.add_symbol(*target, scope, "import", "definition", statement.byte_range)
    first = parts[0][0] if parts else -1
    start, end = statement.byte_range
    flags = IMPORT_CONDITIONAL if start < builder.conditional_until.get(scope, 0) else 0
    if start < builder.type_checking_until.get(scope, 0):
        flags |= IMPORT_TYPE_CHECKING
    place = [start, end, builder.string(module), level, name_id, alias_id, scope]
    builder.imports.append([*place, flags, bound, first, name_start])


def bind_import(walk: PythonWalk, scope: int, start: int, end: int, statement: Node) -> int:
    return walk.builder.add_symbol(start, end, scope, "import", "import", statement.byte_range, occurs=False)
