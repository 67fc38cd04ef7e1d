"""What can only be None, used as if it were something."""

from __future__ import annotations

from collections.abc import Iterator

from engram_context.checks.check import Check, Code
from engram_context.checks.facts import is_test
from engram_context.checks.guards import is_guarded
from engram_context.checks.proven import Proven, proven_of
from engram_context.checks.subject import Found, Subject
from engram_context.findings import Finding
from engram_context.inference.inferred import Function, Nothing
from engram_context.outside.library import is_outside
from engram_context.records import KIND, NO_REF, ROLE, VALUE_KIND, FileRecord, rows_with, value_row
from engram_context.text import Location, Span

_ATTRIBUTE = ROLE["attribute"]
_VARIABLE = KIND["variable"]
_CALL = VALUE_KIND["call"]
_OF_NONE = frozenset(dir(None))
_USES = {
    VALUE_KIND["subscript"]: "has no elements",
    VALUE_KIND["element"]: "cannot be run over",
    VALUE_KIND["part"]: "cannot be unpacked",
    VALUE_KIND["entered"]: "is no context manager",
}


def uses_of_none(subject: Subject) -> Found:
    """Members, elements and calls of what is None on every way to where it is used."""
    record, path = subject.record, subject.path
    proven = proven_of(subject.whole, subject.resolver)
    seen: set[int] = set()
    for ref, what in _uses(record):
        if ref in seen or not _is_none(proven, path, ref):
            continue
        seen.add(ref)
        span = _span(record, ref)
        if span is None or is_guarded(subject.surroundings, span, b"AttributeError"):
            continue
        if is_guarded(subject.surroundings, span, b"TypeError"):
            continue
        function = _function(proven, path, record, ref)
        source = subject.text.slice(span)
        shown = f"'{source}'" if len(source) <= 60 and "\n" not in source else "this"
        related = () if function is None else ((function, "which returns no value"),)
        yield Finding("none-attribute", "error", span, f"{shown} is None, which {what}", related), span


def _uses(record: FileRecord) -> Iterator[tuple[int, str]]:
    """The refs of what is used, with what None then does not do."""
    occurrences, values = record.occurrences, record.values
    for index in rows_with(occurrences.role, _ATTRIBUTE):
        name = record.names[occurrences.name[index]]
        if name not in _OF_NONE:
            yield occurrences.link[index], f"has no '{name}'"
    for kind, what in _USES.items():
        for row in rows_with(values.kind, kind):
            yield values.first[row], what
    for callee in record.calls.callee:
        yield callee, "cannot be called"


def _is_none(proven: Proven, path: str, ref: int) -> bool:
    if ref == NO_REF:
        return False
    found = proven.of_ref(path, ref)
    return bool(found) and all(isinstance(one, Nothing) for one in found or ())


def _span(record: FileRecord, ref: int) -> Span | None:
    if ref >= 0:
        return record.occurrences.span(ref)
    row = value_row(ref)
    if row is None or record.values.kind[row] != _CALL:
        return None
    return record.calls[record.values.second[row]].span


def _function(proven: Proven, path: str, record: FileRecord, ref: int) -> Location | None:
    """The function whose result an expression is, where it is the result of one in the project."""
    row = value_row(ref)
    if row is None or record.values.kind[row] != _CALL:
        return None
    for one in proven.of_ref(path, record.values.first[row]) or ():
        home = proven.resolver.record(one.path) if isinstance(one, Function) else None
        if isinstance(one, Function) and home is not None:
            return Location(one.path, home.symbols.span(one.symbol))
    return None


def results_of_nothing(subject: Subject) -> Found:
    """Variables that are read, and are assigned what a function gives that never returns a value."""
    record, path = subject.record, subject.path
    proven = proven_of(subject.whole, subject.resolver)
    symbols = record.symbols
    if is_test(path):
        return  # there it is tested that they give none
    for row in rows_with(symbols.kind, _VARIABLE):
        value = value_row(symbols.value[row])
        if value is None or record.values.kind[value] != _CALL:
            continue
        if not _is_none(proven, path, symbols.value[row]):
            continue
        if (symbols.scope[row], symbols.name[row]) not in subject.usage.uses:
            continue
        span = record.calls[record.values.second[value]].span
        function = _function(proven, path, record, symbols.value[row])
        home = None if function is None else proven.resolver.record(function.path)
        index = None if home is None or function is None else home.occurrence_at(function.span.start)
        if function is None or home is None or index is None:
            continue
        called = home.names[home.occurrences.name[index]]
        if record.scopes[symbols.scope[row]].name == called:
            continue  # it hands on what the same method gives elsewhere
        related = () if is_outside(function.path) else ((function, f"'{called}' is defined here"),)
        message = f"'{called}' returns no value, so that '{record.names[symbols.name[row]]}' is None"
        yield Finding("no-return-value", "warning", span, message, related), span


def _find(subject: Subject) -> Found:
    yield from uses_of_none(subject)
    yield from results_of_nothing(subject)


CHECK = Check(
    _find,
    (
        Code(
            "none-attribute",
            "error",
            frozenset(
                {"reportOptionalMemberAccess", "reportOptionalSubscript", "reportOptionalIterable", "union-attr"}
                | {"attr-defined", "reportOptionalCall", "unsubscriptable-object", "E1136", "not-an-iterable", "E1133"}
                | {"not-callable", "E1102", "reportAttributeAccessIssue", "no-member", "E1101", "func-returns-value"}
            ),
            of_types=True,
            needs_project=True,
        ),
        Code(
            "no-return-value",
            "warning",
            frozenset(("assignment-from-no-return", "E1111", "assignment-from-none", "E1128", "func-returns-value")),
            of_types=True,
            needs_project=True,
        ),
    ),
)
