"""What is known on one way through a function because of the tests that it passed and the constants that it bound.

Two tests of the same text agree as long as nothing in them was bound in between. That is what the author had in mind,
be it provable or not: who asks must be somebody who rather says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tree_sitter import Node

from engram_context.checks.flow import truth

Facts = dict[bytes, bool]
"""Truth by key: `x`, `x is None`, `x == 1` (for literals only), or the text of any other test."""

_NONE, _EQUALS = b" is None", b" == "
_NEGATED = {b"is not": b"is", b"!=": b"==", b"not in": b"in"}
_LITERALS = frozenset(("string", "integer", "float", "true", "false", "none"))
_MADE = frozenset(
    {"list", "tuple", "dictionary", "set", "list_comprehension", "dictionary_comprehension", "set_comprehension"}
    | {"generator_expression", "expression_list", "lambda", "concatenated_string", "comparison_operator"}
)
_NAMES = re.compile(rb"[A-Za-z_]\w*")
# What these give has elements where what they are given has.
_KEEPS_ELEMENTS = re.compile(rb"enumerate|sorted|list|tuple|set|reversed|iter|len|bool|zip|dict|tqdm")
_VIEWS = frozenset((b"items", b"values", b"keys", b"copy"))
_IN_LEAST = frozenset((b">0", b">=1", b"!=0"))


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool


@dataclass(frozen=True, slots=True)
class Atom:
    """True where what the key says is `positive`."""

    key: bytes
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """`x in (1, 2)`, or its opposite."""

    keys: tuple[bytes, ...]
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Several:
    """All (or any) of the parts; `key` is the text of the whole."""

    key: bytes
    parts: tuple[Test, ...]
    is_all: bool
    positive: bool = True


Test = Constant | Atom | Choice | Several


def subject(key: bytes) -> bytes:
    """What a key speaks of."""
    return key[: -len(_NONE)] if key.endswith(_NONE) else key.partition(_EQUALS)[0]


def names_in(key: bytes) -> frozenset[bytes]:
    return frozenset(_NAMES.findall(key))


def subjects(test: Test) -> Iterator[bytes]:
    """What a test asks about, in all its parts."""
    if isinstance(test, Several):
        yield test.key
        for part in test.parts:
            yield from subjects(part)
    elif isinstance(test, Choice):
        yield subject(test.keys[0])
    elif isinstance(test, Atom):
        yield subject(test.key)


# --- from the tree ------------------------------------------------------------------------------------


def test_of(node: Node, positive: bool = True) -> Test:
    """What an expression asks."""
    node = _stripped(node)
    constant = truth(node)
    if constant is not None:
        return Constant(constant == positive)
    if node.type == "not_operator":
        inner = _first(node)
        return Constant(positive) if inner is None else test_of(inner, not positive)
    if node.type == "boolean_operator":
        operator = node.child_by_field_name("operator")
        parts = tuple(test_of(part) for part in node.named_children if part.type != "comment")
        return Several(_text(node), parts, operator is not None and operator.type == "and", positive)
    if node.type == "comparison_operator" and node.named_child_count == 2:
        return _comparison(node, positive)
    return Atom(_text(_elements(node)), positive)


def _comparison(node: Node, positive: bool) -> Test:
    left, right = (_stripped(part) for part in node.named_children)
    written = b" ".join(child.text or b"" for child in node.children_by_field_name("operators"))
    if written in _NEGATED:
        positive = not positive
    operator = _NEGATED.get(written, written)
    if operator in (b"is", b"==") and right.type in _LITERALS:
        if left.type == "call" and right.text == b"0":
            return Atom(_text(_elements(left)), not positive)
        return Atom(_equals(left, right), positive)
    if left.type == "call" and written + (right.text or b"") in _IN_LEAST:
        return Atom(_text(_elements(left)), positive)
    if operator == b"in" and right.type in ("tuple", "list", "set"):
        choices = right.named_children
        if choices and all(choice.type in _LITERALS for choice in choices):
            return Choice(tuple(_equals(left, choice) for choice in choices), positive)
    return Atom(b" ".join((_text(left), operator, _text(right))), positive)


def _equals(left: Node, literal: Node) -> bytes:
    return _text(left) + (_NONE if literal.type == "none" else _EQUALS + _text(literal))


def _elements(node: Node) -> Node:
    """What must have elements for an expression to have some: `xs` for `enumerate(xs)` and `xs.items()`."""
    while node.type == "call":
        function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        given = [] if arguments is None else arguments.named_children
        inner: Node | None = None
        if function is not None and function.type == "attribute" and not given:
            member = function.child_by_field_name("attribute")
            if member is not None and member.text in _VIEWS:
                inner = function.child_by_field_name("object")
        elif function is not None and given and _KEEPS_ELEMENTS.fullmatch(function.text or b""):
            inner = given[0]
        if inner is None:
            break
        node = _stripped(inner)
    return node


def _stripped(node: Node) -> Node:
    while node.type in ("parenthesized_expression", "named_expression", "await"):
        inner = node.child_by_field_name("name") if node.type == "named_expression" else _first(node)
        if inner is None:
            return node
        node = inner
    return node


def _first(node: Node) -> Node | None:
    return next((child for child in node.named_children if child.type != "comment"), None)


def _text(node: Node) -> bytes:
    return b" ".join((node.text or b"").split())


# --- on the way ---------------------------------------------------------------------------------------


def assume(test: Test, holds: bool, facts: Facts, kept: Collection[bytes] | None) -> bool:
    """Write down what follows from a test; False where the facts say the opposite. `kept`: the subjects that are
    written down, None for all."""
    known = value_of(test, facts)
    if known is not None:
        return known == holds
    match test:
        case Atom(key, positive):
            return _set(facts, key, holds == positive, kept)
        case Choice(keys, positive):
            if holds != positive:
                return all(_set(facts, key, False, kept) for key in keys)
            left = [key for key in keys if _value(key, facts) is None]
            return _set(facts, left[0], True, kept) if len(left) == 1 else True
        case Several(key, parts, is_all, positive):
            holds = holds == positive
            if is_all == holds:
                return all(assume(part, holds, facts, kept) for part in parts)
            undecided = [part for part in parts if value_of(part, facts) is None]
            if len(undecided) == 1:
                return assume(undecided[0], holds, facts, kept)
            return _set(facts, key, holds, kept)
        case Constant():
            return True


def value_of(test: Test, facts: Facts) -> bool | None:
    """Whether a test is passed, as far as that is known."""
    found: bool | None = None
    match test:
        case Constant(value):
            return value
        case Atom(key, positive):
            found = _value(key, facts)
        case Choice(keys, positive):
            values = [_value(key, facts) for key in keys]
            found = True if True in values else None if None in values else False
        case Several(key, parts, is_all, positive):
            found = facts.get(key)
            if found is None:
                values = [value_of(part, facts) for part in parts]
                found = (not is_all) if (not is_all) in values else None if None in values else is_all
    return None if found is None else found == positive


def bind(facts: Facts, target: bytes, value: Node, kept: Collection[bytes] | None) -> None:
    """Note what is known of what is bound to a name or attribute: which literal it is, or that it is not None."""
    value = _stripped(value)
    if kept is not None and target not in kept:
        return
    if value.type in _LITERALS:
        facts[_equals_text(target, value)] = True
        known = _text(value)[-2:-1] not in (b"'", b'"', b"") if value.type == "string" else truth(value)
        if known is not None and value.type != "none":
            facts[target] = known
    elif value.type in _MADE:
        facts[target + _NONE] = False
    elif value.type == "call":
        function = value.child_by_field_name("function")
        name = b"" if function is None else (function.text or b"").rpartition(b".")[2]
        if name.lstrip(b"_")[:1].isupper():
            facts[target] = True  # an object of a class


def _equals_text(target: bytes, literal: Node) -> bytes:
    return target + (_NONE if literal.type == "none" else _EQUALS + _text(literal))


def _value(key: bytes, facts: Facts) -> bool | None:
    value = facts.get(key)
    if value is not None or not facts:
        return value
    of = subject(key)
    if of == key:
        return False if facts.get(key + _NONE) is True else None
    if key.endswith(_NONE) and facts.get(of) is True:
        return False
    # It is another one.
    begin, none = of + _EQUALS, of + _NONE
    is_other = any(
        held and other != key and (other == none or other.startswith(begin)) for other, held in facts.items()
    )
    return False if is_other else None


def _set(facts: Facts, key: bytes, value: bool, kept: Collection[bytes] | None) -> bool:
    known = _value(key, facts)
    if known is not None:
        return known == value
    if kept is None or subject(key) in kept:
        facts[key] = value
    return True
