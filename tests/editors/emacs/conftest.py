"""Emacs as the tests start it: without its user's settings, without a network, with the server that is recorded."""

import importlib.util
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from editor_support import BEGUN, EXPECTED_REST, REPAIRED, TRACE, Server, installed

HERE = Path(__file__).parent
PACKAGE = Path(__file__).parents[3] / "editors" / "emacs"


def installing() -> ModuleType:
    """tests/editors/installing/emacs.py, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("installing_emacs", HERE.parent / "installing" / "emacs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Emacs:
    command: tuple[str, ...]
    environment: dict[str, str]

    def batch(self, *arguments: str) -> str:
        """Runs it without a terminal; what it printed. Fails with that where it ends with an error."""
        done = subprocess.run(
            [*self.command, "--batch", "-L", str(PACKAGE), "-L", str(HERE), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=300,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="session")
def program() -> tuple[str, ...]:
    return installing().command(installed("emacs"))


@pytest.fixture
def emacs(program: tuple[str, ...], offline: tuple[str, ...], project: Path, server: Server, tmp_path: Path) -> Emacs:
    """An Emacs that finds our server as anybody's: by its name."""
    (tmp_path / "home").mkdir()
    environment = {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "PATH": f"{server.folder}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "PROJECT": str(project),
        "MESSAGES": str(server.log),
        "CACHE": str(server.folder / "cache"),
        "TRACE": TRACE.format(root=project),
        "REPAIRED": REPAIRED,
        "BEGUN": BEGUN,
        "REST": EXPECTED_REST,
    }
    return Emacs((*offline, *program), environment)
