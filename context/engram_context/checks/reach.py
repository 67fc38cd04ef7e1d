"""What a change reaches that no name carries from file to file: circles of imports, declared dependencies, code that
dies or comes to life with what uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from engram_context.checks import manifests
from engram_context.checks.cycles import Program, cycles_of, program_of
from engram_context.checks.dead import (
    ASKED_OF_ALL,
    Dead,
    definitions_in,
    parts_in,
    protocol_members_of,
)
from engram_context.checks.dead_words import words_in
from engram_context.checks.dependencies import declared_by
from engram_context.checks.imported import import_graph
from engram_context.checks.whole import Whole, of_record
from engram_context.records import ROLE, FileRecord
from engram_context.resolve import Resolver

_ATTRIBUTE = ROLE["attribute"]
_MOST_NAMES = 300
_NOTHING = frozenset[str]()
Key = tuple[str, int]
Contexts = Mapping[str, frozenset[tuple[str, ...]]]


def reached(before: Whole, after: Whole, changed: Set[str], found: Set[str]) -> frozenset[str]:
    """Files, of either snapshot, besides those that are `found` already because of the `changed` ones."""
    reach = _Reach(before, after, changed)
    if reach.is_everywhere():
        return frozenset(after.snapshot.records)
    return frozenset(reach.circles() | reach.manifests() | reach.dead(found))


class _Reach:
    def __init__(self, before: Whole, after: Whole, changed: Set[str]) -> None:
        self.before, self.after, self.changed = before, after, changed
        self._words = frozenset[str]().union(*(self._differing_words(path) for path in changed))

    def _pairs(self) -> Iterator[tuple[FileRecord | None, FileRecord | None]]:
        """The Python files that changed, as they were and are."""
        for path in self.changed:
            yield _record(self.before, path), _record(self.after, path)

    def is_everywhere(self) -> bool:
        """Whether the project declares something else, has another package, or looks names up in another way."""
        for path in self.changed:
            if path.rpartition("/")[2].startswith("__init__.") and self._came_or_went(path):
                return True
            if manifests.declares(path) and _declared(self.before, path) != _declared(self.after, path):
                return True
            old, new = _record(self.before, path), _record(self.after, path)
            names = {*(() if old is None else old.names)} ^ {*(() if new is None else new.names)}
            for name in ASKED_OF_ALL & names:
                if bool(self.before.snapshot.files_naming(name)) != bool(self.after.snapshot.files_naming(name)):
                    return True
            if _parts(self.before, path) != _parts(self.after, path):
                return True
        return False

    def _came_or_went(self, path: str) -> bool:
        return (path in self.before.snapshot.records) != (path in self.after.snapshot.records)

    def _differing_words(self, path: str) -> frozenset[str]:
        old, new = (
            _NOTHING if record is None else words_in(whole, path, record)
            for whole in (self.before, self.after)
            for record in (whole.snapshot.records.get(path),)
        )
        return old ^ new

    def circles(self) -> set[str]:
        programs = ((_program(old), _program(new)) for old, new in self._pairs())
        if all(old == new for old, new in programs):
            return set()
        one, other = self.before.of(cycles_of), self.after.of(cycles_of)
        same = set(one.members) & set(other.members)
        found = {path for circle in (*one.members, *other.members) if circle not in same for path in circle}
        for circle in same:
            if any(one.edges[path] != other.edges[path] for path in circle) or any(
                one.breaks.get(at) != other.breaks.get(at)
                for at in one.breaks.keys() | other.breaks.keys()
                if at[0] in circle
            ):
                found |= circle
        return found

    def manifests(self) -> set[str]:
        if not self._words:
            return set()
        return {path for path in self.after.snapshot.records if manifests.declares(path)}

    # --- dead code ------------------------------------------------------------------------------------

    def dead(self, found: Set[str]) -> set[str]:
        one, other = self.before.snapshot, self.after.snapshot
        names: set[str] = set(self._words)
        for old, new in self._pairs():
            names |= _differing(_contexts(old), _contexts(new))
            names |= _protocol(old) ^ _protocol(new)
        for path in found - self.changed:
            names |= _attributes(_record(self.after, path))
        reached = self._modules()
        if not names:
            return reached
        known = {name for name in names if one.definers[name] or other.definers[name]}
        if len(known) > _MOST_NAMES:
            return reached.union(*(other.definers[name] for name in known))
        resolvers = Resolver(one), Resolver(other)
        waiting, seen = list(known), set(known)
        while waiting:
            name = waiting.pop()
            for path in {*one.definers[name], *other.definers[name]}:
                old, new = (
                    dict(_likely(whole, resolver, path, name))
                    for whole, resolver in zip((self.before, self.after), resolvers, strict=True)
                )
                flipped = {key for key in old.keys() | new.keys() if _sure(old, key) != _sure(new, key)}
                if not flipped:
                    continue
                reached.add(path)
                for key in flipped:
                    for _, mentioned in (both[key] for both in (old, new) if key in both):
                        waiting.extend(mentioned - seen)
                        seen |= mentioned
            if len(seen) > 10 * _MOST_NAMES:
                return reached.union(other.records)
        return reached

    def _modules(self) -> set[str]:
        """Modules that are imported no more, or for the first time, or named in a text."""
        graphs = self.before.of(import_graph), self.after.of(import_graph)
        found: set[str] = set()
        for path in self.changed:
            one, other = (graph.imports.get(path, _NOTHING) for graph in graphs)
            found |= one ^ other
        for word in self._words:
            found.update(self.after.snapshot.modules.stems.get(word, ()))
        for old, new in self._pairs():
            for name in {*(() if old is None else old.names)} ^ {*(() if new is None else new.names)}:
                found.update(self.after.snapshot.modules.stems.get(name, ()))
        return found


def _sure(of: Mapping[Key, tuple[float, frozenset[str]]], key: Key) -> float:
    return of[key][0] if key in of else 0.0


def _likely(
    whole: Whole, resolver: Resolver, path: str, name: str
) -> Iterator[tuple[Key, tuple[float, frozenset[str]]]]:
    """(how likely it is dead, what its body mentions) of each definition of a name, by its class and its number."""
    record = _record(whole, path)
    if record is None:
        return
    dead = whole.of(Dead)
    number = 0
    for row, definition in of_record(record, definitions_in).items():
        if definition.name == name:
            owner = record.scopes.owner_name[definition.scope]
            key = (record.names[owner] if owner >= 0 else "", number)
            number += 1
            yield key, (dead.confidence(resolver, path, row), _mentioned(record, row))


def _mentioned(record: FileRecord, row: int) -> frozenset[str]:
    low, high = record.symbols.body_start[row], record.symbols.body_end[row]
    starts, names = record.occurrences.start, record.occurrences.name
    return frozenset(record.names[names[at]] for at, start in enumerate(starts) if low <= start < high)


def _record(whole: Whole, path: str) -> FileRecord | None:
    record = whole.snapshot.records.get(path)
    return record if record is not None and record.language == "python" else None


def _declared(whole: Whole, path: str) -> object:
    """What a manifest says, wherever it says it."""
    _, manifest = whole.of(declared_by).manifests.get(path, ("", None))
    if manifest is None:
        return None
    listed = tuple((one.name, one.group, one.extras) for one in manifest.requirements)
    return listed, manifest.name, manifest.is_open, manifest.is_declared, manifest.is_locked


def _parts(whole: Whole, path: str) -> frozenset[str]:
    record = _record(whole, path)
    return _NOTHING if record is None else parts_in(Resolver(whole.snapshot), path, record)


def _program(record: FileRecord | None) -> Program | None:
    return None if record is None else of_record(record, program_of)


def _protocol(record: FileRecord | None) -> frozenset[str]:
    return _NOTHING if record is None else of_record(record, protocol_members_of)


def _contexts(record: FileRecord | None) -> Contexts:
    return {} if record is None else of_record(record, _contexts_of)


def _contexts_of(record: FileRecord) -> Contexts:
    """By name: for each mention, its role, the last name of its receiver, and the definitions that it stands in."""
    chains: dict[int, tuple[str, ...]] = {}
    for scope in range(len(record.scopes)):
        parent, owner = record.scopes.parent[scope], record.scopes.owner_name[scope]
        above = chains.get(parent, ())
        chains[scope] = (*above, record.names[owner]) if owner >= 0 else above
    found: dict[str, set[tuple[str, ...]]] = {}
    occurrences = record.occurrences
    for name, scope, role, link in zip(
        occurrences.name, occurrences.scope, occurrences.role, occurrences.link, strict=True
    ):
        receiver = record.names[occurrences.name[link]] if role == _ATTRIBUTE and link >= 0 else ""
        found.setdefault(record.names[name], set()).add((str(role), receiver, *chains[scope]))
    return {name: frozenset(places) for name, places in found.items()}


def _differing(one: Contexts, other: Contexts) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def _attributes(record: FileRecord | None) -> set[str]:
    if record is None:
        return set()
    columns = zip(record.occurrences.name, record.occurrences.role, strict=True)
    return {record.names[name] for name, role in columns if role == _ATTRIBUTE}
