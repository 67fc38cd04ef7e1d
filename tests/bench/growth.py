"""How everything grows with the project: the server over stdio on synthetic projects of 10 thousand to a million lines.

    python tests/bench/growth.py [--lines 10000 100000 1000000] [--folder DIR] [--only cold warm steady typing disk]

A project is made anew from a seed: packages of twenty modules of about 400 lines, each importing from a few others, some
names used in many modules and most in few, classes that inherit across modules. One Markdown table is printed, sizes as
columns, milliseconds unless another unit is said. "Seen": how long after a keystroke a question is answered from what
was typed. Where other work keeps the machine busy, compare columns, and mind the row "CPU".
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from engram_lsp.client import Client, ResponseError, where

WORDS = tuple(
    word
    for line in (
        "order item price cart user account total rate index cache token query record field value node path event queue",
        "state batch chunk frame image layer model input output weight score label group filter sort merge split parse",
        "build load save send read write open close start stop check find count limit offset range window cursor stream",
    )
    for word in line.split()
)
NOWHERE = where("file:///nowhere.py", 0, 0)
LINES = 400
PACKAGE = 20
TYPED = 40
REPEATED = 30


@dataclass(slots=True)
class Module:
    path: str
    dotted: str
    functions: list[str] = field(default_factory=list[str])
    classes: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Synthetic:
    """A project on disk. `uses` are the files that mention a name of the common module, besides that."""

    root: Path
    modules: list[Module]
    lines: int
    uses: dict[str, set[str]]
    common: Module


def made(root: Path, lines: int, seed: int = 7) -> Synthetic:
    """Writes a project of about so many lines."""
    random_ = random.Random(seed)
    modules: list[Module] = []
    uses: dict[str, set[str]] = defaultdict(set)
    written = 0
    while written < lines or not modules:
        number = len(modules)
        package = f"pkg{number // PACKAGE:03}"
        name = "common" if number == 0 else f"{random_.choice(WORDS)}_{number}"
        module = Module(f"{package}/{name}.py", f"{package}.{name}")
        if number % PACKAGE == 0:
            (root / package).mkdir(parents=True)
            (root / package / "__init__.py").write_text("", encoding="utf-8")
        text = source(random_, module, modules, uses)
        (root / module.path).write_text(text, encoding="utf-8")
        modules.append(module)
        written += text.count("\n")
    return Synthetic(root, modules, written, uses, modules[0])


def source(random_: random.Random, module: Module, others: list[Module], uses: dict[str, set[str]]) -> str:
    """The text of one module; notes what it defines and which common names it uses."""
    tag = str(len(others))
    out = [
        f'"""What there is to {random_.choice(WORDS)} a {random_.choice(WORDS)}."""',
        "",
        "from __future__ import annotations",
        "",
    ]
    known: list[str] = []
    bases: list[str] = []
    if others:
        common = others[0]
        # A few names of the common module are used everywhere, most of them here and there.
        picked = {common.functions[min(int(random_.expovariate(0.25)), len(common.functions) - 1)] for _ in range(2)}
        picked |= {random_.choice(common.classes)} if random_.random() < 0.1 else set()
        out.append(f"from {common.dotted} import {', '.join(sorted(picked))}")
        for one in picked:
            uses[one].add(module.path)
            (bases if one in common.classes else known).append(one)
        for other in random_.sample(others[1:], min(3, len(others) - 1)):
            wanted = random_.sample(other.functions, 2) + random_.sample(other.classes, 1)
            out.append(f"from {other.dotted} import {', '.join(sorted(wanted))}")
            known += wanted[:2]
            bases.append(wanted[2])
    out += ["", f"LIMIT_{tag} = {random_.randrange(10, 99)}", ""]
    number = 0
    while len(out) < LINES:
        number += 1
        verb, noun, other = random_.choice(WORDS), random_.choice(WORDS), random_.choice(WORDS)
        if number % 3:
            name = f"{verb}_{noun}_{tag}_{number}"
            out += [
                "",
                f"def {name}({noun}, {other}s=None, limit=LIMIT_{tag}):",
                f'    """{verb.capitalize()} the {noun} with its {other}s."""',
                f"    {verb}ed = []",
                f"    for index, one in enumerate({other}s or ()):",
                "        if index >= limit:",
                "            break",
            ]
            called = random_.choice(known) if known else "len"
            out += [f"        {verb}ed.append({called}(one))", f"    return {noun}, {verb}ed", ""]
            module.functions.append(name)
            known.append(name)
        else:
            name = f"{noun.capitalize()}{verb.capitalize()}{tag.capitalize()}x{number}"
            base = random_.choice(bases) if bases and random_.random() < 0.5 else ""
            out += [
                "",
                f"class {name}{f'({base})' if base else ''}:",
                f'    """A {noun} to {verb}."""',
                "",
                f"    def __init__(self, {noun}, {other}=0):",
                f"        self.{noun} = {noun}",
                f"        self.{other}_{number} = {other}",
                "",
                f"    def {verb}_{other}(self, factor=1):",
                f"        return self.{other}_{number} * factor",
                "",
                f"    def {verb}_twice(self):",
                f"        return self.{verb}_{other}(factor=2) + len(str(self.{noun}))",
                "",
            ]
            module.classes.append(name)
            bases.append(name)
    return "\n".join(out) + "\n"


class Server:
    """A server on one project, and the most memory that it and its processes were seen to have."""

    def __init__(self, project: Synthetic, cache: Path) -> None:
        self.project = project
        self.began = time.perf_counter()
        settings = {"index": {"cacheFolder": str(cache)}}
        self.client = Client([sys.executable, "-m", "engram_lsp.cli", "serve"], configuration=settings)
        self.client.initialize(project.root, name="growth")
        self.initialized = time.perf_counter() - self.began
        self.process = psutil.Process(self.client.process.pid)
        self.most = 0.0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def look(self) -> None:
        try:
            held = [self.process, *self.process.children(recursive=True)]
            self.most = max(self.most, sum(process.memory_info().rss for process in held) / 1e6)
        except psutil.Error:
            return

    def cpu(self) -> float:
        """Seconds, without processes that have ended."""
        times = self.process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def ready(self, most: float = 1800.0) -> float:
        """Seconds from the start until everything was read."""
        while True:
            status = self.client.request("workspace/executeCommand", {"command": "engram.status"}, 600)
            self.look()
            if all(folder["loaded"] for folder in status["folders"]) and status["folders"]:
                return self.seconds
            if self.seconds > most:
                raise TimeoutError("the project was not read in time")
            time.sleep(0.05)

    def ask(self, method: str, params: Any) -> tuple[Any, float]:
        pending = self.client.send(method, params)
        try:
            found = pending.result(600)
        except ResponseError as error:
            found = error
        self.look()
        return found, pending.seconds * 1000

    def stop(self) -> None:
        self.look()
        self.client.stop(120)


def place_of(project: Synthetic, path: str, text: str, nth: int = 0) -> tuple[int, int]:
    source_ = (project.root / path).read_text(encoding="utf-8")
    at = -1
    for _ in range(nth + 1):
        at = source_.index(text, at + 1)
    return source_.count("\n", 0, at), at - source_.rfind("\n", 0, at) - 1


def opened(server: Server, path: str) -> str:
    return server.client.open(server.project.root / path)


def started(project: Synthetic, cache: Path, figures: dict[str, float], kind: str) -> None:
    """From a start until the first answers: a definition in one conversation, references in another."""
    name = project.common.functions[0]
    user = sorted(project.uses[name])[len(project.uses[name]) // 2]
    server = Server(project, cache)
    figures[f"{kind}: initialize, s"] = server.initialized
    uri = opened(server, user)
    found, _ = server.ask("textDocument/definition", where(uri, *place_of(project, user, name)))
    figures[f"{kind}: first definition, s"] = server.seconds
    assert found and found[0]["uri"].endswith(project.common.path), found
    server.client.kill()
    server = Server(project, cache)
    uri = opened(server, project.common.path)
    params = {
        **where(uri, *place_of(project, project.common.path, f"def {name}")),
        "context": {"includeDeclaration": True},
    }
    params["position"]["character"] += 4
    found, _ = server.ask("textDocument/references", params)
    figures[f"{kind}: first references, s"] = server.seconds
    files = {location["uri"].rpartition("/")[2] for location in found}
    assert files >= {path.rpartition("/")[2] for path in project.uses[name]}, "references are missing"
    figures["files with references"] = len(files)
    figures[f"{kind}: all read, s"] = server.ready()
    figures[f"{kind}: CPU, s"] = server.cpu()
    figures[f"{kind}: peak memory, MB"] = server.most
    server.stop()


def steady(server: Server, times: dict[str, list[float]]) -> None:
    """Questions about other symbols each time, in documents that are edited in between."""
    project, random_ = server.project, random.Random(3)
    for _ in range(REPEATED):
        module = random_.choice(project.modules[1:])
        uri = opened(server, module.path)
        function = random_.choice(module.functions)
        line, column = place_of(project, module.path, f"def {function}")
        spot = where(uri, line, column + 4)
        server.ask("textDocument/hover", spot)  # the document is read
        times["definition"].append(server.ask("textDocument/definition", spot)[1])
        times["hover"].append(server.ask("textDocument/hover", spot)[1])
        context = {"context": {"includeDeclaration": True}}
        times["references"].append(server.ask("textDocument/references", {**spot, **context})[1])
        times["rename"].append(server.ask("textDocument/rename", {**spot, "newName": f"{function}_new"})[1])
        times["workspace symbols"].append(server.ask("workspace/symbol", {"query": function[:9]})[1])
        times["workspace symbols, 2 letters"].append(server.ask("workspace/symbol", {"query": function[:2]})[1])
        end = (project.root / module.path).read_text(encoding="utf-8").count("\n")
        class_ = random_.choice(module.classes)
        typed(server, uri, end, 0, f"\nmade = {class_}(1)\nmade.")
        times["member completion"].append(server.ask("textDocument/completion", where(uri, end + 2, 5))[1])
        typed(server, uri, end + 2, 5, "\nbui")
        times["name completion"].append(server.ask("textDocument/completion", where(uri, end + 3, 3))[1])
        server.client.close(uri)
    uri = opened(server, project.common.path)
    for function in project.common.functions[:5] * 2:
        line, column = place_of(project, project.common.path, f"def {function}(")
        context = {"context": {"includeDeclaration": True}}
        asked = server.ask("textDocument/references", {**where(uri, line, column + 4), **context})
        times["references of common names"].append(asked[1])
    server.client.close(uri)


def typed(server: Server, uri: str, line: int, column: int, text: str) -> None:
    at = {"line": line, "character": column}
    server.client.change(uri, {"range": {"start": at, "end": at}, "text": text})


def typing(server: Server, times: dict[str, list[float]]) -> None:
    """Keystrokes in a file of 5,000 lines, a few in a second, as people type."""
    parts = [(server.project.root / module.path).read_text(encoding="utf-8") for module in server.project.modules[:13]]
    text = "".join(parts)
    path = server.project.root / "pkg000" / "long_file.py"
    uri = server.client.open(path, text)
    line = text.count("\n") // 2
    server.ask("textDocument/hover", where(uri, line, 0))
    typed(server, uri, line, 0, "\n")
    for number in range(TYPED):
        began = time.perf_counter()
        typed(server, uri, line, number, "abcdefghij"[number % 10])
        server.ask("textDocument/hover", NOWHERE)  # messages are taken in turn, and this has no answer
        times["a keystroke absorbed"].append((time.perf_counter() - began) * 1000)
        time.sleep(0.12)
    for number in range(TYPED // 4):
        began = time.perf_counter()
        typed(server, uri, line, 0, "abcdefghij"[number % 10])
        server.ask("textDocument/definition", where(uri, line, 1))
        times["a keystroke seen"].append((time.perf_counter() - began) * 1000)
    server.client.close(uri)


def disk(server: Server, times: dict[str, list[float]]) -> None:
    """Files that appear, with and without word from the editor, and a checkout of a thousand files."""
    project = server.project
    name = project.common.functions[1]
    uri = opened(server, project.common.path)
    line, column = place_of(project, project.common.path, f"def {name}(")
    params = {**where(uri, line, column + 4), "context": {"includeDeclaration": True}}

    def seen(file: str) -> Callable[[], bool]:
        return lambda: any(found["uri"].endswith(file) for found in server.ask("textDocument/references", params)[0])

    for number in range(6):
        path = project.root / "pkg000" / f"appeared_{number}.py"
        path.write_text(f"from {project.common.dotted} import {name}\n\n{name}(1)\n", encoding="utf-8")
        told = number % 2 == 0
        if told:
            change = {"uri": path.as_uri(), "type": 1}
            server.client.notify("workspace/didChangeWatchedFiles", {"changes": [change]})
        what = "new file seen, told by the editor" if told else "new file seen, by the watcher"
        times[what].append(until(seen(path.name)))
    changed = [project.root / module.path for module in project.modules[1:1001]]
    began = time.perf_counter()
    for number, path in enumerate(changed):
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n\ndef checked_out_{number}():\n    return {number}\n")
    times["checkout: writing it"].append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    last = f"checked_out_{len(changed) - 1}"
    spot = where(uri, line, column + 4)
    while not server.ask("workspace/symbol", {"query": last})[0]:
        times["checkout: definition meanwhile"].append(server.ask("textDocument/definition", spot)[1])
        time.sleep(0.02)
        if time.perf_counter() - began > 120:
            break
    times[f"checkout of {len(changed):,} files absorbed"].append((time.perf_counter() - began) * 1000)
    server.client.close(uri)


def until(true: Callable[[], bool], most: float = 30.0) -> float:
    """Milliseconds until something is so."""
    began = time.perf_counter()
    while not true():
        if time.perf_counter() - began > most:
            return float("inf")
        time.sleep(0.005)
    return (time.perf_counter() - began) * 1000


def measured(folder: Path, lines: int, only: set[str]) -> dict[str, str]:
    root = folder / f"project_{lines}"
    root.mkdir(parents=True)
    project = made(root, lines)
    for file in root.rglob("*.py"):  # what was written this second is not trusted to stay
        os.utime(file, (time.time() - 60, time.time() - 60))
    cache = folder / f"cache_{lines}"
    figures: dict[str, float] = {}
    times: dict[str, list[float]] = defaultdict(list)
    if "cold" in only or "warm" in only:
        started(project, cache, figures, "cold")
    if "warm" in only:
        started(project, cache, figures, "warm")
    if only & {"steady", "typing", "disk"}:
        server = Server(project, cache)
        server.ready()
        for what, measure in (("steady", steady), ("typing", typing), ("disk", disk)):
            if what in only:
                measure(server, times)
        figures["peak memory while answering, MB"] = server.most
        server.stop()
    row = {"lines": f"{project.lines:,}", "modules": f"{len(project.modules):,}"}
    row |= {name: f"{value:,.0f}" if value >= 20 else f"{value:.2f}" for name, value in figures.items()}
    row |= {f"{name}, p50 / p95": quantiles(values) for name, values in times.items() if len(values) > 3}
    row |= {name: f"{max(values):,.0f}" for name, values in times.items() if len(values) <= 3}
    return row


def quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    p50, p95 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95))
    return " / ".join(f"{value:.1f}" if value < 20 else f"{value:,.0f}" for value in (p50, p95))


def table(rows: list[dict[str, str]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield "| | " + " | ".join(row["lines"] for row in rows) + " |"
    yield "|---" * (len(rows) + 1) + "|"
    for name in names[1:]:
        yield f"| {name} | " + " | ".join(row.get(name, "–") for row in rows) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("cold", "warm", "steady", "typing", "disk")
    parser.add_argument("--lines", type=int, nargs="+", default=[10_000, 50_000, 200_000, 1_000_000])
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--folder", type=Path, help="where the projects are made; they stay there")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for lines in options.lines:
            rows.append(measured(options.folder or Path(temporary), lines, set(options.only)))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print("\n".join(table(rows)))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
