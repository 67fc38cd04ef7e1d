"""Where a slot can be mentioned: what is local to a function needs no look at other files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engram_context.records import KIND, POSITIONAL_ONLY, ROLE, STATIC_METHOD, FileRecord
from engram_context.resolve import Resolver
from engram_context.targets import Slot
from engram_context.text import Span

_KEYWORD = ROLE["keyword"]
_PARAMETER = KIND["parameter"]


def in_reach(resolver: Resolver, slots: Iterable[Slot], path: str, name: str) -> Iterator[int]:
    """The occurrences of a name in a file that a binding of one of the slots could be meant by.

    What a function binds is seen inside it alone, except that calls anywhere name parameters as keywords.
    """
    record = resolver.snapshot.records[path]
    spans: list[Span] = []
    by_keyword = False
    for slot in slots:
        scope = resolver.snapshot.records[slot.path].scopes[slot.scope]
        if scope.kind in ("module", "class"):
            yield from record.occurrences_of(name)
            return
        by_keyword = by_keyword or not is_local(resolver, slot)
        if slot.path == path:
            spans.append(scope.span)
    if not spans and not by_keyword:
        return
    for index in record.occurrences_of(name):
        start = record.occurrences.start[index]
        is_keyword = by_keyword and record.occurrences.role[index] == _KEYWORD
        if is_keyword or any(span.start <= start < span.end for span in spans):
            yield index


def is_local(resolver: Resolver, slot: Slot) -> bool:
    """Whether nothing outside its function can name a slot: a variable, or a parameter no keyword can give
    (a positional-only one, a method's own object)."""
    record = resolver.record(slot.path)
    if record is None or record.scopes[slot.scope].kind in ("module", "class"):
        return False
    return all(
        record.symbols.kind[row] != _PARAMETER
        or record.symbols.flags[row] & POSITIONAL_ONLY
        or _is_receiver(record, row)
        for row in resolver.symbols_of(slot)
    )


def _is_receiver(record: FileRecord, row: int) -> bool:
    """Whether a parameter is a method's first, which the call's own object is given to."""
    scope = record.scopes[record.symbols.scope[row]]
    if scope.symbol is None or record.symbols.kind[scope.symbol] != KIND["method"]:
        return False
    is_static = record.symbols.flags[scope.symbol] & STATIC_METHOD
    parameters = (other for other in record.symbols_in(scope.index) if record.symbols.kind[other] == _PARAMETER)
    return not is_static and next(parameters, None) == row
