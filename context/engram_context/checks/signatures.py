"""What a call must look like, as values: the parameters of functions and of what makes objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from engram_context.checks.decorators import ATTRS
from engram_context.checks.proven import Proven
from engram_context.inference.calls import last_name
from engram_context.inference.inferred import ClassType, Function, Instance, Type, TypeOf
from engram_context.outside.library import is_outside
from engram_context.records import (
    DEFAULT,
    KEYWORD_ONLY,
    KEYWORDS,
    KIND,
    NO_REF,
    POSITIONAL_ONLY,
    PROPERTY,
    SCOPE_KIND,
    VARIADIC,
    FileRecord,
    value_row,
)
from engram_context.text import Location
from engram_context.views.signatures import overloads_of

_NAMED_TUPLE = "NamedTuple"
_DEFS = (KIND["function"], KIND["method"])
_MEMBERS_OF = (SCOPE_KIND["class"], SCOPE_KIND["module"])
_MOST_WAYS = 24
_ATTRS_FIELDS = frozenset(("field", "ib", "attrib"))
_SWITCHES = frozenset(
    {"init", "repr", "eq", "order", "unsafe_hash", "frozen", "match_args", "kw_only", "slots", "weakref_slot"}
    | {"auto_attribs", "hash", "cmp", "str", "auto_exc"}
)
"""What is said to those decorators and, given as True or False, is understood."""
_VARIABLES = ("variable", "constant")


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    is_needed: bool
    is_positional_only: bool = False


@dataclass(frozen=True, slots=True)
class Takes:
    """What a call of something may give: `positional` in order, `named` by keyword alone. `variadic` and `keywords`:
    whether *args and **kwargs take the rest."""

    name: str
    definition: Location
    positional: tuple[Parameter, ...] = ()
    named: tuple[Parameter, ...] = ()
    variadic: bool = False
    keywords: bool = False

    @property
    def keyword_names(self) -> frozenset[str]:
        return frozenset(one.name for one in (*self.positional, *self.named) if not one.is_positional_only)


@dataclass(frozen=True, slots=True)
class Gives:
    """What a call gives. `starred` and `double_starred`: there may be more, by *x and by **x."""

    positional: int
    keywords: tuple[str, ...]
    starred: bool = False
    double_starred: bool = False


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a call cannot be made: how many positional arguments are too many, and names of parameters."""

    too_many: int = 0
    unexpected: tuple[str, ...] = ()
    duplicate: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def misfit(takes: Takes, gives: Gives, *, partial: bool = False) -> Misfit | None:
    """What is wrong with a call, None when nothing certainly is. `partial`: what is missing may be given later."""
    places = takes.positional
    too_many = 0 if takes.variadic else max(gives.positional - len(places), 0)
    names = takes.keyword_names
    unexpected = () if takes.keywords else tuple(name for name in gives.keywords if name not in names)
    filled = {one.name for one in places[: gives.positional]}
    by_place = {one.name for one in places[: gives.positional] if not one.is_positional_only}
    duplicate = tuple(name for name in gives.keywords if name in by_place)
    filled.update(name for name in gives.keywords if name in names)
    missing: tuple[str, ...] = ()
    if not partial and not gives.double_starred:
        lacking = () if gives.starred else (one for one in places if one.is_needed and one.name not in filled)
        missing = (
            *(one.name for one in lacking),
            *(one.name for one in takes.named if one.is_needed and one.name not in filled),
        )
    if not (too_many or unexpected or duplicate or missing):
        return None
    return Misfit(too_many, unexpected, duplicate, missing)


def signatures_of(proven: Proven) -> Signatures:
    """The one that stands beside a `Proven`."""
    found = proven.kept.get(Signatures)
    if not isinstance(found, Signatures):
        found = proven.kept[Signatures] = Signatures(proven)
    return found


class Signatures:
    """Answers beside one `Proven`."""

    def __init__(self, proven: Proven) -> None:
        self.proven = proven
        self._functions: dict[tuple[Function, str], Takes | None] = {}
        self._classes: dict[ClassType, list[Takes] | None] = {}
        self._named: dict[str, list[Takes] | None] = {}

    def of(self, callees: Iterable[Type]) -> list[Takes] | None:
        """All ways in which one of several things can be called; None when that is not decided."""
        found: list[Takes] = []
        for callee in callees:
            ways = self._of(callee)
            if not ways:
                return None
            found.extend(ways)
        return found

    def _of(self, callee: Type) -> list[Takes] | None:
        if isinstance(callee, ClassType):
            return self.of_class(callee)
        if isinstance(callee, TypeOf):
            of = self.proven.plain(callee)
            if not isinstance(of, ClassType):
                return None
            found = [self.of_class(one) for one in (of, *self.proven.below(of))]
            return None if None in found else [takes for ways in found for takes in ways or ()]
        if isinstance(callee, Instance):
            found = self.proven.attribute(callee, "__call__")
            return None if found is None else self._of_functions(found)
        return self._of_functions((callee,))

    def _of_functions(self, found: Iterable[Type]) -> list[Takes] | None:
        ways: list[Takes] = []
        for one in found:
            if not isinstance(one, Function):
                return None
            for function in (*overloads_of(self.proven.resolver, one), *self._overriding(one)):
                takes = self.of_function(function)
                if takes is None:
                    return None
                ways.append(takes)
        return ways

    def _overriding(self, function: Function) -> Iterator[Function]:
        """The methods of subclasses that may be called instead; without a receiver where they are not known."""
        receiver, proven = function.receiver, self.proven
        record = proven.resolver.record(function.path)
        if record is None or receiver is None or (isinstance(receiver, Instance) and receiver.above):
            return
        name = record.names[record.symbols.name[function.symbol]]
        if isinstance(receiver, ClassType):
            return  # one that is named
        for one in proven.below(ClassType(receiver.path, receiver.scope)):
            if not proven.defines(one, name):
                continue
            found = proven.attribute(Instance(one.path, one.scope), name)
            for other in found or (None,):
                yield other if isinstance(other, Function) else Function("", -1)

    def of_function(self, function: Function, name: str = "") -> Takes | None:
        """What a call of a function may give, by another name perhaps."""
        key = (function, name)
        if key not in self._functions:
            self._functions[key] = self._of_function(function, name)
        return self._functions[key]

    def _of_function(self, function: Function, name: str) -> Takes | None:
        record = self.proven.resolver.record(function.path)
        inner = -1 if record is None else record.symbols.inner[function.symbol]
        if record is None or inner < 0:
            return None
        symbols = record.symbols
        rows = self.proven.types.calls.parameters(replace(function, receiver=None))
        own = record.names[symbols.name[function.symbol]]
        explicit_new = own == "__new__" and not name
        if self.proven.types.calls.is_bound(record, function) and not explicit_new:
            if not rows:
                return None
            rows = rows if symbols.flags[rows[0]] & VARIADIC else rows[1:]
        positional: list[Parameter] = []
        named: list[Parameter] = []
        flags = 0
        for row in rows:
            flag = symbols.flags[row]
            flags |= flag & (VARIADIC | KEYWORDS)
            if flag & (VARIADIC | KEYWORDS):
                continue
            parameter_name = record.names[symbols.name[row]]
            hidden = parameter_name.startswith("__") and not parameter_name.endswith("__")
            only = bool(flag & POSITIONAL_ONLY) or (hidden and is_outside(function.path))
            one = Parameter(parameter_name, not flag & DEFAULT, only)
            (named if flag & KEYWORD_ONLY else positional).append(one)
        where = Location(function.path, symbols.span(function.symbol))
        return Takes(
            name or own, where, tuple(positional), tuple(named), bool(flags & VARIADIC), bool(flags & KEYWORDS)
        )

    # --- by name alone --------------------------------------------------------------------------------

    def of_member(self, name: str) -> list[Takes] | None:
        """How the project's members of a name can be called, whatever they are called on; None where that is not
        known of one of them."""
        if name not in self._named:
            self._named[name] = self._of_member(name)
        return self._named[name]

    def _of_member(self, name: str) -> list[Takes] | None:
        proven = self.proven
        ways: list[Takes] = []
        for path in proven.resolver.snapshot.definers[name]:
            record = proven.resolver.record(path)
            if record is None or record.language != "python" or name in self.proven.facts.written:
                return None
            for scope, rows in record.bound(name).items():
                if record.scopes.kind[scope] not in _MEMBERS_OF:
                    continue
                for row in rows:
                    takes = self._of_bound(path, record, row)
                    if takes is None or len(ways) == _MOST_WAYS:
                        return None
                    ways.append(takes)
        return ways

    def _of_bound(self, path: str, record: FileRecord, row: int) -> Takes | None:
        """How a def is called through what it is a member of."""
        symbols = record.symbols
        if symbols.inner[row] < 0 or symbols.kind[row] not in _DEFS or symbols.flags[row] & PROPERTY:
            return None
        if not self.proven.keeps_parameters(path, record, row):
            return None
        is_method = symbols.kind[row] == KIND["method"]
        return self.of_function(Function(path, row, Instance(path, symbols.scope[row]) if is_method else None))

    # --- classes --------------------------------------------------------------------------------------

    def of_class(self, of: ClassType) -> list[Takes] | None:
        """How objects of a class are made; None when that is not decided."""
        of = of.bare
        if of not in self._classes:
            self._classes[of] = self._of_class(of)
        return self._classes[of]

    def _of_class(self, of: ClassType) -> list[Takes] | None:
        proven = self.proven
        order = proven.reach(of)
        types = proven.types
        if not proven.is_made_plainly(of) or types.classes.is_enum(of) or types.classes.is_protocol(of):
            return None
        if any(
            types.is_library(one, "builtins", "type") or types.is_library(one, "typing", "_TypedDict") for one in order
        ):
            return None
        name = types.name_of(of)
        for owner in order:
            record = proven.resolver.record(owner.path)
            if record is None:
                return None
            makers = [one for one in ("__new__", "__init__") if proven.defines(owner, one)]
            if makers:
                return self._made_by(of, name, makers if is_outside(owner.path) else makers[:1])
            if any(last_name(record, ref) == _NAMED_TUPLE for ref in record.scopes[owner.scope].refs):
                return self._with(of, name, _tuple_fields(record, owner.scope))
            made = self._made_by_decorator(of, name, owner, order, record)
            if made is not None:
                return made or None
        return None if proven.order(of) is None else self._with(of, name, [])

    def _made_by(self, of: ClassType, name: str, makers: list[str]) -> list[Takes] | None:
        ways: list[Takes] = []
        for maker in makers:
            found = self.proven.attribute(Instance(of.path, of.scope), maker)
            for one in found or (None,):
                takes = self.of_function(one, name) if isinstance(one, Function) else None
                if takes is None:
                    return None
                ways.append(takes)
        return ways

    def _with(self, of: ClassType, name: str, fields: list[_Field]) -> list[Takes]:
        record = self.proven.resolver.record(of.path)
        symbol = -1 if record is None else record.scopes.symbol[of.scope]
        assert record is not None
        positional = tuple(Parameter(one.name, one.is_needed) for one in fields if not one.by_name)
        named = tuple(Parameter(one.name, one.is_needed) for one in fields if one.by_name)
        return [Takes(name, Location(of.path, record.symbols.span(symbol)), positional, named)]

    def _made_by_decorator(
        self, of: ClassType, name: str, owner: ClassType, order: tuple[ClassType, ...], record: FileRecord
    ) -> list[Takes] | None:
        """The initializer that a decorator makes of a class's fields. Empty: not decided; None: there is none."""
        maker = _maker(record, owner.scope)
        if maker is None:
            return None
        if maker.is_open:
            return []
        if not maker.makes_init:
            return None
        found: dict[str, _Field] = {}
        for one in reversed(order[order.index(owner) :]):
            other = self.proven.resolver.record(one.path)
            its = None if other is None else _maker(other, one.scope)
            if other is None or (its is not None and (its.is_open or its.of_attrs != maker.of_attrs)):
                return []
            for field in _fields(other, one.scope, its) if its is not None else ():
                # One that is declared anew stands where it stood in a data class, and last with attrs.
                if maker.of_attrs:
                    found.pop(field.name, None)
                found[field.name] = field
        return self._with(of, name, [one for one in found.values() if one.is_given])


@dataclass(frozen=True, slots=True)
class _Maker:
    """A decorator that makes an `__init__`. `is_open`: it says more than is understood here."""

    of_attrs: bool
    makes_init: bool = True
    by_name: bool = False
    declared_only: bool = True  # the fields are those with an annotation
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    is_needed: bool
    by_name: bool = False
    is_given: bool = True


def _maker(record: FileRecord, scope: int) -> _Maker | None:
    symbol = record.scopes.symbol[scope]
    for ref in record.symbols[symbol].decorators if symbol >= 0 else ():
        name = last_name(record, ref)
        if name != "dataclass" and name not in ATTRS:
            continue
        said = _keywords(record, ref)
        if not said.keys() <= _SWITCHES or None in said.values():
            return _Maker(name in ATTRS, is_open=True)
        old = name in ("s", "attrs", "attributes")
        return _Maker(
            name in ATTRS,
            said.get("init", True) is not False,
            said.get("kw_only", False) is True,
            not old or said.get("auto_attribs", False) is True,
        )
    return None


def _keywords(record: FileRecord, ref: int) -> dict[str, bool | None]:
    """The keywords of a call with what they are where that is True or False; a positional argument or one that is
    unpacked as one that is not understood."""
    row = value_row(ref)
    if row is None or record.values[row].kind != "call":
        return {}
    found: dict[str, bool | None] = {}
    for at in record.calls[record.values[row].second].arguments:
        argument = record.arguments[at]
        inner = value_row(argument.value)
        value = None if inner is None else record.values[inner]
        plain = value is not None and value.kind == "bool" and value.first
        found[argument.keyword or ""] = (value.first == 1) if plain and value is not None else None
    return found


def _fields(record: FileRecord, scope: int, maker: _Maker) -> Iterator[_Field]:
    by_name = maker.by_name
    computed = {
        record.names[record.occurrences.name[owner]]
        for row in record.symbols_in(scope)
        for ref in record.symbols[row].decorators
        if last_name(record, ref) == "default" and ref >= 0 and (owner := record.occurrences.link[ref]) >= 0
    }
    for row in record.symbols_in(scope):
        symbol = record.symbols[row]
        if symbol.kind not in _VARIABLES or symbol.inner is not None:
            continue
        declared = last_name(record, symbol.annotation) if symbol.annotation != NO_REF else ""
        maker_name = _called(record, symbol.value)
        is_made = maker_name in (_ATTRS_FIELDS if maker.of_attrs else ("field",))
        if declared == "KW_ONLY":
            by_name = True
            continue
        if declared == "ClassVar" or (symbol.annotation == NO_REF and not (maker.of_attrs and is_made)):
            continue
        if not maker.declared_only and not is_made:
            continue
        name = symbol.name
        if maker.of_attrs:
            name = name.lstrip("_") or name
        said = _keywords(record, symbol.value) if is_made else {}
        if is_made:
            needed = (
                said.keys().isdisjoint(("default", "default_factory", "factory", "")) and symbol.name not in computed
            )
        else:
            needed = symbol.value == NO_REF
        # An alias, or an `init` that is computed, is not looked at further: the field then may be given or not.
        yield _Field(
            name,
            needed,
            said.get("kw_only", by_name) is not False and (by_name or "kw_only" in said),
            said.get("init", True) is not False,
        )


def _called(record: FileRecord, ref: int) -> str:
    row = value_row(ref)
    return last_name(record, ref) if row is not None and record.values[row].kind == "call" else ""


def _tuple_fields(record: FileRecord, scope: int) -> list[_Field]:
    return [
        _Field(symbol.name, symbol.value == NO_REF)
        for row in record.symbols_in(scope)
        if (symbol := record.symbols[row]).kind in _VARIABLES and symbol.annotation != NO_REF and symbol.inner is None
    ]
