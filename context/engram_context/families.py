"""Which slots of different classes must have the same name: overrides, and the parameters of overrides."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engram_context.members import ClassType, Outside
from engram_context.records import DECORATED, KIND, FileRecord, Symbol
from engram_context.resolve import Resolver
from engram_context.targets import Slot

_CLASS, _METHOD, _PARAMETER = KIND["class"], KIND["method"], KIND["parameter"]

# Decorators that call what they decorate as it is called, or not at all.
_TRANSPARENT = frozenset(
    {"staticmethod", "classmethod", "property", "cached_property", "setter", "getter", "deleter", "abstractmethod"}
    | {"overload", "override", "final", "deprecated", "no_type_check", "wraps", "cache", "lru_cache"}
    | {"contextmanager", "asynccontextmanager", "singledispatch", "total_ordering"}
)
# Bases that add no attributes a program would use by chance, or whose attributes are all special names.
_PLAIN_BASES = frozenset(
    {"typing.Generic", "typing.Protocol", "typing_extensions.Protocol", "typing.NamedTuple", "abc.ABC"}
    | {"typing_extensions.NamedTuple", "collections.abc.Hashable", "collections.abc.Sized"}
    | {"collections.abc.Iterable", "collections.abc.Callable"}
)


@dataclass(frozen=True, slots=True)
class Family:
    """Slots that go together, and the classes that a new name must not clash in.

    `doubt` says why the whole rename needs a look: a base from outside may know the old name. `outside_names`
    are the names that known bases from outside have.
    """

    slots: frozenset[Slot] = frozenset()
    classes: tuple[ClassType, ...] = ()
    outside_names: frozenset[str] = frozenset()
    doubt: str | None = None
    refusal: str | None = None


def family_of(resolver: Resolver, slots: Iterable[Slot]) -> Family:
    """The family of some slots: of those in classes, the same name up and down the hierarchy; of parameters, the
    same parameter of the overriding methods."""
    found: set[Slot] = set()
    classes: dict[ClassType, None] = {}
    outside: set[str] = set()
    doubt: str | None = None
    for slot in slots:
        record = resolver.record(slot.path)
        if record is None:
            continue
        kind = record.scopes[slot.scope].kind
        if kind == "class":
            related = _relatives(resolver, ClassType(slot.path, slot.scope), slot.name)
            found.update(Slot(one.path, one.scope, slot.name) for one in related if _has(resolver, one, slot.name))
            classes.update(related)
            names, unknown = _outside(resolver, related)
            if slot.name in names:
                reason = f"'{slot.name}' overrides a member of a base class from outside the project"
                return Family(refusal=reason)
            outside |= names
            if unknown is not None:
                doubt = f"a base class that cannot be seen ({unknown}) may know '{slot.name}'"
        elif kind in ("function", "lambda"):
            more, reason = _parameter_family(resolver, record, slot)
            found |= more
            doubt = doubt or reason
    return Family(frozenset(found), tuple(classes), frozenset(outside), doubt)


def _has(resolver: Resolver, owner: ClassType, name: str) -> bool:
    record = resolver.record(owner.path)
    return record is not None and bool(record.bindings(owner.scope, name))


def _relatives(resolver: Resolver, start: ClassType, name: str) -> dict[ClassType, None]:
    """The classes that share the member: from each class that has it, all bases above and all classes below,
    until no more of them have it. Classes between and below that do not bind it themselves are included."""
    found: dict[ClassType, None] = {}
    waiting = [start]
    while waiting:
        at = waiting.pop()
        if at in found:
            continue
        found[at] = None
        below = list(subclasses(resolver, at))
        above = [one for one in resolver.types.order(at) if one != at]
        waiting.extend(below)
        # A base without the member is a relative only by way of another one that has it.
        waiting.extend(one for one in above if any(_has(resolver, base, name) for base in resolver.types.order(one)))
    return found


def subclasses(resolver: Resolver, of: ClassType) -> Iterator[ClassType]:
    """The project's classes that name a class as a base directly, under its own name or an alias."""
    record = resolver.record(of.path)
    symbol = None if record is None else record.scopes[of.scope].symbol
    if record is None or symbol is None:
        return
    for path in resolver.snapshot.files_naming(record.symbols[symbol].name):
        other = resolver.snapshot.records[path]
        for row, kind in enumerate(other.symbols.kind):
            inner = other.symbols.inner[row]
            if kind == _CLASS and inner >= 0:
                candidate = ClassType(path, inner)
                if candidate != of and of in resolver.types.bases(candidate):
                    yield candidate


def _outside(resolver: Resolver, classes: Iterable[ClassType]) -> tuple[set[str], str | None]:
    """(the members that bases from outside are known to have, a base whose members are not known)."""
    names: set[str] = set()
    unknown: str | None = None
    for owner in classes:
        record = resolver.record(owner.path)
        for ref in () if record is None else record.scopes[owner.scope].refs:
            types = resolver.types.of_ref(owner.path, ref)
            if not types:
                unknown = unknown or f"of class {_name(resolver, owner)}"
            for base in types:
                if not isinstance(base, Outside) or base.name in _PLAIN_BASES:
                    continue
                builtin = getattr(builtins, base.name, None)
                if isinstance(builtin, type):
                    names.update(dir(builtin))
                else:
                    unknown = base.name
    return names, unknown


def _name(resolver: Resolver, owner: ClassType) -> str:
    record = resolver.record(owner.path)
    return "?" if record is None else record.scopes[owner.scope].name


def _parameter_family(resolver: Resolver, record: FileRecord, slot: Slot) -> tuple[set[Slot], str | None]:
    """The same parameter of the methods that override, or are overridden by, the parameter's method."""
    scope = record.scopes[slot.scope]
    if scope.symbol is None or not any(record.symbols.kind[row] == _PARAMETER for row in resolver.symbols_of(slot)):
        return set(), None
    function = record.symbols[scope.symbol]
    doubt = _named_from_outside(record, function, slot.name)
    if function.kind != "method" or function.name in ("__init__", "__new__"):
        return set(), doubt
    found: set[Slot] = set()
    for owner in _relatives(resolver, ClassType(slot.path, function.scope), function.name):
        other = resolver.record(owner.path)
        for row in () if other is None else other.bindings(owner.scope, function.name):
            inner = -1 if other is None else other.symbols.inner[row]
            if other is None or inner < 0:
                continue
            if any(other.symbols.kind[symbol] == _PARAMETER for symbol in other.bindings(inner, slot.name)):
                found.add(Slot(owner.path, inner, slot.name))
    return found, doubt


def _named_from_outside(record: FileRecord, function: Symbol, name: str) -> str | None:
    """Why somebody who cannot be seen may pass a parameter by its name."""
    if function.name.startswith("test"):
        return f"a test framework may pass '{name}' to {function.name} by its name"
    if not function.flags & DECORATED:
        return None
    for ref in function.decorators:
        named = decorator_name(record, ref)
        if named not in _TRANSPARENT:
            return f"the decorator of {function.name} may pass '{name}' by its name"
    return None


def decorator_name(record: FileRecord, ref: int) -> str | None:
    """The last part of a decorator's name, that of what is called when it is a call."""
    if ref < -1 and record.values[-2 - ref].kind == "call":
        ref = record.values[-2 - ref].first
    return record.names[record.occurrences.name[ref]] if ref >= 0 else None
