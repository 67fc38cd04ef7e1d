"""transformers' DeepseekV4ForCausalLM, eager, with its own cache, on one thread."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from peers import UnavailableError

try:
    import torch
    import transformers
    from safetensors.torch import load_file
except ImportError as problem:
    raise UnavailableError(f"{problem}: pip install 'transformers>=5.20' torch safetensors") from problem

SAME = (
    *("vocab_size", "hidden_size", "tie_word_embeddings", "max_position_embeddings", "rms_norm_eps"),
    *("num_attention_heads", "head_dim", "qk_rope_head_dim", "q_lora_rank", "o_groups", "o_lora_rank"),
    *("sliding_window", "index_n_heads", "index_head_dim", "index_topk", "rope_theta", "compress_rope_theta"),
    *("n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "routed_scaling_factor", "swiglu_limit"),
    *("hc_mult", "hc_sinkhorn_iters", "hc_eps", "layer_types", "mlp_layer_types"),
)


def network(folder: Path) -> Any:
    """The network with the checkpoint's weights, for inference."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    theirs = transformers.DeepseekV4Config(
        **{name: config[name] for name in SAME},
        num_hidden_layers=len(config["layer_types"]),
        compress_rates={
            "compressed_sparse_attention": config["compress_rate_csa"],
            "heavily_compressed_attention": config["compress_rate_hca"],
        },
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        attn_implementation="eager",
    )
    model = transformers.DeepseekV4ForCausalLM(theirs).eval()
    missing, unknown = model.load_state_dict(load_file(folder / "weights.safetensors"), strict=False)
    if unknown or [name for name in missing if "lm_head" not in name]:
        raise RuntimeError(f"transformers names its weights otherwise: {missing} missing, {unknown} unknown")
    return model.requires_grad_(False)


class Eager:
    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self.model = network(folder)
        self.caches: dict[str, Any] = {}

    def about(self) -> dict[str, Any]:
        return {
            "engine": f"transformers {transformers.__version__}, torch {torch.__version__}, eager",
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
        }

    def start(self, slot: str, tokens: list[int]) -> int:
        self.caches.pop(slot, None)
        return self._run(slot, tokens)

    def step(self, slot: str, token: int) -> int:
        return self._run(slot, [token])

    @torch.inference_mode()
    def _run(self, slot: str, tokens: list[int]) -> int:
        said = self.model(
            torch.tensor([tokens]), past_key_values=self.caches.get(slot), use_cache=True, logits_to_keep=1
        )
        self.caches[slot] = said.past_key_values
        return int(said.logits[0, -1].argmax())

    @torch.inference_mode()
    def logits(self, tokens: list[int]) -> np.ndarray:
        return self.model(torch.tensor([tokens]), use_cache=False).logits[0].numpy()


def open_engine(folder: Path, kind: str) -> Eager:
    if kind != "fp32":
        raise UnavailableError(f"transformers runs float32 here, not {kind}")
    return Eager(folder)
