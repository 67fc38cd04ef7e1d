"""What the model says about a rename: which names would fit a symbol, and which unproven mentions are likely it.

Names: the project's habits give ideas, model and memory say which of them, or of their own, fit. Mentions: what the
model expects instead of the name at a place is compared with what it expects where the symbol is proven to be meant;
that shifts how likely the memory takes the place to be the symbol (measured by tests/bench/unproven_model.py).
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from engram_context.edits import Edit, ProjectEdit
from engram_context.records import ROLE, FileRecord
from engram_context.renames.name_ideas import NameIdea, name_ideas, spelled, style_of
from engram_context.renames.prose import words_of
from engram_context.renames.rename import RenameTarget
from engram_context.renames.unproven import LEAST, is_unknown
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Span, Text

if TYPE_CHECKING:
    from engram_lsp.predictor import Cancelled
    from engram_lsp.ranking import Ranker
    from engram_lsp.session import Asked, Session

MOST = 5
_ATTRIBUTE = ROLE["attribute"]
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
    ideas: tuple[NameIdea, ...],
    expected: tuple[tuple[str, float], ...],
    target: RenameTarget,
    snapshot: Snapshot,
    taken: Container[str] = (),
) -> list[Suggested]:
    """The best names: what is expected at the place, with what the project's habits say for it. `taken`: the names in
    the file, which mean something there already."""
    style = style_of(snapshot, target.kind)
    by_name = {idea.name: idea for idea in ideas}
    chances = dict(expected)
    least = min(chances.values(), default=0.0)
    scores: dict[str, float] = {}
    for name in {*by_name, *chances}:
        if name not in by_name:
            # A name of the model's own must be one in the project's style, and say something.
            if spelled(words_of(name), style) != name.lstrip("_") or not _says_something(name, target, snapshot):
                continue
            if name in taken:
                continue
            if snapshot.files_naming(name) and target.kind not in ("variable", "parameter"):
                continue
        evidence = _EVIDENCE * math.log2(1 + by_name[name].weight) if name in by_name else 0.0
        scores[name] = chances.get(name, least) + evidence
    best = sorted(scores, key=lambda name: (-scores[name], name))[:MOST]
    return [Suggested(name, by_name[name].why if name in by_name else "what is expected here") for name in best]


def _says_something(name: str, target: RenameTarget, snapshot: Snapshot) -> bool:
    """Whether it is another name of whole words, as private as the one there is. The model may stop in the midst of
    one: what no file of the project has for a name is no word here."""
    words = words_of(name)
    if not words or name in (target.name, "self", "cls") or keyword.iskeyword(name):
        return False
    if name.startswith("_") != target.name.startswith("_"):
        return False
    return all(len(word) > 1 and snapshot.files_naming(word) for word in words)


# Mentions that are looked at, and proven ones that they are compared with: each costs the model one reading.
_JUDGED, _PROVEN = 12, 3
# From the fit: by how much likeness shifts the log odds, and the likeness that shifts nothing.
_WEIGHT, _NEUTRAL = 2.34, 0.53


async def judged(session: Session, asked: Asked, edit: ProjectEdit) -> ProjectEdit:
    """The edit with the model's say in how likely its unproven attributes are right; as it is without a model."""
    unknown = [(path, one) for path, edits in edit.edits.items() for one in edits if is_unknown(one)]
    proven = list(islice(_proven(asked.snapshot, edit), _PROVEN))
    predictor = session.predictor
    if predictor is None or predictor.engine is None or not unknown or not proven:
        return edit
    from engram_lsp.predictor import Query

    unknown = sorted(unknown, key=lambda one: -one[1].likelihood)[:_JUDGED]

    def compare(cancelled: Cancelled) -> dict[tuple[str, Span], float]:
        def expected(path: str, span: Span) -> np.ndarray | None:
            text = asked.snapshot.text(path)
            if text is None or cancelled():
                return None
            nameless = Text.of(text.data[: span.start] + text.data[span.end :])
            found = predictor.following(Query(path, nameless, span.start, 0), (), cancelled)
            return None if found is None else np.exp(found / 2)

        known = [one for path, span in proven if (one := expected(path, span)) is not None]
        likeness: dict[tuple[str, Span], float] = {}
        for path, one in unknown:
            here = expected(path, one.span) if known else None
            if here is not None:
                likeness[path, one.span] = float(np.mean([here @ other for other in known]))
        return likeness

    likeness = await session.in_model_thread(compare, urgent=True)
    shifted: dict[str, tuple[Edit, ...]] = {}
    for path, edits in edit.edits.items():
        kept = (_shifted(one, likeness.get((path, one.span))) for one in edits)
        shifted[path] = tuple(one for one in kept if one.likelihood >= LEAST)
    return ProjectEdit({path: edits for path, edits in shifted.items() if edits}, edit.moves, edit.digests)


def _proven(snapshot: Snapshot, edit: ProjectEdit) -> Iterator[tuple[str, Span]]:
    """The certain edits of attributes, as places."""
    for path, edits in edit.edits.items():
        record = snapshot.record(path)
        if record is None:
            continue
        starts = {one.span.start for one in edits if one.annotation is None}
        for index, (start, role) in enumerate(zip(record.occurrences.start, record.occurrences.role, strict=True)):
            if role == _ATTRIBUTE and start in starts:
                yield path, record.occurrences.span(index)


def _shifted(edit: Edit, likeness: float | None) -> Edit:
    if likeness is None:
        return edit
    chance = min(max(edit.likelihood, 1e-4), 1 - 1e-4)
    odds = math.log(chance / (1 - chance)) + _WEIGHT * (likeness - _NEUTRAL)
    return replace(edit, likelihood=1 / (1 + math.exp(-odds)))


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
    return combined(ideas, expected, target, asked.snapshot, frozenset(record.names))
