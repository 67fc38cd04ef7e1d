"""Code actions: fixes, all fixes at once, imports in order, comments that silence."""

from pathlib import Path
from typing import Any

import pytest
from engram_context.text import Text
from engram_lsp import convert
from engram_lsp.client import Client, at
from lsprotocol import types
from wire_support import Start

MESSY = "import sys\nimport os\nfrom shop import b\nimport json\nprint(json, b, 'æ😀')\nnope = nopee\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, text in {"shop/__init__.py": "", "shop/b.py": "", "till.py": MESSY}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def actions(client: Client, uri: str, start: Any, end: Any, *only: str) -> list[Any]:
    context: dict[str, Any] = {"diagnostics": []}
    if only:
        context["only"] = list(only)
    params = {"textDocument": {"uri": uri}, "range": {"start": start, "end": end}, "context": context}
    return client.request("textDocument/codeAction", params) or []


def applied(source: str, action: Any) -> str:
    """The text after an action on one document, in UTF-16 positions."""
    (change,) = action["edit"]["documentChanges"]
    text = Text.of(source)
    for edit in reversed(change["edits"]):
        places = (types.Position(**edit["range"][side]) for side in ("start", "end"))
        start, end = (convert.offset(text, place, "utf-16") for place in places)
        text = Text.of(text.data[:start] + edit["newText"].encode() + text.data[end:])
    return text.data.decode()


def test_all_safe_fixes_are_made_at_once_when_that_is_asked_for(start: Start, shop: Path) -> None:
    client = start(shop)
    uri = client.open(shop / "till.py")
    (action,) = actions(client, uri, at(0, 0), at(0, 0), "source.fixAll")
    assert action["kind"] == "source.fixAll.engram"
    assert applied(MESSY, action) == MESSY.replace("import sys\nimport os\n", "")


def test_imports_are_put_in_order_and_unused_ones_taken_out(start: Start, shop: Path) -> None:
    client = start(shop)
    uri = client.open(shop / "till.py")
    (action,) = actions(client, uri, at(0, 0), at(0, 0), "source.organizeImports")
    assert applied(MESSY, action) == "import json\n\nfrom shop import b\n\nprint(json, b, 'æ😀')\nnope = nopee\n"
    client.change(uri, applied(MESSY, action))
    assert actions(client, uri, at(0, 0), at(0, 0), "source.organizeImports") == []


def test_imports_are_sorted_as_the_project_says(start: Start, shop: Path) -> None:
    (shop / "pyproject.toml").write_text("[tool.isort]\nforce_sort_within_sections = true\nlength_sort = true\n")
    client = start(shop)
    source = "from collections import abc\nimport io\nimport sys\nprint(abc, io, sys)\n"
    uri = client.open(shop / "till.py", source)
    (action,) = actions(client, uri, at(0, 0), at(0, 0), "source.organizeImports")
    assert applied(source, action).startswith("import io\nimport sys\nfrom collections import abc\n")


def test_what_changes_a_whole_document_is_not_offered_unasked(start: Start, shop: Path) -> None:
    client = start(shop)
    uri = client.open(shop / "till.py")
    kinds = {action["kind"] for action in actions(client, uri, at(0, 0), at(5, 0))}
    assert kinds == {"quickfix"}


def test_one_kind_of_problem_is_fixed_in_the_whole_file_by_one_action(start: Start, shop: Path) -> None:
    client = start(shop)
    uri = client.open(shop / "till.py")
    found = actions(client, uri, at(0, 7), at(0, 7), "quickfix")
    titles = [action["title"] for action in found]
    assert titles[0] == "Remove unused import 'sys'" and found[0]["isPreferred"]
    assert titles[1] == "Fix all 2 'unused-import' in this file"
    assert applied(MESSY, found[1]) == MESSY.replace("import sys\nimport os\n", "")


def test_a_problem_is_silenced_by_a_comment_that_grows_with_the_next(start: Start, shop: Path) -> None:
    client = start(shop)
    uri = client.open(shop / "till.py")
    silence = actions(client, uri, at(5, 9), at(5, 9), "quickfix")[-1]
    assert silence["title"] == "Silence 'undefined-name' on this line"
    after = applied(MESSY, silence)
    assert after.endswith("nope = nopee  # engram: ignore[undefined-name]\n")
    client.change(uri, after)
    report = client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    assert {item["code"] for item in report["items"]} == {"unused-import"}
    more = after.replace("undefined-name", "unused-import")
    client.change(uri, more)
    silence = actions(client, uri, at(5, 9), at(5, 9), "quickfix")[-1]
    assert applied(more, silence).endswith("# engram: ignore[unused-import, undefined-name]\n")


def test_a_diagnostic_says_where_its_code_is_explained(start: Start, shop: Path) -> None:
    client = start(shop)
    uri = client.open(shop / "till.py")
    report = client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    pages = {item["codeDescription"]["href"] for item in report["items"]}
    assert {page.rpartition("/")[2] for page in pages} == {"unused-import.md", "undefined-name.md"}
    assert all(convert.path_of(page).read_text(encoding="utf-8").startswith("# ") for page in pages)
