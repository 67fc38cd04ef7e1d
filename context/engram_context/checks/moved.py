"""Modules that had another name at HEAD, at the imports that still say the old one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from engram_context.checks.check import Found
from engram_context.checks.subject import Subject
from engram_context.disk.history import History
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.records import Import
from engram_context.text import Location, Span, Text

_ALIKE = 0.6
_MOST_COMPARED = 20_000  # bytes
_MOST_CANDIDATES = 20


def moved_modules(subject: Subject, history: History, new: tuple[str, ...]) -> Found:
    """The imports of modules that are not there any more and are, by their text, one of the `new` files now."""
    told: set[Span] = set()
    for imported in subject.record.imports if new else ():
        found = _gone(subject, history, imported)
        if found is None or found[1] in told:
            continue
        old, span, is_name = found
        text = history.text(old)
        target = None if text is None else _like(subject, text, new)
        if target is None:
            continue
        told.add(span)
        dotted = subject.snapshot.modules.dotted(target)
        message = f"module '{_stem(old)}' is '{dotted}' since the last commit"
        fixes = tuple(_fix(subject, imported, old, target, dotted, span, is_name=is_name))
        related = ((Location(target, Span(0, 0)), "now here"),)
        yield Finding("changed-signature", "warning", span, message, related, fixes), imported.span


def _gone(subject: Subject, history: History, imported: Import) -> tuple[str, Span, bool] | None:
    """(the file at HEAD, where the import names it, whether as what is imported) of a module that is no more."""
    modules, record = subject.snapshot.modules, subject.record
    module = modules.find(subject.path, imported.module, imported.level)
    if module is not None:
        if imported.name in (None, "*") or imported.name_occurrence is None or not module.is_package:
            return None
        if subject.resolver.imported(subject.path, imported):
            return None
        old = _at_head(history, module.directory, str(imported.name))
        return None if old is None else (old, record.occurrences.span(imported.name_occurrence), True)
    parent, _, last = imported.module.rpartition(".")
    if imported.occurrence is None or not last:
        return None
    span = record.occurrences.span(imported.occurrence + imported.module.count("."))
    if parent or imported.level:
        package = modules.find(subject.path, parent, imported.level)
        folders = [package.directory] if package is not None and package.is_package else []
    else:
        folders = [subject.path.rpartition("/")[0], "", "src"]
    for folder in folders:
        old = _at_head(history, folder, last)
        if old is not None:
            return old, span, False
    return None


def _at_head(history: History, folder: str, name: str) -> str | None:
    base = f"{folder}/{name}" if folder else name
    return next((path for path in (f"{base}.py", f"{base}/__init__.py") if history.has(path)), None)


def _like(subject: Subject, text: Text, new: tuple[str, ...]) -> str | None:
    """The new file that is the old one, or much like it."""
    snapshot = subject.snapshot
    for path in new:
        if snapshot.records[path].digest == text.digest and len(text):
            return path
    was = _words(text)
    best, found = _ALIKE, None
    for path in new[:_MOST_CANDIDATES]:
        other = snapshot.text(path)
        if other is None or not 0.5 < (len(other) + 1) / (len(text) + 1) < 2:
            continue
        alike = SequenceMatcher(None, was, _words(other), autojunk=False)
        if alike.quick_ratio() > best and alike.ratio() > best:
            best, found = alike.ratio(), path
    return found


def _words(text: Text) -> list[bytes]:
    return re.findall(rb"\w+", text.data[:_MOST_COMPARED])


def _stem(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return folder.rpartition("/")[2] if name == "__init__.py" else name.partition(".")[0]


def _folder(path: str) -> str:
    """Where a module lies as a whole."""
    return path.removesuffix("/__init__.py").rpartition("/")[0]


def _fix(
    subject: Subject, imported: Import, old: str, target: str, dotted: str, span: Span, *, is_name: bool
) -> Iterator[Fix]:
    """Saying the new name, where nothing else in the file depends on the old one."""
    is_near = _folder(old) == _folder(target)
    if is_name:
        if not is_near:
            return
        edit = Edit(span, _stem(target) if imported.alias is not None else f"{_stem(target)} as {_stem(old)}")
    elif imported.name is None and imported.alias is None:
        return  # `import a.b` is used as a.b
    elif is_near:
        edit = Edit(span, _stem(target))
    elif imported.level or imported.occurrence is None:
        return
    else:
        edit = Edit(Span(subject.record.occurrences.start[imported.occurrence], span.end), dotted)
    yield Fix(f"Import from '{dotted}'", project_edit({subject.path: [edit]}, {subject.path: subject.text}))
