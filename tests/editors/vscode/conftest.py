"""VS Code with our extension, and a window of it for each test."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from editor_support import Server, installed, until
from editors.installing.vscode import Code, command
from editors.vscode.running import PATIENCE, Host, browsing, running
from editors.vscode.window import Window


@pytest.fixture(scope="session")
def code() -> Code:
    return command(installed("vscode"))


@pytest.fixture(scope="module")
def host(
    request: pytest.FixtureRequest, code: Code, offline: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """One VS Code for the tests of a module, started with its OPTIONS."""
    options = getattr(request.module, "OPTIONS", ("--disable-workspace-trust",))
    with running(code, offline, tmp_path_factory.mktemp("profile"), *options) as host:
        yield host


@pytest.fixture(scope="module")
def browser(code: Code, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browsing(code, host, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    window = getattr(item, "funcargs", {}).get("window")
    if report.when == "call" and report.failed and window:
        window.page.screenshot(path=window.shots / f"failed-{item.name}.png")
    return report


@pytest.fixture
def window(browser: Any, host: Host, project: Path, server: Server, tmp_path: Path) -> Iterator[Window]:
    host.set(server.path)
    context = browser.new_context(
        viewport={"width": 1200, "height": 750}, permissions=["clipboard-read", "clipboard-write"]
    )
    shots = Path(os.environ.get("ENGRAM_SHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    yield Window(context.new_page(), project, shots)
    context.close()
    until(lambda: not server.processes(), "the server to leave with its window", PATIENCE)
