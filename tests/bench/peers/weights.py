"""One checkpoint of random weights that every engine reads: our parameter names (which are transformers'), safetensors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import tokenizers
from engram_runtime.config import CSA, HCA, SLIDING, ModelConfig
from engram_runtime.shapes import expected_shapes
from engram_runtime.tokenizer import SPECIALS
from safetensors.numpy import save_file
from tokenizers import AddedToken, decoders, models, pre_tokenizers

# The class of models that ships: about 30 million weights, of which a token uses 13.
NANO = ModelConfig(
    hidden_size=384,
    layer_types=(SLIDING, SLIDING, CSA, HCA, CSA, HCA, CSA, HCA),
    mlp_layer_types=("hash_moe",) * 2 + ("moe",) * 6,
    num_attention_heads=6,
    q_lora_rank=192,
    o_groups=2,
    o_lora_rank=128,
    n_routed_experts=12,
    moe_intermediate_size=192,
    engram_layers=(),
)
# What ships, without its Engram layers, which no peer has.
DEFAULT = replace(ModelConfig(), engram_layers=())
SHAPES = {"nano": NANO, "default": DEFAULT}


def write(config: ModelConfig, folder: Path) -> None:
    """Writes config.json, weights.safetensors, a tokenizer of single bytes, and what Engram layers need."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    save_file(
        {name: _values(config, name, shape, random) for name, shape in expected_shapes(config).items()},
        folder / "weights.safetensors",
    )
    config.write(folder / "config.json")
    (folder / "tokenizer.json").write_text(_tokenizer(), encoding="utf-8")
    if config.engram_layers:
        np.save(folder / "engram_classes.npy", np.arange(config.vocab_size, dtype=np.int32))


def _values(config: ModelConfig, name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """At a scale at which every part matters: gates off their middle, experts and streams unlike, logits of about 3."""
    if name.endswith("tid2eid"):
        experts = np.tile(np.arange(config.n_routed_experts), (shape[0], 1))
        return np.ascontiguousarray(random.permuted(experts, axis=1)[:, : shape[1]])
    values = random.standard_normal(shape, np.float32)
    if "_hc." in name or "hc_head" in name:
        values *= 0.02 if name.endswith("fn") else 0.5
        values += 1.0 if name.endswith("scale") else 0.0
    elif name == "model.norm.weight":
        values = 3 * config.hidden_size**-0.5 * (1 + 0.3 * values)
    elif "embed_tokens" in name or "lm_head" in name or "table" in name:
        pass
    elif name.endswith(("bias", "sinks")):
        values *= 0.3
    elif len(shape) == 1:
        values = 1 + 0.3 * values
    else:
        values *= shape[-1] ** -0.5
    return values.astype(np.float32)


def _tokenizer() -> str:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: i for i, name in enumerate([*SPECIALS, *letters])}
    model = tokenizers.Tokenizer(models.BPE(vocabulary, []))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.decoder = decoders.ByteLevel()
    model.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return model.to_str()
