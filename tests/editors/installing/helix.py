"""Helix out of Debian's testing suite, unpacked beside the system and run by its own loader."""

import shutil
import subprocess
from pathlib import Path

from _debian import only_suite


def install(folder: Path) -> None:
    """Raises RuntimeError where it is not to be had."""
    if shutil.which("tmux") is None:  # comes with the tests in Emacs
        raise RuntimeError("the tests in Helix need tmux")
    if not (folder / "usr").is_dir():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        with only_suite("forky") as apt:
            apt.unpack("hx", into=unfinished)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    subprocess.run([*command(folder), "--version"], check=True, stdout=subprocess.DEVNULL)


def command(folder: Path) -> tuple[str, ...]:
    home = folder / "usr/lib/hx"
    (loader,) = folder.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*")
    started = (str(loader), "--library-path", str(loader.parent), str(home / "hx"))
    return "env", f"HELIX_RUNTIME={home / 'runtime'}", *started
