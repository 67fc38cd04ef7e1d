"""How many misused names, swapped arguments and uneven copies are found, and how many wrong hints clean code gets.

    python tests/bench/misuse.py FOLDER... [--faults 60] [--lines 8000] [--seed 5] [--witness both] [--show]

Each FOLDER holds packages of released code. One fault at a time is made in a function of theirs:

- `variable`: a read of a parameter becomes a read of another one with the same annotation, or as little of one;
- `arguments`: two positional arguments of a call, names or attributes, change places;
- `name`, `operator`, `constant`: in a statement like the one before it with other names, one place says again what that
  one says, or says another operator or number.

It is found where a hint that clean code does not get stands within three lines. Clean code is `--lines` lines of each
package, read as a project; every hint in it counts as wrong, though some are right. `--witness` says what is heard:
the signs of the text alone, the memory, the model, or both.
"""

from __future__ import annotations

import argparse
import ast
import random
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from engram_context.checks.misuse import plain
from engram_context.checks.misuse.copies import matching
from engram_context.checks.misuse.hinted import file_hints
from engram_context.checks.misuse.nearby import places_in
from engram_context.checks.misuse.places import Places, Suspicion
from engram_context.checks.subject import Subject
from engram_context.memory.matches import MemoryView
from engram_context.memory.ngrams import NgramMemory
from engram_context.outside.environment import Environment
from engram_context.reader import parse, read_record
from engram_context.snapshot import Snapshot
from engram_context.text import Text, Unreadable, read_text
from engram_lsp import misuse
from engram_lsp.judging import Witness
from engram_lsp.misuse import without
from engram_lsp.model import open_predictor
from engram_lsp.predictor import Predictor
from engram_lsp.settings import ModelSettings

Kind = Literal["variable", "arguments", "name", "operator", "constant"]
KINDS: tuple[Kind, ...] = ("variable", "arguments", "name", "operator", "constant")
NEAR = 3
"""Lines between a fault and a hint that has found it, at most."""
_LEFT_OUT = frozenset(("tests", "test", "docs", "doc", "examples", "benchmarks", "testing"))
_LARGEST = 3000  # lines
_OTHER = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "+": "-",
    "-": "+",
    "*": "+",
    "and": "or",
    "or": "and",
    "+=": "-=",
    "-=": "+=",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`text` of `path` with the fault at `offset`. `said`, `instead`: what stood there and what does now."""

    kind: Kind
    path: str
    text: Text
    offset: int
    said: str
    instead: str


class Package:
    """The code of one package as a project, without its tests."""

    def __init__(self, root: Path, predictor: Predictor) -> None:
        self.name, self.predictor = root.name, predictor
        self.texts: dict[str, Text] = {}
        for file in sorted(root.rglob("*.py")):
            path = file.relative_to(root)
            if _LEFT_OUT.isdisjoint(path.parts[:-1]) and not file.name.startswith(("test_", "conftest")):
                text = read_text(file)
                if not isinstance(text, Unreadable):
                    self.texts[path.as_posix()] = text
        records = {path: read_record(text, "python") for path, text in self.texts.items()}
        self.snapshot = Snapshot.empty(self.texts.get).after(records)
        self.environment = Environment.discover(root)
        encode = predictor.tokenizer.encode
        self.memory = NgramMemory(predictor.tokenizer.vocab_size)
        self.memory.update({path: np.array(encode(_str(text.data)), np.uint16) for path, text in self.texts.items()})
        self.memory.compact()

    def files(self, lines: int, rng: random.Random) -> list[str]:
        """Some files of together `lines` lines or a little more."""
        paths = [path for path, text in self.texts.items() if 15 < text.line_count <= _LARGEST]
        rng.shuffle(paths)
        chosen: list[str] = []
        while paths and lines > 0:
            chosen.append(paths.pop())
            lines -= self.texts[chosen[-1]].line_count
        return chosen

    @contextmanager
    def broken(self, fault: Fault) -> Generator[Snapshot]:
        """The project with a fault."""
        before, self.texts[fault.path] = self.texts[fault.path], fault.text
        try:
            yield self.snapshot.after({fault.path: read_record(fault.text, "python")})
        finally:
            self.texts[fault.path] = before

    def view(self, path: str, places: Places) -> MemoryView:
        """The memory without the function in question."""
        encode = self.predictor.tokenizer.encode
        text, start = without(places.text, places.function.span), places.function.span.start
        sides = (text.data[max(0, start - 60_000) : start], text.data[start : start + 30_000])
        before, after = (np.array(encode(_str(side)), np.uint16) for side in sides)
        return self.memory.view(path, before, after)

    def places(
        self, snapshot: Snapshot, path: str, near: int | None = None
    ) -> Iterator[tuple[Places, list[Suspicion]]]:
        """The functions of a file, or the innermost one around an offset."""
        found = list(places_in(snapshot, path))
        if near is not None:
            around = [one for one in found if one.function.span.start <= near < one.function.span.end]
            found = sorted(around, key=lambda one: len(one.function.span))[:1]
        for places in found:
            yield places, list(places.suspicions())

    def hints(
        self, snapshot: Snapshot, path: str, witness: Witness, near: int | None = None
    ) -> Iterator[tuple[int, str]]:
        """(offset, what is said) of every hint in a file; of those of the model, around `near` only where that is
        given."""
        text, record = snapshot.text(path), snapshot.record(path)
        if text is None or record is None or record.errors:
            return
        subject = Subject(snapshot, path, text, record, self.environment)
        for check in plain.CHECKS:
            for finding, _ in check.find(subject):
                yield finding.span.start, f"{finding.code}: {finding.message}"
        for finding in file_hints(snapshot, path):
            yield finding.span.start, f"{finding.code}: {finding.message}"
        for places, suspicions in self.places(snapshot, path, near):
            memory = self.view(path, places) if witness in ("memory", "both") else None
            for hint in (
                misuse.hints(self.predictor, places, path, memory, suspicions=suspicions, witness=witness) or ()
            ):
                yield hint.span.start, f"misused-variable: {hint.name} -> {hint.alternative} ({hint.chance:.2f})"


def _str(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# Faults


def faults_in(path: str, text: Text, kinds: Iterable[Kind], rng: random.Random) -> Iterator[Fault]:
    """Every fault of some kinds that a file may get, in random order."""
    makers: dict[Kind, Callable[[Text], Iterator[tuple[int, int, str]]]] = {
        "variable": _variables,
        "arguments": _arguments,
    }
    found: list[tuple[Kind, int, int, str]] = []
    for kind in kinds:
        if kind in makers:
            found.extend((kind, start, end, instead) for start, end, instead in makers[kind](text))
    found.extend(one for one in _uneven(text) if one[0] in kinds)
    rng.shuffle(found)
    for kind, start, end, instead in found:
        yield Fault(kind, path, text.splice(start, end, instead.encode()), start, _str(text.data[start:end]), instead)


def _variables(text: Text) -> Iterator[tuple[int, int, str]]:
    try:
        tree = ast.parse(text.data)
    except (SyntaxError, ValueError):
        return
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        inside = list(ast.walk(function))
        if any(isinstance(one, (ast.Global, ast.Nonlocal)) for one in inside):
            continue
        if any(isinstance(one, (ast.FunctionDef, ast.Lambda)) and one is not function for one in inside):
            continue
        parameters = {one.arg: one for one in function.args.args if one.arg not in ("self", "cls")}
        for read in (one for statement in function.body for one in ast.walk(statement)):
            if not isinstance(read, ast.Name) or not isinstance(read.ctx, ast.Load) or read.id not in parameters:
                continue
            for other in parameters.values():
                if other.arg != read.id and _annotation(other) == _annotation(parameters[read.id]):
                    start = text.line_start(read.lineno - 1) + read.col_offset
                    yield start, start + len(read.id.encode()), other.arg


def _annotation(parameter: ast.arg) -> str:
    return "" if parameter.annotation is None else ast.dump(parameter.annotation)


def _arguments(text: Text) -> Iterator[tuple[int, int, str]]:
    try:
        tree = ast.parse(text.data)
    except (SyntaxError, ValueError):
        return
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        for one, other in zip(call.args, call.args[1:], strict=False):
            if all(isinstance(argument, (ast.Name, ast.Attribute)) for argument in (one, other)):
                (start, end), (from_, to) = _span(text, one), _span(text, other)
                first, second = text.data[start:end], text.data[from_:to]
                if first != second:
                    yield start, to, _str(second + text.data[end:from_] + first)


def _span(text: Text, node: ast.expr) -> tuple[int, int]:
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    return text.line_start(node.lineno - 1) + node.col_offset, text.line_start(end_line - 1) + end_column


def _uneven(text: Text) -> Iterator[tuple[Kind, int, int, str]]:
    tree = parse(text, "python")
    if tree is None:
        return
    for first, second in matching(tree):
        pairs = list(zip(first, second, strict=True))
        changed = [(one, other) for one, other in pairs if one.text != other.text]
        for one, other in changed:
            if sum(also.text == other.text for _, also in changed) > 2 and one.type == "identifier":
                yield "name", other.start_byte, other.end_byte, _str(one.text or b"")
        if len(changed) < 2:
            continue
        for one, other in pairs:
            said = _str(other.text or b"")
            if one.text == other.text and one.type == other.type and said in _OTHER:
                yield "operator", other.start_byte, other.end_byte, _OTHER[said]
            elif one.text == other.text and other.type == "integer" and said.isdecimal():
                yield "constant", other.start_byte, other.end_byte, str(int(said) + 1)


def faults_of(package: Package, kind: Kind, count: int, rng: random.Random) -> list[Fault]:
    """At most `count` faults of a kind, in as many different files as there are."""
    by_file: list[list[Fault]] = []
    for path, text in package.texts.items():
        if 15 < text.line_count <= _LARGEST:
            found: list[Fault] = []
            for fault in faults_in(path, text, (kind,), rng):
                found.append(fault)
                if len(found) >= count:
                    break
            by_file.append(found)
    rng.shuffle(by_file)
    chosen: list[Fault] = []
    while len(chosen) < count and any(by_file):
        chosen += [found.pop() for found in by_file if found]
    return chosen[:count]


# Measuring


def is_found(package: Package, fault: Fault, witness: Witness) -> bool:
    clean = Counter(said for _, said in package.hints(package.snapshot, fault.path, witness, fault.offset))
    line = fault.text.line_of(fault.offset)
    with package.broken(fault) as snapshot:
        for offset, said in package.hints(snapshot, fault.path, witness, fault.offset):
            clean[said] -= 1
            if clean[said] < 0 and abs(fault.text.line_of(offset) - line) <= NEAR:
                return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--faults", type=int, default=60, help="of each kind in each package (%(default)s)")
    parser.add_argument("--lines", type=int, default=8000, help="clean ones of each package (%(default)s)")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--witness", choices=("signs", "memory", "model", "both"), default="both")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--show", action="store_true", help="print the hints that clean code gets")
    options = parser.parse_args()
    predictor, problem = open_predictor(ModelSettings())
    if problem:
        raise SystemExit(problem)
    made: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    lines = 0
    for folder in options.folders:
        rng = random.Random(options.seed)
        package = Package(folder, predictor)
        here: Counter[str] = Counter()
        chosen = package.files(options.lines, rng)
        for path in chosen:
            text = package.texts[path]
            lines += text.line_count
            for offset, said in package.hints(package.snapshot, path, options.witness):
                here[said.partition(":")[0]] += 1
                if options.show:
                    print(f"    {package.name} {path}:{text.line_of(offset) + 1}: {said}")
        told: list[str] = []
        for kind in options.kinds.split(","):
            faults = faults_of(package, kind, options.faults, rng)
            hits = sum(is_found(package, fault, options.witness) for fault in faults)
            made[kind] += len(faults)
            found[kind] += hits
            told.append(f"{kind} {hits}/{len(faults)}")
        wrong += here
        clean = sum(package.texts[path].line_count for path in chosen)
        print(f"{package.name}: {clean} clean lines, {dict(here)}; found {', '.join(told)}", flush=True)
    print(f"{options.witness}: {lines} clean lines, one hint in {lines / max(1, wrong.total()):.0f}: {dict(wrong)}")
    for kind in made:
        print(f"    {kind}: {found[kind]} of {made[kind]} found ({found[kind] / max(1, made[kind]):.1%})")


if __name__ == "__main__":
    main()
