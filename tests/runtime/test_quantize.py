import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from engram_runtime.checkpoint import Checkpoint
from engram_runtime.graph import build
from engram_runtime.quantize import Blocks, Plan, WeightKind, compare, compensated, dequantised, quantised
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

# In steps: scales of numbers near the smallest there is would themselves be rounded.
MATRICES = arrays(np.float32, (2, 32), elements=st.integers(-100_000, 100_000).map(lambda number: number / 1000))
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


def correlated(seed: int, count: int, width: int) -> np.ndarray:
    """Inputs [count, width] that lie mostly in a few directions, as those of a network do."""
    rng = np.random.default_rng(seed)
    few = rng.standard_normal((count, width // 4)) @ rng.standard_normal((width // 4, width))
    return (few + rng.standard_normal((count, width))).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([4, 8]), st.sampled_from([16, 32]))
def test_what_is_made_up_for_leaves_products_closer(seed: int, bits: int, size: int) -> None:
    """On other inputs of the same kind than those that the moment is of."""
    inputs = correlated(seed, 4096, 64)
    known, unseen = inputs[:3072], inputs[3072:]
    matrix = np.random.default_rng(seed + 1).standard_normal((48, 64)).astype(np.float32)
    blocks = Blocks(bits, size)

    def error(codes: np.ndarray, scales: np.ndarray) -> float:
        assert codes.shape == (48, 64 // size, size * bits // 8)
        return float(np.square(unseen @ (dequantised(codes, scales, bits) - matrix).T).mean())

    nearest = error(*quantised(matrix, blocks))
    assert error(*compensated(matrix, blocks, known.T @ known / len(known))) < 0.75 * nearest


@settings(max_examples=30, deadline=None)
@given(MATRICES)
def test_without_inputs_to_go_by_every_weight_gets_its_nearest_code(matrix: np.ndarray) -> None:
    for one, other in zip(
        compensated(matrix, Blocks(8, 16), np.zeros((32, 32))), quantised(matrix, Blocks(8, 16)), strict=True
    ):
        assert np.array_equal(one, other)


def test_rows_are_quantised_alike_however_many_there_are() -> None:
    """Large matrices are worked on in pieces."""
    matrix = np.random.default_rng(3).standard_normal((3000, 64)).astype(np.float32)
    moment = np.cov(correlated(3, 500, 64).T)
    whole, part = (compensated(rows, Blocks(4), moment) for rows in (matrix, matrix[2048:2100]))
    assert np.array_equal(whole[0][2048:2100], part[0])
    assert np.allclose(whole[1][2048:2100], part[1])


def test_experts_are_rounded_each_for_its_own_inputs() -> None:
    matrix = np.random.default_rng(5).standard_normal((64, 64)).astype(np.float32)
    moments = np.stack([np.cov(correlated(seed, 500, 64).T) for seed in (1, 2)])
    both = Plan(Blocks(4), {"x.mlp.experts.gate_up": moments}).quantise("x.mlp.experts.gate_up", matrix)
    assert both is not None
    for part in (0, 1):
        rows = slice(32 * part, 32 * part + 32)
        assert np.array_equal(both.codes[rows], compensated(matrix[rows], Blocks(4), moments[part])[0])


def test_a_plan_of_four_bits_spends_eight_where_rounding_costs_most() -> None:
    four, eight = Plan.of("int4"), Plan.of("int8")
    assert four and eight and Plan.of("fp32") is None

    def bits(plan: Plan, name: str, rows: int, width: int) -> int | None:
        codes = plan.quantise(name, np.ones((rows, width), np.float32))
        return codes.bits if codes else None

    layer = "model.layers.0"
    assert bits(four, "embedding", 2048, 256) == bits(four, "lm_head", 2048, 256) == 8
    assert bits(four, f"{layer}.attn_hc.fn", 24, 1024) == bits(four, f"{layer}.self_attn.o", 256, 256) == 8
    assert bits(four, f"{layer}.self_attn.in", 512, 256) == 8
    assert bits(four, f"{layer}.self_attn.in", 2048, 256) == bits(four, f"{layer}.self_attn.q_b", 512, 128) == 4
    assert bits(eight, f"{layer}.self_attn.o", 256, 256) is None
    assert bits(eight, f"{layer}.self_attn.o", 512, 512) == 8
    for experts in ("experts", "shared_experts"):
        for plan in (four, eight):
            both = {bits(plan, f"{layer}.mlp.{experts}.{part}", 64, 256) for part in ("gate_up", "down")}
            assert both == {plan.blocks.bits}


def test_a_tied_head_remains_the_embedding(checkpoint: Path) -> None:
    source = Checkpoint.open(checkpoint)
    rng = np.random.default_rng(2)
    moment = np.cov(rng.standard_normal((source.config.hidden_size, 500)))[None]
    model = build(source.config, source.weights, Plan.of("int8", {"embedding": moment, "lm_head": moment}))
    assert "lm_head" not in {tensor.name for tensor in model.graph.initializer}


def test_a_model_agrees_with_itself(folders: dict[WeightKind, Path]) -> None:
    same = compare(folders["fp32"], folders["fp32"], TEXTS)
    assert (same.tokens, same.divergence, same.agreement) == (357, 0, 1)
    assert same.reference_bits == same.other_bits
    assert same.median == same.worst == 0


def test_fewer_bits_are_further_from_the_model(folders: dict[WeightKind, Path]) -> None:
    """Random weights exaggerate the loss: routing and selection sit on edges. Order and magnitude are what is checked."""
    eight, four = (compare(folders["fp32"], folders[kind], TEXTS) for kind in ("int8", "int4"))
    assert 0 < eight.divergence < 0.04 < four.divergence < 1
    assert eight.agreement > 0.85
    assert eight.agreement > four.agreement
    assert eight.other_bits == pytest.approx(eight.reference_bits, rel=0.05)


def test_there_must_be_something_to_compare_on(folders: dict[WeightKind, Path]) -> None:
    with pytest.raises(ValueError, match="two tokens"):
        compare(folders["fp32"], folders["fp32"], [[7]])


def test_models_of_different_tokens_are_not_compared(folders: dict[WeightKind, Path], tmp_path: Path) -> None:
    other = Path(shutil.copytree(folders["fp32"], tmp_path / "other"))
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    config["vocab_size"] += 1
    (other / "config.json").write_text(json.dumps(config), encoding="utf-8")
    classes = np.load(other / "engram_classes.npy")
    np.save(other / "engram_classes.npy", np.append(classes, 0))
    with pytest.raises(ValueError, match="different networks"):
        compare(folders["fp32"], other, TEXTS)
