"""Names that nothing binds: no scope of the file, no star import, no builtin."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from engram_context.checks.surroundings import Surroundings
from engram_context.checks.usage import Usage
from engram_context.edits import Edit, project_edit
from engram_context.environment import BUILTIN_NAMES
from engram_context.findings import Finding, Fix
from engram_context.records import ROLES, SCOPE_KINDS, FileRecord
from engram_context.text import Span, Text

_MODULE_NAMES = frozenset(
    (
        "__name__",
        "__file__",
        "__doc__",
        "__package__",
        "__spec__",
        "__loader__",
        "__builtins__",
        "__annotations__",
        "__dict__",
    )
    + ("__cached__", "__debug__", "__warningregistry__", "__conditional_annotations__")
)
_CLASS_NAMES = frozenset(("__module__", "__qualname__", "__class__", "__firstlineno__", "__static_attributes__"))
_DYNAMIC = re.compile(
    rb"(?m)^exec\s*\(|\b(?:globals|vars)\(\)(?:\[[^\]\n]+\]\s*=[^=]|\.(?:update|setdefault|__setitem__)\b)|"
    rb"=\s*(?:globals|vars)\(\)\s*$|\bexec\b[^\n]*\bglobals\(\)"
)
_CLASS = SCOPE_KINDS.index("class")
_STRING = ROLES.index("string")


def undefined_names(
    path: str,
    text: Text,
    record: FileRecord,
    usage: Usage,
    surroundings: Callable[[], Surroundings | None],
    is_submodule: Callable[[str], bool],
    star_names: Callable[[], frozenset[str] | None],
    imports_of: Callable[[str], tuple[tuple[str, Edit], ...]],
) -> Iterator[tuple[Finding, Span]]:
    """`is_submodule` says whether a package's `__all__` may name a module of it. `star_names` are the names that star imports bring in (None: cannot know); `imports_of` the imports that
    would define a name, each with the edit that adds it."""
    candidates = [
        index
        for index in usage.free
        if (0, record.occurrences.name[index]) not in usage.declared and not _is_implicit(path, record, index)
    ]
    if not candidates:
        return
    starred = star_names()
    if starred is None or _binds_dynamically(text):
        return
    names: set[str] | None = None
    for index in candidates:
        occurrence = record.occurrences[index]
        name, span = occurrence.name, occurrence.span
        if name in starred:
            continue
        around = surroundings()
        if around is None:
            return
        if occurrence.role == "string":
            if is_submodule(name):
                continue
            message = f"'{name}' is in __all__ but the module does not define it"
            yield Finding("undefined-export", "warning", span, message), span
            continue
        if (
            around.handles(span, b"NameError")
            or around.depends_on_platform(span)
            or _is_other_cast(record, around, span)
        ):
            continue
        if names is None:
            names = _names_in(record, usage)
        fixes = [Fix(title, project_edit({path: [edit]}, {path: text})) for title, edit in imports_of(name)]
        for near in difflib.get_close_matches(name, _visible(record, usage, occurrence.scope, names), n=1, cutoff=0.8):
            fixes.append(Fix(f"Change to '{near}'", project_edit({path: [Edit(span, near)]}, {path: text})))
        yield Finding("undefined-name", "error", span, f"'{name}' is not defined", fixes=tuple(fixes)), span


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


def _binds_dynamically(text: Text) -> bool:
    """Whether a module fills its own namespace by `exec` or through `globals()`."""
    return (
        any(word in text.data for word in (b"exec(", b"globals(", b"vars(")) and _DYNAMIC.search(text.data) is not None
    )


def _is_other_cast(record: FileRecord, around: Surroundings, span: Span) -> bool:
    """Whether a name stands in a string given to a `cast` that is not typing's: then it is no name at all."""
    node = around.node(span)
    while node.parent is not None and node.type != "argument_list":
        if node.type in ("type", "block", "module"):
            return False
        node = node.parent
    called = node.parent.child_by_field_name("function") if node.parent is not None else None
    if called is None or around.node(span).type == "identifier":
        return False
    owner, _, name = (called.text or b"").decode("utf-8", "replace").rpartition(".")
    if owner:
        return owner not in ("typing", "typing_extensions", "t", "te", "_t")
    sources = {row.module for row in record.imports if row.bound_name == name}
    return sources.isdisjoint(("typing", "typing_extensions"))


def _names_in(record: FileRecord, usage: Usage) -> set[str]:
    return {record.names[number] for _, number in usage.symbols}


def _visible(record: FileRecord, usage: Usage, scope: int, names: set[str]) -> list[str]:
    """Names that a scope can see: its own and its parents', without the classes' around it."""
    visible: list[str] = []
    chain: set[int] = set()
    first = scope
    while scope >= 0:
        if scope == first or record.scopes.kind[scope] != _CLASS:
            chain.add(scope)
        scope = record.scopes.parent[scope]
    for held, number in usage.symbols:
        if held in chain:
            visible.append(record.names[number])
    return visible
