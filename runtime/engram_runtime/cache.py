"""The attention state of one sequence: what a graph call reads of the past, and what it leaves for the next.

A `Cache` is a value. Extending or rewinding one makes another; both may be used further (a fork is simply a second
reference). The rows behind it lie on a `Tape` that only ever grows at its end, so that sharing needs no copies: a
cache that is not at its tape's end moves to a copy of its live rows when it is extended.

State is kept raw (deepseek-v4.md "Rewind"): sliding keys, compressor inputs before pooling, finished entries. Which of
these rows the graph reads is a function of the position alone, so rewinding is reading elsewhere. The graph writes its
new rows straight onto the tape: nothing is copied from call to call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from engram_runtime.config import CSA, HCA, ModelConfig

REWIND = 256
"""Tokens that any cache can be rewound by (sooner, its first token), unless `Cache.empty` is told otherwise."""

SLACK = 256
"""Tokens a tape has room for beyond those it must keep; more copies less often and holds more memory."""

FROZEN_GATE = -1e30
"""Gate of a row that has no part in pooling: the overlap half before the first window."""


_ROWS = 256
"""Tapes have a multiple of so many rows of every token's state, for the reason given at `shown`."""


def shown(entries: int) -> int:
    """How many entries the graph is given, of which `entries` are written: up to an eighth more, or 16.

    ONNX Runtime plans memory anew for every shape of its inputs and remembers the plans: a few shapes for each doubling
    of the context keep both the planning and the memory of it out of sight.
    """
    step = max(16, 1 << max(entries.bit_length() - 4, 0))
    return -(-entries // step) * step


@dataclass(frozen=True, slots=True)
class State:
    """One kind of row in one layer, float32 of `shape`.

    `window`: a row per token, the last `size` of which are visible. `open`: a row per token of the window of `rate`
    tokens that is not closed yet, and of `lead` tokens before it. `entries`: a row per closed window of `rate`
    tokens, all visible.
    """

    name: str
    kind: Literal["window", "open", "entries"]
    shape: tuple[int, ...]
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

    @property
    def reach(self) -> int:
        """How many tokens back from a position its rows may lie (of entries: none, all of them are kept)."""
        match self.kind:
            case "window":
                return self.size
            case "open":
                return self.lead + self.rate - 1
            case "entries":
                return 0


def layout(config: ModelConfig) -> tuple[State, ...]:
    """The states of a network in the order in which its graph takes and returns them."""
    states: list[State] = []
    for layer, kind in enumerate(config.layer_types):
        D, rate = config.head_dim, config.compress_rate(layer)
        if config.engram_reach and layer in config.engram_layers:
            values = config.hc_mult, config.hidden_size
            states.append(State(f"memory.{layer}", "window", values, size=config.engram_reach))
        states.append(State(f"kv.{layer}", "window", (D,), size=config.sliding_window - 1))
        if kind == HCA:
            states.append(State(f"raw.{layer}", "open", (2 * D,), rate))
            states.append(State(f"entries.{layer}", "entries", (D,), rate))
        elif kind == CSA:
            states.append(State(f"raw.{layer}", "open", (2, 2 * (D + config.index_head_dim)), rate, lead=rate))
            states.append(State(f"entries.{layer}", "entries", (D,), rate))
            states.append(State(f"keys.{layer}", "entries", (config.index_head_dim,), rate))
    return tuple(states)


class Tape:
    """Rows of every state for one line of descent, and its tokens. Rows before `position` never change.

    Token t has row t - base in the array of every `window` and `open` state; row 0, before any token's, stays zero and
    is the attention sink's key. Window w has row w in every `entries` array, of which there is always more than enough.
    `oldest` is the first position all of whose rows are here, `room` the last that there is room for.
    """

    __slots__ = ("arrays", "base", "bound", "closed", "keep", "oldest", "position", "room", "states", "tokens")

    def __init__(self, states: tuple[State, ...], past: "Cache | None", room: int, keep: int) -> None:
        """A tape that holds what `past` needs to be rewound by `keep` tokens, with room for `room` more tokens."""
        position = past.position if past else 0
        self.states, self.keep = states, keep
        self.position = position
        self.oldest = max(past.oldest, position - keep) if past else 0
        self.base = self.oldest - max((state.reach for state in states), default=0) - 1
        self.room = self.base - (self.base - position - room) // _ROWS * _ROWS
        self.closed = False
        """Nothing may be written any more: another tape has taken over the arrays of entries."""
        self.bound: object = None
        """What the session that runs on this tape keeps with it."""
        self.tokens = np.empty(self.room, np.int64)
        if past:
            self.tokens[:position] = past.tokens
        # At its end, a line of descent goes on with the same entries; a branch gets a copy.
        goes_on = past is not None and past.tape.position == position and not past.tape.closed
        self.arrays: list[np.ndarray] = []
        for i, state in enumerate(states):
            old = past.tape.arrays[i] if past else None
            if state.kind == "entries":
                self.arrays.append(self._entries(state, old, position, goes_on))
            else:
                self.arrays.append(self._rows(state, old, past.tape.base if past else 0))
        if past and goes_on:
            past.tape.closed = True

    def _rows(self, state: State, old: np.ndarray | None, old_base: int) -> np.ndarray:
        array = np.zeros((self.room - self.base, *state.shape), np.float32)
        if state.kind == "open" and self.base < 0:
            array[1 : -self.base, ..., state.shape[-1] // 2 :] = FROZEN_GATE
        if old is not None:
            first = max(self.base + 1, old_base + 1)
            kept = old[first - old_base : self.position - old_base]
            array[first - self.base : first - self.base + len(kept)] = kept
        return array

    def _entries(self, state: State, old: np.ndarray | None, position: int, goes_on: bool) -> np.ndarray:
        needed, have = shown(self.room // state.rate), position // state.rate
        if old is not None and goes_on and len(old) >= needed:
            return old
        # As many again, so that a text of any length is copied only a few times. Zeros, since rows that are not written
        # yet are masked, not left out.
        array = np.zeros((needed + (have if goes_on else 0), *state.shape), np.float32)
        if old is not None:
            array[:have] = old[:have]
        return array

    @property
    def bytes(self) -> int:
        return self.tokens.nbytes + sum(array.nbytes for array in self.arrays)


@dataclass(frozen=True, slots=True)
class Cache:
    """The state after `position` tokens. Equal tapes are shared: see the module's first lines."""

    tape: Tape
    position: int

    @classmethod
    def empty(cls, config: ModelConfig, rewind: int = REWIND) -> Self:
        """The state before the first token, of a sequence that can be rewound by at least `rewind` tokens."""
        return cls(Tape(layout(config), None, SLACK, rewind), 0)

    @property
    def tokens(self) -> np.ndarray:
        """The tokens so far, int64 [position]; not to be written to."""
        return self.tape.tokens[: self.position]

    @property
    def oldest(self) -> int:
        """The earliest position `rewind` can reach: at least as many tokens back as `empty` was told."""
        return self.tape.oldest

    @property
    def bytes(self) -> int:
        """Memory of the rows behind this cache, shared with every cache on the same tape."""
        return self.tape.bytes

    def rows(self) -> Mapping[str, np.ndarray]:
        """The live rows by state name: all that the next call depends on, as views."""
        views: dict[str, np.ndarray] = {}
        for state, array in zip(self.tape.states, self.tape.arrays, strict=True):
            first, last = state.rows(self.position)
            base = 0 if state.kind == "entries" else self.tape.base
            views[state.name] = array[first - base : last - base]
        return views

    def writable(self, count: int) -> "Cache":
        """This state where the rows of `count` more tokens can be written: on its own tape if possible."""
        tape, position = self.tape, self.position
        if not tape.closed and tape.position == position and position + count <= tape.room:
            return self
        return type(self)(Tape(tape.states, self, count + SLACK, tape.keep), position)

    def writes(self, tokens: np.ndarray) -> None:
        """Notes, on this `writable` one, which tokens' rows are about to be written behind it."""
        self.tape.tokens[self.position : self.position + len(tokens)] = tokens

    def extended(self, tokens: np.ndarray) -> "Cache":
        """The state after `tokens` more, whose rows have been written behind this `writable` one.

        Rows of more tokens may have been written: those beyond are as good as not there, which is how rejected drafts
        leave no trace. Raises RuntimeError if another continuation has been written there since.
        """
        tape, position = self.tape, self.position + len(tokens)
        goes_on = tape.position == self.position and not tape.closed
        if position > (tape.room if goes_on else tape.position) or not np.array_equal(
            tape.tokens[self.position : position], tokens
        ):
            raise RuntimeError("another continuation was written here: take a call's cache before the next call")
        if goes_on:
            tape.position = position
        return type(self)(tape, position)

    def rewind(self, position: int) -> "Cache":
        """The cache as it was after `position` tokens, bit for bit. Raises ValueError outside oldest..position."""
        if not self.oldest <= position <= self.position:
            raise ValueError(
                f"cannot rewind from {self.position} to {position}: rows are kept back to {self.oldest} only"
            )
        return type(self)(self.tape, position)


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
