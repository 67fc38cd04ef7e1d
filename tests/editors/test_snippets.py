"""Configuration that the documentation shows is understood by the editors it is for."""

import subprocess
import sys
from pathlib import Path

import pytest
from docs_support import DOCS, ROOT, blocks
from editor_support import installed

sys.path.insert(0, str(Path(__file__).parent / "installing"))
import emacs
import neovim


def snippets(language: str) -> list[str]:
    pages = [ROOT / "editors/README.md", *sorted(DOCS.rglob("*.md"))]
    return [
        block.text for page in pages for block in blocks(page.read_text(encoding="utf-8")) if block.language == language
    ]


@pytest.mark.parametrize("text", snippets("lua"))
def test_lua_runs_in_neovim(text: str, tmp_path: Path) -> None:
    plugin = f"vim.opt.runtimepath:append({str(ROOT / 'editors/neovim')!r})\n"
    (tmp_path / "snippet.lua").write_text(plugin + text, encoding="utf-8")
    command = (
        *neovim.command(installed("neovim"), "0.12"),
        "--clean",
        "--headless",
        "-l",
        str(tmp_path / "snippet.lua"),
    )
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("text", snippets("elisp"))
def test_lisp_runs_in_emacs(text: str, tmp_path: Path) -> None:
    text = text.replace("…/clients/emacs", str(ROOT / "editors/emacs"))
    (tmp_path / "snippet.el").write_text(f"(require 'eglot)\n{text}", encoding="utf-8")
    command = (*emacs.command(installed("emacs")), "--batch", "-l", str(tmp_path / "snippet.el"))
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
