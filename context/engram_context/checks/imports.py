"""Imports of modules that are not there, and of names that a module of the project does not have."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from engram_context.checks.surroundings import Surroundings
from engram_context.edits import Edit, project_edit
from engram_context.environment import Environment
from engram_context.findings import Finding, Fix
from engram_context.imports import Module
from engram_context.records import FileRecord, Import
from engram_context.snapshot import Snapshot
from engram_context.text import Location, Span, Text

_GUARDS = (b"ImportError", b"ModuleNotFoundError")
# A module body that runs one of these may define any name.
_DYNAMIC = ("exec", "globals", "vars", "__getattr__", "__dict__", "setattr", "modules")
_MODULE_ATTRIBUTES = frozenset(
    ("__name__", "__file__", "__doc__", "__package__", "__spec__", "__loader__", "__path__", "__dict__", "__builtins__")
)


@dataclass(slots=True)
class ModuleNames:
    """The names that modules of one snapshot offer to importers. Made for one round of checks."""

    snapshot: Snapshot
    _known: dict[str, frozenset[str] | None] = field(default_factory=dict[str, "frozenset[str] | None"])

    def of(self, path: str) -> frozenset[str] | None:
        """All names in a module's namespace, submodules apart; None when only running it would tell."""
        if path not in self._known:
            self._known[path] = frozenset()  # what an import cycle sees of a module that is not done yet
            self._known[path] = self._read(path)
        return self._known[path]

    def starred(self, path: str) -> frozenset[str] | None:
        """The names that `from module import *` brings in."""
        record = self.snapshot.record(path)
        if record is None:
            return None
        if record.exports is not None and not any(name.endswith(".*") for name in record.exports):
            return frozenset(record.exports)
        names = self.of(path)
        return None if names is None else frozenset(name for name in names if not name.startswith("_"))

    def stars_in(self, path: str, record: FileRecord) -> frozenset[str] | None:
        """The names that the star imports of a file bring in; None when one of them cannot be known."""
        names: frozenset[str] = frozenset()
        for imported in record.imports:
            if imported.name != "*":
                continue
            module = self.snapshot.modules.find(path, imported.module, imported.level)
            more = None if module is None or module.is_namespace else self.starred(module.path)
            if more is None:
                return None
            names |= more
        return names

    def _read(self, path: str) -> frozenset[str] | None:
        record = self.snapshot.record(path)
        if record is None or record.errors:
            return None
        if any(record.name_index(name) is not None for name in _DYNAMIC):
            return None
        starred = self.stars_in(path, record)
        if starred is None:
            return None
        symbols = record.symbols
        own = (record.names[name] for scope, name in zip(symbols.scope, symbols.name, strict=True) if scope == 0)
        return starred.union(own)

    def offers(self, module: Module, name: str) -> bool | None:
        """Whether `from module import name` works, as far as the project's files tell."""
        if module.is_package and self.snapshot.modules.child(module.directory, name) is not None:
            return True
        if name in _MODULE_ATTRIBUTES:
            return True
        if module.is_namespace:
            return False
        names = self.of(module.path)
        if names is None:
            record = self.snapshot.record(module.path)
            return True if record is not None and 0 in record.bound(name) else None
        return name in names


def unresolved_imports(
    snapshot: Snapshot,
    path: str,
    text: Text,
    record: FileRecord,
    environment: Environment,
    names: ModuleNames,
    surroundings: Callable[[], Surroundings | None],
) -> Iterator[tuple[Finding, Span]]:
    """Imports that cannot work. Those guarded by `except ImportError` or by a test of the platform are let be,
    and so is whatever cannot be known (no environment, compiled modules, modules made at run time)."""
    told: set[int] = set()
    for imported in record.imports:
        if imported.module == "__future__" or (imported.occurrence is None and imported.name_occurrence is None):
            continue
        problem = _problem(snapshot, path, record, imported, environment, names)
        if problem is None or problem[1].start in told:
            continue
        around = surroundings()
        if around is None:
            return
        if around.handles(imported.span, *_GUARDS) or around.depends_on_platform(imported.span):
            continue
        code, span, message, external, target, near = problem
        told.add(span.start)
        fixes = tuple(
            Fix(f"Change to '{name}'", project_edit({path: [Edit(span, name)]}, {path: text})) for name in near
        )
        related = () if target is None else ((Location(target, Span(0, 0)), "the module"),)
        yield Finding(code, "warning" if external else "error", span, message, related, fixes), imported.span


_Problem = tuple[str, Span, str, bool, str | None, list[str]]
"""code, span, message, whether it concerns a module from outside, the module's path, names to change to"""


def _problem(
    snapshot: Snapshot, path: str, record: FileRecord, imported: Import, environment: Environment, names: ModuleNames
) -> _Problem | None:
    modules = snapshot.modules
    module = modules.find(path, imported.module, imported.level)
    if module is not None and not (module.is_namespace and not imported.level and imported.name is None):
        if imported.name in (None, "*"):
            return None
        name = imported.name
        assert name is not None
        offered = names.offers(module, name)
        if offered is not False or _on_disk(environment, module.directory, name, module.is_package):
            return None
        if module.is_namespace and not imported.level:
            # Any folder is a namespace package: the real one may be installed.
            return _external(record, imported, environment)
        if imported.name_occurrence is None:
            return None
        span = record.occurrences.span(imported.name_occurrence)
        known = names.of(module.path) if not module.is_namespace else None
        candidates = [*(known or ()), *modules.submodules(module)]
        near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.75)
        where = module.path.rstrip("/")
        message = f"'{name}' is not in module '{_spelled(imported)}' ({where})"
        return "unknown-import-name", span, message, False, None if module.is_namespace else module.path, near
    if module is not None:
        return None
    if imported.level:
        return _relative(snapshot, path, record, imported, environment)
    parts = imported.module.split(".")
    top = modules.find(path, parts[0])
    if top is None or top.is_namespace:
        return _external(record, imported, environment)
    # A package of the project: some part below it is missing.
    if environment.has_module(imported.module) is True:
        return None
    return _missing_part(modules.find(path, parts[0]), parts, 1, snapshot, record, imported, environment)


def _relative(
    snapshot: Snapshot, path: str, record: FileRecord, imported: Import, environment: Environment
) -> _Problem | None:
    directory = PurePosixPath(path).parent
    if imported.level > len(directory.parts) + 1:
        return None  # the project's root is opened inside a package: what is above it cannot be seen
    for _ in range(imported.level - 1):
        directory = directory.parent
    parts = imported.module.split(".") if imported.module else []
    base = "" if str(directory) == "." else directory.as_posix()
    return _missing_part(Module(base + "/"), parts, 0, snapshot, record, imported, environment)


def _missing_part(
    module: Module | None,
    parts: list[str],
    at: int,
    snapshot: Snapshot,
    record: FileRecord,
    imported: Import,
    environment: Environment,
) -> _Problem | None:
    """Walk down from `module` along `parts` to the first part that is not there."""
    while module is not None and module.is_package and at < len(parts):
        inner = snapshot.modules.child(module.directory, parts[at])
        if inner is None:
            break
        module, at = inner, at + 1
    if module is None or at >= len(parts) or imported.occurrence is None:
        return None
    if not module.is_package:
        if not module.is_namespace and _makes_modules(snapshot, module.path):
            return None
        message = f"'{parts[at]}' cannot be imported from '{'.'.join(parts[:at])}': {module.path} is no package"
        span = record.occurrences.span(imported.occurrence + at)
        return "unresolved-import", span, message, False, module.path, []
    if _on_disk(environment, module.directory, parts[at], True) or _makes_modules(snapshot, module.path):
        return None
    folder = f"{module.directory}/" if module.directory else ""
    near = difflib.get_close_matches(parts[at], list(snapshot.modules.submodules(module)), n=1, cutoff=0.75)
    message = f"no module '{parts[at]}': neither {folder}{parts[at]}.py nor {folder}{parts[at]}/ exists"
    span = record.occurrences.span(imported.occurrence + at)
    return "unresolved-import", span, message, False, None, near


def _external(record: FileRecord, imported: Import, environment: Environment) -> _Problem | None:
    """A module that is in no file of the project: the standard library or the environment should have it."""
    if environment.has_module(imported.module) is not False or imported.occurrence is None:
        return None
    parts = imported.module.split(".")
    depth = next(at for at in range(len(parts)) if environment.has_module(".".join(parts[: at + 1])) is False)
    span = record.occurrences.span(imported.occurrence + depth)
    missing = ".".join(parts[: depth + 1])
    if environment.is_stdlib(missing):
        message = f"no module '{missing}' in the standard library"
    elif depth:
        message = f"no module '{missing}' in the installed package '{parts[0]}' ({environment.label})"
    else:
        message = f"no module '{missing}' in the project, the standard library or {environment.label}"
    return "unresolved-import", span, message, True, None, []


def _spelled(imported: Import) -> str:
    return "." * imported.level + imported.module


def _on_disk(environment: Environment, directory: str, name: str, is_package: bool) -> bool:
    """Whether a folder of the project has a module that is no part of the snapshot: compiled, generated, ignored."""
    return is_package and environment.folder_has(environment.root / directory, name)


def _makes_modules(snapshot: Snapshot, path: str) -> bool:
    """Whether a module extends `__path__` or writes to `sys.modules`, so that files do not tell all."""
    record = snapshot.record(path)
    return record is not None and any(record.name_index(name) is not None for name in ("__path__", "modules"))
