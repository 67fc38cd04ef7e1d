"""The definitions of a file above which it is worth saying how often they are mentioned."""

from __future__ import annotations

from engram_context.records import KIND, SCOPE_KIND
from engram_context.snapshot import Snapshot
from engram_context.text import Location, Place, Span

_DEFINITIONS = frozenset(KIND[kind] for kind in ("class", "function", "method", "interface", "struct", "enum"))
_OPEN = frozenset(SCOPE_KIND[kind] for kind in ("module", "class", "namespace", "type-parameters"))


def lenses(snapshot: Snapshot, path: str) -> tuple[Span, ...]:
    """The names of classes, functions and methods that are not inside of a function, each once, in order."""
    record = snapshot.record(path)
    if record is None:
        return ()
    symbols = record.symbols
    found: dict[tuple[int, int], Span] = {}
    for row, (kind, scope) in enumerate(zip(symbols.kind, symbols.scope, strict=True)):
        if kind in _DEFINITIONS and record.scopes.kind[scope] in _OPEN:
            found.setdefault((scope, symbols.name[row]), symbols.span(row))
    return tuple(sorted(found.values()))


def mentions(snapshot: Snapshot, place: Place) -> tuple[Location, ...]:
    """What a lens counts: the mentions of what is defined at a place, without its definitions."""
    return snapshot.references(place, declaration=False)
