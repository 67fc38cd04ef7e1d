"""One workspace folder in a session: the project that holds it, what watches it, and how far it has been read."""

import asyncio
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram_context.disk.casing import Casing, ignores_case
from engram_context.disk.watcher import Watcher
from engram_context.languages import language_of
from engram_context.outside.environment import Environment
from engram_context.outside.library import Library
from engram_context.project import Change, Project
from engram_context.reader import parse, read_record
from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Text

if TYPE_CHECKING:
    from engram_context.checks.checked import Checked

log = logging.getLogger(__name__)


class Loose:
    """Holds open documents that lie in no folder that can be read, by the methods of a `Project`. Nothing on disk is
    read for it: it knows exactly those documents, and its answers are local."""

    def __init__(self, root: Path, interpreter: Path | None) -> None:
        self._texts: dict[str, Text] = {}
        self.environment = Environment.discover(root, interpreter)
        self.snapshot = Snapshot.empty(self._texts.get, Library(self.environment))

    @cached_property
    def checked(self) -> "Checked":
        from engram_context.checks.checked import Checked

        return Checked(self.environment)

    @property
    def behind(self) -> frozenset[str]:
        texts = dict(self._texts)  # a worker asks while documents come and go
        held = {path for path, text in texts.items() if not _is_of(self.snapshot.record(path), text)}
        return frozenset(held | (self.snapshot.records.keys() - texts.keys()))

    def edit(self, path: str, text: Text) -> None:
        self._texts[path] = text

    def close(self, path: str) -> None:
        self._texts.pop(path, None)

    def refresh(self) -> Change:
        records: dict[str, FileRecord | None] = {}
        for path in self.behind:
            text = self._texts.get(path)
            records[path] = None if text is None else read_record(text, language_of(path) or "python")
        return Change(0, records)

    def apply(self, change: Change) -> frozenset[str]:
        self.snapshot = self.snapshot.after(change.records)
        return frozenset(change.records)

    @property
    def documents(self) -> frozenset[str]:
        return frozenset(self._texts)

    def tree(self, path: str, text: Text):
        return parse(text, language_of(path) or "python")


def is_read(path: str) -> bool:
    """Whether a file of this name is read into the project."""
    return language_of(path) is not None


def _is_of(record: FileRecord | None, text: Text) -> bool:
    return record is not None and record.digest == text.digest


@dataclass(slots=True, eq=False)
class Folder:
    """Owned by the event loop."""

    root: Path
    holder: Project | Loose
    real_root: Path
    casing: Casing | None = None  # where the file system does not tell upper from lower case
    watcher: Watcher | None = None
    watching: "asyncio.Task[None] | None" = None
    # Whether it is known which files there are: from then on questions are answered, whatever has been read.
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    loading: "asyncio.Task[None] | None" = None
    refreshing: "asyncio.Task[None] | None" = None
    # Files that the last load had to read; the others it knew from the store.
    read: int = 0
    # How many of how many files the load that is going on has read.
    progress: tuple[int, int] = (0, 0)
    problem: str = ""

    @staticmethod
    def of(root: Path, holder: Project | Loose, problem: str = "") -> "Folder":
        casing = Casing(root) if ignores_case(root) else None
        folder = Folder(root, holder, Path(os.path.realpath(root)), casing, problem=problem)
        if folder.project is None:
            folder.listed.set()
        return folder

    @property
    def project(self) -> Project | None:
        """None where only open documents are known."""
        return self.holder if isinstance(self.holder, Project) else None

    @property
    def snapshot(self) -> Snapshot:
        return self.holder.snapshot

    @property
    def name(self) -> str:
        return self.root.name or str(self.root)

    @property
    def loaded(self) -> bool:
        return self.loading is None or self.loading.done()

    async def settled(self) -> None:
        """Waits for the reading that is going on, however it ends."""
        if self.loading is not None:
            await asyncio.wait([self.loading])

    def leave(self) -> None:
        """Stops watching and saves. Slow; any thread."""
        if self.watcher is not None:
            self.watcher.stop()
        if self.project is not None:
            self.project.close_project()

    def path_of(self, file: Path) -> str | None:
        """The project path of a file, None when it lies elsewhere. A client may resolve links in the names of files
        that it left in the folder's (eglot does)."""
        for root in (self.root, self.real_root):
            if file.is_relative_to(root):
                path = file.relative_to(root).as_posix()
                return path if self.casing is None else self.casing.true(path)
        return None

    def files_of(self, path: str) -> tuple[Path, Path]:
        """A file's name as the client would say it, and with the folder's links resolved."""
        return self.root / path, self.real_root / path

    def paths_of(self, files: Iterable[Path]) -> frozenset[str]:
        return frozenset(path for file in files if (path := self.path_of(file)) is not None)

    def status(self) -> dict[str, Any]:
        """What is known of it, for people."""
        records = self.snapshot.records
        shown: dict[str, Any] = {"root": str(self.root), "loaded": self.loaded}
        if self.problem:
            shown["problem"] = self.problem
        if self.project is None:
            return shown | {"files": len(records), "lines": 0, "tokens": 0, "memoryBytes": 0, "fromStore": 0}
        counts = self.project.counts()
        return shown | {
            "files": counts.files,
            "lines": counts.lines,
            "tokens": counts.tokens,
            "memoryBytes": counts.bytes,
            "fromStore": max(0, counts.files - self.read),
            "watching": "no" if self.watcher is None else "polling" if self.watcher.polling else "events",
        }
