"""Imports of modules that are not there, and of names that a module of the project does not have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from engram_context.checks.check import Check, Code
from engram_context.checks.module_names import written_names
from engram_context.checks.subject import Found, Subject
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.imports import Module, imported_as
from engram_context.records import Import
from engram_context.text import Location, Span

# What type checkers bring along.
_OF_TYPE_CHECKERS = frozenset(("_typeshed", "typing_extensions", "mypy_extensions"))
_GUARDS = (b"ImportError", b"ModuleNotFoundError")


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is wrong with an import. `target` is the module that lacks something; `near` are names that it has."""

    code: str
    span: Span
    message: str
    target: str | None = None
    near: tuple[str, ...] = ()
    is_external: bool = False


def unresolved_imports(subject: Subject) -> Found:
    """Imports that cannot work. Those guarded by `except ImportError` or by a test of the platform are let be,
    and so is whatever cannot be known (no environment, compiled modules, modules made at run time)."""
    told: set[int] = set()
    for imported in subject.record.imports:
        if imported.module == "__future__":
            continue
        problem = _problem(subject, imported)
        if problem is None or problem.span.start in told:
            continue
        around = subject.surroundings
        if around.handles(imported.span, *_GUARDS) or around.depends_on_platform(imported.span):
            continue
        told.add(problem.span.start)
        fixes = tuple(
            Fix(
                f"Change to '{name}'",
                project_edit({subject.path: [Edit(problem.span, name)]}, {subject.path: subject.text}),
            )
            for name in problem.near
        )
        related = () if problem.target is None else ((Location(problem.target, Span(0, 0)), "the module"),)
        # What lies outside the project may be installed elsewhere; what is missing inside it is missing.
        severity = "warning" if problem.is_external else "error"
        yield Finding(problem.code, severity, problem.span, problem.message, related, fixes), imported.span


def _problem(subject: Subject, imported: Import) -> _Problem | None:
    modules = subject.snapshot.modules
    module = modules.find(subject.path, imported.module, imported.level)
    if module is not None:
        if _is_only_a_stub(subject, imported, module) and imported.occurrence is not None:
            last = imported.occurrence + imported.module.count(".")
            stem = imported_as(module.path)
            message = f"no module '{stem}': of it there is only the stub {module.path}"
            return _Problem("unresolved-import", subject.record.occurrences.span(last), message, module.path)
        # Any folder is a namespace package: the module that is meant may be installed under the same name.
        may_be_external = module.is_namespace and not imported.level
        if imported.name in (None, "*"):
            return _external(subject, imported) if may_be_external and subject.environment.search else None
        return _unknown_name(subject, imported, module, imported.name, may_be_external=may_be_external)
    if imported.level:
        return _relative(subject, imported)
    parts = imported.module.split(".")
    top = modules.find(subject.path, parts[0])
    if top is None or top.is_namespace:
        return _external(subject, imported)
    if subject.environment.has_module(imported.module) is True:
        return None
    return _missing_part(subject, imported, top, parts, 1)


def _is_only_a_stub(subject: Subject, imported: Import, module: Module) -> bool:
    """Whether an import names a module of a package of which only the stub is left. Compiled modules have stubs, too:
    most have an underscore in front, and others are on disk once they are built."""
    path, stem = module.path, imported_as(module.path)
    if not path.endswith(".pyi") or subject.path.endswith(".pyi") or imported.type_checking or module.is_package:
        return False
    package = f"{module.directory}/__init__.py" if module.directory else "__init__.py"
    if stem.startswith("_") or package not in subject.snapshot.modules.files or not imported.module:
        return False
    try:
        names = [entry.name for entry in (subject.environment.root / module.directory).iterdir()]
    except OSError:
        return True
    return not any(name.startswith(f"{stem}.") and not name.endswith(".pyi") for name in names)


def _unknown_name(
    subject: Subject, imported: Import, module: Module, name: str | None, *, may_be_external: bool
) -> _Problem | None:
    """The problem of `from module import name` where the module has no such name."""
    if name is None or imported.name_occurrence is None:
        return None
    if module.path == subject.path:
        # A package's __init__ that imports from itself: what this very import binds does not count.
        is_there = subject.snapshot.modules.child(module.directory, name) is not None
        if is_there or set(subject.record.bindings(0, name)) - {imported.bound}:
            return None
    elif _is_for_types(subject, imported):
        stub = Module(f"{module.path.removesuffix('.py')}.pyi")  # what type checkers read
        if stub.path in subject.snapshot.modules.files and subject.module_names.offers(stub, name) is not False:
            return None
        if subject.module_names.offers(module, name) is not False:
            return None
    elif (offered := subject.module_names.offers(module, name)) is not False and (
        offered or not _is_misspelt(subject, module, name)
    ):
        return None
    if module.is_package and subject.is_on_disk(module.directory, name):
        return None
    if may_be_external:
        return _external(subject, imported)
    candidates = [*_known_names(subject, module), *subject.snapshot.modules.submodules(module)]
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.75)
    spelled = "." * imported.level + imported.module
    return _Problem(
        "unknown-import-name",
        subject.record.occurrences.span(imported.name_occurrence),
        f"'{name}' is not in module '{spelled}' ({module.path.rstrip('/') or '.'})",
        None if module.is_namespace else module.path,
        tuple(near),
    )


def _known_names(subject: Subject, module: Module) -> Iterable[str]:
    """Those that a module's text says it has, whatever else it may have."""
    record = None if module.is_namespace else subject.snapshot.record(module.path)
    return () if record is None else subject.module_names.of(module.path) or written_names(record)


def _is_misspelt(subject: Subject, module: Module, name: str) -> bool:
    """Whether a name that a module may make in ways of its own is rather one that it has, written wrongly: its text
    does not mention the name, and has one that is much like it."""
    record = subject.snapshot.record(module.path)
    if record is None or record.errors or subject.module_names.stars_in(module.path, record) is None:
        return False
    text = subject.snapshot.text(module.path)
    if text is None or re.search(rb"\b_*%s\b" % re.escape(name).encode(), text.data) is not None:
        return False
    return bool(difflib.get_close_matches(name, written_names(record), n=1, cutoff=0.8))


def _relative(subject: Subject, imported: Import) -> _Problem | None:
    directory = PurePosixPath(subject.path).parent
    if imported.level > len(directory.parts) + 1:
        return None  # the project's root is opened inside a package: what is above it cannot be seen
    for _ in range(imported.level - 1):
        directory = directory.parent
    base = "" if str(directory) == "." else directory.as_posix()
    parts = imported.module.split(".") if imported.module else []
    return _missing_part(subject, imported, Module(base + "/"), parts, 0)


def _missing_part(subject: Subject, imported: Import, module: Module, parts: list[str], at: int) -> _Problem | None:
    """Walk down from `module` along `parts[at:]` to the first part that is not there."""
    modules = subject.snapshot.modules
    while module.is_package and at < len(parts):
        inner = modules.child(module.directory, parts[at])
        if inner is None:
            break
        module, at = inner, at + 1
    if at >= len(parts) or imported.occurrence is None or _makes_modules(subject, module.path):
        return None
    span = subject.record.occurrences.span(imported.occurrence + at)
    if not module.is_package:
        message = f"'{parts[at]}' cannot be imported from '{'.'.join(parts[:at])}': {module.path} is no package"
        return _Problem("unresolved-import", span, message, module.path)
    if subject.is_on_disk(module.directory, parts[at]):
        return None
    folder = f"{module.directory}/" if module.directory else ""
    near = difflib.get_close_matches(parts[at], list(modules.submodules(module)), n=1, cutoff=0.75)
    message = f"no module '{parts[at]}': neither {folder}{parts[at]}.py nor {folder}{parts[at]}/ exists"
    return _Problem("unresolved-import", span, message, near=tuple(near))


def _external(subject: Subject, imported: Import) -> _Problem | None:
    """A module that no file of the project is: the standard library or the environment should have it."""
    environment = subject.environment
    if environment.has_module(imported.module) is not False or imported.occurrence is None:
        return None
    if imported.module.partition(".")[0] in _OF_TYPE_CHECKERS and _is_for_types(subject, imported):
        return None
    parts = imported.module.split(".")
    depth = next(at for at in range(len(parts)) if environment.has_module(".".join(parts[: at + 1])) is False)
    span = subject.record.occurrences.span(imported.occurrence + depth)
    missing = ".".join(parts[: depth + 1])
    if environment.is_stdlib(missing):
        message = f"no module '{missing}' in the standard library"
    elif depth:
        message = f"no module '{missing}' in the installed package '{parts[0]}' ({environment.label})"
    else:
        message = f"no module '{missing}' in the project, the standard library or {environment.label}"
    return _Problem("unresolved-import", span, message, is_external=True)


def _is_for_types(subject: Subject, imported: Import) -> bool:
    """Whether an import is never run."""
    return imported.type_checking or subject.path.endswith(".pyi")


def _makes_modules(subject: Subject, path: str) -> bool:
    """Whether a module extends `__path__` or writes to `sys.modules`, so that files do not tell all."""
    record = subject.snapshot.record(path)
    return record is not None and any(record.name_index(name) is not None for name in ("__path__", "modules"))


CHECK = Check(
    unresolved_imports,
    (
        Code(
            "unresolved-import",
            "error",
            frozenset(
                ("import-error", "E0401", "import-not-found", "import-untyped", "import", "reportMissingImports")
            ),
            of_types=True,
            needs_project=True,
        ),
        Code(
            "unknown-import-name",
            "error",
            frozenset(("no-name-in-module", "E0611", "attr-defined", "reportAttributeAccessIssue")),
            of_types=True,
            needs_project=True,
        ),
    ),
    reads_broken=True,
)
