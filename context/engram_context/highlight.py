"""The mentions in one file of what is named at a place, and whether each reads or writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engram_context.records import KIND, ROLE, ROLES, SCOPE_KIND, FileRecord
from engram_context.resolve import MEMBER_ROLES, Resolver
from engram_context.snapshot import Snapshot
from engram_context.targets import Slot, Target
from engram_context.text import Place, Span

Access = Literal["read", "write", "text"]

_WRITES = frozenset(ROLE[role] for role in ("write", "definition", "attribute-write", "delete"))
_KEYWORD, _STRING, _IMPORTED = ROLE["keyword"], ROLE["string"], ROLE["import"]
_CLASS, _PARAMETER = SCOPE_KIND["class"], KIND["parameter"]


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
    resolver = Resolver(snapshot)
    wanted = frozenset(resolver.of_occurrence(place.path, index))
    role = record.occurrences.role
    roles = _roles(resolver, wanted, role[index])
    found: list[Highlight] = []
    names = _function_names(resolver, wanted)
    for other in record.occurrences_of(record.names[record.occurrences.name[index]], roles):
        if names and role[other] == _KEYWORD and not _may_call(record, other, names):
            continue
        targets = resolver.of_occurrence(place.path, other)
        if wanted.isdisjoint(targets) if wanted else targets:
            continue
        found.append(Highlight(record.occurrences.span(other), _access(record, other)))
    return tuple(found)


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


def _access(record: FileRecord, index: int) -> Access:
    role = record.occurrences.role[index]
    if role == _STRING:
        return "text"
    if role == _IMPORTED:
        imported = record.imports[record.occurrences.link[index]]
        names = imported.occurrence if imported.name is None else imported.name_occurrence
        return "write" if imported.alias is None and imported.bound is not None and index == names else "read"
    return "write" if role in _WRITES else "read"
