"""Every request that an editor may send, about any place, with whatever else it takes."""

from collections.abc import Callable
from typing import Any

from lsp.sessions.mirror import Place

Json = Any
Question = Callable[[str, Place, int], tuple[str, Json]]

NAMES = ("price", "cost_of", "x", "𝒙", "größe", "class", "a b", "", "\ud800", "Basket", "__init__", "n" * 300)
MOST = 2**31 - 1  # the largest number that a position may have
COMMANDS = (
    "status", "why", "report", "rebuildMemory", "pauseReading", "resumeReading", "suggestNames", "renameTo", "trace",
    "trace.clear",
)  # fmt: skip
TRACE = (
    "Traceback (most recent call last):\n  File \"shop/till.py\", line 3, in <module>\n    cost = price('tea')\n"
    "  File \"shop/prices.py\", line 2, in price\n    return len(item)\nTypeError: object of type 'int' has no len()\n"
)
TEXTS = ("", TRACE, "\ud800\0" * 20, TRACE.replace("\n", "\r\n") * 3, '{"jsonrpc": "2.0"}')


def document(uri: str) -> Json:
    return {"textDocument": {"uri": uri}}


def position(place: Place) -> Json:
    return {"line": place[0], "character": place[1]}


def around(place: Place, number: int) -> Json:
    end = (min(place[0] + number % 5, MOST), min(place[1] + number % 7, MOST))
    return {"start": position(place), "end": position(end)}


def at(method: str, **more: Json) -> Question:
    return lambda uri, place, number: (method, {**document(uri), "position": position(place), **more})


def of(method: str) -> Question:
    return lambda uri, place, number: (method, document(uri))


def within(method: str, **more: Json) -> Question:
    return lambda uri, place, number: (method, {**document(uri), "range": around(place, number), **more})


def inline(uri: str, place: Place, number: int) -> tuple[str, Json]:
    context: Json = {"triggerKind": 1 + number % 2}
    if number % 5 == 4:
        start = position((place[0], max(0, place[1] - 2)))
        context["selectedCompletionInfo"] = {"range": {"start": start, "end": position(place)}, "text": "price"}
    return "textDocument/inlineCompletion", {**document(uri), "position": position(place), "context": context}


def rename(uri: str, place: Place, number: int) -> tuple[str, Json]:
    name = NAMES[number % len(NAMES)]
    return "textDocument/rename", {**document(uri), "position": position(place), "newName": name}


def command(uri: str, place: Place, number: int) -> tuple[str, Json]:
    name = COMMANDS[number % len(COMMANDS)]
    text, odd = TEXTS[number % len(TEXTS)], (None, {"jsonrpc": "2.0", "x": [1]}, -1, [[[]]])[number % 4]
    arguments: dict[str, list[Json]] = {
        "status": [number % 3 == 0],
        "why": [uri],
        "suggestNames": [uri, position(place)],
        "renameTo": [uri, position(place), NAMES[number % len(NAMES)]],
        "trace": [text, None, {"preview": True}],
    }
    given = arguments.get(name, []) if number % 3 else [odd, text]
    return "workspace/executeCommand", {"command": f"engram.{name}", "arguments": given}


def delta(uri: str, place: Place, number: int) -> tuple[str, Json]:
    return "textDocument/semanticTokens/full/delta", {**document(uri), "previousResultId": str(number)}


def actions(uri: str, place: Place, number: int) -> tuple[str, Json]:
    context: Json = {"diagnostics": []}
    if number % 2:
        context["only"] = [("quickfix", "source.organizeImports", "source.fixAll", "nonsense")[number % 4]]
    return "textDocument/codeAction", {**document(uri), "range": around(place, number), "context": context}


def item(uri: str, place: Place, number: int) -> Json:
    """An item of a hierarchy, as a client could send it back."""
    range = around(place, 0)
    return {
        "name": "price",
        "kind": 12,
        "uri": uri,
        "range": range,
        "selectionRange": range,
        "data": number % 3 or None,
    }


def hierarchy(method: str) -> Question:
    return lambda uri, place, number: (method, {"item": item(uri, place, number)})


def will_rename(uri: str, place: Place, number: int) -> tuple[str, Json]:
    new = uri.rpartition("/")[0] + ("/moved.py", "/../moved/prices.py", "", "/price s🙂.py")[number % 4]
    return "workspace/willRenameFiles", {"files": [{"oldUri": uri, "newUri": new}]}


QUESTIONS: tuple[Question, ...] = (
    at("textDocument/completion"),
    at("textDocument/completion", context={"triggerKind": 2, "triggerCharacter": "."}),
    inline,
    inline,
    rename,
    at("textDocument/prepareRename"),
    at("textDocument/references", context={"includeDeclaration": True}),
    at("textDocument/definition"),
    at("textDocument/declaration"),
    at("textDocument/typeDefinition"),
    at("textDocument/implementation"),
    at("textDocument/hover"),
    at("textDocument/signatureHelp"),
    at("textDocument/documentHighlight"),
    at("textDocument/prepareCallHierarchy"),
    at("textDocument/prepareTypeHierarchy"),
    hierarchy("callHierarchy/incomingCalls"),
    hierarchy("callHierarchy/outgoingCalls"),
    hierarchy("typeHierarchy/supertypes"),
    hierarchy("typeHierarchy/subtypes"),
    actions,
    of("textDocument/semanticTokens/full"),
    delta,
    within("textDocument/semanticTokens/range"),
    within("textDocument/inlayHint"),
    of("textDocument/codeLens"),
    of("textDocument/foldingRange"),
    of("textDocument/documentSymbol"),
    of("textDocument/documentLink"),
    lambda uri, place, number: (
        "textDocument/selectionRange",
        {**document(uri), "positions": [position(place)] * (number % 3)},
    ),
    lambda uri, place, number: (
        "codeLens/resolve",
        {"range": around(place, 0), "data": (None, [uri, 1], {})[number % 3]},
    ),
    lambda uri, place, number: (
        "completionItem/resolve",
        {"label": "price", "data": (None, [1, 0], [9, -1])[number % 3]},
    ),
    lambda uri, place, number: ("workspace/symbol", {"query": NAMES[number % len(NAMES)]}),
    lambda uri, place, number: (
        "workspace/diagnostic",
        {"previousResultIds": [{"uri": uri, "value": "gone"}] if number % 2 else []},
    ),
    will_rename,
    command,
    command,
    command,
)

# Requests and notifications that no client should send; each request is answered by an error.
NONSENSE: tuple[tuple[str, Json], ...] = (
    ("textDocument/nonsense", {}),
    ("$/nonsense", None),
    ("textDocument/hover", {"textDocument": 7}),
    ("textDocument/completion", None),
    ("textDocument/rename", {"textDocument": {"uri": "file:///a.py"}, "position": {"line": -1, "character": 0}}),
    ("workspace/executeCommand", {"command": "engram.nonsense"}),
    ("initialize", {"processId": None, "rootUri": None, "capabilities": {}}),
)
STRAY: tuple[tuple[str, Json], ...] = (
    ("$/nonsense", {}),
    ("textDocument/didNonsense", None),
    ("textDocument/didChange", {"textDocument": {"uri": "file:///nowhere.py", "version": 3}, "contentChanges": []}),
    ("textDocument/didChange", {"textDocument": {"uri": 7}}),
    ("textDocument/didClose", {"textDocument": {"uri": "file:///nowhere.py"}}),
    ("textDocument/didOpen", {"textDocument": {"uri": "file:///nowhere.py"}}),
    ("textDocument/didSave", {"textDocument": {"uri": "untitled:nowhere"}}),
    ("workspace/didChangeWatchedFiles", {"changes": [{"uri": "", "type": 9}]}),
    ("workspace/didChangeConfiguration", {"settings": ["engram"]}),
    ("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": []}}),
    ("window/workDoneProgress/cancel", {"token": "nobody's"}),
    ("$/setTrace", {"value": "verbose"}),
    ("$/cancelRequest", {"id": "nobody's"}),
    ("$/cancelRequest", {"id": 123456}),
    ("$/cancelRequest", None),
)
