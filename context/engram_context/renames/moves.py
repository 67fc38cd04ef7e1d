"""What the rest of a project must say once modules have moved: a file or folder renamed, or put elsewhere.

Three steps. Where a module keeps its place and changes its name, every mention of it changes that name. Imports that
would then find something else (a relative one in a file that moved, one of a module that went to another package) are
spelled anew. Last the proof: the edited files are read again, at their new places, and every import must bring what it
brought before.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from engram_context.edits import Edit, EditError, ProjectEdit, Refusal, apply, project_edit
from engram_context.imports import Module, ModuleMap, imported_as
from engram_context.reader import read_record
from engram_context.records import ROLE, FileRecord, Import
from engram_context.renames.prose import dotted_strings
from engram_context.resolve import Resolver
from engram_context.targets import Slot, Target
from engram_context.text import Span, Text

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

_SUFFIXES = (".py", ".pyi", ".pyw")
_IMPORT = ROLE["import"]
_MEMBERS = (ROLE["attribute"], ROLE["attribute-write"])
_FROM = re.compile(rb"from(?P<module>[\s.\\\w]*?)(?<=[\s.])import\b(?P<names>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Moves:
    """Which files and folders go where: (old, new), project paths. What lies in a folder goes along."""

    pairs: tuple[tuple[str, str], ...]

    def path(self, path: str) -> str:
        """Where a file, or a namespace package's folder (ending in "/"), is afterwards."""
        for old, new in self.pairs:
            if path == old:
                return new
            if path.startswith(old + "/"):
                return new + path[len(old) :]
        return path

    def target(self, target: Target) -> Target:
        if isinstance(target, Module):
            return Module(self.path(target.path))
        return Slot(self.path(target.path), target.scope, target.name) if isinstance(target, Slot) else target


def rename_module(snapshot: Snapshot, module: Module, new_name: str) -> ProjectEdit | Refusal:
    """Gives a module of the project, a package perhaps, another name in the place where it is. The edit's moves hold
    the file, or the package's folder."""
    if not new_name.isidentifier() or keyword.iskeyword(new_name):
        return Refusal(f"'{new_name}' is not a name that can be imported")
    old = module.directory if module.is_package else module.path
    folder, _, last = old.rpartition("/")
    if not last:
        return Refusal("this is the project's root itself")
    suffix = "" if module.is_package else last[last.index(".") :]
    new = f"{folder}/{new_name}{suffix}" if folder else new_name + suffix
    if new == old:
        return ProjectEdit({})
    if snapshot.modules.child(folder, new_name) is not None or snapshot.text(new) is not None:
        return Refusal(f"there is a module '{new_name}' beside it already")
    pairs = [(old, new)]
    if not module.is_package:
        # A stub beside its source is the same module.
        inside = f"{folder}/" if folder else ""
        twins = (inside + imported_as(old) + other for other in _SUFFIXES if other != suffix)
        pairs += [(twin, f"{inside}{new_name}.{twin.rpartition('.')[2]}") for twin in twins if twin in snapshot.records]
    return move(snapshot, pairs)


def move(snapshot: Snapshot, pairs: Iterable[tuple[str, str]]) -> ProjectEdit | Refusal:
    """The edits that keep all imports right when files and folders move as `pairs` of (old, new) project paths say.

    The edits are of the files at their old places; `moves` repeats the pairs. Refused when some import cannot be kept.
    """
    pairs = tuple((old.rstrip("/"), new.rstrip("/")) for old, new in pairs if old != new)
    return _Moving(Resolver(snapshot), Moves(pairs)).edits()


@dataclass(slots=True)
class _Moving:
    """One move being worked out."""

    resolver: Resolver
    moves: Moves
    renamed: dict[Module, str] = field(default_factory=dict[Module, str])  # modules with a new last name
    kept: set[Slot] = field(default_factory=set[Slot])  # imported names that keep the old spelling, as an alias
    read: dict[str, tuple[list[Edit], FileRecord]] = field(default_factory=dict[str, tuple[list[Edit], FileRecord]])

    @property
    def snapshot(self) -> Snapshot:
        return self.resolver.snapshot

    def edits(self) -> ProjectEdit | Refusal:
        snapshot = self.snapshot
        moved = [path for path in snapshot.paths if self.moves.path(path) != path]
        python = [path for path in moved if path in snapshot.modules.files]
        for module in self._moved_modules(python):
            name, after = _name_of(module), _name_of(Module(self.moves.path(module.path)))
            if name != after:
                self.renamed[module] = after
        broken = [name for name in self.renamed.values() if not name.isidentifier() or keyword.iskeyword(name)]
        files = self._concerned(python)
        if broken:
            user = next((path for path in files if self._uses_renamed(path)), None)
            if user is not None:
                return Refusal(f"'{broken[0]}' is not a name that can be imported, as {user} would have to")
            self.renamed = {}
        edits: dict[str, list[Edit]] = {}
        for path in files:
            found = list(self._renamings(path))
            if found:
                edits[path] = found
        texts = self.snapshot.texts_as_read({*edits, *python})
        if isinstance(texts, Refusal):
            return texts
        after = self._after(edits, texts)
        if isinstance(after, Refusal):
            return after
        renamings = {path: list(of_file) for path, of_file in edits.items()}
        refusal = self._respell(after, files, edits, texts)
        if refusal is not None:
            return refusal
        if edits != renamings:
            after = self._after(edits, texts)
            if isinstance(after, Refusal):
                return after
        refusal = self._proof(after, files, edits)
        if refusal is not None:
            return refusal
        for path, edit in self._strings():
            taken = any(
                edit.span.start < other.span.end and other.span.start < edit.span.end for other in edits.get(path, ())
            )
            text = texts.get(path) or snapshot.text(path)
            if text is not None and not taken:
                texts[path] = text
                edits.setdefault(path, []).append(edit)
        whole = project_edit(edits, texts)
        return ProjectEdit(whole.edits, self.moves.pairs, whole.digests)

    def _moved_modules(self, python: Sequence[str]) -> Iterator[Module]:
        """The modules whose own file or folder is named in the moves, those that an import can mean by a last name."""
        files = set(python)
        for old, _ in self.moves.pairs:
            if old in files:
                yield Module(old)
                continue
            if not any(path.startswith(old + "/") for path in python):
                continue
            initial = next((at for suffix in _SUFFIXES if (at := f"{old}/__init__{suffix}") in files), None)
            yield Module(initial or old + "/")

    def _concerned(self, python: Sequence[str]) -> list[str]:
        """The files in which something may have to change: those that moved, and those that name what moved."""
        names: set[str] = set()
        for module in self._moved_modules(python):
            names.add(_name_of(module))
        # A folder that goes to another place takes modules along that are named by themselves, by relative imports.
        for path in python:
            names.add(imported_as(path))
        found = set(python)
        for name in names:
            found.update(self.snapshot.files_naming(name))
        for new in self.renamed.values():
            found.update(self.snapshot.files_naming(new))
        return sorted(path for path in found if path in self.snapshot.modules.files)

    # --- names of modules that stay where they are --------------------------------------------------------

    def _uses_renamed(self, path: str) -> bool:
        record = self.snapshot.records[path]
        return any(self._meant(path, index) for name in self._old_names for index in record.occurrences_of(name))

    @property
    def _old_names(self) -> dict[str, None]:
        return dict.fromkeys(_name_of(module) for module in self.renamed)

    def _meant(self, path: str, index: int) -> Module | None:
        """The renamed module that an occurrence means by its name."""
        for target in self.resolver.meanings(path, index):
            if isinstance(target, Module) and target in self.renamed:
                return target
        return None

    def _renamings(self, path: str) -> Iterator[Edit]:
        """A new last name for every mention. A file in which that name is taken keeps the old one as an alias."""
        record = self.snapshot.records[path]
        for name in self._old_names:
            meant = {index: module for index in record.occurrences_of(name) if (module := self._meant(path, index))}
            clash = any(
                record.occurrences.role[index] not in _MEMBERS
                for module in meant.values()
                for index in record.occurrences_of(self.renamed[module])
            )
            for index, module in meant.items():
                role, new = record.occurrences.role[index], self.renamed[module]
                if not clash:
                    yield Edit(record.occurrences.span(index), new)
                elif role == _IMPORT:
                    imported = record.imports[record.occurrences.link[index]]
                    binds = imported.bound is not None and imported.alias is None and imported.bound_name == name
                    last = imported.name_occurrence == index or (imported.name is None and imported.module == name)
                    if binds and last and imported.bound is not None:
                        self.kept.add(Slot(path, record.symbols.scope[imported.bound], name))
                        yield Edit(record.occurrences.span(index), f"{new} as {name}")
                    else:
                        yield Edit(record.occurrences.span(index), new)
                elif role in _MEMBERS and not self._is_kept(path, index):
                    yield Edit(record.occurrences.span(index), new)

    def _is_kept(self, path: str, index: int) -> bool:
        return any(target in self.kept for target in self.resolver.of_occurrence(path, index))

    # --- imports that are spelled anew --------------------------------------------------------------------

    def _after(self, edits: Mapping[str, list[Edit]], texts: Mapping[str, Text]) -> Resolver | Refusal:
        """The project as it will be."""
        changes: dict[str, FileRecord | None] = {}
        for path in self.snapshot.records:
            if self.moves.path(path) != path:
                changes[path] = None
        for path in {*edits, *(path for path in changes if path in texts)}:
            record = self.snapshot.records[path]
            if path in edits:
                known = self.read.get(path)
                if known is None or known[0] != edits[path]:
                    try:
                        known = list(edits[path]), read_record(apply(texts[path], edits[path]), record.language)
                    except EditError as error:
                        return Refusal(f"the edits of {path} do not fit together: {error}")
                    self.read[path] = known
                record = known[1]
            changes[self.moves.path(path)] = record
        for path in [path for path, record in changes.items() if record is None]:
            changes.setdefault(self.moves.path(path), self.snapshot.records[path])
        return Resolver(self.snapshot.after(changes))

    def _respell(
        self, after: Resolver, files: Iterable[str], edits: dict[str, list[Edit]], texts: dict[str, Text]
    ) -> Refusal | None:
        """Finds the import statements that would bring something else, and adds edits that spell them anew."""
        for path in files:
            record = self.snapshot.records[path]
            there = self.moves.path(path)
            now = after.record(there)
            if now is None or len(now.imports) != len(record.imports):
                return Refusal(f"{path} would read differently")
            wrong: list[Import] = []
            for row, imported in enumerate(record.imports):
                if self._brought(path, imported) != _brings(after, there, now.imports[row]):
                    wrong.append(imported)
            if not wrong:
                continue
            if path not in texts:
                text = self.snapshot.texts_as_read([path])
                if isinstance(text, Refusal):
                    return text
                texts.update(text)
            spelling = _Spelling(self, after.snapshot.modules, path, texts[path])
            by_statement = {imported.span for imported in wrong}
            of_file = edits.setdefault(path, [])
            for span, rows in groupby(record.imports, key=lambda imported: imported.span):
                if span not in by_statement:
                    continue
                of_file[:] = [edit for edit in of_file if not span.start <= edit.span.start < span.end]
                fresh = spelling.statement(list(rows))
                if isinstance(fresh, Refusal):
                    return fresh
                of_file += fresh
            taken = [edit.span for edit in spelling.chains]
            of_file[:] = [
                edit for edit in of_file if not any(span.start <= edit.span.start < span.end for span in taken)
            ] + spelling.chains
        return None

    def _brought(self, path: str, imported: Import) -> set[Target]:
        """What an import must bring afterwards."""
        return {self._expected(target) for target in _brings(self.resolver, path, imported)}

    def _expected(self, target: Target) -> Target:
        """A target after the move. Names bound by importing a renamed module have its new name."""
        moved = self.moves.target(target)
        if isinstance(target, Slot) and isinstance(moved, Slot) and target not in self.kept:
            for origin in self.resolver.origins(target, aliases=False):
                if isinstance(origin, Module) and origin in self.renamed and _name_of(origin) == target.name:
                    return Slot(moved.path, moved.scope, self.renamed[origin])
        return moved

    # --- the proof ----------------------------------------------------------------------------------------

    def _proof(self, after: Resolver, files: Iterable[str], edits: Mapping[str, list[Edit]]) -> Refusal | None:
        """Every import of the files concerned, and every mention of what they import or of a name that changes, must
        mean what it meant."""
        changing = {*self._old_names, *self.renamed.values()}
        for path in files:
            record, there = self.snapshot.records[path], self.moves.path(path)
            now = after.record(there)
            if now is None:
                return Refusal(f"{path} would be gone")
            if bool(record.errors) != bool(now.errors):
                return Refusal(f"{path} would read differently")
            of_file = sorted(edits.get(path, ()), key=lambda edit: edit.span.start)
            is_changed = bool(of_file) or there != path
            names = set(changing)
            if is_changed:
                names.update(imported.bound_name for imported in record.imports if imported.name != "*")
            places = _Places(of_file, now)
            for name in sorted(names):
                for index in record.occurrences_of(name):
                    at = places.of(record, index)
                    if at is None:
                        continue
                    before = self.resolver.meanings(path, index, aliases=True)
                    expected = {self._expected(target) for target in before}
                    if set(after.meanings(there, at, aliases=True)) != expected:
                        text = self.snapshot.text(path)
                        line = 0 if text is None else text.line_of(record.occurrences.start[index]) + 1
                        return Refusal(f"'{name}' at {path}:{line} would mean something else")
            brought = {target for imported in record.imports for target in self._brought(path, imported)}
            if brought != {target for imported in now.imports for target in _brings(after, there, imported)}:
                return Refusal(f"an import of {path} would bring something else")
        return None

    # --- strings ------------------------------------------------------------------------------------------

    def _strings(self) -> Iterator[tuple[str, Edit]]:
        """Dotted paths in strings, in the project's settings and in its documents, to be confirmed."""
        after = ModuleMap().after([self.moves.path(path) for path in self.snapshot.modules.files], ())
        for module in self._moved_modules(
            [path for path in self.snapshot.modules.files if self.moves.path(path) != path]
        ):
            old = self.snapshot.modules.dotted(module.path.rstrip("/"))
            new = after.dotted(self.moves.path(module.path).rstrip("/"))
            if old != new:
                yield from dotted_strings(self.snapshot, old, new)


def _brings(resolver: Resolver, path: str, imported: Import) -> set[Target]:
    """What an import binds, and the module whose whole path it names."""
    found = set(resolver.imported(path, imported))
    return found if imported.name is not None else found.union(resolver.module(path, imported.module, imported.level))


def _name_of(module: Module) -> str:
    """What an import calls a module last."""
    if module.is_namespace:
        return module.path.rstrip("/").rpartition("/")[2]
    return imported_as(module.path)


@dataclass
class _Places:
    """Where the occurrences of an edited file are afterwards."""

    edits: Sequence[Edit]
    now: FileRecord

    def of(self, record: FileRecord, index: int) -> int | None:
        """The index of an occurrence in the new record; None when it was spelled anew together with others."""
        span = record.occurrences.span(index)
        shift = 0
        for edit in self.edits:
            if edit.span.start <= span.start < edit.span.end:
                if edit.span != span:
                    return None
                at = self._starts.get(span.start + shift)
                # Of `name as alias`, the alias is what the mention has become.
                return at + 1 if at is not None and " as " in edit.new_text else at
            if edit.span.start >= span.end:
                break
            shift += len(edit.new_text.encode()) - len(edit.span)
        return self._starts.get(span.start + shift)

    @cached_property
    def _starts(self) -> dict[int, int]:
        return {start: index for index, start in enumerate(self.now.occurrences.start)}


@dataclass(slots=True)
class _Spelling:
    """Spells the imports of one file anew. `chains` are the edits of `package.module` where it is used."""

    moving: _Moving
    modules: ModuleMap  # as they will be
    path: str
    text: Text
    chains: list[Edit] = field(default_factory=list[Edit])

    @property
    def there(self) -> str:
        return self.moving.moves.path(self.path)

    @property
    def record(self) -> FileRecord:
        return self.moving.snapshot.records[self.path]

    def statement(self, rows: Sequence[Import]) -> list[Edit] | Refusal:
        """The edits of one import statement."""
        if rows[0].name is None and rows[0].name_occurrence is None and not self._is_from(rows[0]):
            return self._plain(rows)
        return self._from(rows)

    def _is_from(self, imported: Import) -> bool:
        return self.text.slice(imported.span).startswith("from")

    # import a.b, c as d

    def _plain(self, rows: Sequence[Import]) -> list[Edit] | Refusal:
        edits: list[Edit] = []
        for imported in rows:
            targets = self.moving.resolver.module(self.path, imported.module)
            module = next((target for target in targets if isinstance(target, Module)), None)
            if module is None or imported.occurrence is None:
                continue
            new = self._absolute(Module(self.moving.moves.path(module.path)))
            if new is None:
                return self._unspellable(imported)
            if new == imported.module:
                continue
            span = self._parts(imported)
            if imported.alias is not None or "." in imported.module:
                edits.append(Edit(span, new))
                if imported.alias is None:
                    self._chain(imported, module, new)
                continue
            parent, _, last = new.rpartition(".")
            alias = "" if last == imported.module or self._renames(module) else f" as {imported.module}"
            if not parent:
                edits.append(Edit(span, f"{last}{alias}"))
            elif len(rows) == 1:
                edits.append(Edit(imported.span, f"from {parent} import {last}{alias}"))
            else:
                edits.append(Edit(span, f"{new} as {imported.module}"))
        return edits

    def _renames(self, module: Module) -> bool:
        return module in self.moving.renamed

    def _chain(self, imported: Import, module: Module, new: str) -> None:
        """`a.b` wherever it is used, for an `import a.b` that becomes `import c.d`."""
        record, resolver = self.record, self.moving.resolver
        for index in record.occurrences_of(imported.module.rpartition(".")[2], frozenset(_MEMBERS)):
            if module not in resolver.meanings(self.path, index, aliases=True):
                continue
            first, end = index, record.occurrences.span(index).end
            while record.occurrences.role[first] in _MEMBERS and record.occurrences.link[first] >= 0:
                first = record.occurrences.link[first]
            start = record.occurrences.start[first]
            if self.text.slice(Span(start, end)) == imported.module:
                self.chains.append(Edit(Span(start, end), new))

    # from a import b, c as d

    def _from(self, rows: Sequence[Import]) -> list[Edit] | Refusal:
        spelled: list[tuple[str, str]] = []
        for imported in rows:
            found = self._spelled(imported)
            if isinstance(found, Refusal):
                return found
            spelled.append(found)
        span = rows[0].span
        source = self.text.data[span.start : span.end]
        match = _FROM.fullmatch(source)
        if match is None:
            return self._unspellable(rows[0])
        if len({parent for parent, _ in spelled}) == 1:
            low, high = match.span("module")
            edits = [Edit(Span(span.start + low, span.start + high), f" {spelled[0][0]} ")]
            for imported, (_, name) in zip(rows, spelled, strict=True):
                if imported.name_occurrence is not None and name != imported.name:
                    edits.append(Edit(self.record.occurrences.span(imported.name_occurrence), name))
            return edits
        if b"#" in source:
            where = self.text.line_of(span.start) + 1
            return Refusal(f"the import at {self.path}:{where} would have to become several, and has comments in it")
        return [Edit(span, self._several(span, rows, spelled))]

    def _several(self, span: Span, rows: Sequence[Import], spelled: Sequence[tuple[str, str]]) -> str:
        """One statement for each module that the names come from now, in the order of their first names."""
        by_parent: dict[str, list[str]] = {}
        for imported, (parent, name) in zip(rows, spelled, strict=True):
            by_parent.setdefault(parent, []).append(name + (f" as {imported.alias}" if imported.alias else ""))
        line = self.text.slice(self.text.line_span(self.text.line_of(span.start)))
        indent = line[: len(line) - len(line.lstrip())]
        newline = "\r\n" if b"\r\n" in self.text.data else "\n"
        statements = [f"from {parent} import {', '.join(names)}" for parent, names in by_parent.items()]
        # Behind other statements on one line, new lines would change what is in which block.
        in_line = self.text.data[: span.start].rpartition(b"\n")[2].strip() != b""
        return ("; " if in_line else newline + indent).join(statements)

    def _spelled(self, imported: Import) -> tuple[str, str] | Refusal:
        """(module, name) that import the same after the move."""
        moving, resolver = self.moving, self.moving.resolver
        name = imported.name or ""
        found = resolver.imported(self.path, imported) if name != "*" else ()
        child = next((target for target in found if isinstance(target, Module)), None)
        parent = next(
            (at for at in resolver.module(self.path, imported.module, imported.level) if isinstance(at, Module)), None
        )
        written = "." * imported.level + imported.module
        if parent is None:
            return written, name
        if child is not None and not any(isinstance(target, Slot) for target in found):
            there = Module(moving.moves.path(child.path))
            folder = there.directory if not there.is_package else there.directory.rpartition("/")[0]
            parent, name_there = self._package(folder), _name_of(there)
            if name_there != name and (imported.alias is not None or not self._renames(child)):
                alias = "" if imported.alias is not None else f" as {name}"
                name_there += alias
            name = name_there
        else:
            parent = Module(moving.moves.path(parent.path))
        spelled = self._module(parent, relative=imported.level > 0)
        return self._unspellable(imported) if spelled is None else (spelled, name)

    def _package(self, folder: str) -> Module:
        initial = (f"{folder}/__init__{suffix}" if folder else f"__init__{suffix}" for suffix in _SUFFIXES)
        return next((Module(path) for path in initial if path in self.modules.files), Module(folder + "/"))

    def _module(self, module: Module, *, relative: bool) -> str | None:
        """A module as this file's imports can name it: the way the statement did, if that is possible."""
        spellings = (self._relative, self._absolute) if relative else (self._absolute, self._relative)
        return next((found for spell in spellings if (found := spell(module)) is not None), None)

    def _absolute(self, module: Module) -> str | None:
        dotted = self.modules.dotted(module.path.rstrip("/"))
        return dotted if dotted and self.modules.find(self.there, dotted) == module else None

    def _relative(self, module: Module) -> str | None:
        here = self.there.rpartition("/")[0]
        place = module.directory if module.is_package else module.path.rpartition(".")[0]
        level, base = 1, here
        while not (place == base or place.startswith(f"{base}/" if base else "")):
            if not self.modules.is_package(base):
                return None
            level, base = level + 1, base.rpartition("/")[0]
        if not self.modules.is_package(base):
            return None
        rest = place[len(base) :].strip("/").replace("/", ".")
        found = self.modules.find(self.there, rest, level)
        return "." * level + rest if found == module else None

    # what both need

    def _parts(self, imported: Import) -> Span:
        """The span of the module path as it is written."""
        occurrences = self.record.occurrences
        first = imported.occurrence or 0
        last = first + imported.module.count(".")
        return Span(occurrences.start[first], occurrences.span(last).end)

    def _unspellable(self, imported: Import) -> Refusal:
        where = self.text.line_of(imported.span.start) + 1
        return Refusal(f"the import at {self.path}:{where} has no way to name the module at its new place")
