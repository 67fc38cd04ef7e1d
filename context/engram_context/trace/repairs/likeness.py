"""How easily one name is taken for another, and how much a project uses a name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from engram_context.snapshot import Snapshot

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
LEAST = 0.45


def likeness(one: str, other: str) -> float:
    """From 0 to 1: letters in the same order, or words in common."""
    left, right = one.lower(), other.lower()
    letters = SequenceMatcher(None, left, right, autojunk=False).ratio()
    words, others = set(_words(one)), set(_words(other))
    shared = len(words & others) / max(len(words | others), 1)
    begins = 0.75 if min(len(left), len(right)) > 2 and (left.startswith(right) or right.startswith(left)) else 0.0
    return max(letters, shared, begins)


def _words(name: str) -> list[str]:
    return [word.lower().rstrip("s") or word.lower() for word in _WORD.findall(name)]


def nearest(name: str, others: Iterable[str], most: int = 8, least: float = LEAST) -> list[tuple[str, float]]:
    """The names most like `name`, the likest first, with how like they are."""
    letters = set(name.lower())
    found: list[tuple[float, str]] = []
    for other in set(others):
        # Cheap first: too few letters in common cannot be alike.
        if other == name or len(letters & set(other.lower())) * 3.5 < len(letters):
            continue
        like = likeness(name, other)
        if like >= least:
            found.append((-like, other))
    return [(other, -like) for like, other in sorted(found)[:most]]


def used(snapshot: Snapshot, name: str) -> float:
    """log of 1 + how many files mention a name."""
    return math.log1p(len(snapshot.files_naming(name)))


def is_defined(snapshot: Snapshot, name: str) -> bool:
    """Whether a file of the project defines a name."""
    return bool(snapshot.definers[name])
