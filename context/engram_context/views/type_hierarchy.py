"""Classes above and below a class, and what implements a class or a method."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engram_context.inference.members import ClassType
from engram_context.outside.environment import Environment
from engram_context.records import ABSTRACT, SCOPE_KIND, rows_with
from engram_context.renames.families import Hierarchy
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.targets import Slot, Target
from engram_context.text import Location, Place
from engram_context.views.call_hierarchy import Definition, definitions_at
from engram_context.views.lexical import named

Cancelled = Callable[[], bool]

_CLASS_SCOPE = SCOPE_KIND["class"]
_MOST = 2000
"""No more classes than this are shown below one."""


def classes_at(snapshot: Snapshot, place: Place) -> tuple[Definition, ...]:
    """The classes that a name at a place means."""
    resolver = Resolver(snapshot)
    return tuple(one for one in definitions_at(snapshot, place) if _class_of(resolver, one) is not None)


def supertypes(snapshot: Snapshot, of: Definition) -> tuple[Definition, ...]:
    """The direct bases of a class as far as they are known, in order."""
    resolver = Resolver(snapshot)
    start = _class_of(resolver, of)
    bases = () if start is None else _bases(resolver, start)
    return tuple(found for base in bases if (found := _definition(resolver, base)) is not None)


def subtypes(snapshot: Snapshot, of: Definition, environment: Environment) -> tuple[Definition, ...]:
    """The classes that name a class as a base, in order of path and row."""
    resolver = Resolver(snapshot)
    start = _class_of(resolver, of)
    below = () if start is None else _directly_below(Hierarchy(resolver, environment), start)
    return tuple(sorted({found for one in below if (found := _definition(resolver, one)) is not None}))


def implementations(
    snapshot: Snapshot, place: Place, environment: Environment, cancelled: Cancelled = lambda: False
) -> tuple[Location, ...]:
    """Of a class the classes below it, of a class's member what overrides it there, and whatever it is itself unless
    it is abstract; of anything else its definitions. In order."""
    record = snapshot.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if index is None:
        return ()
    resolver = Resolver(snapshot)
    hierarchy = Hierarchy(resolver, environment)
    found: dict[Location, None] = {}
    for target in resolver.meanings(place.path, index, aliases=True):
        own = resolver.locations(target)
        below: list[Location] = []
        if isinstance(target, Slot):
            below = [at for slot in _below(hierarchy, target, cancelled) for at in resolver.locations(slot)]
        if not below or not isinstance(target, Slot) or not _is_abstract(resolver, target):
            found.update(dict.fromkeys(own))
        found.update(dict.fromkeys(below))
    return tuple(sorted(found))


def _below(hierarchy: Hierarchy, slot: Slot, cancelled: Cancelled) -> Iterator[Slot]:
    """The slots that implement one in the classes below."""
    resolver = hierarchy.resolver
    record = resolver.record(slot.path)
    if record is None:
        return
    is_member = record.scopes.kind[slot.scope] == _CLASS_SCOPE
    inner = [record.symbols.inner[row] for row in resolver.symbols_of(slot)]
    classes = [ClassType(slot.path, scope) for scope in inner if scope >= 0 and _is_class(resolver, slot.path, scope)]
    is_class = bool(classes)
    if not is_class and not is_member:
        return
    for one in _all_below(hierarchy, classes or [ClassType(slot.path, slot.scope)], cancelled):
        if not is_class:
            if hierarchy.has(one, slot.name):
                yield Slot(one.path, one.scope, slot.name)
        elif (named := _named(resolver, one)) is not None:
            yield named


def _all_below(hierarchy: Hierarchy, starts: list[ClassType], cancelled: Cancelled) -> Iterator[ClassType]:
    seen = set(starts)
    waiting = list(starts)
    while waiting and len(seen) < _MOST and not cancelled():
        for one in _directly_below(hierarchy, waiting.pop()):
            if one not in seen:
                seen.add(one)
                waiting.append(one)
                yield one


def _bases(resolver: Resolver, of: ClassType) -> tuple[ClassType, ...]:
    """The direct bases of a class; in languages other than Python what it implements is among them."""
    record = resolver.record(of.path)
    if record is None or record.language == "python":
        return resolver.types.bases(of)
    targets = (target for ref in record.scopes[of.scope].refs for target in named(resolver, of.path, ref))
    return tuple(dict.fromkeys(one for target in targets for one in _classes(resolver, target)))


def _classes(resolver: Resolver, target: Target) -> Iterator[ClassType]:
    record = resolver.record(target.path) if isinstance(target, Slot) else None
    for row in resolver.symbols_of(target) if record is not None and isinstance(target, Slot) else ():
        inner = -1 if record is None else record.symbols.inner[row]
        if isinstance(target, Slot) and inner >= 0 and _is_class(resolver, target.path, inner):
            yield ClassType(target.path, inner)


def _directly_below(hierarchy: Hierarchy, of: ClassType) -> Iterator[ClassType]:
    """The classes that name a class as a base."""
    resolver = hierarchy.resolver
    record, named_by = resolver.record(of.path), _named(resolver, of)
    if record is None or named_by is None or record.language == "python":
        yield from hierarchy.below(of)
        return
    for path in resolver.snapshot.files_naming(named_by.name):
        other = resolver.record(path)
        for scope in () if other is None else rows_with(other.scopes.kind, _CLASS_SCOPE):
            one = ClassType(path, scope)
            if one != of and of in _bases(resolver, one):
                yield one


def _is_abstract(resolver: Resolver, slot: Slot) -> bool:
    record = resolver.record(slot.path)
    return record is not None and any(record.symbols.flags[row] & ABSTRACT for row in resolver.symbols_of(slot))


def _is_class(resolver: Resolver, path: str, scope: int) -> bool:
    record = resolver.record(path)
    return record is not None and record.scopes.kind[scope] == _CLASS_SCOPE


def _named(resolver: Resolver, of: ClassType) -> Slot | None:
    """The slot of a class's own name."""
    found = _definition(resolver, of)
    record = resolver.record(of.path)
    if found is None or record is None:
        return None
    symbol = record.symbols[found.row]
    return Slot(of.path, symbol.scope, symbol.name)


def _definition(resolver: Resolver, of: ClassType) -> Definition | None:
    record = resolver.record(of.path)
    row = -1 if record is None else record.scopes.symbol[of.scope]
    return Definition(of.path, row) if row >= 0 else None


def _class_of(resolver: Resolver, of: Definition) -> ClassType | None:
    record = resolver.record(of.path)
    if record is None or not 0 <= of.row < len(record.symbols):
        return None
    inner = record.symbols.inner[of.row]
    return ClassType(of.path, inner) if inner >= 0 and record.scopes.kind[inner] == _CLASS_SCOPE else None
