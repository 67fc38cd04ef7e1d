"""FP8 and FP4 codes are decoded as torch and the standard have them, and scaled by the block that they lie in."""

import numpy as np
import pytest
import torch
from engram_runtime import blockfloat
from hypothesis import given
from hypothesis import strategies as st

VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def test_every_code_of_eight_bits_is_what_torch_says() -> None:
    codes = torch.arange(256, dtype=torch.uint8)
    np.testing.assert_array_equal(blockfloat.E4M3, codes.view(torch.float8_e4m3fn).float().numpy())
    np.testing.assert_array_equal(blockfloat.E8M0, codes.view(torch.float8_e8m0fnu).float().numpy())
    assert np.signbit(blockfloat.E4M3[0x80])


def test_every_code_of_four_bits_is_as_the_standard_lists_it() -> None:
    assert blockfloat.E2M1.tolist() == [*VALUES, *(-value for value in VALUES)]
    assert blockfloat.fp4(np.array([[0x21, 0xF7]], np.uint8)).tolist() == [[0.5, 1.0, 6.0, -6.0]]


@given(
    st.integers(1, 5), st.integers(1, 9), st.integers(1, 4), st.integers(1, 5), st.integers(0, 3), st.integers(0, 2**32)
)
def test_each_value_is_scaled_by_its_block(n: int, k: int, rows: int, columns: int, cut: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    N, K = n * rows - min(cut, rows - 1), k * columns - min(cut, columns - 1)
    values = random.normal(size=(N, K)).astype(np.float32)
    scales = random.normal(size=(n, k)).astype(np.float32)
    expected = np.array([[values[i, j] * scales[i // rows, j // columns] for j in range(K)] for i in range(N)])
    block = blockfloat.block_of((N, K), (n, k), (rows, columns))
    blockfloat.scale(values, scales, block)
    np.testing.assert_array_equal(values, expected.astype(np.float32))


def test_stacked_matrices_have_scales_of_their_own() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(3, 4, 6)).astype(np.float32)
    scales = random.normal(size=(3, 2, 3)).astype(np.float32)
    expected = values * scales.repeat(2, 1).repeat(2, 2)
    blockfloat.scale(values, scales, blockfloat.block_of(values.shape, scales.shape, (128, 128)))
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("scales", [(3, 2), (2,), (1, 2, 2), (0, 4)])
def test_scales_of_another_matrix_are_refused(scales: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not divide"):
        blockfloat.block_of((200, 512), scales, (128, 128))
