"""Definitions that changed since HEAD while who uses them did not: names that went, arguments that now mean another
parameter, functions that became coroutines, modules that moved (moved.py).

Only files that differ from HEAD are compared, with what they were then; without a repository nothing is. A use on a
line that changed, too, has followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache

import tree_sitter

from engram_context.checks.check import Check, Code
from engram_context.checks.moved import moved_modules
from engram_context.checks.subject import Found, Subject
from engram_context.checks.whole import Whole, of_record
from engram_context.disk.history import History
from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.imports import Module
from engram_context.inference.calls import decorator_name
from engram_context.inference.members import ClassType, Instance
from engram_context.reader import read_record
from engram_context.records import (
    ASYNC,
    GENERATOR,
    KEYWORD_ONLY,
    KEYWORDS,
    KIND,
    OVERLOAD,
    POSITIONAL_ONLY,
    ROLE,
    STATIC_METHOD,
    VARIADIC,
    FileRecord,
)
from engram_context.resolve import MEMBER_ROLES, Resolver
from engram_context.targets import Slot
from engram_context.text import Location, Span, Text

_CLASS, _PARAMETER = KIND["class"], KIND["parameter"]
_DEFS = frozenset((KIND["function"], KIND["method"]))
_VALUES = frozenset((KIND["variable"], KIND["constant"], KIND["attribute"]))
_DEFINED = _DEFS | _VALUES | {_CLASS}
_IMPORT, _READ = ROLE["import"], ROLE["read"]
# Decorators that are called as what they decorate.
_TRANSPARENT = frozenset(
    ("staticmethod", "classmethod", "wraps", "cache", "lru_cache", "override", "final", "deprecated", "abstractmethod")
)
_ALIKE = 0.6  # how much of its text a definition keeps that has another name now
_MOST_COMPARED = 4000  # bytes
# What holds a coroutine that nobody waits for.
_NOT_AWAITED = frozenset(
    {"expression_statement", "attribute", "subscript", "binary_operator", "comparison_operator", "if_statement"}
    | {"boolean_operator", "not_operator", "for_statement", "while_statement", "with_item", "unary_operator"}
)


@dataclass(frozen=True, slots=True)
class Signature:
    """`owner` is the class it is called through, "" for a function; `positional` are the names of the parameters that
    take arguments by their place; `is_plain`: all of them may be given by name, too."""

    owner: str
    name: str
    positional: tuple[str, ...]
    is_async: bool
    is_plain: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A function or method that is there still. `scope`: the one that it is bound in now."""

    path: str
    scope: int
    old: Signature
    new: Signature


@dataclass(frozen=True, slots=True)
class Removed:
    """`owner`: the class that had it, "" for what stood at the top of the module. `became`: its name now, where a new
    definition of the same place looks much like it; `moved`: the module that has it now."""

    path: str
    owner: str
    name: str
    became: str | None
    moved: str | None = None


@dataclass(frozen=True, slots=True)
class FileChanges:
    changed: tuple[Changed, ...] = ()
    removed: tuple[Removed, ...] = ()
    added: frozenset[str] = frozenset()
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """By the name that is used: of a constructor the class's. `new`: the files that HEAD has not."""

    history: History | None = None
    new: tuple[str, ...] = ()
    changed: Mapping[str, tuple[Changed, ...]] = field(default_factory=dict[str, tuple[Changed, ...]])
    removed: Mapping[str, tuple[Removed, ...]] = field(default_factory=dict[str, tuple[Removed, ...]])


def changes_of(whole: Whole) -> Changes:
    """What the files of a project define otherwise than at HEAD."""
    history = History.of(whole.environment.root)
    if history is None:
        return Changes()
    changed: dict[str, list[Changed]] = {}
    removed: dict[str, list[Removed]] = {}
    added: dict[str, list[str]] = {}
    fresh: list[str] = []
    for path, record in whole.snapshot.records.items():
        if record.language != "python" or path.endswith(".pyi"):
            continue
        kept = of_record(record, _kept)
        key = (history.commit, path)
        if key not in kept:
            kept.clear()
            text = whole.snapshot.text(path)
            is_known = text is not None and text.digest == record.digest and not record.errors
            kept[key] = _file_changes(history, path, text, record) if is_known and text is not None else FileChanges()
        found = kept[key]
        if found.is_new:
            fresh.append(path)
        for one in found.changed:
            used = one.old.owner if one.old.name in ("__init__", "__new__") else one.old.name
            changed.setdefault(used, []).append(one)
        for one in found.removed:
            removed.setdefault(one.name, []).append(one)
        for name in found.added:
            added.setdefault(name, []).append(path)
    gone = {
        name: tuple(
            Removed(one.path, one.owner, name, None, added[name][0])
            if not one.owner and one.became is None and len(added.get(name, ())) == 1
            else one
            for one in ones
        )
        for name, ones in removed.items()
    }
    return Changes(history, tuple(fresh), {name: tuple(ones) for name, ones in changed.items()}, gone)


def _kept(_: FileRecord) -> dict[tuple[bytes, str], FileChanges]:
    return {}


def _file_changes(history: History, path: str, text: Text, record: FileRecord) -> FileChanges:
    if history.is_same(path, text):
        return FileChanges()
    before = history.text(path)
    new = _definitions(record)
    if before is None:
        return FileChanges(added=_importable(new), is_new=not history.has(path))
    old_record = _record_at_head(before)
    if old_record.errors:
        return FileChanges()
    old = _definitions(old_record)
    changed: list[Changed] = []
    for key in old.keys() & new.keys():
        one, other = _callable(old_record, key, old[key]), _callable(record, key, new[key])
        if one is not None and other is not None and one != other:
            changed.append(Changed(path, record.symbols.scope[new[key][0]], one, other))
    fresh = [key for key in new if key not in old]
    removed: list[Removed] = []
    for owner, name in old.keys() - new.keys():
        if owner and (("", owner) not in new or _is_bound(record, owner, name)):
            continue  # the whole class went, or the name is something else now
        if (not owner and record.bindings(0, name)) or name.startswith("__"):
            continue
        others = {key: new[key] for key in fresh if key[0] == owner}
        became = _became(text, before, old[owner, name], old_record, record, others)
        removed.append(Removed(path, owner, name, became))
    order = sorted(removed, key=lambda one: (one.owner, one.name))
    added = _importable(fresh)
    return FileChanges(tuple(sorted(changed, key=lambda one: (one.old.owner, one.old.name))), tuple(order), added)


def _importable(keys: Iterable[tuple[str, str]]) -> frozenset[str]:
    return frozenset(name for owner, name in keys if not owner and not name.startswith("__"))


@lru_cache(maxsize=128)
def _record_at_head(text: Text) -> FileRecord:
    return read_record(text, "python")


Definitions = dict[tuple[str, str], tuple[int, ...]]
"""The symbols of what a module defines at its top, imports apart, and of the members of its classes, by (class or "",
name)."""


def _definitions(record: FileRecord) -> Definitions:
    found: Definitions = {}
    symbols = record.symbols
    for row in record.symbols_in(0):
        if symbols.kind[row] not in _DEFINED:
            continue
        name = record.names[symbols.name[row]]
        found["", name] = (*found.get(("", name), ()), row)
        inner = symbols.inner[row]
        if symbols.kind[row] == _CLASS and inner >= 0:
            for member in record.symbols_in(inner):
                if symbols.kind[member] in _DEFINED:
                    key = (name, record.names[symbols.name[member]])
                    found[key] = (*found.get(key, ()), member)
    return found


def _is_bound(record: FileRecord, owner: str, name: str) -> bool:
    inner = [record.symbols.inner[row] for row in record.bindings(0, owner)]
    return any(scope >= 0 and record.bindings(scope, name) for scope in inner)


def _callable(record: FileRecord, key: tuple[str, str], rows: tuple[int, ...]) -> Signature | None:
    """How a definition is called; None where that cannot be said plainly."""
    symbols = record.symbols
    if len(rows) != 1 or symbols.kind[rows[0]] not in _DEFS or symbols.flags[rows[0]] & OVERLOAD:
        return None
    row = rows[0]
    names = {decorator_name(record, ref) for ref in record.symbols[row].decorators}
    if not names <= _TRANSPARENT or symbols.inner[row] < 0:
        return None
    positional: list[str] = []
    is_plain = True
    for parameter in record.symbols_in(symbols.inner[row]):
        if symbols.kind[parameter] != _PARAMETER:
            continue
        flags = symbols.flags[parameter]
        if not flags & (VARIADIC | KEYWORDS | KEYWORD_ONLY):
            positional.append(record.names[symbols.name[parameter]])
            is_plain &= not flags & POSITIONAL_ONLY
    owner, name = key
    flags = symbols.flags[row]
    if owner and not flags & STATIC_METHOD:
        positional = positional[1:]
    is_async = bool(flags & ASYNC) and not flags & GENERATOR
    return Signature(owner, name, tuple(positional), is_async, is_plain)


def _became(
    text: Text, before: Text, rows: tuple[int, ...], old: FileRecord, new: FileRecord, fresh: Definitions
) -> str | None:
    """The name under which a definition goes on: that of the new one that is most like it."""
    best, name = _ALIKE, None
    row = rows[0]
    was = _words(before, old, row)
    for (_, other), candidates in fresh.items():
        at = candidates[0]
        if _sort(new, at) != _sort(old, row):
            continue
        alike = SequenceMatcher(None, was, _words(text, new, at), autojunk=False).ratio()
        if alike > best:
            best, name = alike, other
        elif alike == best:
            name = None  # it might be either
    return name


def _sort(record: FileRecord, row: int) -> str:
    kind = record.symbols.kind[row]
    return "class" if kind == _CLASS else "function" if kind in _DEFS else "value"


def _words(text: Text, record: FileRecord, row: int) -> list[bytes]:
    """What a definition is compared by, without its name: its text, or that of the line which assigns it."""
    symbols = record.symbols
    after = symbols.span(row).end
    end = symbols.body_end[row] if symbols.kind[row] not in _VALUES else text.line_span(text.line_of(after)).end
    return re.findall(rb"\w+|[^\w\s]", text.data[after : min(end, after + _MOST_COMPARED)])


# --- uses ---------------------------------------------------------------------------------------------


def changed_signatures(subject: Subject) -> Found:
    """The uses in a file that did not follow what they use."""
    changes = subject.whole.of(changes_of)
    history = changes.history
    if history is None:
        return
    yield from moved_modules(subject, history, changes.new)
    if not (changes.changed or changes.removed):
        return
    names = {name: name for name in subject.record.names}
    names.update(
        (one.alias, one.name) for one in subject.record.imports if one.alias is not None and one.name is not None
    )
    followed: _Followed | None = None
    for name, meant in names.items():
        for removed in changes.removed.get(name, ()):
            followed = followed or _Followed(history, subject.path, subject.text)
            yield from _of_removed(subject, removed, followed)
        for changed in changes.changed.get(meant, ()):
            followed = followed or _Followed(history, subject.path, subject.text)
            yield from _of_changed(subject, name, changed, followed)


class _Followed:
    """Which lines of a file changed since HEAD."""

    def __init__(self, history: History, path: str, text: Text) -> None:
        self._text = text
        self._ranges = history.changed_lines(path, text)
        self.is_new = not history.has(path)

    def has(self, span: Span) -> bool:
        first, last = self._text.line_of(span.start), self._text.line_of(max(span.end - 1, span.start))
        return any(one.start <= last and first < one.stop for one in self._ranges)


def _of_removed(subject: Subject, removed: Removed, followed: _Followed) -> Found:
    path, record, resolver = subject.path, subject.record, subject.resolver
    for index in record.occurrences_of(removed.name):
        span = record.occurrences.span(index)
        if followed.has(span) or not _meant_removed(resolver, path, record, index, removed):
            continue
        what = f"'{removed.name}'" if not removed.owner else f"'{removed.owner}.{removed.name}'"
        fixes: tuple[Fix, ...] = ()
        if removed.became is not None:
            message = f"{what} is '{removed.became}' since the last commit"
            edit = project_edit({path: [Edit(span, removed.became)]}, {path: subject.text})
            fixes = (Fix(f"Rename to '{removed.became}' here, too", edit),)
        elif removed.moved is not None:
            message = f"{what} is in {removed.moved} since the last commit"
        else:
            message = f"{what} was removed from {removed.path} since the last commit"
        yield Finding("changed-signature", "warning", span, message, tuple(_now(subject, removed)), fixes), span


def _now(subject: Subject, removed: Removed) -> Iterator[tuple[Location, str]]:
    at, name = removed.moved or removed.path, removed.became or removed.name
    record = subject.snapshot.records.get(at)
    if record is None:
        return
    scopes = [0] if not removed.owner else [record.symbols.inner[row] for row in record.bindings(0, removed.owner)]
    for scope in scopes:
        for row in record.bindings(scope, name)[:1] if scope >= 0 else ():
            yield Location(at, record.symbols.span(row)), f"now '{name}'"


def _meant_removed(resolver: Resolver, path: str, record: FileRecord, index: int, removed: Removed) -> bool:
    """Whether a mention can only have meant what is there no more."""
    role = record.occurrences.role[index]
    if removed.owner:
        if role not in MEMBER_ROLES or resolver.of_occurrence(path, index):
            return False
        link = record.occurrences.link[index]
        types = resolver.types.of_ref(path, link)
        return (
            bool(types)
            and resolver.types.is_certain(path, link)
            and all(isinstance(one, ClassType | Instance) and _inherits(resolver, one, removed) for one in types)
        )
    if role == _IMPORT:
        imported = record.imports[record.occurrences.link[index]]
        if imported.name_occurrence != index:
            return False
        return Module(removed.path) in resolver.module(path, imported.module, imported.level) and not resolver.member(
            Module(removed.path), removed.name
        )
    if role in MEMBER_ROLES:
        types = resolver.types.of_ref(path, record.occurrences.link[index])
        return types == (Module(removed.path),) and not resolver.member(Module(removed.path), removed.name)
    if role != _READ or path != removed.path:
        return False
    names = resolver.names(path, removed.name)
    return names is not None and names.scope_of_occurrence(index) is None and not resolver.of_occurrence(path, index)


def _inherits(resolver: Resolver, one: ClassType | Instance, removed: Removed) -> bool:
    return any(
        owner.path == removed.path and resolver.types.name_of(owner) == removed.owner
        for owner in resolver.types.order(ClassType(one.path, one.scope))
    )


def _of_changed(subject: Subject, name: str, changed: Changed, followed: _Followed) -> Found:
    record = subject.record
    number = record.name_index(name)
    for row, callee in enumerate(record.calls.callee):
        if callee < 0 or record.occurrences.name[callee] != number:
            continue
        call = record.calls[row]
        if followed.has(call.span) or not _calls(subject, callee, changed):
            continue
        yield from _at_call(subject, changed, row, record.occurrences.span(callee))


def _calls(subject: Subject, callee: int, changed: Changed) -> bool:
    """Whether a call is known to be one of the definition: by its name, or that of the class it makes objects of."""
    resolver, path = subject.resolver, subject.path
    slot = Slot(changed.path, changed.scope, changed.old.name)
    if changed.old.name in ("__init__", "__new__"):
        home = resolver.record(changed.path)
        owner = None if home is None else home.scopes[changed.scope].symbol
        if home is None or owner is None:
            return False
        slot = Slot(changed.path, home.symbols.scope[owner], changed.old.owner)
    meanings = resolver.meanings(path, callee, aliases=True)
    return meanings == (slot,) and resolver.is_decided(path, callee)


def _at_call(subject: Subject, changed: Changed, row: int, span: Span) -> Found:
    record, old, new = subject.record, changed.old, changed.new
    call = record.calls[row]
    arguments = [record.arguments[at] for at in call.arguments]
    what = old.owner if old.name in ("__init__", "__new__") else old.name
    related = tuple(_definition(subject, changed))
    if new.is_async and not old.is_async:
        node: tree_sitter.Node | None = subject.surroundings.node(call.span).parent
        while node is not None and node.type == "parenthesized_expression":
            node = node.parent
        if node is not None and node.type in _NOT_AWAITED:
            message = f"'{what}' is a coroutine since the last commit, and is not awaited here"
            yield Finding("changed-signature", "warning", span, message, related), call.span
    by_place = 0
    for argument in arguments:
        if argument.stars or argument.keyword is not None:
            break
        by_place += 1
    most = min(len(old.positional), len(new.positional))
    if by_place > most or any(argument.stars for argument in arguments):
        return
    for at in range(by_place):
        was, is_now = old.positional[at], new.positional[at]
        if was != is_now and was in new.positional:
            message = (
                f"argument {at + 1} of '{what}' was '{was}' and is '{is_now}' since the last commit:"
                f" {what}({', '.join(new.positional)})"
            )
            fixes = tuple(_by_name(subject, call.span, old, new, at, by_place))
            yield Finding("changed-signature", "warning", span, message, related, fixes), call.span
            return


def _definition(subject: Subject, changed: Changed) -> Iterator[tuple[Location, str]]:
    record = subject.snapshot.records.get(changed.path)
    if record is not None:
        was = f"{changed.old.name}({', '.join(changed.old.positional)})"
        for row in record.bindings(changed.scope, changed.new.name)[:1]:
            yield Location(changed.path, record.symbols.span(row)), f"the last commit had {was}"


def _by_name(subject: Subject, call: Span, old: Signature, new: Signature, first: int, count: int) -> Iterator[Fix]:
    """The arguments from the first that means another parameter on, given by their names."""
    names = old.positional[first:count]
    if not new.is_plain or not set(names) <= set(new.positional):
        return
    node = subject.surroundings.node(call)
    listed = node.child_by_field_name("arguments")
    if listed is None:
        return
    given = [child for child in listed.named_children if child.type != "comment"][first:count]
    starts = [child.start_byte for child in given]
    edits = [Edit(Span(start, start), f"{name}=") for start, name in zip(starts, names, strict=True)]
    yield Fix(
        f"Pass {', '.join(repr(name) for name in names)} by name",
        project_edit({subject.path: edits}, {subject.path: subject.text}),
    )


CHECK = Check(
    changed_signatures,
    (Code("changed-signature", "warning", frozenset(), needs_project=True),),
    of_project=True,
)
