"""Opinions of any kind, for tests of what is made of them."""

from typing import NamedTuple

import numpy as np


class Said(NamedTuple):
    """An `engram_runtime.sampling.Opinion`."""

    ids: np.ndarray
    chances: np.ndarray
    weight: float
    evidence: np.ndarray = np.zeros(0, np.float32)
