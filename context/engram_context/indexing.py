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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engram_context.ignore import FileState
from engram_context.languages import language_of
from engram_context.lines import Encode, LineEncoder
from engram_context.reader import read_record
from engram_context.store import Entry
from engram_context.text import Text, Unreadable, decode, read_text

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]

# Starting workers costs about a second: below this many bytes one process is done sooner.
_WORTH_WORKERS = 1_500_000
_BATCH_BYTES = 200_000
# A file changed this recently may change again within the resolution of its time stamp.
_SETTLED_NS = 2_000_000_000

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


def read_entry(root: Path, path: str, wanted: Wanted, encode: LineEncoder, dtype: str) -> Entry | FileState:
    """Read one file; only its state when its content is what is known. Never raises: what cannot be read is an
    entry with a reason."""
    state = wanted.state
    # The state was taken before the file is read, so a change in between is seen as one next time; only a change within
    # the time stamp's resolution could hide.
    mtime_ns = state.mtime_ns if time.time_ns() - state.mtime_ns > _SETTLED_NS else -1
    text = read_text(root / path)
    if isinstance(text, Unreadable):
        return Entry(mtime_ns, state.size, b"", b"", b"", text.reason)
    if text.digest == wanted.digest:
        return FileState(mtime_ns, state.size)
    try:
        record = read_record(text, language_of(path) or "").to_bytes()
        return Entry(mtime_ns, state.size, text.digest, record, tokens_of(text, encode, dtype))
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
) -> Iterator[tuple[str, Entry | FileState]]:
    """Read `files`, in any order; stops early when `cancelled()`. `workers` 0 or 1 means this process."""
    total = len(files)
    done = 0
    remaining = dict(files)
    if workers > 1 and sum(file.state.size for file in files.values()) >= _WORTH_WORKERS:
        try:
            for path, entry in _in_workers(root, files, coding, workers, cancelled):
                done += 1
                del remaining[path]
                progress(done, total, path)
                yield path, entry
        except (BrokenProcessPool, OSError, RuntimeError, EOFError) as problem:
            log.warning("worker processes failed (%s: %s); reading on in this one", type(problem).__name__, problem)
    for path, wanted in remaining.items():
        if cancelled():
            return
        entry = read_entry(root, path, wanted, encode, coding.dtype)
        done += 1
        progress(done, total, path)
        yield path, entry


def _in_workers(
    root: Path, files: Mapping[str, Wanted], coding: Coding, workers: int, cancelled: Cancelled
) -> Iterator[tuple[str, Entry | FileState]]:
    batches = _batches(files)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(batches)), context, _start_worker, (str(root), coding))
    try:
        # Only a few batches wait at a time, so that a cancel takes effect soon and results do not pile up.
        waiting: set[Future[list[tuple[str, Entry | FileState]]]] = set()
        rest = iter(batches)
        for batch in rest:
            waiting.add(pool.submit(_read_batch, batch))
            if len(waiting) >= 2 * workers:
                break
        while waiting:
            if cancelled():
                return
            finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in finished:
                batch = next(rest, None)
                if batch is not None:
                    waiting.add(pool.submit(_read_batch, batch))
                yield from future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _batches(files: Mapping[str, Wanted]) -> list[list[tuple[str, Wanted]]]:
    """Files in batches of alike size, the largest files first."""
    batches: list[list[tuple[str, Wanted]]] = []
    size = _BATCH_BYTES
    for path, wanted in sorted(files.items(), key=lambda item: -item[1].state.size):
        if size >= _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append((path, wanted))
        size += wanted.state.size + 500
    return batches


@dataclass(frozen=True, slots=True)
class _Worker:
    root: Path
    encode: LineEncoder
    dtype: str


_worker: _Worker | None = None


def _start_worker(root: str, coding: Coding) -> None:
    global _worker
    _lower_priority()
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A worker must not outlive a server that was killed.
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    _worker = _Worker(Path(root), LineEncoder(coding.load(coding.argument)), coding.dtype)


def _read_batch(batch: Sequence[tuple[str, Wanted]]) -> list[tuple[str, Entry | FileState]]:
    assert _worker is not None
    root, encode, dtype = _worker.root, _worker.encode, _worker.dtype
    return [(path, read_entry(root, path, wanted, encode, dtype)) for path, wanted in batch]


def _lower_priority() -> None:
    with suppress(OSError, ImportError, AttributeError):
        if sys.platform == "win32":
            import psutil

            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            os.nice(10)
