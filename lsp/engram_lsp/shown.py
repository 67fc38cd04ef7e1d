"""Whether a suggestion is worth showing unasked: a guess that will not be taken costs more than silence.

The probability that a model gives to its own text is a fair judge and not the best one: short ends of lines are taken
more often than their probability says, long texts that one unsure token carries less often. So a logistic regression
on a few cheap signs judges instead, where it was fitted to the model at hand (`shown.json`, by
tests/bench/fit_shown.py); of any other model the bare probability decides.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any, Protocol

USUAL = 0.4
"""The least probability at which a suggestion is shown where nothing better judges."""

SIGNS = (
    "joint",
    "odds",
    "least",
    "mean",
    "tokens",
    "characters",
    "lines",
    "starts line",
    "text behind",
    "match",
    "typed",
    "healed",
    "unfinished",
    "behind a dot",
    "behind a bracket",
    "behind a name",
)


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a suggestion when it is made.

    `log_probs`: of its tokens, that of the healed word's end first. `match`: how many tokens before the cursor stood in
    the memory in just that order. `before`: the cursor's line up to the typed word, `typed`: what is typed of the word.
    """

    text: str
    log_probs: Sequence[float]
    match: int
    before: str
    typed: str
    suffix: str
    healed: float
    unfinished: bool

    def row(self) -> tuple[float, ...]:
        """One number for each of `SIGNS`."""
        log_probs = self.log_probs or (0.0,)
        previous = self.before.rstrip()[-1:]
        return (
            sum(log_probs),
            _odds(sum(log_probs)),
            min(log_probs),
            sum(log_probs) / len(log_probs),
            math.log1p(len(log_probs)),
            math.log1p(len(self.text)),
            float(self.text.count("\n")),
            float(not self.before.strip()),
            float(bool(self.suffix.strip())),
            math.log1p(self.match),
            math.log1p(len(self.typed)),
            self.healed,
            float(self.unfinished),
            float(previous == "."),
            float(previous in ("(", "[", "{", ",")),
            float(previous.isalnum() or previous == "_"),
        )

    @property
    def probability(self) -> float:
        return math.exp(sum(self.log_probs))


def _odds(log_prob: float) -> float:
    """Logarithm of p / (1 - p), between -8 and 8: tells 0.9 from 0.99, which the logarithm of p hardly does."""
    likely = min(log_prob, -1e-4)
    return max(min(likely - math.log(-math.expm1(likely)), 8.0), -8.0)


class Filter(Protocol):
    """Says what is shown. `floor`: what is less probable than this never is, so that it need not be finished."""

    @property
    def floor(self) -> float: ...

    def shows(self, signs: Signs) -> bool: ...


@dataclass(frozen=True, slots=True)
class Threshold:
    """Shows what is at least so probable."""

    floor: float = USUAL

    def shows(self, signs: Signs) -> bool:
        return signs.probability >= self.floor


@dataclass(frozen=True, slots=True)
class Learned:
    """Shows what will be taken with a chance of at least `least`: weights by sign."""

    weights: tuple[float, ...]
    bias: float
    least: float
    floor: float

    def chance(self, signs: Signs) -> float:
        """How likely it is that the text is just what will be written."""
        score = self.bias + sum(weight * sign for weight, sign in zip(self.weights, signs.row(), strict=True))
        return 1.0 / (1.0 + math.exp(-max(min(score, 30.0), -30.0)))

    def shows(self, signs: Signs) -> bool:
        return signs.probability >= self.floor and self.chance(signs) >= self.least

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Learned":
        """Raises KeyError, TypeError or ValueError where `data` is not what this version reads."""
        weights = {str(name): float(weight) for name, weight in data["weights"].items()}
        if tuple(weights) != SIGNS:
            raise ValueError("shown.json does not fit this version: run tests/bench/fit_shown.py")
        return cls(tuple(weights.values()), float(data["bias"]), float(data["least"]), float(data["floor"]))


def name_of(about: Mapping[str, Any] | None) -> str:
    """Tells a model from others by its model.json; of no model at all, "memory"."""
    if about is None:
        return "memory"
    return blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=1)
def load() -> dict[str, Any]:
    """What comes with the package."""
    return json.loads(files("engram_lsp").joinpath("shown.json").read_text(encoding="utf-8"))


def filter_for(model: str, source: str) -> Filter:
    """The filter for what a model (see `name_of`) says together with the memory ("both") or alone ("model"), or for
    what the memory says ("memory")."""
    data = load()
    fitted = data["filters"].get(source)
    if fitted is None or (source != "memory" and data["model"] != model):
        return Threshold()
    return Learned.of(fitted)
