"""Does the model tell whether an unknown mention is the symbol that is renamed?

    python tests/bench/unproven_model.py FOLDER... [--examples 150]

What the model expects at a place is compared with what it expects where the symbol is known to be meant, and where
something else of the name is (Bhattacharyya coefficients of the next-token distributions, the name itself cut out).
A second logistic regression adds the first, or both, to what the memory thinks (fit_unproven.py); half of the projects
fit, the other half judge.
"""

from __future__ import annotations

import argparse
import math
import random
from pathlib import Path

import numpy as np
from checks import snapshot_of
from engram_context.renames.unproven import chance_of
from engram_context.resolve import Resolver
from engram_context.text import Text
from engram_lsp.model import open_predictor
from engram_lsp.predictor import Predictor, Query
from engram_lsp.settings import ModelSettings
from fit_unproven import fitted, loss, symbols

REFERENCES = 3


class Expectations:
    """What the model expects instead of a name: square roots of probabilities [V]."""

    def __init__(self, predictor: Predictor, texts: dict[str, Text]) -> None:
        self.predictor, self.texts = predictor, texts
        self.known: dict[tuple[str, int], np.ndarray] = {}

    def at(self, path: str, start: int, length: int) -> np.ndarray:
        if (path, start) not in self.known:
            data = self.texts[path].data
            text = Text.of(data[:start] + data[start + length :])
            found = self.predictor.following(Query(path, text, start, 0))
            assert found is not None
            self.known[path, start] = np.exp(found / 2)
        return self.known[path, start]


def examples(root: Path, predictor: Predictor, count: int, rng: random.Random) -> list[tuple[tuple[float, ...], bool]]:
    snapshot, texts = snapshot_of(root)
    expectations = Expectations(predictor, texts)
    found: list[tuple[tuple[float, ...], bool]] = []
    for judge, known in symbols(Resolver(snapshot), rng):
        if len(found) >= count:
            break
        name = judge.wanted.name
        ours = [(path, index) for path, index, is_ours in known if is_ours]
        others = [(path, index) for path, index, is_ours in known if not is_ours]
        if len(ours) < 2 or not others:
            continue  # only where both are known is there anything to tell apart

        def mean(
            places: list[tuple[str, int]], but: tuple[str, int], here: np.ndarray, length: int = len(name)
        ) -> float:
            chosen = [place for place in places if place != but][:REFERENCES]
            starts = [(path, snapshot.records[path].occurrences.start[index]) for path, index in chosen]
            return float(np.mean([here @ expectations.at(path, start, length) for path, start in starts] or [0.0]))

        for path, index in [*rng.sample(ours, min(3, len(ours))), *rng.sample(others, min(3, len(others)))]:
            is_ours = (path, index) in ours
            features = judge.features(path, index, len(ours) - is_ours, len(others) - (not is_ours))
            here = expectations.at(path, snapshot.records[path].occurrences.start[index], len(name))
            like, unlike = mean(ours, (path, index), here), mean(others, (path, index), here)
            chance = min(max(chance_of(features), 1e-4), 1 - 1e-4)
            found.append(((math.log(chance / (1 - chance)), like, like - unlike), is_ours))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--examples", type=int, default=150)
    options = parser.parse_args()
    rng = random.Random(7)
    predictor, _ = open_predictor(ModelSettings())
    by_project = {folder.name: examples(folder, predictor, options.examples, rng) for folder in options.folders}
    for name, found in by_project.items():
        print(f"{name}: {len(found)} examples, {np.mean([y for _, y in found] or [0]):.2f} are the symbol")
    projects = sorted(by_project)
    halves = projects[::2], projects[1::2]
    for fit, judged in (halves, halves[::-1]):
        x, y = (np.array([one[at] for name in fit for one in by_project[name]], float) for at in (0, 1))
        a, b = (np.array([one[at] for name in judged for one in by_project[name]], float) for at in (0, 1))
        for what, columns in (
            ("memory", slice(0, -2)),
            ("memory and model", slice(0, None)),
            ("model", slice(-2, None)),
        ):
            weights = fitted(np.c_[np.ones(len(x)), x[:, columns]], y)
            p = 1 / (1 + np.exp(-(np.c_[np.ones(len(a)), a[:, columns]] @ weights)))
            order = p[b == 1][:, None] - p[b == 0][None, :]
            auc = float((order > 0).mean() + 0.5 * (order == 0).mean())
            print(f"  judged on {len(b)}: {what}: log loss {loss(p, b):.3f}, AUC {auc:.3f}")
    x, y = (np.array([one[at] for found in by_project.values() for one in found], float) for at in (0, 1))
    weights = fitted(np.c_[np.ones(len(x)), x[:, [0, 1]]], y)
    print("bias, memory, model:", [round(float(weight), 3) for weight in weights])


if __name__ == "__main__":
    main()
