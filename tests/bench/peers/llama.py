"""llama.cpp's own deepseek4 architecture, through llama-cpp-python's ctypes, on one thread.

The model file is written here, from the same checkpoint as everyone's (llama.cpp's converter wants released names and
MXFP4 experts). All matrices are F32, Q8_0 or Q4_0; norms, biases, routers' corrections and hyper-connections stay F32, as
its own quantiser leaves them. That one gives Q4_0 models a larger output matrix (Q6_K); here it is Q4_0, in its favour.

Every sequence has a context of its own. Settings are llama.cpp's: micro-batches of 512, F16 cache, flash attention where it
chooses so. A step is one llama_decode and an argmax over the logits it leaves in its memory.
"""

import ctypes
import json
from pathlib import Path
from typing import Any

import numpy as np

from peers import UnavailableError

try:
    import gguf
    import llama_cpp
    from gguf import GGMLQuantizationType, quants
    from safetensors.numpy import load_file
except ImportError as problem:
    raise UnavailableError(
        f"{problem}: pip install gguf safetensors, and CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary "
        "llama-cpp-python llama-cpp-python (20 minutes of compiling), here or in the Python that --python llama=PATH names"
    ) from problem

KINDS = {"fp32": None, "int8": GGMLQuantizationType.Q8_0, "int4": GGMLQuantizationType.Q4_0}
RATES = {"sliding_attention": 0, "compressed_sparse_attention": 4, "heavily_compressed_attention": 128}
ARCHITECTURE = "deepseek4"
CONTEXT = 4096
BATCH = 2048

# llama.cpp's names of a layer's tensors; gguf's own tables of them come later than llama.cpp's architectures.
_LAYER = {
    "attn_norm": "input_layernorm.weight",
    "ffn_norm": "post_attention_layernorm.weight",
    "attn_sinks": "self_attn.sinks",
    "attn_q_a": "self_attn.q_a_proj.weight",
    "attn_q_a_norm": "self_attn.q_a_norm.weight",
    "attn_q_b": "self_attn.q_b_proj.weight",
    "attn_kv": "self_attn.kv_proj.weight",
    "attn_kv_a_norm": "self_attn.kv_norm.weight",
    "attn_output_a": "self_attn.o_a_proj.weight",
    "attn_output_b": "self_attn.o_b_proj.weight",
    "hc_attn_fn": "attn_hc.fn",
    "hc_attn_base": "attn_hc.base",
    "hc_attn_scale": "attn_hc.scale",
    "hc_ffn_fn": "ffn_hc.fn",
    "hc_ffn_base": "ffn_hc.base",
    "hc_ffn_scale": "ffn_hc.scale",
    "attn_compressor_kv": "self_attn.compressor.kv_proj.weight",
    "attn_compressor_gate": "self_attn.compressor.gate_proj.weight",
    "attn_compressor_ape": "self_attn.compressor.position_bias",
    "attn_compressor_norm": "self_attn.compressor.kv_norm.weight",
    "indexer.proj": "self_attn.compressor.indexer.scorer.weights_proj.weight",
    "indexer.attn_q_b": "self_attn.compressor.indexer.q_b_proj.weight",
    "indexer_compressor_kv": "self_attn.compressor.indexer.kv_proj.weight",
    "indexer_compressor_gate": "self_attn.compressor.indexer.gate_proj.weight",
    "indexer_compressor_ape": "self_attn.compressor.indexer.position_bias",
    "indexer_compressor_norm": "self_attn.compressor.indexer.kv_norm.weight",
    "ffn_gate_inp": "mlp.gate.weight",
    "ffn_gate_tid2eid": "mlp.gate.tid2eid",
    "exp_probs_b.bias": "mlp.gate.e_score_correction_bias",
    "ffn_down_exps": "mlp.experts.down_proj",
    "ffn_gate_shexp": "mlp.shared_experts.gate_proj.weight",
    "ffn_up_shexp": "mlp.shared_experts.up_proj.weight",
    "ffn_down_shexp": "mlp.shared_experts.down_proj.weight",
}
_HEAD = {
    "token_embd": "model.embed_tokens.weight",
    "output_norm": "model.norm.weight",
    "output_hc_fn": "model.hc_head.hc_fn",
    "output_hc_base": "model.hc_head.hc_base",
    "output_hc_scale": "model.hc_head.hc_scale",
}
_FLOAT = ("hc_fn", "hc_attn_fn", "hc_ffn_fn", "ffn_gate_inp", "ape")
SQRT_SOFTPLUS = 4
"""llama.cpp's number of the function that makes router logits to scores."""


def write(folder: Path, path: Path, kind: GGMLQuantizationType | None) -> None:
    """The checkpoint as a model file. Raises UnavailableError for what llama.cpp's deepseek4 cannot be told."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    obstacles = {
        "compression rates other than 4 and 128": (config["compress_rate_csa"], config["compress_rate_hca"])
        != (4, 128),
        "hc_mult other than 4": config["hc_mult"] != 4,
        "index heads other than of 64 or 128": config["index_head_dim"] not in (64, 128),
        "Engram": bool(config["engram_layers"]),
        "hash layers after others": "hash_moe"
        in config["mlp_layer_types"][config["mlp_layer_types"].count("hash_moe") :],
    }
    if found := [what for what, true in obstacles.items() if true]:
        raise UnavailableError(f"llama.cpp's deepseek4 has no {' and no '.join(found)}")
    weights = load_file(folder / "weights.safetensors")
    writer = gguf.GGUFWriter(path, ARCHITECTURE)
    _describe(writer, config)

    def put(name: str, values: np.ndarray) -> None:
        values = np.ascontiguousarray(values)
        full = name if name.endswith(".bias") else f"{name}.weight"
        if values.dtype == np.int64:
            writer.add_tensor(full, values.astype(np.int32))
        elif kind is None or values.ndim < 2 or name.endswith(_FLOAT):
            writer.add_tensor(full, values)
        else:
            writer.add_tensor(full, quants.quantize(values, kind), raw_dtype=kind)

    for theirs, ours in _HEAD.items():
        put(theirs, weights[ours])
    put("output", weights.get("lm_head.weight", weights["model.embed_tokens.weight"]))
    for layer in range(len(config["layer_types"])):
        for theirs, ours in _LAYER.items():
            if (values := weights.get(f"model.layers.{layer}.{ours}")) is not None:
                put(f"blk.{layer}.{theirs}", values)
        gate, up = np.split(weights[f"model.layers.{layer}.mlp.experts.gate_up_proj"], 2, axis=1)
        put(f"blk.{layer}.ffn_gate_exps", gate)
        put(f"blk.{layer}.ffn_up_exps", up)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    layers = len(config["layer_types"])
    numbers = {
        "block_count": layers,
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "embedding_length_out": config["hidden_size"] * config["hc_mult"],
        "vocab_size": config["vocab_size"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": 1,
        "attention.key_length": config["head_dim"],
        "attention.value_length": config["head_dim"],
        "attention.q_lora_rank": config["q_lora_rank"],
        "attention.sliding_window": config["sliding_window"],
        "attention.output_group_count": config["o_groups"],
        "attention.output_lora_rank": config["o_lora_rank"],
        "attention.indexer.head_count": config["index_n_heads"],
        "attention.indexer.key_length": config["index_head_dim"],
        "attention.indexer.top_k": config["index_topk"],
        "rope.dimension_count": config["qk_rope_head_dim"],
        "feed_forward_length": config["moe_intermediate_size"],
        "expert_feed_forward_length": config["moe_intermediate_size"],
        "expert_count": config["n_routed_experts"],
        "expert_used_count": config["num_experts_per_tok"],
        "expert_shared_count": 1,
        "expert_gating_func": SQRT_SOFTPLUS,
        "hash_layer_count": config["mlp_layer_types"].count("hash_moe"),
        "hyper_connection.count": config["hc_mult"],
        "hyper_connection.sinkhorn_iterations": config["hc_sinkhorn_iters"],
    }
    fractions = {
        "attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "attention.compress_rope_freq_base": config["compress_rope_theta"],
        "rope.freq_base": config["rope_theta"],
        "expert_weights_scale": config["routed_scaling_factor"],
        "hyper_connection.epsilon": config["hc_eps"],
    }
    for name, number in numbers.items():
        writer.add_uint32(f"{ARCHITECTURE}.{name}", number)
    for name, fraction in fractions.items():
        writer.add_float32(f"{ARCHITECTURE}.{name}", fraction)
    writer.add_bool(f"{ARCHITECTURE}.expert_weights_norm", True)
    rates = [RATES[kind] for kind in config["layer_types"]]
    writer.add_array(f"{ARCHITECTURE}.attention.compress_ratios", rates)
    for name in ("swiglu_clamp_exp", "swiglu_clamp_shexp"):
        writer.add_array(f"{ARCHITECTURE}.{name}", [float(config["swiglu_limit"])] * layers)
    writer.add_tokenizer_model("no_vocab")


class Llama:
    def __init__(self, path: Path, vocab_size: int) -> None:
        self._quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self._quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot open {path}")
        self.megabytes = path.stat().st_size / 1e6
        self.vocab_size = vocab_size
        self.batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        self.contexts: dict[str, Any] = {}
        self.positions: dict[str, int] = {}

    def about(self) -> dict[str, Any]:
        said = llama_cpp.llama_print_system_info().decode()
        return {
            "engine": f"llama.cpp in llama-cpp-python {llama_cpp.__version__}",
            "parameters": int(llama_cpp.llama_model_n_params(self.model)),
            "megabytes": round(self.megabytes, 1),
            "build": said.strip(),
        }

    def context(self, exact: bool = False) -> Any:
        """A context; an exact one computes and keeps everything in float32."""
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_seq_max = CONTEXT, BATCH, 1
        settings.n_threads = settings.n_threads_batch = 1
        settings.swa_full = False
        settings.no_perf = True
        if exact:
            settings.type_k = settings.type_v = llama_cpp.GGML_TYPE_F32
            settings.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        made = llama_cpp.llama_init_from_model(self.model, settings)
        if not made:
            raise RuntimeError("llama.cpp makes no context for this model")
        return made

    def _decode(self, context: Any, tokens: list[int], first: int, every: bool = False) -> None:
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, first + i, 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = every or i == len(tokens) - 1
        if code := llama_cpp.llama_decode(context, batch):
            raise RuntimeError(f"llama_decode says {code}")

    def _argmax(self, context: Any) -> int:
        logits = llama_cpp.llama_get_logits_ith(context, -1)
        return int(np.ctypeslib.as_array(logits, (self.vocab_size,)).argmax())

    def start(self, slot: str, tokens: list[int]) -> int:
        if slot not in self.contexts:
            self.contexts[slot] = self.context()
        context = self.contexts[slot]
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        for first in range(0, len(tokens), BATCH):
            self._decode(context, tokens[first : first + BATCH], first)
        self.positions[slot] = len(tokens)
        return self._argmax(context)

    def step(self, slot: str, token: int) -> int:
        context = self.contexts[slot]
        self._decode(context, [token], self.positions[slot])
        self.positions[slot] += 1
        return self._argmax(context)

    def logits(self, tokens: list[int]) -> np.ndarray:
        context, rows = self.context(exact=True), []
        for first in range(0, len(tokens), 256):
            piece = tokens[first : first + 256]
            self._decode(context, piece, first, every=True)
            said = llama_cpp.llama_get_logits(context)
            rows.append(np.ctypeslib.as_array(said, (len(piece), self.vocab_size)).copy())
        llama_cpp.llama_free(context)
        return np.concatenate(rows)

    def rewinds(self, count: int, back: int) -> bool:
        """Whether a sequence of `count` tokens can be cut `back` tokens before its end, and go on from there."""
        tokens = list(range(10, 10 + count))
        self.start("rewind", tokens)
        memory = llama_cpp.llama_get_memory(self.contexts["rewind"])
        return bool(llama_cpp.llama_memory_seq_rm(memory, 0, count - back, -1))


def open_engine(folder: Path, kind: str) -> Llama:
    path = folder / f"model-{kind}.gguf"
    write(folder, path, KINDS[kind])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return Llama(path, config["vocab_size"])
