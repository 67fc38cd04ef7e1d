"""What a token costs after a long context, in time, arithmetic and memory, with sparse and with dense attention.

    python tests/bench/long_context.py [--contexts 4096,16384,65536,262144,1048576] [--rounds 9] [--plot FOLDER] [--json]

Two networks of the default model's shape and random weights: one as it is (sliding, CSA, HCA), and one whose every layer
attends to every token (HCA of rate 1 pools single tokens; nothing else differs). Reading a million tokens would take
hours, and what is in the cache does not matter for time: the cache is filled with random rows. Decoding is timed in
rounds that take turns between the two networks. Floating-point operations and bytes are counted by formula from the
shapes, for V4-Flash's and V4-Pro's shapes as well. `--plot` wants matplotlib.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from engram_runtime.cache import Cache
from engram_runtime.config import CSA, HCA, LayerType, MlpType, ModelConfig
from engram_runtime.session import Session
from rich.console import Console
from rich.table import Table

STEP = 1 << 16


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one more token: multiply-adds times two, in attention and in all; bytes of the cache in float32."""

    attention: float
    total: float
    cache: float


def dense(config: ModelConfig) -> ModelConfig:
    return replace(config, layer_types=tuple[LayerType, ...]([HCA] * config.num_hidden_layers), compress_rate_hca=1)


def cost(config: ModelConfig, context: int, dense_attention: bool) -> Cost:
    """By formula. Dense attention has the same projections, less the compressors, and keeps one row for each token."""
    H, D, h, R = config.hidden_size, config.head_dim, config.num_attention_heads, config.o_lora_rank
    Di, nI, low = config.index_head_dim, config.index_n_heads, config.q_lora_rank
    window = min(context, config.sliding_window)
    attention = total = cache = 0.0
    for kind in config.layer_types:
        total += 2 * (H * (low + D) + low * h * D + h * D * R + config.o_groups * R * H)
        experts = 3 * H * config.moe_intermediate_size * (config.num_experts_per_tok + 1) + H * config.n_routed_experts
        total += 2 * (experts + 2 * config.hc_mult * H * (2 * config.hc_mult + config.hc_mult**2))
        # Scores and values: two products with each head's query.
        if dense_attention:
            attention += 4 * h * D * context
            cache += 4 * D * context
            continue
        attention += 4 * h * D * window
        cache += 4 * D * window
        if kind == HCA:
            entries = context // config.compress_rate_hca
            attention += 4 * h * D * entries
            cache += 4 * D * entries + 4 * 2 * D * config.compress_rate_hca
            total += 2 * H * 2 * D
        elif kind == CSA:
            entries = context // config.compress_rate_csa
            attention += 2 * nI * Di * entries + 2 * nI * entries + 4 * h * D * min(entries, config.index_topk)
            cache += 4 * (D + Di) * entries + 4 * 4 * (D + Di) * 2 * config.compress_rate_csa
            total += 2 * (H * 4 * (D + Di) + low * nI * Di + H * nI)
    return Cost(attention, total + attention + 2 * H * config.vocab_size, cache)


FLASH = replace(
    ModelConfig(),
    vocab_size=129280,
    hidden_size=4096,
    layer_types=tuple[LayerType, ...]([HCA, HCA] + [CSA if i % 2 else HCA for i in range(41)]),
    mlp_layer_types=tuple[MlpType, ...](["moe"] * 43),
    num_attention_heads=64,
    head_dim=512,
    qk_rope_head_dim=64,
    q_lora_rank=1024,
    o_groups=8,
    o_lora_rank=1024,
    index_n_heads=64,
    index_head_dim=128,
    index_topk=512,
    n_routed_experts=256,
    num_experts_per_tok=6,
    moe_intermediate_size=2048,
    engram_layers=(),
)
"""The defaults of transformers' DeepseekV4Config, which are V4-Flash's."""


def shares(config: ModelConfig, context: int) -> dict[str, float]:
    """What sparse attention costs, and as a share of dense: of arithmetic, and of the cache where keys and values are one
    row for all heads, as here, and where every head has its own."""
    ours, whole = cost(config, context, False), cost(config, context, True)
    return {
        "context": context,
        "flops": ours.total / whole.total,
        "attention_flops": ours.attention / whole.attention,
        "sparse_cache_mb": ours.cache / 1e6,
        "dense_cache_mb": whole.cache / 1e6,
        "cache": ours.cache / whole.cache,
        "cache_of_heads": ours.cache / (whole.cache * 2 * config.num_attention_heads),
    }


def opened(config: ModelConfig, folder: Path) -> Session:
    import torch
    from engram_runtime.engram import EngramHash
    from engram_runtime.export import export
    from engram_runtime.network import DeepseekV4
    from safetensors.torch import save_file

    torch.manual_seed(0)
    classes = np.arange(config.vocab_size, dtype=np.int32)
    hashes = EngramHash(config, classes)
    network = DeepseekV4(config, [hashes.row_count(layer) for layer in config.engram_layers])
    folder.mkdir()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "weights.safetensors")
    config.write(folder / "config.json")
    np.save(folder / "engram_classes.npy", classes)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    export(folder, folder / "model", "int8")
    return Session.open(folder / "model", ["CPUExecutionProvider"])


def filled(cache: Cache, context: int, random: np.random.Generator) -> Cache:
    """The cache as if `context` tokens had been read."""
    while cache.position < context:
        count = min(STEP, context - cache.position)
        cache = cache.writable(count)
        for state, array in zip(cache.tape.states, cache.tape.arrays, strict=True):
            first, last = (state.rows(position)[1] for position in (cache.position, cache.position + count))
            base = 0 if state.kind == "entries" else cache.tape.base
            # Of the rows of single tokens, only the last can still be read.
            first = first if state.kind == "entries" else max(first, last - 1024)
            array[first - base : last - base] = random.standard_normal((last - first, *state.shape), np.float32)
        tokens = random.integers(6, 8192, count)
        cache.writes(tokens)
        cache = cache.extended(tokens)
    return cache


def measure(session: Session, cache: Cache, tokens: int, random: np.random.Generator) -> float:
    """Seconds of decoding a token."""
    times: list[float] = []
    for token in random.integers(6, 8192, tokens):
        start = time.perf_counter()
        cache = session.call(cache, [int(token)]).cache()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", default="4096,16384,65536,262144,1048576")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    contexts = [int(value) for value in options.contexts.split(",")]
    config = replace(ModelConfig(), max_position_embeddings=max(contexts) + 4096)
    random = np.random.default_rng(0)
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        sessions = [opened(c, Path(folder) / name) for c, name in ((config, "sparse"), (dense(config), "dense"))]
        caches = [Cache.empty(session.config) for session in sessions]
        for context in contexts:
            caches = [filled(cache, context, random) for cache in caches]
            times: list[list[float]] = [[], []]
            for _ in range(options.rounds):
                for i, session in enumerate(sessions):
                    times[i].append(measure(session, caches[i], 6, random))
            sparse, whole = (1e3 * float(np.median(each)) for each in times)
            measured = {
                "sparse_ms": sparse,
                "dense_ms": whole,
                "time": sparse / whole,
                "held_mb": caches[0].bytes / 1e6,
            }
            rows.append(shares(config, context) | measured)
    flash = [shares(FLASH, context) for context in contexts]
    if options.plot:
        plot(rows, options.plot)
    if options.json:
        print(json.dumps({"default": rows, "flash": flash}, indent=1))
    else:
        show(rows, flash)


def show(rows: list[dict[str, float]], flash: list[dict[str, float]]) -> None:
    for title, costs in (("the default model", rows), ("V4-Flash's shape, counted", flash)):
        timed = ("sparse ms", "dense ms", "time") if "time" in costs[0] else ()
        table = Table(
            "context", *timed, "FLOPs", "attention's", "MB", "dense MB", "cache", "of K, V a head", title=title
        )
        for row in costs:
            cells = [f"{row['context']:,}"]
            if timed:
                cells += [f"{row['sparse_ms']:.2f}", f"{row['dense_ms']:.2f}", f"{100 * row['time']:.1f} %"]
            cells += [f"{100 * row[name]:.1f} %" for name in ("flops", "attention_flops")]
            cells += [f"{row[name]:,.1f}" for name in ("sparse_cache_mb", "dense_cache_mb")]
            cells += [f"{100 * row[name]:.1f} %" for name in ("cache", "cache_of_heads")]
            table.add_row(*cells)
        Console(width=120).print(table)


def plot(rows: list[dict[str, float]], folder: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    contexts = [row["context"] for row in rows]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axes, unit, names in ((left, "ms a token", "_ms"), (right, "MB of cache", "_cache_mb")):
        axes.plot(contexts, [row[f"dense{names}"] for row in rows], "o--", color="#888", label="dense attention")
        axes.plot(contexts, [row[f"sparse{names}"] for row in rows], "o-", color="#1a6", label="sliding + CSA + HCA")
        axes.set(xscale="log", yscale="log", xlabel="tokens of context", ylabel=unit)
        axes.set_xscale("log", base=2)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(folder / "long_context.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
