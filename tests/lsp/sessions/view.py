"""What a server says of the documents that are open in it, in a form that two servers can be compared by."""

import json
from pathlib import Path
from typing import Any

from lsp.sessions.editor import Editor
from lsp.sessions.mirror import Place
from lsp.sessions.questions import document, position

Json = Any


def view(editor: Editor, place: Place) -> dict[str, Json]:
    """Answers about every open document, without what names only this conversation."""
    seen: dict[str, Json] = {}
    for uri in sorted(editor.mirrors):
        there = {**document(uri), "position": position(place)}
        for name, method, params in (
            ("outline", "textDocument/documentSymbol", document(uri)),
            ("colours", "textDocument/semanticTokens/full", document(uri)),
            ("folds", "textDocument/foldingRange", document(uri)),
            ("links", "textDocument/documentLink", document(uri)),
            ("definition", "textDocument/definition", there),
            ("references", "textDocument/references", {**there, "context": {"includeDeclaration": True}}),
            ("completion", "textDocument/completion", there),
        ):
            seen[f"{name} of {uri}"] = _plain(name, editor.ask(method, params).result())
    symbols = editor.ask("workspace/symbol", {"query": ""}).result() or []
    seen["symbols"] = sorted(json.dumps(symbol, sort_keys=True) for symbol in symbols)
    return seen


def problems(editor: Editor) -> dict[str, list[str]]:
    """The problems that the editor shows of its documents now."""
    shown = editor.pulled if editor.pulls else editor.shown
    return {uri: listed(shown[uri]) for uri in editor.mirrors if shown.get(uri)}


def elsewhere(editor: Editor) -> dict[str, list[str]]:
    """The problems that the editor was pushed of what is not open in it; and, where it pulls those of documents, of
    documents too."""
    beside = {} if editor.pulls else editor.mirrors
    return {uri: listed(items) for uri, items in editor.shown.items() if items and uri not in beside}


def listed(items: list[Json]) -> list[str]:
    """Problems as comparable texts; what traces say comes and goes by commands."""
    return sorted(json.dumps(item, sort_keys=True) for item in items if item["source"] != "engram trace")


def inside(folder: Path, uri: str) -> bool:
    return uri.startswith(folder.as_uri() + "/")


def _plain(name: str, answer: Json) -> Json:
    if name == "colours" and answer is not None:
        return answer["data"]
    if name == "completion" and answer is not None:
        # The order is also the model's, which may not have had the time.
        return sorted(item["label"] for item in answer["items"] if item.get("kind") != 1)
    if name == "references" and answer is not None:
        return sorted(json.dumps(one, sort_keys=True) for one in answer)
    return answer
