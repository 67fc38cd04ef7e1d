"""Move random modules of real packages, and import everything afterwards.

    python tests/bench/moves.py FOLDER... [--count 12] [--seed 1] [--python PYTHON]

Each FOLDER holds packages. A module or package is renamed in place, or put into another package; the edits are applied
on a copy, every file is compiled, and every module that could be imported before is imported under its new name. Prints
how many moves were good, refused (with the reasons) and broken.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from checks import snapshot_of
from engram_context.edits import Refusal
from engram_context.imports import ModuleMap
from engram_context.renames.moves import Moves, move

# Imports every module named on standard input, and says which could be.
IMPORT_ALL = """
import importlib, json, sys, io, contextlib, warnings
warnings.simplefilter("ignore")
good = []
for name in json.load(sys.stdin):
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            importlib.import_module(name)
        good.append(name)
    except BaseException as problem:
        print(name, type(problem).__name__, str(problem)[:200], file=sys.stderr)
print("\\n" + json.dumps(good))
"""


def importable(root: Path, names: list[str], python: str) -> tuple[set[str], str]:
    """(the modules that can be imported, what was wrong with the others)"""
    done = subprocess.run(
        [python, "-c", IMPORT_ALL], cwd=root, input=json.dumps(names), capture_output=True, text=True, timeout=300,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    return (set(json.loads(lines[-1])) if lines else set()), done.stderr


def choose(files: list[str], modules: ModuleMap, rng: random.Random) -> tuple[str, str] | None:
    """A file or package, and where it goes."""
    path = rng.choice(files)
    folder, _, last = path.rpartition("/")
    if last in ("__init__.py", "__main__.py"):
        if "/" not in folder:
            return None
        parent = folder.rpartition("/")[0]
        return folder, f"{parent}/zq_fresh"
    if rng.random() < 0.5:
        return path, f"{folder}/zq_fresh.py" if folder else "zq_fresh.py"
    packages = sorted({at.rpartition("/")[0] for at in files if modules.is_package(at.rpartition("/")[0])} - {folder})
    return (path, f"{rng.choice(packages)}/{last}") if packages else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    for root in options.folders:
        rng, results, reasons = random.Random(options.seed), Counter[str](), Counter[str]()
        snapshot, texts = snapshot_of(root)
        files = sorted(path for path in snapshot.paths if path.endswith(".py"))
        names = {path: snapshot.modules.dotted(path) for path in files}
        before, _ = importable(root, list(names.values()), options.python)
        for _ in range(options.count):
            pair = choose(files, snapshot.modules, rng)
            if pair is None:
                continue
            found = move(snapshot, [pair])
            if isinstance(found, Refusal):
                results["refused"] += 1
                reasons[f"{pair[0]} -> {pair[1]}: {found.reason}"] += 1
                continue
            after = found.texts_after(texts)
            moves = Moves(found.moves)
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "copy"
                shutil.copytree(root, copy)
                for path, text in after.items():
                    (copy / path).write_bytes(text.data)
                for old, new in found.moves:
                    (copy / new).parent.mkdir(parents=True, exist_ok=True)
                    (copy / old).rename(copy / new)
                there = ModuleMap().after([moves.path(path) for path in files], ())
                renamed = {names[path]: there.dotted(moves.path(path)) for path in files}
                now, wrong = importable(copy, list(renamed.values()), options.python)
            lost = sorted(renamed[name] for name in before if renamed[name] not in now)
            results["broken" if lost else "good"] += 1
            if lost:
                told = next((line for line in wrong.splitlines() if line.split(" ")[0] in lost), "")
                print(f"  {pair[0]} -> {pair[1]}: {len(lost)} of {len(before)} modules lost: {told}")
        print(f"{root.name}: {dict(results)} ({len(before)} of {len(files)} modules can be imported)")
        for reason, count in reasons.most_common():
            print(f"    {count} {reason}")


if __name__ == "__main__":
    main()
