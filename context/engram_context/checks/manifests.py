"""The files in which a project declares what it depends on."""

from __future__ import annotations

from pathlib import PurePosixPath


def is_manifest(path: str) -> bool:
    """pyproject.toml, setup.cfg, and files of requirements, by their names."""
    place = PurePosixPath(path)
    if place.name in ("pyproject.toml", "setup.cfg"):
        return True
    if place.suffix not in (".txt", ".in"):
        return False
    return "requirements" in place.name or place.parent.name == "requirements"


def declares(path: str) -> bool:
    """Whether a file may declare dependencies: a manifest, or a setup.py."""
    return path.endswith((".toml", ".cfg", ".txt", ".in", "setup.py")) and (
        is_manifest(path) or PurePosixPath(path).name == "setup.py"
    )


def is_checked(path: str, language: str | None) -> bool:
    """Whether any check has something to say about a file of this name."""
    return language == "python" or is_manifest(path)
