"""A small random network for tests of the runtime: every layer type, and windows that are often crossed."""

import numpy as np
import tokenizers
import torch
from engram_runtime.config import CSA, HCA, SLIDING, ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.network import DeepseekV4, balanced_table
from engram_runtime.tokenizer import SPECIALS, Tokenizer
from tokenizers import AddedToken, decoders, models, pre_tokenizers

SMALL = ModelConfig(
    vocab_size=262,
    hidden_size=64,
    layer_types=(SLIDING, CSA, HCA, CSA),
    mlp_layer_types=("hash_moe", "moe", "hash_moe", "moe"),
    max_position_embeddings=2048,
    num_attention_heads=4,
    head_dim=32,
    qk_rope_head_dim=16,
    q_lora_rank=32,
    o_groups=2,
    o_lora_rank=32,
    sliding_window=24,
    compress_rate_csa=4,
    compress_rate_hca=32,
    index_n_heads=2,
    index_head_dim=32,
    index_topk=512,  # selects all there are: ties are broken differently by torch (see test_graph)
    n_routed_experts=4,
    num_experts_per_tok=2,
    moe_intermediate_size=32,
    engram_layers=(1, 3),
    engram_heads=2,
    engram_rows=503,
    engram_dim=16,
)


def byte_tokenizer() -> Tokenizer:
    """The six specials and one token for each byte."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: i for i, name in enumerate([*SPECIALS, *letters])}
    model = tokenizers.Tokenizer(models.BPE(vocabulary, []))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.decoder = decoders.ByteLevel()
    model.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return Tokenizer.parse(model.to_str())


def random_network(config: ModelConfig, classes: np.ndarray) -> DeepseekV4:
    torch.manual_seed(7)
    hashes = EngramHash(config, classes)
    network = DeepseekV4(config, [hashes.row_count(layer) for layer in config.engram_layers]).eval()
    randomise(network, config)
    return network


@torch.no_grad()
def randomise(network: torch.nn.Module, config: ModelConfig) -> None:
    """Draws weights at a scale at which every part matters: gates off their middle, experts and streams unlike.

    `network` is ours or that of transformers, whose parameters have the same names.
    """
    for name, weight in network.named_parameters():
        if "_hc." in name or "hc_head" in name:
            weight.add_(torch.randn_like(weight) * 0.1)
        elif "table" in name or "embed" in name:
            weight.copy_(torch.randn_like(weight))
        elif weight.ndim >= 2:
            weight.copy_(torch.randn_like(weight) * weight.shape[-1] ** -0.5)
        else:
            weight.add_(torch.randn_like(weight) * 0.3)
    for name, buffer in network.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.normal_(0, 0.1)
        elif name.endswith("tid2eid") and not buffer.any():
            buffer.copy_(balanced_table(config.vocab_size, config.num_experts_per_tok, config.n_routed_experts))
    # Logits of about 3: a distribution that is neither flat nor certain.
    embedding_norm = config.hidden_size**0.5 if config.tie_word_embeddings else 1
    network.get_parameter("model.norm.weight").mul_(3 / embedding_norm)
