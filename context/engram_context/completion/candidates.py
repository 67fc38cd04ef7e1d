"""What may stand at a place: members, names in scope, names to import."""

from __future__ import annotations

import keyword
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from tree_sitter import Tree

from engram_context.completion.arguments import argument_names
from engram_context.completion.import_edit import import_edit
from engram_context.completion.unfinished import missing
from engram_context.edits import Edit
from engram_context.imports import Module
from engram_context.languages import complete
from engram_context.languages.complete import Completions
from engram_context.outside.library import is_outside
from engram_context.reader import parse, read_record
from engram_context.records import KIND, FileRecord, Kind
from engram_context.resolve import BUILTINS, Resolver
from engram_context.scopes import visible_scopes
from engram_context.targets import External, Slot, Target
from engram_context.text import Place, Span, Text
from engram_context.views.symbols import match

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

Origin = Literal[
    "local",
    "module",
    "builtin",
    "import",
    "member",
    "keyword",
    "auto-import",
    "argument",  # name= in a call
    "recalled",  # nothing allows it, but it is expected: only rankings make these
]

AUTO_IMPORTS = 50
"""No more names than this are offered from modules that are not imported yet."""
_AUTO_IMPORT_LETTERS = 2
"""Names to import are offered once this many letters are there."""

_WORD = re.compile(r"[^\W\d]\w*\Z|\Z")
_FROM_MODULE = re.compile(r"\s*from\s+(\.*)([\w.]*)\Z")
_FROM_NAMES = re.compile(r"\s*from\s+(\.*)([\w.]*)\s+import\s+\(?([^()]*)\Z", re.DOTALL)
_IMPORT = re.compile(r"\s*import\s+(?:[\w.]+(?:\s+as\s+\w+)?\s*,\s*)*([\w.]*)\Z")
_SILENT = frozenset({"comment", "string", "string_content", "string_start", "escape_sequence"})
_PLACEHOLDER = b"_"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name that may stand at a place. `import_edit` belongs to those that must be imported first."""

    name: str
    kind: Kind | Literal["keyword", "builtin"]
    detail: str
    origin: Origin
    import_edit: Edit | None = None
    doc: str = ""
    outside: str = ""  # its dotted name where it is not the project's: the library may know more of it


def candidates(snapshot: Snapshot, place: Place) -> tuple[Candidate, ...]:
    """What may stand at a place, nearest first; all of it: the caller matches it with what is typed.

    Only names to import are chosen by the letters before the place. Nothing in strings and comments.
    """
    return Candidates().at(snapshot, place)


class Candidates:
    """Answers as `candidates` does, and keeps what it read last: while a word grows, all around it stays as it was.

    Any thread may ask. Who asks takes the reading along, so that nobody else works with it meanwhile.
    """

    def __init__(self) -> None:
        self._kept: deque[_Reading] = deque(maxlen=1)
        self._others = Completions(Candidate)

    def at(self, snapshot: Snapshot, place: Place) -> tuple[Candidate, ...]:
        """As `candidates`."""
        path, text = place.path, snapshot.text(place.path)
        record = snapshot.record(path)
        if text is None or record is None:
            return ()
        offset = min(place.offset, len(text))
        if record.language != "python":
            return self._others.at(snapshot, path, text, offset)
        statement = _import_statement(text, offset)
        if statement is not None:
            return _in_import(Resolver(snapshot), path, statement)
        found = _WORD.search(text.slice(Span(text.line_start(text.line_of(offset)), offset)))
        word = found[0] if found else ""
        start = offset - len(word.encode())
        finished, grown = _finished(text, start, offset, word)
        try:
            reading = self._kept.pop()
        except IndexError:
            reading = None
        if reading is None or not reading.holds(snapshot, path, finished, start):
            reading = _read(snapshot, path, finished, start)
        answer = reading.candidates(word, grown)
        self._kept.append(reading)
        return answer


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """What was read of a text with a name at `start`, whichever: `found` by name (arguments with a "=" behind)."""

    text: Text
    start: int
    path: str
    tree: Tree | None
    resolver: Resolver
    found: dict[str, Candidate]
    is_open: bool  # to names that would have to be imported
    to_import: dict[str, tuple[Candidate, ...]] = field(default_factory=dict[str, tuple[Candidate, ...]])

    def holds(self, snapshot: Snapshot, path: str, text: Text, start: int) -> bool:
        """Whether reading anew would find the same."""
        is_here = (path, start) == (self.path, self.start) and text == self.text
        return is_here and self.resolver.snapshot.is_same_but_for(path, snapshot)

    def candidates(self, word: str, grown: int) -> tuple[Candidate, ...]:
        """All of them for a typed word; `text` is so many bytes longer than the one that is edited."""
        found = dict(self.found)
        if not word:
            found.pop(_PLACEHOLDER.decode(), None)
        if not self.is_open or len(word) < _AUTO_IMPORT_LETTERS:
            return tuple(found.values())
        for candidate in self._imported(word):
            edit = candidate.import_edit
            if edit is not None and edit.span.start > self.start:
                span = Span(edit.span.start - grown, edit.span.end - grown)
                candidate = replace(candidate, import_edit=replace(edit, span=span))
            found.setdefault(candidate.name, candidate)
        return tuple(found.values())

    def _imported(self, word: str) -> list[Candidate]:
        """Names at the top of other modules that fit the letters, best first."""
        if not self.resolver.snapshot.definers.is_read:
            return []  # looking for each of them would take longer than a list may
        first = word[0].lower()
        names = [name for name in self.resolver.snapshot.definers.having(word) if name[0].lower() == first]
        scored = [
            (score, len(name), name)
            for name in names
            if not name.startswith("_") and (score := match(word, name)) is not None
        ]
        found: list[Candidate] = []
        for _, _, name in sorted(scored)[: 4 * AUTO_IMPORTS]:
            if name not in self.to_import:
                self.to_import[name] = _to_import(self.resolver, self.path, self.text, self.tree, name)
            found.extend(self.to_import[name])
            if len(found) >= AUTO_IMPORTS:
                break
        return found


def _read(snapshot: Snapshot, path: str, text: Text, start: int) -> _Reading:
    """Reads a text with a name at `start`."""
    line = text.line_span(text.line_of(start))
    tree = parse(text, "python")
    # A string that is not closed yet may have lost the name, not its quotation mark.
    if _is_silent(tree, start) or _is_silent(tree, start + 1):
        return _Reading(text, start, path, tree, Resolver(snapshot), {}, is_open=False)
    record = snapshot.records[path]
    if record.digest != text.digest:
        record = read_record(text, "python", tree)
    if not text.slice(Span(line.start, start)).rstrip().endswith("."):
        resolver = Resolver(snapshot.after({path: record}))
        found = _names(resolver, path, record, text, start)
        return _Reading(text, start, path, tree, resolver, found, is_open=True)
    at = start
    if any(line.start <= problem.span.start <= line.end + 1 for problem in record.errors):
        receiver, at = _only_receiver(text, start)
        record = read_record(receiver, "python")
    resolver = Resolver(snapshot.after({path: record}))
    members = {member.name: member for member in _members(resolver, path, record, at)}
    return _Reading(text, start, path, tree, resolver, members, is_open=False)


def _finished(text: Text, start: int, offset: int, word: str) -> tuple[Text, int]:
    """The text as if some name stood at `start` and its line were complete, for what is being typed is often no
    expression yet; and how many bytes longer it is. The same for every word, lest each letter makes it another."""
    is_prefix = text.data[offset : offset + 1] in (b"'", b'"')
    name = word.encode() if word and is_prefix else _PLACEHOLDER
    named = text.splice(start, offset, name)
    lacking = missing(named, start + len(name)).encode()
    end = named.line_span(named.line_of(start)).end
    grown = len(lacking) + len(name) - (offset - start)
    return named.splice(end, end, lacking), grown


def _only_receiver(text: Text, start: int) -> tuple[Text, int]:
    """(text, offset of the member) with a broken line reduced to the receiver and the member at `start`."""
    line = text.line_of(start)
    span = text.line_span(line)
    content = text.data[span.start : span.end]
    indent = content[: len(content) - len(content.lstrip())]
    receiver = text.data[_receiver_start(text.data, span.start, start) : start]
    below = next(
        (
            following
            for at in range(line + 1, text.line_count)
            if (following := text.data[text.line_start(at) : text.line_span(at).end]).strip()
        ),
        b"",
    )
    opens_block = len(below) - len(below.lstrip()) > len(indent)
    opening, closing = (b"if ", b":") if opens_block else (b"", b"")
    instead = b"".join((indent, opening, receiver, _PLACEHOLDER, closing))
    after = text.splice(span.start, span.end, instead)
    return after, span.start + len(indent) + len(opening) + len(receiver)


def _receiver_start(data: bytes, low: int, at: int) -> int:
    """Where the expression begins whose member is at `at`: names, dots and whole brackets before it."""
    depth = 0
    while at > low:
        byte = data[at - 1 : at]
        if byte in b")]}":
            depth += 1
        elif byte in b"([{":
            if not depth:
                break
            depth -= 1
        elif not depth and not (byte.isalnum() or byte in b"_." or byte >= b"\x80"):
            break
        at -= 1
    return at


def is_silent(text: Text, offset: int, language: str = "python") -> bool:
    """Whether a place is inside a string or comment (but not in an f-string's braces)."""
    if language != "python":
        return complete.is_silent(parse(text, language), offset)
    return _is_silent(parse(text, "python"), offset)


def _is_silent(tree: Tree | None, offset: int) -> bool:
    at = max(offset - 1, 0)
    node = None if tree is None else tree.root_node.descendant_for_byte_range(at, at)
    if node is None or node.type not in _SILENT:
        return bool(node is not None and node.type == "string_end" and node.end_byte > offset)
    return not (node.type == "string" and node.end_byte <= offset)


def _import_statement(text: Text, offset: int) -> str | None:
    """The beginning of the import statement that is being written at a place."""
    line = text.line_of(offset)
    source = text.slice(Span(text.line_start(line), offset))
    if re.match(r"\s*(from|import)\b", source):
        return source
    # A parenthesised list of names may have begun on a line above.
    for above in range(line - 1, max(line - 100, -1), -1):
        head = text.slice(text.line_span(above))
        if re.match(r"\s*from\s+[\w.]+\s+import\s*\(", head):
            source = text.slice(Span(text.line_start(above), offset))
            return source if ")" not in source else None
        if not re.fullmatch(r"[\w\s,]*(#.*)?", head):
            return None
    return None


def _in_import(resolver: Resolver, path: str, statement: str) -> tuple[Candidate, ...]:
    snapshot = resolver.snapshot
    names = _FROM_NAMES.match(statement)
    if names is not None:
        module = _module(resolver, path, names[2], len(names[1]))
        taken = set(re.findall(r"\w+", names[3].rpartition(",")[0]))
        if module is None:
            return ()
        found = resolver.types.names(module)
        public = resolver.public_names(module)
        order = sorted(found, key=lambda name: (name not in public, name.startswith("_"), name))
        return tuple(_candidate(resolver, name, found[name], "module") for name in order if name not in taken)
    source = _FROM_MODULE.match(statement) or _IMPORT.match(statement)
    if source is None:
        return () if re.match(r"\s*import\b", statement) else _keywords(("import",))
    level = len(source[1]) if source.re is _FROM_MODULE else 0
    dotted = source[2] if source.re is _FROM_MODULE else source[1]
    parent = dotted.rpartition(".")[0]
    if parent or level:
        module = _module(resolver, path, parent, level)
        inside = {} if module is None else resolver.submodules(module)
    else:
        inside = {}
        for root in snapshot.modules.roots(path, ""):
            inside = {**snapshot.modules.inside(root), **inside}
    found = [_candidate(resolver, name, inside[name], "module") for name in sorted(inside)]
    if not parent and not level:
        outside = resolver.library.environment.module_names()
        found += [Candidate(name, "module", name, "module") for name in outside if name not in inside]
    return tuple(found)


def _module(resolver: Resolver, path: str, dotted: str, level: int) -> Module | None:
    """The module of the project or the library that an import in a file names."""
    found = resolver.snapshot.modules.find(path, dotted, level)
    return found if found is not None or level or not dotted else resolver.library.find(dotted)


def _members(resolver: Resolver, path: str, record: FileRecord, start: int) -> tuple[Candidate, ...]:
    index = record.occurrence_at(start)
    if index is None or record.occurrences.start[index] != start:
        return ()
    found: dict[str, Target] = {}
    for receiver in resolver.types.of_ref(path, record.occurrences.link[index]):
        for name, target in resolver.types.names(receiver).items():
            found.setdefault(name, target)
    placeholder = record.names[record.occurrences.name[index]]
    if record.bound(placeholder):
        found.pop(_PLACEHOLDER.decode(), None)
    order = sorted(found, key=lambda name: (name.startswith("__"), name.startswith("_"), name))
    return tuple(_candidate(resolver, name, found[name], "member") for name in order)


def _names(
    resolver: Resolver,
    path: str,
    record: FileRecord,
    text: Text,
    offset: int,
) -> dict[str, Candidate]:
    """Names in scope, arguments, keywords and builtins; arguments by their names with a "=" behind."""
    found: dict[str, Candidate] = {}
    for scope in visible_scopes(record, record.scope_at(offset)):
        own = {
            record.names[record.symbols.name[row]]
            for row in record.symbols_in(scope)
            if record.symbols.kind[row] != _ATTRIBUTE and record.symbols.start[row] != offset
        }
        for name in sorted(own - found.keys()):
            slot = Slot(path, scope, name)
            rows = resolver.symbols_of(slot)
            imported = bool(rows) and all(record.symbols.kind[row] == _IMPORTED for row in rows)
            origin: Origin = "import" if imported else "local" if scope else "module"
            found[name] = _candidate(resolver, name, slot, origin)
    for imported in resolver.stars(path):
        for module in resolver.module(path, imported.module, imported.level):
            if isinstance(module, Module):
                for name in sorted(resolver.public_names(module) - found.keys()):
                    for target in resolver.member(module, name)[:1]:
                        found[name] = _candidate(resolver, name, target, "import")
    for name, target in argument_names(resolver, path, record, text, offset).items():
        found[f"{name}="] = replace(_candidate(resolver, name, target, "argument"), kind="parameter")
    for candidate in _keywords((*keyword.kwlist, *keyword.softkwlist)):
        found.setdefault(candidate.name, candidate)
    for name in sorted(BUILTINS):
        found.setdefault(name, Candidate(name, "builtin", "", "builtin", outside=f"builtins.{name}"))
    return found


def _keywords(words: tuple[str, ...]) -> tuple[Candidate, ...]:
    return tuple(Candidate(word, "keyword", "", "keyword") for word in words if word != "_")


def _to_import(resolver: Resolver, path: str, text: Text, tree: Tree | None, name: str) -> tuple[Candidate, ...]:
    """A name from the top of another module, with the edit that imports it; none where no other module has it."""
    found: list[Candidate] = []
    for module in _import_path(resolver, name)[:1]:
        target = resolver.snapshot.modules.find(path, module)
        if module == resolver.snapshot.modules.dotted(path) or target is None:
            continue
        edit = import_edit(text, module, name, tree)
        for slot in resolver.member(target, name)[:1]:
            made = _candidate(resolver, name, slot, "auto-import")
            found.append(replace(made, detail=module, import_edit=edit))
    return tuple(found)


def import_path(snapshot: Snapshot, name: str) -> tuple[str, ...]:
    """The modules of the project that define a top-level name, by dotted name, the likeliest first.

    A package whose `__init__` re-exports the name comes before the module inside it that defines it.
    """
    return _import_path(Resolver(snapshot), name)


def _import_path(resolver: Resolver, name: str) -> tuple[str, ...]:
    snapshot = resolver.snapshot
    found: dict[str, tuple[bool, int, str]] = {}
    for path in snapshot.definers[name]:
        if not snapshot.records[path].bindings(0, name):
            continue  # most files that define a common name have a member of that name
        names = resolver.names(path, name)
        dotted = snapshot.modules.dotted(path)
        if names is None or 0 not in names.bound or not dotted:
            continue
        slot = Slot(path, 0, name)
        if all(snapshot.records[path].symbols.kind[row] == _IMPORTED for row in names.bound[0]):
            continue
        package = dotted
        while package:
            module = snapshot.modules.find(path, package)
            if module is not None and any(slot in resolver.origins(target) for target in resolver.member(module, name)):
                private = any(part.startswith("_") or part in ("test", "tests") for part in package.split("."))
                found[package] = (private, package.count("."), package)
            package = package.rpartition(".")[0]
    return tuple(sorted(found, key=found.__getitem__))


def _candidate(resolver: Resolver, name: str, target: Target, origin: Origin) -> Candidate:
    """A candidate as its first binding describes it, imports followed."""
    for end in _ends(resolver, target):
        if isinstance(end, Module):
            return Candidate(name, "module", resolver.dotted(end.path), origin)
        if isinstance(end, Slot):
            record = resolver.record(end.path)
            rows = resolver.symbols_of(end)
            if record is not None and rows:
                row = max(rows, key=lambda at: (record.symbols.inner[at] >= 0, -at))
                symbol = record.symbols[row]
                seen = resolver.seen(end)
                outside = seen.name if isinstance(seen, External) else ""
                return Candidate(name, symbol.kind, symbol.detail, origin, doc=symbol.doc, outside=outside)
    return Candidate(name, "import" if origin == "import" else "variable", "", origin)


def _ends(resolver: Resolver, target: Target) -> Iterable[Target]:
    """Where a target is defined, with the project's imports followed. The library's are not: each might take reading
    another of its files, which is too much for one name of many."""
    return (target,) if isinstance(target, Slot) and is_outside(target.path) else resolver.origins(target)


_ATTRIBUTE, _IMPORTED = KIND["attribute"], KIND["import"]
