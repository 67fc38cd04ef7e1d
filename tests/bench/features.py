"""How long each question about a large file takes: asked of the memory itself, and over stdio at rest and while typing.

    python tests/bench/features.py FILE [--rounds 60] [--wire]

Columns: p50, p95 and slowest in milliseconds over random names of the file. "memory": processor time of the pure function;
questions about one snapshot share what was inferred, so the slowest is mostly the first. "wire, at rest": the request to a server that has read the file's folder, nothing else going on. "wire, typed":
the same right after a keystroke somewhere in the file, so with the reading of the new text.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from engram_context.project import Project
from engram_context.text import Place, Span, Text
from engram_context.views import call_hierarchy, declarations, type_hierarchy
from engram_context.views.folding import folds
from engram_context.views.highlight import highlights
from engram_context.views.hints import Wishes, hints
from engram_context.views.lenses import lenses, mentions
from engram_context.views.links import links
from engram_context.views.selection import selections
from engram_context.views.semantic import encoded, semantic_tokens
from engram_context.views.signatures import signature_help
from engram_lsp.client import Client
from rich.console import Console
from rich.table import Table

Times = dict[str, list[float]]

SCREEN = 60  # lines


def measured(times: Times, name: str, work: Callable[[], object]) -> None:
    began = time.thread_time()
    work()
    times.setdefault(name, []).append(time.thread_time() - began)


def memory(root: Path, path: str, rounds: int) -> Times:
    """Each function by itself."""
    times: Times = {}
    with tempfile.TemporaryDirectory() as cache:
        project = Project(root, cache_folder=Path(cache))
        project.apply(project.load())
        text, snapshot = project.text(path), project.snapshot
        record = snapshot.record(path)
        assert text is not None and record is not None
        project.edit(path, text)
        project.settle()
        tree = project.tree(path, text)
        assert tree is not None
        chance = random.Random(1)
        calls = [row for row in range(len(record.calls)) if len(record.calls[row].arguments)]
        for _ in range(rounds):
            place = Place(path, chance.choice(record.occurrences.start))
            first = chance.randrange(max(text.line_count - SCREEN, 1))
            screen = Span(text.line_start(first), text.line_start(first + SCREEN))
            call = Place(path, record.calls.inside_end[chance.choice(calls)])
            lens = chance.choice(lenses(snapshot, path))
            spot = Place(path, lens.start)
            item = call_hierarchy.definitions_at(snapshot, spot)[0]
            environment = project.environment
            asked: tuple[tuple[str, Callable[[], object]], ...] = (
                ("signature help", partial(signature_help, snapshot, call)),
                ("highlights", partial(highlights, snapshot, place)),
                ("declaration", partial(declarations.declarations, snapshot, place)),
                ("type definition", partial(declarations.type_definitions, snapshot, place)),
                ("implementation", partial(type_hierarchy.implementations, snapshot, place, environment)),
                ("folds", partial(folds, tree, text)),
                ("selection", partial(selections, tree, text, place.offset)),
                ("semantic tokens", partial(tokens, snapshot, path, text)),
                ("hints, a screen", partial(hints, snapshot, path, screen, Wishes("all", True, True))),
                ("hints, the file", partial(hints, snapshot, path, Span(0, len(text)), Wishes("all", True, True))),
                ("lenses", partial(lenses, snapshot, path)),
                ("a lens resolved", partial(mentions, snapshot, spot)),
                ("links", partial(links, tree, text, (root,))),
                ("incoming calls", partial(call_hierarchy.incoming, snapshot, item)),
                ("outgoing calls", partial(call_hierarchy.outgoing, snapshot, item)),
            )
            for name, work in asked:
                measured(times, name, work)
        project.close_project()
    return times


def tokens(snapshot: Any, path: str, text: Text) -> object:
    found = semantic_tokens(snapshot, path)
    assert found is not None
    lines, columns = text.positions(found.start)
    _, ends = text.positions(found.end)
    return encoded(lines, columns, ends - columns, found)


CAPABILITIES = {
    "textDocument": {
        **{
            name: {}
            for name in (
                "signatureHelp", "documentHighlight", "declaration", "typeDefinition", "implementation", "foldingRange",
                "selectionRange", "callHierarchy", "typeHierarchy", "inlayHint", "codeLens", "documentLink",
            )
        },
        "semanticTokens": {
            "requests": {"full": {"delta": True}, "range": True},
            "tokenTypes": [], "tokenModifiers": [], "formats": ["relative"],
        },
    }
}  # fmt: skip


def wire(root: Path, path: str, rounds: int, *, typed: bool) -> Times:
    """Each request to a server, one after the other."""
    times: Times = {}
    text = Text.of((root / path).read_bytes())
    lines = text.decode().splitlines()
    with tempfile.TemporaryDirectory() as cache:
        settings = {"index": {"cacheFolder": cache}, "model": {"path": "none"}, "codeLens": {"references": True}}
        with Client(configuration=settings) as client:
            client.initialize(root, capabilities=CAPABILITIES, options=settings)
            client.ready(600)
            uri = client.open(root / path)
            client.ready(600)
            state: dict[str, Any] = {"id": ""}
            chance = random.Random(1)
            for _ in range(rounds):
                for method, params in questions(uri, lines, chance, state):
                    line = chance.randrange(len(lines))
                    if typed:
                        keystroke(client, uri, line, "x")
                    pending = client.send(method, params)
                    answer = pending.result(120)
                    times.setdefault(method.partition("/")[2], []).append(pending.seconds)
                    if method.startswith("textDocument/semanticTokens/full"):
                        state["id"] = answer["resultId"]
                    if typed:
                        client.change(uri, {"range": spot(line, 0, 1), "text": ""})
                        client.request(
                            "textDocument/hover", {"textDocument": {"uri": uri}, "position": spot(0)["start"]}
                        )
    return times


def questions(
    uri: str, lines: list[str], chance: random.Random, state: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    item = {"textDocument": {"uri": uri}}
    line = chance.choice([number for number, content in enumerate(lines) if "(" in content and "self." in content])
    column = lines[line].index("self.") + 6
    place = {**item, "position": {"line": line, "character": column}}
    inside = {**item, "position": {"line": line, "character": lines[line].index("(") + 1}}
    screen = {"start": {"line": line, "character": 0}, "end": {"line": line + SCREEN, "character": 0}}
    yield "textDocument/signatureHelp", inside
    yield "textDocument/documentHighlight", place
    yield "textDocument/declaration", place
    yield "textDocument/typeDefinition", place
    yield "textDocument/implementation", place
    yield "textDocument/foldingRange", item
    yield "textDocument/selectionRange", {**item, "positions": [place["position"]]}
    yield "textDocument/semanticTokens/full", item
    yield "textDocument/semanticTokens/full/delta", {**item, "previousResultId": state["id"]}
    yield "textDocument/semanticTokens/range", {**item, "range": screen}
    yield "textDocument/inlayHint", {**item, "range": screen}
    yield "textDocument/codeLens", item
    yield "textDocument/documentLink", item
    yield "textDocument/prepareCallHierarchy", place


def spot(line: int, column: int = 0, length: int = 0) -> dict[str, Any]:
    return {"start": {"line": line, "character": column}, "end": {"line": line, "character": column + length}}


def keystroke(client: Client, uri: str, line: int, letter: str) -> None:
    client.change(uri, {"range": spot(line), "text": letter})


def show(console: Console, title: str, times: Times) -> None:
    table = Table(title=title)
    for name in ("question", "p50 ms", "p95 ms", "slowest ms"):
        table.add_column(name, justify="left" if name == "question" else "right")
    for name, seconds in times.items():
        values = np.array(seconds) * 1000
        table.add_row(name, *(f"{value:.2f}" for value in (*np.percentile(values, (50, 95)), values.max())))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--wire", action="store_true", help="ask a server too")
    arguments = parser.parse_args()
    console = Console(width=100)
    file: Path = arguments.file
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        root.mkdir()
        shutil.copy(file, root / file.name)
        lines = len(file.read_text(encoding="utf-8").splitlines())
        console.print(f"{file.name}: {lines:,} lines, {arguments.rounds} rounds, Python {sys.version.split()[0]}")
        show(console, "memory", memory(root, file.name, arguments.rounds))
        if arguments.wire:
            show(console, "wire, at rest", wire(root, file.name, arguments.rounds, typed=False))
            show(console, "wire, typed", wire(root, file.name, max(arguments.rounds // 4, 5), typed=True))


if __name__ == "__main__":
    main()
