"""What a change reaches that no name carries from file to file: circles of imports, and declared dependencies."""

from __future__ import annotations

from collections.abc import Set

from engram_context.checks import manifests
from engram_context.checks.cycles import Program, cycles_of, program_of
from engram_context.checks.dead_words import words_in
from engram_context.checks.dependencies import declared_by, imported_names
from engram_context.checks.whole import Whole, of_record

_NOTHING = frozenset[str]()


def reached(before: Whole, after: Whole, changed: Set[str]) -> frozenset[str]:
    """The files that a change of others reaches in these ways. What only hints speak of (dead code) is left out: it is
    found anew for the files that are asked about."""
    if _is_everywhere(before, after, changed):
        return frozenset(after.snapshot.records)
    return frozenset(_circles(before, after, changed) | _manifests(before, after, changed))


def _is_everywhere(before: Whole, after: Whole, changed: Set[str]) -> bool:
    """Whether the project declares something else, or has another package."""
    for path in changed:
        came_or_went = (path in before.snapshot.records) != (path in after.snapshot.records)
        if came_or_went and path.rpartition("/")[2].startswith("__init__."):
            return True
        if manifests.declares(path) and _declared(before, path) != _declared(after, path):
            return True
    return False


def _circles(before: Whole, after: Whole, changed: Set[str]) -> set[str]:
    programs = ((_program(before, path), _program(after, path)) for path in changed)
    if all(old == new for old, new in programs):
        return set()
    one, other = before.of(cycles_of), after.of(cycles_of)
    same = set(one.members) & set(other.members)
    found = {path for circle in (*one.members, *other.members) if circle not in same for path in circle}
    breaks = {at for at in one.breaks.keys() | other.breaks.keys() if one.breaks.get(at) != other.breaks.get(at)}
    for circle in same:
        if any(one.edges[path] != other.edges[path] for path in circle) or any(at[0] in circle for at in breaks):
            found |= circle
    return found


def _manifests(before: Whole, after: Whole, changed: Set[str]) -> set[str]:
    """They are told of what is imported nowhere and named by no text."""
    facts = (_words, _imports)
    if all(fact(before, path) == fact(after, path) for path in changed for fact in facts):
        return set()
    return {path for path in after.snapshot.records if manifests.declares(path)}


def _words(whole: Whole, path: str) -> frozenset[str]:
    record = whole.snapshot.records.get(path)
    return _NOTHING if record is None else words_in(whole, path, record)


def _imports(whole: Whole, path: str) -> frozenset[str]:
    record = whole.snapshot.records.get(path)
    return of_record(record, imported_names) if record is not None and record.language == "python" else _NOTHING


def _declared(whole: Whole, path: str) -> object:
    """What a manifest says, wherever it says it."""
    _, manifest = whole.of(declared_by).manifests.get(path, ("", None))
    if manifest is None:
        return None
    listed = tuple((one.name, one.group, one.extras) for one in manifest.requirements)
    return listed, manifest.name, manifest.is_open, manifest.is_declared, manifest.is_locked


def _program(whole: Whole, path: str) -> Program | None:
    record = whole.snapshot.records.get(path)
    return of_record(record, program_of) if record is not None and record.language == "python" else None
