"""That a rename changes no meaning: the edited files are read again, and compared."""

from __future__ import annotations

import keyword
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from engram_context.edits import Edit, EditError, Refusal, apply
from engram_context.python import grammar
from engram_context.reader import read_record
from engram_context.records import SCOPE_KIND, FileRecord
from engram_context.renames.reach import in_reach
from engram_context.resolve import BUILTINS, Resolver
from engram_context.targets import Slot, Target
from engram_context.text import Text

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

_MODULE = SCOPE_KIND["module"]
# Names that the reader of a file takes for more than names.
_READ_SPECIALLY = frozenset(
    name.decode() for name in (*grammar.DECORATOR_FLAGS, *grammar.TYPE_FORMS, b"TYPE_CHECKING", b"Literal")
)


@dataclass(frozen=True, slots=True)
class Proof:
    """Reads the edited files again and compares: same structure, and the old and the new name mean everywhere
    what they meant before, up to the renaming itself."""

    resolver: Resolver
    slots: set[Slot]
    old_name: str
    new_name: str

    def check(self, edits: Mapping[str, list[Edit]], texts: Mapping[str, Text]) -> Refusal | None:
        """Why the edits would change what something means; None when they do not."""
        return None if self.is_plain(edits) else self.compare(edits, texts)

    def is_plain(self, edits: Mapping[str, list[Edit]]) -> bool:
        """Whether nothing has to be read again: every edit puts one name in the place of another, and the new one is
        nowhere in the project.

        A file then reads as before but for that name. The new name can capture nothing, since nothing else is called
        so, and nothing can capture it. A mention of the old name that stays did not mean the slots, so it was found
        before they were looked at, or elsewhere, and still is.
        """
        old, new, snapshot = self.old_name, self.new_name, self.resolver.snapshot
        if snapshot.files_naming(new) or keyword.issoftkeyword(new) or keyword.issoftkeyword(old):
            return False
        if not BUILTINS.isdisjoint((old, new)) or not _READ_SPECIALLY.isdisjoint((old, new)):
            return False
        # Star imports pass on what has no underscore in front.
        if old.startswith("_") != new.startswith("_") and any(
            snapshot.records[slot.path].scopes.kind[slot.scope] == _MODULE for slot in self.slots
        ):
            return False
        return all(edit.new_text == new for of_file in edits.values() for edit in of_file)

    def compare(self, edits: Mapping[str, list[Edit]], texts: Mapping[str, Text]) -> Refusal | None:
        """The answer by reading every edited file again."""
        before = self.resolver.snapshot
        records: dict[str, FileRecord] = {}
        places: dict[str, dict[int, int]] = {}
        for path, of_file in edits.items():
            try:
                edited = apply(texts[path], of_file)
            except EditError as error:
                return Refusal(f"the edits of {path} do not fit together: {error}")
            record = before.records[path]
            records[path] = read_record(edited, record.language)
            moved = _moved(record, records[path], of_file)
            if moved is None:
                return Refusal(f"with '{self.new_name}', {path} would read differently")
            if _compiles(texts[path]) and not _compiles(edited):
                return Refusal(f"with '{self.new_name}', {path} would be no valid Python")
            places[path] = moved
        after = Resolver(before.after(records))
        touched = {*edits, *before.files_naming(self.old_name), *before.files_naming(self.new_name)}
        for path in sorted(touched):
            record = before.records[path]
            if record.errors:
                continue  # what is said about a broken file is annotated anyway
            moved = places.get(path)
            reached = (in_reach(self.resolver, self.slots, path, name) for name in (self.old_name, self.new_name))
            for index in chain.from_iterable(reached):
                expected = {self._renamed(target) for target in self.resolver.meanings(path, index, aliases=True)}
                found = set(after.meanings(path, index if moved is None else moved[index], aliases=True))
                if found != expected:
                    name = record.names[record.occurrences.name[index]]
                    place = where(before, path, record.occurrences.start[index])
                    return Refusal(f"'{name}' at {place} would mean something else")
        return None

    def _renamed(self, target: Target) -> Target:
        if not isinstance(target, Slot) or target not in self.slots:
            return target
        return Slot(target.path, target.scope, self.new_name)


def _moved(old: FileRecord, new: FileRecord, edits: Iterable[Edit]) -> dict[int, int] | None:
    """The new index of every old occurrence, None when the two records differ by more than the edits."""
    if list(old.scopes.kind) != list(new.scopes.kind) or list(old.scopes.parent) != list(new.scopes.parent):
        return None
    if bool(old.errors) != bool(new.errors):
        return None
    by_start = {edit.span.start: edit for edit in edits}
    new_at = {start: index for index, start in enumerate(new.occurrences.start)}
    moved: dict[int, int] = {}
    shift = 0
    pending = sorted(by_start)
    at = 0
    for index, start in enumerate(old.occurrences.start):
        while at < len(pending) and pending[at] < start:
            edit = by_start[pending[at]]
            shift += len(edit.new_text.encode()) - len(edit.span)
            at += 1
        there = new_at.get(start + shift)
        if there is None:
            return None
        name = old.names[old.occurrences.name[index]]
        edit = by_start.get(start)
        expected = name if edit is None else edit.new_text.partition(" ")[0]
        same_name = new.names[new.occurrences.name[there]] == expected
        if not same_name or old.occurrences.role[index] != new.occurrences.role[there]:
            return None
        if old.occurrences.scope[index] != new.occurrences.scope[there]:
            return None
        # Of `name as alias`, the alias is what the mention has become.
        moved[index] = there + 1 if edit is not None and " as " in edit.new_text else there
    aliases = sum(" as " in edit.new_text for edit in by_start.values())
    return moved if len(new.occurrences) == len(old.occurrences) + aliases else None


def _compiles(text: Text) -> bool:
    """Whether Python takes a text: it knows rules about names that are no matter of grammar, such as that `:=` does not
    bind what a comprehension loops over."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text.data, "", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def where(snapshot: Snapshot, path: str, offset: int) -> str:
    text = snapshot.text(path)
    return path if text is None else f"{path}:{text.line_of(offset) + 1}"
