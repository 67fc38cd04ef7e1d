"""Rest-of-line completion by the whole predictor: model, memory, and both, on the same cursors.

    python tests/bench/completion.py CORPUS [--heldout] [--cursors 60] [--before 16 32 48] [--json FILE]

CORPUS is a folder of `engram-ls corpus`. Settings are chosen on its validation files (the default: the memory holds the
other files of their packages); `--heldout` measures the held-out repositories, where nothing may be chosen. The hidden text is
in neither the memory nor the prompt: a cursor's own file counts only by what is left and right of the hidden line end.

Columns: exact rest of line (all, cursors at a line's start, in its middle), what the show threshold of the server lets through (share of
cursors, share of those exact), the least probability at which 90 % are exact with its coverage, CPU milliseconds.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from engram_context.ngrams import NgramMemory
from engram_context.text import Text
from engram_lsp.predictor import Predictor, Query, Style
from engram_lsp.prompt import Limits
from engram_lsp.shown import USUAL
from engram_runtime.engine import OnnxEngine
from engram_runtime.models import default_model
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import Document, documents, heldout
from engram_runtime.train.questions import Cursor, cursors
from rich.console import Console
from rich.table import Table

REPOSITORIES = ("flask", "httpx", "rich", "django", "sqlparse")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One cursor asked: whether the line came out exactly, and how sure the predictor was."""

    repository: str
    at_line_start: bool
    exact: bool
    probability: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Project:
    name: str
    memory: NgramMemory
    asked: tuple[tuple[Document, Cursor], ...]


def project(
    name: str, files: Sequence[Document], asked: Sequence[Document], count: int, tokenizer: Tokenizer
) -> Project:
    memory = NgramMemory(tokenizer.vocab_size)
    ids = tokenizer.encode_batch([file.text for file in files])
    memory.update({file.path: np.array(tokens, np.uint16) for file, tokens in zip(files, ids, strict=True)})
    by_text = {file.text: file for file in asked}
    found = cursors(list(asked), count)
    pairs = ((by_text.get(cursor.prefix + cursor.middle + cursor.suffix), cursor) for cursor in found)
    return Project(name, memory, tuple((file, cursor) for file, cursor in pairs if file is not None))


def validation(folder: Path, tokenizer: Tokenizer, count: int, packages: int = 8) -> Iterator[Project]:
    """The packages with most validation text; those files are asked about, the others are the memory."""
    held: dict[str, list[Document]] = defaultdict(list)
    for document in documents(folder, "validation"):
        held[document.package].append(document)
    chosen = sorted(held, key=lambda package: -sum(len(document.text) for document in held[package]))[:packages]
    others: dict[str, list[Document]] = defaultdict(list)
    for document in documents(folder):
        if document.package in chosen:
            others[document.package].append(document)
    for package in chosen:
        yield project(package, [*others[package], *held[package]], held[package], count, tokenizer)


def held_out(folder: Path, tokenizer: Tokenizer, count: int) -> Iterator[Project]:
    repositories = heldout(folder)
    for name in REPOSITORIES:
        yield project(name, repositories[name], repositories[name], count, tokenizer)


def asked(projects: Sequence[Project], predictor: Predictor, tokenizer: Tokenizer, with_memory: bool) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for one in projects:
        for document, cursor in one.asked:
            view = None
            if with_memory:
                before, after = tokenizer.encode(cursor.prefix), tokenizer.encode(cursor.suffix)
                view = one.memory.view(document.path, before, after)
            text = Text.of(cursor.prefix + cursor.suffix)
            query = Query(document.path, text, len(cursor.prefix.encode()), 0, view)
            began = time.process_time()
            found = predictor.inline(query)
            spent = (time.process_time() - began) * 1000
            exact = (
                bool(found) and found[0].text.endswith(cursor.middle) and _added(found[0].text, cursor) == cursor.middle
            )
            probability = found[0].probability if found else 0.0
            outcomes.append(Outcome(one.name, cursor.at_line_start, exact, probability, spent))
    return outcomes


def _added(text: str, cursor: Cursor) -> str:
    """What accepting adds to the document: the suggestion less the typed word it begins with."""
    for start in range(len(text) + 1):
        if cursor.prefix.endswith(text[:start]) and text[start:] == cursor.middle:
            return text[start:]
    return ""


def figures(outcomes: Sequence[Outcome], shown: float) -> dict[str, float]:
    def share(chosen: Sequence[Outcome]) -> float:
        return sum(outcome.exact for outcome in chosen) / max(len(chosen), 1)

    ranked = sorted(outcomes, key=lambda outcome: -outcome.probability)
    sure = [n for n in range(1, len(ranked) + 1) if share(ranked[:n]) >= 0.9]
    covered = [outcome for outcome in outcomes if outcome.probability >= shown]
    return {
        "exact": share(outcomes),
        "line_start": share([outcome for outcome in outcomes if outcome.at_line_start]),
        "mid_line": share([outcome for outcome in outcomes if not outcome.at_line_start]),
        "shown": len(covered) / len(outcomes),
        "shown_exact": share(covered),
        "sure_threshold": ranked[sure[-1] - 1].probability if sure else 1.0,
        "sure_coverage": sure[-1] / len(ranked) if sure else 0.0,
        "cpu_ms": float(np.median([outcome.cpu_ms for outcome in outcomes])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--heldout", action="store_true")
    parser.add_argument("--cursors", type=int, default=60, help="per repository")
    parser.add_argument("--before", type=int, nargs="*", help="lines before the cursor to try")
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    engine = OnnxEngine.open(options.model)
    tokenizer = engine.tokenizer
    choose = held_out if options.heldout else validation
    projects = list(choose(options.corpus, tokenizer, options.cursors))
    usual = Style()
    tried = [Limits(lines_before=n, step=max(8, n // 2)) for n in options.before] if options.before else [usual.limits]
    table = Table(title=f"{sum(len(p.asked) for p in projects)} cursors in {', '.join(p.name for p in projects)}")
    report: dict[str, dict[str, float]] = {}
    rows: list[tuple[str, list[Outcome]]] = []
    for limits in tried:
        style = Style(limits=limits, shown=0.0)
        label = f"{limits.lines_before}+{limits.step} lines"
        rows.append((f"both, {label}", asked(projects, Predictor(tokenizer, engine, style), tokenizer, True)))
        rows.append((f"model, {label}", asked(projects, Predictor(tokenizer, engine, style), tokenizer, False)))
    rows.append(("memory", asked(projects, Predictor(tokenizer, None, Style(shown=0.0)), tokenizer, True)))
    table.add_column("who")
    for column in ("exact", "start", "mid", f"shown ≥{USUAL:g}", "exact", "90 % at", "coverage", "CPU ms"):
        table.add_column(column, justify="right")
    for name, outcomes in rows:
        report[name] = found = figures(outcomes, USUAL)
        cells = [f"{100 * found[key]:.1f}" for key in ("exact", "line_start", "mid_line", "shown", "shown_exact")]
        cells += [f"{found['sure_threshold']:.2f}", f"{100 * found['sure_coverage']:.1f}", f"{found['cpu_ms']:.0f}"]
        table.add_row(name, *cells)
    Console(width=120).print(table)
    if options.json:
        everything = {name: [asdict(outcome) for outcome in outcomes] for name, outcomes in rows}
        options.json.write_text(json.dumps({"figures": report, "outcomes": everything}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
