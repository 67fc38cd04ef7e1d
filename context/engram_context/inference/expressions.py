"""What the values of a record are: displays, calls, subscripts, loops, operators, unpacking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engram_context.inference.calls import Given
from engram_context.inference.forms import TRANSPARENT, last
from engram_context.inference.inferred import (
    CallableOf,
    ClassType,
    Instance,
    Literals,
    Nothing,
    Outside,
    TupleOf,
    Type,
    TypeOf,
    Types_,
    Variable,
    as_objects,
    substitute,
    variables_in,
)
from engram_context.records import NO_REF, FileRecord, value_row
from engram_context.scopes import class_around

if TYPE_CHECKING:
    from engram_context.inference.members import Types

_BUILTINS = {"str": "str", "bytes": "bytes", "int": "int", "float": "float", "complex": "complex", "bool": "bool"}
_OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "truediv", "floordiv": "floordiv", "mod": "mod", "pow": "pow",
    "matmul": "matmul", "lshift": "lshift", "rshift": "rshift", "and": "and", "xor": "xor", "operator": "or",
}  # fmt: skip
_DISPLAYS = {"list": "list", "set": "set", "list-of": "list", "set-of": "set"}


# What stands in annotations alone, beside None.
_NAMED = ClassType | Outside | TypeOf | Literals | CallableOf | Variable


class Expressions:
    """Answers for one `Types`."""

    def __init__(self, types: Types) -> None:
        self.types = types

    def value(self, path: str, record: FileRecord, row: int) -> list[Type]:
        """The types of a row of the value table."""
        value = record.values[row]
        kind, first, second = value.kind, value.first, value.second
        types = self.types
        if kind == "call":
            return self._call(path, record, first, second)
        if kind == "subscript":
            return self._subscript(path, record, first, second)
        if kind in _BUILTINS:
            return types.builtin(_BUILTINS[kind])
        if kind == "none":
            return [Nothing()]
        if kind == "await":
            return [one for awaited in types.of_ref(path, first) for one in types.contents.awaited(awaited)]
        if kind == "either":
            return types.union(path, (first, second))
        if kind == "otherwise":
            found = types.union(path, (first, second))
            # The left one is not what it is when that is false.
            empty = Nothing() in types.of_ref(path, second)
            return [one for one in found if empty or not isinstance(one, Nothing)]
        if kind == "sent":
            return self._sent(path, record, first)
        if kind in _OPERATORS:
            return self._operation(path, kind, first, second)
        if kind == "instance":
            return as_objects(self.each(path, record, first))
        if kind == "raised":
            return as_objects(self.each(path, record, first))
        if kind == "element":
            return types.elements(types.of_ref(path, first))
        if kind == "entered":
            return self._entered(path, first)
        if kind == "part":
            return self._part(path, record, first, second)
        if kind in ("list", "set"):
            return types.builtin(_DISPLAYS[kind], tuple(types.union(path, record.values.pool[first:second])))
        if kind in ("list-of", "set-of"):
            return types.builtin(_DISPLAYS[kind], types.of_ref(path, first))
        if kind == "tuple":
            pool = record.values.pool[first:second]
            return [TupleOf(tuple(types.of_ref(path, ref) for ref in pool))] if pool else types.builtin("tuple")
        if kind == "dict":
            pool = record.values.pool[first:second]
            return types.builtin("dict", *(tuple(types.union(path, pool[at::2])) for at in (0, 1)))
        if kind == "dict-of":
            return types.builtin("dict", types.of_ref(path, first), types.of_ref(path, second))
        if kind == "generator":
            generator = types.library_class("typing", "Generator")
            arguments = (types.of_ref(path, first), (), ())
            return [] if generator is None else [Instance(generator.path, generator.scope, arguments=arguments)]
        if kind == "lambda":
            return [CallableOf(tuple(types.union(path, record.scopes[first].refs)))]
        return types.builtin("slice") if kind == "slice" else []

    def _sent(self, path: str, record: FileRecord, scope: int) -> list[Type]:
        """What a generator says that is sent to it."""
        symbol = record.scopes.symbol[scope]
        annotation = record.symbols.annotation[symbol] if symbol >= 0 else NO_REF
        generators = [self.types.library_class("typing", name) for name in ("Generator", "AsyncGenerator")]
        found: list[Type] = []
        for one in as_objects(self.types.of_ref(path, annotation)):
            if isinstance(one, Instance) and one.of.bare in generators and len(one.arguments) > 1:
                found.extend(one.arguments[1])
        return found

    def each(self, path: str, record: FileRecord, ref: int) -> list[Type]:
        """The types of a tuple's elements, or of the one expression that is no tuple."""
        row = value_row(ref)
        if row is not None and record.values[row].kind == "tuple":
            value = record.values[row]
            pool = record.values.pool[value.first : value.second]
            return [found for element in pool for found in self.types.of_ref(path, element)]
        found: list[Type] = []
        for one in self.types.of_ref(path, ref):
            # A name for a tuple of classes.
            found.extend(part for element in one.elements for part in element) if isinstance(
                one, TupleOf
            ) else found.append(one)
        return found

    def _part(self, path: str, record: FileRecord, ref: int, position: int) -> list[Type]:
        row = value_row(ref)
        types = self.types
        if row is not None and record.values[row].kind in ("tuple", "list") and position >= 0:
            value = record.values[row]
            pool = record.values.pool[value.first : value.second]
            return list(types.of_ref(path, pool[position])) if position < len(pool) else []
        found: list[Type] = []
        for one in types.of_ref(path, ref):
            if isinstance(one, TupleOf) and position >= 0:
                found.extend(one.elements[position] if position < len(one.elements) else ())
            elif isinstance(one, Instance) and (fields := types.contents.tuple_fields(one)):
                found.extend(fields[position] if 0 <= position < len(fields) else ())
            else:
                found.extend(types.elements((one,)))
        return found

    def _entered(self, path: str, ref: int) -> list[Type]:
        found: list[Type] = []
        for manager in self.types.of_ref(path, ref):
            for name in ("__enter__", "__aenter__"):
                entered = self.types.calls.called(self.types.attribute(manager, name))
                found.extend(one for each in entered for one in self.types.contents.awaited(each))
                if entered:
                    break
        return found

    def _operation(self, path: str, kind: str, first: int, second: int) -> list[Type]:
        types = self.types
        left, right = types.of_ref(path, first), types.of_ref(path, second)
        if kind == "operator" and any(isinstance(one, _NAMED) for one in (*left, *right)):
            return [*left, *right]  # `X | None` in an annotation
        name = _OPERATORS[kind]
        found: list[Type] = []
        for one in left:
            if isinstance(one, TupleOf) and kind == "add" and all(isinstance(other, TupleOf) for other in right):
                found.extend(TupleOf(one.elements + other.elements) for other in right if isinstance(other, TupleOf))
                continue
            made = types.calls.called(types.attribute(one, f"__{name}__"), Given(path, (second,)), strict=bool(right))
            if not made:
                for other in right:
                    given = Given(path, ((one,),))
                    made += types.calls.called(types.attribute(other, f"__r{name}__"), given, strict=True)
            found.extend(made)
        return found

    # --- subscripts -----------------------------------------------------------------------------------

    def arguments(self, path: str, record: FileRecord, ref: int) -> list[Types_]:
        """What stands between the brackets after a generic class, one union for each."""
        types = self.types
        row = value_row(ref)
        if row is not None and record.values[row].kind in ("tuple", "list"):
            value = record.values[row]
            pool = record.values.pool[value.first : value.second]
            return [tuple(as_objects(types.of_ref(path, element))) for element in pool]
        return [tuple(as_objects(types.of_ref(path, ref)))]

    def _subscript(self, path: str, record: FileRecord, container: int, index: int) -> list[Type]:
        types = self.types
        found: list[Type] = []
        for base in types.of_ref(path, container):
            if isinstance(base, Outside):
                found.extend(self._form(path, record, base, index))
            elif isinstance(base, ClassType):
                found.extend(self._parameterized(path, record, base, index))
            elif isinstance(base, TupleOf):
                found.extend(self._item(path, record, base, index))
            elif isinstance(base, Instance):
                field = types.contents.dictionary_field(base, path, index)
                if field is not None:
                    found.extend(field)
                    continue
                fields = types.contents.tuple_fields(base)
                at = self._integer(record, index)
                if fields and at is not None and -len(fields) <= at < len(fields):
                    found.extend(fields[at])
                    continue
                found.extend(types.calls.called(types.attribute(base, "__getitem__"), Given(path, (index,))))
            elif isinstance(base, Literals):
                found.extend(types.builtin(base.kind))
        return found

    def _integer(self, record: FileRecord, ref: int) -> int | None:
        row = value_row(ref)
        value = None if row is None else record.values[row]
        return value.first if value is not None and value.kind == "int" and value.second else None

    def _item(self, path: str, record: FileRecord, base: TupleOf, index: int) -> list[Type]:
        at = self._integer(record, index)
        if at is not None:
            return list(base.elements[at]) if -len(base.elements) <= at < len(base.elements) else []
        row = value_row(index)
        whole = self.types.as_instance(base)
        if row is not None and record.values[row].kind == "slice":
            return [whole]
        return self.types.elements((base,))

    def _form(self, path: str, record: FileRecord, form: Outside, index: int) -> list[Type]:
        name = last(form.name)
        types = self.types
        if name in TRANSPARENT:
            row = value_row(index)
            if name == "Annotated" and row is not None and record.values[row].kind == "tuple":
                index = record.values.pool[record.values[row].first]
            return [*self.each(path, record, index), *([Nothing()] if name == "Optional" else [])]
        if name == "Callable":
            row = value_row(index)
            if row is not None and record.values[row].kind == "tuple":
                value = record.values[row]
                pool = record.values.pool[value.first : value.second]
                if not pool:
                    return []
                parameters = self.arguments(path, record, pool[0]) if len(pool) == 2 else []
                return [CallableOf(tuple(as_objects(types.of_ref(path, pool[-1]))), tuple(parameters))]
            return [CallableOf(())]
        if name == "Literal":
            return self._literals(path, record, index)
        return [form] if name in ("Generic", "Protocol", "Concatenate") else []

    def _literals(self, path: str, record: FileRecord, index: int) -> list[Type]:
        row = value_row(index)
        value = None if row is None else record.values[row]
        refs = [index] if value is None or value.kind != "tuple" else record.values.pool[value.first : value.second]
        texts: dict[str, set[str]] = {}
        found: dict[Type, None] = {}
        for ref in refs:
            literal = self.types.literal(path, ref)
            if literal is not None:
                texts.setdefault(literal.kind, set()).update(literal.values)
            else:
                found.update(dict.fromkeys(as_objects(self.types.of_ref(path, ref))))
        return [*(Literals(kind, frozenset(values)) for kind, values in texts.items()), *found]

    def _parameterized(self, path: str, record: FileRecord, base: ClassType, index: int) -> list[Type]:
        types = self.types
        if types.classes.is_enum(base):
            return [Instance(base.path, base.scope)]
        if types.is_library(base, "builtins", "type"):
            of = tuple(one for each in self.arguments(path, record, index) for one in each)
            return [TypeOf(of)] if of else [base]
        arguments = self.arguments(path, record, index)
        if base.arguments:
            # Another name for a generic class: its variables get their turn.
            slots = variables_in((base,))
            return substitute((base,), dict(zip(slots, arguments, strict=False)))
        if types.is_library(base, "builtins", "tuple"):
            row = value_row(index)
            value = None if row is None else record.values[row]
            if value is not None and value.kind == "tuple":
                pool = record.values.pool[value.first : value.second]
                inner = value_row(pool[-1]) if pool else None
                if inner is None or record.values[inner].kind != "ellipsis":
                    return [TupleOf(tuple(arguments))]
                arguments = arguments[:1]
            elif index != NO_REF:
                return [TupleOf(tuple(arguments))]
        return [ClassType(base.path, base.scope, tuple(arguments))]

    # --- calls ----------------------------------------------------------------------------------------

    def _call(self, path: str, record: FileRecord, callee: int, row: int) -> list[Type]:
        callees = self.types.of_ref(path, callee)
        given = Given.of_call(path, record, row)
        found = self.types.calls.called(callees, given)
        for called in callees:
            if isinstance(called, Outside):
                found.extend(self._form_call(path, record, called, row, given))
        return found

    def _form_call(self, path: str, record: FileRecord, called: Outside, row: int, given: Given) -> list[Type]:
        name = last(called.name)
        types = self.types
        if name == "super":
            scope = class_around(record, record.calls[row].scope)
            if scope is None:
                return []
            own = types.generics.own_arguments(ClassType(path, scope))
            return [Instance(path, scope, above=True, arguments=own.arguments)]
        positional = given.positional
        if name == "cast" and len(positional) == 2:
            return as_objects(types.argument_types(given, positional[0]))
        if name == "getattr" and len(positional) >= 2:
            text = types.text(path, positional[1])
            receivers = types.argument_types(given, positional[0]) if text is not None else ()
            found = [one for receiver in receivers for one in types.attribute(receiver, text or "")]
            if len(positional) > 2:
                found.extend(types.argument_types(given, positional[2]))
            return found
        if name == "import_module" and len(positional) == 1:
            text = types.text(path, positional[0])
            targets = () if text is None or text.startswith(".") else types.resolver.module(path, text)
            return [one for target in targets for one in types.of_target(target)]
        return []
