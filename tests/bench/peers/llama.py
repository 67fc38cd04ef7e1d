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
    from gguf import MODEL_TENSOR as T
    from gguf import GGMLQuantizationType, quants
    from safetensors.numpy import load_file
except ImportError as problem:
    raise UnavailableError(
        f"{problem}: pip install gguf safetensors, and CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary "
        "llama-cpp-python llama-cpp-python (20 minutes of compiling), here or in the Python that --llama names"
    ) from problem

KINDS = {"fp32": None, "int8": GGMLQuantizationType.Q8_0, "int4": GGMLQuantizationType.Q4_0}
RATES = {"sliding_attention": 0, "compressed_sparse_attention": 4, "heavily_compressed_attention": 128}
CONTEXT = 4096
BATCH = 2048

_LAYER = {
    T.ATTN_NORM: "input_layernorm.weight",
    T.FFN_NORM: "post_attention_layernorm.weight",
    T.ATTN_SINKS: "self_attn.sinks",
    T.ATTN_Q_A: "self_attn.q_a_proj.weight",
    T.ATTN_Q_A_NORM: "self_attn.q_a_norm.weight",
    T.ATTN_Q_B: "self_attn.q_b_proj.weight",
    T.ATTN_KV: "self_attn.kv_proj.weight",
    T.ATTN_KV_NORM: "self_attn.kv_norm.weight",
    T.ATTN_OUT_A: "self_attn.o_a_proj.weight",
    T.ATTN_OUT_B: "self_attn.o_b_proj.weight",
    T.HC_ATTN_FN: "attn_hc.fn",
    T.HC_ATTN_BASE: "attn_hc.base",
    T.HC_ATTN_SCALE: "attn_hc.scale",
    T.HC_FFN_FN: "ffn_hc.fn",
    T.HC_FFN_BASE: "ffn_hc.base",
    T.HC_FFN_SCALE: "ffn_hc.scale",
    T.ATTN_COMPRESSOR_WKV: "self_attn.compressor.kv_proj.weight",
    T.ATTN_COMPRESSOR_WGATE: "self_attn.compressor.gate_proj.weight",
    T.ATTN_COMPRESSOR_APE: "self_attn.compressor.position_bias",
    T.ATTN_COMPRESSOR_NORM: "self_attn.compressor.kv_norm.weight",
    T.INDEXER_PROJ: "self_attn.compressor.indexer.scorer.weights_proj.weight",
    T.INDEXER_ATTN_Q_B: "self_attn.compressor.indexer.q_b_proj.weight",
    T.INDEXER_COMPRESSOR_WKV: "self_attn.compressor.indexer.kv_proj.weight",
    T.INDEXER_COMPRESSOR_WGATE: "self_attn.compressor.indexer.gate_proj.weight",
    T.INDEXER_COMPRESSOR_APE: "self_attn.compressor.indexer.position_bias",
    T.INDEXER_COMPRESSOR_NORM: "self_attn.compressor.indexer.kv_norm.weight",
    T.FFN_GATE_INP: "mlp.gate.weight",
    T.FFN_GATE_TID2EID: "mlp.gate.tid2eid",
    T.FFN_EXP_PROBS_B: "mlp.gate.e_score_correction_bias",
    T.FFN_DOWN_EXP: "mlp.experts.down_proj",
    T.FFN_GATE_SHEXP: "mlp.shared_experts.gate_proj.weight",
    T.FFN_UP_SHEXP: "mlp.shared_experts.up_proj.weight",
    T.FFN_DOWN_SHEXP: "mlp.shared_experts.down_proj.weight",
}
_FLOAT = {
    *(T.HC_ATTN_FN, T.HC_FFN_FN, T.HC_HEAD_FN, T.FFN_GATE_INP, T.FFN_GATE_TID2EID),
    *(T.ATTN_COMPRESSOR_APE, T.INDEXER_COMPRESSOR_APE),
}


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
    writer = gguf.GGUFWriter(path, "deepseek4")
    _describe(writer, config)

    def put(tensor: T, values: np.ndarray, layer: int = 0) -> None:
        name = gguf.TENSOR_NAMES[tensor].format(bid=layer) + (".bias" if tensor == T.FFN_EXP_PROBS_B else ".weight")
        values = np.ascontiguousarray(values)
        if values.dtype == np.int64:
            writer.add_tensor(name, values.astype(np.int32))
        elif kind is None or values.ndim < 2 or tensor in _FLOAT:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, quants.quantize(values, kind), raw_dtype=kind)

    embedding = weights["model.embed_tokens.weight"]
    put(T.TOKEN_EMBD, embedding)
    put(T.OUTPUT, weights.get("lm_head.weight", embedding))
    put(T.OUTPUT_NORM, weights["model.norm.weight"])
    for tensor, part in ((T.HC_HEAD_FN, "fn"), (T.HC_HEAD_BASE, "base"), (T.HC_HEAD_SCALE, "scale")):
        put(tensor, weights[f"model.hc_head.hc_{part}"])
    for layer in range(len(config["layer_types"])):
        for tensor, name in _LAYER.items():
            if (values := weights.get(f"model.layers.{layer}.{name}")) is not None:
                put(tensor, values, layer)
        gate, up = np.split(weights[f"model.layers.{layer}.mlp.experts.gate_up_proj"], 2, axis=1)
        put(T.FFN_GATE_EXP, gate, layer)
        put(T.FFN_UP_EXP, up, layer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    layers = len(config["layer_types"])
    writer.add_block_count(layers)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_embedding_length_out(config["hidden_size"] * config["hc_mult"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(1)
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["qk_rope_head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_q_lora_rank(config["q_lora_rank"])
    writer.add_sliding_window(config["sliding_window"])
    writer.add_attention_output_group_count(config["o_groups"])
    writer.add_attention_output_lora_rank(config["o_lora_rank"])
    writer.add_attention_compress_ratios([RATES[kind] for kind in config["layer_types"]])
    writer.add_attention_compress_rope_freq_base(config["compress_rope_theta"])
    writer.add_indexer_head_count(config["index_n_heads"])
    writer.add_indexer_key_length(config["index_head_dim"])
    writer.add_indexer_top_k(config["index_topk"])
    writer.add_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_count(config["n_routed_experts"])
    writer.add_expert_used_count(config["num_experts_per_tok"])
    writer.add_expert_shared_count(1)
    writer.add_expert_weights_scale(config["routed_scaling_factor"])
    writer.add_expert_weights_norm(True)
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SQRTSOFTPLUS)
    writer.add_swiglu_clamp_exp([config["swiglu_limit"]] * layers)
    writer.add_swiglu_clamp_shexp([config["swiglu_limit"]] * layers)
    writer.add_hash_layer_count(config["mlp_layer_types"].count("hash_moe"))
    writer.add_hyper_connection_count(config["hc_mult"])
    writer.add_hyper_connection_sinkhorn_iterations(config["hc_sinkhorn_iters"])
    writer.add_hyper_connection_epsilon(config["hc_eps"])


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
