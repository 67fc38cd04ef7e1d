"""Which files' findings a change can have changed: the rest need not be checked again.

A file's findings depend on its own text; on what other files say about the names that it mentions; and on how other
files use the names that it defines. `affected` follows these three ways from the files that differ, over names that
mean something else than before: such a name reaches whoever imports its file, directly or not, and mentions it, and
from there the names whose types depend on it. What no name carries (cycles of imports, what a manifest declares) is
added by itself. That what is left out has the findings it had is what the tests compare with checks from scratch.
"""

from __future__ import annotations

from collections.abc import Iterable

from engram_context.checks.definitions import OPEN_SCOPES, Definition, definitions, uses
from engram_context.checks.imported import ImportGraph, import_graph, written_imports
from engram_context.checks.reach import reached
from engram_context.checks.whole import of_record, whole_of
from engram_context.imports import imported_as
from engram_context.outside.environment import Environment
from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot

# What a module's other names may depend on without mentioning it.
_CARRY_ALL = frozenset(("*", "__all__"))
_DYNAMIC = frozenset(("exec", "globals", "vars", "__getattr__", "__dict__", "setattr", "modules", "__path__"))
_NOTHING: dict[str, Definition] = {}


def affected(before: Snapshot, after: Snapshot, environment: Environment) -> frozenset[str]:
    """The files, of those that are there now, whose findings may differ between two snapshots of a project."""
    changed = after.differing_from(before)
    if not changed:
        return frozenset()
    one, other = (whole_of(snapshot, environment) for snapshot in (before, after))
    graphs = [whole.of(import_graph) for whole in (one, other)]
    found = changed | _defining_what_they_use(before, after, changed, graphs)
    found |= _mentioning_what_differs(before, after, changed, graphs)
    found |= reached(one, other, changed)
    return frozenset(found & after.records.keys())


def _written(record: FileRecord | None):
    return () if record is None else of_record(record, written_imports)


def _defining_what_they_use(
    before: Snapshot, after: Snapshot, changed: set[str], graphs: Iterable[ImportGraph]
) -> set[str]:
    """Files that define a name which the changed files use more, less or otherwise than before."""
    found: set[str] = set()
    for path in changed:
        old, new = (of_record(one, uses) if one is not None else {} for one in _pair(before, after, path))
        names = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        if _written(before.records.get(path)) != _written(after.records.get(path)):
            names |= new.keys()  # what they are read from may be another thing now
        within = set[str]().union(*(graph.imported_by((path,)) for graph in graphs)) if names else set[str]()
        for name in names:
            definers = {*after.definers[name], *before.definers[name]} - found
            found.update(one for one in definers & within if _offers(before, one, name) or _offers(after, one, name))
    return found


def _offers(snapshot: Snapshot, path: str, name: str) -> bool:
    """Whether a file holds a name where others can see it: at its top, or in a class."""
    record = snapshot.records.get(path)
    return record is not None and any(record.scopes.kind[scope] in OPEN_SCOPES for scope in record.bound(name))


def _mentioning_what_differs(
    before: Snapshot, after: Snapshot, changed: set[str], graphs: Iterable[ImportGraph]
) -> set[str]:
    """Files that mention a name whose meaning may be another one."""
    tainted: set[str] = set()
    for path in changed:
        old, new = (of_record(one, definitions) if one is not None else _NOTHING for one in _pair(before, after, path))
        tainted.update(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        if (path in before.records) != (path in after.records):
            tainted.add(imported_as(path))
    opened = {path for path in changed if len({_tells_all(one) for one in _pair(before, after, path)}) > 1}
    if opened or not tainted.isdisjoint(_CARRY_ALL):
        tainted.update(name for path in changed for name in _defined(after, path) | _defined(before, path))
    reach = set[str]().union(*(graph.importing(changed) for graph in graphs))
    appeared = {path for path in changed if (path in before.records) != (path in after.records)}
    for path in appeared:
        # Nothing leads from an import to a module that was not there.
        named = after.files_naming(imported_as(path))
        reach |= set[str](named).union(*(graph.importing(named) for graph in graphs))
    overrides = set[str]()
    for path in changed:
        old, new = (_members(one) for one in _pair(before, after, path))
        overrides |= old ^ new
    if overrides:
        # Who calls a method by what its class is derived from imports that, and not the class.
        bases = set[str]().union(*(graph.imported_by(changed) for graph in graphs))
        wide = set[str]().union(*(graph.importing(bases) for graph in graphs))
        reach |= {path for name in overrides for path in after.files_naming(name) if path in wide}
    found = {importer for path in opened for graph in graphs for importer in graph.importers.get(path, ())}
    waiting = list(tainted)
    while waiting:
        name = waiting.pop()
        for path in after.files_naming(name):
            if path not in reach:
                continue
            found.add(path)
            for defined, definition in of_record(after.records[path], definitions).items():
                if name in definition.mentions and defined not in tainted:
                    tainted.add(defined)
                    waiting.append(defined)
    return found


def _tells_all(record: FileRecord | None) -> tuple[bool, frozenset[str]]:
    """Whether a file's text says which names it has: what is broken or dynamic may have any."""
    return (False, frozenset()) if record is None else (not record.errors, _DYNAMIC.intersection(record.names))


def _members(record: FileRecord | None) -> frozenset[str]:
    """What the classes of a file have that are derived from others."""
    return frozenset() if record is None else of_record(record, _derived_members)


def _derived_members(record: FileRecord) -> frozenset[str]:
    derived = {scope.index for scope in record.scopes if scope.kind == "class" and scope.refs}
    columns = zip(record.symbols.scope, record.symbols.name, strict=True)
    return frozenset(record.names[name] for scope, name in columns if scope in derived)


def _defined(snapshot: Snapshot, path: str) -> set[str]:
    record = snapshot.records.get(path)
    return set() if record is None else set(of_record(record, definitions))


def _pair(before: Snapshot, after: Snapshot, path: str) -> tuple[FileRecord | None, FileRecord | None]:
    return before.records.get(path), after.records.get(path)
