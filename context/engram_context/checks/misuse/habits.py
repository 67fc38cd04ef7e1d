"""What a project does with its names: which attributes are read of them, what they are given to, what they index.

A name's *contexts* are small tuples that a record tells of each of its occurrences. How often a name stood in a
context, in the file and in others, says whether it belongs there: `timeout` is given to `settimeout`, and `host`
never is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from engram_context.records import ROLE, VALUE_KIND, VALUE_KINDS, FileRecord

Context = tuple[Hashable, ...]

_ATTRIBUTES = frozenset({ROLE["attribute"], ROLE["attribute-write"]})
_READ = ROLE["read"]
_SIDED = frozenset(
    VALUE_KIND[kind] for kind in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "operator")
)
_SUBSCRIPT = VALUE_KIND["subscript"]
_WHOLE = frozenset(VALUE_KIND[kind] for kind in ("element", "entered", "await", "part"))


def contexts(record: FileRecord) -> Iterator[tuple[int, Context]]:
    """(occurrence of a name, context), in no particular order; an occurrence may stand in several contexts."""
    occurrences, arguments, calls, values, symbols = (
        record.occurrences,
        record.arguments,
        record.calls,
        record.values,
        record.symbols,
    )
    names, name_of, roles, links = record.names, occurrences.name, occurrences.role, occurrences.link
    for index, role in enumerate(roles):
        if role in _ATTRIBUTES and (of := links[index]) >= 0 and roles[of] == _READ:
            yield of, ("attribute", names[name_of[index]])
    for row in range(len(calls)):
        callee = calls.callee[row]
        called = names[name_of[callee]] if callee >= 0 else None
        if callee >= 0 and roles[callee] == _READ:
            yield callee, ("called",)
        first = calls.first_argument[row]
        for at in range(first, calls.last_argument[row]):
            value, keyword = arguments.value[at], arguments.keyword[at]
            if value < 0 or roles[value] != _READ:
                continue
            if keyword >= 0:
                yield value, ("keyword", names[keyword])
            elif called is not None and not arguments.stars[at]:
                yield value, ("argument", called, at - first)
                if roles[callee] in _ATTRIBUTES and (of := links[callee]) >= 0:
                    yield value, ("argument of", names[name_of[of]], called, at - first)
            elif arguments.stars[at]:
                yield value, ("starred", arguments.stars[at])
    for row, kind in enumerate(values.kind):
        first, second = values.first[row], values.second[row]
        if kind == _SUBSCRIPT:
            if first >= 0 and roles[first] == _READ:
                yield first, ("container",)
                if second >= 0:
                    yield first, ("container of", names[name_of[second]])
            if second >= 0 and roles[second] == _READ:
                yield second, ("index",)
                if first >= 0:
                    yield second, ("index of", names[name_of[first]])
        elif kind in _SIDED:
            for side, (one, other) in enumerate(((first, second), (second, first))):
                if one >= 0 and roles[one] == _READ:
                    yield one, (VALUE_KINDS[kind], side)
                    if other >= 0:
                        yield one, (VALUE_KINDS[kind], side, names[name_of[other]])
        elif kind in _WHOLE and first >= 0 and roles[first] == _READ:
            yield first, (VALUE_KINDS[kind],)
    for row, value in enumerate(symbols.value):
        if value >= 0 and roles[value] == _READ:
            yield value, ("assigned to", names[symbols.name[row]])


@dataclass(frozen=True)
class Habits:
    """How often each name stood in each context in one file: hashes in order, and how often."""

    keys: NDArray[np.int64] = field(repr=False)
    counts: NDArray[np.int32] = field(repr=False)

    @staticmethod
    def of(record: FileRecord) -> Habits:
        names, name_of = record.names, record.occurrences.name
        found: Counter[int] = Counter()
        for index, context in contexts(record):
            found[hash((names[name_of[index]], context))] += 1
        for name, count in Counter(name_of).items():
            found[hash((names[name],))] = count
        keys = np.array(sorted(found), np.int64)
        return Habits(keys, np.array([found[key] for key in keys.tolist()], np.int32))

    def count(self, name: str, context: Context | None = None) -> int:
        """How often a name stood in a context, or (None) at all."""
        key = hash((name,) if context is None else (name, context))
        at = int(self.keys.searchsorted(key))
        return int(self.counts[at]) if at < len(self.keys) and self.keys[at] == key else 0


_MOST_KEPT = 512
_kept: dict[bytes, Habits] = {}
_lock = Lock()


def habits_of(record: FileRecord) -> Habits:
    """The habits of a file, kept for as long as it is among those that were asked about lately."""
    with _lock:
        found = _kept.pop(record.digest, None)
        if found is not None:
            _kept[record.digest] = found
            return found
    found = Habits.of(record)
    with _lock:
        _kept[record.digest] = found
        while len(_kept) > _MOST_KEPT:
            del _kept[next(iter(_kept))]
    return found


@dataclass(frozen=True)
class Experience:
    """The habits that count at one file: its own, and those of other files of the project."""

    record: FileRecord
    others: Sequence[Habits]

    @cached_property
    def here(self) -> Habits:
        return habits_of(self.record)

    @cached_property
    def together(self) -> Habits:
        """Of all other files."""
        if not self.others:
            return Habits(np.zeros(0, np.int64), np.zeros(0, np.int32))
        keys, inverse = np.unique(np.concatenate([one.keys for one in self.others]), return_inverse=True)
        counts = np.bincount(inverse, np.concatenate([one.counts for one in self.others]), len(keys))
        return Habits(keys, counts.astype(np.int32))

    @cached_property
    def contexts(self) -> Mapping[int, tuple[Context, ...]]:
        """The contexts of each occurrence of the file."""
        found: dict[int, list[Context]] = {}
        for index, context in contexts(self.record):
            found.setdefault(index, []).append(context)
        return {index: tuple(some) for index, some in found.items()}
