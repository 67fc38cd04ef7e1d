"""The model's say in which proposed fix is right: how much likelier a text is with the fix than as it is written.

A bug is often code that the model would not have expected. The log-odds of each proposal shift by what the model, and
the project's memory, say of its place with the fix in it against the place as it is (measured by tests/bench/bugs.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engram_context.edits import Edit
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text
from engram_context.trace.fixes import Proposal, chance, odds
from engram_runtime.engine import never

from engram_lsp.scoring import Scores, score_edits

if TYPE_CHECKING:
    from engram_lsp.predictor import Cancelled, Memory, Predictor

JUDGED = 12
"""So many of the best proposals are judged; each place costs one reading of what stands before it."""
_WEIGHT = 0.3
"""What a difference of one in the natural log of the probability shifts the log-odds by."""
_MOST = 12.0
"""Differences count up to this: beyond, they say more about rare words than about the fix."""
_LONGEST = 200
"""Bytes of a text that is compared."""

View = Callable[[str, int], "Memory | None"]
"""The project's memory as it is seen from an offset in a file."""


def differences(
    predictor: Predictor,
    snapshot: Snapshot,
    proposals: Sequence[Proposal],
    view: View | None = None,
    cancelled: Cancelled = never,
) -> dict[int, float]:
    """By how much the natural log of the text's probability is greater with each of the first proposals than without
    it, by its index. Those that change several places are left out. Model thread only."""
    places: dict[tuple[str, Span], list[tuple[int, str]]] = {}
    for index, proposal in enumerate(proposals[:JUDGED]):
        found = _single(proposal)
        text = None if found is None else snapshot.text(found[0])
        if found is None or text is None:
            continue
        path, edit = found
        span, new = _widened(text, edit)
        if len(span) <= _LONGEST and len(new) <= _LONGEST:
            places.setdefault((path, span), []).append((index, new))
    gains: dict[int, float] = {}
    for (path, span), some in places.items():
        text = snapshot.text(path)
        if text is None or cancelled():
            break
        memory = view(path, span.start) if view is not None else None
        texts = [text.slice(span), *(new for _, new in some)]
        scores = score_edits(predictor, text, span, texts, path=path, memory=memory, cancelled=cancelled)
        if scores is not None:
            gains.update({index: score - scores[0] for (index, _), score in zip(some, scores[1:], strict=True)})
    return gains


def judged(
    predictor: Predictor,
    snapshot: Snapshot,
    proposals: Sequence[Proposal],
    view: View | None = None,
    cancelled: Cancelled = never,
) -> tuple[Proposal, ...]:
    """The proposals with the model's say in their confidence, best first; as they are without a model. Model thread
    only."""
    if not isinstance(predictor.engine, Scores) or not proposals:
        return tuple(proposals)  # asked token by token, a model is too slow
    return weighed(proposals, differences(predictor, snapshot, proposals, view, cancelled))


def weighed(proposals: Sequence[Proposal], gains: dict[int, float], weight: float = _WEIGHT) -> tuple[Proposal, ...]:
    """The proposals with their log-odds shifted by what is gained, best first. All together stay as likely as they
    were: the model says which of them it is, not whether it is one."""
    shifted = [
        odds(one.confidence) + weight * max(min(gains.get(index, 0.0), _MOST), -_MOST)
        for index, one in enumerate(proposals)
    ]
    total, before = sum(map(chance, shifted)), sum(one.confidence for one in proposals)
    scale = min(before / total, 1.0) if total else 1.0
    made = [replace(one, confidence=chance(new) * scale) for one, new in zip(proposals, shifted, strict=True)]
    return tuple(sorted(made, key=lambda one: -one.confidence))


def _single(proposal: Proposal) -> tuple[str, Edit] | None:
    """The one edit of a proposal, or several in one line as one."""
    if len(proposal.edit.edits) != 1:
        return None
    ((path, edits),) = proposal.edit.edits.items()
    return (path, edits[0]) if len(edits) == 1 else None


def _widened(text: Text, edit: Edit) -> tuple[Span, str]:
    """An edit as one of the line it is in: several edits of a line are then compared with one text, and an insertion
    with what stands there."""
    line = text.line_span(text.line_of(edit.span.start))
    start = (
        line.start
        + len(text.data[line.start : edit.span.start])
        - len(text.data[line.start : edit.span.start].lstrip(b" \t"))
    )
    end = max(edit.span.end, line.start + len(text.data[line.start : line.end].rstrip(b"\r\n")))
    before = text.data[start : edit.span.start].decode("utf-8", "replace")
    after = text.data[edit.span.end : end].decode("utf-8", "replace")
    return Span(start, end), f"{before}{edit.new_text}{after}"
