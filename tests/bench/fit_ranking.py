"""Learn how the completion list is ordered: lsp/engram_lsp/ranking.json, a few minutes for a handful of projects.

    python tests/bench/fit_ranking.py [--model FOLDER] [--count 120] [--write lsp/engram_lsp/ranking.json] wheels/*.whl

To be run again after the model was trained anew, on projects that neither the model was trained on nor anything is
measured on. The cursor stands where an identifier begins on a line of code, or one or two letters into it; the rest of the line
is neither in the text nor in the memory. Conditional logit: the weights make the true name likeliest among all
names that are considered; shown are figures of projects left out of the fit, one after another.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from engram_context.project import Project
from engram_context.text import Place, Text
from engram_lsp.coding import coding_of
from engram_lsp.evaluation.repositories import Repository, opened
from engram_lsp.model import describe, open_predictor, tokenizer_file
from engram_lsp.predictor import Predictor, Query
from engram_lsp.prompt import finished
from engram_lsp.ranking import FEATURES, TYPED, learned, spread_of
from engram_lsp.settings import ModelSettings
from engram_runtime.train.questions import code_lines
from rich.console import Console
from rich.table import Table

DEFINING = ("definition", "write", "attribute-write")


@dataclass(frozen=True, slots=True)
class Question:
    """What was considered at one place; `truth` is the row of the true name, -1 where it was not considered."""

    project: str
    role: str
    typed: int
    features: np.ndarray
    truth: int
    allowed: bool  # whether the rules allow it
    candidates_ms: float
    ranking_ms: float


def questions(repository: Repository, predictor: Predictor, settings: ModelSettings, count: int) -> Iterator[Question]:
    with tempfile.TemporaryDirectory() as cache:
        project = Project(repository.root, coding_of(tokenizer_file(settings)), cache_folder=Path(cache))
        project.apply(project.load())
        chance = random.Random(repository.name)
        files = [(path, text) for path, text in repository.files if project.snapshot.record(path) is not None]
        lines = {path: code_lines(text) for path, text in files}
        asked = 0
        while asked < count:
            path, content = chance.choices(files, [len(text) for _, text in files])[0]
            record = project.snapshot.record(path)
            if record is None or not len(record.occurrences):
                continue
            occurrence = record.occurrences[chance.randrange(len(record.occurrences))]
            text = Text.of(content)
            line = text.line_of(occurrence.span.start)
            if occurrence.role == "string" or line not in lines[path]:
                continue
            asked += 1
            for typed in range(min(TYPED, len(occurrence.name))):
                offset = occurrence.span.start + len(occurrence.name[:typed].encode())
                without = text.splice(offset, text.line_span(line).end, b"")
                project.edit(path, without)
                project.apply(project.refresh())
                began = time.process_time()
                found = project.snapshot.candidates(Place(path, offset))
                between = time.process_time()
                known, at = finished(without, offset)
                query = Query(path, without, offset, 0, project.view(path, at, known))
                considered = predictor.ranker.consider(query, found, spread=spread_of(project.snapshot))
                ended = time.process_time()
                if considered is None:
                    continue
                names = [candidate.name for candidate in considered.candidates]
                truth = names.index(occurrence.name) if occurrence.name in names else -1
                allowed = any(candidate.name == occurrence.name for candidate in found)
                spent = (between - began) * 1e3, (ended - between) * 1e3
                yield Question(repository.name, occurrence.role, typed, considered.features, truth, allowed, *spent)
            project.edit(path, text)
            project.apply(project.refresh())
            project.close(path)
        project.close_project()


def fitted(asked: Sequence[Question], steps: int = 40, shared: float = 1.0, own: float = 4.0) -> np.ndarray:
    """float64 [TYPED, F]: the weights under which the true names are likeliest, by Newton's method.

    They are what all have in common and what each number of typed letters has besides, the latter held small by `own`.
    """
    asked = [one for one in asked if one.truth >= 0]
    count = len(FEATURES)
    first = np.zeros((TYPED + 1) * count)
    first[0] = 1.0
    ridge = np.repeat([shared, *[own] * TYPED], count)
    weights = first.copy()
    size = 1.0
    best = likelihood(asked, weights) - ridge @ (weights - first) ** 2 / 2
    for _ in range(steps):
        gradient = -ridge * (weights - first)
        curvature = np.diag(ridge)
        for one in asked:
            parts = slice(0, count), slice((1 + one.typed) * count, (2 + one.typed) * count)
            scores = one.features @ (weights[parts[0]] + weights[parts[1]])
            chances = np.exp(scores - scores.max())
            chances /= chances.sum()
            mean = chances @ one.features
            bend = (one.features.T * chances) @ one.features - np.outer(mean, mean)
            for part in parts:
                gradient[part] += one.features[one.truth] - mean
                for other in parts:
                    curvature[part, other] += bend
        step = np.linalg.solve(curvature, gradient)
        # Far from the optimum a whole step may lead astray.
        while size > 1e-3:
            now = likelihood(asked, weights + size * step) - ridge @ (weights + size * step - first) ** 2 / 2
            if now >= best:
                break
            size /= 2
        weights, best, size = weights + size * step, now, min(1.0, 2 * size)
        if np.abs(step).max() < 1e-3:
            break
    common, *apart = weights.reshape(TYPED + 1, count)
    return common + np.stack(apart)


def likelihood(asked: Sequence[Question], weights: np.ndarray) -> float:
    """The log probability of all true names by weights as in `fitted`, [(TYPED + 1) F]."""
    common, *apart = weights.reshape(TYPED + 1, len(FEATURES))
    total = 0.0
    for one in asked:
        scores = one.features @ (common + apart[one.typed])
        total += float(scores[one.truth] - np.logaddexp.reduce(scores))
    return total


def places(asked: Sequence[Question], weights: np.ndarray) -> np.ndarray:
    """[n]: at which place of the list the true name is by weights [TYPED, F], from 0; -1 where it is not in it."""
    found: list[int] = []
    for one in asked:
        scores = one.features @ weights[one.typed]
        found.append(-1 if one.truth < 0 else int((scores > scores[one.truth]).sum()))
    return np.array(found)


def has_role(role: str, one: Question) -> bool:
    return one.role == role


def row(table: Table, what: str, asked: Sequence[Question], at: np.ndarray, before: np.ndarray) -> None:
    first, five = 100 * np.mean(at == 0), 100 * np.mean((at >= 0) & (at < 5))
    old = f"{100 * np.mean(before == 0):.1f} / {100 * np.mean((before >= 0) & (before < 5)):.1f}"
    table.add_row(
        what,
        str(len(asked)),
        old,
        f"{first:.1f} / {five:.1f}",
        f"{100 * np.mean([one.allowed for one in asked]):.1f}",
        f"{100 * np.mean(at >= 0):.1f}",
        f"{np.median([one.candidates_ms for one in asked]):.1f} + {np.median([one.ranking_ms for one in asked]):.1f}",
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("projects", nargs="+", type=Path, help="folders, wheels or source archives")
    arguments.add_argument("--model", default="", help="a model folder (default: the one in the package)")
    arguments.add_argument("--count", type=int, default=120, help="identifiers per project")
    arguments.add_argument("--write", type=Path, help="the ranking.json to write")
    options = arguments.parse_args()
    settings = ModelSettings(path=options.model)
    predictor, problem = open_predictor(settings)
    console = Console(width=120)
    console.print(problem or "model opened")
    asked: list[Question] = []
    for path in options.projects:
        with opened(path) as repository:
            asked += questions(repository, predictor, settings, options.count)
            console.print(f"{repository.name}: {len(asked)} questions so far")
    projects = sorted({one.project for one in asked})
    table = Table(title="projects left out of the fit: top-1 / top-5", title_justify="left")
    for column in ("typed, where", "n", "by present weights", "fitted", "allowed %", "in list %", "CPU ms"):
        table.add_column(column, justify="left" if column == "typed, where" else "right")
    at = np.full(len(asked), -1)
    for project in projects:
        rest = [one for one in asked if one.project != project] or asked
        out = np.array([one.project == project for one in asked])
        at[out] = places([one for one in asked if one.project == project], fitted(rest))
    before = places(asked, learned().of)
    for typed in range(TYPED):
        kinds = {"all": lambda one: True, "uses": lambda one: one.role not in DEFINING}
        kinds |= {role: partial(has_role, role) for role in sorted({one.role for one in asked})}
        for kind, counts in kinds.items():
            mask = np.array([one.typed == typed and counts(one) for one in asked])
            these = [one for one, is_one in zip(asked, mask, strict=True) if is_one]
            if these:
                row(table, f"{typed}, {kind}", these, at[mask], before[mask])
    weights = fitted(asked)
    console.print(table)
    for name, *values in zip(FEATURES, *weights, strict=True):
        console.print(f"{name:16}", *(f"{value:7.2f}" for value in values))
    if options.write is not None:
        described = describe(predictor.engine)
        data = {
            "about": "learned by tests/bench/fit_ranking.py",
            "projects": projects,
            "tokens the model was trained on": described.get("training", {}).get("tokens", "unknown"),
            "questions": len(asked),
            "features": list(FEATURES),
            "weights": [[round(float(value), 4) for value in row] for row in weights],
        }
        options.write.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
