"""From counts to probabilities: nested interpolation of match lengths and scopes with learned weights.

For every level, that is a match length seen in a scope (project, directory, file), the counts of what followed give a
distribution. Levels are mixed from the shortest match in the whole project to the longest in the file itself, each
taking a share of what the ones before it claimed (Jelinek-Mercer). The share depends on how often the context stood
there and how much its continuations agree: a context seen once, 20 times with one continuation, and 20 times with 12
deserve very different trust, and no fixed rule comes close to learned shares.

What no level claims is left over: `Weighed.probabilities` sum to less than 1 and the model has the rest.

`prior.json` holds what was learned: the shares by `tests/bench/fit_prior.py` (the file names the projects), the trust
against a model by `tests/bench/fit_gate.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import log1p
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Match lengths are told apart up to here and in classes beyond: a level counts all matches at least this long.
LENGTHS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 24)
SCOPES = 3
# Classes of how often a context stood, and of the share of its commonest continuation.
COUNTS = (2, 3, 5, 9, 17, 65)
SHARES = (0.34, 0.5, 0.67, 0.85, 0.999)
LEVELS = len(LENGTHS) * SCOPES
# How much `Weighed` says of what it rests on: the class of the longest match's length; what no level claims; how often
# the longest match stood in the project and with how many continuations (logarithms); whether it stood in the
# directory and in the file; and how many continuations follow shorter matches (logarithm).
EVIDENCE = 7
BUCKETS = (len(COUNTS) + 1) * (len(SHARES) + 1)
# Trust against a model: by the longest matching length, and by the memory's own highest probability.
TOPS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)

# By match length, the level before the first of its three.
_FIRST_LEVEL = (np.searchsorted(LENGTHS, np.arange(LENGTHS[-1] + 1), side="right") - 1) * SCOPES - 1
# By level, where its row of a table's shares begins.
_FIRST_CELL = np.arange(LEVELS) * BUCKETS
# What is asked for every token, as arrays of the type it is compared in.
_COUNTS, _SHARES, _TOPS = np.array(COUNTS, np.float64), np.array(SHARES), np.array(TOPS)
_NOTHING = np.float32(1e-9)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Learned numbers, all between 0 and 1."""

    shares: NDArray[np.float32]  # [LEVELS, BUCKETS]; levels from short to long, within a length project to file
    trust: NDArray[np.float32]  # [len(LENGTHS), len(TOPS) + 1]


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """What may come next. `ids` in no particular order; probabilities sum to 1 - rest."""

    ids: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    rest: float
    trust: float
    longest: int  # index into LENGTHS
    # float32 [EVIDENCE]: what speaks for and against all this.
    evidence: NDArray[np.float32]


@lru_cache(maxsize=1)
def load_table() -> Table:
    """The table that comes with the package."""
    return table_of(_read())


def about_table() -> tuple[str, list[str]]:
    """(how it was made, from which projects) of the table that comes with the package."""
    data = _read()
    return data["about"], data["projects"]


def _read() -> dict[str, Any]:
    return json.loads(files(__package__ or "engram_context").joinpath("prior.json").read_text(encoding="utf-8"))


def table_of(data: dict[str, Any]) -> Table:
    """The table written in `data`. Raises ValueError where its shape is not the one this version reads."""
    shares = np.array(data["shares"], np.float32)
    trust = np.array(data["trust"], np.float32)
    if shares.shape != (LEVELS, BUCKETS) or trust.shape != (len(LENGTHS), len(TOPS) + 1):
        raise ValueError("prior.json does not fit this version: run tests/bench/fit_prior.py")
    return Table(shares, trust)


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Counts by level, of the L levels up to the longest match. `counts[level, i]`: how often `ids[i]` followed."""

    ids: NDArray[np.int64]  # [U]
    counts: NDArray[np.float32]  # [L, U]
    totals: NDArray[np.float32]  # [L]
    buckets: NDArray[np.int64]  # [L]; meaningless where the total is 0


def count_levels(
    tokens: NDArray[np.unsignedinteger],
    lengths: NDArray[np.int32],
    scopes: NDArray[np.uint8],
    weights: NDArray[np.float32],
    vocab_size: int,
) -> Levels:
    """Counts of every level from matching positions (one entry each: what followed, how long the match, where)."""
    # The distinct tokens without sorting: whichever entry wrote a token's slot last stands for it.
    followed = tokens.astype(np.int64)
    slots = np.empty(vocab_size, np.int32)
    entries = np.arange(len(followed), dtype=np.int32)
    slots[followed] = entries
    ids = followed.compress(slots.take(followed) == entries)
    width = len(ids)
    slots[ids] = entries[:width]
    cells = _FIRST_LEVEL.take(lengths, mode="clip")
    cells += scopes
    reached = int(cells.max()) // SCOPES + 1  # what no match is long enough for is not looked at
    cells *= width
    cells += slots.take(followed)
    flat = np.bincount(cells, weights=weights, minlength=reached * SCOPES * width)
    counts = flat.astype(np.float32).reshape(reached, SCOPES, width)
    # A longer match is also a shorter one, a match in the file is also one in the project.
    for shorter, longer in zip(counts[-2::-1], counts[:0:-1], strict=True):
        shorter += longer
    for scope in range(SCOPES - 2, -1, -1):
        wider = counts[:, scope]
        wider += counts[:, scope + 1]
    counts = counts.reshape(reached * SCOPES, width)
    totals = counts.sum(axis=1)
    shares = counts.max(axis=1) / np.maximum(totals, _NOTHING)
    buckets = _COUNTS.searchsorted(totals, "right") * (len(SHARES) + 1) + _SHARES.searchsorted(shares, "right")
    return Levels(ids, counts, totals, buckets)


def level_weights(levels: Levels, table: Table) -> tuple[NDArray[np.float32], float]:
    """What part of the final distribution each level makes up, and the part that is left over."""
    totals = levels.totals
    shares = table.shares.take(levels.buckets + _FIRST_CELL[: len(totals)])
    shares *= totals > 0
    kept = np.ones(len(totals) + 1, np.float32)  # [l]: what level l and those above it leave
    np.multiply.accumulate((1.0 - shares)[::-1], out=kept[-2::-1])
    return shares * kept[1:], float(kept[0])


def interpolate(
    tokens: NDArray[np.unsignedinteger],
    lengths: NDArray[np.int32],
    scopes: NDArray[np.uint8],
    weights: NDArray[np.float32],
    vocab_size: int,
    table: Table,
) -> Weighed:
    """One distribution from matching positions (arrays as in `count_levels`, not empty)."""
    levels = count_levels(tokens, lengths, scopes, weights, vocab_size)
    parts, rest = level_weights(levels, table)
    probabilities: NDArray[np.float32] = (parts / np.maximum(levels.totals, _NOTHING)).dot(levels.counts)
    longest = len(levels.totals) // SCOPES - 1
    top = int(_TOPS.searchsorted(probabilities.max(), "right"))
    trust = float(table.trust[longest, top])
    return Weighed(levels.ids, probabilities, rest, trust, longest, _evidence(levels, longest, rest))


def _evidence(levels: Levels, longest: int, rest: float) -> NDArray[np.float32]:
    project, directory, file = levels.totals[longest * SCOPES : (longest + 1) * SCOPES].tolist()
    kinds = int(np.count_nonzero(levels.counts[longest * SCOPES]))
    return np.array(
        [longest, rest, log1p(project), log1p(kinds), directory > 0, file > 0, log1p(len(levels.ids))], np.float32
    )


def learn_shares(
    buckets: NDArray[np.int64], truths: NDArray[np.float32], floor: NDArray[np.float32], rounds: int = 40
) -> NDArray[np.float32]:
    """Shares that make the true tokens likeliest, by expectation maximisation.

    buckets [N, LEVELS] (-1 where the level is empty), truths [N, LEVELS] each level's probability of the true token,
    floor [N] the probability that a distribution below all levels gave it. Returns [LEVELS, BUCKETS].
    """
    count = len(buckets)
    present = buckets >= 0
    cell = np.where(present, buckets, 0) + np.arange(LEVELS) * BUCKETS
    shares = np.full(LEVELS * BUCKETS, 0.3, np.float64)
    for _ in range(rounds):
        share = np.where(present, shares[cell], 0.0)
        # mixed[:, l] = what levels up to l make of the truth; the floor comes first.
        mixed = np.empty((count, LEVELS + 1))
        mixed[:, 0] = floor
        for level in range(LEVELS):
            mixed[:, level + 1] = (1 - share[:, level]) * mixed[:, level] + share[:, level] * truths[:, level]
        # Going down: the probability that the truth was drawn at or below a level.
        reach = np.ones(count)
        took = np.zeros(LEVELS * BUCKETS)
        seen = np.zeros(LEVELS * BUCKETS)
        for level in range(LEVELS - 1, -1, -1):
            here = present[:, level]
            drawn = share[:, level] * truths[:, level] / np.maximum(mixed[:, level + 1], 1e-30)
            took += np.bincount(cell[here, level], weights=(reach * drawn)[here], minlength=len(took))
            seen += np.bincount(cell[here, level], weights=reach[here], minlength=len(seen))
            reach = reach * (1 - drawn)
        # A few imagined cases keep rare buckets near what their scope and class learned at other lengths.
        shape = (len(LENGTHS), SCOPES, BUCKETS)
        usual = (took.reshape(shape).sum(0) + 0.6) / (seen.reshape(shape).sum(0) + 2.0)
        prior = np.broadcast_to(usual, shape).ravel()
        shares = np.clip((took + 8.0 * prior) / (seen + 8.0), 1e-4, 0.9995)
    return shares.reshape(LEVELS, BUCKETS).astype(np.float32)


def learn_trust(
    longest: NDArray[np.int64],
    tops: NDArray[np.float32],
    memory: NDArray[np.floating],
    model: NDArray[np.floating],
    rounds: int = 40,
) -> NDArray[np.float32]:
    """Mixing weights of the memory against a model, by expectation maximisation. All arguments [N].

    longest: index into LENGTHS; tops: the memory's highest probability; memory and model: what each gave the truth.
    """
    shape = (len(LENGTHS), len(TOPS) + 1)
    cell = longest * shape[1] + np.searchsorted(TOPS, tops, side="right")
    trust = np.full(shape[0] * shape[1], 0.5)
    for _ in range(rounds):
        weight = trust[cell]
        drawn = weight * memory / np.maximum(weight * memory + (1 - weight) * model, 1e-30)
        took = np.bincount(cell, weights=drawn, minlength=len(trust))
        seen = np.bincount(cell, minlength=len(trust))
        usual = (took.reshape(shape).sum(0) + 1.0) / (seen.reshape(shape).sum(0) + 2.0)
        trust = np.clip((took + 10.0 * np.broadcast_to(usual, shape).ravel()) / (seen + 10.0), 1e-3, 0.999)
    return trust.reshape(shape).astype(np.float32)


def as_json(table: Table, about: str, projects: Sequence[str]) -> str:
    """`table` as it is checked in."""
    data = {
        "about": about,
        "projects": list(projects),
        "shares": [[round(float(x), 4) for x in row] for row in table.shares],
        "trust": [[round(float(x), 4) for x in row] for row in table.trust],
    }
    return json.dumps(data, separators=(",", ":")).replace("],[", "],\n[") + "\n"
