"""Branches, and what their tests say about the names in them: `isinstance`, `is None`, truth, class patterns."""

from __future__ import annotations

from tree_sitter import Node

from engram_context.python import grammar as g
from engram_context.python.walk import PythonWalk
from engram_context.records import NARROWING_KIND, NO_REF

_INSTANCE, _NO_INSTANCE = NARROWING_KIND["instance"], NARROWING_KIND["no-instance"]
_NONE, _NOT_NONE = NARROWING_KIND["none"], NARROWING_KIND["not-none"]
_OPPOSITE = {_INSTANCE: _NO_INSTANCE, _NO_INSTANCE: _INSTANCE, _NONE: _NOT_NONE, _NOT_NONE: _NONE}
_DEPTH = 6
"""How deeply `and`, `or` and `not` are looked into."""
_STATEMENTS = 3
"""So many statements of a branch are looked at for one that gives the tested name what it lacks."""

Fact = tuple[int, int, int, int]
"""(name, subject, kind, ref): the columns of a narrowing behind its span."""


def on_if(walk: PythonWalk, node: Node, scope: int) -> None:
    builder = walk.builder
    builder.branch(scope, node.end_byte)
    condition, consequence = node.child_by_field_id(g.CONDITION), node.child_by_field_id(g.CONSEQUENCE)
    if condition is not None and consequence is not None:
        start, end = condition.byte_range
        if walk.data.endswith(b"TYPE_CHECKING", start, end):
            builder.type_checking_until[scope] = consequence.end_byte
        if condition.kind_id in g.NARROWING_TESTS:
            _narrow_branches(walk, node, condition, consequence, scope)
        walk.block(consequence)
    walk.push(node.named_children, scope)


def _narrow_branches(walk: PythonWalk, node: Node, condition: Node, consequence: Node, scope: int) -> None:
    start, end = consequence.byte_range
    note(walk, facts(walk, condition, scope, True), start, end)
    failed = facts(walk, condition, scope, False)
    if not failed:
        return
    # What follows the branch is reached where the test fails: the other branches, and everything behind an `if`
    # whose own branch leaves.
    if node.kind_id not in g.IFS:
        chain = node.parent
        note(walk, failed, end, node.end_byte if chain is None else chain.end_byte)
    elif is_left(consequence):
        note(walk, failed, end, walk.block_end(node.start_byte, scope))
    else:
        note(walk, failed, end, node.end_byte)
        if node.named_child_count == 2:
            mended = _mended(walk, failed, consequence)
            if mended:
                note(walk, mended, node.end_byte, walk.block_end(node.start_byte, scope))


def _mended(walk: PythonWalk, failed: list[Fact], consequence: Node) -> list[Fact]:
    """`if not isinstance(x, C): x = ...` gives x what it lacked: behind it the test is passed."""
    wanted = [fact for fact in failed if fact[2] in (_INSTANCE, _NOT_NONE)]
    if not wanted:
        return []
    assigned: set[int | None] = set()
    for at in range(min(consequence.named_child_count, _STATEMENTS)):
        statement = consequence.named_child(at)
        inner = g.first(statement) if statement.kind_id in g.STATEMENTS else None
        left = inner.child_by_field_id(g.LEFT) if inner is not None and inner.kind_id in g.ASSIGNMENTS else None
        if left is not None:
            assigned.add(
                walk.builder.strings.get(walk.data[left.start_byte : left.end_byte].decode("utf-8", "replace"))
            )
    return [fact for fact in wanted if fact[1] in assigned]


def on_while(walk: PythonWalk, node: Node, scope: int) -> None:
    builder = walk.builder
    builder.branch(scope, node.end_byte)
    condition, body = node.child_by_field_id(g.CONDITION), node.child_by_field_id(g.BODY)
    if condition is not None and body is not None:
        walk.block(body, loop=True)
        note(walk, facts(walk, condition, scope, True), *body.byte_range)
    walk.push(node.named_children, scope)


def on_branch(walk: PythonWalk, node: Node, scope: int) -> None:
    """An else or finally."""
    body = node.child_by_field_id(g.BODY)
    if body is not None:
        walk.block(body)
    walk.push(node.named_children, scope)


def on_try(walk: PythonWalk, node: Node, scope: int) -> None:
    walk.builder.branch(scope, node.end_byte)
    body = node.child_by_field_id(g.BODY)
    if body is not None:
        walk.block(body)
    walk.push(node.named_children, scope)


def on_assert(walk: PythonWalk, node: Node, scope: int) -> None:
    condition = g.first(node)
    found = [] if condition is None else facts(walk, condition, scope, True)
    if found:
        note(walk, found, node.end_byte, walk.block_end(node.start_byte, scope))
    walk.push(node.named_children, scope)


def on_boolean(walk: PythonWalk, node: Node, scope: int) -> None:
    left, right = node.child_by_field_id(g.LEFT), node.child_by_field_id(g.RIGHT)
    if left is not None and right is not None and left.kind_id in g.NARROWING_TESTS:
        note(walk, facts(walk, left, scope, _is_and(node)), *right.byte_range)
    walk.push(node.named_children, scope)


def on_conditional(walk: PythonWalk, node: Node, scope: int) -> None:
    parts = [child for child in node.named_children if child.kind_id not in g.COMMENTS]
    if len(parts) == 3 and parts[1].kind_id in g.NARROWING_TESTS:
        note(walk, facts(walk, parts[1], scope, True), *parts[0].byte_range)
        note(walk, facts(walk, parts[1], scope, False), *parts[2].byte_range)
    walk.push(parts, scope)


def filtered(walk: PythonWalk, comprehension: Node, clause: Node, inner: int) -> None:
    """The `if` of a comprehension holds for all of it."""
    condition = g.first(clause)
    if condition is not None:
        note(walk, facts(walk, condition, inner, True), *comprehension.byte_range)


def matched(walk: PythonWalk, case: Node, pattern: Node) -> None:
    """`case C(...)` says what the subject of the match is."""
    match = case.parent.parent if case.parent is not None else None
    subject = None if match is None else match.child_by_field_id(g.SUBJECT)
    while pattern.kind_id in g.CASE_PATTERNS or pattern.kind_id in g.AS_PATTERNS:
        inner = g.first(pattern)
        if inner is None:
            return
        pattern = inner
    named = g.first(pattern) if pattern.kind_id in g.CLASS_PATTERNS else None
    if subject is not None and named is not None:
        note(walk, fact_of(walk, subject, _INSTANCE, named.end_byte), *case.byte_range)


# --- tests --------------------------------------------------------------------------------------------


def note(walk: PythonWalk, found: list[Fact], start: int, end: int) -> None:
    """Write down what holds inside a span."""
    if end > start:
        walk.builder.narrowings.extend([(start, end, *fact) for fact in found])


def facts(walk: PythonWalk, node: Node, scope: int, holds: bool, depth: int = _DEPTH) -> list[Fact]:
    """What is known where a test holds, or does not."""
    kind = node.kind_id
    if kind == g.IDENTIFIER or kind in g.ATTRIBUTES:
        return fact_of(walk, node, _NOT_NONE) if holds else []
    if depth <= 0:
        return []
    if kind in g.NOTS or kind in g.PARENTHESISED:
        inner = g.first(node)
        return [] if inner is None else facts(walk, inner, scope, holds != (kind in g.NOTS), depth - 1)
    if kind in g.BOOLEANS:
        # All parts of an `and` hold where it does; no part of an `or` where it does not.
        if _is_and(node) != holds:
            return []
        parts = [child for child in node.named_children if child.kind_id not in g.COMMENTS]
        return [fact for child in parts for fact in facts(walk, child, scope, holds, depth - 1)]
    if kind in g.CALLS:
        return _isinstance(walk, node, scope, _INSTANCE if holds else _NO_INSTANCE)
    if kind in g.COMPARISONS:
        found = _comparison(walk, node, scope)
        return found if holds else [(name, subject, _OPPOSITE[is_], ref) for name, subject, is_, ref in found]
    if kind in g.NAMED_EXPRESSIONS and holds:
        name = node.child_by_field_id(g.NAME)
        return [] if name is None else fact_of(walk, name, _NOT_NONE)
    return []


def fact_of(walk: PythonWalk, subject: Node, kind: int, ref: int = NO_REF) -> list[Fact]:
    """One fact, or none where the subject is neither a name nor names with dots between."""
    builder, data = walk.builder, walk.data
    if subject.kind_id == g.IDENTIFIER:
        start, end = subject.byte_range
        if end == start:
            return []
        whole = data[start:end]
    else:
        parts: list[bytes] = []
        at = subject
        start, end = subject.byte_range
        while at.kind_id in g.ATTRIBUTES and len(parts) < _DEPTH:
            children = at.named_children
            if len(children) != 2:
                return []
            if not parts:
                start, end = children[1].byte_range
            parts.append(data[children[1].start_byte : children[1].end_byte])
            at = children[0]
        if at.kind_id != g.IDENTIFIER or end == start:
            return []
        parts.append(data[at.start_byte : at.end_byte])
        whole = b".".join(reversed(parts))
    return [(builder.name(start, end), builder.string(whole.decode("utf-8", "replace")), kind, ref)]


def _isinstance(walk: PythonWalk, call: Node, scope: int, kind: int) -> list[Fact]:
    if not walk.data.startswith(b"isinstance", call.start_byte):
        return []
    given = call.named_children
    if len(given) != 2 or given[0].kind_id != g.IDENTIFIER or given[1].kind_id not in g.ARGUMENT_LISTS:
        return []
    arguments = [child for child in given[1].named_children if child.kind_id not in g.COMMENTS]
    if len(arguments) != 2:
        return []
    return fact_of(walk, arguments[0], kind, walk.ref(arguments[1], scope))


def _is_and(node: Node) -> bool:
    operator = node.child_by_field_id(g.OPERATOR)
    return operator is not None and operator.end_byte - operator.start_byte == len("and")


def _comparison(walk: PythonWalk, node: Node, scope: int) -> list[Fact]:
    """`x is None` and the like; `type(x) is C`."""
    if node.named_child_count != 2:
        return []
    left, right = node.named_children
    is_none = right.kind_id in g.NONES
    if not is_none and left.kind_id not in g.CALLS:
        return []
    operator = b" ".join(walk.data[left.end_byte : right.start_byte].strip(b" ()\\\n\r\t").split())
    positive = operator in (b"is", b"==")
    if not positive and operator not in (b"is not", b"!="):
        return []
    if is_none:
        subject: Node | None = left
        while subject is not None and subject.kind_id in g.WRAPPERS:
            is_named = subject.kind_id in g.NAMED_EXPRESSIONS
            subject = subject.child_by_field_id(g.NAME) if is_named else g.first(subject)
        return [] if subject is None else fact_of(walk, subject, _NONE if positive else _NOT_NONE)
    parts = left.named_children
    if len(parts) == 2 and positive and walk.data[parts[0].start_byte : parts[0].end_byte] == b"type":
        tested = g.first(parts[1])
        return [] if tested is None else fact_of(walk, tested, _INSTANCE, walk.ref(right, scope))
    return []


def is_left(block: Node) -> bool:
    """Whether a block ends by leaving: return, raise, continue or break."""
    at = block.named_child_count - 1
    last = block.named_child(at) if at >= 0 else None
    while last is not None and last.kind_id in g.COMMENTS:
        last = last.prev_named_sibling
    return last is not None and last.kind_id in g.LEAVING
