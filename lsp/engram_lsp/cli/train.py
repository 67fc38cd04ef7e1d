"""`engram-ls train`: trains the network on a corpus, within a budget of minutes or tokens."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from engram_lsp.cli.extra import training_tools
from engram_lsp.cli.terminal import notes, out, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the checkpoint")
    parser.add_argument("--corpus", type=Path, help="folder that `engram-ls corpus` built")
    parser.add_argument("--config", type=Path, help="config.json of the network's shape (default: the nano shape)")
    parser.add_argument("--minutes", type=float, default=60.0, help="budget in minutes (default: %(default)s)")
    parser.add_argument("--tokens", type=int, help="budget in tokens; the first budget to run out ends the run")
    parser.add_argument("--from", dest="start_from", type=Path, metavar="CHECKPOINT", help="begin with these weights")
    parser.add_argument("--resume", action="store_true", help="go on with the run in OUT")
    parser.add_argument("--device", default="auto", help="cpu, cuda, … (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")
    parser.add_argument("--compile", action="store_true", help="compile first (minutes), a third faster after")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the loss curve as JSON")


def run(options: argparse.Namespace) -> int:
    with training_tools():
        from engram_runtime.config import ModelConfig
        from engram_runtime.train.loop import TrainOptions, train

        given: dict[str, Any] = {
            name: getattr(options, name)
            for name in ("out", "minutes", "tokens", "start_from", "resume", "device", "threads", "seed", "compile")
        }
        if options.corpus:
            given["corpus"] = options.corpus
        if options.config:
            given["config"] = ModelConfig.read(options.config)
        finished = train(TrainOptions(**given), notes)
    if options.json:
        print_json([dataclasses.asdict(point) for point in finished.curve])
    else:
        last = finished.curve[-1] if finished.curve else None
        said = f", validation {last.validation_bits:.3f} bits a token" if last else ""
        out.print(f"{options.out}: {finished.tokens:,} tokens in {finished.seconds / 60:.1f} minutes{said}")
    return 0
