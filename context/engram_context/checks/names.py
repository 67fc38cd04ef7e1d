"""Names that nothing binds: no scope of the file, no star import, no builtin."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from engram_context.checks.check import Check, Code
from engram_context.checks.exports import fixes_of_undefined
from engram_context.checks.module_names import binds_dynamically
from engram_context.checks.subject import Found, Subject
from engram_context.checks.surroundings import Surroundings
from engram_context.checks.usage import Usage
from engram_context.completion.candidates import import_path
from engram_context.completion.import_edit import import_edit
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.imports import Module
from engram_context.outside.environment import BUILTIN_NAMES
from engram_context.records import ROLES, SCOPE_KINDS, FileRecord
from engram_context.scopes import visible_scopes
from engram_context.text import Span

_MODULE_NAMES = frozenset(
    {"__name__", "__file__", "__doc__", "__package__", "__spec__", "__loader__", "__builtins__", "__annotations__"}
    | {"__dict__", "__cached__", "__debug__", "__warningregistry__", "__conditional_annotations__"}
)
_CLASS_NAMES = frozenset(("__module__", "__qualname__", "__class__", "__firstlineno__", "__static_attributes__"))
_IMPORTS_OFFERED = 3
_LEAST_LETTERS = 4
_CLASS = SCOPE_KINDS.index("class")
_STRING = ROLES.index("string")


def undefined_names(subject: Subject) -> Found:
    """Names that are read, or listed in `__all__`, and defined nowhere, as far as that can be known."""
    path, text, record, usage = subject.path, subject.text, subject.record, subject.usage
    candidates = [
        index
        for index in usage.free
        if (0, record.occurrences.name[index]) not in usage.declared and not _is_implicit(path, record, index)
    ]
    if not candidates:
        return
    starred = subject.module_names.stars_in(path, record)
    is_open = starred is None or binds_dynamically(text)
    for index in candidates:
        occurrence = record.occurrences[index]
        name, span = occurrence.name, occurrence.span
        if (starred is not None and name in starred) or (is_open and not _is_misspelt(subject, index)):
            continue
        if occurrence.role == "string":
            if _is_submodule(subject, name) or 0 in record.bound("__getattr__"):
                continue
            message = f"'{name}' is in __all__ but the module does not define it"
            fixes = fixes_of_undefined(subject, span, name)
            yield Finding("undefined-export", "warning", span, message, fixes=fixes), span
            continue
        around = subject.surroundings
        if around.handles(span, b"NameError") or around.depends_on_platform(span):
            continue
        if _is_other_cast(record, around, span):
            continue
        edits = list(_imports_of(subject, name))
        for near in difflib.get_close_matches(name, _visible(record, usage, occurrence.scope), n=1, cutoff=0.8):
            edits.append((f"Change to '{near}'", Edit(span, near)))  # noqa: PERF401
        fixes = [Fix(title, project_edit({path: [edit]}, {path: text})) for title, edit in edits]
        yield Finding("undefined-name", "error", span, f"'{name}' is not defined", fixes=tuple(fixes)), span


def _is_misspelt(subject: Subject, index: int) -> bool:
    """Whether a name that a module may have made in ways of its own is rather a local variable's, written wrongly: the
    project mentions it here alone."""
    record = subject.record
    occurrence = record.occurrences[index]
    name = occurrence.name
    if occurrence.role == "string" or len(record.occurrences_of(name)) > 1 or len(name) < _LEAST_LETTERS:
        return False
    if subject.snapshot.files_naming(name) != (subject.path,):
        return False
    local = [scope for scope in visible_scopes(record, occurrence.scope) if scope]
    return bool(difflib.get_close_matches(name, _names_of(record, subject.usage, local), n=1, cutoff=0.8))


def _is_implicit(path: str, record: FileRecord, index: int) -> bool:
    """Names that are there without being bound: builtins, a module's own, a class body's own."""
    name = record.names[record.occurrences.name[index]]
    if record.occurrences.role[index] == _STRING:
        return name in _MODULE_NAMES
    if name in BUILTIN_NAMES or name in _MODULE_NAMES:
        return True
    if name == "__path__":
        return PurePosixPath(path).name == "__init__.py"
    if name not in _CLASS_NAMES:
        return False
    scope = record.occurrences.scope[index]
    while scope >= 0:
        if record.scopes.kind[scope] == _CLASS:
            return True
        scope = record.scopes.parent[scope]
    return False


def _is_other_cast(record: FileRecord, around: Surroundings, span: Span) -> bool:
    """Whether a name stands in a string given to a `cast` that is not typing's: then it is no name at all."""
    node = around.node(span)
    if node.type == "identifier":
        return False
    while node.parent is not None and node.type != "argument_list":
        if node.type in ("type", "block", "module"):
            return False
        node = node.parent
    called = node.parent.child_by_field_name("function") if node.parent is not None else None
    if called is None:
        return False
    owner, _, name = (called.text or b"").decode("utf-8", "replace").rpartition(".")
    if owner:
        return owner not in ("typing", "typing_extensions", "t", "te", "_t")
    sources = {row.module for row in record.imports if row.bound_name == name}
    return sources.isdisjoint(("typing", "typing_extensions"))


def _is_submodule(subject: Subject, name: str) -> bool:
    """Whether a package has a module of that name, which its `__all__` may then list."""
    here = Module(subject.path)
    if not here.is_package:
        return False
    found = subject.snapshot.modules.child(here.directory, name)
    return found is not None or subject.is_on_disk(here.directory, name)


def _imports_of(subject: Subject, name: str) -> Iterator[tuple[str, Edit]]:
    """The imports that would define a name, with what to call them in a menu."""
    tree = subject.surroundings.tree
    for module in import_path(subject.snapshot, name)[:_IMPORTS_OFFERED]:
        edit = import_edit(subject.text, module, name, tree)
        if edit is not None and module != subject.snapshot.modules.dotted(subject.path):
            yield f"Import '{name}' from '{module}'", edit
    if subject.environment.is_stdlib(name) or subject.snapshot.modules.find(subject.path, name) is not None:
        edit = import_edit(subject.text, name, None, tree)
        if edit is not None:
            yield f"Import '{name}'", edit


def _visible(record: FileRecord, usage: Usage, scope: int) -> list[str]:
    """Names that a scope can see: its own and its parents', without the classes' around it."""
    return _names_of(record, usage, visible_scopes(record, scope))


def _names_of(record: FileRecord, usage: Usage, scopes: Iterable[int]) -> list[str]:
    chain = set(scopes)
    return [record.names[number] for held, number in usage.symbols if held in chain]


CHECK = Check(
    undefined_names,
    (
        Code(
            "undefined-name",
            "error",
            frozenset(("F821", "undefined-variable", "E0602", "name-defined", "reportUndefinedVariable")),
            of_types=True,
        ),
        Code(
            "undefined-export",
            "warning",
            frozenset(("F822", "undefined-all-variable", "E0603", "reportUnsupportedDunderAll")),
            of_types=True,
        ),
    ),
)
