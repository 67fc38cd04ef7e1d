"""What DeepSeek's released checkpoints and transformers call things, in our terms: configuration and parameters.

Three dialects of names are understood, and mixtures of them (transformers 5 writes one): the released one
(`layers.3.attn.wq_a.weight`, an expert a tensor), that of transformers in memory
(`model.layers.3.self_attn.q_a_proj.weight`, a layer's experts stacked), which is ours, too, and per-expert tensors with
the in-memory names of their parts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from engram_runtime.config import CSA, HCA, SLIDING, LayerType, MlpType, ModelConfig

ARCHITECTURE = "deepseek_v4"
"""The `model_type` of configurations that can be read."""

_BY_RATIO: dict[int, LayerType] = {0: SLIDING, 4: CSA, 128: HCA}

# Fields of the same name and meaning in both.
_SAME = (
    *("vocab_size", "hidden_size", "num_attention_heads", "head_dim", "q_lora_rank", "o_groups", "o_lora_rank"),
    *("sliding_window", "index_n_heads", "index_head_dim", "index_topk", "rope_theta", "compress_rope_theta"),
    *("n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "routed_scaling_factor", "swiglu_limit"),
    *("hc_mult", "hc_sinkhorn_iters", "hc_eps", "rms_norm_eps", "max_position_embeddings", "num_nextn_predict_layers"),
    "tie_word_embeddings",
)

# What transformers assumes where config.json is silent, as far as our own defaults differ.
_DEFAULTS: dict[str, Any] = {
    "vocab_size": 129280,
    "hidden_size": 4096,
    "num_attention_heads": 64,
    "head_dim": 512,
    "q_lora_rank": 1024,
    "o_groups": 8,
    "o_lora_rank": 1024,
    "index_n_heads": 64,
    "index_head_dim": 128,
    "index_topk": 512,
    "n_routed_experts": 256,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 2048,
    "hc_sinkhorn_iters": 20,
    "max_position_embeddings": 1048576,
    "num_nextn_predict_layers": 1,
    "tie_word_embeddings": False,
}

# Choices that the network has made; a checkpoint that made others would run and say nonsense.
_FIXED: dict[str, Any] = {
    "scoring_func": "sqrtsoftplus",
    "hidden_act": "silu",
    "norm_topk_prob": True,
    "n_shared_experts": 1,
    "num_key_value_heads": 1,
    "attention_bias": False,
    "mlp_bias": False,
}


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """The configuration that a `deepseek_v4` config.json describes, in its released form or in transformers'.

    Raises ValueError, naming the field, where it asks for what this network has not.
    """
    if fields.get("model_type") != ARCHITECTURE:
        raise ValueError(f"its architecture is {fields.get('model_type')!r}, only {ARCHITECTURE!r} can be read")
    for name, value in _FIXED.items():
        if fields.get(name, value) not in (value, None):
            raise ValueError(f"{name} is {fields[name]!r}, only {value!r} is supported")
    given: dict[str, Any] = {**_DEFAULTS, **{name: fields[name] for name in _SAME if fields.get(name) is not None}}
    # Of several, the first drafts; whether there is any, the weights will tell.
    given["num_nextn_predict_layers"] = min(1, given["num_nextn_predict_layers"])
    count = int(fields.get("num_hidden_layers", 43))
    rates = _mapping(fields, "compress_rates")
    given["compress_rate_csa"] = int(rates.get(CSA, fields.get("compress_rate_csa", 4)))
    given["compress_rate_hca"] = int(rates.get(HCA, fields.get("compress_rate_hca", 128)))
    given["layer_types"] = _layer_types(fields, count)
    given["mlp_layer_types"] = _mlp_types(fields, count)
    given |= _rotation(fields, given)
    return ModelConfig(**given, engram_layers=())


def _mapping(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name) or {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {value!r}, not an object")
    return cast("dict[str, Any]", value)


def _layer_types(fields: Mapping[str, Any], count: int) -> tuple[LayerType, ...]:
    if types := fields.get("layer_types"):
        kinds: list[LayerType] = list(types)
    elif ratios := fields.get("compress_ratios"):
        if unknown := sorted({ratio for ratio in ratios[:count] if ratio not in _BY_RATIO}):
            raise ValueError(f"compress_ratios has {unknown}, only 0, 4 and 128 are known")
        # What follows the layers' own ratios is of the MTP layers.
        kinds = [_BY_RATIO[ratio] for ratio in ratios[:count]]
    else:
        kinds = [HCA if layer < 2 or layer % 2 == 0 else CSA for layer in range(count)]
    if len(kinds) < count:
        raise ValueError(f"num_hidden_layers is {count}, but only {len(kinds)} layers have a type")
    return tuple(kinds[:count])


def _mlp_types(fields: Mapping[str, Any], count: int) -> tuple[MlpType, ...]:
    if types := fields.get("mlp_layer_types"):
        if len(types) < count:
            raise ValueError(f"num_hidden_layers is {count}, but mlp_layer_types has {len(types)} entries")
        return tuple(types[:count])
    hashed = int(fields.get("num_hash_layers", fields.get("n_hash_layers", 3)))
    return tuple("hash_moe" if layer < hashed else "moe" for layer in range(count))


def _rotation(fields: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary width and angles: `rope_parameters` with its `main` and `compress`, or the flat `rope_scaling`."""
    parameters = _mapping(fields, "rope_parameters") or _mapping(fields, "rope_scaling")
    nested = isinstance(parameters.get("main"), dict) and isinstance(parameters.get("compress"), dict)
    compress: dict[str, Any] = parameters["compress"] if nested else parameters
    main: dict[str, Any] = parameters["main"] if nested else {}
    kind = compress.get("rope_type", compress.get("type", "default"))
    if kind not in ("default", "yarn"):
        raise ValueError(f"RoPE of type {kind!r} is not supported in compressed layers, only 'default' and 'yarn'")
    if main.get("rope_type", "default") != "default":
        raise ValueError(f"RoPE of type {main['rope_type']!r} is not supported in sliding layers, only 'default'")
    said: dict[str, Any] = {}
    if nested:
        said["rope_theta"] = float(main.get("rope_theta", given.get("rope_theta", 10000.0)))
        said["compress_rope_theta"] = float(compress.get("rope_theta", given.get("compress_rope_theta", 160000.0)))
    share = main.get("partial_rotary_factor", fields.get("partial_rotary_factor"))
    if share is not None:
        said["qk_rope_head_dim"] = round(given["head_dim"] * share)
    else:
        said["qk_rope_head_dim"] = int(fields.get("qk_rope_head_dim") or given["head_dim"] // 8)
    if kind == "yarn":
        # Without a word in the file, transformers and DeepSeek's own code both leave YaRN's factor on logits out.
        if compress.get("attention_factor") not in (None, 1, 1.0):
            raise ValueError(f"attention_factor {compress['attention_factor']} is not supported, only 1")
        if compress.get("truncate", True) is not True:
            raise ValueError("truncate is not supported to be false in the parameters of YaRN")
        original = compress.get("original_max_position_embeddings")
        if not original:
            raise ValueError("YaRN needs original_max_position_embeddings")
        factor = compress.get("factor")
        said["rope_original_positions"] = int(original)
        said["rope_factor"] = float(factor if factor else given["max_position_embeddings"] / original)
        said["rope_beta_fast"] = float(compress.get("beta_fast") or 32)
        said["rope_beta_slow"] = float(compress.get("beta_slow") or 1)
    return said


# ---- parameters

_TOP = {
    "embed.weight": "model.embed_tokens.weight",
    "embed_tokens.weight": "model.embed_tokens.weight",
    "head.weight": "lm_head.weight",
    "lm_head.weight": "lm_head.weight",
    "norm.weight": "model.norm.weight",
    "hc_head_fn": "model.hc_head.hc_fn",
    "hc_head_base": "model.hc_head.hc_base",
    "hc_head_scale": "model.hc_head.hc_scale",
}

_COMPRESSOR = {
    "wkv.weight": "kv_proj.weight",
    "wgate.weight": "gate_proj.weight",
    "ape": "position_bias",
    "norm.weight": "kv_norm.weight",
}

_LAYER = {
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    **{f"hc_head_{part}": f"hc_head.hc_{part}" for part in ("fn", "base", "scale")},  # of an MTP layer
    **{f"hc_{site}_{part}": f"{site}_hc.{part}" for site in ("attn", "ffn") for part in ("fn", "base", "scale")},
    "attn.attn_sink": "self_attn.sinks",
    "attn.wq_a.weight": "self_attn.q_a_proj.weight",
    "attn.q_norm.weight": "self_attn.q_a_norm.weight",
    "attn.wq_b.weight": "self_attn.q_b_proj.weight",
    "attn.wkv.weight": "self_attn.kv_proj.weight",
    "attn.kv_norm.weight": "self_attn.kv_norm.weight",
    "attn.norm.weight": "self_attn.kv_norm.weight",  # so transformers writes it
    "attn.wo_a.weight": "self_attn.o_a_proj.weight",
    "attn.wo_b.weight": "self_attn.o_b_proj.weight",
    **{f"attn.compressor.{theirs}": f"self_attn.compressor.{ours}" for theirs, ours in _COMPRESSOR.items()},
    **{
        f"attn.indexer.compressor.{theirs}": f"self_attn.compressor.indexer.{ours}"
        for theirs, ours in _COMPRESSOR.items()
    },
    "attn.indexer.wq_b.weight": "self_attn.compressor.indexer.q_b_proj.weight",
    "attn.indexer.weights_proj.weight": "self_attn.compressor.indexer.scorer.weights_proj.weight",
    "ffn.gate.weight": "mlp.gate.weight",
    "ffn.gate.bias": "mlp.gate.e_score_correction_bias",
    "ffn.gate.tid2eid": "mlp.gate.tid2eid",
    "ffn.shared_experts.w1.weight": "mlp.shared_experts.gate_proj.weight",
    "ffn.shared_experts.w2.weight": "mlp.shared_experts.down_proj.weight",
    "ffn.shared_experts.w3.weight": "mlp.shared_experts.up_proj.weight",
}

_STACKED = {
    **{"w1": ("gate_up_proj", 0), "w3": ("gate_up_proj", 1), "w2": ("down_proj", 0)},
    **{"gate_proj": ("gate_up_proj", 0), "up_proj": ("gate_up_proj", 1), "down_proj": ("down_proj", 0)},
}
"""Which stacked tensor an expert's matrix goes into, and as which part of its rows."""

_EXPERT = re.compile(r"(?:ffn|mlp)\.experts\.(\d+)\.(\w+)\.weight")
_LAYERED = re.compile(r"(layers|mtp)\.(\d+)\.(.+)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stored tensor belongs: our parameter, or `part` of the rows of one `expert` of it."""

    name: str
    expert: int | None = None
    part: int = 0


def place(stored: str) -> Place:
    """Where the tensor of that name in a checkpoint belongs; names that are already ours stay."""
    name = stored.removeprefix("model.")
    if name in _TOP:
        return Place(_TOP[name])
    if not (layered := _LAYERED.fullmatch(name)):
        return Place(stored)
    stack, number, rest = layered.groups()
    layer = f"model.layers.{number}" if stack == "layers" else f"mtp.{number}"
    if (expert := _EXPERT.fullmatch(rest)) and expert[2] in _STACKED:
        stacked, part = _STACKED[expert[2]]
        return Place(f"{layer}.mlp.experts.{stacked}", int(expert[1]), part)
    return Place(f"{layer}.{_LAYER.get(rest, rest)}")


def scaled_by(stored: str) -> tuple[str, ...]:
    """Names that the block scales of a tensor may have."""
    base = stored.removesuffix(".weight")
    return f"{base}.scale", f"{stored}_scale_inv", f"{stored}_scale"
