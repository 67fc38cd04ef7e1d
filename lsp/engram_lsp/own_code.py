"""The user's own repositories: what of them a model may learn from, and what it has learned, before beside after.

Read is what the project memory reads, by the same rules. Measured is as `engram-ls eval` does it, but on held-out files
only, with a memory of the files that were learned from.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from engram_context.disk.builtin_rules import is_private
from engram_context.disk.ignore import Ignore
from engram_context.disk.indexing import Coding
from engram_context.languages import is_code, language_of
from engram_context.text import Unreadable, read_text
from engram_runtime.engine import Engine
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import Document

from engram_lsp.evaluation import tokens
from engram_lsp.evaluation.ground import Arm, ArmName, Ground, arms, read
from engram_lsp.evaluation.lines import is_exact
from engram_lsp.evaluation.questions import Hole, Questions
from engram_lsp.evaluation.repositories import Repository

ARMS: Final[tuple[ArmName, ...]] = ("model", "fused")
_DRAWS: Final = 2000


def sources(roots: Iterable[Path]) -> list[Document]:
    """The files of all folders that a project memory would read: what .gitignore, .engramignore and the list of
    secrets name is not opened. Each folder is a package. Raises OSError for one that cannot be read."""
    found: list[Document] = []
    names: set[str] = set()
    for root in roots:
        root = root.resolve()
        name = next(name for name in _names(root) if name not in names)
        names.add(name)
        for path, _ in sorted(Ignore(root).walk(_is_learned)):
            text = read_text(root / path)
            if not isinstance(text, Unreadable):
                found.append(Document(name, path, text.decode().replace("\r\n", "\n").replace("\r", "\n")))
    return found


def _is_learned(path: str) -> bool:
    return is_code(language_of(path)) and not is_private(path.rpartition("/")[2])


def _names(root: Path) -> Generator[str]:
    yield root.name
    number = 2
    while True:
        yield f"{root.name}-{number}"
        number += 1


def write(documents: Iterable[Document], folder: Path) -> None:
    """The documents as files below `folder`."""
    for document in documents:
        file = folder / document.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(document.text.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the places in held-out files. `exact`: the share of them whose rest of the line is said exactly; the others
    are of its tokens."""

    bits: float
    top1: float
    exact: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`before` and `after` by arm: "model" is the model alone, "fused" with the memory, as the server asks both.

    `difference`: bits a token after less those before, with the memory; it lies between `low` and `high` in 95 of 100
    draws of places.
    """

    before: Mapping[ArmName, Figures]
    after: Mapping[ArmName, Figures]
    places: int
    tokens: int
    difference: float
    low: float
    high: float

    @property
    def gained(self) -> bool:
        """Whether the model is surely better as the server uses it."""
        return self.high < 0


def places(held: Sequence[Document], count: int, seed: int = 0) -> dict[str, list[Hole]]:
    """About `count` places in the held-out files by package, half at a line's start and half in its middle."""
    total = sum(len(document.text) for document in held)
    found: dict[str, list[Hole]] = {}
    for package in dict.fromkeys(document.package for document in held):
        files = tuple((document.path, document.text) for document in held if document.package == package)
        share = max(2, round(count * sum(len(text) for _, text in files) / total))
        questions = Questions(Repository(package, Path(), files), seed)
        found[package] = [*questions.lines(share - share // 2, "start"), *questions.lines(share // 2, "middle")]
    return found


def compare(
    learned: Sequence[Document],
    asked: Mapping[str, Sequence[Hole]],
    engines: tuple[Engine, Engine],
    tokenizer: Tokenizer,
    coding: Coding,
    tick: Callable[[], None] = lambda: None,
) -> Comparison:
    """Asks both engines, the one before and the one after, at the same places. Raises ValueError without a place."""
    both = [arms(tokenizer, engine, ARMS) for engine in engines]
    rows: list[list[float]] = []
    for package, holes in asked.items():
        with _ground(package, learned, coding) as ground:
            for hole in holes:
                rows += [_row(ground, arm, hole) for side in both for arm in _in_order(side)]
                tick()
    if not rows:
        raise ValueError("the files that were held out have no code to measure on")
    return _comparison(np.array(rows).reshape(-1, 2, len(ARMS), 4))


def _in_order(side: Sequence[Arm]) -> list[Arm]:
    return sorted(side, key=lambda arm: ARMS.index(arm.name))


def _row(ground: Ground, arm: Arm, hole: Hole) -> list[float]:
    """How many tokens are hidden, their bits, how many of them are the likeliest, and whether the line is said."""
    size = arm.open.tokenizer.vocab_size
    judged = [tokens.judged(said, token, size) for token, said in ground.next_tokens(arm, hole)]
    guesses = ground.guesses(arm.open, ground.query(hole, arm.known))
    exact = float(is_exact(guesses[0] if guesses else None, hole))
    return [float(len(judged)), sum(one["bits"] for one in judged), sum(one["top1"] for one in judged), exact]


def _comparison(rows: np.ndarray) -> Comparison:
    """rows [places, before and after, arms, 4]"""
    count = rows[:, 0, 0, 0]
    fused = ARMS.index("fused")
    change = rows[:, 1, fused, 1] - rows[:, 0, fused, 1]
    drawn = np.random.default_rng(0).integers(len(rows), size=(_DRAWS, len(rows)))
    low, high = np.percentile(change[drawn].sum(1) / np.maximum(count[drawn].sum(1), 1), (2.5, 97.5)).tolist()
    total = max(float(count.sum()), 1.0)

    def figures(side: int) -> dict[ArmName, Figures]:
        sums = rows[:, side].sum(0)
        return {
            arm: Figures(float(sums[i, 1]) / total, float(sums[i, 2]) / total, float(sums[i, 3]) / len(rows))
            for i, arm in enumerate(ARMS)
        }

    return Comparison(figures(0), figures(1), len(rows), int(total), float(change.sum()) / total, low, high)


@contextmanager
def _ground(package: str, learned: Iterable[Document], coding: Coding) -> Generator[Ground]:
    """A repository that has the learned files of a package and nothing else."""
    with TemporaryDirectory(prefix="engram-train-", ignore_cleanup_errors=True) as holder:
        root = Path(holder).resolve() / package
        root.mkdir()
        write((document for document in learned if document.package == package), root)
        with read(Repository(package, root, ()), coding, None) as ground:
            yield ground
