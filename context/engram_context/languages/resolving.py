"""What a mention means in the languages that have no reader of their own: names by their scopes, names of other
files by the language's import system, members by what is declared of the object.

Members are looked up in one step or a few: an annotation, a constructor, a declared result, the class that a method
stands in. What takes more is not known, and nothing is claimed then.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from engram_context.imports import Module
from engram_context.languages import language_named
from engram_context.languages.language import Language
from engram_context.records import (
    EXPORT_ONLY,
    KIND,
    NO_REF,
    ROLE,
    SCOPE_KIND,
    VALUE_KIND,
    FileRecord,
    Import,
    value_row,
)
from engram_context.targets import Slot, Target
from engram_context.text import Text

if TYPE_CHECKING:
    from engram_context.resolve import Resolver
    from engram_context.snapshot import Snapshot

_DEPTH = 12
"""How many steps an inference may take."""

_FOLDERS: WeakKeyDictionary[Snapshot, dict[str, tuple[str, ...]]] = WeakKeyDictionary()

Holder = Slot | Module
"""What can have members: a class (or interface, namespace, ...) or a module."""


class Names:
    """Answers about the files of one snapshot that are not Python's. Part of a `Resolver`."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.snapshot: Snapshot = resolver.snapshot
        self.kept: dict[Any, Any] = {}
        """What languages find out about the snapshot and want to keep, by keys of their own."""
        self._depth = self._imports = 0
        self._held: dict[tuple[str, int], tuple[Holder, ...]] = {}

    # --- small questions ------------------------------------------------------------------------------

    def record(self, path: str) -> FileRecord:
        return self.snapshot.records[path]

    def language(self, path: str) -> Language | None:
        return language_named(self.record(path).language)

    def text(self, path: str) -> Text | None:
        """A file that says how the project is built."""
        key = ("text", path)
        if key not in self.kept:
            self.kept[key] = self.snapshot.text(path)
        return self.kept[key]

    def bound(self, path: str, name: str) -> dict[int, tuple[int, ...]]:
        """The symbols that bind a name, by scope."""
        found = self.resolver.names(path, name)
        return {} if found is None else found.symbols

    def files_in(self, folder: str) -> tuple[str, ...]:
        """The files directly in a folder, sorted."""
        found = _FOLDERS.get(self.snapshot)
        if found is None:
            folders: dict[str, list[str]] = {}
            for path in sorted(self.snapshot.records):
                folders.setdefault(path.rpartition("/")[0], []).append(path)
            found = _FOLDERS[self.snapshot] = {folder: tuple(paths) for folder, paths in folders.items()}
        return found.get(folder, ())

    def files_named(self, name: str) -> tuple[str, ...]:
        """The files whose path ends in a name."""
        if "named" not in self.kept:
            found: dict[str, list[str]] = {}
            for path in self.snapshot.records:
                found.setdefault(path.rpartition("/")[2], []).append(path)
            self.kept["named"] = found
        return tuple(sorted(self.kept["named"].get(name, ())))

    def defining(self, name: str) -> tuple[str, ...]:
        """The files that define a name somewhere, in any language."""
        return self.snapshot.definers[name]

    # --- occurrences ----------------------------------------------------------------------------------

    def of_occurrence(self, path: str, index: int) -> tuple[Target, ...]:
        """What an occurrence means, one step: an imported name means the slot it is imported into."""
        record, here = self.record(path), self.language(path)
        if here is None:
            return ()
        occurrences = record.occurrences
        name, role = record.names[occurrences.name[index]], occurrences.role[index]
        start = occurrences.start[index]
        slots = tuple(self._defined_at(path, record, name, start))
        if role == _IMPORTED:
            return slots or self._of_import(path, record, index)
        if slots:
            return tuple(dict.fromkeys(peer for slot in slots for peer in here.peers(self, slot)))
        if role in _MEMBERS:
            holders = self.holders(path, occurrences.link[index])
            found = tuple(dict.fromkeys(target for holder in holders for target in self.member(holder, name, path)))
            if here.methods_apart and len(found) > 1:
                found = self._of_kind(found, self._is_called(path, index)) or found
            if found or not here.keys_may_be_names or not self._is_key(record, index):
                return found
            role = _READ
        if role == _DEFINITION:
            return ()
        found = self.of_name(path, occurrences.scope[index], name, start, role)
        if not found and role == _TYPE and here.loose_names:
            # Behind a macro that the grammar takes for a type, variables look like types.
            found = self.of_name(path, occurrences.scope[index], name, start, _READ)
        return found

    def _defined_at(self, path: str, record: FileRecord, name: str, start: int) -> Iterator[Slot]:
        starts = record.symbols.start
        row = bisect_left(starts, start)
        while row < len(starts) and starts[row] == start:
            yield Slot(path, record.symbols.scope[row], name)
            row += 1

    def of_name(self, path: str, scope: int, name: str, start: int, role: int) -> tuple[Target, ...]:
        """What a plain name at an offset means."""
        record, here = self.record(path), self.language(path)
        if here is None:
            return ()
        if name in here.receivers and not self.bound(path, name):
            around = tuple(holder for holder in self.around(path, scope) if isinstance(holder, Slot))
            return around or here.beyond(self, path, name, ROLE_NAMES[role], scope)
        bound = self.bound(path, name)
        at = scope
        while at >= 0:
            rows = bound.get(at)
            kind = record.scopes.kind[at]
            if here.methods_apart and kind == _CLASS and role == _CALL and bound.get(at + 1):
                return here.peers(self, Slot(path, at + 1, name))
            if rows and any(self._sees(record, here, row, start, role) for row in rows):
                return here.peers(self, Slot(path, at, name))
            found: tuple[Target, ...] = ()
            if rows is None and kind == _CLASS and here.members_in_scope:
                found = self._inherited(path, at, name, role)
            elif rows is None and kind == _NAMESPACE:
                found = here.through(self, path, at, name)
            if found:
                return found
            if here.namespaces_closed and kind == _NAMESPACE:
                break
            at = record.scopes.parent[at]
        return here.beyond(self, path, name, ROLE_NAMES[role], scope)

    def _sees(self, record: FileRecord, here: Language, row: int, start: int, role: int) -> bool:
        symbols = record.symbols
        if symbols.flags[row] & EXPORT_ONLY:
            return False
        kind, scope_kind = symbols.kind[row], record.scopes.kind[symbols.scope[row]]
        if scope_kind == _CLASS and not here.members_in_scope and kind != _TYPE_PARAMETER:
            return record.scopes.symbol[symbols.scope[row]] == row  # the name of a class expression, inside it
        if role == _CALL:
            return kind in _CALLED or kind == _IMPORT
        if here.types_apart and role == _TYPE and kind not in _AS_TYPES:
            return False
        if here.types_apart and role != _TYPE and kind in _ONLY_TYPES and not here.types_as_values:
            return False
        if here.seen_from == "everywhere" or scope_kind not in _LOCAL or kind in _TYPES_OR_FUNCTIONS:
            return True
        return symbols.start[row] <= start and (here.seen_from == "name" or symbols.body_end[row] <= start)

    def in_file(self, path: str, scope: int, name: str) -> tuple[Target, ...]:
        """What a name means that is not written where it is asked about, by the end of its scope."""
        end = self.record(path).scopes.end[scope]
        return self.of_name(path, scope, name, end, _TYPE) or self.of_name(path, scope, name, end, _READ)

    def _of_import(self, path: str, record: FileRecord, index: int) -> tuple[Target, ...]:
        row = record.occurrences.link[index]
        if row < 0:
            return ()
        imported = record.imports[row]
        if imported.name_occurrence == index:
            return self.imported(path, imported)
        here = self.language(path)
        return () if here is None else here.of_path(self, path, imported, index)

    def imported(self, path: str, imported: Import) -> tuple[Target, ...]:
        """What one imported name is, where it comes from."""
        here = self.language(path)
        if here is None or self._imports > _DEPTH:
            return ()  # imports that lead in circles
        self._imports += 1
        try:
            return here.imported(self, path, imported)
        finally:
            self._imports -= 1

    def _is_called(self, path: str, index: int) -> bool:
        key = ("called", path)
        if key not in self.kept:
            values = self.record(path).values
            self.kept[key] = frozenset(
                first for kind, first in zip(values.kind, values.first, strict=True) if kind == _CALL_VALUE
            )
        return index in self.kept[key]

    def is_method(self, target: Target) -> bool:
        if not isinstance(target, Slot):
            return False
        kind = self.record(target.path).symbols.kind
        return any(kind[row] == _METHOD for row in self._rows(target.path, target.scope, target.name))

    def _of_kind(self, targets: Iterable[Target], methods: bool) -> tuple[Target, ...]:
        return tuple(target for target in targets if self.is_method(target) == methods)

    def _is_key(self, record: FileRecord, index: int) -> bool:
        """Whether a member is named by itself, as the key of a literal."""
        link = record.occurrences.link[index]
        return link == NO_REF or (value_row(link) is None and record.occurrences.role[link] == _TYPE)

    # --- members --------------------------------------------------------------------------------------

    def member(self, holder: Holder, name: str, importer: str) -> tuple[Target, ...]:
        """The member `name` of a class, a namespace or a module."""
        if isinstance(holder, Module):
            here = self.language(holder.path) if holder.path in self.snapshot.records else None
            return () if here is None else here.in_module(self, holder.path, name, importer)
        for scopes in self.lineage(holder):
            found = [
                Slot(path, scope, name)
                for path, scope in scopes
                if any(self.record(path).symbols.kind[row] != _TYPE_PARAMETER for row in self._rows(path, scope, name))
            ]
            if found:
                here = self.language(found[0].path)
                assert here is not None
                return tuple(dict.fromkeys(peer for slot in found for peer in here.peers(self, slot)))
            for path, scope in scopes:
                here = self.language(path)
                starred = () if here is None else here.through(self, path, scope, name)
                if starred:
                    return starred
        here = self.language(holder.path)
        # A constructor is called as its class is.
        return (holder,) if here is not None and here.members_in_scope and name == holder.name else ()

    def _rows(self, path: str, scope: int, name: str) -> tuple[int, ...]:
        return self.bound(path, name).get(scope, ())

    def members(self, holder: Holder, importer: str) -> dict[str, Target]:
        """All members, the nearest of each name."""
        found: dict[str, Target] = {}
        if isinstance(holder, Module):
            here = self.language(holder.path) if holder.path in self.snapshot.records else None
            for name in () if here is None else here.module_names(self, holder.path):
                for target in self.member(holder, name, importer)[:1]:
                    found[name] = target
            return found
        for scopes in self.lineage(holder):
            for path, scope in scopes:
                record = self.record(path)
                for row in record.symbols_in(scope):
                    if record.symbols.kind[row] != _TYPE_PARAMETER:
                        name = record.names[record.symbols.name[row]]
                        found.setdefault(name, Slot(path, scope, name))
        return found

    def lineage(self, holder: Slot) -> Iterator[list[tuple[str, int]]]:
        """The scopes with a class's own members, then those of what it extends, breadth first."""
        seen: set[Slot] = set()
        waiting: list[Slot] = [holder]
        while waiting:
            at = waiting.pop(0)
            if at in seen or len(seen) > 500:
                continue
            seen.add(at)
            scopes = list(self.scopes_of(at))
            yield scopes
            for path, scope in scopes:
                waiting += self.bases(path, scope)

    def bases(self, path: str, scope: int) -> list[Slot]:
        """What the class that a scope belongs to extends or implements."""
        found: dict[Slot, None] = {}
        for ref in self.record(path).scopes[scope].refs:
            found.update(dict.fromkeys(base for base in self.holders(path, ref) if isinstance(base, Slot)))
        return list(found)

    def scopes_of(self, slot: Slot) -> Iterator[tuple[str, int]]:
        """(file, scope) wherever members of a class stand."""
        record, here = self.record(slot.path), self.language(slot.path)
        for row in self._rows(slot.path, slot.scope, slot.name):
            inner = record.symbols.inner[row]
            if inner < 0:
                continue
            kind = record.scopes.kind[inner]
            if kind in (_CLASS, _NAMESPACE):
                yield slot.path, inner
                if here is not None and here.methods_apart and kind == _CLASS:
                    yield slot.path, inner + 1
            elif kind == _BLOCK:
                yield slot.path, inner  # what an alias extends is said of its own scope
                for child, parent in enumerate(record.scopes.parent):
                    if parent == inner and record.scopes.kind[child] == _CLASS:
                        yield slot.path, child
        if here is not None:
            yield from here.scopes_of(self, slot)

    def _classes_around(self, record: FileRecord, scope: int) -> Iterator[int]:
        while scope > 0:
            if record.scopes.kind[scope] == _CLASS:
                yield scope
            scope = record.scopes.parent[scope]

    def around(self, path: str, scope: int) -> tuple[Holder, ...]:
        """The class whose method a scope is in."""
        for at in self._classes_around(self.record(path), scope):
            return self.owner(path, at)
        return ()

    def owner(self, path: str, scope: int) -> tuple[Holder, ...]:
        """The class whose members a scope has."""
        record = self.record(path)
        symbol = record.scopes.symbol[scope]
        if symbol >= 0:
            name = record.names[record.symbols.name[symbol]]
            return (Slot(path, record.symbols.scope[symbol], name),)
        refs = record.scopes[scope].refs
        parent = record.scopes.parent[scope]
        if not refs and scope > 0 and record.scopes.start[scope] == record.scopes.end[scope]:
            return self.owner(path, parent)  # the scope of a class's methods
        if parent > 0 and record.scopes.kind[parent] == _BLOCK and record.scopes.symbol[parent] >= 0:
            return self.owner(path, parent)  # one of the object types that an alias stands for
        return self.holders(path, refs[0]) if refs else ()

    def _inherited(self, path: str, scope: int, name: str, role: int) -> tuple[Target, ...]:
        """A member of the class around, by its plain name, that is written elsewhere."""
        if self._depth > _DEPTH:
            return ()
        self._depth += 1
        try:
            found = [
                target
                for holder in self.owner(path, scope)
                if isinstance(holder, Slot)
                for target in self.member(holder, name, path)
            ]
        finally:
            self._depth -= 1
        here = self.language(path)
        if here is not None and here.methods_apart:
            found = self._of_kind(found, role == _CALL)
        return tuple(dict.fromkeys(found))

    # --- what an expression is ------------------------------------------------------------------------

    def holding(self, targets: Iterable[Target]) -> tuple[Holder, ...]:
        """What has the members that are asked of things."""
        ends = (end for target in targets for end in self.resolver.origins(target))
        return tuple(dict.fromkeys(holder for end in ends for holder in self._held_by(end)))

    def holders(self, path: str, ref: int) -> tuple[Holder, ...]:
        """What has the members that are asked of an expression: its class, or the class or module that it is."""
        if ref == NO_REF or self._depth > _DEPTH:
            return ()
        key = (path, ref)
        known = self._held.get(key)
        if known is not None:
            return known
        self._held[key] = ()  # what an expression that depends on itself sees
        self._depth += 1
        try:
            found = tuple(dict.fromkeys(self._holders(path, ref)))
        finally:
            self._depth -= 1
        if self._depth == 0 or found:
            self._held[key] = found
        else:
            del self._held[key]  # with fewer steps behind it there may be an answer
        return found

    def _holders(self, path: str, ref: int) -> Iterator[Holder]:
        record = self.record(path)
        row = value_row(ref)
        if row is None:
            for target in self.resolver.meanings(path, ref, aliases=True):
                yield from self._held_by(target)
            return
        if row >= len(record.values):
            return
        value = record.values[row]
        if value.kind == "instance":
            yield from self.holders(path, value.first)
        elif value.kind == "call" and value_row(value.first) is None and value.first != NO_REF:
            for target in self.resolver.meanings(path, value.first, aliases=True):
                if isinstance(target, Slot):
                    yield from self._returned(target)

    def _held_by(self, target: Target) -> Iterator[Holder]:
        if isinstance(target, Module):
            yield target
        if not isinstance(target, Slot) or target.path not in self.snapshot.records:
            return
        record = self.record(target.path)
        for row in self._rows(target.path, target.scope, target.name):
            kind = record.symbols.kind[row]
            if kind in _HOLDING:
                yield target
                here = self.language(target.path)
                if kind == _ALIAS and here is not None and here.aliases_hold:
                    yield from self.holders(target.path, record.symbols.annotation[row])
            elif kind in _VARIABLES:
                declared = self.holders(target.path, record.symbols.annotation[row])
                yield from declared or self.holders(target.path, record.symbols.value[row])

    def _returned(self, target: Slot) -> Iterator[Holder]:
        """What a call of something gives."""
        record = self.record(target.path)
        for row in self._rows(target.path, target.scope, target.name):
            kind = record.symbols.kind[row]
            if kind in _CALLED:
                yield from self.holders(target.path, record.symbols.annotation[row])
            elif kind in _HOLDING:
                yield target


def is_shared(record: FileRecord, scope: int) -> bool:
    """Whether other files, or members of objects, can name what a scope binds."""
    return record.language != "python" and record.scopes.kind[scope] not in _LOCAL


def kinds_of(names: Names, slots: Iterable[Slot]) -> set[str]:
    return {
        names.record(slot.path).symbols[row].kind
        for slot in slots
        for row in names.bound(slot.path, slot.name).get(slot.scope, ())
    }


_CLASS, _NAMESPACE, _BLOCK = SCOPE_KIND["class"], SCOPE_KIND["namespace"], SCOPE_KIND["block"]
_LOCAL: Final = (SCOPE_KIND["function"], SCOPE_KIND["block"], SCOPE_KIND["lambda"])
_CALL_VALUE = VALUE_KIND["call"]
_IMPORTED, _DEFINITION = ROLE["import"], ROLE["definition"]
_READ, _TYPE, _CALL = ROLE["read"], ROLE["type"], ROLE["call"]
_MEMBERS = (ROLE["attribute"], ROLE["attribute-write"])
ROLE_NAMES: Final = {code: role for role, code in ROLE.items()}
_IMPORT = KIND["import"]
_TYPE_PARAMETER, _METHOD, _ALIAS = KIND["type-parameter"], KIND["method"], KIND["type-alias"]
_ONLY_TYPES = frozenset((KIND["interface"], KIND["type-alias"], KIND["type-parameter"]))
_AS_TYPES = frozenset(
    KIND[kind]
    for kind in (
        "class",
        "interface",
        "enum",
        "struct",
        "type-alias",
        "type-parameter",
        "import",
        "namespace",
        "module",
    )
)
_HOLDING = frozenset(KIND[kind] for kind in ("class", "interface", "enum", "struct", "namespace", "type-alias"))
_VARIABLES = frozenset(KIND[kind] for kind in ("variable", "constant", "parameter", "attribute"))
_CALLED = frozenset((KIND["function"], KIND["method"]))
_TYPES_OR_FUNCTIONS = _HOLDING | _CALLED
