"""What an expression is, as far as that decides its members: simple inference over the record's refs.

Types are classes of the project, instances of them, functions and modules. An expression may be several; one
that is none of these, or is not known, has no types. Everything is bounded: depth, width, and recursion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engram_context.imports import Module
from engram_context.records import (
    ASYNC,
    CLASS_METHOD,
    GENERATOR,
    KIND,
    NO_REF,
    PROPERTY,
    ROLE,
    SCOPE_KIND,
    STATIC_METHOD,
    FileRecord,
    Symbol,
    value_row,
)
from engram_context.scopes import class_around
from engram_context.targets import External, Slot, Target

if TYPE_CHECKING:
    from engram_context.resolve import Resolver

_DEPTH = 24
_WIDTH = 8
"""No more types than this are followed for one expression."""
_RETURNS = 4
"""How many return statements of a function without an annotation are looked at."""

_METHOD, _PARAMETER, _CLASS = KIND["method"], KIND["parameter"], KIND["class"]
_CLASS_SCOPE = SCOPE_KIND["class"]
_ATTRIBUTES = (ROLE["attribute"], ROLE["attribute-write"])


@dataclass(frozen=True, slots=True)
class ClassType:
    """A class itself; `scope` is the one its body opens."""

    path: str
    scope: int


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class. `above` means what `super()` gives: members of the bases alone."""

    path: str
    scope: int
    above: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A def, with what it was taken from when that was a class or an object."""

    path: str
    symbol: int
    receiver: Instance | ClassType | None = None


@dataclass(frozen=True, slots=True)
class Coroutine:
    """What calling an async def gives: awaiting it gives `result`."""

    result: Type


@dataclass(frozen=True, slots=True)
class Outside:
    """A name of a library or builtin, kept because some (`Optional`, `Self`, `super`) have a meaning here."""

    name: str


Type = ClassType | Instance | Function | Coroutine | Module | Outside
Types_ = tuple[Type, ...]

_TRANSPARENT = frozenset({"Optional", "Union", "Annotated", "ClassVar", "Final", "Required", "NotRequired", "ReadOnly"})
"""typing's subscripted names that stand for what is between the brackets."""


class Types:
    """Infers types for a resolver, and keeps what it found."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self._refs: dict[tuple[str, int], Types_] = {}
        self._symbols: dict[tuple[str, int], Types_] = {}
        self._orders: dict[ClassType, tuple[ClassType, ...]] = {}
        self._depth = 0

    # --- expressions ----------------------------------------------------------------------------------

    def of_ref(self, path: str, ref: int) -> Types_:
        """The types of an expression of a file."""
        key = (path, ref)
        if ref == NO_REF or self._depth >= _DEPTH:
            return ()
        if key not in self._refs:
            record = self.resolver.record(path)
            if record is None:
                return ()
            self._refs[key] = ()  # what an expression that depends on itself sees
            self._depth += 1
            try:
                self._refs[key] = tuple(dict.fromkeys(self._of_ref(path, record, ref)))[:_WIDTH]
            finally:
                self._depth -= 1
        return self._refs[key]

    def _of_ref(self, path: str, record: FileRecord, ref: int) -> list[Type]:
        row = value_row(ref)
        if row is None:
            if record.occurrences.role[ref] in _ATTRIBUTES:
                name = record.names[record.occurrences.name[ref]]
                receivers = self.of_ref(path, record.occurrences.link[ref])
                return [found for receiver in receivers for found in self.attribute(receiver, name)]
            targets = self.resolver.of_occurrence(path, ref)
            return [found for target in targets for found in self.of_target(target)]
        value = record.values[row]
        kind, first, second = value.kind, value.first, value.second
        if kind == "call":
            return self._of_call(path, record, first, second)
        if kind == "subscript":
            return self._of_subscript(path, first, second)
        if kind == "await":
            return [
                awaited.result if isinstance(awaited, Coroutine) else awaited for awaited in self.of_ref(path, first)
            ]
        if kind in ("either", "operator"):
            # `X | None` in an annotation; on objects an operator's result is not known.
            both = [*self.of_ref(path, first), *self.of_ref(path, second)]
            return both if kind == "either" else [one for one in both if not isinstance(one, Instance)]
        if kind == "instance":
            return as_objects(self.of_ref(path, first))
        if kind == "raised":
            return as_objects(self._each(path, record, first))
        if kind == "entered":
            return self._entered(path, first)
        if kind == "part":
            return self._part(path, record, first, second)
        return []

    def _each(self, path: str, record: FileRecord, ref: int) -> list[Type]:
        """The types of a tuple's elements, or of the one expression that is no tuple."""
        row = value_row(ref)
        if row is not None and record.values[row].kind == "tuple":
            value = record.values[row]
            pool = record.values.pool[value.first : value.second]
            return [found for element in pool for found in self.of_ref(path, element)]
        return list(self.of_ref(path, ref))

    def _part(self, path: str, record: FileRecord, ref: int, position: int) -> list[Type]:
        row = value_row(ref)
        if row is None or position < 0 or record.values[row].kind not in ("tuple", "list"):
            return []
        value = record.values[row]
        pool = record.values.pool[value.first : value.second]
        return list(self.of_ref(path, pool[position])) if position < len(pool) else []

    def _entered(self, path: str, ref: int) -> list[Type]:
        found: list[Type] = []
        for manager in self.of_ref(path, ref):
            entered: list[Type] = []
            if isinstance(manager, Instance):
                for name in ("__enter__", "__aenter__"):
                    for method in self.attribute(manager, name):
                        entered.extend(self.called(method))
            found.extend(one.result if isinstance(one, Coroutine) else one for one in entered)
        return found

    def _of_subscript(self, path: str, container: int, index: int) -> list[Type]:
        record = self.resolver.record(path)
        found: list[Type] = []
        for base in self.of_ref(path, container):
            if isinstance(base, Outside):
                if base.name.rpartition(".")[2] in _TRANSPARENT and record is not None:
                    found.extend(self._each(path, record, index))
            elif isinstance(base, ClassType):
                found.append(base)  # a generic class with its arguments
            elif isinstance(base, Instance):
                for method in self.attribute(base, "__getitem__"):
                    found.extend(self.called(method))
        return found

    def _of_call(self, path: str, record: FileRecord, callee: int, row: int) -> list[Type]:
        found: list[Type] = []
        for called in self.of_ref(path, callee):
            if isinstance(called, Outside):
                found.extend(self._of_outside_call(path, record, called, row))
            else:
                found.extend(self.called(called))
        return found

    def _of_outside_call(self, path: str, record: FileRecord, called: Outside, row: int) -> list[Type]:
        call = record.calls[row]
        name = called.name.rpartition(".")[2]
        if name == "super":
            scope = class_around(record, call.scope)
            return [] if scope is None else [Instance(path, scope, above=True)]
        if name == "cast" and len(call.arguments) == 2:
            return as_objects(self.of_ref(path, record.arguments.value[call.arguments[0]]))
        return []

    def called(self, callee: Type) -> list[Type]:
        """What calling something gives."""
        if isinstance(callee, ClassType):
            return [Instance(callee.path, callee.scope)]
        if isinstance(callee, Instance):
            return [
                found
                for method in self.attribute(callee, "__call__")
                if isinstance(method, Function)
                for found in self.called(method)
            ]
        if not isinstance(callee, Function):
            return []
        record = self.resolver.record(callee.path)
        if record is None:
            return []
        symbol = record.symbols[callee.symbol]
        found = self._returned(callee, record, symbol)
        if symbol.flags & ASYNC and not symbol.flags & GENERATOR:
            return [Coroutine(one) for one in found]
        return found

    def _returned(self, callee: Function, record: FileRecord, symbol: Symbol) -> list[Type]:
        if symbol.annotation != NO_REF:
            found: list[Type] = []
            for one in as_objects(self.of_ref(callee.path, symbol.annotation)):
                if not isinstance(one, Outside):
                    found.append(one)
                elif one.name.rpartition(".")[2] == "Self" and callee.receiver is not None:
                    found.extend(as_objects((callee.receiver,)))
            return found
        if symbol.inner is None or symbol.flags & GENERATOR:
            return []
        returned = record.scopes[symbol.inner].refs[:_RETURNS]
        found = [one for ref in returned for one in self.of_ref(callee.path, ref)]
        if callee.receiver is None or (isinstance(callee.receiver, Instance) and callee.receiver.above):
            return found
        # `return self` and `return cls()` give what the method was called on, a subclass perhaps.
        own = class_around(record, symbol.inner)
        return [
            Instance(callee.receiver.path, callee.receiver.scope)
            if isinstance(one, Instance) and (one.path, one.scope) == (callee.path, own)
            else one
            for one in found
        ]

    # --- names ----------------------------------------------------------------------------------------

    def of_target(self, target: Target) -> list[Type]:
        found: list[Type] = []
        for origin in self.resolver.origins(target):
            if isinstance(origin, Module):
                found.append(origin)
            elif isinstance(origin, Slot):
                found.extend(self.of_slot(origin))
            else:
                found.append(Outside(origin.name))
        return found

    def of_slot(self, slot: Slot) -> list[Type]:
        record = self.resolver.record(slot.path)
        if record is None:
            return []
        rows = self.resolver.symbols_of(slot)
        # A declared type is the type, whatever is assigned elsewhere.
        declared = [row for row in rows if record.symbols.annotation[row] != NO_REF]
        variables = [row for row in declared if record.symbols.inner[row] < 0]
        return [found for row in variables or rows[-_WIDTH:] for found in self.of_symbol(slot.path, row)]

    def of_symbol(self, path: str, row: int) -> Types_:
        key = (path, row)
        record = self.resolver.record(path)
        if record is None or self._depth >= _DEPTH:
            return ()
        if key not in self._symbols:
            self._symbols[key] = ()
            self._depth += 1
            try:
                self._symbols[key] = tuple(self._of_symbol(path, record, record.symbols[row]))
            finally:
                self._depth -= 1
        return self._symbols[key]

    def _of_symbol(self, path: str, record: FileRecord, symbol: Symbol) -> list[Type]:
        if symbol.kind == "class":
            return [] if symbol.inner is None else [ClassType(path, symbol.inner)]
        if symbol.kind in ("function", "method"):
            return [Function(path, symbol.index)]
        if symbol.kind in ("module", "import", "type-parameter"):
            return []
        if symbol.annotation != NO_REF:
            declared = self.of_ref(path, symbol.annotation)
            if any(isinstance(one, Outside) and one.name.endswith("TypeAlias") for one in declared):
                return list(self.of_ref(path, symbol.value))
            return [one for one in as_objects(declared) if not isinstance(one, Outside)]
        if symbol.kind == "parameter":
            own = self._receiver(path, record, symbol)
            if own:
                return own
        return list(self.of_ref(path, symbol.value))

    def _receiver(self, path: str, record: FileRecord, symbol: Symbol) -> list[Type]:
        """The type of a method's first parameter."""
        scope = record.scopes[symbol.scope]
        if scope.symbol is None or record.symbols.kind[scope.symbol] != _METHOD:
            return []
        method = record.symbols[scope.symbol]
        parameters = [row for row in record.symbols_in(symbol.scope) if record.symbols.kind[row] == _PARAMETER]
        if method.flags & STATIC_METHOD or not parameters or parameters[0] != symbol.index:
            return []
        named_class = method.flags & CLASS_METHOD or method.name in ("__new__", "__init_subclass__")
        own = method.scope
        return [ClassType(path, own) if named_class or method.name == "__class_getitem__" else Instance(path, own)]

    # --- members --------------------------------------------------------------------------------------

    def order(self, of: ClassType) -> tuple[ClassType, ...]:
        """The method resolution order as far as the classes are the project's; the class itself is first.

        Bases that C3 cannot order, and classes that inherit from themselves, are taken depth first.
        """
        found = self._orders.get(of)
        if found is None:
            self._orders[of] = (of,)
            bases = self.bases(of)
            merged = _merge([list(self.order(base)) for base in bases] + [list(bases)])
            found = self._orders[of] = (of, *(one for one in merged if one != of))
        return found

    def bases(self, of: ClassType) -> tuple[ClassType, ...]:
        record = self.resolver.record(of.path)
        if record is None:
            return ()
        found = [base for ref in record.scopes[of.scope].refs for base in self.of_ref(of.path, ref)]
        return tuple(dict.fromkeys(base for base in found if isinstance(base, ClassType)))

    def slots(self, receiver: Type, name: str) -> tuple[Target, ...]:
        """What `receiver.name` is bound as: the first class in the order that has it, or a module's name."""
        if isinstance(receiver, Module):
            return self.resolver.member(receiver, name)
        if isinstance(receiver, Outside):
            return (External(f"{receiver.name}.{name}"),)
        if not isinstance(receiver, ClassType | Instance):
            return ()
        for owner in self._owners(receiver):
            record = self.resolver.record(owner.path)
            if record is not None and record.bindings(owner.scope, name):
                return (Slot(owner.path, owner.scope, name),)
        return ()

    def _owners(self, receiver: ClassType | Instance) -> tuple[ClassType, ...]:
        order = self.order(ClassType(receiver.path, receiver.scope))
        return order[1:] if isinstance(receiver, Instance) and receiver.above else order

    def attribute(self, receiver: Type, name: str) -> list[Type]:
        """The types of `receiver.name`."""
        found: list[Type] = []
        for target in self.slots(receiver, name):
            for one in self.of_target(target):
                if not isinstance(one, Function) or not isinstance(receiver, ClassType | Instance):
                    found.append(one)
                    continue
                bound = Function(one.path, one.symbol, receiver)
                record = self.resolver.record(one.path)
                is_property = record is not None and record.symbols.flags[one.symbol] & PROPERTY
                if is_property and isinstance(receiver, Instance):
                    found.extend(self.called(bound))
                else:
                    found.append(bound)
        return found

    def names(self, receiver: Type) -> dict[str, Target]:
        """All members of a receiver by name: a subclass's before its bases'."""
        found: dict[str, Target] = {}
        if isinstance(receiver, Module):
            for name in self.resolver.module_names(receiver.path) if not receiver.is_namespace else ():
                for target in self.resolver.member(receiver, name):
                    found.setdefault(name, target)
            for name, child in self.resolver.snapshot.modules.submodules(receiver).items():
                found.setdefault(name, child)
        elif isinstance(receiver, ClassType | Instance):
            for owner in self._owners(receiver):
                record = self.resolver.record(owner.path)
                for row in () if record is None else record.symbols_in(owner.scope):
                    name = record.names[record.symbols.name[row]] if record is not None else ""
                    found.setdefault(name, Slot(owner.path, owner.scope, name))
        return found

    def of_attribute(self, path: str, index: int) -> tuple[Target, ...]:
        """What an attribute's occurrence means."""
        record = self.resolver.record(path)
        if record is None:
            return ()
        name = record.names[record.occurrences.name[index]]
        found: dict[Target, None] = {}
        for receiver in self.of_ref(path, record.occurrences.link[index]):
            found.update(dict.fromkeys(self.slots(receiver, name)))
        if not found:
            # self.name = ... in a class whose receiver could not be inferred binds the slot all the same.
            start = record.occurrences.start[index]
            for scope, rows in record.bound(name).items():
                if any(record.symbols.start[row] == start for row in rows):
                    found[Slot(path, scope, name)] = None
        return tuple(found)

    def of_keyword(self, path: str, index: int) -> tuple[Target, ...]:
        """The parameter that a keyword argument names."""
        record = self.resolver.record(path)
        row = NO_REF if record is None else record.occurrences.link[index]
        if record is None or row < 0:
            return ()
        name = record.names[record.occurrences.name[index]]
        found: dict[Target, None] = {}
        for callee in self.of_ref(path, record.calls.callee[row]):
            for function in self.functions(callee):
                home = self.resolver.record(function.path)
                inner = -1 if home is None else home.symbols.inner[function.symbol]
                if home is None or inner < 0:
                    continue
                kinds = [home.symbols.kind[symbol] for symbol in home.bindings(inner, name)]
                if _PARAMETER in kinds:
                    found[Slot(function.path, inner, name)] = None
            if isinstance(callee, ClassType) and not any(True for _ in self.functions(callee)):
                # No __init__ in the project: a dataclass or NamedTuple takes its fields.
                found.update(dict.fromkeys(self.slots(callee, name)))
        return tuple(found)

    def functions(self, callee: Type) -> list[Function]:
        """The defs that calling something runs: a class's __init__ or __new__, an object's __call__."""
        if isinstance(callee, Function):
            return [callee]
        names = ("__init__", "__new__") if isinstance(callee, ClassType) else ("__call__",)
        if not isinstance(callee, ClassType | Instance):
            return []
        for name in names:
            found = [one for one in self.attribute(callee, name) if isinstance(one, Function)]
            if found:
                return found
        return []


def as_objects(types: Types_ | list[Type]) -> list[Type]:
    """Types named in an annotation as the objects they declare."""
    return [Instance(one.path, one.scope) if isinstance(one, ClassType) else one for one in types]


def _merge(orders: list[list[ClassType]]) -> list[ClassType]:
    """C3; where that fails, what is left in the order in which it stands."""
    merged: list[ClassType] = []
    orders = [order for order in orders if order]
    while orders:
        head = next(
            (order[0] for order in orders if not any(order[0] in other[1:] for other in orders)),
            orders[0][0],
        )
        merged.append(head)
        orders = [left for order in orders if (left := [one for one in order if one != head])]
    return merged
