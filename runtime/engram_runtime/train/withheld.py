"""What the training text must not hold: the held-out packages, by the names of their modules and by their content.

Their content is known from their wheels, or where these cannot be had from the fingerprint that is shipped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import numpy as np

from engram_runtime.train.duplicates import Overlap, shingles
from engram_runtime.train.sources import Package, canonical

FINGERPRINT = "heldout.npz"


@dataclass(frozen=True, slots=True)
class Withheld:
    """The held-out packages of `pins` (`name==version`)."""

    pins: tuple[str, ...]
    modules: frozenset[str]
    """Folders that hold nothing but a held-out package, wherever they lie."""
    overlap: Overlap

    @classmethod
    def of(cls, pins: Sequence[str], packages: Sequence[Package]) -> "Withheld":
        files = [file for package in packages for file in package.files]
        modules = {PurePosixPath(path).parts[0].removesuffix(".py") for path, _ in files}
        named = {name.replace("-", "_") for name in map(_name, pins)}
        return cls(tuple(pins), frozenset(modules | named), Overlap([shingles(text, path) for path, text in files]))

    @classmethod
    def shipped(cls, pins: Sequence[str], fingerprint: Traversable | Path | None = None) -> "Withheld":
        """Raises OSError when the fingerprint is of other packages than `pins`, or cannot be read."""
        place = fingerprint or resources.files("engram_runtime.train").joinpath(FINGERPRINT)
        try:
            with place.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                found = tuple(map(str, stored["pins"]))
                modules, steps = frozenset(map(str, stored["modules"])), stored["steps"]
        except (KeyError, ValueError, EOFError) as problem:
            raise OSError(f"{place} is no fingerprint: {problem}") from problem
        if found != tuple(pins):
            raise OSError(f"{place} is the fingerprint of {', '.join(found)} and not of {', '.join(pins)}")
        return cls(found, modules, Overlap.unpacked(steps))

    def save(self, path: Path) -> None:
        """Writes the fingerprint: a quarter of the shingles, each cut to 28 bits."""
        with path.open("wb") as file:
            np.savez_compressed(
                file, pins=np.array(self.pins), modules=np.array(sorted(self.modules)), steps=self.overlap.packed()
            )

    def has(self, name: str) -> bool:
        """Whether a package of this name is held out."""
        return canonical(name) in map(_name, self.pins)

    def has_path(self, path: str) -> bool:
        """Whether a file lies in a held-out package's folder, inside whichever package it came with."""
        return not self.modules.isdisjoint(PurePosixPath(path).parts[:-1])


def _name(pin: str) -> str:
    return canonical(pin.partition("==")[0])
