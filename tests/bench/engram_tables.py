"""What it costs to leave the Engram tables on disk: decoding with a table larger than memory, and with a resident one.

    python tests/bench/engram_tables.py [--rows 50000000] [--tokens 48] [--rounds 12] [--one-by-one] [--folder DIR] [--json]

One network with random weights (int4) runs in four ways, which take turns token by token:
    resident   a table of a few thousand rows, which stays in the processor's cache
    warm       a file of --rows rows a head (by default 2.4 billion rows, 43 GB), n-grams that this process has met before
    cached     the same file, n-grams that it meets for the first time, in pages that the system has in memory
    cold       the same, from the disk
The file is sparse: real rows, the resident table's, lie where the text's n-grams are hashed to, holes everywhere else.
All four must therefore give the same logits, which is checked. Figures are medians of milliseconds a token, by the clock
and of the processor (which other load on the machine does not lengthen), and of milliseconds for the prompt.
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from engram_runtime.cache import Cache
from engram_runtime.config import ModelConfig
from engram_runtime.engine import CHUNK
from engram_runtime.engram import EngramHash
from engram_runtime.export import export
from engram_runtime.providers import CPU
from engram_runtime.session import Session
from engram_runtime.weights import EngramRows, reserve_engram
from rich.console import Console
from rich.progress import track
from rich.table import Table

CONTEXT = 256
WAYS = ("resident", "warm", "cached", "cold")


def random_model(config: ModelConfig, folder: Path) -> Path:
    import torch
    from engram_runtime.network import DeepseekV4
    from safetensors.torch import save_file

    checkpoint = folder / "checkpoint"
    checkpoint.mkdir()
    classes = np.arange(config.vocab_size, dtype=np.int32)
    hashes = EngramHash(config, classes)
    torch.manual_seed(0)
    network = DeepseekV4(config, [hashes.row_count(layer) for layer in config.engram_layers])
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, checkpoint / "weights.safetensors")
    config.write(checkpoint / "config.json")
    np.save(checkpoint / "engram_classes.npy", classes)
    (checkpoint / "tokenizer.json").write_text("{}", encoding="utf-8")
    export(checkpoint, folder / "resident", "int4")
    return folder / "resident"


def with_huge_table(model: Path, out: Path, rows: int, text: np.ndarray) -> Path:
    """A copy of the model with `rows` rows a head, of which those that `text` reads are the model's own."""
    shutil.copytree(model, out)
    config = ModelConfig.read(model / "config.json")
    wide = dataclasses.replace(config, engram_rows=rows)
    wide.write(out / "config.json")
    classes = np.load(model / "engram_classes.npy")
    hashes, far = EngramHash(config, classes), EngramHash(wide, classes)
    path = out / "engram.npy"
    reserve_engram(path, {layer: far.row_count(layer) for layer in config.engram_layers}, config.engram_dim, True)
    near = np.load(model / "engram.npy", mmap_mode="r")
    records = np.load(path, mmap_mode="r+")
    per = records["row"].shape[1]
    begin = [0, 0]  # each layer's rows begin with a page
    for layer in sorted(config.engram_layers):
        source, target = hashes.rows(text, layer).ravel(), far.rows(text, layer).ravel()
        for name in ("row", "scale"):
            taken = near[name][begin[0] + source // per, source % per]
            records[name][begin[1] + target // per, target % per] = taken
        for i, counted in enumerate((hashes, far)):
            begin[i] += -(-counted.row_count(layer) // per)
    records.flush()
    return out


def dropped(file: Path) -> None:
    """Takes the file out of the system's memory. No process may have it mapped."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(session: Session, text: np.ndarray) -> Cache:
    cache = Cache.empty(session.config)
    while cache.position < len(text):
        cache = session.call(cache, text[cache.position :][:CHUNK], 1).cache()
    return cache


def measured(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    config = ModelConfig(engram_heads=8, engram_rows=503, engram_dim=options.dim)
    random = np.random.default_rng(0)
    # What the sessions read before the measured tokens: its n-grams are other ones.
    before = random.integers(6, config.vocab_size, CONTEXT)
    text = random.integers(6, config.vocab_size, options.tokens)
    whole = np.concatenate((before, text))
    resident = random_model(config, folder)
    warm = with_huge_table(resident, folder / "warm", options.rows, whole)
    cold = with_huge_table(resident, folder / "cold", options.rows, whole)
    table = (warm / "engram.npy").stat()
    if table.st_blocks * 512 > table.st_size // 8:
        sys.exit(f"{folder} is on a file system without sparse files: name another with --folder")
    folders = {"resident": resident, "warm": warm, "cached": warm, "cold": cold}
    sessions = {way: Session.open(folders[way], [CPU]) for way in ("resident", "warm")}
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    caches: dict[str, Cache] = {}
    busy: dict[str, list[float]] = {way: [] for way in WAYS}
    prompt: dict[str, list[float]] = {way: [] for way in WAYS}
    apart = 0.0
    for turn in track(range(options.rounds + 1), "measuring", disable=options.json, console=Console(stderr=True)):
        for way in ("cached", "cold"):
            sessions.pop(way, None)
            caches.pop(way, None)
        dropped(cold / "engram.npy")
        for way in ("cached", "cold"):
            sessions[way] = Session.open(folders[way], [CPU])
        for way in WAYS:
            start = time.perf_counter()
            caches[way] = read(sessions[way], before)
            if turn:
                prompt[way].append(time.perf_counter() - start)
        now = dict(caches)
        expected: list[np.ndarray] = []
        # Who has waited for the disk runs undisturbed for a while: "cold" has turns of its own.
        for ways in (WAYS[:3], WAYS[3:]):
            for place, token in enumerate(text.tolist()):
                for way in random.permutation(ways).tolist():
                    start, started = time.perf_counter(), time.thread_time()
                    call = sessions[way].call(now[way], [token], 1)
                    now[way] = call.cache()
                    if turn:  # in the first round "warm" has yet to become so
                        times[way].append(time.perf_counter() - start)
                        busy[way].append(time.thread_time() - started)
                    if place == len(expected):
                        expected.append(call.logits)
                    apart = max(apart, float(np.abs(call.logits - expected[place]).max()))
    medians = {way: float(np.median(times[way])) * 1e3 for way in WAYS}
    worked = {way: float(np.median(busy[way])) * 1e3 for way in WAYS}
    hashes = EngramHash(sessions["warm"].config, np.arange(config.vocab_size))
    return {
        "rows": sum(hashes.row_count(layer) for layer in config.engram_layers),
        "table_gb": round(table.st_size / 1e9, 1),
        "table_gb_on_disk": round(table.st_blocks * 512 / 1e9, 2),
        "memory_gb_of_machine": round(psutil.virtual_memory().total / 1e9, 1),
        "memory_gb_of_process": round(psutil.Process().memory_info().rss / 1e9, 2),
        "rows_per_token": len(config.engram_layers) * len(config.engram_orders) * config.engram_heads,
        "largest_difference_of_logits": apart,
        "prompt_ms": {way: round(float(np.median(prompt[way])) * 1e3) for way in WAYS},
        "decode_ms": {way: round(medians[way], 3) for way in WAYS},
        "processor_ms": {way: round(worked[way], 3) for way in WAYS},
        "processor_ratio": {way: round(worked[way] / worked["resident"], 3) for way in WAYS},
        "ratio_to_resident": {way: round(medians[way] / medians["resident"], 3) for way in WAYS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000_000, help="rows of each of the 48 heads")
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--one-by-one", action="store_true", help="touch pages without having asked the disk for all")
    parser.add_argument("--folder", type=Path, help="where the files are made; needs some hundred MB")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not hasattr(os, "posix_fadvise"):
        sys.exit("this measurement needs posix_fadvise, to take a file out of the system's memory")
    if options.one_by_one:
        EngramRows._ask_for = lambda self, pages: None
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        figures = measured(options, Path(root))
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    console = Console()
    shown = Table("decoding, 1 CPU thread", *WAYS)
    for name in ("prompt_ms", "decode_ms", "ratio_to_resident", "processor_ms", "processor_ratio"):
        shown.add_row(name, *(f"{value:g}" for value in dict(figures.pop(name)).values()))  # type: ignore[call-overload]
    for name, value in figures.items():
        console.print(f"{name.replace('_', ' ')}: {value:,}")
    console.print(shown)


if __name__ == "__main__":
    main()
