"""Our clients in the editors they were written for, each with the real server and no network.

Collected only where the editors are: `make editors` installs them and sets ENGRAM_EDITORS to their folder.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from editor_support import OFFLINE, Server, copies, make_project

collect_ignore_glob = [] if os.environ.get("ENGRAM_EDITORS") else ["*"]


@pytest.fixture(scope="session")
def offline() -> tuple[str, ...]:
    """The beginning of a command line: what follows runs without a network."""
    return OFFLINE


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that tests get copies of."""
    return make_project(tmp_path_factory.mktemp("pristine") / "shop")


@pytest.fixture
def project(pristine: Path, tmp_path: Path) -> Iterator[Path]:
    yield from copies(pristine, tmp_path / "shop")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The server that this test's editors start; when they are gone, nothing of it may run any more."""
    server = Server(tmp_path / "server")
    yield server
    server.leave_none()
