"""What was read of a project, on disk: the next start reads only what changed since.

One SQLite file for each project folder. It is a cache and nothing else: whatever is wrong with it (damage, another
version's content, a full disk) costs one log line and the time to read the project again. Two servers on one folder
write the same things and wait for each other briefly.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from engram_context.ignore import FileState

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL,
    record BLOB NOT NULL, tokens BLOB NOT NULL, reason TEXT NOT NULL
);
"""
_SCHEMA_VERSION = "1"
# What SQLite raises for a damaged file: some of its messages quote the damage, and are no text then.
_DAMAGE = (sqlite3.Error, UnicodeDecodeError, TypeError)
_OUTSIDE = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_SUFFIXES = ("", "-wal", "-shm", "-journal")

log = logging.getLogger(__name__)


def default_cache_folder() -> Path:
    """Where stores lie unless a setting says otherwise."""
    return user_cache_path("engram-ls", appauthor=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file as it was read. An unreadable file has a `reason` and nothing else."""

    mtime_ns: int
    size: int
    digest: bytes
    record: bytes
    tokens: bytes  # little-endian uint16 or uint32, by the vocabulary
    reason: str = ""


class Store:
    """The entries of one project on disk. All methods may be called from any thread, and none raises for a bad disk."""

    def __init__(self, folder: Path, root: Path, fingerprint: str) -> None:
        """`fingerprint` names everything the entries depend on besides the files: reader, tokenizer."""
        name = hashlib.blake2b(str(root).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        self.path = folder / f"{name}.sqlite"
        self._root = root
        self._fingerprint = f"{_SCHEMA_VERSION}:{fingerprint}"
        self._lock = threading.Lock()
        self._connection = self._open()

    @property
    def usable(self) -> bool:
        return self._connection is not None

    def load(self) -> dict[str, Entry]:
        """All entries by path."""
        with self._lock:
            if self._connection is None:
                return {}
            try:
                rows = self._connection.execute(
                    "SELECT path, mtime_ns, size, digest, record, tokens, reason FROM files"
                ).fetchall()
                return {row[0]: Entry(*row[1:]) for row in rows}
            except _DAMAGE as problem:
                self._start_over(problem)
                return {}

    def write(self, changes: Mapping[str, Entry | FileState | None]) -> None:
        """Put entries in, take those with None out; a bare state is news of a file whose content is as before.

        All or nothing.
        """
        if not changes:
            return
        with self._lock:
            if self._connection is None:
                return
            try:
                with self._connection:
                    self._connection.executemany(
                        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", _rows(changes)
                    )
                    self._connection.executemany(
                        "UPDATE files SET mtime_ns = ?, size = ? WHERE path = ?",
                        ((s.mtime_ns, s.size, p) for p, s in changes.items() if isinstance(s, FileState)),
                    )
                    self._connection.executemany(
                        "DELETE FROM files WHERE path = ?", ((p,) for p, entry in changes.items() if entry is None)
                    )
            except _DAMAGE as problem:
                if _is_outside(problem):  # what is there stays good
                    log.warning("the cache %s cannot be written (%s); going on without it", self.path, problem)
                    self._close()
                else:
                    self._start_over(problem)

    def close(self) -> None:
        with self._lock:
            self._close()

    def _open(self) -> sqlite3.Connection | None:
        for attempt in (1, 2):
            try:
                return self._connect()
            except _DAMAGE as problem:
                if _is_outside(problem) or attempt == 2 or not self._delete():
                    log.warning("no cache at %s (%s); going on without it", self.path, problem)
                    return None
                log.warning("the cache %s was damaged (%s) and is made anew", self.path, problem)
            except OSError as problem:
                log.warning("no cache in %s (%s); going on without it", self.path.parent, problem.strerror)
                return None
        return None

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=5, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
            ours = {"fingerprint": self._fingerprint, "root": str(self._root)}
            if meta != ours:
                if meta:
                    log.info("the cache %s was made by another version and is made anew", self.path)
                with connection:
                    connection.execute("DELETE FROM files")
                    connection.execute("DELETE FROM meta")
                    connection.executemany("INSERT INTO meta VALUES (?, ?)", ours.items())
            # A file whose tables do not have our columns is not ours.
            connection.execute("SELECT path, mtime_ns, size, digest, record, tokens, reason FROM files LIMIT 1")
        except BaseException:
            connection.close()
            raise
        return connection

    def _start_over(self, problem: BaseException) -> None:
        log.warning("the cache %s was damaged (%s) and is made anew", self.path, problem)
        self._close()
        if self._delete():
            self._connection = self._open()

    def _delete(self) -> bool:
        try:
            for suffix in _SUFFIXES:
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _is_outside(problem: BaseException) -> bool:
    """Whether the trouble is with the disk or with other processes, and not with the file's content."""
    code = getattr(problem, "sqlite_errorcode", 0)
    return isinstance(problem, sqlite3.OperationalError) and code & 0xFF in _OUTSIDE


def _rows(changes: Mapping[str, Entry | FileState | None]) -> Iterable[tuple[object, ...]]:
    for path, entry in changes.items():
        if isinstance(entry, Entry):
            yield path, entry.mtime_ns, entry.size, entry.digest, entry.record, entry.tokens, entry.reason
