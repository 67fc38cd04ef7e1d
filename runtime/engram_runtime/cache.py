"""The attention state of one sequence: what a graph call reads of the past, and what it leaves for the next.

A `Cache` is a value. Extending or rewinding one makes another; both may be used further (a fork is simply a second
reference). The rows behind it live on a `_Tape` that only ever grows at its end, so that sharing needs no copies:
a cache that is not at its tape's end moves to a copy of its live rows when it is extended.

State is kept raw (deepseek-v4.md "Rewind"): sliding keys, compressor inputs before pooling, finished entries. Which of
these rows the graph sees is a function of the position alone, so rewinding is slicing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from engram_runtime.config import CSA, HCA, ModelConfig

REWIND = 256
"""Tokens that any cache can be rewound by (sooner, its first token)."""

SLACK = 256
"""Tokens a tape has room for beyond those it must keep; more copies less often and holds more memory."""

FROZEN_GATE = -1e30
"""Gate of a row that has no part in pooling: the overlap half before the first window."""


@dataclass(frozen=True, slots=True)
class State:
    """One kind of row in one layer, float32 [rows, width].

    `window`: a row per token, the last `size` of which are visible. `open`: a row per token of the window of `rate`
    tokens that is not closed yet, and of `lead` tokens before it. `entries`: a row per closed window of `rate`
    tokens, all visible.
    """

    name: str
    kind: Literal["window", "open", "entries"]
    width: int
    rate: int = 1
    size: int = 0
    lead: int = 0

    def rows(self, position: int) -> tuple[int, int]:
        """First and last+1 row that the graph reads at `position`; rows before the first token are negative."""
        match self.kind:
            case "window":
                return max(0, position - self.size), position
            case "open":
                return position - position % self.rate - self.lead, position
            case "entries":
                return 0, position // self.rate

    def fill(self) -> np.ndarray:
        """The row that stands for a token before the first: zeros, every gate shut."""
        row = np.zeros((2, 2, max(1, self.width // 4)), np.float32)
        row[:, 1] = FROZEN_GATE
        return row.reshape(-1)[: self.width]


def layout(config: ModelConfig) -> tuple[State, ...]:
    """The states of a network in the order in which its graph takes and returns them."""
    states: list[State] = []
    for layer, kind in enumerate(config.layer_types):
        D, rate = config.head_dim, config.compress_rate(layer)
        states.append(State(f"kv.{layer}", "window", D, size=config.sliding_window - 1))
        if kind == HCA:
            states.append(State(f"raw.{layer}", "open", 2 * D, rate))
            states.append(State(f"entries.{layer}", "entries", D, rate))
        elif kind == CSA:
            states.append(State(f"raw.{layer}", "open", 4 * (D + config.index_head_dim), rate, lead=rate))
            states.append(State(f"entries.{layer}", "entries", D, rate))
            states.append(State(f"keys.{layer}", "entries", config.index_head_dim, rate))
    return tuple(states)


class _Tape:
    """Rows of every state up to `position`, and the tokens. Rows once written never change.

    `bases[i]` is the row number of `arrays[i][0]`; `oldest` is the first position all of whose rows are here.
    """

    __slots__ = ("arrays", "bases", "bytes", "oldest", "position", "room", "states", "tokens")

    def __init__(self, states: tuple[State, ...], past: "Cache | None", room: int) -> None:
        """A tape that holds what `past` needs to be rewound by REWIND tokens, with room for `room` more tokens."""
        position = past.position if past else 0
        self.states = states
        self.position = position
        self.room = position + room
        self.oldest = max(past.oldest, position - REWIND) if past else 0
        self.tokens = np.empty(self.room, np.int64)
        if past:
            self.tokens[:position] = past.tokens
        self.arrays: list[np.ndarray] = []
        self.bases: list[int] = []
        for i, state in enumerate(states):
            first = state.rows(self.oldest)[0]
            # The furthest back that any position from `oldest` on looks: an open window starts before its position.
            last = state.rows(self.room)[1]
            array = np.empty((last - first, state.width), np.float32)
            if first < 0:
                array[:-first] = state.fill()
            if past:
                old, base, stop = past.tape.arrays[i], past.tape.bases[i], state.rows(position)[1]
                array[: stop - first] = old[first - base : stop - base]
            self.arrays.append(array)
            self.bases.append(first)
        self.bytes = self.tokens.nbytes + sum(array.nbytes for array in self.arrays)

    def append(self, tokens: np.ndarray, rows: Sequence[np.ndarray]) -> None:
        start = self.position
        self.position = start + len(tokens)
        self.tokens[start : self.position] = tokens
        for state, array, base, new in zip(self.states, self.arrays, self.bases, rows, strict=True):
            begin, end = state.rows(start)[1] - base, state.rows(self.position)[1] - base
            if begin < end:
                array[begin:end] = new[: end - begin]


@dataclass(frozen=True, slots=True)
class Cache:
    """The state after `position` tokens. Equal tapes are shared: see the module's first lines."""

    tape: _Tape
    position: int

    @classmethod
    def empty(cls, config: ModelConfig) -> Self:
        return cls(_Tape(layout(config), None, SLACK), 0)

    @property
    def tokens(self) -> np.ndarray:
        """The tokens so far, int64 [position]; not to be written to."""
        return self.tape.tokens[: self.position]

    @property
    def oldest(self) -> int:
        """The earliest position `rewind` can reach: at least REWIND tokens back."""
        return self.tape.oldest

    @property
    def bytes(self) -> int:
        """Memory of the rows behind this cache, shared with every cache on the same tape."""
        return self.tape.bytes

    def inputs(self) -> Mapping[str, np.ndarray]:
        """What the graph reads, by state name: contiguous views, nothing is copied."""
        views: dict[str, np.ndarray] = {}
        for state, array, base in zip(self.tape.states, self.tape.arrays, self.tape.bases, strict=True):
            first, last = state.rows(self.position)
            views[state.name] = array[first - base : last - base]
        return views

    def extended(self, tokens: np.ndarray, rows: Sequence[np.ndarray]) -> "Cache":
        """The cache after `tokens` more.

        `rows` are a graph call's new rows in layout order; they may be of more tokens than `tokens`, of which then only
        the first are taken: this is how rejected drafts leave no trace.
        """
        tape, position = self.tape, self.position + len(tokens)
        if tape.position != self.position or position > tape.room:
            tape = _Tape(tape.states, self, len(tokens) + SLACK)
        tape.append(tokens, rows)
        return Cache(tape, position)

    def rewind(self, position: int) -> "Cache":
        """The cache as it was after `position` tokens, bit for bit. Raises ValueError outside oldest..position."""
        if not self.oldest <= position <= self.position:
            raise ValueError(
                f"cannot rewind from {self.position} to {position}: rows are kept back to {self.oldest} only"
            )
        return Cache(self.tape, position)


def common_prefix(a: np.ndarray, b: np.ndarray) -> int:
    """How many first elements two token arrays share."""
    length = min(len(a), len(b))
    differs = a[:length] != b[:length]
    return int(differs.argmax()) if differs.any() else length


class Prefixes:
    """Caches of earlier prompts, least recently used first to go, within a bound on memory.

    One cache per tape is kept, the furthest: `rewind` reaches the others. Not safe to share between threads.
    """

    def __init__(self, limit: int) -> None:
        """`limit` in bytes; the newest cache stays even if it alone exceeds it."""
        self._limit = limit
        self._caches: list[Cache] = []

    def __len__(self) -> int:
        return len(self._caches)

    @property
    def bytes(self) -> int:
        return sum(cache.bytes for cache in self._caches)

    def keep(self, cache: Cache) -> None:
        for i, other in enumerate(self._caches):
            if other.tape is cache.tape:
                cache = max(cache, other, key=lambda each: each.position)
                del self._caches[i]
                break
        self._caches.append(cache)
        while len(self._caches) > 1 and self.bytes > self._limit:
            del self._caches[0]

    def find(self, tokens: np.ndarray) -> Cache | None:
        """The furthest kept state of a proper prefix of `tokens`: at least one token is left to run."""
        best: Cache | None = None
        position = 0
        for cache in self._caches:
            shared = min(common_prefix(cache.tokens, tokens), len(tokens) - 1)
            # The later of equals is the more recently used.
            if shared >= max(cache.oldest, position, 1):
                best, position = cache, shared
        if best is None:
            return None
        self._caches.remove(best)
        self._caches.append(best)
        return best.rewind(position)
