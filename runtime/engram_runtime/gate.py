"""How far to trust a prior against the model, judged token by token: a small network over what both say.

A table that looks at the prior alone trusts it where it is usually right; the gate also sees whether the model is sure,
and whether the two agree. It is learned on projects that the model has not seen (`tests/bench/fit_gate.py`), belongs to
the model, and lies in its folder as gate.json. Without one a prior's own `weight` decides.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

FILE = "gate.json"

OWN = 12
"""Features that `features` computes itself, before those of the prior's evidence."""

_LEAST = 1e-5
_ARRAYS = ("middle", "spread", "inner", "inner_bias", "out")


class Opinion(Protocol):
    """The parts of `sampling.Opinion` that a gate looks at."""

    @property
    def ids(self) -> np.ndarray: ...

    @property
    def chances(self) -> np.ndarray: ...

    @property
    def evidence(self) -> np.ndarray: ...


@dataclass(frozen=True, slots=True)
class Glance:
    """What a gate sees of the model's distribution p [V]."""

    top: int
    """Its likeliest token."""
    chance: float
    """The probability of that."""
    entropy: float
    """In nats."""
    named: np.ndarray
    """The probabilities [k] of the tokens that the prior names."""


def features(model: Glance, prior: Opinion) -> np.ndarray:
    """float32 [OWN + e]: logarithms of what both say of their own choice and of the other's, entropies, agreement."""
    ids, chances = prior.ids, prior.chances
    if not len(ids):
        return np.zeros(OWN + len(prior.evidence), np.float32)
    first = float(chances[0])
    second = float(chances[1]) if len(chances) > 1 else 0.0
    seen = np.maximum(chances, _LEAST)
    of_model = float(chances[ids == model.top].sum())
    own = (
        math.log(model.chance + _LEAST),
        math.log(1.0 - min(model.chance, 1.0) + 1e-3),
        model.entropy,
        math.log(first + _LEAST),
        math.log(1.0 - min(first, 1.0) + 1e-3),
        math.log(second + 1e-3),
        float(chances.sum()),
        -float(seen @ np.log(seen)),
        math.log(float(model.named[0]) + _LEAST),
        math.log(of_model + 1e-3),
        float(model.named.sum()),
        float(ids[0] == model.top),
    )
    return np.concatenate((np.array(own, np.float32), prior.evidence))


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """weight = sigmoid(out . tanh(inner x + inner_bias) + out_bias) of normalised features x [F]; H hidden units."""

    middle: np.ndarray  # [F]
    spread: np.ndarray  # [F]
    inner: np.ndarray  # [H, F]
    inner_bias: np.ndarray  # [H]
    out: np.ndarray  # [H]
    out_bias: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises OSError, or ValueError where the file does not hold a gate."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            middle, spread, inner, inner_bias, out = (np.array(data[name], np.float32) for name in _ARRAYS)
            gate = cls(middle, spread, inner, inner_bias, out, float(data["out_bias"]))
            F, H = len(gate.middle), len(gate.out)
            if gate.spread.shape != (F,) or gate.inner.shape != (H, F) or gate.inner_bias.shape != (H,) or F < OWN:
                raise ValueError("shapes do not fit together")
        except (KeyError, TypeError, ValueError) as problem:
            raise ValueError(f"{path} holds no gate: {problem}") from problem
        return gate

    def write(self, path: Path, about: str) -> None:
        """`about` says how it was made."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        rounded = {name: np.round(value.astype(np.float64), 4).tolist() for name, value in arrays.items()}
        data = {"about": about, **rounded, "out_bias": round(self.out_bias, 4)}
        path.write_text(json.dumps(data).replace("], [", "],\n [") + "\n", encoding="utf-8")

    def fits(self, prior: Opinion) -> bool:
        """Whether the prior's evidence is what this gate learned to judge by."""
        return len(self.middle) == OWN + len(prior.evidence)

    def weight(self, model: Glance, prior: Opinion) -> float:
        """How far to trust the prior, 0 to 1."""
        x = (features(model, prior) - self.middle) / self.spread
        # Beyond what was seen in training nothing is known: no feature is taken further than that.
        np.clip(x, -4.0, 4.0, out=x)
        logit = float(self.out @ np.tanh(self.inner @ x + self.inner_bias)) + self.out_bias
        return 1.0 / (1.0 + math.exp(-max(min(logit, 30.0), -30.0)))
