"""`engram-ls compare`: how far models are from another one of the same network, as quantised ones from the original."""

import argparse
from dataclasses import asdict
from pathlib import Path

from engram_runtime.quantize import Comparison, compare
from engram_runtime.samples import TEXTS, texts
from engram_runtime.session import ModelError
from engram_runtime.tokenizer import Tokenizer
from rich.markup import escape
from rich.table import Table

from engram_lsp.cli.terminal import UserError, notes, number, out, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", type=Path, metavar="REFERENCE", help="model folder, exported as fp32 for example")
    parser.add_argument("others", type=Path, nargs="+", metavar="OTHER", help="model folders that should say the same")
    parser.add_argument("--text", type=Path, required=True, metavar="FOLDER", help="code on which they are compared")
    parser.add_argument(
        "--count", type=number(int, 1, 1_000_000), default=TEXTS, metavar="N", help="files of it (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures by folder")


def run(options: argparse.Namespace) -> int:
    try:
        chosen = texts(options.text, Tokenizer.read(options.reference / "tokenizer.json"), options.count)
        found: dict[str, Comparison] = {}
        for other in options.others:
            with notes.status(f"running {options.reference.name} and {other.name}"):
                found[str(other)] = compare(options.reference, other, chosen)
    except (ModelError, OSError, ValueError) as problem:
        raise UserError(str(problem)) from problem
    if options.json:
        print_json({name: asdict(each) for name, each in found.items()})
    else:
        _report(found)
    return 0


def _report(found: dict[str, Comparison]) -> None:
    first = next(iter(found.values()))
    out.print(f"{first.tokens:,} tokens; {first.reference_bits:.4f} bits each by the reference", highlight=False)
    table = Table("model", "KL, nats", "median", "worst token", "same choice", "more bits", box=None, pad_edge=False)
    for name, each in found.items():
        more = f"{each.other_bits - each.reference_bits:+.4f}"
        figures = f"{each.divergence:.2e}", f"{each.median:.2e}", f"{each.worst:.3f}", f"{each.agreement:.2%}", more
        table.add_row(escape(Path(name).name), *figures)
    out.print(table)
