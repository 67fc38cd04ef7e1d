"""The mentions in one file of what is named at a place, and whether each reads or writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engram_context.recent import resolver_of
from engram_context.records import KIND, ROLE, ROLES, SCOPE_KIND, STATIC_METHOD, FileRecord
from engram_context.resolve import MEMBER_ROLES, Resolver
from engram_context.snapshot import Snapshot
from engram_context.targets import Slot, Target
from engram_context.text import Place, Span

Access = Literal["read", "write", "text"]

_WRITES = frozenset(ROLE[role] for role in ("write", "definition", "attribute-write", "delete"))
_KEYWORD, _STRING, _IMPORTED = ROLE["keyword"], ROLE["string"], ROLE["import"]
_IMPORT = KIND["import"]
_CLASS, _PARAMETER, _METHOD = SCOPE_KIND["class"], KIND["parameter"], KIND["method"]


@dataclass(frozen=True, slots=True)
class Highlight:
    span: Span
    access: Access


def highlights(snapshot: Snapshot, place: Place) -> tuple[Highlight, ...]:
    """In source order; nothing where no name is.

    A name of which nothing is known is taken to be the same wherever it stands likewise and is not known either.
    """
    record = snapshot.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if record is None or index is None:
        return ()
    resolver = resolver_of(snapshot)
    name, role = record.names[record.occurrences.name[index]], record.occurrences.role
    if role[index] in MEMBER_ROLES and not _is_member(record, name):
        same = _like(resolver, place.path, record, index)
    else:
        same = _meaning(resolver, place.path, record, index)
    return tuple(Highlight(record.occurrences.span(other), _access(record, other)) for other in same)


def _is_member(record: FileRecord, name: str) -> bool:
    """Whether the file or a class in it has a member of that name."""
    return any(scope == 0 or record.scopes.kind[scope] == _CLASS for scope in record.bound(name))


def _like(resolver: Resolver, path: str, record: FileRecord, attribute: int) -> Iterator[int]:
    """The attributes of the same name, of an import's the ones of that import: a file that gives the name no meaning
    of its own hardly uses it for two things, and inferring them all takes a while."""

    def owner(index: int) -> tuple[Target, ...]:
        receiver = record.occurrences.link[index]
        if receiver < 0 or record.occurrences.role[receiver] in MEMBER_ROLES:
            return ()
        slots = resolver.of_occurrence(path, receiver)
        imported = (record.symbols.kind[row] == _IMPORT for slot in slots for row in _rows(resolver, path, slot))
        return slots if any(imported) else ()

    wanted = owner(attribute)
    for other in record.occurrences_of(record.names[record.occurrences.name[attribute]], MEMBER_ROLES):
        if owner(other) == wanted:
            yield other


def _rows(resolver: Resolver, path: str, target: Target) -> tuple[int, ...]:
    return resolver.symbols_of(target) if isinstance(target, Slot) and target.path == path else ()


def _meaning(resolver: Resolver, path: str, record: FileRecord, index: int) -> Iterator[int]:
    """The mentions that mean one of the things that one means."""
    name, role = record.names[record.occurrences.name[index]], record.occurrences.role
    wanted = frozenset(_targets(resolver, path, record, index, name))
    roles = _roles(resolver, wanted, role[index])
    functions = _function_names(resolver, wanted)
    for other in record.occurrences_of(name, roles):
        if functions and role[other] == _KEYWORD and not _may_call(record, other, functions):
            continue
        targets = _targets(resolver, path, record, other, name)
        if not (wanted.isdisjoint(targets) if wanted else targets):
            yield other


def _targets(resolver: Resolver, path: str, record: FileRecord, index: int, name: str) -> tuple[Target, ...]:
    own = _own_class(record, index) if record.occurrences.role[index] in MEMBER_ROLES else None
    if own is not None and record.bindings(own, name):
        return (Slot(path, own, name),)
    return resolver.of_occurrence(path, index)


def _roles(resolver: Resolver, wanted: frozenset[Target], role: int) -> frozenset[int] | None:
    """The roles in which a mention may mean one of the targets, None for all of them: so that attributes are inferred
    only where they matter."""
    if not wanted:
        return MEMBER_ROLES if role in MEMBER_ROLES else frozenset({role})
    names = frozenset(range(len(ROLES))) - MEMBER_ROLES
    roles: set[int] = set()
    for target in wanted:
        record = resolver.record(target.path) if isinstance(target, Slot) else None
        if record is None or not isinstance(target, Slot):
            return None
        if record.scopes.kind[target.scope] == _CLASS:
            return None
        is_parameter = any(record.symbols.kind[row] == _PARAMETER for row in resolver.symbols_of(target))
        roles |= names if is_parameter else names - {_KEYWORD}
    # An attribute can mean a module's name where the module imports itself: then it is what was asked about.
    return frozenset(roles | (MEMBER_ROLES if role in MEMBER_ROLES else frozenset()))


def _function_names(resolver: Resolver, wanted: frozenset[Target]) -> set[str]:
    """The names of the functions whose parameters are meant; none where they may be called by any other name."""
    names: set[str] = set()
    for target in wanted:
        record = resolver.record(target.path) if isinstance(target, Slot) else None
        name = record.scopes[target.scope].name if record is not None and isinstance(target, Slot) else ""
        if not name or name.startswith("__"):
            return set()
        names.add(name)
    return names


def _may_call(record: FileRecord, keyword: int, names: set[str]) -> bool:
    """Whether the call that a keyword stands in calls one of the names, or something that is no name. Inferring what is
    called takes a while, and a keyword like `context` may stand in hundreds of calls."""
    call = record.occurrences.link[keyword]
    callee = record.calls.callee[call] if call >= 0 else -1
    return callee < 0 or record.names[record.occurrences.name[callee]] in names


def _own_class(record: FileRecord, attribute: int) -> int | None:
    """The class whose method's first parameter an attribute is of, without inferring anything: most are."""
    receiver = record.occurrences.link[attribute]
    if record.language != "python" or receiver < 0:
        return None
    scope = record.occurrences.scope[receiver]
    owner = record.scopes.symbol[scope]
    if owner < 0 or record.symbols.kind[owner] != _METHOD or record.symbols.flags[owner] & STATIC_METHOD:
        return None
    bound = record.bindings(scope, record.names[record.occurrences.name[receiver]])
    first = next((row for row in record.symbols_in(scope) if record.symbols.kind[row] == _PARAMETER), -1)
    return record.symbols.scope[owner] if bound == (first,) else None


def _access(record: FileRecord, index: int) -> Access:
    role = record.occurrences.role[index]
    if role == _STRING:
        return "text"
    if role == _IMPORTED:
        imported = record.imports[record.occurrences.link[index]]
        names = imported.occurrence if imported.name is None else imported.name_occurrence
        return "write" if imported.alias is None and imported.bound is not None and index == names else "read"
    return "write" if role in _WRITES else "read"
