"""What others can learn from each name that a file defines, and which names that in turn depends on.

Two versions of a file with equal `Definition`s of a name tell the rest of the project the same about it. The digests
leave out where things stand, comments, and the bodies of functions that say what they return.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engram_context.records import KIND, NO_REF, ROLE, SCOPE_KIND, FileRecord, value_row

_FUNCTION_LIKE = (SCOPE_KIND["function"], SCOPE_KIND["lambda"])
OPEN_SCOPES = (SCOPE_KIND["module"], SCOPE_KIND["class"])
_CLASS = SCOPE_KIND["class"]
_PARAMETER, _IMPORT = KIND["parameter"], KIND["import"]
_PLAIN_ROLES = frozenset(ROLE[role] for role in ("read", "write", "delete", "definition", "declaration"))
_FIELDS = (KIND["variable"], KIND["constant"])
_ATTRIBUTE_ROLES = (ROLE["attribute"], ROLE["attribute-write"])
_DEEPEST = 12
"""So deep does an expression count; what is nested deeper is no longer inferred either."""


@dataclass(frozen=True, slots=True)
class Definition:
    """`digest`: of all that others can see of the name. `mentions`: the names that this depends on."""

    digest: bytes
    mentions: frozenset[str]


def definitions(record: FileRecord) -> Mapping[str, Definition]:
    """By name: what modules and classes of the file hold, attributes too. Bindings of one name count together."""
    found: dict[str, list[tuple[object, set[str]]]] = {}
    symbols = record.symbols
    reader = _Reader(record)
    for row, scope in enumerate(symbols.scope):
        if record.scopes.kind[scope] in OPEN_SCOPES:
            found.setdefault(record.names[symbols.name[row]], []).append(reader.symbol(row))
        inner = symbols.inner[row]
        if inner >= 0 and record.scopes.kind[inner] == _CLASS:
            found.setdefault(record.names[symbols.name[row]], []).extend(map(reader.symbol, _unnamed(record, inner)))
    for imported in record.imports:
        if imported.scope == 0 or record.scopes.kind[imported.scope] in OPEN_SCOPES:
            # A star binds names that are not written here.
            name = "*" if imported.name == "*" else imported.bound_name
            source = (imported.module, imported.level, imported.name, imported.type_checking)
            found.setdefault(name, []).append((source, {name for name in (imported.name,) if name}))
    if record.exports is not None:
        found.setdefault("__all__", []).append((record.exports, set()))
    return {
        name: Definition(
            hashlib.blake2b(repr([shape for shape, _ in parts]).encode("utf-8", "replace"), digest_size=12).digest(),
            frozenset(mention for _, mentions in parts for mention in mentions),
        )
        for name, parts in found.items()
    }


def _unnamed(record: FileRecord, scope: int) -> Iterator[int]:
    """The members of a class that others use without naming them: what operators and calls run, and what may be a field
    of its constructor."""
    symbols = record.symbols
    for row in record.symbols_in(scope):
        name = record.names[symbols.name[row]]
        if (name.startswith("__") and name.endswith("__")) or symbols.kind[row] in _FIELDS:
            yield row


def uses(record: FileRecord) -> Mapping[str, int]:
    """By name: how a file mentions what other files may define, in which roles and of which receivers. Equal numbers
    say: as before. Names that the file binds itself, other than by importing them, mean nothing elsewhere."""
    occurrences, names, symbols = record.occurrences, record.names, record.symbols
    own = {name for name, kind in zip(symbols.name, symbols.kind, strict=True) if kind != _IMPORT}
    own.difference_update(name for name, kind in zip(symbols.name, symbols.kind, strict=True) if kind == _IMPORT)
    found: dict[str, list[tuple[int, str]]] = {}
    for name, role, link in zip(occurrences.name, occurrences.role, occurrences.link, strict=True):
        receiver = ""
        if role in _ATTRIBUTE_ROLES:
            receiver = names[occurrences.name[link]] if link >= 0 else ""
        elif role in _PLAIN_ROLES and name in own:
            continue
        found.setdefault(names[name], []).append((role, receiver))
    return {name: hash(tuple(sorted(places))) for name, places in found.items()}


class _Reader:
    """Turns rows of one record into values that do not say where they stand, and collects the names on the way."""

    def __init__(self, record: FileRecord) -> None:
        self.record = record
        self.tests = sorted((start, row) for row, start in enumerate(record.narrowings.start))

    def symbol(self, row: int) -> tuple[object, set[str]]:
        symbols, record = self.record.symbols, self.record
        mentions: set[str] = set()
        symbol = symbols[row]
        owner = record.scopes[symbol.scope].name
        shape: list[object] = [symbol.kind, symbol.flags, owner]
        refs = [symbol.value, symbol.annotation, *symbol.decorators]
        if symbol.inner is not None:
            is_function = record.scopes.kind[symbol.inner] in _FUNCTION_LIKE
            if is_function:
                shape += self._parameters(symbol.inner, mentions)
            if not is_function or symbol.annotation == NO_REF:
                refs += record.scopes[symbol.inner].refs
            if is_function and symbol.annotation == NO_REF:
                shape += self._body(symbol.body.start, symbol.body.end, mentions)
        shape += [self._shape(ref, mentions) for ref in refs]
        return shape, mentions

    def _parameters(self, scope: int, mentions: set[str]) -> Iterator[object]:
        symbols, names = self.record.symbols, self.record.names
        for row in self.record.symbols_in(scope):
            if symbols.kind[row] == _PARAMETER:
                yield names[symbols.name[row]], symbols.flags[row]
                yield self._shape(symbols.annotation[row], mentions)
                yield self._shape(symbols.value[row], mentions)

    def _body(self, start: int, end: int, mentions: set[str]) -> Iterator[object]:
        """All that a call's result may be inferred from."""
        record = self.record
        occurrences, names = record.occurrences, record.names
        for index in range(bisect_left(occurrences.start, start), bisect_left(occurrences.start, end)):
            name = names[occurrences.name[index]]
            mentions.add(name)
            yield name, occurrences.role[index]
        symbols = record.symbols
        for row in range(bisect_left(symbols.start, start), len(symbols)):
            if symbols.start[row] >= end:
                break
            yield self._shape(symbols.value[row], mentions)
            yield self._shape(symbols.annotation[row], mentions)
            inner = symbols.inner[row]
            if inner >= 0:
                yield [self._shape(ref, mentions) for ref in record.scopes[inner].refs]
        blocks = record.blocks
        for row in range(bisect_left(blocks.start, start), bisect_left(blocks.start, end)):
            yield blocks.loop[row]
        for _, row in self.tests[bisect_left(self.tests, (start, -1)) : bisect_left(self.tests, (end, -1))]:
            test = record.narrowings[row]
            yield test.subject, test.kind, self._shape(test.ref, mentions)

    def _shape(self, ref: int, mentions: set[str], depth: int = 0) -> object:
        record = self.record
        if ref == NO_REF or depth > _DEEPEST:
            return None
        row = value_row(ref)
        if row is None:
            occurrences = record.occurrences
            name = record.names[occurrences.name[ref]]
            mentions.add(name)
            is_attribute = occurrences.role[ref] in _ATTRIBUTE_ROLES
            return name, self._shape(occurrences.link[ref], mentions, depth + 1) if is_attribute else None
        value = record.values[row]
        inside = [
            self._shape(inner, mentions, depth + 1) for inner in self._parts(value.kind, value.first, value.second)
        ]
        return value.kind, self._said(value.kind, value.first, value.second), inside

    def _parts(self, kind: str, first: int, second: int) -> list[int]:
        record = self.record
        if kind == "call":
            rows = record.calls[second].arguments
            return [first, *(record.arguments.value[row] for row in rows)]
        if kind in ("list", "tuple", "dict", "set"):
            return list(record.values.pool[first:second])
        if kind in ("str", "bytes", "int", "float", "complex", "bool", "none", "slice", "ellipsis"):
            return []
        if kind in ("lambda", "sent"):
            return list(record.scopes[first].refs) if kind == "lambda" else []
        return [first] if kind in _UNARY else [first, second]

    def _said(self, kind: str, first: int, second: int) -> object:
        record = self.record
        if kind == "call":
            rows = record.calls[second].arguments
            return tuple((record.arguments[row].keyword, record.arguments[row].stars) for row in rows)
        if kind == "str":
            return record.values.strings[first]
        if kind in ("int", "bool"):
            return first, second
        return second if kind == "part" else None


_UNARY = frozenset(("await", "element", "entered", "part", "raised", "instance", "list-of", "set-of", "generator"))
