"""Weights as small integers with a scale per block, as ONNX Runtime's MatMulNBits and QMoE read them; what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engram_runtime.cache import Cache
from engram_runtime.providers import CPU
from engram_runtime.sampling import log_probabilities
from engram_runtime.session import Session


@dataclass(frozen=True, slots=True)
class Blocks:
    """`bits` (4 or 8) per weight, one float scale for every `size` weights along a row."""

    bits: int
    size: int = 32


_PIECE = 1 << 16
"""Weights that are worked on at a time: what that needs for a while is several times their size."""


def quantised(matrix: np.ndarray, blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """matrix [N, K] as codes uint8 [N, K/size, size*bits/8] and scales float32 [N, K/size].

    A weight is (code - 2^(bits-1)) * scale; four-bit codes lie two to a byte, the first in the low half. The value of
    largest magnitude in a block is exact. Raises ValueError when blocks do not fill the rows.
    """
    N, K = matrix.shape
    if K % blocks.size:
        raise ValueError(f"rows of {K} weights are not made of blocks of {blocks.size}: choose a smaller block size")
    codes = np.empty((N, K // blocks.size, blocks.size * blocks.bits // 8), np.uint8)
    scales = np.empty((N, K // blocks.size), np.float32)
    step = max(1, _PIECE // K)
    for start in range(0, N, step):
        piece = slice(start, start + step)
        codes[piece], scales[piece] = _quantised(matrix[piece].reshape(-1, K // blocks.size, blocks.size), blocks.bits)
    return codes, scales


def _quantised(rows: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    rows = rows.astype(np.float32, copy=False)
    peak = np.take_along_axis(rows, np.abs(rows).argmax(-1, keepdims=True), -1)
    middle = 1 << (bits - 1)
    # The most negative code has no positive counterpart: giving it to the peak, whatever its sign, wastes none.
    scales = (peak / -middle).astype(np.float32)
    scales[scales == 0] = 1.0
    codes = np.clip(np.rint(rows / scales) + middle, 0, 2 * middle - 1).astype(np.uint8)
    if bits == 4:
        codes = codes[..., 0::2] | (codes[..., 1::2] << 4)
    return codes, scales[..., 0]


def dequantised(codes: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    """The matrix [N, K] that `quantised` codes stand for."""
    if bits == 4:
        codes = np.stack([codes & 15, codes >> 4], -1).reshape(*codes.shape[:-1], -1)
    values = (codes.astype(np.float32) - (1 << (bits - 1))) * scales[..., None]
    return values.reshape(len(codes), -1)


@dataclass(frozen=True, slots=True)
class Codes:
    """A matrix [N, K] as `quantised` makes it: codes, scales, and how they are laid out."""

    codes: np.ndarray
    scales: np.ndarray
    bits: int
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Which matrices of a graph become integers, and how."""

    blocks: Blocks

    def quantise(self, name: str, matrix: np.ndarray) -> Codes | None:
        """The matrix [N, K] that the graph knows under this name, quantised; None keeps it float32."""
        # The embedding stays at eight bits: its rows are the whole input, and a row is read once per token.
        bits = 8 if name in ("embedding", "lm_head") else self.blocks.bits
        return Codes(*quantised(matrix, Blocks(bits, self.blocks.size)), bits, self.blocks.size)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far one model is from another over the same tokens, teacher-forced."""

    tokens: int
    divergence: float
    """Mean KL(reference || other), nats a token."""
    agreement: float
    """Share of tokens at which both would choose the same next one."""
    reference_bits: float
    other_bits: float
    """Mean -log2 probability of the token that came next."""


def compare(reference: Path, other: Path, texts: Sequence[Sequence[int]]) -> Comparison:
    """Runs two model folders over token sequences of at least two tokens. Raises ModelError for a broken folder."""
    sessions = [Session.open(folder, [CPU]) for folder in (reference, other)]
    count, divergence, agreement, bits = 0, 0.0, 0, np.zeros(2)
    for text in texts:
        tokens = np.asarray(text, np.int64)
        caches = [Cache.empty(session.config) for session in sessions]
        for start in range(0, len(tokens) - 1, 256):
            piece = tokens[start : min(start + 256, len(tokens) - 1)]
            calls = [session.call(cache, piece, len(piece)) for session, cache in zip(sessions, caches, strict=True)]
            caches = [call.cache() for call in calls]
            p, q = (log_probabilities(call.logits) for call in calls)
            following = tokens[start + 1 : start + 1 + len(piece)]
            count += len(piece)
            divergence += float((np.exp(p) * (p - q)).sum())
            agreement += int((p.argmax(1) == q.argmax(1)).sum())
            rows = np.arange(len(piece))
            bits -= np.array([p[rows, following].sum(), q[rows, following].sum()]) / np.log(2)
    if not count:
        raise ValueError("there is nothing to compare on: give texts of at least two tokens")
    return Comparison(count, divergence / count, agreement / count, float(bits[0] / count), float(bits[1] / count))
