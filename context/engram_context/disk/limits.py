"""How much one file may cost: a limit of its size, and of the time that reading it takes.

Ordinary source is parsed at 10 MB a second and read at 1 MB a second. What takes many times longer is no source to
learn from (a table of data, something generated, nesting without end) and must not keep the rest waiting: of such a
file the text alone is known.
"""

from __future__ import annotations

import time

SECONDS = 8.0


class TooSlowError(Exception):
    """Reading a file takes longer than it may."""


class Deadline:
    """The moment until which one file may be read."""

    __slots__ = ("_end",)

    def __init__(self, seconds: float | None = None) -> None:
        self._end = time.monotonic() + (SECONDS if seconds is None else seconds)

    @property
    def passed(self) -> bool:
        return time.monotonic() > self._end

    def check(self) -> None:
        """Raises TooSlowError when it has passed."""
        if time.monotonic() > self._end:
            raise TooSlowError
