"""A model folder becomes a checkpoint again that computes the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from engram_runtime.cache import Cache
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.export import WeightKind, export
from engram_runtime.network import DeepseekV4
from engram_runtime.recover import recover
from engram_runtime.session import Session
from engram_runtime.shapes import expected_shapes
from engram_runtime.weights import Weights
from safetensors.torch import load_file, save_file
from small_model import SMALL, random_network

IDS = np.random.default_rng(3).integers(6, 262, 90)


def exported(folder: Path, config: ModelConfig, kind: WeightKind) -> Path:
    classes = np.arange(config.vocab_size) % 50
    network = random_network(config, classes)
    (folder / "checkpoint").mkdir()
    config.write(folder / "checkpoint" / "config.json")
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "checkpoint/weights.safetensors")
    if config.engram_layers:
        np.save(folder / "checkpoint" / "engram_classes.npy", classes)
    export(folder / "checkpoint", folder / "model", kind)
    return folder / "model"


def logits_of(checkpoint: Path) -> np.ndarray:
    config = ModelConfig.read(checkpoint / "config.json")
    rows: dict[int, torch.Tensor] = {}
    counts: list[int] = []
    if config.engram_layers:
        hashes = EngramHash(config, np.load(checkpoint / "engram_classes.npy"))
        rows = {layer: torch.from_numpy(hashes.batch_rows(IDS[None], layer)) for layer in config.engram_layers}
        counts = [hashes.row_count(layer) for layer in config.engram_layers]
    network = DeepseekV4(config, counts)
    network.load_state_dict(load_file(checkpoint / "weights.safetensors"))
    with torch.inference_mode():
        hidden, _ = network.eval().trunk(torch.from_numpy(IDS[None]), rows)
        return network.head(hidden[0]).numpy()


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, tie_word_embeddings=False, engram_layers=(), mlp_layer_types=("moe",) * 4),
        replace(SMALL, o_lora_rank=8, hc_sinkhorn_iters=2, num_attention_heads=2),
        replace(SMALL, num_attention_heads=8, o_groups=4, o_lora_rank=64),
    ],
)
def test_a_float_model_gives_back_a_network_that_computes_the_same(config: ModelConfig, tmp_path: Path) -> None:
    model = exported(tmp_path, config, "fp32")
    again = recover(model, tmp_path / "again")
    assert {name: weight.shape for name, weight in Weights(again / "weights.safetensors").items()} == (
        expected_shapes(config)
    )
    assert np.abs(logits_of(again) - logits_of(tmp_path / "checkpoint")).max() < 2e-4


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_quantised_model_gives_back_what_it_was_rounded_to(kind: WeightKind, tmp_path: Path) -> None:
    model = exported(tmp_path, SMALL, kind)
    again = recover(model, tmp_path / "again")
    lost = np.abs(logits_of(again) - logits_of(tmp_path / "checkpoint")).mean()
    # What was rounded once is rounded to the same codes again, but for a few that lie in the middle of two.
    export(again, tmp_path / "rounded", kind)
    changed = np.abs(logits_of_graph(tmp_path / "rounded") - logits_of_graph(model)).mean()
    assert changed < 0.3 * lost, (changed, lost)


def logits_of_graph(model: Path) -> np.ndarray:
    session = Session.open(model)
    return session.call(Cache.empty(session.config), IDS, len(IDS)).logits


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        recover(tmp_path, tmp_path / "again")


def test_a_model_with_a_draft_head_is_refused(tmp_path: Path) -> None:
    replace(SMALL, num_nextn_predict_layers=1).write(tmp_path / "config.json")
    with pytest.raises(ValueError, match="draft head"):
        recover(tmp_path, tmp_path / "again")
