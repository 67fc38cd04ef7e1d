import math

import numpy as np
import pytest
from engram_runtime.sampling import Opinion, Sampler, log_probabilities, mixed, nucleus
from hypothesis import assume, given
from hypothesis import strategies as st
from opinions import Said

LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=40).map(
    lambda values: np.array(values, np.float32)
)


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(log_probabilities(logits))


def distribution(logits: np.ndarray, opinion: Opinion | None, temperature: float, top_p: float) -> np.ndarray:
    """What is to be drawn from, step by step over the whole vocabulary."""
    with np.errstate(divide="ignore"):
        p = np.exp(np.log(mixed(softmax(logits), opinion)) / temperature)
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    kept = order[np.concatenate(([0.0], np.cumsum(p[order])[:-1])) < top_p]
    inside = np.zeros_like(p)
    inside[kept] = p[kept]
    return inside / inside.sum()


@st.composite
def opinions(draw: st.DrawFn, width: int) -> Opinion | None:
    ids = draw(st.lists(st.integers(0, width - 1), unique=True, max_size=6))
    if not ids and draw(st.booleans()):
        return None
    shares = np.array([draw(st.floats(0.01, 1)) for _ in ids])
    claimed = draw(st.floats(0.05, 1))
    return Said(np.array(ids, np.int32), shares / max(shares.sum(), 1e-9) * claimed, draw(st.floats(0, 1)))


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    """Pearson's statistic over the cells that expect at least five."""
    kept = expected >= 5
    return float(((counts[kept] - expected[kept]) ** 2 / expected[kept]).sum() / max(1, kept.sum() - 1))


@given(LOGITS)
def test_log_probabilities_are_the_log_softmax(logits: np.ndarray) -> None:
    p = softmax(logits)
    assert p.sum() == pytest.approx(1)
    assert np.allclose(np.log(p[0] / p), logits[0].astype(np.float64) - logits, atol=1e-9)


def test_huge_logits_do_not_overflow() -> None:
    logits = np.array([1e30, 0.0, -1e30], np.float32)
    assert softmax(logits).tolist() == [1, 0, 0]
    for temperature in (0.0, 0.5, 1.0):
        assert Sampler(temperature).choose(logits) == (0, 0.0)


@given(LOGITS, st.data())
def test_a_prior_moves_its_weight_of_the_mass(logits: np.ndarray, data: st.DataObject) -> None:
    model = softmax(logits)
    opinion = data.draw(opinions(len(logits)))
    p = mixed(model, opinion)
    assert p.sum() == pytest.approx(1)
    if opinion is None:
        assert p is model
        return
    expected = model * (1 - opinion.weight * opinion.chances.sum())
    expected[opinion.ids] += opinion.weight * opinion.chances
    assert np.allclose(p, expected)


@given(LOGITS, st.data())
def test_the_greedy_choice_is_the_most_probable_of_the_mixture(logits: np.ndarray, data: st.DataObject) -> None:
    """The fast path, which looks at the prior's tokens and the model's best alone, against the whole vocabulary."""
    opinion = data.draw(opinions(len(logits)))
    p = mixed(softmax(logits), opinion)
    token, log_prob = Sampler().choose(logits, opinion)
    assert p[token] == pytest.approx(p.max(), rel=1e-5)
    assert log_prob == pytest.approx(math.log(p[token]), abs=1e-5)


@given(LOGITS, st.data(), st.sampled_from([0.5, 1.0, 2.0]), st.floats(0.05, 1), st.integers(0, 99))
def test_a_drawn_choice_is_the_one_the_distribution_gives(
    logits: np.ndarray, data: st.DataObject, temperature: float, top_p: float, seed: int
) -> None:
    """The same random number, cut by the sums of a distribution that was computed another way."""
    opinion = data.draw(opinions(len(logits)))
    sums = np.cumsum(distribution(logits, opinion, temperature, top_p))
    number = np.random.default_rng(seed).random()
    # Sums of another order of rounding: a number on a border may fall on either side.
    assume(np.abs(sums - number).min() > 1e-4)
    held = np.cumsum(np.sort(distribution(logits, opinion, temperature, 1.0))[::-1])
    assume(np.abs(held - top_p).min() > 1e-4)
    token, log_prob = Sampler(temperature, top_p, seed).choose(logits, opinion)
    p = mixed(softmax(logits), opinion)
    # Equal tokens at the edge of the nucleus may change places by rounding.
    assert p[token] == pytest.approx(p[int(np.searchsorted(sums, number, side="right"))], rel=1e-4)
    assert log_prob == pytest.approx(math.log(p[token]), abs=1e-5)


def test_a_certain_prior_decides_alone() -> None:
    logits = np.array([3.0, 1.0, 0.0], np.float32)
    opinion = Said(np.array([2]), np.array([1.0]), 1.0)
    assert np.allclose(mixed(softmax(logits), opinion), [0, 0, 1])
    for temperature in (0.0, 0.5, 1.0):
        assert Sampler(temperature).choose(logits, opinion) == (2, 0.0)


def test_a_prior_that_claims_more_than_there_is_is_brought_to_one() -> None:
    logits = np.zeros(3, np.float32)
    token, log_prob = Sampler().choose(logits, Said(np.array([1, 2]), np.array([2.0, 1.0]), 1.0))
    assert (token, log_prob) == (1, pytest.approx(math.log(2 / 3)))


@given(LOGITS, st.floats(0.05, 1))
def test_top_p_keeps_the_fewest_tokens_that_hold_it(logits: np.ndarray, top_p: float) -> None:
    p = softmax(logits)
    kept = nucleus(p, top_p)
    inside = kept > 0
    assert p[inside].sum() >= top_p - 1e-9
    assert p[inside].sum() - p[inside].min() < top_p + 1e-9
    assert p[inside].min() >= p[~inside].max(initial=0)
    assert np.array_equal(kept[inside], p[inside])
    assert np.array_equal(nucleus(p * 4, top_p), kept * 4), "only ratios count"


def test_greedy_takes_of_equals_the_first() -> None:
    assert Sampler().choose(np.array([0.2, 0.4, 0.4], np.float32))[0] == 1


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.5, 0.8)])
@pytest.mark.parametrize("opinion", [None, Said(np.array([3, 5]), np.array([0.5, 0.2]), 0.4)])
def test_choices_have_the_distribution_asked_for(temperature: float, top_p: float, opinion: Opinion | None) -> None:
    logits = np.random.default_rng(0).normal(0, 1.5, 12).astype(np.float32)
    sampler = Sampler(temperature, top_p, seed=3)
    counts = np.bincount([sampler.choose(logits, opinion)[0] for _ in range(20000)], minlength=12)
    expected = distribution(logits, opinion, temperature, top_p) * 20000
    assert counts[expected == 0].sum() == 0
    assert chi_square(counts, expected) < 3
    wrong = distribution(np.roll(logits, 1), opinion, temperature, top_p) * 20000
    assert chi_square(counts, wrong) > 10, "the test must be able to fail"


def test_equal_seeds_choose_equally() -> None:
    logits = np.zeros(100, np.float32)
    first, second, other = Sampler(1.0, seed=1), Sampler(1.0, seed=1), Sampler(1.0, seed=2)
    choices = [first.choose(logits) for _ in range(20)]
    assert choices == [second.choose(logits) for _ in range(20)]
    assert choices != [other.choose(logits) for _ in range(20)]


@pytest.mark.parametrize(("temperature", "top_p"), [(-1.0, 1.0), (1.0, 0.0), (1.0, 1.5)])
def test_settings_that_mean_nothing_are_refused(temperature: float, top_p: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        Sampler(temperature, top_p)
