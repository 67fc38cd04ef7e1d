"""What every name of a file is, for its colour: worked out over the record's columns, all names at once.

Names are looked up in the scopes of their own file. Only what a file imports is followed further, each name once, and
members of its own classes through their bases. An attribute of something else is told by how it is used.
"""

from __future__ import annotations

import builtins
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engram_context.imports import Module
from engram_context.inference.calls import last_name
from engram_context.recent import resolver_of
from engram_context.records import (
    ABSTRACT,
    ASYNC,
    CLASS_METHOD,
    DECORATED,
    KIND,
    KINDS,
    PROPERTY,
    ROLE,
    SCOPE_KIND,
    STATIC_METHOD,
    FileRecord,
    Kind,
    value_row,
)
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.targets import Slot, Target
from engram_context.text import Span
from engram_context.views.lexical import members_of, named

TOKEN_TYPES: Final = (
    "namespace", "class", "enum", "interface", "struct", "type", "typeParameter", "parameter", "variable",
    "property", "enumMember", "function", "method", "decorator",
)  # fmt: skip
"""The protocol's names; a token's type is an index into them."""
TOKEN_MODIFIERS: Final = (
    "declaration", "readonly", "static", "abstract", "async", "modification", "defaultLibrary", "deprecated",
)  # fmt: skip
"""The protocol's names; bit n of a token's modifiers means the one with that index."""

TYPE: Final = {name: code for code, name in enumerate(TOKEN_TYPES)}
MODIFIER: Final = {name: 1 << at for at, name in enumerate(TOKEN_MODIFIERS)}

Ints = NDArray[np.int64]

_OF_KIND: Final[dict[Kind, str]] = {
    "module": "namespace", "class": "class", "function": "function", "method": "method", "variable": "variable",
    "constant": "variable", "parameter": "parameter", "attribute": "property", "import": "variable",
    "type-parameter": "typeParameter", "type-alias": "type", "interface": "interface", "struct": "struct",
    "enum": "enum", "namespace": "namespace",
}  # fmt: skip
_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "ReprEnum"})


def _one_of(codes: Mapping[Any, int], *names: str) -> NDArray[np.bool_]:
    """A table that says of each code whether it stands for one of the names."""
    table = np.zeros(len(codes), np.bool_)
    table[[codes[name] for name in names]] = True
    return table


_CLASS_LIKE = _one_of(TYPE, "class", "enum", "interface", "struct")
_OWNERS = _one_of(TYPE, "class", "enum", "interface", "struct", "namespace")
_ATTRIBUTES = _one_of(ROLE, "attribute", "attribute-write")
_LOOKED_UP = _one_of(ROLE, "read", "delete", "declaration", "type", "call")
_DECLARING = _one_of(ROLE, "definition", "write", "attribute-write")
_WRITING = _one_of(ROLE, "write", "attribute-write", "delete")
_VARIABLES = _one_of(KIND, "variable", "constant")
_CLASS_SCOPE, _TYPE_SCOPE = SCOPE_KIND["class"], SCOPE_KIND["type-parameters"]
_METHOD, _IMPORT, _CLASS, _PARAMETER = KIND["method"], KIND["import"], KIND["class"], KIND["parameter"]
_MEMBERS_ASKED = 400
"""How many different members of imported modules and inherited ones are looked up for one file."""
_DOTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Columns of equal length, in source order: bytes `start..end`, an index into TOKEN_TYPES, and bits of
    TOKEN_MODIFIERS."""

    start: Ints
    end: Ints
    type: Ints
    modifiers: Ints

    def __len__(self) -> int:
        return len(self.start)

    def within(self, span: Span) -> Tokens:
        """Those that touch a span."""
        low, high = int(np.searchsorted(self.end, span.start)), int(np.searchsorted(self.start, span.end, "right"))
        return Tokens(*(column[low:high] for column in (self.start, self.end, self.type, self.modifiers)))


def semantic_tokens(snapshot: Snapshot, path: str) -> Tokens | None:
    """The names of a file that mean something known; None when there is no such file."""
    record = snapshot.record(path)
    return None if record is None else _Names(resolver_of(snapshot), path, record).tokens()


class _Names:
    """The names of one file while their types are found. Codes below zero: not known."""

    def __init__(self, resolver: Resolver, path: str, record: FileRecord) -> None:
        self.resolver, self.path, self.record = resolver, path, record
        self.asked = 0
        self.lines: dict[int, tuple[list[int], list[Target]]] = {}
        occurrences, symbols, scopes = record.occurrences, record.symbols, record.scopes
        self.start, self.name = _ints(occurrences.start), _ints(occurrences.name)
        self.scope, self.role, self.link = _ints(occurrences.scope), _ints(occurrences.role), _ints(occurrences.link)
        self.symbol_name, self.symbol_scope = _ints(symbols.name), _ints(symbols.scope)
        self.symbol_kind, self.flags = _ints(symbols.kind), _ints(symbols.flags)
        self.scope_kind, self.parent = _ints(scopes.kind), _ints(scopes.parent)
        self.width = np.fromiter((len(name.encode("utf-8", "surrogatepass")) for name in record.names), np.int64)
        self.type = np.full(len(self.start), -1, np.int64)
        self.modifiers = np.zeros(len(self.start), np.int64)

    def tokens(self) -> Tokens:
        if not len(self.start):
            empty = np.zeros(0, np.int64)
            return Tokens(empty, empty, empty, empty)
        self.symbol_type, self.symbol_modifiers = self._of_symbols()
        self.first = self._first_by_key()
        self.meant = self._meant()
        known = self.meant >= 0
        self.type[known] = self.symbol_type[self.meant[known]]
        self.modifiers[known] = self.symbol_modifiers[self.meant[known]]
        self._builtins()
        self._imports()
        self._attributes()
        self._keywords_and_decorators()
        self._bindings()
        shown = self.type >= 0
        shown &= self.role != ROLE["string"]
        start = self.start[shown]
        return Tokens(start, start + self.width[self.name[shown]], self.type[shown], self.modifiers[shown])

    # --- symbols ------------------------------------------------------------------------------------------

    def _of_symbols(self) -> tuple[Ints, Ints]:
        """(type, modifiers) of each symbol."""
        of_kind = np.array([TYPE[_OF_KIND[kind]] for kind in KINDS])
        types = of_kind[self.symbol_kind] if len(self.symbol_kind) else np.zeros(0, np.int64)
        modifiers = np.zeros(len(types), np.int64)
        in_class = self.scope_kind[self.symbol_scope] == _CLASS_SCOPE
        variable = _VARIABLES[self.symbol_kind]
        types[variable & in_class] = TYPE["property"]
        types[(self.flags & PROPERTY != 0) & (self.symbol_kind == _METHOD)] = TYPE["property"]
        modifiers[self.symbol_kind == KIND["constant"]] |= MODIFIER["readonly"]
        for flag, modifier in (
            (STATIC_METHOD | CLASS_METHOD, "static"), (ABSTRACT, "abstract"), (ASYNC, "async"),
        ):  # fmt: skip
            modifiers[self.flags & flag != 0] |= MODIFIER[modifier]
        self._enums(types, modifiers, variable)
        for row, decorators in self._decorated():
            if any(last_name(self.record, ref) == "deprecated" for ref in decorators):
                modifiers[row] |= MODIFIER["deprecated"]
        # `import x` binds a module, whatever it is.
        bound, imported = _ints(self.record.imports.bound), _ints(self.record.imports.name)
        self.whole_modules = frozenset(bound[imported < 0].tolist())
        for row in np.flatnonzero(self.symbol_kind == _IMPORT).tolist():
            types[row], more = self._of_slot(row)
            modifiers[row] |= more
        return types, modifiers

    def _decorated(self) -> Iterator[tuple[int, Sequence[int]]]:
        """(symbol, refs of its decorators)."""
        symbols = self.record.symbols
        for row in np.flatnonzero(self.flags & DECORATED != 0).tolist():
            yield row, symbols.pool[symbols.pool_start[row] : symbols.pool_end[row]]

    def _enums(self, types: Ints, modifiers: Ints, variable: NDArray[np.bool_]) -> None:
        record = self.record
        for row in np.flatnonzero(self.symbol_kind == _CLASS).tolist():
            inner = record.symbols.inner[row]
            if inner >= 0 and _is_enum(record, inner):
                types[row] = TYPE["enum"]
                members = variable & (self.symbol_scope == inner)
                types[members], modifiers[members] = TYPE["enumMember"], MODIFIER["readonly"]

    def _of_slot(self, row: int) -> tuple[int, int]:
        """(type, modifiers) of an import's symbol by what it turns out to be; one from outside by its spelling."""
        symbol = self.record.symbols[row]
        slot = Slot(self.path, symbol.scope, symbol.name)
        origins = [target for target in self.resolver.origins(slot) if target != slot]
        found = self._of_targets(origins)
        if found[0] >= 0:
            return found
        if row in self.whole_modules:
            return TYPE["namespace"], 0
        return _by_spelling(symbol.name, self.record.language)

    def _of_targets(self, targets: Iterable[Target]) -> tuple[int, int]:
        for target in targets:
            if isinstance(target, Module):
                return TYPE["namespace"], 0
            if isinstance(target, Slot):
                record = self.resolver.record(target.path)
                rows = self.resolver.symbols_of(target)
                if record is not None and rows:
                    row = max(rows, key=lambda at: (record.symbols.inner[at] >= 0, -at))
                    return _of_row(record, row)
        return -1, 0

    def _first_by_key(self) -> tuple[Ints, Ints]:
        """(sorted keys of scope and name, the symbol that stands for each): a definition before an assignment."""
        keys = self.symbol_scope * len(self.record.names) + self.symbol_name
        inner = _ints(self.record.symbols.inner)
        order = np.lexsort((np.arange(len(keys)), inner < 0, keys))
        found, first = np.unique(keys[order], return_index=True)
        return found, order[first]

    def _bound_in(self, scopes: Ints, names: Ints) -> Ints:
        """The symbol that a name has in a scope, -1 where it has none."""
        keys, rows = self.first
        if not len(keys):
            return np.full(len(scopes), -1, np.int64)
        wanted = scopes * len(self.record.names) + names
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, rows[at], -1)

    # --- names --------------------------------------------------------------------------------------------

    def _meant(self) -> Ints:
        """The symbol of each mention: a binding's own, and for the rest the one the scopes around it give."""
        meant = np.full(len(self.start), -1, np.int64)
        own = _ints(self.record.symbols.occurrence)
        bound = np.flatnonzero(own >= 0)
        meant[own[bound]] = bound
        waiting = np.flatnonzero((meant < 0) & _LOOKED_UP[self.role])
        scope = self.scope[waiting]
        sees_class = np.ones(len(waiting), np.bool_)
        attribute = self.symbol_kind == KIND["attribute"]
        while len(waiting):
            rows = self._bound_in(scope, self.name[waiting])
            visible = (self.scope_kind[scope] != _CLASS_SCOPE) | sees_class
            hit = (rows >= 0) & visible
            hit[hit] = ~attribute[rows[hit]]
            meant[waiting[hit]] = rows[hit]
            sees_class &= self.scope_kind[scope] == _TYPE_SCOPE
            scope = self.parent[scope]
            left = ~hit & (scope >= 0)
            waiting, scope, sees_class = waiting[left], scope[left], sees_class[left]
        return meant

    def _builtins(self) -> None:
        if self.record.language != "python":
            return
        of_name = np.array([_builtin(name) for name in self.record.names], np.int64)
        unknown = (self.type < 0) & (self.role == ROLE["read"])
        self.type[unknown] = of_name[self.name[unknown]]
        self.modifiers[unknown & (self.type >= 0)] |= MODIFIER["defaultLibrary"]

    def _imports(self) -> None:
        """Parts of module paths; and names that are imported under another one mean what that one does."""
        paths = (self.role == ROLE["import"]) & (self.meant < 0)
        self.type[paths] = TYPE["namespace"]
        imports = self.record.imports
        for bound, name in zip(imports.bound, imports.name_occurrence, strict=True):
            if name >= 0 and bound >= 0:
                self.type[name], self.modifiers[name] = self.symbol_type[bound], self.symbol_modifiers[bound]

    # --- attributes ---------------------------------------------------------------------------------------

    def _attributes(self) -> None:
        waiting = np.flatnonzero(_ATTRIBUTES[self.role] & (self.meant < 0))
        if not len(waiting):
            return
        called = self._called()
        self.type[waiting] = np.where(called[waiting], TYPE["method"], TYPE["property"])
        receiver = self.link[waiting]
        plain = receiver >= 0
        waiting, receiver = waiting[plain], receiver[plain]
        home = self._classes()[np.maximum(self.meant[receiver], 0)]
        home[self.meant[receiver] < 0] = -1
        rows = self._bound_in(home, self.name[waiting])
        own = (home >= 0) & (rows >= 0)
        self.type[waiting[own]] = self.symbol_type[rows[own]]
        self.modifiers[waiting[own]] |= self.symbol_modifiers[rows[own]]
        self._ask(waiting[(home >= 0) & ~own], home[(home >= 0) & ~own], self._inherited)
        waiting, receiver = waiting[home < 0], receiver[home < 0]
        for _ in range(_DOTS):  # of `a.b.c` c is asked for once b is known
            known = (self.type[receiver] >= 0) & _OWNERS[self.type[receiver]]
            owner = np.where(self.meant[receiver] >= 0, self.meant[receiver], -2 - self.name[receiver])
            self._ask(waiting[known], owner[known], self._of_import)
            waiting, receiver = waiting[~known], receiver[~known]

    def _called(self) -> NDArray[np.bool_]:
        """Which mentions are called: as the record says, and where it says nothing of calls, by the bracket behind."""
        called = np.zeros(len(self.start), np.bool_)
        callees = _ints(self.record.calls.callee)
        called[callees[callees >= 0]] = True
        text = None if self.record.language == "python" else self.resolver.snapshot.text(self.path)
        if text is not None and text.digest == self.record.digest:
            ends = np.minimum(self.start + self.width[self.name], len(text) - 1)
            called |= np.frombuffer(text.data, np.uint8)[ends] == ord("(")
        return called

    def _classes(self) -> Ints:
        """For each symbol the class scope whose members its attributes are: a class's own, and that of a method's first
        parameter."""
        found = np.full(max(len(self.symbol_kind), 1), -1, np.int64)
        if not len(self.symbol_kind):
            return found
        inner = _ints(self.record.symbols.inner)
        classes = _CLASS_LIKE[self.symbol_type] & (inner >= 0)
        found[classes] = inner[classes]
        if self.record.language != "python":
            return found
        methods = np.flatnonzero((self.symbol_kind == _METHOD) & (self.flags & STATIC_METHOD == 0) & (inner >= 0))
        parameters = np.flatnonzero(self.symbol_kind == _PARAMETER)
        scopes, first = np.unique(self.symbol_scope[parameters], return_index=True)
        class_of = np.full(len(self.scope_kind), -1, np.int64)
        class_of[inner[methods]] = self.symbol_scope[methods]
        found[parameters[first]] = class_of[scopes]
        return found

    def _ask(self, waiting: Ints, owners: Ints, answer: Any) -> None:
        """Fills in the types of attributes, asking once for each owner and name."""
        known: dict[tuple[int, int], tuple[int, int]] = {}
        for index, owner, name in zip(waiting.tolist(), owners.tolist(), self.name[waiting].tolist(), strict=True):
            key = (owner, name)
            if key not in known:
                if self.asked >= _MEMBERS_ASKED:
                    continue
                self.asked += 1
                known[key] = answer(index, owner, self.record.names[name])
            if known[key][0] >= 0:
                self.type[index] = known[key][0]
                self.modifiers[index] |= known[key][1]

    def _inherited(self, index: int, scope: int, name: str) -> tuple[int, int]:
        """A member that a class of the file does not have itself: a base's in the file, or one in another."""
        if scope not in self.lines:
            self.lines[scope] = self._line(scope)
        own, elsewhere = self.lines[scope]
        keys = np.array(own, np.int64)
        rows = self._bound_in(keys, np.full(len(keys), self.name[index]))
        found = rows[rows >= 0]
        if len(found):
            return int(self.symbol_type[found[0]]), int(self.symbol_modifiers[found[0]])
        return self._of_targets([end for one in elsewhere for end in members_of(self.resolver, one, name)])

    def _line(self, scope: int) -> tuple[list[int], list[Target]]:
        """(the scopes of a class's bases in this file, its bases in others), nearest first."""
        own: dict[int, None] = {}
        elsewhere: dict[Target, None] = {}
        waiting = [scope]
        while waiting:
            for ref in self.record.scopes[waiting.pop(0)].refs:
                for base in named(self.resolver, self.path, ref):
                    inner = [
                        self.record.symbols.inner[row]
                        for row in (self.resolver.symbols_of(base) if isinstance(base, Slot) else ())
                        if isinstance(base, Slot) and base.path == self.path
                    ]
                    fresh = [one for one in inner if one >= 0 and one not in own]
                    own.update(dict.fromkeys(fresh))
                    waiting.extend(fresh)
                    if not inner:
                        elsewhere[base] = None
        return list(own), list(elsewhere)

    def _of_import(self, index: int, _: int, name: str) -> tuple[int, int]:
        owners = named(self.resolver, self.path, int(self.link[index]))
        found = self._of_targets([end for one in owners for end in members_of(self.resolver, one, name)])
        return found if found[0] >= 0 else self._guessed(index, name)

    def _guessed(self, index: int, name: str) -> tuple[int, int]:
        """What a member of a module of which nothing is known probably is, by its spelling and use."""
        guessed = _by_spelling(name, self.record.language)
        if guessed[0] in (TYPE["variable"], TYPE["namespace"]) and self.type[index] == TYPE["method"]:
            return TYPE["function"], 0
        return guessed

    # --- the rest -----------------------------------------------------------------------------------------

    def _keywords_and_decorators(self) -> None:
        self.type[self.role == ROLE["keyword"]] = TYPE["parameter"]
        record = self.record
        for _, decorators in self._decorated():
            for ref in decorators:
                at = value_row(ref)
                if at is not None and record.values[at].kind == "call":
                    ref = record.values[at].first
                if ref >= 0:
                    self.type[ref] = TYPE["decorator"]

    def _bindings(self) -> None:
        """Which mentions declare a name, and which change one."""
        declares = _DECLARING[self.role] & (self.meant >= 0)
        _, rows = self.first
        is_first = np.zeros(len(self.symbol_kind), np.bool_)
        is_first[rows] = True
        own = declares & (self.role != ROLE["definition"])
        first = declares.copy()
        first[own] = is_first[self.meant[own]]
        self.modifiers[first] |= MODIFIER["declaration"]
        writes = _WRITING[self.role] & ~first
        self.modifiers[writes] |= MODIFIER["modification"]


def _ints(column: array[int]) -> Ints:
    return np.frombuffer(column, column.typecode).astype(np.int64) if column else np.zeros(0, np.int64)


def _of_row(record: FileRecord, row: int) -> tuple[int, int]:
    """(type, modifiers) of one symbol of any file."""
    symbol = record.symbols[row]
    modifiers = MODIFIER["readonly"] if symbol.kind == "constant" else 0
    modifiers |= MODIFIER["static"] if symbol.flags & (STATIC_METHOD | CLASS_METHOD) else 0
    modifiers |= MODIFIER["abstract"] if symbol.flags & ABSTRACT else 0
    modifiers |= MODIFIER["async"] if symbol.flags & ASYNC else 0
    if symbol.kind == "import":
        return _by_spelling(symbol.name, record.language)
    if symbol.kind == "class" and symbol.inner is not None:
        return TYPE["enum" if _is_enum(record, symbol.inner) else "class"], modifiers
    in_class = record.scopes.kind[symbol.scope] == _CLASS_SCOPE
    if in_class and symbol.kind in ("variable", "constant") and _is_enum(record, symbol.scope):
        return TYPE["enumMember"], modifiers | MODIFIER["readonly"]
    if in_class and (symbol.kind in ("variable", "constant") or symbol.flags & PROPERTY):
        return TYPE["property"], modifiers
    return TYPE[_OF_KIND[symbol.kind]], modifiers


def _is_enum(record: FileRecord, scope: int) -> bool:
    return any(last_name(record, ref) in _ENUMS for ref in record.scopes[scope].refs)


def _by_spelling(name: str, language: str) -> tuple[int, int]:
    if language == "go":  # a capital letter says that a name is exported, no more
        return TYPE["variable"], 0
    if language == "rust" and name.islower():
        return TYPE["namespace"], 0
    if name.isupper() and len(name) > 1:
        return TYPE["variable"], MODIFIER["readonly"]
    return TYPE["class" if name.lstrip("_")[:1].isupper() else "variable"], 0


@cache
def _builtin(name: str) -> int:
    found = getattr(builtins, name, None)
    if found is None:
        return -1
    return TYPE["class" if isinstance(found, type) else "function" if callable(found) else "variable"]


# --- what is sent ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Splice:
    """In numbers, as the protocol counts them: from `start` on `removed` give way to `added`."""

    start: int
    removed: int
    added: Ints


def difference(old: Ints, new: Ints) -> Splice | None:
    """The one stretch in which two rows of numbers differ, None when they are equal."""
    shorter = min(len(old), len(new))
    unequal = np.flatnonzero(old[:shorter] != new[:shorter])
    if not len(unequal) and len(old) == len(new):
        return None
    start = int(unequal[0]) if len(unequal) else shorter
    unequal = np.flatnonzero(old[len(old) - shorter :][::-1] != new[len(new) - shorter :][::-1])
    same_end = int(unequal[0]) if len(unequal) else shorter
    same_end = min(same_end, shorter - start)
    return Splice(start, len(old) - same_end - start, new[start : len(new) - same_end])


def encoded(lines: Ints, columns: Ints, lengths: Ints, tokens: Tokens) -> Ints:
    """(5 * tokens,) in the protocol's relative form: each line and column counts from the token before."""
    rows = np.empty((len(tokens), 5), np.int64)
    rows[:, 0] = np.diff(lines, prepend=0)
    rows[:, 1] = columns
    same = rows[1:, 0] == 0
    rows[1:, 1][same] = (columns[1:] - columns[:-1])[same]
    rows[:, 2], rows[:, 3], rows[:, 4] = lengths, tokens.type, tokens.modifiers
    return rows.reshape(-1)
