"""Networks of transformers with random weights, saved as it saves them, and what we make of their checkpoints.

Engram is not part of the released network, and so not of these configurations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import transformers
from engram_runtime.cache import Cache
from engram_runtime.checkpoint import Checkpoint
from engram_runtime.config import CSA, HCA, SLIDING, ModelConfig
from engram_runtime.network import DeepseekV4
from engram_runtime.session import Session
from small_model import SMALL, byte_tokenizer, randomise

LENGTH = 334
TOKENS = np.random.default_rng(3).integers(0, SMALL.vocab_size, LENGTH)

MIX = replace(SMALL, engram_layers=(), hc_sinkhorn_iters=20)
HASHED, ROUTED = "hash_moe", "moe"

CONFIGS: dict[str, ModelConfig] = {
    "mix": MIX,
    "sliding alone": replace(
        MIX, layer_types=(SLIDING,) * 3, mlp_layer_types=(HASHED, ROUTED, ROUTED), sliding_window=5, hc_mult=2
    ),
    # HCA windows of 128 close at 127 and 255; the window alone would not reach back.
    "released rates": replace(
        MIX,
        layer_types=(HCA, HCA, CSA, HCA),
        mlp_layer_types=(HASHED, HASHED, HASHED, ROUTED),
        compress_rate_hca=128,
        sliding_window=16,
        tie_word_embeddings=False,
    ),
    "odd rates": replace(
        MIX,
        layer_types=(CSA, HCA, CSA),
        mlp_layer_types=(ROUTED,) * 3,
        compress_rate_csa=3,
        compress_rate_hca=7,
        sliding_window=11,
        hc_mult=2,
        hc_sinkhorn_iters=4,
    ),
    "YaRN": replace(MIX, rope_factor=4.0, rope_original_positions=64, sliding_window=48),
    "YaRN of other turns": replace(
        MIX,
        layer_types=(HCA, CSA, SLIDING),
        mlp_layer_types=(HASHED, ROUTED, ROUTED),
        rope_factor=16.0,
        rope_original_positions=40,
        rope_beta_fast=4.0,
        rope_beta_slow=0.5,
        compress_rope_theta=20000.0,
        compress_rate_csa=5,
        compress_rate_hca=12,
        hc_sinkhorn_iters=4,
        tie_word_embeddings=False,
    ),
    # Gate and up projections of random weights are about 1, so half of them meet this limit.
    "clamped experts": replace(
        MIX,
        layer_types=(SLIDING, CSA),
        mlp_layer_types=(HASHED, ROUTED),
        swiglu_limit=0.5,
        routed_scaling_factor=2.5,
        n_routed_experts=6,
        num_experts_per_tok=3,
    ),
    "one group": replace(
        MIX, layer_types=(CSA, HCA), mlp_layer_types=(ROUTED, ROUTED), o_groups=1, num_attention_heads=3, hc_mult=3
    ),
    "a group a head": replace(
        MIX,
        layer_types=(HCA, CSA),
        mlp_layer_types=(HASHED, HASHED),
        o_groups=8,
        o_lora_rank=8,
        num_attention_heads=8,
        num_experts_per_tok=1,
        routed_scaling_factor=1.0,
        sliding_window=1,
        compress_rate_csa=2,
    ),
    # The indexer's choice binds, at few heads with exact ties of scores and at many without.
    "choice": replace(MIX, layer_types=(CSA, HCA, CSA), mlp_layer_types=(ROUTED,) * 3, index_topk=9, index_n_heads=32),
    "choice among ties": replace(
        MIX, layer_types=(CSA, SLIDING, CSA), mlp_layer_types=(ROUTED,) * 3, index_topk=9, index_n_heads=1
    ),
}
ALIKE = [name for name in CONFIGS if name != "choice among ties"]
"""Configurations whose logits transformers defines: it leaves the order among equal scores to torch."""


def theirs(config: ModelConfig) -> transformers.DeepseekV4Config:
    yarn = {
        "rope_type": "yarn",
        "factor": config.rope_factor,
        "original_max_position_embeddings": config.rope_original_positions,
        "beta_fast": config.rope_beta_fast,
        "beta_slow": config.rope_beta_slow,
    }
    same = ("vocab_size", "hidden_size", "num_hidden_layers", "tie_word_embeddings", "max_position_embeddings")
    same += ("rms_norm_eps", "num_attention_heads", "head_dim", "qk_rope_head_dim", "q_lora_rank", "o_groups")
    same += ("o_lora_rank", "sliding_window", "index_n_heads", "index_head_dim", "index_topk", "rope_theta")
    same += ("compress_rope_theta", "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size")
    same += ("routed_scaling_factor", "swiglu_limit", "hc_mult", "hc_sinkhorn_iters", "hc_eps")
    return transformers.DeepseekV4Config(
        **{name: getattr(config, name) for name in same},
        layer_types=list(config.layer_types),
        mlp_layer_types=list(config.mlp_layer_types),
        compress_rates={CSA: config.compress_rate_csa, HCA: config.compress_rate_hca},
        rope_parameters=yarn if config.rope_factor > 1 else None,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        attn_implementation="eager",
    )


@dataclass(frozen=True, slots=True)
class Saved:
    """A network of transformers, its checkpoint, ours of it, and what transformers says of TOKENS: float32 [LENGTH, V]."""

    folder: Path
    reference: transformers.DeepseekV4ForCausalLM
    network: DeepseekV4
    expected: np.ndarray


def save(name: str, folder: Path) -> Saved:
    """Makes the network of that configuration and has transformers save it."""
    torch.manual_seed(7)
    reference = transformers.DeepseekV4ForCausalLM(theirs(CONFIGS[name])).eval()
    randomise(reference, CONFIGS[name])
    with torch.no_grad():
        expected = reference(torch.from_numpy(TOKENS)[None], use_cache=False).logits[0].numpy()
    reference.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(byte_tokenizer().to_json(), encoding="utf-8")
    return Saved(folder, reference, loaded(folder), expected)


def loaded(folder: Path) -> DeepseekV4:
    """Our network of a saved checkpoint."""
    checkpoint = Checkpoint.open(folder)
    network = DeepseekV4(checkpoint.config, []).eval()
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in checkpoint.weights.items()})
    return network


@torch.no_grad()
def of_network(network: DeepseekV4, tokens: np.ndarray) -> np.ndarray:
    return network(torch.from_numpy(tokens)[None], {})[0].numpy()


def in_pieces(session: Session, sizes: Sequence[int], tokens: np.ndarray = TOKENS, astray: bool = False) -> np.ndarray:
    """The graph's logits of all tokens, computed in calls of the given sizes (repeated as needed).

    `astray` computes each piece with other tokens first, and takes that back.
    """
    state, answers, turn = Cache.empty(session.config), [], 0
    while state.position < len(tokens):
        piece = tokens[state.position : state.position + sizes[turn % len(sizes)]]
        if astray:
            state = session.call(state, (piece + 1) % session.config.vocab_size, 0).cache().rewind(state.position)
        call = session.call(state, piece, len(piece))
        answers.append(call.logits)
        state, turn = call.cache(), turn + 1
    return np.concatenate(answers)


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max())
