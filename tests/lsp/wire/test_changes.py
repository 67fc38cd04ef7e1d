"""The server keeps up: with edits, with the disk, with folders that come and go."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from engram_lsp.client import Client, at, where
from wire_support import Start, age, change_folders, copy_packages

pytestmark = pytest.mark.wire


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "shop").mkdir(parents=True)
    (root / "shop" / "__init__.py").write_text("", encoding="utf-8")
    (root / "shop" / "prices.py").write_text("def price(item):\n    return len(item)\n", encoding="utf-8")
    (root / "shop" / "till.py").write_text("from shop.prices import price\n\ncost = price('tea')\n", encoding="utf-8")
    age(root)
    return root


def eventually(question: Callable[[], Any], *, seconds: float = 15) -> Any:
    """Asks until the answer is true: the watcher needs a moment."""
    until = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < until:
        time.sleep(0.05)
    return answer


def codes(client: Client, uri: str) -> list[str]:
    report = client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    return [item["code"] for item in report["items"]]


def symbols(client: Client, query: str) -> list[str]:
    return [symbol["name"] for symbol in client.request("workspace/symbol", {"query": query})]


# Problems


def test_pulled_problems_follow_the_text_and_say_when_nothing_changed(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open(project / "shop" / "till.py")
    question: dict[str, Any] = {"textDocument": {"uri": uri}}
    first = client.request("textDocument/diagnostic", question)
    assert (first["kind"], first["items"]) == ("full", [])
    same = client.request("textDocument/diagnostic", {**question, "previousResultId": first["resultId"]})
    assert same == {"kind": "unchanged", "resultId": first["resultId"]}
    client.change(uri, {"range": {"start": at(2, 7), "end": at(2, 12)}, "text": "prize"})
    worse = client.request("textDocument/diagnostic", {**question, "previousResultId": first["resultId"]})
    assert worse["kind"] == "full"
    assert sorted(item["code"] for item in worse["items"]) == ["undefined-name", "unused-import"]
    client.change(uri, {"range": {"start": at(2, 7), "end": at(2, 12)}, "text": "price"})
    assert codes(client, uri) == []


def test_pushed_problems_are_of_the_newest_version_and_go_when_the_document_closes(start: Start, project: Path) -> None:
    client = start(project, editor="eglot", settings={"diagnostics.debounceMs": 20})
    uri = client.open(project / "shop" / "till.py", "import os\nx = 1\n")
    shown = client.expect("textDocument/publishDiagnostics", lambda p: p["uri"] == uri)
    assert [item["code"] for item in shown["diagnostics"]] == ["unused-import"]
    assert shown["version"] == 1
    for number in range(20):
        version = client.change(uri, f"import os\nx = {number}\n" if number < 19 else "import os\nx = os\n")
    shown = client.expect("textDocument/publishDiagnostics", lambda p: p["version"] == version)
    assert shown["diagnostics"] == []
    client.change(uri, "import os\nx = 1\n")
    client.close(uri)
    withdrawn = client.expect("textDocument/publishDiagnostics", lambda p: p["uri"] == uri)
    assert withdrawn["diagnostics"] == []
    # Nothing follows: the push that was due for the closed document is not made.
    time.sleep(0.3)
    client.ready()
    assert not client.notifications


def test_clients_that_ask_for_problems_are_never_told_unasked(start: Start, project: Path) -> None:
    client = start(project, editor="neovim", settings={"diagnostics.debounceMs": 0})
    uri = client.open(project / "shop" / "till.py", "import os\nx = 1\n")
    assert codes(client, uri) == ["unused-import"]
    time.sleep(0.2)
    client.ready()
    assert not client.notifications


def test_an_edit_in_one_file_shows_in_the_problems_of_another(start: Start, project: Path) -> None:
    client = start(project)
    till = client.open(project / "shop" / "till.py")
    prices = client.open(project / "shop" / "prices.py")
    assert codes(client, till) == []
    client.change(prices, "def cost(item):\n    return len(item)\n")
    assert codes(client, till) == ["unknown-import-name"]
    client.wait(lambda: "workspace/diagnostic/refresh" in client.asked, 10, "a refresh of the other document")
    client.change(prices, "def price(item):\n    return len(item)\n")
    assert codes(client, till) == []
    client.change(prices, "")
    client.close(prices)  # without saving: the disk counts again
    assert codes(client, till) == []


def test_half_written_code_keeps_its_answers(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open(project / "shop" / "till.py")
    for text in (
        "from shop.prices import price\n\nprint(price(",
        "from shop.prices import price\n\ndef f(:\n    price\n",
        "from shop.prices import price\n\nclass\n\nx = [price(\n",
        "from shop.prices import price\n'''open\nprice\n",
    ):
        client.change(uri, text)
        assert "syntax-error" in codes(client, uri)
        client.request("textDocument/completion", where(uri, 2, 3))
        client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
        found = client.request("textDocument/definition", where(uri, 0, 25))
        assert [one["range"]["start"] for one in found] == [at(0, 4)]


# Edits


def test_typing_letter_by_letter_ends_at_the_same_answers_as_opening_the_result(start: Start, project: Path) -> None:
    client = start(project)
    source = (project / "shop" / "prices.py").read_text(
        encoding="utf-8"
    ) + "\n\ndef tax(item):\n    return price(item) // 5\n"
    typed = client.open(project / "shop" / "prices.py", "")
    line = column = 0
    for char in source:
        client.change(typed, {"range": {"start": at(line, column), "end": at(line, column)}, "text": char})
        line, column = (line + 1, 0) if char == "\n" else (line, column + 1)
    questions = (
        ("textDocument/documentSymbol", {"textDocument": {"uri": typed}}),
        ("textDocument/references", {**where(typed, 0, 5), "context": {"includeDeclaration": True}}),
        ("textDocument/diagnostic", {"textDocument": {"uri": typed}}),
    )
    answers = [client.request(method, params) for method, params in questions]
    assert len(answers[1]) == 4
    client.close(typed)
    client.open(project / "shop" / "prices.py", source)
    assert [client.request(method, params) for method, params in questions] == answers


def test_changes_in_one_message_apply_in_order(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open(project / "shop" / "till.py", "a = 1\n")
    client.change(
        uri,
        {"range": {"start": at(0, 0), "end": at(0, 1)}, "text": "first"},
        {"range": {"start": at(0, 5), "end": at(0, 5)}, "text": "_name"},
        {"range": {"start": at(1, 0), "end": at(1, 0)}, "text": "second = first_name\n"},
    )
    shown = client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    assert [symbol["name"] for symbol in shown] == ["first_name", "second"]


# The disk


def test_a_change_made_outside_the_editor_is_seen(start: Start, project: Path) -> None:
    client = start(project)
    (project / "shop" / "prices.py").write_text("def discount_for_friends(): ...\n", encoding="utf-8")
    assert eventually(lambda: symbols(client, "discount_for_friends"))
    (project / "shop" / "later.py").write_text("class ArrivedLater: ...\n", encoding="utf-8")
    assert eventually(lambda: symbols(client, "ArrivedLater"))
    (project / "shop" / "later.py").unlink()
    assert eventually(lambda: not symbols(client, "ArrivedLater"))


def test_a_change_the_client_tells_of_is_seen_without_our_watcher(start: Start, project: Path) -> None:
    client = start(project, settings={"index.watch": False})
    registration = next(iter(r for r in client.registrations.values() if r["method"].endswith("WatchedFiles")))
    patterns = [watcher["globPattern"] for watcher in registration["registerOptions"]["watchers"]]
    assert "**/*.py" in patterns and "**" not in patterns
    file = project / "shop" / "prices.py"
    file.write_text("def discount_for_friends(): ...\n", encoding="utf-8")
    event = {"uri": file.as_uri(), "type": 2}
    client.notify("workspace/didChangeWatchedFiles", {"changes": [event, event]})
    client.notify("workspace/didChangeWatchedFiles", {"changes": [event]})
    assert eventually(lambda: symbols(client, "discount_for_friends"))
    assert symbols(client, "discount_for_friends") == ["discount_for_friends"]


def test_an_open_document_counts_and_not_its_file(start: Start, project: Path) -> None:
    client = start(project)
    file = project / "shop" / "prices.py"
    uri = client.open(file, "def shown_in_the_editor(): ...\n")
    file.write_text("def written_to_disk(): ...\n", encoding="utf-8")
    client.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": uri, "type": 2}]})
    client.ready()
    assert symbols(client, "shown_in_the_editor") and not symbols(client, "written_to_disk")
    client.close(uri)
    assert eventually(lambda: symbols(client, "written_to_disk") and not symbols(client, "shown_in_the_editor"))


def test_files_that_are_no_text_are_left_alone(start: Start, project: Path) -> None:
    (project / "latin.py").write_bytes("name = 'caf\xe9'\n".encode("latin-1"))
    (project / "declared.py").write_bytes("# -*- coding: latin-1 -*-\nsaid_in_latin = 'caf\xe9'\n".encode("latin-1"))
    (project / "binary.py").write_bytes(b"\0\1\2" * 1000)
    (project / "huge.py").write_bytes(b"x = 1\n" * 500_000)
    client = start(project)
    assert symbols(client, "said_in_latin") == ["said_in_latin"]
    assert symbols(client, "price")
    uri = client.open(project / "latin.py", "name = 'caf\ufffd'\n")
    assert [s["name"] for s in client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})] == [
        "name"
    ]


def test_ignored_files_are_not_read(start: Start, project: Path) -> None:
    (project / ".gitignore").write_text("generated/\n", encoding="utf-8")
    (project / "generated").mkdir()
    (project / "generated" / "made.py").write_text("def made_by_a_tool(): ...\n", encoding="utf-8")
    (project / "left_out.py").write_text("def left_out_by_a_setting(): ...\n", encoding="utf-8")
    client = start(project, settings={"index": {"exclude": ["left_*.py"]}})
    assert symbols(client, "price")
    assert not symbols(client, "made_by_a_tool")
    assert not symbols(client, "left_out_by_a_setting")


def test_a_root_that_is_gone_leaves_the_open_documents_answered(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open(project / "shop" / "prices.py")
    shutil.rmtree(project)
    client.change(uri, "def still_here():\n    still_here()\n")
    found = client.request("textDocument/definition", where(uri, 1, 6))
    assert [one["range"]["start"] for one in found] == [at(0, 4)]


def test_a_root_that_never_was_is_an_empty_project(start: Start, tmp_path: Path) -> None:
    client = start(tmp_path / "nowhere")
    assert client.ready()["folders"][0]["files"] == 0
    assert symbols(client, "x") == []


# Folders


def test_folders_come_and_go_with_what_is_in_them(start: Start, project: Path, tmp_path: Path) -> None:
    other = copy_packages(tmp_path / "other", "json")
    client = start(project)
    uri = client.open(other / "json" / "tool.py")
    assert not symbols(client, "JSONDecoder")
    folder = {"uri": other.as_uri(), "name": "other"}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [folder], "removed": []}})
    assert len(client.ready()["folders"]) == 2
    assert symbols(client, "JSONDecoder")[0] == "JSONDecoder"
    assert symbols(client, "price")
    client.change(uri, "import json\njson.dumps\n")
    (found,) = client.request("textDocument/definition", where(uri, 1, 7))
    assert found["uri"].endswith("json/__init__.py")
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": [folder]}})
    assert len(client.ready()["folders"]) == 1
    assert not symbols(client, "JSONDecoder")
    client.change(uri, "def alone(): ...\nalone()\n")
    (found,) = client.request("textDocument/definition", where(uri, 1, 2))
    assert found["uri"] == uri


def test_each_folder_is_a_project_of_its_own(start: Start, project: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    shutil.copytree(project, second)
    client = start(project, second)
    uri = client.open(second / "shop" / "prices.py")
    question = {**where(uri, 0, 5), "context": {"includeDeclaration": True}}
    found = client.request("textDocument/references", question)
    assert len(found) == 3
    assert all(one["uri"].startswith(second.as_uri()) for one in found)


def test_a_linked_root_answers_for_files_under_their_real_names(start: Start, project: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    try:
        link.symlink_to(project, target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    client = start(link)
    uri = client.open(project / "shop" / "till.py")
    assert codes(client, uri) == []
    edit = client.request("textDocument/rename", {**where(uri, 2, 8), "newName": "worth"})
    assert {change["textDocument"]["uri"]: change["textDocument"]["version"] for change in edit["documentChanges"]} == {
        uri: 1,
        (link / "shop" / "prices.py").as_uri(): None,
    }


def test_reading_is_shown_as_progress_and_questions_are_answered_meanwhile(start: Start, tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "asyncio", "email", "json", "unittest")
    client = start(root, ready=False)
    uri = client.open(root / "json" / "tool.py", "def local(): ...\nlocal()\n")
    (found,) = client.request("textDocument/definition", where(uri, 1, 2))
    assert found["range"]["start"] == at(0, 4)
    client.ready()
    kinds = [params["value"]["kind"] for params in client.progress]
    assert kinds.count("begin") == kinds.count("end") == 1
    assert kinds == sorted(kinds, key=["begin", "report", "end"].index)
    assert client.progress[0]["value"]["cancellable"]


def test_reading_can_be_cancelled_and_what_was_read_is_kept(start: Start, tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "asyncio", "email", "json", "unittest", "xml", "http")
    client = start(root, ready=False)
    client.wait(lambda: client.progress, 30, "the beginning of the work")
    client.notify("window/workDoneProgress/cancel", {"token": client.progress[0]["token"]})
    (folder,) = client.ready()["folders"]
    assert folder["loaded"]
    assert folder["files"] < len(list(root.rglob("*.py")))
    uri = client.open(root / "json" / "tool.py", "def local(): ...\nlocal()\n")
    assert client.request("textDocument/definition", where(uri, 1, 2))


def test_the_memory_can_be_rebuilt(start: Start, project: Path) -> None:
    client = start(project)
    change_folders(client, removed=(project,))
    client.ready()
    again = start(project)
    before = again.ready()["folders"][0]
    after = again.request("workspace/executeCommand", {"command": "engram.rebuildMemory", "arguments": []})["folders"][
        0
    ]
    assert before["fromStore"] == 3 and after["fromStore"] == 0
    assert {key: before[key] for key in ("files", "lines", "tokens")} == {
        key: after[key] for key in ("files", "lines", "tokens")
    }
    assert symbols(again, "price")


@pytest.mark.parametrize("seed", range(3))
def test_after_any_changes_the_answers_are_those_of_a_fresh_start(start: Start, project: Path, seed: int) -> None:
    """Edits, saves, changes on disk, files and folders that come and go, in random order."""
    random = Random(seed)
    client = start(project)
    lines = ["def price(item): ...\n", "def tax(item):\n    return price(item)\n", "from shop.prices import price\n"]
    lines += [
        "from .prices import *\n",
        "class Till:\n    total = tax(1)\n",
        "x = (\n",
        "import shop.till\n",
        "\r\n",
        "",
    ]
    names = [project / "shop" / f"{name}.py" for name in ("prices", "till", "new", "other")]
    opened: dict[Path, str] = {}
    for _ in range(40):
        file, text = random.choice(names), "".join(random.choices(lines, k=random.randint(0, 4)))
        match random.choice(["open", "edit", "edit", "insert", "close", "write", "delete", "leave", "ask"]):
            case "open" if file not in opened:
                opened[file] = client.open(file, text)
            case "edit" if file in opened:
                client.change(opened[file], text)
            case "insert" if file in opened:
                client.change(opened[file], {"range": {"start": at(1, 0), "end": at(1, 0)}, "text": text})
            case "close" if file in opened:
                client.close(opened.pop(file))
            case "write":
                file.write_bytes(text.encode())
                client.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": file.as_uri(), "type": 2}]})
            case "delete":
                file.unlink(missing_ok=True)
                client.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": file.as_uri(), "type": 3}]})
            case "leave":
                change_folders(client, removed=(project,))
                change_folders(client, added=(project,))
            case "ask" if file in opened:
                client.send("textDocument/documentSymbol", {"textDocument": {"uri": opened[file]}})
            case _:
                pass

    def answers() -> Any:
        client.ready()
        return (
            sorted((s["name"], s["location"]["uri"]) for s in client.request("workspace/symbol", {"query": ""})),
            [codes(client, uri) for uri in opened.values()],
            [client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}}) for uri in opened.values()],
            [client.request("textDocument/definition", where(uri, 0, 6)) for uri in opened.values()],
            {key: client.ready()["folders"][0][key] for key in ("files", "lines", "tokens")},
        )

    client.ready()
    time.sleep(0.5)  # what the watcher has to say
    incremental = answers()
    change_folders(client, removed=(project,))
    client.ready()
    change_folders(client, added=(project,))
    client.ready()
    client.request("workspace/executeCommand", {"command": "engram.rebuildMemory", "arguments": []})
    assert answers() == incremental
