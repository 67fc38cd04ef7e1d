"""How likely another name was meant: a logistic regression over the signs of the text, the memory and the model.

It was fitted to the model at hand (`misuse.json`, by tests/bench/fit_misuse.py), and for each of what else may be
heard; where another model answers, only the memory is. Asking the model again about the likeliest places, with the
rest of their line, made nothing better.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from engram_context.checks.misuse.places import SIGNS

Witness = Literal["signs", "memory", "model", "both"]
"""What is heard: the signs of the text alone, or also the memory, the model, or both."""

HEARD = ("memory", "memory for", "model", "model for", "written", "unexpected")
CROSSED = (
    ("unused parameter", "model"),
    ("unused parameter", "model for"),
    ("unused variable", "model for"),
    ("variables", "model"),
    ("unused parameter", "memory"),
    ("unused parameter", "habit here"),
    ("unused parameter", "namesakes"),
    ("unused parameter", "only read"),
    ("unused parameter", "habit elsewhere"),
    ("unlike here", "habit here"),
)
"""Signs that say more together than each by itself."""
COLUMNS = ("bias", *SIGNS, *HEARD, *(f"{one} and {other}" for one, other in CROSSED))


def row(signs: Sequence[float], memory: float, model: float, written: float) -> tuple[float, ...]:
    """What is judged by, in the order of COLUMNS. `memory`, `model`: log ratios of the alternative
    against the name; `written`: the name's log probability."""
    heard = (memory, max(memory, 0.0), model, max(model, 0.0), written, min(written + 3.0, 0.0))
    values: dict[str, float] = dict(zip((*SIGNS, *HEARD), (*signs, *heard), strict=True))
    return (1.0, *signs, *heard, *(values[one] * values[other] for one, other in CROSSED))


@dataclass(frozen=True, slots=True)
class Judge:
    """`shown`: the least log odds at which a hint is shown."""

    weights: tuple[float, ...]
    shown: float

    def odds(self, values: Sequence[float]) -> float:
        """Log odds by a row of COLUMNS."""
        return sum(weight * value for weight, value in zip(self.weights, values, strict=True))


def chance(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(min(odds, 30.0), -30.0)))


@lru_cache(maxsize=4)
def judge_for(witness: Witness) -> Judge:
    """Raises ValueError where misuse.json does not fit this version."""
    data = load()["judges"][witness]
    if not set(data["weights"]) <= set(COLUMNS):
        raise ValueError("misuse.json does not fit this version: run tests/bench/fit_misuse.py")
    return Judge(tuple(float(data["weights"].get(name, 0.0)) for name in COLUMNS), float(data["shown"]))


def fits(model: str) -> bool:
    """Whether the weights were fitted to a model (see `engram_lsp.shown.name_of`)."""
    return load()["model"] == model


@lru_cache(maxsize=1)
def load() -> dict[str, Any]:
    """What comes with the package."""
    return json.loads(files("engram_lsp").joinpath("misuse.json").read_text(encoding="utf-8"))
