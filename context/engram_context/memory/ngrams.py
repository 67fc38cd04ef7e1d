"""The n-gram memory of a project: every context that ever stood in it, at every length, exactly.

`NgramMemory` keeps one large segment and a few small ones. A changed file is marked dead where it was and sorted anew
into a small segment (0.4 ms for a thousand lines); small segments are merged when they grow alike in size, so the
number of segments stays logarithmic and each token is sorted a logarithmic number of times.

Threads: segments are immutable values, deaths included (`alive` is copied on write, one byte per file). A writer
replaces one tuple of segments under a lock; a reader takes that tuple once, in `view`, and waits for nobody.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engram_context.memory.matches import MemoryView
from engram_context.memory.prior import Table, load_table
from engram_context.memory.segments import Compaction, Segment, Tokens, make_segment, token_type

# Small segments are merged at once when the result is at most this long; larger merges wait for `compaction`.
_MERGE_INLINE = 1 << 18
# Tokens of the open document that a view indexes on each side of the cursor: some 3,000 and 1,500 lines.
_BEFORE = 1 << 15
_AFTER = 1 << 14

_generations = itertools.count(1)


class NgramMemory:
    """Every n-gram of a project's files, by path; changed by whole files, read through views."""

    def __init__(self, vocab_size: int, table: Table | None = None) -> None:
        """`vocab_size`: token ids are 1 .. vocab_size - 1 (0 separates files). `table`: the prior's learned weights."""
        self._dtype = token_type(vocab_size)
        self._vocab_size = vocab_size
        self._table = table if table is not None else load_table()
        self._lock = threading.Lock()
        self._segments: tuple[Segment, ...] = ()
        self._places: dict[str, tuple[int, int]] = {}  # path -> (number of its segment, number within it)
        self._numbers = itertools.count()
        self._directories: dict[str, int] = {}
        self._generation = next(_generations)

    @property
    def generation(self) -> int:
        """Grows with every change; equal generations mean equal answers, across all memories of this process."""
        return self._generation

    @property
    def bytes(self) -> int:
        """Bytes held by the index."""
        return sum(s.bytes for s in self._segments)

    @property
    def tokens(self) -> int:
        """Tokens of all files, separators left out."""
        return sum(s.live for s in self._segments)

    @property
    def paths(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._places)

    def text(self, path: str) -> NDArray[np.unsignedinteger] | None:
        """The tokens that are held for `path`."""
        for segment in self._segments:
            number = segment.numbers.get(path)
            if number is not None and segment.alive[number]:
                return segment.text(number)
        return None

    def update(self, changes: Mapping[str, Tokens | None]) -> None:
        """Replace the tokens of each path; None forgets it. Raises ValueError for a token outside the vocabulary."""
        if not changes:
            return
        added: list[tuple[str, int, NDArray[np.unsignedinteger]]] = []
        for path, tokens in changes.items():
            if tokens is not None:
                added.append((path, self._directory(path), self._checked(path, tokens)))
        new = make_segment(added, self._dtype) if added else None
        with self._lock:
            segments = self._buried(changes)
            if new is not None:
                segments.append(self._registered(new))
            self._segments = tuple(self._merged(segments))
            self._generation = next(_generations)

    def compaction(self) -> Compaction | None:
        """The merge that is due, if any: run it off-thread, then `install` its result."""
        with self._lock:
            segments = self._segments
        if len(segments) > 1 and _due(segments[0], segments[1:]):
            return Compaction(segments)
        if segments:
            base = segments[0]
            held = len(base.tokens) - len(base.paths) - 1
            if base.live * 4 < held * 3:
                return Compaction(segments)
        return None

    def install(self, compaction: Compaction, merged: Segment) -> None:
        """Put a finished compaction in place; what was changed while it ran stays changed."""
        with self._lock:
            old = {s.number for s in compaction.sources}
            dead = [i for i, p in enumerate(merged.paths) if self._places.get(p, (-1, 0))[0] not in old]
            kept = [s for s in self._segments if s.number not in old]
            merged = self._registered(merged.without(dead))
            self._segments = (merged, *kept) if merged.alive.any() else tuple(kept)
            self._generation = next(_generations)

    def compact(self) -> None:
        """Merge now whatever is due, on this thread."""
        due = self.compaction()
        if due is not None:
            self.install(due, due.run())

    def view(self, path: str | None = None, before: Tokens | None = None, after: Tokens | None = None) -> MemoryView:
        """The memory as seen from `path`: its file and directory count as nearer scopes.

        `before` and `after` are the open document's own tokens on the two sides of the cursor; when either is given
        they stand in for whatever the memory holds for `path`, so that the text at the cursor never predicts itself.
        """
        segments = self._segments
        directory = self._directories.get(_parent(path), -1) if path is not None else -1
        overlaid = before is not None or after is not None
        pairs: list[tuple[Segment, NDArray[np.uint8]]] = []
        for segment in segments:
            scope = segment.alive.astype(np.uint8)
            if directory >= 0:
                scope += (segment.directories == directory) & segment.alive
            own = segment.numbers.get(path) if path is not None else None
            if own is not None and segment.alive[own]:
                scope[own] = 0 if overlaid else 3
            if scope.any():
                pairs.append((segment, scope))
        if overlaid:
            sides = [(path or "", -1, self._checked(path or "", side)) for side in self._sides(before, after)]
            overlay = make_segment(sides, self._dtype)
            pairs.append((overlay, np.full(len(sides), 3, np.uint8)))
        return MemoryView(tuple(pairs), self._vocab_size, self._table)

    @staticmethod
    def _sides(before: Tokens | None, after: Tokens | None) -> list[Tokens]:
        sides: list[Tokens] = []
        if before is not None:
            sides.append(before[-_BEFORE:])
        if after is not None:
            sides.append(after[:_AFTER])
        return sides

    def _checked(self, path: str, tokens: Tokens) -> NDArray[np.unsignedinteger]:
        array = np.asarray(tokens)
        if array.size == 0:
            return np.zeros(0, self._dtype)
        if array.min() < 0 or array.max() >= self._vocab_size:
            raise ValueError(f"{path}: token ids must lie in 0 .. {self._vocab_size - 1}")
        return array.astype(self._dtype, copy=False)

    def _directory(self, path: str) -> int:
        return self._directories.setdefault(_parent(path), len(self._directories))

    def _registered(self, segment: Segment) -> Segment:
        """`segment` under a number of its own, its living files to be found there."""
        segment = replace(segment, number=next(self._numbers))
        for i, path in enumerate(segment.paths):
            if segment.alive[i]:
                self._places[path] = (segment.number, i)
        return segment

    def _buried(self, paths: Iterable[str]) -> list[Segment]:
        """The present segments with `paths` marked dead; segments with nothing alive are dropped."""
        dead: dict[int, list[int]] = {}
        for path in paths:
            place = self._places.pop(path, None)
            if place is not None:
                dead.setdefault(place[0], []).append(place[1])
        segments: list[Segment] = []
        for segment in self._segments:
            kept = segment.without(dead.get(segment.number, []))
            if kept.alive.any():
                segments.append(kept)
        return segments

    def _merged(self, segments: list[Segment]) -> list[Segment]:
        """Merge the newest small segments while they are alike in size: sizes stay geometric, their number small."""
        while len(segments) > 1:
            last, previous = segments[-1], segments[-2]
            size = last.live + previous.live
            if size > _MERGE_INLINE or not _due(previous, [last]):
                break
            segments[-2:] = [self._registered(Compaction((previous, last)).run())]
        return segments


def _due(older: Segment, newer: Iterable[Segment]) -> bool:
    return sum(s.live for s in newer) * 2 >= older.live


def _parent(path: str | None) -> str:
    return path.rpartition("/")[0] if path is not None else ""
