"""A gate judges a prior token by token, and says the same wherever it is asked."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from engram_runtime.engine import OnnxEngine, Request
from engram_runtime.export import WeightKind
from engram_runtime.gate import FILE, OWN, Gate, Glance, features
from engram_runtime.sampling import Sampler, log_probabilities, mixed
from engram_runtime.session import ModelError
from opinions import Said

EVIDENCE = 3


def random_gate(seed: int = 0, evidence: int = EVIDENCE) -> Gate:
    chance = np.random.default_rng(seed)
    F, H = OWN + evidence, 5
    draw = (chance.normal(size=shape).astype(np.float32) for shape in ((F,), (H, F), (H,), (H,)))
    return Gate(next(draw), np.full(F, 2.0, np.float32), *draw, 0.3)


def constant_gate(weight: float) -> Gate:
    F = OWN + EVIDENCE
    zeros = np.zeros((1, F), np.float32)
    return Gate(zeros[0], zeros[0] + 1, zeros, zeros[0, :1], zeros[0, :1], math.log(weight / (1 - weight)))


def said(seed: int = 1) -> Said:
    chance = np.random.default_rng(seed)
    chances = np.sort(chance.dirichlet(np.ones(6)).astype(np.float32))[::-1] * np.float32(0.9)
    return Said(chance.permutation(40)[:6].astype(np.int64), chances, 0.5, chance.normal(size=3).astype(np.float32))


LOGITS = np.random.default_rng(5).normal(0, 3, 40).astype(np.float32)
MODEL = np.exp(log_probabilities(LOGITS))


def test_a_gate_is_read_as_it_was_written(tmp_path: Path) -> None:
    gate = random_gate()
    gate.write(tmp_path / FILE, "a test")
    again = Gate.read(tmp_path / FILE)
    glance = Glance(3, 0.5, 1.0, MODEL[said().ids])
    assert again.weight(glance, said()) == pytest.approx(gate.weight(glance, said()), abs=1e-3)


@pytest.mark.parametrize("weight", [0.02, 0.5, 0.97])
def test_what_the_gate_says_is_how_far_the_prior_counts(weight: float) -> None:
    opinion = said()
    as_told = Said(opinion.ids, opinion.chances, weight, opinion.evidence)
    gated = mixed(MODEL, opinion, constant_gate(weight))
    np.testing.assert_allclose(gated, mixed(MODEL, as_told), rtol=1e-4)
    assert gated.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_choice_is_as_probable_as_the_mixture_says(seed: int, temperature: float) -> None:
    gate, opinion = random_gate(seed), said(seed)
    whole = mixed(MODEL, opinion, gate)
    token, log_probability = Sampler(temperature, seed=seed, gate=gate).choose(LOGITS, opinion)
    assert log_probability == pytest.approx(math.log(whole[token]), abs=1e-3)
    if temperature == 0:
        assert token == whole.argmax()


def test_a_gate_that_learned_from_other_evidence_is_not_asked() -> None:
    gate = random_gate(evidence=EVIDENCE + 2)
    assert not gate.fits(said())
    np.testing.assert_array_equal(mixed(MODEL, said(), gate), mixed(MODEL, said()))
    assert Sampler(gate=gate).choose(LOGITS, said()) == Sampler().choose(LOGITS, said())


def test_features_are_finite_whatever_is_said() -> None:
    nothing = Said(np.zeros(0, np.int64), np.zeros(0, np.float32), 0.0, np.zeros(3, np.float32))
    certain = Said(np.array([7]), np.array([1.0], np.float32), 1.0, np.zeros(3, np.float32))
    for opinion, named in ((nothing, np.zeros(0)), (certain, np.zeros(1))):
        x = features(Glance(0, 1.0, 0.0, named), opinion)
        assert x.shape == (OWN + 3,)
        assert np.isfinite(x).all()


def test_a_model_folder_s_gate_judges_what_its_engine_decodes(folders: dict[WeightKind, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["fp32"], tmp_path / "model"))

    class Always:
        def next(self, tokens: object) -> Said:
            return Said(np.array([77]), np.array([0.6], np.float32), 0.0, np.zeros(EVIDENCE, np.float32))

    def chance_of_77() -> float:
        request = Request((10, 11, 12), max_tokens=1, prior=Always())
        found = {step.tokens[0]: step.log_probs[0] for step in OnnxEngine.open(folder).steps(request)}
        return math.exp(found.get(77, -math.inf))

    assert chance_of_77() == 0.0  # the prior itself asks for no trust
    constant_gate(0.9).write(folder / FILE, "trusts")
    assert chance_of_77() == pytest.approx(0.54, abs=0.05)


@pytest.mark.parametrize("content", ["", "[]", '{"middle": [1]}', '{"middle": 1, "spread": 2}'])
def test_a_broken_gate_is_a_model_error_that_names_the_file(
    content: str, folders: dict[WeightKind, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["fp32"], tmp_path / "model"))
    (folder / FILE).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"gate\.json"):
        OnnxEngine.open(folder)
