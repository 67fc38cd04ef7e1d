"""The project after one change, and every question that can be asked of it.

A snapshot is a value: `after` makes the next one at a cost that follows the change. Queries are pure and live
in modules of their own; the methods here only name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from engram_context import codec, resolve
from engram_context.completion import candidates
from engram_context.completion.candidates import Candidate
from engram_context.disk.unread import ScannedNames, Unread
from engram_context.edits import ProjectEdit, Refusal
from engram_context.imports import ModuleMap
from engram_context.outside.library import Library, is_outside
from engram_context.records import FileRecord, Symbol
from engram_context.renames import rename
from engram_context.renames.rename import RenameTarget
from engram_context.text import Location, Place, Text
from engram_context.views import hover, symbols
from engram_context.views.hover import HoverText
from engram_context.views.name_table import NameTable
from engram_context.views.symbols import SymbolNode

Read = Callable[[str], Text | None]

_SETTLE_AT = 4096
# Answers that a snapshot keeps.
_REFERRED = 64


@dataclass(frozen=True, eq=False)
class NameIndex:
    """Which files mention a name. `recent` stands before `settled` and is small, so that an edit copies
    little; an empty tuple in it means that no file does any more. `tables` has at most one, of the settled names, once
    somebody needed it."""

    settled: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    recent: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    tables: list[NameTable] = field(default_factory=list[NameTable], repr=False)

    @property
    def is_read(self) -> bool:
        """Whether nothing has to be read any more to look a name up."""
        return True

    def __getitem__(self, name: str) -> tuple[str, ...]:
        """Sorted paths."""
        found = self.recent.get(name)
        return self.settled.get(name, ()) if found is None else found

    def after(
        self,
        gained: Mapping[str, Iterable[str]],
        lost: Mapping[str, Iterable[str]],
        settle_at: int = _SETTLE_AT,
    ) -> NameIndex:
        """The index after files began (`gained`, paths by name) and ceased (`lost`) to mention names."""
        if not gained and not lost:
            return self
        changed: dict[str, tuple[str, ...]] = {}
        for name in {**gained, **lost}:
            paths = set(self[name])
            paths.difference_update(lost.get(name, ()))
            paths.update(gained.get(name, ()))
            changed[name] = tuple(sorted(paths))
        if len(self.recent) + len(changed) < settle_at:
            return NameIndex(self.settled, {**self.recent, **changed}, self.tables)
        settled = {**self.settled, **self.recent, **changed}
        return NameIndex({name: paths for name, paths in settled.items() if paths}, {})

    @staticmethod
    def of(names: Iterable[tuple[str, Iterable[str]]]) -> NameIndex:
        """The index of files (by path, sorted) and their names."""
        found: dict[str, list[str]] = {}
        for path, of_file in names:
            for name in of_file:
                found.setdefault(name, []).append(path)
        return NameIndex({name: tuple(paths) for name, paths in found.items()})

    def names(self) -> set[str]:
        """Every name that some file mentions."""
        found = {*self.settled, *self.recent}
        return found.difference(name for name, paths in self.recent.items() if not paths)

    def beginning(self, letters: str) -> list[str]:
        """The names that begin with the letters, whatever their case, and a few others."""
        return self._with_recent(self._table.beginning(letters))

    def having(self, letters: str) -> list[str]:
        """The names that have all of the letters, in any order and case, and a few others."""
        return self._with_recent(self._table.having(letters))

    @property
    def _table(self) -> NameTable:
        if not self.tables:
            self.tables.append(NameTable(self.settled))
        return self.tables[0]

    def _with_recent(self, settled: list[str]) -> list[str]:
        recent = self.recent
        return [name for name in settled if name not in recent] + [name for name, paths in recent.items() if paths]


class _Difference:
    """Which names files began and ceased to have."""

    def __init__(self) -> None:
        self.gained: dict[str, list[str]] = {}
        self.lost: dict[str, list[str]] = {}

    def add(self, path: str, before: Iterable[str] | None, after: Iterable[str] | None) -> None:
        old, new = set(before or ()), set(after or ())
        for name in new - old:
            self.gained.setdefault(name, []).append(path)
        for name in old - new:
            self.lost.setdefault(name, []).append(path)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All records of a project at one revision.

    Paths are relative to the project's root, with forward slashes. `read` gives the current text of a path
    (an open document's before the disk's); a record may lag behind it, which their digests say.
    """

    revision: int
    records: Mapping[str, FileRecord] = field(repr=False)
    read: Read = field(repr=False)
    modules: ModuleMap = field(repr=False, default_factory=ModuleMap)
    index: NameIndex | ScannedNames = field(repr=False, default_factory=NameIndex)
    definers: NameIndex | ScannedNames = field(repr=False, default_factory=NameIndex)
    library: Library = field(repr=False, default_factory=Library.standard)
    # Answers about this very snapshot: looking through a project takes long, and editors ask twice.
    referred: dict[tuple[Place, bool], tuple[Location, ...]] = field(
        repr=False, init=False, default_factory=dict[tuple[Place, bool], tuple[Location, ...]]
    )

    @staticmethod
    def empty(read: Read, library: Library | None = None) -> Snapshot:
        """Before the first change. `library`: what is outside the project; without one, the standard library."""
        return Snapshot(0, {}, read, library=library or Library.standard())

    def reading(self, unread: Unread) -> Snapshot:
        """The same project with other files, which are read as they are needed. What is asked of it is answered as if
        they all had been."""
        modules = ModuleMap().after(unread.records, ())
        index, definers = ScannedNames(unread, defined=False), ScannedNames(unread, defined=True)
        records = unread.records
        return replace(
            self, revision=self.revision + 1, records=records, modules=modules, index=index, definers=definers
        )

    def indexed(
        self, records: Mapping[str, FileRecord], names: Mapping[str, tuple[Iterable[str], Iterable[str]]]
    ) -> Snapshot:
        """The same project with other files: their records by path, the names that each mentions, and those that it
        defines."""
        paths = sorted(records)
        modules = ModuleMap().after(paths, ())
        index, definers = (NameIndex.of((path, names[path][which]) for path in paths) for which in (0, 1))
        return replace(
            self, revision=self.revision + 1, records=records, modules=modules, index=index, definers=definers
        )

    def after(self, changes: Mapping[str, FileRecord | None]) -> Snapshot:
        """The next revision: each path has the given record, or is gone when that is None."""
        records = dict(self.records)
        for path, record in changes.items():
            if record is None:
                records.pop(path, None)
            else:
                records[path] = record
        added = [path for path in changes if path in records and path not in self.records]
        removed = [path for path in changes if path in self.records and path not in records]
        modules = self.modules.after(added, removed)
        index, definers = self._names_after(changes)
        return replace(
            self, revision=self.revision + 1, records=records, modules=modules, index=index, definers=definers
        )

    def _names_after(
        self, changes: Mapping[str, FileRecord | None]
    ) -> tuple[NameIndex | ScannedNames, NameIndex | ScannedNames]:
        if isinstance(self.index, ScannedNames):
            assert isinstance(self.definers, ScannedNames)
            return self.index.after(changes), self.definers.after(changes)
        assert isinstance(self.definers, NameIndex)
        mentions, definitions = _Difference(), _Difference()
        for path, record in changes.items():
            before = self.records.get(path)
            old, new = (((), ()) if one is None else codec.names_in(one) for one in (before, record))
            mentions.add(path, old[0], new[0])
            definitions.add(path, old[1], new[1])
        return self.index.after(mentions.gained, mentions.lost), self.definers.after(
            definitions.gained, definitions.lost
        )

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(sorted(self.records))

    def record(self, path: str) -> FileRecord | None:
        return self.records.get(path)

    def text(self, path: str) -> Text | None:
        return self.library.text(path) if is_outside(path) else self.read(path)

    def texts_as_read(self, paths: Iterable[str]) -> dict[str, Text] | Refusal:
        """The texts of files, which are those that their records are of; refused where one has moved on meanwhile."""
        texts: dict[str, Text] = {}
        for path in paths:
            text = self.text(path)
            if text is None or text.digest != self.records[path].digest:
                return Refusal(f"{path} has changed and is being read again; try once more in a moment")
            texts[path] = text
        return texts

    def differing_from(self, other: Snapshot) -> set[str]:
        """The files that have another record in two snapshots of a project, or are in one of them alone."""
        here, there = self.records, other.records
        return {path for path in here.keys() | there.keys() if here.get(path) is not there.get(path)}

    def is_same_but_for(self, path: str, other: Snapshot) -> bool:
        """Whether two snapshots of a project differ in one file's record at most."""
        here, there = self.records, other.records
        same = self.read == other.read and here.keys() == there.keys()
        return same and all(here[name] is record for name, record in there.items() if name != path)

    def files_naming(self, name: str, beside: str = "") -> tuple[str, ...]:
        """The files that mention a name anywhere, sorted. Where only those matter whose text has the letters `beside`,
        it may leave out others."""
        if beside and isinstance(self.index, ScannedNames):
            return self.index.beside(name, beside)
        return self.index[name]

    def definitions(self, place: Place) -> tuple[Location, ...]:
        return resolve.definitions(self, place)

    def references(self, place: Place, declaration: bool = True) -> tuple[Location, ...]:
        question = (place, declaration)
        found = self.referred.get(question)
        if found is None:
            found = resolve.references(self, place, declaration)
            if len(self.referred) < _REFERRED:
                self.referred[question] = found
        return found

    def hover(self, place: Place) -> HoverText | None:
        return hover.hover(self, place)

    def document_symbols(self, path: str) -> tuple[SymbolNode, ...]:
        return symbols.document_symbols(self, path)

    def workspace_symbols(self, query: str, limit: int = 100) -> tuple[tuple[str, Symbol], ...]:
        return symbols.workspace_symbols(self, query, limit)

    def candidates(self, place: Place) -> tuple[Candidate, ...]:
        return candidates.candidates(self, place)

    def import_path(self, name: str) -> tuple[str, ...]:
        return candidates.import_path(self, name)

    def rename_target(self, place: Place) -> RenameTarget | Refusal:
        return rename.rename_target(self, place)

    def rename(self, place: Place, new_name: str) -> ProjectEdit | Refusal:
        return rename.rename(self, place, new_name)
