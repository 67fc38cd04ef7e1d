"""Emacs as the tests start it: without its user's settings, without a network, with the server that is recorded."""

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from editor_support import BEGUN, EXPECTED_REST, REPAIRED, TRACE, Server, installed

HERE = Path(__file__).parent
PACKAGE = Path(__file__).parents[3] / "editors" / "emacs"


@dataclass(frozen=True)
class Emacs:
    command: tuple[str, ...]
    environment: dict[str, str]

    def batch(self, *arguments: str, path: bool = True) -> str:
        """Runs it without a terminal, our package on its `path`; what it printed. Fails with that where it ends with an
        error."""
        ours = ["-L", str(PACKAGE), "-L", str(HERE)] if path else []
        done = subprocess.run(
            [*self.command, "--batch", *ours, *arguments],
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
    sys.path.insert(0, str(HERE.parent / "installing"))
    return importlib.import_module("emacs").command(installed("emacs"))


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
