"""Names that pytest passes by: fixtures are given to the parameters of tests that are called like them.

Nothing in the language says so, but whoever renames a fixture and not those parameters breaks every test that uses it.
So they are one family: a fixture, those of the same name that override it nearer by, and the parameters of tests and
fixtures that can see it. `parametrize`, `usefixtures` and `getfixturevalue` name them in strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from engram_context.records import KIND, SCOPE_KIND, FileRecord, Symbol
from engram_context.resolve import Resolver
from engram_context.targets import Slot
from engram_context.text import Span

_FUNCTIONS = frozenset({KIND["function"], KIND["method"]})
_PARAMETER, _CLASS = KIND["parameter"], SCOPE_KIND["class"]
_WORD = re.compile(rb"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class _Fixture:
    """`region`: the files that see it, as the beginning of their paths, or one path; with `span`, that part alone."""

    slot: Slot
    region: str
    span: Span | None = None

    def is_seen_in(self, path: str, offset: int) -> bool:
        if self.span is not None:
            return path == self.region and self.span.start <= offset < self.span.end
        is_folder = self.region == "" or self.region.endswith("/")
        return path == self.region or (is_folder and path.startswith(self.region))

    def meets(self, other: _Fixture) -> bool:
        """Whether some file sees both, or would without the other."""
        return self.region.startswith(other.region) or other.region.startswith(self.region)


def decorators(record: FileRecord, symbol: Symbol) -> Iterator[tuple[str, int]]:
    """(last name, call row or -1) of each decorator."""
    for ref in symbol.decorators:
        call = -1
        if ref < -1 and record.values[-2 - ref].kind == "call":
            value = record.values[-2 - ref]
            ref, call = value.first, value.second
        if ref >= 0:
            yield record.names[record.occurrences.name[ref]], call


def is_fixture(record: FileRecord, symbol: Symbol) -> bool:
    """Whether a def is a pytest fixture that is known by its own name."""
    for name, call in decorators(record, symbol):
        if name in ("fixture", "yield_fixture"):
            arguments = record.calls[call].arguments if call >= 0 else range(0)
            return all(record.arguments[at].keyword != "name" for at in arguments)
    return False


def is_given(path: str, record: FileRecord, symbol: Symbol) -> bool:
    """Whether pytest calls a def and chooses its arguments: a fixture, or a test in a file of tests."""
    if is_fixture(record, symbol):
        return True
    file = PurePosixPath(path).name
    return symbol.name.startswith("test") and (file.startswith("test") or file.endswith("_test.py"))


def injected_family(resolver: Resolver, slot: Slot) -> frozenset[Slot]:
    """All that must be called like a fixture, or a parameter that is given one; nothing for other slots."""
    record = resolver.record(slot.path)
    rows = resolver.symbols_of(slot)
    if record is None or not rows or slot.path not in resolver.snapshot.records:
        return frozenset()
    symbol = record.symbols[rows[0]]
    if record.symbols.kind[rows[0]] in _FUNCTIONS:
        if not is_fixture(record, symbol):
            return frozenset()
    elif record.symbols.kind[rows[0]] == _PARAMETER:
        owner = record.scopes.symbol[slot.scope]
        if owner < 0 or not is_given(slot.path, record, record.symbols[owner]):
            return frozenset()
    else:
        return frozenset()
    fixtures = list(_fixtures(resolver, slot.name))
    start = record.symbols.start[rows[0]]
    known = [one for one in fixtures if one.slot == slot or one.is_seen_in(slot.path, start)]
    waiting = list(known)
    while waiting:
        at = waiting.pop()
        near = [one for one in fixtures if one not in known and one.meets(at)]
        known += near
        waiting += near
    if not known:
        return frozenset()
    return frozenset([*(one.slot for one in known), *_given(resolver, slot.name, known)])


def _fixtures(resolver: Resolver, name: str) -> Iterator[_Fixture]:
    for path in resolver.snapshot.files_naming(name):
        record = resolver.snapshot.records[path]
        for scope, rows in record.bound(name).items():
            for row in rows:
                if record.symbols.kind[row] in _FUNCTIONS and is_fixture(record, record.symbols[row]):
                    slot = Slot(path, scope, name)
                    if record.scopes.kind[scope] == _CLASS:
                        yield _Fixture(slot, path, record.scopes[scope].span)
                    elif PurePosixPath(path).name == "conftest.py":
                        yield _Fixture(slot, path.removesuffix("conftest.py"))
                    else:
                        yield _Fixture(slot, path)
                        yield from (_Fixture(slot, other) for other in _importers(resolver, slot))


def _importers(resolver: Resolver, slot: Slot) -> Iterator[str]:
    """The files that import a fixture to have it."""
    for path in resolver.snapshot.files_naming(slot.name):
        if path != slot.path and slot in resolver.origins(Slot(path, 0, slot.name)):
            yield path


def _given(resolver: Resolver, name: str, fixtures: Iterable[_Fixture]) -> Iterator[Slot]:
    """The parameters that are given one of the fixtures."""
    fixtures = tuple(fixtures)
    for path in resolver.snapshot.files_naming(name):
        record = resolver.snapshot.records[path]
        for scope, rows in record.bound(name).items():
            owner = record.scopes.symbol[scope]
            if owner < 0 or record.symbols.kind[rows[0]] != _PARAMETER:
                continue
            function, start = record.symbols[owner], record.symbols.start[rows[0]]
            if is_given(path, record, function) and any(one.is_seen_in(path, start) for one in fixtures):
                yield Slot(path, scope, name)


def naming_strings(resolver: Resolver, slots: Iterable[Slot], name: str) -> Iterator[tuple[str, Span]]:
    """Where strings name one of the slots: in `parametrize("x, y", ...)` over the def of a parameter, and, for a
    fixture's family, in `usefixtures("x")` and `getfixturevalue("x")` of the same files."""
    slots = frozenset(slots)
    by_path: dict[str, list[Slot]] = {}
    for slot in slots:
        by_path.setdefault(slot.path, []).append(slot)
    is_family = any(_is_fixture_slot(resolver, slot) for slot in slots)
    paths = set(by_path)
    if is_family:
        paths.update(_naming_files(resolver, slots, name))
    for path in sorted(paths):
        record, text = resolver.snapshot.records.get(path), resolver.snapshot.text(path)
        if record is None or text is None or text.digest != record.digest:
            continue
        owned = {record.scopes.symbol[slot.scope] for slot in by_path.get(path, ())}
        calls = {
            call
            for owner in owned
            if owner >= 0
            for called, call in decorators(record, record.symbols[owner])
            if called == "parametrize" and call >= 0
        }
        if is_family:
            every = range(len(record.calls))
            calls.update(row for row in every if _called(record, row) in ("usefixtures", "getfixturevalue"))
        for row in sorted(calls):
            for start, end in _strings(text.data, record.calls[row].inside, _called(record, row)):
                for word in _WORD.finditer(text.data, start, end):
                    if word[0] == name.encode():
                        yield path, Span(*word.span())


def is_parametrized(resolver: Resolver, slot: Slot) -> bool:
    """Whether a parameter's values come from a `parametrize` over its def."""
    return next(naming_strings(resolver, [slot], slot.name), None) is not None


def _naming_files(resolver: Resolver, slots: Iterable[Slot], name: str) -> Iterator[str]:
    """The files that see a fixture of the family and name one in a string."""
    fixtures = [one for one in _fixtures(resolver, name) if one.slot in set(slots)]
    for naming in ("usefixtures", "getfixturevalue"):
        for path in resolver.snapshot.files_naming(naming):
            if any(one.is_seen_in(path, 0) or one.region == path for one in fixtures):
                yield path


def _is_fixture_slot(resolver: Resolver, slot: Slot) -> bool:
    record = resolver.record(slot.path)
    return record is not None and any(
        record.symbols.kind[row] in _FUNCTIONS and is_fixture(record, record.symbols[row])
        for row in resolver.symbols_of(slot)
    )


def _called(record: FileRecord, row: int) -> str:
    callee = record.calls.callee[row]
    return record.names[record.occurrences.name[callee]] if callee >= 0 else ""


_LITERAL = re.compile(rb"""(["'])(?P<inside>[\w\s,]*)\1""")
_INDIRECT = re.compile(rb"\bindirect\s*=\s*[\[(](?P<names>[^\])]*)")


def _strings(data: bytes, inside: Span, called: str) -> Iterator[tuple[int, int]]:
    """The insides of the plain strings in a call that are names: all of them, but of a parametrize only what comes
    first, for the values come behind it, and what is said to be indirect."""
    spans = [(inside.start, inside.end)]
    if called == "parametrize":
        start = inside.end - len(data[inside.start : inside.end].lstrip())
        opening = data[start : start + 1]
        closing = {b"[": b"]", b"(": b")"}.get(opening, opening)
        end = data.find(closing, start + 1, inside.end)
        spans = [(start, end + 1)] if end >= 0 else []
        spans += [match.span("names") for match in _INDIRECT.finditer(data, inside.start, inside.end)]
    for start, end in spans:
        yield from (match.span("inside") for match in _LITERAL.finditer(data, start, end))
