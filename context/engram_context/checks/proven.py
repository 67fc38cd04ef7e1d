"""What an expression can only be: inference that says nothing rather than leave a possibility out.

`inference` finds what an expression may be, for questions whose answer is a hint. An error needs the opposite: every
binding that can be read must be known, and what a decorator, a metaclass or an assignment from afar could change is
not. None means undecided.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from engram_context.checks.decorators import keeps_all, keeps_parameters
from engram_context.checks.facts import Facts, facts_of, file_facts
from engram_context.checks.flow import flow_of
from engram_context.checks.surroundings import body_of, does_nothing
from engram_context.checks.whole import Whole, of_record
from engram_context.imports import Module
from engram_context.inference.calls import last_name
from engram_context.inference.forms import NAMES
from engram_context.inference.inferred import ClassType, Function, Instance, Nothing, Type, TypeOf, Types_
from engram_context.outside.library import is_outside
from engram_context.records import (
    ASYNC,
    AUGMENTED,
    CLASS_METHOD,
    DECORATED,
    GENERATOR,
    KEYWORDS,
    KIND,
    NO_REF,
    OVERLOAD,
    PROPERTY,
    ROLE,
    SETTER,
    STATIC_METHOD,
    VARIADIC,
    FileRecord,
    value_row,
)
from engram_context.resolve import Resolver
from engram_context.scopes import class_around
from engram_context.targets import Builtin, External, Slot, Target

Proof = tuple[Type, ...] | None

_ATTRIBUTES = (ROLE["attribute"], ROLE["attribute-write"])
_IMPORT, _PARAMETER, _CLASS = KIND["import"], KIND["parameter"], KIND["class"]
_DEFS = (KIND["function"], KIND["method"])
_VARIABLES = (KIND["variable"], KIND["constant"], KIND["attribute"])
_DEPTH = 24
_STEPS = 4000
"""How many expressions and bindings are looked at for one question."""
_MOST = 8
"""How many bindings or returns are looked at."""
_WIDTH = 64
"""How many types, overloads one by one, an expression may have."""

_DISPLAYS: Final = {
    "str": "str", "bytes": "bytes", "int": "int", "float": "float", "complex": "complex", "bool": "bool",
    "list": "list", "list-of": "list", "set": "set", "set-of": "set", "tuple": "tuple", "dict": "dict",
    "dict-of": "dict", "slice": "slice",
}  # fmt: skip
_CHANGING: Final = frozenset(("int", "float", "bool", "complex"))
"""Classes whose objects become others by arithmetic: `total = 0` is a Decimal after `total += price`."""
_RECEIVERS: Final = frozenset(("self", "cls"))
"""So parameters are named that a method is called on, whatever its decorators."""
_METACLASSES: Final = frozenset(("ABCMeta", "EnumMeta", "EnumType", "type"))
_FORMS: Final = frozenset(("Generic", "Protocol", "NamedTuple", "object"))


_lock = threading.Lock()


def proven_of(whole: Whole, resolver: Resolver) -> Proven:
    """The one that stands beside a thread's resolver, and goes with it."""
    with _lock:
        found: Proven | None = vars(resolver).get("_proven")
        if found is None:
            found = vars(resolver)["_proven"] = Proven(resolver, whole.of(facts_of))
        return found


class Proven:
    """Answers beside one resolver, and keeps what it found."""

    def __init__(self, resolver: Resolver, facts: Facts) -> None:
        self.resolver = resolver
        self.types = resolver.types
        self.facts = facts
        self._refs: dict[tuple[str, int], Proof] = {}
        self._rows: dict[tuple[str, int], Proof] = {}
        self._open: set[tuple[int, tuple[str, int]]] = set()
        self._nothing: dict[tuple[str, int], bool] = {}
        self._orders: dict[ClassType, tuple[ClassType, ...] | None] = {}
        self._ordering: set[ClassType] = set()
        self._reaches: dict[ClassType, tuple[ClassType, ...]] = {}
        self._below: dict[ClassType, frozenset[ClassType]] = {}
        self._writers: dict[str, frozenset[Type]] = {}
        self.kept: dict[object, object] = {}
        self._depth = self._steps = self._cuts = 0

    # --- expressions ----------------------------------------------------------------------------------

    def of_ref(self, path: str, ref: int) -> Proof:
        """All that an expression of a file can be; None when that is not decided."""
        if ref == NO_REF:
            return None
        return self._kept(self._refs, self._of_ref, path, ref)

    def _kept(
        self, kept: dict[tuple[str, int], Proof], find: Callable[[str, FileRecord, int], Proof], path: str, row: int
    ) -> Proof:
        """What `find` says of a row, once. What depends on itself is undecided; what was found out while something
        else was in the middle of that is not kept, for asked first it may be decided."""
        key = (path, row)
        if key in kept:
            self._cuts += (id(kept), key) in self._open
            return kept[key]
        record = self.resolver.record(path)
        self._steps = self._steps + 1 if self._depth else 0
        if record is None or self._depth >= _DEPTH or self._steps > _STEPS:
            self._cuts += 1
            return None
        kept[key] = None
        self._open.add((id(kept), key))
        cuts, self._depth = self._cuts, self._depth + 1
        try:
            found = kept[key] = find(path, record, row)
        finally:
            self._depth -= 1
            self._open.discard((id(kept), key))
        if self._depth and self._cuts > cuts:
            del kept[key]
        return found

    def _of_ref(self, path: str, record: FileRecord, ref: int) -> Proof:
        row = value_row(ref)
        if row is not None:
            return self._of_value(path, record, row)
        occurrences = record.occurrences
        bindings: Sequence[int] = ()
        if occurrences.role[ref] in _ATTRIBUTES:
            receivers = self.of_ref(path, occurrences.link[ref])
            name = record.names[occurrences.name[ref]]
            found = None if receivers is None else _joined(self.attribute(one, name) for one in receivers)
        else:
            targets = self.resolver.of_occurrence(path, ref)
            if len(targets) != 1:
                return None
            target = targets[0]
            if isinstance(target, Builtin) and self.resolver.outside_stars(path):
                return None
            if isinstance(target, Slot) and target.path == path:
                bindings = self.resolver.symbols_of(target)
                if not bindings:
                    return None
                reaching = self.types.flow(path, record).reaching(bindings, ref) if len(bindings) > 1 else bindings
                found = self._of_rows(path, record, reaching)
                if target.scope == 0:
                    found = self._unless_empty(found)
            else:
                found = self.of_target(target)
        if found is None or not len(record.narrowings):
            return found
        for test in self.types.flow(path, record).tests(ref, bindings):
            if test.kind != "not-none":
                return None
            found = tuple(one for one in found if not isinstance(one, Nothing))
        return found or None

    def _of_value(self, path: str, record: FileRecord, row: int) -> Proof:
        value = record.values[row]
        if value.kind == "bool" and not value.first:
            return None  # what a comparison gives is up to what is compared
        if value.kind in _DISPLAYS:
            return tuple(self.types.builtin(_DISPLAYS[value.kind])) or None
        if value.kind == "none":
            return (Nothing(),)
        if value.kind == "call":
            return self._of_call(path, record, value.first, value.second)
        if value.kind == "entered":
            managers = self.of_ref(path, value.first)
            entered = None if managers is None else _joined(self.attribute(one, "__enter__") for one in managers)
            return None if entered is None else _joined(self.result(one) for one in entered)
        if value.kind == "either":
            return _joined((self.of_ref(path, value.first), self.of_ref(path, value.second)))
        return None

    def _of_call(self, path: str, record: FileRecord, callee: int, call: int) -> Proof:
        if callee >= 0 and record.names[record.occurrences.name[callee]] == "super":
            if self.resolver.of_occurrence(path, callee) != (Builtin("super"),):
                return None
            scope = class_around(record, record.calls.scope[call])
            plain = record.calls.first_argument[call] == record.calls.last_argument[call]
            return None if scope is None or not plain else (Instance(path, scope, above=True),)
        callees = self.of_ref(path, callee)
        return None if callees is None else _joined(self.result(one) for one in callees)

    def result(self, callee: Type) -> Proof:
        """What calling something gives."""
        callee = self.plain(callee)
        if isinstance(callee, ClassType):
            return self._made(callee)
        if not isinstance(callee, Function):
            return None
        record = self.resolver.record(callee.path)
        if record is None or self._may_be_overridden(callee, record):
            return None
        symbol = record.symbols[callee.symbol]
        if symbol.name == "__new__" or symbol.flags & (ASYNC | GENERATOR) or symbol.inner is None:
            return None
        if symbol.flags & DECORATED and not self.keeps(callee.path, record, callee.symbol):
            return None
        if symbol.annotation != NO_REF:
            return self.of_annotation(callee.path, symbol.annotation, callee.receiver)
        if symbol.flags & OVERLOAD or is_outside(callee.path):
            return None
        returned = record.scopes[symbol.inner].refs
        if not returned:
            return (Nothing(),) if self.gives_nothing(callee.path, record, callee.symbol) else None
        found = _joined(self.of_ref(callee.path, ref) for ref in returned) if len(returned) <= _MOST else None
        # One that always says None has it to be overridden, or to be filled in.
        return None if found is None or all(isinstance(one, Nothing) for one in found) else found

    def gives_nothing(self, path: str, record: FileRecord, row: int) -> bool:
        """Whether a function that returns no value comes to its end, and does something before."""
        key = (path, row)
        if key not in self._nothing:
            self._nothing[key] = self._gives_nothing(path, record, row)
        return self._nothing[key]

    def _gives_nothing(self, path: str, record: FileRecord, row: int) -> bool:
        symbol = record.symbols[row]
        text = self.resolver.snapshot.text(path)
        if text is None or text.digest != record.digest or path.endswith(".pyi") or symbol.flags & (ASYNC | GENERATOR):
            return False
        body = body_of(text, record, row)
        if body is None or b"NotImplemented" in (body.text or b""):
            return False
        if does_nothing(body):
            return False
        flow = flow_of(body)
        return not flow.reachable().isdisjoint((*flow.returns, *flow.falls))

    def _made(self, of: ClassType) -> Proof:
        """An object of a class, as long as the class makes its objects in the usual way."""
        if not self.is_made_plainly(of):
            return None
        for owner in self.reach(of):
            if self.defines(owner, "__new__") and not is_outside(owner.path):
                return None
        if any(self.types.is_library(of, "builtins", name) for name in ("type", "super")):
            return None
        if self.types.classes.is_enum(of):
            return None
        return (Instance(of.path, of.scope),)

    # --- annotations ----------------------------------------------------------------------------------

    def of_annotation(self, path: str, ref: int, receiver: Instance | ClassType | None = None) -> Proof:
        """What an annotation declares: objects of classes that are known, None among them."""
        record = self.resolver.record(path)
        if record is None or ref == NO_REF:
            return None
        row = value_row(ref)
        if row is not None:
            value = record.values[row]
            if value.kind == "none":
                return (Nothing(),)
            if value.kind == "operator":
                return _joined(self.of_annotation(path, part, receiver) for part in (value.first, value.second))
            if value.kind != "subscript":
                return None
            name = last_name(record, value.first)
            if name in ("Optional", "Union"):
                parts = self._parts(record, value.second)
                declared = _joined(self.of_annotation(path, part, receiver) for part in parts)
                return None if declared is None else (*declared, *((Nothing(),) if name == "Optional" else ()))
            if name in ("Final", "ClassVar"):
                return self.of_annotation(path, value.second, receiver)
            return self.of_annotation(path, value.first, receiver)
        name = record.names[record.occurrences.name[ref]]
        if name == "Self" and receiver is not None:
            return (Instance(receiver.path, receiver.scope),)
        found = self.of_ref(path, ref)
        if found is None or len(found) != 1:
            return None
        of = found[0]
        if not isinstance(of, ClassType) or self.types.classes.is_protocol(of):
            return None
        if self.types.is_library(of, "builtins", "object") or self.types.is_library(of, "builtins", "type"):
            return None
        return (Instance(of.path, of.scope),)

    def _parts(self, record: FileRecord, ref: int) -> Sequence[int]:
        row = value_row(ref)
        value = None if row is None else record.values[row]
        if value is None or value.kind != "tuple":
            return (ref,)
        return record.values.pool[value.first : value.second]

    # --- names ----------------------------------------------------------------------------------------

    def of_target(self, target: Target) -> Proof:
        found: list[Proof] = []
        for origin in self.resolver.origins(target):
            if isinstance(origin, Module):
                found.append((origin,))
            elif isinstance(origin, Slot):
                record = self.resolver.record(origin.path)
                rows = self.resolver.symbols_of(origin)
                if record is None or not rows or self._is_replaced(origin, record, rows):
                    return None
                found.append(self._unless_empty(self._of_rows(origin.path, record, rows)))
            else:
                inside = self.resolver.outside(origin)
                if len(inside) != 1:
                    return None
                found.append(self.of_target(inside[0]))
        return _joined(found) if found else None

    def _is_replaced(self, slot: Slot, record: FileRecord, rows: Sequence[int]) -> bool:
        """Whether something in the project may put another thing under a module's name. What a test puts in the
        place of a function does not count: the callers run without it too."""
        if slot.scope:
            return False
        if all(record.symbols.inner[row] >= 0 for row in rows):
            return any(isinstance(one, Module) and one.path == slot.path for one in self.writers(slot.name))
        facts = self.facts
        return slot.name in facts.written or slot.name in facts.written_in_tests or slot.name in facts.probed

    def _unless_empty(self, found: Proof) -> Proof:
        """What a module's variable is; one that only ever is None is filled in from afar."""
        return None if found is None or all(isinstance(one, Nothing) for one in found) else found

    def writers(self, name: str) -> frozenset[Type]:
        """What the project's code may assign a member of that name to, as far as that is inferred at all."""
        if name not in self._writers:
            self._writers[name] = frozenset(
                one for path, index in self.facts.written.get(name, ()) for one in self._written_through(path, index)
            )
        return self._writers[name]

    def _written_through(self, path: str, index: int) -> Types_:
        record = self.resolver.record(path)
        return () if record is None else self.types.of_ref(path, record.occurrences.link[index])

    def _is_written(self, owners: Sequence[ClassType], name: str) -> bool:
        """Whether something assigns a method's name through one of the classes or their objects."""
        return any(
            isinstance(one, Instance | ClassType) and ClassType(one.path, one.scope) in owners
            for one in self.writers(name)
        )

    def _of_rows(self, path: str, record: FileRecord, rows: Sequence[int]) -> Proof:
        symbols = record.symbols
        declared = [row for row in rows if symbols.annotation[row] != NO_REF and symbols.inner[row] < 0]
        if declared and len(declared) < len(rows) and symbols.kind[declared[0]] in _VARIABLES:
            rows = declared
        overloads = [row for row in rows if symbols.flags[row] & OVERLOAD]
        if overloads:
            return tuple(Function(path, row) for row in overloads)
        if not rows or len(rows) > _MOST:
            return None
        return _joined(self.of_row(path, row, alone=len(rows) == 1) for row in rows)

    def of_row(self, path: str, row: int, *, alone: bool = True) -> Proof:
        """What one binding gives a name. `alone`: nothing else is bound to it."""
        found = self._kept(self._rows, self._of_row, path, row)
        if found is not None and not alone and any(self._is_changing(one) for one in found):
            return None
        return found

    def _is_changing(self, one: Type) -> bool:
        return isinstance(one, Instance) and is_outside(one.path) and self.types.name_of(one.of) in _CHANGING

    def _of_row(self, path: str, record: FileRecord, row: int) -> Proof:
        symbols = record.symbols
        kind, flags = symbols.kind[row], symbols.flags[row]
        if kind == _IMPORT:
            return self.of_target(Slot(path, symbols.scope[row], record.names[symbols.name[row]]))
        if kind == _CLASS:
            inner = symbols.inner[row]
            if is_outside(path) and record.names[symbols.name[row]] in NAMES and self._is_typing(path):
                return None
            return None if inner < 0 or not self.keeps(path, record, row) else (ClassType(path, inner),)
        if kind in _DEFS:
            if flags & SETTER:
                return ()
            return (
                None if flags & DECORATED and not self.keeps_parameters(path, record, row) else (Function(path, row),)
            )
        if kind == _PARAMETER:
            return self._of_parameter(path, record, row)
        if kind not in _VARIABLES or flags & AUGMENTED:
            return None
        annotation, value = symbols.annotation[row], symbols.value[row]
        if annotation != NO_REF:
            declared = self.of_annotation(path, annotation)
            none = self.of_ref(path, value) if value != NO_REF else ()
            return None if declared is None else (*declared, *(one for one in none or () if isinstance(one, Nothing)))
        return self.of_ref(path, value)

    def _is_typing(self, path: str) -> bool:
        return self.resolver.library.dotted(path).partition(".")[0] in ("typing", "typing_extensions", "_typeshed")

    def _of_parameter(self, path: str, record: FileRecord, row: int) -> Proof:
        symbols = record.symbols
        flags = symbols.flags[row]
        if flags & (VARIADIC | KEYWORDS):
            return tuple(self.types.builtin("dict" if flags & KEYWORDS else "tuple")) or None
        owner = self.receiver_of(path, record, row)
        if owner is not None:
            return (owner,)
        declared = self.of_annotation(path, symbols.annotation[row])
        if declared is None:
            return None
        default = self.of_ref(path, symbols.value[row]) if symbols.value[row] != NO_REF else ()
        return (*declared, *(one for one in default or () if isinstance(one, Nothing)))

    def receiver_of(self, path: str, record: FileRecord, row: int) -> Instance | TypeOf | None:
        """What a method's first parameter is: an object of the class, or the class or one below it."""
        symbols, scope = record.symbols, record.symbols.scope[row]
        method = record.scopes.symbol[scope]
        if method < 0 or symbols.kind[method] != KIND["method"] or symbols.flags[method] & STATIC_METHOD:
            return None
        rows = [at for at in record.symbols_in(scope) if symbols.kind[at] == _PARAMETER]
        if rows[0] != row:
            return None
        own, name = symbols.scope[method], record.names[symbols.name[method]]
        is_named = record.names[symbols.name[row]] in _RECEIVERS
        if symbols.flags[method] & DECORATED and not is_named and not self.keeps_parameters(path, record, method):
            return None
        if record.names[symbols.name[row]] == "cls" and not symbols.flags[method] & CLASS_METHOD and name[:2] != "__":
            return None
        if symbols.flags[method] & CLASS_METHOD or name in ("__new__", "__init_subclass__", "__class_getitem__"):
            return TypeOf((Instance(path, own),))
        if self.is_metaclass(ClassType(path, own)):
            return None
        return Instance(path, own)

    def is_metaclass(self, of: ClassType) -> bool:
        """Whether classes are objects of a class."""
        return any(self.types.is_library(one, "builtins", "type") for one in self.reach(of))

    def keeps(self, path: str, record: FileRecord, row: int) -> bool:
        """Whether the decorators of a def or class are all known to leave it as it is written."""
        return all(keeps_all(self.resolver, path, record, ref) for ref in record.symbols[row].decorators)

    def keeps_parameters(self, path: str, record: FileRecord, row: int) -> bool:
        """Whether the decorators of a def all leave it to be called as it is written, whatever that gives."""
        return all(keeps_parameters(self.resolver, path, record, ref) for ref in record.symbols[row].decorators)

    # --- members --------------------------------------------------------------------------------------

    def order(self, of: ClassType) -> tuple[ClassType, ...] | None:
        """The classes that a class's members come from, `object` left out; None where one of them is not known, or
        a metaclass, a decorator or computed names may add to them."""
        of = of.bare
        if of in self._orders:
            self._cuts += of in self._ordering
            return self._orders[of]
        self._orders[of] = None
        self._ordering.add(of)
        cuts = self._cuts
        found = self._orders[of] = self._order(of)
        self._ordering.discard(of)
        if self._depth and self._cuts > cuts:
            del self._orders[of]
        return found

    def _order(self, of: ClassType) -> tuple[ClassType, ...] | None:
        order = self.types.order(of)
        for one in order:
            record = self.resolver.record(one.path)
            symbol = NO_REF if record is None else record.scopes.symbol[one.scope]
            if record is None or symbol < 0 or not self.has_known_bases(one, order):
                return None
            if record.symbols.flags[symbol] & DECORATED and not self.keeps(one.path, record, symbol):
                return None
            meta = record.symbols.value[symbol]
            if meta != NO_REF and (last_name(record, meta) not in _METACLASSES):
                return None
            if record.scopes[one.scope].name in self.facts.filled:
                return None
        return order

    def reach(self, of: ClassType) -> tuple[ClassType, ...]:
        """The classes that a member is certainly looked for in first, in their order: as far as bases are known."""
        of = of.bare
        found = self._reaches.get(of)
        if found is None:
            order, cuts = self.types.order(of), self._cuts
            unknown = (at for at, one in enumerate(order) if not self.has_known_bases(one, order))
            found = order[: next(unknown, len(order)) + 1]
            if not self._depth or self._cuts == cuts:
                self._reaches[of] = found
        return found

    def has_known_bases(self, one: ClassType, order: tuple[ClassType, ...]) -> bool:
        """Whether it is known of all bases of a class what they are."""
        record = self.resolver.record(one.path)
        if record is None or record.language != "python":
            return False
        for ref in record.scopes[one.scope].refs:
            inner = value_row(ref)
            if inner is not None and record.values[inner].kind != "subscript":
                return False
            if last_name(record, ref) in _FORMS and self._is_form(one.path, record, ref):
                continue
            bare = record.values[inner].first if inner is not None else ref
            bases = self.of_ref(one.path, bare)
            if bases is None or len(bases) != 1 or not isinstance(bases[0], ClassType):
                return False
            if bases[0].bare not in order and not self.types.is_library(bases[0], "builtins", "object"):
                return False
        return True

    def is_made_plainly(self, of: ClassType) -> bool:
        """Whether calling a class runs its `__new__` and `__init__`: its metaclass says nothing else about it."""
        for one in self.reach(of):
            record = self.resolver.record(one.path)
            symbol = NO_REF if record is None else record.scopes.symbol[one.scope]
            meta = NO_REF if record is None or symbol < 0 else record.symbols.value[symbol]
            if record is None or symbol < 0:
                return False
            if record.symbols.flags[symbol] & DECORATED and not self.keeps(one.path, record, symbol):
                return False
            if meta == NO_REF or last_name(record, meta) in _METACLASSES:
                continue
            made = self.of_ref(one.path, meta)
            if made is None or len(made) != 1 or not isinstance(made[0], ClassType):
                return False
            order = self.order(made[0])
            if order is None or any(self.defines(each, "__call__") for each in order if not is_outside(each.path)):
                return False
        return True

    def _is_form(self, path: str, record: FileRecord, ref: int) -> bool:
        inner = value_row(ref)
        bare = record.values[inner].first if inner is not None else ref
        return bare >= 0 and all(
            isinstance(one, External | Builtin) or (isinstance(one, Slot) and is_outside(one.path))
            for one in self.resolver.meanings(path, bare)
        )

    def below(self, of: ClassType) -> frozenset[ClassType]:
        """The classes of the project that may inherit from a class."""
        of = of.bare
        found = self._below.get(of)
        if found is None:
            named, cuts = self.facts.below(self.types.name_of(of)), self._cuts
            found = frozenset(one for one in named if one != of and (self.order(one) is None or of in self.reach(one)))
            if not self._depth or self._cuts == cuts:
                self._below[of] = found
        return found

    def defines(self, of: ClassType, name: str) -> bool:
        """Whether a class's own body or methods bind a member."""
        names = self.resolver.names(of.path, name)
        return names is not None and of.scope in names.symbols

    def is_dynamic(self, of: ClassType) -> bool:
        """Whether objects of a class may have members that no statement names."""
        record = self.resolver.record(of.path)
        return record is None or of.scope in of_record(record, file_facts).dynamic

    def attribute(self, receiver: Type, name: str) -> Proof:
        """All that `receiver.name` can be."""
        is_open = isinstance(receiver, TypeOf)
        receiver = self.plain(receiver)
        if isinstance(receiver, Module):
            members = self.resolver.member(receiver, name)
            return self.of_target(members[0]) if len(members) == 1 else None
        if not isinstance(receiver, Instance | ClassType):
            return None
        owners = self.owners(receiver)
        if owners is None:
            return None
        is_above = isinstance(receiver, Instance) and receiver.above
        is_known = not is_above and self.order(ClassType(receiver.path, receiver.scope)) is not None
        last = self.types.classes.last_owners(receiver) if is_known else ()
        owner = next((one for one in (*owners, *last) if self.defines(one, name)), None)
        record = None if owner is None else self.resolver.record(owner.path)
        if owner is None or record is None:
            return None
        rows = self.resolver.symbols_of(Slot(owner.path, owner.scope, name))
        symbols = record.symbols
        if any(symbols.kind[row] not in _DEFS for row in rows):
            return self._of_variable(receiver, owner, owners, name, rows, record)
        if name in self.facts.written and self._is_written(owners, name):
            return None
        found = self._of_rows(owner.path, record, rows)
        if found is None:
            return None
        bound: list[Proof] = []
        for one in found:
            if not isinstance(one, Function):
                return None
            of: Instance | ClassType = receiver
            if isinstance(receiver, ClassType) and owner in last[1:] and owner not in owners:
                of = Instance(owner.path, owner.scope)  # a metaclass's method is given the class
            elif is_open and symbols.flags[one.symbol] & (CLASS_METHOD | STATIC_METHOD):
                of = Instance(receiver.path, receiver.scope)  # `cls` may be a class below, as that of an object may
            function = replace(one, receiver=of)
            if symbols.flags[one.symbol] & PROPERTY and isinstance(receiver, Instance):
                bound.append(self.result(function))
            else:
                bound.append((function,))
        return _joined(bound)

    def plain(self, one: Type) -> Type:
        """What is a class or one of those below it, as that class."""
        if isinstance(one, TypeOf) and len(one.of) == 1 and isinstance(one.of[0], Instance):
            return one.of[0].of
        return one

    def owners(self, receiver: Instance | ClassType) -> tuple[ClassType, ...] | None:
        """The classes that a member is certainly looked for in first."""
        reach = self.reach(ClassType(receiver.path, receiver.scope))
        if not (isinstance(receiver, Instance) and receiver.above):
            return reach
        own = reach[0]
        # `super()` runs on to what stands beside a class in the order of one that inherits from it.
        for one in self.below(own):
            other = self.reach(one)
            if own not in other or other[other.index(own) :][: len(reach)] != reach:
                return None
        return reach[1:]

    def _of_variable(
        self,
        receiver: Instance | ClassType,
        owner: ClassType,
        owners: tuple[ClassType, ...],
        name: str,
        rows: Sequence[int],
        record: FileRecord,
    ) -> Proof:
        """A member that is assigned: by the class, and by nobody above or below it."""
        if is_outside(owner.path):
            declared = [row for row in rows if record.symbols.annotation[row] != NO_REF]
            return _joined(self.of_annotation(owner.path, record.symbols.annotation[row], receiver) for row in declared)
        others = [one for one in owners if one != owner and self.defines(one, name)]
        facts = self.facts
        if name in facts.written or name in facts.written_in_tests or name in facts.probed:
            return None
        if others or self.is_dynamic(owner) or any(self.defines(one, name) for one in self.below(owner)):
            return None
        if self.types.classes.is_enum(owner):
            return None
        found = self._of_rows(owner.path, record, rows)
        if found is None or any(self._is_changing(one) for one in found):
            return None
        # What says None only is filled in from afar.
        return None if all(isinstance(one, Nothing) for one in found) else self._taken(receiver, found)

    def _taken(self, receiver: Instance | ClassType, found: Iterable[Type]) -> Proof:
        """A class's variables as they are had: what binds itself when it is got is not decided."""
        kept: list[Type] = []
        for one in found:
            if isinstance(one, Function):
                return None
            if isinstance(one, Instance) and self.types.slots(one, "__get__"):
                return None
            kept.append(one)
        return tuple(kept)

    def _may_be_overridden(self, function: Function, record: FileRecord) -> bool:
        receiver = function.receiver
        if receiver is None or (isinstance(receiver, Instance) and receiver.above):
            return False
        name = record.names[record.symbols.name[function.symbol]]
        return any(self.defines(one, name) for one in self.below(ClassType(receiver.path, receiver.scope)))


def _joined(found: Iterable[Proof]) -> Proof:
    """The union of several, None when one of them is not decided."""
    all_: dict[Type, None] = {}
    for one in found:
        if one is None:
            return None
        all_.update(dict.fromkeys(one))
    return tuple(all_) if 0 < len(all_) <= _WIDTH else None
