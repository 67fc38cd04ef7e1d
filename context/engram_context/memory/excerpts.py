"""Pieces of the project that are about the same names as a place in it: BM25 over windows of about twenty lines.

The names come from the files' records, so nothing is read until an excerpt is chosen, and a record that is another one
than last time is all that has to be indexed again. Windows are stretches of bytes, side by side; where a window is
chosen, the excerpt is the whole lines in it.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Span

# About twenty lines of Python.
_WINDOW = 700
_K1 = 1.2
_B = 0.75
# So many changed files are searched one by one before everything is sorted anew.
_LOOSE = 64
_NAME = re.compile(r"[^\W\d]\w+")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a file chosen for a prompt. `why` names the rarest shared names."""

    path: str
    span: Span
    text: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class _File:
    """Which names (by hash) stand in which window of a file, and how often. One row for each pair."""

    record: FileRecord
    terms: NDArray[np.uint32]
    windows: NDArray[np.int32]
    counts: NDArray[np.float32]
    lengths: NDArray[np.float32]  # names in each window


@dataclass(slots=True)
class _Sorted:
    """Many files' rows sorted by name. Windows are numbered through: file i has firsts[i] : firsts[i + 1]."""

    paths: tuple[str, ...] = ()
    firsts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    terms: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    windows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    lengths: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))


class Excerpts:
    """The windows of a project. Follows whatever snapshot it is asked about; any thread, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}
        self._sorted = _Sorted()
        self._loose: set[str] = set()

    def find(
        self, snapshot: Snapshot, terms: Iterable[str], budget: int, exclude: Collection[str] = ()
    ) -> tuple[Excerpt, ...]:
        """The best excerpts for `terms` (repetition counts), best first, of at most `budget` bytes together.

        `exclude`: paths to leave out, such as the file that is asked from.
        """
        wanted = Counter(terms)
        if not wanted or budget <= 0:
            return ()
        with self._lock:
            self._follow(snapshot)
            ranked = self._rank(wanted, frozenset(exclude))
        chosen: list[Excerpt] = []
        for path, window, why in ranked:
            excerpt = _excerpt(snapshot, path, window, why)
            size = len(excerpt.text.encode("utf-8", "surrogatepass")) if excerpt is not None else 0
            if excerpt is None or size > budget:
                continue
            budget -= size
            chosen.append(excerpt)
            if budget < _WINDOW // 4:
                break
        return tuple(chosen)

    def _follow(self, snapshot: Snapshot) -> None:
        """Index the records that are other ones than last time."""
        records = snapshot.records
        for path in self._files.keys() - records.keys():
            del self._files[path]
            self._loose.add(path)
        for path, record in records.items():
            known = self._files.get(path)
            if known is None or known.record is not record:
                self._files[path] = _file_of(record)
                self._loose.add(path)
        if len(self._loose) > _LOOSE:
            self._sorted = _sort(self._files)
            self._loose = set()

    def _rank(self, wanted: Counter[str], exclude: frozenset[str]) -> list[tuple[str, int, str]]:
        hashes = np.array([_hash(name) for name in wanted], np.uint32)
        base = self._sorted
        loose = [(path, self._files[path]) for path in sorted(self._loose) if path in self._files]
        # Windows of the loose files are numbered after the sorted ones.
        firsts = np.cumsum([base.firsts[-1], *(len(file.lengths) for _, file in loose)])
        lengths = np.concatenate([base.lengths, *(file.lengths for _, file in loose)])
        alive = np.ones(len(lengths), np.bool_)
        for number, path in enumerate(base.paths):
            if path in exclude or path in self._loose:
                alive[base.firsts[number] : base.firsts[number + 1]] = False
        for number, (path, _) in enumerate(loose):
            if path in exclude:
                alive[firsts[number] : firsts[number + 1]] = False
        if not alive.any():
            return []
        mean = float(lengths[alive].mean()) or 1.0
        norm = _K1 * (1 - _B + _B * lengths / mean)
        total = float(alive.sum())
        scores = np.zeros(len(lengths), np.float32)
        rare: list[tuple[float, str, NDArray[np.int64]]] = []
        for name, term in zip(wanted, hashes, strict=True):
            low, high = base.terms.searchsorted(term, "left"), base.terms.searchsorted(term, "right")
            windows = [base.windows[low:high]]
            counts = [base.counts[low:high]]
            for number, (_, file) in enumerate(loose):
                rows = np.flatnonzero(file.terms == term)
                windows.append(file.windows[rows].astype(np.int64) + firsts[number])
                counts.append(file.counts[rows])
            window, count = np.concatenate(windows), np.concatenate(counts)
            keep = alive[window]
            window, count = window[keep], count[keep]
            if not len(window):
                continue
            weight = float(np.log(1 + (total - len(window) + 0.5) / (len(window) + 0.5)))
            weight *= min(wanted[name], 3) ** 0.5
            scores[window] += weight * count * (_K1 + 1) / (count + norm[window])
            rare.append((weight, name, window))
        best = np.argsort(-scores, kind="stable")[:64]
        rare.sort(key=lambda item: -item[0])
        answer: list[tuple[str, int, str]] = []
        for window in best.tolist():
            if scores[window] <= 0:
                break
            shared = [name for _, name, windows in rare if window in windows][:4]
            why = "shares " + ", ".join(shared)
            if window < base.firsts[-1]:
                number = int(base.firsts.searchsorted(window, "right")) - 1
                answer.append((base.paths[number], window - int(base.firsts[number]), why))
            else:
                number = int(firsts.searchsorted(window, "right")) - 1
                answer.append((loose[number][0], window - int(firsts[number]), why))
        return answer


def names_in(text: str) -> list[str]:
    """The identifiers of a stretch of text, as search terms."""
    return _NAME.findall(text)


def _hash(name: str) -> int:
    return crc32(name.encode("utf-8", "surrogatepass"))


def _file_of(record: FileRecord) -> _File:
    starts = np.array(record.occurrences.start, np.int64)
    windows = starts // _WINDOW
    count = int(windows[-1]) + 1 if len(windows) else 0
    hashes = np.array([_hash(name) for name in record.names], np.uint64)
    pairs = hashes[np.array(record.occurrences.name, np.int64)] << np.uint64(32) | windows.astype(np.uint64)
    unique, counts = np.unique(pairs, return_counts=True)
    return _File(
        record,
        (unique >> np.uint64(32)).astype(np.uint32),
        (unique & np.uint64(0xFFFFFFFF)).astype(np.int32),
        counts.astype(np.float32),
        np.bincount(windows, minlength=count).astype(np.float32),
    )


def _sort(files: dict[str, _File]) -> _Sorted:
    values = tuple(files.values())
    firsts = np.cumsum([0, *(len(file.lengths) for file in values)])
    terms = np.concatenate([np.zeros(0, np.uint32), *(file.terms for file in values)])
    windows = np.concatenate(
        [np.zeros(0, np.int64), *(file.windows + first for file, first in zip(values, firsts, strict=False))]
    )
    counts = np.concatenate([np.zeros(0, np.float32), *(file.counts for file in values)])
    lengths = np.concatenate([np.zeros(0, np.float32), *(file.lengths for file in values)])
    order = np.argsort(terms, kind="stable")
    return _Sorted(tuple(files), firsts, terms[order], windows[order], counts[order], lengths)


def _excerpt(snapshot: Snapshot, path: str, window: int, why: str) -> Excerpt | None:
    text = snapshot.text(path)
    if text is None or not len(text):
        return None
    first = text.line_of(min(window * _WINDOW, len(text)))
    last = text.line_of(min((window + 1) * _WINDOW, len(text)))
    start, end = text.line_start(first), text.line_start(last) if last > first else len(text)
    span = Span(start, max(end, start))
    content = text.slice(span)
    return Excerpt(path, span, content, why) if content.strip() else None
