"""A checkpoint says the same in every layout, as its number types allow, and says what it lacks before it is read."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from engram_runtime.cache import Cache
from engram_runtime.checkpoint import Checkpoint, shortened
from engram_runtime.config import CSA, HCA, SLIDING, ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.export import export
from engram_runtime.network import DeepseekV4
from engram_runtime.released import model_config, place, scaled_by
from engram_runtime.session import Session
from engram_runtime.shapes import expected_shapes
from safetensors.torch import load_file, save_file
from small_model import SMALL, random_network

# As released: rates 4 and 128, hash-routed layers first, YaRN. Widths that blocks of 128 do not divide.
CONFIG = replace(
    SMALL,
    hidden_size=160,
    layer_types=(SLIDING, CSA, HCA, CSA),
    mlp_layer_types=("hash_moe", "moe", "moe", "moe"),
    compress_rate_hca=128,
    num_attention_heads=6,
    rope_factor=16.0,
    rope_original_positions=64,
    tie_word_embeddings=False,
    hc_sinkhorn_iters=20,
    engram_layers=(),
    **{name: getattr(ModelConfig(), name) for name in ("engram_heads", "engram_rows", "engram_dim")},
)

DRAFTING = replace(CONFIG, num_nextn_predict_layers=1)
"""With the MTP layer, which transformers leaves out."""

LEGACY: dict[str, Any] = {
    **{"architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4", "attention_bias": False},
    **{"attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 1, "expert_dtype": "fp4", "hidden_act": "silu"},
    **{"initializer_range": 0.02, "n_shared_experts": 1, "norm_topk_prob": True, "num_key_value_heads": 1},
    **{"scoring_func": "sqrtsoftplus", "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "use_cache": True},
    "transformers_version": "4.57.1",
    "num_hidden_layers": 4,
    "num_hash_layers": 1,
    "num_nextn_predict_layers": 1,
    "compress_ratios": [0, 4, 128, 4, 0],
    "rope_scaling": {
        **{"type": "yarn", "factor": 16, "beta_fast": 32, "beta_slow": 1},
        "original_max_position_embeddings": 64,
    },
    "rope_theta": 10000,
    "compress_rope_theta": 160000,
    "quantization_config": {
        **{"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "scale_fmt": "ue8m0"},
        "weight_block_size": [128, 128],
    },
    **{
        name: getattr(CONFIG, name)
        for name in (
            *("vocab_size", "hidden_size", "num_attention_heads", "head_dim", "qk_rope_head_dim", "q_lora_rank"),
            *("o_groups", "o_lora_rank", "sliding_window", "index_n_heads", "index_head_dim", "index_topk"),
            *("n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "routed_scaling_factor"),
            *("swiglu_limit", "hc_mult", "hc_sinkhorn_iters", "hc_eps", "rms_norm_eps", "max_position_embeddings"),
            "tie_word_embeddings",
        )
    },
}

State = dict[str, torch.Tensor]


# ---- the released layout, written by hand

RELEASED_NAMES = (
    ("self_attn.compressor.indexer.kv_proj", "attn.indexer.compressor.wkv"),
    ("self_attn.compressor.indexer.gate_proj", "attn.indexer.compressor.wgate"),
    ("self_attn.compressor.indexer.position_bias", "attn.indexer.compressor.ape"),
    ("self_attn.compressor.indexer.kv_norm", "attn.indexer.compressor.norm"),
    ("self_attn.compressor.indexer.q_b_proj", "attn.indexer.wq_b"),
    ("self_attn.compressor.indexer.scorer.weights_proj", "attn.indexer.weights_proj"),
    ("self_attn.compressor.kv_proj", "attn.compressor.wkv"),
    ("self_attn.compressor.gate_proj", "attn.compressor.wgate"),
    ("self_attn.compressor.position_bias", "attn.compressor.ape"),
    ("self_attn.compressor.kv_norm", "attn.compressor.norm"),
    ("self_attn.q_a_proj", "attn.wq_a"),
    ("self_attn.q_b_proj", "attn.wq_b"),
    ("self_attn.kv_proj", "attn.wkv"),
    ("self_attn.o_a_proj", "attn.wo_a"),
    ("self_attn.o_b_proj", "attn.wo_b"),
    ("self_attn.q_a_norm", "attn.q_norm"),
    ("self_attn.kv_norm", "attn.kv_norm"),
    ("self_attn.sinks", "attn.attn_sink"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("attn_hc.", "hc_attn_"),
    ("ffn_hc.", "hc_ffn_"),
    ("mlp.gate.e_score_correction_bias", "ffn.gate.bias"),
    ("mlp.gate", "ffn.gate"),
    ("mlp.shared_experts.gate_proj", "ffn.shared_experts.w1"),
    ("mlp.shared_experts.down_proj", "ffn.shared_experts.w2"),
    ("mlp.shared_experts.up_proj", "ffn.shared_experts.w3"),
    ("model.embed_tokens", "embed"),
    ("lm_head", "head"),
    ("hc_head.hc_", "hc_head_"),
    ("model.", ""),
)
EIGHT_BIT = (
    "e_proj",
    "h_proj",
    "wq_a",
    "wq_b",
    "attn.wkv",
    "wo_a",
    "wo_b",
    "shared_experts.w1",
    "shared_experts.w2",
    "shared_experts.w3",
)
HALF = ("embed", "head.weight", "norm.weight", "gate.weight", "wgate", "compressor.wkv", "weights_proj")


def released_state(state: State) -> State:
    """The released names, one tensor per expert."""
    out: State = {}
    for name, value in state.items():
        if ".experts." in name:
            layer = name.partition(".mlp")[0].removeprefix("model.")
            for expert, matrix in enumerate(value):
                E = f"{layer}.ffn.experts.{expert}"
                if name.endswith("gate_up_proj"):
                    out[f"{E}.w1.weight"], out[f"{E}.w3.weight"] = matrix.chunk(2)
                else:
                    out[f"{E}.w2.weight"] = matrix
            continue
        for ours, theirs in RELEASED_NAMES:
            name = name.replace(ours, theirs)
        out[name] = value
    return {name: value.clone().contiguous() for name, value in out.items()}


def power(x: torch.Tensor) -> torch.Tensor:
    """The least power of two that is not below x."""
    return torch.exp2(torch.ceil(torch.log2(x.clamp_min(1e-30))))


def as_fp8(matrix: torch.Tensor, exponents: bool = True) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes, scales of blocks of 128 x 128, and the matrix that they stand for."""
    N, K = matrix.shape
    padded = torch.zeros(math.ceil(N / 128) * 128, math.ceil(K / 128) * 128)
    padded[:N, :K] = matrix
    blocks = padded.unflatten(0, (-1, 128)).unflatten(2, (-1, 128))
    scales = blocks.abs().amax((1, 3)) / 448
    scales = power(scales) if exponents else scales.clamp_min(1e-30)
    codes = (blocks / scales[:, None, :, None]).to(torch.float8_e4m3fn)
    meant = (codes.float() * scales[:, None, :, None]).flatten(2, 3).flatten(0, 1)[:N, :K]
    codes = codes.view(torch.uint8).flatten(2, 3).flatten(0, 1)[:N, :K].contiguous().view(torch.float8_e4m3fn)
    return codes, scales.to(torch.float8_e8m0fnu) if exponents else scales, meant.contiguous()


FOUR_BIT = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def as_fp4(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs of codes, scales of 32 weights of a row, and the matrix that they stand for."""
    rows = matrix.unflatten(1, (-1, 32))
    scales = power(rows.abs().amax(2) / 6)
    grid = torch.tensor([*FOUR_BIT, *(-value for value in FOUR_BIT)])
    codes = (rows[..., None] / scales[..., None, None] - grid).abs().argmin(-1)
    meant = (grid[codes] * scales[..., None]).flatten(1)
    pairs = codes.flatten(1).unflatten(1, (-1, 2))
    packed = (pairs[..., 0] | pairs[..., 1] << 4).to(torch.uint8).view(torch.int8)
    return packed, scales.to(torch.float8_e8m0fnu), meant


def quantised_state(state: State, exponents: bool = True) -> tuple[State, State]:
    """A released checkpoint's tensors in its number types, and the same with the values they stand for."""
    stored: State = {}
    meant: State = {}
    for name, value in state.items():
        base = name.removesuffix(".weight")
        if ".experts." in name:
            stored[name], stored[f"{base}.scale"], meant[name] = as_fp4(value)
        elif name.endswith(".weight") and any(part in name for part in EIGHT_BIT) and "compressor" not in name:
            stored[name], stored[f"{base}.scale"], meant[name] = as_fp8(value, exponents)
        elif name.endswith(HALF) or any(part in name for part in HALF):
            stored[name] = value.bfloat16() if value.is_floating_point() else value
            meant[name] = stored[name].to(value.dtype)
        else:
            stored[name] = meant[name] = value
    return stored, meant


def stacked(state: State, like: State) -> State:
    """The state under our names, by the released one; `like` has the names and the stacking."""
    out: State = {}
    for name, value in like.items():
        pieces = [state[released] for released in released_state({name: value})]
        if name.endswith("gate_up_proj"):
            pieces = [torch.cat(pair) for pair in zip(pieces[::2], pieces[1::2], strict=True)]
        out[name] = torch.stack(pieces) if ".experts." in name else pieces[0]
    return out


def write_shards(folder: Path, state: State, count: int) -> None:
    """As many shards; neighbours in the alphabet, such as a weight and its scale, lie apart."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[State] = [{} for _ in range(count)]
    for index, name in enumerate(sorted(state)):
        shards[index % count][name] = state[name]
    where: dict[str, str] = {}
    for index, shard in enumerate(shards):
        file = f"model-{index + 1:05}-of-{count:05}.safetensors"
        save_file(shard, folder / file)
        where |= dict.fromkeys(shard, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


# ---- fixtures


@pytest.fixture(scope="module")
def net() -> DeepseekV4:
    return random_network(DRAFTING, np.zeros(CONFIG.vocab_size, np.int64))


@pytest.fixture(scope="module")
def reference() -> transformers.DeepseekV4ForCausalLM:
    """transformers' network of CONFIG, as it understands the released configuration."""
    fields = {name: value for name, value in LEGACY.items() if name not in ("quantization_config", "torch_dtype")}
    return transformers.DeepseekV4ForCausalLM(
        transformers.DeepseekV4Config(**fields, attn_implementation="eager")
    ).eval()


@dataclass(frozen=True)
class Layout:
    """A written checkpoint, and the state that was meant."""

    folder: Path
    state: State


def trunk(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("mtp.")}


def transformers_layout(model: Any, **how: Any) -> Callable[[Path, State], State]:
    def write(folder: Path, state: State) -> State:
        state = trunk(state)
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert not missing and not unexpected
        model.save_pretrained(folder, **how)
        return state

    return write


def released_layout(quantise: bool, exponents: bool = True, rename: str = "") -> Callable[[Path, State], State]:
    def write(folder: Path, state: State) -> State:
        stored = meant = released_state(state)
        if quantise:
            stored, meant = quantised_state(stored, exponents)
        if rename:
            stored = {
                name.removesuffix(".scale") + rename if name.endswith(".scale") else name: value
                for name, value in stored.items()
            }
        write_shards(folder, stored, 5)
        (folder / "config.json").write_text(json.dumps(LEGACY))
        return stacked(meant, state)

    return write


def our_layout(folder: Path, state: State) -> State:
    folder.mkdir()
    save_file(state, folder / "weights.safetensors")
    DRAFTING.write(folder / "config.json")
    return state


LAYOUTS = (
    *("ours", "transformers", "transformers in shards", "transformers in memory"),
    *("released unquantised", "released", "released with float scales", "released with scale_inv"),
)


@pytest.fixture(scope="module")
def layouts(
    net: DeepseekV4, reference: transformers.DeepseekV4ForCausalLM, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Layout]:
    root = tmp_path_factory.mktemp("layouts")
    writers = (
        our_layout,
        transformers_layout(reference),
        transformers_layout(reference, max_shard_size="200kB"),
        transformers_layout(reference, save_original_format=False),
        released_layout(quantise=False),
        released_layout(quantise=True),
        released_layout(quantise=True, exponents=False),
        released_layout(quantise=True, rename=".weight_scale_inv"),
    )
    state = {name: value.contiguous() for name, value in net.state_dict().items()}
    return {name: Layout(root / name, write(root / name, state)) for name, write in zip(LAYOUTS, writers, strict=True)}


@pytest.fixture
def released(layouts: dict[str, Layout], tmp_path: Path) -> Path:
    """A released checkpoint to damage."""
    return Path(shutil.copytree(layouts["released"].folder, tmp_path / "checkpoint"))


# ---- reading


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_as_it_was_meant(layouts: dict[str, Layout], layout: str) -> None:
    checkpoint = Checkpoint.open(layouts[layout].folder)
    checkpoint.verify()
    assert checkpoint.config == (CONFIG if "transformers" in layout else DRAFTING)
    assert checkpoint.unused() == []
    assert set(checkpoint.weights) == set(layouts[layout].state)
    for name, value in layouts[layout].state.items():
        found = checkpoint.weights[name]
        assert found.dtype == (np.float32 if value.is_floating_point() else np.int64)
        np.testing.assert_array_equal(found, value.numpy(), err_msg=name)
        assert checkpoint.weights.shape(name) == found.shape


def test_quantised_weights_are_as_near_as_their_formats_allow(layouts: dict[str, Layout], net: DeepseekV4) -> None:
    weights = Checkpoint.open(layouts["released"].folder).weights
    for name, value in net.state_dict().items():
        original, found = value.numpy(), weights[name]
        if ".experts." in name:
            # At most half of the widest step, 2, of a scale that is at most twice what the largest of 32 needs.
            groups = np.abs(original).reshape(*original.shape[:-1], -1, 32).max(-1)
            allowed = np.repeat(groups / 6 * 2, 32, axis=-1)
            assert not np.array_equal(original, found)
        elif "_proj" in name and weights.kinds(name) == {"F8_E4M3"}:
            allowed = np.abs(original) / 16 + np.abs(original).max() * 2**-16
            assert not np.array_equal(original, found)
        else:
            allowed = np.abs(original) / 256
        assert (np.abs(original - found) <= allowed).all(), name


def test_nothing_is_read_before_it_is_asked_for(layouts: dict[str, Layout], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("was read")

    checkpoint = Checkpoint.open(layouts["released"].folder)
    with monkeypatch.context() as patch:
        patch.setattr("engram_runtime.weights.Weights.codes", refuse)
        checkpoint.verify()
        assert checkpoint.weights.shape("model.layers.2.mlp.experts.gate_up_proj") == (4, 64, 160)
        with pytest.raises(AssertionError, match="was read"):
            checkpoint.weights["model.norm.weight"]


def test_nothing_that_was_read_is_kept(layouts: dict[str, Layout]) -> None:
    weights = Checkpoint.open(layouts["released"].folder).weights
    name = "model.layers.1.mlp.experts.down_proj"
    assert weights[name] is not weights[name]
    weights[name][:] = 0
    assert weights[name].any()


# ---- names, shapes, configuration


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        CONFIG,
        replace(SMALL, layer_types=(HCA, CSA), mlp_layer_types=("moe", "moe"), engram_layers=(), hc_mult=2),
    ],
)
def test_the_expected_shapes_are_those_of_the_network(config: ModelConfig) -> None:
    hashes = EngramHash(config, np.zeros(config.vocab_size, np.int64))
    rows = [hashes.row_count(layer) for layer in config.engram_layers]
    with torch.device("meta"):
        state = DeepseekV4(config, rows).state_dict()
    assert expected_shapes(config) == {name: tuple(value.shape) for name, value in state.items()}


def test_the_released_configuration_describes_the_released_model() -> None:
    """DeepSeek-V4-Flash: 284 billion parameters."""
    config = model_config(
        {
            **{"model_type": "deepseek_v4", "num_hidden_layers": 43, "num_hash_layers": 3, "qk_rope_head_dim": 64},
            "compress_ratios": [0, 0] + [4, 128] * 20 + [4, 0],
            "rope_scaling": LEGACY["rope_scaling"],
        }
    )
    assert config.hidden_size == 4096 and config.qk_rope_head_dim == 64
    shapes = expected_shapes(config)
    assert 283e9 < sum(math.prod(shape) for name, shape in shapes.items() if not name.startswith("mtp")) < 285e9
    assert shapes["model.layers.2.self_attn.o_a_proj.weight"] == (8192, 4096)
    assert shapes["model.layers.42.mlp.experts.gate_up_proj"] == (256, 4096, 4096)
    assert shapes["model.layers.2.mlp.gate.tid2eid"] == (129280, 6)


# Every name in the index of DeepSeek-V4-Flash, for one layer, one expert; * stands for `weight` and `scale`.
RELEASED_INDEX = """
embed.weight head.weight norm.weight hc_head_base hc_head_fn hc_head_scale
L.attn.attn_sink L.attn.kv_norm.weight L.attn.q_norm.weight
L.attn.wkv.* L.attn.wo_a.* L.attn.wo_b.* L.attn.wq_a.* L.attn.wq_b.* L.attn_norm.weight L.ffn_norm.weight
L.ffn.experts.0.w1.* L.ffn.experts.0.w2.* L.ffn.experts.0.w3.* L.ffn.gate.bias L.ffn.gate.weight
L.ffn.shared_experts.w1.* L.ffn.shared_experts.w2.* L.ffn.shared_experts.w3.*
L.hc_attn_base L.hc_attn_fn L.hc_attn_scale L.hc_ffn_base L.hc_ffn_fn L.hc_ffn_scale
layers.2.attn.compressor.ape layers.2.attn.compressor.norm.weight
layers.2.attn.compressor.wgate.weight layers.2.attn.compressor.wkv.weight
layers.2.attn.indexer.compressor.ape layers.2.attn.indexer.compressor.norm.weight
layers.2.attn.indexer.compressor.wgate.weight layers.2.attn.indexer.compressor.wkv.weight
layers.2.attn.indexer.weights_proj.weight layers.2.attn.indexer.wq_b.* layers.2.ffn.gate.tid2eid
mtp.0.e_proj.* mtp.0.h_proj.* mtp.0.enorm.weight mtp.0.hnorm.weight mtp.0.norm.weight
mtp.0.hc_head_base mtp.0.hc_head_fn mtp.0.hc_head_scale
"""


def test_every_name_of_the_released_index_has_a_place() -> None:
    fields = {"model_type": "deepseek_v4", "num_hidden_layers": 4, "num_hash_layers": 3}
    shapes = expected_shapes(model_config({**fields, "compress_ratios": [0, 0, 4, 128, 0]}))
    names: set[str] = set()
    for pattern in RELEASED_INDEX.split():
        for layer in ("layers.3", "mtp.0") if pattern.startswith("L.") else ("",):
            name = pattern.replace("L", layer, 1) if layer else pattern
            names |= {name.replace("*", "weight"), name.replace("*", "scale")}
    assert len(names) == 98
    reached: set[str] = set()
    for name in names:
        if name.endswith(".scale"):
            assert name in scaled_by(name.removesuffix("scale") + "weight")
        else:
            assert place(name).name in shapes, name
            reached.add(place(name).name)
    # None of our own is left over, in a layer of every kind.
    whole = ("model.layers.3.", "mtp.", "lm_head", "model.hc", "model.norm")
    ours = {name for name in shapes if name.startswith(whole) and ".compressor." not in name}
    assert ours <= reached
    assert {name for name in shapes if ".layers.2.self_attn.compressor." in name} <= reached


@pytest.mark.parametrize(
    ("stored", "ours"),
    [
        ("layers.7.attn.indexer.compressor.norm.weight", "model.layers.7.self_attn.compressor.indexer.kv_norm.weight"),
        ("layers.7.attn.compressor.norm.weight", "model.layers.7.self_attn.compressor.kv_norm.weight"),
        ("model.layers.7.attn.norm.weight", "model.layers.7.self_attn.kv_norm.weight"),
        ("norm.weight", "model.norm.weight"),
        ("model.layers.0.mlp.experts.down_proj", "model.layers.0.mlp.experts.down_proj"),
        ("model.layers.1.engram.table.weight", "model.layers.1.engram.table.weight"),
        ("vision.blocks.0.attn.wqkv.weight", "vision.blocks.0.attn.wqkv.weight"),
    ],
)
def test_names_of_every_dialect_are_understood(stored: str, ours: str) -> None:
    assert place(stored).name == ours


def test_what_transformers_makes_of_a_released_configuration_reads_the_same(
    reference: transformers.DeepseekV4ForCausalLM,
) -> None:
    written = json.loads(reference.config.to_json_string(use_diff=False))
    assert model_config(written) == model_config(LEGACY) == DRAFTING


@pytest.mark.parametrize("layers", [1, 2, 5, 6])
def test_an_unsaid_field_means_what_it_means_to_transformers(layers: int) -> None:
    theirs = transformers.DeepseekV4Config(num_hidden_layers=layers)
    ours = model_config({"model_type": "deepseek_v4", "num_hidden_layers": layers})
    assert ours == model_config(json.loads(theirs.to_json_string(use_diff=False)))
    assert list(ours.layer_types) == theirs.layer_types
    assert list(ours.mlp_layer_types) == theirs.mlp_layer_types
    assert ours.qk_rope_head_dim == theirs.qk_rope_head_dim


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "llama"}, "'llama', only 'deepseek_v4'"),
        ({"model_type": None}, "architecture"),
        ({"scoring_func": "softmax"}, "scoring_func is 'softmax'"),
        ({"n_shared_experts": 2}, "n_shared_experts is 2"),
        ({"attention_bias": True}, "attention_bias"),
        ({"compress_ratios": [0, 4, 64, 4]}, r"compress_ratios has \[64\]"),
        ({"compress_ratios": [0, 4]}, "only 2 layers have a type"),
        ({"layer_types": ["full_attention"] * 4}, "full_attention"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "'linear' is not supported"),
        ({"rope_scaling": {"type": "yarn", "factor": 2}}, "original_max_position_embeddings"),
        ({"rope_scaling": "yarn"}, "rope_scaling is 'yarn'"),
        ({"hidden_size": "wide"}, "config.json"),
        ({"n_routed_experts": 1}, "num_experts_per_tok"),
    ],
)
def test_a_network_that_is_another_is_refused_by_the_field(
    released: Path, change: dict[str, Any], message: str
) -> None:
    (released / "config.json").write_text(json.dumps({**LEGACY, **change}))
    with pytest.raises(ValueError, match=message) as raised:
        Checkpoint.open(released)
    assert "config.json" in str(raised.value)


# ---- what is wrong is said


def change_tensors(folder: Path, change: Callable[[State], object]) -> None:
    state: State = {}
    for file in folder.glob("*.safetensors"):
        state |= load_file(file)
        file.unlink()
    change(state)
    write_shards(folder, state, 3)


def lose(*names: str) -> Callable[[State], None]:
    return lambda state: [state.pop(name) for name in names] and None


def put(name: str, value: torch.Tensor) -> Callable[[State], None]:
    return lambda state: state.update({name: value})


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            lose("layers.0.attn.wkv.weight", "layers.1.attn.wkv.weight", "layers.3.attn.wkv.weight", "norm.weight"),
            ["4 of 153 parameters are missing", r"model.layers.{0-1,3}.self_attn.kv_proj.weight", "model.norm.weight"],
        ),
        (
            lose("layers.2.ffn.experts.1.w2.weight", "layers.2.ffn.experts.0.w3.weight"),
            [
                "model.layers.2.mlp.experts.down_proj lacks weights of expert 1",
                "model.layers.2.mlp.experts.gate_up_proj lacks weights of expert 0",
            ],
        ),
        (
            lose("layers.2.ffn.experts.3.w2.weight"),
            ["experts.down_proj is of shape [3, 160, 32], config.json asks for [4, 160, 32]"],
        ),
        (
            put("embed.weight", torch.zeros(262, 100)),
            ["model.embed_tokens.weight is of shape [262, 100], config.json asks for [262, 160]"],
        ),
        (
            put("layers.0.attn.wq_a.scale", torch.zeros(3, 7)),
            ["layers.0.attn.wq_a.weight: scales of shape [3, 7] do not divide a matrix of [32, 160]"],
        ),
        (put("layers.0.attn.wq_a.scale", torch.zeros(1, 2, dtype=torch.int64)), ["of type I64, which scales"]),
        (
            put("layers.1.ffn.experts.0.w1.scale", torch.zeros(32, 10).to(torch.float8_e4m3fn)),
            ["layers.1.ffn.experts.0.w1.weight has FP8 scales (NVFP4)"],
        ),
        (put("head.weight", torch.zeros(262, 160).to(torch.float8_e5m2)), ["head.weight is of type F8_E5M2"]),
        (put("head.weight", torch.zeros(262, 160, dtype=torch.int32)), ["lm_head.weight is of type I32"]),
        (put("layers.0.ffn.gate.tid2eid", torch.zeros(262, 2)), ["tid2eid is of type F32"]),
    ],
)
def test_what_is_missing_or_does_not_fit_is_said_by_name(
    released: Path, change: Callable[[State], object], messages: list[str]
) -> None:
    change_tensors(released, change)
    with pytest.raises(ValueError, match="cannot be used") as raised:
        Checkpoint.open(released).verify()
    for message in messages:
        assert message in str(raised.value)


def test_all_that_is_missing_is_said_in_few_lines(released: Path) -> None:
    change_tensors(released, lambda state: [state.pop(name) for name in list(state) if name != "norm.weight"])
    with pytest.raises(ValueError, match="121 of 122 parameters") as raised:
        Checkpoint.open(released).verify()
    assert "model.layers.{0-3}.mlp.experts.gate_up_proj" in str(raised.value)
    assert len(str(raised.value)) < 4000


def test_names_of_several_layers_are_put_together() -> None:
    names = [f"model.layers.{layer}.x" for layer in (0, 1, 2, 5, 7, 8)] + ["lm_head.weight", "model.layers.3.y"]
    assert shortened(names) == ["model.layers.{0-2,5,7-8}.x", "lm_head.weight", "model.layers.3.y"]


def test_tensors_that_the_network_has_not_are_told_and_left_out(released: Path) -> None:
    change_tensors(released, put("mtp.2.confidence_head.proj.weight", torch.zeros(3)))
    checkpoint = Checkpoint.open(released)
    checkpoint.verify()
    assert checkpoint.unused() == ["mtp.2.confidence_head.proj.weight"]


def test_a_shard_that_is_not_there_is_named(released: Path) -> None:
    (released / "model-00002-of-00005.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 5 shards: model-00002-of-00005\.safetensors"):
        Checkpoint.open(released)


def test_a_shard_that_was_cut_short_is_found_before_it_is_read(released: Path) -> None:
    file = released / "model-00003-of-00005.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"model-00003-of-00005\.safetensors is cut short"):
        Checkpoint.open(released).verify()


def damage_index(released: Path, change: Callable[[dict[str, str]], object]) -> None:
    path = released / "model.safetensors.index.json"
    where = json.loads(path.read_text())["weight_map"]
    change(where)
    path.write_text(json.dumps({"weight_map": where}))


def test_an_index_that_is_wrong_about_its_shards_is_refused(released: Path) -> None:
    damage_index(released, lambda where: where.update({"layers.9.attn_sink": "model-00001-of-00005.safetensors"}))
    with pytest.raises(ValueError, match=r"their shards have not: layers\.9\.attn_sink"):
        Checkpoint.open(released)
    (released / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ValueError, match="not an index"):
        Checkpoint.open(released)


def test_a_folder_that_is_no_checkpoint_is_refused_by_what_it_lacks(released: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        Checkpoint.open(tmp_path / "nowhere")
    (released / "model.safetensors.index.json").unlink()
    with pytest.raises(FileNotFoundError, match="has no weights"):
        Checkpoint.open(released)
    (released / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match="not an object"):
        Checkpoint.open(released)


# ---- the exported model


def our_logits(folder: Path, tokens: np.ndarray) -> np.ndarray:
    session = Session.open(folder, ["CPUExecutionProvider"])
    return session.call(Cache.empty(session.config), tokens, len(tokens)).logits


@pytest.mark.parametrize("layout", ["transformers in shards", "released", "released with float scales"])
@pytest.mark.parametrize("one_file", [0, 1 << 30])
def test_an_exported_checkpoint_says_what_transformers_says_of_the_same_weights(
    layouts: dict[str, Layout],
    reference: transformers.DeepseekV4ForCausalLM,
    layout: str,
    one_file: int,
    tmp_path: Path,
) -> None:
    export(layouts[layout].folder, tmp_path / "model", "fp32", one_file=one_file)
    assert (tmp_path / "model" / "model.onnx.data").exists() == (one_file == 0)
    assert not (tmp_path / "model" / "engram.npy").exists()
    assert not (tmp_path / "model" / "tokenizer.json").exists()
    tokens = np.random.default_rng(5).integers(0, CONFIG.vocab_size, 300)
    reference.load_state_dict(trunk(layouts[layout].state))
    with torch.no_grad():
        expected = reference(torch.tensor(tokens)[None], use_cache=False).logits[0].numpy()
    assert np.abs(expected).max() > 1
    assert np.abs(our_logits(tmp_path / "model", tokens) - expected).max() <= 5e-5


def test_the_draft_head_of_a_released_checkpoint_says_what_the_network_says(
    layouts: dict[str, Layout], tmp_path: Path
) -> None:
    export(layouts["released"].folder, tmp_path / "model", "fp32", one_file=0)
    network = DeepseekV4(DRAFTING, []).eval()
    network.load_state_dict(layouts["released"].state)
    tokens = np.random.default_rng(6).integers(0, CONFIG.vocab_size, 90)
    with torch.no_grad():
        X, _ = network.streams(torch.tensor(tokens)[None], {})
        expected = network.head(network.draft(X[:, :-1], torch.tensor(tokens[1:])[None]))[0].numpy()
    session = Session.open(tmp_path / "model", ["CPUExecutionProvider"])
    head = session.draft_head()
    streams = session.call(Cache.empty(session.config), tokens, 0).streams
    assert head is not None and streams is not None
    found = head.call(Cache.empty(head.config), tokens[1:], 89, streams[:-1]).logits
    assert np.abs(found - expected).max() <= 5e-5
