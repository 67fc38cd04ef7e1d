"""The n-gram memory of a project: every context that ever stood in it, at every length, exactly.

A `Segment` holds the token ids of some files and the positions of those tokens sorted by the text *before* them, newest
token first (a suffix array over reversed contexts). One binary search then finds all positions whose last one, two,
three... tokens equal a query; longer matches are filtered out of that small range by comparing tokens, so match length
has no limit and nothing is hashed away. What followed in the project is simply the token after each position, and
which file, directory or project it came from is read off the position's file.

`NgramMemory` keeps one large segment and a few small ones. A changed file is marked dead where it was and sorted anew
into a small segment (0.4 ms for a thousand lines); small segments are merged when they grow alike in size, so the
number of segments stays logarithmic and each token is sorted a logarithmic number of times.

Threads: segments are immutable values, deaths included (`alive` is copied on write, one byte per file). A writer
replaces one tuple of segments under a lock; a reader takes that tuple once, in `view`, and waits for nobody.

Files are enclosed by the separator token 0. A context never reaches across one.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engram_context.prior import Table, Weighed, interpolate, load_table

SEPARATOR = 0

Tokens = Sequence[int] | NDArray[Any]

# Positions looked at per segment: contexts that are more common are sampled with a stride and their counts scaled up.
# Sorted order makes a stride a stratified sample over the longer contexts, so few are needed for a good distribution.
_SAMPLE = 384
# The same for positions that match every packed token: these decide the long matches, so more of them are looked at.
_DEEP_SAMPLE = 2048
# Small segments are merged at once when the result is at most this long; larger merges wait for `compaction`.
_MERGE_INLINE = 1 << 18
# A context longer than this says nothing more about the next token.
_NEXT_CONTEXT = 32
_LONGEST = 256
# Tokens of the open document that a view indexes on each side of the cursor: some 3,000 and 1,500 lines.
_BEFORE = 1 << 15
_AFTER = 1 << 14

_generations = itertools.count(1)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Some files' tokens and the sorted order of their contexts. n tokens, f files, m tokens that another follows."""

    tokens: NDArray[np.unsignedinteger]  # [n]: separator, file, separator, file, ..., separator
    files: NDArray[np.unsignedinteger]  # [n]: which file a position belongs to
    order: NDArray[np.int32]  # [m]: positions with a token after them, sorted by their keys
    keys: NDArray[np.uint64]  # [m]: the last four (two) tokens up to a position, newest in the highest bits
    starts: NDArray[np.int64]  # [f + 1]: file i's tokens are starts[i] : starts[i + 1] - 1
    paths: tuple[str, ...]
    numbers: Mapping[str, int]  # path -> its number among the paths
    directories: NDArray[np.int32]  # [f]
    alive: NDArray[np.bool_]  # [f]
    number: int = -1  # what the memory calls it

    @property
    def bytes(self) -> int:
        return sum(a.nbytes for a in (self.tokens, self.files, self.order, self.keys, self.starts, self.alive))

    @property
    def live(self) -> int:
        """Tokens of the files that are alive."""
        return int((np.diff(self.starts) - 1)[self.alive].sum())

    def text(self, index: int) -> NDArray[np.unsignedinteger]:
        return self.tokens[self.starts[index] : self.starts[index + 1] - 1]

    def without(self, indices: Sequence[int]) -> Segment:
        if not indices:
            return self
        alive = self.alive.copy()
        alive[indices] = False
        return replace(self, alive=alive)


def _token_type(vocab_size: int) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if vocab_size <= 1 << 16 else np.uint32


def _segment(
    files: Sequence[tuple[str, int, NDArray[np.unsignedinteger]]], dtype: type[np.uint16] | type[np.uint32]
) -> Segment:
    """Sort `files` (path, directory number, tokens) into one segment."""
    lengths = np.fromiter((len(t) + 1 for _, _, t in files), np.int64, len(files))
    starts = np.empty(len(files) + 1, np.int64)
    starts[0] = 1
    np.cumsum(lengths, out=starts[1:])
    starts[1:] += 1
    total = int(starts[-1])
    if total >= 1 << 31:
        raise ValueError(f"a project of {total:,} tokens does not fit the n-gram memory (at most 2,147,483,647)")
    tokens = np.zeros(total, dtype)
    for (_, _, ids), start in zip(files, starts, strict=False):
        tokens[start : start + len(ids)] = ids
    owners = np.zeros(total, np.uint16 if len(files) <= 1 << 16 else np.uint32)
    owners[1:] = np.repeat(np.arange(len(files)), lengths)
    # The last token of a file has nothing after it: for an open document that is the cursor.
    order = np.flatnonzero((tokens[:-1] != SEPARATOR) & (tokens[1:] != SEPARATOR)).astype(np.int32)
    keys = _pack(tokens)[order]
    sort = np.argsort(keys)
    return Segment(
        tokens=tokens,
        files=owners,
        order=order[sort],
        keys=keys[sort],
        starts=starts,
        paths=tuple(path for path, _, _ in files),
        numbers={path: number for number, (path, _, _) in enumerate(files)},
        directories=np.fromiter((d for _, d, _ in files), np.int32, len(files)),
        alive=np.ones(len(files), np.bool_),
    )


def _pack(tokens: NDArray[np.unsignedinteger]) -> NDArray[np.uint64]:
    """The sort key of every position: as many of its last tokens as 64 bits hold."""
    bits = tokens.dtype.itemsize * 8
    wide = tokens.astype(np.uint64)
    keys = wide << np.uint64(64 - bits)
    for back in range(1, 64 // bits):
        keys[back:] |= wide[:-back] << np.uint64(64 - bits * (back + 1))
    return keys


@dataclass(frozen=True, slots=True)
class Compaction:
    """Segments that should become one. `run` may be called on any thread; `NgramMemory.install` takes its result."""

    sources: tuple[Segment, ...]

    def run(self) -> Segment:
        files = [
            (path, int(source.directories[i]), source.text(i))
            for source in self.sources
            for i, path in enumerate(source.paths)
            if source.alive[i]
        ]
        return _segment(files, _token_type_of(self.sources[0]))


def _token_type_of(segment: Segment) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if segment.tokens.dtype.itemsize == 2 else np.uint32


class NgramMemory:
    """Every n-gram of a project's files, by path; changed by whole files, read through views."""

    def __init__(self, vocab_size: int, table: Table | None = None) -> None:
        """`vocab_size`: token ids are 1 .. vocab_size - 1 (0 separates files). `table`: the prior's learned weights."""
        self._dtype = _token_type(vocab_size)
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
        new = _segment(added, self._dtype) if added else None
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
            overlay = _segment(sides, self._dtype)
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


@dataclass(frozen=True, slots=True)
class Found:
    """Positions that share the end of a context. All arrays have one entry per position."""

    tokens: NDArray[np.unsignedinteger]  # what followed
    lengths: NDArray[np.int32]  # how many tokens before it agree
    scopes: NDArray[np.uint8]  # 1 project, 2 its directory, 3 its file
    weights: NDArray[np.float32]  # how many positions each one stands for


class MemoryView:
    """The memory at one moment, seen from one place. Used by one thread at a time; never changes its mind.

    It satisfies a decoder's drafter (`propose`, `draft`) and prior (`next`). `tokens` is always the text right before
    the token in question, oldest first.
    """

    __slots__ = ("_dtype", "_segments", "_table", "_vocab_size")

    def __init__(self, segments: tuple[tuple[Segment, NDArray[np.uint8]], ...], vocab_size: int, table: Table) -> None:
        self._segments = segments
        self._dtype = _token_type(vocab_size)
        self._vocab_size = vocab_size
        self._table = table

    def find(self, tokens: Tokens) -> Found | None:
        """All positions whose last token is the context's last (sampled where there are very many), if any."""
        query = _query(tokens, _NEXT_CONTEXT, self._dtype)
        if query is None:
            return None
        parts = [part for segment, scope in self._segments if (part := _search(segment, scope, query)) is not None]
        if not parts:
            return None
        if len(parts) == 1:
            return parts[0]
        return Found(
            np.concatenate([p.tokens for p in parts]),
            np.concatenate([p.lengths for p in parts]),
            np.concatenate([p.scopes for p in parts]),
            np.concatenate([p.weights for p in parts]),
        )

    def distribution(self, tokens: Tokens) -> Weighed | None:
        """Everything the memory expects next, with probabilities; None if it has never seen the last token."""
        found = self.find(tokens)
        if found is None:
            return None
        return interpolate(found.tokens, found.lengths, found.scopes, found.weights, self._vocab_size, self._table)

    def next(self, tokens: Tokens, count: int = 64) -> tuple[NDArray[np.int32], NDArray[np.float32], float] | None:
        """The `count` likeliest next tokens (best first), their probabilities, and how far to trust them.

        The probabilities sum to at most 1: the rest is what the memory does not claim to know and belongs to the model.
        Mix as `(1 - w) * model + w * (probabilities + rest * model)`, with `w` the third value.
        """
        weighed = self.distribution(tokens)
        if weighed is None:
            return None
        ids, probabilities = weighed.ids, weighed.probabilities
        if len(ids) > count:
            best = np.argpartition(probabilities, len(ids) - count)[-count:]
            ids, probabilities = ids[best], probabilities[best]
        best = np.argsort(-probabilities, kind="stable")
        return ids[best].astype(np.int32), probabilities[best].astype(np.float32), weighed.trust

    def propose(self, tokens: Tokens, count: int) -> list[int]:
        """At most `count` tokens to try next: what stood after the longest match. Longer matches earn longer drafts."""
        draft, length = self.draft(tokens, count)
        return draft[: _draft_length(length, count)]

    def draft(self, tokens: Tokens, count: int) -> tuple[list[int], int]:
        """At most `count` tokens that stood after the longest match, and how many tokens matched (32 at most)."""
        best = self._longest(tokens, _NEXT_CONTEXT)
        if best is None or count <= 0:
            return [], 0
        segment, position, length = best
        draft: list[int] = segment.tokens[position + 1 : position + 1 + count].tolist()
        return draft[: draft.index(SEPARATOR)] if SEPARATOR in draft else draft, length

    def match_length(self, tokens: Tokens) -> int:
        """How many of the last tokens (256 at most) stood somewhere in the memory in just that order."""
        best = self._longest(tokens, _LONGEST)
        return best[2] if best is not None else 0

    def _longest(self, tokens: Tokens, most: int) -> tuple[Segment, int, int] | None:
        """(segment, position, length) of the longest match; the nearest scope wins, then the later position."""
        query = _query(tokens, most, self._dtype)
        if query is None:
            return None
        best = (0, 0)
        found: tuple[Segment, int, int] | None = None
        for segment, scope in reversed(self._segments):
            match = _deepest(segment, scope, query, best[0])
            if match is not None and match[:2] > best:
                best = match[:2]
                found = (segment, match[2], match[0])
        return found


def _draft_length(length: int, most: int) -> int:
    """Measured: a draft after a match of 1, 2-3, 4-8 tokens has 0.3, 0.9, 1.7 tokens accepted; longer ones many."""
    if length >= 9:
        return most
    if length >= 4:
        return 4
    return 2 if length >= 2 else 1


@dataclass(frozen=True, slots=True, eq=False)
class _Query:
    """A context made ready for every segment: newest token first, cut at a separator."""

    context: NDArray[np.int32]  # [c]
    lows: NDArray[np.uint64]  # [min(c, packed)]: the smallest and the largest key that
    highs: NDArray[np.uint64]  # agree with one, two, ... tokens
    packed: int  # how many tokens a key holds


def _query(tokens: Tokens, longest: int, dtype: type[np.uint16] | type[np.uint32]) -> _Query | None:
    recent = tokens[-longest:]
    backwards = [int(t) for t in reversed(recent)]
    if SEPARATOR in backwards:
        del backwards[backwards.index(SEPARATOR) :]
    bits = dtype().itemsize * 8
    packed = 64 // bits
    lows: list[int] = []
    highs: list[int] = []
    key = 0
    for token in backwards[:packed]:
        if not 0 < token < 1 << bits:
            break
        shift = 64 - bits * (len(lows) + 1)
        key |= token << shift
        lows.append(key)
        highs.append(key | ((1 << shift) - 1))
    if not lows:
        return None
    return _Query(np.array(backwards, np.int32), np.array(lows, np.uint64), np.array(highs, np.uint64), packed)


def _ranges(segment: Segment, query: _Query) -> list[tuple[int, int]]:
    """For each number of packed tokens, from one: the half-open range of `order` that agrees; stops when empty."""
    low = segment.keys.searchsorted(query.lows, "left").tolist()
    high = segment.keys.searchsorted(query.highs, "right").tolist()
    return [(a, b) for a, b in zip(low, high, strict=True) if a < b]


def _search(segment: Segment, scope: NDArray[np.uint8], query: _Query) -> Found | None:
    """Every (sampled) position of `segment` that agrees with at least the newest token of the context."""
    ranges = _ranges(segment, query)
    parts: list[NDArray[np.int32]] = []
    counts: list[int] = []
    shares: list[float] = []
    for length, (low, high) in enumerate(ranges, 1):
        if length < len(ranges):
            # Only those that agree in exactly `length` tokens: the next range lies inside this one.
            inner_low, inner_high = ranges[length]
            size = (inner_low - low) + (high - inner_high)
            step = -(-size // _SAMPLE) or 1
            parts += [segment.order[low:inner_low:step], segment.order[inner_high:high:step]]
            counts.append(len(parts[-1]) + len(parts[-2]))
        else:
            size = high - low
            step = -(-size // (_DEEP_SAMPLE if length == query.packed else _SAMPLE))
            parts.append(segment.order[low:high:step])
            counts.append(len(parts[-1]))
        shares.append(size / counts[-1] if counts[-1] else 0.0)
    if not ranges:
        return None
    positions = np.concatenate(parts)
    lengths = np.repeat(np.arange(1, len(ranges) + 1, dtype=np.int32), counts)
    weights = np.repeat(np.array(shares, np.float32), counts)
    if len(ranges) == query.packed:
        deep = counts[-1]
        lengths[-deep:] = _lengths(segment.tokens, positions[-deep:], query)
    scopes = scope.take(segment.files.take(positions))
    tokens = segment.tokens.take(positions + 1)
    if scopes.all():
        return Found(tokens, lengths, scopes, weights)
    keep = scopes > 0
    return Found(tokens[keep], lengths[keep], scopes[keep], weights[keep]) if keep.any() else None


def _lengths(tokens: NDArray[np.unsignedinteger], positions: NDArray[np.int32], query: _Query) -> NDArray[np.int32]:
    """How far each position agrees with the context, as many tokens as a key holds being sure.

    Index 0 of a segment is a separator, which no context holds: going back never leaves the array.
    """
    known = query.packed
    lengths = np.full(len(positions), known, np.int32)
    rows: NDArray[np.intp] | None = None
    here = positions
    while known < len(query.context) and len(here):
        # Few tokens at a time while there are many positions: most of them part ways at once.
        width = min(32 if len(here) <= 32 else 4, len(query.context) - known)
        back = here[:, None] - np.arange(known, known + width + 1, dtype=np.int32)
        np.maximum(back, 0, out=back)
        agree = np.zeros(back.shape, np.bool_)
        np.equal(tokens.take(back[:, :width]), query.context[known : known + width], out=agree[:, :width])
        count = agree.argmin(axis=1)  # the last column never agrees
        if rows is None:
            lengths += count.astype(np.int32)
        else:
            lengths[rows] += count.astype(np.int32)
        known += width
        whole = (count == width).nonzero()[0]
        here = here[whole]
        rows = whole if rows is None else rows[whole]
    return lengths


def _deepest(segment: Segment, scope: NDArray[np.uint8], query: _Query, least: int) -> tuple[int, int, int] | None:
    """(length, scope, position) of the longest match in one segment of at least `least` tokens; None without any."""
    ranges = _ranges(segment, query)
    for length in range(len(ranges), 0, -1):
        if length < query.packed and length < least:
            return None
        low, high = ranges[length - 1]
        # A range may hold dead files only; then the next shorter one decides.
        step = -(-(high - low) // _DEEP_SAMPLE)
        part = segment.order[low:high:step]
        scopes = scope.take(segment.files.take(part))
        if not scopes.all():
            keep = scopes > 0
            if not keep.any():
                continue
            part, scopes = part[keep], scopes[keep]
        if length < query.packed:
            longest = length
        else:
            lengths = _lengths(segment.tokens, part, query)
            longest = int(lengths.max())
            tied = lengths == longest
            part, scopes = part[tied], scopes[tied]
        nearest = int(scopes.max())
        return longest, nearest, int(part[scopes == nearest].max())
    return None
