"""Beginning, ending, and keeping to the protocol whatever the client does."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from engram_lsp.client import Client, ResponseError, at, where
from wire_support import Start, age, copy_packages

pytestmark = pytest.mark.wire

SOURCE = "import json\n\n\ndef size(value):\n    return len(json.dumps(value))\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "sizes.py").write_text(SOURCE, encoding="utf-8")
    (root / "main.py").write_text("from sizes import size\n\nprint(size([1]))\n", encoding="utf-8")
    age(root)
    return root


def test_a_cancelled_request_gets_exactly_one_reply_and_that_at_once(start: Start, project: Path) -> None:
    client = start(project, settings={"inline.debounceMs": 60_000})
    uri = client.open(project / "main.py")
    pending = client.send("textDocument/inlineCompletion", {**where(uri, 2, 0), "context": {"triggerKind": 2}})
    pending.cancel()
    with pytest.raises(ResponseError) as caught:
        pending.result(5)
    assert caught.value.code == -32800
    # Everything said later is answered, so nothing else came for the cancelled one in between.
    assert client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}}) == []
    assert pending.replies == 1


def test_requests_cancelled_at_any_moment_are_each_answered_once(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open(project / "sizes.py")
    asked = [
        client.send(method, {**where(uri, 3, 4), **more})
        for _ in range(10)
        for method, more in (
            ("textDocument/completion", {}),
            ("textDocument/inlineCompletion", {"context": {"triggerKind": 1}}),
            ("textDocument/references", {"context": {"includeDeclaration": True}}),
            ("textDocument/rename", {"newName": "other"}),
            ("textDocument/hover", {}),
        )
    ]
    for pending in asked:
        pending.cancel()
    for pending in asked:
        try:
            pending.result()
        except ResponseError as error:
            assert error.code in (-32800, -32801)
    client.ready()
    assert [pending.replies for pending in asked] == [1] * len(asked)


def test_only_the_newest_inline_request_matters(start: Start, project: Path) -> None:
    client = start(project, settings={"inline.debounceMs": 1500})
    uri = client.open(project / "main.py")
    question = {**where(uri, 2, 0), "context": {"triggerKind": 2}}
    older = client.send("textDocument/inlineCompletion", question)
    client.request("textDocument/inlineCompletion", {**question, "context": {"triggerKind": 1}})
    assert older.result() is None


def test_a_suggestion_for_a_text_that_changed_meanwhile_is_never_shown(start: Start, project: Path) -> None:
    client = start(project, settings={"inline.debounceMs": 300})
    uri = client.open(project / "main.py")
    pending = client.send("textDocument/inlineCompletion", {**where(uri, 2, 0), "context": {"triggerKind": 2}})
    client.change(uri, SOURCE)
    assert pending.result() is None


def test_requests_out_of_turn_are_refused_and_notifications_ignored(tmp_path: Path) -> None:
    client = Client(log=tmp_path / "log")
    try:
        client.notify("textDocument/didOpen", {"textDocument": {"uri": "file:///a.py"}})
        with pytest.raises(ResponseError) as early:
            client.request("textDocument/hover", where("file:///a.py", 0, 0))
        assert early.value.code == -32002
        client.initialize(capabilities={})
        with pytest.raises(ResponseError) as again:
            client.request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        assert again.value.code == -32600
        client.request("shutdown")
        with pytest.raises(ResponseError) as late:
            client.request("textDocument/hover", where("file:///a.py", 0, 0))
        assert late.value.code == -32600
        client.notify("exit")
        assert client.process.wait(10) == 0
        client.complain()
    finally:
        client.kill()


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("textDocument/nonsense", {}, -32601),
        ("$/nonsense", {}, -32601),
        ("textDocument/hover", {"textDocument": 7}, -32602),
        ("textDocument/completion", None, -32602),
    ],
)
def test_requests_that_make_no_sense_get_an_error(server: Client, method: str, params: Any, code: int) -> None:
    with pytest.raises(ResponseError) as caught:
        server.request(method, params)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b'{"jsonrpc": "2.0"}', b'{"jsonrpc":"2.0","method":"$/x"}', b"\xff\xfe"]
)
def test_messages_that_are_none_are_survived(server: Client, body: bytes) -> None:
    server.write_raw(body)
    assert server.request("workspace/symbol", {"query": "JSONDecoder"})


def test_questions_about_documents_that_are_not_open_have_no_answer(server: Client, package: Path) -> None:
    uri = (package / "json" / "nowhere.py").as_uri()
    assert server.request("textDocument/hover", where(uri, 0, 0)) is None
    assert server.request("textDocument/completion", where(uri, 0, 0)) is None
    server.change(uri, "x = 1\n")
    server.close(uri)
    assert server.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}}) is None


def test_positions_outside_the_text_are_clamped(server: Client, package: Path) -> None:
    uri = server.open(package / "json" / "tool.py")
    for line, column in ((0, 10_000), (10_000, 0), (10_000, 10_000)):
        server.request("textDocument/completion", where(uri, line, column))
        server.request("textDocument/hover", where(uri, line, column))
    server.close(uri)


def test_shutdown_then_exit_leaves_with_0_and_saves_first(launch: Start, project: Path, cache: Path) -> None:
    client = launch(project)
    client.request("shutdown")
    client.process.kill()  # eglot does so at once
    client.process.wait()
    again = launch(project)
    assert again.ready()["folders"][0]["fromStore"] == 2


def test_exit_without_shutdown_leaves_with_1(launch: Start, project: Path) -> None:
    client = launch(project)
    client.notify("exit")
    assert client.process.wait(10) == 1


def test_the_end_of_input_ends_the_server(launch: Start, project: Path) -> None:
    client = launch(project)
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.process.wait(10) == 1


@pytest.mark.skipif(os.name == "nt", reason="there a process cannot be asked to end")
def test_a_server_that_is_asked_to_end_saves_first(launch: Start, project: Path) -> None:
    client = launch(project, settings={"index.watch": False})
    (project / "sizes.py").write_text(SOURCE + "\n\nlate = 1\n", encoding="utf-8")
    age(project / "sizes.py")
    event = {"uri": (project / "sizes.py").as_uri(), "type": 2}
    client.notify("workspace/didChangeWatchedFiles", {"changes": [event]})
    while not client.request("workspace/symbol", {"query": "late"}):
        time.sleep(0.02)
    client.process.terminate()
    assert client.process.wait(10) == 1
    assert launch(project).ready()["folders"][0]["fromStore"] == 2


def test_a_dead_editor_takes_the_server_along(project: Path, tmp_path: Path, cache: Path) -> None:
    """Although somebody else still holds the server's input open."""
    settings = {"index.cacheFolder": str(cache), "model.path": "none"}
    editor = (sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)")
    client = Client(
        [*editor, sys.executable, "-m", "engram_lsp.cli", "serve"], configuration=settings, log=tmp_path / "log"
    )
    try:
        number = client.process.pid
        client.request("initialize", {"processId": number, "rootUri": project.as_uri(), "capabilities": {}})
        client.notify("initialized", {})
        client.ready()
        [server] = psutil.Process(number).children()
        client.process.kill()
        client.process.wait()
        assert not psutil.wait_procs([server], timeout=20)[1]
    finally:
        client.kill()


def test_a_process_that_did_not_start_the_server_is_not_its_editor(project: Path, tmp_path: Path, cache: Path) -> None:
    """As over ssh, where the editor's number may be anybody's."""
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with Client(configuration={"index.cacheFolder": str(cache), "model.path": "none"}, log=tmp_path / "log") as client:
        client.request("initialize", {"processId": stranger.pid, "rootUri": project.as_uri(), "capabilities": {}})
        client.notify("initialized", {})
        client.ready()
        stranger.communicate(b"\n")
        with pytest.raises(subprocess.TimeoutExpired):
            client.process.wait(3)
        client.ready()


def test_a_killed_server_leaves_nobody_behind_and_the_next_start_is_warm(tmp_path: Path, launch: Start) -> None:
    root = copy_packages(tmp_path / "project", "json", "email")
    client = launch(root)
    files = client.ready()["folders"][0]["files"]
    children = psutil.Process(client.process.pid).children(recursive=True)
    client.kill()
    psutil.wait_procs(children, timeout=10)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    folder = launch(root).ready()["folders"][0]
    assert folder["files"] == files
    assert folder["fromStore"] == files


def test_the_log_never_holds_the_users_text(launch: Start, project: Path, tmp_path: Path) -> None:
    client = launch(project, settings={"completion.limit": "many", "colour": 1})
    secret = "my_secret_name_0815"
    uri = client.open(project / "main.py", f"import {secret}\n{secret}.\n")
    client.request("textDocument/completion", where(uri, 1, len(secret) + 1))
    client.write_raw(b'{"jsonrpc":"2.0","id":"x","method":"textDocument/hover","params":{"%s":1}}' % secret.encode())
    client.write_raw(
        b'{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":"%s"}}' % secret.encode()
    )
    client.write_raw(b'{"%s": ' % secret.encode())
    client.change(uri, {"range": {"start": at(0, 0), "end": at(0, 0)}, "text": secret})
    client.ready()
    client.wait(lambda: client.strays, 5, "the reply to the request that made no sense")
    assert client.strays.pop()["error"]["code"] == -32602
    log = (tmp_path / "server-0.log").read_text(encoding="utf-8")
    assert "engram.completion.limit must be a number" in log
    assert secret not in log


def test_a_server_without_folders_answers_about_what_is_open(start: Start) -> None:
    client = start()
    uri = client.open("untitled:Untitled-1", "def area(side):\n    return side * side\n\narea(widht)\n")
    report = client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    assert [item["code"] for item in report["items"]] == ["undefined-name"]
    found = client.request("textDocument/definition", where(uri, 3, 1))
    assert [(one["uri"], one["range"]["start"]) for one in found] == [(uri, at(0, 4))]
