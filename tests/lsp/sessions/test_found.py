"""What random sessions found, each made as small as can be."""

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engram_context.snapshot import Snapshot
from engram_lsp import session
from engram_lsp.client import ResponseError
from engram_lsp.features import configuration
from lsp.sessions.editor import Editor, uri_of
from lsp.sessions.leaks import left
from lsp.sessions.projects import BRANCH, Disk
from wire_support import change_folders

Json = Any
Start = Callable[..., Editor]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server inside this process, which has to leave in order."""
    editors: list[Editor] = []

    def started(*roots: Path, name: str = "eglot", manner: str = "now", ready: bool = True, **settings: Any) -> Editor:
        own = {"model.path": "none", "index.workers": 1, "index.cacheFolder": str(tmp_path / "cache")}
        editor = Editor(name, inside=True, configuration={**own, "diagnostics.debounceMs": 10, **settings})
        editors.append(editor)
        editor.manner = manner
        editor.begin(*roots)
        if ready:
            editor.ready()
        return editor

    yield started
    for editor in editors:
        if editor.process.poll() is None:
            assert editor.stop() == 0


def command(editor: Editor, name: str, *arguments: Json) -> Any:
    return editor.ask("workspace/executeCommand", {"command": f"engram.{name}", "arguments": list(arguments)})


def eventually(question: Callable[[], Any], seconds: float = 15) -> Any:
    until = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < until:
        time.sleep(0.02)
    return answer


def test_a_shutdown_ends_commands_that_are_under_way(start: Start, disk: Disk) -> None:
    """They were cancelled while pygls walked over what is under way, and the shutdown failed."""
    editor = start(disk.project, manner="never")
    uri = uri_of(disk.project / "shop" / "prices.py")
    editor.show(uri, disk.read(disk.project / "shop" / "prices.py") or "")
    waiting = [command(editor, "renameTo", uri, {"line": 0, "character": 5}, f"cost_{number}") for number in range(3)]
    editor.wait(lambda: editor.asked.count("workspace/applyEdit") == 3, 20, "edits to apply")
    assert editor.stop() == 0
    assert [pending.message["error"]["code"] for pending in waiting] == [-32800] * 3


def test_an_argument_may_look_like_a_message(start: Start, disk: Disk) -> None:
    editor = start(disk.project)
    looks_like_one = {"jsonrpc": "2.0", "method": "shutdown"}
    assert command(editor, "trace", looks_like_one).result(10) == {"traces": []}


def test_nothing_is_kept_of_commands_and_questions_that_were_answered(start: Start, disk: Disk) -> None:
    editor = start(disk.project, name="vscode")
    for _ in range(20):
        command(editor, "status").result()
    editor.manner = "error"
    editor.notify("workspace/didChangeConfiguration", {"settings": None})
    command(editor, "rebuildMemory").result()
    command(editor, "status", True).result()
    assert eventually(lambda: not left(editor.process.session, set())), left(editor.process.session, set())


def test_a_configuration_that_is_told_late_counts_when_it_comes(
    start: Start, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "_PATIENCE", 0.05)
    editor = start(disk.project, name="vscode", manner="late", **{"index.exclude": ["till.py"]})
    editor.wait(lambda: editor.late, 10, "a question of the server")
    command(editor, "status", True).result()
    editor.manner = "now"
    editor.answer_late()
    assert eventually(lambda: editor.process.session.settings.index.exclude == ("till.py",))


def test_an_edit_that_the_editor_refuses_is_no_fault(start: Start, disk: Disk) -> None:
    editor = start(disk.project)
    uri = uri_of(disk.project / "shop" / "prices.py")
    editor.show(uri, disk.read(disk.project / "shop" / "prices.py") or "")
    for manner in ("error", "garbage"):
        editor.manner = manner
        assert command(editor, "renameTo", uri, {"line": 0, "character": 5}, "cost_of").result() is False


def test_a_folder_that_leaves_takes_its_problems_along(start: Start, disk: Disk) -> None:
    editor = start(disk.project, **{"diagnostics.scope": "workspace"})
    disk.switch(BRANCH)
    uri = uri_of(disk.project / "shop" / "audit.py")
    events = [{"uri": uri_of(disk.project / name), "type": 2} for name in BRANCH]
    editor.notify("workspace/didChangeWatchedFiles", {"changes": events})
    assert eventually(lambda: editor.shown.get(uri))
    change_folders(editor, removed=(disk.project,))
    assert eventually(lambda: not editor.shown[uri])
    assert not editor.process.session.told


def test_a_folder_that_leaves_gives_its_memory_back(start: Start, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was kept out of the collector's way, and so for ever."""
    monkeypatch.setattr(session, "_TIDY_AFTER", 0.1)
    gc.disable()  # what another test does must not help
    try:
        editor = start(disk.project)
        (folder,) = editor.process.session.folders.values()
        held = [weakref.ref(folder.project)]
        del folder
        change_folders(editor, removed=(disk.project,))
        assert eventually(lambda: held[0]() is None)
    finally:
        gc.enable()


def test_a_document_that_is_closed_at_once_leaves_no_folder(start: Start, disk: Disk) -> None:
    editor = start(disk.project, name="vscode", ready=False)
    editor.show("untitled:1", "x = 1\n")
    editor.hide("untitled:1")
    editor.settle()
    editor.ready()
    assert not editor.process.session.loose


def test_requests_without_parameters_that_nobody_knows_are_unknown(start: Start, disk: Disk) -> None:
    editor = start(disk.project)
    with pytest.raises(ResponseError) as caught:
        editor.request("$/nonsense")
    assert caught.value.code == -32601


def test_an_edit_does_not_leave_the_project_as_it_was_before(start: Start, disk: Disk) -> None:
    """What checks knew of each snapshot referred to it from a dict with weak keys."""
    editor = start(disk.project)
    uri = uri_of(disk.project / "shop" / "till.py")
    editor.show(uri, "import os\n")
    for version in range(2, 30):
        editor.shown.pop(uri, None)
        editor.edit(uri, [{"text": f"import os\nx = {version}\n"}], version)
        assert eventually(lambda: editor.shown.get(uri))
    gc.collect()
    alive = [found for found in gc.get_objects() if isinstance(found, Snapshot) and "shop/till.py" in found.records]
    assert len(alive) < 10
