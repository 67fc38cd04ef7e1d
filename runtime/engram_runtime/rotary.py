"""Rotary position tables, which the graph is given rather than computing them."""

import numpy as np

from engram_runtime.config import SLIDING, LayerType, ModelConfig


def rotations(config: ModelConfig) -> dict[LayerType, str]:
    """For each layer type, the name of its rotary tables: sliding layers have their own, the others share theirs."""
    return {kind: "sliding" if kind == SLIDING else "compressed" for kind in dict.fromkeys(config.layer_types)}


class Rotations:
    """Rotary tables: cosines and sines of the angles of consecutive positions, by graph input.

    Computed in double: float angles are off by 1e-3 at position 30,000. Kept in blocks, since every tape needs some.
    """

    BLOCK = 1024
    KEPT = 32

    def __init__(self, config: ModelConfig) -> None:
        self._frequencies = {name: config.frequencies(kind) for kind, name in rotations(config).items()}
        self._blocks: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}

    def tables(self, first: int, count: int) -> dict[str, np.ndarray]:
        """float32 [count, R/2] for positions from `first` (maybe negative) on: cos, sin, and back, which is -sin."""
        found: dict[str, np.ndarray] = {}
        for name in self._frequencies:
            blocks = [self._block(name, i) for i in range(first // self.BLOCK, (first + count - 1) // self.BLOCK + 1)]
            start = first % self.BLOCK
            cos, sin = (np.concatenate(part)[start : start + count] for part in zip(*blocks, strict=True))
            found |= {f"cos.{name}": cos, f"sin.{name}": sin, f"back.{name}": -sin}
        return found

    def _block(self, name: str, number: int) -> tuple[np.ndarray, np.ndarray]:
        if (name, number) not in self._blocks:
            positions = np.arange(number * self.BLOCK, (number + 1) * self.BLOCK, dtype=np.float64)
            angles = positions[:, None] * self._frequencies[name]
            while len(self._blocks) >= self.KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[name, number] = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        return self._blocks[name, number]
