"""Emacs 30, of Debian's packages: for the text terminal, with Eglot built in. Beside it lie a few packages that users may have.

Bookworm itself has Emacs 28; its backports have 30, which is installed without a lasting entry among apt's sources.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from _debian import with_suite

# lsp-mode and what it needs, the linter of packages, and another list of completions: Lisp that is only unpacked.
LISP = ("lsp-mode", "dash", "f", "s", "ht", "spinner", "lv", "markdown-mode", "package-lint", "let-alist", "company")


def install(folder: Path) -> None:
    """Raises RuntimeError where Emacs 30 is neither here nor to be had."""
    system = ["--target-release", "bookworm-backports", "emacs-nox"] if major() < 30 else []
    if shutil.which("tmux") is None:
        system.append("tmux")
    if system and os.geteuid() != 0:
        raise RuntimeError("install Emacs 30 or newer, and tmux; as root on Debian 12 this script does so")
    lisp = folder / "lisp"
    if not system and lisp.is_dir():
        return
    with with_suite("bookworm-backports") as apt:
        if system:
            apt.run("install", "--no-install-recommends", *system)
        unpacked = apt.folder / "unpacked"
        apt.unpack_alone(*(f"elpa-{name}" for name in LISP), into=unpacked)
        shutil.copytree(unpacked / "usr/share/emacs/site-lisp/elpa-src", lisp, dirs_exist_ok=True)


def command(folder: Path) -> tuple[str, ...]:
    """The program, with the packages of `folder` to be found, and nothing of a user's own."""
    paths = [argument for path in sorted(folder.glob("lisp/*")) for argument in ("-L", str(path))]
    return "emacs", "-Q", *paths


def major() -> int:
    """The version of the Emacs that is here; 0: none."""
    if shutil.which("emacs") is None:
        return 0
    said = subprocess.run(["emacs", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"GNU Emacs (\d+)", said)
    return int(found[1]) if found else 0
