"""`engram-ls export`: a checkpoint becomes the folder that the server runs."""

import argparse
from pathlib import Path
from typing import Any

from engram_lsp.cli.extra import training_tools
from engram_lsp.cli.terminal import notes, out, print_json, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="folder that `engram-ls train` or transformers wrote, or that DeepSeek released",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="model folder to write; replaced as a whole")
    parser.add_argument("--weights", choices=("fp32", "int8", "int4"), default="int8", help="default: %(default)s")
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="FOLDER",
        help="code like that which the model is for: weights are rounded so that results on it change least",
    )
    parser.add_argument("--json", action="store_true", help="print the folder's model.json")


def run(options: argparse.Namespace) -> int:
    with training_tools():
        from engram_runtime.export import export

        with progress(f"exporting {options.checkpoint.name}", quiet=options.json) as advance:
            about = export(
                options.checkpoint, options.out, options.weights, calibration=options.calibrate, progress=advance
            )
    if options.json:
        print_json(about)
    else:
        _report(options.out, about)
    return 0


def _report(folder: Path, about: dict[str, Any]) -> None:
    size = sum(about["bytes"].values()) / 1e6
    out.print(
        f"{folder}: {about['parameters']:,} parameters, {size:,.1f} MB as {about['weights']}",
        soft_wrap=True,
        markup=False,
    )
    if not about["tokenizer"]:
        notes.print("The checkpoint has no tokenizer.json; put one into the folder before text goes through the model.")
    if about["unused"]:
        notes.print(f"Left out: {', '.join(about['unused'])}", soft_wrap=True, markup=False)
