"""Neovim, in the two versions that the plug-in is for, with the plug-in and the real server."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from editor_support import Server, git, installed, make_project

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "installing")]
import neovim as installing  # noqa: E402

sys.path.insert(0, str(installing.python_path(installed("neovim"))))
from nvim import PLUGIN, Neovim, Session, Start  # noqa: E402


@pytest.fixture(scope="module", params=["0.12", "0.11"])
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def start(version: str, offline: tuple[str, ...], server: Server, project: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts Neovim, offline, in the project, with our setup(): `setup` are its options beside `cmd`, as Lua, and
    `before` what the user's init.lua says first. `init` is another init.lua instead."""
    running: list[Neovim] = []

    def begin(
        *files: Path,
        setup: str = "",
        before: str = "",
        init: str | None = None,
        runtime: tuple[Path, ...] = (PLUGIN,),
        where: Path | None = None,
    ) -> Neovim:
        chosen = before + _set_up(server, setup) if init is None else init
        folder = tmp_path / f"neovim{len(running)}"
        running.append(_neovim(version, offline, folder, chosen, runtime, files, where or project))
        return running[-1]

    yield begin
    for nvim in running:
        nvim.quit()


@pytest.fixture(scope="module")
def session(
    request: pytest.FixtureRequest, version: str, offline: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    """One Neovim for the tests of a module, with a small project; what the module says in SETUP are options of setup()."""
    folder = tmp_path_factory.mktemp("session")
    project = make_project(folder / "shop", library=False)
    server = Server(folder / "server")
    init = getattr(request.module, "BEFORE", "") + _set_up(server, getattr(request.module, "SETUP", ""))
    nvim = _neovim(version, offline, folder / "neovim", init, (PLUGIN,), [project / "shop/stock.py"], project)
    yield Session(nvim, server, project, version)
    nvim.quit()
    server.leave_none()


@pytest.fixture
def clean(session: Session) -> Iterator[Session]:
    """That Neovim with no file open but stock.py, unchanged, and the project as it was."""
    session.nvim.clean(session.project / "shop/stock.py")
    session.nvim.ready()
    yield session
    session.nvim.clean(None)
    git(session.project, "checkout", "--quiet", "--force", "main")
    git(session.project, "clean", "-fdxq")


def _set_up(server: Server, options: str) -> str:
    return f'require("engram").setup({{ cmd = {{ "{server.path}", "serve" }}, {options} }})\n'


def _neovim(version, offline, folder, init, runtime, files, where) -> Neovim:
    command = installing.command(installed("neovim"), version)
    return Neovim([*offline, *command], folder, init, runtime=runtime, arguments=files, where=where)
