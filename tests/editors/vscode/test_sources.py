"""The extension's sources, as its own tools see them, in the copy that it is built in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from editor_support import installed

EXTENSION = Path(__file__).parents[3] / "editors" / "vscode"


@pytest.mark.parametrize("script", ["check", "lint", "test"])
def test_types_format_and_what_needs_no_editor(script: str) -> None:
    folder = installed("vscode")
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [folder / "bin" / "npm", "run", "--silent", script]
    done = subprocess.run(command, cwd=folder / "extension", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_settings_are_those_of_the_server() -> None:
    command = [sys.executable, EXTENSION / "scripts" / "settings.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
