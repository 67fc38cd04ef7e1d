"""What calling something gives: overloads, what the arguments make of type variables, classes, decorators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engram_context.inference.forms import last
from engram_context.inference.inferred import (
    CallableOf,
    ClassType,
    Coroutine,
    Function,
    Instance,
    Literals,
    Nothing,
    Outside,
    Type,
    TypeOf,
    Types_,
    Unknown,
    Variable,
    as_classes,
    as_objects,
    has_variables,
    substitute,
)
from engram_context.records import (
    ASYNC,
    CLASS_METHOD,
    DEFAULT,
    GENERATOR,
    KEYWORD_ONLY,
    KEYWORDS,
    KIND,
    NO_REF,
    OVERLOAD,
    POSITIONAL_ONLY,
    STATIC_METHOD,
    VARIADIC,
    FileRecord,
    Symbol,
    value_row,
)
from engram_context.scopes import class_around
from engram_context.targets import Slot

if TYPE_CHECKING:
    from engram_context.inference.members import Types

_PARAMETER = KIND["parameter"]
_RETURNS = 4
"""How many return statements of a function without an annotation are looked at."""
_OVERLOADS = 3
"""How many overloads are taken together where nothing chooses among them."""
_OF_CLASS = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})
"""Methods whose first parameter is the class, without a decorator."""
_PLAIN_DECORATORS = frozenset(
    {"staticmethod", "classmethod", "property", "cached_property", "setter", "getter", "deleter", "abstractmethod"}
    | {"overload", "override", "final", "deprecated", "type_check_only", "no_type_check", "abstractproperty", "wraps"}
    | {"runtime_checkable", "dataclass_transform", "disjoint_base", "abstractclassmethod", "abstractstaticmethod"}
)
"""Decorators that change nothing about what calling gives, or are known by the record's flags."""

Argument = int | tuple[Type, ...]
"""A ref in the caller's file, or types where nobody wrote an expression."""


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of a call. `is_open`: there may be more, by *x or **x."""

    path: str = ""
    positional: tuple[Argument, ...] = ()
    keywords: tuple[tuple[str, Argument], ...] = ()
    is_open: bool = False

    @staticmethod
    def of_call(path: str, record: FileRecord, row: int) -> Given:
        positional: list[Argument] = []
        keywords: list[tuple[str, Argument]] = []
        is_open = row < 0  # of a language whose calls are not written down
        for at in record.calls[row].arguments if row >= 0 else ():
            argument = record.arguments[at]
            if argument.stars:
                is_open = True
            elif argument.keyword is not None:
                keywords.append((argument.keyword, argument.value))
            elif not is_open:
                positional.append(argument.value)
        return Given(path, tuple(positional), tuple(keywords), is_open)


class Calls:
    """Answers for one `Types`."""

    def __init__(self, types: Types) -> None:
        self.types = types
        self._parameters: dict[tuple[str, int], tuple[int, ...]] = {}

    def called(self, callees: Sequence[Type], given: Given | None = None, *, strict: bool = False) -> list[Type]:
        """What calling one of several things gives. `strict`: nothing where no function takes the arguments."""
        functions = [one for one in callees if isinstance(one, Function)]
        found: list[Type] = []
        for function in self.choose(functions, given, strict=strict):
            found.extend(self.returned(function, given))
        for one in callees:
            if isinstance(one, ClassType):
                found.extend(self.construct(one, given))
            elif isinstance(one, CallableOf):
                found.extend(one.result)
            elif isinstance(one, TypeOf):
                found.extend(one.of)
            elif isinstance(one, Instance):
                methods = [method for method in self.types.attribute(one, "__call__") if isinstance(method, Function)]
                found.extend(self.called(methods, given))
        return found

    # --- functions ------------------------------------------------------------------------------------

    def parameters(self, function: Function) -> tuple[int, ...]:
        """The symbols of a function's parameters in their order, without the one that the receiver is given to."""
        record = self.types.resolver.record(function.path)
        inner = -1 if record is None else record.symbols.inner[function.symbol]
        if record is None or inner < 0:
            return ()
        key = (function.path, inner)
        if key not in self._parameters:
            rows = [row for row in record.symbols_in(inner) if record.symbols.kind[row] == _PARAMETER]
            self._parameters[key] = tuple(sorted(rows, key=record.symbols.start.__getitem__))
        rows = self._parameters[key]
        return rows[1:] if rows and self.is_bound(record, function) else rows

    def is_bound(self, record: FileRecord, function: Function) -> bool:
        flags = record.symbols.flags[function.symbol]
        if function.receiver is None or flags & STATIC_METHOD:
            return False
        name = record.names[record.symbols.name[function.symbol]]
        return isinstance(function.receiver, Instance) or bool(flags & CLASS_METHOD) or name in _OF_CLASS

    def choose(self, functions: list[Function], given: Given | None, *, strict: bool = False) -> list[Function]:
        """The overload that takes the arguments; functions that are no overloads all of them."""
        overloads = [one for one in functions if self._flags(one) & OVERLOAD]
        if strict and not overloads:
            return [one for one in functions if self._takes(one, given or Given())]
        if not overloads:
            return functions
        if given is None:
            return overloads[:_OVERLOADS]
        first: Function | None = None
        for one in overloads:
            if self.pair(one, given) is None:
                continue
            first = first or one
            if self._takes(one, given):
                return [one]
        if strict:
            return []
        return overloads[:1] if first is None else [first]

    def _flags(self, function: Function) -> int:
        record = self.types.resolver.record(function.path)
        return 0 if record is None else record.symbols.flags[function.symbol]

    def pair(self, function: Function, given: Given) -> list[tuple[int, Argument]] | None:
        """Each argument with the parameter that takes it, None when they do not fit."""
        record = self.types.resolver.record(function.path)
        if record is None:
            return None
        rows = self.parameters(function)
        flags = record.symbols.flags
        found: list[tuple[int, Argument]] = []
        taken: set[int] = set()
        places = [row for row in rows if not flags[row] & (KEYWORD_ONLY | KEYWORDS | VARIADIC)]
        variadic = next((row for row in rows if flags[row] & VARIADIC), None)
        keywords = next((row for row in rows if flags[row] & KEYWORDS), None)
        for at, argument in enumerate(given.positional):
            row = places[at] if at < len(places) else variadic
            if row is None:
                return None
            taken.add(row)
            found.append((row, argument))
        named = {record.names[record.symbols.name[row]]: row for row in rows if not flags[row] & (VARIADIC | KEYWORDS)}
        for name, argument in given.keywords:
            row = named.get(name, keywords)
            if row is None or (row in taken and row != keywords) or flags[row] & POSITIONAL_ONLY:
                row = keywords
            if row is None:
                return None
            taken.add(row)
            found.append((row, argument))
        needed = (row for row in rows if not flags[row] & (DEFAULT | VARIADIC | KEYWORDS))
        if not given.is_open and any(row not in taken for row in needed):
            return None
        return found

    def _takes(self, function: Function, given: Given) -> bool:
        record = self.types.resolver.record(function.path)
        pairs = self.pair(function, given)
        if record is None or pairs is None:
            return False
        for row, argument in pairs:
            declared = self.declared(function, row)
            actual = self.argument(given, argument, literal=any(isinstance(one, Literals) for one in declared))
            if declared and actual and not self._may_fit(actual, declared):
                return False
        return True

    def _may_fit(self, actual: Types_, declared: list[Type]) -> bool:
        may_fit = self.types.generics.may_fit
        return any(may_fit(one, other) for one in actual for other in declared)

    def argument(self, given: Given, argument: Argument, *, literal: bool = False) -> Types_:
        """The types of an argument; as a literal where it is one and that is asked for."""
        if isinstance(argument, tuple):
            return argument
        if literal:
            found = self.types.literal(given.path, argument)
            if found is not None:
                return (found,)
        return self.types.of_ref(given.path, argument)

    def declared(self, function: Function, row: int) -> list[Type]:
        """What a parameter's annotation says, for the object that the function was taken from."""
        record = self.types.resolver.record(function.path)
        annotation = NO_REF if record is None else record.symbols.annotation[row]
        if annotation == NO_REF:
            return []
        found = as_objects(self.types.of_ref(function.path, annotation))
        return self._seen_from(function, found) if has_variables(found) else found

    def _seen_from(self, function: Function, found: list[Type]) -> list[Type]:
        """Types in a method's signature, for its receiver."""
        owner = self.owner(function)
        receiver = function.receiver
        if owner is None or receiver is None:
            return found
        of = receiver.of if isinstance(receiver, Instance) else receiver
        own = Instance(of.path, of.scope, arguments=of.arguments)
        return substitute(found, self.types.generics.bindings(of, owner), own)

    def owner(self, function: Function) -> ClassType | None:
        """The class in whose body a def stands."""
        record = self.types.resolver.record(function.path)
        if record is None:
            return None
        scope = record.symbols.scope[function.symbol]
        return ClassType(function.path, scope) if record.scopes[scope].kind == "class" else None

    def returned(self, function: Function, given: Given | None) -> list[Type]:
        """What a call of one function gives."""
        if function.result is not None:
            return list(function.result)
        record = self.types.resolver.record(function.path)
        if record is None:
            return []
        symbol = record.symbols[function.symbol]
        found = self._declared_result(function, symbol, given) if symbol.annotation != NO_REF else None
        if found is None:
            found = self._result_of_body(function, record, symbol)
        elif symbol.annotation != NO_REF and symbol.flags & GENERATOR and not found:
            return []
        if symbol.flags & ASYNC and not symbol.flags & GENERATOR:
            return [Coroutine(one) for one in found]
        return found

    def _declared_result(self, function: Function, symbol: Symbol, given: Given | None) -> list[Type]:
        found = as_objects(self.types.of_ref(function.path, symbol.annotation))
        if not has_variables(found):
            return found
        found = self._seen_from(function, found)
        if has_variables(found):
            solved = self.solve(function, given)
            found = substitute(found, solved)
            owner = self.owner(function)
            own = () if owner is None else self.types.generics.parameters(owner)
            # A variable of the function's own that nothing decides stands for nothing in particular.
            found = [one for one in found if not isinstance(one, Variable) or one.slot in own]
        return [one for one in found if not isinstance(one, Outside)]

    def solve(self, function: Function, given: Given | None) -> dict[Slot, Types_]:
        """What a function's type variables stand for in a call."""
        solved: dict[Slot, Types_] = {}
        record = self.types.resolver.record(function.path)
        if record is None:
            return solved
        unify = self.types.generics.unify
        receiver = function.receiver
        if receiver is not None and self.is_bound(record, function):
            bare = replace(function, receiver=None)
            for row in self.parameters(bare)[:1]:
                declared = as_objects(self.types.of_ref(function.path, record.symbols.annotation[row]))
                unify(tuple(declared), (receiver,), solved)
        for row, argument in (self.pair(function, given) or ()) if given is not None else ():
            declared = tuple(self.declared(function, row))
            if has_variables(declared):
                unify(declared, self.argument(given, argument) if given is not None else (), solved)
        return solved

    def _result_of_body(self, function: Function, record: FileRecord, symbol: Symbol) -> list[Type]:
        if symbol.inner is None:
            return []
        returned = record.scopes[symbol.inner].refs[:_RETURNS]
        found = [one for ref in returned for one in self.types.of_ref(function.path, ref)]
        receiver = function.receiver
        if receiver is not None and not (isinstance(receiver, Instance) and receiver.above):
            # `return self` and `return cls()` give what the method was called on, a subclass perhaps.
            own = class_around(record, symbol.inner)
            found = [
                Instance(receiver.path, receiver.scope, arguments=receiver.arguments)
                if isinstance(one, Instance) and (one.path, one.scope) == (function.path, own)
                else one
                for one in found
            ]
            if any(isinstance(one, Variable) for one in found):
                found = self._seen_from(function, found)
        if not symbol.flags & GENERATOR:
            return found
        generator = self.types.library_class("typing", "AsyncGenerator" if symbol.flags & ASYNC else "Generator")
        if generator is None:
            return []
        return [Instance(generator.path, generator.scope, arguments=(tuple(dict.fromkeys(found))[:8], (), ()))]

    def expected(self, path: str, record: FileRecord, row: int) -> list[CallableOf]:
        """What a call expects its argument in row `row` of that table to be, where that is something to call."""
        call = next(
            (
                at
                for at, (first, end) in enumerate(
                    zip(record.calls.first_argument, record.calls.last_argument, strict=True)
                )
                if first <= row < end
            ),
            None,
        )
        if call is None:
            return []
        value = record.arguments.value[row]
        given = Given.of_call(path, record, call)
        # What the argument itself gives is not known yet.
        others = replace(
            given,
            positional=tuple(() if argument == value else argument for argument in given.positional),
            keywords=tuple((name, () if argument == value else argument) for name, argument in given.keywords),
        )
        functions: list[Function] = []
        for callee in self.types.of_ref(path, record.calls.callee[call]):
            if isinstance(callee, ClassType):
                template = self.types.generics.own_arguments(callee)
                own = Instance(callee.path, callee.scope, arguments=template.arguments)
                for receiver, name in ((template, "__new__"), (own, "__init__")):
                    made = [one for one in self.types.attribute(receiver, name) if isinstance(one, Function)]
                    functions += self.choose([one for one in made if not self._is_of_object(one)], others)
            else:
                functions += self.choose(self.types.functions(callee), others)
        found: list[CallableOf] = []
        for function in functions:
            solved = self.solve(function, others)
            for at, argument in self.pair(function, given) or ():
                if argument == value:
                    declared = substitute(self.declared(function, at), solved)
                    found.extend(one for one in declared if isinstance(one, CallableOf))
        return found

    # --- classes --------------------------------------------------------------------------------------

    def construct(self, of: ClassType, given: Given | None) -> list[Type]:
        """What calling a class gives."""
        types = self.types
        plain: list[Type] = [Instance(of.path, of.scope, arguments=of.arguments)]
        if of.arguments or given is None or types.classes.is_enum(of):
            return plain
        if types.is_library(of, "builtins", "type"):
            return (
                as_classes(self.argument(given, given.positional[0])) if len(given.positional) == 1 else []
            ) or plain
        parameters = types.generics.parameters(of)
        template = types.generics.own_arguments(of)
        solved: dict[Slot, Types_] = {}
        for method in ("__new__", "__init__") if parameters else ("__new__",):
            receiver = template if method == "__new__" else Instance(of.path, of.scope, arguments=template.arguments)
            functions = [one for one in types.attribute(receiver, method) if isinstance(one, Function)]
            for function in self.choose([one for one in functions if not self._is_of_object(one)], given):
                made = self._made(function, given)
                if made:
                    return made
                if parameters:
                    solved.update(self.solve(function, given))
                    self._solve_receiver(function, of, parameters, solved)
        arguments = tuple(solved.get(slot, ()) for slot in parameters)
        return [Instance(of.path, of.scope, arguments=arguments)] if any(arguments) else plain

    def _is_of_object(self, function: Function) -> bool:
        owner = self.owner(function)
        return owner is not None and self.types.is_library(owner, "builtins", "object")

    def _made(self, function: Function, given: Given) -> list[Type]:
        """What a `__new__` says that it gives, unless that is simply an object of the class."""
        record = self.types.resolver.record(function.path)
        if record is None or record.symbols.annotation[function.symbol] == NO_REF:
            return []
        if record.names[record.symbols.name[function.symbol]] != "__new__":
            return []
        declared = as_objects(self.types.of_ref(function.path, record.symbols.annotation[function.symbol]))
        if any(isinstance(one, Outside) and last(one.name) == "Self" for one in declared):
            return []
        return [one for one in self.returned(function, given) if not isinstance(one, Variable)]

    def _solve_receiver(
        self, function: Function, of: ClassType, parameters: tuple[Slot, ...], solved: dict[Slot, Types_]
    ) -> None:
        """`def __init__(self: dict[str, V], ...)` says what the object's own arguments are."""
        record = self.types.resolver.record(function.path)
        rows = self.parameters(replace(function, receiver=None))
        annotation = NO_REF if record is None or not rows else record.symbols.annotation[rows[0]]
        for one in as_objects(self.types.of_ref(function.path, annotation)):
            if isinstance(one, Instance) and (one.path, one.scope) == (of.path, of.scope):
                given = [tuple(substitute(each, solved)) for each in one.arguments]
                solved.update(zip(parameters, given, strict=False))

    # --- decorators -----------------------------------------------------------------------------------

    def decorated(self, path: str, record: FileRecord, symbol: Symbol) -> list[Type]:
        """What a def with decorators is bound to: the function, with what they make of its result; and the object
        that a decorator puts in its place."""
        function = Function(path, symbol.index)
        objects: list[Type] = []
        for ref in reversed(symbol.decorators):
            name = decorator_name(record, ref)
            if name in _PLAIN_DECORATORS:
                continue
            decorators = self.types.of_ref(path, ref)
            if not decorators:
                continue
            made = self.called(decorators, Given(positional=((function,),)))
            for one in made:
                if isinstance(one, Function) and (one.path, one.symbol) == (function.path, function.symbol):
                    continue
                if isinstance(one, Function | CallableOf):
                    result = [each for each in self.called([one]) if not isinstance(each, Variable | Unknown | Outside)]
                    if result and not all(isinstance(each, Nothing) for each in result):
                        function = replace(function, result=tuple(result))
                elif isinstance(one, Instance):
                    objects.append(one)
        return [function, *objects]


def decorator_name(record: FileRecord, ref: int) -> str:
    """The last part of a decorator's name, that of what is called when it is a call; "" when it has none."""
    row = value_row(ref)
    if row is not None and record.values[row].kind == "call":
        ref = record.values[row].first
    return record.names[record.occurrences.name[ref]] if ref >= 0 else ""


def last_name(record: FileRecord, ref: int) -> str:
    """The last part of a name that is written as one, called or with type arguments; "" for other expressions."""
    row = value_row(ref)
    while row is not None and record.values[row].kind in ("call", "subscript"):
        ref = record.values[row].first
        row = value_row(ref)
    return record.names[record.occurrences.name[ref]] if ref >= 0 else ""
