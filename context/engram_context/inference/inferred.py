"""What an expression can be: the values that inference deals in.

A type is what an object is taken to be. Several of them in a tuple are a union; none at all means that nothing is
known. The same values stand for what an annotation names, until `as_objects` makes objects of its classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from engram_context.imports import Module
from engram_context.targets import Slot


@dataclass(frozen=True, slots=True)
class ClassType:
    """A class itself; `scope` is the one its body opens. `arguments` are what its type parameters stand for, as far
    as that is known: one union for each."""

    path: str
    scope: int
    arguments: tuple[Types_, ...] = ()

    @property
    def bare(self) -> ClassType:
        return ClassType(self.path, self.scope) if self.arguments else self


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class. `above` means what `super()` gives: members of the bases alone."""

    path: str
    scope: int
    above: bool = False
    arguments: tuple[Types_, ...] = ()

    @property
    def of(self) -> ClassType:
        return ClassType(self.path, self.scope, self.arguments)


@dataclass(frozen=True, slots=True)
class Function:
    """A def, with what it was taken from when that was a class or an object. `result`: what calling it gives, where a
    decorator decides that."""

    path: str
    symbol: int
    receiver: Instance | ClassType | None = None
    result: Types_ | None = None


@dataclass(frozen=True, slots=True)
class Coroutine:
    """What calling an async def gives: awaiting it gives `result`."""

    result: Type


@dataclass(frozen=True, slots=True)
class Outside:
    """A name from outside the project that has a meaning of its own here (`Optional`, `Self`, `super`), or of which
    nothing else is known."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """An object of a type variable's type."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class TypeOf:
    """`type[X]` in an annotation; among objects, the class that a type variable stands for."""

    of: Types_


@dataclass(frozen=True, slots=True)
class TupleOf:
    """A tuple of known length."""

    elements: tuple[Types_, ...]


@dataclass(frozen=True, slots=True)
class CallableOf:
    """Something to call, known by what that gives alone, and perhaps by what it takes."""

    result: Types_
    parameters: tuple[Types_, ...] = ()


@dataclass(frozen=True, slots=True)
class Literals:
    """One of these: of class str or bool, as they are written in annotations and calls."""

    kind: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Nothing:
    """None."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands in a union for what may be anything else."""


Type = (
    ClassType | Instance | Function | Coroutine | Module | Outside | Variable | TypeOf | TupleOf | CallableOf | Literals
    | Nothing | Unknown
)  # fmt: skip
Types_ = tuple[Type, ...]
Bindings = Mapping[Slot, Types_]
"""What type variables stand for."""


def as_objects(types: Iterable[Type]) -> list[Type]:
    """Types named in an annotation as the objects they declare."""
    found: list[Type] = []
    for one in types:
        if isinstance(one, ClassType):
            found.append(Instance(one.path, one.scope, arguments=one.arguments))
        elif isinstance(one, TypeOf):
            found.extend(as_classes(one.of))
        else:
            found.append(one)
    return found


def as_classes(types: Iterable[Type]) -> list[Type]:
    """The classes of objects."""
    found: list[Type] = []
    for one in types:
        if isinstance(one, Instance):
            found.append(one.of)
        elif isinstance(one, Variable | Outside):
            found.append(TypeOf((one,)))
    return found


def substitute(types: Iterable[Type], bindings: Bindings, own: Type | None = None, depth: int = 6) -> list[Type]:
    """Types with what their variables stand for, as far as that is known, and `Self` replaced by `own`."""
    found: list[Type] = []
    for one in types:
        if isinstance(one, Variable):
            found.extend(bindings.get(one.slot, (one,)))
        elif isinstance(one, Outside):
            is_self = own is not None and one.name.endswith(".Self")
            found.append(own if is_self and own is not None else one)
        elif depth <= 0:
            found.append(one)
        elif isinstance(one, Instance | ClassType):
            if one.arguments:
                arguments = tuple(_union(substitute(each, bindings, own, depth - 1)) for each in one.arguments)
                one = replace(one, arguments=arguments)
            found.append(one)
        elif isinstance(one, TypeOf):
            found.extend(as_classes(substitute(one.of, bindings, own, depth - 1)))
        elif isinstance(one, TupleOf):
            found.append(TupleOf(tuple(_union(substitute(each, bindings, own, depth - 1)) for each in one.elements)))
        elif isinstance(one, CallableOf):
            parameters = tuple(_union(substitute(each, bindings, own, depth - 1)) for each in one.parameters)
            found.append(CallableOf(_union(substitute(one.result, bindings, own, depth - 1)), parameters))
        elif isinstance(one, Coroutine):
            found.extend(Coroutine(each) for each in substitute((one.result,), bindings, own, depth - 1))
        else:
            found.append(one)
    return found


def has_variables(types: Iterable[Type], depth: int = 6) -> bool:
    """Whether substituting could change anything."""
    for one in types:
        if isinstance(one, Variable | Outside):
            return True
        if depth > 0:
            parts: tuple[Types_, ...] = ()
            if isinstance(one, Instance | ClassType):
                parts = one.arguments
            elif isinstance(one, TupleOf):
                parts = one.elements
            elif isinstance(one, TypeOf):
                parts = (one.of,)
            elif isinstance(one, CallableOf):
                parts = (one.result, *one.parameters)
            elif isinstance(one, Coroutine):
                parts = ((one.result,),)
            if any(has_variables(part, depth - 1) for part in parts):
                return True
    return False


def variables_in(types: Iterable[Type], depth: int = 6) -> list[Slot]:
    """The type variables that types mention, in order."""
    found: dict[Slot, None] = {}
    for one in types:
        parts: tuple[Types_, ...] = ()
        if isinstance(one, Variable):
            found[one.slot] = None
        elif isinstance(one, Instance | ClassType):
            parts = one.arguments
        elif isinstance(one, TupleOf):
            parts = one.elements
        elif isinstance(one, TypeOf):
            parts = (one.of,)
        elif isinstance(one, CallableOf):
            parts = (one.result,)
        for part in parts if depth > 0 else ():
            found.update(dict.fromkeys(variables_in(part, depth - 1)))
    return list(found)


def _union(types: list[Type]) -> Types_:
    return tuple(dict.fromkeys(types))[:8]
