from pathlib import Path

import numpy as np
import pytest
from engram_runtime.export import WeightKind
from engram_runtime.quantize import Blocks, compare, dequantised, quantised
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

MATRICES = arrays(np.float32, (2, 32), elements=st.floats(-100, 100, width=32))
TEXTS = [np.random.default_rng(i).integers(6, 262, 120).tolist() for i in range(3)]


@settings(max_examples=50, deadline=None)
@given(MATRICES, st.sampled_from([4, 8]), st.sampled_from([16, 32]))
def test_a_weight_comes_back_within_half_a_step(matrix: np.ndarray, bits: int, size: int) -> None:
    codes, scales = quantised(matrix, Blocks(bits, size))
    assert codes.shape == (2, 32 // size, size * bits // 8)
    back = dequantised(codes, scales, bits)
    step = np.repeat(np.abs(scales), size, 1)
    # What equals the peak with the opposite sign has no code of its own: it is a whole step off.
    without_code = matrix / np.repeat(scales, size, 1) > 2 ** (bits - 1) - 0.5
    assert (np.abs(back - matrix) <= step * np.where(without_code, 1.001, 0.501)).all()
    peaks = np.abs(matrix).reshape(2, -1, size).max(-1)
    assert np.allclose(np.abs(back).reshape(2, -1, size).max(-1), peaks, rtol=1e-5)


def test_zeros_stay_zeros() -> None:
    codes, scales = quantised(np.zeros((2, 32), np.float32), Blocks(4))
    assert not dequantised(codes, scales, 4).any()


def test_blocks_must_fill_the_rows() -> None:
    with pytest.raises(ValueError, match="blocks of 32"):
        quantised(np.zeros((2, 48), np.float32), Blocks(8))


def test_a_model_agrees_with_itself(folders: dict[WeightKind, Path]) -> None:
    same = compare(folders["fp32"], folders["fp32"], TEXTS)
    assert (same.tokens, same.divergence, same.agreement) == (357, 0, 1)
    assert same.reference_bits == same.other_bits


def test_fewer_bits_are_further_from_the_model(folders: dict[WeightKind, Path]) -> None:
    """Random weights exaggerate the loss: routing and selection sit on edges. Order and magnitude are what is checked."""
    eight, four = (compare(folders["fp32"], folders[kind], TEXTS) for kind in ("int8", "int4"))
    assert 0 < eight.divergence < 0.1 < four.divergence < 3
    assert eight.agreement > 0.85
    assert eight.agreement > four.agreement
    assert eight.other_bits == pytest.approx(eight.reference_bits, rel=0.05)


def test_there_must_be_something_to_compare_on(folders: dict[WeightKind, Path]) -> None:
    with pytest.raises(ValueError, match="two tokens"):
        compare(folders["fp32"], folders["fp32"], [[7]])
