"""Renaming in the languages that have no reader of their own, or saying why not.

As for Python: every mention that is known to mean the symbol is edited, and then the edited files are read again and
every mention of the old and of the new name must mean what it meant. What may be the symbol, and is not known to be, is
an edit that asks for confirmation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tree_sitter import Node, Tree

from engram_context.edits import Edit, EditError, ProjectEdit, Refusal, apply, project_edit
from engram_context.imports import Module
from engram_context.languages.language import Language
from engram_context.languages.resolving import is_shared
from engram_context.reader import parse, read_record
from engram_context.records import KIND, NO_REF, ROLE, SCOPE_KIND, FileRecord, Kind
from engram_context.resolve import Resolver
from engram_context.targets import External, Slot, Target
from engram_context.text import Place, Span, Text

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

_MEMBERS = (ROLE["attribute"], ROLE["attribute-write"])
_IMPORTED, _READ, _DEFINED = ROLE["import"], ROLE["read"], ROLE["definition"]
_NAMES = (ROLE["read"], ROLE["type"], ROLE["call"])
_CLASS, _BLOCK, _NAMESPACE = SCOPE_KIND["class"], SCOPE_KIND["block"], SCOPE_KIND["namespace"]
_TYPE_PARAMETER = KIND["type-parameter"]
_TYPES = ("class", "interface", "struct", "enum", "type-alias")
_FAMILY_LIMIT = 1000
_DOCUMENTS = (
    rb"@(?:param|arg|argument|property|prop|template|typeParam)\s+(?:\{[^}]*\}\s*)?[\[<]?"
    rb"|@link(?:plain|code)?\s+|@see\s+|#|`"
)
"""What stands before a name in a comment that documents it."""
_IN_COMMENT = 0.8
"""How likely such a mention means the symbol."""


@dataclass(frozen=True, slots=True)
class _Symbol:
    """What is named at a place. `is_alias`: a name from outside, which is renamed where it is imported."""

    path: str
    index: int
    name: str
    slots: tuple[Slot, ...]
    kind: Kind
    language: Language
    is_alias: bool = False


def symbol_at(resolver: Resolver, place: Place) -> _Symbol | Refusal:
    record = resolver.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    here = None if record is None else resolver.others.language(place.path)
    if record is None or index is None or here is None:
        return Refusal("there is no name here")
    name = record.names[record.occurrences.name[index]]
    if not here.resolves:
        return Refusal(f"it is not known what else means '{name}': only outlines are known of this language")
    role = record.occurrences.role[index]
    meanings = resolver.meanings(place.path, index)
    slots = tuple(target for target in meanings if isinstance(target, Slot))
    of_class = bool(slots) and all(
        resolver.others.record(slot.path).scopes.kind[slot.scope] == _CLASS for slot in slots
    )
    is_word = name in here.keywords and not of_class  # a member can be called like a keyword
    if is_word or name in here.receivers or not here.is_identifier(name):
        return Refusal(f"'{name}' is no name that can be changed")
    if not meanings:
        if role in _MEMBERS:
            return Refusal(f"it is not known what object '{name}' belongs to here")
        return Refusal(f"it is not known what '{name}' is")
    if len(slots) < len(meanings) and slots:
        return Refusal(f"'{name}' is one thing or another here")
    if any(isinstance(target, Module) for target in meanings):
        return Refusal(f"'{name}' is a module; renaming those is not supported in this language")
    if not slots:
        direct = resolver.of_occurrence(place.path, index)
        own = tuple(target for target in direct if isinstance(target, Slot) and target.path == place.path)
        if not own or role in _MEMBERS:
            return Refusal(f"'{name}' comes from outside the project")
        return _Symbol(place.path, index, name, own, "import", here, is_alias=True)
    rows = resolver.symbols_of(slots[0])
    kind = resolver.snapshot.records[slots[0].path].symbols[rows[0]].kind if rows else "module"
    if kind == "module":
        return Refusal(f"'{name}' names a package")
    return _Symbol(place.path, index, name, slots, kind, here)


def rename(snapshot: Snapshot, place: Place, new_name: str) -> ProjectEdit | Refusal:
    """The edits that rename the symbol at a place, or why there are none."""
    resolver = Resolver(snapshot)
    symbol = symbol_at(resolver, place)
    if isinstance(symbol, Refusal):
        return symbol
    if new_name == symbol.name:
        return ProjectEdit({})
    reason = symbol.language.unfit(resolver.others, symbol.slots, symbol.name, new_name)
    return Refusal(reason) if reason is not None else _Renaming(resolver, symbol, new_name).edits()


@dataclass(slots=True)
class _Renaming:
    """One rename being worked out. `slots` grows to everything that must have the same name."""

    resolver: Resolver
    symbol: _Symbol
    new_name: str
    slots: set[Slot] = field(default_factory=set[Slot])
    classes: set[Slot] = field(default_factory=set[Slot])
    doubt: str | None = None
    trees: dict[str, Tree | None] = field(default_factory=dict[str, "Tree | None"])

    def edits(self) -> ProjectEdit | Refusal:
        self.slots = set(self.symbol.slots)
        mentions = self._close()
        refusal = self._conflict()
        if refusal is not None:
            return refusal
        texts = self.resolver.snapshot.texts_as_read(mentions)
        if isinstance(texts, Refusal):
            return texts
        edits: dict[str, list[Edit]] = {}
        for path, indices in mentions.items():
            for index in indices:
                edit = self._edit(path, index, texts[path])
                if isinstance(edit, Refusal):
                    return edit
                edits.setdefault(path, []).append(edit)
        refusal = _Proof(self.resolver, frozenset(self.slots), self.symbol.name, self.new_name).check(edits, texts)
        if refusal is not None:
            return refusal
        if self.doubt is not None:
            edits = {path: [_doubted(edit, self.doubt) for edit in of_file] for path, of_file in edits.items()}
        for path, of_file in edits.items():
            edits[path] = [self._near_error(path, edit) for edit in of_file]
        for path, edit in (*self._unproven(mentions), *self._in_comments(mentions)):
            edits.setdefault(path, []).append(edit)
        texts = self.resolver.snapshot.texts_as_read(edits)
        if isinstance(texts, Refusal):
            return texts
        moves = tuple(self.symbol.language.moves(self.resolver.others, sorted(self.slots, key=repr), self.new_name))
        taken = next((new for _, new in moves if self.resolver.snapshot.text(new) is not None), None)
        if taken is not None:
            return Refusal(f"{taken} exists already")
        return replace(project_edit(edits, texts), moves=moves)

    # --- what must be renamed together ----------------------------------------------------------------

    def _close(self) -> dict[str, list[int]]:
        """The mentions; adds every slot that must be called the same."""
        if self.symbol.is_alias:
            return self._mentions()
        for slot in self.symbol.slots:
            self.doubt = self.doubt or self.symbol.language.doubtful_local(self.resolver.others, slot)
        looked_at: set[Slot] = set()
        while True:
            known = set(self.slots)
            for slot in known - looked_at:
                self._add_family(slot)
            looked_at |= known
            mentions = self._mentions()
            for path, indices in mentions.items():
                for index in indices:
                    meanings = self.resolver.meanings(path, index)
                    self.slots.update(target for target in meanings if isinstance(target, Slot))
            if self.slots == known:
                return mentions

    def _mentions(self) -> dict[str, list[int]]:
        snapshot, name = self.resolver.snapshot, self.symbol.name
        paths: Iterable[str] = snapshot.files_naming(name)
        if self.symbol.is_alias or not any(self._is_shared(slot) for slot in self.slots):
            paths = sorted({slot.path for slot in self.slots})
        found: dict[str, list[int]] = {}
        for path in paths:
            for index in snapshot.records[path].occurrences_of(name):
                if self.symbol.is_alias:
                    targets = self.resolver.of_occurrence(path, index)
                else:
                    targets = self.resolver.meanings(path, index)
                if not self.slots.isdisjoint(targets):
                    found.setdefault(path, []).append(index)
        return found

    def _is_shared(self, slot: Slot) -> bool:
        return slot.scope == 0 or is_shared(self.resolver.snapshot.records[slot.path], slot.scope)

    def _add_family(self, slot: Slot) -> None:
        """The members of the same name in what the class extends, and in what extends it."""
        names, here = self.resolver.others, self.symbol.language
        record = names.record(slot.path)
        rows = self.resolver.symbols_of(slot)
        if record.scopes.kind[slot.scope] != _CLASS or all(record.symbols.kind[row] == _TYPE_PARAMETER for row in rows):
            return
        owners = [owner for owner in names.owner(slot.path, slot.scope) if isinstance(owner, Slot)]
        self.doubt = self.doubt or here.doubtful_member(names, slot)
        for ways in (self._extended, self._extending):
            seen: set[Slot] = set()
            waiting = list(owners)
            while waiting:
                at = waiting.pop()
                if at in seen:
                    continue
                if len(seen) >= _FAMILY_LIMIT:
                    self.doubt = "its class has more relatives than were looked at"
                    break
                seen.add(at)
                self._take(at, slot)
                waiting += ways(at)
            self.classes |= seen

    def _take(self, owner: Slot, slot: Slot) -> None:
        """The members of a class that have the name; doubt where it may have more from outside."""
        names, here = self.resolver.others, self.symbol.language
        for path, scope in names.scopes_of(owner):
            binds = bool(names.bound(path, slot.name).get(scope))
            if here.methods_apart and names.is_method(slot) != names.is_method(Slot(path, scope, slot.name)):
                binds = False
            if binds:
                self.slots.add(Slot(path, scope, slot.name))
            overrides = (binds or here.inherits) and here.may_override(names, slot)
            for ref in names.record(path).scopes[scope].refs if overrides else ():
                if ref != NO_REF and not names.holders(path, ref):
                    self.doubt = "a class that it belongs to extends one from outside the project"

    def _extended(self, derived: Slot) -> Iterator[Slot]:
        names = self.resolver.others
        for path, scope in names.scopes_of(derived):
            yield from names.bases(path, scope)

    def _extending(self, base: Slot) -> Iterator[Slot]:
        names = self.resolver.others
        for path in self.resolver.snapshot.files_naming(base.name):
            record = names.record(path)
            for scope, kind in enumerate(record.scopes.kind):
                is_alias = kind == _BLOCK and record.scopes.symbol[scope] >= 0
                if (
                    (kind == _CLASS or is_alias)
                    and scope
                    and record.scopes.pool_start[scope] < record.scopes.pool_end[scope]
                ):
                    owners = names.owner(path, scope)
                    if base not in owners and base in names.bases(path, scope):
                        yield from (owner for owner in owners if isinstance(owner, Slot))

    def _conflict(self) -> Refusal | None:
        names = self.resolver.others
        scopes = {(slot.path, slot.scope) for slot in self.slots}
        scopes |= {scope for owner in self.classes for scope in names.scopes_of(owner)}
        apart = self.symbol.language.methods_apart
        is_method = any(map(names.is_method, self.slots))
        for path, scope in sorted(scopes):
            rows = names.bound(path, self.new_name).get(scope, ())
            if rows and (not apart or names.is_method(Slot(path, scope, self.new_name)) == is_method):
                start = names.record(path).symbols.start[rows[0]]
                return Refusal(f"'{self.new_name}' is already defined at {_where(self.resolver.snapshot, path, start)}")
        return None

    # --- edits ----------------------------------------------------------------------------------------

    def _edit(self, path: str, index: int, text: Text) -> Edit | Refusal:
        record = self.resolver.snapshot.records[path]
        span, role = record.occurrences.span(index), record.occurrences.role[index]
        here, name = self.symbol.language, self.symbol.name
        node = self._node(path, text, span.start) if here.has_twins else None
        if role == _IMPORTED:
            imported = record.imports[record.occurrences.link[index]]
            sources = self.resolver.imported(path, imported)
            is_outside = bool(sources) and all(isinstance(source, External) for source in sources)
            if is_outside and imported.alias is None and imported.bound is not None:
                if node is not None and here.twin(node):
                    return Edit(span, here.spelled(node, self.new_name, False))
                alias = here.with_alias(name, self.new_name)
                if alias is None:
                    return Refusal(f"'{name}' comes from outside the project")
                return Edit(span, alias)
        if node is None or role == _IMPORTED:
            return Edit(span, self.new_name)
        return Edit(span, here.spelled(node, self.new_name, False))

    def _node(self, path: str, text: Text, start: int) -> Node | None:
        if path not in self.trees:
            self.trees[path] = parse(text, self.resolver.snapshot.records[path].language)
        tree = self.trees[path]
        return None if tree is None else tree.root_node.descendant_for_byte_range(start, start + 1)

    def _near_error(self, path: str, edit: Edit) -> Edit:
        """Where the syntax is broken, a mention may be something else."""
        record = self.resolver.snapshot.records[path]
        if not record.errors:
            return edit
        scope = record.scope_at(edit.span.start)
        parents, kinds = record.scopes.parent, record.scopes.kind
        while scope > 0 and parents[scope] > 0 and kinds[parents[scope]] != _NAMESPACE:
            scope = parents[scope]
        span = record.scopes[scope].span
        near = scope > 0 and any(span.start <= problem.span.start <= span.end for problem in record.errors)
        return _doubted(edit, "there is a syntax error near, so this may be something else") if near else edit

    def _unproven(self, mentions: Mapping[str, list[int]]) -> Iterator[tuple[str, Edit]]:
        """Members of that name of objects whose class is not known, and words that are a variable and a member."""
        snapshot, name, here = self.resolver.snapshot, self.symbol.name, self.symbol.language
        of_class = any(snapshot.records[slot.path].scopes.kind[slot.scope] == _CLASS for slot in self.slots)
        of_type = here.types_are_members and self.symbol.kind in _TYPES
        of_module = (
            here.modules_are_objects and any(slot.scope == 0 for slot in self.slots) and not self.symbol.is_alias
        )
        is_loose = here.loose_names and any(self._is_shared(slot) for slot in self.slots) and not self.symbol.is_alias
        if not (of_class or of_type or of_module or is_loose):
            return
        reason = f"'{name}' of an object whose class is not known"
        for path in snapshot.files_naming(name):
            record, other = snapshot.records[path], self.resolver.others.language(path)
            if other is None or (other.module != here.module and other.module not in here.kin):
                continue
            if not (of_class or of_type or is_loose) and not _has_module_objects(record):
                continue
            known = set(mentions.get(path, ()))
            for index in record.occurrences_of(name):
                role = record.occurrences.role[index]
                if index in known:
                    continue
                if is_loose and role in _NAMES and not self.resolver.of_occurrence(path, index):
                    unknown = f"'{name}', which is not known to be bound anywhere"
                    yield path, Edit(record.occurrences.span(index), self.new_name, unknown)
                elif (
                    role in _MEMBERS
                    and (of_class or of_type or of_module)
                    and not self.resolver.of_occurrence(path, index)
                ):
                    yield path, Edit(record.occurrences.span(index), self.new_name, reason)
                elif of_class and here.has_twins and role in (_READ, _DEFINED):
                    text = snapshot.text(path)
                    node = None if text is None else self._node(path, text, record.occurrences.start[index])
                    if node is not None and here.twin(node):
                        text_after = here.spelled(node, self.new_name, True)
                        yield path, Edit(record.occurrences.span(index), text_after, reason)

    def _in_comments(self, mentions: Mapping[str, list[int]]) -> Iterator[tuple[str, Edit]]:
        """Where comments for documentation name the symbol: of a local, in the comment above its function."""
        name = self.symbol.name
        pattern = re.compile(rb"(?:%s)(%s)(?![\w$])" % (_DOCUMENTS, re.escape(name.encode())))
        starts = {
            slot.path: record.scopes.start[slot.scope]
            for slot in self.slots
            if not self._is_shared(slot) and (record := self.resolver.snapshot.records[slot.path])
        }
        for path in mentions:
            text = self.resolver.snapshot.text(path)
            for match in pattern.finditer(text.data) if text is not None else ():
                node = None if text is None else self._node(path, text, match.start(1))
                if node is None or text is None or "comment" not in node.type:
                    continue
                if starts:
                    between = text.data[node.end_byte : max(starts.get(path, 0), node.end_byte)]
                    if path not in starts or node.start_byte > starts[path] or re.search(rb"[;}]", between):
                        continue
                yield path, Edit(Span(*match.span(1)), self.new_name, f"a comment that names '{name}'", _IN_COMMENT)


@dataclass(frozen=True, slots=True)
class _Proof:
    """Reads the edited files again: the same structure, and the same meanings up to the renaming itself."""

    resolver: Resolver
    slots: frozenset[Slot]
    old_name: str
    new_name: str

    def check(self, edits: Mapping[str, list[Edit]], texts: Mapping[str, Text]) -> Refusal | None:
        before = self.resolver.snapshot
        records: dict[str, FileRecord] = {}
        places: dict[str, dict[int, int]] = {}
        for path, of_file in edits.items():
            record = before.records[path]
            try:
                records[path] = read_record(apply(texts[path], of_file), record.language)
            except EditError as error:
                return Refusal(f"the edits of {path} do not fit together: {error}")
            moved = _moved(record, records[path], of_file)
            if moved is None:
                return Refusal(f"with '{self.new_name}', {path} would read differently")
            places[path] = moved
        after = Resolver(before.after(records))
        touched = {*edits, *before.files_naming(self.old_name), *before.files_naming(self.new_name)}
        shared = any(slot.scope == 0 or is_shared(before.records[slot.path], slot.scope) for slot in self.slots)
        for path in sorted(touched if shared else edits):
            record = before.records[path]
            if record.language == "python":
                continue
            moved = places.get(path)
            for index in (*record.occurrences_of(self.old_name), *record.occurrences_of(self.new_name)):
                expected = {self._renamed(target) for target in self.resolver.meanings(path, index, aliases=True)}
                found = set(after.meanings(path, index if moved is None else moved[index], aliases=True))
                if found != expected:
                    name = record.names[record.occurrences.name[index]]
                    where = _where(before, path, record.occurrences.start[index])
                    return Refusal(f"'{name}' at {where} would mean something else")
        return None

    def _renamed(self, target: Target) -> Target:
        return replace(target, name=self.new_name) if isinstance(target, Slot) and target in self.slots else target


def _moved(old: FileRecord, new: FileRecord, edits: Iterable[Edit]) -> dict[int, int] | None:
    """The new index of every old occurrence, None when the two records differ by more than the edits."""
    if list(old.scopes.kind) != list(new.scopes.kind) or list(old.scopes.parent) != list(new.scopes.parent):
        return None
    if len(old.errors) != len(new.errors):
        return None
    pending = sorted(edits, key=lambda edit: edit.span.start)
    new_at = {start: index for index, start in enumerate(new.occurrences.start)}
    moved: dict[int, int] = {}
    shift = at = 0
    for index, start in enumerate(old.occurrences.start):
        while at < len(pending) and pending[at].span.start < start:
            shift += len(pending[at].new_text.encode()) - len(pending[at].span)
            at += 1
        edit = pending[at] if at < len(pending) and pending[at].span.start == start else None
        # Of `name as alias` and `name: value` it is the second that the mention has become.
        before, _, name = ("", "", old.names[old.occurrences.name[index]])
        if edit is not None:
            before, _, name = edit.new_text.rpartition(" ")
        width = len(before.encode()) + 1 if before else 0
        there = new_at.get(start + shift + width)
        if there is None or new.names[new.occurrences.name[there]] != name:
            return None
        if not before and old.occurrences.role[index] != new.occurrences.role[there]:
            return None
        if old.occurrences.scope[index] != new.occurrences.scope[there]:
            return None
        moved[index] = there
    extra = sum(" " in edit.new_text for edit in pending)
    return moved if len(new.occurrences) == len(old.occurrences) + extra else None


def _has_module_objects(record: FileRecord) -> bool:
    """Whether a file has a module as an object: `import * as x`, `x = require(...)`, `import(...)`."""
    return any(name < 0 for name in record.imports.name)


def _doubted(edit: Edit, reason: str) -> Edit:
    return edit if edit.annotation is not None else replace(edit, annotation=reason)


def _where(snapshot: Snapshot, path: str, offset: int) -> str:
    text = snapshot.text(path)
    return path if text is None else f"{path}:{text.line_of(offset) + 1}"
