"""Which parameter a keyword argument names, and which functions a call runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engram_context.inference.calls import Given
from engram_context.inference.inferred import ClassType, Function, Instance, Type, Types_, as_objects
from engram_context.outside.library import is_outside
from engram_context.records import KEYWORDS, KIND, NO_REF, POSITIONAL_ONLY, VARIADIC, FileRecord, rows_with
from engram_context.targets import Slot, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engram_context.inference.members import Types

_PARAMETER = KIND["parameter"]
_FORWARDS = 3
"""How often keyword arguments are followed into what a function hands them on to."""
_COPYING = frozenset({"replace", "evolve"})
"""Functions that copy an object with other values for some of its fields: of dataclasses, copy and attrs."""
_GENERAL = (("builtins", "object"), ("typing", "NamedTuple"), ("builtins", "tuple"), ("typing", "_TypedDict"))
"""Classes whose initializers say nothing about how objects of a subclass are made."""


class Keywords:
    """Answers for one `Types`."""

    def __init__(self, types: Types) -> None:
        self.types = types
        self._starred: dict[str, list[tuple[int, int, int]]] = {}

    def of_occurrence(self, path: str, index: int) -> tuple[Target, ...]:
        """The parameter that a keyword argument names."""
        record = self.types.resolver.record(path)
        row = NO_REF if record is None else record.occurrences.link[index]
        if record is None or row < 0:
            return ()
        name = record.names[record.occurrences.name[index]]
        callees = self.types.of_ref(path, record.calls.callee[row])
        if any(isinstance(one, ClassType) and self.types.is_library(one, "functools", "partial") for one in callees):
            positional = Given.of_call(path, record, row).positional
            callees = self.types.calls.argument(Given(path), positional[0]) if positional else ()
        copied = [one for callee in callees for one in self._copied(callee, path, record, row)]
        found = [slot for one in copied for slot in self.types.slots(one, name)] or self._named(
            callees, name, _FORWARDS
        )
        return tuple(dict.fromkeys(map(self.types.resolver.seen, found)))

    def _copied(self, callee: Type, path: str, record: FileRecord, row: int) -> Types_:
        """The objects of which a call makes copies with other values: `replace(x, size=2)`, `x._replace(size=2)`."""
        home = self.types.resolver.record(callee.path) if isinstance(callee, Function) else None
        if not isinstance(callee, Function) or home is None or not is_outside(callee.path):
            return ()
        name = home.names[home.symbols.name[callee.symbol]]
        if name == "_replace" and isinstance(callee.receiver, Instance):
            return (callee.receiver,)
        positional = Given.of_call(path, record, row).positional
        if name not in _COPYING or callee.receiver is not None or not positional:
            return ()
        return self.types.argument_types(Given(path), positional[0])

    def _named(self, callees: Iterable[Type], name: str, depth: int) -> list[Target]:
        """The parameters, or fields, that `name=` sets in a call of one of several things."""
        found: list[Target] = []
        for callee in callees:
            functions = self.functions(callee)
            taken = [slot for function in functions for slot in self._parameter(function, name, depth)]
            if not taken and isinstance(callee, ClassType) and all(is_outside(one.path) for one in functions):
                # No __init__ in the project: a dataclass or NamedTuple takes its fields.
                taken = [
                    slot
                    for slot in self.types.slots(callee, name)
                    if isinstance(slot, Slot) and not is_outside(slot.path)
                ]
            found.extend(taken)
        return found

    def _parameter(self, function: Function, name: str, depth: int) -> list[Target]:
        """The parameter of a function that a keyword names. What only `**kwargs` takes is a key of the TypedDict that
        it is declared to be, or goes where the function hands it on to."""
        record = self.types.resolver.record(function.path)
        inner = -1 if record is None else record.symbols.inner[function.symbol]
        if record is None or inner < 0:
            return []
        if any(record.symbols.kind[row] == _PARAMETER for row in record.bindings(inner, name)):
            return [Slot(function.path, inner, name)]
        rest = next(
            (row for row in self.types.calls.parameters(function) if record.symbols.flags[row] & KEYWORDS), None
        )
        if rest is None or depth <= 0:
            return []
        declared = as_objects(self.types.of_ref(function.path, record.symbols.annotation[rest]))
        keys = [
            slot
            for one in declared
            if isinstance(one, Instance) and self.types.classes.inherits(one.of, "typing", "_TypedDict")
            for slot in self.types.slots(one, name)
        ]
        if keys:
            return keys
        found: list[Target] = []
        for call in self._forwarding(function.path, record, record.symbols.scope[rest], record.symbols.name[rest]):
            found.extend(self._named(self.types.of_ref(function.path, record.calls.callee[call]), name, depth - 1))
        return found

    def handed_on(self, function: Function, depth: int = _FORWARDS) -> dict[str, Target]:
        """The names that a function takes by its `**kwargs`, as far as that is told: keys of the TypedDict that it is
        declared to be, or what the functions take that it is handed on to."""
        record = self.types.resolver.record(function.path)
        rows = self.types.calls.parameters(function)
        rest = None if record is None else next((row for row in rows if record.symbols.flags[row] & KEYWORDS), None)
        if record is None or rest is None or depth <= 0:
            return {}
        found: dict[str, Target] = {}
        for one in as_objects(self.types.of_ref(function.path, record.symbols.annotation[rest])):
            if isinstance(one, Instance) and self.types.classes.inherits(one.of, "typing", "_TypedDict"):
                slots = self.types.names(one).items()
                found.update(
                    (name, slot) for name, slot in slots if isinstance(slot, Slot) and not is_outside(slot.path)
                )
        for call in self._forwarding(function.path, record, record.symbols.scope[rest], record.symbols.name[rest]):
            given = {name for name, _ in Given.of_call(function.path, record, call).keywords}
            for callee in self.types.of_ref(function.path, record.calls.callee[call]):
                for other in self.functions(callee):
                    found.update((name, slot) for name, slot in self._taken(other, depth).items() if name not in given)
        return found

    def _taken(self, function: Function, depth: int) -> dict[str, Target]:
        record = self.types.resolver.record(function.path)
        found = self.handed_on(function, depth - 1)
        for row in self.types.calls.parameters(function) if record is not None else ():
            symbol = record.symbols[row] if record is not None else None
            if symbol is not None and not symbol.flags & (KEYWORDS | VARIADIC | POSITIONAL_ONLY):
                found[symbol.name] = Slot(function.path, symbol.scope, symbol.name)
        return found

    def _forwarding(self, path: str, record: FileRecord, scope: int, kwargs: int) -> list[int]:
        """The calls in a function that hand on all its keyword arguments."""
        if path not in self._starred:
            self._starred[path] = [
                (call, record.occurrences.name[value], record.calls.scope[call])
                for argument in rows_with(record.arguments.stars, 2)
                if (value := record.arguments.value[argument]) >= 0
                for call in range(len(record.calls))
                if record.calls.first_argument[call] <= argument < record.calls.last_argument[call]
            ]
        return [call for call, name, where in self._starred[path] if name == kwargs and where == scope]

    def _is_general(self, function: Function) -> bool:
        """Whether a def is one that says nothing about how objects of a subclass are made."""
        owner = self.types.calls.owner(function)
        return owner is not None and any(self.types.is_library(owner, module, name) for module, name in _GENERAL)

    def functions(self, callee: Type) -> list[Function]:
        """The defs that calling something runs: a class's __init__ or __new__, an object's __call__."""
        if isinstance(callee, Function):
            return [callee]
        names = ("__init__", "__new__") if isinstance(callee, ClassType) else ("__call__",)
        if not isinstance(callee, ClassType | Instance):
            return []
        for name in names:
            found = [one for one in self.types.attribute(callee, name) if isinstance(one, Function)]
            found = [one for one in found if not self._is_general(one)]
            if found:
                return found
        return []
