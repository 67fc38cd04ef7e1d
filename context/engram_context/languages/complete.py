"""What may stand at a place in the languages that have no reader of their own: members where the receiver is known,
names in scope, and names of the project that could be imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tree_sitter import Tree

from engram_context.edits import Edit
from engram_context.imports import Module
from engram_context.languages.language import Language
from engram_context.languages.resolving import Names
from engram_context.reader import parse, read_record
from engram_context.records import EXPORT_ONLY, KIND, SCOPE_KIND, FileRecord
from engram_context.resolve import Resolver
from engram_context.targets import Slot, Target
from engram_context.text import Span, Text
from engram_context.views.symbols import match

if TYPE_CHECKING:
    from engram_context.completion.candidates import Candidate, Origin
    from engram_context.snapshot import Snapshot

Make = Callable[..., "Candidate"]

_WORD = re.compile(r"[^\W\d][\w$]*\Z|\Z")
_OPERATOR = re.compile(rb"(?:\.|->|::)\s*\Z")
_PLACEHOLDER = b"zz__"
_PROJECT_LETTERS = 2
"""Names of other files are offered once this many letters are there."""
_PROJECT_NAMES = 50
_CLASS, _NAMESPACE = SCOPE_KIND["class"], SCOPE_KIND["namespace"]
_IMPORT, _MODULE = KIND["import"], KIND["module"]


def is_silent(tree: Tree | None, offset: int) -> bool:
    """Whether a place is inside a string or a comment."""
    at = max(offset - 1, 0)
    node = None if tree is None else tree.root_node.descendant_for_byte_range(at, at)
    while node is not None and node.child_count == 0 and node.parent is not None and not node.is_named:
        node = node.parent if node.parent.type.find("string") >= 0 and node.end_byte > offset else None
    return node is not None and ("comment" in node.type or "string" in node.type or node.type == "char_literal")


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read of a text with some name at `start`."""

    text: Text
    start: int
    path: str
    resolver: Resolver
    found: dict[str, Candidate]
    is_open: bool  # to names of other files
    make: Make
    to_import: dict[str, Candidate | None] = field(default_factory=dict[str, "Candidate | None"])

    def holds(self, snapshot: Snapshot, path: str, text: Text, start: int) -> bool:
        """Whether reading anew would find the same."""
        is_here = (path, start) == (self.path, self.start) and text == self.text
        return is_here and self.resolver.snapshot.is_same_but_for(path, snapshot)

    def candidates(self, word: str, grown: int) -> tuple[Candidate, ...]:
        """All of them for a typed word; `text` is so many bytes longer than the one that is edited."""
        if not self.is_open or len(word) < _PROJECT_LETTERS:
            return tuple(self.found.values())
        found = dict(self.found)
        for candidate in self._of_project(word):
            edit = candidate.import_edit
            if edit is not None and edit.span.start > self.start:
                span = Span(edit.span.start - grown, edit.span.end - grown)
                candidate = replace(candidate, import_edit=replace(edit, span=span))
            found.setdefault(candidate.name, candidate)
        return tuple(found.values())

    def _of_project(self, word: str) -> list[Candidate]:
        definers, first = self.resolver.snapshot.definers, word[0].lower()
        if not definers.is_read:
            return []  # looking for each of them would take longer than a list may
        names = [name for name in definers.having(word) if name[0].lower() == first]
        scored = [(score, len(name), name) for name in names if (score := match(word, name)) is not None]
        found: list[Candidate] = []
        for _, _, name in sorted(scored)[: 4 * _PROJECT_NAMES]:
            if name not in self.to_import:
                self.to_import[name] = self._to_import(name)
            candidate = self.to_import[name]
            if candidate is not None:
                found.append(candidate)
            if len(found) >= _PROJECT_NAMES:
                break
        return found

    def _to_import(self, name: str) -> Candidate | None:
        names = self.resolver.others
        here = names.language(self.path)
        for path in names.defining(name):
            other = names.language(path)
            if here is None or other is None or path == self.path or other.module not in {here.module, *here.kin}:
                continue
            rows = names.bound(path, name).get(0, ())
            record = names.record(path)
            if not any(record.symbols.kind[row] != _IMPORT and other.is_visible(record, row) for row in rows):
                continue
            statement = here.import_statement(names, self.path, Slot(path, 0, name))
            made = _candidate(self.make, self.resolver, name, Slot(path, 0, name), "auto-import")
            edit = None if statement is None else _import_edit(self.text, names.record(self.path), statement)
            return replace(made, detail=path, import_edit=edit)
        return None


class Completions:
    """Keeps what was read last: while a word grows, all around it stays as it was."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._kept: Reading | None = None

    def at(self, snapshot: Snapshot, path: str, text: Text, offset: int) -> tuple[Candidate, ...]:
        record = snapshot.records[path]
        line = text.line_start(text.line_of(offset))
        found = _WORD.search(text.slice(Span(line, offset)))
        word = found[0] if found else ""
        start = offset - len(word.encode())
        # Without the end of a statement, what is being typed is often no expression yet.
        rest = text.slice(Span(offset, text.line_span(text.line_of(offset)).end)).lstrip()
        instead = _PLACEHOLDER if rest and not rest.startswith("}") else _PLACEHOLDER + b";"
        finished = text.splice(start, offset, instead)
        reading, self._kept = self._kept, None
        if reading is None or not reading.holds(snapshot, path, finished, start):
            reading = _read(snapshot, path, finished, start, record.language, self._make)
        self._kept = reading
        return reading.candidates(word, len(instead) - (offset - start))


def _read(snapshot: Snapshot, path: str, text: Text, start: int, language: str, make: Make) -> Reading:
    tree = parse(text, language)
    if is_silent(tree, start + 1):
        return Reading(text, start, path, Resolver(snapshot), {}, False, make)
    record = read_record(text, language, tree)
    resolver = Resolver(snapshot.after({path: record}))
    here = resolver.others.language(path)
    if here is None:
        return Reading(text, start, path, resolver, {}, False, make)
    operator = _OPERATOR.search(text.data[max(start - 80, 0) : start])
    found: dict[str, Candidate] = {}
    pairs = (
        _members(resolver.others, path, record, start)
        if operator
        else _names(resolver.others, here, path, record, start)
    )
    for name, target, origin in pairs:
        if name not in found and name.encode() != _PLACEHOLDER:
            found[name] = _candidate(make, resolver, name, target, origin)
    if operator is None:
        for word in sorted(here.keywords | here.offered):
            found.setdefault(word, make(word, "keyword", "", "keyword"))
    return Reading(text, start, path, resolver, found, operator is None, make)


Offered = Iterator["tuple[str, Target, Origin]"]


def _members(names: Names, path: str, record: FileRecord, start: int) -> Offered:
    index = record.occurrence_at(start)
    if index is None or record.occurrences.start[index] != start:
        return
    for holder in names.holders(path, record.occurrences.link[index]):
        for name, target in sorted(names.members(holder, path).items()):
            yield name, target, "member"


def _names(names: Names, here: Language, path: str, record: FileRecord, start: int) -> Offered:
    at = record.scope_at(start)
    while at >= 0:
        is_class = record.scopes.kind[at] == _CLASS
        for row in record.symbols_in(at):
            name, kind = record.names[record.symbols.name[row]], record.symbols.kind[row]
            is_open = not is_class or here.members_in_scope
            hidden = record.symbols.flags[row] & EXPORT_ONLY or kind == _MODULE or not is_open
            later = at > 0 and here.seen_from != "everywhere" and record.symbols.start[row] > start
            if not hidden and not later and record.symbols.start[row] != start:
                origin: Origin = "import" if kind == _IMPORT else "local" if at else "module"
                yield name, Slot(path, at, name), origin
        if is_class and here.members_in_scope:
            for owner in names.owner(path, at):
                for name, target in names.members(owner, path).items():
                    yield name, target, "member"
        if here.namespaces_closed and record.scopes.kind[at] == _NAMESPACE:
            return
        at = record.scopes.parent[at]
    for name, target in here.around(names, path):
        yield name, target, "module"


def _candidate(make: Make, resolver: Resolver, name: str, target: Target, origin: Origin) -> Candidate:
    for end in resolver.origins(target):
        if isinstance(end, Module):
            return make(name, "module", end.path, origin)
        rows = resolver.symbols_of(end) if isinstance(end, Slot) else ()
        record = resolver.record(end.path) if isinstance(end, Slot) else None
        if record is not None and rows:
            symbol = record.symbols[max(rows, key=lambda row: (record.symbols.inner[row] >= 0, -row))]
            return make(name, symbol.kind, symbol.detail, origin)
    return make(name, "import" if origin == "import" else "variable", "", origin)


def _import_edit(text: Text, record: FileRecord, statement: str) -> Edit:
    """A line behind the last import, else at the top of the text, below what is said there first."""
    newline = "\r\n" if b"\r\n" in text.data else "\n"
    ends = [
        end
        for end, scope, module in zip(record.imports.end, record.imports.scope, record.imports.module, strict=True)
        if scope == 0 and module
    ]
    first = min(record.symbols.body_start, default=0)
    package = next((row for row, kind in enumerate(record.symbols.kind) if kind == _MODULE), None)
    if ends or package is not None:
        last = max(ends) if ends else record.symbols.body_end[package or 0]
        at = text.line_span(text.line_of(max(last - 1, 0))).end
        return Edit(Span(at, at), newline + statement)
    at = 0
    if text.data.startswith((b"#!", b"'use ", b'"use ')) and first:
        at = text.line_start(1)
    return Edit(Span(at, at), statement + newline)
