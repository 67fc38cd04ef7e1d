"""Stub files beside their sources: `a.pyi` tells type checkers what is in `a.py`, so both name things alike."""

from __future__ import annotations

from collections.abc import Iterator

from engram_context.records import SCOPE_KIND, FileRecord
from engram_context.resolve import Resolver
from engram_context.targets import Slot

_NAMED = frozenset({SCOPE_KIND["class"], SCOPE_KIND["function"]})


def twin_of(path: str) -> str | None:
    """The stub of a source, or the source of a stub, by their names."""
    if path.endswith(".pyi"):
        return path.removesuffix("i")
    return f"{path}i" if path.endswith(".py") else None


def twins(resolver: Resolver, slot: Slot) -> Iterator[Slot]:
    """The slots in the other file of a pair that name the same thing: several, where a stub has overloads."""
    other = twin_of(slot.path)
    record = resolver.snapshot.records.get(slot.path)
    there = resolver.snapshot.records.get(other) if other is not None else None
    if record is None or there is None or other is None:
        return
    chain = scope_chain(record, slot.scope)
    if chain is None:
        return
    for scope, rows in there.bound(slot.name).items():
        if rows and scope_chain(there, scope) == chain:
            yield Slot(other, scope, slot.name)


def scope_chain(record: FileRecord, scope: int) -> tuple[str, ...] | None:
    """The names of the classes and functions around what a scope binds, outermost first; None inside a comprehension
    or lambda."""
    names: list[str] = []
    while scope > 0:
        kind = record.scopes.kind[scope]
        if kind in _NAMED:
            names.append(record.scopes[scope].name)
        elif kind != SCOPE_KIND["type-parameters"]:
            return None
        scope = record.scopes.parent[scope]
    return tuple(reversed(names))
