"""Which slots of different classes must have the same name: overrides, and the parameters of overrides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engram_context.inference.calls import decorator_name
from engram_context.inference.members import ClassType, Outside, Type
from engram_context.outside.classes import class_members
from engram_context.outside.environment import Environment
from engram_context.outside.library import is_outside
from engram_context.records import KIND, FileRecord, Symbol, rows_with
from engram_context.renames.injected import injected_family, is_parametrized
from engram_context.renames.keyed import is_of_dictionary
from engram_context.renames.stubs import twins
from engram_context.resolve import Resolver
from engram_context.targets import External, Slot

_CLASS, _PARAMETER = KIND["class"], KIND["parameter"]

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
    | {"typing.Hashable", "typing.Sized", "typing.Iterable", "typing.Callable"}
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


class Hierarchy:
    """The classes of a snapshot's files with their bases, read as they are asked for and kept."""

    def __init__(self, resolver: Resolver, environment: Environment) -> None:
        self.resolver = resolver
        self.environment = environment
        self._files: dict[str, tuple[tuple[ClassType, tuple[ClassType, ...]], ...]] = {}

    def below(self, of: ClassType) -> Iterator[ClassType]:
        """The classes that name a class as a base, in the files that mention its name."""
        record = self.resolver.record(of.path)
        symbol = None if record is None else record.scopes[of.scope].symbol
        if record is None or symbol is None:
            return
        for path in self.resolver.snapshot.files_naming(record.symbols[symbol].name):
            for candidate, bases in self._in_file(path):
                if of in bases and candidate != of:
                    yield candidate

    def _in_file(self, path: str) -> tuple[tuple[ClassType, tuple[ClassType, ...]], ...]:
        if path not in self._files:
            record = self.resolver.snapshot.records[path]
            inner = (record.symbols.inner[row] for row in rows_with(record.symbols.kind, _CLASS))
            classes = [ClassType(path, scope) for scope in inner if scope >= 0]
            self._files[path] = tuple((one, self.resolver.types.bases(one)) for one in classes)
        return self._files[path]

    def relatives(self, start: ClassType, name: str) -> dict[ClassType, None]:
        """The classes that share a member: from each class, all classes below it and all bases above it that have
        the member or inherit it."""
        found: dict[ClassType, None] = {}
        waiting = [start]
        while waiting:
            at = waiting.pop()
            if at in found:
                continue
            found[at] = None
            waiting.extend(self.below(at))
            order = self.order
            waiting.extend(one for one in order(at)[1:] if any(self.has(base, name) for base in order(one)))
        return found

    def order(self, of: ClassType) -> tuple[ClassType, ...]:
        """The project's part of a class's order."""
        return tuple(one for one in self.resolver.types.order(of) if not is_outside(one.path))

    def has(self, owner: ClassType, name: str) -> bool:
        return bool(self.resolver.symbols_of(Slot(owner.path, owner.scope, name)))

    def name(self, owner: ClassType) -> str:
        record = self.resolver.record(owner.path)
        return "?" if record is None else record.scopes[owner.scope].name

    def outside_name(self, of: Type) -> str | None:
        """The dotted name of a class from outside."""
        if not isinstance(of, ClassType) or not is_outside(of.path):
            return None
        record = self.resolver.record(of.path)
        symbol = None if record is None else record.scopes[of.scope].symbol
        if record is None or symbol is None:
            return None
        seen = self.resolver.seen(Slot(of.path, record.symbols.scope[symbol], self.name(of)))
        return seen.name if isinstance(seen, External) else None


def family_of(hierarchy: Hierarchy, slots: Iterable[Slot]) -> Family:
    """The family of some slots: of those in classes, the same name up and down the hierarchy; of parameters, the
    same parameter of the overriding methods."""
    resolver = hierarchy.resolver
    found: set[Slot] = set()
    classes: dict[ClassType, None] = {}
    outside: set[str] = set()
    doubt: str | None = None
    for slot in slots:
        record = resolver.record(slot.path)
        if record is None:
            continue
        kind = record.scopes[slot.scope].kind
        injected = injected_family(resolver, slot)
        found |= injected
        found.update(twins(resolver, slot))
        if kind == "class" and slot not in found:
            related = hierarchy.relatives(ClassType(slot.path, slot.scope), slot.name)
            found.update(Slot(one.path, one.scope, slot.name) for one in related if hierarchy.has(one, slot.name))
            classes.update(related)
            names, unknown = _outside(hierarchy, related)
            if slot.name in names:
                reason = f"'{slot.name}' overrides a member of a base class from outside the project"
                return Family(refusal=reason)
            outside |= names
            if is_of_dictionary(resolver, slot):
                doubt = f"'{slot.name}' is a key, and a text may name it where nobody sees of what"
            elif unknown is not None:
                doubt = f"a base class that cannot be seen ({unknown}) may know '{slot.name}'"
        elif kind in ("function", "lambda"):
            doubt = doubt or _named_from_outside(record, slot, bool(injected) or is_parametrized(resolver, slot))
            if slot not in found:
                found |= _parameter_family(hierarchy, record, slot)
    return Family(frozenset(found), tuple(classes), frozenset(outside), doubt)


def _outside(hierarchy: Hierarchy, classes: Iterable[ClassType]) -> tuple[set[str], str | None]:
    """(the members that bases from outside are known to have, a base whose members are not known)."""
    resolver = hierarchy.resolver
    names: set[str] = set()
    unknown: str | None = None
    for owner in classes:
        record = resolver.record(owner.path)
        for ref in () if record is None else record.scopes[owner.scope].refs:
            types = resolver.types.of_ref(owner.path, ref)
            if not types:
                unknown = unknown or f"of class {hierarchy.name(owner)}"
            for base in types:
                name = base.name if isinstance(base, Outside) else hierarchy.outside_name(base)
                if name is None or name in _PLAIN_BASES:
                    continue
                members = class_members(name, hierarchy.environment)
                if members is None and isinstance(base, ClassType):
                    members = frozenset(resolver.types.names(base))
                if members is None:
                    unknown = name
                else:
                    names |= members
    return names, unknown


def _function_of(record: FileRecord, slot: Slot) -> Symbol | None:
    """The def whose parameter a slot is, if it is one."""
    symbol = record.scopes[slot.scope].symbol
    rows = record.bindings(slot.scope, slot.name)
    is_parameter = any(record.symbols.kind[row] == _PARAMETER for row in rows)
    return record.symbols[symbol] if is_parameter and symbol is not None else None


def _parameter_family(hierarchy: Hierarchy, record: FileRecord, slot: Slot) -> set[Slot]:
    """The same parameter of the methods that override, or are overridden by, the parameter's method."""
    function = _function_of(record, slot)
    if function is None or function.kind != "method" or function.name in ("__init__", "__new__"):
        return set()
    found: set[Slot] = set()
    for owner in hierarchy.relatives(ClassType(slot.path, function.scope), function.name):
        other = hierarchy.resolver.record(owner.path)
        for row in () if other is None else other.bindings(owner.scope, function.name):
            inner = -1 if other is None else other.symbols.inner[row]
            if other is None or inner < 0:
                continue
            if any(other.symbols.kind[symbol] == _PARAMETER for symbol in other.bindings(inner, slot.name)):
                found.add(Slot(owner.path, inner, slot.name))
    return found


def _named_from_outside(record: FileRecord, slot: Slot, is_injected: bool) -> str | None:
    """Why somebody who cannot be seen may pass a parameter by its name. It `is_injected` where it is known who does."""
    function = _function_of(record, slot)
    if function is None or is_injected:
        return None
    if function.name.startswith("test"):
        return f"a test framework may pass '{slot.name}' to {function.name} by its name"
    for ref in function.decorators:
        if decorator_name(record, ref) not in _TRANSPARENT:
            return f"the decorator of {function.name} may pass '{slot.name}' by its name"
    return None
