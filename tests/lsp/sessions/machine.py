"""Random editor sessions. After each, what the server knows equals what the editor shows, and a fresh server agrees."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from engram_lsp.client import ClientError
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from lsp.sessions.editor import Editor, uri_of
from lsp.sessions.inside import Inside
from lsp.sessions.leaks import check_nothing_left
from lsp.sessions.mirror import as_sent, place_of, spliced
from lsp.sessions.projects import BRANCH, MAIN, Disk
from lsp.sessions.questions import NONSENSE, QUESTIONS, STRAY
from lsp.sessions.view import elsewhere, inside, listed, problems, view

Json = Any

# In every text that is written, so that it would be seen in a log.
SECRET = "zqxj"
LINES = (
    "import os\n", "from shop.prices import price\n", "from shop.prices import cost_of, Basket\r\n", "price('tea')\n",
    "def f(x):\n    return x\n", "class A:\n    def m(self): self.n = 1\n", "cost = price(\n", "    ", "\n", "\r", "\r\n",
    "'''", "🙂", "x = '🙂𝒙'; y = x\n", "\ud83d", "\ude00", "\0", "\ufeff", "\u2028", "\x0c", "größe = 1\n", ")", ":", ".",
    f"{SECRET} = 1\n", "é́", "\t\tif x:\r\n\t\t\tpass\r\n", "A().m\n", "function f() { return 1 }\n", "# " + "long " * 400,
)  # fmt: skip
texts = st.lists(st.sampled_from(LINES), max_size=6).map("".join) | st.text(
    st.characters(categories=["L", "N", "Z", "P", "Cc", "Cs", "So"]), max_size=12
)
places = st.tuples(st.integers(0, 12) | st.just(2**31 - 1), st.integers(0, 30) | st.just(2**31 - 1))
numbers = st.integers(0, 1000)
# Mostly files that have to do with each other, else any.
files = st.sampled_from((1, 2, 2, 3)) | numbers
changes = st.lists(st.tuples(places, places, texts) | texts, min_size=1, max_size=3)
steps = st.sampled_from((1, 1, 1, 1, 2, 7, 0, -2))
MANNERS = ("now", "now", "now", "late", "error", "garbage", "never")
LANGUAGES = {".py": "python", ".ts": "typescript", ".md": "markdown"}
UNTITLED = ("untitled:Untitled-1", "untitled:Ж 🙂.py", "git:/shop/till.py?{}")
SETTINGS: tuple[Json, ...] = (
    {}, {}, {"diagnostics.scope": "workspace"}, {"diagnostics.scope": "open"}, {"diagnostics.enable": False},
    {"diagnostics.severity": {"unused-import": "off"}}, {"semanticTokens.enable": False}, {"index.exclude": ["shop/till.py"]},
    {"inlayHints.returnTypes": True, "codeLens.references": True}, {"index.enable": False}, {"completion.limit": 3},
    {"nonsense": 7, "diagnostics.debounceMs": "soon"},
)  # fmt: skip


class Sessions(RuleBasedStateMachine):
    """One editor at work on one project, with one server; `INSIDE`: in this process."""

    INSIDE = True
    MODEL = "none"

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="sessions"))
        self.disk = Disk(self.root)
        self.unsaid: list[Json] = []  # file events that are still to be told
        self.broken = False
        self.editors: list[Editor] = []
        self.roots = [self.disk.project]

    def configuration(self, settings: Json) -> Json:
        return {
            "model.path": self.MODEL, "index.cacheFolder": str(self.root / "cache"), "index.workers": 1,
            "diagnostics.debounceMs": 20, "diagnostics.model": False, "index.watch": self.watch, **settings,
        }  # fmt: skip

    @initialize(
        name=st.sampled_from(("vscode", "neovim", "eglot", "eglot")),  # it alone is pushed problems
        settings=st.sampled_from(SETTINGS),
        watch=st.booleans(),
        ready=st.booleans(),
        last=st.sampled_from((None, MAIN, BRANCH)),
    )
    def begin(self, name: str, settings: Json, watch: bool, ready: bool, last: Json) -> None:
        """`last`: the branch that is checked out at the end, when no edit follows that would set things right."""
        self.name, self.settings, self.watch, self.last = name, settings, watch, last
        self.editor = self.start("server.log")
        if ready:
            self.editor.ready()

    def start(self, log: str) -> Editor:
        log_file = None if self.INSIDE else self.root / log
        configuration = self.configuration(self.settings)
        editor = Editor(self.name, inside=self.INSIDE, configuration=configuration, log=log_file)
        self.editors.append(editor)
        editor.begin(*self.roots)
        return editor

    # Documents

    def uri(self, which: int) -> str:
        uris = (*(uri_of(file) for file in self.disk.files), *UNTITLED)
        return uris[which % len(uris)]

    def document(self, which: int) -> str:
        opened = tuple(self.editor.mirrors)
        return opened[which % len(opened)]

    def some_document(self) -> bool:
        return bool(self.editor.mirrors)

    @rule(which=files, text=st.none() | texts, version=st.sampled_from((1, 1, 0, 7)), text_language=st.booleans())
    def open(self, which: int, text: str | None, version: int, text_language: bool) -> None:
        uri = self.uri(which)
        if uri in self.editor.mirrors:
            return
        file = self.disk.files[which % (len(self.disk.files) + len(UNTITLED))] if uri.startswith("file") else None
        if text is None:
            text = (self.disk.read(file) if file is not None else None) or "x = 1\n"
        language = LANGUAGES.get(file.suffix, "plaintext") if file is not None else "python"
        self.editor.show(uri, text, "plaintext" if text_language and file is None else language, version)

    @precondition(some_document)
    @rule(which=numbers, edits=changes, step=steps)
    def change(self, which: int, edits: list[Any], step: int) -> None:
        uri = self.document(which)
        events = [{"text": one} if isinstance(one, str) else _change(*one) for one in edits]
        self.editor.edit(uri, events, max(0, self.editor.mirrors[uri].version + step))

    @precondition(some_document)
    @rule(
        which=numbers, line=st.integers(0, 6), word=st.sampled_from(("price", "x = 1", "cost_of(", "import os", "\r\n"))
    )
    def type(self, which: int, line: int, word: str) -> None:
        """Letter by letter, with ghost text asked for."""
        uri = self.document(which)
        for column, letter in enumerate(word):
            self.editor.edit(
                uri, [_change((line, column), (line, column), letter)], self.editor.mirrors[uri].version + 1
            )
            method, params = QUESTIONS[2](uri, (line, column + 1), 1)
            self.editor.ask(method, params)

    @precondition(some_document)
    @rule(which=numbers, ends=st.lists(st.tuples(numbers, st.integers(0, 9)), min_size=1, max_size=4), new=texts)
    def replace(self, which: int, ends: list[tuple[int, int]], new: str) -> None:
        """Pieces of what is there, one after the other, with what may stand beside characters of every width."""
        mirror = self.editor.mirrors[self.document(which)]
        text, events = mirror.text, []
        for at, length in ends:
            start = at % (len(text) + 1)
            places = (place_of(text, min(index, len(text)), self.editor.unit) for index in (start, start + length))
            events.append(_change(*places, f"🙂𝒙{new}"))
            text = spliced(text, events[-1], self.editor.unit)
        self.editor.edit(mirror.uri, events, mirror.version + 1)

    @precondition(some_document)
    @rule(which=numbers)
    def close(self, which: int) -> None:
        self.editor.hide(self.document(which))

    @precondition(some_document)
    @rule(which=numbers, told=st.booleans())
    def save(self, which: int, told: bool) -> None:
        uri = self.document(which)
        file = next((file for file in self.disk.files if uri_of(file) == uri), None)
        if file is not None:
            self.disk.write(file, as_sent(self.editor.mirrors[uri].text))
            self.happened(file, 2, told)
        self.editor.notify("textDocument/didSave", {"textDocument": {"uri": uri}})

    # Files

    def happened(self, file: Path, kind: int, told: bool) -> None:
        event = {"uri": uri_of(file), "type": kind}
        self.unsaid.append(event)
        if told:
            self.tell([event])

    def tell(self, events: list[Json]) -> None:
        self.editor.notify("workspace/didChangeWatchedFiles", {"changes": events})

    @rule(which=files, text=texts, told=st.booleans())
    def write(self, which: int, text: str, told: bool) -> None:
        file = self.disk.files[which % len(self.disk.files)]
        self.disk.write(file, as_sent(text))
        self.happened(file, 1 + which % 2, told)

    @rule(which=numbers, told=st.booleans())
    def delete(self, which: int, told: bool) -> None:
        file = self.disk.files[which % len(self.disk.files)]
        file.unlink(missing_ok=True)
        self.happened(file, 3, told)

    @rule(which=numbers, asked=st.booleans(), told=st.booleans())
    def rename_file(self, which: int, asked: bool, told: bool) -> None:
        old, new = self.disk.files[which % len(self.disk.files)], self.disk.files[which // 7 % len(self.disk.files)]
        if not old.exists() or new.exists():
            return
        files = {"files": [{"oldUri": uri_of(old), "newUri": uri_of(new)}]}
        if asked:
            self.editor.ask("workspace/willRenameFiles", files)
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        self.happened(old, 3, told)
        self.happened(new, 1, told)
        self.editor.notify("workspace/didRenameFiles", files)
        if (mirror := self.editor.mirrors.get(uri_of(old))) is not None:
            self.editor.hide(mirror.uri)
            if uri_of(new) not in self.editor.mirrors:
                self.editor.show(uri_of(new), mirror.text, mirror.language, mirror.version)

    @rule(branch=st.sampled_from((MAIN, BRANCH)), told=st.booleans())
    def switch(self, branch: Json, told: bool) -> None:
        for file in self.disk.switch(branch):
            self.happened(file, 2, told=False)
        if told:
            self.tell(self.unsaid[-len(MAIN) - len(BRANCH) :])

    @rule(size=st.integers(1, 300), apart=st.booleans(), which=numbers)
    def storm(self, size: int, apart: bool, which: int) -> None:
        """Events of files, folders and names that may not exist, most of them more than once."""
        shop = self.disk.project / "shop"
        names = [
            *self.disk.files,
            shop,
            self.disk.project,
            shop / "absent.py",
            self.root,
            self.disk.project / ".gitignore",
        ]
        events = [
            {"uri": uri_of(names[(which + number) % len(names)]), "type": 1 + number % 3} for number in range(size)
        ]
        for event in events[: size // 10] if apart else ():
            self.tell([event])
        self.tell(events)

    # Questions

    @rule(which=numbers, place=places, kind=numbers, number=numbers, cancelled=st.sampled_from((0, 0, 0, 1, 2)))
    def ask(self, which: int, place: tuple[int, int], kind: int, number: int, cancelled: int) -> None:
        uri = self.document(which) if self.editor.mirrors and which % 8 else self.uri(which)
        pending = self.editor.ask(*QUESTIONS[kind % len(QUESTIONS)](uri, place, number))
        for _ in range(cancelled):
            pending.cancel()

    @rule(which=numbers, number=numbers)
    def cancel(self, which: int, number: int) -> None:
        """Something that was asked some time ago, whether it is answered by now or not."""
        asked = self.editor.outstanding(patient=True)
        if asked:
            asked[which % len(asked)].cancel()
        self.editor.notify("$/cancelRequest", {"id": number})

    @rule(which=numbers)
    def nonsense(self, which: int) -> None:
        method, params = NONSENSE[which % len(NONSENSE)]
        self.editor.ask(method, params).method = f"nonsense:{method}"
        self.editor.notify(*STRAY[which % len(STRAY)])

    @rule(
        body=st.sampled_from(
            (b"{", b"[]", b"null", b'{"jsonrpc": "2.0"}', b'{"jsonrpc":"2.0","id":"nobody","result":1}')
        )
    )
    def junk(self, body: bytes) -> None:
        self.editor.write_raw(body)

    # The conversation

    @rule(manner=st.sampled_from(MANNERS))
    def manner(self, manner: str) -> None:
        self.editor.manner = manner
        self.editor.answer_late()

    @rule(settings=st.sampled_from(SETTINGS))
    def configure(self, settings: Json) -> None:
        self.settings = settings
        self.editor.configuration = self.configuration(settings)
        self.editor.notify("workspace/didChangeConfiguration", {"settings": None})

    @rule(other=st.booleans())
    def folders(self, other: bool) -> None:
        """Another folder comes or goes; or the only one, which also holds the other's files, is replaced."""
        folder = self.disk.other if other else self.disk.project
        there = folder in self.roots
        (self.roots.remove if there else self.roots.append)(folder)
        event = {"added": [], "removed": []}
        event["removed" if there else "added"].append({"uri": uri_of(folder), "name": folder.name})
        self.editor.notify("workspace/didChangeWorkspaceFolders", {"event": event})

    # What holds

    @rule(place=places)
    def rest(self, place: tuple[int, int]) -> None:
        self.settle(place)

    def settle(self, place: tuple[int, int]) -> None:
        """Once all is quiet, the server's texts and answers are those of a fresh one in the same situation."""
        self.broken = True
        editor = self.editor
        editor.settle()
        self.tell(self.unsaid)
        self.unsaid = []
        editor.notify("workspace/didChangeConfiguration", {"settings": None})
        editor.ask("workspace/executeCommand", {"command": "engram.resumeReading"}).result()
        self.check_texts()
        fresh = self.start("fresh.log")
        for uri, mirror in editor.mirrors.items():
            fresh.show(uri, mirror.text, mirror.language, mirror.version)
        try:
            fresh.ready()
            editor.ready()
            equal(lambda: self.seen(fresh, place), lambda: self.seen(editor, place))
            self.check_elsewhere(fresh)
            editor.settle()
            editor.check_replies()
            assert fresh.stop() == 0
        finally:
            self.editors.remove(fresh)
            if fresh.process.poll() is None:
                fresh.kill()
        if isinstance(editor.process, Inside):
            check_nothing_left(editor.process.session, set(editor.mirrors))
        self.broken = False

    def check_texts(self) -> None:
        if not isinstance(self.editor.process, Inside):
            return
        session = self.editor.process.session
        known = {document.uri: document for document in session.documents}
        assert known.keys() == self.editor.mirrors.keys()
        for uri, mirror in self.editor.mirrors.items():
            assert as_sent(known[uri].text.decode()) == as_sent(mirror.text)
            assert known[uri].version == mirror.version

    def seen(self, editor: Editor, place: tuple[int, int]) -> Json:
        editor.ready()
        editor.settle_pulls(30)
        return {"problems": problems(editor), **view(editor, place)}

    def check_elsewhere(self, fresh: Editor) -> None:
        """Of files that are not open, what is pushed is what a fresh server finds in them; with the scope "workspace" all
        of that, with "affected" some, and else nothing."""
        scope = self.settings.get("diagnostics.scope", "affected")
        if not self.settings.get("diagnostics.enable", True):
            scope = "open"
        if scope == "workspace":
            return equal(lambda: elsewhere(fresh), lambda: elsewhere(self.editor))
        found: dict[str, list[str]] = {}
        for uri in elsewhere(self.editor):
            assert any(inside(folder, uri) for folder in self.roots), "problems of a folder that left"

        def stale() -> Json:
            shown = elsewhere(self.editor)
            for uri in shown.keys() - found.keys():
                found[uri] = self.found_in(fresh, uri)
            return {uri: left for uri, items in shown.items() if (left := [i for i in items if i not in found[uri]])}

        return equal(lambda: {}, stale)

    def found_in(self, fresh: Editor, uri: str) -> list[str]:
        file = next(file for file in self.disk.files if uri_of(file) == uri)
        text = self.disk.read(file)
        if text is None or uri in fresh.mirrors:
            return []
        fresh.show(uri, text.removeprefix("\ufeff"), LANGUAGES.get(file.suffix, "plaintext"))
        fresh.ready()
        if fresh.pulls:
            fresh.settle_pulls(30)
        else:
            fresh.wait(lambda: uri in fresh.shown, 30, "problems of a file")
        return listed((fresh.pulled if fresh.pulls else fresh.shown)[uri])

    def teardown(self) -> None:
        try:
            if self.editors and not self.broken:
                self.broken = True
                if self.last is not None:
                    self.editor.settle()
                    self.switch(self.last, told=True)
                self.settle((2, 3))
                self.end()
        except BaseException:
            self.keep_transcript()
            raise
        finally:
            for editor in self.editors:
                if editor.process.poll() is None:
                    editor.kill()
            shutil.rmtree(self.root, ignore_errors=True)

    def keep_transcript(self) -> None:
        """Where a failure is looked into, what crossed the wire is kept in a file."""
        if folder := os.environ.get("ENGRAM_TRANSCRIPTS"):
            file = Path(folder) / f"{self.root.name}.txt"
            file.write_text("\n".join(self.editor.transcript), encoding="utf-8")
            note(f"what was said: {file}")

    def end(self) -> None:
        """The session ends in the midst of questions; each is answered, and so is what comes too late."""
        editor = self.editor
        for uri in tuple(editor.mirrors):
            for question in QUESTIONS[::5]:
                editor.ask(*question(uri, (1, 1), 0))
        editor.ask("workspace/executeCommand", {"command": "engram.status", "arguments": [True]})
        editor.ask("workspace/diagnostic", {"previousResultIds": []})
        ending = editor.send("shutdown")
        late = editor.ask(
            "textDocument/hover", {"textDocument": {"uri": "file:///a.py"}, "position": {"line": 0, "character": 0}}
        )
        late.method = "nonsense: after shutdown"
        assert ending.result() is None
        editor.wait(lambda: not editor.outstanding(patient=True), 30, "the last replies")
        editor.check_replies()
        editor.notify("exit")
        assert editor.process.wait(30) == 0
        if not self.INSIDE:
            check_log((self.root / "server.log").read_text(encoding="utf-8", errors="replace"))


def check_log(lines: str) -> None:
    """Raises AssertionError where a log tells of what users write, or of a handler that failed."""
    assert SECRET not in lines
    failures = [
        line for line in lines.splitlines() if " failed: " in line and "a message failed: JSONDecode" not in line
    ]
    assert not failures, failures[:5]


def _change(start: tuple[int, int], end: tuple[int, int], text: str) -> Json:
    places = [{"line": line, "character": column} for line, column in (start, end)]
    return {"range": {"start": places[0], "end": places[1]}, "text": text}


def equal(wanted: Callable[[], Json], got: Callable[[], Json], seconds: float = 15) -> None:
    """That both are equal, soon: what was started by the last event may still be on its way."""
    until = time.monotonic() + seconds
    while (a := wanted()) != (b := got()):
        if time.monotonic() > until:
            differing = {key: (a.get(key), b.get(key)) for key in a.keys() | b.keys() if a.get(key) != b.get(key)}
            raise AssertionError(f"fresh and old server differ: {differing}")
        time.sleep(0.05)


__all__ = ["ClientError", "Sessions"]
