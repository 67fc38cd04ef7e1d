"""Many names, to be found by a few of their letters."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def _bit_of(byte: int) -> int:
    """Letters, digits and the underscore have a bit each; whatever else stands in names shares one."""
    char = chr(byte)
    if "a" <= char <= "z":
        return byte - ord("a")
    if "0" <= char <= "9":
        return 26 + byte - ord("0")
    return 36 if char == "_" else 37


_BITS = np.array([1 << _bit_of(byte) for byte in range(256)], np.uint64)
_LAST = chr(0x10FFFF)


class NameTable:
    """Names in the order of their letters, whatever their case, and which letters each of them has."""

    def __init__(self, names: Iterable[str]) -> None:
        pairs = sorted((name.lower(), name) for name in names)
        self._lower = [lower for lower, _ in pairs]
        self._names = [name for _, name in pairs]
        encoded = [lower.encode("utf-8", "surrogatepass") for lower in self._lower]
        sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
        starts = np.cumsum(sizes) - sizes
        bits = _BITS[np.frombuffer(b"".join(encoded), np.uint8)]
        self._letters: NDArray[np.uint64] = np.bitwise_or.reduceat(bits, starts) if len(bits) else bits

    def __len__(self) -> int:
        return len(self._names)

    def beginning(self, letters: str) -> list[str]:
        """The names that begin with the letters, whatever their case."""
        letters = letters.lower()
        first = bisect_left(self._lower, letters)
        return self._names[first : bisect_left(self._lower, letters + _LAST, first)]

    def having(self, letters: str) -> list[str]:
        """The names that have all of the letters, in any order and case."""
        wanted = np.bitwise_or.reduce(_BITS[np.frombuffer(letters.lower().encode("utf-8", "surrogatepass"), np.uint8)])
        return [self._names[row] for row in np.flatnonzero((self._letters & wanted) == wanted).tolist()]
