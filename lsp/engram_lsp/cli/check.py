"""`engram-ls check PATH`: the problems of a file or a project."""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from engram_context.findings import Finding
from engram_context.languages import language_of
from engram_context.project import Project
from engram_context.text import Text
from rich.markup import escape

from engram_lsp.cli import workspace
from engram_lsp.cli.terminal import notes, out, print_json, progress

COLOURS = {"error": "red", "warning": "yellow", "information": "blue", "hint": "dim"}
RANKS = ("error", "warning", "information", "hint")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, nargs="?", default=Path(), help="a file or folder (default: here)")
    parser.add_argument("--least", choices=RANKS, default="information", help="least severity shown (%(default)s)")
    workspace.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    with workspace.opened(options.path, options) as project:
        paths = _paths(project, options.path)
        shown = RANKS[: RANKS.index(options.least) + 1]
        found: list[tuple[str, Text, Finding]] = []
        with progress("checking", quiet=options.json) as advance:
            for done, path in enumerate(paths):
                advance(done, len(paths), path)
                text = project.text(path)
                if text is not None:
                    found += [(path, text, one) for one in project.findings(path) if one.severity in shown]
    if options.json:
        print_json([_json(*one) for one in found])
    else:
        for path, text, finding in found:
            line, column = text.position(finding.span.start, "utf-32")
            colour = COLOURS[finding.severity]
            where = f"{escape(path)}:{line + 1}:{column + 1}"
            out.print(
                f"{where}: [{colour}]{finding.severity}[/]: {escape(finding.message)} [dim]{finding.code}[/]",
                soft_wrap=True,
            )
        _summary(found, len(paths))
    return 1 if found else 0


def _paths(project: Project, path: Path) -> tuple[str, ...]:
    if path.is_file():
        return (workspace.path_in(project, path),)
    below = path.expanduser().resolve().relative_to(project.root).as_posix()
    names = (name for name in project.snapshot.paths if language_of(name) == "python")
    return tuple(name for name in names if below == "." or name.startswith(f"{below}/"))


def _summary(found: list[tuple[str, Text, Finding]], files: int) -> None:
    counts = Counter(finding.code for _, _, finding in found)
    said = ", ".join(f"{count} {code}" for code, count in counts.most_common()) or "nothing found"
    notes.print(f"[bold]{files} files[/]: {said}")


def _json(path: str, text: Text, finding: Finding) -> dict[str, Any]:
    (line, column), (end_line, end_column) = (
        text.position(offset, "utf-32") for offset in (finding.span.start, finding.span.end)
    )
    return {
        "path": path,
        "line": line + 1,
        "column": column + 1,
        "end_line": end_line + 1,
        "end_column": end_column + 1,
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "fixes": [fix.title for fix in finding.fixes],
    }
