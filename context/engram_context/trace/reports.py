"""All that is known of the traces in a text: where their frames are, who is suspected, what would repair it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engram_context.outside.environment import Environment
from engram_context.snapshot import Snapshot
from engram_context.trace.fixes import CONFIDENT, Proposal, proposals
from engram_context.trace.locating import Locator
from engram_context.trace.parsing import parse
from engram_context.trace.suspects import ChangedLines, suspects
from engram_context.trace.values import LocatedFrame, Suspect, Trace

MOST = 20
"""Traces of a text that are looked into, equal ones once."""
_REPAIRED = 3
"""Traces for which repairs are looked for."""


@dataclass(frozen=True, slots=True)
class TraceReport:
    """One trace of a text. `frames` are its own, outermost first; `suspects` and `proposals` the likeliest first. No
    suspects where the trace has nothing to do with the project, no proposals where nothing is sure enough."""

    trace: Trace
    frames: tuple[LocatedFrame, ...]
    suspects: tuple[Suspect, ...]
    proposals: tuple[Proposal, ...] = ()


def reports(
    snapshot: Snapshot,
    text: str,
    environment: Environment,
    history: ChangedLines | None = None,
    *,
    repair: bool = True,
    unsure: bool = False,
    tested: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[TraceReport, ...]:
    """What is known of each trace in a text, in its order. `repair`: whether repairs are looked for; `unsure`: those
    that are rather wrong than right are not left out; `tested`: neither are they, for tests will judge them."""
    locator = Locator(snapshot)
    found: list[TraceReport] = []
    for trace in dict.fromkeys(parse(text)):
        if cancelled() or len(found) == MOST:
            break
        suspected = suspects(snapshot, trace, history, environment)
        repairs: tuple[Proposal, ...] = ()
        if repair and suspected and len(found) < _REPAIRED:
            least = 0.0 if unsure else CONFIDENT
            made = proposals(snapshot, trace, suspected, environment, least=least, cancelled=cancelled)
            repairs = tuple(one for one in made if unsure or tested or one.is_shown)
        found.append(TraceReport(trace, locator.frames(trace), suspected, repairs))
    return tuple(found)
