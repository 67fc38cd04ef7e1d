"""From logits to a token: a prior mixed in, temperature and top-p, a seeded choice.

What is decided per token is kept small: a greedy choice costs one argmax and one sum over the vocabulary, a prior a few
operations on the tokens it names, and no prior nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from engram_runtime.gate import Gate, Glance


class Opinion(Protocol):
    """What someone else than the model expects next."""

    @property
    def ids(self) -> np.ndarray:
        """Tokens [k], all different, the likeliest first."""
        ...

    @property
    def chances(self) -> np.ndarray:
        """Their probabilities [k], which sum to at most 1: the rest is not claimed."""
        ...

    @property
    def weight(self) -> float:
        """How far to trust them against a model, 0 to 1, where no gate judges."""
        ...

    @property
    def evidence(self) -> np.ndarray:
        """float32 [e]: what a gate may judge by; what it means is between the prior and the gate."""
        ...


class Prior(Protocol):
    """Another opinion on the next token, such as the project memory's."""

    def next(self, tokens: Sequence[int]) -> Opinion | None:
        """What follows `tokens`; None without an opinion."""
        ...


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Log-softmax of logits [..., V], float64."""
    wide = logits.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(-1, keepdims=True))
    return wide


def mixed(model: np.ndarray, opinion: Opinion | None, gate: Gate | None = None) -> np.ndarray:
    """(1 - w) model + w prior. What the prior leaves of its 1 stays with the model, so that the sum is 1.

    w is what the gate says, or the opinion itself where there is none.
    """
    if opinion is None:
        return model
    weight = opinion.weight
    if gate is not None and gate.fits(opinion):
        top = int(model.argmax())
        entropy = -float(model @ np.log(np.maximum(model, 1e-12)))
        weight = gate.weight(Glance(top, float(model[top]), entropy, model[opinion.ids]), opinion)
    return blended(model, opinion.ids, opinion.chances, weight)


def blended(model: np.ndarray, ids: np.ndarray, chances: np.ndarray, weight: float) -> np.ndarray:
    """As `mixed`, of an opinion in parts."""
    weight = min(max(weight, 0.0), 1.0)
    p = model * (1.0 - weight * min(float(chances.sum()), 1.0))
    p[ids] += weight * chances
    return p / p.sum()


def nucleus(p: np.ndarray, top_p: float) -> np.ndarray:
    """p [V], of any sum, with zeros for all but the fewest tokens that hold `top_p` of it; ties go to the lower id."""
    total = float(p.sum())
    # Tokens below this hold less than 1 - top_p all together, so none of them is needed: they need no sorting.
    likely = np.flatnonzero(p >= (1 - top_p) * total / len(p))
    order = likely[np.argsort(-p[likely], kind="stable")]
    # A token is kept while those before it hold less than top_p: the first always is.
    held = np.concatenate(([0.0], np.cumsum(p[order], dtype=np.float64)[:-1]))
    kept = order[held < top_p * total]
    inside = np.zeros_like(p)
    inside[kept] = p[kept]
    return inside


@dataclass(slots=True)
class Sampler:
    """Chooses tokens; one per request, for its random numbers go on from choice to choice. Temperature 0 is greedy.

    Drawn from is p^(1/temperature), of that the fewest tokens that hold `top_p`; p is model and prior together.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    gate: Gate | None = None
    _random: np.random.Generator = field(init=False, repr=False)
    # Memory of one row of logits: what is fresh is cold.
    _odds: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"temperature {self.temperature} must be >= 0 and top_p {self.top_p} in (0, 1]")
        self._random = np.random.default_rng(self.seed)
        self._odds = np.empty(0, np.float32)

    def choose(self, logits: np.ndarray, opinion: Opinion | None = None) -> tuple[int, float]:
        """A token, and the natural log of its p (whatever the temperature). logits float32 [V].

        Greedy takes the most probable, of equals the lowest id the model knows. Drawing takes exactly one random
        number: equal seeds make equal choices however the tokens were computed.
        """
        top = int(logits.argmax())
        if len(self._odds) != len(logits):
            self._odds = np.empty(len(logits), np.float32)
        odds = np.subtract(logits, logits[top], out=self._odds)
        np.exp(odds, out=odds)  # p of the model, by p of its likeliest token
        total = float(np.add.reduce(odds))  # what `odds.sum()` calls by way of Python
        if opinion is None:
            if self.temperature == 0:
                return top, -math.log(total)
            token = self._drawn(self._heated(odds, logits, top))
            return token, float(logits[token]) - float(logits[top]) - math.log(total)
        ids, chances = opinion.ids, opinion.chances
        weight = min(max(self._weight(opinion, odds, logits, top, total), 0.0), 1.0)
        claimed = float(chances.sum())
        left = 1.0 - weight * min(claimed, 1.0)  # what the model's own p are multiplied by
        scale = left + weight * claimed  # 1, unless the prior claims more than there is
        named = (odds[ids] * (left / total) + weight * chances) / scale
        if self.temperature == 0:
            best = int(named.argmax()) if len(named) else 0
            p, token = left / total / scale, top
            if len(named) and named[best] >= p:
                p, token = float(named[best]), int(ids[best])
            return token, math.log(p)
        # By the p of the model's likeliest token, or of 1 when nothing is left to the model.
        unit = left / total / scale
        p = self._heated(odds, logits, top) if unit > 0 else np.zeros_like(odds)
        p[ids] = (named / (unit or 1.0)) ** (1.0 / self.temperature)
        token = self._drawn(p)
        at = np.flatnonzero(ids == token)
        return token, math.log(float(named[at[0]]) if len(at) else float(odds[token]) * unit)

    def _weight(self, opinion: Opinion, odds: np.ndarray, logits: np.ndarray, top: int, total: float) -> float:
        if self.gate is None or not self.gate.fits(opinion):
            return opinion.weight
        # -sum p log p, of p = odds / total and log p = logits - logits[top] - log total.
        entropy = math.log(total) - float(odds @ logits) / total + float(logits[top])
        return self.gate.weight(Glance(top, 1.0 / total, entropy, odds[opinion.ids] / total), opinion)

    def _heated(self, odds: np.ndarray, logits: np.ndarray, top: int) -> np.ndarray:
        if self.temperature == 1.0:
            return odds.copy()
        return np.exp((logits - logits[top]) * np.float32(1.0 / self.temperature))

    def _drawn(self, p: np.ndarray) -> int:
        if self.top_p < 1.0:
            p = nucleus(p, self.top_p)
        sums = np.cumsum(p, dtype=np.float64)
        return int(np.searchsorted(sums, self._random.random() * sums[-1], side="right"))
