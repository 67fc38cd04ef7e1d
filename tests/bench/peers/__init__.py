"""What tests/bench/speed.py measures: one adapter per engine, each run by worker.py in a process of its own.

Every adapter has the methods of `Engine` and nothing that the others cannot do; what only ours can is in ours.py. The
weights of all of them come from one checkpoint of random numbers (weights.py).
"""

from typing import Any, Protocol

import numpy as np


class Engine(Protocol):
    """An engine with one model open, on one thread."""

    def about(self) -> dict[str, Any]:
        """Versions, sizes and settings, for the record."""
        ...

    def start(self, slot: str, tokens: list[int]) -> int:
        """Reads `tokens` as a new sequence under this name; the likeliest token after them."""
        ...

    def step(self, slot: str, token: int) -> int:
        """One token more in that sequence; the likeliest token after it."""
        ...

    def logits(self, tokens: list[int]) -> np.ndarray:
        """float32 [T, V] for every one of `tokens`."""
        ...


class UnavailableError(Exception):
    """This engine cannot be run here; the message says what to install."""
