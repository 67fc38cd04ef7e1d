"""`engram-ls corpus`: the text that the model is trained on, built from ordinary packages."""

import argparse
import dataclasses
from pathlib import Path

from engram_lsp.cli.extra import training_tools
from engram_lsp.cli.terminal import notes, out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, help="where to build it (default: the user's cache folder)")
    parser.add_argument(
        "--package", action="append", help="a requirement to use instead of the pinned lists; repeatable"
    )
    parser.add_argument(
        "--installed",
        action="store_true",
        help="take the Python packages installed here instead of fetching any, for a machine without a network",
    )


def run(options: argparse.Namespace) -> int:
    with training_tools():
        from engram_runtime.train.corpus import CorpusOptions, build_corpus, here

        chosen = CorpusOptions()
        if options.folder:
            chosen = dataclasses.replace(chosen, folder=options.folder)
        if options.package:
            chosen = dataclasses.replace(chosen, packages=tuple(options.package), debian=())
        if options.installed:
            chosen = dataclasses.replace(chosen, installed=here())
        manifest = build_corpus(chosen, notes)
    out.print(f"{manifest}", soft_wrap=True)
    return 0
