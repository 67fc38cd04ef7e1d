"""Questions about a real package, answered by one server that has read it."""

import ast
import keyword
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client, ResponseError, at, where
from engram_lsp.convert import path_of
from wire_support import Start, copy_packages

pytestmark = pytest.mark.wire


def find(path: Path, needle: str, *, after: str = "") -> tuple[int, int]:
    """Line and column of `needle` in a file of ASCII text, the first one behind `after`."""
    text = path.read_text(encoding="utf-8")
    index = text.index(needle, text.index(after))
    return text.count("\n", 0, index), index - (text.rfind("\n", 0, index) + 1)


def spots(locations: list[Any]) -> set[tuple[str, int, int]]:
    """(file name, line, column) of each location."""
    found = set[tuple[str, int, int]]()
    for location in locations:
        path = path_of(location["uri"])
        assert path is not None
        start = location["range"]["start"]
        found.add((f"{path.parent.name}/{path.name}", start["line"], start["character"]))
    return found


@pytest.fixture(scope="module")
def uses(package: Path) -> set[tuple[str, int, int]]:
    """Every mention of the name JSONDecodeError, in `__all__` too, found by Python's own parser."""
    found = set[tuple[str, int, int]]()
    for path in sorted((package / "json").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Name(id=name) | ast.ClassDef(name=name) | ast.alias(name=name) | ast.Attribute(attr=name):
                    pass
                case ast.Constant(value=str(name)):  # in `__all__`
                    pass
                case _:
                    continue
            if name == "JSONDecodeError":
                column = lines[node.lineno - 1].index(name, node.col_offset)
                found.add((f"json/{path.name}", node.lineno - 1, column))
    assert len(found) > 5
    return found


def test_a_definition_is_found_through_imports(server: Client, package: Path) -> None:
    file = package / "json" / "__init__.py"
    uri = server.open(file)
    line, column = find(file, "JSONDecoder(", after="_default_decoder")
    found = server.request("textDocument/definition", where(uri, line, column + 2))
    assert spots(found) == {("json/decoder.py", *add(find(package / "json" / "decoder.py", "class JSONDecoder("), 6))}
    server.close(uri)


def add(place: tuple[int, int], columns: int) -> tuple[int, int]:
    return place[0], place[1] + columns


def test_references_are_every_mention_and_nothing_else(
    server: Client, package: Path, uses: set[tuple[str, int, int]]
) -> None:
    file = package / "json" / "decoder.py"
    uri = server.open(file)
    line, column = find(file, "JSONDecodeError", after="class JSONDecodeError")
    question = where(uri, line, column)
    everything = server.request("textDocument/references", {**question, "context": {"includeDeclaration": True}})
    others = server.request("textDocument/references", {**question, "context": {"includeDeclaration": False}})
    inside = {spot for spot in spots(everything) if spot[0].startswith("json/")}
    assert inside == uses
    assert spots(everything) - spots(others) == {("json/decoder.py", line, column)}
    server.close(uri)


def test_hover_shows_signature_and_documentation(server: Client, package: Path) -> None:
    file = package / "json" / "tool.py"
    uri = server.open(file, "import json\njson.dumps(1)\n")
    hover = server.request("textDocument/hover", where(uri, 1, 7))
    assert hover["contents"]["kind"] == "markdown"
    assert "def dumps(obj" in hover["contents"]["value"]
    assert "Serialize" in hover["contents"]["value"]
    assert hover["range"] == {"start": at(1, 5), "end": at(1, 10)}
    assert server.request("textDocument/hover", where(uri, 2, 0)) is None
    server.close(uri)


def test_document_symbols_are_nested_as_the_code_is(server: Client, package: Path) -> None:
    file = package / "json" / "decoder.py"
    uri = server.open(file)
    symbols = server.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            shown = next(symbol for symbol in symbols if symbol["name"] == node.name)
            methods = [child.name for child in node.body if isinstance(child, ast.FunctionDef)]
            assert [child["name"] for child in shown["children"] if child["kind"] == 6] == methods
            assert shown["range"]["end"]["line"] == (node.end_lineno or 0) - 1

    def check(symbol: Any) -> None:
        outer, inner = symbol["range"], symbol["selectionRange"]
        assert order(outer["start"]) <= order(inner["start"]) <= order(inner["end"]) <= order(outer["end"])
        for child in symbol["children"]:
            check(child)

    for symbol in symbols:
        check(symbol)
    server.close(uri)


def order(position: Any) -> tuple[int, int]:
    return position["line"], position["character"]


def test_workspace_symbols_match_letters_in_order_best_first(server: Client) -> None:
    found = server.request("workspace/symbol", {"query": "jsondec"})
    assert found[0]["name"] in ("JSONDecoder", "JSONDecodeError")
    assert {"JSONDecoder", "JSONDecodeError"} <= {symbol["name"] for symbol in found[:4]}
    assert server.request("workspace/symbol", {"query": "no such name anywhere"}) == []


def test_a_rename_reaches_every_file_and_all_of_them_still_compile(start: Start, tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "json")
    client = start(root)
    file = root / "json" / "decoder.py"
    uri = client.open(file)
    client.change(uri, "# the newest text counts\n" + file.read_text(encoding="utf-8"))
    line, column = add(find(file, "class JSONDecodeError"), 6)
    place = where(uri, line + 1, column)
    prepared = client.request("textDocument/prepareRename", place)
    assert prepared == {
        "range": {"start": at(line + 1, column), "end": at(line + 1, column + len("JSONDecodeError"))},
        "placeholder": "JSONDecodeError",
    }
    edit = client.request("textDocument/rename", {**place, "newName": "BrokenJSON"})
    texts = {uri: "# the newest text counts\n" + file.read_text(encoding="utf-8")}
    versions = {change["textDocument"]["uri"]: change["textDocument"]["version"] for change in edit["documentChanges"]}
    assert versions.pop(uri) == 2
    assert versions and set(versions.values()) == {None}
    for change in edit["documentChanges"]:
        name = change["textDocument"]["uri"]
        path = path_of(name)
        assert path is not None
        text = texts.get(name) or path.read_text(encoding="utf-8")
        after = applied(text, change["edits"])
        tree = ast.parse(after)
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert "JSONDecodeError" not in names and "BrokenJSON" in after
    assert "JSONDecodeError" not in {
        alias.name
        for change in edit["documentChanges"]
        for node in ast.walk(ast.parse(applied_file(change, texts)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def applied_file(change: Any, texts: dict[str, str]) -> str:
    uri = change["textDocument"]["uri"]
    path = path_of(uri)
    assert path is not None
    return applied(texts.get(uri) or path.read_text(encoding="utf-8"), change["edits"])


def applied(text: str, edits: list[Any]) -> str:
    """The text after LSP edits, whose columns count characters here: all of it is in the Basic Multilingual Plane."""
    lines = text.split("\n")
    for edit in sorted(edits, key=lambda edit: order(edit["range"]["start"]), reverse=True):
        start, end = edit["range"]["start"], edit["range"]["end"]
        assert start["line"] == end["line"]
        line = lines[start["line"]]
        lines[start["line"]] = line[: start["character"]] + edit["newText"] + line[end["character"] :]
    return "\n".join(lines)


@pytest.mark.parametrize("new", ["class", "1x", "", "a b"])
def test_a_name_that_is_none_is_refused_with_a_reason(server: Client, package: Path, new: str) -> None:
    file = package / "json" / "decoder.py"
    uri = server.open(file)
    line, column = add(find(file, "class JSONDecodeError"), 6)
    with pytest.raises(ResponseError) as caught:
        server.request("textDocument/rename", {**where(uri, line, column), "newName": new})
    assert caught.value.code == -32803
    assert len(caught.value.message) > 10
    server.close(uri)


def test_what_is_no_name_of_the_project_cannot_be_renamed(server: Client, package: Path) -> None:
    uri = server.open(package / "json" / "tool.py", "import sys\nprint('x')  # note\n")
    for column in (0, 2, 7, 13):
        with pytest.raises(ResponseError) as caught:
            server.request("textDocument/prepareRename", where(uri, 1, column))
        assert caught.value.code == -32803
    server.close(uri)


def test_completion_after_a_dot_lists_the_members(server: Client, package: Path) -> None:
    uri = server.open(package / "json" / "tool.py", "import json.decoder\n\njson.decoder.JSON\n")
    answer = server.request("textDocument/completion", where(uri, 2, 17))
    items = {item["label"]: item for item in answer["items"]}
    assert {"JSONDecoder", "JSONDecodeError"} <= set(items)
    item = items["JSONDecoder"]
    assert item["kind"] == 7
    assert item["filterText"] == "JSONDecoder"
    assert item["textEdit"] == {
        "newText": "JSONDecoder",
        "insert": {"start": at(2, 13), "end": at(2, 17)},
        "replace": {"start": at(2, 13), "end": at(2, 17)},
    }
    server.close(uri)


def test_completion_replaces_the_word_the_cursor_stands_in(server: Client, package: Path) -> None:
    uri = server.open(package / "json" / "tool.py", "def outside(): ...\n\noutwards\n")
    answer = server.request("textDocument/completion", where(uri, 2, 3))
    item = next(item for item in answer["items"] if item["label"] == "outside")
    assert item["textEdit"]["insert"] == {"start": at(2, 0), "end": at(2, 3)}
    assert item["textEdit"]["replace"] == {"start": at(2, 0), "end": at(2, 8)}
    server.close(uri)


def test_every_item_goes_on_with_what_was_typed_and_the_order_is_the_lists(server: Client, package: Path) -> None:
    uri = server.open(package / "json" / "tool.py", "import json\n\njson.lo\n")
    answer = server.request("textDocument/completion", where(uri, 2, 7))
    labels = [item["label"] for item in answer["items"]]
    assert {"load", "loads"} <= set(labels)
    assert all(label.lower().startswith("l") for label in labels)
    assert [item["sortText"] for item in answer["items"]] == sorted(item["sortText"] for item in answer["items"])
    server.close(uri)


def test_a_name_of_another_module_comes_with_its_import(server: Client, package: Path) -> None:
    uri = server.open(package / "json" / "tool.py", '"""Doc."""\n\nimport sys\n\nJSONDecodeE\n')
    answer = server.request("textDocument/completion", where(uri, 4, 11))
    item = next(item for item in answer["items"] if item["label"] == "JSONDecodeError")
    (edit,) = item["additionalTextEdits"]
    assert "import JSONDecodeError" in edit["newText"]
    assert edit["range"]["start"] == edit["range"]["end"]
    assert edit["range"]["start"]["line"] <= 3
    server.close(uri)


def test_an_argument_of_the_call_is_written_with_its_sign(server: Client, package: Path) -> None:
    uri = server.open(package / "json" / "tool.py", "import json\n\njson.dumps(1, ind\n")
    answer = server.request("textDocument/completion", where(uri, 2, 17))
    item = next(item for item in answer["items"] if item["label"] == "indent=")
    assert item["textEdit"]["newText"] == "indent="
    assert item["filterText"] == "indent="
    server.close(uri)


def test_names_of_the_project_are_offered_where_nobody_knows_what_may_stand(server: Client, package: Path) -> None:
    uri = server.open(package / "json" / "tool.py", "def f(loop):\n    loop.call_so\n")
    answer = server.request("textDocument/completion", where(uri, 1, 16))
    item = next(item for item in answer["items"] if item["label"] == "call_soon")
    assert item["detail"] == "used so in this project"
    assert answer["isIncomplete"]
    server.change(uri, "def f(loop):\n    '''loop.call_so'''\n")
    assert server.request("textDocument/completion", where(uri, 1, 19))["items"] == []
    server.close(uri)


def test_keywords_are_offered_where_a_statement_begins(server: Client, package: Path) -> None:
    uri = server.open(package / "json" / "tool.py", "ret")
    labels = [item["label"] for item in server.request("textDocument/completion", where(uri, 0, 1))["items"]]
    assert any(label in keyword.kwlist for label in labels)
    server.close(uri)


def test_ghost_text_repeats_what_the_project_says_and_replaces_the_typed_word(server: Client, package: Path) -> None:
    """A memory that has read `json/decoder.py` knows how its lines go on."""
    file = package / "json" / "decoder.py"
    lines = file.read_text(encoding="utf-8").splitlines()
    shown = 0
    uri = server.open(package / "json" / "tool.py", "")
    for number in range(60, 180, 12):
        line = lines[number]
        if len(line.strip()) < 20:
            continue
        column = len(line) - len(line.lstrip()) + 10
        before = "\n".join(lines[max(0, number - 20) : number])
        server.change(uri, f"{before}\n{line[:column]}")
        row = min(number, 20)
        question = {**where(uri, row, column), "context": {"triggerKind": 1}}
        answer = server.request("textDocument/inlineCompletion", question)
        for item in answer["items"]:
            shown += 1
            start, end = item["range"]["start"], item["range"]["end"]
            assert start["line"] == end["line"] == row
            assert end["character"] == column
            assert item["insertText"].startswith(line[start["character"] : column])
            assert item["filterText"] == item["insertText"]
    assert shown
    server.close(uri)


def test_ghost_text_extends_the_item_that_is_selected_in_the_popup(server: Client, package: Path) -> None:
    text = (package / "json" / "decoder.py").read_text(encoding="utf-8")
    line = text[: text.index("raise JSONDecodeError")].count("\n")
    before = "\n".join(text.split("\n")[:line])
    uri = server.open(package / "json" / "tool.py", f"{before}\n            raise JSON")
    selected = {"range": {"start": at(line, 18), "end": at(line, 22)}, "text": "JSONDecodeError"}
    answer = server.request(
        "textDocument/inlineCompletion",
        {**where(uri, line, 22), "context": {"triggerKind": 1, "selectedCompletionInfo": selected}},
    )
    for item in answer["items"]:
        assert item["range"] == selected["range"]
        assert item["insertText"].startswith("JSONDecodeError")
        assert len(item["insertText"]) > len("JSONDecodeError")
    server.close(uri)


def test_a_finding_has_a_fix_that_removes_it(server: Client, package: Path) -> None:
    source = "import os\nimport sys\n\nwhere = sys.path\n"
    uri = server.open(package / "json" / "tool.py", source)
    report = server.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    (problem,) = report["items"]
    assert problem["code"] == "unused-import" and problem["tags"] == [1]
    actions = server.request(
        "textDocument/codeAction",
        {"textDocument": {"uri": uri}, "range": problem["range"], "context": {"diagnostics": [problem]}},
    )
    (change,) = actions[0]["edit"]["documentChanges"]
    assert actions[0]["kind"] == "quickfix"
    assert change["textDocument"] == {"uri": uri, "version": 1}
    server.change(uri, *[{"range": edit["range"], "text": edit["newText"]} for edit in reversed(change["edits"])])
    again = server.request(
        "textDocument/diagnostic", {"textDocument": {"uri": uri}, "previousResultId": report["resultId"]}
    )
    assert again["items"] == []
    server.close(uri)


@pytest.mark.parametrize("editor", ["vscode", "neovim", "eglot"])
def test_columns_are_counted_as_the_editor_counts_them(start: Start, tmp_path: Path, editor: str) -> None:
    """The same rename over astral characters, in the editor's own unit."""
    root = tmp_path / "project"
    root.mkdir()
    source = 'smile = "😀😀"; value = smile\r\nprint("é😀", value, smile)\r\n'
    (root / "a.py").write_bytes(source.encode())
    client = start(root, editor=editor)
    unit = client.capabilities["positionEncoding"]
    assert unit == {"vscode": "utf-16", "neovim": "utf-8", "eglot": "utf-32"}[editor]
    uri = client.open(root / "a.py", source)

    def column(text: str) -> int:
        encoding = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[unit]
        return len(text.encode(encoding)) // {"utf-8": 1, "utf-16": 2, "utf-32": 4}[unit]

    first, second = source.split("\r\n")[:2]
    asked = column(first[: first.index("value")])
    found = client.request("textDocument/definition", where(uri, 1, column(second[: second.index("value")]) + 1))
    assert [one["range"]["start"] for one in found] == [at(0, asked)]
    edit = client.request("textDocument/rename", {**where(uri, 0, asked), "newName": "worth"})
    (change,) = edit["documentChanges"]
    starts = sorted(order(one["range"]["start"]) for one in change["edits"])
    assert starts == [(0, asked), (1, column(second[: second.index("value")]))]
    assert edit["documentChanges"][0]["textDocument"]["version"] == 1
    if editor == "eglot":
        client.expect("textDocument/publishDiagnostics", lambda params: params["uri"] == uri)


def test_editors_without_ghost_text_get_the_whole_line_in_the_list(start: Start, tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "json")
    client = start(root, editor="eglot", settings={"completion.waitMs": 20_000})
    text = (root / "json" / "decoder.py").read_text(encoding="utf-8")
    line = text[: text.index("raise JSONDecodeError")].count("\n")
    before = "\n".join(text.split("\n")[:line])
    uri = client.open(root / "json" / "tool.py", f"{before}\n            raise JSONDec")
    answer = client.request("textDocument/completion", where(uri, line, 25))
    whole = [item for item in answer["items"] if item["sortText"] == "00000"]
    for item in whole:
        assert item["filterText"].startswith("JSONDec")
        assert answer["isIncomplete"]
    assert "JSONDecodeError" in [item["label"] for item in answer["items"]]
    assert "insert" not in answer["items"][-1]["textEdit"]
    client.expect("textDocument/publishDiagnostics", lambda params: params["uri"] == uri)


def test_what_can_be_switched_off_is_silent(start: Start, tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "json")
    off: dict[str, Any] = {"completion.enable": False, "inline.enable": False, "diagnostics": {"enable": False}}
    client = start(root, settings=off)
    uri = client.open(root / "json" / "tool.py", "import os\nvalue = undefined\n")
    assert client.request("textDocument/completion", where(uri, 1, 3)) is None
    question = {**where(uri, 1, 3), "context": {"triggerKind": 1}}
    assert client.request("textDocument/inlineCompletion", question) is None
    assert client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})["items"] == []
    client.configuration = {**client.configuration, "diagnostics": {"severity": {"unused-import": "off"}}}
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    client.ready()
    report = client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    assert [item["code"] for item in report["items"]] == ["undefined-name"]
    assert client.request("textDocument/completion", where(uri, 1, 3)) is None
