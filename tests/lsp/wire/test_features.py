"""Everything else that editors ask for, in one conversation with each of three of them."""

import random
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client, ResponseError, at, where
from engram_lsp.convert import uri_of
from wire_support import Start, change_folders, copy_packages

pytestmark = pytest.mark.wire

APP = '''\
"""See https://example.com/😀 for more."""
from util import Shape, greet

smile = "😀"; shape = Shape("😀", size=2)


def main(times: int):
    greet("a", times)
    for _ in range(times):
        shape.draw()


class Square(Shape):
    def draw(self, depth=0):
        return "data.json"
'''
UTIL = '''\
from abc import abstractmethod


class Shape:
    """A thing to draw."""

    def __init__(self, name: str, size: int = 1) -> None:
        self.name = name

    @abstractmethod
    def draw(self, depth=1): ...


def greet(name: str, times: int = 1) -> Shape:
    """Say hello."""
    return Shape(name, 3)
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "app.py").write_text(APP, encoding="utf-8")
    (root / "util.py").write_text(UTIL, encoding="utf-8")
    (root / "data.json").write_text("{}", encoding="utf-8")
    return root


def column(line: str, part: str, unit: str) -> int:
    """Where `part` begins in a line, in the client's unit."""
    before = line[: line.index(part)]
    return units(before, unit)


def units(text: str, unit: str) -> int:
    encoding, width = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}[unit]
    return len(text.encode(encoding)) // width


def place(source: str, line: int, part: str, unit: str) -> dict[str, int]:
    return at(line, column(source.splitlines()[line], part, unit))


def whole(source: str) -> dict[str, Any]:
    return {"start": at(0, 0), "end": at(source.count("\n") + 1, 0)}


@pytest.mark.parametrize("editor", ["vscode", "neovim", "eglot"])
def test_every_editor_gets_everything_in_its_own_columns(start: Start, project: Path, editor: str) -> None:
    client = start(project, editor=editor, settings={"codeLens.references": True, "inlayHints.parameterNames": "all"})
    unit = client.capabilities["positionEncoding"]
    app, util = uri_of(project / "app.py"), uri_of(project / "util.py")
    assert client.open(project / "app.py") == app
    item = {"textDocument": {"uri": app}}

    def ask(method: str, line: int, part: str, **more: Any) -> Any:
        return client.request(method, {**item, "position": place(APP, line, part, unit), **more})

    def spot(source: str, line: int, part: str) -> dict[str, Any]:
        start = place(source, line, part, unit)
        return {"start": start, "end": at(line, start["character"] + units(part, unit))}

    # Signatures: behind an astral character, by a keyword.
    found = ask("textDocument/signatureHelp", 3, "2)")
    (signature,) = found["signatures"]
    assert signature["label"] == "Shape(name: str, size: int = 1)"
    assert found["activeParameter"] == 1
    assert signature["documentation"]["value"] == "A thing to draw."
    assert signature["parameters"][1]["label"] == [17, 30]

    # Highlights
    found = ask("textDocument/documentHighlight", 3, "shape =")
    assert [(one["range"], one["kind"]) for one in found] == [(spot(APP, 3, "shape"), 3), (spot(APP, 9, "shape"), 2)]

    # Declaration, type definition, implementation
    (found,) = ask("textDocument/declaration", 7, "greet")
    assert (found["uri"], found["range"]) == (app, spot(APP, 1, "greet"))
    (found,) = ask("textDocument/typeDefinition", 9, "shape")
    assert (found["uri"], found["range"]) == (util, spot(UTIL, 3, "Shape"))
    (found,) = ask("textDocument/implementation", 9, "draw")
    assert (found["uri"], found["range"]) == (app, spot(APP, 13, "draw"))

    # Folds and selections
    found = client.request("textDocument/foldingRange", item)
    assert {(one["startLine"], one["endLine"]) for one in found} == {(6, 9), (8, 9), (12, 14), (13, 14)}
    (found,) = client.request("textDocument/selectionRange", {**item, "positions": [place(APP, 3, "shape", unit)]})
    assert found["range"] == spot(APP, 3, "shape")
    outer = found["parent"]["range"]
    assert outer == {"start": spot(APP, 3, "shape")["start"], "end": at(3, units(APP.splitlines()[3], unit))}

    # Calls
    (greet,) = ask("textDocument/prepareCallHierarchy", 7, "greet")
    assert (greet["name"], greet["uri"], greet["selectionRange"]) == ("greet", util, spot(UTIL, 13, "greet"))
    (caller,) = client.request("callHierarchy/incomingCalls", {"item": greet})
    assert caller["from"]["name"] == "main" and caller["fromRanges"] == [spot(APP, 7, "greet")]
    found = client.request("callHierarchy/outgoingCalls", {"item": greet})
    assert "Shape" in [one["to"]["name"] for one in found]
    (shape,) = ask("textDocument/prepareCallHierarchy", 3, "Shape")
    found = client.request("callHierarchy/incomingCalls", {"item": shape})
    assert [(one["from"]["name"], one["from"]["kind"]) for one in found] == [("app", 2), ("greet", 12)]
    assert client.request("callHierarchy/outgoingCalls", {"item": found[0]["from"]})

    # Types
    (square,) = ask("textDocument/prepareTypeHierarchy", 12, "Square")
    (above,) = client.request("typeHierarchy/supertypes", {"item": square})
    assert (above["name"], above["uri"]) == ("Shape", util)
    (below,) = client.request("typeHierarchy/subtypes", {"item": above})
    assert below["selectionRange"] == square["selectionRange"] == spot(APP, 12, "Square")

    # Hints, of all parameters and in a range alone
    found = client.request("textDocument/inlayHint", {**item, "range": whole(APP)})
    hints = {(one["position"]["line"], one["label"][0]["value"]) for one in found if one["kind"] == 2}
    assert (3, "name=") in hints and (7, "name=") in hints and (7, "times=") not in hints
    first = next(one for one in found if one["position"]["line"] == 3)
    assert first["position"] == place(APP, 3, '"😀", size', unit)
    assert first["label"][0]["location"] == {"uri": util, "range": spot(UTIL, 6, "name")}
    found = client.request("textDocument/inlayHint", {**item, "range": {"start": at(5, 0), "end": at(7, 40)}})
    assert {one["position"]["line"] for one in found} == {7}

    # Lenses
    found = client.request("textDocument/codeLens", item)
    assert [one["range"] for one in found] == [spot(APP, 6, "main"), spot(APP, 12, "Square"), spot(APP, 13, "draw")]
    assert all("command" not in one for one in found)
    resolved = [client.request("codeLens/resolve", one)["command"]["title"] for one in found]
    assert resolved[:2] == ["0 references", "0 references"]

    # Links
    found = client.request("textDocument/documentLink", item)
    assert [(one["range"], one["target"]) for one in found] == [
        (spot(APP, 0, "https://example.com/😀"), "https://example.com/😀"),
        (spot(APP, 14, "data.json"), uri_of((project / "data.json").resolve())),
    ]

    # Tokens
    tokens = client.request("textDocument/semanticTokens/full", item)
    assert "Shape" in {name for name, _ in spelled(client, APP, tokens["data"], unit)}
    part = client.request("textDocument/semanticTokens/range", {**item, "range": {"start": at(6, 0), "end": at(8, 0)}})
    assert [name for name, _ in spelled(client, APP, part["data"], unit)] == ["main", "times", "int", "greet", "times"]
    if editor == "eglot":
        client.expect("textDocument/publishDiagnostics", lambda params: params["uri"] == app)


LEGEND = (
    "namespace", "class", "enum", "interface", "struct", "type", "typeParameter", "parameter", "variable", "property",
    "enumMember", "function", "method", "decorator",
)  # fmt: skip


def spelled(client: Client, source: str, data: list[int], unit: str) -> list[tuple[str, str]]:
    """(name, type) of each token."""
    provider = client.capabilities.get("semanticTokensProvider")
    legend = tuple(provider["legend"]["tokenTypes"]) if provider else LEGEND
    found: list[tuple[str, str]] = []
    line = column = 0
    for down, right, length, kind, _ in zip(*(data[field::5] for field in range(5)), strict=True):
        line, column = line + down, right if down else column + right
        text = source.splitlines()[line]
        encoding, width = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}[unit]
        raw = text.encode(encoding)[column * width : (column + length) * width]
        found.append((raw.decode(encoding), legend[kind]))
    return found


def test_hierarchies_reach_what_lies_outside_of_the_project(start: Start, project: Path) -> None:
    client = start(project)
    source = "class Box(dict): ...\n\n\ndef f():\n    return len(Box())\n"
    uri = client.open(project / "app.py", source)
    (box,) = client.request("textDocument/prepareTypeHierarchy", where(uri, 0, 7))
    (above,) = client.request("typeHierarchy/supertypes", {"item": box})
    assert above["name"] == "dict" and above["uri"].endswith("builtins.pyi")
    below = client.request("typeHierarchy/subtypes", {"item": above})
    assert ("Box", uri) in [(one["name"], one["uri"]) for one in below]
    further = client.request("typeHierarchy/supertypes", {"item": above})
    assert further and further[0]["name"] == "MutableMapping"
    (caller,) = client.request("textDocument/prepareCallHierarchy", where(uri, 3, 5))
    names = [one["to"]["name"] for one in client.request("callHierarchy/outgoingCalls", {"item": caller})]
    assert names == ["len", "Box"]
    (length,) = client.request("textDocument/prepareCallHierarchy", where(uri, 4, 12))
    found = client.request("callHierarchy/incomingCalls", {"item": length})
    assert [one["from"]["name"] for one in found] == ["f"]
    # An item that stands for nothing any more, and one that never did.
    client.change(uri, "\n" * 9)
    assert not client.request("typeHierarchy/supertypes", {"item": box})
    strange = {**box, "data": None}
    assert client.request("typeHierarchy/subtypes", {"item": strange}) is None


def test_only_what_the_editor_knows_of_is_advertised(start: Start, project: Path) -> None:
    vscode, eglot = start(project), start(project, editor="eglot")
    wide, narrow = vscode.capabilities, eglot.capabilities
    fields = (
        "foldingRangeProvider", "selectionRangeProvider", "semanticTokensProvider", "callHierarchyProvider",
        "typeHierarchyProvider", "codeLensProvider", "documentLinkProvider",
    )  # fmt: skip
    assert all(wide.get(field) for field in fields)
    assert not any(narrow.get(field) for field in fields)
    both = ("signatureHelpProvider", "documentHighlightProvider", "inlayHintProvider", "implementationProvider",
            "typeDefinitionProvider", "declarationProvider")  # fmt: skip
    assert all(wide.get(field) and narrow.get(field) for field in both)
    assert wide["semanticTokensProvider"]["full"] == {"delta": True} and wide["semanticTokensProvider"]["range"]
    assert wide["codeLensProvider"]["resolveProvider"] and wide["completionProvider"]["resolveProvider"]


def test_deltas_make_the_new_tokens_of_the_old_ones_over_many_edits(start: Start, tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "json")
    client = start(root)
    uri = client.open(root / "json" / "decoder.py")
    lines = (root / "json" / "decoder.py").read_text(encoding="utf-8").splitlines()
    item = {"textDocument": {"uri": uri}}
    full = client.request("textDocument/semanticTokens/full", item)
    known, name = full["data"], full["resultId"]
    chance = random.Random(3)
    for step in range(12):
        number = chance.randrange(len(lines))
        if step % 3:
            lines.insert(number, f"name{step} = {step}")
        else:
            del lines[number]
        client.change(uri, "\n".join(lines))
        answer = client.request("textDocument/semanticTokens/full/delta", {**item, "previousResultId": name})
        known = list(known)
        for edit in answer["edits"]:
            known[edit["start"] : edit["start"] + edit["deleteCount"]] = edit.get("data") or []
        name = answer["resultId"]
        client.change(uri, "\n".join(lines) + "\n")
        client.change(uri, "\n".join(lines))
        assert (
            client.request("textDocument/semanticTokens/range", {**item, "range": whole("\n".join(lines))})["data"]
            == known
        )
    answer = client.request("textDocument/semanticTokens/full/delta", {**item, "previousResultId": name})
    assert answer["edits"] == [] and answer["resultId"] == name
    # Of an answer that nobody remembers there is no difference.
    answer = client.request("textDocument/semanticTokens/full/delta", {**item, "previousResultId": "gone"})
    assert answer["data"] == known


def test_answers_are_for_the_newest_text_or_say_that_it_changed(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open(project / "app.py")
    item = {"textDocument": {"uri": uri}}
    for number in range(15):
        text = f"def new{number}(a, b): ...\n\n\nnew{number}(1, 2)\n"
        client.change(uri, text)
        requests = [
            client.send("textDocument/semanticTokens/full", item),
            client.send("textDocument/documentHighlight", where(uri, 3, 1)),
            client.send("textDocument/foldingRange", item),
            client.send("textDocument/inlayHint", {**item, "range": whole(text)}),
            client.send("textDocument/signatureHelp", where(uri, 3, len(f"new{number}(1, "))),
        ]
        if number % 2:
            client.change(uri, text + "\n")
        for request in requests:
            try:
                answer = request.result()
            except ResponseError as error:
                assert error.code == -32801
                continue
            if request.method == "textDocument/documentHighlight":
                assert len(answer) == 2 and answer[0]["range"]["end"]["character"] == 4 + len(f"new{number}")
            elif request.method == "textDocument/signatureHelp":
                assert answer["signatures"][0]["label"] == f"new{number}(a, b)"


def test_a_cancelled_question_gets_one_reply(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open(project / "app.py")
    requests = [
        client.send("textDocument/semanticTokens/full", {"textDocument": {"uri": uri}}),
        client.send("textDocument/documentLink", {"textDocument": {"uri": uri}}),
        client.send("textDocument/implementation", where(uri, 3, 20)),
    ]
    for request in requests:
        request.cancel()
    client.ready()
    assert all(request.replies == 1 for request in requests)


def test_an_item_of_a_list_tells_its_documentation_when_it_is_looked_at(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open(project / "app.py", "import util\nutil.gr\nlen\n")

    def item(line: int, column: int, label: str) -> dict[str, Any]:
        items = client.request("textDocument/completion", where(uri, line, column))["items"]
        return next(one for one in items if one["label"] == label)

    greet = item(1, 7, "greet")
    assert "documentation" not in greet
    resolved = client.request("completionItem/resolve", greet)
    assert resolved["documentation"] == {"kind": "markdown", "value": "Say hello."}
    assert {**resolved, "documentation": None} == {**greet, "documentation": None}
    assert "number of items" in client.request("completionItem/resolve", item(2, 3, "len"))["documentation"]["value"]
    # An item of an older list, and one of nobody's.
    assert client.request("completionItem/resolve", greet) == greet
    assert client.request("completionItem/resolve", {"label": "x"}) == {"label": "x"}


def test_what_can_be_switched_off_says_nothing_then(start: Start, project: Path) -> None:
    settings = {
        "semanticTokens.enable": False, "inlayHints.parameterNames": "none", "inlayHints.variableTypes": False,
    }  # fmt: skip
    client = start(project, settings=settings)
    uri = client.open(project / "app.py")
    item = {"textDocument": {"uri": uri}}
    assert client.request("textDocument/semanticTokens/full", item) is None
    assert client.request("textDocument/inlayHint", {**item, "range": whole(APP)}) == []
    assert client.request("textDocument/codeLens", item) is None


def test_a_lens_runs_the_command_that_the_editor_has_for_it(start: Start, project: Path) -> None:
    client = start(project, settings={"codeLens.references": True, "codeLens.command": "show.references"})
    uri = client.open(project / "util.py")
    lenses = client.request("textDocument/codeLens", {"textDocument": {"uri": uri}})
    command = client.request("codeLens/resolve", lenses[-1])["command"]
    assert (command["title"], command["command"]) == ("2 references", "show.references")
    address, position, found = command["arguments"]
    assert (address, position) == (uri, lenses[-1]["range"]["start"])
    assert {one["uri"] for one in found} == {uri_of(project / "app.py")}
    # A lens of a document that has been closed, or of none at all, stays without a count.
    client.close(uri)
    assert client.request("codeLens/resolve", lenses[-1])["command"]["title"] == ""
    assert client.request("codeLens/resolve", {"range": lenses[0]["range"]})["command"]["title"] == ""


def test_documents_outside_of_projects_and_without_files_are_answered_too(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open("untitled:one", "def f(left, top): ...\nf(1, 2)\n# https://a.example\n")
    item = {"textDocument": {"uri": uri}}
    assert client.request("textDocument/semanticTokens/full", item)["data"]
    assert len(client.request("textDocument/documentLink", item)) == 1
    assert client.request("textDocument/signatureHelp", where(uri, 1, 2))["activeParameter"] == 0
    assert len(client.request("textDocument/inlayHint", {**item, "range": whole("\n\n\n")})) == 2
    (function,) = client.request("textDocument/prepareCallHierarchy", where(uri, 1, 0))
    (caller,) = client.request("callHierarchy/incomingCalls", {"item": function})
    assert caller["fromRanges"] == [{"start": at(1, 0), "end": at(1, 1)}]
    assert client.request("textDocument/foldingRange", {"textDocument": {"uri": "untitled:gone"}}) is None


def test_documents_of_other_languages_are_answered_alike(start: Start, project: Path) -> None:
    source = (
        "export class Shape {\n"
        "  constructor(public side: number) {}\n"
        "  draw(times: number, label: string): void {\n"
        "    label.trim();\n"
        "  }\n"
        "}\n"
        "// see https://a.example\n"
        "new Shape(1).draw(2, 'a');\n"
    )
    (project / "shape.ts").write_text(source, encoding="utf-8")
    client = start(project)
    uri = client.open(project / "shape.ts", source, "typescript")
    item = {"textDocument": {"uri": uri}}
    data = client.request("textDocument/semanticTokens/full", item)["data"]
    assert {("Shape", "class"), ("draw", "method"), ("times", "parameter")} <= set(
        spelled(client, source, data, client.capabilities["positionEncoding"])
    )
    found = client.request("textDocument/foldingRange", item)
    assert {(one["startLine"], one["endLine"]) for one in found} == {(0, 4), (2, 3)}
    assert client.request("textDocument/signatureHelp", where(uri, 7, 10))["signatures"][0]["label"].startswith(
        "Shape("
    )
    assert len(client.request("textDocument/documentHighlight", where(uri, 3, 5))) == 2
    assert len(client.request("textDocument/documentLink", item)) == 1
    assert client.request("textDocument/selectionRange", {**item, "positions": [at(3, 6)]})


def test_folders_have_a_memory_each_and_come_and_go(start: Start, tmp_path: Path) -> None:
    """One server, two projects with the same module names: neither sees the other's."""
    roots = [tmp_path / "one", tmp_path / "two"]
    for number, root in enumerate(roots):
        root.mkdir()
        (root / "util.py").write_text(f"def greet(a{number}): ...\n", encoding="utf-8")
        (root / "app.py").write_text("from util import greet\ngreet(1)\n", encoding="utf-8")
    client = start(roots[0])
    status = client.ready()
    assert [Path(folder["root"]) for folder in status["folders"]].count(roots[1]) == 0
    change_folders(client, added=(roots[1],))
    folders = {Path(folder["root"]): folder for folder in client.ready()["folders"]}
    assert folders[roots[0]]["files"] == folders[roots[1]]["files"] == 2
    for number, root in enumerate(roots):
        uri = client.open(root / "app.py")
        found = client.request("textDocument/signatureHelp", where(uri, 1, 6))
        assert found["signatures"][0]["label"] == f"greet(a{number})"
        references = client.request(
            "textDocument/references", {**where(uri, 1, 1), "context": {"includeDeclaration": True}}
        )
        assert {one["uri"] for one in references} == {uri, uri_of(root / "util.py")}
    change_folders(client, removed=(roots[1],))
    status = client.ready()
    assert roots[1] not in [Path(folder["root"]) for folder in status["folders"]]
    # Its document is open still, and answers from what it says by itself.
    uri = uri_of(roots[1] / "app.py")
    assert client.request("textDocument/signatureHelp", where(uri, 1, 6)) is None
    assert client.request("textDocument/documentHighlight", where(uri, 1, 1))
    change_folders(client, added=(roots[1],))
    client.ready()
    assert client.request("textDocument/signatureHelp", where(uri, 1, 6)) is not None
    change_folders(client, removed=(roots[1],))


def test_an_editor_is_asked_to_look_again_when_files_on_disk_changed(start: Start, project: Path) -> None:
    client = start(project)
    uri = client.open(project / "app.py")
    client.ready()
    before = client.asked.count("workspace/semanticTokens/refresh")
    (project / "util.py").write_text(UTIL + "\n\ndef more(): ...\n", encoding="utf-8")
    changes = [{"uri": uri_of(project / "util.py"), "type": 2}]
    client.notify("workspace/didChangeWatchedFiles", {"changes": changes})
    client.wait(lambda: client.asked.count("workspace/semanticTokens/refresh") > before, 30, "a refresh")
    assert client.request("textDocument/semanticTokens/full", {"textDocument": {"uri": uri}})["data"]


def test_a_client_that_says_nothing_gets_plain_answers(project: Path, cache: Path) -> None:
    client = Client(configuration={"index.cacheFolder": str(cache), "model.path": "none"})
    try:
        client.initialize(project, capabilities={}, options={"model.path": "none", "index.cacheFolder": str(cache)})
        client.ready()
        uri = client.open(project / "app.py")
        found = client.request("textDocument/signatureHelp", where(uri, 7, len("    greet(")))
        assert found["signatures"][0]["parameters"][0]["label"] == "name: str"
        assert found["signatures"][0]["documentation"] == {"kind": "plaintext", "value": "Say hello."}
        assert client.request("textDocument/foldingRange", {"textDocument": {"uri": uri}})
        client.expect("textDocument/publishDiagnostics")
        client.notifications.clear()
        assert client.stop() == 0
    finally:
        if client.process.poll() is None:
            client.kill()
