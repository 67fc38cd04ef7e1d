"""Names for a symbol: the project's habits give ideas, model and memory say which of them, or of their own, fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engram_context.name_ideas import NameIdea, name_ideas, spelled, style_of
from engram_context.prose import words_of
from engram_context.records import FileRecord
from engram_context.rename import RenameTarget
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text

if TYPE_CHECKING:
    from engram_lsp.predictor import Cancelled
    from engram_lsp.ranking import Ranker
    from engram_lsp.session import Asked, Session

MOST = 5
# How much an idea's evidence counts beside what model and memory think, in log probability for each doubling.
_EVIDENCE = 1.5


@dataclass(frozen=True, slots=True)
class Suggested:
    """A name for a symbol, and why."""

    name: str
    why: str


def without_name(text: Text, record: FileRecord, target: RenameTarget) -> tuple[Text, int]:
    """The text as if the symbol had no name yet, and where its name is wanted: the other mentions of the name near by
    would only tell the model to repeat it."""
    pieces: list[bytes] = []
    offset = reached = 0
    for index in record.occurrences_of(target.name):
        span = record.occurrences.span(index)
        pieces.append(text.data[reached : span.start])
        if span.start == target.span.start:
            offset = sum(map(len, pieces))
        else:
            pieces.append(b"_")
        reached = span.end
    pieces.append(text.data[reached:])
    return Text.of(b"".join(pieces)), offset


def combined(
    ideas: tuple[NameIdea, ...], expected: tuple[tuple[str, float], ...], target: RenameTarget, snapshot: Snapshot
) -> list[Suggested]:
    """The best names: what is expected at the place, with what the project's habits say for it."""
    style = style_of(snapshot, target.kind)
    by_name = {idea.name: idea for idea in ideas}
    chances = dict(expected)
    least = min(chances.values(), default=0.0)
    scores: dict[str, float] = {}
    for name in {*by_name, *chances}:
        if name not in by_name:
            # A name of the model's own must be one in the project's style, and say something.
            if spelled(words_of(name), style) != name.lstrip("_") or len(name) < 2 or name == target.name:
                continue
            if snapshot.files_naming(name) and target.kind not in ("variable", "parameter"):
                continue
        evidence = _EVIDENCE * math.log2(1 + by_name[name].weight) if name in by_name else 0.0
        scores[name] = chances.get(name, least) + evidence
    best = sorted(scores, key=lambda name: (-scores[name], name))[:MOST]
    return [Suggested(name, by_name[name].why if name in by_name else "what is expected here") for name in best]


async def suggest_names(session: Session, asked: Asked, target: RenameTarget) -> list[Suggested]:
    """Names for what is renamed at a place, the best first."""
    place = Place(asked.path, target.span.start)
    record = asked.snapshot.record(asked.path)
    ideas = await session.in_background(lambda _: name_ideas(asked.snapshot, place))
    predictor = session.predictor
    if predictor is None or record is None:
        return [Suggested(idea.name, idea.why) for idea in ideas[:MOST]]
    ranker: Ranker = predictor.ranker

    def judge(cancelled: Cancelled) -> tuple[tuple[str, float], ...]:
        text, offset = without_name(asked.text, record, target)
        query = session.query(asked, text, offset)
        return ranker.expected(query, [idea.name for idea in ideas], cancelled) or ()

    expected = await session.in_model_thread(judge, urgent=True)
    return combined(ideas, expected, target, asked.snapshot)
