"""Interpolation and the learning of its weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
from engram_context.memory import prior
from hypothesis import given, settings
from hypothesis import strategies as st

matches = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 3), st.sampled_from([1.0, 2.5])),
    min_size=1,
    max_size=60,
)


def arrays(found: list[tuple[int, int, int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    tokens, lengths, scopes, weights = zip(*found, strict=True)
    return (
        np.array(tokens, np.uint16),
        np.array(lengths, np.int32),
        np.array(scopes, np.uint8),
        np.array(weights, np.float32),
    )


def some_table(seed: int = 1) -> prior.Table:
    random = np.random.default_rng(seed)
    shares = random.uniform(0.01, 0.99, (prior.LEVELS, prior.BUCKETS)).astype(np.float32)
    trust = random.uniform(0, 1, (len(prior.LENGTHS), len(prior.TOPS) + 1)).astype(np.float32)
    return prior.Table(shares, trust)


def bucket_of(total: float, share: float) -> int:
    count = sum(total >= limit for limit in prior.COUNTS)
    return count * (len(prior.SHARES) + 1) + sum(share >= limit for limit in prior.SHARES)


@settings(max_examples=150, deadline=None)
@given(found=matches)
def test_a_distribution_is_the_mixture_written_out_level_by_level(found: list[tuple[int, int, int, float]]) -> None:
    table = some_table()
    expected: dict[int, float] = {}
    rest = 1.0
    for index, least in enumerate(prior.LENGTHS):
        for scope in (1, 2, 3):
            counts: dict[int, float] = {}
            for token, length, where, weight in found:
                if length >= least and where >= scope:
                    counts[token] = counts.get(token, 0) + weight
            if not counts:
                continue
            total = sum(counts.values())
            bucket = bucket_of(total, max(counts.values()) / total)
            share = float(table.shares[index * 3 + scope - 1, bucket])
            rest *= 1 - share
            expected = {
                token: (1 - share) * expected.get(token, 0.0) + share * counts.get(token, 0.0) / total
                for token in expected.keys() | counts.keys()
            }
    weighed = prior.interpolate(*arrays(found), 10, table)
    assert weighed.rest == pytest.approx(rest, abs=1e-5)
    assert dict(zip(weighed.ids.tolist(), weighed.probabilities.tolist(), strict=True)) == pytest.approx(
        expected, abs=1e-4
    )
    assert prior.LENGTHS[weighed.longest] <= max(length for _, length, _, _ in found)


def test_learned_shares_are_the_ones_the_data_was_made_with() -> None:
    random = np.random.default_rng(1)
    size = 10_000
    buckets = np.full((size, prior.LEVELS), -1)
    truths = np.zeros((size, prior.LEVELS), np.float32)
    floor = np.full(size, 0.01, np.float32)
    # Two levels; the higher one is right with probability 0.7 in bucket 3 and 0.2 in bucket 5.
    buckets[:, 0] = 2
    buckets[:, 4] = np.where(np.arange(size) % 2, 3, 5)
    drawn = random.random(size)
    high = drawn < np.where(buckets[:, 4] == 3, 0.7, 0.2)
    low = ~high & (random.random(size) < 0.4)
    truths[:, 4] = high * 0.5
    truths[:, 0] = low * 0.5
    shares = prior.learn_shares(buckets, truths, floor, rounds=30)
    assert shares[4, 3] == pytest.approx(0.7, abs=0.04)
    assert shares[4, 5] == pytest.approx(0.2, abs=0.04)
    assert shares[0, 2] == pytest.approx(0.4, abs=0.05)


def test_learned_trust_goes_to_whoever_was_right() -> None:
    size = 4_000
    longest = np.arange(size) % 2
    tops = np.where(longest == 0, 0.3, 0.95).astype(np.float32)
    right = np.arange(size) % 10 < np.where(longest == 0, 2, 9)
    memory = np.where(right, 0.9, 0.01).astype(np.float32)
    model = np.where(right, 0.01, 0.9).astype(np.float32)
    trust = prior.learn_trust(longest, tops, memory, model)
    low = trust[0, np.searchsorted(prior.TOPS, 0.3, side="right")]
    high = trust[1, np.searchsorted(prior.TOPS, 0.95, side="right")]
    assert low < 0.3 < 0.8 < high


def test_the_table_that_is_shipped_fits_and_survives_being_written() -> None:
    table = prior.load_table()
    assert ((table.shares > 0) & (table.shares < 1)).all()
    assert ((table.trust >= 0) & (table.trust <= 1)).all()
    # Learned, not flat: continuations that agree earn more than ones that do not.
    agree, differ = bucket_of(20, 1.0), bucket_of(20, 0.3)
    assert table.shares[:, agree].mean() > table.shares[:, differ].mean() + 0.1
    again = prior.table_of(json.loads(prior.as_json(table, *prior.about_table())))
    np.testing.assert_allclose(again.shares, table.shares, atol=1e-4)
    np.testing.assert_allclose(again.trust, table.trust, atol=1e-4)


def test_a_table_of_another_shape_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="run tests/bench/fit_prior"):
        prior.table_of({"shares": [[0.5]], "trust": [[0.5]]})
