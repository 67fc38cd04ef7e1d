"""Branches, and what their tests say about the names in them: `isinstance`, `is None`, truth, class patterns."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from engram_context.python import grammar as g
from engram_context.python.walk import PythonWalk
from engram_context.records import NARROWING_KIND, NO_REF, NarrowingKind

_OPPOSITE: dict[NarrowingKind, NarrowingKind] = {
    "instance": "no-instance", "no-instance": "instance", "none": "not-none", "not-none": "none",
}  # fmt: skip
_DEPTH = 6
"""How deeply `and`, `or` and `not` are looked into."""

Fact = tuple[Node, NarrowingKind, Node | None]
"""The subject, what holds of it, and the class where it is about one."""


def on_if(walk: PythonWalk, node: Node, scope: int) -> None:
    builder = walk.builder
    builder.branch(scope, node.end_byte)
    condition, consequence = node.child_by_field_id(g.CONDITION), node.child_by_field_id(g.CONSEQUENCE)
    if condition is not None and consequence is not None:
        start, end = condition.byte_range
        if walk.data.endswith(b"TYPE_CHECKING", start, end):
            builder.type_checking_until[scope] = consequence.end_byte
        around = walk.block_end(node.start_byte, scope)
        walk.block(consequence)
        if narrows(condition):
            narrow(walk, condition, scope, consequence.byte_range)
            # What follows the branch is reached where the test fails: the other branches, and everything behind
            # an `if` whose own branch leaves.
            is_first = node.kind_id in g.IFS
            leaves = is_first and is_left(consequence)
            rest = (consequence.end_byte, around if leaves else _chain_end(node))
            narrow(walk, condition, scope, rest, holds=False)
            if is_first and not leaves and len(node.named_children) == 2:
                _mended(walk, condition, consequence, scope, (node.end_byte, around))
    walk.push(node.named_children, scope)


def _mended(walk: PythonWalk, condition: Node, consequence: Node, scope: int, span: tuple[int, int]) -> None:
    """`if not isinstance(x, C): x = ...` gives x what it lacked: behind it the test is passed."""
    if condition.kind_id == g.IDENTIFIER or condition.kind_id in g.ATTRIBUTES:
        return
    assigned = {
        walk.data[left.start_byte : left.end_byte]
        for statement in consequence.named_children
        if statement.kind_id in g.STATEMENTS and (inner := g.first(statement)) is not None
        if inner.kind_id in g.ASSIGNMENTS and (left := inner.child_by_field_id(g.LEFT)) is not None
    }
    if assigned and span[1] > span[0]:
        for fact in facts(walk, condition, False, _DEPTH):
            if fact[1] in ("instance", "not-none") and walk.data[fact[0].start_byte : fact[0].end_byte] in assigned:
                add(walk, fact, scope, span)


def _chain_end(node: Node) -> int:
    """Where the branches that belong to an `if` or `elif` end."""
    if node.kind_id in g.IFS:
        return node.end_byte
    parent = node.parent
    return node.end_byte if parent is None else parent.end_byte


def on_while(walk: PythonWalk, node: Node, scope: int) -> None:
    builder = walk.builder
    builder.branch(scope, node.end_byte)
    condition, body = node.child_by_field_id(g.CONDITION), node.child_by_field_id(g.BODY)
    if condition is not None and body is not None:
        walk.block(body, loop=True)
        if narrows(condition):
            narrow(walk, condition, scope, body.byte_range)
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
    if condition is not None and narrows(condition):
        narrow(walk, condition, scope, (node.end_byte, walk.block_end(node.start_byte, scope)))
    walk.push(node.named_children, scope)


def on_boolean(walk: PythonWalk, node: Node, scope: int) -> None:
    left, right = node.child_by_field_id(g.LEFT), node.child_by_field_id(g.RIGHT)
    if left is not None and right is not None and narrows(left):
        narrow(walk, left, scope, right.byte_range, holds=_is_and(walk, node))
    walk.push(node.named_children, scope)


def on_conditional(walk: PythonWalk, node: Node, scope: int) -> None:
    parts = [child for child in node.named_children if child.kind_id not in g.COMMENTS]
    if len(parts) == 3 and narrows(parts[1]):
        narrow(walk, parts[1], scope, parts[0].byte_range)
        narrow(walk, parts[1], scope, parts[2].byte_range, holds=False)
    walk.push(parts, scope)


def filtered(walk: PythonWalk, comprehension: Node, clause: Node, inner: int) -> None:
    """The `if` of a comprehension holds for all of it."""
    condition = g.first(clause)
    if condition is not None and narrows(condition):
        narrow(walk, condition, inner, comprehension.byte_range)


def matched(walk: PythonWalk, case: Node, pattern: Node, scope: int) -> None:
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
        add(walk, (subject, "instance", named), scope, case.byte_range)


# --- tests --------------------------------------------------------------------------------------------


def narrows(condition: Node) -> bool:
    """Whether a test is of a kind that may say something: most are not, which should cost little."""
    return condition.kind_id in g.NARROWING_TESTS


def narrow(walk: PythonWalk, condition: Node, scope: int, span: tuple[int, int], *, holds: bool = True) -> None:
    """Write down what a test says inside a span, in which it holds or does not."""
    kind = condition.kind_id
    if not holds and (kind == g.IDENTIFIER or kind in g.ATTRIBUTES):
        return  # what is not true may be anything
    if span[1] > span[0]:
        for fact in facts(walk, condition, holds, _DEPTH):
            add(walk, fact, scope, span)


def add(walk: PythonWalk, fact: Fact, scope: int, span: tuple[int, int]) -> None:
    subject, kind, named = fact
    parts = subject_of(walk, subject)
    if not parts:
        return
    builder = walk.builder
    ref = NO_REF if named is None else named.end_byte if named.kind_id in g.DOTTED else walk.ref(named, scope)
    name = builder.name(*parts[-1])
    whole = b".".join(walk.data[start:end] for start, end in parts).decode("utf-8", "replace")
    builder.narrowings.append((*span, name, builder.string(whole), NARROWING_KIND[kind], ref))


def subject_of(walk: PythonWalk, node: Node) -> list[tuple[int, int]]:
    """The spans of a name, or of the names between dots; nothing for other expressions."""
    parts: list[tuple[int, int]] = []
    at = node
    while at.kind_id in g.ATTRIBUTES and len(parts) < _DEPTH:
        children = at.named_children
        if len(children) != 2:
            return []
        parts.append(children[1].byte_range)
        at = children[0]
    if at.kind_id != g.IDENTIFIER:
        return []
    parts.append(at.byte_range)
    parts.reverse()
    return parts if all(end > start for start, end in parts) else []


def facts(walk: PythonWalk, node: Node, holds: bool, depth: int) -> Iterator[Fact]:
    kind = node.kind_id
    if depth <= 0:
        return
    if kind in g.PARENTHESISED or kind in g.NOTS:
        inner = g.first(node)
        if inner is not None:
            yield from facts(walk, inner, holds != (kind in g.NOTS), depth - 1)
    elif kind in g.BOOLEANS:
        # All parts of an `and` hold where it does; no part of an `or` where it does not.
        if _is_and(walk, node) == holds:
            for child in node.named_children:
                if child.kind_id not in g.COMMENTS:
                    yield from facts(walk, child, holds, depth - 1)
    elif kind in g.CALLS:
        given = node.named_children
        called = walk.data[given[0].start_byte : given[0].end_byte] if len(given) == 2 else b""
        if called == b"isinstance" and given[1].kind_id in g.ARGUMENT_LISTS:
            arguments = [child for child in given[1].named_children if child.kind_id not in g.COMMENTS]
            if len(arguments) == 2:
                yield arguments[0], "instance" if holds else "no-instance", arguments[1]
    elif kind in g.COMPARISONS:
        fact = _comparison(walk, node)
        if fact is not None:
            subject, found, named = fact
            yield subject, found if holds else _OPPOSITE[found], named
    elif kind in g.NAMED_EXPRESSIONS:
        name = node.child_by_field_id(g.NAME)
        if name is not None and holds:
            yield name, "not-none", None
    elif (kind == g.IDENTIFIER or kind in g.ATTRIBUTES) and holds:
        yield node, "not-none", None


def _is_and(walk: PythonWalk, node: Node) -> bool:
    operator = node.child_by_field_id(g.OPERATOR)
    return operator is not None and operator.end_byte - operator.start_byte == 3


def _comparison(walk: PythonWalk, node: Node) -> Fact | None:
    """`x is None` and the like; `type(x) is C`."""
    children = [child for child in node.children if child.kind_id not in g.COMMENTS]
    if len(children) != 3:
        return None
    left, sign, right = children
    operator = g.SPACES.sub(" ", walk.data[sign.start_byte : sign.end_byte].decode("utf-8", "replace"))
    if operator not in ("is", "is not", "==", "!="):
        return None
    positive = operator in ("is", "==")
    if right.kind_id in g.NONES:
        subject = left.child_by_field_id(g.NAME) if left.kind_id in g.NAMED_EXPRESSIONS else left
        if left.kind_id in g.PARENTHESISED:
            inner = g.first(left)
            subject = (
                inner.child_by_field_id(g.NAME) if inner is not None and inner.kind_id in g.NAMED_EXPRESSIONS else inner
            )
        return None if subject is None else (subject, "none" if positive else "not-none", None)
    parts = left.named_children if left.kind_id in g.CALLS else []
    if len(parts) == 2 and walk.data[parts[0].start_byte : parts[0].end_byte] == b"type" and positive:
        subject = g.first(parts[1])
        return None if subject is None else (subject, "instance", right)
    return None


def is_left(block: Node) -> bool:
    """Whether a block ends by leaving: return, raise, continue or break."""
    children = [child for child in block.named_children if child.kind_id not in g.COMMENTS]
    return bool(children) and children[-1].kind_id in g.LEAVING
