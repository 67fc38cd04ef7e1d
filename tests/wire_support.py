"""What the wire tests share besides fixtures: real packages to work on, real editors' capabilities."""

import json
import os
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


def age(root: Path) -> None:
    """Makes a file, or all files in a folder, a minute older: what was written just now is read again next time, for it
    may still change."""
    for path in root.rglob("*") if root.is_dir() else [root]:
        if path.is_file():
            then = path.stat().st_mtime_ns - 60_000_000_000
            os.utime(path, ns=(then, then))


def change_folders(client: Client, *, added: tuple[Path, ...] = (), removed: tuple[Path, ...] = ()) -> None:
    event = {
        which: [{"uri": root.as_uri(), "name": root.name} for root in roots]
        for which, roots in (("added", added), ("removed", removed))
    }
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
