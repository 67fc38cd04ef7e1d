"""Who calls a function, and whom it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from engram_context.members import ClassType, Function
from engram_context.records import KIND, PROPERTY, ROLE, SCOPE_KIND, FileRecord, Kind
from engram_context.resolve import MEMBER_ROLES, Resolver, mentions
from engram_context.snapshot import Snapshot
from engram_context.targets import Slot, Target
from engram_context.text import Location, Place, Span

Cancelled = Callable[[], bool]

_OWNING = (SCOPE_KIND["function"], SCOPE_KIND["class"])
_CLASS, _IMPORT_ROLE = SCOPE_KIND["class"], ROLE["import"]
_DEFINITIONS = frozenset(KIND[kind] for kind in ("class", "function", "method", "interface", "struct", "enum"))
_CONSTRUCTORS = ("__init__", "__new__")


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
    record = snapshot.record(definition.path)
    if record is None or definition.row >= len(record.symbols):
        return None
    if definition.row < 0:
        name = snapshot.modules.dotted(definition.path) or definition.path
        return Shown(definition.path, name, "module", "", Span(0, 0), Span(0, record.size))
    symbol = record.symbols[definition.row]
    container = record.scopes[symbol.scope].name or snapshot.modules.dotted(definition.path) or definition.path
    return Shown(definition.path, symbol.name, symbol.kind, container, symbol.span, symbol.body)


def definitions_at(snapshot: Snapshot, place: Place) -> tuple[Definition, ...]:
    """The defs and classes that a name at a place means, each once: of overloads the last."""
    record = snapshot.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if index is None:
        return ()
    resolver = Resolver(snapshot)
    return tuple(_definitions(resolver, resolver.meanings(place.path, index, aliases=True)))


def _definitions(resolver: Resolver, targets: Iterable[Target]) -> Iterator[Definition]:
    for target in targets:
        record = resolver.record(target.path) if isinstance(target, Slot) else None
        if record is not None and isinstance(target, Slot):
            rows = [row for row in resolver.symbols_of(target) if record.symbols.kind[row] in _DEFINITIONS]
            if rows:
                yield Definition(target.path, rows[-1])


# --- incoming ----------------------------------------------------------------------------------------------


def incoming(snapshot: Snapshot, of: Definition, cancelled: Cancelled = lambda: False) -> tuple[Calls, ...]:
    """The definitions that call one, in order of path and row. Calling a class counts for its `__init__` too."""
    record = snapshot.record(of.path)
    if record is None or not 0 <= of.row < len(record.symbols):
        return ()
    resolver = Resolver(snapshot)
    symbol = record.symbols[of.row]
    slots = [Slot(of.path, symbol.scope, symbol.name)]
    owner = record.scopes[symbol.scope]
    if symbol.name in _CONSTRUCTORS and owner.kind == "class" and owner.symbol is not None:
        named = record.symbols[owner.symbol]
        slots.append(Slot(of.path, named.scope, named.name))
    is_property = bool(symbol.flags & PROPERTY)
    found: dict[Definition, dict[Span, None]] = {}
    called: dict[str, frozenset[int]] = {}
    for slot in slots:
        for path, index in _mentions(resolver, slot):
            if cancelled():
                return ()
            home = snapshot.records[path]
            if path not in called:
                called[path] = frozenset(home.calls.callee)
            by_name = is_property and home.occurrences.role[index] in MEMBER_ROLES
            if index in called[path] or by_name:
                caller = Definition(path, _around(home, home.occurrences.scope[index]))
                found.setdefault(caller, {})[home.occurrences.span(index)] = None
    return tuple(Calls(caller, tuple(found[caller])) for caller in sorted(found))


def _mentions(resolver: Resolver, slot: Slot) -> Iterator[tuple[str, int]]:
    """(path, occurrence) of each mention of a slot, those under another name of an import too."""
    for location, is_binding in mentions(resolver, frozenset({slot}), slot.name):
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
        if slot in resolver.meanings(location.path, index, aliases=True):
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
    `__init__`. What is defined where the project does not reach is left out."""
    record = snapshot.record(of.path)
    if record is None or of.row >= len(record.symbols):
        return ()
    resolver = Resolver(snapshot)
    callers = {of.row}
    inner = record.symbols.inner[of.row] if of.row >= 0 else -1
    if inner >= 0 and record.scopes.kind[inner] == _CLASS:
        callers.update(row for name in _CONSTRUCTORS for row in record.bindings(inner, name))
    found: dict[Definition, dict[Span, None]] = {}
    owners: dict[int, int] = {}
    for row, scope in enumerate(record.calls.scope):
        if scope not in owners:
            owners[scope] = _around(record, scope)
        if owners[scope] not in callers:
            continue
        call = record.calls[row]
        span = (
            record.occurrences.span(call.callee) if call.callee >= 0 else Span(call.span.start, call.inside.start - 1)
        )
        for callee in resolver.types.of_ref(of.path, call.callee):
            definition = _definition_of(resolver, callee)
            if definition is not None:
                found.setdefault(definition, {})[span] = None
    return tuple(Calls(callee, tuple(spans)) for callee, spans in found.items())


def _definition_of(resolver: Resolver, callee: object) -> Definition | None:
    if isinstance(callee, Function):
        return Definition(callee.path, callee.symbol)
    if isinstance(callee, ClassType):
        record = resolver.record(callee.path)
        row = -1 if record is None else record.scopes.symbol[callee.scope]
        return Definition(callee.path, row) if row >= 0 else None
    return None
