"""Mentions that may mean a symbol and cannot be proven to: attributes of objects whose class is not known, arguments
of unknown calls, strings, settings, comments and documents.

They become edits that ask for confirmation. Each says how likely it is that it means the symbol; what most likely does
not is left out. For attributes and arguments that is a logistic regression over what the proven mentions of the same
name mean (`unproven.json`, fitted by tests/bench/fit_unproven.py); strings and prose are judged by where they stand,
by rules, since nothing says what they really mean.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING

from engram_context.edits import Edit
from engram_context.reach import is_local
from engram_context.records import KIND, ROLE, FileRecord
from engram_context.resolve import Resolver
from engram_context.targets import Slot
from engram_context.text import Span, Text

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

LEAST = 0.25
"""Edits less likely than this are not offered: a list that is mostly wrong is no help."""

# An argument of this name, in a call of something unknown that is called like the function.
_OF_ARGUMENT = 0.7

_ATTRIBUTES = frozenset({ROLE["attribute"], ROLE["attribute-write"]})
_WRITE = ROLE["attribute-write"]
_KEYWORD, _READ, _STRING = ROLE["keyword"], ROLE["read"], ROLE["string"]
_PARAMETER, _METHOD = KIND["parameter"], KIND["method"]
_SETTINGS = ("pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", "mkdocs.yml")
_DOCUMENTS = (".md", ".rst", ".txt")
# Calls that look a name up: the string in them is one.
_REFLECTING = frozenset(
    {"getattr", "setattr", "hasattr", "delattr", "getattr_static", "attrgetter", "methodcaller"}
    | {"patch", "object", "multiple", "delitem", "import_module", "find_spec", "resolve_name", "locate"}
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is renamed: the slots that its name has, and the occurrences that are proven to mean them, by path."""

    name: str
    new_name: str
    slots: frozenset[Slot]
    mentions: Mapping[str, Sequence[int]]


def guesses(resolver: Resolver, wanted: Wanted) -> Iterator[tuple[str, Edit]]:
    """The edits to be confirmed, with their paths."""
    if all(is_local(resolver, slot) for slot in wanted.slots):
        yield from _docstrings(resolver, wanted)
        return
    judge = Judge(resolver, wanted)
    of_code: set[tuple[str, int]] = set()
    for path, index, chance in judge.unknown():
        record = resolver.snapshot.records[path]
        is_argument = record.occurrences.role[index] == _KEYWORD
        kind = "argument" if is_argument else "attribute"
        span = record.occurrences.span(index)
        of_code.add((path, span.start))
        if chance >= LEAST:
            reason = f"{kind} '{wanted.name}' of something that is not known"
            yield path, Edit(span, wanted.new_name, reason, chance)
    if judge.is_parameter:
        yield from _docstrings(resolver, wanted)
        return
    for path, edit in _texts(resolver, wanted):
        if edit.likelihood >= LEAST and (path, edit.span.start) not in of_code:
            yield path, edit


# --- attributes and arguments -------------------------------------------------------------------------

FEATURES = ("bias", "share", "seen", "self", "knows", "words", "copies", "alike", "write")


@dataclass
class Judge:
    """Judges the mentions of a name that nothing is known about, by those of which something is."""

    resolver: Resolver
    wanted: Wanted

    @cached_property
    def is_parameter(self) -> bool:
        records = self.resolver.snapshot.records
        return all(records[slot.path].scopes[slot.scope].kind in ("function", "lambda") for slot in self.wanted.slots)

    @cached_property
    def of_class(self) -> bool:
        records = self.resolver.snapshot.records
        return any(records[slot.path].scopes[slot.scope].kind == "class" for slot in self.wanted.slots)

    @cached_property
    def callees(self) -> frozenset[str]:
        return frozenset(called for slot in self.wanted.slots for called in called_as(self.resolver, slot))

    @cached_property
    def classes(self) -> frozenset[str]:
        """The names of the classes whose member it is."""
        records = self.resolver.snapshot.records
        scopes = (records[slot.path].scopes[slot.scope] for slot in self.wanted.slots)
        return frozenset(scope.name for scope in scopes if scope.kind == "class")

    @cached_property
    def others(self) -> int:
        """How many mentions as a member are known to mean something else."""
        return sum(
            1
            for path in self.resolver.snapshot.files_naming(self.wanted.name)
            for index in self.resolver.snapshot.records[path].occurrences_of(self.wanted.name, _ATTRIBUTES)
            if index not in set(self.wanted.mentions.get(path, ())) and self.resolver.of_occurrence(path, index)
        )

    @cached_property
    def ours(self) -> int:
        """How many mentions as a member are known to mean it."""
        records = self.resolver.snapshot.records
        return sum(
            records[path].occurrences.role[index] in _ATTRIBUTES
            for path, indices in self.wanted.mentions.items()
            for index in indices
        )

    def unknown(self) -> Iterator[tuple[str, int, float]]:
        """(path, occurrence, likelihood) of each mention that may mean it."""
        name, snapshot = self.wanted.name, self.resolver.snapshot
        roles = (_ATTRIBUTES if self.of_class else frozenset[int]()) | {_KEYWORD}
        for path in snapshot.files_naming(name):
            record = snapshot.records[path]
            own = set(self.wanted.mentions.get(path, ()))
            for index in record.occurrences_of(name, roles):
                if index in own or self.resolver.of_occurrence(path, index):
                    continue
                if record.occurrences.role[index] != _KEYWORD:
                    yield path, index, chance_of(self.features(path, index, self.ours, self.others))
                elif callee_name(record, index) in self.callees:
                    yield path, index, _OF_ARGUMENT

    def features(self, path: str, index: int, ours: int, others: int) -> tuple[float, ...]:
        """What is known about an unknown mention, in the order of FEATURES."""
        record = self.resolver.snapshot.records[path]
        occurrences = record.occurrences
        receiver = _receiver(record, index)
        word = receiver.lstrip("_").lower()
        alike = any(word and (word in name.lower() or name.lower() in word) for name in self.classes)
        return (
            1.0,
            math.log((ours + 0.5) / (others + 0.5)),
            math.log1p(ours + others),
            float(receiver in ("self", "cls")),
            float(any(record.name_index(name) is not None for name in self.classes)),
            float(min(len(words_of(self.wanted.name)), 3) - 1),
            float(self._copies(path, record, index)),
            float(alike),
            float(occurrences.role[index] == _WRITE),
        )

    def _copies(self, path: str, record: FileRecord, index: int) -> bool:
        """Whether the same line mentions the symbol proper, as in `self.name = other.name`."""
        text = self.resolver.snapshot.text(path)
        if text is None:
            return False
        start = record.occurrences.start
        line = text.line_span(text.line_of(min(start[index], len(text))))
        return any(line.start <= start[own] < line.end for own in self.wanted.mentions.get(path, ()) if own != index)


def chance_of(features: Sequence[float]) -> float:
    """How likely a mention with these features means the symbol."""
    score = sum(weight * value for weight, value in zip(_weights(), features, strict=True))
    return 1 / (1 + math.exp(-max(min(score, 30.0), -30.0)))


@cache
def _weights() -> tuple[float, ...]:
    stored = json.loads(resources.files("engram_context").joinpath("unproven.json").read_text("utf-8"))
    return tuple(float(stored["weights"][name]) for name in FEATURES)


def _receiver(record: FileRecord, index: int) -> str:
    """The last name of what an attribute is taken from."""
    if record.occurrences.role[index] not in _ATTRIBUTES:
        return ""
    link = record.occurrences.link[index]
    return record.names[record.occurrences.name[link]] if link >= 0 else ""


def words_of(name: str) -> list[str]:
    """The words in a name: "read_HTTPHeader" has three."""
    return _WORD.findall(name)


def is_distinctive(name: str) -> bool:
    """Whether a name is hardly met by chance in prose: it has several words, or a digit in it."""
    return len(words_of(name)) > 1 or ("_" in name.strip("_"))


def called_as(resolver: Resolver, slot: Slot) -> Iterator[str]:
    """The names under which the function of a parameter is called: its own, or its class's."""
    record = resolver.snapshot.records[slot.path]
    scope = record.scopes[slot.scope]
    if scope.kind == "class":
        yield scope.name  # a dataclass takes its fields
    if scope.symbol is None or scope.kind not in ("function", "lambda"):
        return
    function = record.symbols[scope.symbol]
    yield function.name
    owner = record.scopes[function.scope]
    if function.name in ("__init__", "__new__") and owner.kind == "class":
        yield owner.name
        yield "cls"


def callee_name(record: FileRecord, index: int) -> str | None:
    """The last part of the name of what a keyword argument is given to."""
    row = record.occurrences.link[index]
    callee = record.calls.callee[row] if row >= 0 else -1
    return record.names[record.occurrences.name[callee]] if callee >= 0 else None


# --- strings, comments and documents ------------------------------------------------------------------


def quoted(name: str) -> re.Pattern[bytes]:
    """A whole string literal that is the name, or a dotted path that ends in it."""
    return re.compile(rb"""(?P<quote>["'])(?P<owner>(?:\w+[.:])*)(?P<name>%s)(?P=quote)""" % re.escape(name).encode())


def _texts(resolver: Resolver, wanted: Wanted) -> Iterator[tuple[str, Edit]]:
    """Mentions outside the code, in the files that mention the name in their code, in settings and documents."""
    snapshot, name = resolver.snapshot, wanted.name
    word = re.compile(rb"(?<!\w)%s(?!\w)" % re.escape(name).encode())
    for path in (*snapshot.files_naming(name), *_other_files(snapshot)):
        text, record = snapshot.text(path), snapshot.record(path)
        if text is None or name.encode() not in text.data:
            continue
        prose = _Prose(resolver, wanted, path, record, text)
        for match in word.finditer(text.data):
            if record is not None and prose.is_code(match.start()):
                continue
            reason, chance = prose.judge(match.start(), match.end())
            yield path, Edit(Span(*match.span()), wanted.new_name, reason, chance)


def _other_files(snapshot: Snapshot) -> Iterator[str]:
    """The project's settings and documents."""
    for path in _SETTINGS:
        if path not in snapshot.modules.files:
            yield path
    for path, record in snapshot.records.items():
        if record.language != "python" and path.endswith(_DOCUMENTS):
            yield path


@dataclass
class _Prose:
    """What stands in one file beside its code."""

    resolver: Resolver
    wanted: Wanted
    path: str
    record: FileRecord | None
    text: Text

    @cached_property
    def _homes(self) -> frozenset[bytes]:
        """What is written before the dot where the symbol is named in full: modules and classes."""
        snapshot, found = self.resolver.snapshot, set[bytes]()
        for slot in self.wanted.slots:
            scope = snapshot.records[slot.path].scopes[slot.scope]
            home = scope.name if scope.kind == "class" else snapshot.modules.dotted(slot.path).rpartition(".")[2]
            found.add(home.encode())
        return frozenset(found)

    @cached_property
    def _codes(self) -> frozenset[int]:
        record = self.record
        return frozenset(
            () if record is None else (record.occurrences.start[i] for i in record.occurrences_of(self.wanted.name))
        )

    def is_code(self, start: int) -> bool:
        return start in self._codes

    def judge(self, start: int, end: int) -> tuple[str, float]:
        """(why it may be meant, how likely it is)"""
        data, name = self.text.data, self.wanted.name
        before, after = data[max(start - 80, 0) : start], data[end : end + 2]
        owner = re.search(rb"(\w+)[.:]\Z", before)
        if owner is not None:
            told = "a text that names it in full" if owner[1] in self._homes else f"a text that ends in '{name}'"
            return told, 0.9 if owner[1] in self._homes else 0.2
        marked = before[-1:] == b"`" or before[-2:] == b"`~" or after[:1] == b"("
        quote = before[-1:]
        if quote in (b'"', b"'") and after[:1] == quote and self.record is not None:
            return f"a string that spells '{name}'", self._string(start)
        if marked:
            return f"a text that mentions '{name}' as code", 0.75 if is_distinctive(name) else 0.4
        return f"a text that mentions '{name}'", 0.5 if is_distinctive(name) else 0.05

    def _string(self, start: int) -> float:
        """A string is a name where something is looked up by it; elsewhere it is a word."""
        record = self.record
        call = None if record is None else innermost_call(record, start)
        if record is None or call is None:
            return 0.1
        callee = record.calls.callee[call]
        called = record.names[record.occurrences.name[callee]] if callee >= 0 else ""
        if called not in _REFLECTING:
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


def innermost_call(record: FileRecord, offset: int) -> int | None:
    """The call between whose parentheses an offset is."""
    calls = record.calls
    for row in range(bisect_right(calls.start, offset) - 1, -1, -1):
        if calls.inside_start[row] <= offset <= calls.inside_end[row]:
            return row
        if calls.start[row] < offset - 20_000:
            break
    return None


def _docstrings(resolver: Resolver, wanted: Wanted) -> Iterator[tuple[str, Edit]]:
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
    spelled = rb"""(?<![\w.])%s(?=[.:"'\s\])(,`>]|$)""" if "." in old else rb"""(?<=["'])%s(?=[.:"'])"""
    named = re.compile(spelled % re.escape(old).encode())
    reason = f"a text that names the module {old}"
    for path in dict.fromkeys((*snapshot.files_naming(last), *_other_files(snapshot))):
        record, text = snapshot.record(path), snapshot.text(path)
        if text is None:
            continue
        for match in named.finditer(text.data):
            at = None if record is None else record.occurrence_at(match.start())
            if record is None or at is None or record.occurrences.start[at] != match.start():
                yield path, Edit(Span(*match.span()), new, reason, 0.9 if "." in old else 0.5)
