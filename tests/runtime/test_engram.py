"""Which rows of the tables an n-gram reads."""

import dataclasses

import numpy as np
import pytest
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from hypothesis import given
from hypothesis import strategies as st

CONFIG = ModelConfig(vocab_size=50, engram_layers=(0, 2), engram_orders=(2, 3, 4), engram_heads=3, engram_rows=97)
CLASSES = np.arange(50) // 2
HASHES = EngramHash(CONFIG, CLASSES)
REACH = max(CONFIG.engram_orders) - 1

texts = st.lists(st.integers(0, 49), min_size=1, max_size=40)


@given(texts, st.sampled_from(CONFIG.engram_layers), st.data())
def test_rows_from_a_start_are_the_last_rows_of_all(tokens: list[int], layer: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(tokens)))
    assert np.array_equal(HASHES.rows(tokens, layer, start), HASHES.rows(tokens, layer)[start:])


@given(texts, texts, st.lists(st.integers(0, 49), min_size=REACH + 1, max_size=12))
def test_the_same_n_gram_reads_the_same_rows_wherever_it_stands(a: list[int], b: list[int], common: list[int]) -> None:
    settled = len(common) - REACH
    assert np.array_equal(HASHES.rows(a + common, 0)[-settled:], HASHES.rows(b + common, 0)[-settled:])


@given(texts)
def test_tokens_of_one_class_read_the_same_rows(tokens: list[int]) -> None:
    others = [token ^ 1 for token in tokens]
    assert np.array_equal(HASHES.rows(tokens, 2), HASHES.rows(others, 2))


@given(texts)
def test_before_the_first_token_there_is_padding(tokens: list[int]) -> None:
    padded = [0] * REACH + tokens
    assert np.array_equal(HASHES.rows(tokens, 0), HASHES.rows(padded, 0, REACH))


@given(st.lists(st.lists(st.integers(0, 49), min_size=9, max_size=9), min_size=1, max_size=4))
def test_a_batch_is_its_texts(tokens: list[list[int]]) -> None:
    assert np.array_equal(HASHES.batch_rows(tokens, 2), np.stack([HASHES.rows(text, 2) for text in tokens]))


def test_each_order_and_head_reads_its_own_part_of_the_table() -> None:
    tokens = np.random.default_rng(0).integers(0, 50, 5000)
    for layer in CONFIG.engram_layers:
        rows = HASHES.rows(tokens, layer)
        low, high = rows.min(axis=0), rows.max(axis=0)
        assert rows.shape == (5000, 9)
        assert (low[1:] > high[:-1]).all()
        assert low[0] >= 0 and high[-1] < HASHES.row_count(layer)
        # 2 is the least order and every head of it is asked for 25 * 25 class pairs: most of its rows are used.
        assert all(len(np.unique(rows[:, head])) > 90 for head in range(3))


def test_n_grams_that_collide_in_one_head_part_in_another() -> None:
    pairs = np.array([[0, a, b] for a in range(0, 50, 2) for b in range(0, 50, 2)])
    rows = HASHES.batch_rows(pairs, 0)[:, -1, :3]
    assert len(np.unique(rows[:, 0])) < len(pairs) == len(np.unique(rows, axis=0))


def test_layers_hash_differently() -> None:
    tokens = np.arange(50)
    assert not np.array_equal(HASHES.rows(tokens, 0), HASHES.rows(tokens, 2))


def test_the_hash_functions_never_change() -> None:
    """Trained tables are worth nothing under other ones: these numbers were written down once."""
    assert HASHES.rows([7, 8, 9, 10, 11], 0)[-1].tolist() == FROZEN


def test_only_the_model_s_vocabulary_is_folded() -> None:
    with pytest.raises(ValueError, match="50 tokens"):
        EngramHash(CONFIG, np.arange(49))
    EngramHash(dataclasses.replace(CONFIG, vocab_size=49), np.arange(49))


FROZEN = [2, 142, 288, 402, 513, 529, 744, 827, 993]
