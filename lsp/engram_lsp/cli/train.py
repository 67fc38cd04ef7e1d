"""`engram-ls train`: trains a network on a corpus, or trains a model on, on the user's own code (tune.py)."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from rich.markup import escape

from engram_lsp.cli import tune
from engram_lsp.cli.extra import training_tools
from engram_lsp.cli.terminal import UserError, notes, number, out, print_json

_CORPUS_MINUTES, _OWN_MINUTES = 60.0, 10.0
_CORPUS_ONLY = ("corpus", "config", "tokens", "resume", "compile")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "%(prog)s --from default PATH [PATH ...] --out MODELFOLDER [options]   (on your own code)\n"
        "       %(prog)s OUT [--corpus FOLDER] [options]                             (on a corpus, from the beginning)"
    )
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="folders of your own code, where --out is given; else OUT, the folder for the checkpoint",
    )
    parser.add_argument("--out", type=Path, metavar="MODELFOLDER", help="train on your own code; the model goes there")
    parser.add_argument(
        "--from",
        dest="start_from",
        metavar="FROM",
        help='what to begin with: "default" (the model in the package) or another model folder for your own code,'
        " a checkpoint for a corpus",
    )
    parser.add_argument(
        "--minutes",
        type=number(float, 0.001, 1e6),
        help=f"minutes of training (default: {_CORPUS_MINUTES:g} on a corpus, {_OWN_MINUTES:g} on your own code)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, … (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")
    corpus = parser.add_argument_group("on a corpus")
    corpus.add_argument("--corpus", type=Path, help="folder that `engram-ls corpus` built")
    corpus.add_argument("--config", type=Path, help="config.json of the network's shape (default: the nano shape)")
    corpus.add_argument("--tokens", type=int, help="budget in tokens; the first budget to run out ends the run")
    corpus.add_argument("--resume", action="store_true", help="go on with the run in OUT")
    corpus.add_argument("--compile", action="store_true", help="compile first (minutes), a third faster after")
    own = parser.add_argument_group("on your own code")
    own.add_argument(
        "--places",
        type=number(int, 4, 10_000),
        default=tune.PLACES,
        metavar="N",
        help="how many places of held-out files the table is of (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    if options.out is None:
        return _on_a_corpus(options)
    if given := [f"--{name}" for name in _CORPUS_ONLY if getattr(options, name)]:
        raise UserError(f"{', '.join(given)}: for training on a corpus, which has no --out; see engram-ls train --help")
    return tune.run(options, options.minutes or _OWN_MINUTES)


def _on_a_corpus(options: argparse.Namespace) -> int:
    start = options.start_from
    if start == "default" or (start and (Path(start) / "model.onnx").exists()):
        raise UserError(
            f"--from {start} trains a model on, on your own code: add --out MODELFOLDER, the folder that the new model"
            " goes to (a run on a corpus begins with a checkpoint)"
        )
    if len(options.paths) > 1:
        raise UserError("several folders: on your own code, add --out MODELFOLDER; on a corpus, name one folder OUT")
    with training_tools():
        from engram_runtime.config import ModelConfig
        from engram_runtime.train.loop import TrainOptions, train

        given: dict[str, Any] = {
            name: getattr(options, name) for name in ("tokens", "resume", "device", "threads", "seed", "compile")
        }
        given["minutes"] = options.minutes or _CORPUS_MINUTES
        given["start_from"] = Path(start) if start else None
        if options.corpus:
            given["corpus"] = options.corpus
        if options.config:
            given["config"] = ModelConfig.read(options.config)
        checkpoint = options.paths[0]
        finished = train(TrainOptions(out=checkpoint, **given), notes)
    if options.json:
        print_json([dataclasses.asdict(point) for point in finished.curve])
    else:
        last = finished.curve[-1] if finished.curve else None
        said = f", validation {last.validation_bits:.3f} bits a token" if last else ""
        minutes = finished.seconds / 60
        out.print(
            f"{escape(str(checkpoint))}: {finished.tokens:,} tokens in {minutes:.1f} minutes{said}", soft_wrap=True
        )
    return 0
