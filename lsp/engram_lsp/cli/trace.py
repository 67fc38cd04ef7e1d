"""`engram-ls trace FILE`: the stack traces in a text, where they stand in the project, and who is to blame.

Exit codes: 0 somebody is suspected, 1 nothing in the text has to do with the project, 2 the command was wrong.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from engram_context.disk.history import History
from engram_context.project import Project
from engram_context.text import Text
from engram_context.trace.fixes import Proposal
from engram_context.trace.reports import TraceReport, reports
from engram_context.trace.values import LocatedFrame, Suspect
from rich.markup import escape

from engram_lsp import verify
from engram_lsp.cli import rename, workspace
from engram_lsp.cli.terminal import UserError, name_of, notes, out, print_json, progress

_LARGEST = 32 << 20
_SHOWN_FRAMES = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a file with the trace in it, - for standard input")
    parser.add_argument("--project", type=Path, default=Path(), metavar="PATH", help="the project (default: here)")
    parser.add_argument("--no-fixes", action="store_true", help="look for no fixes")
    parser.add_argument(
        "--test",
        default="",
        metavar="COMMAND",
        help="run this test command, in a throw-away copy of the project, to tell which fixes are right",
    )
    parser.add_argument("--unsure", action="store_true", help="also show fixes that are rather wrong than right")
    parser.add_argument("--write", type=int, metavar="N", help="apply the fix of this number, counted from 1")
    workspace.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    text = _read(options.file)
    with workspace.opened(options.project, options, names_only=True) as project:
        history = History.of(project.root)
        found = reports(
            project.snapshot,
            text,
            project.environment,
            history,
            repair=not options.no_fixes,
            unsure=options.unsure,
            tested=bool(options.test),
        )
        if options.test and not options.no_fixes:
            found = tuple(_tried(project, report, options) for report in found)
        proposals = [proposal for report in found for proposal in report.proposals]
        if options.write is not None and not 1 <= options.write <= len(proposals):
            raise UserError(f"there is no fix {options.write}: {len(proposals) or 'none'} were found")
        if options.json:
            print_json({"traces": [as_json(project, report) for report in found]})
        else:
            _show(project, found)
        if options.write is not None:
            before, after = rename.texts_of(project, proposals[options.write - 1].edit)
            rename.write_texts(project, before, after)
            notes.print(escape(f"fix {options.write} written: {', '.join(map(name_of, sorted(after)))}"))
    return 0 if any(report.suspects for report in found) else 1


def _tried(project: Project, report: TraceReport, options: argparse.Namespace) -> TraceReport:
    if not report.proposals:
        return report
    try:
        with progress("trying fixes", quiet=options.json) as advance:
            return verify.tried(report, options.test, project.root, project.text, progress=advance)
    except verify.VerifyError as problem:
        notes.print(f"[yellow]no fix was tried: {escape(str(problem))}[/]")
        return report if options.unsure else verify.sure(report)


def _read(name: str) -> str:
    try:
        data = sys.stdin.buffer.read(_LARGEST) if name == "-" else Path(name).expanduser().read_bytes()[:_LARGEST]
    except OSError as problem:
        raise UserError(f"{name} cannot be read: {problem.strerror}") from problem
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data.decode(encoding, "replace")


def _diff(project: Project, proposal: Proposal) -> str:
    before, after = rename.texts_of(project, proposal.edit)
    return "".join(rename.diff_of(path, before[path], after[path]) for path in sorted(after))


# --- for people ------------------------------------------------------------------------------------------------------


def _show(project: Project, found: tuple[TraceReport, ...]) -> None:
    if not found:
        notes.print("no stack trace was found in the text")
    number = 0
    for at, report in enumerate(found):
        if at:
            out.print()
        trace = report.trace
        said = f": {name_of(trace.message)}" if trace.message else ""
        of = f" [dim]in {escape(name_of(trace.test))}[/]" if trace.test else ""
        out.print(f"[bold red]{escape(name_of(trace.error or trace.language))}[/]{escape(said)}{of}", soft_wrap=True)
        shown = [frame for frame in report.frames if frame.path is not None]
        for frame in shown[-_SHOWN_FRAMES:]:
            out.print(f"  {_frame(frame)}", soft_wrap=True)
        left = len(report.frames) - len(shown[-_SHOWN_FRAMES:])
        if left:
            out.print(f"  [dim]and {left} more frames, of other code or further out[/]")
        if not report.suspects:
            out.print("  nothing in this project is suspected")
        for rank, suspect in enumerate(report.suspects, 1):
            out.print(f"[bold]{rank}.[/] {_suspect(project, suspect)}", soft_wrap=True)
        for proposal in report.proposals:
            number += 1
            sure = "tests pass" if proposal.verified == "tests" else f"{proposal.confidence:.0%}"
            out.print(f"[green]fix {number}[/] ({sure}): {escape(proposal.why)}", soft_wrap=True)
            out.diff(_diff(project, proposal))


def _frame(frame: LocatedFrame) -> str:
    sure = {
        "exact": "",
        "moved": " (it has moved)",
        "likely": " (likely)",
        "line": "",
        "file": " (the line is not known)",
    }
    name = f" in {escape(name_of(frame.frame.function))}" if frame.frame.function else ""
    code = f" [dim]{escape(name_of(frame.frame.code))}[/]" if frame.frame.code else ""
    return f"{escape(name_of(frame.path or ''))}:{frame.line}{name}{sure[frame.sureness]}{code}"


def _suspect(project: Project, suspect: Suspect) -> str:
    words = [
        reason.words for reason in suspect.reasons if reason.weight > 0.3 and reason.kind not in ("size", "common")
    ]
    text = project.text(suspect.path)
    line = suspect.lines[0] if suspect.lines else 1 if text is None else text.line_of(suspect.span.start) + 1
    name = escape(suspect.function) or "the module's own code"
    return f"[bold]{escape(name_of(suspect.path))}:{line}[/] {name}: {escape('; '.join(words))}"


# --- for programs ----------------------------------------------------------------------------------------------------


def as_json(project: Project, report: TraceReport) -> dict[str, Any]:
    trace = report.trace
    return {
        "language": trace.language,
        "error": trace.error,
        "message": trace.message,
        "kind": trace.kind,
        "test": trace.test,
        "frames": [frame_json(frame) for frame in report.frames],
        "suspects": [suspect_json(project.text(one.path), one) for one in report.suspects],
        "fixes": [
            {"why": one.why, "confidence": one.confidence, "verified": one.verified, "path": one.path, "line": one.line}
            | {"diff": _diff(project, one)}
            for one in report.proposals
        ],
    }


def frame_json(frame: LocatedFrame) -> dict[str, Any]:
    said = {"file": frame.frame.file, "line": frame.frame.line, "function": frame.frame.function}
    here = None if frame.path is None else {"path": frame.path, "line": frame.line, "sureness": frame.sureness}
    return said | {"code": frame.frame.code, "here": here, "test": frame.test}


def suspect_json(text: Text | None, suspect: Suspect) -> dict[str, Any]:
    line = 1 if text is None else text.line_of(suspect.span.start) + 1
    return {
        "path": suspect.path,
        "function": suspect.function,
        "line": line,
        "lines": list(suspect.lines),
        "score": suspect.score,
        "reasons": [{"kind": one.kind, "weight": round(one.weight, 3), "words": one.words} for one in suspect.reasons],
    }
