"""The server as an editor meets it: starts, answers while typing, renames, memory; over stdio, on a real project.

    python tests/bench/server.py PROJECT [--places 40] [--json FILE]

Columns: requests, p50, p95 and slowest in milliseconds. "first" is the first question in a document that was just
opened, "typing" the questions after each of the next keystrokes, by whoever answered: the model, or what is left of a
suggestion that is being typed. "after accepting": the first question in the line below an accepted suggestion, asked
0.3 seconds later, by whether the answer was made ahead.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from engram_lsp.cli import demo_places as places
from engram_lsp.cli.demo import CAPABILITIES
from engram_lsp.client import Client, ResponseError, where
from rich.console import Console
from rich.table import Table

KEYSTROKES = 6
PAUSE = 0.3


def started(root: Path, cache: Path) -> tuple[Client, dict[str, float]]:
    began = time.perf_counter()
    client = Client(
        [sys.executable, "-m", "engram_lsp.cli", "serve"], configuration={"index": {"cacheFolder": str(cache)}}
    )
    client.initialize(root, capabilities=CAPABILITIES, name="bench")
    initialized = time.perf_counter() - began
    client.ready(900)
    return client, {"initialize_s": initialized, "ready_s": time.perf_counter() - began}


class Peak:
    """The largest memory of a process and its children that was seen, in MB."""

    def __init__(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        self.most = 0.0

    def look(self) -> None:
        with_children = [self.process, *self.process.children(recursive=True)]
        self.most = max(self.most, sum(process.memory_info().rss for process in with_children) / 1e6)


def typing(client: Client, root: Path, most: int, times: dict[str, list[float]], peak: Peak) -> None:
    """Types the end of written lines, asking for ghost text and for a list after every keystroke, as editors do."""
    for spot in places.line_ends(root, most):
        uri = client.open(spot.file, spot.text_without_rest)
        for typed, char in enumerate(spot.rest[:KEYSTROKES]):
            column = spot.column + typed
            kept = counts(client)["kept"]
            ghost = client.send(
                "textDocument/inlineCompletion",
                {**where(uri, spot.line, column), "context": {"triggerKind": 2}},
            )
            listed = client.send("textDocument/completion", where(uri, spot.line, column))
            ghost.result(120)
            listed.result(120)
            who = "first" if typed == 0 else "typing, of what is shown" if counts(client)["kept"] > kept else "typing"
            times[f"ghost text, {who}"].append(ghost.seconds)
            times[f"completion list, {'first' if typed == 0 else 'typing'}"].append(listed.seconds)
            insert(client, uri, spot.line, column, char)
        problems = client.send("textDocument/diagnostic", {"textDocument": {"uri": uri}})
        problems.result(120)
        times["problems of the edited document"].append(problems.seconds)
        peak.look()
        client.close(uri)


def accepting(client: Client, root: Path, most: int, times: dict[str, list[float]]) -> None:
    """Accepts what is suggested at the ends of written lines, begins a new line, and asks again."""
    for spot in places.line_ends(root, most):
        uri = client.open(spot.file, spot.text_without_rest)
        ghost = client.send(
            "textDocument/inlineCompletion", {**where(uri, spot.line, spot.column), "context": {"triggerKind": 2}}
        )
        items = (ghost.result(120) or {"items": []})["items"]
        if items:
            line, column = accept(client, uri, items[0], spot.line)
            time.sleep(PAUSE)
            indentation = " " * (len(spot.written) - len(spot.written.lstrip()))
            insert(client, uri, line, column, f"\n{indentation}")
            kept = counts(client)["kept"]
            below = client.send(
                "textDocument/inlineCompletion",
                {**where(uri, line + 1, len(indentation)), "context": {"triggerKind": 2}},
            )
            below.result(120)
            who = "made ahead" if counts(client)["kept"] > kept else "computed"
            times[f"ghost text after accepting, {who}"].append(below.seconds)
        client.close(uri)


def accept(client: Client, uri: str, item: dict[str, Any], line: int) -> tuple[int, int]:
    """Writes a suggestion into the document; where it ends."""
    text, start = item["insertText"], item["range"]["start"]["character"]
    client.change(uri, {"range": item["range"], "text": text})
    *above, last = text.split("\n")
    return line + len(above), len(last) + (0 if above else start)


def insert(client: Client, uri: str, line: int, column: int, text: str) -> None:
    at = {"line": line, "character": column}
    client.change(uri, {"range": {"start": at, "end": at}, "text": text})


def counts(client: Client) -> dict[str, int]:
    return client.request("workspace/executeCommand", {"command": "engram.status"})["ghostText"]


def symbols(client: Client, root: Path, most: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in places.modules(root)[:: max(1, len(places.modules(root)) // most)]:
        uri = client.open(file, places.read(file))
        found = client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}}) or []
        for symbol in found:
            start = symbol["selectionRange"]["start"]
            if symbol["kind"] in (5, 12) and not symbol["name"].startswith("__"):
                yield symbol["name"], where(uri, start["line"], start["character"])
                break
        client.close(uri)


def questions(client: Client, root: Path, most: int, times: dict[str, list[float]], peak: Peak) -> dict[str, int]:
    outcomes: dict[str, int] = defaultdict(int)
    for name, place in islice(symbols(client, root, most * 2), most):
        for method, extra in (
            ("definition", {}),
            ("hover", {}),
            ("references", {"context": {"includeDeclaration": True}}),
            ("rename", {"newName": f"{name}_bench"}),
        ):
            pending = client.send(f"textDocument/{method}", {**place, **extra})
            try:
                pending.result(300)
                outcomes[f"{method} answered"] += 1
            except ResponseError:
                outcomes[f"{method} refused"] += 1
            times[method].append(pending.seconds)
        found = client.send("workspace/symbol", {"query": name})
        found.result(60)
        times["workspace symbols"].append(found.seconds)
        peak.look()
    return dict(outcomes)


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--places", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    root = options.project.resolve()
    times: dict[str, list[float]] = defaultdict(list)
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as cache:
        client, cold = started(root, Path(cache))
        status = client.ready()
        peak = Peak(client.process.pid)
        peak.look()
        settled = peak.most
        outcomes = questions(client, root, options.places // 2, times, peak)
        typing(client, root, options.places, times, peak)
        accepting(client, root, options.places, times)
        client.stop()
        warm_client, warm = started(root, Path(cache))
        warm_client.stop()
    counts = {name: status["folders"][0][name] for name in ("files", "lines", "tokens")}
    table = Table(title=f"{root.name}: {counts}", title_justify="left")
    for column in ("request", "n", "p50 ms", "p95 ms", "max ms"):
        table.add_column(column, justify="left" if column == "request" else "right")
    for name, values in times.items():
        table.add_row(
            name,
            str(len(values)),
            *(f"{quantile(values, share) * 1000:.1f}" for share in (0.5, 0.95)),
            f"{max(values) * 1e3:.0f}",
        )
    console.print(table)
    console.print(f"cold start {cold}, warm start {warm}")
    console.print(f"memory after the first read {settled:.0f} MB, peak while answering {peak.most:.0f} MB; {outcomes}")
    if options.json:
        figures = {name: {"n": len(v), "p50": quantile(v, 0.5), "p95": quantile(v, 0.95)} for name, v in times.items()}
        report = {"project": root.name, **counts, "cold": cold, "warm": warm, "peak_mb": peak.most, "times": figures}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
