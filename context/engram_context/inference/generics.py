"""Type parameters: which a class has, what they stand for in a base, and what the arguments of a call make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engram_context.inference.inferred import (
    Bindings,
    CallableOf,
    ClassType,
    Coroutine,
    Function,
    Instance,
    Literals,
    Outside,
    TupleOf,
    Type,
    TypeOf,
    Types_,
    Unknown,
    Variable,
    as_objects,
    has_variables,
    substitute,
    variables_in,
)
from engram_context.records import KIND, NO_REF, SCOPE_KIND, value_row
from engram_context.targets import Slot

if TYPE_CHECKING:
    from engram_context.inference.members import Types

_TYPE_PARAMETERS = SCOPE_KIND["type-parameters"]
_TYPE_PARAMETER = KIND["type-parameter"]
_DEPTH = 5
_PROTOCOL_METHODS = 3


class Generics:
    """Answers for one `Types`, and keeps what it found."""

    def __init__(self, types: Types) -> None:
        self.types = types
        self._parameters: dict[ClassType, tuple[Slot, ...]] = {}
        self._ancestries: dict[ClassType, dict[ClassType, tuple[Types_, ...]]] = {}
        self._solved: dict[tuple[Type, Type], dict[Slot, Types_]] = {}
        self._bindings: dict[tuple[ClassType, ClassType], Bindings] = {}

    def parameters(self, of: ClassType) -> tuple[Slot, ...]:
        """The type variables of a class, in the order in which arguments are given for them."""
        of = of.bare
        if of not in self._parameters:
            self._parameters[of] = ()
            self._parameters[of] = self._parameters_of(of)
        return self._parameters[of]

    def _parameters_of(self, of: ClassType) -> tuple[Slot, ...]:
        record = self.types.resolver.record(of.path)
        if record is None:
            return ()
        around = record.scopes.parent[of.scope]
        if around >= 0 and record.scopes.kind[around] == _TYPE_PARAMETERS:
            names = [
                record.names[record.symbols.name[row]]
                for row in record.symbols_in(around)
                if record.symbols.kind[row] == _TYPE_PARAMETER
            ]
            return tuple(Slot(of.path, around, name) for name in names)
        found: dict[Slot, None] = {}
        for ref in record.scopes[of.scope].refs:
            row = value_row(ref)
            if row is None or record.values[row].kind != "subscript":
                continue  # only a base with arguments mentions variables
            value = record.values[row]
            arguments = self.types.type_arguments(of.path, record, value.second)
            own = [slot for argument in arguments for slot in variables_in(argument)]
            container = self.types.of_ref(of.path, value.first)
            if any(isinstance(one, Outside) and one.name in ("typing.Generic", "typing.Protocol") for one in container):
                return tuple(dict.fromkeys(own))
            found.update(dict.fromkeys(own))
        return tuple(found)

    def own_arguments(self, of: ClassType) -> ClassType:
        """A class with its own type variables as arguments, as its body sees it."""
        return ClassType(of.path, of.scope, tuple((Variable(slot),) for slot in self.parameters(of)))

    def ancestry(self, of: ClassType) -> dict[ClassType, tuple[Types_, ...]]:
        """A class and its bases, nearest first, each with the arguments that it has there."""
        found = self._ancestries.get(of)
        if found is None:
            self._ancestries[of] = {of.bare: of.arguments}
            found = {of.bare: of.arguments}
            bindings = self._given(of)
            for base in self.types.classes.generic_bases(of):
                if bindings and base.arguments:
                    (base,) = (one for one in substitute((base,), bindings) if isinstance(one, ClassType))
                for above, arguments in self.ancestry(base).items():
                    found.setdefault(above, arguments)
            self._ancestries[of] = found
        return found

    def _given(self, of: ClassType) -> dict[Slot, Types_]:
        parameters = self.parameters(of) if of.arguments else ()
        return dict(zip(parameters, of.arguments, strict=False))

    def bindings(self, of: ClassType, owner: ClassType) -> Bindings:
        """What the type variables of `owner`, a base of `of` or itself, stand for there."""
        key = (of, owner)
        if key not in self._bindings:
            arguments = self.ancestry(of).get(owner.bare, ())
            self._bindings[key] = self._given(ClassType(owner.path, owner.scope, arguments))
        return self._bindings[key]

    def is_subclass(self, of: ClassType, base: ClassType) -> bool:
        return base.bare in self.ancestry(of)

    # --- solving --------------------------------------------------------------------------------------

    def unify(self, pattern: Types_, actual: Types_, found: dict[Slot, Types_], depth: int = _DEPTH) -> None:
        """Find out what the variables in `pattern` stand for when it is what `actual` is."""
        if depth <= 0 or not has_variables(pattern):
            return
        actual = tuple(one for one in actual if not isinstance(one, Unknown))
        bare = [one for one in pattern if isinstance(one, Variable)]
        others = [one for one in pattern if not isinstance(one, Variable)]
        for one in others:
            for other in actual:
                self._unify(one, other, found, depth)
        if len(bare) == 1:
            # Of `T | None`, the None is not T's.
            slot = bare[0].slot
            rest = tuple(
                one
                for one in actual
                if one != Variable(slot) and not any(self.fits(one, pattern) for pattern in others)
            )
            if rest:
                found[slot] = tuple(dict.fromkeys((*found.get(slot, ()), *rest)))[:8]

    def _unify(self, pattern: Type, actual: Type, found: dict[Slot, Types_], depth: int) -> None:
        types = self.types
        if isinstance(pattern, CallableOf):
            if isinstance(actual, Function | ClassType | CallableOf | Instance):
                self.unify(pattern.result, tuple(types.called(actual)), found, depth - 1)
        elif isinstance(pattern, ClassType):
            if isinstance(actual, ClassType):
                self.unify(tuple(as_objects((pattern,))), tuple(as_objects((actual,))), found, depth)
        elif isinstance(pattern, TypeOf):
            if isinstance(actual, ClassType):
                self.unify(pattern.of, tuple(as_objects((actual,))), found, depth - 1)
        elif isinstance(pattern, TupleOf):
            if isinstance(actual, TupleOf) and len(actual.elements) == len(pattern.elements):
                for one, other in zip(pattern.elements, actual.elements, strict=True):
                    self.unify(one, other, found, depth - 1)
            elif isinstance(actual, Instance):
                element = tuple(types.elements((actual,)))
                for one in pattern.elements:
                    self.unify(one, element, found, depth - 1)
        elif isinstance(pattern, Instance) and pattern.arguments:
            key = (pattern, actual)
            if key not in self._solved:
                self._solved[key] = {}
                solved: dict[Slot, Types_] = {}
                self._unify_instance(pattern, actual, solved, depth)
                self._solved[key] = solved
            for slot, types_ in self._solved[key].items():
                found[slot] = tuple(dict.fromkeys((*found.get(slot, ()), *types_)))[:8]

    def _unify_instance(self, pattern: Instance, actual: Type, found: dict[Slot, Types_], depth: int) -> None:
        types = self.types
        if isinstance(actual, Coroutine):
            # Awaitable[T] and Coroutine[A, B, T]: the last one is what awaiting gives.
            self.unify(pattern.arguments[-1], (actual.result,), found, depth - 1)
            return
        if isinstance(actual, TupleOf):
            actual = types.as_instance(actual)
        if isinstance(actual, ClassType) and types.classes.is_enum(actual):
            if types.name_of(pattern.of) in ("Iterable", "Iterator", "Sequence", "Collection"):
                self.unify(pattern.arguments[0], (Instance(actual.path, actual.scope),), found, depth - 1)
            return
        if isinstance(actual, Literals):
            actual = types.as_instance(actual)
        if not isinstance(actual, Instance):
            return
        arguments = self.ancestry(actual.of).get(pattern.of.bare)
        if arguments is not None:
            for one, other in zip(pattern.arguments, arguments, strict=False):
                self.unify(one, other, found, depth - 1)
            return
        for name, result in self._protocol(pattern) if types.classes.is_protocol(pattern.of) else ():
            given = [one for method in types.attribute(actual, name) for one in types.called(method)]
            self.unify(result, tuple(given), found, depth - 1)

    def _protocol(self, pattern: Instance) -> list[tuple[str, Types_]]:
        """The first methods of a class with what they return, for objects that fit it by their methods alone."""
        record = self.types.resolver.record(pattern.path)
        found: list[tuple[str, Types_]] = []
        if record is None:
            return found
        bindings = self.bindings(pattern.of, pattern.of.bare)
        for row in record.symbols_in(pattern.scope):
            annotation = record.symbols.annotation[row]
            if record.symbols.inner[row] >= 0 and annotation != NO_REF and len(found) < _PROTOCOL_METHODS:
                declared = as_objects(self.types.of_ref(pattern.path, annotation))
                found.append((record.names[record.symbols.name[row]], tuple(substitute(declared, bindings))))
        return found

    def fits(self, actual: Type, declared: Type) -> bool:
        """Whether an object is surely one of a declared type."""
        if actual == declared:
            return True
        if isinstance(declared, CallableOf):
            return isinstance(actual, Function | ClassType | CallableOf)
        if isinstance(declared, TupleOf):
            return isinstance(actual, TupleOf) and len(actual.elements) == len(declared.elements)
        if isinstance(declared, Literals):
            return isinstance(actual, Literals) and actual.kind == declared.kind and actual.values <= declared.values
        actual = self.types.as_instance(actual)
        if isinstance(actual, Instance) and isinstance(declared, Instance):
            return self.is_subclass(actual.of, declared.of) or _PROMOTIONS.get(
                self.types.name_of(declared.of), ""
            ) == self.types.name_of(actual.of)
        return False

    def may_fit(self, actual: Type, declared: Type) -> bool:
        """Whether an object could be of a declared type, as far as is seen: only two plain classes of which neither
        has methods that the other asks for are told apart."""
        if isinstance(declared, Variable | Outside | Unknown | TypeOf) or isinstance(
            actual, Variable | Outside | Unknown
        ):
            return True
        if self.fits(actual, declared):
            return True
        if isinstance(declared, Literals):
            return False
        if isinstance(declared, Instance) and self.types.name_of(declared.of) == "object":
            return True
        if isinstance(declared, CallableOf):
            return isinstance(actual, Instance) and bool(self.types.slots(actual, "__call__"))
        instance = self.types.as_instance(actual)
        if isinstance(declared, Instance) and isinstance(instance, Instance):
            return self.types.classes.is_protocol(declared.of) and self.types.classes.has_methods_of(
                instance, declared.of
            )
        if isinstance(declared, Instance):
            return isinstance(actual, ClassType | Function) and self.types.classes.is_protocol(declared.of)
        return False


_PROMOTIONS = {"float": "int", "complex": "float"}
