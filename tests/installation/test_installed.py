"""Wheel, source distribution and extension: what is in them, and that they work where nothing else of ours is."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from editor_support import OFFLINE
from engram_lsp.cli import COMMANDS

DIST = Path(os.environ.get("ENGRAM_DIST", "dist")).absolute()
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
PROJECT = {
    "pyproject.toml": "[project]\nname = 'shop'\n",
    "shop/__init__.py": "",
    "shop/basket.py": "class Basket:\n    def __init__(self):\n        self.items = []\n\n    def add(self, item):\n        self.items.append(item)\n",
    "shop/app.py": "from shop.basket import Basket\n\nbasket = Basket()\nbasket.add(1)\nprint(basquet)\n",
}
Run = Callable[..., str]


@pytest.fixture(scope="session")
def wheel() -> Path:
    [found] = DIST.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as held:
        return set(held.namelist())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program for somebody with an empty home, in an empty folder; gives what it printed. Packages that pip and
    uv have fetched before are still theirs."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in os.environ if not name.startswith(("PYTHON", "VIRTUAL_ENV", "XDG_"))}
    caches = {"PIP_CACHE_DIR": Path.home() / ".cache" / "pip", "UV_CACHE_DIR": Path.home() / ".cache" / "uv"}
    environment = {**{name: str(path) for name, path in caches.items()}, **kept, "HOME": str(home)}

    def ran(*command: object, code: int = 0, **more: str) -> str:
        done = subprocess.run(
            [*map(str, command)], cwd=home, env={**environment, **more}, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return ran


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        file = tmp_path / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "project"


def works(run: Run, engram: Path, project: Path) -> None:
    """The installed command does what it is there for."""
    assert re.fullmatch(r"engram-ls \d+\.\d+\.\d+\n", run(engram, "--version"))
    verdicts = json.loads(run(engram, "doctor", "--json"))
    assert {each["subject"] for each in verdicts} >= {"python", "model", "cache", "watcher"}
    assert not [each for each in verdicts if each["state"] == "bad"]
    problems = json.loads(run(engram, "check", "--json", project, code=1))
    assert "basquet" in json.dumps(problems)
    said = run(engram, "demo", project)
    assert "basquet" not in said or "undefined" in said
    assert said.strip()


def test_the_wheel_has_the_model_the_clients_and_no_tests(names: set[str]) -> None:
    assert {"engram_lsp/py.typed", "engram_runtime/models/default/model.onnx"} <= names
    assert {"engram_lsp/clients/neovim/lsp/engram.lua", "engram_lsp/clients/emacs/engram.el"} <= names
    assert "engram_lsp/clients/vscode/engram-ls.vsix" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"engram_lsp", "engram_context", "engram_runtime"}
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name or name.endswith(".pyc")]


def test_what_users_install_has_no_training_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        [metadata] = [name for name in held.namelist() if name.endswith("METADATA")]
        lines = held.read(metadata).decode().splitlines()
    always = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert always and not [line for line in always if re.search(r"\b(torch|transformers|onnx|pytest)\b", line)]


def test_the_source_distribution_makes_the_same_wheel(run: Run, names: set[str], tmp_path: Path) -> None:
    [source] = DIST.glob("*.tar.gz")
    with tarfile.open(source) as held:
        assert not [name for name in held.getnames() if "node_modules" in name or "/dist/" in name]
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "made", source)
    [made] = (tmp_path / "made").glob("*.whl")
    with zipfile.ZipFile(made) as held:
        assert set(held.namelist()) == names


def test_the_extension_has_the_wheel_in_it_and_the_one_in_the_wheel_has_not(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(DIST / "engram-ls.vsix") as whole:
        assert f"extension/server/{wheel.name}" in whole.namelist()
    with zipfile.ZipFile(wheel) as held:
        held.extract("engram_lsp/clients/vscode/engram-ls.vsix", tmp_path)
    with zipfile.ZipFile(tmp_path / "engram_lsp/clients/vscode/engram-ls.vsix") as slim:
        assert "extension/dist/extension.js" in slim.namelist()
        assert not [name for name in slim.namelist() if name.endswith(".whl")]


def test_pip_in_an_empty_environment(run: Run, wheel: Path, project: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv)
    run(venv / SCRIPTS / "python", "-m", "pip", "install", "--quiet", wheel)
    engram = venv / SCRIPTS / "engram-ls"
    works(run, engram, project)
    for command in COMMANDS:
        assert run(engram, command, "--help").startswith(f"usage: engram-ls {command}")
    assert "engram-ls[train]" in (run(engram, "export", project, tmp_path / "out", code=2) or "engram-ls[train]")
    for editor in ("neovim", "emacs"):
        plan = json.loads(run(engram, "setup", editor, "--json"))
        [folder] = re.findall(r'"([^"]*clients[^"]*)"', plan["text"])
        assert Path(folder).is_relative_to(venv) and any(Path(folder).iterdir())
    vsix = Path(json.loads(run(engram, "setup", "vscode", "--json"))["command"][-1])
    assert vsix.is_relative_to(venv) and vsix.is_file()


def test_uv_tool_install(run: Run, wheel: Path, project: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "uv")
    run(tmp_path / "uv" / SCRIPTS / "python", "-m", "pip", "install", "--quiet", "uv")
    where = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "programs")}
    uv = tmp_path / "uv" / SCRIPTS / "uv"
    run(uv, "tool", "install", "--quiet", "--python", sys.executable, wheel, **where)
    works(run, tmp_path / "programs" / "engram-ls", project)


def test_pipx_install(run: Run, wheel: Path, project: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "pipx")
    run(tmp_path / "pipx" / SCRIPTS / "python", "-m", "pip", "install", "--quiet", "pipx")
    where = {"PIPX_HOME": str(tmp_path / "tools"), "PIPX_BIN_DIR": str(tmp_path / "programs")}
    run(tmp_path / "pipx" / SCRIPTS / "pipx", "install", "--quiet", wheel, **where)
    works(run, tmp_path / "programs" / "engram-ls", project)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such way to take the network away")
def test_a_folder_of_wheels_is_enough_where_there_is_no_network(run: Run, wheel: Path, tmp_path: Path) -> None:
    wheels, venv = tmp_path / "wheels", tmp_path / "venv"
    run(sys.executable, "-m", "pip", "download", "--quiet", "--dest", wheels, wheel)
    run(sys.executable, "-m", "venv", venv)
    python = venv / SCRIPTS / "python"
    offline = ("-m", "pip", "install", "--quiet", "--no-index", "--find-links", wheels, "engram-ls")
    run(*OFFLINE, python, *offline)
    # The demo as it comes, on the standard library, for nothing can be fetched.
    assert run(*OFFLINE, venv / SCRIPTS / "engram-ls", "demo").strip()
