"""Which functions are likely the ones to change, each with its reasons.

Every candidate collects reasons, and its score is their sum: where it stands in the trace, how the failing value leads
to it (origins.py), what the message and the test say of it, what is odd in its code, whether it has changed since HEAD;
where a claim of a test does not hold, what claims.py has to say, too.
The weights are chosen on seeded bugs of development packages by tests/bench/bugs.py, beginning from plain sense.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from engram_context.checks.catalogue import findings
from engram_context.outside.environment import Environment
from engram_context.recent import resolver_of
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text
from engram_context.trace import claims, clues
from engram_context.trace.locating import Locator, function_around, is_test
from engram_context.trace.origins import Evidence, Origins
from engram_context.trace.repairs.trouble import Trouble, trouble_of
from engram_context.trace.values import LocatedFrame, Reason, Suspect, Trace
from engram_context.views.call_hierarchy import Definition

MOST = 10
"""Suspects that are named."""
_LEAST = 0.5
"""Below this score nothing is suspected."""
_REACHED = frozenset({"reached", "ran"})
_CHECKED = 2
_FOUND: Final = {"error": "error", "warning": "warning", "information": "hint", "hint": "hint"}
"""Files whose findings are looked at."""
_RELATED: Final = {"cause": 0.85, "context": 0.4, "member": 1.0, "suppressed": 0.2}
"""How much the trace that another one belongs to weighs beside it."""

_Weights = Mapping[str, float]
RAISED: Final[_Weights] = {
    "innermost": 4.55, "raising": 2.53, "caller": 1.19, "stack": 0.87, "reached": 2.34, "reached-log": 1.22,
    "ran": 0.0, "ran-log": 0.39, "named": 1.15, "class-named": 0.83, "file-named": 0.67, "words": 1.22,
    "size": -0.08, "returns-none": 2.03, "gave-none": 2.0, "idle": 2.55, "undefined": 3.73, "similar": 2.06,
    "signature": 0.14, "mentioned": 0.11, "imported": 0.34, "common": -0.48, "contradiction": 2.03, "swapped": 1.37,
    "empty": -2.03, "choices": -0.06, "direct": 0.23, "acted": 0.3, "mutates": 0.52, "changed": 3.0, "error": 1.6,
    "warning": 0.8, "hint": 0.2, "test": -4.0,
}  # fmt: skip
"""What the whole of each kind of reason adds where an error was raised in the project's own code."""
CLAIMED: Final[_Weights] = {
    **RAISED, "innermost": 0.98, "raising": 1.0, "caller": 1.0, "stack": 0.4, "reached": 2.32, "reached-log": 0.54,
    "ran": -1.2, "ran-log": -0.01, "named": 1.1, "class-named": 1.11, "file-named": 1.06, "words": 1.08,
    "size": -0.28, "returns-none": 3.01, "gave-none": 1.68, "idle": 3.95, "mentioned": 0.37, "imported": 0.32,
    "common": -0.25, "swapped": 1.43, "empty": -1.65, "choices": 0.31, "direct": 0.37, "acted": 0.27, "mutates": 0.55,
    "error": 1.8, "warning": 1.41, "hint": 0.87, "misshapen": 1.46, "odd": 1.12, "speaks": 0.73, "not-raised": 0.5,
    "steps": 0.26,
}  # fmt: skip
"""The same where a test's claim does not hold, or an error came from outside straight into the test."""


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
    best: dict[tuple[str, int], Suspect] = {}
    for case in cases(snapshot, trace, history, environment):
        for suspect in case.suspects():
            known = best.get(suspect.key)
            if known is None or known.score < suspect.score:
                best[suspect.key] = suspect
    ranked = sorted(best.values(), key=lambda one: (-one.score, one.path, one.span.start))
    named = [one for one in ranked if one.score >= _LEAST]
    # Where no other code is reached, the test itself is left.
    return tuple(named or [one for one in ranked if one.frame >= 0][:1])[:MOST]


def cases(
    snapshot: Snapshot,
    trace: Trace,
    history: ChangedLines | None = None,
    environment: Environment | None = None,
) -> Iterator[Case]:
    """What is known of each candidate, for a trace and for those that belong to it."""
    resolver = resolver_of(snapshot)
    locator = Locator(snapshot)
    for one, share in _with_shares(trace):
        frames = locator.frames(one)
        if any(frame.path is not None for frame in frames):
            yield _case(snapshot, resolver, one, frames, math.log(share), history, environment)


def _with_shares(trace: Trace, share: float = 1.0, most: int = 12) -> Iterator[tuple[Trace, float]]:
    """A trace and those that belong to it, each with how much it counts."""
    waiting = [(trace, share)]
    while waiting and most > 0:
        one, weight = waiting.pop(0)
        most -= 1
        members = any(relation == "member" for relation, _ in one.others)
        yield one, weight * (0.3 if members else 1.0)
        waiting += [(other, weight * _RELATED[relation]) for relation, other in one.others]


@dataclass(frozen=True, slots=True)
class _Clue:
    amount: float
    words: str
    spans: tuple[Span, ...]


class Case:
    """One trace: the clues for each candidate, as they are collected. `penalty` is added to every score."""

    def __init__(self, snapshot: Snapshot, origins: Origins, penalty: float) -> None:
        self.snapshot = snapshot
        self.origins = origins
        self.penalty = penalty
        innermost = origins.innermost
        self.is_claim = innermost is not None and innermost.test
        self.clues: dict[Definition, dict[str, _Clue]] = {}
        self.frames: dict[Definition, int] = {}

    def add(
        self, definition: Definition, kind: str, words: str, amount: float = 1.0, spans: Iterable[Span] = ()
    ) -> None:
        """One more clue; of each kind the strongest counts."""
        known = self.clues.setdefault(definition, {})
        if kind not in known or abs(known[kind].amount) < abs(amount):
            known[kind] = _Clue(amount, words, tuple(spans))

    def amounts(self, definition: Definition) -> dict[str, float]:
        """How much there is of each kind of clue for a candidate."""
        found: dict[str, float] = {}
        for kind, clue in self.clues[definition].items():
            if kind in _REACHED:
                found[kind], found[f"{kind}-log"] = 1.0, math.log(clue.amount)
            else:
                found[kind] = clue.amount
        return found

    def suspects(self) -> list[Suspect]:
        """Every candidate with its reasons, the likeliest first."""
        found = [self._suspect(definition) for definition in self.clues]
        return sorted((one for one in found if one is not None), key=lambda one: -one.score)

    def _suspect(self, definition: Definition) -> Suspect | None:
        record, text = self.snapshot.record(definition.path), self.snapshot.text(definition.path)
        if record is None or text is None:
            return None
        weights = CLAIMED if self.is_claim else RAISED
        amounts = self.amounts(definition)
        reasons = [
            Reason(kind, _weight(weights, amounts, kind), clue.words, clue.spans)
            for kind, clue in self.clues[definition].items()
        ]
        reasons.sort(key=lambda reason: -reason.weight)
        lines = dict.fromkeys(text.line_of(span.start) + 1 for reason in reasons for span in reason.spans)
        score = round(sum(reason.weight for reason in reasons) + self.penalty, 3)
        name, body = _name(self.origins.resolver, definition), self.origins.callees.body(definition)
        at = self.frames.get(definition, -1)
        return Suspect(definition.path, name, definition.row, body, tuple(lines), score, tuple(reasons), at)


def _weight(weights: Mapping[str, float], amounts: Mapping[str, float], kind: str) -> float:
    also = f"{kind}-log"
    return weights[kind] * amounts[kind] + (weights[also] * amounts[also] if also in amounts else 0.0)


def _case(
    snapshot: Snapshot,
    resolver: Resolver,
    trace: Trace,
    frames: Sequence[LocatedFrame],
    penalty: float,
    history: ChangedLines | None,
    environment: Environment | None,
) -> Case:
    trouble = trouble_of(trace) if trace.language == "python" else Trouble("other")
    origins = Origins(snapshot, resolver, frames, trouble, trace.values, trace.test)
    case = Case(snapshot, origins, penalty)
    _positions(case, frames)
    if trace.language == "python":
        origins.run()
        for kind, group in (("reached", origins.reached), ("ran", origins.ran)):
            for definition, reach in group.items():
                by = "" if reach.by is None else f", by way of {_name(resolver, reach.by)}"
                case.add(definition, kind, f"{reach.words}{by}", reach.weight)
        for evidence in clues.evidence(origins, trace):
            _take(case, evidence)
        for evidence in claims.evidence(origins, trace) if case.is_claim else ():
            _take(case, evidence)
    _looks(case, snapshot, history)
    if environment is not None:
        _checked(case, environment)
    return case


def _take(case: Case, evidence: Evidence) -> None:
    case.add(evidence.definition, evidence.kind, evidence.words, evidence.amount, evidence.spans)


def _positions(case: Case, frames: Sequence[LocatedFrame]) -> None:
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
            syntax = case.origins.syntax(definition.path)
            raises = syntax is not None and syntax.kind(frame.span.start) == "raise_statement"
            kind = "raising" if raises and frame is own[-1][1] else "innermost"
            case.add(definition, kind, "the error was raised in it", 1.0, spans)
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


def _looks(case: Case, snapshot: Snapshot, history: ChangedLines | None) -> None:
    """What each candidate's own code says."""
    changed: dict[str, tuple[range, ...]] = {}
    for definition in list(case.clues):
        path = definition.path
        body = case.origins.callees.body(definition)
        text = snapshot.text(path)
        if is_test(path):
            case.add(definition, "test", "it is a test")
        if text is None:
            continue
        first, last = text.line_of(body.start), text.line_of(max(body.end - 1, body.start))
        if definition.row >= 0:
            syntax = case.origins.syntax(path)
            if syntax is not None and syntax.is_empty(body):
                case.add(definition, "empty", "there is nothing in it")
            if syntax is not None:
                count = min(syntax.choices(body), 100)
                case.add(definition, "choices", f"{count} places in it could be otherwise", math.log(count + 1))
            case.add(definition, "size", f"it has {last - first + 1} lines", math.log(min(last - first + 1, 200)))
        if history is not None:
            if path not in changed:
                changed[path] = history.changed_lines(path, text)
            lines = [at for one in changed[path] for at in (one if one else range(one.start, one.start + 1))]
            spans = [text.line_span(at) for at in lines if first <= at <= last]
            if spans:
                case.add(definition, "changed", "it has changed since the last commit", 1.0, spans[:8])


def _checked(case: Case, environment: Environment) -> None:
    """What the checks find in the files of the first suspects: an error wherever it is, the rest in candidates."""
    paths = dict.fromkeys(one.path for one in case.suspects()[: 3 * _CHECKED] if not is_test(one.path))
    for path in list(paths)[:_CHECKED]:
        record = case.origins.callees.record(path)
        for finding in findings(case.snapshot, path, environment) if record is not None else ():
            kind = _FOUND.get(finding.severity)
            if kind is None or record is None:
                continue
            definition = Definition(path, function_around(record, finding.span.start))
            if definition.row >= 0 and (definition in case.clues or kind == "error"):
                case.add(definition, kind, finding.message, 1.0, (finding.span,))


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
