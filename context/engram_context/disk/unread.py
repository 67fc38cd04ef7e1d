"""The files of a folder before they are indexed.

Which of them mention a name is seen by looking through their bytes, and only what a question needs is read. So the
first answers do not wait for the index, and they are the ones that it will give.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from engram_context import codec
from engram_context.disk.store import Entry
from engram_context.languages import language_of
from engram_context.records import FileRecord, LazyRecord, empty_record
from engram_context.text import read_bytes
from engram_context.views.symbols import defined_names

ReadMany = Callable[[Sequence[str]], Iterable[tuple[str, Entry]]]

_NAME = re.compile(rb"[A-Za-z_\x80-\xff][\w\x80-\xff]*")
# What most definitions look like: enough to find one by a part of its name before everything is read.
_DEFINED = re.compile(rb"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+(\w+)|^(\w+)[ \t]*(?::[^=\n]*)?=", re.MULTILINE)
# Bytes of files that are kept to be looked through again.
_KEPT = 128 << 20
# Of one file, should it have grown since it was listed.
_LARGEST = 64 << 20
# More files than one thread may want to have at once.
_LOCKS = 16


class Unread:
    """Any thread may ask. What was read, by whomever, is kept: nothing is read twice."""

    def __init__(self, root: Path, paths: Iterable[str], entries: Mapping[str, Entry], read_many: ReadMany) -> None:
        """`paths` are those of the files; `entries` what is known of some of them. `read_many` reads files."""
        self._root = root
        self._read_many = read_many
        self._entries = dict(entries)
        self._bytes: dict[str, bytes] = {}
        self._mentions: dict[str, tuple[str, ...]] = {}
        self._defined: set[str] | None = None
        self._looking = threading.Lock()
        self._reading = [threading.Lock() for _ in range(_LOCKS)]
        self.records: dict[str, FileRecord] = {
            path: LazyRecord(partial(self._make, path), language=language_of(path) or "") for path in sorted(paths)
        }
        for path, entry in entries.items():
            self._arrived(path, entry)

    def entry(self, path: str) -> Entry | None:
        """What was read of a file, None while that is nothing."""
        return self._entries.get(path)

    def arrived(self, path: str, entry: Entry) -> None:
        """Somebody has read a file."""
        if path not in self._entries:
            self._entries[path] = entry
            self._arrived(path, entry)

    def _arrived(self, path: str, entry: Entry) -> None:
        record = self.records.get(path)
        if isinstance(record, LazyRecord) and entry.record:
            record.become(codec.decode(entry.record, checked=True))
        self._bytes.pop(path, None)

    def _make(self, path: str) -> FileRecord:
        with self._reading[hash(path) % _LOCKS]:
            if path not in self._entries:
                self.read([path])
        entry = self._entries[path]
        if not entry.record:
            return empty_record(b"", language_of(path) or "", 0, 1)
        return codec.decode(entry.record, checked=True).made()

    def read(self, paths: Sequence[str]) -> None:
        """Read those files that have not been."""
        missing = [path for path in paths if path not in self._entries]
        for path, entry in self._read_many(missing) if missing else ():
            self.arrived(path, entry)

    # --- which files mention a name -------------------------------------------------------------------

    def mentioning(self, name: str, beside: str = "") -> tuple[str, ...]:
        """The files that mention a name, sorted; perhaps without those that do not have the letters `beside`. Reads
        those in which the name occurs as a word."""
        found = self._mentions.get(name) or self._mentions.get(f"{name}\n{beside}")
        if found is None:
            encoded, other = name.encode("utf-8", "surrogatepass"), beside.encode("utf-8", "surrogatepass")
            self.read([path for path, data in self._unread() if other in data and _may_mention(data, encoded)])
            entries = ((path, self._entries.get(path)) for path in self.records)
            found = tuple(
                path for path, entry in entries if entry and entry.record and codec.mentions(entry.record, encoded)
            )
            self._mentions[f"{name}\n{beside}" if beside else name] = found
        return found

    def defining(self, name: str) -> tuple[str, ...]:
        """The files that define a name at the top or in a class, sorted."""
        mentioning = self.mentioning(name)
        return tuple(path for path in mentioning if name in codec.names_of(self._entries[path].record)[1])

    def mentioned(self) -> set[str]:
        """All names in the files, and words in those that have not been read."""
        found = {match[0].decode("utf-8", "replace") for _, data in self._unread() for match in _NAME.finditer(data)}
        for entry in tuple(self._entries.values()):
            found.update(codec.names_of(entry.record)[0] if entry.record else ())
        return found

    def defined(self) -> set[str]:
        """Names that are defined at the top or in a class; of the files that have not been read, most of them."""
        if self._defined is None:
            self._defined = {
                (match[1] or match[2]).decode("utf-8", "replace")
                for _, data in self._unread()
                for match in _DEFINED.finditer(data)
            }
        entries = tuple(self._entries.values())
        return self._defined.union(*(codec.names_of(entry.record)[1] for entry in entries if entry.record))

    def _unread(self) -> Iterator[tuple[str, bytes]]:
        """The bytes of the files that have not been read."""
        with self._looking:
            kept = sum(map(len, tuple(self._bytes.values())))
            for path in self.records:
                if path in self._entries:
                    continue
                data = self._bytes.get(path)
                if data is None:
                    try:
                        data = read_bytes(self._root / path, _LARGEST)
                    except OSError:
                        continue
                    kept += len(data)
                    if kept < _KEPT:
                        self._bytes[path] = data
                yield path, data


def _may_mention(data: bytes, name: bytes) -> bool:
    if name.isascii():
        at = data.find(name)
        whole_word = rb"(?<![\w\x80-\xff])%b(?![\w\x80-\xff])" % re.escape(name)
        return at >= 0 and re.compile(whole_word).search(data, at) is not None
    try:
        return name.decode() in data.decode()
    except UnicodeDecodeError:
        return True  # in another encoding


@dataclass(frozen=True, eq=False)
class ScannedNames:
    """Which files mention (or define) a name, as a `NameIndex` says it, found out when it is asked for. `over` has the
    names of the files that changed since, None for those that went."""

    unread: Unread
    defined: bool
    over: Mapping[str, frozenset[str] | None] = field(default_factory=dict[str, "frozenset[str] | None"])

    @property
    def is_read(self) -> bool:
        """Whether nothing has to be read any more to look a name up."""
        return False

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self._with_changes(name, self.unread.defining(name) if self.defined else self.unread.mentioning(name))

    def beside(self, name: str, letters: str) -> tuple[str, ...]:
        """The files that mention a name and have the letters, and perhaps others that mention it."""
        return self._with_changes(name, self.unread.mentioning(name, letters))

    def _with_changes(self, name: str, found: tuple[str, ...]) -> tuple[str, ...]:
        if not self.over:
            return found
        changed = [path for path, names in self.over.items() if names and name in names]
        return tuple(sorted([path for path in found if path not in self.over] + changed))

    def after(self, changes: Mapping[str, FileRecord | None]) -> ScannedNames:
        """As it is once files have other records."""
        names = {path: None if record is None else self._names_of(record) for path, record in changes.items()}
        return ScannedNames(self.unread, self.defined, {**self.over, **names})

    def _names_of(self, record: FileRecord) -> frozenset[str]:
        return frozenset(defined_names(record) if self.defined else record.names)

    def names(self) -> set[str]:
        """At least the names of all files (see `Unread.defined` for an exception)."""
        found = self.unread.defined() if self.defined else self.unread.mentioned()
        return found.union(*(names for names in self.over.values() if names))

    def beginning(self, letters: str) -> list[str]:
        """The names that begin with the letters, whatever their case, and others."""
        letters = letters.lower()
        return [name for name in self.names() if name.lower().startswith(letters)]

    def having(self, letters: str) -> list[str]:
        """The names that have all of the letters, in any order and case, and others."""
        return list(self.names())
