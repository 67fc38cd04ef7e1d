"""Learn which suggestions are worth showing unasked: lsp/engram_lsp/shown.json.

    python tests/bench/fit_shown.py CORPUS --write lsp/engram_lsp/shown.json

CORPUS is a folder of `engram-ls corpus`; asked are cursors in its validation files, the memory holding the other files
of their packages. To be run again after the model was trained or exported anew: until then the filter does not know it
and the bare probability decides. Takes a few minutes on one CPU; `--cursors` is the dial.

A suggestion is right when it is what was written, to the end of one of its lines. Columns: cursors with a suggestion, share
of them shown and right among shown, by the threshold and by what was learned (each package judged by the others), and the share
that can be shown with 90 % right, by either order.
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from engram_context.memory.ngrams import NgramMemory
from engram_context.text import Text
from engram_lsp.predictor import Predictor, Query, Style
from engram_lsp.prompt import finished
from engram_lsp.shown import SIGNS, USUAL, name_of
from engram_runtime.engine import OnnxEngine
from engram_runtime.models import default_model
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import Document, documents
from engram_runtime.train.questions import code_lines
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

SOURCES = ("both", "model", "memory")
LEAST = 1 / 3
"""Shown is what will be taken at least every third time: wrong ghost text costs a glance, right one saves a line."""
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True, slots=True)
class Hole:
    path: str
    before: str
    hidden: str
    after: str


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    memory: NgramMemory
    holes: tuple[Hole, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Suggestions: their signs [N, S], whether they were right [N], and the number of their package [N]."""

    rows: NDArray[np.float64]
    right: NDArray[np.bool_]
    package: NDArray[np.int64]


def hole(document: Document, chance: random.Random) -> Hole | None:
    """A cursor at a code line's start or somewhere in it (within a word, too); hidden is the rest of the line, often with
    some lines below, and sometimes without the bracket that an editor would have closed."""
    lines = document.text.split("\n")
    code = [number for number in sorted(code_lines(document.text)) if lines[number].strip()]
    if not code:
        return None
    number = chance.choice(code)
    line = lines[number].rstrip()
    column = len(line) - len(line.lstrip())
    if chance.random() < 0.6:
        column = chance.randrange(column, len(line))
    last = number + (chance.randrange(1, 12) if chance.random() < 0.5 else 0)
    hidden = "\n".join([line[column:], *lines[number + 1 : last + 1]])
    after = "\n".join(["", *lines[last + 1 :]])
    if hidden[-1:] in ")]}" and last == number and chance.random() < 0.4:
        hidden, after = hidden[:-1], hidden[-1] + after
    if not hidden.strip():
        return None
    return Hole(document.path, "\n".join([*lines[:number], line[:column]]), hidden, after)


def packages(folder: Path, tokenizer: Tokenizer, most: int, cursors: int) -> Iterator[Package]:
    """The packages with most validation text; those files are asked about, all files of the package are the memory."""
    held: dict[str, list[Document]] = defaultdict(list)
    for document in documents(folder, "validation"):
        if document.path.endswith(".py"):
            held[document.package].append(document)
    chosen = sorted(held, key=lambda name: -sum(len(document.text) for document in held[name]))[:most]
    files: dict[str, list[Document]] = {name: list(held[name]) for name in chosen}
    for document in documents(folder):
        if document.package in files:
            files[document.package].append(document)
    for name in chosen:
        chance = random.Random(name)
        memory = NgramMemory(tokenizer.vocab_size)
        ids = tokenizer.encode_batch([file.text for file in files[name]])
        memory.update({file.path: np.array(one, np.uint16) for file, one in zip(files[name], ids, strict=True)})
        sizes = [len(document.text) for document in held[name]]
        asked = (hole(document, chance) for document in chance.choices(held[name], sizes, k=cursors))
        yield Package(name, memory, tuple(one for one in asked if one is not None))


def samples(asked: Sequence[Package], predictor: Predictor, *, with_memory: bool, console: Console) -> Samples:
    rows: list[tuple[float, ...]] = []
    right: list[bool] = []
    package: list[int] = []
    encode = predictor.tokenizer.encode
    for number, one in enumerate(asked):
        began = time.perf_counter()
        for there in one.holes:
            text, offset = Text.of(there.before + there.after), len(there.before.encode())
            known, at = finished(text, offset)
            # What the server's memory sees of the file itself: some kilobytes around the cursor.
            left, after = (
                encode(part.decode("utf-8", "ignore"))
                for part in (known.data[max(0, at - 24_000) : at], known.data[at : at + 8_000])
            )
            view = one.memory.view(there.path, left, after) if with_memory else None
            written = predictor.guess(Query(there.path, text, offset, 0, view))
            if written is not None:
                rows.append(written.signs.row())
                right.append(is_right(written.signs.text, there.hidden))
                package.append(number)
        console.print(f"{one.name}: {len(one.holes)} cursors in {time.perf_counter() - began:.0f} s")
    return Samples(np.array(rows), np.array(right), np.array(package))


def is_right(text: str, hidden: str) -> bool:
    return hidden.startswith(text) and hidden[len(text) :].lstrip(" \t")[:1] in ("", "\n")


def fitted(rows: NDArray[np.float64], right: NDArray[np.bool_], ridge: float) -> NDArray[np.float64]:
    """Weights [S] and bias of a logistic regression on plain (not standardised) signs, by Newton's method."""
    mean, scale = rows.mean(0), rows.std(0) + 1e-9
    inputs = np.column_stack([(rows - mean) / scale, np.ones(len(rows))])
    penalty = np.diag([*(ridge,) * rows.shape[1], 1e-6])
    weights = np.zeros(inputs.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (chance - right) + penalty @ weights
        curve = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + penalty
        step = np.linalg.solve(curve, slope)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    plain = weights[:-1] / scale
    return np.append(plain, weights[-1] - mean @ plain)


def chances(rows: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-(rows @ weights[:-1] + weights[-1])))


def by_others(found: Samples, ridge: float) -> NDArray[np.float64]:
    """Chances [N] by weights fitted to the other packages."""
    answer = np.zeros(len(found.right))
    for number in np.unique(found.package):
        here = found.package == number
        answer[here] = chances(found.rows[here], fitted(found.rows[~here], found.right[~here], ridge))
    return answer


def best_ridge(found: Samples) -> float:
    """How strongly weights are held back: as judges packages best that were not fitted to."""

    def surprise(ridge: float) -> float:
        chance = by_others(found, ridge)
        return float(-np.log(np.maximum(np.where(found.right, chance, 1 - chance), 1e-9)).mean())

    return min(RIDGES, key=surprise)


def sure_share(score: NDArray[np.float64], right: NDArray[np.bool_], precision: float = 0.9) -> float:
    """The largest share that can be shown, best first, with so many right among them."""
    among = np.cumsum(right[np.argsort(-score, kind="stable")]) / np.arange(1, len(right) + 1)
    return float((np.flatnonzero(among >= precision)[-1:] + 1).sum() / len(right))


def is_better(found: Samples, chance: NDArray[np.float64]) -> bool:
    """Whether of as many as the threshold shows, more are right by what was learned."""
    joint = found.rows[:, SIGNS.index("joint")]
    count = int((np.exp(joint) >= USUAL).sum())
    by_joint, by_chance = (found.right[np.argsort(-score, kind="stable")[:count]].sum() for score in (joint, chance))
    return bool(by_chance > by_joint)


def figures(found: Samples, chance: NDArray[np.float64]) -> dict[str, float]:
    joint = np.exp(found.rows[:, SIGNS.index("joint")])
    plain, learned = joint >= USUAL, chance >= LEAST
    return {
        "suggestions": len(found.right),
        "right": float(found.right.mean()),
        "threshold_shown": float(plain.mean()),
        "threshold_right": float(found.right[plain].mean()),
        "learned_shown": float(learned.mean()),
        "learned_right": float(found.right[learned].mean()),
        "threshold_sure": sure_share(joint, found.right),
        "learned_sure": sure_share(chance, found.right),
    }


def filter_of(found: Samples, ridge: float, measured: dict[str, float]) -> dict[str, object]:
    weights = fitted(found.rows, found.right, ridge)
    taken = found.right & (chances(found.rows, weights) >= LEAST)
    joint = np.exp(found.rows[taken, SIGNS.index("joint")])
    # Less probable than all but a hundredth of what is shown and right: not worth finishing.
    floor = float(np.quantile(joint, 0.01)) if len(joint) else USUAL
    return {
        "weights": {name: round(float(weight), 5) for name, weight in zip(SIGNS, weights[:-1], strict=True)},
        "bias": round(float(weights[-1]), 5),
        "least": round(LEAST, 3),
        "floor": round(floor, 4),
        "figures": {name: round(value, 4) for name, value in measured.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--packages", type=int, default=10)
    parser.add_argument("--cursors", type=int, default=80, help="per package")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    console = Console(width=120)
    engine = OnnxEngine.open(options.model)
    asked = list(packages(options.corpus, engine.tokenizer, options.packages, options.cursors))
    freely = Style(shown=0.0)
    table = Table(title=f"{sum(len(one.holes) for one in asked)} cursors in {', '.join(one.name for one in asked)}")
    for column in ("says", "n", "right", f"shown ≥{USUAL:g}", "right", "learned", "right", "90 %", "learned"):
        table.add_column(column, justify="left" if column == "says" else "right")
    filters: dict[str, object] = {}
    alone, together = (Predictor(engine.tokenizer, one, freely) for one in (None, engine))
    for source in SOURCES:
        predictor = alone if source == "memory" else together
        found = samples(asked, predictor, with_memory=source != "model", console=console)
        ridge = best_ridge(found)
        chance = by_others(found, ridge)
        row = figures(found, chance)
        if is_better(found, chance):
            filters[source] = filter_of(found, ridge, row)
        else:
            console.print(f"{source}: the bare probability judges as well, nothing is written for it")
        table.add_row(source, str(len(found.right)), *(f"{100 * value:.1f}" for value in list(row.values())[1:]))
    console.print(table)
    if options.write is not None:
        about = f"learned by tests/bench/fit_shown.py from {sum(len(one.holes) for one in asked)} cursors"
        data = {
            "about": about,
            "packages": [one.name for one in asked],
            "model": name_of(engine.about),
            "filters": filters,
        }
        options.write.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
