"""Whether the types between the lines are right: compared with what pyright reveals, and written into the code.

    python tests/bench/hints.py FOLDER [--show 20]

"same": pyright reveals the same type for the variable right behind its assignment. "written": types that can be inserted are
inserted, and what pyright then objects to, and did not before, is counted.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engram_context.edits import apply
from engram_context.project import Project
from engram_context.text import Span, Text
from engram_context.views.hints import Hint, Wishes, hints
from rich.console import Console

WISHES = Wishes(parameters="none", variables=True, returns=True)


@dataclass(frozen=True, slots=True)
class Assigned:
    """A variable whose assignment ends on `line`, alone there, and the type that a hint says it has."""

    line: int
    indentation: str
    name: str
    type: str


def pyright(root: Path, folder: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, folder]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return json.loads(found.stdout)["generalDiagnostics"]


def found_in(project: Project) -> Iterator[tuple[str, Text, tuple[Hint, ...]]]:
    for path in project.snapshot.paths:
        text = project.text(path)
        if text is not None and path.endswith(".py"):
            yield path, text, hints(project.snapshot, path, Span(0, len(text)), WISHES)


def assigned(project: Project, path: str, text: Text, found: tuple[Hint, ...]) -> Iterator[Assigned]:
    record = project.snapshot.records[path]
    by_end = {symbol.span.end: symbol for symbol in record.symbols}
    for hint in found:
        symbol = by_end.get(hint.offset)
        if symbol is None or symbol.kind == "attribute" or symbol.body.start != symbol.span.start:
            continue
        first, last = text.line_of(symbol.body.start), text.line_of(symbol.body.end)
        before = text.slice(Span(text.line_start(first), symbol.span.start))
        behind = text.slice(Span(symbol.body.end, text.line_span(last).end)).partition("#")[0]
        written = text.slice(Span(symbol.span.end, symbol.body.end)).lstrip()
        if not before.strip() and not behind.strip() and written.startswith("="):
            yield Assigned(last, before, symbol.name, hint.label.removeprefix(": "))


def compare(root: Path, folder: str, project: Project) -> tuple[Counter[str], list[str]]:
    """How many types are the same, and those that are not."""
    wanted: dict[tuple[str, int], str] = {}
    for path, text, found in found_in(project):
        below: dict[int, list[Assigned]] = {}
        for one in assigned(project, path, text, found):
            below.setdefault(one.line, []).append(one)
        lines: list[str] = []
        for number, line in enumerate(text.decode().split("\n")):
            lines.append(line)
            for one in below.get(number, ()):
                wanted[str(root / path), len(lines)] = one.type
                lines.append(f"{one.indentation}reveal_type({one.name})")
        (root / path).write_text("\n".join(lines), encoding="utf-8")
    counts: Counter[str] = Counter()
    differing: list[str] = []
    for problem in pyright(root, folder):
        spoken = re.match(r'Type of "\w+" is "(.*)"\Z', problem["message"], re.DOTALL)
        expected = wanted.pop((problem["file"], problem["range"]["start"]["line"]), None) if spoken else None
        if spoken is None or expected is None:
            continue
        kind = judged(expected, spoken[1])
        counts[kind] += 1
        if kind == "different":
            place = f"{Path(problem['file']).name}:{problem['range']['start']['line'] + 1}"
            differing.append(f"{place}: {expected}, pyright: {spoken[1]}")
    counts["not revealed"] = len(wanted)
    return counts, differing


def judged(ours: str, theirs: str) -> str:
    def parts(spelled: str) -> list[str]:
        return sorted(re.sub(r"\s", "", spelled).split("|"))

    def bare(spelled: str) -> str:
        return re.sub(r"\[.*\]", "", spelled)

    if parts(ours) == parts(theirs):
        return "same"
    if "Unknown" in theirs:
        return "pyright does not know"
    return "same class, other arguments" if bare(ours) == bare(theirs) else "different"


def write(root: Path, folder: str, project: Project) -> tuple[int, list[str]]:
    """(types written, what pyright objects to then and did not before)."""

    def errors() -> dict[tuple[str, int, str], str]:
        return {
            (one["file"], one["range"]["start"]["line"], one["message"]): one["message"].partition("\n")[0]
            for one in pyright(root, folder)
            if one["severity"] == "error"
        }

    before, written = errors(), 0
    for path, text, found in list(found_in(project)):
        edits = [hint.edit for hint in found if hint.edit is not None]
        written += len(edits)
        (root / path).write_bytes(apply(text, edits).data)
    return written, [f"{Path(key[0]).name}:{key[1] + 1}: {said}" for key, said in errors().items() if key not in before]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a package")
    parser.add_argument("--show", type=int, default=20)
    arguments = parser.parse_args()
    console = Console(width=160, highlight=False, markup=False)
    folder: Path = arguments.folder
    for what in ("compared", "written"):
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary).resolve() / "project"
            shutil.copytree(folder, root / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
            project = Project(root, cache_folder=Path(temporary) / "cache", interpreter=Path(sys.executable), workers=1)
            project.apply(project.load())
            if what == "compared":
                counts, shown = compare(root, folder.name, project)
                console.print(f"{folder.name}: {sum(counts.values())} types", dict(counts.most_common()))
            else:
                number, shown = write(root, folder.name, project)
                console.print(f"{folder.name}: {number} types written, {len(shown)} objections")
            for line in shown[: arguments.show]:
                console.print(" ", line)
            project.close_project()


if __name__ == "__main__":
    main()
