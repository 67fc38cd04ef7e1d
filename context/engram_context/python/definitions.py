"""Defs, classes, lambdas, their parameters and type parameters, and type aliases."""

from __future__ import annotations

from tree_sitter import Node

from engram_context.python import grammar as g
from engram_context.python.walk import PythonWalk
from engram_context.records import (
    ASYNC,
    DECORATED,
    DEFAULT,
    KEYWORD_ONLY,
    KEYWORDS,
    NO_REF,
    POSITIONAL_ONLY,
    STATIC_METHOD,
    VARIADIC,
)


def on_decorated(walk: PythonWalk, node: Node, scope: int) -> None:
    definition = node.child_by_field_id(g.DEFINITION)
    if definition is None:
        walk.push(node.named_children, scope)
        return
    decorators = [child for child in node.named_children if child != definition]
    walk.decorated[definition.start_byte] = (node, decorators)
    walk.visit(definition, scope)
    walk.push(decorators, scope)


def decorators_of(walk: PythonWalk, node: Node, scope: int) -> tuple[tuple[int, int], tuple[int, ...], int]:
    """(body span with the decorators, their refs, flags) of a def or class."""
    found = walk.decorated.pop(node.start_byte, None)
    if found is None:
        return node.byte_range, (), 0
    outer, decorators = found
    refs: list[int] = []
    flags = DECORATED
    for decorator in decorators:
        expression = g.first(decorator)
        if expression is None:
            continue
        refs.append(walk.ref(expression, scope))
        name = walk.data[expression.start_byte : expression.end_byte].rpartition(b".")[2]
        flags |= g.DECORATOR_FLAGS.get(name, 0)
    return outer.byte_range, tuple(refs), flags


def type_scope(walk: PythonWalk, node: Node, scope: int) -> int:
    """The scope of a definition's type parameters, or `scope` where it has none."""
    parameters = node.child_by_field_id(g.TYPE_PARAMETERS)
    if parameters is None:
        return scope
    inner = walk.builder.add_scope("type-parameters", parameters.start_byte, node.end_byte, scope)
    type_parameters(walk, parameters, inner)
    return inner


def type_parameters(walk: PythonWalk, parameters: Node, inner: int) -> None:
    for parameter in parameters.named_children:
        # [T], [*T], [**T] and [T: bound]: the first name inside is what is bound.
        node: Node | None = parameter
        bound: list[Node] = []
        while node is not None and node.kind_id != g.IDENTIFIER:
            children = node.named_children
            bound.extend(children[1:])
            node = children[0] if children else None
        if node is not None and node.end_byte > node.start_byte:
            refs = [walk.ref(child, inner) for child in bound]
            walk.builder.add_symbol(
                *node.byte_range,
                inner,
                "type-parameter",
                "definition",
                parameter.byte_range,
                annotation=refs[0] if refs else NO_REF,
            )
        walk.push(bound, inner)


def on_function(walk: PythonWalk, node: Node, scope: int) -> None:
    builder = walk.builder
    name, body = node.child_by_field_id(g.NAME), node.child_by_field_id(g.BODY)
    parameters = node.child_by_field_id(g.PARAMETERS)
    returns = node.child_by_field_id(g.RETURN_TYPE)
    span, decorators, flags = decorators_of(walk, node, scope)
    if walk.data[node.start_byte : node.start_byte + 5] == b"async":
        flags |= ASYNC
    in_class = builder.scopes[scope][0] == g.CLASS_SCOPE
    symbol = -1
    if name is not None and name.end_byte > name.start_byte:
        last = returns or parameters or name
        symbol = builder.add_symbol(
            *name.byte_range,
            scope,
            "method" if in_class else "function",
            "definition",
            span,
            flags=flags,
            detail=signature(walk, node.start_byte, last.end_byte, parameters),
            doc=walk.doc_of(body),
            decorators=decorators,
        )
    types = type_scope(walk, node, scope)
    start = parameters.start_byte if parameters is not None else node.start_byte
    owner = -1 if symbol < 0 else builder.symbols[symbol][2]
    inner = builder.add_scope("function", start, node.end_byte, types, symbol, owner)
    walk.visit(body, inner)
    returned = walk.annotation(returns, types)
    if symbol >= 0:
        builder.symbols[symbol][10] = returned
        builder.symbols[symbol][11] = inner
    if parameters is not None:
        first = bind_parameters(walk, parameters, inner, types, scope)
        if in_class and first is not None and not flags & STATIC_METHOD:
            walk.receivers[inner] = (first, scope)


def signature(walk: PythonWalk, start: int, end: int, parameters: Node | None) -> str:
    source = walk.data[start:end]
    if b"#" in source and parameters is not None:
        # A comment between parameters: put the line together from the parts instead.
        parts = [child for child in parameters.named_children if child.kind_id not in g.COMMENTS]
        inside = b", ".join(walk.data[part.start_byte : part.end_byte] for part in parts)
        before = walk.data[start : parameters.start_byte]
        source = before + b"(" + inside + b")" + walk.data[parameters.end_byte : end]
    line = g.SPACES.sub(" ", source.decode("utf-8", "replace"))
    return line.replace("( ", "(").replace(", )", ")").replace(" )", ")")[:1000]


def bind_parameters(walk: PythonWalk, node: Node, inner: int, types: int, outside: int) -> int | None:
    """Bind the parameters; the first positional one's name. Defaults are evaluated `outside`."""
    builder = walk.builder
    first: int | None = None
    mode = 0
    seen: list[int] = []
    for child in node.children:
        kind = child.kind_id
        if kind in g.KEYWORD_SEPARATORS:
            mode = KEYWORD_ONLY
            continue
        if kind in g.POSITIONAL_SEPARATORS:
            for row in seen:
                builder.symbols[row][14] |= POSITIONAL_ONLY
            continue
        if not child.is_named or kind in g.COMMENTS:
            continue
        target, default, annotated = child, None, None
        if kind in g.PARAMETER_DEFAULTS:
            target, default = child.child_by_field_id(g.NAME), child.child_by_field_id(g.VALUE)
            annotated = child.child_by_field_id(g.TYPE)
        elif kind in g.TYPED_PARAMETERS:
            target = g.first(child)
            annotated = child.child_by_field_id(g.TYPE)
        flags = mode | (DEFAULT if default is not None else 0)
        if target is not None and target.kind_id in g.SPLATS:
            flags |= KEYWORDS if target.kind_id in g.DICT_SPLATS else VARIADIC
            mode = KEYWORD_ONLY
            target = g.first(target)
        walk.visit(default, outside)
        annotation = walk.annotation(annotated, types)
        if target is None or target.kind_id != g.IDENTIFIER or target.end_byte == target.start_byte:
            if target is not None:
                walk.bind(target, inner, child.byte_range)
            continue
        row = builder.add_symbol(
            *target.byte_range,
            inner,
            "parameter",
            "definition",
            child.byte_range,
            value=walk.ref(default, outside),
            annotation=annotation,
            flags=flags,
        )
        seen.append(row)
        if first is None and not flags & (VARIADIC | KEYWORDS | KEYWORD_ONLY):
            first = builder.symbols[row][2]
    return first


def on_lambda(walk: PythonWalk, node: Node, scope: int) -> None:
    builder = walk.builder
    inner = builder.add_scope("lambda", node.start_byte, node.end_byte, scope)
    builder.values[3 * (-2 - walk.lambda_value(node)) + 1] = inner
    body, parameters = node.child_by_field_id(g.BODY), node.child_by_field_id(g.PARAMETERS)
    if body is not None:
        walk.visit(body, inner)
        builder.returned[inner] = [walk.ref(body, inner)]
    if parameters is not None:
        bind_parameters(walk, parameters, inner, scope, scope)


def on_class(walk: PythonWalk, node: Node, scope: int) -> None:
    builder = walk.builder
    name, body = node.child_by_field_id(g.NAME), node.child_by_field_id(g.BODY)
    bases = node.child_by_field_id(g.SUPERCLASSES)
    span, decorators, flags = decorators_of(walk, node, scope)
    symbol = -1
    if name is not None and name.end_byte > name.start_byte:
        last = bases or name
        symbol = builder.add_symbol(
            *name.byte_range,
            scope,
            "class",
            "definition",
            span,
            flags=flags,
            detail=signature(walk, node.start_byte, last.end_byte, bases),
            doc=walk.doc_of(body),
            decorators=decorators,
        )
    types = type_scope(walk, node, scope)
    owner = -1 if symbol < 0 else builder.symbols[symbol][2]
    start = body.start_byte if body is not None else node.end_byte
    inner = builder.add_scope("class", start, node.end_byte, types, symbol, owner)
    if symbol >= 0:
        builder.symbols[symbol][11] = inner
    walk.visit(body, inner)
    if bases is not None:
        children = [child for child in bases.named_children if child.kind_id not in g.COMMENTS]
        positional = [child for child in children if child.kind_id not in g.KEYWORD_ARGUMENTS]
        named = [child for child in children if child.kind_id in g.KEYWORD_ARGUMENTS]
        builder.returned[inner] = [walk.ref(child, types) for child in positional]
        if named and symbol >= 0:
            builder.symbols[symbol][9] = metaclass(walk, named, types)
        walk.push(children, types)


def metaclass(walk: PythonWalk, keywords: list[Node], scope: int) -> int:
    for keyword in keywords:
        name, value = keyword.child_by_field_id(g.NAME), keyword.child_by_field_id(g.VALUE)
        if name is not None and walk.data[name.start_byte : name.end_byte] == b"metaclass":
            return walk.ref(value, scope)
    return NO_REF


def on_type_alias(walk: PythonWalk, node: Node, scope: int) -> None:
    left, right = node.child_by_field_id(g.LEFT), node.child_by_field_id(g.RIGHT)
    name, parameters = left, None
    while name is not None and name.kind_id != g.IDENTIFIER:
        children = name.named_children
        parameters = children[1] if len(children) > 1 else parameters
        name = children[0] if children else None
    if name is None:
        walk.push(node.named_children, scope)
        return
    symbol = walk.builder.add_symbol(
        *name.byte_range, scope, "type-alias", "definition", node.byte_range,
        detail=walk.one_line(*node.byte_range, limit=120),
    )  # fmt: skip
    inner = scope
    if parameters is not None:
        inner = walk.builder.add_scope("type-parameters", parameters.start_byte, node.end_byte, scope, symbol)
        type_parameters(walk, parameters, inner)
    if right is not None:
        walk.builder.symbols[symbol][9] = walk.annotation(right, inner)
