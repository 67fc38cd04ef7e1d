"""Which of many repairs is likely the right one: a log-linear model over what speaks for each, fitted on seeded
bugs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

from engram_context.trace.repairs.site import Repair
from engram_context.trace.repairs.trouble import Trouble
from engram_context.trace.values import Suspect

NONE = "none of them"
"""The feature of the alternative that no repair at hand is right."""


@lru_cache(maxsize=1)
def learned() -> dict[str, float]:
    """The weights that come with the package, by feature (tests/bench/bugs.py fit)."""
    return json.loads(files("engram_context.trace.repairs").joinpath("weights.json").read_text(encoding="utf-8"))


def features(repair: Repair, suspect: Suspect, rank: int, lead: float, trouble: Trouble) -> dict[str, float]:
    """What speaks for a repair, by name. `rank` counts the suspects from 0; `lead` is by how much the suspect's score
    is below the first one's."""
    found = {
        f"rule {repair.rule}": 1.0,
        f"rule {repair.rule} of {trouble.kind}": 1.0,
        "suspect rank": math.log1p(rank),
        "suspect lead": min(lead, 8.0),
        "edits": math.log(max(len(repair.edits), 1)),
    }
    lines = suspect.lines
    if repair.path == suspect.path:
        if repair.line in lines[:1]:
            found["line first"] = 1.0
            found[f"line first of {trouble.kind}"] = 1.0
        elif repair.line in lines[:3]:
            found["line near the first"] = 1.0
        elif repair.line in lines:
            found["line"] = 1.0
        elif lines:
            found["line off"] = math.log1p(abs(repair.line - lines[0]))
            if repair.line > lines[0]:
                found["line behind"] = 1.0
                if suspect.frame >= 0 and trouble.kind != "claim":
                    found["line never reached"] = 1.0
    for name, value in repair.evidence.items():
        if value:
            found[f"{repair.rule} {name}"] = value
    return found


def score(found: Mapping[str, float], weights: Mapping[str, float]) -> float:
    return sum(weights.get(name, 0.0) * value for name, value in found.items())


def confidences(scores: Sequence[float], weights: Mapping[str, float]) -> list[float]:
    """How likely each is the right one, given that at most one is."""
    none = weights.get(NONE, 0.0)
    most = max([none, *scores])
    total = sum(math.exp(one - most) for one in (none, *scores))
    return [math.exp(one - most) / total for one in scores]
