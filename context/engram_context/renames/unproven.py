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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

from engram_context.edits import Edit
from engram_context.records import ROLE, SCOPE_KIND, FileRecord
from engram_context.renames.prose import Wanted, in_docstrings, in_texts, words_of
from engram_context.renames.reach import is_local
from engram_context.resolve import Resolver
from engram_context.targets import Slot
from engram_context.text import Span

LEAST = 0.5
"""Edits less likely than this are not offered: what is rather wrong than right is no help."""

_UNKNOWN = "of something that is not known"
# An argument of this name, in a call of something unknown that is called like the function.
_OF_ARGUMENT = 0.7
# An argument of this name beside the function itself: `partial(f, name=1)`.
_OF_PASSED = 0.9

_ATTRIBUTES = frozenset({ROLE["attribute"], ROLE["attribute-write"]})
_WRITE = ROLE["attribute-write"]
_KEYWORD = ROLE["keyword"]
_CLASS = SCOPE_KIND["class"]
_USES = frozenset({ROLE["read"], ROLE["attribute"]})


def is_unknown(edit: Edit) -> bool:
    """Whether an edit is that of an attribute, or an argument, of something that nothing is known about."""
    return edit.annotation is not None and edit.annotation.endswith(_UNKNOWN)


def guesses(resolver: Resolver, wanted: Wanted) -> Iterator[tuple[str, Edit]]:
    """The edits to be confirmed, with their paths."""
    if all(is_local(resolver, slot) for slot in wanted.slots):
        yield from in_docstrings(resolver, wanted)
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
            reason = f"{kind} '{wanted.name}' {_UNKNOWN}"
            yield path, Edit(span, wanted.new_name, reason, chance)
    if judge.is_parameter:
        yield from in_docstrings(resolver, wanted)
        return
    for path, edit in in_texts(resolver, wanted):
        if edit.likelihood >= LEAST and (path, edit.span.start) not in of_code:
            yield path, edit


# --- attributes and arguments -------------------------------------------------------------------------

FEATURES = (
    "bias",
    "share",
    "seen",
    "self",
    "knows",
    "words",
    "copies",
    "alike",
    "write",
    "use",
    "misuse",
    "delegates",
    "like other",
)


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
                if index in own or self.resolver.is_decided(path, index):
                    continue
                if record.occurrences.role[index] != _KEYWORD:
                    yield path, index, chance_of(self.features(path, index, self.ours, self.others))
                elif callee_name(record, index) in self.callees:
                    yield path, index, _OF_ARGUMENT
                elif record.occurrences.link[index] >= 0 and self._is_passed(record, record.occurrences.link[index]):
                    yield path, index, _OF_PASSED

    def _is_passed(self, record: FileRecord, call: int) -> bool:
        """Whether a call has the function of the parameter as an argument."""
        values = (record.arguments.value[at] for at in record.calls[call].arguments)
        return any(value >= 0 and record.names[record.occurrences.name[value]] in self.callees for value in values)

    def features(self, path: str, index: int, ours: int, others: int) -> tuple[float, ...]:
        """What is known about an unknown mention, in the order of FEATURES."""
        record = self.resolver.snapshot.records[path]
        occurrences = record.occurrences
        receiver = _receiver(record, index)
        word = receiver.lstrip("_").lower()
        return (
            1.0,
            math.log((ours + 0.5) / (others + 0.5)),
            math.log1p(ours + others),
            float(receiver in ("self", "cls")),
            float(any(record.name_index(name) is not None for name in self.classes)),
            float(min(len(words_of(self.wanted.name)), 3) - 1),
            float(self._copies(path, record, index)),
            float(_is_alike(word, self.classes)),
            float(occurrences.role[index] == _WRITE),
            self._agrees(record, index),
            float(self.ours > 1 and self._agrees(record, index) < -0.99),
            float(self._delegates(path, record, index)),
            float(_is_alike(word, self._other_classes)),
        )

    @cached_property
    def _other_classes(self) -> frozenset[str]:
        """The names of the other classes that have such a member."""
        found: set[str] = set()
        for path in self.resolver.snapshot.files_naming(self.wanted.name):
            record = self.resolver.snapshot.records[path]
            for scope in record.bound(self.wanted.name):
                if record.scopes.kind[scope] == _CLASS and Slot(path, scope, self.wanted.name) not in self.wanted.slots:
                    found.add(record.scopes[scope].name)
        return frozenset(found - self.classes)

    @cached_property
    def _bodies(self) -> dict[str, list[Span]]:
        """The definitions of the symbol."""
        found: dict[str, list[Span]] = {}
        for slot in self.wanted.slots:
            record = self.resolver.snapshot.records[slot.path]
            symbols = (record.symbols[row] for row in self.resolver.symbols_of(slot))
            found.setdefault(slot.path, []).extend(symbol.body for symbol in symbols if symbol.inner is not None)
        return found

    def _delegates(self, path: str, record: FileRecord, index: int) -> bool:
        """Whether a mention stands inside a definition of the symbol: `def close(self): self._file.close()`."""
        start = record.occurrences.start[index]
        return any(body.start <= start < body.end for body in self._bodies.get(path, ()))

    @cached_property
    def _called(self) -> float:
        """The share of its proven uses that call it; of one that is never used, whether its kind is called."""
        records = self.resolver.snapshot.records
        used = called = 0
        for path, indices in self.wanted.mentions.items():
            record = records[path]
            callees = frozenset(record.calls.callee)
            uses = [index for index in indices if record.occurrences.role[index] in _USES]
            used += len(uses)
            called += sum(index in callees for index in uses)
        if used:
            return called / used
        slots = self.wanted.slots
        kinds = {records[s.path].symbols[row].kind for s in slots for row in self.resolver.symbols_of(s)}
        return float(not kinds.isdisjoint(("method", "function", "class")))

    def _agrees(self, record: FileRecord, index: int) -> float:
        """Whether a mention is called as the proven ones are: from -1 to 1."""
        share = self._called if index in frozenset(record.calls.callee) else 1 - self._called
        return 2 * share - 1

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
    stored = json.loads(resources.files("engram_context.renames").joinpath("unproven.json").read_text("utf-8"))
    return tuple(float(stored["weights"][name]) for name in FEATURES)


def _is_alike(word: str, classes: frozenset[str]) -> bool:
    """Whether a receiver is called like one of some classes."""
    return len(word) > 1 and any(word in name.lower() or name.lower() in word for name in classes)


def _receiver(record: FileRecord, index: int) -> str:
    """The last name of what an attribute is taken from."""
    if record.occurrences.role[index] not in _ATTRIBUTES:
        return ""
    link = record.occurrences.link[index]
    return record.names[record.occurrences.name[link]] if link >= 0 else ""


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
