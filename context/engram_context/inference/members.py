"""What an expression is, as far as that decides its members: inference over the records' refs.

An expression may be several things; one of which nothing is known has no types. Everything is bounded: depth, width,
and recursion; and what was found out is kept, so that many questions cost little more than one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engram_context.imports import Module
from engram_context.inference.calls import Argument, Calls, Given
from engram_context.inference.classes import Classes
from engram_context.inference.contents import Contents
from engram_context.inference.expressions import Expressions
from engram_context.inference.flow import Flow
from engram_context.inference.forms import NAMES, alias_of, form_of, last
from engram_context.inference.generics import Generics
from engram_context.inference.inferred import (
    CallableOf,
    ClassType,
    Coroutine,
    Function,
    Instance,
    Literals,
    Nothing,
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
)
from engram_context.inference.keywords import Keywords
from engram_context.inference.parameters import Parameters
from engram_context.outside.library import Shared, is_outside
from engram_context.records import (
    AUGMENTED,
    DECORATED,
    KEYWORDS,
    KIND,
    NO_REF,
    OVERLOAD,
    PROPERTY,
    ROLE,
    SETTER,
    VARIADIC,
    FileRecord,
    Symbol,
    value_row,
)
from engram_context.targets import Builtin, External, Slot, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engram_context.resolve import Resolver

__all__ = ["ClassType", "Coroutine", "Function", "Instance", "Outside", "Type", "Types", "Types_", "as_objects"]

_DEPTH = 40
_WIDTH = 16
"""No more types than this are followed for one expression."""
_BINDINGS = 24
"""How many bindings of one name are looked at."""
_OWNERS = 3
"""How many classes are asked for an attribute of which the first ones say only that it can be None."""

_PARAMETER, _CLASS, _IMPORT = KIND["parameter"], KIND["class"], KIND["import"]
_ATTRIBUTE = KIND["attribute"]
_VARIABLES = (KIND["variable"], KIND["constant"])
_ATTRIBUTES = (ROLE["attribute"], ROLE["attribute-write"])
_READ = ROLE["read"]
_STARS = VARIADIC | KEYWORDS
_MODULE_TEXTS = frozenset({"__name__", "__file__", "__doc__", "__package__", "__module__", "__qualname__"})
_VARIABLE_MAKERS = frozenset({"TypeVar", "ParamSpec", "TypeVarTuple"})


class Types:
    """Infers types for a resolver, and keeps what it found."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.classes = Classes(self)
        self.generics = Generics(self)
        self.calls = Calls(self)
        self.expressions = Expressions(self)
        self.contents = Contents(self)
        self.keywords = Keywords(self)
        self.parameters = Parameters(self)
        # None while it is being found out.
        self._refs: dict[tuple[str, int], Types_ | None] = {}
        self._symbols: dict[tuple[str, int], Types_ | None] = {}
        self._cuts = 0
        self._attributes: dict[tuple[Type, str], Types_ | None] = {}
        self._flows: dict[str, Flow] = {}
        # By file and first binding of a name: whether assignments alone decide what it is, and whether it is declared.
        self._bindings: dict[tuple[str, int], tuple[bool, bool]] = {}
        self._library: dict[tuple[str, str], ClassType | None] = {}
        self._depth = 0

    # --- expressions ----------------------------------------------------------------------------------

    def of_ref(self, path: str, ref: int) -> Types_:
        """The types of an expression of a file."""
        if ref == NO_REF:
            return ()
        return self._kept(self._refs, self.resolver.library.inferred, path, ref)

    def _kept(self, own: dict[tuple[str, int], Types_ | None], shared: Shared, path: str, row: int) -> Types_:
        """The types of a ref (below NO_REF or a row of occurrences) or, in `_symbols`, of a symbol; found out once.

        What depends on itself sees nothing of itself; neither does what is too deep. What did not come to that and is
        outside the project is the same for every snapshot: it is shared.
        """
        key = (path, row)
        if key in own:
            found = own[key]
            self._cuts += found is None
            return found or ()
        is_symbol = own is self._symbols
        outside = is_outside(path)
        if outside:
            known = shared.get((path, row, is_symbol))
            if known is not None:
                own[key] = known
                return known
        record = self.resolver.record(path)
        if record is None:
            return ()
        if self._depth >= _DEPTH:
            self._cuts += 1
            return ()
        own[key] = None
        self._depth += 1
        cuts = self._cuts
        found = ()
        try:
            types = self._of_symbol(path, record, record.symbols[row]) if is_symbol else self._of_ref(path, record, row)
            found = tuple(dict.fromkeys(types))[:_WIDTH]
        except RecursionError:
            if self._depth > 1:
                raise  # the first of them all answers, with the stack unwound
            self._cuts += 1
        finally:
            self._depth -= 1
            own[key] = found
        if outside and cuts == self._cuts:
            shared[path, row, is_symbol] = found
        return found

    def _of_ref(self, path: str, record: FileRecord, ref: int) -> list[Type]:
        row = value_row(ref)
        if row is not None:
            return self.expressions.value(path, record, row)
        bindings: Sequence[int] = ()
        if record.occurrences.role[ref] in _ATTRIBUTES:
            name = record.names[record.occurrences.name[ref]]
            receivers = self.of_ref(path, record.occurrences.link[ref])
            found = [found for receiver in receivers for found in self.attribute(receiver, name)]
        else:
            found = []
            for target in self.resolver.of_occurrence(path, ref):
                if isinstance(target, Slot) and target.path == path:
                    bindings = self.resolver.symbols_of(target)
                found.extend(self._of_read(path, record, ref, target, bindings))
        if len(record.narrowings):
            found = self._narrowed(path, record, ref, bindings, found)
        return found

    def flow(self, path: str, record: FileRecord) -> Flow:
        if path not in self._flows:
            self._flows[path] = Flow(record)
        return self._flows[path]

    def _of_read(self, path: str, record: FileRecord, ref: int, target: Target, bindings: Sequence[int]) -> list[Type]:
        """The types of a name where it is read: what the assignments give that can be the last before it."""
        symbols = record.symbols
        if len(bindings) < 2 or record.occurrences.role[ref] != _READ:
            return self.of_target(target)
        key = (path, bindings[0])
        facts = self._bindings.get(key)
        if facts is None:
            plain = not any(symbols.kind[row] == _IMPORT or symbols.flags[row] & OVERLOAD for row in bindings)
            declared = any(symbols.annotation[row] != NO_REF and symbols.inner[row] < 0 for row in bindings)
            facts = self._bindings[key] = (plain, declared)
        if not facts[0]:
            return self.of_target(target)
        reaching = self.flow(path, record).reaching(bindings, ref)
        if len(reaching) == len(bindings):
            return self.of_target(target)
        found = self._of_rows(path, record, reaching)
        if facts[1]:
            # What was assigned last says more than what is declared, unless it is not known.
            return found if found and Unknown() not in found else self.of_target(target)
        return found

    def _narrowed(
        self, path: str, record: FileRecord, ref: int, bindings: Sequence[int], found: list[Type]
    ) -> list[Type]:
        for test in self.flow(path, record).tests(ref, bindings):
            if test.kind == "not-none":
                found = [one for one in found if not isinstance(one, Nothing)]
            elif test.kind == "none":
                found = [Nothing()]
            else:
                named = self.expressions.each(path, record, test.ref)
                classes = [
                    one for each in named for one in (each.of if isinstance(each, TypeOf) else as_objects((each,)))
                ]
                known = [one for one in classes if isinstance(one, Instance | Variable)]
                if not known:
                    continue  # a class of which nothing is known says nothing about its objects
                if test.kind == "instance":
                    found = self._only(found, known)
                else:
                    found = [one for one in found if not any(self.generics.fits(one, other) for other in known)]
        return found

    def _only(self, found: list[Type], classes: Sequence[Type]) -> list[Type]:
        """Those of some types that are objects of the classes, or the classes where they are more special."""
        kept: list[Type] = []
        for one in found:
            if any(self.generics.fits(one, other) for other in classes):
                kept.append(one)
            else:
                kept.extend(other for other in classes if self.generics.fits(other, one))
        return kept or list(classes)

    def union(self, path: str, refs: Iterable[int]) -> list[Type]:
        """The types of several expressions of which one is meant."""
        found: dict[Type, None] = {}
        unknown = False
        for ref in refs:
            types = self.of_ref(path, ref)
            unknown = unknown or not types
            found.update(dict.fromkeys(types))
        if unknown and found:
            found[Unknown()] = None
        return list(found)[:_WIDTH]

    def type_arguments(self, path: str, record: FileRecord, ref: int) -> list[Types_]:
        return self.expressions.arguments(path, record, ref)

    def argument_types(self, given: Given, argument: Argument) -> Types_:
        return self.calls.argument(given, argument)

    def text(self, path: str, argument: Argument) -> str | None:
        """The text of a plain string literal."""
        found = self.literal(path, argument) if isinstance(argument, int) else None
        return next(iter(found.values)) if found is not None and found.kind == "str" else None

    def literal(self, path: str, ref: int) -> Literals | None:
        """A short string, True or False where that is written."""
        record = self.resolver.record(path)
        row = value_row(ref)
        if record is None or row is None:
            return None
        value = record.values[row]
        if value.kind == "str" and value.first:
            return Literals("str", frozenset({record.values.strings[value.first]}))
        if value.kind == "bool" and value.first:
            return Literals("bool", frozenset({"True" if value.first == 1 else "False"}))
        return None

    # --- names ----------------------------------------------------------------------------------------

    def of_target(self, target: Target) -> list[Type]:
        found: list[Type] = []
        for origin in self.resolver.origins(target):
            if isinstance(origin, Module):
                found.append(origin)
            elif isinstance(origin, Slot):
                found.extend(self.of_slot(origin))
            else:
                found.extend(self._of_outside(origin))
        return found

    def _of_outside(self, target: External | Builtin) -> list[Type]:
        module, _, name = target.name.rpartition(".")
        if isinstance(target, Builtin):
            module = "builtins"
            if name in _MODULE_TEXTS:
                return self.builtin("str")
        special = self._special(module, name)
        if special is not None:
            return special
        inside = self.resolver.outside(target)
        if not inside:
            return [Outside(target.name)]
        return [found for one in inside for found in ([one] if isinstance(one, Module) else self.of_slot(one))]

    def _special(self, module: str, name: str) -> list[Type] | None:
        """What a name means that inference knows by itself."""
        if name not in NAMES:
            return None
        form = form_of(module, name)
        if form is not None:
            return [] if name in ("Any", "Never", "NoReturn") else [Outside(form)]
        alias = alias_of(module, name)
        if alias is None:
            return None
        found = self.library_class(*alias.split("."))
        return None if found is None else [found]

    def of_slot(self, slot: Slot) -> list[Type]:
        record = self.resolver.record(slot.path)
        if record is None:
            return []
        if slot.scope == 0 and is_outside(slot.path):
            special = self._special(self.resolver.library.dotted(slot.path), slot.name)
            if special is not None:
                return special
        rows = self.resolver.symbols_of(slot)
        # A declared type is the type, whatever is assigned elsewhere.
        declared = [row for row in rows if record.symbols.annotation[row] != NO_REF and record.symbols.inner[row] < 0]
        return (self._of_rows(slot.path, record, declared) if declared else []) or self._of_rows(
            slot.path, record, rows
        )

    def _of_rows(self, path: str, record: FileRecord, rows: Sequence[int]) -> list[Type]:
        symbols = record.symbols
        if len(rows) > 1 and any(symbols.flags[row] & SETTER for row in rows):
            rows = [row for row in rows if not symbols.flags[row] & SETTER] or rows
        found: dict[Type, None] = {}
        unknown = False
        for row in rows[-_BINDINGS:]:
            types = self.of_symbol(path, row)
            unknown = unknown or (not types and not symbols.flags[row] & AUGMENTED)
            found.update(dict.fromkeys(types))
        if unknown and found:
            found[Unknown()] = None
        return list(found)

    def of_symbol(self, path: str, row: int) -> Types_:
        """The types that one binding gives a name."""
        return self._kept(self._symbols, self.resolver.library.inferred, path, row)

    def _of_symbol(self, path: str, record: FileRecord, symbol: Symbol) -> list[Type]:
        if symbol.kind == "class":
            return [] if symbol.inner is None else [ClassType(path, symbol.inner)]
        if symbol.kind in ("function", "method"):
            if symbol.flags & DECORATED:
                return self.calls.decorated(path, record, symbol)
            return [Function(path, symbol.index)]
        if symbol.kind == "type-parameter":
            return [Variable(Slot(path, symbol.scope, symbol.name))]
        if symbol.kind in ("module", "import"):
            return []
        if symbol.annotation != NO_REF:
            found = self._declared(path, symbol)
            if found is not None:
                return found
        if symbol.kind == "parameter":
            own = self.parameters.undeclared(path, record, symbol)
            if own:
                return own
        maker = self._maker(record, symbol.value)
        if maker in _VARIABLE_MAKERS:
            return [Variable(Slot(path, symbol.scope, symbol.name))]
        if maker == "NewType":
            value = record.values[value_row(symbol.value) or 0]
            arguments = record.calls[value.second].arguments
            return list(self.of_ref(path, record.arguments.value[arguments[1]])) if len(arguments) == 2 else []
        return list(self.of_ref(path, symbol.value))

    def _maker(self, record: FileRecord, ref: int) -> str:
        """The name of what a value is the result of calling."""
        row = value_row(ref)
        if row is None or record.values[row].kind != "call":
            return ""
        callee = record.values[row].first
        return record.names[record.occurrences.name[callee]] if callee >= 0 else ""

    def _declared(self, path: str, symbol: Symbol) -> list[Type] | None:
        """What an annotation says; None when it leaves the type to the value."""
        declared = self.of_ref(path, symbol.annotation)
        forms = {last(one.name) for one in declared if isinstance(one, Outside)}
        if "TypeAlias" in forms:
            return list(self.of_ref(path, symbol.value))
        found = [one for one in as_objects(declared) if not isinstance(one, Outside) or last(one.name) == "Self"]
        if symbol.kind == "parameter" and symbol.flags & _STARS:
            found = self.parameters.collected(found, symbol)
        return found or None

    # --- the library ----------------------------------------------------------------------------------

    def library_class(self, module: str, name: str) -> ClassType | None:
        """A class of the standard library, None when its stub cannot be read."""
        key = (module, name)
        if key not in self._library:
            self._library[key] = None
            for one in self.resolver.outside(External(f"{module}.{name}")):
                record = None if isinstance(one, Module) else self.resolver.record(one.path)
                for row in () if isinstance(one, Module) or record is None else self.resolver.symbols_of(one):
                    if record is not None and record.symbols.kind[row] == _CLASS:
                        self._library[key] = ClassType(one.path, record.symbols.inner[row])
        return self._library[key]

    def builtin(self, name: str, *arguments: Types_) -> list[Type]:
        """An object of a builtin class."""
        found = self.library_class("builtins", name)
        if found is None:
            return []
        return [Instance(found.path, found.scope, arguments=arguments if any(arguments) else ())]

    def is_library(self, of: ClassType, module: str, name: str) -> bool:
        return is_outside(of.path) and self.library_class(module, name) == of.bare

    def name_of(self, of: ClassType) -> str:
        record = self.resolver.record(of.path)
        return "" if record is None else record.scopes[of.scope].name

    # --- objects --------------------------------------------------------------------------------------

    def as_instance(self, one: Type) -> Type:
        """A type that is told more exactly as an object of its class."""
        if isinstance(one, TupleOf):
            elements = tuple(dict.fromkeys(each for element in one.elements for each in element))[:_WIDTH]
            return next(iter(self.builtin("tuple", elements)), one)
        if isinstance(one, Literals):
            return next(iter(self.builtin(one.kind)), one)
        if isinstance(one, Coroutine):
            coroutine = self.library_class("typing", "Coroutine")
            if coroutine is not None:
                return Instance(coroutine.path, coroutine.scope, arguments=((), (), (one.result,)))
        if isinstance(one, Function | CallableOf):
            return next(iter(self.builtin("function")), one)
        return one

    def bound_of(self, variable: Variable) -> list[Type]:
        """What a type variable stands for at least."""
        slot = variable.slot
        record = self.resolver.record(slot.path)
        for row in () if record is None else self.resolver.symbols_of(slot):
            symbol = record.symbols[row] if record is not None else None
            if record is None or symbol is None:
                continue
            if symbol.kind == "type-parameter":
                return as_objects(self.of_ref(slot.path, symbol.annotation))
            if self._maker(record, symbol.value) != "TypeVar":
                continue
            given = Given.of_call(slot.path, record, record.values[value_row(symbol.value) or 0].second)
            named = [argument for name, argument in given.keywords if name == "bound"]
            return as_objects(one for at in (*given.positional[1:], *named) for one in self.argument_types(given, at))
        return []

    def called(self, callee: Type) -> list[Type]:
        """What calling something gives, whatever the arguments."""
        return self.calls.called([callee])

    def order(self, of: ClassType) -> tuple[ClassType, ...]:
        """A class and its bases in the order in which members are looked for, `object` left out."""
        return self.classes.order(of)

    def bases(self, of: ClassType) -> tuple[ClassType, ...]:
        """The classes that a class names as its bases, `object` left out."""
        return self.classes.bases(of)

    # --- members --------------------------------------------------------------------------------------

    def slots(self, receiver: Type, name: str) -> tuple[Target, ...]:
        """What `receiver.name` is bound as: the first class in the order that has it, or a module's name."""
        receiver = self.as_instance(receiver)
        if isinstance(receiver, Module):
            return self.resolver.member(receiver, name)
        if isinstance(receiver, Outside):
            return (External(f"{receiver.name}.{name}"),)
        if isinstance(receiver, Variable):
            return tuple(dict.fromkeys(slot for one in self.bound_of(receiver) for slot in self.slots(one, name)))
        if not isinstance(receiver, ClassType | Instance):
            return ()
        owners = self.classes.owners(receiver)
        found = self._slots(receiver, name, owners, 1)
        if found and self._is_assigned(found[0]):
            # It is the base's own where a base declares it: perhaps as a property, which the assignment sets.
            after = owners[owners.index(ClassType(found[0].path, found[0].scope)) + 1 :]
            return next(
                ((slot,) for slot in self._slots(receiver, name, after, _OWNERS) if self._is_declared(slot)), found
            )
        return found or self._slots(receiver, name, self.classes.last_owners(receiver), 1)

    def _is_assigned(self, slot: Slot) -> bool:
        """Whether all that a class says of a member is that methods assign to it."""
        record = self.resolver.record(slot.path)
        return record is not None and all(
            record.symbols.kind[row] == _ATTRIBUTE and record.symbols.annotation[row] == NO_REF
            for row in self.resolver.symbols_of(slot)
        )

    def _slots(self, receiver: Type, name: str, owners: Iterable[ClassType], most: int) -> tuple[Slot, ...]:
        found: list[Slot] = []
        for owner in owners:
            names = self.resolver.names(owner.path, name)
            if names is not None and owner.scope in names.symbols:
                found.append(Slot(owner.path, owner.scope, name))
                if len(found) == most:
                    break
        return tuple(found)

    def attribute(self, receiver: Type, name: str) -> list[Type]:
        """The types of `receiver.name`."""
        receiver = self.as_instance(receiver)
        if isinstance(receiver, Variable):
            return [found for one in self.bound_of(receiver) for found in self.attribute(one, name)]
        if isinstance(receiver, TypeOf):
            bounds = [bound for one in receiver.of if isinstance(one, Variable) for bound in self.bound_of(one)]
            return [found for one in bounds if isinstance(one, Instance) for found in self.attribute(one.of, name)]
        if isinstance(receiver, ClassType | Instance):
            key = (receiver, name)
            if key not in self._attributes:
                if self._depth >= _DEPTH:
                    self._cuts += 1
                    return []
                self._attributes[key] = None
                self._depth += 1
                try:
                    self._attributes[key] = tuple(self._attribute(receiver, name))
                finally:
                    self._depth -= 1
            found = self._attributes[key]
            self._cuts += found is None
            return list(found or ())
        return [found for target in self.slots(receiver, name) for found in self.of_target(target)]

    def _attribute(self, receiver: ClassType | Instance, name: str) -> list[Type]:
        slots = self._slots(receiver, name, self.classes.owners(receiver), _OWNERS)
        slots = slots or self._slots(receiver, name, self.classes.last_owners(receiver), 1)
        found: list[Type] = []
        for slot in slots:
            found = [*(one for one in found if isinstance(one, Nothing)), *self._bound_in(receiver, slot)]
            if not all(isinstance(one, Nothing | Unknown) for one in found):
                break
        if len(slots) > 1 and isinstance(receiver, Instance) and not self._is_declared(slots[0]):
            # What a base declares holds for what its subclasses assign.
            declared = next((slot for slot in slots[1:] if self._is_declared(slot)), None)
            found = (self._bound_in(receiver, declared) if declared is not None else []) or found
        if not slots and isinstance(receiver, Instance) and name[:2] != "__":
            for special in ("__getattr__", "__getattribute__")[:1]:
                found = self.calls.called(self.attribute(receiver, special))
        return found

    def _is_declared(self, slot: Slot) -> bool:
        """Whether a class says what a member is, other than by what it assigns: by an annotation, a def or a class."""
        record = self.resolver.record(slot.path)
        rows = self.resolver.symbols_of(slot)
        return record is not None and any(
            record.symbols.annotation[row] != NO_REF or record.symbols.inner[row] >= 0 for row in rows
        )

    def _bound_in(self, receiver: ClassType | Instance, slot: Slot) -> list[Type]:
        """The types of a class's member as `receiver` has it."""
        owner = ClassType(slot.path, slot.scope)
        of = receiver.of if isinstance(receiver, Instance) else receiver
        own = Instance(of.path, of.scope, arguments=of.arguments)
        if self.classes.is_enum(owner) and self._is_enum_member(slot):
            return [own]
        found: list[Type] = []
        descriptors: list[Instance] = []
        functions: list[Function] = []
        for one in self.of_slot(slot):
            if isinstance(one, Function):
                functions.append(replace(one, receiver=receiver))
            elif isinstance(one, Instance) and self.slots(one, "__get__"):
                descriptors.append(one)
            else:
                found.append(one)
        found.extend(self._got(receiver, functions, descriptors) if descriptors else self._taken(receiver, functions))
        if has_variables(found):
            found = substitute(found, self.generics.bindings(of, owner), own)
        return found

    def _taken(self, receiver: ClassType | Instance, functions: list[Function]) -> list[Type]:
        """Methods as an object or class has them: the results of those that are properties."""
        found: list[Type] = []
        for function in functions:
            record = self.resolver.record(function.path)
            is_property = record is not None and record.symbols.flags[function.symbol] & PROPERTY
            found.extend(
                self.calls.called([function]) if is_property and isinstance(receiver, Instance) else [function]
            )
        return found

    def _got(
        self, receiver: ClassType | Instance, functions: list[Function], descriptors: list[Instance]
    ) -> list[Type]:
        """What the descriptors in a class give: of one made of a function that does not say it, what that gives."""
        is_class = isinstance(receiver, ClassType)
        owner = receiver if is_class else receiver.of
        given = Given(positional=((Nothing(),) if is_class else (receiver,), (owner,)))
        found: list[Type] = []
        for descriptor in descriptors:
            got = self.calls.called(self.attribute(descriptor, "__get__"), given)
            if not got and not is_class:
                got = self.calls.called(functions)
            found.extend(got or [descriptor])
        return found

    def _is_enum_member(self, slot: Slot) -> bool:
        record = self.resolver.record(slot.path)
        rows = self.resolver.symbols_of(slot)
        return record is not None and not slot.name.startswith("_") and all(
            record.symbols.kind[row] in _VARIABLES
            and (record.symbols.annotation[row] == NO_REF or record.symbols.value[row] != NO_REF)
            for row in rows
        )  # fmt: skip

    def names(self, receiver: Type) -> dict[str, Target]:
        """All members of a receiver by name: a subclass's before its bases'."""
        receiver = self.as_instance(receiver)
        found: dict[str, Target] = {}
        if isinstance(receiver, Module):
            if not receiver.is_namespace:
                record = self.resolver.record(receiver.path)
                rows = () if record is None else record.symbols_in(0)
                own = {record.names[record.symbols.name[row]] for row in rows} if record is not None else set[str]()
                for name in self.resolver.module_names(receiver.path):
                    here = (Slot(receiver.path, 0, name),) if name in own else None
                    for target in here or self.resolver.member(receiver, name):
                        found.setdefault(name, target)
            for name, child in self.resolver.submodules(receiver).items():
                found.setdefault(name, child)
        elif isinstance(receiver, Outside):
            for one in self.resolver.outside(External(receiver.name)):
                found.update(self.names(one) if isinstance(one, Module) else {})
        elif isinstance(receiver, Variable):
            for one in self.bound_of(receiver):
                found = {**self.names(one), **found}
        elif isinstance(receiver, ClassType | Instance):
            for owner in self.classes.owners(receiver):
                record = self.resolver.record(owner.path)
                for row in () if record is None else record.symbols_in(owner.scope):
                    name = record.names[record.symbols.name[row]] if record is not None else ""
                    found.setdefault(name, Slot(owner.path, owner.scope, name))
        return found

    # --- occurrences ----------------------------------------------------------------------------------

    def of_attribute(self, path: str, index: int) -> tuple[Target, ...]:
        """What an attribute's occurrence means."""
        record = self.resolver.record(path)
        if record is None:
            return ()
        name = record.names[record.occurrences.name[index]]
        found: dict[Target, None] = {}
        for receiver in self.of_ref(path, record.occurrences.link[index]):
            slots = self.slots(receiver, name)
            if isinstance(receiver, Module) and is_outside(receiver.path) and slots:
                slots = (External(f"{self.resolver.dotted(receiver.path)}.{name}"),)
            found.update(dict.fromkeys(map(self.resolver.seen, slots)))
        if not found:
            # self.name = ... in a class whose receiver could not be inferred binds the slot all the same.
            start = record.occurrences.start[index]
            for scope, rows in record.bound(name).items():
                if any(record.symbols.start[row] == start for row in rows):
                    found[Slot(path, scope, name)] = None
        return tuple(found)

    def of_keyword(self, path: str, index: int) -> tuple[Target, ...]:
        """The parameter that a keyword argument names."""
        return self.keywords.of_occurrence(path, index)

    def functions(self, callee: Type) -> list[Function]:
        """The defs that calling something runs: a class's __init__ or __new__, an object's __call__."""
        return self.keywords.functions(callee)

    def elements(self, types: Iterable[Type]) -> list[Type]:
        """What running over objects gives."""
        return self.contents.elements(types)

    def is_certain(self, path: str, ref: int) -> bool:
        """Whether an expression is known to be nothing else than what `of_ref` says."""
        return not any(isinstance(one, Unknown) for one in self.of_ref(path, ref))
