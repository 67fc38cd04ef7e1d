"""How fast the runtime reads and writes, for each kind of weights, in one interleaved run.

    python tests/bench/decode.py [CHECKPOINT] [--context 1024] [--rounds 20] [--json]

Without a checkpoint the weights are random, which takes as long. Figures are medians of rounds that take turns between
the kinds, so that other load on the machine meets all of them; the machine's own noise is shown as the fastest decile.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from engram_runtime.cache import Cache
from engram_runtime.config import ModelConfig
from engram_runtime.engine import CHUNK
from engram_runtime.engram import EngramHash
from engram_runtime.export import KINDS, export
from engram_runtime.session import Session
from rich.console import Console
from rich.progress import track
from rich.table import Table

DRAFTS = 5


def random_checkpoint(folder: Path) -> Path:
    import torch
    from engram_runtime.network import DeepseekV4
    from safetensors.torch import save_file

    config = ModelConfig()
    classes = np.arange(config.vocab_size, dtype=np.int32)
    hashes = EngramHash(config, classes)
    torch.manual_seed(0)
    network = DeepseekV4(config, [hashes.row_count(layer) for layer in config.engram_layers])
    folder.mkdir()
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()}, folder / "weights.safetensors"
    )
    config.write(folder / "config.json")
    np.save(folder / "engram_classes.npy", classes)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    return folder


class Subject:
    """One model folder under measurement."""

    def __init__(self, folder: Path, context: int) -> None:
        start = time.perf_counter()
        self.session = Session.open(folder, ["CPUExecutionProvider"])
        self.open_ms = (time.perf_counter() - start) * 1e3
        self.megabytes = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        self.tokens = np.random.default_rng(0).integers(6, self.session.config.vocab_size, context + 64)
        self.context = context
        self.times: dict[str, list[float]] = {"prefill": [], "decode": [], "check": []}

    def round(self) -> None:
        """Reads the context, decodes 32 tokens after it, checks drafts four times."""
        cache = Cache.empty(self.session.config)
        start = time.perf_counter()
        while cache.position < self.context:
            cache = self.session.call(cache, self.tokens[cache.position : self.context][:CHUNK], 1).cache()
        self.times["prefill"].append((time.perf_counter() - start) / self.context)
        read = cache
        for _ in range(32):
            start = time.perf_counter()
            call = self.session.call(cache, [int(self.tokens[cache.position])], 1)
            int(call.logits[-1].argmax())
            cache = call.cache()
            self.times["decode"].append(time.perf_counter() - start)
        for _ in range(4):
            start = time.perf_counter()
            self.session.call(read, self.tokens[self.context : self.context + DRAFTS], DRAFTS)
            self.times["check"].append(time.perf_counter() - start)

    def figures(self) -> dict[str, float]:
        prefill, decode, check = (np.array(self.times[name]) for name in ("prefill", "decode", "check"))
        return {
            "megabytes": round(self.megabytes, 1),
            "open_ms": round(self.open_ms),
            "prefill_tokens_per_s": round(1 / float(np.median(prefill))),
            "decode_tokens_per_s": round(1 / float(np.median(decode))),
            "decode_ms": round(float(np.median(decode)) * 1e3, 2),
            "decode_ms_fastest_decile": round(float(np.quantile(decode, 0.1)) * 1e3, 2),
            f"check_{DRAFTS}_tokens_ms": round(float(np.median(check)) * 1e3, 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", type=Path)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        checkpoint = options.checkpoint or random_checkpoint(Path(root) / "checkpoint")
        subjects: dict[str, Subject] = {}
        for kind in KINDS:
            export(checkpoint, Path(root) / kind, kind)
            subjects[kind] = Subject(Path(root) / kind, options.context)
        for _ in track(range(options.rounds), "measuring", disable=options.json, console=Console(stderr=True)):
            for subject in subjects.values():
                subject.round()
        figures = {kind: subject.figures() for kind, subject in subjects.items()}
        subjects.clear()  # Windows does not delete files that are mapped
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    table = Table(f"after {options.context} tokens, 1 CPU thread", *figures)
    for name in next(iter(figures.values())):
        table.add_row(name, *(f"{values[name]:g}" for values in figures.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
