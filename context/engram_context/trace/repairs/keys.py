"""Keys of mappings: misspelt, or not always there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tree_sitter import Node

from engram_context.text import Span
from engram_context.trace.repairs.likeness import nearest
from engram_context.trace.repairs.site import Repair, Site

_READERS = frozenset(("get", "pop", "setdefault"))
_MOST = 6


def key_repairs(site: Site) -> Iterator[Repair]:
    """Rules `key`, `key-written`, `key-doubtful`, `optional-key` and `needed-key`."""
    trouble = site.trouble
    missing = trouble.name if trouble.kind == "key" else ""
    known = _keys(site, [site.tree.root_node])
    for node, role in _strings(site):
        value = _value(site, node)
        if value is None:
            continue
        if missing and value == missing:
            for new, like in nearest(value, known, _MOST, 0.4):
                yield _key(site, "key", node, new, {"likeness": like, "count": float(known[new] - known[value])})
        elif missing and role == "written":
            for _, like in nearest(missing, (value,), 1, 0.5):
                yield _key(site, "key-written", node, missing, {"likeness": like})
        else:
            for new, like in nearest(value, known, 4, 0.6):
                evidence = {"likeness": like, "count": float(known[new] - known[value])}
                yield _key(site, "key-doubtful", node, new, evidence)
    for node in site.of_type("subscript"):
        yield from _optional(site, node)
    for node in site.of_type("call"):
        yield from _needed(site, node)


def _key(site: Site, rule: str, node: Node, new: str, evidence: dict[str, float]) -> Repair:
    source = site.source(node)
    quote = source[-1]
    return site.repair(rule, f"the key {new!r} instead of {source}", (node, f"{quote}{new}{quote}"), evidence=evidence)


def _strings(site: Site) -> Iterator[tuple[Node, str]]:
    for node in site.of_type("string"):
        parent = node.parent
        if parent is None:
            continue
        if parent.type == "pair" and parent.child_by_field_name("key") == node:
            yield node, "written"
        elif parent.type == "subscript":
            above = parent.parent
            written = above is not None and above.type == "assignment" and above.child_by_field_name("left") == parent
            yield node, "written" if written else "read"
        elif (
            parent.type == "argument_list"
            and _method(site, parent.parent) in _READERS
            and parent.named_children[0] == node
        ) or (
            parent.type == "comparison_operator" and any(child.type in ("in", "not in") for child in parent.children)
        ):
            yield node, "read"


def _method(site: Site, call: Node | None) -> str:
    function = None if call is None else call.child_by_field_name("function")
    name = None if function is None else function.child_by_field_name("attribute")
    return "" if name is None else site.source(name)


def _keys(site: Site, roots: list[Node]) -> Counter[str]:
    """Texts that stand as keys in the file."""
    found: Counter[str] = Counter()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node.type == "string" and node.parent is not None:
            parent = node.parent
            is_key = parent.type == "subscript" or (parent.type == "pair" and parent.child_by_field_name("key") == node)
            is_read = parent.type == "argument_list" and _method(site, parent.parent) in _READERS
            if is_key or is_read:
                value = _value(site, node)
                if value is not None:
                    found[value] += 1
        else:
            waiting += node.named_children
    return found


def _value(site: Site, node: Node) -> str | None:
    """The text of a plain literal of one line."""
    source = site.source(node)
    if (
        len(source) < 3
        or source[0] not in "'\""
        or source.startswith(("'''", '"""'))
        or "\\" in source
        or "\n" in source
    ):
        return None
    return source[1:-1]


def _optional(site: Site, node: Node) -> Iterator[Repair]:
    """`d[k]` as `d.get(k)`."""
    value, indices = node.child_by_field_name("value"), node.children_by_field_name("subscript")
    parent = node.parent
    if (
        value is None
        or len(indices) != 1
        or indices[0].type in ("slice", "integer", "unary_operator")
        or parent is None
    ):
        return
    if parent.type in ("assignment", "augmented_assignment") and parent.child_by_field_name("left") == node:
        return
    if parent.type in ("delete_statement", "type", "generic_type"):
        return
    new = f"{site.source(value)}.get({site.source(indices[0])})"
    yield site.repair("optional-key", "the key need not be there", (node, new))


def _needed(site: Site, node: Node) -> Iterator[Repair]:
    """`d.pop(k)` as `d.pop(k, None)`."""
    arguments = node.child_by_field_name("arguments")
    if arguments is None or _method(site, node) != "pop" or len(arguments.named_children) != 1:
        return
    if arguments.named_children[0].type in ("integer", "unary_operator"):
        return
    end = arguments.named_children[0].end_byte
    yield site.repair("optional-key", "the key need not be there", (Span(end, end), ", None"), at=node)
