"""What to show about a name: its signature, the first paragraph of its documentation, and where it lives."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engram_context.imports import Module
from engram_context.inference.inferred import (
    CallableOf,
    ClassType,
    Coroutine,
    Function,
    Instance,
    Literals,
    Nothing,
    TupleOf,
    Type,
    Unknown,
    Variable,
)
from engram_context.outside.library import is_outside
from engram_context.records import NO_REF, ROLE, FileRecord, Symbol, value_row
from engram_context.resolve import Resolver
from engram_context.targets import Builtin, External, Slot, Target
from engram_context.text import Place, Span

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

_SPACES = re.compile(r"\s+")
_VARIABLE = re.compile(r"\((?:variable|constant|attribute|parameter)\) [*]*[\w.]+")
_READS = (ROLE["read"], ROLE["attribute"])
_WIDTH = 160
_PLAIN = frozenset({"str", "bytes", "int", "float", "complex", "bool", "none"})


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
    texts = [_as_read(resolver, place.path, record, index, text) for text in texts]
    # Of several bindings the one that says most: a def before an assignment.
    return min(texts, key=lambda text: not text.doc, default=None)


def _as_read(resolver: Resolver, path: str, record: FileRecord, index: int, text: HoverText) -> HoverText:
    """A variable with what it is where it is read: after a test, or as the receiver's class has it."""
    variable = _VARIABLE.match(text.signature)
    if variable is None or record.language != "python" or record.occurrences.role[index] not in _READS:
        return text
    spelled = type_names(resolver, resolver.types.of_ref(path, index))
    known = text.signature[variable.end() :]
    if not spelled or known.startswith((" = ", f": {spelled} = ")) or known == f": {spelled}":
        return text
    return replace(text, signature=f"{variable[0]}: {spelled}")


def _of_target(resolver: Resolver, span: Span, target: Target) -> HoverText | None:
    if isinstance(target, Builtin | External):
        return _of_outside(resolver, span, target)
    if isinstance(target, Module):
        dotted = _home(resolver, target.path)
        record = resolver.record(target.path)
        return HoverText(span, f"(module) {dotted}", "" if record is None else record.doc, dotted)
    record = resolver.record(target.path)
    rows = resolver.symbols_of(target)
    if record is None or not rows:
        return None

    def rank(row: int) -> tuple[bool, bool, bool, int]:
        symbol = record.symbols[row]
        # Overloads of str's methods are there once more for literal strings.
        return not symbol.doc, symbol.inner is None, "LiteralString" in symbol.detail, row

    best = min(rows, key=rank)
    symbol = record.symbols[best]
    return HoverText(span, signature(resolver, target, record, symbol), symbol.doc, _home(resolver, target.path))


def _home(resolver: Resolver, path: str) -> str:
    """The module that a file is: in Python by its dotted name, elsewhere by its path."""
    record = resolver.record(path)
    return path if record is not None and record.language != "python" else resolver.dotted(path)


def _of_outside(resolver: Resolver, span: Span, target: Builtin | External) -> HoverText:
    module, _, name = target.name.rpartition(".")
    for one in resolver.outside(target):
        found = _of_target(resolver, span, one)
        if found is not None:
            seen = resolver.seen(one)
            doc = found.doc or (resolver.library.doc(seen.name) if isinstance(seen, External) else "")
            return HoverText(span, found.signature, doc, found.module)
    kind = "builtin" if isinstance(target, Builtin) else "import"
    return HoverText(span, f"({kind}) {name}", "", module or "builtins")


def signature(resolver: Resolver, slot: Slot, record: FileRecord, symbol: Symbol) -> str:
    """One line: a def's or class's header, a variable with what it is bound to or known to be."""
    if symbol.kind in ("class", "function", "method", "type-alias"):
        return symbol.detail
    source = _source(resolver, slot.path, record, symbol)
    if record.language != "python":
        return f"({symbol.kind}) {source}" if symbol.kind in ("parameter", "variable") else source
    if symbol.kind == "parameter":
        if symbol.annotation == NO_REF:
            source = f"{source}{_inferred(resolver, slot)}"
        return f"(parameter) {source}"
    if symbol.kind == "import":
        return source
    if symbol.annotation == NO_REF and not _is_plain(record, symbol.value):
        inferred = _inferred(resolver, slot)
        if inferred:
            return f"({symbol.kind}) {symbol.name}{inferred}"
    return f"({symbol.kind}) {source}"


def _is_plain(record: FileRecord, ref: int) -> bool:
    """Whether a value says by itself what it is: a number, a string, None."""
    row = value_row(ref)
    return row is not None and record.values[row].kind in _PLAIN


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
    spelled = type_names(resolver, resolver.types.of_slot(slot))
    return f": {spelled}" if spelled else ""


def type_names(resolver: Resolver, types: Iterable[Type], depth: int = 3) -> str:
    """A union as an annotation would spell it, "" where one of its types has no short name or is not known."""
    types = list(types)
    if any(isinstance(one, Unknown) for one in types):
        types = [one for one in types if not isinstance(one, Unknown | Nothing)]
    names = [name for one in types if (name := type_name(resolver, one, depth))]
    names.sort(key=lambda name: name == "None")
    return " | ".join(dict.fromkeys(names))


def type_name(resolver: Resolver, of: Type, depth: int = 3) -> str:
    """A type as an annotation would spell it, "" for what has no short name."""
    if isinstance(of, ClassType | Instance):
        record = resolver.record(of.path)
        name = "" if record is None else record.scopes[of.scope].name
        if of.arguments and depth > 0:
            inside = [type_names(resolver, argument, depth - 1) or "Any" for argument in of.arguments]
            inside += ["..."] if name == "tuple" else []
            name = f"{name}[{', '.join(inside)}]" if any(of.arguments) else name
        return f"type[{name}]" if isinstance(of, ClassType) else name
    if isinstance(of, TupleOf):
        inside = [type_names(resolver, element, depth - 1) or "Any" for element in of.elements]
        return f"tuple[{', '.join(inside)}]" if depth > 0 else "tuple"
    if isinstance(of, Literals):
        written = (repr(value) if of.kind == "str" else value for value in sorted(of.values))
        return f"Literal[{', '.join(written)}]"
    if isinstance(of, Coroutine):
        return f"Coroutine[Any, Any, {type_name(resolver, of.result, depth - 1) or 'Any'}]"
    if isinstance(of, CallableOf):
        return f"Callable[..., {type_names(resolver, of.result, depth - 1) or 'Any'}]" if depth > 0 else "Callable"
    if isinstance(of, Module):
        return f"Module({resolver.dotted(of.path)})"
    if isinstance(of, Variable):
        return "" if is_outside(of.slot.path) else of.slot.name
    if isinstance(of, Nothing):
        return "None"
    return "" if not isinstance(of, Function) else "(function)"
