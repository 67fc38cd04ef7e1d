"""Names that are read before anything is bound to them: on every way, or on some."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tree_sitter import Node

from engram_context.checks.assumptions import Facts, Test, assume, bind, names_in, subject, subjects, test_of
from engram_context.checks.check import Check, Code
from engram_context.checks.flow import LONGEST_CALLEE, Edge, Ends, Flow, flow_of, never_returns
from engram_context.checks.noreturn import is_without_return
from engram_context.checks.subject import Found, Subject
from engram_context.checks.usage import Binding
from engram_context.edits import Edit, newline_of, project_edit
from engram_context.findings import Finding, Fix
from engram_context.outside.environment import BUILTIN_NAMES
from engram_context.records import AUGMENTED, CONDITIONAL, KIND, NO_REF, ROLE, SCOPE_KIND, WALRUS
from engram_context.text import Location, Span

_MODULE, _FUNCTION, _CLASS = SCOPE_KIND["module"], SCOPE_KIND["function"], SCOPE_KIND["class"]
_COMPREHENSION = SCOPE_KIND["comprehension"]
_PARAMETER, _VARIABLE, _CONSTANT = KIND["parameter"], KIND["variable"], KIND["constant"]
_DELETE = ROLE["delete"]
_ERRORS = (b"NameError", b"UnboundLocalError")
_READS_EVERYTHING = re.compile(rb"\b(?:locals|globals|vars|exec|eval)\(")
# What the name of a function that is only called to leave may say.
_LEAVES = re.compile(
    rb"(?i)(?:\w+\.)*(?!\w*_(?:for|if|on|when|unless)_)_*(?:\w*_)?(?:fail\w*|abort\w*|die|exit\w*|errors?|fatal|usage|"
    rb"bail\w*|throw\w*|panic|quit|halt|raise\w*|reject|unreachable)(?:_\w+)?|"
    rb"\w*(?:Fail|Abort|Exit|Raise|Throw|Quit)(?:[A-Z]\w*)?"
)
_LOGS = re.compile(rb"(?i)(?:\w+\.)*\w*(?:log|logger|logging|warnings?|messages?|console|print\w*)\.\w+")
_MOST_STATES = 1000
_MOST_SEARCHES = 6
_MOST_ROUNDS = 4
_KINDS = {
    "for_statement": "a loop that may not run",
    "while_statement": "a loop that may not run",
    "try_statement": "a try that may fail",
    "match_statement": "some cases of a match",
    "with_statement": "a with that may swallow an exception",
}


def unbound(subject: Subject) -> Found:
    if subject.path.endswith(".pyi"):
        return
    by_scope: dict[int, list[Binding]] = {}
    for binding in _candidates(subject):
        by_scope.setdefault(binding[0], []).append(binding)
    for scope, bindings in by_scope.items():
        code = _Code.of(subject, scope)
        if code is not None:
            for binding in bindings:
                yield from _of_binding(code, binding)


def _candidates(subject: Subject) -> Iterator[Binding]:
    """Names that are not plainly bound before they are read. All that is asked are columns."""
    record, usage = subject.record, subject.usage
    symbols, occurrences, kinds = record.symbols, record.occurrences, record.scopes.kind
    starred = any(imported.name == "*" for imported in record.imports)
    for binding, rows in usage.symbols.items():
        scope = binding[0]
        kind = kinds[scope]
        if (kind != _FUNCTION and kind != _MODULE) or binding in usage.declared:
            continue
        uses = usage.uses.get(binding)
        if not uses:
            continue
        first = min((symbols.body_end[row] for row in rows if _is_plain(subject, row)), default=-1)
        uses = [use for use in uses if _runs_in(subject, use, scope)]
        if first >= 0 and not any(occurrences.start[use] < first or occurrences.role[use] == _DELETE for use in uses):
            continue
        name = record.names[binding[1]]
        if uses and not (scope == 0 and (starred or name in BUILTIN_NAMES or name.startswith("__"))):
            yield binding


def _is_plain(subject: Subject, row: int) -> bool:
    """Whether a symbol binds whenever its scope runs."""
    symbols = subject.record.symbols
    if symbols.kind[row] == _PARAMETER:
        return True
    is_declared = symbols.annotation[row] != NO_REF and symbols.value[row] == NO_REF
    return not symbols.flags[row] & (CONDITIONAL | AUGMENTED) and not is_declared


def _runs_in(subject: Subject, occurrence: int, scope: int) -> bool:
    """Whether an occurrence runs when the code of a scope does, and not when a function in it is called."""
    scopes = subject.record.scopes
    at = subject.record.occurrences.scope[occurrence]
    while at != scope and at > 0 and scopes.kind[at] in (_COMPREHENSION, _CLASS):
        at = scopes.parent[at]
    return at == scope


@dataclass(frozen=True)
class _Code:
    """One function or module, and the ways through it."""

    subject: Subject
    scope: int
    body: Node
    _tests: dict[int, Test] = field(default_factory=dict[int, Test])

    @staticmethod
    def of(subject: Subject, scope: int) -> _Code | None:
        record = subject.record
        if scope == 0:
            if _READS_EVERYTHING.search(subject.text.data):
                return None
            return _Code(subject, scope, subject.surroundings.tree.root_node)
        symbol = record.scopes.symbol[scope]
        definition = subject.surroundings.node(record.symbols.span(symbol)).parent if symbol >= 0 else None
        body = definition.child_by_field_name("body") if definition is not None else None
        if definition is None or body is None or definition.type != "function_definition":
            return None
        return _Code(subject, scope, body)

    @cached_property
    def whole(self) -> Flow:
        """Every way that there may be."""
        return flow_of(self.body)

    @cached_property
    def reachable(self) -> set[int]:
        return self.whole.reachable()

    @cached_property
    def meant(self) -> Flow:
        """The ways that the author seems to mean."""
        return flow_of(self.body, ends=_seems_to_leave, trusting=True)

    def test(self, node: Node) -> Test:
        if node.id not in self._tests:
            self._tests[node.id] = test_of(node)
        return self._tests[node.id]

    def names_bound(self, flow: Flow) -> dict[int, set[bytes]]:
        """The names of this scope that each step binds."""
        symbols = self.subject.record.symbols
        found: dict[int, set[bytes]] = {}
        for row in self.subject.record.symbols_in(self.scope):
            for at in flow.at(symbols.start[row]):
                found.setdefault(at, set()).add(symbols.names[symbols.name[row]].encode())
        return found


@dataclass(frozen=True, slots=True)
class _Marks:
    """Where in a flow a name is bound, read (the first occurrence that sees what was bound before), and gone."""

    binds: frozenset[int]
    reads: dict[int, int]
    drops: frozenset[int]


def _of_binding(code: _Code, binding: Binding) -> Found:
    subject = code.subject
    record = subject.record
    name = record.names[binding[1]]
    read = _witness(code, binding)
    if read is None or _is_expected(subject, read) or _is_asked_for(code, name):
        return
    marks = _marks(code, code.whole, binding)
    is_deleted = marks is not None and not marks.drops <= set(code.whole.at(record.occurrences.start[read]))
    span = record.occurrences.span(read)
    what = "name" if code.scope == 0 else "local variable"
    rows = subject.usage.symbols[binding]
    related = tuple(
        (Location(subject.path, record.symbols.span(row)), f"'{name}' is bound here")
        for row in rows[:3]
        if record.symbols.start[row] != span.start
    )
    if marks is not None and _is_sure(code, binding, marks, read):
        message = f"{what} '{name}' is read before anything is bound to it"
        yield Finding("unbound-name", "error", span, message, related), span
        return
    around = _compound(code, record.symbols.span(rows[0]))
    where = _KINDS.get(around.type, "a branch") if around is not None else "a branch"
    message = f"{what} '{name}' may be unbound here: it is bound in {where}"
    if is_deleted:
        message = f"{what} '{name}' may be unbound here: it is deleted before"
    fixes = () if around is None else tuple(_first_bound_to_none(code, binding, around))
    yield Finding("possibly-unbound", "hint", span, message, related, fixes, confidence=0.5), span


def _is_sure(code: _Code, binding: Binding, marks: _Marks, read: int) -> bool:
    """Whether no way at all leads from a binding to a read."""
    starts = marks.binds | ({0} if _is_parameter(code.subject, binding) else set())
    steps = [code.whole.steps[at] for at in starts]
    after = {to for step in steps for to in (*(edge.to for edge in step.after), *step.raised)}
    bound = code.whole.reachable(after, marks.drops)
    reached = {at for at in code.whole.at(code.subject.record.occurrences.start[read]) if at in code.reachable}
    return bool(reached) and reached.isdisjoint(bound)


def _is_parameter(subject: Subject, binding: Binding) -> bool:
    return any(subject.record.symbols.kind[row] == _PARAMETER for row in subject.usage.symbols[binding])


def _marks(code: _Code, flow: Flow, binding: Binding) -> _Marks | None:
    """None where something binds the name that this flow knows nothing of."""
    subject = code.subject
    record = subject.record
    symbols, occurrences = record.symbols, record.occurrences
    name = record.names[binding[1]].encode()
    binds: set[int] = set()
    inside: set[int] = set()
    for row in subject.usage.symbols[binding]:
        if symbols.kind[row] == _PARAMETER:
            continue
        steps = flow.at(symbols.start[row])
        if not steps:
            return None
        if _is_only_declared(subject, row):
            continue
        binds.update(steps)
        if symbols.flags[row] & WALRUS:
            inside.update(steps)
    bounds = [symbols.start[row] for row in subject.usage.symbols[binding]]
    reads: dict[int, int] = {}
    drops = {at for at, step in enumerate(flow.steps) if step.drops == name}
    for use in subject.usage.uses.get(binding, ()):
        if not _runs_in(subject, use, code.scope):
            continue
        start = occurrences.start[use]
        steps = frozenset(flow.at(start))
        if occurrences.role[use] == _DELETE:
            drops.update(steps)
        if not _is_evaluated(subject, Span(start, start + 1)):
            continue
        if any(not steps.isdisjoint(flow.at(bound)) and _is_target_behind(subject, bound, start) for bound in bounds):
            continue
        for at in steps:
            if at not in inside and (at not in reads or start < occurrences.start[reads[at]]):
                reads[at] = use
    return _Marks(frozenset(binds), reads, frozenset(drops))


def _is_target_behind(subject: Subject, bound: int, read: int) -> bool:
    """Whether a name is read in a target that stands behind the name as a target: `a, a.b = …` binds from the left."""
    if bound >= read:
        return False
    node = subject.surroundings.node(Span(read, read + 1))
    while node.parent is not None and not node.type.endswith(("_statement", "_clause", "_definition")):
        parent = node.parent
        if parent.type == "assignment" and parent.child_by_field_name("left") == node:
            while parent.parent is not None and parent.parent.type == "assignment":
                parent = parent.parent
            return parent.start_byte <= bound
        node = parent
    return False


def _is_only_declared(subject: Subject, row: int) -> bool:
    """`name: type` without a value."""
    symbols = subject.record.symbols
    if symbols.annotation[row] == NO_REF or symbols.value[row] != NO_REF:
        return False
    parent = subject.surroundings.node(symbols.span(row)).parent
    return parent is not None and parent.type == "assignment" and parent.child_by_field_name("right") is None


def _is_evaluated(subject: Subject, span: Span) -> bool:
    """Whether a name is looked up when its code runs: not in an annotation, a string or a lambda."""
    node = subject.surroundings.node(span)
    while node.parent is not None and not node.type.endswith(("_statement", "_clause", "_definition")):
        if node.type in ("type", "string_content", "lambda"):
            return False
        # A call runs through the generator that it is given alone; what is kept runs later.
        if node.type == "generator_expression" and node.parent.type != "call":
            return False
        node = node.parent
    return True


def _is_expected(subject: Subject, read: int) -> bool:
    span = subject.record.occurrences.span(read)
    around = subject.surroundings
    return around.handles(span, *_ERRORS) or around.depends_on_platform(span)


def _is_asked_for(code: _Code, name: str) -> bool:
    """Whether a function asks `locals()` for a name."""
    text = code.body.text or b""
    return (
        _READS_EVERYTHING.search(text) is not None and re.search(rb"""["']%s["']""" % name.encode(), text) is not None
    )


# --- a way without a binding --------------------------------------------------------------------------


def _witness(code: _Code, binding: Binding) -> int | None:
    """The first read that some way reaches on which nothing was bound, calls that never return taken into account."""
    flow = code.meant
    ending: set[int] = set()
    for _ in range(_MOST_ROUNDS):
        marks = _marks(code, flow, binding)
        if marks is None:
            return None
        found = _Search(code, flow, marks, _is_parameter(code.subject, binding)).run()
        if found is None:
            return None
        read, way = found
        calls = [
            call for at in way if (call := _call(flow.steps[at].node)) is not None and call.start_byte not in ending
        ]
        more = {call.start_byte for call in calls if is_without_return(code.subject, call)} - ending
        if not more:
            return read
        ending |= more
        flow = flow_of(code.body, ends=_leaving(frozenset(ending)), trusting=True)
    return None


def _leaving(known: frozenset[int]) -> Ends:
    """`known`: where calls begin that never return."""
    return lambda call: call.start_byte in known or _seems_to_leave(call)


def _call(node: Node | None) -> Node | None:
    """The call that a statement is."""
    inner = node.named_children[0] if node is not None and node.type == "expression_statement" else None
    return inner if inner is not None and inner.type == "call" else None


def _seems_to_leave(call: Node) -> bool:
    """Whether a call is known to leave, or ends its block and is named as if it did."""
    if never_returns(call):
        return True
    statement = call.parent
    if statement is None or statement.next_named_sibling is not None:
        return False
    function = call.child_by_field_name("function")
    text = b"" if function is None else function.text or b""
    return len(text) < LONGEST_CALLEE and _LEAVES.fullmatch(text) is not None and _LOGS.fullmatch(text) is None


State = tuple[int, bool, frozenset[tuple[bytes, bool]]]
"""A step about to run, whether the name is bound, and what is known of tests."""
Way = list[tuple[int, Edge | None]]
"""Steps, each with the edge by which it is reached; None from one that failed."""


class _Search:
    """The ways from the beginning on which a name is unbound.

    What tests say is kept only where a way turned out to contradict itself: most names need none of it.
    """

    def __init__(self, code: _Code, flow: Flow, marks: _Marks, is_bound: bool) -> None:
        self.code = code
        self.flow = flow
        self.marks = marks
        self.is_bound = is_bound
        self.caught = frozenset(step.drops for step in flow.steps if step.drops is not None)
        self.kept: set[bytes] = set()
        self.effects: dict[int, tuple[frozenset[bytes], tuple[tuple[bytes, Node], ...]]] = {}

    def run(self) -> tuple[int, list[int]] | None:
        """(a read, the way to it)."""
        if not self._may_be_read():
            return None
        for _ in range(_MOST_SEARCHES):
            found = self._search()
            if found is None:
                return None
            read, way = found
            doubted = self._contradiction(read, way)
            if doubted is None:
                return read, [at for at, _ in way]
            if doubted <= self.kept:
                return None
            self.kept |= doubted
        return None

    def _may_be_read(self) -> bool:
        """Whether any way leads to a read, whatever its tests say. Most names are done with here."""
        steps, marks = self.flow.steps, self.marks
        waiting = [edge.to for at in marks.drops for edge in steps[at].after]
        if not self.is_bound:
            waiting.append(0)
        seen = set(waiting)
        while waiting:
            at = waiting.pop()
            if at in marks.reads:
                return True
            step = steps[at]
            nexts = step.raised if at in marks.binds else [*step.raised, *(edge.to for edge in step.after)]
            for to in nexts:
                if to not in seen:
                    seen.add(to)
                    waiting.append(to)
        return False

    def _search(self) -> tuple[int, Way] | None:
        known: frozenset[tuple[bytes, bool]] = frozenset()
        start: State = (0, self.is_bound, known)
        before: dict[State, tuple[State, Edge | None] | None] = {start: None}
        waiting: deque[State] = deque([start])
        while waiting:
            state = waiting.popleft()
            at, is_bound, known = state
            step = self.flow.steps[at]
            read = self.marks.reads.get(at)
            if read is not None and not is_bound and self._is_read(read, step.node, dict(known)):
                return read, _way(before, state)
            nexts: list[tuple[State, Edge | None]] = [((to, is_bound, known), None) for to in step.raised]
            if read is None or is_bound:
                is_bound = (is_bound or at in self.marks.binds) and at not in self.marks.drops
                if not is_bound or self.marks.drops:
                    facts = dict(known)
                    self._run(at, facts, self.kept)
                    for edge in step.after:
                        after = self._over(at, edge, facts, self.kept)
                        if after is not None:
                            nexts.append(((edge.to, is_bound, frozenset(after.items())), edge))
            for next_, edge in nexts:
                if next_ not in before:
                    before[next_] = state, edge
                    waiting.append(next_)
            if len(before) > _MOST_STATES:
                return None
        return None

    def _contradiction(self, read: int, way: Way) -> frozenset[bytes] | None:
        """What the tests on a way ask about where they contradict each other; None where they agree."""
        facts: Facts = {}
        for index, (at, _) in enumerate(way):
            if index + 1 == len(way):
                break
            edge = way[index + 1][1]
            if edge is None:
                continue
            self._run(at, facts, None)
            after = self._over(at, edge, facts, None)
            if after is None:
                return frozenset() if edge.test is None else frozenset(subjects(self.code.test(edge.test)))
            facts = after
        if self._is_read(read, self.flow.steps[way[-1][0]].node, facts):
            return None
        return frozenset(subject(key) for key in facts)

    def _over(self, at: int, edge: Edge, facts: Facts, kept: set[bytes] | None) -> Facts | None:
        """What is known behind an edge; None where it is not taken."""
        after = dict(facts)
        if edge.to <= at:  # a loop's test may be told something else the next time
            tests = [again.test for again in self.flow.steps[edge.to].after if again.test is not None]
            asked = {key for test in tests for key in subjects(self.code.test(test))}
            after = {key: holds for key, holds in facts.items() if subject(key) not in asked}
        if edge.test is not None and not assume(self.code.test(edge.test), edge.holds, after, kept):
            return None
        return after

    def _run(self, at: int, facts: Facts, kept: set[bytes] | None) -> None:
        """What is known behind a step."""
        if not facts and kept is not None and not kept:
            return
        if at not in self.effects:
            self.effects[at] = self._effects(at)
        changed, constants = self.effects[at]
        if changed:
            for key in [key for key in facts if not changed.isdisjoint(names_in(key)) or subject(key) in changed]:
                del facts[key]
        for target, value in constants:
            if value.type == "identifier" and value.text in self.caught:
                if kept is None or target in kept:
                    facts[target] = True  # an exception is, so it is not None either
            else:
                bind(facts, target, value, kept)

    @cached_property
    def bound(self) -> dict[int, set[bytes]]:
        return self.code.names_bound(self.flow)

    def _effects(self, at: int) -> tuple[frozenset[bytes], tuple[tuple[bytes, Node], ...]]:
        step = self.flow.steps[at]
        assigned = tuple(_assigned(step.node))
        changed = {*self.bound.get(at, ()), *(target for target, _ in assigned)}
        if step.drops is not None:
            changed.add(step.drops)
        return frozenset(changed), tuple((target, value) for target, value in assigned if value is not None)

    def _is_read(self, read: int, node: Node | None, facts: Facts) -> bool:
        """Whether the parts of an expression around a read let it be reached: `flag and name`."""
        if not facts:
            return True
        span = self.code.subject.record.occurrences.span(read)
        child = self.code.subject.surroundings.node(span)
        while (parent := child.parent) is not None and node is not None and child.id != node.id:
            test, holds = None, True
            if parent.type == "boolean_operator" and parent.child_by_field_name("right") == child:
                test = parent.child_by_field_name("left")
                operator = parent.child_by_field_name("operator")
                holds = operator is not None and operator.type == "and"
            elif parent.type == "conditional_expression":
                parts = [part for part in parent.named_children if part.type != "comment"]
                if len(parts) == 3 and child in (parts[0], parts[2]):
                    test, holds = parts[1], child == parts[0]
            if test is not None and not assume(self.code.test(test), holds, facts, None):
                return False
            child = parent
        return True


def _way(before: dict[State, tuple[State, Edge | None] | None], last: State) -> Way:
    way: Way = []
    state: State | None = last
    while state is not None:
        come = before[state]
        way.append((state[0], come[1] if come is not None else None))
        state = come[0] if come is not None else None
    return way[::-1]


def _assigned(node: Node | None) -> Iterator[tuple[bytes, Node | None]]:
    """(target, value) of the assignments that a statement is."""
    inner = node.named_children[0] if node is not None and node.type == "expression_statement" else None
    while inner is not None and inner.type in ("assignment", "augmented_assignment"):
        left, right = inner.child_by_field_name("left"), inner.child_by_field_name("right")
        value = right
        while value is not None and value.type == "assignment":
            value = value.child_by_field_name("right")
        if left is not None and left.type in ("identifier", "attribute"):
            yield left.text or b"", None if inner.type == "augmented_assignment" else value
        elif left is not None and inner.type == "assignment":
            yield from _unpacked(left, value)
        inner = right


def _unpacked(left: Node, value: Node | None) -> Iterator[tuple[bytes, Node | None]]:
    targets = left.named_children
    values = value.named_children if value is not None and value.type in ("expression_list", "tuple") else []
    for at, target in enumerate(targets):
        if target.type in ("identifier", "attribute"):
            yield target.text or b"", values[at] if len(values) == len(targets) else None


# --- what to say of it --------------------------------------------------------------------------------


def _compound(code: _Code, span: Span) -> Node | None:
    """The outermost statement around a binding."""
    found, node = None, code.subject.surroundings.node(span)
    while node.parent is not None and node.id != code.body.id:
        found, node = node, node.parent
    return found if node.id == code.body.id else None


def _first_bound_to_none(code: _Code, binding: Binding, statement: Node) -> Iterator[Fix]:
    """Bind a variable to None before the statement that may bind it."""
    subject = code.subject
    symbols = subject.record.symbols
    rows = subject.usage.symbols[binding]
    if any(symbols.kind[row] not in (_VARIABLE, _CONSTANT) for row in rows):
        return
    text, name = subject.text, subject.record.names[binding[1]]
    line = text.line_span(text.line_of(statement.start_byte))
    indent = text.data[line.start : statement.start_byte]
    if indent.strip():
        return
    new = f"{indent.decode()}{name} = None{newline_of(text)}"
    edit = project_edit({subject.path: [Edit(Span(line.start, line.start), new)]}, {subject.path: text})
    yield Fix(f"Bind '{name}' to None first", edit)


CHECK = Check(
    unbound,
    (
        Code(
            "unbound-name",
            "error",
            frozenset(("F821", "F823", "E0601", "used-before-assignment", "used-before-def", "reportUnboundVariable")),
            of_types=True,
        ),
        Code(
            "possibly-unbound",
            "hint",
            frozenset(
                (
                    "E0606",
                    "possibly-used-before-assignment",
                    "possibly-undefined",
                    "reportPossiblyUnbound",
                    "reportPossiblyUnboundVariable",
                )
            ),
            of_types=True,
        ),
    ),
)
