"""`engram-ls demo`: the real server over stdio, on a real project, with nothing prepared.

The places are found in the project by rules (the first lines of its largest modules that say enough, the first function
that several files mention), so another project shows other places. Every answer comes from the server process, and
every latency is that of a request as an editor would see it.
"""

import argparse
import difflib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from engram_context.edits import Edit, apply
from engram_context.text import Text
from lsprotocol import types
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text as Styled

from engram_lsp import convert
from engram_lsp.cli import demo_places as places
from engram_lsp.cli.terminal import UserError, notes, out, print_json, progress
from engram_lsp.client import Client, ResponseError, where

PACKAGE = "flask==3.1.2"
MOST_ASKED = 40  # places at which ghost text is asked for

CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-32"]},  # Python's own unit: columns are indexes into str
    "textDocument": {
        "diagnostic": {},
        "inlineCompletion": {},
        "completion": {"completionItem": {"snippetSupport": False}},
        "rename": {"prepareSupport": True},
        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
    },
    "workspace": {"workspaceEdit": {"documentChanges": True}, "configuration": True},
    "window": {"workDoneProgress": True},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", help="a project folder; without it a source distribution is fetched")
    parser.add_argument("--package", default=PACKAGE, help=f"the distribution to fetch (default: {PACKAGE})")
    parser.add_argument("--json", action="store_true", help="print one JSON value instead of tables")


def run(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="engram-demo-") as scratch:
        root = _project(options, Path(scratch))
        shown = Demo(root, Path(scratch) / "cache", quiet=options.json)
        report = shown.run()
        if options.json:
            print_json(report)
    return 0


# The project to show


def _project(options: argparse.Namespace, scratch: Path) -> Path:
    if options.path:
        root = Path(options.path).expanduser().resolve()
        if not root.is_dir():
            raise UserError(f"{root} is not a folder")
        if not places.modules(root):
            raise UserError(f"{root} holds no Python files that are not ignored")
        return root
    with progress(f"fetching {options.package}", quiet=options.json):
        fetched = _fetch(options.package, scratch)
    if fetched is not None:
        return fetched
    notes.print(f"[yellow]{options.package} cannot be fetched here: showing the standard library's own sources[/]")
    root = scratch / "standard-library"
    library = Path(sysconfig.get_path("stdlib"))
    wanted = ("asyncio", "concurrent", "email", "http", "importlib", "json", "logging", "multiprocessing", "unittest")
    for name in (*wanted, *(path.name for path in sorted(library.glob("*.py")))):
        source = library / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            root.mkdir(exist_ok=True)
            shutil.copy(source, root / name)
    return root


def _fetch(package: str, scratch: Path) -> Path | None:
    """The unpacked source distribution of `package`, fetched by pip; None without pip or network."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    try:
        subprocess.run([*command, "-d", str(scratch), package], check=True, capture_output=True, timeout=180)
    except (OSError, subprocess.SubprocessError):
        return None
    archive = next(scratch.glob("*.tar.gz"), None)
    if archive is None:
        return None
    with tarfile.open(archive) as tar:
        tar.extractall(scratch / "project", filter="data")
    return next((path for path in (scratch / "project").iterdir() if path.is_dir()), None)


# The demonstration


class Demo:
    """One run: a cold start, questions, a warm start. Keeps what it saw for the report."""

    def __init__(self, root: Path, cache: Path, *, quiet: bool) -> None:
        self.root = root
        self.cache = cache
        self.quiet = quiet
        self.report: dict[str, Any] = {"project": str(root)}

    def run(self) -> dict[str, Any]:
        self._say(Panel(f"[bold]engram-ls demo[/]  {self.root.name}\n[dim]{self.root}[/]", expand=False))
        with self._start("cold") as client:
            self._ghost_text(client)
            self._lists(client)
            self._problems(client)
            self._fault(client)
            self._rename(client)
        with self._start("warm") as client:
            self._first_answer(client)
        return self.report

    # Starting

    def _start(self, name: str) -> Client:
        """A new server process, initialized, with the project read; says how long that took."""
        client = Client(
            [sys.executable, "-m", "engram_lsp.cli", "serve"],
            configuration={"index": {"cacheFolder": str(self.cache)}},
        )
        began = time.perf_counter()
        client.initialize(self.root, capabilities=CAPABILITIES, name="engram-ls demo")
        up = time.perf_counter() - began
        with progress(f"{name} start: reading the project", quiet=self.quiet):
            status = client.ready(600)
        ready = time.perf_counter() - began
        counts = status["folders"][0]
        self.report[name] = {"initialize_s": up, "ready_s": ready, "status": status}
        table = Table(title=f"{name} start", title_justify="left", show_header=False)
        table.add_row("answers after", f"{up * 1000:.0f} ms")
        table.add_row("project read after", f"{ready:.2f} s")
        for label in ("files", "lines", "tokens"):
            table.add_row(label, f"{counts[label]:,}")
        table.add_row("model", str(status.get("model", "none")))
        self._say(table)
        return client

    # Ghost text and lists

    def _ghost_text(self, client: Client) -> None:
        """Takes away the end of written lines, one at a time, and asks for it; shows three, counts all."""
        seen: list[dict[str, Any]] = []
        for spot in places.line_ends(self.root, MOST_ASKED):
            uri = client.open(spot.file, spot.text_without_rest)
            pending = client.send(
                "textDocument/inlineCompletion",
                {**where(uri, spot.line, spot.column), "context": {"triggerKind": 2}},
            )
            items = (pending.result() or {}).get("items", [])
            client.close(uri)
            text = items[0]["insertText"] if items else ""
            typed = spot.column - items[0]["range"]["start"]["character"] if items and items[0].get("range") else 0
            text = text[typed:]
            seen.append(
                {
                    "file": self._name(spot.file),
                    "line": spot.line + 1,
                    "before": spot.written[: spot.column],
                    "written": spot.rest,
                    "shown": text,
                    "ms": pending.seconds * 1000,
                }
            )
        shown = [one for one in seen if one["shown"]]
        exact = [one for one in shown if one["shown"].rstrip() == one["written"].rstrip()]
        self.report["ghost_text"] = seen
        table = Table(title="ghost text: the end of a written line is taken away and asked for", title_justify="left")
        for column in ("where", "line, [green]suggested[/]", "as it was", "ms"):
            table.add_column(column, overflow="fold", justify="right" if column == "ms" else "left")
        for one in _varied(shown, 3):
            line = Styled(one["before"].lstrip()) + Styled(one["shown"], style="green")
            same = one["shown"].rstrip() == one["written"].rstrip()
            as_it_was = Styled("the same" if same else one["written"], style="green" if same else "dim")
            table.add_row(f"{one['file']}:{one['line']}", line, as_it_was, f"{one['ms']:.0f}")
        self._say(table)
        if seen:
            times = [one["ms"] for one in seen]
            self._say(
                f"asked at {len(seen)} places: sure enough to show {len(shown)}, {len(exact)} of them exactly as "
                f"written; median {median(times):.0f} ms, slowest {max(times):.0f} ms\n"
            )

    def _lists(self, client: Client) -> None:
        """Ranked lists where a name begins: after a dot, and with one letter typed."""
        table = Table(title="completion lists, best first", title_justify="left")
        for column in ("where", "line", "list", "as it was", "ms"):
            table.add_column(column, overflow="fold", justify="right" if column == "ms" else "left")
        lists: list[dict[str, Any]] = []
        for spot in places.names(self.root, 3):
            uri = client.open(spot.file, spot.text_without_rest)
            pending = client.send("textDocument/completion", where(uri, spot.line, spot.column))
            answer = pending.result() or []
            client.close(uri)
            items: list[dict[str, Any]] = answer["items"] if isinstance(answer, dict) else answer
            labels = [label for _, label in sorted((item.get("sortText", ""), item["label"]) for item in items)]
            name = spot.word
            rank = labels.index(name) + 1 if name in labels else None
            lists.append({"file": self._name(spot.file), "line": spot.line + 1, "items": labels[:10], "rank": rank})
            table.add_row(
                f"{self._name(spot.file)}:{spot.line + 1}",
                spot.written[: spot.column].lstrip() + "▏",
                ", ".join(labels[:6]) + (f"  … {len(labels)} in all" if len(labels) > 6 else ""),
                f"{name} [dim](rank {rank})[/]" if rank else f"{name} [dim](not in the list)[/]",
                f"{pending.seconds * 1000:.0f}",
            )
        self.report["lists"] = lists
        self._say(table)

    # Problems

    def _problems(self, client: Client) -> None:
        """Opens every module as an editor would, and asks for its problems."""
        found: list[tuple[Path, Any]] = []
        times: list[float] = []
        for file in places.modules(self.root):
            uri = client.open(file, places.read(file))
            pending = client.send("textDocument/diagnostic", {"textDocument": {"uri": uri}})
            found += [(file, item) for item in pending.result(60).get("items", [])]
            times.append(pending.seconds * 1000)
            client.close(uri)
        counts = Counter(item.get("code", "?") for _, item in found)
        self.report["problems"] = {"by_code": dict(counts), "files": len(times), "ms": times}
        summary = ", ".join(f"{count} {code}" for code, count in counts.most_common()) or "none"
        title = f"problems in {len(times)} files, {median(times or [0]):.0f} ms each: {summary}"
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        first_of_code: dict[str, tuple[Path, Any]] = {}
        for file, item in found:
            first_of_code.setdefault(item.get("code", "?"), (file, item))
        for file, item in [*first_of_code.values(), *found][:6]:
            line = item["range"]["start"]["line"] + 1
            table.add_row(f"{self._name(file)}:{line}", f"{item['message']}  [dim]{item.get('code', '')}[/]")
        self._say(table)

    def _fault(self, client: Client) -> None:
        """Misspells the first imported name that is used, in an open document only, and puts it right again."""
        for file in places.modules(self.root):
            text = places.read(file)
            misspelt = places.misspelt(text)
            if misspelt is None:
                continue
            name, wrong = misspelt
            uri = client.open(file, text)
            client.change(uri, wrong)
            pending = client.send("textDocument/diagnostic", {"textDocument": {"uri": uri}})
            items = pending.result(60).get("items", [])
            found = next((item for item in items if item.get("code") == "undefined-name"), None)
            client.change(uri, text)
            after = client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}}).get("items", [])
            client.close(uri)
            if found is None:
                continue
            withdrawn = all(item.get("code") != "undefined-name" for item in after)
            self.report["fault"] = {"name": name, "found": found, "withdrawn": withdrawn, "ms": pending.seconds * 1000}
            self._say(
                f"a use of [bold]{name}[/] in {self._name(file)} is misspelt: "
                f"line {found['range']['start']['line'] + 1}, "
                f"[red]{escape(found['message'])}[/] after {pending.seconds * 1000:.0f} ms; put right again: "
                f"{'withdrawn' if withdrawn else 'still shown'}\n"
            )
            return

    # Rename

    def _rename(self, client: Client) -> None:
        """The first function or class that several files use, renamed; shown as a diff, written nowhere."""
        for symbol, place in self._renamable(client):
            pending = client.send("textDocument/rename", {**place, "newName": f"{symbol}_renamed"})
            try:
                edit = pending.result(60)
            except ResponseError as refusal:
                self._say(f"[dim]rename {symbol}: refused: {refusal.message}[/]")
                continue
            named = ((convert.path_of(one["textDocument"]["uri"]), one["edits"]) for one in edit["documentChanges"])
            changes = {path: edits for path, edits in named if path is not None}
            diff = "".join(self._diff(path, edits) for path, edits in sorted(changes.items()))
            edits = sum(map(len, changes.values()))
            self.report["rename"] = {
                "symbol": symbol,
                "files": len(changes),
                "edits": edits,
                "ms": pending.seconds * 1e3,
            }
            self._say(
                f"[bold]rename {symbol} → {symbol}_renamed[/]: {edits} edits in {len(changes)} files, checked and "
                f"answered in {pending.seconds * 1000:.0f} ms; every edited file compiles"
            )
            lines = diff.splitlines()
            self._say(Syntax("\n".join(lines[:40]), "diff", background_color="default"))
            if len(lines) > 40:
                self._say(f"[dim]… {len(lines) - 40} more lines of diff[/]")
            return
        self._say("[dim]no function or class here is used by more than one file[/]")

    def _renamable(self, client: Client) -> Iterator[tuple[str, dict[str, Any]]]:
        for file in places.modules(self.root):
            uri = client.open(file)
            symbols = client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}}) or []
            for symbol in symbols:
                start = symbol["selectionRange"]["start"]
                place = where(uri, start["line"], start["character"])
                if symbol["kind"] in (5, 12) and not symbol["name"].startswith("__"):
                    pending = client.send("textDocument/references", {**place, "context": {"includeDeclaration": True}})
                    references = pending.result() or []
                    files = {reference["uri"] for reference in references}
                    if len(files) >= 3:
                        self._say(
                            f"references of {symbol['name']}: {len(references)} in {len(files)} files, "
                            f"{pending.seconds * 1000:.0f} ms"
                        )
                        yield symbol["name"], place
            client.close(uri)

    def _diff(self, path: Path, edits: list[dict[str, Any]]) -> str:
        before = path.read_text(encoding="utf-8")
        after = _applied(before, edits)
        compile(after, str(path), "exec", dont_inherit=True)
        name = self._name(path)
        lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{name}", f"b/{name}", n=0)
        return "".join(lines)

    # The second start

    def _first_answer(self, client: Client) -> None:
        for file in places.modules(self.root):
            uri = client.open(file)
            pending = client.send("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
            pending.result()
            self.report["warm"]["first_answer_ms"] = pending.seconds * 1000
            self._say(f"first outline after the warm start: {pending.seconds * 1000:.0f} ms")
            client.close(uri)
            return

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def _say(self, what: Any) -> None:
        if not self.quiet:
            out.print(what)


def _varied(found: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The first of each file, then the others: three lines of one file show less than three files."""
    firsts = list({one["file"]: one for one in reversed(found)}.values())[::-1]
    return [*firsts, *(one for one in found if one not in firsts)][:most]


def _applied(before: str, edits: list[dict[str, Any]]) -> str:
    """The text after the server's edits, whose columns are in the unit that `CAPABILITIES` ask for."""
    text = Text.of(before)
    ranges = [types.Range(*(types.Position(**edit["range"][end]) for end in ("start", "end"))) for edit in edits]
    spans = [convert.span_of(text, range, "utf-32") for range in ranges]
    return apply(text, [Edit(span, edit["newText"]) for span, edit in zip(spans, edits, strict=True)]).decode()
