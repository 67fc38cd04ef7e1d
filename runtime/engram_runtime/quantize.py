"""Weights as small integers with a scale per block, as ONNX Runtime's MatMulNBits and QMoE read them; what it costs.

Rounding every weight to its nearest code makes the distance between the weights small. What counts is the distance
between the products, which is smaller when the error of one weight is made up for by those that are rounded after it
(GPTQ, arXiv 2210.17323): for that `Plan` is given the second moments of what the matrices are multiplied with
(calibrate.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import numpy as np

from engram_runtime.cache import Cache
from engram_runtime.providers import CPU
from engram_runtime.sampling import log_probabilities
from engram_runtime.session import Session

WeightKind = Literal["fp32", "int8", "int4"]


@dataclass(frozen=True, slots=True)
class Blocks:
    """`bits` (4 or 8) per weight, one float scale for every `size` weights along a row."""

    bits: int
    size: int = 32


_ROWS = Blocks(8, 16)
"""For products with Engram rows. Inputs are rounded in the same blocks as weights; these are the rows of the default
model's tables, which are in eight bits already and so are not rounded a second time. Everywhere else blocks of 16 take
a sixth off the divergence and cost a tenth of the speed."""

KINDS: dict[WeightKind, Blocks | None] = {"fp32": None, "int8": Blocks(8), "int4": Blocks(4)}

_SHRUNK = {8: (1.0,), 4: (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, -0.85, -0.9, -0.95, -1.0, -1.07)}
"""Scales that are tried for a block, relative to that which makes its peak the most negative code. Four bits gain from
cutting the peak off; a negative one gives the spare code to the other side."""

_DAMPING = 0.01
"""Added to the diagonal of second moments, relative to its mean: texts that were not seen have other directions."""


def quantised(matrix: np.ndarray, blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """matrix [N, K] as codes uint8 [N, K/size, size*bits/8] and scales float32 [N, K/size], each weight to the nearest.

    A weight is (code - 2^(bits-1)) * scale; four-bit codes lie two to a byte, the first in the low half. The value of
    largest magnitude in a block is exact. Raises ValueError when blocks do not fill the rows.
    """
    codes, scales = _room(matrix, blocks)
    for piece in _pieces(matrix):
        rows = matrix[piece].reshape(-1, *scales.shape[1:], blocks.size).astype(np.float32, copy=False)
        scales[piece] = _peak_scales(rows, blocks.bits)
        codes[piece] = _packed(_codes(rows, scales[piece][..., None], blocks.bits), blocks.bits)
    return codes, scales


def compensated(matrix: np.ndarray, blocks: Blocks, moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Like `quantised`, but so that products with inputs of the second moment [K, K] come out close (GPTQ).

    Column after column is rounded, and its error taken out of the columns that are still to come as far as their inputs
    go together. A zero moment rounds to the nearest.
    """
    codes, scales = _room(matrix, blocks)
    damped = moment.astype(np.float64)
    mean = np.trace(damped) / len(damped)
    damped[np.diag_indices_from(damped)] += _DAMPING * mean if mean > 0 else 1.0
    # Row i says what column i's error does to the later ones; its diagonal squared, what is left of the error then.
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
    for piece in _pieces(matrix):
        codes[piece], scales[piece] = _compensated(matrix[piece].astype(np.float32), blocks, upper)
    return codes, scales


def _compensated(rest: np.ndarray, blocks: Blocks, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Overwrites `rest` with what is left to be rounded."""
    codes = np.empty(rest.shape, np.uint8)
    scales = np.empty((len(rest), rest.shape[1] // blocks.size), np.float32)
    middle = 1 << (blocks.bits - 1)
    for start in range(0, rest.shape[1], blocks.size):
        stop = start + blocks.size
        block, errors = rest[:, start:stop], np.empty((len(rest), blocks.size), np.float32)
        scale = _best_scales(block, blocks.bits, np.diag(upper)[start:stop] ** -2)
        for i in range(blocks.size):
            code = _codes(block[:, i], scale, blocks.bits)
            error = (block[:, i] - (code.astype(np.float32) - middle) * scale) / upper[start + i, start + i]
            block[:, i + 1 :] -= error[:, None] * upper[start + i, start + i + 1 : stop]
            codes[:, start + i], errors[:, i] = code, error
        rest[:, stop:] -= errors @ upper[start:stop, stop:]
        scales[:, start // blocks.size] = scale
    return _packed(codes.reshape(*scales.shape, blocks.size), blocks.bits), scales


def dequantised(codes: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    """The matrix [N, K] that codes and scales stand for."""
    if bits == 4:
        codes = np.stack([codes & 15, codes >> 4], -1).reshape(*codes.shape[:-1], -1)
    values = (codes.astype(np.float32) - (1 << (bits - 1))) * scales[..., None]
    return values.reshape(len(codes), -1)


_PIECE = 1 << 16
"""Weights that are worked on at a time: what that needs for a while is several times their size."""


def _pieces(matrix: np.ndarray) -> Iterator[slice]:
    step = max(1, _PIECE // matrix.shape[1])
    return (slice(start, start + step) for start in range(0, len(matrix), step))


def _room(matrix: np.ndarray, blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """Arrays for the codes and scales of a matrix."""
    N, K = matrix.shape
    if K % blocks.size:
        raise ValueError(f"rows of {K} weights are not made of blocks of {blocks.size}: choose a smaller block size")
    codes = np.empty((N, K // blocks.size, blocks.size * blocks.bits // 8), np.uint8)
    return codes, np.empty((N, K // blocks.size), np.float32)


def _peak_scales(rows: np.ndarray, bits: int) -> np.ndarray:
    peak = np.take_along_axis(rows, np.abs(rows).argmax(-1, keepdims=True), -1)[..., 0]
    # The most negative code has no positive counterpart: giving it to the peak, whatever its sign, wastes none.
    scales = (peak / -(1 << (bits - 1))).astype(np.float32)
    scales[scales == 0] = 1.0
    return scales


def _best_scales(block: np.ndarray, bits: int, counts: np.ndarray) -> np.ndarray:
    """Of the scales that are tried, for each row the one of least squared error; columns count as `counts` says."""
    middle, peak = 1 << (bits - 1), _peak_scales(block, bits)
    best, least = peak, np.full(len(block), np.inf, np.float32)
    for shrunk in _SHRUNK[bits]:
        scale = peak * np.float32(shrunk)
        off = (_codes(block, scale[:, None], bits).astype(np.float32) - middle) * scale[:, None] - block
        error = off**2 @ counts
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return best


def _codes(values: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    middle = 1 << (bits - 1)
    return np.clip(np.rint(values / scales) + middle, 0, 2 * middle - 1).astype(np.uint8)


def _packed(codes: np.ndarray, bits: int) -> np.ndarray:
    return codes[..., 0::2] | (codes[..., 1::2] << 4) if bits == 4 else codes


@dataclass(frozen=True, slots=True)
class Codes:
    """A matrix [N, K] as `quantised` makes it: codes, scales, and how they are laid out."""

    codes: np.ndarray
    scales: np.ndarray
    bits: int
    size: int


_FLOAT = 1 << 16
"""Weights up to which the attention's output stays float32 beside eight bits: for the sake of integers its input would
have to be rounded, too, and what that costs is the largest part of the error of all."""

_SMALL = 1 << 18
"""Weights up to which what goes into attention, where rounding costs most, has eight bits beside four."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which matrices of a graph become integers, and how: with `moments` (calibrate.py, by matrix) made up for.

    Beside four bits, eight are for what a token's whole input or output goes through: the embedding and the output
    projection, the mappings of the hyper-connections, and what goes into and out of attention.
    """

    blocks: Blocks
    moments: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])

    @classmethod
    def of(cls, kind: WeightKind, moments: Mapping[str, np.ndarray] | None = None) -> Self | None:
        """The plan of a kind of weights; None for float32."""
        blocks = KINDS[kind]
        return cls(blocks, moments or {}) if blocks else None

    def quantise(self, name: str, matrix: np.ndarray) -> Codes | None:
        """The matrix [N, K] that the graph knows under this name, quantised; None keeps it float32."""
        if self.blocks.bits == 8 and matrix.size <= _FLOAT and (".o_a." in name or name.endswith((".o", ".o_b"))):
            return None
        blocks = self._blocks(name, matrix)
        moments = self.moments.get(name)
        if moments is None:
            codes, scales = quantised(matrix, blocks)
        else:
            parts = zip(np.split(matrix, len(moments)), moments, strict=True)
            each = [compensated(part, blocks, moment) for part, moment in parts]
            codes, scales = (np.concatenate(pieces) for pieces in zip(*each, strict=True))
        return Codes(codes, scales, blocks.bits, blocks.size)

    def _blocks(self, name: str, matrix: np.ndarray) -> Blocks:
        if name.endswith(".engram.key_value"):
            return _ROWS
        if name in ("embedding", "lm_head") or name.endswith(".fn"):
            # Larger blocks are faster, and these matrices suffer least from them.
            return Blocks(
                8, 2 * self.blocks.size if matrix.shape[1] % (2 * self.blocks.size) == 0 else self.blocks.size
            )
        kept = name.endswith(".o") or (name.endswith(".in") and matrix.size <= _SMALL)
        return Blocks(8, self.blocks.size) if kept else self.blocks


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far one model is from another over the same tokens, teacher-forced."""

    tokens: int
    divergence: float
    """Mean KL(reference || other), nats a token."""
    median: float
    """Median of the same: what a token costs at which nothing tips over. Where two experts are almost equally good, the
    smallest error changes which one is taken; few such tokens make up most of the mean."""
    worst: float
    """Most that any token costs, nats."""
    agreement: float
    """Share of tokens at which both would choose the same next one."""
    reference_bits: float
    other_bits: float
    """Mean -log2 probability of the token that came next."""


def compare(reference: Path, other: Path, texts: Sequence[Sequence[int]]) -> Comparison:
    """Runs two model folders over token sequences. Raises ModelError for a broken folder, ValueError if no text has two
    tokens or the models have not the same number of them."""
    sessions = [Session.open(folder, [CPU]) for folder in (reference, other)]
    sizes = [session.config.vocab_size for session in sessions]
    if sizes[0] != sizes[1]:
        raise ValueError(f"{reference} has {sizes[0]} tokens, {other} {sizes[1]}: these are different networks")
    divergences: list[np.ndarray] = []
    agreement, bits = 0, np.zeros(2)
    for text in texts:
        tokens = np.asarray(text, np.int64)
        caches = [Cache.empty(session.config) for session in sessions]
        for start in range(0, len(tokens) - 1, 256):
            piece = tokens[start : min(start + 256, len(tokens) - 1)]
            calls = [session.call(cache, piece, len(piece)) for session, cache in zip(sessions, caches, strict=True)]
            caches = [call.cache() for call in calls]
            p, q = (log_probabilities(call.logits) for call in calls)
            divergences.append((np.exp(p) * (p - q)).sum(1))
            following = tokens[start + 1 : start + 1 + len(piece)]
            agreement += int((p.argmax(1) == q.argmax(1)).sum())
            rows = np.arange(len(piece))
            bits -= np.array([p[rows, following].sum(), q[rows, following].sum()]) / np.log(2)
    if not divergences:
        raise ValueError("there is nothing to compare on: give texts of at least two tokens")
    each = np.concatenate(divergences).astype(np.float64)
    count = len(each)
    return Comparison(
        count,
        float(each.mean()),
        float(np.median(each)),
        float(each.max()),
        agreement / count,
        float(bits[0] / count),
        float(bits[1] / count),
    )
