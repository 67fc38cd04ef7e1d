"""Which functions of the project a piece of code runs: by what its names mean, and where that is not known by name."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engram_context.imports import Module
from engram_context.inference.inferred import ClassType, Function, Instance, Type
from engram_context.outside.library import is_outside
from engram_context.records import KIND, PROPERTY, ROLE, FileRecord
from engram_context.resolve import MEMBER_ROLES, Resolver
from engram_context.targets import Slot, Target
from engram_context.text import Span
from engram_context.views.call_hierarchy import Definition

_DEFS = frozenset(KIND[kind] for kind in ("function", "method"))
_VARIABLES = frozenset(KIND[kind] for kind in ("variable", "constant"))
_READS = frozenset({ROLE["read"], ROLE["attribute"]})
BUILTIN_METHODS = frozenset(
    name for one in (str, bytes, list, dict, set, tuple, int, float, object) for name in dir(one)
)
_FILES = 40
_BY_NAME = 6
"""No more functions than this are taken for an attribute of which only the name is known."""
_OVERRIDE, _UNKNOWN, _COMMON, _VALUE, _IMPLICIT, _MADE, _HOOK = 0.5, 0.7, 0.3, 0.5, 0.7, 0.6, 0.3
"""How likely a function is run: another class's of that name, one known by name alone (less if builtin classes have
such a name), one that is handed on, one behind an operator, what makes a module's variable, what overrides a method
of a class from outside."""
_BY_TEXT = frozenset({"getattr", "methodcaller", "attrgetter"})
_NAME_TEXT = re.compile(rb"[\"']([A-Za-z_]\w{2,60})[\"']")
_ITERATING = (
    "list(",
    "set(",
    "tuple(",
    "sorted(",
    "for ",
    "dict(",
    "sum(",
    "any(",
    "all(",
    "max(",
    "min(",
    "iter(",
    "join(",
)
_RUN_BY: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    (b"==", ("__eq__",)),
    (b"!=", ("__eq__", "__ne__")),
    (b"assertEqual", ("__eq__",)),
    (b"<", ("__lt__", "__gt__", "__le__")),
    (b">", ("__gt__", "__lt__", "__ge__")),
    (b"[", ("__getitem__", "__setitem__", "__missing__", "__class_getitem__")),
    (b"del ", ("__delitem__", "__delattr__")),
    (b" in ", ("__contains__", "__iter__")),
    (b"len(", ("__len__",)),
    *((word.encode(), ("__iter__",)) for word in _ITERATING),
    (b"next(", ("__next__",)),
    (b"reversed(", ("__reversed__",)),
    (b"str(", ("__str__", "__repr__")),
    (b"repr(", ("__repr__",)),
    (b"print(", ("__str__", "__repr__")),
    (b"format(", ("__format__", "__str__")),
    (b"bytes(", ("__bytes__",)),
    (b"int(", ("__int__", "__index__")),
    (b"float(", ("__float__",)),
    (b"round(", ("__round__",)),
    (b"abs(", ("__abs__",)),
    (b"bool(", ("__bool__", "__len__")),
    (b"not ", ("__bool__", "__len__")),
    (b"hash(", ("__hash__",)),
    (b"dir(", ("__dir__",)),
    (b"copy(", ("__copy__", "__deepcopy__", "__reduce__")),
    (b"pickle", ("__getstate__", "__setstate__", "__reduce__", "__getnewargs__")),
    (b"with ", ("__enter__", "__exit__", "__aenter__", "__aexit__")),
    (b" + ", ("__add__", "__radd__")),
    (b" - ", ("__sub__", "__rsub__")),
    (b" * ", ("__mul__", "__rmul__")),
    (b" / ", ("__truediv__", "__rtruediv__")),
    (b" // ", ("__floordiv__",)),
    (b" % ", ("__mod__", "__rmod__")),
    (b" & ", ("__and__", "__rand__")),
    (b" | ", ("__or__", "__ror__")),
    (b" ^ ", ("__xor__",)),
    (b">>", ("__rshift__", "__rrshift__")),
    (b"<<", ("__lshift__",)),
    (b"+=", ("__iadd__", "__add__")),
    (b"~", ("__invert__",)),
    (b"-", ("__neg__",)),
)
"""Methods that are run by what is written in other ways than a call."""


@dataclass(frozen=True, slots=True)
class Use:
    """One function that code may run. `share`: how likely it is that one, 0 to 1. `span`: where it is named."""

    definition: Definition
    span: Span
    share: float


class Callees:
    """Answers about one snapshot, through one resolver."""

    def __init__(self, resolver: Resolver, classes: Iterable[str] = ()) -> None:
        """`classes`: names of those of which objects are known to have been there when it ran; more may be added, and
        count for what is asked from then on."""
        self.resolver = resolver
        self.classes = set(classes)
        self._kept: dict[tuple[str, int, int], tuple[Use, ...]] = {}
        self._named: dict[str, tuple[Definition, ...]] = {}
        self._members: dict[tuple[str, int], frozenset[str]] = {}

    def record(self, path: str) -> FileRecord | None:
        record = self.resolver.record(path)
        return record if record is not None and record.language == "python" else None

    def of(self, path: str, span: Span) -> tuple[Use, ...]:
        """What the code in a span of a file runs, each function once, in the order in which it is named."""
        key = (path, span.start, span.end)
        if key not in self._kept:
            self._kept[key] = ()  # what a variable made of itself sees
            best: dict[Definition, Use] = {}
            for use in self._uses(path, span):
                known = best.get(use.definition)
                if known is None or known.share < use.share:
                    best[use.definition] = use
            self._kept[key] = tuple(best.values())
        return self._kept[key]

    def _uses(self, path: str, span: Span) -> Iterator[Use]:
        record = self.record(path)
        if record is None:
            return
        calls, occurrences = record.calls, record.occurrences
        called: set[int] = set()
        for row in range(bisect_left(calls.start, span.start), bisect_left(calls.start, span.end)):
            callee = calls.callee[row]
            called.add(callee)
            where = occurrences.span(callee) if callee >= 0 else Span(calls.start[row], calls.inside_start[row])
            yield from self._called(path, record, callee, where)
        reads = [
            index
            for index in range(bisect_left(occurrences.start, span.start), bisect_left(occurrences.start, span.end))
            if occurrences.role[index] in _READS
        ]
        for index in reads:
            if index not in called:
                yield from self._read(path, record, index)
        yield from self._implicit(path, record, span, reads)

    def _called(self, path: str, record: FileRecord, callee: int, where: Span) -> Iterator[Use]:
        types = self.resolver.types
        found: dict[Definition, None] = {}
        known = types.of_ref(path, callee)
        for one in known:
            for function in types.functions(one):
                definition = self.definition(function.path, function.symbol)
                if definition is not None:
                    found[definition] = None
            # What is made may be called by whom it is handed to.
            for made in types.called(one) if isinstance(one, ClassType) else ():
                yield from self._methods(made, ("__call__",), where, _VALUE)
        for definition in found:
            yield Use(definition, where, 1.0)
        if callee < 0:
            return
        if record.names[record.occurrences.name[callee]] in _BY_TEXT:
            yield from self._by_text(path, record, callee)
        if record.occurrences.role[callee] in MEMBER_ROLES:
            yield from self._by_name(path, record, callee, bool(known), bool(found))
        elif not found:
            yield from self._read(path, record, callee)

    def _by_name(self, path: str, record: FileRecord, index: int, known: bool, found: bool) -> Iterator[Use]:
        """The methods that an attribute may be where inference does not say it, or of a subclass."""
        name = record.names[record.occurrences.name[index]]
        where = record.occurrences.span(index)
        every = self._all_named(name)
        present = [one for one in every if self.classes and self._owner(one) in self.classes]
        for definition in present:
            yield Use(definition, where, 1.0)
        if not present and not (known and not found):
            share = _OVERRIDE if found else _UNKNOWN
            if name in BUILTIN_METHODS:
                share *= _COMMON
            for definition in every if len(every) <= _BY_NAME else ():
                yield Use(definition, where, share)
        if not known:
            for receiver in self.resolver.types.of_ref(path, record.occurrences.link[index]):
                yield from self._methods(receiver, ("__getattr__",), where, _UNKNOWN)

    def _by_text(self, path: str, record: FileRecord, callee: int) -> Iterator[Use]:
        """The functions whose names, or the beginnings of which, are texts in a function that looks attributes up."""
        text = self.resolver.snapshot.text(path)
        start = record.occurrences.start[callee]
        body = next((span for span in self._around(record, start)), None)
        if text is None or body is None:
            return
        said = {match[1].decode("ascii") for match in _NAME_TEXT.finditer(text.data, body.start, body.end)}
        for name in sorted(said)[:24]:
            for definition in self.named(name):
                yield Use(definition, record.occurrences.span(callee), _VALUE)

    def _around(self, record: FileRecord, offset: int) -> Iterator[Span]:
        """The body of the function that an offset is in."""
        scope = record.scope_at(offset)
        while scope > 0:
            symbol = record.scopes.symbol[scope]
            if symbol >= 0 and record.symbols.kind[symbol] in _DEFS:
                yield Span(record.symbols.body_start[symbol], record.symbols.body_end[symbol])
            scope = record.scopes.parent[scope]

    def _owner(self, definition: Definition) -> str:
        record = self.resolver.record(definition.path)
        scope = 0 if record is None else record.symbols.scope[definition.row]
        owner = -1 if record is None else record.scopes.owner_name[scope]
        return "" if record is None or owner < 0 else record.names[owner]

    def _read(self, path: str, record: FileRecord, index: int) -> Iterator[Use]:
        """A name that is no call: a property, a function that is handed on, what a module's variable is made of."""
        where = record.occurrences.span(index)
        found = False
        for target in self._targets(path, record, index):
            home = self.resolver.record(target.path) if isinstance(target, Slot) else None
            if home is None or not isinstance(target, Slot) or is_outside(target.path):
                continue
            found = True
            for row in self.resolver.symbols_of(target):
                if target.scope == 0 and home.symbols.kind[row] in _VARIABLES:
                    made = Span(home.symbols.body_start[row], home.symbols.body_end[row])
                    for use in self.of(target.path, made) if (target.path, made) != (path, where) else ():
                        yield Use(use.definition, where, use.share * _MADE)
                elif home.symbols.kind[row] in _DEFS:
                    is_property = home.symbols.flags[row] & PROPERTY
                    yield Use(Definition(target.path, row), where, 1.0 if is_property else _VALUE)
        if not found and record.occurrences.role[index] in MEMBER_ROLES:
            for receiver in self.resolver.types.of_ref(path, record.occurrences.link[index]):
                yield from self._methods(receiver, ("__getattr__",), where, _UNKNOWN)

    def _targets(self, path: str, record: FileRecord, index: int) -> Iterator[Target]:
        for target in self.resolver.of_occurrence(path, index):
            yield from self.resolver.origins(target)

    def _implicit(self, path: str, record: FileRecord, span: Span, reads: list[int]) -> Iterator[Use]:
        """What operators, loops and builtin functions run of the objects that are named."""
        text = self.resolver.snapshot.text(path)
        data = b"" if text is None else text.data[span.start : span.end]
        names = tuple(name for token, methods in _RUN_BY if token in data for name in methods)
        occurrences = record.occurrences
        is_known = False
        for index in reads[:24]:
            for one in self.resolver.types.of_ref(path, index):
                is_known = is_known or isinstance(one, Instance)
                yield from self._methods(one, names, occurrences.span(index))
                yield from self._hooks(one, occurrences.span(index))
        calls = record.calls
        for row in range(bisect_left(calls.start, span.start), bisect_left(calls.start, span.end)):
            for one in self.resolver.types.of_ref(path, calls.callee[row]):
                for made in self.resolver.types.called(one) if isinstance(one, ClassType | Function) else ():
                    yield from self._methods(made, names, Span(calls.start[row], calls.end[row]))
                    yield from self._hooks(made, Span(calls.start[row], calls.end[row]))
        # Where no object is known, it may be one of those that are there.
        for name in dict.fromkeys(names) if self.classes and not is_known else ():
            for definition in self._all_named(name):
                if self._owner(definition) in self.classes:
                    yield Use(definition, span, _IMPLICIT * _UNKNOWN)

    def _hooks(self, one: Type, where: Span) -> Iterator[Use]:
        """The methods of an object by which code from outside runs the project's: those of a base from outside."""
        if not isinstance(one, Instance) or is_outside(one.path):
            return
        order = self.resolver.types.order(one.of)
        outer = [base for base in order if is_outside(base.path)]
        if not outer:
            return
        taken = {name for base in outer for name in self._names(base)}
        for base in order:
            if not is_outside(base.path):
                names = tuple(name for name in self._names(base) if name in taken and name != "__init__")
                yield from self._methods(one, names, where, _HOOK)

    def _names(self, of: ClassType) -> frozenset[str]:
        key = (of.path, of.scope)
        if key not in self._members:
            record = self.resolver.record(of.path)
            rows = () if record is None else record.symbols_in(of.scope)
            self._members[key] = frozenset(
                record.names[record.symbols.name[row]] for row in rows if record is not None
            )  # fmt: skip
        return self._members[key]

    def _methods(self, one: Type, names: tuple[str, ...], where: Span, share: float = _IMPLICIT) -> Iterator[Use]:
        if not isinstance(one, Instance) or is_outside(one.path):
            return
        for name in names:
            is_there = False
            for slot in self.resolver.types.slots(one, name):
                if isinstance(slot, Slot) and not is_outside(slot.path):
                    for row in self.resolver.symbols_of(slot):
                        definition = self.definition(slot.path, row)
                        if definition is not None:
                            is_there = True
                            yield Use(definition, where, share)
            # What is there may be an object of a subclass that does it otherwise.
            for definition in self._all_named(name) if is_there and self.classes else ():
                if self._owner(definition) in self.classes:
                    yield Use(definition, where, share)

    def definition(self, path: str, row: int) -> Definition | None:
        """A def of the project; None for one outside."""
        record = None if is_outside(path) else self.resolver.record(path)
        if record is None or record.symbols.kind[row] not in _DEFS:
            return None
        return Definition(path, row)

    def named(self, name: str) -> tuple[Definition, ...]:
        """The same, none if there are too many to tell."""
        found = self._all_named(name)
        return found if len(found) <= _BY_NAME else ()

    def _all_named(self, name: str) -> tuple[Definition, ...]:
        """The methods and functions of a name in the project."""
        if name not in self._named:
            found: list[Definition] = []
            for path in self.resolver.snapshot.definers[name][:_FILES]:
                record = self.record(path)
                for rows in () if record is None else record.bound(name).values():
                    found += [
                        Definition(path, row)
                        for row in rows
                        if record is not None and record.symbols.kind[row] in _DEFS
                    ]
            self._named[name] = tuple(found)
        return self._named[name]

    def note_classes(self, path: str, span: Span) -> None:
        """Takes the project's classes that a span names as present."""
        record = self.record(path)
        if record is None:
            return
        occurrences = record.occurrences
        for index in range(bisect_left(occurrences.start, span.start), bisect_left(occurrences.start, span.end)):
            if occurrences.role[index] in _READS:
                for one in self.resolver.types.of_ref(path, index):
                    of = one.of if isinstance(one, Instance) else one
                    if isinstance(of, ClassType) and not is_outside(of.path):
                        for base in self.resolver.types.order(of):
                            if not is_outside(base.path):
                                self.classes.add(self.resolver.types.name_of(base))

    def body(self, definition: Definition) -> Span:
        """A def from its decorators to its end; the whole file for a module."""
        record = self.resolver.record(definition.path)
        if record is None:
            return Span(0, 0)
        if definition.row < 0:
            return Span(0, record.size)
        symbols = record.symbols
        return Span(symbols.body_start[definition.row], symbols.body_end[definition.row])

    def modules(self, path: str, index: int) -> Iterator[Module]:
        """The modules of the project that a name means."""
        record = self.record(path)
        for target in () if record is None else self._targets(path, record, index):
            if isinstance(target, Module) and not is_outside(target.path):
                yield target
