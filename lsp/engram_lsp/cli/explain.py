"""`engram-ls explain [CODE]`: what a kind of problem means, with examples; without a code, which there are."""

import argparse
import json
import re

from engram_context.checks.catalogue import CODES, page_of
from rich.markdown import Markdown
from rich.table import Table

from engram_lsp.cli.terminal import UserError, out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", help="a code, as check prints it")
    parser.add_argument("--json", action="store_true", help="print one JSON value")


def run(options: argparse.Namespace) -> int:
    if options.code is None:
        _list(options.json)
        return 0
    page = page_of(options.code)
    if page is None:
        raise UserError(f"there is no code {options.code!r}; `engram-ls explain` lists them")
    if options.json:
        out.file.write(json.dumps({"code": options.code, "page": page}, ensure_ascii=False) + "\n")
    elif out.is_terminal:
        out.print(Markdown(page))
    else:
        out.file.write(page)
    return 0


def summary(code: str) -> str:
    """The first sentence of a code's page."""
    lines = (page_of(code) or "").splitlines()[1:]
    first = next((line for line in lines if line.strip()), "")
    # Not at the dots of `pyproject.toml`.
    return re.split(r"[.:](?=\s|$)", first)[0] + "." if first else ""


def _list(as_json: bool) -> None:
    if as_json:
        value = {name: {"severity": code.severity, "about": summary(name)} for name, code in sorted(CODES.items())}
        out.file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        return
    table = Table("code", "usually", "what it says", box=None)
    for name, code in sorted(CODES.items()):
        table.add_row(name, code.severity, summary(name))
    out.print(table)
