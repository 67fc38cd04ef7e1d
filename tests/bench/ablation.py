"""What each part of the network is worth: the same tokens, trained with and without it.

    python tests/bench/ablation.py CORPUS WORK [--tokens 500000] [--only base no-engram ...] [--json FILE]

CORPUS is a folder of `engram-ls corpus`, WORK where checkpoints go. Every arm sees the same batches (the same texts where
vocabularies differ) and is judged by bits a *byte* of the same validation files, which does not depend on the vocabulary.
"""

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from engram_runtime.config import ModelConfig
from engram_runtime.models import default_model
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import documents
from engram_runtime.train.evaluate import checkpoint_score
from engram_runtime.train.loop import TrainOptions, train
from engram_runtime.train.vocabulary import learn_tokenizer, sample
from engram_runtime.weights import Weights
from rich.console import Console
from rich.table import Table

_WINDOW = 512


def arms() -> dict[str, ModelConfig]:
    base = ModelConfig.read(default_model() / "config.json")
    return {
        "base": base,
        "no-engram": replace(base, engram_layers=()),
        "no-mhc": replace(base, hc_mult=1),
        "vocabulary-16k": replace(base, vocab_size=16384),
        "wider": replace(base, hidden_size=384, moe_intermediate_size=192),
        "narrower": replace(base, hidden_size=128, q_lora_rank=64, moe_intermediate_size=64),
        "one-sinkhorn": replace(base, hc_sinkhorn_iters=1),
        "sliding-only": replace(base, layer_types=("sliding_attention",) * base.num_hidden_layers),
    }


def bits_a_byte(checkpoint: Path, tokenizer: Tokenizer, texts: list[str]) -> tuple[float, float]:
    """(bits a byte, bits a token) over windows of the texts."""
    score = checkpoint_score(checkpoint)
    bits, size, count = 0.0, 0, 0
    for text in texts:
        ids = (tokenizer.begin, *tokenizer.encode(text))[:_WINDOW]
        logs = score(ids, 1)
        bits -= float(logs[np.arange(len(ids) - 1), ids[1:]].sum()) / math.log(2)
        size += sum(len(tokenizer.token_bytes(token)) for token in ids[1:])
        count += len(ids) - 1
    return bits / size, bits / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--tokens", type=int, default=500_000)
    parser.add_argument("--only", nargs="*", choices=list(arms()))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console = Console(stderr=True)
    small = Tokenizer.read(default_model() / "tokenizer.json")
    texts = [document.text for document in documents(options.corpus, "validation") if document.path.endswith(".py")][
        :100
    ]
    found: dict[str, dict[str, float]] = {}
    for name, config in arms().items():
        if options.only and name not in options.only:
            continue
        tokenizer, tokens, path = small, options.tokens, default_model() / "tokenizer.json"
        if config.vocab_size != small.vocab_size:
            tokenizer = learn_tokenizer(sample(options.corpus, 30.0), config.vocab_size)
            path = options.work / f"tokenizer-{config.vocab_size}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(tokenizer.to_json(), encoding="utf-8")
            # As much text, which is fewer tokens.
            tokens = int(
                tokens * sum(len(tokenizer.encode(t)) for t in texts) / sum(len(small.encode(t)) for t in texts)
            )
        out = options.work / name
        run = TrainOptions(
            out,
            options.corpus,
            path,
            config,
            None,
            tokens,
            rows=4,
            length=512,
            threads=1,
            validate_minutes=1e9,
            compile=config.hc_mult > 1,  # a lone stream compiles anew again and again
        )
        finished = train(run, console)
        byte, token = bits_a_byte(out, tokenizer, texts)
        weights = Weights(out / "weights.safetensors")
        trained = sum(weights[name].size for name in weights)
        found[name] = {"bits_a_byte": byte, "bits_a_token": token, "parameters": trained, "tokens": finished.tokens}
        console.print(f"{name}: {byte:.4f} bits a byte", highlight=False)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    table = Table("arm", "parameters, M", "tokens", "bits a token", "bits a byte")
    for name, row in found.items():
        figures = f"{row['parameters'] / 1e6:.1f}", f"{row['tokens']:,}"
        table.add_row(name, *figures, f"{row['bits_a_token']:.3f}", f"{row['bits_a_byte']:.4f}")
    Console().print(table)


if __name__ == "__main__":
    main()
