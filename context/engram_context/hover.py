"""What to show about a name: its signature, the first paragraph of its documentation, and where it lives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engram_context.imports import Module
from engram_context.members import ClassType, Function, Instance, Type
from engram_context.records import NO_REF, FileRecord, Symbol
from engram_context.resolve import Resolver
from engram_context.targets import Builtin, External, Slot, Target
from engram_context.text import Place, Span

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

_SPACES = re.compile(r"\s+")
_WIDTH = 160


@dataclass(frozen=True, slots=True)
class HoverText:
    """`span` is what the pointer is on; `module` the dotted name of where the thing is defined."""

    span: Span
    signature: str
    doc: str
    module: str


def hover(snapshot: Snapshot, place: Place) -> HoverText | None:
    """None where no name is, or one of which nothing is known."""
    record = snapshot.record(place.path)
    index = None if record is None else record.occurrence_at(place.offset)
    if record is None or index is None:
        return None
    resolver = Resolver(snapshot)
    span = record.occurrences.span(index)
    texts = [
        text
        for target in resolver.meanings(place.path, index, aliases=True)
        if (text := _of_target(resolver, span, target)) is not None
    ]
    # Of several bindings the one that says most: a def before an assignment.
    return min(texts, key=lambda text: not text.doc, default=None)


def _of_target(resolver: Resolver, span: Span, target: Target) -> HoverText | None:
    if isinstance(target, Builtin | External):
        module, _, name = target.name.rpartition(".")
        kind = "builtin" if isinstance(target, Builtin) else "import"
        return HoverText(span, f"({kind}) {name}", "", module or "builtins")
    if isinstance(target, Module):
        dotted = resolver.snapshot.modules.dotted(target.path)
        record = resolver.record(target.path)
        return HoverText(span, f"(module) {dotted}", "" if record is None else record.doc, dotted)
    record = resolver.record(target.path)
    rows = resolver.symbols_of(target)
    if record is None or not rows:
        return None
    best = min(rows, key=lambda row: (not record.symbols[row].doc, record.symbols.inner[row] < 0, row))
    symbol = record.symbols[best]
    module = resolver.snapshot.modules.dotted(target.path)
    return HoverText(span, signature(resolver, target, record, symbol), symbol.doc, module)


def signature(resolver: Resolver, slot: Slot, record: FileRecord, symbol: Symbol) -> str:
    """One line: a def's or class's header, a variable with what it is bound to or known to be."""
    if symbol.kind in ("class", "function", "method", "type-alias"):
        return symbol.detail
    source = _source(resolver, slot.path, record, symbol)
    if symbol.kind == "parameter":
        if symbol.annotation == NO_REF:
            source = f"{source}{_inferred(resolver, slot)}"
        return f"(parameter) {source}"
    if symbol.kind == "import":
        return source
    if symbol.annotation == NO_REF:
        inferred = _inferred(resolver, slot)
        if inferred:
            return f"({symbol.kind}) {symbol.name}{inferred}"
    return f"({symbol.kind}) {source}"


def _source(resolver: Resolver, path: str, record: FileRecord, symbol: Symbol) -> str:
    """The binding's own source on one line; its name alone where the text has moved on."""
    if symbol.detail:
        return symbol.detail
    text = resolver.snapshot.text(path)
    if text is None or text.digest != record.digest:
        return symbol.name
    end = min(symbol.body.end, symbol.body.start + 4 * _WIDTH)
    line = _SPACES.sub(" ", text.slice(Span(symbol.body.start, end))).strip()
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _inferred(resolver: Resolver, slot: Slot) -> str:
    names = [name for one in resolver.types.of_slot(slot) if (name := type_name(resolver, one))]
    return ": " + " | ".join(dict.fromkeys(names)) if names else ""


def type_name(resolver: Resolver, of: Type) -> str:
    """A type as an annotation would spell it, "" for what has no short name."""
    if isinstance(of, ClassType | Instance):
        record = resolver.record(of.path)
        name = "" if record is None else record.scopes[of.scope].name
        return f"type[{name}]" if isinstance(of, ClassType) else name
    if isinstance(of, Module):
        return f"Module({resolver.snapshot.modules.dotted(of.path)})"
    return "" if not isinstance(of, Function) else "(function)"
