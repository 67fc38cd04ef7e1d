"""Findings: how many there are on packages that work, how soon an opened file has its own, how long a project takes.

    python tests/bench/findings.py noise FOLDER... [--interpreter PYTHON] [--sample 100 --seed 1]
    python tests/bench/findings.py opened FOLDER [--files 60] [--interpreter PYTHON]
    python tests/bench/findings.py whole FOLDER [--rounds 3] --peers "pyright=CMD" "ruff+vulture=CMD && CMD" ...

`noise` counts findings per 1,000 lines by severity and code, without tests unless --tests; with --sample it prints a
seeded sample of errors and warnings with the lines around them, to be judged by reading. `opened` starts the server, and
times the first pull of problems of files that are opened one after another. `whole` times `engram-ls check` on a cold and on
a warm cache and other commands (run by the shell in FOLDER) in turns, and gives medians.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from engram_context.checks.manifests import is_checked
from engram_context.checks.many import findings_of
from engram_context.findings import Finding
from engram_context.languages import language_of
from engram_context.project import Project
from engram_lsp.client import Client

_TESTS = ("tests/", "test/", "testing/")


def is_test(path: str) -> bool:
    name = path.rpartition("/")[2]
    return any(f"/{part}" in f"/{path}" for part in _TESTS) or name.startswith("test_") or name == "conftest.py"


def noise(options: argparse.Namespace) -> None:
    rows: list[tuple[str, int, Counter[str]]] = []
    codes: Counter[tuple[str, str]] = Counter()
    told: list[tuple[Path, str, Finding]] = []
    for root in options.folders:
        with tempfile.TemporaryDirectory() as cache:
            project = Project(root, cache_folder=Path(cache), interpreter=options.interpreter)
            project.load_names()
            paths = [path for path in project.snapshot.paths if is_checked(path, language_of(path))]
            paths = [path for path in paths if options.tests or not is_test(path)]
            lines = sum(project.snapshot.records[path].line_count for path in paths)
            severities: Counter[str] = Counter()
            for path, found in findings_of(project, paths):
                severities.update(finding.severity for finding in found)
                codes.update((finding.severity, finding.code) for finding in found)
                told += [(project.root, path, finding) for finding in found if finding.severity in ("error", "warning")]
            rows.append((root.name, lines, severities))
            project.close_project()
    print(f"{'package':28} {'lines':>8} {'errors':>7} {'warnings':>8} {'hints':>6} {'e+w / 1,000':>12}")
    total: Counter[str] = Counter()
    for name, lines, found in [*rows, ("all", sum(row[1] for row in rows), sum((row[2] for row in rows), total))]:
        loud = found["error"] + found["warning"]
        quiet = found["information"] + found["hint"]
        print(
            f"{name:28} {lines:8,} {found['error']:7} {found['warning']:8} {quiet:6} {1000 * loud / max(lines, 1):12.2f}"
        )
    for (severity, code), count in codes.most_common():
        print(f"{count:6} {severity:12} {code}")
    for number, (root, path, finding) in enumerate(chosen(told, options), 1):
        show(number, root, path, finding)


def chosen(told: list[tuple[Path, str, Finding]], options: argparse.Namespace) -> list[tuple[Path, str, Finding]]:
    told.sort(key=lambda one: (str(one[0]), one[1], one[2].span.start, one[2].code))
    return random.Random(options.seed).sample(told, min(options.sample, len(told)))


def show(number: int, root: Path, path: str, finding: Finding) -> None:
    source = (root / path).read_bytes()
    line = source[: finding.span.start].count(b"\n")
    print(f"\n#{number} {root.name}/{path}:{line + 1} {finding.severity} {finding.code}: {finding.message}")
    lines = source.decode("utf-8", "replace").split("\n")
    for at in range(max(line - 4, 0), min(line + 5, len(lines))):
        print(f"  {'>' if at == line else ' '} {at + 1:5} {lines[at][:150]}")


def opened(options: argparse.Namespace) -> None:
    root = options.folder.resolve()
    files = sorted(path for path in root.rglob("*.py") if path.stat().st_size)
    files = random.Random(options.seed).sample(files, min(options.files, len(files)))
    with tempfile.TemporaryDirectory() as cache:
        settings = {"index.cacheFolder": cache}
        if options.interpreter:
            settings["python.interpreter"] = str(options.interpreter)
        with Client(configuration=settings) as client:
            client.initialize(root, capabilities={"textDocument": {"diagnostic": {}}})
            client.ready()
            times: list[float] = []
            for file in files:
                began = time.perf_counter()
                uri = client.open(file)
                client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}}, timeout=120)
                times.append(1000 * (time.perf_counter() - began))
                client.close(uri)
    times.sort()
    p95 = times[min(len(times) - 1, round(0.95 * len(times)))]
    print(
        f"{len(files)} files of {root.name}: p50 {statistics.median(times):.0f} ms, p95 {p95:.0f} ms, most {times[-1]:.0f} ms"
    )


def whole(options: argparse.Namespace) -> None:
    root = options.folder.resolve()
    engram = [sys.executable, "-m", "engram_lsp.cli", "check", ".", "--exit-zero", "--format", "json"]
    if options.interpreter:
        engram += ["--interpreter", str(options.interpreter)]
    peers = dict(peer.split("=", 1) for peer in options.peers)
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(options.rounds):
            shutil.rmtree(cache, ignore_errors=True)
            for name in ("engram-ls, cold", "engram-ls, warm"):
                times.setdefault(name, []).append(timed([*engram, "--cache", cache], root))
            for name, command in peers.items():
                times.setdefault(name, []).append(timed(command, root))
    for name, found in times.items():
        print(f"{name:20} {statistics.median(found):7.1f} s   ({', '.join(f'{one:.1f}' for one in found)})")


def timed(command: str | list[str], root: Path) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=root, shell=isinstance(command, str), capture_output=True, check=False)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run, several in (("noise", noise, True), ("opened", opened, False), ("whole", whole, False)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        if several:
            command.add_argument("folders", type=Path, nargs="+")
        else:
            command.add_argument("folder", type=Path)
        command.add_argument("--interpreter", type=Path)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--sample", type=int, default=0)
        command.add_argument("--tests", action="store_true")
        command.add_argument("--files", type=int, default=60)
        command.add_argument("--rounds", type=int, default=3)
        command.add_argument("--peers", nargs="*", default=[])
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
