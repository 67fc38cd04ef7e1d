"""The shape of one DeepSeek-V4-architecture network.

Field names are those of the `deepseek_v4` configuration in the released checkpoints, so that a released
`config.json` and ours read the same; the `engram_*` fields are of "Conditional Memory via Scalable Lookup"
(arXiv 2601.07372). Departures: batch size is one everywhere in this project, biases do not exist, and
`layer_types` names each layer's attention instead of a list of compression ratios.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, cast

LayerType = Literal["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"]
MlpType = Literal["hash_moe", "moe"]

SLIDING: LayerType = "sliding_attention"
CSA: LayerType = "compressed_sparse_attention"
HCA: LayerType = "heavily_compressed_attention"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything that decides the shape of the network and of its cache; by default that of the model which ships.

    Symbols used in `network.py` and `export.py`: V = vocab_size, H = hidden_size, n = hc_mult, h = heads, D = head_dim,
    R = qk_rope_head_dim, W = sliding_window, E = n_routed_experts, K = num_experts_per_tok, I = moe_intermediate_size.
    """

    vocab_size: int = 8192
    hidden_size: int = 256
    layer_types: tuple[LayerType, ...] = (SLIDING, CSA, HCA, CSA)
    mlp_layer_types: tuple[MlpType, ...] = ("hash_moe", "moe", "moe", "moe")
    tie_word_embeddings: bool = True
    max_position_embeddings: int = 32768
    rms_norm_eps: float = 1e-6

    # Attention: one shared key-value head, low-rank queries, grouped low-rank output.
    num_attention_heads: int = 4
    head_dim: int = 64
    qk_rope_head_dim: int = 32
    q_lora_rank: int = 128
    o_groups: int = 2
    o_lora_rank: int = 64
    sliding_window: int = 128
    compress_rate_csa: int = 4
    compress_rate_hca: int = 128
    index_n_heads: int = 4
    index_head_dim: int = 64
    index_topk: int = 64
    rope_theta: float = 10000.0
    compress_rope_theta: float = 160000.0

    # Mixture of experts.
    n_routed_experts: int = 8
    num_experts_per_tok: int = 2
    moe_intermediate_size: int = 128
    routed_scaling_factor: float = 1.5
    swiglu_limit: float = 10.0

    # Manifold-constrained hyper-connections.
    hc_mult: int = 4
    hc_sinkhorn_iters: int = 4
    hc_eps: float = 1e-6

    # Engram: `engram_heads` tables of about `engram_rows` rows (the next distinct primes) for each order and layer.
    engram_layers: tuple[int, ...] = (1, 2)
    engram_orders: tuple[int, ...] = (2, 3, 4)
    engram_heads: int = 4
    engram_rows: int = 24576
    engram_dim: int = 16

    def __post_init__(self) -> None:
        if len(self.layer_types) != len(self.mlp_layer_types):
            raise ValueError(
                f"{len(self.layer_types)} layer_types but {len(self.mlp_layer_types)} mlp_layer_types: one each"
            )
        if self.num_attention_heads % self.o_groups:
            raise ValueError(f"o_groups {self.o_groups} does not divide num_attention_heads {self.num_attention_heads}")
        if self.qk_rope_head_dim > min(self.head_dim, self.index_head_dim) or self.qk_rope_head_dim % 2:
            raise ValueError(
                f"qk_rope_head_dim {self.qk_rope_head_dim} must be even and fit head_dim and index_head_dim"
            )
        if not all(0 <= layer < len(self.layer_types) for layer in self.engram_layers):
            raise ValueError(f"engram_layers {self.engram_layers} names a layer that does not exist")

    @property
    def num_hidden_layers(self) -> int:
        return len(self.layer_types)

    @property
    def engram_width(self) -> int:
        """Width of one token's concatenated Engram rows: orders x heads x dim."""
        return len(self.engram_orders) * self.engram_heads * self.engram_dim

    def compress_rate(self, layer: int) -> int:
        """Tokens per compressed entry in this layer; 0 where the layer only slides."""
        return {SLIDING: 0, CSA: self.compress_rate_csa, HCA: self.compress_rate_hca}[self.layer_types[layer]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` wrote. Raises ValueError on an unknown or inconsistent field."""
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        unknown = fields.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise ValueError(f"{path}: unknown fields {sorted(unknown)}")
        for name, value in fields.items():
            if isinstance(value, list):
                fields[name] = tuple(cast("list[Any]", value))
        return cls(**fields)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
