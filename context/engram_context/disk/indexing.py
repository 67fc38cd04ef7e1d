"""Reading a project's files: in this process when they are few, in a few others when they are many.

The tree-sitter binding and the tokenizer hold the interpreter's lock for most of their time, so threads would not help.
Worker processes are spawned (the same on every system), run at low priority, get batches of paths and return bytes: a
record and token ids in the form in which the store keeps them.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engram_context.disk.builtin_rules import is_private
from engram_context.disk.ignore import FileState
from engram_context.disk.store import Entry
from engram_context.languages import is_code, language_of
from engram_context.languages.plain import is_data, reason_against
from engram_context.memory.lines import Encode, LineEncoder
from engram_context.reader import read_names, read_record
from engram_context.text import READ_LIMIT, Text, Unreadable, decode, read_text

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]

# Starting workers costs about a second: below this many bytes one process is done sooner.
_WORTH_WORKERS = 1_500_000
_BATCH_BYTES = 100_000
_SOON_BYTES = 50_000
# Lines whose tokens a process remembers.
_REMEMBERED = 1 << 14
# How long a question waits for a batch that a process has begun, in seconds: this thread would take as long itself.
_SOON = 0.03
# A batch takes a fraction of a second: of processes that are not heard of for so many seconds nothing is expected.
_PATIENCE = 30.0
# A file changed this recently may change again within the resolution of its time stamp.
_SETTLED_NS = 2_000_000_000

_BROKEN = (BrokenProcessPool, OSError, RuntimeError, EOFError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Coding:
    """How text becomes tokens, in a form that can be sent to another process.

    `load(argument)` gives the encoding function; `load` must be a function at the top of a module. `name` changes when
    the token ids would.
    """

    load: Callable[[str], Encode]
    argument: str
    vocab_size: int
    name: str

    @property
    def dtype(self) -> str:
        return "<u2" if self.vocab_size <= 1 << 16 else "<u4"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be read: how it looked, and the digest of what is known of it (empty when nothing is)."""

    state: FileState
    digest: bytes = b""


Batch = list[tuple[str, Wanted]]
_Batched = Future[list[tuple[str, Entry | FileState]]]

Parts = Literal["names", "tokens", "all"]
"""What is wanted of a file: an entry with its record alone, with its tokens alone, or with both."""


def read_entry(
    root: Path,
    path: str,
    wanted: Wanted,
    encode: LineEncoder | None,
    dtype: str,
    parts: Parts = "all",
    largest: int = READ_LIMIT,
) -> Entry | FileState:
    """Read one file of at most `largest` bytes; only its state when its content is what is known. Never raises: what
    cannot be read is an entry with a reason. Nobody encodes where only names are wanted, or may be known."""
    state = wanted.state
    # The state was taken before the file is read, so a change in between is seen as one next time; only a change within
    # the time stamp's resolution could hide.
    mtime_ns = state.mtime_ns if time.time_ns() - state.mtime_ns > _SETTLED_NS else -1
    text = read_text(root / path, largest)
    if isinstance(text, Unreadable):
        return Entry(mtime_ns, state.size, b"", b"", b"", text.reason)
    if text.digest == wanted.digest:
        return FileState(mtime_ns, state.size)
    language = language_of(path) or ""
    reason = None if language == "python" else reason_against(text.data, is_code(language))
    if reason is not None:
        return Entry(mtime_ns, state.size, b"", b"", b"", reason)
    try:
        private = is_private(path.rpartition("/")[2])
        read = read_names if private else read_record
        record = b"" if parts == "tokens" else read(text, language).to_bytes()
        untold = parts == "names" or encode is None or private
        untold = untold or (language != "python" and is_data(text.data))
        tokens = b"" if untold or encode is None else tokens_of(text, encode, dtype)
        return Entry(mtime_ns, state.size, text.digest, record, tokens)
    except Exception as problem:  # one bad file must not take the project down
        log.warning("%s could not be read: %s", path, type(problem).__name__)
        return Entry(mtime_ns, state.size, b"", b"", b"", f"the reader failed ({type(problem).__name__})")


def tokens_of(text: Text, encode: LineEncoder, dtype: str) -> bytes:
    """The text's token ids as bytes. Id 0 separates files and is left out."""
    ids = encode(decode(text.data).encode("utf-8", "replace").decode("utf-8"))
    return ids[ids != 0].astype(dtype).tobytes()


def read_entries(
    root: Path,
    files: Mapping[str, Wanted],
    coding: Coding,
    encode: LineEncoder,
    workers: int,
    progress: Progress,
    cancelled: Cancelled,
    largest: int = READ_LIMIT,
    parts: Parts = "all",
) -> Iterator[tuple[str, Entry | FileState]]:
    """Read `files`, in any order; stops early when `cancelled()`. `workers` 0 or 1 means this process."""
    readers = Readers(root, coding, encode, workers, largest, in_background=False)
    try:
        yield from readers.read(files, parts, progress, cancelled)
    finally:
        readers.close()


class Readers:
    """Reads files: here where they are few, in processes of its own where they are many. One thread reads all that
    there is, while others may `read_soon` what a question waits for."""

    def __init__(
        self,
        root: Path,
        coding: Coding,
        encode: LineEncoder,
        workers: int,
        largest: int = READ_LIMIT,
        *,
        in_background: bool = True,
    ) -> None:
        """`workers` 0 or 1 means this process. Files of more than `largest` bytes are not read. `in_background`: nobody
        waits for all of them, so other processes go first."""
        self._largest = largest
        self._in_background = in_background
        self._root = root
        self._coding = coding
        self._encode = encode
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def start(self) -> None:
        """Begin the processes: a lot is to be read."""
        if self._workers < 2 or self._pool is not None:
            return
        context = multiprocessing.get_context("spawn")
        try:
            pool = ProcessPoolExecutor(
                self._workers,
                context,
                _start_worker,
                (str(self._root), self._coding, self._largest, self._in_background),
            )
            for _ in range(self._workers):
                pool.submit(_nothing)
            self._pool = pool
        except (OSError, RuntimeError) as problem:
            self._give_up(problem)

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def read(
        self,
        files: Mapping[str, Wanted],
        parts: Parts,
        progress: Progress,
        cancelled: Cancelled,
        known: Callable[[str], Entry | None] = lambda _: None,
    ) -> Iterator[tuple[str, Entry | FileState]]:
        """Read `files`, in any order; stops early when `cancelled()`. Those that are `known` when their turn comes are
        not read."""
        total = len(files)
        done = 0
        remaining = dict(files)
        if sum(file.state.size for file in files.values()) >= _WORTH_WORKERS:
            self.start()
        try:
            for path, entry in self._in_processes(files, parts, cancelled, known) if self._pool is not None else ():
                done += 1
                del remaining[path]
                progress(done, total, path)
                yield path, entry
        except _BROKEN as problem:
            self._give_up(problem)
        for path, wanted in remaining.items():
            if cancelled():
                return
            entry = known(path) or self._read_here(path, wanted, parts)
            done += 1
            progress(done, total, path)
            yield path, entry

    def read_soon(self, files: Mapping[str, Wanted]) -> Iterator[tuple[str, Entry]]:
        """The names of a few files, before all that nobody has begun to read. This thread helps."""
        rest = deque(_batches(files, _SOON_BYTES))
        begun: list[tuple[Batch, _Batched]] = []
        found: list[tuple[str, Entry | FileState]] = []
        while rest:
            while len(rest) > 1 and sum(not future.done() for _, future in begun) <= self._workers:
                future = self._submitted(rest[0])
                if future is None:
                    break
                begun.append((rest.popleft(), future))
            found += [(path, self._read_here(path, wanted, "names")) for path, wanted in rest.pop()]
        # What others have begun is soon done, unless the machine is busy and they, at low priority, do not get on.
        for batch, future in begun:
            try:
                found += future.result(_SOON)
            except (*_BROKEN, CancelledError, TimeoutError):
                found += [(path, self._read_here(path, wanted, "names")) for path, wanted in batch]
        for path, entry in found:
            if isinstance(entry, Entry):
                yield path, entry

    def _submitted(self, batch: Batch) -> _Batched | None:
        pool = self._pool
        if pool is None:
            return None
        try:
            return pool.submit(_read_batch, batch, "names")
        except _BROKEN:  # or closed just now
            return None

    def _read_here(self, path: str, wanted: Wanted, parts: Parts) -> Entry | FileState:
        return read_entry(self._root, path, wanted, self._encode, self._coding.dtype, parts, self._largest)

    def _give_up(self, problem: BaseException) -> None:
        log.warning("worker processes failed (%s: %s); reading on in this one", type(problem).__name__, problem)
        self.close()
        self._workers = 0

    def _in_processes(
        self, files: Mapping[str, Wanted], parts: Parts, cancelled: Cancelled, known: Callable[[str], Entry | None]
    ) -> Iterator[tuple[str, Entry | FileState]]:
        pool = self._pool
        assert pool is not None
        # Only a few batches wait at a time, so that a cancel takes effect soon, results do not pile up, and what is
        # to be read soon has its turn soon.
        waiting: set[_Batched] = set()
        rest = deque(_batches(files))
        heard = time.monotonic()
        while waiting or rest:
            if cancelled():
                return
            while rest and len(waiting) <= self._workers:
                batch = rest.popleft()
                there = [(path, entry) for path, _ in batch if (entry := known(path)) is not None]
                yield from there
                if len(there) < len(batch):
                    missing = [item for item in batch if item[0] not in dict(there)]
                    waiting.add(pool.submit(_read_batch, missing, parts))
            finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            if finished:
                heard = time.monotonic()
            elif time.monotonic() - heard > _PATIENCE:
                raise EOFError("nothing heard of them")
            for future in finished:
                yield from future.result()


def _batches(files: Mapping[str, Wanted], least: int | None = None) -> list[Batch]:
    """Files in batches of at least so many bytes, the largest files first."""
    least = _BATCH_BYTES if least is None else least
    batches: list[Batch] = []
    size = least
    for path, wanted in sorted(files.items(), key=lambda item: -item[1].state.size):
        if size >= least:
            batches.append([])
            size = 0
        batches[-1].append((path, wanted))
        size += wanted.state.size + 500
    return batches


@dataclass(slots=True)
class _Worker:
    root: Path
    coding: Coding
    largest: int
    encode: LineEncoder | None = None  # loaded when tokens are wanted


_worker: _Worker | None = None


def _start_worker(root: str, coding: Coding, largest: int, in_background: bool) -> None:
    global _worker
    if in_background:
        _lower_priority()
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A worker must not outlive a server that was killed.
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    _worker = _Worker(Path(root), coding, largest)


def _nothing() -> None:
    """Makes a pool begin a process."""


def _read_batch(batch: Sequence[tuple[str, Wanted]], parts: Parts) -> list[tuple[str, Entry | FileState]]:
    worker = _worker
    assert worker is not None
    coding = worker.coding
    if parts != "names" and worker.encode is None:
        worker.encode = LineEncoder(coding.load(coding.argument), _REMEMBERED)
    return [
        (path, read_entry(worker.root, path, wanted, worker.encode, coding.dtype, parts, worker.largest))
        for path, wanted in batch
    ]


def _lower_priority() -> None:
    with suppress(OSError, ImportError, AttributeError):
        if sys.platform == "win32":
            import psutil

            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            os.nice(5)
