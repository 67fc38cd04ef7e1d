"""Real server processes over stdio, on copies of real packages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client
from wire_support import Start, capabilities, change_folders, copy_packages


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Last come the tests that take longest."""
    items.sort(key=lambda item: item.get_closest_marker("wire") is not None)


class Editors:
    """One server for each editor, shared by the tests: starting one takes longer than most tests do."""

    def __init__(self, cache: Path, logs: Path) -> None:
        self._settings: dict[str, Any] = {"index.cacheFolder": str(cache), "model.path": "none"}
        self._logs = logs
        self.running: dict[str, Client] = {}

    def at_work(self, editor: str, settings: dict[str, Any], roots: tuple[Path, ...], *, ready: bool) -> Client:
        """The editor's server with these settings and workspace folders."""
        client = self.running.get(editor)
        if client is None or client.process.poll() is not None:
            client = Client(configuration=self._settings, log=self._logs / f"{editor}.log")
            self.running[editor] = client
            client.initialize(capabilities=capabilities(editor), name=editor)
            client.ready()
        self.configure(client, settings)
        change_folders(client, added=roots)
        if ready:
            client.ready()
        return client

    def configure(self, client: Client, settings: dict[str, Any]) -> None:
        wanted = {**self._settings, **settings}
        if client.configuration != wanted:
            client.configuration = wanted
            client.notify("workspace/didChangeConfiguration", {"settings": None})
            client.ready()


@pytest.fixture(scope="session")
def editors(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editors]:
    editors = Editors(cache, tmp_path_factory.mktemp("logs"))
    try:
        yield editors
        for client in editors.running.values():
            assert client.stop(strict=True) == 0
    finally:
        for client in editors.running.values():
            if client.process.poll() is None:
                client.kill()


@pytest.fixture
def start(editors: Editors) -> Iterator[Start]:
    """Puts an editor's server to work on folders of one's own. At the end it must have said nothing that no test looked
    at; then its documents are closed and the folders leave."""
    used: dict[str, tuple[Client, list[Path]]] = {}

    def started(
        *roots: Path, editor: str = "vscode", settings: dict[str, Any] | None = None, ready: bool = True
    ) -> Client:
        client = editors.at_work(editor, settings or {}, roots, ready=ready)
        used.setdefault(editor, (client, []))[1].extend(roots)
        return client

    yield started
    for client, roots in used.values():
        client.ready()
        client.complain()
        for uri in tuple(client.versions):
            client.close(uri)
        change_folders(client, removed=tuple(roots))
        editors.configure(client, {})
        client.ready()
        client.notifications.clear()  # the problems of the closed documents are withdrawn
        client.progress.clear()
        client.asked.clear()


@pytest.fixture
def launch(cache: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts servers of one's own, for tests about beginning and ending. Whatever still runs is killed at the end."""
    clients: list[Client] = []

    def launched(*roots: Path, editor: str = "vscode", settings: dict[str, Any] | None = None) -> Client:
        configuration = {"index.cacheFolder": str(cache), "model.path": "none", **(settings or {})}
        client = Client(configuration=configuration, log=tmp_path / f"server-{len(clients)}.log")
        clients.append(client)
        client.initialize(*roots, capabilities=capabilities(editor), name=editor)
        client.ready()
        return client

    yield launched
    for client in clients:
        if client.process.poll() is None:
            client.kill()


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of real code that no test changes."""
    return copy_packages(tmp_path_factory.mktemp("package"), "json", "email", "asyncio")


@pytest.fixture(scope="session")
def server(package: Path, cache: Path) -> Iterator[Client]:
    """One server with VS Code's capabilities that has read `package`; tests must leave no document open."""
    client = Client(configuration={"index.cacheFolder": str(cache)})
    try:
        client.initialize(package, capabilities=capabilities("vscode"), name="vscode")
        client.ready()
        yield client
        assert client.stop(strict=True) == 0
    finally:
        if client.process.poll() is None:
            client.kill()
