"""Conditions that are the wrong way round: negated, compared the other way, one off, joined by the other word."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from engram_context.text import Span
from engram_context.trace.repairs.site import Repair, Site, between

_OPPOSITE = {
    "==": "!=", "!=": "==", "is": "is not", "is not": "is", "in": "not in", "not in": "in", "<": ">=", ">=": "<",
    ">": "<=", "<=": ">",
}  # fmt: skip
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_EDGE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_LOOSE = frozenset(("boolean_operator", "conditional_expression", "named_expression", "lambda", "assignment"))


def condition_repairs(site: Site) -> Iterator[Repair]:
    """Rules `negation`, `operator`, `boundary` and `connective`."""
    conditions = {node.id for node in _conditions(site)}
    for node in site.nodes:
        if node.type == "comparison_operator":
            yield from _comparison(site, node)
        elif node.type == "boolean_operator":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            operator = node.child_by_field_name("operator")
            if left is not None and right is not None and operator is not None:
                new = "or" if operator.type == "and" else "and"
                yield site.repair("connective", f"`{new}` instead of `{operator.type}`", (operator, new))
        elif node.type == "not_operator":
            argument = node.child_by_field_name("argument")
            if argument is not None:
                where = Span(node.start_byte, argument.start_byte)
                yield site.repair(
                    "negation", "without `not`", (where, ""), evidence={"condition": float(node.id in conditions)}
                )
        elif node.id in conditions and node.type not in ("true", "false", "integer"):
            source = site.source(node)
            new = f"not ({source})" if node.type in _LOOSE else f"not {source}"
            yield site.repair("negation", "negated", (node, new), evidence={"condition": 1.0})


def _conditions(site: Site) -> Iterator[Node]:
    """What decides a branch, and the parts of it that `and` and `or` join."""
    for node in site.nodes:
        condition: Node | None = None
        if node.type in ("if_statement", "while_statement", "elif_clause"):
            condition = node.child_by_field_name("condition")
        elif node.type == "conditional_expression" and len(node.named_children) == 3:
            condition = node.named_children[1]
        elif node.type in ("if_clause", "assert_statement") and node.named_children:
            condition = node.named_children[0]
        waiting = [condition] if condition is not None else []
        while waiting:
            one = waiting.pop()
            if one.type == "boolean_operator":
                waiting += [child for child in one.named_children if child.type != "comment"]
            elif one.type == "parenthesized_expression" and one.named_children:
                waiting.append(one.named_children[0])
            yield one


def _comparison(site: Site, node: Node) -> Iterator[Repair]:
    parts = [child for child in node.children if child.is_named and child.type != "comment"]
    operators = [child.type for child in node.children if not child.is_named]
    if len(parts) != 2 or len(operators) != 1:
        # `a < b < c`: each operator by itself.
        for child in node.children:
            if child.type in _EDGE:
                yield site.repair(
                    "boundary", f"`{_EDGE[child.type]}` instead of `{child.type}`", (child, _EDGE[child.type])
                )
        return
    old = operators[0]
    where = between(*parts)
    if old in _OPPOSITE:
        new = _OPPOSITE[old]
        yield site.repair("operator", f"`{new}` instead of `{old}`", (where, f" {new} "), at=node)
    if old in _MIRRORED:
        new = _MIRRORED[old]
        yield site.repair("operator", f"`{new}` instead of `{old}`", (where, f" {new} "), at=node)
    if old in _EDGE:
        new = _EDGE[old]
        yield site.repair("boundary", f"`{new}` instead of `{old}`", (where, f" {new} "), at=node)
