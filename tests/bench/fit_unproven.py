"""Fit how likely an attribute of an unknown object is the symbol that is being renamed.

    python tests/bench/fit_unproven.py FOLDER... [--write]

Each FOLDER is a project. Attributes whose object *is* known serve as examples: for every class member, each mention of
its name is judged as if its object were not known, by what all others of that name mean. Half of the projects fit, the
other half judge: log loss and how many of those offered are right, beside the plain share of known mentions.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from checks import snapshot_of
from engram_context.outside.environment import Environment
from engram_context.records import ROLE, SCOPE_KIND
from engram_context.renames import unproven
from engram_context.renames.families import Hierarchy, family_of
from engram_context.renames.prose import Wanted
from engram_context.renames.unproven import FEATURES, LEAST, Judge
from engram_context.resolve import Resolver
from engram_context.targets import Slot

MEMBERS = frozenset({ROLE["attribute"], ROLE["attribute-write"]})
PER_NAME = 12
PER_PROJECT = 3000
PATH = Path(unproven.__file__).with_name("unproven.json")


Mention = tuple[str, int, bool]
"""path, occurrence, whether it means the symbol"""


def symbols(resolver: Resolver, rng: random.Random) -> Iterator[tuple[Judge, list[Mention]]]:
    """One class member of each name that a project has, in random order, with all mentions of the name as a member whose
    meaning is known."""
    snapshot = resolver.snapshot
    hierarchy = Hierarchy(resolver, Environment.standard())
    members: dict[str, list[Slot]] = {}
    for path in snapshot.paths:
        record = snapshot.records[path]
        for symbol in record.symbols:
            is_member = record.scopes.kind[symbol.scope] == SCOPE_KIND["class"] and symbol.kind != "class"
            if is_member and not symbol.name.startswith("__"):
                members.setdefault(symbol.name, []).append(Slot(path, symbol.scope, symbol.name))
    names = sorted(members)
    rng.shuffle(names)
    for name in names:
        slot = rng.choice(members[name])
        family = family_of(hierarchy, [slot]).slots | {slot}
        known: list[Mention] = []
        own: dict[str, list[int]] = {}
        for path in snapshot.files_naming(name):
            for index in snapshot.records[path].occurrences_of(name, MEMBERS):
                targets = resolver.of_occurrence(path, index)
                if targets:
                    is_ours = not family.isdisjoint(targets)
                    known.append((path, index, is_ours))
                    if is_ours:
                        own.setdefault(path, []).append(index)
        yield Judge(resolver, Wanted(name, name, frozenset(family), own)), known


def examples(root: Path, rng: random.Random) -> list[tuple[tuple[float, ...], bool]]:
    snapshot, _ = snapshot_of(root)
    found: list[tuple[tuple[float, ...], bool]] = []
    for judge, known in symbols(Resolver(snapshot), rng):
        if len(found) >= PER_PROJECT:
            break
        if len(known) < 2:
            continue
        ours = sum(is_ours for _, _, is_ours in known)
        others = len(known) - ours
        for path, index, is_ours in rng.sample(known, min(len(known), PER_NAME)):
            # What is judged does not count among what is known.
            found.append((judge.features(path, index, ours - is_ours, others - (not is_ours)), is_ours))
    return found


def fitted(x: np.ndarray, y: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    """Logistic regression by Newton steps."""
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(x @ weights)))
        gradient = x.T @ (p - y) + ridge * weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(x.shape[1])
        weights -= np.linalg.solve(hessian, gradient)
    return weights


def loss(p: np.ndarray, y: np.ndarray) -> float:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rng = random.Random(7)
    by_project = {folder.name: examples(folder, rng) for folder in options.folders}
    for name, found in by_project.items():
        print(f"{name}: {len(found)} examples, {np.mean([y for _, y in found] or [0]):.2f} are the symbol")
    projects = sorted(by_project)
    halves = projects[::2], projects[1::2]
    for fit, judge in (halves, halves[::-1]):
        x, y = (np.array([example[at] for name in fit for example in by_project[name]], float) for at in (0, 1))
        weights = fitted(x, y)
        x, y = (np.array([example[at] for name in judge for example in by_project[name]], float) for at in (0, 1))
        p = 1 / (1 + np.exp(-(x @ weights)))
        share = np.exp(x[:, 1]) / (1 + np.exp(x[:, 1]))
        for what, chance in (("fitted", p), ("share alone", share)):
            offered = chance >= LEAST
            print(
                f"  judged on {len(y)}: {what}: log loss {loss(chance, y):.3f}, offered {offered.mean():.2f}, "
                f"of these right {y[offered].mean():.2f}, of the right ones offered {offered[y == 1].mean():.2f}"
            )
    x, y = (np.array([example[at] for found in by_project.values() for example in found], float) for at in (0, 1))
    weights = dict(zip(FEATURES, (round(float(w), 3) for w in fitted(x, y)), strict=True))
    print(json.dumps(weights))
    if options.write:
        PATH.write_text(json.dumps({"weights": weights, "examples": len(y)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
