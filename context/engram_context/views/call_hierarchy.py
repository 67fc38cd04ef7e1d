"""Who calls a function, and whom it calls."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass

from engram_context.inference.members import ClassType, Function
from engram_context.records import KIND, PROPERTY, ROLE, SCOPE_KIND, FileRecord, Kind
from engram_context.resolve import MEMBER_ROLES, Resolver, mentions
from engram_context.snapshot import Snapshot
from engram_context.targets import Builtin, External, Slot, Target
from engram_context.text import Location, Place, Span

Cancelled = Callable[[], bool]

_OWNING = (SCOPE_KIND["function"], SCOPE_KIND["class"])
_CLASS, _IMPORT_ROLE = SCOPE_KIND["class"], ROLE["import"]
_DEFINITIONS = frozenset(KIND[kind] for kind in ("class", "function", "method", "interface", "struct", "enum"))
_CONSTRUCTORS = ("__init__", "__new__", "constructor")
_BINDING = (ROLE["write"], ROLE["definition"])
_BRACKET = re.compile(rb"(?<=[\w\x80-\xff])(?=\s*(?:::)?(?:<[\w\s,.:&\[\]]*>)?\()")


@dataclass(frozen=True, slots=True, order=True)
class Definition:
    """A def or class of a file by the row of its symbol; -1 means the file's module as a whole."""

    path: str
    row: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to show of a definition. `span` is its name's, `body` all of it."""

    path: str
    name: str
    kind: Kind
    detail: str
    span: Span
    body: Span


@dataclass(frozen=True, slots=True)
class Calls:
    """One end of some calls, and where in the caller's file they stand."""

    definition: Definition
    spans: tuple[Span, ...]


def show(snapshot: Snapshot, definition: Definition) -> Shown | None:
    """None when the file has gone, or has fewer definitions by now."""
    resolver = Resolver(snapshot)
    record = resolver.record(definition.path)
    if record is None or definition.row >= len(record.symbols):
        return None
    module = resolver.dotted(definition.path) or definition.path
    if definition.row < 0:
        return Shown(definition.path, module, "module", "", Span(0, 0), Span(0, record.size))
    symbol = record.symbols[definition.row]
    container = record.scopes[symbol.scope].name or module
    return Shown(definition.path, symbol.name, symbol.kind, container, symbol.span, symbol.body)


def definitions_at(snapshot: Snapshot, place: Place) -> tuple[Definition, ...]:
    """The defs and classes that a name at a place means, each once: of overloads the last."""
    resolver = Resolver(snapshot)
    record = resolver.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if index is None:
        return ()
    return tuple(_definitions(resolver, resolver.meanings(place.path, index, aliases=True)))


def _definitions(resolver: Resolver, targets: Iterable[Target]) -> Iterator[Definition]:
    inside = (resolver.outside(one) if isinstance(one, External | Builtin) else (one,) for one in targets)
    for target in itertools.chain.from_iterable(inside):
        record = resolver.record(target.path) if isinstance(target, Slot) else None
        if record is not None and isinstance(target, Slot):
            rows = [row for row in resolver.symbols_of(target) if record.symbols.kind[row] in _DEFINITIONS]
            if rows:
                yield Definition(target.path, rows[-1])


# --- incoming ----------------------------------------------------------------------------------------------


def incoming(snapshot: Snapshot, of: Definition, cancelled: Cancelled = lambda: False) -> tuple[Calls, ...]:
    """The definitions that call one, in order of path and row. Calling a class counts for its `__init__` too."""
    resolver = Resolver(snapshot)
    record = resolver.record(of.path)
    if record is None or not 0 <= of.row < len(record.symbols):
        return ()
    symbol = record.symbols[of.row]
    slots = [Slot(of.path, symbol.scope, symbol.name)]
    owner = record.scopes[symbol.scope]
    if symbol.name in _CONSTRUCTORS and owner.kind == "class" and owner.symbol is not None:
        named = record.symbols[owner.symbol]
        slots.append(Slot(of.path, named.scope, named.name))
    is_property = bool(symbol.flags & PROPERTY)
    found: dict[Definition, dict[Span, None]] = {}
    called: dict[str, Container[int]] = {}
    for slot in slots:
        for path, index in _mentions(resolver, slot):
            if cancelled():
                return ()
            home = snapshot.records[path]
            if path not in called:
                called[path] = _called(snapshot, path, home)
            by_name = is_property and home.occurrences.role[index] in MEMBER_ROLES
            if index in called[path] or by_name:
                caller = Definition(path, _around(home, home.occurrences.scope[index]))
                found.setdefault(caller, {})[home.occurrences.span(index)] = None
    return tuple(Calls(caller, tuple(found[caller])) for caller in sorted(found))


def _called(snapshot: Snapshot, path: str, record: FileRecord) -> Container[int]:
    """The mentions that are called: as the record says, and where it says nothing of calls, by the bracket behind."""
    if record.language == "python":
        return frozenset(record.calls.callee)
    text = snapshot.text(path)
    if text is None or text.digest != record.digest:
        return ()
    ends = {match.start() for match in _BRACKET.finditer(text.data)}
    occurrences = record.occurrences
    return frozenset(index for index in range(len(occurrences)) if occurrences.span(index).end in ends)


def _mentions(resolver: Resolver, slot: Slot) -> Iterator[tuple[str, int]]:
    """(path, occurrence) of each mention of a slot, those under another name of an import too."""
    for location, is_binding in mentions(resolver, frozenset({resolver.seen(slot)}), slot.name):
        record = resolver.snapshot.records[location.path]
        index = record.occurrence_at(location.span.start)
        if index is None or is_binding:
            continue
        if record.occurrences.role[index] == _IMPORT_ROLE:
            alias = record.imports[record.occurrences.link[index]].alias
            yield from _aliased(resolver, location, alias, slot)
        else:
            yield location.path, index


def _aliased(resolver: Resolver, location: Location, alias: str | None, slot: Slot) -> Iterator[tuple[str, int]]:
    if alias is None or alias == slot.name:
        return
    for index in resolver.snapshot.records[location.path].occurrences_of(alias):
        if resolver.seen(slot) in resolver.canonical(resolver.meanings(location.path, index, aliases=True)):
            yield location.path, index


def _around(record: FileRecord, scope: int) -> int:
    """The symbol of the def or class whose code a scope is, -1 for the module's."""
    scopes = record.scopes
    while scope > 0 and not (scopes.kind[scope] in _OWNING and scopes.symbol[scope] >= 0):
        scope = scopes.parent[scope]
    return scopes.symbol[scope] if scope > 0 else -1


# --- outgoing ----------------------------------------------------------------------------------------------


def outgoing(snapshot: Snapshot, of: Definition) -> tuple[Calls, ...]:
    """The definitions that one calls, in the order in which it first does; a class's are those of its body and
    `__init__`. What is defined where nobody can see it is left out."""
    resolver = Resolver(snapshot)
    record = resolver.record(of.path)
    if record is None or of.row >= len(record.symbols):
        return ()
    callers = {of.row}
    inner = record.symbols.inner[of.row] if of.row >= 0 else -1
    if inner >= 0 and record.scopes.kind[inner] == _CLASS:
        callers.update(row for name in _CONSTRUCTORS for row in record.bindings(inner, name))
    found: dict[Definition, dict[Span, None]] = {}
    owners: dict[int, int] = {}
    for scope, callee, span in _calls(snapshot, of.path, record):
        if scope not in owners:
            owners[scope] = _around(record, scope)
        if owners[scope] not in callers:
            continue
        for definition in _callees(resolver, of.path, record, callee):
            found.setdefault(definition, {})[span] = None
    return tuple(Calls(callee, tuple(spans)) for callee, spans in found.items())


def _calls(snapshot: Snapshot, path: str, record: FileRecord) -> Iterator[tuple[int, int, Span]]:
    """(scope, ref of the callee, where that is named) of each call in a file."""
    occurrences, calls = record.occurrences, record.calls
    if record.language != "python":
        called = _called(snapshot, path, record)
        for index in range(len(occurrences)):
            if index in called and occurrences.role[index] not in _BINDING:
                yield occurrences.scope[index], index, occurrences.span(index)
        return
    for row, (scope, callee) in enumerate(zip(calls.scope, calls.callee, strict=True)):
        whole = Span(calls.start[row], calls.inside_start[row] - 1)
        yield scope, callee, occurrences.span(callee) if callee >= 0 else whole


def _callees(resolver: Resolver, path: str, record: FileRecord, callee: int) -> Iterator[Definition]:
    if record.language != "python":
        yield from _definitions(resolver, resolver.meanings(path, callee, aliases=True))
        return
    for one in resolver.types.of_ref(path, callee):
        definition = _definition_of(resolver, one)
        if definition is not None:
            yield definition


def _definition_of(resolver: Resolver, callee: object) -> Definition | None:
    if isinstance(callee, Function):
        record = resolver.record(callee.path)
        if record is None:
            return None
        symbol = record.symbols[callee.symbol]
        rows = [row for row in record.bindings(symbol.scope, symbol.name) if record.symbols.kind[row] in _DEFINITIONS]
        return Definition(callee.path, rows[-1] if rows else callee.symbol)
    if isinstance(callee, ClassType):
        record = resolver.record(callee.path)
        row = -1 if record is None else record.scopes.symbol[callee.scope]
        return Definition(callee.path, row) if row >= 0 else None
    return None
