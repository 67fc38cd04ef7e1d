"""Problems of files that are not open, and of the whole workspace."""

import time
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client, at
from wire_support import Start, capabilities, copy_packages

FILES = {
    "shop/__init__.py": "",
    "shop/prices.py": "def price(item) -> int:\n    return len(item)\n",
    "shop/till.py": "from shop.prices import price\n\nprint(price('a'))\n",
    "shop/old.py": "import os\n",
    "shop/older.py": "import os\nx = 1\n",
}
BROKEN = "def cost(item) -> int:\n    return len(item)\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def told(client: Client, file: Path) -> list[str]:
    """The codes that are pushed next for a file."""
    shown = client.expect("textDocument/publishDiagnostics", lambda params: params["uri"] == file.as_uri())
    return [item["code"] for item in shown["diagnostics"]]


@pytest.mark.parametrize("editor", ["vscode", "eglot"])
def test_what_an_edit_breaks_in_a_file_that_is_not_open_is_told_and_withdrawn(
    start: Start, shop: Path, editor: str
) -> None:
    client = start(shop, editor=editor, settings={"diagnostics.debounceMs": 20})
    prices = client.open(shop / "shop" / "prices.py")
    client.change(prices, BROKEN)
    assert told(client, shop / "shop" / "till.py") == ["unknown-import-name"]
    client.change(prices, FILES["shop/prices.py"])
    assert told(client, shop / "shop" / "till.py") == []
    client.ready()
    client.notifications.clear()


def test_what_was_there_before_is_not_told(start: Start, shop: Path) -> None:
    client = start(shop, settings={"diagnostics.debounceMs": 20})
    prices = client.open(shop / "shop" / "prices.py")
    client.change(prices, "from shop.older import x\n" + FILES["shop/prices.py"])
    time.sleep(0.5)
    client.ready()
    assert not client.notifications


def test_a_file_that_is_opened_has_its_own_report_from_then_on(start: Start, shop: Path) -> None:
    client = start(shop, settings={"diagnostics.debounceMs": 20})
    prices = client.open(shop / "shop" / "prices.py")
    client.change(prices, BROKEN)
    assert told(client, shop / "shop" / "till.py") == ["unknown-import-name"]
    till = client.open(shop / "shop" / "till.py")
    assert told(client, shop / "shop" / "till.py") == []
    report = client.request("textDocument/diagnostic", {"textDocument": {"uri": till}})
    assert [item["code"] for item in report["items"]] == ["unknown-import-name"]


def test_a_deleted_module_is_missed_where_it_is_imported(start: Start, shop: Path) -> None:
    client = start(shop, settings={"diagnostics.debounceMs": 20})
    (shop / "shop" / "prices.py").unlink()
    client.notify(
        "workspace/didChangeWatchedFiles", {"changes": [{"uri": (shop / "shop" / "prices.py").as_uri(), "type": 3}]}
    )
    assert told(client, shop / "shop" / "till.py") == ["unresolved-import"]


def test_only_open_documents_are_told_about_where_the_user_wants_that(start: Start, shop: Path) -> None:
    client = start(shop, settings={"diagnostics.debounceMs": 20, "diagnostics.scope": "open"})
    client.change(client.open(shop / "shop" / "prices.py"), BROKEN)
    time.sleep(0.5)
    client.ready()
    assert not client.notifications


def test_the_whole_workspace_is_told_to_clients_that_do_not_ask(start: Start, shop: Path) -> None:
    client = start(shop, editor="eglot", settings={"diagnostics.debounceMs": 20, "diagnostics.scope": "workspace"})
    assert told(client, shop / "shop" / "older.py") == ["unused-import"]
    client.configuration = {**client.configuration, "diagnostics.scope": "affected"}
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    assert told(client, shop / "shop" / "older.py") == []


def pull(client: Client, known: list[Any], **more: Any) -> Any:
    return client.send("workspace/diagnostic", {"previousResultIds": known, **more})


def test_a_pull_of_the_whole_workspace_waits_until_something_changes(launch: Start, shop: Path) -> None:
    client = launch(shop)
    items = pull(client, []).result()["items"]
    found = {item["uri"]: [one["code"] for one in item["items"]] for item in items}
    assert found == {(shop / "shop" / "older.py").as_uri(): ["unused-import"]}
    known = [{"uri": item["uri"], "value": item["resultId"]} for item in items]
    waiting = pull(client, known, partialResultToken="told")
    prices = client.open(shop / "shop" / "prices.py")
    client.request("textDocument/hover", {"textDocument": {"uri": prices}, "position": at(0, 4)})
    assert not waiting.replies
    client.change(prices, BROKEN)
    assert waiting.result()["items"] == []  # what there is to say has been said
    parts = [one["value"]["items"] for one in client.progress if one["token"] == "told"]
    assert [[(item["uri"], item["items"][0]["code"]) for item in part] for part in parts] == [
        [((shop / "shop" / "till.py").as_uri(), "unknown-import-name")]
    ]
    cancelled = pull(client, known)
    cancelled.cancel()
    client.stop()


def test_a_file_that_is_closed_again_shows_what_was_told_of_it(start: Start, shop: Path) -> None:
    client = start(shop, settings={"diagnostics.debounceMs": 20})
    prices = client.open(shop / "shop" / "prices.py")
    client.change(prices, BROKEN)
    assert told(client, shop / "shop" / "till.py") == ["unknown-import-name"]
    till = client.open(shop / "shop" / "till.py")
    assert told(client, shop / "shop" / "till.py") == []
    client.close(till)
    assert told(client, shop / "shop" / "till.py") == ["unknown-import-name"]


def test_a_file_that_was_open_when_the_workspace_was_told_about_is_told_about_later(start: Start, shop: Path) -> None:
    client = start(shop, editor="eglot", settings={"diagnostics.debounceMs": 20, "diagnostics.scope": "workspace"})
    assert told(client, shop / "shop" / "older.py") == ["unused-import"]
    older = client.open(shop / "shop" / "older.py")
    while told(client, shop / "shop" / "older.py") != ["unused-import"]:
        pass  # its own report, perhaps behind the one that it took the place of
    client.close(older)
    assert told(client, shop / "shop" / "older.py") == []
    assert told(client, shop / "shop" / "older.py") == ["unused-import"]


def test_a_pull_of_the_workspace_tells_that_a_file_is_gone_once(launch: Start, shop: Path) -> None:
    client = launch(shop)
    (item,) = pull(client, []).result()["items"]
    waiting = pull(client, [{"uri": item["uri"], "value": item["resultId"]}])
    (shop / "shop" / "older.py").unlink()
    client.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": item["uri"], "type": 3}]})
    (gone,) = waiting.result()["items"]
    assert (gone["uri"], gone["items"]) == (item["uri"], [])
    waiting = pull(client, [{"uri": gone["uri"], "value": gone["resultId"]}])
    client.ready()
    assert not waiting.replies
    waiting.cancel()
    client.stop()


def test_a_client_that_cannot_be_told_to_ask_again_is_answered_once_all_is_read(tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "email", "json")
    (root / "till.py").write_text("from email.utils import parseaddr\n\nparseaddr()\n", encoding="utf-8")
    known = capabilities("neovim")
    del known["workspace"]["diagnostics"]
    with Client(configuration={"index.cacheFolder": str(tmp_path / "cache"), "model.path": "none"}) as client:
        client.initialize(root, capabilities=known, name="neovim 0.11")
        uri = client.open(root / "till.py")
        report = client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
        assert [item["code"] for item in report["items"]] == ["missing-argument"]
        client.notifications.clear()
