"""Where a name is bound in its own file, and where the type of what it means is defined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engram_context.imports import Module
from engram_context.inference.members import ClassType, Coroutine, Function, Instance, Type
from engram_context.recent import resolver_of
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.text import Location, Place, Span


def declarations(snapshot: Snapshot, place: Place) -> tuple[Location, ...]:
    """The bindings that a name at a place means, one step back: of an imported name the import. At a binding, and where
    there is none, the same as its definitions."""
    record = snapshot.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if record is None or index is None:
        return ()
    resolver = resolver_of(snapshot)
    span = record.occurrences.span(index)
    found = [at for target in resolver.of_occurrence(place.path, index) for at in resolver.locations(target)]
    if not found or any(at.path == place.path and at.span == span for at in found):
        return snapshot.definitions(place)
    return tuple(dict.fromkeys(found))


def type_definitions(snapshot: Snapshot, place: Place) -> tuple[Location, ...]:
    """Where the classes are defined whose objects a name at a place means; of a function or class itself its own
    definition."""
    record = snapshot.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if index is None:
        return ()
    resolver = resolver_of(snapshot)
    types: list[Type] = list(resolver.types.of_ref(place.path, index))
    if not types:
        targets = resolver.of_occurrence(place.path, index)
        types = [found for target in targets for found in resolver.types.of_target(target)]
    return tuple(dict.fromkeys(_locations(resolver, types)))


def _locations(resolver: Resolver, types: Iterable[Type]) -> Iterator[Location]:
    for one in types:
        if isinstance(one, Coroutine):
            one = one.result
        if isinstance(one, Module):
            if not one.is_namespace:
                yield Location(one.path, Span(0, 0))
            continue
        if not isinstance(one, ClassType | Instance | Function):
            continue
        record = resolver.record(one.path)
        if record is not None:
            row = one.symbol if isinstance(one, Function) else record.scopes.symbol[one.scope]
            if row >= 0:
                yield Location(one.path, record.symbols.span(row))
