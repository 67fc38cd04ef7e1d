"""The project after one change, and every question that can be asked of it.

A snapshot is a value: `after` makes the next one at a cost that follows the change. Queries are pure and live
in modules of their own; the methods here only name them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engram_context.records import FileRecord
from engram_context.text import Text

Read = Callable[[str], Text | None]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All records of a project at one revision.

    Paths are relative to the project's root, with forward slashes. `read` gives the current text of a path
    (an open document's before the disk's); a record may lag behind it, which their digests say.
    """

    revision: int
    records: Mapping[str, FileRecord]
    read: Read = field(repr=False)

    @staticmethod
    def empty(read: Read) -> Snapshot:
        return Snapshot(0, {}, read)

    def after(self, changes: Mapping[str, FileRecord | None]) -> Snapshot:
        """The next revision: each path has the given record, or is gone when that is None."""
        records = dict(self.records)
        for path, record in changes.items():
            if record is None:
                records.pop(path, None)
            else:
                records[path] = record
        return Snapshot(self.revision + 1, records, self.read)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(sorted(self.records))

    def record(self, path: str) -> FileRecord | None:
        return self.records.get(path)

    def text(self, path: str) -> Text | None:
        return self.read(path)

    # Being written: definitions(place), references(place, declaration=True), hover(place),
    # document_symbols(path), workspace_symbols(query, limit), candidates(place), import_path(name).
