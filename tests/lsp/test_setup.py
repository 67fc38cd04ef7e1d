"""`engram-ls setup`: what it prints is what it writes, and nothing of the user's is overwritten."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.cli import main, setup


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "APPDATA", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["setup", *arguments])
    return int(left.value.code or 0)


@pytest.mark.parametrize("editor", ["neovim", "emacs"])
def test_what_is_printed_is_what_is_written_once(home: Path, capsys: Any, editor: str) -> None:
    assert run(editor) == 0
    printed = capsys.readouterr().out
    assert not list(home.rglob("*"))  # printing writes nothing
    assert run(editor, "--write") == run(editor, "--write") == 0
    [written] = [path for path in home.rglob("*") if path.is_file()]
    assert written.read_text(encoding="utf-8") == printed
    assert str(setup.client(editor)) in printed.replace("\\\\", "\\")
    assert "has it already" in capsys.readouterr().err


def test_an_init_file_keeps_what_it_has_and_gets_it_at_its_end(home: Path) -> None:
    init = home / ".emacs"
    init.write_text('(message "mine")\n', encoding="utf-8")
    assert run("emacs", "--write") == 0
    assert init.read_text(encoding="utf-8").startswith('(message "mine")\n\n;; engram-ls\n')


def test_a_file_that_says_something_else_stays(home: Path, capsys: Any) -> None:
    plan = json.loads((run("neovim", "--json"), capsys.readouterr().out)[1])
    file = Path(plan["file"])
    file.parent.mkdir(parents=True)
    file.write_text("-- mine\n", encoding="utf-8")
    assert run("neovim", "--write") == 2
    assert file.read_text(encoding="utf-8") == "-- mine\n" and str(file) in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for VS Code's command is a shell script")
def test_vs_code_is_given_the_extension(home: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    vsix = home / "clients" / "vscode" / "engram-ls.vsix"
    monkeypatch.setattr(setup, "_PACKAGED", home / "clients")
    monkeypatch.setattr(setup, "_CHECKOUT", home / "clients")
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert run("vscode") == 2 and "without its extension" in capsys.readouterr().err
    vsix.parent.mkdir(parents=True)
    vsix.write_bytes(b"")
    assert run("vscode") == 0
    assert f"code --install-extension {vsix}" in capsys.readouterr().out
    assert run("vscode", "--write") == 2 and "code did not do it" in capsys.readouterr().err
    code = home / "bin" / "codium"
    code.parent.mkdir()
    code.write_text(f'#!/bin/sh\necho "$@" > {home}/asked\n', encoding="utf-8")
    code.chmod(0o755)
    assert run("vscode", "--write") == 0
    assert (home / "asked").read_text(encoding="utf-8") == f"--install-extension {vsix}\n"


def test_a_server_that_is_not_on_the_path_is_named_in_full(
    home: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home))
    assert run("neovim") == 0
    own = Path(sys.executable).parent / ("engram-ls.exe" if os.name == "nt" else "engram-ls")
    assert json.dumps(str(own), ensure_ascii=False) in capsys.readouterr().out
    assert subprocess.run([own, "--version"], capture_output=True, check=True).stdout.startswith(b"engram-ls ")
