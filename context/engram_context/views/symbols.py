"""Outlines of files, and finding definitions in the whole project by a few letters of their name."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engram_context.records import KIND, SCOPE_KIND, FileRecord, Kind, Symbol, rows_with

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

# No more names than this are looked up while files have to be read for each of them.
_UNREAD = 20

_TYPES: tuple[Kind, ...] = ("class", "type-alias", "interface", "struct", "enum", "namespace")
_DEFINITIONS = frozenset(KIND[kind] for kind in (*_TYPES, "function", "method"))
_OUTLINED = _DEFINITIONS | frozenset(KIND[kind] for kind in ("variable", "constant", "attribute"))
_OPEN_SCOPES = (SCOPE_KIND["module"], SCOPE_KIND["class"], SCOPE_KIND["namespace"])


@dataclass(frozen=True, slots=True)
class SymbolNode:
    """A definition with those inside it, in source order."""

    symbol: Symbol
    children: tuple[SymbolNode, ...] = ()


def document_symbols(snapshot: Snapshot, path: str) -> tuple[SymbolNode, ...]:
    """The outline of a file: classes, functions, and the variables of modules and classes (each once, where
    it is first bound)."""
    record = snapshot.record(path)
    if record is None:
        return ()
    children: dict[int, list[SymbolNode]] = {}
    rows = sorted(outlined(record), key=lambda row: record.symbols.start[row], reverse=True)
    for row in rows:
        symbol = record.symbols[row]
        inside = children.pop(symbol.inner, []) if symbol.inner is not None else []
        inside.reverse()
        home = _holder(record, symbol.scope)
        children.setdefault(home, []).append(SymbolNode(symbol, tuple(inside)))
    return tuple(reversed(children.get(0, [])))


def _holder(record: FileRecord, scope: int) -> int:
    """The nearest scope around that a symbol opens, or the module."""
    while scope > 0 and record.scopes.symbol[scope] < 0:
        scope = record.scopes.parent[scope]
    if scope > 0 and record.scopes.kind[scope] == SCOPE_KIND["type-parameters"]:
        return _holder(record, record.scopes.parent[scope])
    return max(scope, 0)


def outlined(record: FileRecord, rows: Sequence[int] | None = None) -> Iterator[int]:
    """The symbols that an outline shows; with `rows`, those of them: all that bind a name, or none."""
    symbols, kinds = record.symbols, record.scopes.kind
    seen: set[tuple[int, int]] = set()
    for row in sorted(range(len(symbols)) if rows is None else rows, key=symbols.start.__getitem__):
        kind, scope = symbols.kind[row], symbols.scope[row]
        if kind in _DEFINITIONS:
            yield row
        elif kind in _OUTLINED and kinds[scope] in _OPEN_SCOPES:
            key = (scope, symbols.name[row])
            if key not in seen:
                seen.add(key)
                yield row


def defined_names(record: FileRecord) -> set[str]:
    """The names that a module's and its classes' scopes define, imports left out, and all defs."""
    return {record.names[number] for number in defined_rows(record)}


def defined_rows(record: FileRecord) -> list[int]:
    """The numbers of `defined_names` in the record's names, sorted."""
    symbols = record.symbols
    if not len(symbols):
        return []
    kinds = np.frombuffer(symbols.kind, dtype=symbols.kind.typecode)
    scopes = np.frombuffer(symbols.scope, dtype=symbols.scope.typecode)
    scope_kinds = np.frombuffer(record.scopes.kind, dtype=record.scopes.kind.typecode)
    wanted = np.isin(kinds, list(_OUTLINED)) & np.isin(scope_kinds[scopes], _OPEN_SCOPES)
    wanted |= np.isin(kinds, list(_DEFINITIONS))
    # (numpy's unique imports more than all of this takes)
    return sorted(set(np.frombuffer(symbols.name, dtype=symbols.name.typecode)[wanted].tolist()))


def workspace_symbols(snapshot: Snapshot, query: str, limit: int = 100) -> tuple[tuple[str, Symbol], ...]:
    """The project's definitions whose name has the query's letters in order, best first."""
    query = query.strip()
    found: list[tuple[str, Symbol]] = []
    for name in _best(snapshot, query, limit):
        for path in snapshot.definers[name]:
            record = snapshot.records[path]
            number = record.name_index(name)
            rows = () if number is None else rows_with(record.symbols.name, number)
            found.extend((path, record.symbols[row]) for row in outlined(record, rows))
            if len(found) >= limit:
                return tuple(found[:limit])
    return tuple(found)


def _best(snapshot: Snapshot, query: str, limit: int) -> list[str]:
    """The names that are defined and fit a query, best first."""
    definers = snapshot.definers
    limit = limit if definers.is_read else min(limit, _UNREAD)
    if not query:
        return _ordered(query, definers.names(), limit)
    # Names that begin with the query are better than all others.
    found = _ordered(query, definers.beginning(query), limit)
    return found if len(found) >= limit else _ordered(query, definers.having(query), limit)


def _ordered(query: str, names: Iterable[str], limit: int) -> list[str]:
    scored = ((score, len(name), name) for name in names if (score := match(query, name)) is not None)
    return [name for _, _, name in heapq.nsmallest(limit, scored)]


def match(query: str, name: str) -> int | None:
    """How well a name fits letters that were typed, 0 best; None when they do not occur in order.

    In turn: the same, the same but for case, a beginning, letters that begin the name's words, a part, and
    letters that only stand in order.
    """
    if not query:
        return 5
    if query == name:
        return 0
    low_query, low_name = query.lower(), name.lower()
    if low_query == low_name:
        return 1
    if name.startswith(query):
        return 2
    if low_name.startswith(low_query):
        return 3
    if not is_subsequence(low_query, low_name):
        return None
    if is_subsequence(low_query, word_starts(name)):
        return 4
    if low_query in low_name:
        return 5
    return 6 if low_name[0] == low_query[0] or low_name.lstrip("_")[:1] == low_query[0] else 7


def is_subsequence(letters: str, name: str) -> bool:
    at = -1
    for letter in letters:
        at = name.find(letter, at + 1)
        if at < 0:
            return False
    return True


def word_starts(name: str) -> str:
    """The first letters of the words in a name, in lower case: "read_HTTPHeader" gives "rhh"."""
    found: list[str] = []
    before = "_"
    for at, letter in enumerate(name):
        after = name[at + 1 : at + 2]
        begins = before == "_" or (letter.isupper() and (not before.isupper() or after.islower()))
        if letter != "_" and begins:
            found.append(letter.lower())
        before = letter
    return "".join(found)
