"""What the wire tests share besides fixtures: real packages to work on, real editors' capabilities."""

import json
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engram_lsp.client import Client

LIBRARY = Path(sysconfig.get_path("stdlib"))
DATA = Path(__file__).parent / "data"

Start = Callable[..., Client]


def capabilities(client: str) -> Any:
    """What a real editor says it can do, as recorded from it: "vscode", "neovim" or "eglot"."""
    return json.loads((DATA / "clients" / f"{client}.json").read_text(encoding="utf-8"))["capabilities"]


def copy_packages(target: Path, *names: str) -> Path:
    for name in names:
        shutil.copytree(LIBRARY / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return target
