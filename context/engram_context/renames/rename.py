"""Renaming what is named at a place, everywhere in the project, or saying why not.

The unit is a slot: a name in one scope. A rename takes the slots that must read alike (a method's whole override
family, a name and what is imported from it), every mention that is known to mean one of them, and then proves
itself: the edited files are read again, and every mention of the old and of the new name must mean what it meant
before. What is not known to mean the symbol (attributes of objects whose class is not known, strings) becomes an
edit with an annotation that asks for confirmation, never a silent one.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engram_context.edits import Edit, ProjectEdit, Refusal, project_edit
from engram_context.imports import Module
from engram_context.languages import rename as languages
from engram_context.outside.environment import Environment
from engram_context.recent import resolver_of
from engram_context.records import ROLE, FileRecord, Kind
from engram_context.renames import moves
from engram_context.renames.families import Family, Hierarchy, family_of
from engram_context.renames.injected import naming_strings
from engram_context.renames.keyed import is_key, keys
from engram_context.renames.lookups import looked_up
from engram_context.renames.proof import Proof, where
from engram_context.renames.prose import Wanted, quoted
from engram_context.renames.reach import in_reach
from engram_context.renames.unproven import called_as, callee_name, guesses
from engram_context.renames.unseen import unseen
from engram_context.resolve import Resolver
from engram_context.targets import Builtin, External, Slot, Target
from engram_context.text import Place, Span

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

_ATTRIBUTE_ROLES = (ROLE["attribute"], ROLE["attribute-write"])
_IMPORT = ROLE["import"]
_DUNDER = re.compile(r"__\w+__\Z")
_PRIVATE_OF = re.compile(r"_[^\W_]\w*__\w*[^_]_?\Z")
_MANGLED = re.compile(r"__\w*[^_]_?\Z")


@dataclass(frozen=True, slots=True)
class RenameTarget:
    """What would be renamed: the mention's span in the file that was asked about, its name, and its kind."""

    span: Span
    name: str
    kind: Kind


def rename_target(snapshot: Snapshot, place: Place) -> RenameTarget | Refusal:
    """What a rename at a place would rename, or why it cannot."""
    resolver = resolver_of(snapshot)
    record = snapshot.record(place.path)
    if record is not None and record.language != "python":
        other = languages.symbol_at(resolver, place)
        if isinstance(other, Refusal):
            return other
        return RenameTarget(record.occurrences.span(other.index), other.name, other.kind)
    module = module_at(resolver, place)
    if module is not None and record is not None:
        occurrence = record.occurrences[record.occurrence_at(place.offset) or 0]
        return RenameTarget(occurrence.span, occurrence.name, "module")
    found = _Symbol.at(resolver, place)
    if isinstance(found, Refusal):
        return found
    record = snapshot.records[place.path]
    return RenameTarget(record.occurrences.span(found.index), found.name, found.kind)


def rename(
    snapshot: Snapshot, place: Place, new_name: str, environment: Environment | None = None
) -> ProjectEdit | Refusal:
    """The edits that rename the symbol at a place, or why there are none.

    Renaming to the same name is an empty edit. A module's rename moves its file. `environment` shows
    the members of base classes from outside the project; without it only the standard library's are known.
    """
    record = snapshot.record(place.path)
    if record is not None and record.language != "python":
        return languages.rename(snapshot, place, new_name)
    resolver = resolver_of(snapshot)
    module = module_at(resolver, place)
    if module is not None:
        return moves.rename_module(snapshot, module, new_name)
    symbol = _Symbol.at(resolver, place)
    if isinstance(symbol, Refusal):
        return symbol
    if new_name == symbol.name:
        return ProjectEdit({})
    refusal = _unfit_name(symbol, new_name)
    if refusal is not None:
        return refusal
    hierarchy = Hierarchy(resolver, environment or Environment.standard())
    return _Renaming(resolver, symbol, new_name, hierarchy).edits()


# --- what is renamed ----------------------------------------------------------------------------------


def module_at(resolver: Resolver, place: Place) -> Module | None:
    """The project's module that is named at a place by its own name; an alias for one is a name like others."""
    record = resolver.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if record is None or index is None:
        return None
    meanings = resolver.meanings(place.path, index)
    modules = [target for target in meanings if isinstance(target, Module)]
    return modules[0] if len(modules) == 1 == len(meanings) else None


@dataclass(frozen=True, slots=True)
class _Symbol:
    """The slots behind one mention. `is_alias`: the slot of a name imported from outside, which is renamed in
    its own file by importing it `as` something else."""

    path: str
    index: int
    name: str
    slots: tuple[Slot, ...]
    kind: Kind
    is_alias: bool

    @staticmethod
    def at(resolver: Resolver, place: Place) -> _Symbol | Refusal:
        record = resolver.record(place.path)
        if record is None:
            return Refusal(f"{place.path} is not a file of the project that can be read")
        index = record.occurrence_at(place.offset)
        if index is None:
            return Refusal("there is no name here")
        occurrence = record.occurrences[index]
        name = occurrence.name
        meanings = resolver.meanings(place.path, index)
        slots = tuple(target for target in meanings if isinstance(target, Slot))
        others = [target for target in meanings if not isinstance(target, Slot)]
        is_alias = False
        if not meanings:
            if occurrence.role in ("attribute", "attribute-write"):
                return Refusal(f"it is not known what object '{name}' belongs to here")
            if occurrence.role == "keyword":
                return Refusal(f"it is not known which function takes the argument '{name}' here")
            return Refusal(f"it is not known what '{name}' is")
        if unicodedata.normalize("NFKC", name) != name:
            return Refusal(f"Python reads '{name}' as '{unicodedata.normalize('NFKC', name)}', and may find it as that")
        if not slots:
            if not all(isinstance(target, External) for target in others):
                what = "a builtin" if isinstance(others[0], Builtin) else "the name of several modules"
                return Refusal(f"'{name}' is {what}")
            direct = resolver.of_occurrence(place.path, index)
            own = tuple(target for target in direct if isinstance(target, Slot) and target.path == place.path)
            if not own or occurrence.role in ("attribute", "attribute-write", "keyword"):
                return Refusal(f"'{name}' comes from outside the project")
            slots, is_alias = own, True
        elif any(isinstance(target, Builtin) for target in others):
            return Refusal(f"'{name}' is a builtin in some cases and the project's own in others")
        if _DUNDER.match(name):
            return Refusal(f"'{name}' has a meaning to Python itself")
        kind = _kind_of(resolver, slots[0])
        return _Symbol(place.path, index, name, slots, kind, is_alias)


def _kind_of(resolver: Resolver, slot: Slot) -> Kind:
    record = resolver.record(slot.path)
    rows = resolver.symbols_of(slot)
    return "variable" if record is None or not rows else record.symbols[rows[0]].kind


def _unfit_name(symbol: _Symbol, new_name: str) -> Refusal | None:
    if not new_name.isidentifier():
        return Refusal(f"'{new_name}' is not a valid name")
    if keyword.iskeyword(new_name):
        return Refusal(f"'{new_name}' is a keyword")
    if unicodedata.normalize("NFKC", new_name) != new_name:
        return Refusal(f"Python would read '{new_name}' as '{unicodedata.normalize('NFKC', new_name)}'")
    if _DUNDER.match(new_name):
        return Refusal(f"'{new_name}' has a meaning to Python itself")
    if bool(_MANGLED.match(new_name)) != bool(_MANGLED.match(symbol.name)) and symbol.kind in ("method", "attribute"):
        return Refusal("names with two leading underscores are private to a class; renaming to or from one is not safe")
    if _PRIVATE_OF.match(new_name) and symbol.kind in ("method", "attribute"):
        return Refusal(f"Python gives names like '{new_name}' to the private members of classes")
    return None


# --- everything that must change ----------------------------------------------------------------------


@dataclass(slots=True)
class _Renaming:
    """One rename being worked out. `slots` grows to everything that must have the same name."""

    resolver: Resolver
    symbol: _Symbol
    new_name: str
    hierarchy: Hierarchy  # one for all steps: it reads the classes of a file once
    slots: set[Slot] = field(default_factory=set[Slot])
    family: Family = field(default_factory=Family)

    def edits(self) -> ProjectEdit | Refusal:
        self.slots = set(self.symbol.slots)
        refusal = self._close() or self._conflict()
        if refusal is not None:
            return refusal
        mentions = self._mentions()
        certain: dict[str, list[Edit]] = {}
        doubtful: dict[str, list[Edit]] = {}
        for path, indices in mentions.items():
            record = self.resolver.snapshot.records[path]
            for index in indices:
                edit = self._edit(path, record, index)
                if isinstance(edit, Refusal):
                    return edit
                if record.errors:
                    if any(slot.path == path for slot in self.slots):
                        return Refusal(f"{path} has a syntax error; correct it first")
                    edit = Edit(edit.span, edit.new_text, f"{path} has a syntax error, so this may be something else")
                    doubtful.setdefault(path, []).append(edit)
                else:
                    certain.setdefault(path, []).append(edit)
        for path, edit in self._slot_strings():
            certain.setdefault(path, []).append(edit)
        for path, edit in self._of_private():
            certain.setdefault(path, []).append(edit)
        resolver, name = self.resolver, self.symbol.name
        named = (*naming_strings(resolver, self.slots, name), *keys(resolver, self.slots, name))
        for path, span in named:
            certain.setdefault(path, []).append(Edit(span, self.new_name))
        texts = self.resolver.snapshot.texts_as_read({*certain, *doubtful})
        if isinstance(texts, Refusal):
            return texts
        reason = looked_up(self.hierarchy, self.slots, self.family, self.new_name)
        if reason is not None:
            return Refusal(reason)
        refusal = Proof(self.resolver, self.slots, self.symbol.name, self.new_name).check(certain, texts)
        if refusal is not None:
            return refusal
        if not self.symbol.is_alias:
            wanted = Wanted(self.symbol.name, self.new_name, frozenset(self.slots), mentions)
            for path, edit in guesses(self.resolver, wanted):
                doubtful.setdefault(path, []).append(edit)
        doubt = self.family.doubt or unseen(self.hierarchy, self.slots)
        if doubt is not None:
            certain = {path: [Edit(e.span, e.new_text, doubt) for e in edits] for path, edits in certain.items()}
        taken = {(path, edit.span) for path, edits in certain.items() for edit in edits}
        for path, edits in doubtful.items():
            certain.setdefault(path, []).extend(edit for edit in edits if (path, edit.span) not in taken)
        texts = self.resolver.snapshot.texts_as_read(certain)
        return texts if isinstance(texts, Refusal) else project_edit(certain, texts)

    # --- slots ----------------------------------------------------------------------------------------

    def _close(self) -> Refusal | None:
        """Add every slot that must be called the same: override families, and what a mention means besides."""
        if self.symbol.is_alias:
            return self._taken_from_here()
        known: set[Slot] = set()
        while known != self.slots:
            known = set(self.slots)
            self.family = family_of(self.hierarchy, self.slots)
            if self.family.refusal is not None:
                return Refusal(self.family.refusal)
            self.slots |= self.family.slots
            for path, indices in self._mentions().items():
                record = self.resolver.snapshot.records[path]
                for index in indices:
                    meanings = self.resolver.meanings(path, index)
                    self.slots.update(target for target in meanings if isinstance(target, Slot))
                    if record.occurrences.role[index] not in _ATTRIBUTE_ROLES:
                        continue
                    direct = self.resolver.of_occurrence(path, index)
                    outside = next((target for target in direct if isinstance(target, External)), None)
                    if outside is not None:
                        where = self._where(path, record.occurrences.start[index])
                        return Refusal(
                            f"'{self.symbol.name}' may also be {outside.name}, from outside the project ({where})"
                        )
        return None

    def _taken_from_here(self) -> Refusal | None:
        """A name from outside is renamed in one file alone, so no other file may import it from this one."""
        name = self.symbol.name
        for path in self.resolver.snapshot.files_naming(name):
            if path == self.symbol.path:
                continue
            record = self.resolver.snapshot.records[path]
            for index in record.occurrences_of(name):
                if not self.slots.isdisjoint(_steps(self.resolver, path, record, index)):
                    where = self._where(path, record.occurrences.start[index])
                    return Refusal(f"'{name}' comes from outside the project and is used from here by {where}")
        return None

    def _mentions(self) -> dict[str, list[int]]:
        """Occurrences that mean one of the slots, by path."""
        resolver, name = self.resolver, self.symbol.name
        found: dict[str, list[int]] = {}
        for path in (self.symbol.path,) if self.symbol.is_alias else resolver.snapshot.files_naming(name):
            for index in in_reach(resolver, self.slots, path, name):
                if self.symbol.is_alias:
                    targets: Iterable[Target] = resolver.of_occurrence(path, index)
                else:
                    targets = resolver.meanings(path, index)
                if not self.slots.isdisjoint(targets):
                    found.setdefault(path, []).append(index)
        return found

    def _conflict(self) -> Refusal | None:
        """A scope of one of the slots, or a class of their family, that has the new name already."""
        for slot in sorted(self.slots, key=lambda slot: (slot.path, slot.scope)):
            record = self.resolver.snapshot.records[slot.path]
            rows = record.bindings(slot.scope, self.new_name)
            if rows:
                return Refusal(
                    f"'{self.new_name}' is already defined at {self._where(slot.path, record.symbols.start[rows[0]])}"
                )
        for owner in dict.fromkeys(base for one in self.family.classes for base in self.hierarchy.order(one)):
            record = self.resolver.snapshot.records[owner.path]
            rows = record.bindings(owner.scope, self.new_name)
            if rows:
                where = self._where(owner.path, record.symbols.start[rows[0]])
                return Refusal(f"a class of the same family already has '{self.new_name}' ({where})")
        if self.symbol.kind == "class":
            taken = next(self._mangled(self.new_name), None)
            known = [name for slot in self.slots for name in _private(self.resolver, slot)]
            stray = next(
                (n for n in self._mangled(self.symbol.name) if _unmangled(n, self.symbol.name) not in known), None
            )
            if taken is not None or stray is not None:
                return Refusal(f"'{taken or stray}' names a private member by the class's name")
        passed = next(self._passed_already(), None)
        if passed is not None:
            return Refusal(f"'{self.new_name}' is passed as an argument already ({passed})")
        is_field = any(is_key(self.resolver, slot, frozenset({"NamedTuple"})) for slot in self.slots)
        if self.new_name.startswith("_") and not self.symbol.name.startswith("_") and is_field:
            return Refusal("the fields of a named tuple cannot begin with an underscore")
        if self.new_name in self.family.outside_names:
            return Refusal(f"a base class from outside the project already has '{self.new_name}'")
        return None

    def _passed_already(self) -> Iterator[str]:
        """Where a call passes the new name to the function of a parameter: what its `**others` takes."""
        if self.symbol.kind != "parameter":
            return
        called = {name for slot in self.slots for name in called_as(self.resolver, slot)}
        for path in self.resolver.snapshot.files_naming(self.new_name):
            record = self.resolver.snapshot.records[path]
            for index in record.occurrences_of(self.new_name, frozenset({ROLE["keyword"]})):
                if callee_name(record, index) in called and not self.resolver.is_decided(path, index):
                    yield self._where(path, record.occurrences.start[index])

    # --- edits ----------------------------------------------------------------------------------------

    def _edit(self, path: str, record: FileRecord, index: int) -> Edit | Refusal:
        """The edit of one mention. A name that is imported from elsewhere under its own name gets an alias."""
        span = record.occurrences.span(index)
        if record.occurrences.role[index] != _IMPORT:
            return Edit(span, self.new_name)
        imported = record.imports[record.occurrences.link[index]]
        if imported.alias is None:
            sources = {
                origin
                for target in self.resolver.imported(path, imported)
                for origin in self.resolver.origins(target, aliases=False)
            }
            if self.symbol.is_alias or self.slots.isdisjoint(sources):
                if imported.name is None and "." in imported.module:
                    return Refusal(
                        f"'{self.symbol.name}' is part of 'import {imported.module}' ({self._where(path, span.start)})"
                    )
                return Edit(span, f"{self.symbol.name} as {self.new_name}")
        return Edit(span, self.new_name)

    def _slot_strings(self) -> Iterator[tuple[str, Edit]]:
        """The name in `__slots__` and `__match_args__` of the classes whose attribute it is."""
        name = quoted(self.symbol.name)
        for slot in self.slots:
            record = self.resolver.snapshot.records[slot.path]
            if record.scopes[slot.scope].kind != "class":
                continue
            text = self.resolver.snapshot.text(slot.path)
            for listing in ("__slots__", "__match_args__"):
                for row in record.bindings(slot.scope, listing):
                    body = record.symbols[row].body
                    for match in name.finditer(text.data, body.start, body.end) if text is not None else ():
                        if match.start("owner") == match.end("owner"):
                            yield slot.path, Edit(Span(*match.span("name")), self.new_name)

    def _mangled(self, class_name: str) -> Iterator[str]:
        """The names in the project that name private members from outside their class: "_Class__member"."""
        beginning = f"_{class_name.lstrip('_')}__"
        return (name for name in sorted(self.resolver.snapshot.index.names()) if name.startswith(beginning))

    def _of_private(self) -> Iterator[tuple[str, Edit]]:
        """Private members are mangled with their class's name: where they are named from outside, so is it."""
        if self.symbol.kind != "class":
            return
        snapshot = self.resolver.snapshot
        for name in self._mangled(self.symbol.name):
            new = f"_{self.new_name.lstrip('_')}{_unmangled(name, self.symbol.name)}"
            for path in snapshot.files_naming(name):
                record, text = snapshot.records[path], snapshot.text(path)
                for index in record.occurrences_of(name):
                    yield path, Edit(record.occurrences.span(index), new)
                for match in quoted(name).finditer(text.data) if text is not None else ():
                    yield path, Edit(Span(*match.span("name")), new)

    def _where(self, path: str, offset: int) -> str:
        return where(self.resolver.snapshot, path, offset)


# --- small questions ----------------------------------------------------------------------------------


def _unmangled(name: str, class_name: str) -> str:
    """The private name in "_Class__member": "__member"."""
    return name[1 + len(class_name.lstrip("_")) :]


def _private(resolver: Resolver, slot: Slot) -> Iterator[str]:
    """The private names that the class of a slot binds."""
    record = resolver.snapshot.records[slot.path]
    for row in resolver.symbols_of(slot):
        inner = record.symbols.inner[row]
        for member in record.symbols_in(inner) if inner >= 0 else ():
            yield record.names[record.symbols.name[member]]


def _steps(resolver: Resolver, path: str, record: FileRecord, index: int) -> set[Target]:
    """An occurrence's direct targets and, for an imported name, what it is imported from."""
    found: set[Target] = set(resolver.of_occurrence(path, index))
    if record.occurrences.role[index] == _IMPORT:
        found.update(resolver.imported(path, record.imports[record.occurrences.link[index]]))
    return found
