"""Fits what each clue of a suspect weighs: context/engram_context/trace/suspects.py.

    python tests/bench/fit_suspects.py WORK [--decay 0.05] [--kept FILE]

WORK/seeds.json are bugs that `bugs.py select` put into development packages. For each the candidates are one choice,
and the weights make the functions that were changed as likely as possible (a conditional logit, kept near the present
weights). Printed are the weights, and how often the right function comes first, or among three: with the present
weights, and for each package with weights that were fitted without it.
"""

from __future__ import annotations

import argparse
import dataclasses
import pickle
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from bugs import Seed, seeds_of
from engram_context.languages import language_of
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.snapshot import Snapshot
from engram_context.text import Text
from engram_context.trace import suspects
from engram_context.trace.parsing import parse
from engram_context.views.call_hierarchy import Definition

Choice = tuple[str, bool, np.ndarray, np.ndarray]
"""Package, whether a claim failed, amounts (candidates, kinds), which candidates are right (candidates)."""


def snapshot_of(seed: Seed, packages: dict[str, Snapshot]) -> Snapshot:
    if seed.package not in packages:
        root = Path(seed.package)
        texts = {file.relative_to(root).as_posix(): Text.of(file.read_bytes()) for file in sorted(root.rglob("*.py"))}
        records = {path: read_record(text, language_of(path) or "text") for path, text in texts.items()}
        packages.clear()
        packages[seed.package] = Snapshot.empty(texts.get).after(records)
    plain, changed = packages[seed.package], Text.of(seed.changed)

    def read(path: str) -> Text | None:
        return changed if path == seed.path else plain.read(path)

    return dataclasses.replace(plain, read=read).after({seed.path: read_record(changed, "python")})


def choices(seeds: Iterable[Seed], kinds: list[str]) -> list[Choice]:
    found: list[Choice] = []
    packages: dict[str, Snapshot] = {}
    for seed in sorted(seeds, key=lambda seed: seed.package):
        traces = parse(seed.trace)
        snapshot, environment = snapshot_of(seed, packages), Environment.discover(Path(seed.package), None)
        case = next(suspects.cases(snapshot, traces[-1], None, environment), None) if traces else None
        if case is None:
            found.append((seed.package, not seed.raised, np.zeros((1, len(kinds))), np.zeros(1, bool)))
            continue
        truth = {(path, name) for path, _, name in seed.truth}
        named = case.suspects()
        rows = np.zeros((len(named), len(kinds)))
        right = np.zeros(len(named), bool)
        for at, one in enumerate(named):
            definition = Definition(one.path, one.symbol)
            for kind, amount in case.amounts(definition).items():
                rows[at, kinds.index(kind)] = amount
            right[at] = (one.path, one.function) in truth
        found.append((seed.package, case.is_claim, rows, right))
    return found


def fitted(choices: list[Choice], prior: np.ndarray, decay: float, steps: int = 600) -> np.ndarray:
    """Gradient ascent on the mean log-likelihood of the right candidates, with a pull towards `prior`."""
    weights, moment, square = prior.copy(), np.zeros_like(prior), np.zeros_like(prior)
    usable = [one for one in choices if one[3].any()]
    for step in range(1, steps + 1):
        gradient = -decay * (weights - prior)
        for _, _, rows, right in usable:
            scores = rows @ weights
            scores = np.exp(scores - scores.max())
            inside = scores * right
            gradient += (inside @ rows / inside.sum() - scores @ rows / scores.sum()) / len(usable)
        moment = 0.9 * moment + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        weights = weights + 0.05 * (moment / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-6)
    return weights


def ranks(choices: list[Choice], weights: np.ndarray) -> list[int]:
    found: list[int] = []
    for _, _, rows, right in choices:
        scores = rows @ weights
        found.append(int((scores > scores[right].max()).sum()) + 1 if right.any() else 999)
    return found


def said(ranks: list[int]) -> str:
    count = max(len(ranks), 1)
    return "  ".join(f"@{most} {sum(rank <= most for rank in ranks) / count:.1%}" for most in (1, 3, 5, 10, 998))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--decay", type=float, default=0.05)
    parser.add_argument("--kept", type=Path, help="where the amounts are kept between runs")
    options = parser.parse_args()
    kinds = sorted(suspects.CLAIMED)
    if options.kept and options.kept.exists():
        every = pickle.loads(options.kept.read_bytes())
    else:
        every = choices(seeds_of(options.work), kinds)
        if options.kept:
            options.kept.write_bytes(pickle.dumps(every))
    total: list[int] = []
    before: list[int] = []
    for name, is_claim, weights in (("RAISED", False, suspects.RAISED), ("CLAIMED", True, suspects.CLAIMED)):
        these = [one for one in every if one[1] == is_claim]
        prior = np.array([weights.get(kind, 0.0) for kind in kinds])
        now = ranks(these, prior)
        found = fitted(these, prior, options.decay)
        print(f"{name}: {len(these)} bugs; now {said(now)}; fitted to all {said(ranks(these, found))}")
        out: list[int] = []
        for package in sorted({one[0] for one in these}):
            held = [one for one in these if one[0] == package]
            out += ranks(held, fitted([one for one in these if one[0] != package], prior, options.decay, 300))
        print(f"    fitted without the package: {said(out)}")
        print("   ", ", ".join(f'"{kind}": {weight:.2f}' for kind, weight in zip(kinds, found, strict=True)))
        total, before = total + out, before + now
    print(f"all {len(total)}: now {said(before)}; fitted without the package {said(total)}")


if __name__ == "__main__":
    main()
