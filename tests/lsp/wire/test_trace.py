"""The commands engram.trace and engram.trace.clear, in editors that pull problems and that are pushed them."""

from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client
from wire_support import Start, change_folders

FILES = {
    "shop/__init__.py": "",
    "shop/prices.py": "def price(item):\n    return item.cost\n",
    "shop/till.py": "from shop.prices import price\n\n\ndef total(items):\n    return sum(price(item) for item in items)\n",
}
TRACE = """\
2026-01-01T00:00:00Z Traceback (most recent call last):
2026-01-01T00:00:00Z   File "/home/runner/work/app/shop/till.py", line 5, in total
2026-01-01T00:00:00Z     return sum(price(item) for item in items)
2026-01-01T00:00:00Z   File "/home/runner/work/app/shop/prices.py", line 2, in price
2026-01-01T00:00:00Z     return item.cost
2026-01-01T00:00:00Z            ^^^^^^^^^
2026-01-01T00:00:00Z AttributeError: 'Item' object has no attribute 'cost'
"""


# Files that are not open are told about for the sake of traces alone.
ALONE = {"diagnostics.scope": "open"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def run(client: Client, command: str, *arguments: Any) -> Any:
    return client.request("workspace/executeCommand", {"command": command, "arguments": list(arguments)})


def told(client: Client, file: Path) -> list[Any]:
    """The suspects that are pushed next for a file."""
    shown = client.expect("textDocument/publishDiagnostics", lambda params: params["uri"] == file.as_uri())
    return [item for item in shown["diagnostics"] if item["source"] == "engram trace"]


def until(client: Client, file: Path, count: int) -> None:
    """Waits until so many suspects are shown in a file."""
    while len(told(client, file)) != count:
        pass


@pytest.mark.parametrize("editor", ["vscode", "eglot"])
def test_suspects_are_shown_in_their_files_with_the_way_there_and_withdrawn(
    start: Start, shop: Path, editor: str
) -> None:
    client = start(shop, editor=editor, settings=ALONE)
    prices = shop / "shop" / "prices.py"
    answer = run(client, "engram.trace", TRACE)
    (trace,) = answer["traces"]
    assert [frame["uri"] for frame in trace["frames"]] == [(shop / "shop" / "till.py").as_uri(), prices.as_uri()]
    first = trace["suspects"][0]
    assert (first["uri"], first["function"], first["lines"][0]) == (prices.as_uri(), "price", 2)
    assert "the error was raised in it" in first["reasons"]
    (shown,) = told(client, prices)
    assert shown["range"]["start"] == {"line": 1, "character": 4} and "AttributeError" in shown["message"]
    if editor == "vscode":
        assert [one["message"] for one in shown["relatedInformation"]] == ["in total", "in price"]
    run(client, "engram.trace.clear")
    until(client, prices, 0)
    client.ready()
    client.notifications.clear()


@pytest.mark.parametrize("editor", ["vscode", "eglot"])
def test_what_is_shown_in_a_file_goes_when_that_is_edited(start: Start, shop: Path, editor: str) -> None:
    client = start(shop, editor=editor, settings={**ALONE, "diagnostics.debounceMs": 20})
    prices = shop / "shop" / "prices.py"
    uri = client.open(prices)
    client.ready()
    run(client, "engram.trace", TRACE, shop.as_uri())
    until(client, prices, 1)
    client.change(uri, "def price(item):\n    return item.price\n")
    until(client, prices, 0)
    run(client, "engram.trace.clear")
    until(client, shop / "shop" / "till.py", 0)
    client.ready()
    client.notifications.clear()


def test_a_text_without_traces_and_a_folder_that_is_not_open_give_nothing(start: Start, shop: Path) -> None:
    client = start(shop, settings=ALONE)
    assert run(client, "engram.trace", "all is well") == {"traces": []}
    assert run(client, "engram.trace") == {"traces": []}
    assert run(client, "engram.trace", TRACE, (shop / "elsewhere").as_uri()) == {"traces": []}


def test_the_trace_of_another_program_blames_nothing(start: Start, shop: Path) -> None:
    client = start(shop, settings=ALONE)
    other = TRACE.replace("shop/till.py", "bank/account.py").replace("shop/prices.py", "bank/ledger.py")
    (trace,) = run(client, "engram.trace", other)["traces"]
    assert trace["suspects"] == [] and trace["proposals"] == []
    client.ready()
    assert not client.notifications


def test_a_folder_that_leaves_takes_its_suspects_along(start: Start, shop: Path) -> None:
    client = start(shop, settings=ALONE)
    run(client, "engram.trace", TRACE)
    until(client, shop / "shop" / "prices.py", 1)
    change_folders(client, removed=(shop,))
    until(client, shop / "shop" / "prices.py", 0)
    until(client, shop / "shop" / "till.py", 0)
    client.ready()
    client.notifications.clear()
