"""Token ids of a text, encoded line by line, so that a changed line costs one line.

A text is cut before each line end, together with the white space that leads to it: a piece is a newline, the blank
lines and indentation after it, and the rest of the line. For a tokenizer whose pre-tokens never join a word with the
newline after it this gives the ids of the whole text; for any other, equal texts still have equal ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Encode = Callable[[str], Sequence[int]]

_PIECE = re.compile(r"\s*\S(?:[^\n]*\S)?|\s+")
_REMEMBERED = 1 << 17
# One very long line, such as a table of data in a single literal, is not worth remembering.
_LONGEST = 2000


class LineEncoder:
    """`encode`, remembering the lines it has seen. Threads may share it: a lost entry only costs time."""

    def __init__(self, encode: Encode, remembered: int | None = None) -> None:
        """`remembered`: how many lines at most; some 300 bytes each."""
        self._encode = encode
        self._remembered = _REMEMBERED if remembered is None else remembered
        self._known: dict[str, tuple[int, ...]] = {}

    def __call__(self, text: str) -> NDArray[np.uint32]:
        """The ids of `text`."""
        known = self._known
        ids: list[int] = []
        for piece in _PIECE.findall(text):
            found = known.get(piece)
            if found is None:
                found = tuple(self._encode(piece))
                if len(piece) <= _LONGEST:
                    if len(known) >= self._remembered:
                        known = self._known = {}
                    known[piece] = found
            ids.extend(found)
        return np.array(ids, np.uint32)
