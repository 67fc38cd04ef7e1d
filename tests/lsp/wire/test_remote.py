"""A server with a remote model, and without one: what leaves the machine, and who answers when nobody does there."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client, where
from loopback import Asked, Connection, Loopback
from wire_support import capabilities

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(sys.platform == "win32", reason="the user's configuration folder cannot be another one there"),
]

HABIT = "def close(self):\n    self.connection.close()\n    self.pool.release(self)\n"
QUESTION = "def stop(self):\n    self.connection.close()\n    self.pool."

# Written into a file by the server's process: every event of Python's that reaches for the network.
WATCH = """
import sys

EVENTS = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request")

def watch(event, arguments):
    if event in EVENTS:
        with open({log!r}, "a", encoding="utf-8") as log:
            print(event, *(repr(argument) for argument in arguments if isinstance(argument, (str, tuple))), file=log)

sys.addaudithook(watch)
"""


class Desk:
    """A user's machine: a project, a list of servers, a log of what reached for the network, and an editor at work."""

    def __init__(self, folder: Path, editor: str = "vscode") -> None:
        self.project = folder / "project"
        self.project.mkdir()
        for name in ("a.py", "b.py"):
            (self.project / name).write_text(HABIT * 2, encoding="utf-8")
        self._network, self._log, hook = folder / "network", folder / "log", folder / "hook"
        hook.mkdir()
        (hook / "sitecustomize.py").write_text(WATCH.format(log=str(self._network)), encoding="utf-8")
        environment = {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder), "PYTHONPATH": str(hook)}
        self._settings = {"index.cacheFolder": str(folder / "cache"), "model.path": "none", "inline.debounceMs": 0}
        self.servers = self._servers_file(environment)
        assert self.servers.is_relative_to(folder)
        self.servers.parent.mkdir(parents=True)
        self.client = Client(configuration=self._settings, environment=environment, log=self._log)
        self.client.initialize(self.project, capabilities=capabilities(editor), name=editor)
        self.client.ready()
        self._read = 0

    def _servers_file(self, environment: dict[str, str]) -> Path:
        code = "from engram_runtime.servers import servers_file; print(servers_file())"
        process = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return Path(process.stdout.strip())

    def configure(self, allowed: str = "", **remote: Any) -> dict[str, Any]:
        """Writes the list of servers and changes the settings; what the server then says of the remote model."""
        self.servers.write_text(allowed + "\n", encoding="utf-8")
        self.client.configuration = {**self._settings, **{f"remote.{name}": value for name, value in remote.items()}}
        self.client.notify("workspace/didChangeConfiguration", {"settings": None})
        return self.client.ready()["remote"]

    def reached(self) -> list[str]:
        """What reached for the network since the last call."""
        found = self._network.read_text(encoding="utf-8").splitlines() if self._network.exists() else []
        self._network.unlink(missing_ok=True)
        return found

    def logged(self) -> list[str]:
        """What was logged since the last call."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        self._read, new = len(lines), lines[self._read :]
        return new


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    try:
        yield desk
        assert desk.client.stop(strict=True) == 0
    finally:
        if desk.client.process.poll() is None:
            desk.client.kill()


@pytest.fixture
def desk(workplace: Desk) -> Iterator[Desk]:
    workplace.reached()
    workplace.logged()
    yield workplace
    workplace.configure()
    workplace.client.complain()
    workplace.client.notifications.clear()


def ghost(client: Client, file: Path, text: str = QUESTION) -> str | None:
    """The first suggestion at the end of `text`, invoked, in a document that is then closed."""
    uri = client.open(file, text)
    try:
        line, column = text.count("\n"), len(text.rpartition("\n")[2])
        question = {**where(uri, line, column), "context": {"triggerKind": 1}}
        answer = client.request("textDocument/inlineCompletion", question)
        items = (answer or {"items": []})["items"]
        return items[0]["insertText"] if items else None
    finally:
        client.close(uri)


async def shuts_down(asked: Asked, client: Connection) -> None:
    await client.json({"choices": [{"text": "shut_down(now)\n", "finish_reason": "stop"}]})


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_nothing_reaches_for_the_network_unless_a_server_is_configured(tmp_path: Path) -> None:
    """From the very start to the end, with the model."""
    desk = Desk(tmp_path)
    assert desk.configure(**{"kind": "auto"}) == {"problem": "off"}
    uri = desk.client.open(desk.project / "a.py")
    for method in ("completion", "hover", "definition"):
        desk.client.request(f"textDocument/{method}", where(uri, 1, 12))
    desk.client.close(uri)
    assert ghost(desk.client, desk.project / "c.py") == "release(self)"
    assert desk.client.stop() == 0
    assert desk.reached() == []


def test_a_server_on_the_users_list_is_asked_and_nobody_else(desk: Desk) -> None:
    with Loopback(shuts_down) as server:
        status = desk.configure(server.base, endpoint=server.base, model="v4-flash", kind="suffix")
        assert (status["endpoint"], status["model"], status["problem"]) == (server.base, "v4-flash", "")
        assert ghost(desk.client, desk.project / "c.py") == "shut_down(now)"
        assert server.asked[-1].body["prompt"] == "# c.py\n" + QUESTION
    reached = desk.reached()
    assert reached
    assert all(str(server.port) in line and "127.0.0.1" in line for line in reached), reached


def test_a_workspace_cannot_send_code_to_a_server_of_its_choice(desk: Desk) -> None:
    with Loopback(shuts_down) as server:
        status = desk.configure("https://api.deepseek.com", endpoint=server.base)
        assert ghost(desk.client, desk.project / "c.py") == "release(self)"
        said = [params["message"] for method, params in desk.client.notifications if method == "window/showMessage"]
        assert len(said) == 1
        assert f"add the line {server.base} to {desk.servers}" in said[0]
        assert server.base in status["problem"]
        desk.client.notifications.clear()
        assert (server.connections, desk.reached()) == (0, [])


def test_files_that_the_project_leaves_out_stay_on_the_machine(desk: Desk) -> None:
    with Loopback(shuts_down) as server:
        desk.configure(server.base, endpoint=server.base, kind="suffix")
        assert ghost(desk.client, desk.project / "private" / "keys.py") == "shut_down(now)"
        asked = len(server.asked)
        (desk.project / ".gitignore").write_text("private/\n", encoding="utf-8")
        for path in ("private/keys.py", "credentials.py", "node_modules/x.py", "../elsewhere.py"):
            assert ghost(desk.client, desk.project / path) != "shut_down(now)", path
        assert len(server.asked) == asked
        assert ghost(desk.client, desk.project / "c.py") == "shut_down(now)"


def test_the_local_answer_takes_over_when_the_server_goes_and_the_log_says_so_once(desk: Desk) -> None:
    with Loopback(shuts_down) as server:
        desk.configure(server.base, endpoint=server.base, kind="suffix")
        assert ghost(desk.client, desk.project / "c.py") == "shut_down(now)"
    for _ in range(5):
        assert ghost(desk.client, desk.project / "c.py") == "release(self)"
    assert desk.client.ready()["remote"]["problem"]
    lines = desk.logged()
    assert len([line for line in lines if "remote model" in line]) == 1
    assert not [line for line in lines if "pool" in line]


def test_a_newer_question_closes_the_connection_of_the_older_one(desk: Desk) -> None:
    streams = threading.Event()

    async def silent(asked: Asked, client: Connection) -> None:
        if not asked.body["stream"]:
            await shuts_down(asked, client)
        else:
            streams.set()
            await client.until_gone()
            raise ConnectionError

    with Loopback(silent) as server:
        desk.configure(server.base, endpoint=server.base, kind="suffix", firstMs=60_000)
        uri = desk.client.open(desk.project / "c.py", QUESTION)
        question = {**where(uri, 2, 14), "context": {"triggerKind": 1}}
        older = desk.client.send("textDocument/inlineCompletion", question)
        assert streams.wait(20)
        # While a server is waited for, a completion list is put in order all the same.
        assert "release" in str(desk.client.request("textDocument/completion", where(uri, 2, 14), 20))
        newer = desk.client.send("textDocument/inlineCompletion", question)
        assert older.result(20) is None
        assert server.gone.wait(20)
        newer.cancel()
        eventually(lambda: newer.replies == 1)
        desk.client.close(uri)


def test_an_editor_without_ghost_text_gets_the_servers_line_as_the_first_item(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "eglot")

    def first_line() -> list[str]:
        items = desk.client.request("textDocument/completion", where(uri, 2, 14))["items"]
        return [item["label"] for item in items if item["sortText"] == "00000"]

    with Loopback(shuts_down) as server:
        desk.configure(server.base, endpoint=server.base, kind="suffix")
        desk.client.configuration = {**desk.client.configuration, "completion.waitMs": 10_000}
        desk.client.notify("workspace/didChangeConfiguration", {"settings": None})
        desk.client.ready()
        uri = desk.client.open(desk.project / "c.py", QUESTION)
        assert first_line() == ["shut_down(now)"]
    assert first_line() == ["release(self)"], "nobody is there any more"
    desk.client.close(uri)
    assert desk.client.stop() == 0
