"""The shape of one DeepSeek-V4-architecture network.

Field names are those of the `deepseek_v4` configuration in the released checkpoints, so that a released
`config.json` and ours read the same; the `engram_*` fields are of "Conditional Memory via Scalable Lookup"
(arXiv 2601.07372). Departures: batch size is one everywhere in this project, biases do not exist, and
`layer_types` names each layer's attention instead of a list of compression ratios.
"""

import json
import math
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import numpy as np
import numpy.typing as npt

LayerType = Literal["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"]
MlpType = Literal["hash_moe", "moe"]
EngramForm = Literal["gated", "convolved"]

SLIDING: LayerType = "sliding_attention"
CSA: LayerType = "compressed_sparse_attention"
HCA: LayerType = "heavily_compressed_attention"

_POSITIVE = (
    *("vocab_size", "hidden_size", "num_attention_heads", "head_dim", "qk_rope_head_dim", "q_lora_rank", "o_groups"),
    *("o_lora_rank", "sliding_window", "compress_rate_csa", "compress_rate_hca", "index_n_heads", "index_head_dim"),
    *("index_topk", "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "hc_mult"),
    "hc_sinkhorn_iters",
)

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", tuple: "a list"}


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
    # YaRN, in CSA and HCA layers alone: the context is rope_factor times the rope_original_positions of pre-training.
    rope_factor: float = 1.0
    rope_original_positions: int = 0
    rope_beta_fast: float = 32.0
    rope_beta_slow: float = 1.0

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

    # Multi-token prediction: one more layer that drafts the token after the next (network.py), or none.
    num_nextn_predict_layers: int = 0

    # Engram: `engram_heads` tables of about `engram_rows` rows (the next distinct primes) for each order and layer.
    engram_layers: tuple[int, ...] = (1, 2)
    engram_orders: tuple[int, ...] = (2, 3, 4)
    engram_heads: int = 4
    engram_rows: int = 24576
    engram_dim: int = 16
    engram_form: EngramForm = "gated"

    def __post_init__(self) -> None:
        if len(self.layer_types) != len(self.mlp_layer_types):
            raise ValueError(
                f"{len(self.layer_types)} layer_types but {len(self.mlp_layer_types)} mlp_layer_types: one each"
            )
        for name, given, known in (
            ("layer_types", self.layer_types, get_args(LayerType)),
            ("mlp_layer_types", self.mlp_layer_types, get_args(MlpType)),
            ("engram_form", (self.engram_form,), get_args(EngramForm)),
        ):
            if unknown := [value for value in given if value not in known]:
                raise ValueError(f"{name} says {unknown[0]!r}: it may be {' or '.join(known)}")
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be 1 or more")
        if self.num_attention_heads % self.o_groups:
            raise ValueError(f"o_groups {self.o_groups} does not divide num_attention_heads {self.num_attention_heads}")
        if self.qk_rope_head_dim > min(self.head_dim, self.index_head_dim) or self.qk_rope_head_dim % 2:
            raise ValueError(
                f"qk_rope_head_dim {self.qk_rope_head_dim} must be even and fit head_dim and index_head_dim"
            )
        if self.num_experts_per_tok > self.n_routed_experts:
            raise ValueError(
                f"num_experts_per_tok {self.num_experts_per_tok} is more than n_routed_experts {self.n_routed_experts}"
            )
        if self.rope_factor < 1:
            raise ValueError(f"rope_factor {self.rope_factor} would shorten the context: 1 (no YaRN) or more")
        if self.rope_factor > 1 and self.rope_original_positions < 1:
            raise ValueError(f"rope_factor {self.rope_factor} needs rope_original_positions, the length before YaRN")
        if not 0 < self.rope_beta_slow < self.rope_beta_fast:
            raise ValueError(
                f"rope_beta_slow {self.rope_beta_slow} must be more than 0 and less than rope_beta_fast "
                f"{self.rope_beta_fast}"
            )
        if self.num_nextn_predict_layers not in (0, 1):
            raise ValueError(f"num_nextn_predict_layers {self.num_nextn_predict_layers}: only 0 or 1 is supported")
        if not all(0 <= layer < len(self.layer_types) for layer in self.engram_layers):
            raise ValueError(f"engram_layers {self.engram_layers} names a layer that does not exist")
        if self.engram_layers and (not self.engram_orders or min(self.engram_orders) < 2):
            raise ValueError(f"engram_orders {self.engram_orders}: n-grams of two tokens or more, at least one order")

    @classmethod
    def of_width(cls, width: int) -> Self:
        """The default model's proportions at another width (a multiple of 64; 256 is the default model itself).

        One head and one layer for each 64 channels, so parameters outside the tables grow with the cube; experts and
        Engram tables grow with the square. Raises ValueError for a width that cannot be cut so.
        """
        if width < 128 or width % 64:
            raise ValueError(f"a width is a multiple of 64, 128 or more; {width} is not")
        units = width // 64
        layers: list[LayerType] = [SLIDING, *(HCA if n % 2 else CSA for n in range(units - 1))]
        experts: list[MlpType] = ["hash_moe" if n == 0 else "moe" for n in range(units)]
        groups = 2 if units % 2 == 0 else 1
        return cls(
            hidden_size=width,
            layer_types=tuple(layers),
            mlp_layer_types=tuple(experts),
            num_attention_heads=units,
            q_lora_rank=width // 2,
            o_groups=groups,
            o_lora_rank=width // (2 * groups),
            moe_intermediate_size=width // 2,
            engram_layers=tuple(layer for layer in (1, 2) if layer < units),
            engram_rows=24576 * units * units // 16,
        )

    @property
    def num_hidden_layers(self) -> int:
        return len(self.layer_types)

    @property
    def engram_width(self) -> int:
        """Width of one token's concatenated Engram rows: orders x heads x dim."""
        return len(self.engram_orders) * self.engram_heads * self.engram_dim

    @property
    def engram_reach(self) -> int:
        """Tokens back that the first of the Engram convolution's four taps lies; 0 where there is no convolution."""
        return 3 * max(self.engram_orders) if self.engram_layers and self.engram_form == "convolved" else 0

    @property
    def draft_head(self) -> "ModelConfig":
        """The layer of multi-token prediction as a network of its own: it slides and routes by affinity."""
        alone: dict[str, Any] = {"layer_types": (SLIDING,), "mlp_layer_types": ("moe",), "engram_layers": ()}
        return replace(self, **alone, num_nextn_predict_layers=0)

    def compress_rate(self, layer: int) -> int:
        """Tokens per compressed entry in this layer; 0 where the layer only slides."""
        return {SLIDING: 0, CSA: self.compress_rate_csa, HCA: self.compress_rate_hca}[self.layer_types[layer]]

    def frequencies(self, kind: LayerType) -> npt.NDArray[np.float64]:
        """Inverse frequencies [R/2] of the rotary angles in layers of this type, in radians per position.

        Sliding layers turn by rope_theta. CSA and HCA layers, queries, window keys and entries alike, turn by
        compress_rope_theta and, with a rope_factor above 1, by YaRN (arXiv 2309.00071, section 3.2): a pair that turns
        more than rope_beta_fast times within the original positions keeps its frequency, one that turns fewer than
        rope_beta_slow times is slowed by the factor, those between are blended. V4 leaves out YaRN's scaling of
        attention logits.
        """
        R = self.qk_rope_head_dim
        theta = self.rope_theta if kind == SLIDING else self.compress_rope_theta
        plain = theta ** -(np.arange(0, R, 2, dtype=np.float64) / R)
        if kind == SLIDING or self.rope_factor == 1:
            return plain

        def pair(turns: float) -> float:
            """The index, a fraction, of the pair that turns so often; each pair counts as two of R channels."""
            return R * math.log(self.rope_original_positions / (turns * 2 * math.pi)) / (2 * math.log(theta))

        # Clamped at the number of channels, not of pairs: so the released models were trained.
        first = max(math.floor(pair(self.rope_beta_fast)), 0)
        last = min(math.ceil(pair(self.rope_beta_slow)), R - 1)
        width = last - first or 0.001
        slowed = np.clip((np.arange(R // 2) - first) / width, 0, 1)
        return plain * (1 - slowed) + plain / self.rope_factor * slowed

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` wrote. Raises ValueError on an unknown or inconsistent field."""
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        unknown = fields.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise ValueError(f"{path}: unknown fields {sorted(unknown)}")
        for name, value in fields.items():
            if isinstance(value, list):
                fields[name] = value = tuple(cast("list[Any]", value))
            kind: type = type(cls.__dataclass_fields__[name].default)
            # true is an int, and 1 a good float, to Python; NaN and infinity are JSON to its reader.
            fits = type(value) is kind
            if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
                fits = abs(value) <= sys.float_info.max
            if not fits:
                raise ValueError(f"{path}: {name} is {value!r}, not {_KINDS[kind]}")
        return cls(**fields)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
