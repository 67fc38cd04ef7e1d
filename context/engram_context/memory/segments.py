"""Token ids of some files, and the sorted order of everything that stands before a token in them.

A `Segment` holds the token ids of some files and the positions of those tokens sorted by the text *before* them, newest
token first (a suffix array over reversed contexts). One binary search then finds all positions whose last one, two,
three... tokens equal a query; longer matches are filtered out of that small range by comparing tokens, so match length
has no limit and nothing is hashed away. What followed in the project is simply the token after each position, and
which file, directory or project it came from is read off the position's file.

Files are enclosed by the separator token 0. A context never reaches across one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEPARATOR = 0
# Positions that are sorted at a time.
_STEP = 1 << 19

Tokens = Sequence[int] | NDArray[Any]


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


def token_type(vocab_size: int) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if vocab_size <= 1 << 16 else np.uint32


def make_segment(
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
    owners[1:] = np.repeat(np.arange(len(files), dtype=owners.dtype), lengths)
    # The last token of a file has nothing after it: for an open document that is the cursor.
    is_followed = tokens != SEPARATOR
    is_followed[:-1] &= is_followed[1:]
    is_followed[-1] = False
    order, keys = _sorted(tokens, is_followed)
    return Segment(
        tokens=tokens,
        files=owners,
        order=order,
        keys=keys,
        starts=starts,
        paths=tuple(path for path, _, _ in files),
        numbers={path: number for number, (path, _, _) in enumerate(files)},
        directories=np.fromiter((d for _, d, _ in files), np.int32, len(files)),
        alive=np.ones(len(files), np.bool_),
    )


def _sorted(
    tokens: NDArray[np.unsignedinteger], wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """The `wanted` positions sorted by their keys, and the keys. Those that begin with a few tokens at a time: a large
    project would need hundreds of megabytes to sort all of them at once."""
    count = int(np.count_nonzero(wanted))
    order, keys = np.empty(count, np.int32), np.empty(count, np.uint64)
    done = 0
    for first, last in _ranges(tokens, wanted, count):
        in_range = wanted if count <= _STEP else wanted & (tokens >= first) & (tokens <= last)
        positions = np.flatnonzero(in_range)
        found = _keys(tokens, positions)
        sort = np.argsort(found)
        end = done + len(positions)
        order[done:end] = positions[sort]
        keys[done:end] = found[sort]
        done = end
    return order, keys


def _ranges(tokens: NDArray[np.unsignedinteger], wanted: NDArray[np.bool_], count: int) -> Iterator[tuple[int, int]]:
    """(first, last) token of ranges that each have about as many wanted positions as are sorted at a time."""
    if count <= _STEP:
        yield 0, int(np.iinfo(tokens.dtype).max)
        return
    counts = np.zeros(int(tokens.max()) + 1, np.int64)
    for start in range(0, len(tokens), _STEP):
        step = slice(start, start + _STEP)
        counts += np.bincount(tokens[step][wanted[step]], minlength=len(counts))
    sums = np.cumsum(counts)
    first = 0
    while first < len(sums):
        before = int(sums[first - 1]) if first else 0
        last = max(int(np.searchsorted(sums, before + _STEP, "right")) - 1, first)
        yield first, last
        first = last + 1


def _keys(tokens: NDArray[np.unsignedinteger], positions: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The sort keys of positions: as many of their last tokens as 64 bits hold."""
    bits = tokens.dtype.itemsize * 8
    keys = tokens[positions].astype(np.uint64) << np.uint64(64 - bits)
    for back in range(1, 64 // bits):
        # Before the first token, which is a separator, are more of them.
        earlier = tokens[np.maximum(positions - back, 0)].astype(np.uint64)
        keys |= earlier << np.uint64(64 - bits * (back + 1))
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
        return make_segment(files, _type_of(self.sources[0]))


def _type_of(segment: Segment) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if segment.tokens.dtype.itemsize == 2 else np.uint32
