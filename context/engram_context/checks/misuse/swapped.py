"""Hints at arguments that likely have to change places, by what the project gives to what is called elsewhere."""

from __future__ import annotations

import math

from engram_context.checks.misuse.arguments import Swap, least_odds
from engram_context.checks.misuse.nearby import swaps_in
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.snapshot import Snapshot
from engram_context.text import Text


def swapped_hints(snapshot: Snapshot, path: str) -> tuple[Finding, ...]:
    """The likeliest pair of each call of a file, where that is likely enough, by what files near it do too."""
    text, least = snapshot.text(path), least_odds()
    if text is None:
        return ()
    best: dict[int, Swap] = {}
    for swap in swaps_in(snapshot, path):
        before = best.get(swap.call)
        if swap.odds >= least and (before is None or swap.odds > before.odds):
            best[swap.call] = swap
    return tuple(_finding(path, text, swap) for swap in best.values())


def _finding(path: str, text: Text, swap: Swap) -> Finding:
    one, other = text.slice(swap.first), text.slice(swap.second)
    message = f"'{one}' and '{other}' may have to change places in this call of '{swap.called}'"
    edits = [Edit(swap.first, other), Edit(swap.second, one)]
    fix = Fix("Swap the arguments", project_edit({path: edits}, {path: text}))
    confidence = 1 / (1 + math.exp(-max(min(swap.odds, 30.0), -30.0)))
    return Finding("swapped-arguments", "hint", swap.span, message, (), (fix,), confidence=confidence)
