"""Packages of Debian, by an apt whose sources and lists are its own: /etc/apt and /var/lib/apt stay as they are."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ETC = Path("/etc/apt")


class Apt:
    def __init__(self, folder: Path, options: dict[str, object]) -> None:
        self.folder = folder
        self._options = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        self.run("update")

    def run(self, *arguments: str) -> None:
        """Raises RuntimeError with what apt said where it fails."""
        _run("apt-get", *self._options, "--quiet", "--yes", *arguments)

    def unpack(self, *packages: str, into: Path) -> None:
        """Downloads packages and all that they need beside what is installed, and unpacks them."""
        archives = self.folder / "archives"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        self.run("-o", f"Dir::Cache::archives={archives}", "--download-only", "install", *packages)
        for package in sorted(archives.glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(into))

    def unpack_alone(self, *packages: str, into: Path) -> None:
        """Unpacks packages without what they need."""
        _run("apt-get", *self._options, "--quiet", "download", *packages, cwd=self.folder)
        for package in sorted(self.folder.glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(into))


@contextmanager
def with_suite(suite: str) -> Iterator[Apt]:
    """The system's packages, and those of one more suite."""
    with _scratch() as folder:
        parts = folder / "parts"
        shutil.copytree(ETC / "sources.list.d", parts)
        (parts / "more.list").write_text(_source(suite))
        yield Apt(folder, {"Dir::Etc::sourceparts": parts, "Dir::State::lists": folder / "lists"})


@contextmanager
def only_suite(suite: str) -> Iterator[Apt]:
    """A suite of its own, as if nothing were installed: what is unpacked from it is complete."""
    with _scratch() as folder:
        (folder / "status").touch()
        (folder / "sources.list").write_text(_source(suite))
        yield Apt(
            folder,
            {
                "Dir::Etc::sourcelist": folder / "sources.list",
                "Dir::Etc::sourceparts": os.devnull,
                "Dir::Etc::preferences": os.devnull,
                "Dir::Etc::preferencesparts": os.devnull,
                "Dir::State::lists": folder / "lists",
                "Dir::State::status": folder / "status",
                "Dir::Cache": folder / "cache",
                "APT::Install-Recommends": "false",
                "Acquire::Languages": "none",
                # Mirrors of a suite that rolls may lag behind.
                "Acquire::Check-Valid-Until": "false",
                "Debug::NoLocking": "true",
            },
        )


@contextmanager
def _scratch() -> Iterator[Path]:
    if shutil.which("apt-get") is None:
        raise RuntimeError("this needs apt-get, of Debian or a distribution made from it")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o777)  # apt downloads as another user where it can
        (folder / "lists" / "partial").mkdir(parents=True)
        yield folder


def _source(suite: str) -> str:
    """The entry of a suite, from the mirror that the system uses."""
    listed = [*sorted((ETC / "sources.list.d").glob("*.sources")), *sorted((ETC / "sources.list.d").glob("*.list"))]
    for file in [*listed, ETC / "sources.list"]:
        text = file.read_text() if file.is_file() else ""
        if found := re.search(r"^(?:URIs:|deb) .*?(https?://\S*debian/?)(?:\s|$)", text, re.MULTILINE):
            return f"deb [signed-by={KEYRING}] {found[1]} {suite} main\n"
    raise RuntimeError("no mirror of Debian is named in /etc/apt")


def _run(*command: str, cwd: Path | None = None) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
