import numpy as np
import pytest
from engram_runtime.sampling import Sampler, log_probabilities, mixed, narrowed, probabilities
from hypothesis import given
from hypothesis import strategies as st

LOGITS = st.lists(st.floats(-30, 30), min_size=2, max_size=40).map(np.array)


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    """Pearson's statistic over the cells that expect at least five."""
    kept = expected >= 5
    return float(((counts[kept] - expected[kept]) ** 2 / expected[kept]).sum() / max(1, kept.sum() - 1))


@given(LOGITS)
def test_probabilities_are_the_softmax(logits: np.ndarray) -> None:
    p = probabilities(logits.astype(np.float32))
    assert p.sum() == pytest.approx(1)
    assert np.allclose(np.log(p[0] / p), logits[0].astype(np.float32) - logits.astype(np.float32), atol=1e-4)
    assert np.allclose(log_probabilities(logits), np.log(probabilities(logits)), atol=1e-9)


def test_huge_logits_do_not_overflow() -> None:
    assert probabilities(np.array([1e30, 0.0, -1e30], np.float32)).tolist() == [1, 0, 0]


@given(LOGITS, st.floats(0, 1), st.floats(0, 1), st.data())
def test_a_prior_moves_its_weight_of_the_mass(
    logits: np.ndarray, weight: float, share: float, data: st.DataObject
) -> None:
    model = probabilities(logits)
    ids = np.array(data.draw(st.lists(st.integers(0, len(logits) - 1), min_size=1, unique=True)))
    chances = np.full(len(ids), share / len(ids))
    p = mixed(model, (ids, chances, weight))
    expected = model * (1 - weight * share)
    expected[ids] += weight * chances
    assert p.sum() == pytest.approx(1)
    assert np.allclose(p, expected)


def test_a_certain_prior_decides_alone_and_none_changes_nothing() -> None:
    model = probabilities(np.array([3.0, 1.0, 0.0]))
    assert np.allclose(mixed(model, (np.array([2]), np.array([1.0]), 1.0)), [0, 0, 1])
    assert mixed(model, None) is model


@given(LOGITS, st.floats(0.05, 1))
def test_top_p_keeps_the_fewest_tokens_that_hold_it(logits: np.ndarray, top_p: float) -> None:
    p = probabilities(logits)
    kept = narrowed(p, 1.0, top_p)
    inside = kept > 0
    assert p[inside].sum() >= top_p - 1e-9
    assert p[inside].sum() - p[inside].min() < top_p + 1e-9
    assert p[inside].min() >= p[~inside].max(initial=0)
    assert np.allclose(kept[inside], p[inside] / p[inside].sum())


def test_temperature_sharpens_and_flattens() -> None:
    p = np.array([0.5, 0.3, 0.2])
    assert np.allclose(narrowed(p, 0.5, 1.0), p**2 / (p**2).sum())
    assert np.allclose(narrowed(p, 2.0, 1.0), p**0.5 / (p**0.5).sum())
    assert narrowed(np.array([1.0, 0.0]), 0.7, 1.0).tolist() == [1, 0]


def test_greedy_takes_the_most_probable_and_of_equals_the_first() -> None:
    assert Sampler().choose(np.array([0.2, 0.4, 0.4])) == 1


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.5, 0.8)])
def test_choices_have_the_distribution_asked_for(temperature: float, top_p: float) -> None:
    p = probabilities(np.random.default_rng(0).normal(0, 1.5, 12))
    sampler = Sampler(temperature, top_p, seed=3)
    counts = np.bincount([sampler.choose(p) for _ in range(20000)], minlength=12)
    expected = narrowed(p, temperature, top_p) * 20000
    assert counts[expected == 0].sum() == 0
    assert chi_square(counts, expected) < 3
    assert chi_square(counts, np.roll(p, 1) * 20000) > 10, "the test must be able to fail"


def test_equal_seeds_choose_equally() -> None:
    p = np.full(100, 0.01)
    first, second, other = Sampler(1.0, seed=1), Sampler(1.0, seed=1), Sampler(1.0, seed=2)
    choices = [first.choose(p) for _ in range(20)]
    assert choices == [second.choose(p) for _ in range(20)]
    assert choices != [other.choose(p) for _ in range(20)]


@pytest.mark.parametrize(("temperature", "top_p"), [(-1.0, 1.0), (1.0, 0.0), (1.0, 1.5)])
def test_settings_that_mean_nothing_are_refused(temperature: float, top_p: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        Sampler(temperature, top_p)
