"""Helix with the set-up that our documentation has for it: what its own client does with the server, in a terminal."""

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from editor_support import CART, Server, git, installed, until
from terminal_support import Terminal

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "editors" / "docs" / "how-to" / "editors.md"


PROBLEM = "'time' is not defined"


def command() -> tuple[str, ...]:
    sys.path.insert(0, str(HERE.parent / "installing"))
    return importlib.import_module("helix").command(installed("helix"))


def setup() -> str:
    """The lines for languages.toml that the page on editors has."""
    found = re.search(r"^## Helix\n.*?```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture
def start(
    offline: tuple[str, ...], project: Path, server: Server, tmp_path: Path
) -> Iterator[Callable[[str], Terminal]]:
    """Starts Helix with the text of languages.toml; it shows shop/stock.py, and leaves without saving."""
    running: list[Terminal] = []

    def started(languages: str) -> Terminal:
        home = tmp_path / "home"
        config = home / ".config" / "helix"
        config.mkdir(parents=True)
        (config / "languages.toml").write_text(languages, encoding="utf-8")
        path = f"{server.folder}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "HOME": str(home), "LANG": "C.UTF-8", "PATH": path}
        environment.pop("XDG_CONFIG_HOME", None)
        running.append(Terminal([*offline, *command(), "shop/stock.py"], environment, project))
        return running[-1]

    yield started
    for terminal in running:
        try:
            terminal.until(lambda screen: " NOR " in screen, "normal mode")
            terminal.type(":quit-all!\r")
            until(terminal.ended, "Helix to end")
        finally:
            terminal.close()


@pytest.fixture
def helix(start: Callable[[str], Terminal]) -> Terminal:
    """Helix as our documentation sets it up, with the problem of shop/stock.py seen."""
    terminal = start(setup())
    terminal.until(lambda screen: PROBLEM in screen, "the problem")
    return terminal


def test_problems_are_withdrawn_once_they_are_right(helix: Terminal) -> None:
    helix.type(":5\r")
    helix.type("xcdef = len\x1b")
    helix.until(lambda screen: PROBLEM not in screen, "the problem to go")


def test_completion_imports_what_it_names(helix: Terminal) -> None:
    helix.type("geo")
    helix.type("with_ta")
    helix.until(lambda screen: re.search(r"with_tax +function", screen), "the list")
    helix.press("Tab")
    helix.press("Enter")
    helix.until(lambda screen: "from shop.prices import with_tax" in screen, "the import")
    helix.press("Escape")


def test_a_rename_changes_all_files(helix: Terminal, project: Path) -> None:
    helix.type(":open shop/cart.py\r")
    helix.type("/with_tax\r")
    helix.until(lambda screen: "shown, with_tax" in screen, "the file")
    helix.type(" r")
    helix.until(lambda screen: "rename-to:" in screen, "the question")
    helix.press("C-u")
    helix.type("taxed\r")
    helix.until(lambda screen: "shown(taxed(Price" in screen, "the new name, behind astral characters too")
    helix.type(":write-all\r")
    until(lambda: "def taxed(" in (project / "shop/prices.py").read_text(encoding="utf-8"), "the other files")
    until(
        lambda: (project / "shop/cart.py").read_text(encoding="utf-8") == CART.replace("with_tax", "taxed"), "this file"
    )
    assert set(git(project, "diff", "--name-only").split()) == {
        f"shop/{name}.py" for name in ("cart", "orders", "prices")
    }


def test_a_renamed_file_is_imported_by_its_new_name(helix: Terminal, project: Path) -> None:
    helix.type(":open shop/prices.py\r")
    helix.until(lambda screen: "Prices in cents" in screen, "the file")
    helix.type(":move shop/costs.py\r")
    until((project / "shop/costs.py").exists, "the file to be renamed")
    helix.type(":open shop/cart.py\r")
    helix.until(lambda screen: "from shop.costs import Price" in screen, "the import")


def test_its_commands_can_be_run(helix: Terminal, server: Server) -> None:
    helix.type(":lsp-workspace-command engram.pauseReading\r")
    until(lambda: server.answers("workspace/executeCommand"), "the command to be run")
    (answer,) = server.answers("workspace/executeCommand")
    assert answer["result"]["paused"] is True


def test_settings_are_heeded(start: Callable[[str], Terminal]) -> None:
    own = 'diagnostics = { severity = { undefined-name = "off" } }'
    languages, changed = re.subn(r"^diagnostics = .*$", own, setup(), flags=re.MULTILINE)
    assert changed == 1
    helix = start(languages)
    helix.until(lambda screen: "What is there." in screen, "the file")
    helix.type("ggOimport nowhere_at_all\x1b")
    screen = helix.until(lambda screen: "'nowhere_at_all'" in screen, "another problem")
    assert PROBLEM not in screen
