"""How a path is spelled on disk, where the file system does not tell upper from lower case.

There `Shop/App.py` and `shop/app.py` are one file, and a client may name it either way. The project knows a file by the
spelling on disk, and by nothing else, so that it is never read twice.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

_REMEMBERED = 4096


def ignores_case(folder: Path) -> bool:
    """Whether the file system takes two spellings in `folder` for one file. False where that cannot be found out."""
    try:
        names = _names_in(folder)
    except OSError:
        return False
    known = set(names)
    for name in names:
        other = name.swapcase()
        if other != name and other not in known:
            return _is_same(folder / name, folder / other)
    other = folder.with_name(folder.name.swapcase()) if folder.name else folder
    return other.name != folder.name and _is_same(folder, other)


class Casing:
    """The spelling on disk of paths below one root. The owner's thread only."""

    def __init__(self, root: Path, *, names_in: Callable[[Path], Iterable[str]] | None = None) -> None:
        self._root = root
        self._names_in = names_in or _names_in
        self._known: dict[str, tuple[str, tuple[int, ...]]] = {}

    def true(self, path: str) -> str:
        """`path` as it is spelled on disk; what is not there keeps the spelling it came with."""
        known = self._known.get(path)
        if known is not None and known[1] == self._ages(known[0]):
            return known[0]
        found: list[str] = []
        for part in path.split("/"):
            found.append(self._spelled(self._root.joinpath(*found), part))
        spelled = "/".join(found)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[path] = (spelled, self._ages(spelled))
        return spelled

    def _spelled(self, folder: Path, name: str) -> str:
        try:
            names = self._names_in(folder)
        except OSError:
            return name
        folded, alike = _folded(name), name
        for other in names:
            if other == name:
                return name
            if _folded(other) == folded:
                alike = other
        return alike

    def _ages(self, path: str) -> tuple[int, ...]:
        """When the folders on the way last changed: a file can only be renamed by changing its folder."""
        folder, ages = self._root, list[int]()
        for part in path.split("/"):
            try:
                ages.append(folder.stat().st_mtime_ns)
            except (OSError, ValueError):
                ages.append(0)
            folder = folder / part
        return tuple(ages)


def _names_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
