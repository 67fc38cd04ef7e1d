"""From logits to a token: probabilities, a prior mixed in, temperature and top-p, a seeded choice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class Prior(Protocol):
    """Another opinion on the next token, such as the project memory's."""

    def next(self, tokens: Sequence[int]) -> tuple[np.ndarray, np.ndarray, float] | None:
        """After `tokens`: ids [k], their probabilities [k] (sum at most 1), the prior's weight 0..1; or no opinion."""
        ...


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Log-softmax of logits [..., V], float64."""
    wide = logits.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(-1, keepdims=True))
    return wide


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of logits [V], float64."""
    return np.exp(log_probabilities(logits))


def mixed(model: np.ndarray, opinion: tuple[np.ndarray, np.ndarray, float] | None) -> np.ndarray:
    """(1 - w) model + w prior. What the prior leaves of its 1 stays with the model, so that the sum is 1."""
    if opinion is None:
        return model
    ids, chances, weight = opinion
    weight = min(max(weight, 0.0), 1.0)
    p = model * (1.0 - weight * min(float(chances.sum()), 1.0))
    np.add.at(p, ids, weight * chances)
    return p / p.sum()


def narrowed(p: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """The distribution that is drawn from: p^(1/temperature), then the fewest tokens that hold `top_p` of it.

    Ties at the edge go to the lower id.
    """
    if temperature != 1.0:
        with np.errstate(divide="ignore"):
            logs = np.log(p) / temperature
        p = np.exp(logs - logs.max())
        p /= p.sum()
    if top_p < 1.0:
        # Tokens below this hold less than 1 - top_p all together, so none of them is needed: they need no sorting.
        likely = np.flatnonzero(p >= (1 - top_p) / len(p))
        order = likely[np.argsort(-p[likely], kind="stable")]
        # A token is kept while those before it hold less than top_p: the first always is.
        kept = order[np.concatenate(([0.0], np.cumsum(p[order])[:-1])) < top_p]
        inside = np.zeros_like(p)
        inside[kept] = p[kept]
        p = inside / inside.sum()
    return p


@dataclass(slots=True)
class Sampler:
    """Chooses tokens; one per request, for its random numbers go on from choice to choice. Temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    _random: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"temperature {self.temperature} must be >= 0 and top_p {self.top_p} in (0, 1]")
        self._random = np.random.default_rng(self.seed)

    def choose(self, p: np.ndarray) -> int:
        """A token drawn from p [V]; the most probable (of equals the lowest id) at temperature 0.

        Takes exactly one random number per choice: equal seeds make equal choices however the tokens were computed.
        """
        if self.temperature == 0:
            return int(p.argmax())
        sums = np.cumsum(narrowed(p, self.temperature, self.top_p))
        return int(np.searchsorted(sums, self._random.random() * sums[-1], side="right"))
