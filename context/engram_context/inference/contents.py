"""Objects that are run over, awaited or taken apart: what that gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engram_context.inference.inferred import ClassType, Coroutine, Instance, TupleOf, Type, Types_, Variable
from engram_context.records import NO_REF

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engram_context.inference.members import Types

_WIDTH = 16
"""No more types than this are taken for an element."""


class Contents:
    """Answers for one `Types`."""

    def __init__(self, types: Types) -> None:
        self.types = types

    def awaited(self, one: Type) -> list[Type]:
        """What awaiting an object gives; the object itself where it is none that can be awaited."""
        if isinstance(one, Coroutine):
            return [one.result]
        if not isinstance(one, Instance):
            return [one]
        awaitable = self.types.library_class("typing", "Awaitable")
        arguments = None if awaitable is None else self.types.generics.ancestry(one.of).get(awaitable)
        if arguments is not None:
            return [each for argument in arguments for each in argument]
        generators = self.types.calls.called(self.types.attribute(one, "__await__"))
        if generators:
            return [
                each
                for generator in generators
                if isinstance(generator, Instance) and len(generator.arguments) == 3
                for each in generator.arguments[2]
            ]
        return [one]

    def elements(self, types: Iterable[Type]) -> list[Type]:
        """What running over objects gives."""
        found: dict[Type, None] = {}
        for one in types:
            if isinstance(one, ClassType) and self.types.classes.is_enum(one):
                found[Instance(one.path, one.scope)] = None
            elif isinstance(one, ClassType):
                iterators = self.types.calls.called(self.types.attribute(one, "__iter__"))
                found.update(dict.fromkeys(self.elements(each for each in iterators if isinstance(each, Instance))))
            elif isinstance(one, TupleOf):
                found.update(dict.fromkeys(each for element in one.elements for each in element))
            else:
                found.update(dict.fromkeys(self._elements_of(self.types.as_instance(one))))
        return list(found)[:_WIDTH]

    def _elements_of(self, one: Type) -> list[Type]:
        if isinstance(one, Variable):
            return self.elements(self.types.bound_of(one))
        if not isinstance(one, Instance):
            return []
        for name in ("Iterable", "AsyncIterable"):
            base = self.types.library_class("typing", name)
            arguments = None if base is None else self.types.generics.ancestry(one.of).get(base)
            if arguments and any(arguments):
                return list(arguments[0])
        for start, step in (("__iter__", "__next__"), ("__aiter__", "__anext__")):
            iterators = self.types.calls.called(self.types.attribute(one, start))
            found = [
                each
                for iterator in iterators
                if iterator != one or start != step
                for stepped in self._steps(iterator, step)
                for each in self.awaited(stepped)
            ]
            if found or iterators:
                return found
        return self.types.calls.called(self.types.attribute(one, "__getitem__"), None)

    def _steps(self, iterator: Type, step: str) -> list[Type]:
        if not isinstance(iterator, Instance):
            return []
        base = self.types.library_class("typing", "Iterable" if step == "__next__" else "AsyncIterable")
        arguments = None if base is None else self.types.generics.ancestry(iterator.of).get(base)
        if arguments and any(arguments):
            return list(arguments[0])
        return self.types.calls.called(self.types.attribute(iterator, step))

    def tuple_fields(self, of: Instance) -> list[Types_]:
        """What the fields of a NamedTuple are, in their order."""
        return self._fields(of) if self.types.classes.inherits(of.of, "typing", "NamedTuple") else []

    def _fields(self, of: Instance) -> list[Types_]:
        record = self.types.resolver.record(of.path)
        rows = () if record is None else record.symbols_in(of.scope)
        return [
            tuple(self.types.of_symbol(of.path, row))
            for row in rows
            if record is not None and record.symbols.annotation[row] != NO_REF and record.symbols.inner[row] < 0
        ]

    def dictionary_field(self, of: Instance, path: str, index: int) -> list[Type] | None:
        """What a TypedDict has under a key that is written out."""
        text = self.types.text(path, index)
        if text is None or not self.types.classes.inherits(of.of, "typing", "_TypedDict"):
            return None
        return self.types.attribute(of, text)
