"""Emacs 30, of Debian's packages: for the text terminal, with Eglot built in. Beside it lie a few packages that users may have.

Bookworm itself has Emacs 28; its backports have 30, which is installed without a lasting entry among apt's sources.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

BACKPORTS = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} bookworm-backports main\n"
SOURCES = Path("/etc/apt/sources.list.d")
# lsp-mode and what it needs, and the linter of packages: Lisp that is only unpacked.
LISP = ("lsp-mode", "dash", "f", "s", "ht", "spinner", "lv", "markdown-mode", "package-lint", "let-alist", "company")


def install(folder: Path) -> None:
    """Raises RuntimeError where Emacs 30 is neither here nor to be had."""
    folder.mkdir(parents=True, exist_ok=True)
    if major() < 30:
        install_emacs()
    if shutil.which("tmux") is None:
        apt("install", "--yes", "--no-install-recommends", "tmux")
    for name in LISP:
        if not any(folder.glob(f"lisp/{name}-[0-9]*")):
            unpack(name, folder)


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


def install_emacs() -> None:
    if os.geteuid() != 0:
        raise RuntimeError("install Emacs 30 or newer; as root on Debian 12 this script does so")
    with tempfile.TemporaryDirectory() as scratch:
        parts, lists = Path(scratch, "parts"), Path(scratch, "lists")
        shutil.copytree(SOURCES, parts)
        (lists / "partial").mkdir(parents=True)
        Path(scratch).chmod(0o755)
        mirror = re.search(r"^URIs: *(\S+)", (parts / "debian.sources").read_text(), re.MULTILINE)
        if mirror is None:
            raise RuntimeError("no mirror of Debian is named in debian.sources")
        (parts / "backports.list").write_text(BACKPORTS.format(mirror[1]))
        own = ("-o", f"Dir::Etc::sourceparts={parts}", "-o", f"Dir::State::lists={lists}")
        apt(*own, "update")
        apt(*own, "--yes", "--no-install-recommends", "--target-release", "bookworm-backports", "install", "emacs-nox")


def unpack(name: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        apt("download", f"elpa-{name}", cwd=scratch)
        (package,) = Path(scratch).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), scratch], check=True)
        (folder / "lisp").mkdir(exist_ok=True)
        for source in Path(scratch).glob("usr/share/emacs/site-lisp/elpa-src/*"):
            shutil.copytree(source, folder / "lisp" / source.name, dirs_exist_ok=True)


def apt(*arguments: str, cwd: str | None = None) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "--quiet", *arguments], cwd=cwd, env=quiet, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"apt-get {' '.join(arguments)}: {done.stderr.strip()}")
