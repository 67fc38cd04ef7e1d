"""Which functions are likely the ones to change, each with its reasons.

Every candidate collects reasons, and its score is their sum: where it stands in the trace, how the failing value leads
to it (origins.py), what the message and the test say of it, what is odd in its code, whether it has changed since HEAD.
The weights are chosen on seeded bugs of development packages by tests/bench/bugs.py, beginning from plain sense.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from engram_context.checks import findings
from engram_context.outside.environment import Environment
from engram_context.recent import resolver_of
from engram_context.records import KIND
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text
from engram_context.trace import clues
from engram_context.trace.locating import Locator, is_test
from engram_context.trace.origins import Evidence, Origins
from engram_context.trace.repairs.trouble import Trouble, trouble_of
from engram_context.trace.values import LocatedFrame, Reason, Suspect, Trace
from engram_context.views.call_hierarchy import Definition

MOST = 10
"""Suspects that are named."""
_LEAST = 0.5
"""Below this score nothing is suspected."""
_CHECKED = 4
"""Files whose findings are looked at."""
_RELATED: Final = {"cause": 0.85, "context": 0.4, "member": 1.0, "suppressed": 0.2}
"""How much the trace that another one belongs to weighs beside it."""

WEIGHTS: Final = {
    "innermost": 3.2,
    "caller": 1.4,
    "stack": 0.7,
    "reached": 1.0,
    "reached-base": 2.4,
    "named": 0.9,
    "class-named": 0.3,
    "file-named": 0.2,
    "words": 1.1,
    "size": 0.3,
    "returns-none": 1.6,
    "idle": 2.2,
    "undefined": 3.0,
    "similar": 1.6,
    "signature": 1.2,
    "changed": 3.0,
    "error": 1.5,
    "warning": 0.4,
    "test": -4.0,
    "empty": -1.5,
}
"""What the whole of each kind of reason adds to a score."""

_DEFS = frozenset(KIND[kind] for kind in ("function", "method"))


class ChangedLines(Protocol):
    """What is known of the version at HEAD: `disk.history.History`."""

    def changed_lines(self, path: str, text: Text) -> tuple[range, ...]:
        """Lines of `text`, counted from 0, that are new since; an empty range where some were taken out."""
        ...


def suspects(
    snapshot: Snapshot,
    trace: Trace,
    history: ChangedLines | None = None,
    environment: Environment | None = None,
) -> tuple[Suspect, ...]:
    """The functions that are likely to be wrong, the likeliest first; none where the trace says nothing about this
    project. `history`: what the project was at HEAD. `environment`: with it, the checks' findings count, too."""
    resolver = resolver_of(snapshot)
    locator = Locator(snapshot)
    best: dict[tuple[str, int], Suspect] = {}
    for one, share in _with_shares(trace):
        frames = locator.frames(one)
        if all(frame.path is None for frame in frames):
            continue
        for suspect in _of_one(snapshot, resolver, one, frames, math.log(share), history, environment):
            known = best.get(suspect.key)
            if known is None or known.score < suspect.score:
                best[suspect.key] = suspect
    ranked = sorted(best.values(), key=lambda one: (-one.score, one.path, one.span.start))
    return tuple(one for one in ranked if one.score >= _LEAST)[:MOST]


def _with_shares(trace: Trace, share: float = 1.0, most: int = 12) -> Iterator[tuple[Trace, float]]:
    """A trace and those that belong to it, each with how much it counts."""
    waiting = [(trace, share)]
    while waiting and most > 0:
        one, weight = waiting.pop(0)
        most -= 1
        members = any(relation == "member" for relation, _ in one.others)
        yield one, weight * (0.3 if members else 1.0)
        waiting += [(other, weight * _RELATED[relation]) for relation, other in one.others]


class _Case:
    """The reasons for each candidate, as they are collected."""

    def __init__(self, origins: Origins) -> None:
        self.origins = origins
        self.reasons: dict[Definition, list[Reason]] = {}
        self.frames: dict[Definition, int] = {}

    def add(
        self, definition: Definition, kind: str, words: str, amount: float = 1.0, spans: Iterable[Span] = ()
    ) -> None:
        """One more reason; of each kind the strongest counts."""
        reason = Reason(kind, WEIGHTS[kind] * amount, words, tuple(spans))
        self._put(definition, reason)

    def _put(self, definition: Definition, reason: Reason) -> None:
        known = self.reasons.setdefault(definition, [])
        for at, other in enumerate(known):
            if other.kind == reason.kind:
                if abs(other.weight) < abs(reason.weight):
                    known[at] = reason
                return
        known.append(reason)

    def add_reached(self, definition: Definition, weight: float, words: str) -> None:
        reason = Reason("reached", WEIGHTS["reached-base"] + WEIGHTS["reached"] * math.log(weight), words, ())
        self._put(definition, reason)


def _of_one(
    snapshot: Snapshot,
    resolver: Resolver,
    trace: Trace,
    frames: Sequence[LocatedFrame],
    penalty: float,
    history: ChangedLines | None,
    environment: Environment | None,
) -> list[Suspect]:
    trouble = trouble_of(trace) if trace.language == "python" else Trouble("other")
    origins = Origins(snapshot, resolver, frames, trouble)
    case = _Case(origins)
    _positions(case, frames)
    if trace.language == "python":
        origins.run()
        for definition, reach in origins.reached.items():
            by = "" if reach.by is None else f", by way of {_name(resolver, reach.by)}"
            case.add_reached(definition, reach.weight, f"{reach.words}{by}")
        for evidence in clues.evidence(origins, trace):
            _take(case, evidence)
    _looks(case, snapshot, history)
    found = [_suspect(case, snapshot, definition, frames, penalty) for definition in case.reasons]
    ranked = sorted((one for one in found if one is not None), key=lambda one: -one.score)
    return _checked(case, snapshot, ranked, frames, penalty, environment) if environment is not None else ranked


def _take(case: _Case, evidence: Evidence) -> None:
    case.add(evidence.definition, evidence.kind, evidence.words, evidence.amount, evidence.spans)


def _positions(case: _Case, frames: Sequence[LocatedFrame]) -> None:
    """Where functions stand in the trace: the innermost one of the project that is no test says most."""
    own = [(at, frame) for at, frame in enumerate(frames) if frame.path is not None]
    plain = [(at, frame) for at, frame in own if not frame.test]
    is_inside = bool(own) and not own[-1][1].test
    seen: set[Definition] = set()
    for rank, (at, frame) in enumerate(reversed(plain)):
        definition = Definition(frame.path or "", frame.function)
        case.frames.setdefault(definition, at)
        if definition in seen:
            continue
        seen.add(definition)
        spans = (frame.span,)
        if rank == 0 and is_inside:
            case.add(definition, "innermost", "the error was raised in it", 1.0, spans)
        elif len(seen) == 2 and is_inside:
            case.add(definition, "caller", "it called what failed", 1.0, spans)
        else:
            case.add(definition, "stack", "it is in the trace", 1.0 / len(seen) ** 0.5, spans)
    for at, frame in own:
        if frame.test:
            definition = Definition(frame.path or "", frame.function)
            case.frames[definition] = at
            if at == own[-1][0]:
                case.add(definition, "innermost", "the error was raised in it", 1.0, (frame.span,))


def _looks(case: _Case, snapshot: Snapshot, history: ChangedLines | None) -> None:
    """What each candidate's own code says."""
    changed: dict[str, tuple[range, ...]] = {}
    for definition in list(case.reasons):
        path = definition.path
        body = case.origins.callees.body(definition)
        text = snapshot.text(path)
        if is_test(path):
            case.add(definition, "test", "it is a test")
        if text is None:
            continue
        first, last = text.line_of(body.start), text.line_of(max(body.end - 1, body.start))
        if definition.row >= 0:
            case.add(definition, "size", f"it has {last - first + 1} lines", math.log(min(last - first + 1, 200)))
        if history is not None:
            if path not in changed:
                changed[path] = history.changed_lines(path, text)
            lines = [at for one in changed[path] for at in (one if one else range(one.start, one.start + 1))]
            spans = [text.line_span(at) for at in lines if first <= at <= last]
            if spans:
                case.add(definition, "changed", "it has changed since the last commit", 1.0, spans[:8])


def _checked(
    case: _Case,
    snapshot: Snapshot,
    ranked: list[Suspect],
    frames: Sequence[LocatedFrame],
    penalty: float,
    environment: Environment,
) -> list[Suspect]:
    """The suspects with what the checks find in the files of the first ones."""
    paths = list(dict.fromkeys(one.path for one in ranked[: 2 * _CHECKED] if not is_test(one.path)))[:_CHECKED]
    for path in paths:
        for finding in findings(snapshot, path, environment):
            if finding.severity not in ("error", "warning"):
                continue
            for definition in case.reasons:
                body = case.origins.callees.body(definition)
                if definition.path == path and definition.row >= 0 and body.start <= finding.span.start < body.end:
                    case.add(definition, finding.severity, finding.message, 1.0, (finding.span,))
    again = [_suspect(case, snapshot, definition, frames, penalty) for definition in case.reasons]
    return sorted((one for one in again if one is not None), key=lambda one: -one.score)


def _suspect(
    case: _Case, snapshot: Snapshot, definition: Definition, frames: Sequence[LocatedFrame], penalty: float
) -> Suspect | None:
    reasons = sorted(case.reasons[definition], key=lambda reason: -reason.weight)
    record, text = snapshot.record(definition.path), snapshot.text(definition.path)
    if record is None or text is None:
        return None
    body = case.origins.callees.body(definition)
    lines = dict.fromkeys(text.line_of(span.start) + 1 for reason in reasons for span in reason.spans)
    score = sum(reason.weight for reason in reasons) + penalty
    return Suspect(
        definition.path, _name(case.origins.resolver, definition), definition.row, body, tuple(lines), round(score, 3),
        tuple(reasons), case.frames.get(definition, -1),
    )  # fmt: skip


def _name(resolver: Resolver, definition: Definition) -> str:
    """A function's name with those of the classes and functions around it; "" for a module's own code."""
    record = resolver.record(definition.path)
    if record is None or definition.row < 0:
        return ""
    symbols, scopes = record.symbols, record.scopes
    parts = [record.names[symbols.name[definition.row]]]
    scope = symbols.scope[definition.row]
    while scope > 0:
        if scopes.owner_name[scope] >= 0:
            parts.append(record.names[scopes.owner_name[scope]])
        scope = scopes.parent[scope]
    return ".".join(reversed(parts))
