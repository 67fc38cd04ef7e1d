"""Renames of modules and files, and names to choose from, over stdio."""

from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import ResponseError, at, where
from engram_lsp.convert import uri_of
from wire_support import Start

pytestmark = pytest.mark.wire


def project(root: Path) -> Path:
    (root / "shop").mkdir(parents=True)
    (root / "shop" / "__init__.py").write_text("from .cart import Cart\n", encoding="utf-8")
    (root / "shop" / "cart.py").write_text("class Cart:\n    def add(self, item): ...\n", encoding="utf-8")
    (root / "main.py").write_text(
        "from shop import cart\n\ndef buy():\n    c = cart.Cart()\n    c.add(1)\n", encoding="utf-8"
    )
    return root


def edited(edit: Any) -> dict[str, list[str]]:
    """The new texts by file name."""
    return {
        change["textDocument"]["uri"].rpartition("/")[2]: [one["newText"] for one in change["edits"]]
        for change in edit["documentChanges"]
        if "edits" in change
    }


def test_a_module_renamed_at_an_import_comes_with_the_move_of_its_file(start: Start, tmp_path: Path) -> None:
    root = project(tmp_path / "project")
    client = start(root)
    uri = client.open(root / "main.py")
    place = where(uri, 0, len("from shop import c"))
    assert client.request("textDocument/prepareRename", place)["placeholder"] == "cart"
    edit = client.request("textDocument/rename", {**place, "newName": "basket"})
    assert edited(edit) == {"__init__.py": ["basket"], "main.py": ["basket", "basket"]}
    assert edit["documentChanges"][-1] == {
        "kind": "rename",
        "oldUri": uri_of(root / "shop" / "cart.py"),
        "newUri": uri_of(root / "shop" / "basket.py"),
    }
    with pytest.raises(ResponseError, match="not a name"):
        client.request("textDocument/rename", {**place, "newName": "not-a-name"})


def test_files_and_folders_that_the_editor_renames_take_their_imports_along(start: Start, tmp_path: Path) -> None:
    root = project(tmp_path / "project")
    client = start(root)

    def rename(old: str, new: str) -> Any:
        files = [{"oldUri": uri_of(root / old), "newUri": uri_of(root / new)}]
        return client.request("workspace/willRenameFiles", {"files": files})

    assert edited(rename("shop/cart.py", "shop/basket.py")) == {"__init__.py": ["basket"], "main.py": ["basket"] * 2}
    assert edited(rename("shop", "store")) == {"main.py": ["store"]}
    assert rename("main.py", "start.py") is None
    assert rename("nowhere.py", "else.py") is None


def test_names_are_suggested_and_one_of_them_is_applied(start: Start, tmp_path: Path) -> None:
    root = project(tmp_path / "project")
    client = start(root)
    uri = client.open(root / "main.py")
    arguments = [uri, at(3, 4)]
    found = client.request("workspace/executeCommand", {"command": "engram.suggestNames", "arguments": arguments})
    assert found[0]["name"] == "cart" or "cart" in [one["name"] for one in found]
    applied: list[Any] = []
    client.answers["workspace/applyEdit"] = lambda params: applied.append(params["edit"]) or {"applied": True}
    rename = {"command": "engram.renameTo", "arguments": [*arguments, "basket"]}
    assert client.request("workspace/executeCommand", rename) is True
    assert edited(applied[0]) == {"main.py": ["basket", "basket"]}
    actions = client.request(
        "textDocument/codeAction",
        {
            "textDocument": {"uri": uri},
            "range": {"start": at(3, 4), "end": at(3, 4)},
            "context": {"diagnostics": [], "only": ["refactor"], "triggerKind": 1},
        },
    )
    assert actions and all(action["command"]["command"] == "engram.renameTo" for action in actions)
    with pytest.raises(ResponseError, match="position"):
        client.request("workspace/executeCommand", {"command": "engram.suggestNames", "arguments": ["x"]})


def test_a_client_that_cannot_ask_is_told_why_a_doubtful_rename_is_not_made(start: Start, tmp_path: Path) -> None:
    root = project(tmp_path / "project")
    (root / "doubt.py").write_text("def f(some):\n    return locals()\n", encoding="utf-8")
    client = start(root, editor="eglot")
    uri = client.open(root / "doubt.py")
    with pytest.raises(ResponseError, match="not certain"):
        client.request("textDocument/rename", {**where(uri, 0, 7), "newName": "thing"})
