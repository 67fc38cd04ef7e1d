"""Where the value that failed came from: backwards from the expression, through names, attributes, arguments and calls.

The walk begins at what the trace marks. A name leads to the assignments that reach it, a parameter to the call in the
frame above, an attribute to the methods that assign it, a call to the functions that it may run; from these on to what
they run themselves. Every step makes it less likely that the fault lies there, and the walk ends after a number of
steps, so that its cost is bounded in any project.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from engram_context.outside.library import is_outside
from engram_context.records import KIND, ROLE, SCOPE_KIND, FileRecord, value_row
from engram_context.resolve import MEMBER_ROLES, Resolver
from engram_context.snapshot import Snapshot
from engram_context.targets import Slot
from engram_context.text import Span
from engram_context.trace.callees import Callees
from engram_context.trace.locating import is_test
from engram_context.trace.repairs.trouble import Trouble
from engram_context.trace.syntax import Syntax
from engram_context.trace.values import LocatedFrame
from engram_context.views.call_hierarchy import Definition

_PARAMETER, _IMPORT = KIND["parameter"], KIND["import"]
_FUNCTION = SCOPE_KIND["function"]
_READS = frozenset({ROLE["read"], ROLE["attribute"]})
_BY_NAME, _BY_ATTRIBUTE, _BY_ARGUMENT, _BY_BODY, _BY_CALL = 0.85, 0.6, 0.8, 0.45, 0.75
"""What a step leaves of the likelihood: to an assignment, an attribute's, the caller's argument, what ran before in the
same test, what a function calls."""
_SHOWN = re.compile(r"<(?:(?:function|bound method) ([\w.]{1,200})|class '([\w.]{1,200})'|([\w.]{1,200}) object at)")
_ID_PART = re.compile(r"[A-Za-z_]\w{2,80}")
_CLASS_NAME = re.compile(r"(?<![^.:])[A-Z]\w{0,200}(?=[.:])")
_STEPS = 4
"""Assignments that are followed one after another."""
_SPANS = 400
_FUNCTIONS, _FEWER = 400, 100
"""Functions whose bodies are looked into for what they call: behind a claim of a test, and where it is known who raised
the error."""
_LEAST = 0.01


@dataclass(frozen=True, slots=True)
class Reach:
    """How a function is reached from the failure. `weight` is 1 for what is called where it failed. `by` is the
    function that calls it, None where the failing code does; `steps` how many calls lie between."""

    weight: float
    words: str
    span: Span
    by: Definition | None = None
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that speaks for one function. `amount` says how much of its kind, 1 for all of it."""

    definition: Definition
    kind: str
    amount: float
    words: str
    spans: tuple[Span, ...] = ()


class Origins:
    """The walk for one trace. `frames` are located, outermost first.

    `reached` is what the value that failed can come from, `ran` what the test ran besides, which may have left behind
    what made it fail.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        resolver: Resolver,
        frames: Sequence[LocatedFrame],
        trouble: Trouble,
        values: Sequence[tuple[str, str]] = (),
        test: str = "",
    ) -> None:
        """`values`: (expression, value) as the trace shows them; `test`: the id of the test that failed."""
        self.snapshot = snapshot
        self.resolver = resolver
        shown = [match for _, value in values for match in _SHOWN.finditer(value[:2000])]
        self.functions = frozenset(match[1] for match in shown if match[1])
        classes = frozenset((match[2] or match[3]).rpartition(".")[2] for match in shown if not match[1])
        # A test's class may be another one than that whose method the frame is in.
        self.test_classes = frozenset(_CLASS_NAME.findall(test))
        self.test = test
        self.callees = Callees(resolver, {*classes, *self.test_classes})
        self.frames = [frame for frame in frames if frame.path is not None]
        self.trouble = trouble
        self.reached: dict[Definition, Reach] = {}
        self.ran: dict[Definition, Reach] = {}
        self._group = self.reached
        self._syntax: dict[str, Syntax | None] = {}
        self._walked: dict[tuple[str, int, int, bool], float] = {}

    @cached_property
    def innermost(self) -> LocatedFrame | None:
        """The innermost frame in a file of the project."""
        return self.frames[-1] if self.frames else None

    def syntax(self, path: str) -> Syntax | None:
        if path not in self._syntax:
            text, record = self.snapshot.text(path), self.callees.record(path)
            self._syntax[path] = Syntax(text) if text is not None and record is not None else None
        return self._syntax[path]

    def statement(self, frame: LocatedFrame) -> Span:
        """The statement of a frame, or its line where nothing more is known."""
        syntax = self.syntax(frame.path or "")
        found = None if syntax is None else syntax.statement(frame.span.start)
        return found or frame.span

    def marked(self, frame: LocatedFrame) -> Span:
        """The expression that a trace marks in a frame's line, else the whole statement."""
        columns = frame.frame.columns
        text = self.snapshot.text(frame.path or "")
        if columns is None or text is None or frame.sureness not in ("exact", "moved"):
            return self.statement(frame)
        code = text.slice(frame.span)
        start, end = (len(code[:column].encode("utf-8", "surrogatepass")) for column in columns)
        return Span(frame.span.start + start, frame.span.start + end) if start < end else self.statement(frame)

    # --- the walk -------------------------------------------------------------------------------------

    def run(self) -> None:
        """Fills `reached` and `ran`."""
        frame = self.innermost
        if frame is None:
            return
        if frame.test:
            self._from_test(frame)
        else:
            self._from_code(frame)
        if frame.test:
            self._group = self.reached
            self._in_id()
        self._shown(0.9 if frame.test else 0.3)
        for group in (self.reached, self.ran):
            self._close(group, _FUNCTIONS if frame.test else _FEWER)

    @cached_property
    def candidates(self) -> frozenset[Definition]:
        """All functions that have to do with the failure, after `run`."""
        framed = {Definition(frame.path or "", frame.function) for frame in self.frames}
        return frozenset({*self.reached, *self.ran, *framed})

    def weight(self, definition: Definition) -> float:
        """How strongly a function is reached either way, 0 to 1."""
        found = [group[definition].weight for group in (self.reached, self.ran) if definition in group]
        return max(found, default=0.0)

    def _shown(self, weight: float) -> None:
        """Functions that the trace shows among the values."""
        for qualified in self.functions:
            name = qualified.rpartition(".")[2]
            for definition in self.callees.named(name) if name.isidentifier() else ():
                self.reach(definition, Reach(weight, "was handed to what failed", Span(0, 0)))

    def _from_test(self, frame: LocatedFrame) -> None:
        """The error is a claim of the test, or came from outside while the test ran."""
        path = frame.path or ""
        whole = self.statement(frame)
        self._note_test_classes()
        self.walk(path, self.marked(frame), 1.0, "run where it failed")
        self.walk(path, whole, 0.95, "gives what is claimed")
        syntax = self.syntax(path)
        if syntax is not None and (body := syntax.body(frame.span.start)) is not None:
            self.walk(path, body, 0.95, "run where it failed")
        self._before(frame, whole, _BY_BODY)
        for outer in reversed(self.frames[:-1]):
            if outer.test:
                self._group = self.reached
                self.walk(outer.path or "", self.statement(outer), 0.8, "run by the test")
                self._before(outer, self.statement(outer), _BY_BODY * 0.8)

    def _note_test_classes(self) -> None:
        """The classes that the test's own class names outside its methods are there: `Cache = SmallCache`."""
        for name in self.test_classes:
            for path in self.snapshot.definers[name][:4]:
                record = self.callees.record(path) if is_test(path) else None
                for row in () if record is None else record.bound(name).get(0, ()):
                    inner = -1 if record is None else record.symbols.inner[row]
                    for member in record.symbols_in(inner) if record is not None and inner >= 0 else ():
                        if record is not None and record.symbols.inner[member] < 0:
                            body = Span(record.symbols.body_start[member], record.symbols.body_end[member])
                            self.callees.note_classes(path, body)

    def _before(self, frame: LocatedFrame, statement: Span, weight: float) -> None:
        """What ran before in the same function may have left the state that made it fail."""
        record = self.callees.record(frame.path or "")
        if record is None or frame.function < 0:
            return
        start = record.symbols.body_start[frame.function]
        self._group = self.ran
        self.walk(frame.path or "", Span(start, statement.start), weight, "run by the test before")

    def _from_code(self, frame: LocatedFrame) -> None:
        path = frame.path or ""
        marked, whole = self.marked(frame), self.statement(frame)
        syntax = self.syntax(path)
        if syntax is not None and syntax.kind(frame.span.start) in ("raise_statement", "assert_statement"):
            for at, condition in enumerate(syntax.conditions(frame.span.start)):
                self.walk(path, condition, 0.9 * 0.8**at, "decides that it is raised")
        self.walk(path, marked, 0.9, "gives a value that failed")
        if whole != marked:
            self.walk(path, whole, 0.4, "run by the statement that failed")
        outer = [one for one in self.frames if one.test]
        if outer:
            last = outer[-1]
            self._group = self.ran
            self.walk(last.path or "", self.statement(last), 1.0, "run by the test")
            self._before(last, self.statement(last), _BY_BODY)

    def walk(self, path: str, span: Span, weight: float, words: str, steps: int = _STEPS) -> None:
        """Takes what a span runs, and follows the names in it."""
        key = (path, span.start, span.end, self._group is self.ran)
        if weight < _LEAST or self._walked.get(key, 0.0) >= weight or len(self._walked) >= _SPANS:
            return
        self._walked[key] = weight
        record = self.callees.record(path)
        if record is None:
            return
        if is_test(path):
            self.callees.note_classes(path, span)
        for use in self.callees.of(path, span):
            self.reach(use.definition, Reach(weight * use.share, words, use.span))
        if steps <= 0:
            return
        occurrences = record.occurrences
        first, end = bisect_left(occurrences.start, span.start), bisect_left(occurrences.start, span.end)
        for index in range(first, end):
            if occurrences.role[index] in _READS:
                self._follow(path, record, index, weight, words, steps)

    def _follow(self, path: str, record: FileRecord, index: int, weight: float, words: str, steps: int) -> None:
        """A name that is read, to where its value comes from."""
        is_member = record.occurrences.role[index] in MEMBER_ROLES
        for target in self.resolver.of_occurrence(path, index):
            if not isinstance(target, Slot) or is_outside(target.path):
                continue
            rows = self.resolver.symbols_of(target)
            home = self.resolver.record(target.path)
            if home is None or not rows:
                continue
            if target.path == path and not is_member and len(rows) > 1:
                rows = self.resolver.types.flow(path, record).reaching(rows, index)
            for row in rows[-8:]:
                if home.symbols.kind[row] == _PARAMETER:
                    self._argument(target.path, home, row, weight * _BY_ARGUMENT, words, steps)
                elif home.symbols.inner[row] < 0 and home.symbols.kind[row] != _IMPORT:
                    share = _BY_ATTRIBUTE if is_member else _BY_NAME
                    body = Span(home.symbols.body_start[row], home.symbols.body_end[row])
                    if is_member:
                        self._assigner(target.path, home, row, weight * share)
                    self.walk(target.path, body, weight * share, words, steps - 1)

    def _assigner(self, path: str, record: FileRecord, row: int, weight: float) -> None:
        """The method that assigns an attribute which is read where it failed."""
        at = record.scope_at(record.symbols.start[row])
        while at > 0 and not (record.scopes.kind[at] == _FUNCTION and record.scopes.symbol[at] >= 0):
            at = record.scopes.parent[at]
        definition = self.callees.definition(path, record.scopes.symbol[at]) if at > 0 else None
        if definition is not None:
            name = record.names[record.symbols.name[row]]
            self.reach(definition, Reach(weight, f"assigns {name}, which is used there", record.symbols.span(row)))

    def _argument(self, path: str, record: FileRecord, row: int, weight: float, words: str, steps: int) -> None:
        """A parameter's value comes from the frame above, a test's from the fixture of its name."""
        scope = record.symbols.scope[row]
        function = record.scopes.symbol[scope]
        name = record.names[record.symbols.name[row]]
        if is_test(path) and name != "self":
            self._given(path, record, function, weight, words, steps)
            for one in self.snapshot.definers[name][:8]:
                home = self.callees.record(one)
                for symbol in () if home is None or not is_test(one) else home.bound(name).get(0, ()):
                    if home is not None and home.symbols.inner[symbol] >= 0:
                        body = Span(home.symbols.body_start[symbol], home.symbols.body_end[symbol])
                        self.walk(one, body, weight, words, steps - 1)
        for at in range(len(self.frames) - 1, 0, -1):
            frame, above = self.frames[at], self.frames[at - 1]
            if frame.path == path and frame.function == function:
                self.walk(above.path or "", self.marked(above), weight * 0.7, "gives an argument", steps - 1)
                return

    def _given(self, path: str, record: FileRecord, function: int, weight: float, words: str, steps: int) -> None:
        """A test's parameter may be one of those that its decorators list."""
        if function < 0:
            return
        start, end = record.symbols.body_start[function], record.symbols.start[function]
        self.walk(path, Span(start, end), weight * 0.5, words, steps - 1)

    def _in_id(self) -> None:
        """The functions and classes that the parameters in a test's id are."""
        for name in set(_ID_PART.findall(self.test.partition("[")[2])):
            for definition in self.callees.named(name):
                if not is_test(definition.path):
                    self.reach(definition, Reach(0.9, "is in the id of the test", Span(0, 0)))

    def reach(self, definition: Definition, reach: Reach) -> None:
        known = self._group.get(definition)
        if known is None or known.weight < reach.weight:
            self._group[definition] = reach

    def _close(self, group: dict[Definition, Reach], most: int) -> None:
        """What the functions that are reached call, and so on, the likeliest first."""
        waiting = [(-reach.weight, definition) for definition, reach in group.items()]
        heapq.heapify(waiting)
        done: set[Definition] = set()
        while waiting and len(done) < most:
            _, definition = heapq.heappop(waiting)
            if definition in done:
                continue
            done.add(definition)
            reach = group[definition]
            uses = self.callees.of(definition.path, self.callees.body(definition))
            if not uses:
                continue
            left = reach.weight * _BY_CALL / max(len(uses), 1) ** 0.1
            if left < _LEAST:
                continue
            for use in uses:
                if use.definition in done:
                    continue
                further = Reach(left * use.share, reach.words, use.span, definition, reach.steps + 1)
                known = group.get(use.definition)
                if known is None or known.weight < further.weight:
                    group[use.definition] = further
                    heapq.heappush(waiting, (-further.weight, use.definition))

    # --- what the message says ------------------------------------------------------------------------

    def receivers(self, path: str, span: Span, name: str) -> Iterator[int]:
        """The refs of the expressions in a span of which an attribute is taken."""
        record = self.callees.record(path)
        if record is None:
            return
        for index in record.occurrences_of(name, MEMBER_ROLES):
            if span.start <= record.occurrences.start[index] < span.end:
                yield record.occurrences.link[index]

    def callees_of_ref(self, path: str, ref: int, depth: int = 3) -> Iterator[tuple[Definition, Span]]:
        """The functions whose result an expression may be: the call itself, or by way of names."""
        record = self.callees.record(path)
        if record is None or depth <= 0:
            return
        row = value_row(ref)
        if row is None:
            if ref < 0:
                return
            for target in self.resolver.of_occurrence(path, ref):
                if not isinstance(target, Slot) or is_outside(target.path):
                    continue
                rows = self.resolver.symbols_of(target)
                if target.path == path and len(rows) > 1 and record.occurrences.role[ref] not in MEMBER_ROLES:
                    rows = self.resolver.types.flow(path, record).reaching(rows, ref)
                home = self.resolver.record(target.path)
                for symbol in () if home is None else rows[-8:]:
                    if home is not None and home.symbols.inner[symbol] < 0:
                        yield from self.callees_of_ref(target.path, home.symbols.value[symbol], depth - 1)
            return
        value = record.values[row]
        if value.kind == "call":
            call = value.second
            whole = Span(record.calls.start[call], record.calls.inside_start[call])
            for use in self.callees.of(path, whole):
                if use.span.end <= whole.end:
                    yield use.definition, use.span
        elif value.kind in ("either", "otherwise", "await", "part", "element", "subscript", "entered"):
            for inner in (value.first, value.second) if value.kind in ("either", "otherwise") else (value.first,):
                yield from self.callees_of_ref(path, inner, depth)
