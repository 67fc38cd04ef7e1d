"""What may go wrong around a server goes wrong for nobody else: odd files, secrets, a second server, a halt."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client, where
from wire_support import Start, age, copy_packages

pytestmark = pytest.mark.wire


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "shop").mkdir(parents=True)
    (root / "shop" / "prices.py").write_text("def price(item):\n    return len(item)\n", encoding="utf-8")
    (root / "shop" / "till.py").write_text("from shop.prices import price\n\ncost = price('tea')\n", encoding="utf-8")
    age(root)
    return root


def eventually(question: Callable[[], Any], *, seconds: float = 15) -> Any:
    until = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < until:
        time.sleep(0.05)
    return answer


def symbols(client: Client, query: str) -> list[str]:
    return [symbol["name"] for symbol in client.request("workspace/symbol", {"query": query})]


def command(client: Client, name: str, *arguments: Any) -> Any:
    return client.request("workspace/executeCommand", {"command": f"engram.{name}", "arguments": list(arguments)})


def labels(client: Client, uri: str, line: int, column: int) -> set[str]:
    answer = client.request("textDocument/completion", where(uri, line, column))
    return {item["label"] for item in (answer["items"] if isinstance(answer, dict) else answer or ())}


def ghost(client: Client, uri: str, line: int, column: int) -> list[str]:
    question = {**where(uri, line, column), "context": {"triggerKind": 1}}
    answer = client.request("textDocument/inlineCompletion", question)
    return [item["insertText"] for item in (answer or {"items": ()})["items"]]


def test_of_a_document_that_may_hold_secrets_nothing_is_answered_and_nothing_known(start: Start, project: Path) -> None:
    client = start(project)
    secret = "hunter_two_password = 'hunter_two'\nhunter_two_password\nprint(hunter_two_password)\n"
    uris = [client.open(project / name, secret) for name in ("server.key", ".env", "shop/.env.py", "id_rsa")]
    other = client.open(project / "shop" / "till.py", "\nhunter_two\n")
    client.ready()
    for uri in uris:
        assert not client.request("textDocument/hover", where(uri, 0, 3))
        assert not client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
        assert ghost(client, uri, 1, 10) == []
        assert labels(client, uri, 1, 10) == set()
    assert not any("hunter" in label for label in labels(client, other, 1, 10) - {"hunter_two"})
    assert not any("password" in text for text in ghost(client, other, 1, 10))
    assert symbols(client, "hunter") == []
    # What is saved is not read from the disk either.
    (project / ".env").write_text(secret, encoding="utf-8")
    client.notify("textDocument/didSave", {"textDocument": {"uri": uris[1]}})
    assert client.ready()["folders"][0]["files"] == 2


def test_source_whose_name_tells_of_secrets_is_renamed_along_but_not_learned(start: Start, project: Path) -> None:
    (project / "credentials.py").write_text(
        "from shop.prices import price\nhunter_two = price('hunter_two')\n", encoding="utf-8"
    )
    client = start(project)
    uri = client.open(project / "shop" / "prices.py")
    edit = client.request("textDocument/rename", {**where(uri, 0, 5), "newName": "cost_of"})
    changed = {change["textDocument"]["uri"] for change in edit["documentChanges"] if "textDocument" in change}
    assert (project / "credentials.py").as_uri() in changed
    known = client.ready()["folders"][0]["tokens"]
    open_too = client.open(project / "credentials.py")
    assert client.ready()["folders"][0]["tokens"] <= known
    client.close(open_too)


def test_a_document_above_the_limit_has_its_own_window_and_costs_the_others_nothing(
    start: Start, project: Path
) -> None:
    client = start(project, settings={"index.maxFileKb": 64})
    lines = "".join(f"value_{number} = compute_the_value({number}, scale=2)\n" for number in range(4_000))
    (project / "large.py").write_text(lines, encoding="utf-8")
    uri = client.open(project / "large.py", lines + "value_4000 = compute_the_")
    assert ghost(client, uri, 4_000, 25)
    client.change(uri, lines + "value_4000 = compute_the_value(4000, sc")
    assert ghost(client, uri, 4_000, 39)
    assert not client.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    other = client.open(project / "shop" / "till.py")
    assert client.request("textDocument/definition", where(other, 2, 8))
    assert symbols(client, "value_17") == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_odd_files_and_documents_keep_nobody_waiting(start: Start, project: Path) -> None:
    os.mkfifo(project / "shop" / "pipe.py")
    (project / "shop" / "loop").symlink_to(project)
    (project / "shop" / "deep.py").write_text("x = " + "[" * 50_000 + "]" * 50_000 + "\n", encoding="utf-8")
    (project / "shop" / "long.py").write_text("x = 1; " * 100_000 + "\n", encoding="utf-8")
    client = start(project)
    os.mkfifo(project / "another.py")
    client.notify(
        "workspace/didChangeWatchedFiles", {"changes": [{"uri": (project / "another.py").as_uri(), "type": 1}]}
    )
    uris = [
        client.open(project / "shop" / "pipe.py", "piped = 1\n"),
        client.open(project / ("x" * 300 + ".py"), "named = 1\n"),
        client.open(project / "deeper.py", "y = " + "(" * 20_000),
        client.open(project / "shop" / "loop" / "shop" / "prices.py"),
    ]
    (project / "shop" / "new.py").write_text("def made_later(): ...\n", encoding="utf-8")
    assert eventually(lambda: symbols(client, "made_later"))
    till = client.open(project / "shop" / "till.py")
    assert client.request("textDocument/definition", where(till, 2, 8))
    assert [s["name"] for s in client.request("textDocument/documentSymbol", {"textDocument": {"uri": uris[0]}})] == [
        "piped"
    ]


def test_reading_can_be_halted_and_goes_on_with_what_changed_meanwhile(start: Start, project: Path) -> None:
    client = start(project)
    assert command(client, "pauseReading")["paused"]
    (project / "shop" / "prices.py").write_text("def discount_for_friends(): ...\n", encoding="utf-8")
    (project / "shop" / "till.py").unlink()
    client.notify(
        "workspace/didChangeWatchedFiles", {"changes": [{"uri": (project / "shop/prices.py").as_uri(), "type": 2}]}
    )
    client.ready()
    assert symbols(client, "discount_for_friends") == []
    assert symbols(client, "price")
    assert not command(client, "resumeReading")["paused"]
    client.ready()
    assert eventually(lambda: symbols(client, "discount_for_friends"))
    assert symbols(client, "price") == []
    assert client.ready()["folders"][0]["files"] == 1


def test_without_reading_open_documents_are_answered(start: Start, project: Path) -> None:
    client = start(project, settings={"index.enable": False})
    assert symbols(client, "price") == []
    uri = client.open(project / "shop" / "till.py", "def local(): ...\nlocal()\n")
    assert client.request("textDocument/definition", where(uri, 1, 2))
    assert client.ready()["folders"][0]["problem"] == "reading projects is switched off"


def test_two_servers_on_one_project_answer_and_save_both(launch: Start, tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "json", "email")
    age(root)
    settings = {"index.cacheFolder": str(tmp_path / "shared cache")}
    one = launch(root, settings=settings)
    two = launch(root, settings=settings)
    names = ("first_of_two", "second_of_two")
    for name in names:
        # Moved there when it looks old: a server that reads it between the two would have to read it again next time.
        file = tmp_path / f"{name}.py"
        file.write_text(f"def {name}(): ...\n", encoding="utf-8")
        age(file)
        file.rename(root / file.name)
    for client in (one, two):
        for name in names:
            assert eventually(lambda client=client, name=name: symbols(client, name))
        uri = client.open(root / "json" / "tool.py", "from json import loads\nloads\n")
        assert client.request("textDocument/definition", where(uri, 1, 2))
    files = {client.ready()["folders"][0]["files"] for client in (one, two)}
    assert len(files) == 1
    assert [client.stop() for client in (one, two)] == [0, 0]
    third = launch(root, settings=settings)
    (folder,) = third.ready()["folders"]
    assert {folder["files"], folder["fromStore"]} == files
    assert third.stop() == 0
    assert "going on without" not in "".join(log.read_text(encoding="utf-8") for log in tmp_path.glob("server-*.log"))


@pytest.mark.parametrize("name", [".engramignore", ".gitignore"])
def test_rules_that_change_count_at_once_whoever_noticed(start: Start, project: Path, name: str) -> None:
    client = start(project)
    assert symbols(client, "price")
    (project / "shop" / name).write_text("prices.py\n", encoding="utf-8")
    assert eventually(lambda: not symbols(client, "price"))
    assert client.ready()["folders"][0]["files"] == 1
    (project / "shop" / name).unlink()
    assert eventually(lambda: symbols(client, "price"))
