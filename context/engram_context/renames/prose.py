"""Mentions of a symbol outside the code: in strings, comments, settings and documents.

Nothing says what they really mean, so they are judged by where they stand: a dotted name that ends in the symbol's own
home, a string that something is looked up by, a word that is marked as code, a word that nobody writes by chance.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Generic, Literal, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from engram_context.edits import Edit
from engram_context.records import KIND, ROLE, SCOPE_KIND, FileRecord
from engram_context.resolve import Resolver
from engram_context.targets import Slot
from engram_context.text import Span, Text

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

_PARAMETER, _CLASS = KIND["parameter"], SCOPE_KIND["class"]
_SETTINGS = ("pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", "mkdocs.yml")
_DOCUMENTS = (".md", ".rst", ".txt")
# Calls that look a name up: the string in them is one.
REFLECTING = frozenset(
    {"getattr", "setattr", "hasattr", "delattr", "getattr_static", "attrgetter", "methodcaller"}
    | {"patch", "object", "multiple", "delitem", "import_module", "find_spec", "resolve_name", "locate"}
)
# The same, from inside a class that has its own way with attributes.
_OWN = frozenset({"__getattribute__", "__setattr__", "__delattr__", "__getattr__"})
# Files that look up members, and modules' names, by strings say one of these.
_OF_MEMBERS = ("getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller", "patch")
_OF_MODULES = ("patch", "import_module", "find_spec", "resolve_name")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_DESCRIBES = re.compile(rb"(?:[:@](?:param|type|arg|keyword)[^:\n]*\s)\Z")
_SCANNED = 60_000_000
"""Bytes of files that are looked through for the name of a module."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is renamed: the slots that its name has, and the occurrences that are proven to mean them, by path."""

    name: str
    new_name: str
    slots: frozenset[Slot]
    mentions: Mapping[str, Sequence[int]]


def words_of(name: str) -> list[str]:
    """The words in a name: "read_HTTPHeader" has three."""
    return _WORD.findall(name)


def is_distinctive(name: str) -> bool:
    """Whether a name is hardly met by chance in prose: it has several words, a digit in it, or only capitals."""
    return len(words_of(name)) > 1 or "_" in name.strip("_") or (name.isupper() and len(name) > 3)


def quoted(name: str) -> re.Pattern[bytes]:
    """A whole string literal that is the name, or a dotted path that ends in it."""
    return re.compile(rb"""(?P<quote>["'])(?P<owner>(?:\w+[.:])*)(?P<name>%s)(?P=quote)""" % re.escape(name).encode())


def in_texts(resolver: Resolver, wanted: Wanted) -> Iterator[tuple[str, Edit]]:
    """Mentions outside the code, in the files that mention the name in their code, those that look names up, settings
    and documents."""
    snapshot, name = resolver.snapshot, wanted.name
    is_member = any(snapshot.records[slot.path].scopes.kind[slot.scope] == _CLASS for slot in wanted.slots)
    spelled = name.encode()
    used = _OF_MEMBERS if is_member else _OF_MODULES
    looking = dict.fromkeys(path for call in used for path in snapshot.files_naming(call, name))
    looking = (path for path in looking if may_hold(snapshot, path, spelled, literals=True))
    others = (
        path for path in _other_files(snapshot) if path not in snapshot.records or may_hold(snapshot, path, spelled)
    )
    names = lookup_names(snapshot) if is_member else frozenset[str]()
    for path in dict.fromkeys((*snapshot.files_naming(name), *looking, *others)):
        text, record = snapshot.text(path), snapshot.record(path)
        if text is None:
            continue
        prose = _Prose(resolver, wanted, path, record, text, names)
        for start in _words_at(text.data, spelled):
            if not prose.is_code(start):
                end = start + len(spelled)
                reason, chance = prose.judge(start, end)
                yield path, Edit(Span(start, end), wanted.new_name, reason, chance)


def _words_at(data: bytes, word: bytes) -> Iterator[int]:
    """Where a word stands by itself. (A pattern would look at every byte.)"""
    at = data.find(word)
    while at >= 0:
        end = at + len(word)
        if not _NAME.match(data[max(at - 1, 0) : at]) and not _NAME.match(data[end : end + 1]):
            yield at
        at = data.find(word, end)


_LITERAL = re.compile(rb"""["']([\w.:]{2,120})["']""")
_NAME = re.compile(rb"\w+")
Found = TypeVar("Found")


class _Kept(Generic[Found]):
    """What was found in files, by their contents: most files that look names up have nothing to do with a rename, and
    are asked about at every one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[bytes, Found] = OrderedDict()
        self._lock = Lock()

    def find(self, digest: bytes) -> Found | None:
        with self._lock:
            found = self._found.get(digest)
            if found is not None:
                self._found.move_to_end(digest)
            return found

    def keep(self, digest: bytes, found: Found) -> Found:
        with self._lock:
            self._found[digest] = found
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return found


_words: _Kept[NDArray[np.uint32]] = _Kept(16_384)
_asked: _Kept[bool] = _Kept(65_536)
_looked: _Kept[frozenset[str]] = _Kept(4096)


def may_hold(snapshot: Snapshot, path: str, name: bytes, *, literals: bool = False) -> bool:
    """Whether a file, or with `literals` one of its plain strings, has a name in it: surely not where it is false.

    Who asks about a file for the first time has its text looked through; from the second time on the checksums of its
    words are kept, a few bytes each.
    """
    record = snapshot.records[path]
    key = record.digest + (b"'" if literals else b"")
    words = _words.find(key)
    if words is None:
        text = snapshot.text(path)
        data = b"" if text is None else text.data
        if _asked.find(key) is None:
            _asked.keep(key, True)
            return name in data
        parts = (match[1] for match in _LITERAL.finditer(data)) if literals else (data,)
        words = np.array(sorted({crc32(word) for part in parts for word in _NAME.findall(part)}), np.uint32)
        _words.keep(key, words)
    wanted = crc32(name)
    at = int(words.searchsorted(wanted))
    return at < len(words) and int(words[at]) == wanted


def _other_files(snapshot: Snapshot) -> Iterator[str]:
    """The project's settings and documents."""
    for path in _SETTINGS:
        if path not in snapshot.modules.files:
            yield path
    # Only paths are looked at: where records are read on demand, asking for one would read it.
    yield from (path for path in snapshot.records if path.endswith(_DOCUMENTS))


Region = Literal["code", "comment", "documentation", "string", "setting"]

_REGIONS = re.compile(
    rb"""(?P<comment>\#[^\n]*)
    |(?P<lead>(?:^|\n)[ \t]*[rRuU]{0,2})(?P<documentation>(?P<q>\"{3}|'{3})(?:\\.|(?!(?P=q))[\s\S])*(?:(?P=q))?)
    |(?P<triple>(?P<t>\"{3}|'{3})(?:\\.|(?!(?P=t))[\s\S])*(?:(?P=t))?)
    |(?P<string>"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)""",
    re.VERBOSE,
)


@lru_cache(maxsize=64)
def regions(data: bytes) -> list[tuple[int, int, Region]]:
    """(start, end, what it is) of every comment and string in Python source, in order."""
    found: list[tuple[int, int, Region]] = []
    for match in _REGIONS.finditer(data):
        if match["documentation"] is not None:
            found.append((*match.span("documentation"), "documentation"))
        elif match["comment"] is not None:
            found.append((*match.span(), "comment"))
        else:
            found.append((*match.span(), "string"))
    return found


@dataclass
class _Prose:
    """What stands in one file beside its code."""

    resolver: Resolver
    wanted: Wanted
    path: str
    record: FileRecord | None
    text: Text
    looking: frozenset[str]  # variables that members are looked up by

    @cached_property
    def _homes(self) -> frozenset[bytes]:
        """What is written before the dot where the symbol is named in full: modules and classes."""
        snapshot, found = self.resolver.snapshot, set[bytes]()
        for slot in self.wanted.slots:
            scope = snapshot.records[slot.path].scopes[slot.scope]
            home = scope.name if scope.kind == "class" else snapshot.modules.dotted(slot.path).rpartition(".")[2]
            found.add(home.encode())
        # A module that imports it has it, too: `package.Name` for what is defined deeper inside.
        for path in self.wanted.mentions:
            if snapshot.records[path].bindings(0, self.wanted.name):
                found.add(snapshot.modules.dotted(path).rpartition(".")[2].encode())
        return frozenset(found - {b""})

    @cached_property
    def _codes(self) -> frozenset[int]:
        record = self.record
        if record is None:
            return frozenset()
        return frozenset(record.occurrences.start[index] for index in record.occurrences_of(self.wanted.name))

    @property
    def _is_python(self) -> bool:
        return self.record is not None and self.record.language == "python"

    @cached_property
    def _regions(self) -> list[tuple[int, int, Region]]:
        return regions(self.text.data) if self._is_python else []

    def is_code(self, start: int) -> bool:
        return start in self._codes

    def region(self, offset: int) -> Region:
        if not self._is_python:
            return "documentation" if self.path.endswith(_DOCUMENTS) else "setting"
        at = bisect_right(self._regions, offset, key=lambda region: region[0]) - 1
        if at >= 0 and offset < self._regions[at][1]:
            return self._regions[at][2]
        return "code"

    def judge(self, start: int, end: int) -> tuple[str, float]:
        """(why it may be meant, how likely it is)"""
        data, name, region = self.text.data, self.wanted.name, self.region(start)
        before, after = data[max(start - 80, 0) : start], data[end : end + 1]
        owner = re.search(rb"(\w+)[.:]\Z", before)
        if owner is not None and region != "code":
            if owner[1] in self._homes:
                return "a text that names it in full", 0.9
            return f"a text that ends in '{name}'", 0.15
        if region in ("string", "setting", "code"):
            is_whole = before[-1:] in (b'"', b"'") and after == before[-1:]
            if region == "string" and after == b"(" and self._is_told_at_run_time:
                return f"a text that shows a '{name}'", 0.5
            return f"a string that spells '{name}'", self._string(start) if is_whole and region == "string" else 0.1
        if self._is_example(start) and any(slot.path == self.path for slot in self.wanted.slots):
            return f"an example that uses '{name}'", 0.8
        if _DESCRIBES.search(before):
            return f"the documentation of a parameter '{name}'", 0.1
        marked = before[-1:] == b"`" or before[-2:] == b"`~"
        if marked or after == b"(":
            return f"a text that mentions '{name}' as code", 0.75 if is_distinctive(name) else 0.3 if marked else 0.15
        return f"a text that mentions '{name}'", 0.5 if is_distinctive(name) else 0.05

    def _is_example(self, start: int) -> bool:
        """Whether a place is in a line of a doctest."""
        line = self.text.data[self.text.line_start(self.text.line_of(start)) : start].lstrip()
        return self._is_python and line.startswith((b">>> ", b"... "))

    def _string(self, start: int) -> float:
        """A string is a name where something is looked up by it; elsewhere it is a word."""
        record = self.record
        if record is None:
            return 0.1
        if not self.looking.isdisjoint(self._kept_as(record, start)):
            return 0.8
        if any(span.start <= start < span.end for span in self._hooked):
            return 0.8
        if self._is_told_at_run_time:
            return 0.5
        data, end = self.text.data, start + len(self.wanted.name.encode()) + 1
        before, after = data[max(start - 200, 0) : start - 1].rstrip(), data[end : end + 200].lstrip()
        if _NAMESPACE.search(before):
            return 0.9 if any(slot.path == self.path for slot in self.wanted.slots) else 0.4
        is_argument = before[-1:] in (b"(", b",") and after[:1] in (b",", b")")
        call = innermost_call(record, start) if is_argument else None
        called = "" if call is None else called_name(record, call)
        if called in _OWN:
            # Nobody but the classes themselves goes this way, so it is about their own members.
            return 0.8 if any(slot.path == self.path for slot in self.wanted.slots) else 0.2
        if call is None or called not in REFLECTING:
            return 0.1
        arguments = record.calls[call].arguments
        first = record.arguments.value[arguments[0]] if len(arguments) else -1
        receivers = self.resolver.types.of_ref(self.path, first)
        if not receivers:
            return 0.2 if called in ("getattr", "hasattr", "setattr", "delattr") else 0.4
        slots = {
            origin
            for receiver in receivers
            for target in self.resolver.types.slots(receiver, self.wanted.name)
            for origin in self.resolver.origins(target, aliases=False)
        }
        return 0.95 if slots & self.wanted.slots else 0.02

    @cached_property
    def _hooked(self) -> list[Span]:
        """The methods in this file by which classes that have it answer for attributes: strings are names there."""
        record = self.record
        scopes = [slot.scope for slot in self.wanted.slots if slot.path == self.path]
        if record is None:
            return []
        rows = (row for scope in scopes for hook in sorted(_OWN) for row in record.bindings(scope, hook))
        return [record.symbols[row].body for row in rows]

    @cached_property
    def _is_told_at_run_time(self) -> bool:
        """Whether it is a class whose file asks classes for their names: they then stand in what the program prints."""
        for slot in self.wanted.slots:
            record = self.resolver.snapshot.records[slot.path]
            is_class = any(record.symbols.kind[row] == KIND["class"] for row in self.resolver.symbols_of(slot))
            if is_class and record.occurrences_of("__name__", _ATTRIBUTE):
                return True
        return False

    def _kept_as(self, record: FileRecord, start: int) -> Iterator[str]:
        """The variables that a string is given to, in an assignment or as one of what a loop runs over."""
        symbols = record.symbols
        for row in range(bisect_right(symbols.body_start, start) - 1, -1, -1):
            if symbols.kind[row] in _KEEPING and symbols.body_end[row] > start:
                yield record.names[symbols.name[row]]
                break
            if start - symbols.body_start[row] > 2000:
                break
        line = self.text.data[self.text.line_start(self.text.line_of(start)) : start]
        loop = _LOOP.search(line)
        if loop is not None:
            yield loop[1].decode()


_ATTRIBUTE = frozenset({ROLE["attribute"]})
_KEEPING = frozenset({KIND["variable"], KIND["constant"], KIND["attribute"]})
# What stands before a key that is a name of an object, or of a module.
_NAMESPACE = re.compile(rb"(?:\.__dict__|\b(?:vars|globals|locals)\(\w*\))(?:\[|\.(?:get|pop|setdefault)\()\Z")
_LOOP = re.compile(rb"\bfor\s+(\w+)\s+in\b")


def lookup_names(snapshot: Snapshot) -> frozenset[str]:
    """The variables that members are looked up by: `attr` of `getattr(x, attr)`, anywhere in the project."""
    paths = dict.fromkeys(path for used in _OF_MEMBERS[:5] for path in snapshot.files_naming(used))
    records = (snapshot.records[path] for path in paths)
    return frozenset(name for record in records for name in _lookup_names_in(record))


def _lookup_names_in(record: FileRecord) -> frozenset[str]:
    kept = _looked.find(record.digest)
    if kept is not None:
        return kept
    found: set[str] = set()
    for call in range(len(record.calls)):
        if called_name(record, call) in _OF_MEMBERS[:5]:
            arguments = record.calls[call].arguments
            value = record.arguments.value[arguments[1]] if len(arguments) > 1 else -1
            if value >= 0:
                found.add(record.names[record.occurrences.name[value]])
    return _looked.keep(record.digest, frozenset(found))


def called_name(record: FileRecord, call: int) -> str:
    """The last part of the name of what a call calls, "" when it has none."""
    callee = record.calls.callee[call]
    return record.names[record.occurrences.name[callee]] if callee >= 0 else ""


def innermost_call(record: FileRecord, offset: int) -> int | None:
    """The call between whose parentheses an offset is."""
    calls = record.calls
    for row in range(bisect_right(calls.start, offset) - 1, -1, -1):
        if calls.inside_start[row] <= offset <= calls.inside_end[row]:
            return row
        if calls.start[row] < offset - 20_000:
            break
    return None


def in_docstrings(resolver: Resolver, wanted: Wanted) -> Iterator[tuple[str, Edit]]:
    """A parameter's mention in the docstring of its function, where documents describe parameters."""
    name = re.escape(wanted.name).encode()
    described = re.compile(
        rb"(?m)(?::(?:param|type|arg|keyword)\s+(?:[\w.\[\], |]+\s)?|@param\s+|^\s*\*{0,2}|`)(?P<name>%s)(?=\s*[:`(])"
        % name
    )
    for slot in wanted.slots:
        record, text = resolver.snapshot.records[slot.path], resolver.snapshot.text(slot.path)
        scope = record.scopes[slot.scope]
        is_parameter = any(record.symbols.kind[row] == _PARAMETER for row in resolver.symbols_of(slot))
        if text is None or scope.symbol is None or not is_parameter:
            continue
        function = record.symbols[scope.symbol]
        spans = [function.body]
        owner = record.scopes[function.scope]
        if function.name == "__init__" and owner.symbol is not None:
            spans = [record.symbols[owner.symbol].body]
        for span in spans:
            docstring = _docstring(text, span)
            for match in described.finditer(text.data, docstring.start, docstring.end):
                reason = f"the documentation of '{wanted.name}'"
                yield slot.path, Edit(Span(*match.span("name")), wanted.new_name, reason, 0.9)


_QUOTES = re.compile(rb'"""|\'\'\'')


def _docstring(text: Text, body: Span) -> Span:
    """The first triple-quoted string in a definition, when it stands right behind its head; else nothing."""
    opening = _QUOTES.search(text.data, body.start, min(body.end, body.start + 4000))
    if opening is None or not text.data[: opening.start()].rstrip(b" \t\r\nrRuU").endswith(b":"):
        return Span(body.start, body.start)
    closing = text.data.find(opening[0], opening.end(), body.end)
    return Span(opening.end(), closing if closing >= 0 else body.start)


# --- modules ------------------------------------------------------------------------------------------


def dotted_strings(snapshot: Snapshot, old: str, new: str) -> Iterator[tuple[str, Edit]]:
    """The dotted name `old` of a module that becomes `new`, and what goes on behind it, in strings, in the project's
    settings and documents."""
    last = old.rpartition(".")[2]
    parts, fresh = old.split("."), new.split(".")
    dotted = rb"\\?\.".join(rb"(%s)" % re.escape(part).encode() for part in parts)  # in patterns, dots are escaped
    ends = rb"""(?=[.:"'\s\])(,`>\\]|$)"""
    named = re.compile(
        rb"(?<![\w.])" + dotted + ends if len(parts) > 1 else rb"""(?<=["'])""" + dotted + rb"""(?=[.:"'])"""
    )
    # Where only some parts change, only they are replaced: what stands between them stays.
    kept = [at for at, part in enumerate(parts) if len(parts) == len(fresh) and part == fresh[at]]
    reason = f"a text that names the module {old}"
    # Strings are no names, so the files that name its package are looked through as well.
    package = snapshot.files_naming(old.partition(".")[0]) if "." in old else ()
    scanned = 0
    for path in dict.fromkeys((*snapshot.files_naming(last), *_other_files(snapshot), *package)):
        record, text = snapshot.record(path), snapshot.text(path) if scanned < _SCANNED else None
        if text is None:
            continue
        scanned += len(text.data)
        for match in named.finditer(text.data):
            at = None if record is None else record.occurrence_at(match.start())
            if record is not None and at is not None and record.occurrences.start[at] == match.start():
                continue
            chance = 0.9 if len(parts) > 1 else 0.5
            if len(parts) != len(fresh):
                yield path, Edit(Span(*match.span()), new, reason, chance)
                continue
            for number, part in enumerate(fresh):
                if number not in kept:
                    yield path, Edit(Span(*match.span(number + 1)), part, reason, chance)
