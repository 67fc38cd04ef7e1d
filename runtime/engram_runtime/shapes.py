"""Names and shapes of the network's parameters, as a function of its configuration.

What a checkpoint must hold before it is exported, known without torch. network.py's state dict is the same table, made
by building the network.
"""

import numpy as np

from engram_runtime.config import CSA, SLIDING, LayerType, ModelConfig
from engram_runtime.engram import EngramHash

Shape = tuple[int, ...]


def expected_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Name -> shape of every parameter of the network of this configuration, as in network.py's state dict."""
    V, H = config.vocab_size, config.hidden_size
    shapes: dict[str, Shape] = {"model.embed_tokens.weight": (V, H)}
    hashes = EngramHash(config, np.zeros(V, np.int64))
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        if layer in config.engram_layers:
            engram = _engram_shapes(config, hashes.row_count(layer))
            shapes |= {f"{prefix}engram.{name}": shape for name, shape in engram.items()}
        hashed = config.mlp_layer_types[layer] == "hash_moe"
        own = _layer_shapes(config, config.layer_types[layer], hashed)
        shapes |= {f"{prefix}{name}": shape for name, shape in own.items()}
    for number in range(config.num_nextn_predict_layers):
        shapes |= {f"mtp.{number}.{name}": shape for name, shape in _next_token_shapes(config).items()}
    shapes |= {f"model.hc_head.{name}": shape for name, shape in _head_shapes(config).items()}
    shapes["model.norm.weight"] = (H,)
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = (V, H)
    return shapes


def _head_shapes(config: ModelConfig) -> dict[str, Shape]:
    n = config.hc_mult
    return {"hc_fn": (n, n * config.hidden_size), "hc_base": (n,), "hc_scale": (1,)}


def _next_token_shapes(config: ModelConfig) -> dict[str, Shape]:
    H = config.hidden_size
    shapes = _layer_shapes(config, SLIDING, hashed=False)
    shapes |= {f"{name}.weight": (H,) for name in ("enorm", "hnorm", "norm")}
    shapes |= {f"{name}.weight": (H, H) for name in ("e_proj", "h_proj")}
    return shapes | {f"hc_head.{name}": shape for name, shape in _head_shapes(config).items()}


def _layer_shapes(config: ModelConfig, kind: LayerType, hashed: bool) -> dict[str, Shape]:
    H, n, D, R = config.hidden_size, config.hc_mult, config.head_dim, config.q_lora_rank
    E, I, h = config.n_routed_experts, config.moe_intermediate_size, config.num_attention_heads  # noqa: E741
    groups, rank = config.o_groups, config.o_lora_rank
    shapes: dict[str, Shape] = {"input_layernorm.weight": (H,), "post_attention_layernorm.weight": (H,)}
    for site in ("attn_hc", "ffn_hc"):
        width = (2 + n) * n
        shapes |= {f"{site}.fn": (width, n * H), f"{site}.base": (width,), f"{site}.scale": (3,)}
    attention: dict[str, Shape] = {
        "q_a_proj.weight": (R, H),
        "q_a_norm.weight": (R,),
        "q_b_proj.weight": (h * D, R),
        "kv_proj.weight": (D, H),
        "kv_norm.weight": (D,),
        "sinks": (h,),
        "o_a_proj.weight": (groups * rank, h * D // groups),
        "o_b_proj.weight": (H, groups * rank),
    }
    if kind != SLIDING:
        overlap = 2 if kind == CSA else 1
        rate = config.compress_rate_csa if kind == CSA else config.compress_rate_hca
        attention |= _compressor_shapes("compressor.", H, rate, overlap * D, D)
    if kind == CSA:
        Di, heads = config.index_head_dim, config.index_n_heads
        attention |= _compressor_shapes("compressor.indexer.", H, config.compress_rate_csa, 2 * Di, Di)
        attention["compressor.indexer.q_b_proj.weight"] = (heads * Di, R)
        attention["compressor.indexer.scorer.weights_proj.weight"] = (heads, H)
    shapes |= {f"self_attn.{name}": shape for name, shape in attention.items()}
    experts: dict[str, Shape] = {
        "gate.weight": (E, H),
        **(
            {"gate.tid2eid": (config.vocab_size, config.num_experts_per_tok)}
            if hashed
            else {"gate.e_score_correction_bias": (E,)}
        ),
        "experts.gate_up_proj": (E, 2 * I, H),
        "experts.down_proj": (E, H, I),
        "shared_experts.gate_proj.weight": (I, H),
        "shared_experts.up_proj.weight": (I, H),
        "shared_experts.down_proj.weight": (H, I),
    }
    return shapes | {f"mlp.{name}": shape for name, shape in experts.items()}


def _compressor_shapes(prefix: str, H: int, rate: int, wide: int, width: int) -> dict[str, Shape]:
    return {
        f"{prefix}kv_proj.weight": (wide, H),
        f"{prefix}gate_proj.weight": (wide, H),
        f"{prefix}position_bias": (rate, wide),
        f"{prefix}kv_norm.weight": (width,),
    }


def _engram_shapes(config: ModelConfig, rows: int) -> dict[str, Shape]:
    n, H, width = config.hc_mult, config.hidden_size, config.engram_width
    convolved = config.engram_form == "convolved"
    shapes: dict[str, Shape] = {
        "table.weight": (rows, config.engram_dim),
        "key_proj.weight": (n * H if convolved else H, width),
        "value_proj.weight": (H, width),
        "key_norm.weight": (n, H) if convolved else (H,),
        "query_norm.weight": (n, H),
    }
    return shapes | ({"conv_norm.weight": (n, H), "conv.weight": (n * H, 1, 4)} if convolved else {})
