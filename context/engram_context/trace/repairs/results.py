"""Results: a return that was forgotten, a value that may be None, a result of another shape than its callers expect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tree_sitter import Node

from engram_context.text import Span
from engram_context.trace.repairs.site import Repair, Site

_VALUES = frozenset(("list", "dictionary", "tuple", "string", "integer", "call", "set", "false", "true", "float"))
_NO_RESULTS = frozenset(("string", "assignment", "augmented_assignment", "yield", "await"))
_MOST_GUARDS = 6


def result_repairs(site: Site) -> Iterator[Repair]:
    """Rules `return`, `return-added`, `default`, `guard`, `shape` and `caller-shape`."""
    yield from _returns(site)
    yield from _shapes(site)
    if site.trouble.kind != "claim":
        yield from _defaults(site)
    yield from _guards(site)


def _own(function: Node, *types: str) -> Iterator[Node]:
    """The nodes of a def, without those of defs in it, in source order."""
    body = function.child_by_field_name("body")
    waiting = [] if body is None else list(reversed(body.named_children))
    while waiting:
        node = waiting.pop()
        if node.type in types:
            yield node
        if node.type not in ("function_definition", "class_definition", "lambda"):
            waiting += reversed(node.named_children)


def _functions(site: Site) -> Iterator[Node]:
    """The suspect's def, and those in it."""
    yield from site.of_type("function_definition")


def _returns(site: Site) -> Iterator[Repair]:
    for function in _functions(site):
        body = function.child_by_field_name("body")
        if body is None or not body.named_children:
            continue
        returns = [node for node in _own(function, "return_statement") if node.named_children]
        yields = any(True for _ in _own(function, "yield"))
        wanted = float(bool(returns))
        for node in _own(function, "expression_statement"):
            value = node.named_children[0] if node.named_children else None
            if value is None or len(node.named_children) != 1 or value.type in _NO_RESULTS:
                continue
            last = _is_last(node)
            ends = last and node.parent == body
            idle = float(value.type not in ("call", "await"))
            evidence = {"others": wanted, "last": float(last), "ends": float(ends), "idle": idle}
            if last or idle:
                where = Span(node.start_byte, node.start_byte)
                yield site.repair(
                    "return", f"`return {_short(site.source(value))}`", (where, "return "), at=node, evidence=evidence
                )
        end = body.named_children[-1]
        if end.type == "return_statement" or end.type == "raise_statement" or yields:
            continue
        names = [*_assigned(site, function)]
        if _first_parameter(site, function) == "self":
            names.append("self")
        for rank, name in enumerate(dict.fromkeys(names)):
            evidence = {"others": wanted, "rank": float(rank), "pass": float(end.type == "pass_statement")}
            if end.type == "pass_statement":
                yield site.repair(
                    "return-added", f"`return {name}` at the end", (end, f"return {name}"), evidence=evidence
                )
            else:
                indent = " " * body.start_point[1]
                where = Span(end.end_byte, end.end_byte)
                new = f"\n{indent}return {name}"
                yield site.repair(
                    "return-added", f"`return {name}` at the end", (where, new), at=end, evidence=evidence
                )
            if rank >= 3:
                break


def _is_last(node: Node) -> bool:
    """Whether nothing comes behind a statement in its block."""
    following = node.next_named_sibling
    while following is not None and following.type == "comment":
        following = following.next_named_sibling
    return following is None


def _assigned(site: Site, function: Node) -> Iterator[str]:
    """The variables of a function: those that are returned elsewhere, those assigned at its own level, and others."""
    body = function.child_by_field_name("body")
    for node in _own(function, "return_statement"):
        if node.named_children and node.named_children[0].type == "identifier":
            yield site.source(node.named_children[0])
    found: list[str] = []
    for node in _own(function, "assignment"):
        left = node.child_by_field_name("left")
        if left is not None and left.type == "identifier":
            name = site.source(left)
            outer = node.parent is not None and node.parent.parent == body
            found.insert(0 if outer else len(found), name)
    yield from found


def _first_parameter(site: Site, function: Node) -> str:
    parameters = function.child_by_field_name("parameters")
    return site.source(parameters.named_children[0]) if parameters is not None and parameters.named_children else ""


# --- shapes ---------------------------------------------------------------------------------------------


def _shapes(site: Site) -> Iterator[Repair]:
    for function in _functions(site):
        returns = [node.named_children[0] for node in _own(function, "return_statement") if node.named_children]
        kinds = Counter(_shape(node) for node in returns)
        for value in returns:
            inner = value
            while inner.type == "parenthesized_expression" and inner.named_children:
                inner = inner.named_children[0]
            if inner.type in ("tuple", "expression_list"):
                parts = inner.named_children
                others = float(kinds["single"] > 0)
                for at, part in enumerate(parts[:3]):
                    if len(parts) == 2:
                        evidence = {"others": others, "none": float(parts[1 - at].type == "none")}
                        yield site.repair(
                            "shape",
                            f"`{_short(site.source(part))}` alone",
                            (inner, site.source(part)),
                            evidence=evidence,
                        )
                if len(parts) == 2:
                    new = f"{site.source(parts[1])}, {site.source(parts[0])}"
                    new = f"({new})" if inner.type == "tuple" else new
                    yield site.repair("shape", "the other way round", (inner, new))
    for node in site.of_type("call"):
        parent = node.parent
        if parent is None or parent.type in ("expression_statement", "decorator"):
            continue
        end = Span(node.end_byte, node.end_byte)
        if site.line(node) in site.suspect.lines[:2]:
            for at in (0, 1):
                yield site.repair(
                    "caller-shape",
                    f"part {at} of what is returned",
                    (end, f"[{at}]"),
                    at=node,
                    evidence={"part": float(at)},
                )
        left = parent.child_by_field_name("left") if parent.type == "assignment" else None
        if left is not None and left.type == "identifier":
            new = f"{site.source(left)}, _"
            yield site.repair("caller-shape", "a pair is returned", (left, new), at=node, evidence={"unpacked": 1.0})
        elif left is not None and left.type in ("pattern_list", "tuple_pattern"):
            names = left.named_children
            if len(names) == 2 and all(one.type == "identifier" for one in names):
                yield site.repair(
                    "caller-shape",
                    "one value is returned",
                    (left, site.source(names[0])),
                    at=node,
                    evidence={"single": 1.0},
                )


def _shape(node: Node) -> str:
    return "tuple" if node.type in ("tuple", "expression_list") else "single"


# --- None -----------------------------------------------------------------------------------------------


def _defaults(site: Site) -> Iterator[Repair]:
    """`value or default`, with the defaults that the file has elsewhere for such a name, and empty ones."""
    found = _known_defaults(site)
    for node in site.nodes:
        place = _place_of_value(node)
        if place is None or node.type not in ("identifier", "attribute", "call", "subscript"):
            continue
        source = site.source(node)
        last = source.rpartition(".")[2]
        options = [(default, 1.0) for default in found.get(last, ())]
        options += [(default, 0.0) for default in ("{}", "[]", "()", "''")]
        for default, known in dict(options).items():
            where = Span(node.end_byte, node.end_byte)
            gets = float(node.type == "call" and ".get(" in source)
            evidence = {"known": known, "argument": float(place == "argument"), "get": gets}
            yield site.repair("default", f"`or {default}`", (where, f" or {default}"), evidence=evidence)


def _place_of_value(node: Node) -> str | None:
    parent = node.parent
    if parent is None:
        return None
    if parent.type in ("assignment", "return_statement") and parent.named_children[-1] == node:
        return parent.type
    if parent.type in ("argument_list", "keyword_argument") and parent.named_children[-1] == node:
        return "argument"
    if parent.type == "for_statement" and parent.child_by_field_name("right") == node:
        return "for"
    return None


def _known_defaults(site: Site) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    waiting = [site.tree.root_node]
    while waiting:
        node = waiting.pop()
        waiting += node.named_children
        if node.type != "boolean_operator" or not any(child.type == "or" for child in node.children):
            continue
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None or right.type not in _VALUES or "\n" in site.source(right):
            continue
        found.setdefault(site.source(left).rpartition(".")[2], []).append(site.source(right))
    return found


def _guards(site: Site) -> Iterator[Repair]:
    """Statements that guard a name elsewhere in the file, put where the suspect begins, or where it fails."""
    function = site.function
    body = None if function is None else function.child_by_field_name("body")
    if function is None or body is None or not body.named_children:
        return
    names = Counter(site.source(node) for node in site.of_type("identifier", "attribute"))
    own = {site.source(node) for node in site.of_type("if_statement")}
    guards: Counter[str] = Counter()
    waiting = [site.tree.root_node]
    while waiting:
        node = waiting.pop()
        waiting += node.named_children
        if node.type == "if_statement" and _is_guard(node):
            source = site.source(node)
            about = _subject(site, node)
            if about in names and source not in own and len(source) < 400:
                guards[_dedented(source, node.start_point[1])] += 1
    places = [_first_statement(body)]
    places += [one for one in (_statement_at(site, body, line) for line in site.suspect.lines[:2]) if one is not None]
    for guard, count in guards.most_common(_MOST_GUARDS):
        yield from _placed(site, guard, places, {"known": 1.0, "count": float(count)})
    # What nobody guards: the names of the failing lines, by what the function gives where it has nothing to give.
    if site.trouble.kind == "none":
        for line in site.suspect.lines[:1]:
            statement = _statement_at(site, body, line)
            if statement is None:
                continue
            for name in list(dict.fromkeys(_bare_names(site, statement)))[:4]:
                yield from _placed(site, f"if {name} is None:\n    return", [statement], {})
                yield from _placed(site, f"if {name} is None:\n    {name} = {{}}", [statement], {})


def _placed(site: Site, guard: str, places: list[Node], evidence: dict[str, float]) -> Iterator[Repair]:
    for place in dict.fromkeys(node.start_byte for node in places):
        line = site.text.line_of(place)
        column = place - site.text.line_start(line)
        indent = " " * column
        new = guard.replace("\n", f"\n{indent}") + f"\n{indent}"
        shown = guard.partition("\n")[0]
        failing = float(line + 1 in site.suspect.lines[:1])
        yield site.repair(
            "guard", f"`{shown}` as elsewhere", (Span(place, place), new), evidence={"failing": failing, **evidence}
        )


def _is_guard(node: Node) -> bool:
    body = node.child_by_field_name("consequence")
    simple = body is not None and len(body.named_children) == 1
    return simple and not any(child.type in ("else_clause", "elif_clause") for child in node.children)


def _subject(site: Site, node: Node) -> str:
    """What a condition is about: `x` of `x is None`, `not x`, `x`."""
    condition = node.child_by_field_name("condition")
    if condition is None:
        return ""
    if condition.type in ("not_operator", "comparison_operator") and condition.named_children:
        condition = condition.named_children[0]
    return site.source(condition) if condition.type in ("identifier", "attribute") else ""


def _first_statement(body: Node) -> Node:
    """The first that is no docstring."""
    first = body.named_children[0]
    is_doc = first.type == "expression_statement" and first.named_children and first.named_children[0].type == "string"
    return first.next_named_sibling or first if is_doc else first


def _statement_at(site: Site, body: Node, line: int) -> Node | None:
    """The innermost statement that a line (from 1) is part of."""
    best: Node | None = None
    waiting = [body]
    while waiting:
        node = waiting.pop()
        for child in node.named_children:
            if child.start_point[0] < line <= child.end_point[0] + 1:
                if node.type in ("block", "module"):
                    best = child
                waiting.append(child)
    return best


def _bare_names(site: Site, node: Node) -> Iterator[str]:
    waiting = [node]
    while waiting:
        one = waiting.pop(0)
        if one.type in ("identifier", "attribute"):
            source = site.source(one)
            if source not in ("self", "cls"):
                yield source
        if one.type != "block":
            waiting += one.named_children


def _dedented(source: str, columns: int) -> str:
    return source.replace(f"\n{' ' * columns}", "\n")


def _short(source: str) -> str:
    first = source.partition("\n")[0]
    return first if len(first) <= 60 else f"{first[:57]}…"
