"""`engram-ls eval`: how good completions are on repositories that nothing was fitted to."""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from engram_runtime.engine import Engine
from engram_runtime.tokenizer import Tokenizer
from rich.console import Console

from engram_lsp import model
from engram_lsp.cli.terminal import OnProgress, UserError, notes, number, out, progress
from engram_lsp.coding import coding_of
from engram_lsp.evaluation import report
from engram_lsp.evaluation.ground import ARMS
from engram_lsp.evaluation.history import split
from engram_lsp.evaluation.repositories import Opening, RepositoryError, name_of, of_corpus, opened
from engram_lsp.evaluation.run import GROUPS, RUNS_CODE, Evaluation, Options, evaluate
from engram_lsp.predictor import Style
from engram_lsp.settings import ModelSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "repositories", type=Path, nargs="*", metavar="REPO", help="a folder, a wheel or a source archive to measure on"
    )
    corpora = parser.add_mutually_exclusive_group()
    corpora.add_argument("--heldout", type=Path, metavar="CORPUS", help="the held-out packages of a corpus as well")
    corpora.add_argument(
        "--validation", type=Path, metavar="CORPUS", help="its validation files: those on which settings are chosen"
    )
    parser.add_argument("--model", default="", metavar="FOLDER", help='a model folder, or "none" for the memory alone')
    parser.add_argument(
        "--cursors", type=number(int, 2, 100_000), default=60, metavar="N", help="per repository (default: %(default)s)"
    )
    parser.add_argument("--seed", type=number(int, 0, 2**31), default=0, metavar="N", help="which ones are drawn")
    parser.add_argument(
        "--split-date",
        metavar="DATE",
        help="REPO is a git checkout: ask lines written since DATE (or in the last so many commits), the memory being "
        "all files as they were before",
    )
    parser.add_argument(
        "--run",
        action="store_true",
        help="run doctests of the repositories with completed lines in them (group infill): this executes their code",
    )
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--arms", nargs="+", choices=ARMS, metavar="ARM", help=f"of {', '.join(ARMS)}")
    parser.add_argument(
        "--set",
        nargs="+",
        type=_setting,
        default=[],
        metavar="NAME=NUMBER",
        help="settings of prediction to try, such as limits.lines_before=48 or further=0.5 (Style in predictor.py)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and single answers as JSON")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write plots as SVG")


def _setting(written: str) -> tuple[str, float]:
    """NAME=NUMBER, for argparse."""
    name, _, value = written.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{written} is not NAME=NUMBER") from None


def styled(style: Style, settings: Sequence[tuple[str, float]]) -> Style:
    """`style` with other numbers; names may have dots. Raises UserError for a name that is no number there."""
    for name, value in settings:
        try:
            style = _changed(style, name.split("."), value)
        except (AttributeError, TypeError):
            raise UserError(f"there is no setting {name} of prediction") from None
    return style


def _changed(holder: Any, path: Sequence[str], value: float) -> Any:
    """`holder` with a number at the end of `path` replaced; the number itself where there is no path any more."""
    if path:
        return replace(holder, **{path[0]: _changed(getattr(holder, path[0]), path[1:], value)})
    if not isinstance(holder, int | float | None):
        raise TypeError("not a number")
    return int(value) if isinstance(holder, int) else value


def run(options: argparse.Namespace) -> int:
    began = time.time()
    tokenizer, engine = _opened_model(options.model)
    style = styled(Style(), options.set)
    chosen = Options(options.cursors, options.seed, _groups(options), tuple(options.arms or ARMS), style)
    coding = coding_of(model.tokenizer_file(ModelSettings(path=options.model)))
    try:
        openings = _openings(options)
        with progress("measuring") as advance:
            done = evaluate(openings, coding, tokenizer, engine, chosen, _told(advance))
    except RepositoryError as problem:
        raise UserError(str(problem)) from problem
    _show(done)
    about = {
        "model": model.describe(engine),
        "cursors": options.cursors,
        "seed": options.seed,
        "set": dict(options.set),
    }
    notes.print(f"{time.time() - began:.0f} s")
    _write(done, about, options)
    return 0


def _told(advance: OnProgress) -> OnProgress:
    """Where no bar can be drawn, a line says what was begun."""
    begun: set[str] = set()

    def tell(done: int, total: int, what: str) -> None:
        advance(done, total, what)
        if not notes.is_terminal and what not in begun:
            begun.add(what)
            notes.print(what, markup=False)

    return tell


def _groups(options: argparse.Namespace) -> tuple[str, ...]:
    """Raises UserError when code would have to be run and nobody said that it may."""
    wanted = tuple(options.only or (name for name in GROUPS if options.run or name not in RUNS_CODE))
    if not options.run and not RUNS_CODE.isdisjoint(wanted):
        raise UserError(
            f"{', '.join(RUNS_CODE.intersection(wanted))} runs code of the repositories: say --run if it may"
        )
    return wanted


def _openings(options: argparse.Namespace) -> list[Opening]:
    since = options.split_date
    if since and (options.heldout or options.validation):
        raise UserError("a corpus has no history: --split-date is for a REPO that is a git checkout")
    found: list[Opening] = [
        (name_of(path), partial(split, path, since) if since else partial(opened, path))
        for path in map(Path.resolve, options.repositories)
    ]
    if options.heldout:
        found += of_corpus(options.heldout, "heldout")
    if options.validation:
        found += of_corpus(options.validation, "validation")
    if not found:
        raise UserError("say what to measure on: REPO, --heldout CORPUS or --validation CORPUS")
    return found


def _opened_model(path: str) -> tuple[Tokenizer, Engine | None]:
    """Raises UserError for a model that cannot be used: to measure the memory instead would deceive."""
    settings = ModelSettings(path=path)
    try:
        predictor, problem = model.open_predictor(settings)
    except (OSError, ValueError) as error:
        raise UserError(f"no tokenizer: {error}") from error
    if problem:
        raise UserError(problem)
    return predictor.tokenizer, predictor.engine


def _show(done: Evaluation) -> None:
    # A file has room for every arm side by side.
    wide = out if out.is_terminal else Console(highlight=False, width=120)
    for group in done.records:
        wide.print(report.table(done, group))
        wide.print()
    out.print(f"[dim]{report.footnote(done)}[/]")


def _write(done: Evaluation, about: dict[str, Any], options: argparse.Namespace) -> None:
    try:
        if options.json:
            text = json.dumps(report.as_json(done, about), ensure_ascii=False, allow_nan=False)
            options.json.write_text(text + "\n", encoding="utf-8")
        if options.plots:
            for file in report.write_plots(done, options.plots):
                notes.print(f"wrote {file}", markup=False)
    except OSError as problem:
        raise UserError(f"what was measured cannot be written: {problem}") from problem
