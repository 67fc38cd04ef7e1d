"""`engram-ls export`: a checkpoint becomes the folder that the server runs."""

import argparse
from pathlib import Path

from engram_lsp.cli.extra import training_tools
from engram_lsp.cli.terminal import out, print_json, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder that `engram-ls train` wrote")
    parser.add_argument("out", type=Path, metavar="OUT", help="model folder to write; replaced as a whole")
    parser.add_argument("--weights", choices=("fp32", "int8", "int4"), default="int8", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print the folder's model.json")


def run(options: argparse.Namespace) -> int:
    with training_tools(), progress(f"exporting {options.checkpoint}", quiet=options.json):
        from engram_runtime.export import export

        about = export(options.checkpoint, options.out, options.weights)
    if options.json:
        print_json(about)
    else:
        size = sum(about["bytes"].values()) / 1e6
        out.print(
            f"{options.out}: {about['parameters']:,} parameters, {size:.1f} MB as {options.weights}", soft_wrap=True
        )
    return 0
