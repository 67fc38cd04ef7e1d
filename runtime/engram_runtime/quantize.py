"""Weights as small integers with a scale per block, in the layouts ONNX Runtime's MatMulNBits and QMoE read."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Blocks:
    """`bits` (4 or 8) per weight, one float scale for every `size` weights along a row."""

    bits: int
    size: int = 32


def quantised(matrix: np.ndarray, blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """matrix [N, K] as codes uint8 [N, K/size, size*bits/8] and scales float32 [N, K/size].

    A weight is (code - 2^(bits-1)) * scale; four-bit codes lie two to a byte, the first in the low half. The value of
    largest magnitude in a block is exact. Raises ValueError when blocks do not fill the rows.
    """
    N, K = matrix.shape
    if K % blocks.size:
        raise ValueError(f"rows of {K} weights are not made of blocks of {blocks.size}: choose a smaller block size")
    rows = matrix.reshape(N, K // blocks.size, blocks.size).astype(np.float32)
    peak = np.take_along_axis(rows, np.abs(rows).argmax(-1, keepdims=True), -1)
    middle = 1 << (blocks.bits - 1)
    # The most negative code has no positive counterpart: giving it to the peak, whatever its sign, wastes none.
    scales = (peak / -middle).astype(np.float32)
    scales[scales == 0] = 1.0
    codes = np.clip(np.rint(rows / scales) + middle, 0, 2 * middle - 1).astype(np.uint8)
    if blocks.bits == 4:
        codes = codes[..., 0::2] | (codes[..., 1::2] << 4)
    return codes, scales[..., 0]


def dequantised(codes: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    """The matrix [N, K] that `quantised` codes stand for."""
    if bits == 4:
        codes = np.stack([codes & 15, codes >> 4], -1).reshape(*codes.shape[:-1], -1)
    values = (codes.astype(np.float32) - (1 << (bits - 1))) * scales[..., None]
    return values.reshape(len(codes), -1)
