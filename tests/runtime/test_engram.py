"""Which rows of the tables an n-gram reads."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash, _is_prime, _primes_from
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


def by_definition(config: ModelConfig, classes: np.ndarray, tokens: list[int], layer: int) -> list[list[int]]:
    """The paper's formula, a number at a time."""
    index = config.engram_layers.index(layer)
    primes = first_primes(
        config.engram_rows, len(config.engram_layers) * len(config.engram_orders) * config.engram_heads
    )
    drawn = np.random.PCG64([0x456E6772616D, layer]).random_raw(max(config.engram_orders))
    multipliers = [int(value) | 1 for value in drawn]
    found: list[list[int]] = []
    for t in range(len(tokens)):
        own = iter(primes[index * len(primes) // len(config.engram_layers) :])
        start, rows = 0, list[int]()
        for order in config.engram_orders:
            hashed = 0
            for k in range(order):
                hashed ^= int(classes[tokens[t - k] if t >= k else 0]) * multipliers[k] % 2**64
            for _ in range(config.engram_heads):
                prime = next(own)
                rows.append(start + hashed % prime)
                start += prime
        found.append(rows)
    return found


def first_primes(least: int, count: int) -> list[int]:
    primes = (n for n in itertools.count(least) if n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1)))
    return list(itertools.islice(primes, count))


@given(
    texts,
    st.sampled_from([(2, 3, 4), (2, 4), (3,), (3, 2)]),
    st.sampled_from([(0,), (2, 0), (0, 1, 3)]),
    st.data(),
)
def test_all_layers_at_once_are_each_layer_by_the_definition(
    tokens: list[int], orders: tuple[int, ...], layers: tuple[int, ...], data: st.DataObject
) -> None:
    config = dataclasses.replace(CONFIG, engram_orders=orders, engram_layers=layers)
    hashes = EngramHash(config, CLASSES)
    start = data.draw(st.integers(0, len(tokens)))
    together = hashes.all_rows(tokens, start)
    assert together.shape == (len(layers), len(tokens) - start, len(orders) * 3)
    for index, layer in enumerate(layers):
        assert together[index].tolist() == by_definition(config, CLASSES, tokens, layer)[start:]
        assert np.array_equal(hashes.rows(tokens, layer, start), together[index])
    for t in range(start, len(tokens)):
        assert np.array_equal(hashes.all_rows(tokens[: t + 1], t)[:, 0], together[:, t - start])


def test_a_network_without_engram_layers_reads_no_rows() -> None:
    hashes = EngramHash(dataclasses.replace(CONFIG, engram_layers=()), CLASSES)
    assert hashes.all_rows([1, 2, 3]).shape == (0, 3, 9)


@given(st.integers(0, 3000), st.integers(0, 60))
def test_primes_are_the_first_ones(least: int, count: int) -> None:
    assert _primes_from(least, count) == first_primes(max(least, 2), count)


def test_primes_are_told_from_numbers_that_look_like_them() -> None:
    # Strong pseudoprimes to the first one, two, four and eleven prime bases; a square; products of near primes.
    imposters = (2047, 1373653, 3215031751, 3825123056546413051, 1000003**2, 999999937 * 1000000007, 561, 41041)
    assert not any(map(_is_prime, imposters))
    assert all(map(_is_prime, (2, 37, 41, 1000000007, 2**31 - 1, 2**61 - 1, 18446744073709551557)))


def test_rows_of_huge_tables_are_numbered_beyond_32_bits() -> None:
    config = dataclasses.replace(CONFIG, engram_rows=10**9)
    hashes = EngramHash(config, CLASSES)
    tokens = list(range(50))
    rows = hashes.all_rows(tokens)
    assert rows.min() >= 0 and rows.max() > 2**33
    assert hashes.row_count(2) > 9 * 10**9
    assert all(rows[i].max() < hashes.row_count(layer) for i, layer in enumerate(config.engram_layers))


def test_the_hash_functions_never_change() -> None:
    """Trained tables are worth nothing under other ones: these numbers were written down once."""
    assert HASHES.rows([7, 8, 9, 10, 11], 0)[-1].tolist() == FROZEN


def test_only_the_model_s_vocabulary_is_folded() -> None:
    with pytest.raises(ValueError, match="50 tokens"):
        EngramHash(CONFIG, np.arange(49))
    EngramHash(dataclasses.replace(CONFIG, vocab_size=49), np.arange(49))


FROZEN = [2, 142, 288, 402, 513, 529, 744, 827, 993]
