"""What was read of a project, on disk: the next start reads only what changed since.

One SQLite file for each project folder. It is a cache and nothing else: whatever is wrong with it (damage, another
version's content, a full disk, a server that was killed) costs one log line and the time to read files again, and never
an answer: every row carries a checksum, and no row of another reader or tokenizer is taken. Two servers on one folder
write the same things and wait for each other briefly; trouble that may pass is tried again later.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from engram_context.disk.ignore import FileState
from engram_context.disk.network import shared_drive

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS files (
        path TEXT PRIMARY KEY, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL,
        record BLOB NOT NULL, tokens BLOB NOT NULL, reason TEXT NOT NULL, checksum INTEGER NOT NULL
    )""",
)
_SCHEMA_VERSION = "2"
_READ = "SELECT path, mtime_ns, size, digest, record, tokens, reason, checksum FROM files"
_STRANGE = "SELECT 1 FROM sqlite_master WHERE type NOT IN ('table', 'index') LIMIT 1"
_LARGEST = 256 << 20  # bytes of one value
# Seconds until trouble that may pass is tried again, and for how long another server is waited for.
_RETRY = 60.0
_PATIENCE = 5.0
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
    """The entries of one project on disk. All methods may be called from any thread, and none raises for a bad disk.

    Nothing is opened before it is needed: that may take a while, and whoever makes a `Store` may be in a hurry.
    """

    def __init__(self, folder: Path, root: Path, fingerprint: str) -> None:
        """`fingerprint` names everything the entries depend on besides the files: reader, tokenizer."""
        name = hashlib.blake2b(str(root).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        self.path = folder / f"{name}.sqlite"
        self._meta = {"fingerprint": f"{_SCHEMA_VERSION}:{fingerprint}", "root": str(root)}
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._retry_at = 0.0
        self._in_trouble = False

    @property
    def usable(self) -> bool:
        with self._lock:
            return self._opened() is not None

    def load(self) -> dict[str, Entry]:
        """All entries by path."""
        with self._lock:
            connection = self._opened()
            if connection is None:
                return {}
            try:
                rows = connection.execute(_READ).fetchall()
                entries = {row[0]: entry for row in rows if (entry := _entry_of(row)) is not None}
            except _DAMAGE as problem:
                self._failed(problem)
                return {}
            if len(entries) < len(rows):
                log.warning("%d entries of the cache %s are damaged and not used", len(rows) - len(entries), self.path)
            return entries

    def write(self, changes: Mapping[str, Entry | FileState | None]) -> None:
        """Put entries in, take those with None out; a bare state is news of a file whose content is as before.

        All or nothing. What cannot be written now is lost to the cache, which the next `load` finds out by itself.
        """
        if not changes:
            return
        with self._lock:
            connection = self._opened()
            if connection is None:
                return
            try:
                # Its turn is waited for here, and not half-way.
                connection.execute("BEGIN IMMEDIATE")
                with connection:  # commits or rolls back
                    ours = _meta_of(connection) == self._meta
                    if ours:
                        _put(connection, changes)
            except _DAMAGE as problem:
                self._failed(problem)
                return
            if not ours:
                self._trouble("is in use by another version of this server")
            elif self._in_trouble:
                self._in_trouble = False
                log.warning("the cache %s is written again", self.path)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._close()

    # --- inside: the lock is held -------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection | None:
        if self._connection is None and not self._closed and time.monotonic() >= self._retry_at:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection | None:
        patience, made_anew = time.monotonic() + _PATIENCE, False
        while True:
            try:
                return self._connect()
            except _DAMAGE as problem:
                # Who makes the file at the same time is not waited for by SQLite itself.
                if _code(problem) == sqlite3.SQLITE_BUSY and time.monotonic() < patience:
                    time.sleep(0.02)
                    continue
                if _is_outside(problem) or made_anew or not self._delete():
                    self._trouble(f"cannot be opened ({_name(problem)})")
                    return None
                log.warning("the cache %s was damaged (%s) and is made anew", self.path, _name(problem))
                made_anew = True
            except OSError as problem:
                self._trouble(f"cannot be opened ({problem.strerror})")
                return None

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds what the files hold
        if self.path.is_symlink():  # else its target, whatever that is, would be made or taken over
            self.path.unlink()
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, check_same_thread=False, isolation_level=None)
        try:
            # Write-ahead logs are kept in memory that machines do not share.
            connection.execute(f"PRAGMA journal_mode = {'TRUNCATE' if shared_drive(self.path.parent) else 'WAL'}")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST)
            for statement in _SCHEMA:
                connection.execute(statement)
            if connection.execute(_STRANGE).fetchone() is not None:
                raise sqlite3.DatabaseError("views and triggers are not ours, and may never end")
            if _meta_of(connection) != self._meta:
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    self._take_over(connection)
            connection.execute(f"{_READ} LIMIT 1").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    def _take_over(self, connection: sqlite3.Connection) -> None:
        found = _meta_of(connection)
        if found == self._meta:
            return  # another server of our kind was quicker, and may have written since
        if found:
            log.info("the cache %s was made by another version and is made anew", self.path)
        # The table may have other columns than ours.
        connection.execute("DROP TABLE files")
        connection.execute(_SCHEMA[1])
        connection.execute("DELETE FROM meta")
        connection.executemany("INSERT INTO meta VALUES (?, ?)", self._meta.items())

    def _failed(self, problem: BaseException) -> None:
        if _is_outside(problem):  # what is there stays good
            self._trouble(f"cannot be used ({_name(problem)})")
            return
        log.warning("the cache %s was damaged (%s) and is made anew", self.path, _name(problem))
        self._close()
        if self._delete():
            self._connection = self._open()

    def _trouble(self, what: str) -> None:
        """Goes on without the cache for a while; says so once until it is written again."""
        self._close()
        self._retry_at = time.monotonic() + _RETRY
        if not self._in_trouble:
            self._in_trouble = True
            log.warning("the cache %s %s; going on without it", self.path, what)

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
    return isinstance(problem, sqlite3.OperationalError) and _code(problem) in _OUTSIDE


def _code(problem: BaseException) -> int:
    """SQLite's number for what went wrong, 0 for what is no error of SQLite's."""
    return getattr(problem, "sqlite_errorcode", 0) & 0xFF


def _name(problem: BaseException) -> str:
    """What went wrong; of a damaged file without the message, which may quote it."""
    return str(problem) if _is_outside(problem) else getattr(problem, "sqlite_errorname", type(problem).__name__)


def _meta_of(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def _put(connection: sqlite3.Connection, changes: Mapping[str, Entry | FileState | None]) -> None:
    changes = {path: change for path, change in changes.items() if path.isprintable() or _is_text(path)}
    connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _rows(changes))
    connection.executemany(
        "UPDATE files SET mtime_ns = ?, size = ? WHERE path = ?",
        ((state.mtime_ns, state.size, path) for path, state in changes.items() if isinstance(state, FileState)),
    )
    connection.executemany(
        "DELETE FROM files WHERE path = ?", ((path,) for path, entry in changes.items() if entry is None)
    )


def _rows(changes: Mapping[str, Entry | FileState | None]) -> Iterable[tuple[object, ...]]:
    for path, entry in changes.items():
        if isinstance(entry, Entry):
            yield (
                path, entry.mtime_ns, entry.size, entry.digest, entry.record, entry.tokens, entry.reason,
                _checksum(path, entry),
            )  # fmt: skip


def _entry_of(row: tuple[Any, ...]) -> Entry | None:
    """None for a row that is not as it was written."""
    try:
        entry = Entry(*row[1:7])
        return entry if row[7] == _checksum(row[0], entry) else None
    except (AttributeError, TypeError, ValueError):
        return None


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _checksum(path: str, entry: Entry) -> int:
    """Of what was read from a file. When that was is left out: wrong times only cost another look."""
    check = 0
    for part in (
        path.encode("utf-8", "surrogatepass"),
        entry.digest,
        entry.record,
        entry.tokens,
        entry.reason.encode(),
    ):
        check = zlib.crc32(part, zlib.crc32(b"%d:" % len(part), check))
    return check
