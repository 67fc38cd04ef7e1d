"""What is measured for calibration, and that it helps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from engram_runtime.calibrate import moments
from engram_runtime.checkpoint import Checkpoint
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.export import export
from engram_runtime.graph import build
from engram_runtime.network import DeepseekV4
from engram_runtime.quantize import Blocks, Codes, Plan, WeightKind, compare
from engram_runtime.samples import LONGEST, texts
from engram_runtime.samples import TEXTS as TEXTS_TAKEN
from engram_runtime.tokenizer import Tokenizer

TEXTS = [np.random.default_rng(i).integers(6, 262, 200).tolist() for i in range(6)]


@pytest.fixture(scope="module")
def source(checkpoint: Path) -> Checkpoint:
    return Checkpoint.open(checkpoint)


@pytest.fixture(scope="module")
def measured(source: Checkpoint) -> dict[str, np.ndarray]:
    return moments(source.config, source.weights, source.classes, TEXTS[:2])


def test_moments_are_those_of_the_network(
    measured: dict[str, np.ndarray], network: DeepseekV4, hashes: EngramHash
) -> None:
    """Its modules see the same inputs; of experts, the routed sum over experts is what all of them are given."""
    config, layer = network.config, network.layers[1]
    seen: dict[str, list[np.ndarray]] = {}

    def watch(name: str, module: torch.nn.Module) -> None:
        def hook(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            seen.setdefault(name, []).append(inputs[0].detach().flatten(0, -2).double().numpy())

        handles.append(module.register_forward_pre_hook(hook))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    watch("self_attn.in", layer.self_attn.q_a_proj)
    watch("self_attn.q_b", layer.self_attn.q_b_proj)
    watch("mlp.shared_experts.gate_up", layer.mlp.shared_experts.gate_proj)
    watch("mlp.shared_experts.down", layer.mlp.shared_experts.down_proj)
    assert layer.engram is not None
    watch("engram.key_value", layer.engram.key_proj)
    weights: list[np.ndarray] = []
    gate = layer.mlp.gate
    handles.append(gate.register_forward_hook(lambda _m, _i, found: weights.append(_shares(found, config))))
    with torch.no_grad():
        for text in TEXTS[:2]:
            tokens = torch.tensor([text])
            rows = {at: torch.from_numpy(hashes.batch_rows(tokens.numpy(), at)) for at in config.engram_layers}
            network.trunk(tokens, rows)
    for handle in handles:
        handle.remove()
    for name, inputs in seen.items():
        x = np.concatenate(inputs)
        assert np.allclose(measured[f"model.layers.1.{name}"][0], x.T @ x / len(x), atol=2e-3), name
    x, share = np.concatenate(seen["mlp.shared_experts.gate_up"]), np.concatenate(weights)
    expected = np.einsum("te,tk,tl->ekl", share**2, x, x) / len(x)
    assert np.allclose(measured["model.layers.1.mlp.experts.gate_up"], expected, atol=2e-3)


def _shares(found: tuple[torch.Tensor, torch.Tensor], config: ModelConfig) -> np.ndarray:
    experts, weights = found
    share = torch.zeros(len(experts), config.n_routed_experts, dtype=torch.float64)
    share.scatter_(1, experts, weights.double() / config.routed_scaling_factor)
    return share.numpy()


def test_every_matrix_that_is_quantised_has_its_moment(source: Checkpoint, measured: dict[str, np.ndarray]) -> None:
    asked: dict[str, tuple[int, ...]] = {}

    class Asking(Plan):
        def quantise(self, name: str, matrix: np.ndarray) -> Codes | None:
            asked[name] = matrix.shape
            return None

    build(source.config, source.weights, Asking(Blocks(8)))
    for name, (rows, width) in asked.items():
        assert measured[name].shape[1:] == (width, width), name
        assert rows % len(measured[name]) == 0, name
        assert np.linalg.eigvalsh(measured[name]).min() > -1e-3, name


def test_a_calibrated_model_is_closer_on_texts_that_it_was_not_calibrated_on(
    checkpoint: Path, folders: dict[WeightKind, Path], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    words = ["".join(map(chr, rng.integers(97, 123, 5))) for _ in range(60)]

    def written(count: int) -> str:
        return " ".join(rng.choice(words, count))

    code = tmp_path / "code"
    (code / "deeper").mkdir(parents=True)
    for i in range(8):
        (code / "deeper" / f"{i}.py").write_text(written(120), encoding="utf-8")
    said = export(checkpoint, tmp_path / "calibrated", "int4", calibration=code)
    assert said["calibrated"]
    tokenizer = Tokenizer.read(checkpoint / "tokenizer.json")
    unseen = [tokenizer.encode(written(120))[:400] for _ in range(3)]
    plain, better = (compare(folders["fp32"], other, unseen) for other in (folders["int4"], tmp_path / "calibrated"))
    assert better.divergence < 0.8 * plain.divergence


def test_texts_come_from_all_over_a_folder_and_are_the_same_every_time(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for i in range(100):
        folder = tmp_path / f"part{i % 4}"
        folder.mkdir(exist_ok=True)
        (folder / f"{i}.py").write_text(f"part {i % 4}\n" * (i + 1), encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00 1")
    (tmp_path / "zeros.py").write_text("\0" * 50, encoding="utf-8")
    (tmp_path / "empty.py").touch()
    found = texts(tmp_path, tokenizer)
    assert found == texts(tmp_path, tokenizer)
    assert len(found) == TEXTS_TAKEN and max(map(len, found)) == LONGEST
    assert {tokenizer.decode(tokens[1:])[:6] for tokens in found} == {f"part {i}" for i in range(4)}


def test_a_folder_without_text_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00 1")
    with pytest.raises(ValueError, match="no text files"):
        export(checkpoint, tmp_path / "out", calibration=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["binary"]


def test_there_must_be_tokens_to_calibrate_on(source: Checkpoint) -> None:
    with pytest.raises(ValueError, match="no token"):
        moments(source.config, source.weights, source.classes, [[]])
