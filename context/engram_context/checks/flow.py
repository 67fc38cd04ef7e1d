"""The ways through a piece of code: its steps, and where each may go on.

A step is what runs in one go: a statement without statements in it, or the head of one that has some (a test, what a
loop runs over, one manager of a `with`). What a `finally` holds stands in the graph once for each way into it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tree_sitter import Node

from engram_context.python.grammar import first

_DEPTH = 100
"""Python itself takes no deeper indentation; what is deeper is one step."""
_DEFINITIONS = frozenset(("function_definition", "class_definition", "decorated_definition"))
_LITERALS = frozenset(("true", "false", "none", "integer", "float", "string", "ellipsis"))
_DISPLAYS = frozenset(("list", "tuple", "dictionary", "set", "pair", "expression_list", "parenthesized_expression"))
_HARMLESS = frozenset(
    ("pass_statement", "break_statement", "continue_statement", "global_statement", "nonlocal_statement")
)
LONGEST_CALLEE = 300
"""Bytes of what is called that are looked at for what its name says."""
_CATCHES_ALL = re.compile(rb"\b(?:Base)?Exception\b")
_SWALLOWS = re.compile(rb"(?!\w*warn)\w*(?:suppress|raises|ignor|catch|exit_?stack|swallow)\w*", re.IGNORECASE)
_LEAVES = re.compile(
    rb"(?:sys\.exit|os\._exit|os\.abort|os\.exec[lv]p?e?|exit|quit|(?:typing(?:_extensions)?\.|t\.)?assert_never|"
    rb"pytest\.(?:fail|skip|exit|xfail)|self\.(?:fail|skipTest)|(?:\w+\.)*_?\w*(?:parser|ap)\.(?:error|exit)|"
    rb"(?:click\.)?(?:ctx|context)\.(?:fail|exit|abort))",
    re.ASCII,
)

Ends = Callable[[Node], bool]
"""Whether a call never returns."""


def never_returns(call: Node) -> bool:
    """Whether a call is known by its name to end what calls it."""
    function = call.child_by_field_name("function")
    text = b"" if function is None else function.text or b""
    return len(text) < LONGEST_CALLEE and _LEAVES.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Edge:
    """`test`: the expression whose truth (of a loop: whether there is anything to run over) decides for this way."""

    to: int
    test: Node | None = None
    holds: bool = True


@dataclass(slots=True)
class Step:
    """`spans`: the bytes that run. `raised`: the steps that go on when it fails. `drops`: the name of an
    `except ... as name`, which is gone behind its handler."""

    node: Node | None
    spans: tuple[tuple[int, int], ...]
    after: list[Edge] = field(default_factory=list[Edge])
    raised: list[int] = field(default_factory=list[int])
    drops: bytes | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """The steps of one function's or module's code; the first is where it begins. `returns`: the steps that return;
    `falls`: those behind which the code is at its end."""

    steps: tuple[Step, ...]
    returns: tuple[int, ...]
    falls: tuple[int, ...]
    _starts: tuple[int, ...]
    _at: tuple[tuple[int, tuple[int, ...]], ...]

    def at(self, offset: int) -> tuple[int, ...]:
        """The steps that an offset belongs to: several in a `finally`, none inside another function."""
        found = bisect_right(self._starts, offset) - 1
        if found < 0 or offset >= self._at[found][0]:
            return ()
        return self._at[found][1]

    def first_in(self, node: Node) -> tuple[int, ...]:
        """The steps with which a statement begins."""
        found = bisect_left(self._starts, node.start_byte)
        return self._at[found][1] if found < len(self._at) and self._starts[found] < node.end_byte else ()

    def reachable(self, start: Iterable[int] = (0,), blocked: frozenset[int] = frozenset()) -> set[int]:
        """The steps that can run when these do, themselves included. No way leads on from a `blocked` one."""
        waiting = list(start)
        seen = set(waiting)
        while waiting:
            at = waiting.pop()
            if at in blocked:
                continue
            step = self.steps[at]
            for to in (*(edge.to for edge in step.after), *step.raised):
                if to not in seen:
                    seen.add(to)
                    waiting.append(to)
        return seen


def flow_of(body: Node, *, ends: Ends = never_returns, trusting: bool = False) -> Flow:
    """The ways through a function's block or a module.

    Where nobody can tell which way is taken, all are there. `trusting` leaves out those that the author seems not to
    mean: past `if True`, past a `match` whose cases look complete.
    """
    builder = _Builder(ends, trusting)
    start = builder.add(None, (), [])
    falls = builder.block(body, [(start, None, True)], 0)
    at: dict[tuple[int, int], list[int]] = {}
    for index, step in enumerate(builder.steps):
        for span in step.spans:
            if span[1] > span[0]:
                at.setdefault(span, []).append(index)
    spans = sorted(at)
    return Flow(
        tuple(builder.steps),
        tuple(builder.returns),
        tuple(index for index, _, _ in falls),
        tuple(start for start, _ in spans),
        tuple((span[1], tuple(at[span])) for span in spans),
    )


Loose = list[tuple[int, Node | None, bool]]
"""Edges that lead nowhere yet: (from, test, holds)."""


@dataclass(slots=True)
class _Frame:
    """What stands around the statement at hand: a loop (`is_loop`), a `finally` (`is_finally`), or what catches."""

    is_loop: bool = False
    is_finally: bool = False
    catches_all: bool = False
    raising: list[int] = field(default_factory=list[int])
    jumps: dict[str, Loose] = field(default_factory=dict[str, Loose])


class _Builder:
    def __init__(self, ends: Ends, trusting: bool) -> None:
        self.ends = ends
        self.trusting = trusting
        self.steps: list[Step] = []
        self.returns: list[int] = []
        self.frames: list[_Frame] = []

    def add(self, node: Node | None, spans: Sequence[tuple[int, int]], entries: Loose, *, fails: bool = True) -> int:
        index = len(self.steps)
        self.steps.append(Step(node, tuple(spans)))
        self.join(entries, index)
        for frame in reversed(self.frames) if fails and node is not None else ():
            if frame.is_loop:
                continue
            frame.raising.append(index)
            if frame.is_finally or frame.catches_all:
                break
        return index

    def join(self, entries: Loose, to: int) -> None:
        for index, test, holds in entries:
            self.steps[index].after.append(Edge(to, test, holds))

    def simple(self, node: Node, entries: Loose, *, fails: bool = True) -> Loose:
        return [(self.add(node, [node.byte_range], entries, fails=fails), None, True)]

    def jump(self, kind: str, entries: Loose) -> None:
        """Leave: `return`, `break` or `continue`, by way of the `finally`s on it."""
        for frame in reversed(self.frames):
            if frame.is_finally or (frame.is_loop and kind != "return"):
                frame.jumps.setdefault(kind, []).extend(entries)
                return
        if kind == "return":
            self.returns.extend(index for index, _, _ in entries)

    # --- statements -----------------------------------------------------------------------------------

    def block(self, node: Node, entries: Loose, depth: int) -> Loose:
        for statement in node.named_children:
            if statement.type != "comment":
                entries = self.statement(statement, entries, depth)
        return entries

    def statement(self, node: Node, entries: Loose, depth: int) -> Loose:
        handler = _HANDLERS.get(node.type) if depth < _DEPTH else None
        if handler is not None:
            return handler(self, node, entries, depth + 1)
        return self.simple(node, entries, fails=_may_fail(node))

    def expression(self, node: Node, entries: Loose, depth: int) -> Loose:
        found = self.simple(node, entries, fails=_may_fail(node))
        inner = first(node)
        if inner is not None and inner.type == "await":
            inner = first(inner)
        return [] if inner is not None and inner.type == "call" and self.ends(inner) else found

    def leave(self, node: Node, entries: Loose, depth: int) -> Loose:
        kind = node.type.removesuffix("_statement")
        found = self.simple(node, entries, fails=_may_fail(node))
        if kind != "raise":
            self.jump(kind, found)
        return []

    def assertion(self, node: Node, entries: Loose, depth: int) -> Loose:
        (found,) = self.simple(node, entries)
        test = first(node)
        return [] if test is None or truth(test) is False else [(found[0], test, True)]

    def branches(self, node: Node, entries: Loose, depth: int) -> Loose:
        exits: Loose = []
        for part in (node, *node.children_by_field_name("alternative")):
            if part.type == "else_clause":
                return exits + self.inside(part, entries, depth)
            test, body = part.child_by_field_name("condition"), part.child_by_field_name("consequence")
            if test is None or body is None:
                continue
            step = self.add(part, [test.byte_range], entries)
            known = truth(test) if self.trusting else None
            exits += self.block(body, [] if known is False else [(step, test, True)], depth)
            entries = [] if known is True else [(step, test, False)]
        return exits + entries

    def inside(self, clause: Node | None, entries: Loose, depth: int) -> Loose:
        """The block of an `else`, `finally` or handler; nothing changes where there is none."""
        if clause is None:
            return entries
        for child in clause.named_children:
            if child.type == "block":
                return self.block(child, entries, depth)
        return entries

    def loop(self, node: Node, entries: Loose, depth: int) -> Loose:
        body = node.child_by_field_name("body")
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        test = node.child_by_field_name("condition")
        frame = _Frame(is_loop=True)
        if test is not None:
            head = self.add(node, [test.byte_range], entries)
            known = truth(test)
            into: Loose = [] if known is False and self.trusting else [(head, test, True)]
            past: Loose = [] if known is True else [(head, test, False)]
            again = head
        elif left is not None and right is not None:
            head = self.add(node, [right.byte_range], entries)
            again = self.add(node, [left.byte_range], [(head, right, True)])
            into, past = [(again, None, True)], [(head, right, False)]
            if self.trusting and _runs_once(right):
                past = []
        else:
            return self.simple(node, entries)
        self.frames.append(frame)
        ended = self.block(body, into, depth) if body is not None else into
        self.frames.pop()
        ended += frame.jumps.get("continue", [])
        if test is not None:
            self.join(ended, again)
        elif ended:
            turn = self.add(None, (), ended)
            self.join([(turn, None, True)], again)
            past.append((turn, None, True))
        clause = node.child_by_field_name("alternative")
        return self.inside(clause, past, depth) + frame.jumps.get("break", [])

    def guarded(self, node: Node, entries: Loose, depth: int) -> Loose:
        handlers = [part for part in node.named_children if part.type in ("except_clause", "except_group_clause")]
        last = next((part for part in node.named_children if part.type == "finally_clause"), None)
        other = next((part for part in node.named_children if part.type == "else_clause"), None)
        body = node.child_by_field_name("body")
        cleaning, catching = _Frame(is_finally=True), _Frame(catches_all=any(map(_catches_all, handlers)))
        if last is not None:
            self.frames.append(cleaning)
        begin = len(self.steps)
        if handlers:
            self.frames.append(catching)
        exits = self.block(body, entries, depth) if body is not None else entries
        if handlers:
            self.frames.pop()
        exits = self.inside(other, exits, depth)
        if handlers:
            # Interrupts come anywhere.
            caught = self.catch(catching.raising or ([begin] if begin < len(self.steps) else []))
            for handler in handlers:
                exits = exits + self.handler(handler, [(caught, None, True)], depth)
        if last is None:
            return exits
        self.frames.pop()
        if cleaning.raising:
            failed = self.inside(last, [(self.catch(cleaning.raising), None, True)], depth)
            if failed:
                self.add(last, (), failed)  # and on it goes to who catches it further out
        for kind, jumps in cleaning.jumps.items():
            self.jump(kind, self.inside(last, jumps, depth))
        return self.inside(last, exits, depth) if exits else []

    def catch(self, raising: list[int]) -> int:
        caught = self.add(None, (), [])
        for index in raising:
            self.steps[index].raised.append(caught)
        return caught

    def handler(self, node: Node, entries: Loose, depth: int) -> Loose:
        block = next((part for part in node.named_children if part.type == "block"), None)
        end = node.end_byte if block is None else block.start_byte
        found = self.add(node, [(node.start_byte, end)], entries)
        exits = self.inside(node, [(found, None, True)], depth)
        value = node.child_by_field_name("value")
        alias = value.child_by_field_name("alias") if value is not None else None
        if alias is None or not exits:
            return exits
        dropped = self.add(None, (), exits)
        self.steps[dropped].drops = alias.text
        return [(dropped, None, True)]

    def managed(self, node: Node, entries: Loose, depth: int) -> Loose:
        clause = next((part for part in node.named_children if part.type == "with_clause"), None)
        body = node.child_by_field_name("body")
        if clause is None or body is None:
            return self.simple(node, entries)
        swallowing = _Frame(catches_all=True)
        swallows = not self.trusting  # any manager may
        for item in clause.named_children:
            if item.type == "with_item":
                entries = self.simple(item, entries)
                swallows = swallows or _swallows(item)
        if not swallows:
            return self.block(body, entries, depth)
        self.frames.append(swallowing)
        exits = self.block(body, entries, depth)
        self.frames.pop()
        return [*exits, (self.catch(swallowing.raising), None, True)] if swallowing.raising else exits

    def match(self, node: Node, entries: Loose, depth: int) -> Loose:
        subjects, body = node.children_by_field_name("subject"), node.child_by_field_name("body")
        if body is None:
            return self.simple(node, entries)
        entries = [(self.add(node, [part.byte_range for part in subjects], entries), None, True)]
        exits: Loose = []
        cases = [part for part in body.named_children if part.type == "case_clause"]
        for case in cases:
            patterns = [part for part in case.named_children if part.type == "case_pattern"]
            step = self.add(case, [part.byte_range for part in patterns], entries)
            guard, consequence = case.child_by_field_name("guard"), case.child_by_field_name("consequence")
            passed: Loose = [(step, None, True)]
            entries = [] if len(patterns) == 1 and _is_irrefutable(patterns[0]) else [(step, None, True)]
            if guard is not None:
                test = first(guard)
                tested = self.add(case, [guard.byte_range], passed)
                passed = [(tested, test, True)]
                entries = [(step, None, True), (tested, test, False)]
            exits += self.block(consequence, passed, depth) if consequence is not None else passed
        return exits if self.trusting and len(cases) > 1 else exits + entries

    def definition(self, node: Node, entries: Loose, depth: int) -> Loose:
        inner = node.child_by_field_name("definition") if node.type == "decorated_definition" else node
        name = inner.child_by_field_name("name") if inner is not None else None
        body = inner.child_by_field_name("body") if inner is not None else None
        if inner is None or name is None or body is None:
            return self.simple(node, entries)
        if inner.type == "function_definition":
            fails = inner is not node or _has_defaults(inner)
            return [(self.add(node, [(node.start_byte, body.start_byte)], entries, fails=fails), None, True)]
        # The body of a class runs at once, and then its name is bound.
        spans = [(node.start_byte, name.start_byte), (name.end_byte, body.start_byte)]
        step = self.add(node, spans, entries)
        exits = self.block(body, [(step, None, True)], depth)
        return [(self.add(node, [name.byte_range], exits), None, True)]


_HANDLERS: dict[str, Callable[[_Builder, Node, Loose, int], Loose]] = {
    "expression_statement": _Builder.expression,
    "return_statement": _Builder.leave,
    "raise_statement": _Builder.leave,
    "break_statement": _Builder.leave,
    "continue_statement": _Builder.leave,
    "assert_statement": _Builder.assertion,
    "if_statement": _Builder.branches,
    "while_statement": _Builder.loop,
    "for_statement": _Builder.loop,
    "try_statement": _Builder.guarded,
    "with_statement": _Builder.managed,
    "match_statement": _Builder.match,
    **dict.fromkeys(_DEFINITIONS, _Builder.definition),
}


def truth(node: Node) -> bool | None:
    """What a constant expression is as a test; None for what is none."""
    kind = node.type
    if kind in ("true", "false", "none"):
        return kind == "true"
    if kind == "integer":
        return (node.text or b"").strip(b"0_xXoObB") != b""
    if kind in ("parenthesized_expression", "not_operator"):
        inner = first(node)
        found = None if inner is None else truth(inner)
        return not found if kind == "not_operator" and found is not None else found
    return None


def _may_fail(node: Node) -> bool:
    """Whether a statement can raise anything: not one that only binds literals to names."""
    if node.type in _HARMLESS:
        return False
    if node.type == "return_statement" or node.type == "expression_statement":
        return any(_may_fail(child) for child in node.named_children)
    if node.type == "assignment":
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        return left is None or left.type != "identifier" or (right is not None and _may_fail(right))
    if node.type in _DISPLAYS:
        return any(_may_fail(child) for child in node.named_children)
    if node.type == "string":
        return any(child.type == "interpolation" for child in node.named_children)
    return node.type not in _LITERALS


def _swallows(item: Node) -> bool:
    """Whether the name of a context manager says that it lets exceptions pass: `suppress(...)`, `raises(...)`."""
    value = item.child_by_field_name("value")
    while value is not None and value.type in ("as_pattern", "await"):
        value = first(value)
    called = value.child_by_field_name("function") if value is not None and value.type == "call" else value
    name = b"" if called is None else (called.text or b"").rpartition(b".")[2]
    return len(name) < LONGEST_CALLEE and _SWALLOWS.fullmatch(name) is not None


def _catches_all(handler: Node) -> bool:
    value = handler.child_by_field_name("value")
    return value is None or _CATCHES_ALL.search(value.text or b"") is not None


def _is_irrefutable(pattern: Node) -> bool:
    """`_`, a name, or one of these in parentheses or behind a `|`."""
    inner = first(pattern)
    if inner is None:
        return (pattern.text or b"").strip() == b"_"
    if inner.type in ("case_pattern", "as_pattern", "tuple_pattern"):
        return inner.type != "tuple_pattern" and _is_irrefutable(inner)
    if inner.type == "union_pattern":
        return (inner.text or b"").rstrip().endswith((b"| _", b"|_"))
    return inner.type == "dotted_name" and inner.named_child_count == 1


def _runs_once(node: Node) -> bool:
    """Whether a loop over it runs at least once: a display with something in it, a range of a number."""
    if node.type in ("list", "tuple", "set", "expression_list"):
        return any(child.type not in ("comment", "list_splat") for child in node.named_children)
    if node.type != "call":
        return False
    return (
        re.fullmatch(
            rb"range\((?:0\s*,\s*)?(?:[1-9][0-9_]*|0[xX][0-9A-Fa-f]*[1-9A-Fa-f][0-9A-Fa-f]*)\)|(?:itertools\.)?count\([^()]*\)",
            node.text or b"",
        )
        is not None
    )


def _has_defaults(function: Node) -> bool:
    parameters = function.child_by_field_name("parameters")
    kinds = () if parameters is None else (child.type for child in parameters.named_children)
    return any(kind in ("default_parameter", "typed_default_parameter") for kind in kinds)
