"""One project folder in memory: its snapshot, its n-gram memory, its cache on disk, and the documents open in it.

A `Project` has one owner, the thread that calls `open`, `edit`, `close` and `apply`. Work that reads many files
(`load`, `refresh`, `save`) may run on any other thread: it reads, returns a value, and the owner's `apply` puts that
value in place in a moment. Changes that were read in another order than they are applied sort themselves out by their
tickets.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tree_sitter import Tree

from engram_context import codec, languages
from engram_context.disk.builtin_rules import is_private, is_secret
from engram_context.disk.ignore import RULE_FILES, FileState, Ignore, Reason
from engram_context.disk.indexing import Cancelled, Coding, Progress, Readers, Wanted, read_entries, tokens_of
from engram_context.disk.store import Entry, Store, default_cache_folder
from engram_context.disk.unread import Unread
from engram_context.findings import Finding
from engram_context.languages import is_code, language_of
from engram_context.languages import plain as plain_text
from engram_context.memory.excerpts import Excerpt, Excerpts, names_in
from engram_context.memory.lines import LineEncoder
from engram_context.memory.matches import MemoryView
from engram_context.memory.ngrams import NgramMemory
from engram_context.outside.environment import Environment
from engram_context.outside.library import Library
from engram_context.outside.record_cache import RecordCache
from engram_context.reader import parse, read_names, read_record
from engram_context.records import FileRecord, digest_if_known, empty_record
from engram_context.snapshot import Snapshot
from engram_context.text import READ_LIMIT, Span, Text, Unreadable, decode, read_text

if TYPE_CHECKING:
    from engram_context.checks.checked import Checked

# Bytes of the files' texts that are kept for the next question, besides the open documents'.
_TEXTS_KEPT = 24 << 20
# A home folder that was opened by mistake must not fill the machine's memory.
_MOST_FILES = 50_000
_MOST_BYTES = 400_000_000
# Bytes of a document around the cursor that its own view takes in.
_BEFORE = 120_000
_AFTER = 60_000
# From this many files on, the next snapshot is made where they were read and not on the owner's thread.
_MANY = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    files: int
    lines: int
    tokens: int
    bytes: int  # of the n-gram memory


@dataclass(frozen=True, slots=True)
class Change:
    """What was found out about some files. `Project.apply` puts it in place."""

    ticket: int
    records: Mapping[str, FileRecord | None] = field(default_factory=dict[str, FileRecord | None])
    tokens: Mapping[str, NDArray[np.unsignedinteger] | None] = field(
        default_factory=dict[str, NDArray[np.unsignedinteger] | None]
    )
    disk: Mapping[str, Entry | FileState | None] = field(default_factory=dict[str, Entry | FileState | None])
    same: Mapping[str, bytes] = field(default_factory=dict[str, bytes])  # content as it was, by its digest
    trees: Mapping[str, tuple[Tree, Text]] = field(default_factory=dict[str, tuple[Tree, Text]])
    # The snapshot after this change, if nothing else happens meanwhile: made here because indexing names takes a while.
    prepared: Snapshot | None = None
    # Only from `load` and its stages, which look at everything at once.
    memory: NgramMemory | None = None
    loaded: bool = False
    whole: bool = False  # files that are not in it have gone

    @property
    def paths(self) -> frozenset[str]:
        """The files whose record or tokens differ."""
        return frozenset(self.records)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a project is opened, in a form that can be sent to another process."""

    root: Path
    coding: Coding
    cache_folder: Path
    interpreter: Path | None
    exclude: tuple[str, ...]
    largest: int
    most: int | None

    def open(self) -> Project:
        return Project(
            self.root, self.coding, cache_folder=self.cache_folder, interpreter=self.interpreter,
            exclude=self.exclude, workers=1, largest=self.largest, most=self.most,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a file on disk."""

    state: FileState
    digest: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class _View:
    """What the memory looks like from a place: the text before and behind it."""

    path: str
    generation: int
    sides: tuple[bytes, bytes]
    view: MemoryView


class Project:
    """The memory of one folder. See the module's text for which thread may call what."""

    def __init__(
        self,
        root: Path,
        coding: Coding | None = None,
        *,
        cache_folder: Path | None = None,
        interpreter: Path | None = None,
        exclude: Sequence[str] = (),
        workers: int | None = None,
        largest: int = READ_LIMIT,
        most: int | None = None,
    ) -> None:
        """`coding`: how text becomes tokens; without it there is no n-gram memory. `cache_folder`: by default the
        user's cache folder. `exclude`: patterns of files to leave out, as in .gitignore. `workers`: processes for a
        large first read; by default as many as there are cores, eight at most. `largest`: bytes of a file that is read;
        of an open document that is larger the text around the cursor counts and nothing else. `most`: how many files
        are read, by default 50,000. Raises NotADirectoryError when `root` is no folder.
        """
        self.root = Path(root).absolute()
        if not self.root.is_dir():
            raise NotADirectoryError(f"{root} is not a folder")
        self._root = os.path.join(self.root, "")  # noqa: PTH118
        self._coding = coding or Coding(_no_encoding, "", 1, "none")
        self._encode = LineEncoder(self._coding.load(self._coding.argument))
        self._workers = workers if workers is not None else min(os.cpu_count() or 1, 8)
        self._interpreter = interpreter
        self._exclude = tuple(exclude)
        self._largest = largest
        self._most = most
        self._ignore = Ignore(self.root, self._exclude)
        folder = cache_folder if cache_folder is not None else default_cache_folder()
        self._folder = folder
        self._store = Store(folder, self.root, _fingerprint(self._coding))
        self.memory = NgramMemory(self._coding.vocab_size)
        self.environment = Environment.discover(self.root, interpreter)
        self.snapshot = Snapshot.empty(self.text, Library(self.environment, RecordCache(folder / "library")))
        self._excerpts = Excerpts()
        self._tickets = itertools.count(1)
        self._applied: dict[str, int] = {}
        self._known: dict[str, _Known] = {}
        self._unsaved: dict[str, Entry | FileState | None] = {}
        self._documents: dict[str, Text] = {}
        self._trees: dict[str, tuple[Tree, Text]] = {}
        self._behind: set[str] = set()
        # Guards the dicts above, which `refresh` and `text` read from other threads; held for moments only.
        self._lock = threading.Lock()
        self._texts: OrderedDict[str, tuple[FileState, Text]] = OrderedDict()
        self._texts_size = 0
        self._view: _View | None = None

    @property
    def recipe(self) -> Recipe:
        return Recipe(
            self.root, self._coding, self._folder, self._interpreter, self._exclude, self._largest, self._most
        )

    # --- questions ----------------------------------------------------------------------------------------

    def text(self, path: str) -> Text | None:
        """The current text of a file: the open document's, else the disk's. Any thread."""
        with self._lock:
            text = self._documents.get(path)
            cached = self._texts.get(path)
        if text is not None:
            return text
        try:
            status = os.stat(f"{self._root}{path}")  # noqa: PTH116 (a Path takes longer than the look itself)
        except (OSError, ValueError):
            return None
        state = FileState(status.st_mtime_ns, status.st_size)
        if cached is not None and cached[0] == state:
            return cached[1]
        read = read_text(self.root / path, self._largest)
        if isinstance(read, Unreadable):
            return None
        with self._lock:
            before = self._texts.pop(path, None)
            self._texts[path] = (state, read)
            self._texts_size += _size_of(read) - (_size_of(before[1]) if before is not None else 0)
            while self._texts_size > _TEXTS_KEPT and len(self._texts) > 1:
                _, (_, oldest) = self._texts.popitem(last=False)
                self._texts_size -= _size_of(oldest)
        return read

    def tree(self, path: str, text: Text) -> Tree | None:
        """The syntax tree of a text of a file, the one at hand when it is an open document's. Any thread."""
        if len(text) > self._largest:
            return None
        with self._lock:
            kept = self._trees.get(path)
        if kept is not None and kept[1] == text:
            return kept[0].copy()
        edit = None if kept is None else _difference(kept[1].data, text.data)
        tree = parse(text, language_of(path) or "python", kept, edit)
        with self._lock:
            if tree is not None and self._documents.get(path) == text:
                self._trees[path] = (tree, text)
        return None if tree is None else tree.copy()

    def view(self, path: str, offset: int | None = None, text: Text | None = None) -> MemoryView:
        """The n-gram memory as seen from `offset` in `path`; the file's own text counts on both sides of the offset,
        as it is now, and nothing at the offset predicts itself. `text` when it is at hand. Any thread.
        """
        if offset is None:
            return self.memory.view(path)
        if text is None:
            text = self.text(path)
        if text is None:
            return self.memory.view(path, (), ())
        offset = min(max(offset, 0), len(text))
        # A view indexes so much of the document and no more: whole lines, so that the memo of lines knows them.
        start = text.line_start(text.line_of(max(offset - _BEFORE, 0)))
        end = text.line_span(text.line_of(min(offset + _AFTER, len(text)))).end
        # A line may be as long as the text.
        start, end = max(start, offset - 2 * _BEFORE), min(end, offset + 2 * _AFTER)
        sides = text.data[start:offset], text.data[offset:end]
        memory, kept = self.memory, self._view
        # While a word is typed, the text around it stays.
        if kept is not None and (kept.path, kept.generation, kept.sides) == (path, memory.generation, sides):
            return kept.view
        generation = memory.generation
        before, after = (self.encode(decode(side)) for side in sides)
        view = memory.view(path, before[before != 0], after[after != 0])
        self._view = _View(path, generation, sides, view)
        return view

    def excerpts(self, path: str, offset: int, budget: int) -> tuple[Excerpt, ...]:
        """Pieces of other files, of at most `budget` bytes, that share names with the lines before `offset`."""
        text = self.text(path)
        return () if text is None else self.excerpts_at(path, text, offset, budget)

    def excerpts_at(self, path: str, text: Text, offset: int, budget: int) -> tuple[Excerpt, ...]:
        """As `excerpts`, for a text that need not be the file's."""
        offset = min(offset, len(text))
        first = text.line_start(max(text.line_of(offset) - 20, 0))
        names = names_in(text.slice(Span(first, offset)))
        found = self._excerpts.find(self.snapshot, names, budget, exclude={path})
        return tuple(excerpt for excerpt in found if self.may_be_shown(excerpt.path))

    def may_be_shown(self, path: str) -> bool:
        """Whether a prompt may quote a file, and a server elsewhere be asked about it: not one that is left out and
        merely open, nor one whose name tells of secrets."""
        return not is_private(path.rpartition("/")[2]) and self._ignore.why(path) is None

    def encode(self, text: str) -> NDArray[np.uint32]:
        """Token ids by the project's own line-by-line memo. Any thread."""
        return self._encode(text.encode("utf-8", "replace").decode("utf-8"))

    @cached_property
    def checked(self) -> Checked:
        """What the checks found lately. They take long to import, so this waits until somebody asks."""
        from engram_context.checks.checked import Checked

        return Checked(self.environment)

    def findings(self, path: str) -> tuple[Finding, ...]:
        """What the checks find in a file."""
        return self.checked.findings(self.snapshot, path)

    def why_not(self, path: str) -> str | None:
        """Why a file is not part of the project, in words; None when it is."""
        reason = self.reason(path)
        return None if reason is None else reason.text

    def reason(self, path: str) -> Reason | None:
        """Why a file is not part of the project; None when it is."""
        reason = self._ignore.reason(path)
        if reason is not None:
            return reason
        if language_of(path) is None:
            return Reason("language", "no language that is read here has such a file name")
        known = self._known.get(path)
        if known is not None and known.reason:
            return Reason("unreadable", known.reason)
        if path in self.snapshot.records:
            return None
        if (self.root / path).is_file():
            return Reason("absent", "it has not been read: there are too many files, or it is new")
        return Reason("absent", "there is no such file")

    def counts(self) -> Counts:
        records = self.snapshot.records
        lines = sum(vars(record).get("line_count", 0) for record in records.values())  # of those that were read
        return Counts(len(records), lines, self.memory.tokens, self.memory.bytes)

    @property
    def states(self) -> dict[str, FileState]:
        """How the files on disk looked when they were read; a watcher starts from it."""
        with self._lock:
            return {path: known.state for path, known in self._known.items()}

    @property
    def documents(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._documents)

    # --- documents: the owner's thread --------------------------------------------------------------------

    def open(self, path: str, text: Text) -> None:
        """The editor owns this file's text from now on. Cheap; `refresh` reads it."""
        self.edit(path, text)

    def edit(self, path: str, text: Text) -> None:
        """The document's text is now `text`. Cheap; `refresh` reads it."""
        with self._lock:
            self._documents[path] = text
            self._behind.add(path)

    def close(self, path: str) -> None:
        """The disk's text counts again."""
        with self._lock:
            self._documents.pop(path, None)
            self._trees.pop(path, None)
            self._behind.add(path)

    @property
    def behind(self) -> frozenset[str]:
        """Paths whose text ran ahead of their record: `refresh` is due."""
        with self._lock:
            return frozenset(self._behind)

    # --- reading: any thread ------------------------------------------------------------------------------

    def load(self, progress: Progress = lambda _d, _t, _p: None, cancelled: Cancelled = lambda: False) -> Change:
        """Read the whole folder, and only what changed since it was last stored. Raises OSError when the root is gone.

        A cancelled load holds what was read so far.
        """
        _, names, tokens = self.stages(progress, cancelled)
        return replace(names, tokens=tokens.tokens, memory=tokens.memory)

    def stages(
        self, progress: Progress = lambda _d, _t, _p: None, cancelled: Cancelled = lambda: False
    ) -> Generator[Change]:
        """What `load` does, in three changes that are to be applied in turn: the files, to be read as they are needed;
        then their names; then their tokens. After the first one every question is answered as after the second."""
        ticket = next(self._tickets)
        self._ignore = ignore = Ignore(self.root, self._exclude)
        readers = Readers(self.root, self._coding, self._encode, self._workers, self._largest)
        try:
            stored = self._store.load()
            if not stored:
                readers.start()  # meanwhile the folder is listed
            states = _files(ignore, cancelled, self._largest, self._most)
            kept = {path: entry for path, entry in stored.items() if path in states and self._is_good(entry)}
            changed = {path: state for path, state in states.items() if not _is_same(kept.get(path), state)}

            def read_soon(paths: Sequence[str]) -> Iterator[tuple[str, Entry]]:
                return readers.read_soon({path: Wanted(states[path]) for path in paths})

            known = {path: entry for path, entry in kept.items() if path not in changed}
            unread = Unread(
                self.root, [path for path, state in states.items() if state.size <= self._largest], known, read_soon
            )
            whole = not cancelled()
            yield Change(ticket, unread.records, prepared=self.snapshot.reading(unread), loaded=True, whole=whole)

            fresh: dict[str, Entry | FileState | None] = dict.fromkeys(stored.keys() - states.keys() if whole else ())
            wanted = {
                path: Wanted(state, kept[path].digest if path in kept else b"") for path, state in changed.items()
            }
            for path, found in readers.read(wanted, "names", progress, cancelled, unread.entry):
                fresh[path] = found
                if isinstance(found, FileState):
                    found = replace(kept[path], mtime_ns=found.mtime_ns, size=found.size)
                known[path] = found
                unread.arrived(path, found)
            self._store.write(fresh)
            yield self._names(ticket, unread, known, whole=not cancelled())

            yield self._tokens(ticket, readers, known, cancelled)
        finally:
            readers.close()

    def load_names(self, progress: Progress = lambda _d, _t, _p: None) -> None:
        """Read and apply all but the tokens, here and now: for who asks about names alone."""
        with closing(self.stages(progress)) as stages:
            for change in islice(stages, 2):
                self.apply(change)

    def _names(self, ticket: int, unread: Unread, known: Mapping[str, Entry], whole: bool) -> Change:
        """The second stage: all records, and which names they mention and define."""
        records = {path: unread.records.get(path) if entry.record else None for path, entry in known.items()}
        disk: dict[str, Entry | FileState | None] = {
            path: replace(entry, record=b"", tokens=b"") for path, entry in known.items()
        }
        prepared = None
        if whole:
            there = {path: record for path, record in records.items() if record is not None}
            prepared = self.snapshot.indexed(there, {path: codec.names_of(known[path].record) for path in there})
        return Change(ticket, records, disk=disk, prepared=prepared, loaded=True, whole=whole)

    def _tokens(self, ticket: int, readers: Readers, known: Mapping[str, Entry], cancelled: Cancelled) -> Change:
        """The third stage: the n-gram memory."""
        tokens: dict[str, NDArray[np.unsignedinteger] | None] = {}
        missing: dict[str, Wanted] = {}
        for path, entry in known.items():
            if self._lacks(path, entry):
                missing[path] = Wanted(FileState(entry.mtime_ns, entry.size))
            elif entry.record:
                tokens[path] = np.frombuffer(entry.tokens, self._coding.dtype)
        fresh: dict[str, Entry | FileState | None] = {}
        for path, found in readers.read(missing, "tokens", lambda _d, _t, _p: None, cancelled):
            # A file that has changed since is about to be read again anyway.
            if isinstance(found, Entry) and found.digest == known[path].digest:
                fresh[path] = replace(known[path], tokens=found.tokens)
                tokens[path] = np.frombuffer(found.tokens, self._coding.dtype)
        readers.close()  # before their memory is needed
        self._store.write(fresh)
        fresh.clear()
        memory = NgramMemory(self._coding.vocab_size)
        memory.update(tokens)
        return Change(ticket, tokens=tokens, memory=memory, loaded=True)

    def refresh(
        self,
        paths: Iterable[str] | None = None,
        progress: Progress = lambda _d, _t, _p: None,
        cancelled: Cancelled = lambda: False,
    ) -> Change:
        """Read again what is behind, or `paths`; digests decide what changed. Of many files only the names are read:
        see `late_tokens`."""
        ticket = next(self._tickets)
        with self._lock:
            asked = set(self._behind) if paths is None else set(paths)
            documents = {path: text for path, text in self._documents.items() if path in asked}
            trees = {path: self._trees[path] for path in asked & self._trees.keys()}
            known = {path: self._known[path] for path in asked & self._known.keys()}
        before = self.snapshot
        records: dict[str, FileRecord | None] = {}
        tokens: dict[str, NDArray[np.unsignedinteger] | None] = {}
        disk: dict[str, Entry | FileState | None] = {}
        same: dict[str, bytes] = {}
        parsed: dict[str, tuple[Tree, Text]] = {}
        for path, text in documents.items():
            if cancelled():
                return Change(ticket)
            if digest_if_known(before.record(path)) != text.digest:
                records[path], tokens[path] = self._read_document(path, text, trees.get(path), parsed)
        changed: dict[str, Wanted] = {}
        for path in asked - documents.keys():
            state = self._state(path)
            if state is None:
                disk[path] = None
                if before.record(path) is not None:
                    records[path] = tokens[path] = None
            else:
                digest = digest_if_known(before.record(path))
                current = digest is not None and path in known and known[path].digest == digest
                changed[path] = Wanted(state, known[path].digest if current else b"")
        parts = "names" if len(changed) > _MANY else "all"
        reading = read_entries(
            self.root, changed, self._coding, self._encode, self._workers, progress, cancelled, self._largest, parts
        )
        for path, entry in reading:
            disk[path] = entry
            if isinstance(entry, FileState):
                same[path] = changed[path].digest
            elif not _take(path, entry, self._coding.dtype, records, tokens) and before.record(path) is not None:
                records[path] = tokens[path] = None
        prepared = before.after(records) if len(records) > _MANY else None
        return Change(ticket, records, tokens, disk, same, parsed, prepared)

    def late_tokens(self, change: Change, cancelled: Cancelled = lambda: False) -> list[Change]:
        """The tokens that a `refresh` of many files left out, in portions for `apply_tokens`."""
        read = ((path, entry) for path, entry in change.disk.items() if isinstance(entry, Entry))
        lacking = {path: entry for path, entry in read if self._lacks(path, entry)}
        wanted = {path: Wanted(FileState(entry.mtime_ns, entry.size)) for path, entry in lacking.items()}
        found: list[Change] = []
        reading = read_entries(
            self.root, wanted, self._coding, self._encode, self._workers, lambda _d, _t, _p: None, cancelled,
            self._largest, "tokens",
        )  # fmt: skip
        portion: dict[str, Entry] = {}
        for path, entry in reading:
            if isinstance(entry, Entry) and entry.digest == lacking[path].digest:
                portion[path] = replace(lacking[path], tokens=entry.tokens)
            if len(portion) >= _MANY:
                found.append(self._with_tokens(change.ticket, portion))
                portion = {}
        return [*found, self._with_tokens(change.ticket, portion)] if portion else found

    def _lacks(self, path: str, entry: Entry) -> bool:
        """Whether a file's tokens are still to be read."""
        if not entry.record or not entry.size or entry.tokens or self._coding.vocab_size < 2:
            return False
        return not is_private(path.rpartition("/")[2])

    def _with_tokens(self, ticket: int, entries: Mapping[str, Entry]) -> Change:
        tokens = {path: np.frombuffer(entry.tokens, self._coding.dtype) for path, entry in entries.items()}
        return Change(ticket, tokens=tokens, disk=entries)

    def files_changed(self, paths: Iterable[str]) -> Change:
        """`refresh` of paths that a watcher named; of the whole folder when one of them says what belongs to it."""
        paths = tuple(paths)
        if any(path.rpartition("/")[2] in RULE_FILES for path in paths):
            return self.rescan()
        return self.refresh(path for path in paths if _is_read(path))

    def rescan(self, cancelled: Cancelled = lambda: False) -> Change:
        """Look at the whole folder and read what changed. Raises OSError when the root is gone."""
        self._ignore = ignore = Ignore(self.root, self._exclude)
        states = _files(ignore, cancelled, self._largest, self._most)
        if cancelled():
            return Change(next(self._tickets))
        known = self.states
        paths = {path for path, state in states.items() if known.get(path) != state}
        return self.refresh(paths | (known.keys() - states.keys()), cancelled=cancelled)

    def save(self) -> None:
        """Write what changed to the cache, and merge what the n-gram memory has due. Slow; any thread."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, {}
        self._store.write(unsaved)
        self.memory.compact()

    def forget(self) -> None:
        """Empty the cache on disk: the next `load` reads every file. Any thread."""
        with self._lock:
            self._unsaved = {}
        self._store.write(dict.fromkeys(self._store.load()))

    def close_project(self) -> None:
        """Write what changed to the cache and let go of it."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, {}
        self._store.write(unsaved)
        self._store.close()

    # --- the owner's thread -------------------------------------------------------------------------------

    def apply(self, change: Change) -> frozenset[str]:
        """Put a change in place. Returns the paths whose record is another one now."""
        newest = {path for path in change.records if self._applied.get(path, 0) <= change.ticket}
        with self._lock:
            documents = frozenset(self._documents)
        if change.loaded:
            newest -= documents & self.snapshot.records.keys()  # the disk does not say what is in an open document
        if change.memory is not None:
            change.memory.update(self._newer_tokens(change.ticket, documents))
            self.memory = change.memory
        records = {path: change.records[path] for path in newest}
        if change.whole:
            for path in self.snapshot.records.keys() - change.records.keys():
                if self._applied.get(path, 0) < change.ticket and path not in documents:
                    records[path] = None
        stale: set[str] = set()
        for path, digest in change.same.items():
            if digest_if_known(self.snapshot.record(path)) == digest and self._applied.get(path, 0) <= change.ticket:
                self._applied[path] = change.ticket
            elif path not in documents:
                stale.add(path)  # compared with a record that another change has replaced since
        for path in newest:
            self._applied[path] = change.ticket
        if not change.loaded:
            self.memory.update({path: change.tokens[path] for path in newest if path in change.tokens})
        with self._lock:
            for path, entry in change.disk.items():
                if path not in stale:
                    self._note(path, entry, unsaved=not change.loaded)
            if change.whole and change.disk:
                for path in self._known.keys() - change.disk.keys():
                    if self._applied.get(path, 0) < change.ticket:
                        del self._known[path]
            for path, parsed in change.trees.items():
                if path in self._documents:
                    self._trees[path] = parsed
            for path in tuple(self._behind):
                if self._is_caught_up(path, change, records):
                    self._behind.discard(path)
            self._behind |= stale
            if change.memory is not None:
                self._behind |= self._documents.keys()
        if not records:
            return frozenset()
        self.snapshot = _after(self.snapshot, records, change.prepared)
        return frozenset(records)

    def apply_tokens(self, change: Change) -> None:
        """Put tokens in place that were read after the rest, of files that have not been read again since."""
        fresh = {path for path in change.tokens if self._applied.get(path) == change.ticket}
        self.memory.update({path: change.tokens[path] for path in fresh})
        with self._lock:
            for path in fresh - self._documents.keys():
                self._note(path, change.disk[path], unsaved=True)

    def settle(self) -> None:
        """Read and apply all that is behind, here and now."""
        self.apply(self.refresh())

    # --- inside -------------------------------------------------------------------------------------------

    def _is_good(self, entry: Entry) -> bool:
        """Whether what is stored can be used."""
        try:
            if not entry.reason:
                codec.decode(entry.record)
            np.frombuffer(entry.tokens, self._coding.dtype)
        except (ValueError, TypeError):
            return False
        return True

    def _newer_tokens(self, ticket: int, documents: frozenset[str]) -> dict[str, NDArray[np.unsignedinteger] | None]:
        """What the memory holds of files that were read after a ticket, and of open documents; None for those that
        went."""
        newer = {path for path, applied in self._applied.items() if applied > ticket} | documents
        held = {path: self.memory.text(path) for path in newer}
        return {
            path: tokens for path, tokens in held.items() if tokens is not None or path not in self.snapshot.records
        }

    def _read_document(
        self, path: str, text: Text, old: tuple[Tree, Text] | None, parsed: dict[str, tuple[Tree, Text]]
    ) -> tuple[FileRecord, NDArray[np.unsignedinteger] | None]:
        language = language_of(path) or "python"
        if len(text) > self._largest or is_secret(path.rpartition("/")[2]):
            return empty_record(text.digest, language, len(text), text.line_count), None
        edit = _difference(old[1].data, text.data) if old is not None else None
        tree = parse(text, language, old, edit)
        if tree is not None:
            parsed[path] = (tree, text)
        private = is_private(path.rpartition("/")[2])
        record = read_names(text, language) if private else read_record(text, language, tree)
        if not self.may_be_shown(path):
            return record, None  # it may be looked at while it is open, but nothing is learned from it
        dtype = self._coding.dtype
        return record, np.frombuffer(tokens_of(text, self._encode, dtype), dtype)

    def _state(self, path: str) -> FileState | None:
        if not _is_read(path) or self._ignore.why(path) is not None:
            return None
        try:
            status = (self.root / path).stat()
        except (OSError, ValueError):
            return None
        return FileState(status.st_mtime_ns, status.st_size)

    def _note(self, path: str, entry: Entry | FileState | None, unsaved: bool) -> None:
        if entry is None:
            self._known.pop(path, None)
        elif isinstance(entry, FileState):
            old = self._known.get(path)
            if old is not None:
                self._known[path] = _Known(entry, old.digest, old.reason)
        else:
            self._known[path] = _Known(FileState(entry.mtime_ns, entry.size), entry.digest, entry.reason)
        if unsaved and not (isinstance(entry, FileState) and isinstance(self._unsaved.get(path), Entry)):
            self._unsaved[path] = entry

    def _is_caught_up(self, path: str, change: Change, records: Mapping[str, FileRecord | None]) -> bool:
        document = self._documents.get(path)
        if document is not None:
            return digest_if_known(records.get(path) or self.snapshot.record(path)) == document.digest
        return path in change.disk


def _files(ignore: Ignore, cancelled: Cancelled, largest: int, most: int | None) -> dict[str, FileState]:
    """The files of a folder that are read, with their states. Of a folder that is too large, those near its root."""
    states: dict[str, FileState] = {}
    size = 0
    most = _MOST_FILES if most is None else most
    plain = 0
    for path, state in ignore.walk(_is_read, cancelled):
        if not is_code(language_of(path)):
            # Not learned from without end: text that is no code serves to complete code now and then.
            if state.size > plain_text.LARGEST or plain > plain_text.MOST:
                continue
            plain += state.size
        size += min(state.size, largest)
        if len(states) >= most or size > _MOST_BYTES:
            log.warning(
                "%s has more than %d files or %d MB of source: only the first %d are read. Open a smaller folder, or "
                "list what is not needed in .engramignore",
                ignore.root, most, _MOST_BYTES // 1_000_000, len(states),
            )  # fmt: skip
            break
        states[path] = state
    return states


def _is_same(entry: Entry | None, state: FileState) -> bool:
    """Whether a file looks as it did when it was read, successfully: what could not be read is tried again."""
    return entry is not None and not entry.reason and (entry.mtime_ns, entry.size) == (state.mtime_ns, state.size)


def _take(
    path: str,
    entry: Entry,
    dtype: str,
    records: dict[str, FileRecord | None],
    tokens: dict[str, NDArray[np.unsignedinteger] | None],
) -> bool:
    """Put an entry's record and tokens where they belong; False when it has none that can be read."""
    if entry.reason:
        return False
    try:
        record, ids = FileRecord.from_bytes(entry.record), np.frombuffer(entry.tokens, dtype)
    except (ValueError, TypeError):
        return False
    records[path] = record
    tokens[path] = ids
    return True


def _after(snapshot: Snapshot, records: Mapping[str, FileRecord | None], prepared: Snapshot | None) -> Snapshot:
    """`snapshot.after(records)`, starting from a `prepared` one that is nearly that."""
    if prepared is None:
        return snapshot.after(records)
    wanted = {**snapshot.records, **records}
    paths = wanted.keys() | prepared.records.keys()
    differing = {path: wanted.get(path) for path in paths if wanted.get(path) is not prepared.records.get(path)}
    if differing:
        prepared = prepared.after(differing)
    return replace(prepared, revision=snapshot.revision + 1)


def _size_of(text: Text) -> int:
    return len(text.data) + text.starts.nbytes


def _is_read(path: str) -> bool:
    return language_of(path) is not None


def _difference(old: bytes, new: bytes) -> tuple[int, int, int]:
    """(start, old end, new end) of the one stretch in which two texts differ."""
    shorter = min(len(old), len(new))
    a, b = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
    unequal = a[:shorter] != b[:shorter]
    start = int(unequal.argmax()) if unequal.any() else shorter
    unequal = a[len(a) - shorter :][::-1] != b[len(b) - shorter :][::-1]
    same_end = int(unequal.argmax()) if unequal.any() else shorter
    same_end = min(same_end, shorter - start)
    return start, len(old) - same_end, len(new) - same_end


def _no_encoding(_: str) -> Callable[[str], list[int]]:
    return lambda text: []


@cache
def _reader_fingerprint() -> str:
    """Changes whenever a record of the same text could: a digest of this package's sources."""
    digest = hashlib.blake2b(digest_size=12)
    try:
        for source in sorted(path for path in Path(__file__).parent.rglob("*.*") if path.suffix in (".py", ".scm")):
            digest.update(source.read_bytes())
        digest.update(languages.fingerprint().encode())
    except OSError:
        log.debug("the sources cannot be read; going by the version")
    with suppress(PackageNotFoundError):
        digest.update(version("engram-ls").encode())
    return digest.hexdigest()


def _fingerprint(coding: Coding) -> str:
    return f"{_reader_fingerprint()}:{coding.name}:{coding.vocab_size}"
