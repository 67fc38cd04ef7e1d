"""An editor that knows what it should be shown: mirrors of its documents, the problems it was told, replies to check."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engram_lsp import convert
from engram_lsp.client import Client, Pending
from lsp.sessions.inside import Inside
from lsp.sessions.mirror import Mirror, as_sent, edited, index_of, place_in
from wire_support import capabilities

Json = Any

UNITS = {"vscode": "utf-16", "neovim": "utf-8", "eglot": "utf-32"}
# What may come instead of a result: cancelled, content modified, server cancelled, refused; and for nonsense alone,
# params, method, request.
REFUSALS = frozenset({-32800, -32801, -32802, -32803})
NONSENSE = frozenset({-32600, -32601, -32602})
# Answered when something changes, or when the client has applied an edit.
PATIENT = frozenset({"workspace/diagnostic", "engram.renameTo"})


class Editor(Client):
    """Documents are opened, changed and closed through it, so that `mirrors` are what the server should have.

    `manner` says how the server's own requests are answered: "now", "late" (by `answer_late`), "error", "garbage" or
    "never".
    """

    def __init__(self, name: str, *, inside: bool, configuration: Mapping[str, Json], log: Path | None = None) -> None:
        self.name, self.unit, self._inside = name, UNITS[name], inside
        self.mirrors: dict[str, Mirror] = {}
        self.shown: dict[str, list[Json]] = {}  # pushed last
        self.pulled: dict[str, list[Json]] = {}
        self.pulling: dict[str, Pending] = {}
        self.refreshed = False  # the server wants everything to be pulled again
        self.manner = "now"
        self.late: list[Json] = []
        self.applied: list[Json] = []  # edits of workspace/applyEdit
        self.grounds: dict[int, tuple[str, str, Json]] = {}  # what a request was about: URI, text, params
        self.transcript: list[str] = []
        super().__init__(configuration=configuration, log=log)
        self.answers["workspace/applyEdit"] = self._apply

    def _launch(self, command: Sequence[str], environment: Mapping[str, str]) -> Any:
        return Inside() if self._inside else super()._launch(command, environment)

    @property
    def pulls(self) -> bool:
        return "diagnosticProvider" in self.capabilities

    def begin(self, *roots: Path) -> None:
        self.initialize(*roots, capabilities=capabilities(self.name), name=self.name)

    # Documents

    def show(self, uri: str, text: str, language: str = "python", version: int = 1) -> None:
        self.mirrors[uri] = Mirror(uri, language, version, as_sent(text))
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        self.pull(uri)

    def edit(self, uri: str, changes: list[Json], version: int) -> None:
        self.mirrors[uri] = self.mirrors[uri].after(changes, version, self.unit)
        item = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": item, "contentChanges": changes})
        self.pull(uri)

    def hide(self, uri: str) -> None:
        del self.mirrors[uri]
        self.pulled.pop(uri, None)
        self.pulling.pop(uri, None)
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    # Problems, as editors that pull them do: after an edit those of the document, on a refresh all

    def pull(self, uri: str) -> None:
        if self.pulls:
            self.pulling[uri] = self.ask("textDocument/diagnostic", {"textDocument": {"uri": uri}})

    def settle_pulls(self, timeout: float) -> None:
        """Waits for the pulls under way, and asks again where the text had changed meanwhile."""
        while self.pulling or self.refreshed:
            if self.refreshed:
                self.refreshed = False
                for uri in tuple(self.mirrors):
                    self.pull(uri)
                continue
            uri, pending = next(iter(self.pulling.items()))
            self.wait(lambda pending=pending: pending.replies > 0, timeout, "pulled problems")
            if self.pulling.get(uri) is pending:
                del self.pulling[uri]
                if "result" in pending.message:
                    self.pulled[uri] = pending.message["result"]["items"]
                else:
                    self.pull(uri)

    # Requests

    def ask(self, method: str, params: Json) -> Pending:
        document = params.get("textDocument") if isinstance(params, dict) else None
        uri = document.get("uri") if isinstance(document, dict) else None
        pending = self.send(method, params)
        if uri in self.mirrors:
            self.grounds[pending.id] = (uri, self.mirrors[uri].text, params)
        if method == "workspace/executeCommand":
            pending.method = str(params.get("command"))
        return pending

    def outstanding(self, *, patient: bool = False) -> list[Pending]:
        return [
            one for one in tuple(self._pending.values()) if not one.replies and (patient or one.method not in PATIENT)
        ]

    def settle(self, timeout: float = 60.0) -> None:
        """Until every request has its reply; those that may wait for long are cancelled."""
        self.manner = "now"
        self.answer_late()
        self.wait(lambda: not self.outstanding(), timeout, f"replies to {[p.method for p in self.outstanding()]}")
        for pending in self.outstanding(patient=True):
            pending.cancel()
        self.wait(lambda: not self.outstanding(patient=True), timeout, "replies to what was cancelled")

    def answer_late(self) -> None:
        late, self.late = self.late, []
        for message in late:
            super()._answer(message)

    def check_replies(self) -> None:
        """That there was one reply to each request, that it is a proper one, and that it fits what was asked about."""
        assert not self.strays, self.strays
        for id, pending in tuple(self._pending.items()):
            if not pending.replies:
                continue
            assert pending.replies == 1, f"{pending.method} was answered {pending.replies} times"
            message = pending.message
            if "error" in message:
                code = message["error"]["code"]
                nonsense = pending.method.startswith("nonsense:")
                assert code in REFUSALS or (nonsense and code in NONSENSE), (pending.method, message["error"])
            elif message["result"] is not None and id in self.grounds:
                self._check_result(pending.method, message["result"], *self.grounds[id])
            del self._pending[id]
            self.grounds.pop(id, None)

    def _check_result(self, method: str, result: Json, uri: str, text: str, params: Json) -> None:
        if method == "textDocument/inlineCompletion":
            for item in result["items"]:
                self._fits(text, item["range"], params["position"], item["insertText"], item["filterText"])
        elif method == "textDocument/completion":
            for item in result["items"]:
                change = item["textEdit"]
                self._fits(text, change.get("range") or change["insert"], params["position"])
                edited(text, item.get("additionalTextEdits") or [], self.unit)
        elif method == "textDocument/rename":
            self.check_edit(result)

    def _fits(self, text: str, range: Json, position: Json, *texts: str) -> None:
        """Whether an item replaces what stands before the cursor, and goes on with it."""
        start, end = (index_of(text, place_in(range[which]), self.unit) for which in ("start", "end"))
        cursor = index_of(text, place_in(position), self.unit)
        assert start <= cursor <= end
        assert range["start"]["line"] == range["end"]["line"]
        for new in texts:
            assert new.startswith(text[start:cursor]), "a suggestion for another text"

    # Edits

    def check_edit(self, edit: Json) -> list[tuple[str, int | None, list[Json]]]:
        """The edits of documents in a WorkspaceEdit; those of open ones must be of a version that they had, and fit."""
        edits: list[tuple[str, int | None, list[Json]]] = [
            (uri, None, changes) for uri, changes in (edit.get("changes") or {}).items()
        ]
        for change in edit.get("documentChanges") or ():
            if "kind" not in change:
                document = change["textDocument"]
                edits.append((document["uri"], document["version"], change["edits"]))
        for uri, version, changes in edits:
            mirror = self.mirrors.get(uri)
            if mirror is not None and version is not None and (text := mirror.of_version(version)) is not None:
                edited(text, changes, self.unit)
        return edits

    def _apply(self, params: Json) -> Json:
        self.applied.append(params["edit"])
        return {"applied": False}

    # Receiving

    def _receive(self, message: Json) -> None:
        self.transcript.append("< " + json.dumps(message)[:2000])
        if message.get("method") == "textDocument/publishDiagnostics":
            self.shown[message["params"]["uri"]] = message["params"]["diagnostics"]
        super()._receive(message)

    def write_raw(self, body: bytes) -> None:
        self.transcript.append("> " + body.decode("utf-8", "replace")[:2000])
        super().write_raw(body)

    def _answer(self, message: Json) -> None:
        if message["method"] == "workspace/diagnostic/refresh":
            self.refreshed = True
        if self.manner == "late":
            self.late.append(message)
        elif self.manner == "error":
            self._write({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32603, "message": "not today"}})
        elif self.manner == "garbage":
            self._write({"jsonrpc": "2.0", "id": message["id"], "result": 7})
        elif self.manner == "now":
            super()._answer(message)


def uri_of(path: Path) -> str:
    return convert.uri_of(path)
