"""A small language client over stdio, for `engram-ls demo` and for the tests.

It talks plain JSON, so that it also checks what really crosses the wire, and it keeps count: every request the server
sends is answered, every message is kept until somebody looks at it, and `stop` says what was left over.
"""

import contextlib
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from engram_lsp import convert

Json = Any
Answer = Callable[[Json], Json]

# Notifications that need not be looked at.
CHATTER = frozenset({"$/progress", "window/logMessage", "$/logTrace", "telemetry/event", "engram/status"})


class ClientError(Exception):
    """The server broke the protocol, died, or did not answer in time."""


class ResponseError(Exception):
    """The server answered a request with an error."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data


@dataclass(slots=True, eq=False)
class Pending:
    """A request that was sent; `seconds` is how long its answer took."""

    id: int
    method: str
    client: "Client" = field(repr=False)
    sent: float = 0.0
    seconds: float = 0.0
    message: Json = None
    replies: int = 0

    def result(self, timeout: float = 30.0) -> Json:
        """Waits for the answer. Raises `ResponseError`, or `ClientError` when none comes."""
        self.client.wait(lambda: self.replies > 0, timeout, f"an answer to {self.method}")
        if (error := self.message.get("error")) is not None:
            raise ResponseError(error["code"], error["message"], error.get("data"))
        return self.message.get("result")

    def cancel(self) -> None:
        self.client.notify("$/cancelRequest", {"id": self.id})


class Client:
    """Starts a server and talks to it. All state is guarded by one condition, which the reader thread notifies.

    `configuration` is what the server is told when it asks for the section "engram".
    """

    def __init__(
        self,
        command: Sequence[str] = (sys.executable, "-m", "engram_lsp.cli", "serve"),
        *,
        configuration: Mapping[str, Json] | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.configuration: Json = dict(configuration or {})
        self.capabilities: Json = {}
        self.notifications: list[tuple[str, Json]] = []
        self.progress: list[Json] = []
        self.states: list[Json] = []  # how the server said it was
        self.registrations: dict[str, Json] = {}
        self.asked: list[str] = []  # methods of the server's own requests
        self.answers: dict[str, Answer] = {
            "workspace/configuration": lambda params: [
                self.configuration if item.get("section") == "engram" else None for item in params["items"]
            ],
            "client/registerCapability": self._register,
            "client/unregisterCapability": self._unregister,
            "window/workDoneProgress/create": lambda _: None,
            "workspace/diagnostic/refresh": lambda _: None,
            "workspace/semanticTokens/refresh": lambda _: None,
            "workspace/inlayHint/refresh": lambda _: None,
            "workspace/codeLens/refresh": lambda _: None,
            "window/showMessageRequest": lambda _: None,
        }
        self._ids = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self.strays: list[Json] = []
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        # The server's requests that are to be answered: by a thread of its own, for a server that is not being read
        # reads nothing itself, and a long document would wait for it, and it for us.
        self._to_answer: queue.SimpleQueue[Json] = queue.SimpleQueue()
        self._ended = False
        self.versions: dict[str, int] = {}
        self._stderr = log.open("ab") if log else None
        self.process = self._launch(command, {**os.environ, **(environment or {})})
        self._reader = threading.Thread(target=self._read, name="server messages", daemon=True)
        self._reader.start()
        threading.Thread(target=self._answer_all, name="client answers", daemon=True).start()

    def _launch(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(list(command), stdin=pipe, stdout=pipe, stderr=self._stderr, env=environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()

    # Talking

    def send(self, method: str, params: Json = None) -> Pending:
        """Sends a request without waiting for its answer."""
        pending = Pending(next(self._ids), method, self)
        with self._changed:
            self._pending[pending.id] = pending
        pending.sent = time.perf_counter()
        self._write({"jsonrpc": "2.0", "id": pending.id, "method": method, **_params(params)})
        return pending

    def request(self, method: str, params: Json = None, timeout: float = 30.0) -> Json:
        return self.send(method, params).result(timeout)

    def notify(self, method: str, params: Json = None) -> None:
        self._write({"jsonrpc": "2.0", "method": method, **_params(params)})

    def write_raw(self, body: bytes) -> None:
        """Sends bytes as the body of one message, whatever they are."""
        assert self.process.stdin is not None
        try:
            with self._writing:
                self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                self.process.stdin.flush()
        except (BrokenPipeError, OSError) as error:
            raise ClientError("the server is gone") from error

    def wait(self, condition: Callable[[], Any], timeout: float, what: str) -> None:
        """Until `condition` holds; raises `ClientError` naming `what` was waited for."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition() or self._ended, timeout) or not condition():
                reason = f"the server ended (exit code {self.process.poll()})" if self._ended else "timed out"
                raise ClientError(f"waited {timeout:g} s for {what}: {reason}")

    def state(self, test: Callable[[Json], bool], timeout: float = 30.0) -> Json:
        """The first thing the server said of how it is (engram/status) for which `test` holds."""
        self.wait(lambda: any(map(test, self.states)), timeout, "a state")
        return next(filter(test, self.states))

    def expect(self, method: str, test: Callable[[Json], bool] = lambda _: True, timeout: float = 30.0) -> Json:
        """Takes the first notification of that method for which `test` holds; older ones of it are dropped."""
        found: list[Json] = []

        def look() -> bool:
            for index, (name, params) in enumerate(self.notifications):
                if name == method and test(params):
                    found.append(params)
                    kept = [n for n in self.notifications[:index] if n[0] != method]
                    self.notifications[: index + 1] = kept
                    return True
            return False

        self.wait(lambda: bool(found) or look(), timeout, method)
        return found[0]

    # A session

    def initialize(
        self, *roots: Path, capabilities: Json = None, options: Json = None, name: str = "engram client"
    ) -> Json:
        """Initializes with workspace folders; `capabilities` as the protocol spells them."""
        folders = [{"uri": convert.uri_of(root), "name": root.name} for root in roots]
        answer = self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "clientInfo": {"name": name},
                "rootUri": folders[0]["uri"] if folders else None,
                "capabilities": capabilities if capabilities is not None else {},
                "initializationOptions": options,
                "workspaceFolders": folders or None,
            },
        )
        self.capabilities = answer["capabilities"]
        self.notify("initialized", {})
        return answer

    def ready(self, timeout: float = 120.0) -> Json:
        """Waits until every folder is read; what `engram.status` then says."""
        return self.request("workspace/executeCommand", {"command": "engram.status", "arguments": [True]}, timeout)

    def open(self, path: Path | str, text: str | None = None, language: str = "python") -> str:
        """Opens a file (or a URI) with the given text, the file's own by default; its URI."""
        uri = path if isinstance(path, str) else convert.uri_of(path)
        if text is None:
            text = Path(path).read_text(encoding="utf-8")
        self.versions[uri] = 1
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        return uri

    def change(self, uri: str, *changes: Json) -> int:
        """Sends content changes, a plain str being the whole new text; the new version."""
        version = self.versions.get(uri, 0) + 1
        if uri in self.versions:
            self.versions[uri] = version
        events = [{"text": change} if isinstance(change, str) else change for change in changes]
        self.notify(
            "textDocument/didChange", {"textDocument": {"uri": uri, "version": version}, "contentChanges": events}
        )
        return version

    def close(self, uri: str) -> None:
        self.versions.pop(uri, None)
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def stop(self, timeout: float = 30.0, *, strict: bool = False) -> int:
        """Orderly shutdown; the exit code. `strict` raises `ClientError` for whatever was left unread or unanswered."""
        self.request("shutdown", timeout=timeout)
        self.notify("exit")
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        self._release()
        if strict:
            self.complain()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        self._release()

    def complain(self) -> None:
        """Raises `ClientError` when the server left a request unanswered or said something nobody looked at."""
        with self._changed:
            unread = [method for method, _ in self.notifications if method not in CHATTER]
            unanswered = [pending.method for pending in self._pending.values() if not pending.replies]
            twice = [pending.method for pending in self._pending.values() if pending.replies > 1]
        faults = {"unread": unread, "unanswered": unanswered, "answered twice": twice, "strays": self.strays}
        if any(faults.values()):
            raise ClientError("; ".join(f"{what}: {which}" for what, which in faults.items() if which))

    # Reading

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        try:
            while True:
                length = 0
                while line := stream.readline().strip():
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                    elif name.lower() != b"content-type":
                        raise ValueError(f"not a header: {line!r}")
                body = stream.read(length) if length else b""
                if not body:
                    break
                self._receive(json.loads(body))
        except (OSError, ValueError) as error:
            with self._changed:
                self.strays.append(f"unreadable output: {error}")
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            self._to_answer.put(None)

    def _receive(self, message: Json) -> None:
        now = time.perf_counter()
        with self._changed:
            if "method" not in message:
                pending = self._pending.get(message.get("id"))
                if pending is None:
                    self.strays.append(message)
                else:
                    pending.replies += 1
                    pending.message = message
                    pending.seconds = now - pending.sent
            elif "id" not in message:
                if message["method"] == "$/progress":
                    self.progress.append(message["params"])
                if message["method"] == "engram/status":
                    self.states.append(message["params"])
                if message["method"] not in CHATTER:
                    self.notifications.append((message["method"], message.get("params")))
            else:
                self.asked.append(message["method"])
            self._changed.notify_all()
        if "method" in message and "id" in message:
            self._to_answer.put(message)

    def _answer_all(self) -> None:
        while (message := self._to_answer.get()) is not None:
            with contextlib.suppress(ClientError):  # it is gone
                self._answer(message)

    def _answer(self, message: Json) -> None:
        answer = self.answers.get(message["method"])
        if answer is None:
            reply: Json = {"error": {"code": -32601, "message": f"no {message['method']} here"}}
        else:
            reply = {"result": answer(message.get("params"))}
        self._write({"jsonrpc": "2.0", "id": message["id"], **reply})

    def _register(self, params: Json) -> None:
        for registration in params["registrations"]:
            self.registrations[registration["id"]] = registration

    def _unregister(self, params: Json) -> None:
        for registration in params["unregisterations"]:
            self.registrations.pop(registration["id"], None)

    def _write(self, message: Json) -> None:
        self.write_raw(json.dumps(message).encode())

    def _release(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self._stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _params(params: Json) -> Json:
    return {} if params is None else {"params": params}


def at(line: int, column: int) -> Json:
    return {"line": line, "character": column}


def where(uri: str, line: int, column: int) -> Json:
    """The parameters of a question about a position."""
    return {"textDocument": {"uri": uri}, "position": at(line, column)}
