"""Runtime bugs seeded one at a time into real packages: which functions are suspected, which fixes are proposed.

    python tests/bench/bugs.py select WORK PACKAGE... --python PYTHON [--each 3] [--seed 1] [--kinds KIND...]
    python tests/bench/bugs.py rank WORK [--kind KIND] [--show]
    python tests/bench/bugs.py fix WORK [--kind KIND] [--only ID...] [--static] [--tried 20] [--show]
    python tests/bench/bugs.py irrelevant WORK [--packages 1] [--show]
    python tests/bench/bugs.py fit WORK [--anew] [--show]
    python tests/bench/bugs.py model WORK [--step 7]

PACKAGE is an unpacked source distribution with its tests, PYTHON an interpreter that has what these need, and pytest.
`select` changes one function at a time (bug_seeds.py), runs the test files that reach it, and keeps `each` changes of
each kind by which a test that passed now fails with a traceback: WORK/seeds.json, a list of `Seed`s. The bugs stand as
if they were committed: nothing tells what the text was. `tree_of(seed, folder)` makes the changed package in a folder.

`rank` gives the tracer the text of the test run and a snapshot of the changed package, nothing else, and counts how
often a function that was changed is suspected first, or among the first three. For a definition that was changed with
callers in other files left as they were, such a caller counts as well as the definition; for a dropped import, the
module or a function that needs it. `fix` counts fixes: proposed, verified (the failing test passes and no test fails
that passed before), the very text that was there, and wrong ones shown without tests. `irrelevant`: 20 traces in a
package that no change of it repairs (bug_irrelevant.py). `fit` learns the weights of repairs/ranking.py from development
packages, and says how early the right repair comes when its package is left out of the fit. `model`: what the model's
say would change.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import pickle
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path

import bug_irrelevant
import numpy as np
from bug_seeds import KINDS, Source, mutations
from checks import snapshot_of
from engram_context.edits import Edit, EditError, project_edit
from engram_context.outside.environment import Environment
from engram_context.snapshot import Snapshot
from engram_context.text import Text
from engram_context.trace import fixes
from engram_context.trace.parsing import parse
from engram_context.trace.repairs import ranking
from engram_context.trace.repairs.site import Repair
from engram_context.trace.repairs.trouble import trouble_of
from engram_context.trace.suspects import suspects
from engram_context.trace.values import Suspect, Trace
from engram_lsp.model import open_predictor
from engram_lsp.repair import differences, weighed
from engram_lsp.settings import ModelSettings
from engram_lsp.verify import Limits, VerifyError, verified

# Who calls what: a pytest plugin that writes which functions the tests of each file call.
CALLS = """
import json, os, sys
import pytest

codes = {}
root = os.getcwd() + os.sep

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    add = codes.setdefault(item.nodeid.split("::")[0], set()).add
    def profile(frame, event, arg):
        if event == "call":
            add(frame.f_code)
    sys.setprofile(profile)
    yield
    sys.setprofile(None)

def pytest_sessionfinish():
    with open(os.environ["BENCH_CALLS"], "w") as file:
        json.dump({name: sorted({
            (code.co_filename[len(root):], code.co_firstlineno) for code in found if code.co_filename.startswith(root)
        }) for name, found in codes.items()}, file)
"""
STYLES = ("auto", "native", "short")
_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^\s:]+\.py(?:::(?:[^\s\[]|\[.*?\](?= - |$))+)?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Seed:
    """One bug. `line` and `truth` speak of the changed text: (path, line of the def, qualified name), with line 0 and
    no name for a module's own code. `trace` is what the test run printed; `raised` whether the error was raised in the
    package's own code, or called from it, rather than by a claim of the test."""

    id: str
    package: str
    python: str
    kind: str
    path: str
    line: int
    what: str
    original: str
    changed: str
    truth: list[tuple[str, int, str]]
    test: str
    tests: list[str]
    deselected: list[str]
    trace: str
    raised: bool


def seeds_of(work: Path) -> list[Seed]:
    return [Seed(**one) for one in json.loads((work / "seeds.json").read_text(encoding="utf-8"))]


def tree_of(seed: Seed, folder: Path) -> Path:
    """The package with the bug, in `folder` (made anew)."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(seed.package, folder, ignore=shutil.ignore_patterns("__pycache__", ".git", "*.egg-info"))
    (folder / seed.path).write_bytes(seed.changed.encode("utf-8"))
    return folder


def run(root: Path, python: str, arguments: Iterable[str], timeout: float, **more: str) -> tuple[int, str]:
    """pytest in a folder: exit code (-1: it took too long), output."""
    path = os.pathsep.join((str(root / "src"), str(root)))
    keep = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    env = {**keep, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200", "NO_COLOR": "1", **more}
    if "BENCH_CALLS" in more:
        env["PYTHONPATH"] += os.pathsep + str(Path(more["BENCH_CALLS"]).parent)
    command = [python, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", "-q", *arguments]
    process = subprocess.Popen(
        command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        text=True, encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return -1, ""


@dataclass(frozen=True)
class Package:
    """A package to put bugs into: its files, which test files call which function, and the tests that fail anyway."""

    root: Path
    sources: list[Source]
    mentions: Counter[str]
    calls: dict[tuple[str, int], list[str]]
    failing: list[str]


def is_test(path: str) -> bool:
    parts = path.split("/")
    return parts[-1] == "conftest.py" or bool(re.match(r"tests?\.py|(unit|prop)?_?tests?_|.*_tests?\.py", parts[-1])) or any(
        part in ("tests", "test", "testing") for part in parts[:-1]
    )  # fmt: skip


def test_roots(tests: Iterable[str]) -> list[str]:
    """The outermost folders (or files at the top) that have test files."""
    folders = sorted({path.rpartition("/")[0] or path for path in tests})
    return [one for one in folders if not any(one != other and one.startswith(f"{other}/") for other in folders)]


def package_of(root: Path, work: Path, python: str) -> Package:
    sources: list[Source] = []
    mentions: Counter[str] = Counter()
    tests: list[str] = []
    for file in sorted(root.rglob("*.py")):
        path = file.relative_to(root).as_posix()
        if is_test(path):
            mentions.update(re.findall(r"[^\W\d]\w*", file.read_text(encoding="utf-8", errors="replace")))
            if file.name != "conftest.py":
                tests.append(path)
            continue
        first = path.split("/")[0]
        if first in (
            "docs",
            "doc",
            "examples",
            "benchmark",
            "benchmarks",
            "scripts",
            "setup.py",
            "noxfile.py",
            "binder",
        ):
            continue
        source = Source.read(path, file.read_bytes())
        if source is not None and len(source.data) < 300_000:
            sources.append(source)
    work.mkdir(parents=True, exist_ok=True)
    (work / "bench_calls.py").write_text(CALLS, encoding="utf-8")
    written = work / "calls.json"
    written.unlink(missing_ok=True)
    _, output = run(root, python, ["-p", "bench_calls", "-rfE", *test_roots(tests)], 1200, BENCH_CALLS=str(written))
    calls: dict[tuple[str, int], list[str]] = defaultdict(list)
    seen = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
    for test, called in sorted(seen.items(), key=lambda item: len(item[1])):
        for path, line in called:
            calls[path, line].append(test)
    failing = _FAILED.findall(output)
    print(f"{root.name}: {len(sources)} files, {len(calls)} functions called, {len(failing)} tests fail anyway: {output.splitlines()[-1:]}")  # fmt: skip
    return Package(root, sources, mentions, dict(calls), failing)


def select(options: argparse.Namespace) -> None:
    """Finds `each` bugs of each kind for each package; what was found of a package before is kept."""
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    kept = seeds_of(work) if (work / "seeds.json").exists() else []
    for root in options.packages:
        if any(seed.package == str(root.resolve()) for seed in kept):
            continue
        copy = work / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns("__pycache__", ".git", "*.egg-info"))
        package = package_of(copy, work, options.python)
        if not package.calls:
            continue
        rng = random.Random(f"{options.seed} {root.name}")
        for kind in options.kinds:
            began, tries, found = time.monotonic(), 0, 0
            for mutation in mutations(kind, package.sources, package.mentions, rng):
                tests = list(dict.fromkeys(test for at in mutation.covers for test in package.calls.get(at, ())))
                if not tests or Source.read("", mutation.data) is None:
                    continue
                if found >= options.each or tries >= options.tries * options.each:
                    break
                tries += 1
                seed = _tried(mutation, package, tests[:3], options.python, STYLES[(len(kept)) % len(STYLES)])
                if seed is not None:
                    found += 1
                    name = f"{root.name}-{kind}-{found}"
                    kept.append(replace(seed, id=name, package=str(root.resolve())))
            print(f"    {kind}: {found} of {tries} tries, {time.monotonic() - began:.0f} s", flush=True)
        _write(work / "seeds.json", kept)
    print(f"{len(kept)} seeds:", dict(Counter(seed.kind for seed in kept)))


def _write(path: Path, seeds: list[Seed]) -> None:
    path.write_text(json.dumps([asdict(seed) for seed in seeds], indent=1), encoding="utf-8")


def _tried(mutation, package: Package, tests: list[str], python: str, style: str) -> Seed | None:  # type: ignore[no-untyped-def]
    source: Source = mutation.source
    file = package.root / source.path
    deselected = [f"--deselect={one}" for one in package.failing]
    try:
        file.write_bytes(mutation.data)
        code, output = run(package.root, python, ["-x", "-rfE", f"--tb={style}", *deselected, *tests], 25)
    finally:
        file.write_bytes(source.data)
    failed = _FAILED.search(output)
    if code not in (1, 2) or failed is None:
        return None
    test = failed[1]
    code, output = run(package.root, python, ["-x", test], 25)
    if code != 0:
        return None  # it fails by itself without the bug
    try:
        file.write_bytes(mutation.data)
        code, output = run(package.root, python, ["-x", f"--tb={style}", test], 25)
    finally:
        file.write_bytes(source.data)
    if code not in (1, 2) or not re.search(r'^(E  |  File ".*", line \d+)|\.py:\d+: ', output, re.MULTILINE):
        return None
    own = {one.path for one in package.sources}
    named: list[str] = re.findall(r'(?:File "|^)([^"\s]+?\.py)(?:", line |:)\d+', output, re.MULTILINE)
    raised = any(line.removeprefix(f"{package.root}/") in own for line in named)
    if mutation.kind == "api" and not raised:
        return None  # a test calls it, and would have been changed with it
    return Seed(
        "", "", python, mutation.kind, source.path, mutation.line, mutation.what, source.data.decode("utf-8"),
        mutation.data.decode("utf-8"), mutation.truth, test, tests, package.failing, output, raised,
    )  # fmt: skip


# --- fixes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A seed as it is asked about: the changed package, and what the trace says."""

    seed: Seed
    root: Path
    snapshot: Snapshot
    environment: Environment
    trace: Trace
    suspects: tuple[Suspect, ...]


def case_of(seed: Seed, folder: Path) -> Case | None:
    """None where no trace is read in the text of the run."""
    root = tree_of(seed, folder)
    snapshot, _ = snapshot_of(root)
    traces = parse(seed.trace)
    if not traces:
        return None
    environment = Environment.discover(root, Path(seed.python))
    found = suspects(snapshot, traces[0], environment=environment)
    return Case(seed, root, snapshot, environment, traces[0], found)


def plain(data: bytes) -> bytes:
    """Without what makes no difference: spaces, brackets around expressions, the kind of quotes."""
    return re.sub(rb"[\s()]+", b"", data).replace(b'"', b"'").replace(b",}", b"}").replace(b",]", b"]")


def imports_apart(data: bytes) -> tuple[frozenset[str], bytes]:
    """What a text imports at its top, and the rest of it."""
    source = Source.read("", data)
    if source is None:
        return frozenset(), data
    names: set[str] = set()
    pieces = []
    for node in source.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{'.' * node.level}{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names.update(f"{module}{one.name} {one.asname}" for one in node.names)
            pieces.append((*source.span(node), ""))
    return frozenset(names), plain(source.changed(pieces))


def is_exact(seed: Seed, changed: dict[str, Text]) -> bool:
    """Whether the edited texts are what was there before the bug."""
    if set(changed) != {seed.path}:
        return False
    data, wanted = changed[seed.path].data, seed.original.encode("utf-8")
    if plain(data) == plain(wanted):
        return True
    return seed.kind == "import" and imports_apart(data) == imports_apart(wanted)


def rank(options: argparse.Namespace) -> None:
    """How often a function that was changed is suspected first, or among the first three or six, by kind."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: list[float] = []
    for seed in seeds_of(options.work):
        if options.kind not in ("", seed.kind):
            continue
        root = tree_of(seed, options.work / "case")
        snapshot, _ = snapshot_of(root)
        environment = Environment.discover(root, Path(seed.python))
        began = time.monotonic()
        found = tuple(
            one for trace in parse(seed.trace)[:1] for one in suspects(snapshot, trace, environment=environment)
        )
        seconds.append(time.monotonic() - began)
        places = [_place(snapshot, one) for one in found]
        truth = {(path, line) for path, line, _ in seed.truth}
        at = next((index for index, place in enumerate(places) if place in truth), 99)
        for key in (seed.kind, "all", "raised in the package" if seed.raised else "claims of tests"):
            counts[key].update(seeds=1, first=at < 1, three=at < 3, six=at < 6)
        if options.show and at:
            print(f"{seed.id}: {seed.what}: {at}; {seed.truth[:2]}; {[(one.path, one.function) for one in found[:3]]}")
    for key in (*KINDS, "raised in the package", "claims of tests", "all"):
        said = counts[key]
        if said["seeds"]:
            shares = ", ".join(f"{name} {said[name] / said['seeds']:.0%}" for name in ("first", "three", "six"))
            print(f"{key}: {said['seeds']} seeds, {shares}")
    print(f"seconds: median {np.median(seconds):.2f}")


def _place(snapshot: Snapshot, suspect: Suspect) -> tuple[str, int]:
    """The path and the line of the def (from 1), line 0 for a module's own code."""
    record, text = snapshot.record(suspect.path), snapshot.text(suspect.path)
    if suspect.symbol < 0 or record is None or text is None:
        return suspect.path, 0
    return suspect.path, text.line_of(record.symbols.span(suspect.symbol).start) + 1


def fix(options: argparse.Namespace) -> None:
    """Proposes fixes for every seed, verifies them by the package's own tests, and counts."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: list[float] = []
    done: dict[str, dict[str, object]] = {}
    wanted = [
        seed for seed in seeds_of(options.work)
        if options.kind in ("", seed.kind) and (not options.only or any(one in seed.id for one in options.only))
    ]  # fmt: skip
    for seed in wanted[options.start :: options.step]:
        case = case_of(seed, options.work / "case")
        began = time.monotonic()
        made: tuple[fixes.Proposal, ...] = ()
        if case is not None:
            made = fixes.proposals(case.snapshot, case.trace, case.suspects, case.environment, least=fixes.CONFIDENT)
        static = time.monotonic() - began
        shown = [one for one in made if one.is_shown]
        found: tuple[fixes.Proposal, ...] = ()
        why = ""
        if case is not None and made and not options.static:
            tests = [path for path in case.snapshot.paths if is_test(path) and not path.endswith("conftest.py")]
            deselected = " ".join(shlex.quote(f"--deselect={one}") for one in seed.deselected)
            line = f"{seed.python} -m pytest -o addopts= -q {deselected} {' '.join(test_roots(tests))}"
            texts = {path: text for path in case.snapshot.paths if (text := case.snapshot.text(path)) is not None}
            try:
                found = verified(
                    made,
                    line,
                    case.root,
                    replace(case.trace, test=seed.test),
                    texts,
                    limits=Limits(tried=options.tried, confirmed=1, further=0),
                )
            except VerifyError as problem:
                why = str(problem)
        proven = [one for one in found if one.verified == "tests"]
        best = proven[:1] or shown[:1]
        exact = bool(best) and case is not None and is_exact(seed, best[0].edit.texts_after(_all(case, best[0])))
        said = {
            "seeds": 1, "proposals": bool(made), "verified": bool(proven), "exact": exact and bool(proven), "raised": seed.raised,
            "raised, verified": seed.raised and bool(proven), "shown without tests": bool(shown),
            "wrong shown without tests": bool(shown) and case is not None
            and not is_exact(seed, shown[0].edit.texts_after(_all(case, shown[0]))),
        }  # fmt: skip
        for key in (seed.kind, "all"):
            counts[key].update({name: int(value) for name, value in said.items()})
        took = time.monotonic() - began
        seconds.append(took)
        done[seed.id] = {"verified": bool(proven), "exact": exact}
        if options.show:
            rank = next((at for at, one in enumerate(made) if proven and one.edit == proven[0].edit), -1)
            print(f"{seed.id}: {seed.what}: {len(made)} proposals in {static:.1f} s, {len(found)} verified (first at {rank}), exact: {exact}, {took:.0f} s {why}; {[(one.rule, one.why) for one in best]}", flush=True)  # fmt: skip
    for key in (*KINDS, "all"):
        print(f"{key}: {dict(counts[key])}")
    print(f"seconds: median {np.median(seconds):.1f}, most {max(seconds):.0f}")


def _all(case: Case, proposal: fixes.Proposal) -> dict[str, Text]:
    return {path: text for path in proposal.edit.edits if (text := case.snapshot.text(path)) is not None}


def learn(options: argparse.Namespace) -> None:
    """The weights of repairs, by all seeds of WORK, and how often the right one comes early when the package at hand was
    left out of the fit."""
    kept = options.work / "examples.pickle"
    examples: list[tuple[Seed, list[dict[str, float]], int | None]] = []
    if kept.exists() and not options.anew:
        examples = pickle.loads(kept.read_bytes())
    for seed in seeds_of(options.work) if not examples else ():
        case = case_of(seed, options.work / "case")
        if case is None:
            print(f"no trace: {seed.id}")
            continue
        began = time.monotonic()
        trouble = trouble_of(case.trace)
        found = fixes.candidates(case.snapshot, trouble, case.suspects, case.environment)
        right = next((at for at, one in enumerate(found) if is_exact(seed, _texts(case, one.repair))), None)
        examples.append((seed, [one.features for one in found], right))
        if options.show:
            said = f"{found[right].repair.rule}" if right is not None else "-"
            print(f"{seed.id}: {seed.what}; {trouble.kind} {trouble.name}; {len(found)} repairs, right: {said}, {time.monotonic() - began:.1f} s")  # fmt: skip
    if not kept.exists() or options.anew:
        examples += [(seed, found, None) for seed, found in _negatives(options.work)]
        kept.write_bytes(pickle.dumps(examples))
    for package in sorted({seed.package for seed, _, _ in examples}):
        weights = fitted([one for one in examples if one[0].package != package])
        _report_ranks(Path(package).name, [one for one in examples if one[0].package == package], weights)
    weights = fitted(examples)
    _report_ranks("all, fitted on themselves", examples, weights)
    target = Path(str(files("engram_context.trace.repairs").joinpath("weights.json")))
    rounded = {name: round(value, 3) for name, value in sorted(weights.items()) if abs(value) >= 0.005}
    target.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def say(options: argparse.Namespace) -> None:
    """Where the right fix stands among the proposals, by how much the model's say weighs (lsp/engram_lsp/repair.py)."""
    predictor, _ = open_predictor(ModelSettings(threads=1))
    ranks: dict[float, list[int]] = defaultdict(list)
    seconds: list[float] = []
    seeds = seeds_of(options.work)
    for seed in seeds[options.start :: options.step]:
        case = case_of(seed, options.work / "case")
        if case is None:
            continue
        made = fixes.proposals(case.snapshot, case.trace, case.suspects, case.environment, least=1.0)
        right = [at for at, one in enumerate(made) if is_exact(seed, one.edit.texts_after(_all(case, one)))]
        if not right:
            continue
        began = time.monotonic()
        gains = differences(predictor, case.snapshot, made)
        seconds.append(time.monotonic() - began)
        for weight in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8):
            order = [one.edit for one in weighed(made, gains, weight)]
            ranks[weight].append(order.index(made[right[0]].edit))
        print(
            f"{seed.id}: {right[0]} of {len(made)}, gain {gains.get(right[0], 0.0):.1f}, {seconds[-1]:.1f} s",
            flush=True,
        )
    for weight, found in ranks.items():
        early = {most: sum(rank < most for rank in found) for most in (1, 3, 5, 10)}
        print(f"weight {weight}: {len(found)} right, of which among the first: {early}, mean {np.mean(found):.2f}")
    print(f"seconds: median {np.median(seconds):.1f}")


def _negatives(work: Path) -> Iterator[tuple[Seed, list[dict[str, float]]]]:
    """The repairs of traces that nothing repairs, in each package."""
    for seed in {seed.package: seed for seed in seeds_of(work)}.values():
        snapshot, _ = snapshot_of(Path(seed.package))
        environment = Environment.discover(Path(seed.package))
        for _, text in bug_irrelevant.traces(snapshot, random.Random(f"fit {seed.package}")):
            for trace in parse(text)[:1]:
                trouble = trouble_of(trace)
                if trouble.kind != "outside":
                    found = suspects(snapshot, trace, environment=environment)
                    yield seed, [one.features for one in fixes.candidates(snapshot, trouble, found, environment)]


def irrelevant(options: argparse.Namespace) -> None:
    """Proposes fixes for 20 traces in each package of WORK that no change of it repairs: none may be shown."""
    total: Counter[str] = Counter()
    for package in sorted({seed.package for seed in seeds_of(options.work)})[: options.packages]:
        snapshot, _ = snapshot_of(Path(package))
        environment = Environment.discover(Path(package))
        for name, text in bug_irrelevant.traces(snapshot, random.Random(package)):
            total["traces"] += 1
            for trace in parse(text)[:1]:
                found = suspects(snapshot, trace, environment=environment)
                made = fixes.proposals(snapshot, trace, found, environment, least=fixes.CONFIDENT)
                total["with suspects"] += bool(found)
                total["with candidates"] += bool(made)
                shown = [one for one in made if one.is_shown]
                total["with a patch shown"] += bool(shown)
                if options.show or shown:
                    best = f"{made[0].confidence:.2f} {made[0].rule}: {made[0].why}" if made else "-"
                    print(f"{Path(package).name}: {name}: {len(found)} suspects, {len(made)} candidates, best {best}")
    print(dict(total))


def _texts(case: Case, repair: Repair) -> dict[str, Text]:
    by_path: dict[str, list[Edit]] = defaultdict(list)
    for path, edit in repair.edits:
        by_path[path].append(edit)
    texts = {path: text for path in by_path if (text := case.snapshot.text(path)) is not None}
    try:
        return project_edit(by_path, texts).texts_after(texts)
    except EditError:
        return {}


def fitted(examples: list[tuple[Seed, list[dict[str, float]], int | None]], decay: float = 0.02) -> dict[str, float]:
    """Weights by which the right repair of each seed, or that there is none, is likeliest: a conditional logit."""
    blocks = [([{ranking.NONE: 1.0}, *found], 0 if right is None else right + 1) for _, found, right in examples]
    names = sorted({name for rows, _ in blocks for row in rows for name in row})
    number = {name: at for at, name in enumerate(names)}
    sizes = [len(rows) for rows, _ in blocks]
    starts = np.cumsum([0, *sizes[:-1]])
    right = starts + [at for _, at in blocks]
    every = [row for rows, _ in blocks for row in rows]
    row = np.repeat(np.arange(len(every)), [len(one) for one in every])
    column = np.array([number[name] for one in every for name in one])
    value = np.array([amount for one in every for amount in one.values()], float)
    wanted = np.zeros(len(every))
    wanted[right] = 1.0
    weights, step = np.zeros(len(names)), np.zeros(len(names))
    for turn in range(300):
        scores = np.bincount(row, weights[column] * value, len(every))
        chances = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), sizes))
        chances /= np.repeat(np.add.reduceat(chances, starts), sizes)
        gradient = (
            np.bincount(column, (wanted - chances)[row] * value, len(names)) - decay * weights * len(blocks) ** 0.5
        )
        step += gradient**2
        weights += 0.5 * gradient / np.sqrt(step + 1e-8) * (1.0 if turn < 200 else 0.3)
    return dict(zip(names, weights.tolist(), strict=True))


def _report_ranks(title: str, examples: list[tuple[Seed, list[dict[str, float]], int | None]], weights: dict[str, float]) -> None:  # fmt: skip
    ranks: list[int] = []
    for _, found, right in examples:
        if right is None:
            continue
        scores = [ranking.score(one, weights) for one in found]
        ranks.append(sum(one > scores[right] for one in scores))
    early = {most: sum(rank < most for rank in ranks) for most in (1, 3, 10, 20, 40)}
    print(f"{title}: {len(examples)} seeds, {len(ranks)} with a right repair, of which among the first: {early}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("select")
    command.add_argument("work", type=Path)
    command.add_argument("packages", type=Path, nargs="+")
    command.add_argument("--python", default=sys.executable)
    command.add_argument("--each", type=int, default=3)
    command.add_argument("--tries", type=int, default=5, help="changes tried for each bug that is wanted")
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    command.set_defaults(run=select)
    command = commands.add_parser("fit")
    command.add_argument("work", type=Path)
    command.add_argument("--show", action="store_true")
    command.add_argument("--anew", action="store_true", help="find the repairs again, instead of those kept in WORK")
    command.set_defaults(run=learn)
    command = commands.add_parser("fix")
    command.add_argument("work", type=Path)
    command.add_argument("--kind", default="")
    command.add_argument("--only", nargs="*", default=[], help="parts of the ids of seeds")
    command.add_argument("--static", action="store_true", help="run no tests")
    command.add_argument("--start", type=int, default=0)
    command.add_argument(
        "--tried", type=int, default=Limits().tried, help="proposals that are run with the failing test"
    )
    command.add_argument("--step", type=int, default=1, help="every so many seeds only")
    command.add_argument("--show", action="store_true")
    command.set_defaults(run=fix)
    command = commands.add_parser("rank")
    command.add_argument("work", type=Path)
    command.add_argument("--kind", default="")
    command.add_argument("--show", action="store_true")
    command.set_defaults(run=rank)
    command = commands.add_parser("model")
    command.add_argument("work", type=Path)
    command.add_argument("--start", type=int, default=0)
    command.add_argument("--step", type=int, default=1, help="every so many seeds only")
    command.set_defaults(run=say)
    command = commands.add_parser("irrelevant")
    command.add_argument("work", type=Path)
    command.add_argument("--packages", type=int, default=1, help="in so many packages, 20 traces each")
    command.add_argument("--show", action="store_true")
    command.set_defaults(run=irrelevant)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
