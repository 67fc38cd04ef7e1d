"""Numbers that are off by one: indices, bounds of slices and ranges, and what is added to or taken from them."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from engram_context.text import Span
from engram_context.trace.repairs.site import Repair, Site

_COUNTED = frozenset(("identifier", "attribute", "call", "subscript", "binary_operator"))


def number_repairs(site: Site) -> Iterator[Repair]:
    """Rules `index`, `slice`, `range`, `step` and `constant`."""
    for node in site.nodes:
        if node.type == "subscript":
            for index in node.children_by_field_name("subscript"):
                if index.type == "slice":
                    bounds = [child for child in index.named_children if child.type != "comment"]
                    for bound in bounds:
                        yield from _shifted(site, bound, "slice")
                else:
                    yield from _shifted(site, index, "index")
        elif node.type == "call":
            function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
            if function is None or arguments is None:
                continue
            if site.source(function) in ("range", "islice") and arguments.named_children:
                bounds = arguments.named_children[:2]
                yield from _shifted(site, bounds[-1], "range")
                if len(bounds) > 1:
                    yield from _shifted(site, bounds[0], "range")
        elif node.type == "binary_operator":
            yield from _step(site, node)
        elif node.type == "integer" and node.parent is not None:
            if node.parent.type in (
                "comparison_operator",
                "argument_list",
                "keyword_argument",
                "assignment",
                "return_statement",
            ):
                yield from _shifted(site, node, "constant")
        elif node.type == "comparison_operator":
            for part in node.named_children:
                if part.type == "call" and site.source(part).startswith("len("):
                    yield from _shifted(site, part, "constant")


def _shifted(site: Site, node: Node, rule: str) -> Iterator[Repair]:
    """One more and one less."""
    number = number_of(site, node)
    source = site.source(node)
    if number is not None:
        for new in (number - 1, number + 1):
            yield site.repair(
                rule, f"{new} instead of {number}", (node, str(new)), evidence={"small": float(abs(new) < abs(number))}
            )
        if rule == "index" and number in (0, -1):
            new = -1 - number
            yield site.repair(rule, f"{new} instead of {number}", (node, str(new)))
    elif node.type in _COUNTED and "'" not in source and '"' not in source:
        for sign in "-+":
            yield site.repair(
                rule, f"one {'less' if sign == '-' else 'more'} than `{source}`", (node, f"{source} {sign} 1")
            )


def _step(site: Site, node: Node) -> Iterator[Repair]:
    """`n + 1`: `n`, and `n - 1`."""
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    operator = node.child_by_field_name("operator")
    if left is None or right is None or operator is None or operator.type not in ("+", "-"):
        return
    if number_of(site, right) == 1:
        where = Span(left.end_byte, node.end_byte)
        yield site.repair("step", f"`{site.source(left)}` itself", (where, ""), at=node)
    other = "-" if operator.type == "+" else "+"
    yield site.repair("step", f"`{other}` instead of `{operator.type}`", (operator, other), at=node)


def number_of(site: Site, node: Node) -> int | None:
    """The value of a plain decimal number, with or without a sign."""
    source = site.source(node).replace(" ", "")
    digits = source.removeprefix("-")
    if node.type not in ("integer", "unary_operator") or not digits.isdecimal() or len(digits) > 9:
        return None
    return int(source)
