"""Fit how likely two arguments have to change places (`context/engram_context/checks/misuse/arguments.json`).

    python tests/bench/fit_arguments.py FOLDER... [--faults 100] [--per 16000] [--write]

Each FOLDER is a package of development, never one that is held out. Clean code gives the wrong pairs, calls two arguments
of which were swapped the right ones (see misuse.py). Half of the packages fit, the other half judge: how many faults are
found at one wrong hint in so many clean lines. The threshold that is written is that at `--per` lines.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
from engram_context.checks.misuse import arguments
from engram_context.checks.misuse.arguments import COLUMNS
from engram_context.checks.misuse.nearby import swaps_in
from engram_lsp.model import open_predictor
from engram_lsp.settings import ModelSettings
from fit_misuse import fitted
from misuse import Package, faults_of

PATH = Path(arguments.__file__).with_name("arguments.json")
_RATES = (2000, 4000, 8000, 16000, 32000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--faults", type=int, default=100, help="in each package (%(default)s)")
    parser.add_argument("--per", type=int, default=16000, choices=_RATES, help="clean lines for one wrong hint")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    predictor, _ = open_predictor(ModelSettings(path="none"))
    rows: list[tuple[float, ...]] = []
    right: list[bool] = []
    halves: list[int] = []
    lines = faults = 0
    for number, folder in enumerate(options.folders):
        package = Package(folder, predictor)
        for path in package.files(1_000_000, random.Random(3)):
            lines += package.texts[path].line_count
            clean = [swap.row() for swap in swaps_in(package.snapshot, path)]
            rows += clean
            right += [False] * len(clean)
            halves += [number % 2] * len(clean)
        for fault in faults_of(package, "arguments", options.faults, random.Random(3)):
            faults += 1
            with package.broken(fault) as snapshot:
                for swap in swaps_in(snapshot, fault.path):
                    if swap.span.start == fault.offset and fault.instead.startswith(fault.text.slice(swap.first)):
                        rows.append(swap.row())
                        right.append(True)
                        halves.append(number % 2)
                        break
        print(f"{folder.name}: {lines} lines, {faults} faults so far", flush=True)
    x, y, half = np.array(rows), np.array(right, float), np.array(halves)
    odds = np.zeros(len(y))
    for one in (0, 1):
        odds[half == one] = x[half == one] @ fitted(x[half != one], y[half != one])
    clean_odds = np.sort(odds[y == 0])[::-1]
    shown = 0.0
    for per in _RATES:
        least = float(clean_odds[min(lines // per, len(clean_odds) - 1)])
        shown = least if per == options.per else shown
        print(f"  {(odds[y == 1] > least).sum() / faults:.1%} found at 1 in {per} ({least:.2f})")
    if options.write:
        weights = dict(zip(COLUMNS, (round(float(w), 4) for w in fitted(x, y)), strict=True))
        about = {"packages": sorted(folder.name for folder in options.folders), "lines": lines, "faults": faults}
        PATH.write_text(json.dumps({"about": about, "weights": weights, "shown": round(shown, 3)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
