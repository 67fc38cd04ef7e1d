"""The order of the completion list: every name that may stand at a place, by model and memory together.

What model and memory say of a name's tokens (naming.py) is one of several things that speak for it. How often and how
lately the name stood in the file, how many files know it, what kind of candidate it is and how it agrees with the
typed letters are the others; a log-linear model weighs them (`ranking.json`, fitted by tests/bench/fit_ranking.py).

Names that no rule allows here may still be what is meant: the attribute of a receiver whose type nobody knows, an
argument of a function from elsewhere, a name that is just being given. Where model and memory expect one that the
project knows, it is in the list, too.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import numpy as np
from engram_context.completion.candidates import Candidate
from engram_context.snapshot import Snapshot
from engram_context.text import Span
from engram_runtime.engine import never
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.naming import LOOKS, Judge, Judged, Letters, Names
from engram_lsp.prompt import Window
from engram_lsp.spelling import Spellings

if TYPE_CHECKING:
    from engram_lsp.predictor import Cancelled, Memory, Query

Spread = Callable[[str], int]
"""How many files of the project mention a name."""


def spread_of(snapshot: Snapshot) -> Spread:
    """How many files mention a name in `snapshot`."""
    return lambda name: len(snapshot.files_naming(name))


PLACES: Final = ("definition", "import", "start", "argument", "member")
# Keywords have no weight of their own: what the weights are learned from has none for an answer.
ORIGINS: Final = ("local", "module", "builtin", "import", "member", "auto-import", "argument", "recalled")
FEATURES: Final = (
    "expected",  # log probability by model and memory, as far as it was looked into
    "guessed",  # 1 where a part of that is the name's share of what begins alike
    "before",  # log of 1 + how often it stands in the file before the cursor, and after it
    "after",
    "distance",  # log of how many names ago it stood last; of many where it did not
    "files",  # log of 1 + how many files mention it
    "cased",  # 1 where it begins with the typed letters, and where it does but for their case
    "uncased",
    "private",
    "dunder",
    *ORIGINS,
    # 1 for a recalled name where the line is that of a definition or an import, where something is assigned or an
    # argument begins, or where the members of what stands before the dot are known.
    *(f"recalled {place}" for place in PLACES),
    "position",  # log of 1 + the place among the candidates, which come nearest scope first
)
TYPED: Final = 3
"""Weights are learned apart for no typed letter, one, and two or more."""

_NEAR = 1 << 14
_FAR = 2000
_RECENT = 120
_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """float64 [TYPED, len(FEATURES)]."""

    of: np.ndarray

    @staticmethod
    def parse(content: str) -> Weights:
        """What `ranking.json` says. Raises ValueError where it was made for other features."""
        data = json.loads(content)
        if tuple(data["features"]) != FEATURES:
            raise ValueError("ranking.json does not fit this version: run tests/bench/fit_ranking.py")
        return Weights(np.array(data["weights"], np.float64))


@lru_cache(maxsize=1)
def learned() -> Weights:
    """The weights that come with the package."""
    return Weights.parse(files("engram_lsp").joinpath("ranking.json").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, eq=False)
class Considered:
    """The names for one place and what speaks for each: `features` float64 [n, len(FEATURES)]."""

    candidates: tuple[Candidate, ...]
    features: np.ndarray
    typed: int


class Ranker:
    """Orders names by what is expected at a place. It is given how a place is shown and how it is judged."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        spelled: Spellings,
        window: Callable[[Query], Window],
        prompt: Callable[[Query, Window], tuple[int, ...]],
        judge: Callable[[tuple[int, ...], Memory | None, Cancelled], Judge],
        weights: Weights | None = None,
    ) -> None:
        """`window` and `prompt`: what the model is shown of a place. `judge`: what model and memory say together about
        what follows a prompt."""
        self._letters = Letters(tokenizer, spelled)
        self._window, self._prompt, self._judge = window, prompt, judge
        self._weights = weights or learned()

    def rank(
        self, query: Query, candidates: Sequence[Candidate], cancelled: Cancelled, spread: Spread | None
    ) -> tuple[tuple[Candidate, float], ...]:
        """The candidates that continue the typed word, and names that are expected though nothing allows them, the
        likeliest first, each with its log probability among them.

        Without `spread` nobody knows which names the project has, and none are added. Where two names tie, the one
        given first stays first; where neither model nor memory has an answer, all do.
        """
        considered = self.consider(query, candidates, cancelled, spread)
        if considered is None:
            word = query.text.slice(self._window(query).word)
            return tuple((candidate, 0.0) for candidate in candidates if matches(word, candidate.name))
        scores = considered.features @ self._weights.of[considered.typed]
        scores -= np.logaddexp.reduce(scores) if len(scores) else 0.0
        order = np.argsort(-scores, kind="stable").tolist()
        return tuple((considered.candidates[index], float(scores[index])) for index in order)

    def expected(
        self, query: Query, names: Sequence[str], cancelled: Cancelled = never
    ) -> tuple[tuple[str, float], ...] | None:
        """The names, and others that are expected at a place, each with its log probability there, the likeliest
        first; None where neither model nor memory has an answer."""
        around = self._window(query)
        lead = around.typed.removesuffix(query.text.slice(around.word))
        spellings = {name: self._letters.spell(lead + name) for name in names}
        tree = Names(self._letters, self._judge(self._prompt(query, around), query.memory, cancelled), around.typed)
        if not tree.explore(spellings.values(), looks=2 * LOOKS):
            return None
        judged = {name: tree.of(path) for name, path in {**dict(tree.found()), **spellings}.items()}
        whole = {name: one.log_probability for name, one in judged.items() if one.whole or name in spellings}
        return tuple(sorted(whole.items(), key=lambda item: -item[1]))

    def consider(
        self, query: Query, candidates: Sequence[Candidate], cancelled: Cancelled = never, spread: Spread | None = None
    ) -> Considered | None:
        """Everything that may stand here and what speaks for it; None where neither model nor memory has an answer."""
        around = self._window(query)
        word = query.text.slice(around.word)
        lead = around.typed.removesuffix(word)
        spell = self._letters.spell
        kept = [candidate for candidate in candidates if matches(word, candidate.name)]
        if not kept and spread is None:
            return None
        spellings = [spell(lead + candidate.name) for candidate in kept]
        names = Names(self._letters, self._judge(self._prompt(query, around), query.memory, cancelled), around.typed)
        fitting = [s for s, candidate in zip(spellings, kept, strict=True) if candidate.name.startswith(word)]
        if not names.explore(fitting, free=spread is not None):
            return None
        stood = Stood.of(query, around)
        if spread is not None:
            known = {word, *(candidate.name for candidate in kept)}
            near = ((name, spell(lead + name)) for name in stood.near(word))
            for name, path in {**dict(near), **dict(sorted(names.found()))}.items():
                if name not in known and spread(name):
                    kept.append(Candidate(name, "variable", "used so in this project", "recalled"))
                    spellings.append(path)
        files = [spread(candidate.name) if spread is not None else 0 for candidate in kept]
        usual = [
            1.0 + 4.0 * (stood.before[candidate.name] + stood.after[candidate.name]) + count
            for candidate, count in zip(kept, files, strict=True)
        ]
        rows = np.zeros((len(kept), len(FEATURES)))
        judged = [names.of(s, c.origin == "argument") for s, c in zip(spellings, kept, strict=True)]
        rows[:, 0], rows[:, 1] = _expected(judged, spellings, usual)
        rows[:, 2:5] = [stood.row(candidate.name) for candidate in kept] or np.zeros((0, 3))
        rows[:, 5] = np.log1p(files)
        for at, candidate in enumerate(kept):
            _describe(rows[at], candidate, word, at)
        members = any(candidate.origin == "member" for candidate in kept)
        if (place := "member" if members else _place(query, around)) is not None:
            rows[:, _FIRST_PLACE + PLACES.index(place)] = rows[:, _FIRST_ORIGIN + ORIGINS.index("recalled")]
        return Considered(tuple(kept), rows, min(len(word), TYPED - 1))


@dataclass(frozen=True, slots=True)
class Stood:
    """How often every name stands near a place, on both sides, and how many names ago it stood last."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    ago: Mapping[str, int]

    @staticmethod
    def of(query: Query, around: Window) -> Stood:
        data, start = query.text.data, around.word.start
        before = _NAME.findall(data[max(start - _NEAR, 0) : start].decode("utf-8", errors="ignore"))
        after = _NAME.findall(data[query.offset : query.offset + _NEAR].decode("utf-8", errors="ignore"))
        ago = {name: len(before) - at for at, name in enumerate(before)}
        return Stood(Counter(before), Counter(after), ago)

    def near(self, word: str, most: int = _RECENT) -> list[str]:
        """The names that begin with `word`, those that stood last first, then those behind the place."""
        before = sorted(self.ago, key=self.ago.__getitem__)
        fitting = [name for name in (*before, *self.after) if name.startswith(word)]
        return fitting[:most]

    def row(self, name: str) -> tuple[float, float, float]:
        """The features "before", "after" and "distance"."""
        ago = min(self.ago.get(name, _FAR), _FAR)
        return math.log1p(self.before.get(name, 0)), math.log1p(self.after.get(name, 0)), math.log(ago)


def _expected(
    judged: Sequence[Judged], spellings: Sequence[tuple[int, ...]], usual: Sequence[float]
) -> tuple[list[float], list[int]]:
    """The features "expected" and "guessed". What is known of a beginning alone is shared by the names that have it,
    each as much as it is `usual`."""
    shared: dict[tuple[int, ...], float] = {}
    beginnings = [s[: one.known] for s, one in zip(spellings, judged, strict=True)]
    for beginning, one, weight in zip(beginnings, judged, usual, strict=True):
        if not one.whole:
            shared[beginning] = shared.get(beginning, 0.0) + weight
    expected: list[float] = []
    for beginning, one, weight in zip(beginnings, judged, usual, strict=True):
        share = 0.0 if one.whole else math.log(weight / shared[beginning])
        expected.append(max(one.log_probability + share, _LEAST))
    return expected, [int(not one.whole) for one in judged]


_LEAST = -25.0
_FIRST_ORIGIN = FEATURES.index(ORIGINS[0])
_CASED, _PRIVATE = FEATURES.index("cased"), FEATURES.index("private")
_FIRST_PLACE, _POSITION = FEATURES.index(f"recalled {PLACES[0]}"), FEATURES.index("position")
_DEFINES = re.compile(r"\s*(?:async\s+)?(?:def|class)\s")
_IMPORTS = re.compile(r"\s*(?:from|import)\s")


def _place(query: Query, around: Window) -> str | None:
    """What stands before the word on its line, in a word of PLACES."""
    start = around.word.start
    before = query.text.slice(Span(query.text.line_start(query.text.line_of(start)), start))
    if _DEFINES.match(before):
        return "definition"
    if _IMPORTS.match(before):
        return "import"
    if not before.strip():
        return "start"
    return "argument" if before.rstrip()[-1] in "(," else None


def _describe(row: np.ndarray, candidate: Candidate, word: str, position: int) -> None:
    """Fills in what is seen of the candidate itself."""
    name = candidate.name
    if name.startswith(word):
        row[_CASED] = 1.0
    elif name.lower().startswith(word.lower()):
        row[_CASED + 1] = 1.0
    if name.startswith("__"):
        row[_PRIVATE + 1] = 1.0
    elif name.startswith("_"):
        row[_PRIVATE] = 1.0
    if candidate.origin != "keyword":
        row[_FIRST_ORIGIN + ORIGINS.index(candidate.origin)] = 1.0
    row[_POSITION] = math.log1p(position)


def matches(typed: str, name: str) -> bool:
    """Whether `name` may be what the user began to type: the letters in order, the first one first."""
    if not typed:
        return True
    if not name or name[0].lower() != typed[0].lower():
        stripped = name.lstrip("_")
        if not stripped or stripped[0].lower() != typed[0].lower():
            return False
        name = stripped
    letters = iter(name.lower())
    return all(letter in letters for letter in typed.lower())
