"""What the n-gram memory knows of one context: where its end stood before, what followed, and how likely that is now.

A decoder asks twice about every context, what may follow (`next`) and what to try (`draft`), and both rest on the same
search, so a view keeps the last one. When the context then grows by one token, a long match is one of before grown by
one, or just as long as a key is: the binary search is made again, but no texts are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engram_context.memory.prior import Table, Weighed, interpolate
from engram_context.memory.segments import SEPARATOR, Segment, Tokens, token_type

# Positions looked at per segment: contexts that are more common are sampled with a stride and their counts scaled up.
# Sorted order makes a stride a stratified sample over the longer contexts, so few are needed for a good distribution.
_SAMPLE = 384
# The same for positions that match every packed token: these decide the long matches, so more of them are looked at.
_DEEP_SAMPLE = 2048
# Up to so many long matches are followed from token to token; more are compared anew, all at once.
_FOLLOWED = 64
# A context longer than this says nothing more about the next token.
_NEXT_CONTEXT = 32
_LONGEST = 256

_BACK = np.arange(_LONGEST + 1)


@dataclass(frozen=True, slots=True)
class Found:
    """Positions that share the end of a context. All arrays have one entry per position."""

    tokens: NDArray[np.unsignedinteger]  # what followed
    lengths: NDArray[np.int32]  # how many tokens before it agree
    scopes: NDArray[np.uint8]  # 1 project, 2 its directory, 3 its file
    weights: NDArray[np.float32]  # how many positions each one stands for

    def living(self) -> Found | None:
        """What is left without files that are dead or hidden (scope 0)."""
        keep = self.scopes > 0
        return (
            Found(self.tokens[keep], self.lengths[keep], self.scopes[keep], self.weights[keep]) if keep.any() else None
        )


class Expected(NamedTuple):
    """What the memory expects next, and why."""

    ids: NDArray[np.int32]  # [k], best first
    # [k], sum at most 1: the rest is what the memory does not claim to know and belongs to the model.
    chances: NDArray[np.float32]
    # How far to trust them against a model where nothing better judges: mix as
    # (1 - weight) * model + weight * (chances + rest * model).
    weight: float
    evidence: NDArray[np.float32]  # [EVIDENCE] (prior.py): what speaks for and against all this, for a gate to judge by


class MemoryView:
    """The memory at one moment, seen from one place. Used by one thread at a time; never changes its mind.

    It satisfies a decoder's drafter (`propose`, `draft`) and prior (`next`). `tokens` is always the text right before
    the token in question, oldest first.
    """

    __slots__ = ("_asked", "_dtype", "_segments", "_table", "_vocab_size")

    def __init__(self, segments: tuple[tuple[Segment, NDArray[np.uint8]], ...], vocab_size: int, table: Table) -> None:
        """`segments`: each with the scope of its files, 0 where one is dead or hidden."""
        self._segments = segments
        self._dtype = token_type(vocab_size)
        self._vocab_size = vocab_size
        self._table = table
        # The last context and what each segment has of it.
        self._asked: tuple[list[int], list[_Match | None]] = ([], [None] * len(segments))

    def find(self, tokens: Tokens) -> Found | None:
        """All positions whose last token is the context's last (sampled where there are very many), if any."""
        followed: list[NDArray[np.unsignedinteger]] = []
        scopes: list[NDArray[np.uint8]] = []
        # Classes of positions: how many tokens agree, how many positions are in it, how many each one stands for.
        agreeing: list[int] = []
        counts: list[int] = []
        shares: list[float] = []
        deep: list[tuple[int, NDArray[np.int32]]] = []
        total = 0
        for match in self._matches(tokens, _NEXT_CONTEXT):
            if match is None:
                continue
            segment, positions = match.segment, _sampled(match, counts, shares)
            agreeing += range(1, len(match.ranges) + 1)
            followed.append(segment.tokens.take(positions + 1))
            scopes.append(match.scope.take(segment.files.take(positions)))
            total += len(positions)
            if len(match.deep):
                deep.append((total, match.lengths))
        if not total:
            return None
        lengths = np.array(agreeing, np.int32).repeat(counts)
        for end, exact in deep:
            lengths[end - len(exact) : end] = exact
        weights = np.array(shares, np.float32).repeat(counts)
        found = Found(np.concatenate(followed), lengths, np.concatenate(scopes), weights)
        return found if found.scopes.all() else found.living()

    def distribution(self, tokens: Tokens) -> Weighed | None:
        """Everything the memory expects next, with probabilities; None if it has never seen the last token."""
        found = self.find(tokens)
        if found is None:
            return None
        return interpolate(found.tokens, found.lengths, found.scopes, found.weights, self._vocab_size, self._table)

    def next(self, tokens: Tokens, count: int = 64) -> Expected | None:
        """The `count` likeliest next tokens; None if the memory has never seen the last one of `tokens`."""
        weighed = self.distribution(tokens)
        if weighed is None:
            return None
        ids, probabilities = weighed.ids, weighed.probabilities
        if len(ids) > count:
            best = np.argpartition(probabilities, len(ids) - count)[-count:]
            ids, probabilities = ids[best], probabilities[best]
        best = np.argsort(-probabilities, kind="stable")
        return Expected(ids[best].astype(np.int32), probabilities[best], weighed.trust, weighed.evidence)

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
        best = (0, 0)
        found: tuple[Segment, int, int] | None = None
        for match in reversed(self._matches(tokens, most)):
            deepest = _deepest(match, best[0]) if match is not None else None
            if match is not None and deepest is not None and deepest[:2] > best:
                best = deepest[:2]
                found = (match.segment, deepest[2], deepest[0])
        return found

    def _matches(self, tokens: Tokens, most: int) -> list[_Match | None]:
        """What each segment has of the context, the last `most` tokens at most; None where it has nothing."""
        context = _context(tokens, most)
        asked, before = self._asked
        if context == asked:
            return before
        query = _query(context, self._dtype)
        grown = len(asked) >= len(context) - 1 and context[1:] == asked[: len(context) - 1]
        found: list[_Match | None] = [None] * len(before)
        if query is not None:
            for i, (segment, scope) in enumerate(self._segments):
                found[i] = _match(segment, scope, query, before[i] if grown else _UNKNOWN)
        self._asked = context, found
        return found


def _draft_length(length: int, most: int) -> int:
    """Measured: a draft after a match of 1, 2-3, 4-8 tokens has 0.3, 0.9, 1.7 tokens accepted; longer ones many."""
    if length >= 9:
        return most
    if length >= 4:
        return 4
    return 2 if length >= 2 else 1


def _context(tokens: Tokens, most: int) -> list[int]:
    """The last tokens, at most so many, back to a separator; the newest first."""
    recent = tokens[-most:]
    context: list[int] = recent.tolist() if isinstance(recent, np.ndarray) else list(recent)
    context.reverse()
    return context[: context.index(SEPARATOR)] if SEPARATOR in context else context


class _Query(NamedTuple):
    """A context made ready for every segment: newest token first, cut at a separator."""

    context: NDArray[np.int32]  # [c]
    # [2p], p = min(c, packed), ascending: p keys just below all that agree with 1 .. p tokens, then the largest keys
    # that agree with p .. 1. In this order each binary search starts from where the last one ended.
    bounds: NDArray[np.uint64]
    packed: int  # how many tokens a key holds


def _query(context: list[int], dtype: type[np.uint16] | type[np.uint32]) -> _Query | None:
    bits = dtype().itemsize * 8
    packed = 64 // bits
    below: list[int] = []
    last: list[int] = []
    key, shift = 0, 64
    for token in map(int, context[:packed]):
        if not 0 < token < 1 << bits:
            break
        shift -= bits
        key |= token << shift
        below.append(key - 1)
        last.append(key | ((1 << shift) - 1))
    if not below:
        return None
    return _Query(np.array(context, np.int32), np.array(below + last[::-1], np.uint64), packed)


class _Match(NamedTuple):
    """What one segment has of a context."""

    segment: Segment
    scope: NDArray[np.uint8]
    # For each number of packed tokens, from one: the half-open range of `order` that agrees. None is empty.
    ranges: list[tuple[int, int]]
    # Of the positions that agree in all packed tokens, or a sample of them:
    deep: NDArray[np.int32]  # [d] the positions
    lengths: NDArray[np.int32]  # [d] how many tokens agree
    whole: bool  # whether these are all


class _Unknown:
    """Says that nobody knows what a segment has of the context that is one token shorter."""


_UNKNOWN = _Unknown()
_NONE = np.zeros(0, np.int32)


def _match(
    segment: Segment, scope: NDArray[np.uint8], query: _Query, before: _Match | _Unknown | None
) -> _Match | None:
    """What `segment` has of a context; `before`: of the same context without its newest token."""
    at: list[int] = segment.keys.searchsorted(query.bounds, "right").tolist()
    ranges = [(low, high) for low, high in zip(at[: len(at) // 2], reversed(at), strict=False) if low < high]
    if not ranges:
        return None
    if len(ranges) < query.packed:
        return _Match(segment, scope, ranges, _NONE, _NONE, True)
    low, high = ranges[-1]
    step = -(-(high - low) // _DEEP_SAMPLE)
    deep = segment.order[low:high:step]
    lengths = _followed(deep, query, before)
    if lengths is None:
        lengths = _lengths(segment.tokens, deep, query)
    return _Match(segment, scope, ranges, deep, lengths, step == 1)


def _followed(
    positions: NDArray[np.int32], query: _Query, before: _Match | _Unknown | None
) -> NDArray[np.int32] | None:
    """As `_lengths`, from those of one token before; None where these are not all known, or many.

    A position that agrees in more tokens than a key holds comes after one that agrees in one less.
    """
    if before is None:
        return np.full(len(positions), query.packed, np.int32)
    if isinstance(before, _Unknown) or not before.whole or max(len(positions), len(before.deep)) > _FOLLOWED:
        return None
    known = dict(zip(before.deep.tolist(), before.lengths.tolist(), strict=True))
    shorter, most = query.packed - 1, len(query.context)
    return np.array([min(known.get(at - 1, shorter) + 1, most) for at in positions.tolist()], np.int32)


def _sampled(match: _Match, counts: list[int], shares: list[float]) -> NDArray[np.intp]:
    """Positions of `match`, those that agree in one token first; adds how many of each length, and what they are of."""
    order, ranges = match.segment.order, match.ranges
    parts: list[NDArray[np.int32]] = []
    for (low, high), (inner_low, inner_high) in pairwise(ranges):
        # Only those that agree in exactly so many tokens: the next range lies inside this one.
        size = (inner_low - low) + (high - inner_high)
        step = -(-size // _SAMPLE) or 1
        parts += [order[low:inner_low:step], order[inner_high:high:step]]
        count = len(parts[-1]) + len(parts[-2])
        counts.append(count)
        shares.append(size / count if count else 0.0)
    low, high = ranges[-1]
    parts.append(match.deep if len(match.deep) else order[low : high : -(-(high - low) // _SAMPLE)])
    counts.append(len(parts[-1]))
    shares.append((high - low) / len(parts[-1]))
    return np.concatenate(parts, dtype=np.intp)


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
        agree = np.zeros((len(here), width + 1), np.bool_)
        before = tokens.take(here[:, None] - _BACK[known : known + width], mode="clip")
        np.equal(before, query.context[known : known + width], out=agree[:, :width])
        count = agree.argmin(axis=1)  # the last column never agrees
        if rows is None:
            lengths += count
        else:
            lengths[rows] += count
        known += width
        whole = (count == width).nonzero()[0]
        here = here[whole]
        rows = whole if rows is None else rows[whole]
    return lengths


def _deepest(match: _Match, least: int) -> tuple[int, int, int] | None:
    """(length, scope, position) of the longest match in one segment of at least `least` tokens; None without any."""
    segment, ranges = match.segment, match.ranges
    for length in range(len(ranges), 0, -1):
        # A range may hold dead files only; then the next shorter one decides.
        lengths = match.lengths if length == len(ranges) and len(match.deep) else None
        if (length if lengths is None else lengths.max()) < least:
            return None
        low, high = ranges[length - 1]
        part = segment.order[low : high : -(-(high - low) // _DEEP_SAMPLE)] if lengths is None else match.deep
        scopes = match.scope.take(segment.files.take(part))
        if not scopes.all():
            keep = scopes > 0
            if not keep.any():
                continue
            part, scopes = part[keep], scopes[keep]
            lengths = lengths[keep] if lengths is not None else None
        longest = length
        if lengths is not None:
            longest = int(lengths.max())
            tied = lengths == longest
            part, scopes = part[tied], scopes[tied]
        nearest = int(scopes.max())
        return longest, nearest, int(part[scopes == nearest].max())
    return None
