"""Fixes for what a trace shows: small changes of the suspects, ranked, and checked against the snapshot.

Nothing is applied. A proposal says how likely it is right; whoever has run the tests with it knows more (`verified`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from engram_context.checks import catalogue
from engram_context.edits import Edit, EditError, ProjectEdit, project_edit
from engram_context.findings import Finding
from engram_context.outside.environment import Environment
from engram_context.reader import parse_shallow, read_record
from engram_context.recent import resolver_of
from engram_context.snapshot import Read, Snapshot
from engram_context.text import Text
from engram_context.trace.locating import is_test
from engram_context.trace.repairs import ranking
from engram_context.trace.repairs.arguments import argument_repairs
from engram_context.trace.repairs.conditions import condition_repairs
from engram_context.trace.repairs.keys import key_repairs
from engram_context.trace.repairs.names import name_repairs
from engram_context.trace.repairs.numbers import number_repairs
from engram_context.trace.repairs.results import result_repairs
from engram_context.trace.repairs.site import Repair, Site
from engram_context.trace.repairs.trouble import Trouble, trouble_of
from engram_context.trace.values import Suspect, Trace

Verified = Literal["parses", "clean", "test", "tests"]
"""`parses`: only that. `clean`: no check finds anything new. `test`: the failing test passes. `tests`: and no other
fails that passed before."""

SUSPECTS = 6
"""So many suspects are looked at."""
CHECKED = 24
"""So many of the best repairs are checked against the snapshot."""
_MOST_IN_ONE = 600
_DEPENDENTS = 6
CONFIDENT = 0.85
"""A proposal that no test verified is shown from this confidence on."""

_RULES: tuple[Callable[[Site], Iterator[Repair]], ...] = (
    name_repairs,
    key_repairs,
    argument_repairs,
    condition_repairs,
    number_repairs,
    result_repairs,
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that may repair what a trace shows. `path` and `line` (from 1) are where it is, `why` is said to a
    person; `confidence`, from 0 to 1, is how likely it is right by all that is known without running it."""

    edit: ProjectEdit
    why: str
    rule: str
    path: str
    line: int
    confidence: float
    verified: Verified = "parses"

    @property
    def is_shown(self) -> bool:
        """Whether it is sure enough to be shown to somebody."""
        return self.verified == "tests" or (self.verified == "clean" and self.confidence >= CONFIDENT)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A repair before it is checked, with what speaks for it by name."""

    repair: Repair
    features: dict[str, float]


def proposals(
    snapshot: Snapshot,
    trace: Trace,
    suspects: Sequence[Suspect],
    environment: Environment,
    *,
    most: int = CHECKED,
    least: float = 0.0,
    weights: Mapping[str, float] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Proposal, ...]:
    """The likeliest repairs of the suspects (best first, as these are) that parse and bring no new finding. Those less
    likely than `least` are not looked at by the checks, which takes most of the time: they only parse.

    Empty where the trace speaks of nothing that a change of the project could repair.
    """
    trouble = trouble_of(trace)
    if trouble.kind == "outside" or trace.language != "python":
        return ()
    used = ranking.learned() if weights is None else weights
    found = candidates(snapshot, trouble, suspects, environment, cancelled)
    scores = [ranking.score(one.features, used) for one in found]
    confidences = ranking.confidences(scores, used)
    order = sorted(range(len(found)), key=lambda at: -scores[at])
    checker = _Checker(snapshot, environment)
    made: list[Proposal] = []
    for at in order[: most * 2]:
        if cancelled() or len(made) == most:
            break
        proposal = checker.checked(found[at].repair, confidences[at], whole=confidences[at] >= least)
        if proposal is not None:
            made.append(proposal)
    return tuple(made)


def candidates(
    snapshot: Snapshot,
    trouble: Trouble,
    suspects: Sequence[Suspect],
    environment: Environment,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Candidate]:
    """All repairs of the suspects, each once, by the most suspected that has it. What two rules find has both of their
    reasons."""
    found: dict[object, Candidate] = {}
    findings: dict[str, tuple[Finding, ...]] = {}
    ours = [one for one in suspects if not is_test(one.path)]  # a fix is no other claim of a test
    best = ours[0].score if ours else 0.0
    for rank, suspect in enumerate(ours[:SUSPECTS]):
        site = _site_of(snapshot, suspect, trouble)
        if site is None:
            continue
        if cancelled():
            break
        if site.path not in findings:
            findings[site.path] = catalogue.findings(snapshot, site.path, environment)
        of_this: dict[object, Candidate] = {}
        for repair in islice(_repairs(site, findings[site.path]), _MOST_IN_ONE):
            known = ranking.features(repair, suspect, rank, best - suspect.score, trouble)
            before = of_this.get(repair.key)
            of_this[repair.key] = Candidate(repair, known if before is None else {**known, **before.features})
        found = of_this | found
    return list(found.values())


def _repairs(site: Site, findings: Sequence[Finding]) -> Iterator[Repair]:
    yield from _of_checks(site, findings)
    for rule in _RULES:
        yield from rule(site)


def _of_checks(site: Site, findings: Sequence[Finding]) -> Iterator[Repair]:
    """The fixes of what the checks find in the suspect."""
    suspect = site.suspect
    for finding in findings:
        if not suspect.span.contains(finding.span) and finding.code not in ("unresolved-import", "unknown-import-name"):
            continue
        line = site.text.line_of(finding.span.start) + 1
        for at, fix in enumerate(finding.fixes):
            edits = tuple((path, edit) for path, some in fix.edit.edits.items() for edit in some)
            if edits and not fix.edit.moves:
                yield Repair(site.path, edits, f"check {finding.code}", line, fix.title, {"rank": float(at)})


def _site_of(snapshot: Snapshot, suspect: Suspect, trouble: Trouble) -> Site | None:
    record, text = snapshot.record(suspect.path), snapshot.text(suspect.path)
    if record is None or text is None or record.language != "python" or record.digest != text.digest:
        return None
    tree = parse_shallow(text, "python")
    if tree is None or tree.root_node.has_error:
        return None
    return Site(snapshot, resolver_of(snapshot), suspect, trouble, text, tree, record)


class _Checker:
    """Reads edited files anew and asks the checks about them; what they say of the project as it is, it keeps."""

    def __init__(self, snapshot: Snapshot, environment: Environment) -> None:
        self.snapshot, self.environment = snapshot, environment
        self._before: dict[str, Counter[tuple[str, str]]] = {}

    def checked(self, repair: Repair, confidence: float, *, whole: bool = True) -> Proposal | None:
        """None where the edits do not fit, break the syntax, or (asked about if `whole`) bring new findings."""
        edit = self._project_edit(repair)
        texts: dict[str, Text] = {}
        for path in edit.edits:
            text = self.snapshot.text(path)
            if text is None:
                return None
            texts[path] = text
        try:
            after = edit.texts_after(texts)
        except EditError:
            return None
        if all(texts[path].data == text.data for path, text in after.items()):
            return None
        proposal = Proposal(edit, repair.why, repair.rule, repair.path, repair.line, confidence)
        if not whole:
            trees = [parse_shallow(text, "python") for text in after.values()]
            return None if any(tree is None or tree.root_node.has_error for tree in trees) else proposal
        records = {path: read_record(text, "python") for path, text in after.items()}
        if any(record.errors for record in records.values()):
            return None
        there = replace(self.snapshot.after(records), read=_over(after, self.snapshot.read))
        for path in (*after, *self._dependents(repair, after)):
            if self._findings(there, path) - self._known(path):
                return None
        return replace(proposal, verified="clean")

    def _project_edit(self, repair: Repair) -> ProjectEdit:
        by_path: dict[str, list[Edit]] = {}
        texts: dict[str, Text] = {}
        for path, edit in repair.edits:
            by_path.setdefault(path, []).append(edit)
            text = self.snapshot.text(path)
            if text is not None:
                texts[path] = text
        return project_edit(by_path, texts)

    def _dependents(self, repair: Repair, edited: Iterable[str]) -> Iterator[str]:
        """Files that could notice: those that import an edited module, where something that has a name is changed."""
        if not repair.rule.startswith("renamed"):
            return
        known = set(edited)
        for path in list(known):
            name = self.snapshot.modules.dotted(path).rpartition(".")[2]
            others = [other for other in self.snapshot.files_naming(name) if other not in known]
            yield from others[:_DEPENDENTS]

    def _known(self, path: str) -> Counter[tuple[str, str]]:
        if path not in self._before:
            self._before[path] = self._findings(self.snapshot, path)
        return self._before[path]

    def _findings(self, snapshot: Snapshot, path: str) -> Counter[tuple[str, str]]:
        found = catalogue.findings(snapshot, path, self.environment)
        return Counter((one.code, one.message) for one in found if one.severity in ("error", "warning"))


def _over(after: Mapping[str, Text], read: Read) -> Read:
    return lambda path: after.get(path) or read(path)


def odds(confidence: float) -> float:
    """The natural logarithm of the odds of a probability."""
    kept = min(max(confidence, 1e-6), 1 - 1e-6)
    return math.log(kept / (1 - kept))


def chance(log_odds: float) -> float:
    """The probability whose odds have this natural logarithm."""
    return 1.0 / (1.0 + math.exp(-max(min(log_odds, 40.0), -40.0)))
