"""`engram-ls why FILE...`: whether files are in the project memory, and the rule that decides."""

import argparse
import os
from pathlib import Path
from typing import Any

from engram_context.text import READ_LIMIT
from rich.markup import escape

from engram_lsp.belonging import Verdict, verdict
from engram_lsp.cli import workspace
from engram_lsp.cli.terminal import name_of, out, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, nargs="+", help="files; of a folder, all files in it")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="PATTERN", help="as in the setting engram.index.exclude"
    )
    parser.add_argument(
        "--max-file-kb",
        type=int,
        default=READ_LIMIT // 1024,
        metavar="KB",
        help="as in the setting engram.index.maxFileKb (%(default)s)",
    )
    workspace.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    files = [inner for file in options.file for inner in _files(file)]
    with workspace.opened(
        _existing(options.file[0]), options, exclude=options.exclude, largest=options.max_file_kb * 1024
    ) as project:
        verdicts = [verdict(project, file) for file in files]
    if options.json:
        print_json([_json(each) for each in verdicts])
    else:
        for each in verdicts:
            word = "[green]in[/]" if each.reason is None else "[yellow]not in[/]"
            said = f": {escape(name_of(each.words))}" if each.words else ""
            out.print(f"{escape(name_of(each.file))}: {word}{said}", soft_wrap=True)
    return 0 if all(each.reason is None for each in verdicts) else 1


def _files(file: Path) -> list[Path]:
    """The file itself, or what a folder holds, links not followed."""
    if not file.is_dir() or file.is_symlink():
        return [file]
    return [Path(folder, name) for folder, _, names in os.walk(file) for name in sorted(names)]


def _existing(file: Path) -> Path:
    """What is there of a path: a file that is not is asked about too."""
    absolute = Path(os.path.normpath(file.expanduser().absolute()))
    folder = absolute if absolute.is_dir() and not absolute.is_symlink() else absolute.parent
    return next((each for each in (folder, *folder.parents) if each.is_dir()), folder)


def _json(verdict: Verdict) -> dict[str, Any]:
    shown: dict[str, Any] = {"file": verdict.file, "path": verdict.path, "in": verdict.reason is None}
    shown["kind"] = "private" if verdict.private else "" if verdict.reason is None else verdict.reason.kind
    shown["why"] = verdict.words
    if verdict.reason is not None and verdict.reason.source:
        shown["rule"] = {"source": verdict.reason.source, "line": verdict.reason.line}
    return shown
