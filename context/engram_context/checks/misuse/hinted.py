"""Hints that cost too much to look for in every file: arguments that likely have to change places, by what the project
gives to what is called elsewhere, and copies in which one place was forgotten. Editors ask when a document rests.
"""

from __future__ import annotations

import math

from engram_context.checks.misuse.arguments import Swap, least_odds
from engram_context.checks.misuse.copies import Uneven, uneven_copies
from engram_context.checks.misuse.nearby import swaps_in
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.reader import parse_shallow
from engram_context.snapshot import Snapshot
from engram_context.text import Location, Text


def file_hints(snapshot: Snapshot, path: str) -> tuple[Finding, ...]:
    """What is hinted at in one file without a model."""
    return (*swapped_hints(snapshot, path), *uneven_hints(snapshot, path))


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


def uneven_hints(snapshot: Snapshot, path: str) -> tuple[Finding, ...]:
    """Statements that say all but one thing as their neighbour does with other names. None of a file that does not
    parse."""
    text, record = snapshot.text(path), snapshot.record(path)
    if text is None or record is None or record.language != "python" or record.errors:
        return ()
    tree = parse_shallow(text, "python")
    return () if tree is None else tuple(_uneven(path, text, copy) for copy in uneven_copies(tree, text))


def _uneven(path: str, text: Text, copy: Uneven) -> Finding:
    if copy.is_token:
        message = f"'{copy.written}' stands here, and '{copy.expected}' in what is the same but for names beside it"
        said = f"'{copy.expected}' stands here"
    else:
        message = f"'{copy.written}' stands as in the lines before, where the rest was changed to '{copy.expected}'"
        said = "copied from here"
    fix = Fix(f"Change to '{copy.expected}'", project_edit({path: [Edit(copy.span, copy.expected)]}, {path: text}))
    related = ((Location(path, copy.original), said),)
    return Finding("uneven-copy", "hint", copy.span, message, related, (fix,))
