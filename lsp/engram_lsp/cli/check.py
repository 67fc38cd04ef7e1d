"""`engram-ls check PATH`: the problems of a file or a project, for people and for CI."""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from engram_context.checks.catalogue import CODES
from engram_context.checks.manifests import is_checked
from engram_context.checks.many import findings_of
from engram_context.edits import ProjectEdit, apply, together
from engram_context.findings import Finding, Severity
from engram_context.languages import language_of
from engram_context.project import Project
from rich.markup import escape

from engram_lsp.cli import baseline, rename, reports, workspace
from engram_lsp.cli.reports import Problem
from engram_lsp.cli.terminal import UserError, notes, out, progress
from engram_lsp.project_settings import as_set, severities
from engram_lsp.settings import Level, ModelSettings

RANKS: tuple[Severity, ...] = ("error", "warning", "information", "hint")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, nargs="*", default=[Path()], help="files or folders (default: here)")
    parser.add_argument("--least", choices=RANKS, default="information", help="least severity shown (%(default)s)")
    parser.add_argument(
        "--severity",
        type=_severity,
        action="append",
        default=[],
        metavar="CODE=LEVEL",
        help=f"another severity for a code: {', '.join(RANKS)} or off; may be repeated",
    )
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="leave out the problems that FILE lists")
    parser.add_argument(
        "--write-baseline", type=Path, metavar="FILE", help="list what is found in FILE, and exit with 0"
    )
    parser.add_argument("--format", choices=sorted(reports.FORMATS), help="how it is told (default: text)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where it is told (default: standard output)")
    parser.add_argument("--fix", action="store_true", help="show the fixes that change nothing about what code does")
    parser.add_argument("--write", action="store_true", help="with --fix: apply them")
    parser.add_argument("--exit-zero", action="store_true", help="exit with 0 whatever is found")
    parser.add_argument("--model", action="store_true", help="also what the model hints at: slow, and hints are shown")
    parser.add_argument("--workers", type=int, default=0, help="processes (default: one for each core, eight at most)")
    workspace.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    paths = cast("list[Path]", options.path)
    known = baseline.read(options.baseline) if options.baseline else None
    with workspace.opened(paths[0], options, names_only=not options.model) as project:
        wanted = list(dict.fromkeys(name for path in paths for name in _files(project, path)))
        problems = _problems(project, wanted, options)
        if options.write_baseline:
            baseline.write(options.write_baseline, problems)
            notes.print(f"{len(problems)} problems listed in {escape(str(options.write_baseline))}", soft_wrap=True)
            return 0
        if known is not None:
            problems = baseline.without(problems, known)
        if options.fix:
            problems = _fixed(project, problems, options.write)
        if not options.fix or options.write:
            _tell(project, problems, options)
    _summary(problems, len(wanted))
    return 1 if problems and not options.exit_zero else 0


def _tell(project: Project, problems: list[Problem], options: argparse.Namespace) -> None:
    form = options.format or ("json" if options.json else "text")
    if options.output:
        try:
            options.output.write_text(reports.FORMATS[form](problems, project.root), encoding="utf-8")
        except OSError as problem:
            raise UserError(f"{options.output} cannot be written: {problem.strerror}") from problem
    elif form == "text":
        reports.show(problems)
    else:
        out.file.write(reports.FORMATS[form](problems, project.root))


def _severity(argument: str) -> tuple[str, str]:
    code, _, level = argument.partition("=")
    if code not in CODES:
        raise argparse.ArgumentTypeError(f"there is no code {code!r}; `engram-ls explain` lists them")
    if level not in (*RANKS, "off"):
        raise argparse.ArgumentTypeError(f"{level!r} is none of {', '.join(RANKS)}, off")
    return code, level


def _files(project: Project, path: Path) -> tuple[str, ...]:
    if path.is_file():
        return (workspace.path_in(project, path),)
    try:
        below = path.expanduser().resolve().relative_to(project.root).as_posix()
    except ValueError:
        raise UserError(f"{path} is not in {project.root}; say --root") from None
    names = (name for name in project.snapshot.paths if is_checked(name, language_of(name)))
    return tuple(name for name in names if below == "." or name.startswith(f"{below}/"))


def _problems(project: Project, paths: Sequence[str], options: argparse.Namespace) -> list[Problem]:
    if options.model:
        options.least = "hint"
    levels: dict[str, Level] = {**severities(project.root), **dict(options.severity)}
    shown = RANKS[: RANKS.index(options.least) + 1]
    problems: list[Problem] = []
    with progress("checking", quiet=options.json) as advance:
        hinted = _hints_of_model(project) if options.model else None
        for done, (path, found) in enumerate(findings_of(project, paths, options.workers)):
            advance(done, len(paths), path)
            text = project.text(path)
            if text is None:
                continue
            all_ = as_set(found if hinted is None else hinted(path, found), levels)
            problems += [Problem(path, text, finding) for finding in all_ if finding.severity in shown]
    return sorted(problems, key=lambda problem: (problem.path, problem.finding.span.start, problem.finding.code))


def _hints_of_model(project: Project) -> Callable[[str, tuple[Finding, ...]], tuple[Finding, ...]]:
    """What adds to the findings of a file what the model hints at. Raises UserError without a model."""
    from engram_lsp.hinting import beside, findings_of_model
    from engram_lsp.model import open_predictor

    try:
        predictor, problem = open_predictor(ModelSettings())
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    if problem:
        raise UserError(problem)

    def hinted(path: str, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
        return beside(found, findings_of_model(project, predictor, path)) if path.endswith(".py") else found

    return hinted


def _fixed(project: Project, problems: list[Problem], write: bool) -> list[Problem]:
    """What is left when the safe fixes are made; they are shown as a diff, and written where that is wanted."""
    left: list[Problem] = []
    edits: dict[str, list[ProjectEdit]] = {}
    for problem in problems:
        edit = problem.finding.safe_edit(problem.path)
        if edit is None:
            left.append(problem)
        else:
            edits.setdefault(problem.path, []).append(edit)
    before = {problem.path: problem.text for problem in problems if problem.path in edits}
    after = {path: apply(before[path], together(path, found)) for path, found in edits.items()}
    diff = "".join(rename.diff_of(path, before[path], after[path]) for path in sorted(after))
    out.diff(diff)
    if write:
        rename.write_texts(project, before, after)
        notes.print(f"{len(problems) - len(left)} problems fixed in {len(after)} files")
        return left
    return problems


def _summary(problems: Sequence[Problem], files: int) -> None:
    counts = Counter(problem.finding.code for problem in problems)
    said = ", ".join(f"{count} {code}" for code, count in counts.most_common()) or "nothing found"
    notes.print(f"[bold]{files} {'file' if files == 1 else 'files'}[/]: {said}", soft_wrap=True)
