"""A server that works for long holds no more than one that has worked for a while."""

import gc
import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from lsp.sessions.editor import Editor, uri_of
from lsp.sessions.inside import Inside
from lsp.sessions.leaks import check_nothing_left
from lsp.sessions.projects import Disk
from lsp.sessions.questions import QUESTIONS

CONFIGURATION = {"model.path": "none", "index.workers": 1, "diagnostics.debounceMs": 10}

# So often documents come and go.
ROUNDS = 1000 if "ENGRAM_SESSIONS" in os.environ else 250


@pytest.fixture(params=[True, pytest.param(False, marks=pytest.mark.wire)], ids=["inside", "process"])
def editor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Editor]:
    logging.disable()  # pytest keeps what is logged, with the frames of exceptions
    disk = Disk(tmp_path)
    editor = Editor(
        "eglot",
        inside=request.param,
        configuration={**CONFIGURATION, "index.cacheFolder": str(tmp_path / "cache")},
        log=None if request.param else tmp_path / "log",
    )
    try:
        editor.begin(disk.project)
        editor.ready()
        yield editor
        assert editor.stop() == 0
    finally:
        logging.disable(logging.NOTSET)
        if editor.process.poll() is None:
            editor.kill()


def work(editor: Editor, disk: Disk, rounds: range) -> None:
    """Documents come and go, those of the project and new ones; everything is asked, some of it not to the end."""
    for number in rounds:
        uris = [uri_of(disk.project / "shop" / "till.py"), f"untitled:{number}", uri_of(disk.outside / f"{number}.py")]
        for uri in uris:
            editor.show(uri, f"import os\n\ndef f{number % 7}(x):\n    return x\n\nf{number % 7}(price)\n")
            change = {"range": {"start": {"line": 5, "character": 0}, "end": {"line": 5, "character": 0}}, "text": "f"}
            editor.edit(uri, [change], 2)
        for kind in range(number, number + 6):
            question = QUESTIONS[kind % len(QUESTIONS)](uris[kind % 3], (5, 3), kind)
            if question[0] != "workspace/executeCommand" or "trace" not in question[1]["command"]:
                pending = editor.ask(*question)
                if kind % 3 == 0:
                    pending.cancel()
        gone = [{"uri": uri_of(disk.project / f"absent{number % 50}.py"), "type": 1 + number % 3}]
        editor.notify("workspace/didChangeWatchedFiles", {"changes": gone * 3})
        for uri in uris:
            editor.hide(uri)
        if number % 10 == 9:
            editor.settle()
            editor.check_replies()
            editor.notifications.clear()
            editor.transcript.clear()
    editor.settle()
    editor.ready()


def test_documents_that_come_and_go_leave_nothing_behind(editor: Editor, tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    work(editor, disk, range(100))
    before = weight(editor)
    work(editor, disk, range(100, 100 + ROUNDS))
    if isinstance(editor.process, Inside):
        check_nothing_left(editor.process.session, set())
        grown = Counter(weight(editor))
        grown.subtract(before)
        assert sum(grown.values()) < 2000, grown.most_common(12)
    else:
        assert weight(editor)["bytes"] - before["bytes"] < 24 << 20


def weight(editor: Editor) -> dict[str, int]:
    """What a server holds: objects by their types, or bytes."""
    if not isinstance(editor.process, Inside):
        return {"bytes": psutil.Process(editor.process.pid).memory_info().rss}
    editor.shown.clear()
    gc.unfreeze()  # nothing escapes
    gc.collect()
    return Counter(f"{type(found).__module__}.{type(found).__name__}" for found in gc.get_objects())
