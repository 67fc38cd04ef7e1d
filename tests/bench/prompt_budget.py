"""How much of the document, and of other files, a prompt should hold: bits and exact lines against tokens to read.

    python tests/bench/prompt_budget.py CORPUS [--model FOLDER] [--lines 15] [--packages 6]
        [--budgets 24:12:8:0 24:12:8:1500 48:12:8:0 ...]

CORPUS is a folder of `engram-ls corpus`; its validation files are asked about, so settings may be chosen here. A budget
is lines before, step, lines after and bytes of excerpts; bytes of the window grow with its lines. Every line is asked
with the same holes, the rest of it hidden from prompt, memory and excerpts; model and memory answer together, and the model alone.

Columns: bits per token of the hidden rest, share of lines whose every token is the likeliest, tokens of a prompt.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from engram_lsp.coding import coding_of
from engram_lsp.evaluation.ground import Ground, read
from engram_lsp.evaluation.questions import Hole, Questions
from engram_lsp.evaluation.repositories import of_corpus
from engram_lsp.model import open_predictor, tokenizer_file
from engram_lsp.predictor import Predictor, Query, Style
from engram_lsp.prompt import Limits, chosen, window
from engram_lsp.settings import ModelSettings
from rich.console import Console
from rich.table import Table

BUDGETS = ("24:12:8:0", "24:12:8:1000", "24:12:8:2500", "48:12:8:0", "12:12:8:0", "24:12:16:0")


@dataclass(frozen=True, slots=True)
class Asked:
    bits: float  # of all tokens of the line together
    tokens: int
    exact: bool
    prompt: int


def limits_of(budget: str) -> Limits:
    before, step, after, excerpts = (int(part) for part in budget.split(":"))
    return Limits(before, step, after, 86 * before, 64 * after, excerpts)


def query_of(ground: Ground, hole: Hole, limits: Limits, alone: bool) -> Query:
    query = ground.query(hole, "nothing" if alone else "own")
    budget = limits.bytes_excerpts
    if not budget:
        return query
    # The file itself is left out, so what it says on disk does not matter.
    found = ground.project.excerpts_at(hole.path, query.text, query.offset, 2 * budget)
    return replace(query, excerpts=chosen((), found, budget))


def ask(predictor: Predictor, query: Query, hole: Hole) -> Asked | None:
    tokenizer = predictor.tokenizer
    around = window(query.text, query.offset, predictor.style.limits)
    tokens = tokenizer.encode(around.typed + hole.hidden)
    bits, exact = 0.0, True
    for at, token in enumerate(tokens):
        log_probs = predictor.following(query, tokens[:at])
        if log_probs is None:
            return None
        bits -= float(log_probs[token]) / np.log(2)
        exact &= int(log_probs.argmax()) == token
    return Asked(bits, len(tokens), exact, len(predictor.prompt(query)))


def row(table: Table, name: str, rows: Sequence[Asked]) -> None:
    if rows:
        bits = sum(one.bits for one in rows) / sum(one.tokens for one in rows)
        exact = 100 * np.mean([one.exact for one in rows])
        table.add_row(
            name, str(len(rows)), f"{bits:.3f}", f"{exact:.1f} %", f"{np.mean([one.prompt for one in rows]):.0f}"
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("corpus", type=Path)
    arguments.add_argument("--model", default="")
    arguments.add_argument("--lines", type=int, default=15, help="of each kind in each package")
    arguments.add_argument("--packages", type=int, default=6)
    arguments.add_argument("--budgets", nargs="+", default=BUDGETS)
    options = arguments.parse_args()
    settings = ModelSettings(path=options.model)
    shared, problem = open_predictor(settings)
    console = Console(width=110)
    if problem:
        console.print(problem)
    coding = coding_of(tokenizer_file(settings))
    predictors = {
        budget: Predictor(shared.tokenizer, shared.engine, Style(limits=limits_of(budget)))
        for budget in options.budgets
    }
    found: dict[tuple[str, bool], list[Asked]] = defaultdict(list)
    for name, opening in of_corpus(options.corpus, "validation", options.packages):
        with opening() as repository, read(repository, coding, None) as ground:
            questions = Questions(repository)
            holes = [*questions.lines(options.lines, "start"), *questions.lines(options.lines, "middle")]
            for hole in holes:
                for budget, predictor in predictors.items():
                    for alone in (False, True):
                        answer = ask(predictor, query_of(ground, hole, predictor.style.limits, alone), hole)
                        if answer is not None:
                            found[budget, alone].append(answer)
        console.print(f"{name}: {len(holes)} lines")
    for alone in (False, True):
        title = "the model alone" if alone else "model and memory"
        table = Table(title=f"{title}, by lines before : step : lines after : bytes of excerpts", title_justify="left")
        for column in ("budget", "lines", "bits per token", "exact", "tokens"):
            table.add_column(column, justify="left" if column == "budget" else "right")
        for budget in predictors:
            row(table, budget, found[budget, alone])
        console.print(table)


if __name__ == "__main__":
    main()
