"""The project after one change, and every question that can be asked of it.

A snapshot is a value: `after` makes the next one at a cost that follows the change. Queries are pure and live
in modules of their own; the methods here only name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from engram_context import resolve
from engram_context.imports import ModuleMap
from engram_context.records import FileRecord
from engram_context.text import Location, Place, Text

Read = Callable[[str], Text | None]

_COMPACT_AT = 4096


@dataclass(frozen=True, eq=False)
class NameIndex:
    """Which files mention a name. `recent` stands before `settled` and is small, so that an edit copies
    little; an empty tuple in it means that no file does any more."""

    settled: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    recent: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def __getitem__(self, name: str) -> tuple[str, ...]:
        """Sorted paths."""
        found = self.recent.get(name)
        return self.settled.get(name, ()) if found is None else found

    def after(self, gained: Mapping[str, Iterable[str]], lost: Mapping[str, Iterable[str]]) -> NameIndex:
        """The index after files began (`gained`, paths by name) and ceased (`lost`) to mention names."""
        if not gained and not lost:
            return self
        changed: dict[str, tuple[str, ...]] = {}
        for name in {**gained, **lost}:
            paths = set(self[name])
            paths.difference_update(lost.get(name, ()))
            paths.update(gained.get(name, ()))
            changed[name] = tuple(sorted(paths))
        if len(self.recent) + len(changed) < _COMPACT_AT:
            return NameIndex(self.settled, {**self.recent, **changed})
        settled = {**self.settled, **self.recent, **changed}
        return NameIndex({name: paths for name, paths in settled.items() if paths}, {})

    def names(self) -> set[str]:
        """Every name that some file mentions."""
        found = {*self.settled, *self.recent}
        return found.difference(name for name, paths in self.recent.items() if not paths)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All records of a project at one revision.

    Paths are relative to the project's root, with forward slashes. `read` gives the current text of a path
    (an open document's before the disk's); a record may lag behind it, which their digests say.
    """

    revision: int
    records: Mapping[str, FileRecord]
    read: Read = field(repr=False)
    modules: ModuleMap = field(repr=False, default_factory=ModuleMap)
    index: NameIndex = field(repr=False, default_factory=NameIndex)

    @staticmethod
    def empty(read: Read) -> Snapshot:
        return Snapshot(0, {}, read)

    def after(self, changes: Mapping[str, FileRecord | None]) -> Snapshot:
        """The next revision: each path has the given record, or is gone when that is None."""
        records = dict(self.records)
        gained: dict[str, list[str]] = {}
        lost: dict[str, list[str]] = {}
        for path, record in changes.items():
            before = records.pop(path, None)
            if record is not None:
                records[path] = record
            old = set(before.names) if before is not None else set[str]()
            new = set(record.names) if record is not None else set[str]()
            for name in new - old:
                gained.setdefault(name, []).append(path)
            for name in old - new:
                lost.setdefault(name, []).append(path)
        added = [path for path in changes if path in records and path not in self.records]
        removed = [path for path in changes if path in self.records and path not in records]
        modules = self.modules.after(added, removed)
        return Snapshot(self.revision + 1, records, self.read, modules, self.index.after(gained, lost))

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(sorted(self.records))

    def record(self, path: str) -> FileRecord | None:
        return self.records.get(path)

    def text(self, path: str) -> Text | None:
        return self.read(path)

    def files_naming(self, name: str) -> tuple[str, ...]:
        """The files that mention a name anywhere, sorted."""
        return self.index[name]

    def definitions(self, place: Place) -> tuple[Location, ...]:
        return resolve.definitions(self, place)

    def references(self, place: Place, declaration: bool = True) -> tuple[Location, ...]:
        return resolve.references(self, place, declaration)
