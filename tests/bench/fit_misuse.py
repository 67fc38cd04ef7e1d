"""Fit how likely another name was meant where one is read (`lsp/engram_lsp/misuse.json`).

    python tests/bench/fit_misuse.py FOLDER... [--lines 7000] [--faults 120] [--per 4000] [--keep FILE] [--write]

Each FOLDER is a package of development, never one that is held out. Clean code gives the wrong suspicions, code in
which one read of a parameter was changed to another one gives the right ones (see misuse.py). Half of the packages
fit, the other half judge, for each witness: how many faults are found at one wrong hint in so many clean lines. The
threshold that is written is that at `--per` lines. `--keep` saves what was collected, and reads it where it exists.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from engram_context.checks.misuse.places import Places, Suspicion
from engram_lsp import judging
from engram_lsp.judging import COLUMNS, Witness, row
from engram_lsp.misuse import NOTHING, expectations
from engram_lsp.model import open_predictor
from engram_lsp.settings import ModelSettings
from engram_lsp.shown import name_of
from engram_runtime.engine import OnnxEngine
from misuse import NEAR, Package, faults_of

PATH = Path(judging.__file__).with_name("misuse.json")
WITNESSES: tuple[Witness, ...] = ("signs", "memory", "model", "both")
_MODEL = frozenset(("model", "model for", "written", "unexpected"))
_MEMORY = frozenset(("memory", "memory for"))
_RATES = (1000, 2000, 4000, 8000)


@dataclass
class Function:
    """What may be suspected in one function: rows [n, COLUMNS], the lines they stand on, and the fault's, if there is
    one: its line and the row that is right, -1 where it is not suspected."""

    package: str
    rows: np.ndarray
    lines: np.ndarray
    fault: tuple[int, int] | None = None


@dataclass
class Data:
    functions: list[Function] = field(default_factory=list[Function])
    lines: int = 0  # clean ones


def collect(package: Package, lines: int, faults: int, rng: random.Random, data: Data) -> None:
    for path in package.files(lines, rng):
        data.lines += package.texts[path].line_count
        for places, suspicions in package.places(package.snapshot, path):
            if suspicions:
                data.functions.append(_judged(package, path, places, suspicions))
    for fault in faults_of(package, "variable", faults, rng):
        with package.broken(fault) as snapshot:
            line = fault.text.line_of(fault.offset)
            found = Function(package.name, np.zeros((0, len(COLUMNS)), np.float32), np.zeros(0, np.int64))
            right = -1
            for places, suspicions in package.places(snapshot, fault.path, fault.offset):
                if suspicions:
                    found = _judged(package, fault.path, places, suspicions)
                    rows = [
                        at
                        for at, one in enumerate(suspicions)
                        if one.span.start == fault.offset and one.alternative == fault.said
                    ]
                    right = rows[0] if rows else -1
            found.fault = (line, right)
            data.functions.append(found)


def _judged(package: Package, path: str, places: Places, suspicions: list[Suspicion]) -> Function:
    view = package.view(path, places)
    heard = expectations(package.predictor, places.text, path, places.function.span, suspicions, view) or {}
    rows: list[tuple[float, ...]] = []
    for one in suspicions:
        said = heard.get((one.span.start, one.alternative), NOTHING)
        rows.append(row(one.signs, said.memory, said.ratio, said.written))
    lines = [places.text.line_of(one.span.start) for one in suspicions]
    return Function(package.name, np.array(rows, np.float32), np.array(lines))


def columns_of(witness: Witness) -> np.ndarray:
    """Which columns a witness may look at."""
    deaf = (_MODEL if witness in ("signs", "memory") else frozenset()) | (
        _MEMORY if witness in ("signs", "model") else frozenset()
    )
    return np.array([deaf.isdisjoint(name.split(" and ")) for name in COLUMNS])


def fitted(x: np.ndarray, y: np.ndarray, ridge: float = 3.0) -> np.ndarray:
    """Logistic regression by Newton steps, on columns of equal spread; weights of the columns as they are."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    mean[0], spread[0] = 0.0, 1.0
    z = (x - mean) / spread
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(z @ weights, -30, 30)))
        gradient = z.T @ (p - y) + ridge * weights
        hessian = (z * (p * (1 - p))[:, None]).T @ z + ridge * np.eye(z.shape[1])
        step = np.linalg.solve(hessian, gradient)
        weights -= step
        if np.abs(step).max() < 1e-4:
            break
    weights = weights / spread
    weights[0] -= float(weights[1:] @ mean[1:])
    return weights


def table(functions: list[Function]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and what is right. Of a place that is wrong, the other alternatives tell nothing."""
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    for one in functions:
        y = np.zeros(len(one.rows))
        keep = np.ones(len(one.rows), bool)
        if one.fault is not None and one.fault[1] >= 0:
            keep = one.lines != one.lines[one.fault[1]]
            keep[one.fault[1]] = True
            y[one.fault[1]] = 1
        xs.append(one.rows[keep])
        ys.append(y[keep])
    return np.concatenate(xs).astype(np.float64), np.concatenate(ys)


def best(functions: list[Function], weights: np.ndarray) -> list[tuple[float, Function, int]]:
    """The likeliest suspicion of each function."""
    found: list[tuple[float, Function, int]] = []
    for one in functions:
        odds = one.rows @ weights if len(one.rows) else np.array([-99.0])
        at = int(odds.argmax())
        found.append((float(odds[at]), one, at))
    return found


def rates(judged: list[tuple[float, Function, int]], lines: int) -> list[tuple[int, float, float]]:
    """(clean lines for one wrong hint, threshold, share of the faults that are found)."""
    clean = sorted((odds for odds, one, _ in judged if one.fault is None), reverse=True)
    faulty = [(odds, one, at) for odds, one, at in judged if one.fault is not None]
    told: list[tuple[int, float, float]] = []
    for per in _RATES:
        least = clean[min(lines // per, len(clean) - 1)]
        hits = sum(
            odds > least and len(one.lines) > 0 and abs(int(one.lines[at]) - one.fault[0]) <= NEAR
            for odds, one, at in faulty
            if one.fault is not None
        )
        told.append((per, least, hits / max(1, len(faulty))))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--lines", type=int, default=7000, help="clean ones of each package (%(default)s)")
    parser.add_argument("--faults", type=int, default=120, help="in each package (%(default)s)")
    parser.add_argument("--per", type=int, default=4000, choices=_RATES, help="clean lines for one wrong hint")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    predictor, problem = open_predictor(ModelSettings())
    if problem or not isinstance(predictor.engine, OnnxEngine):
        raise SystemExit(problem or "a model is needed")
    data = Data()
    if options.keep and options.keep.exists():
        data = pickle.loads(options.keep.read_bytes())
    else:
        for folder in options.folders:
            collect(Package(folder, predictor), options.lines, options.faults, random.Random(11), data)
            print(f"{folder.name}: {len(data.functions)} functions so far", flush=True)
            if options.keep:
                options.keep.write_bytes(pickle.dumps(data))
    names = sorted({one.package for one in data.functions})
    faults = sum(one.fault is not None for one in data.functions)
    print(f"{len(names)} packages, {data.lines} clean lines, {faults} faults")
    judges: dict[str, dict[str, object]] = {}
    for witness in WITNESSES:
        seen = columns_of(witness)
        judged: list[tuple[float, Function, int]] = []
        for half in (0, 1):
            fit = [one for one in data.functions if names.index(one.package) % 2 != half]
            x, y = table(fit)
            weights = np.zeros(len(COLUMNS))
            weights[seen] = fitted(x[:, seen], y)
            judged += best([one for one in data.functions if names.index(one.package) % 2 == half], weights)
        told = rates(judged, data.lines)
        print(
            f"  {witness}: " + ", ".join(f"{share:.1%} found at 1 in {per} ({least:.2f})" for per, least, share in told)
        )
        x, y = table(data.functions)
        weights = np.zeros(len(COLUMNS))
        weights[seen] = fitted(x[:, seen], y)
        judges[witness] = {
            "weights": {name: round(float(w), 4) for name, w in zip(COLUMNS, weights, strict=True) if w},
            "shown": round(next(least for per, least, _ in told if per == options.per), 3),
        }
    if options.write:
        about = {"packages": names, "lines": data.lines, "faults": faults}
        stored = {"model": name_of(predictor.engine.about), "about": about, "judges": judges}
        PATH.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
