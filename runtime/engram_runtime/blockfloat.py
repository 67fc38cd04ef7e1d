"""Weights of eight and four bits with a scale for each block, as DeepSeek releases them, decoded by table look-up.

E4M3 (FP8): sign, 4 exponent bits (bias 7), 3 of mantissa; no infinities, 0x7F and 0xFF are NaN; largest value 448.
E2M1 (FP4): sign, 2 exponent bits (bias 1), 1 of mantissa; two to a byte, the first in the low half; largest value 6.
E8M0 (scales): the exponent alone, 2^(code - 127); 0xFF is NaN.
"""

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def _values(exponent_bits: int, mantissa_bits: int) -> Floats:
    """The value of every code of a format with a sign, its bias 2^(exponent_bits-1) - 1, and no infinities."""
    code = np.arange(1 << (1 + exponent_bits + mantissa_bits))
    mantissa = code & ((1 << mantissa_bits) - 1)
    exponent = (code >> mantissa_bits) & ((1 << exponent_bits) - 1)
    # Without a leading one, the numbers of exponent 0 lie on the grid of exponent 1.
    whole = mantissa + np.where(exponent > 0, 1 << mantissa_bits, 0)
    bias = (1 << (exponent_bits - 1)) - 1
    magnitude = np.ldexp(whole.astype(np.float32), np.maximum(exponent, 1) - bias - mantissa_bits)
    return np.where(code >> (exponent_bits + mantissa_bits), -magnitude, magnitude).astype(np.float32)


def _with_nan(values: Floats, *codes: int) -> Floats:
    values[list(codes)] = np.nan
    return values


E4M3: Floats = _with_nan(_values(4, 3), 0x7F, 0xFF)
"""float32 [256]: the value of each FP8 code."""

E2M1: Floats = _values(2, 1)
"""float32 [16]: the value of each FP4 code."""

E8M0: Floats = _with_nan(np.ldexp(np.float32(1), np.arange(256).clip(max=254) - 127).astype(np.float32), 0xFF)
"""float32 [256]: the value of each scale code."""

_PAIRS: Floats = np.stack([np.tile(E2M1, 16), np.repeat(E2M1, 16)], axis=1)
"""float32 [256, 2]: both values of a byte of FP4."""


def fp8(codes: Codes) -> Floats:
    """Codes [..., K] as values [..., K]."""
    return E4M3[codes]


def fp4(codes: Codes) -> Floats:
    """Bytes [..., K/2] as values [..., K]."""
    return _PAIRS[codes].reshape(*codes.shape[:-1], -1)


def block_of(shape: tuple[int, ...], scales: tuple[int, ...], usual: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of one block of a matrix [..., N, K] with scales [..., n, k], or one scale for it all.

    Blocks of the `usual` size may be cut short at the edges; of other sizes they must fill the matrix. Raises
    ValueError when the scales are of another matrix.
    """
    N, K = shape[-2:]
    if all(size == 1 for size in scales):
        return N, K
    if len(scales) == len(shape) and scales[:-2] == shape[:-2]:
        n, k = scales[-2:]
        if (n, k) == (-(-N // usual[0]), -(-K // usual[1])):
            return usual
        if n and k and not N % n and not K % k:
            return N // n, K // k
    raise ValueError(f"scales of shape {list(scales)} do not divide a matrix of {list(shape)} into blocks")


def scale(values: Floats, scales: Floats, block: tuple[int, int]) -> None:
    """Multiplies values [..., N, K], contiguous, in place by the scale [..., n, k] of the block that each lies in."""
    N, K = values.shape[-2:]
    if scales.size == 1:
        values *= scales.reshape(())
        return
    rows, columns = block
    for matrix, factors in zip(values.reshape(-1, N, K), scales.reshape(-1, *scales.shape[-2:]), strict=True):
        if rows == 1 and not K % columns:
            blocks = matrix.reshape(N, -1, columns)
            blocks *= factors[:, :, None]
            continue
        if rows == 1:
            matrix *= np.repeat(factors, columns, axis=1)[:, :K]
            continue
        for i, row in enumerate(factors):
            matrix[i * rows : (i + 1) * rows] *= np.repeat(row, columns)[:K]
