"""Which file imports which, of a whole snapshot: what a change in one file can reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from engram_context.checks.whole import Whole, of_record
from engram_context.imports import Module, ModuleMap
from engram_context.records import FileRecord

Written = tuple[tuple[str, int, str], ...]
"""What a file imports, in its own words: module, leading dots, name ("" where the module itself is imported)."""


@dataclass(frozen=True, slots=True)
class ImportGraph:
    """`imports`: the files that each file imports something from, packages on the way included; `importers`: the other
    way round."""

    imports: Mapping[str, frozenset[str]]
    importers: Mapping[str, frozenset[str]]

    def importing(self, paths: Iterable[str]) -> set[str]:
        """Those files, and all that import them, directly or not."""
        return _reached(paths, self.importers)

    def imported_by(self, paths: Iterable[str]) -> set[str]:
        """Those files, and all that they import, directly or not."""
        return _reached(paths, self.imports)


def import_graph(whole: Whole) -> ImportGraph:
    """Every import of every Python file counts, whenever it runs."""
    snapshot = whole.snapshot
    modules = snapshot.modules
    # A folder without files of its own is a package, too, whose name no file has.
    here = {*modules.stems, *(directory.rpartition("/")[2] for directory in modules.directories)}
    imports: dict[str, frozenset[str]] = {}
    importers: dict[str, set[str]] = {}
    # What an import means depends on the folder that it is written in.
    meant: dict[tuple[str, str, int, str], frozenset[str]] = {}
    for path, record in snapshot.records.items():
        if not path.endswith((".py", ".pyi", ".pyw")):
            continue
        kept = of_record(record, _places)
        if kept.get(path, (None, frozenset[str]()))[0] is not modules:
            found = set[str]()
            for module, level, name in of_record(record, written_imports):
                key = (path.rpartition("/")[0], module, level, name)
                if key not in meant:
                    meant[key] = frozenset(_resolved(modules, here, path, module, level, name))
                found |= meant[key]
            kept[path] = (modules, frozenset(found - {path}))
        imports[path] = found = kept[path][1]
        for imported in found:
            importers.setdefault(imported, set()).add(path)
    return ImportGraph(imports, {path: frozenset(found) for path, found in importers.items()})


def written_imports(record: FileRecord) -> Written:
    """Each once, sorted."""
    return tuple(sorted({(one.module, one.level, one.name or "") for one in record.imports}))


def _places(_: FileRecord) -> dict[str, tuple[ModuleMap | None, frozenset[str]]]:
    """Which files a file at a path imports, with the modules of which that holds."""
    return {}


def _resolved(modules: ModuleMap, here: set[str], path: str, module: str, level: int, name: str) -> set[str]:
    parts = module.split(".")
    if not level and parts[0] not in here:
        return set()
    found: set[str] = set()
    for depth in range(1, len(parts)):
        found.update(_file(modules.find(path, ".".join(parts[:depth]), level)))
    whole = modules.find(path, module, level)
    found.update(_file(whole))
    if name and whole is not None and whole.is_package:
        found.update(_file(modules.child(whole.directory, name)))
    return found


def _file(module: Module | None) -> tuple[str, ...]:
    return () if module is None or module.is_namespace else (module.path,)


def _reached(paths: Iterable[str], edges: Mapping[str, Set[str]]) -> set[str]:
    seen = set(paths)
    waiting = list(seen)
    while waiting:
        for path in edges.get(waiting.pop(), ()):
            if path not in seen:
                seen.add(path)
                waiting.append(path)
    return seen
