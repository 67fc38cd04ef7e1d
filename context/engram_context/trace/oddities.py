"""Code that is hardly meant as it stands, because it contradicts itself.

A slice that takes all or nothing, an index behind the end, an error about what a test has just found in order, a branch
that uses what its condition says is not there. Each is right now and then; together with other reasons it tells which
of many functions to look at first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from tree_sitter import Node

from engram_context.text import Span
from engram_context.trace.syntax import body_of, leaves

_LONGEST = 80
"""Bytes of a place that are shown."""
_SIDE_BY_SIDE = (
    "argument_list", "tuple", "list", "expression_list", "comparison_operator", "boolean_operator",
)  # fmt: skip
_KINDS = re.compile(rb"(isinstance|issubclass|hasattr|callable)\(")
_REFUSALS = (b"return NotImplemented", b"raise TypeError", b"raise AttributeError")
_MISSING = (b"raise KeyError", b"raise AttributeError", b"raise LookupError")
_MAKES = re.compile(rb"\s*=\s*(?:\[\]|\{\}|\w{1,40}\(\))$")
_COUNTS_ON = re.compile(rb"len\([^()]{0,200}\)\s*\+\s*1\s*\)$")
_END = re.compile(rb"([\w.]{1,80})\[(-?\d{1,3})\]")
_REST = re.compile(rb"([\w.]{1,80})\[(\d{0,3}):((?:-\d{1,3})?)\]")
_WRONG_OPERATORS: Final = {
    b"__lt__": (b"<=", b">="), b"__le__": (b"<", b">"), b"__gt__": (b">=", b"<="), b"__ge__": (b">", b"<"),
    b"__eq__": (b"!=",), b"__ne__": (b"==",),
}  # fmt: skip


def oddities(definition: Node) -> Iterator[Span]:
    """The places of a def that contradict themselves, in no order."""
    yield from _other_operator(definition)
    waiting = [definition]
    while waiting:
        node = waiting.pop()
        waiting += node.named_children
        if node.type in _ODD and _ODD[node.type](node):
            yield Span(node.start_byte, min(node.end_byte, node.start_byte + _LONGEST))
        if node.type in ("if_statement", "conditional_expression"):
            yield from _inverted(node)


def _text(node: Node | None) -> bytes:
    return b"" if node is None else node.text or b""


def _is_odd_slice(node: Node) -> bool:
    """`x[0:]`, `x[:0]`, and what stands one beside the length of something: `x[len(y) - 1 :]`."""
    start, _, rest = _text(node).replace(b" ", b"").partition(b":")
    end = rest.partition(b":")[0]
    if (start == b"0" and not rest) or end == b"0":
        return True
    return any(part.startswith(b"len(") and part.endswith((b"+1", b"-1")) for part in (start, end))


def _is_behind_end(node: Node) -> bool:
    """`x[len(x)]`."""
    length = b"len(%b)" % _text(node.child_by_field_name("value"))
    return _text(node.child_by_field_name("subscript")).replace(b" ", b"") in (length, length + b"+1")


def _is_odd_call(node: Node) -> bool:
    """`range(len(x) + 1)`."""
    return _text(node.child_by_field_name("function")) == b"range" and _COUNTS_ON.search(_text(node)) is not None


def _repeats(node: Node) -> bool:
    """The same element, attribute or result twice side by side: `f(x[1], x[1])`."""
    parts = [_text(one) for one in node.named_children if one.type in ("subscript", "attribute", "call")]
    return len(parts) != len(set(parts))


def _ends_unequally(statement: Node) -> bool:
    """The rest of something and another end of it than that which it leaves (`x[-1], x[1:]`), or more taken from one
    end than from the other (`x[2:-1]`)."""
    text = _text(statement)
    ends = [(match[1], int(match[2])) for match in _END.finditer(text)]
    for match in _REST.finditer(text):
        start, end = int(match[2] or 0), int(match[3] or 0)
        if start and end:
            if start != -end:
                return True
            continue
        taken = {at for of, at in ends if of == match[1]}
        left = 0 if start == 1 else -1 if end == -1 else None
        if left is not None and len(taken) == 1 and left not in taken:
            return True
    return False


def _denies(node: Node) -> bool:
    """A branch that refuses what its condition found in order, or takes what that found missing."""
    condition, then = node.child_by_field_name("condition"), node.child_by_field_name("consequence")
    statements = [] if then is None else [child for child in then.named_children if child.type != "comment"]
    if condition is None or not statements:
        return False
    told, does = _text(condition), _text(statements[0])
    if condition.type == "call" and (match := _KINDS.match(told)):
        return does.startswith(_REFUSALS) or (match[1] == b"isinstance" and does == b"return False")
    if condition.type != "comparison_operator" or len(condition.named_children) != 2:
        return False
    left, right = map(_text, condition.named_children)
    taken = b"%b[%b]" % (right, left)
    match _operator(condition):
        case b"in":
            return does.startswith(_MISSING) or (does.startswith(taken) and _MAKES.match(does, len(taken)) is not None)
        case b"not in":
            return does.startswith((b"return " + taken, b"del " + taken))
        case _:
            return False


def _operator(comparison: Node) -> bytes:
    """The operator of a comparison of two; its words with one space between them."""
    first, last = comparison.named_children[0], comparison.named_children[-1]
    text = _text(comparison)
    return b" ".join(text[first.end_byte - comparison.start_byte : last.start_byte - comparison.start_byte].split())


def _other_operator(definition: Node) -> Iterator[Span]:
    """`__le__` that asks whether something is less."""
    wrong = _WRONG_OPERATORS.get(_text(definition.child_by_field_name("name")))
    if wrong is None:
        return
    found: list[Node] = []
    waiting = [definition]
    while waiting:
        node = waiting.pop()
        waiting += node.named_children
        if node.type == "comparison_operator" and len(node.named_children) == 2:
            found.append(node)
    if len(found) == 1 and _operator(found[0]) in wrong:
        yield Span(found[0].start_byte, found[0].end_byte)


_ODD: Final[dict[str, Callable[[Node], bool]]] = {
    "slice": _is_odd_slice, "subscript": _is_behind_end, "call": _is_odd_call, "if_statement": _denies,
    "expression_statement": _ends_unequally, "return_statement": _ends_unequally,
    **dict.fromkeys(_SIDE_BY_SIDE, _repeats),
}  # fmt: skip


# --- conditions the wrong way round ----------------------------------------------------------------------------------


def _inverted(node: Node) -> Iterator[Span]:
    """Uses of something in the branch where it is not there; what is bound anew only where it is there."""
    if node.type == "if_statement":
        condition, then = node.child_by_field_name("condition"), node.child_by_field_name("consequence")
        clause = node.child_by_field_name("alternative")
        otherwise = body_of(clause) if clause is not None and clause.type == "else_clause" else None
    else:
        parts = node.named_children
        then, condition, otherwise = parts if len(parts) == 3 else (None, None, None)
    told = None if condition is None else _told(condition)
    if told is None or then is None:
        return
    subject, is_there = told
    missing = [one for one in (otherwise if is_there else then,) if one is not None]
    if is_there and not missing and node.type == "if_statement" and leaves(then):
        sibling = node.next_named_sibling
        while sibling is not None and len(missing) < 40:
            missing.append(sibling)
            sibling = sibling.next_named_sibling
    mentioning = next((one for one in missing if subject in _text(one)), None)
    used = None if mentioning is None else _first_use(mentioning, subject)
    if used is not None:
        yield used
    first = then.named_children[0].named_children[:1] if node.type == "if_statement" and then.named_children else []
    if is_there and first and first[0].type == "assignment":
        left, right = first[0].child_by_field_name("left"), first[0].child_by_field_name("right")
        if left is not None and _text(left) == subject and subject not in _text(right):
            yield Span(left.start_byte, left.end_byte)


def _told(condition: Node) -> tuple[bytes, bool] | None:
    """What a condition speaks of, and whether it says that it is there; None for what says neither."""
    while condition.type == "parenthesized_expression" and condition.named_children:
        condition = condition.named_children[0]
    if condition.type in ("identifier", "attribute"):
        return _text(condition), True
    inner = condition.named_children
    if condition.type == "not_operator" and inner and inner[0].type in ("identifier", "attribute"):
        return _text(inner[0]), False
    if condition.type == "comparison_operator" and len(inner) == 2 and inner[1].type == "none":
        operator = _operator(condition)
        if operator in (b"is", b"is not"):
            return _text(inner[0]), operator == b"is not"
    return None


def _first_use(node: Node, subject: bytes) -> Span | None:
    """The first mention of something, if it is looked into there; None if it is bound, or only handed on."""
    waiting = [node]
    while waiting:
        at = waiting.pop()
        if at.type in ("identifier", "attribute") and _text(at) == subject:
            above = at.parent
            is_into = above is not None and above.children[0] == at and above.type in ("subscript", "call", "attribute")
            return Span(at.start_byte, at.end_byte) if is_into else None
        if subject in _text(at):
            waiting += reversed(at.named_children)
    return None
