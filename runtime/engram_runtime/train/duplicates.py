"""Near-duplicate files by MinHash over line shingles (Broder 1997), and overlap with a set of forbidden files.

A file is the set of its shingles: every run of `WIDTH` consecutive telling lines, stripped of indentation; blank
lines and comments do not count, so a licence header makes no two files alike.
"""

from collections import defaultdict
from hashlib import blake2b
from typing import Final

import numpy as np

from engram_runtime.train.languages import comment_marks, is_comment

WIDTH: Final = 3
SAMPLE: Final = 4
BITS: Final = 28
"""A quarter of the held-out packages' shingles in 28 bits: a third of a megabyte, and one strange shingle in 1400 is
taken for theirs."""
BANDS: Final = 20
ROWS: Final = 5
"""Two files share a band with probability 1 - (1 - J^ROWS)^BANDS: 47 % at J = 0.5, 98 % at 0.7."""

_random = np.random.default_rng(0)
_MULTIPLIERS: Final = _random.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFTS: Final = _random.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)


def shingles(text: str, path: str = "x.py") -> np.ndarray:
    """Distinct 64-bit shingle hashes of a file, sorted (uint64). A file under WIDTH telling lines is one shingle.

    The path's ending says how comments look.
    """
    marks = comment_marks(path)
    lines = [line for raw in text.splitlines() if (line := raw.strip()) and not is_comment(line, marks)]
    hashes = np.array(
        [int.from_bytes(blake2b(line.encode(), digest_size=8).digest(), "little") for line in lines], dtype=np.uint64
    )
    if not len(hashes):
        return hashes
    runs = max(len(hashes) - WIDTH + 1, 1)
    combined = np.zeros(runs, dtype=np.uint64)
    for offset in range(min(WIDTH, len(hashes))):
        # An odd factor keeps the combination order-sensitive; uint64 arithmetic wraps by design.
        combined = combined * np.uint64(0x9E3779B97F4A7C15) + hashes[offset : offset + runs]
    return np.unique(combined)


def signature(shingle_set: np.ndarray) -> np.ndarray:
    """The MinHash signature [BANDS * ROWS] uint64 of a non-empty shingle set."""
    mixed = shingle_set[None, :] * _MULTIPLIERS[:, None] + _SHIFTS[:, None]
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(29)
    return mixed.min(axis=1)


class NearDuplicates:
    """The files kept so far; `admit` says whether another one is new enough to join them."""

    def __init__(self, similarity: float = 0.7) -> None:
        """`similarity`: the estimated Jaccard similarity of shingle sets from which a file counts as a duplicate."""
        self._similarity = similarity
        self._signatures: list[np.ndarray] = []
        self._bands: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)

    def admit(self, shingle_set: np.ndarray) -> bool:
        """Adds the file and returns True, or returns False when a kept file is like it (or it has no telling line)."""
        if not len(shingle_set):
            return False
        mine = signature(shingle_set)
        keys = [(band, mine[band * ROWS : (band + 1) * ROWS].tobytes()) for band in range(BANDS)]
        candidates = {number for key in keys for number in self._bands.get(key, ())}
        if any(np.mean(self._signatures[number] == mine) >= self._similarity for number in candidates):
            return False
        for key in keys:
            self._bands[key].append(len(self._signatures))
        self._signatures.append(mine)
        return True


class Overlap:
    """The shingles of forbidden files: how much of another file is copied from any of them."""

    def __init__(self, forbidden: list[np.ndarray]) -> None:
        self._shingles = np.unique(np.concatenate(forbidden)) if forbidden else np.zeros(0, dtype=np.uint64)
        self._packed = False

    @classmethod
    def unpacked(cls, steps: np.ndarray) -> "Overlap":
        """From what `packed` returned. What it says of a file is then an estimate from a sample of its shingles."""
        overlap = cls([np.cumsum(steps, dtype=np.uint64)])
        overlap._packed = True
        return overlap

    def packed(self) -> np.ndarray:
        """One in SAMPLE of the shingles, cut to BITS, as the steps from each to the next (uint32 or smaller)."""
        values = self._shingles if self._packed else np.unique(_cut(self._shingles))
        steps = np.diff(values, prepend=np.zeros(1, dtype=np.uint64))
        return steps.astype(np.min_scalar_type(steps.max(initial=0)))

    def of(self, shingle_set: np.ndarray) -> float:
        """The share of the file's shingles that a forbidden file has, 0..1."""
        sample = _cut(shingle_set) if self._packed else shingle_set
        if not len(sample) or not len(self._shingles):
            return 0.0
        return float(np.isin(sample, self._shingles).mean())


def _cut(shingle_set: np.ndarray) -> np.ndarray:
    return shingle_set[shingle_set % np.uint64(SAMPLE) == 0] >> np.uint64(64 - BITS)
