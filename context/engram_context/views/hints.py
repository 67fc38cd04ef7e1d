"""What a reader would like to see between the lines: what arguments are for, and types that are certain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from engram_context.completion.argument_lists import Piece, split
from engram_context.edits import Edit
from engram_context.inference.calls import Given
from engram_context.inference.inferred import (
    ClassType,
    Function,
    Instance,
    Literals,
    Nothing,
    TupleOf,
    Type,
    Types_,
    Unknown,
    as_objects,
    has_variables,
    variables_in,
)
from engram_context.recent import resolver_of
from engram_context.records import (
    AUGMENTED,
    GENERATOR,
    KEYWORD_ONLY,
    KEYWORDS,
    KIND,
    NO_REF,
    POSITIONAL_ONLY,
    SCOPE_KIND,
    VARIADIC,
    Call,
    FileRecord,
    Symbol,
    value_row,
)
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.targets import Builtin, External, Slot, Target
from engram_context.text import Location, Span, Text
from engram_context.views.hover import type_names
from engram_context.views.signatures import callees, fields_of, overloads_of, parameters_of

Cancelled = Callable[[], bool]
Wanted = Literal["none", "literals", "all"]

_LITERALS = frozenset(
    {"str", "bytes", "int", "float", "complex", "bool", "none", "list", "tuple", "dict", "set", "lambda", "ellipsis"}
)
_BOUND = frozenset(KIND[kind] for kind in ("variable", "constant", "attribute"))
_COMPREHENSION = SCOPE_KIND["comprehension"]
_FUNCTIONS = frozenset((KIND["function"], KIND["method"]))
_DEPTH = 6
_UNION = 3
"""A type that can be more things than this is no help between the lines; nor is one of more letters than `_WIDTH`."""
_WIDTH = 50
_SHOWN = (Instance, Nothing, TupleOf, Literals)
_BRACKETS = re.compile(rb"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\#[^\n]*|[()\[\]{}]")
# Any stands for what is not known, a test of types gives a bool, and object says nothing.
_ANY = re.compile(r"\bAny\b|\bbool\[|^object\b")
_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Hint:
    """`label` is shown at `offset` as if it were written there. `location` is what it speaks of; `edit` writes it."""

    offset: int
    label: str
    kind: Literal["parameter", "type"]
    location: Location | None = None
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """Which hints are wanted: parameters of literal arguments alone or of all, types of variables, of what defs
    return."""

    parameters: Wanted = "literals"
    variables: bool = True
    returns: bool = False


def hints(
    snapshot: Snapshot, path: str, span: Span, wishes: Wishes, cancelled: Cancelled = lambda: False
) -> tuple[Hint, ...]:
    """The hints within a span, in order. Nothing where the record lags behind the text."""
    record, text = snapshot.record(path), snapshot.text(path)
    if record is None or text is None or record.digest != text.digest:
        return ()
    maker = _Hints(resolver_of(snapshot), path, record, text, span)
    found: list[Hint] = []
    for wanted, make in (
        (wishes.parameters != "none", lambda: maker.parameters(wishes.parameters)),
        (wishes.variables, maker.variables),
        (wishes.returns, maker.returns),
    ):
        for hint in make() if wanted else ():
            if cancelled():
                return ()
            found.append(hint)
    return tuple(sorted(found, key=lambda hint: hint.offset))


@dataclass(frozen=True, slots=True)
class _Known:
    """A type that is certain: how it is spelled, and where its class is."""

    name: str
    types: Types_
    location: Location | None


class _Hints:
    def __init__(self, resolver: Resolver, path: str, record: FileRecord, text: Text, span: Span) -> None:
        self.resolver, self.path, self.record, self.text, self.span = resolver, path, record, text, span
        self.positional: dict[tuple[Type, Function], tuple[tuple[str, Location | None], ...]] = {}
        self.certain: dict[tuple[str, int], bool] = {}

    # --- parameters ---------------------------------------------------------------------------------------

    def parameters(self, wanted: Wanted) -> Iterator[Hint]:
        calls = self.record.calls
        for row, (start, end) in enumerate(zip(calls.inside_start, calls.inside_end, strict=True)):
            if start > self.span.end or end < self.span.start:
                continue
            call = calls[row]
            if call.callee == NO_REF or not self._wants(call, wanted):
                continue
            pieces = split(self.text.data, call.inside, self.record.language)
            if len(pieces) == len(call.arguments):
                yield from self._of_call(call, pieces, wanted)

    def _wants(self, call: Call, wanted: Wanted) -> bool:
        return any(self._is_wanted(index, wanted) for index in call.arguments)

    def _is_wanted(self, index: int, wanted: Wanted) -> bool:
        argument = self.record.arguments[index]
        if argument.keyword is not None or argument.stars:
            return False
        row = value_row(argument.value)
        return wanted == "all" or (row is not None and self.record.values[row].kind in _LITERALS)

    def _of_call(self, call: Call, pieces: tuple[Piece, ...], wanted: Wanted) -> Iterator[Hint]:
        parameters = self._parameters_of(call.callee)
        if parameters is None or (len(parameters) == 1 and len(pieces) == 1):
            return
        for position, (index, piece) in enumerate(zip(call.arguments, pieces, strict=True)):
            if piece.keyword is not None or piece.stars:
                return  # behind it positions count no more
            if position >= len(parameters):
                return
            name, location = parameters[position]
            if self._is_wanted(index, wanted) and self.span.touches(piece.span.start) and self._tells(piece, name):
                yield Hint(piece.span.start, f"{name}=", "parameter", location)

    def _parameters_of(self, callee: int) -> tuple[tuple[str, Location | None], ...] | None:
        """(name, where) of what positions mean; None where that is not known, or not the same for all that may be
        called."""
        found: list[tuple[tuple[str, Location | None], ...]] = []
        for called, function in callees(self.resolver, self.path, callee):
            if function is not None:
                key = (called, function)
                if key not in self.positional:
                    self.positional[key] = tuple(self._positional(called, function))
                found.append(self.positional[key])
            elif isinstance(called, ClassType):
                fields = fields_of(self.resolver, called) or []
                found.append(tuple((part.name, None) for part in fields if part.name and not part.flags & KEYWORD_ONLY))
        if not found or any(other != found[0] for other in found):
            return None
        return found[0]

    def _positional(self, called: Type, function: Function) -> Iterator[tuple[str, Location | None]]:
        record = self.resolver.record(function.path)
        for row in parameters_of(self.resolver, called, function):
            flags = 0 if record is None else record.symbols.flags[row]
            if record is None or flags & (VARIADIC | KEYWORDS | KEYWORD_ONLY):
                return
            # A name that no call can say says little: those of builtins are all of this kind.
            name = "" if flags & POSITIONAL_ONLY else record.names[record.symbols.name[row]]
            yield name, Location(function.path, record.symbols.span(row))

    def _tells(self, piece: Piece, name: str) -> bool:
        """Whether a name adds to what the argument says."""
        if len(name.strip("_")) < 2 or name.startswith("__"):
            return False
        said = self.text.slice(piece.span)
        words = _NAME.findall(said)
        last = words[-1].lower().strip("_") if words else ""
        plain = name.lower().strip("_")
        return last != plain and said.strip("\"'").lower() != plain

    # --- types --------------------------------------------------------------------------------------------

    def variables(self) -> Iterator[Hint]:
        if self.record.language != "python":
            return
        symbols = self.record.symbols
        rows = zip(symbols.kind, symbols.start, symbols.annotation, symbols.value, strict=True)
        for row, (kind, start, annotation, value) in enumerate(rows):
            if kind not in _BOUND or annotation != NO_REF or value == NO_REF or not self.span.touches(start):
                continue
            symbol = symbols[row]
            in_passing = self.record.scopes.kind[symbol.scope] == _COMPREHENSION or symbol.name == "_"
            if symbol.flags & AUGMENTED or in_passing or self._is_plain(value):
                continue
            known = self._type_of(value)
            if known is not None:
                edit = self._annotation(symbol, known)
                yield Hint(symbol.span.end, f": {known.name}", "type", known.location, edit)

    def _is_plain(self, value: int) -> bool:
        """Whether an expression says its own type: a literal, a class that is called or caught by its name."""
        row = value_row(value)
        if row is None:
            return False
        kind, first = self.record.values[row].kind, self.record.values[row].first
        if kind in _LITERALS or kind in ("raised", "instance"):
            return True
        if kind == "entered":
            within = self._classes_called(first)
            return bool(within) and within == self._classes_of(value)
        return kind == "call" and bool(self._classes_called(value))

    def _classes_called(self, ref: int) -> set[tuple[str, int]]:
        """The classes that an expression is a call of."""
        row = value_row(ref)
        if row is None or self.record.values[row].kind != "call":
            return set()
        called = self.resolver.types.of_ref(self.path, self.record.values[row].first)
        return {(one.path, one.scope) for one in called if isinstance(one, ClassType)}

    def _classes_of(self, ref: int) -> set[tuple[str, int]]:
        found = self.resolver.types.of_ref(self.path, ref)
        return {(one.path, one.scope) for one in found if isinstance(one, Instance)}

    def _type_of(self, ref: int) -> _Known | None:
        """The type of an expression where that is certain."""
        types = self.resolver.types.of_ref(self.path, ref)
        if not 0 < len(types) <= _UNION or not all(isinstance(one, _SHOWN) for one in types) or has_variables(types):
            return None
        if all(isinstance(one, Nothing) for one in types) or not self._is_certain(self.path, ref, _DEPTH):
            return None
        name = type_names(self.resolver, types)
        first = next((one for one in types if isinstance(one, Instance)), None)
        if not 0 < len(name) <= _WIDTH or _ANY.search(name):
            return None
        return _Known(name, types, None if first is None else self._class_location(first))

    def _class_location(self, of: Instance) -> Location | None:
        record = self.resolver.record(of.path)
        row = -1 if record is None else record.scopes.symbol[of.scope]
        return Location(of.path, record.symbols.span(row)) if record is not None and row >= 0 else None

    def _is_certain(self, path: str, ref: int, depth: int) -> bool:
        """Whether the inferred type of an expression is all that it can be: it comes from what is declared."""
        record = self.resolver.record(path)
        if record is None or ref == NO_REF or depth <= 0:
            return False
        key = (path, ref)
        if key not in self.certain:
            self.certain[key] = False  # what an expression that depends on itself sees
            self.certain[key] = self._comes_from_declared(path, record, ref, depth)
        return self.certain[key]

    def _comes_from_declared(self, path: str, record: FileRecord, ref: int, depth: int) -> bool:
        row = value_row(ref)
        if row is None:
            slots = self.resolver.of_occurrence(path, ref)
            return bool(slots) and all(
                isinstance(origin, Slot) and self._is_declared(origin, depth)
                for slot in slots
                for origin in self.resolver.origins(slot)
            )
        value = record.values[row]
        if value.kind == "call":
            called = self.resolver.types.of_ref(path, value.first)
            return bool(called) and all(self._gives_declared(path, record, value.second, one, depth) for one in called)
        if value.kind in ("await", "element", "entered", "part", "subscript"):
            return self._is_certain(path, value.first, depth - 1)
        if value.kind in ("either", "otherwise"):
            # `a or b` is a only where that is not None; nobody wrote down whether it is an `or`.
            if any(isinstance(one, Nothing) for one in self.resolver.types.of_ref(path, value.first)):
                return False
            return all(self._is_certain(path, one, depth - 1) for one in (value.first, value.second))
        return value.kind in ("raised", "instance")

    def _is_declared(self, slot: Slot, depth: int) -> bool:
        """Whether all that binds a name says what it is: an annotation, or, of a variable, a value that is certain."""
        record = self.resolver.record(slot.path)
        rows = self.resolver.symbols_of(slot)
        if record is None or not rows:
            return False
        for row in rows:
            if record.symbols.annotation[row] != NO_REF:
                continue
            symbol = record.symbols[row]
            plain = symbol.kind in ("variable", "constant") and not symbol.flags & AUGMENTED
            if not plain or not self._is_certain(slot.path, symbol.value, depth - 1):
                return False
        return True

    def _gives_declared(self, path: str, record: FileRecord, row: int, called: Type, depth: int) -> bool:
        """Whether what a call gives is declared, and no other overload may be meant that gives something else."""
        if isinstance(called, ClassType):
            return True
        functions = [
            one for function in self.resolver.types.functions(called) for one in overloads_of(self.resolver, function)
        ]
        for function in functions:
            home = self.resolver.record(function.path)
            if home is None or home.symbols.annotation[function.symbol] == NO_REF:
                return False
        if not functions or self._knows_arguments(path, record, row, depth):
            return bool(functions)
        if any(self._depends_on_arguments(function) for function in functions):
            return False
        if len(functions) == 1:
            return True
        calls, given = self.resolver.types.calls, Given.of_call(path, record, row)
        fitting = [one for one in functions if calls.choose([one], given, strict=True)]
        return len({tuple(calls.returned(one, given)) for one in fitting}) == 1

    def _depends_on_arguments(self, function: Function) -> bool:
        """Whether a result has type variables that are not those of the function's class."""
        record, types = self.resolver.record(function.path), self.resolver.types
        if record is None:
            return True
        declared = as_objects(types.of_ref(function.path, record.symbols.annotation[function.symbol]))
        owner = types.calls.owner(function)
        own = () if owner is None else types.generics.parameters(owner)
        return any(variable not in own for variable in variables_in(declared))

    def _knows_arguments(self, path: str, record: FileRecord, row: int, depth: int) -> bool:
        """Whether all arguments of a call are literals, or certain: then they choose among overloads."""
        for at in record.calls[row].arguments:
            argument = record.arguments[at]
            value = value_row(argument.value)
            is_literal = value is not None and record.values[value].kind in _LITERALS
            is_known = self._is_certain(path, argument.value, depth - 1) and bool(
                self.resolver.types.of_ref(path, argument.value)
            )
            if argument.stars or not (is_literal or is_known):
                return False
        return True

    def _annotation(self, symbol: Symbol, known: _Known) -> Edit | None:
        """Writes a variable's type behind it: where it stands alone before its sign, is bound nowhere else, and the
        names in its type mean the same there."""
        behind = self.text.data[symbol.span.end : symbol.body.end].lstrip()
        alone = symbol.body.start == symbol.span.start and behind.startswith(b"=") and not behind.startswith(b"==")
        if symbol.kind == "attribute" or not alone or b"=" in _before_value(behind):
            return None
        bound_once = len(self.resolver.symbols_of(Slot(self.path, symbol.scope, symbol.name))) == 1
        if not bound_once or not self._in_sight(symbol.scope, known.types):
            return None
        return Edit(Span(symbol.span.end, symbol.span.end), f": {known.name}")

    def _in_sight(self, scope: int, types: Iterable[Type]) -> bool:
        """Whether the names that spell some types mean just these in a scope."""
        for one in types:
            if isinstance(one, Instance):
                record = self.resolver.record(one.path)
                symbol = -1 if record is None else record.scopes.symbol[one.scope]
                if record is None or symbol < 0:
                    return False
                named = record.symbols[symbol]
                if Slot(one.path, named.scope, named.name) not in self._means(scope, named.name):
                    return False
                parts: Iterable[Types_] = one.arguments
            elif isinstance(one, TupleOf):
                parts = one.elements if self._means(scope, "tuple") else ((Unknown(),),)
            else:
                parts = () if isinstance(one, Nothing) else ((Unknown(),),)
            if isinstance(one, Unknown) or not all(self._in_sight(scope, part) for part in parts):
                return False
        return True

    def _means(self, scope: int, name: str) -> set[Target]:
        """What a name means in a scope, where it is defined."""
        found: set[Target] = set()
        for target in self.resolver.of_name(self.path, scope, name):
            for origin in self.resolver.origins(target):
                outer = self.resolver.outside(origin) if isinstance(origin, External | Builtin) else ()
                found.update(outer or (origin,))
        return found

    def returns(self) -> Iterator[Hint]:
        if self.record.language != "python":
            return
        symbols = self.record.symbols
        for row, kind in enumerate(symbols.kind):
            if kind not in _FUNCTIONS or symbols.annotation[row] != NO_REF or symbols.inner[row] < 0:
                continue
            if symbols.start[row] > self.span.end or symbols.body_end[row] < self.span.start:
                continue
            symbol = symbols[row]
            inner = symbols.inner[row]
            closing = self._closing(self.record.scopes.start[inner])
            if closing is None or not self.span.touches(closing) or symbol.flags & GENERATOR:
                continue
            refs = self.record.scopes[inner].refs
            found = {self._type_of(ref) for ref in refs}
            if len(found) == 1 and (known := found.pop()) is not None and self._always_returns(symbol):
                can_be_written = self._in_sight(symbol.scope, known.types)
                edit = Edit(Span(closing, closing), f" -> {known.name}") if can_be_written else None
                yield Hint(closing, f" -> {known.name}", "type", known.location, edit)

    def _closing(self, opening: int) -> int | None:
        """Where the parameters that begin at a bracket end."""
        data = self.text.data
        if data[opening : opening + 1] != b"(":
            return None
        depth = 0
        for match in _BRACKETS.finditer(data, opening):
            depth += 1 if match[0] in b"([{" else -1 if match[0] in b")]}" else 0
            if not depth:
                return match.end()
        return None

    def _always_returns(self, symbol: Symbol) -> bool:
        """Whether a body ends in a return statement of its own block: then nothing falls through."""
        lines = self.text.slice(symbol.body).rstrip().splitlines()
        body = [line for line in lines[1:] if line.strip() and not line.lstrip().startswith("#")]
        if not body:
            return False
        indent = min(len(line) - len(line.lstrip()) for line in body)
        last = next((line for line in reversed(body) if len(line) - len(line.lstrip()) == indent), "")
        return re.match(r"\s*(?:return|raise)\b", last) is not None


def _before_value(behind: bytes) -> bytes:
    """What follows the first sign of an assignment, as far as another target may reach: `a = b = value` has one."""
    found = re.match(rb"=\s*[\w.\x80-\xff\[\]]+\s*(=(?!=))?", behind)
    return found[1] or b"" if found else b""
