"""Names that a program puts together: `getattr(self, "visit_" + kind)` finds members that no text mentions in full.

Whoever renames such a member breaks the program, and nothing shows it before it runs. So a rename is refused where the
name's beginning or end stands in a lookup by a name that is built, or where a test runner finds it by its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from engram_context.imports import Module
from engram_context.inference.members import ClassType, Instance
from engram_context.records import NO_REF, SCOPE_KIND, FileRecord, Symbol
from engram_context.renames.families import Family, Hierarchy
from engram_context.renames.prose import called_name
from engram_context.resolve import Resolver
from engram_context.targets import Slot
from engram_context.text import Span

_LOOKUPS = ("getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller", "globals", "locals", "vars")
_FUNCTIONS = frozenset({"function", "method", "class"})
_LITERAL = re.compile(rb"""[fF]?(["'])(?P<text>[^"'\n]*)\1""")
_FIELD = re.compile(rb"\{[^{}]*\}|%[sdr]")
_SHORTEST = 3
_CLASS = SCOPE_KIND["class"]
_OPEN = frozenset({SCOPE_KIND["module"], _CLASS})  # whose names can be looked up
# Bases whose methods are called by names that are built: the beginning, and the class.
_VISITED = {"NodeVisitor": "visit_", "NodeTransformer": "visit_", "Cmd": "do_", "BaseHTTPRequestHandler": "do_"}


def looked_up(hierarchy: Hierarchy, slots: Iterable[Slot], family: Family, new_name: str) -> str | None:
    """Why something finds one of the slots by a part of its name and would not find it under the new name."""
    resolver = hierarchy.resolver
    slots = tuple(slots)
    for slot in slots:
        record = resolver.snapshot.records[slot.path]
        rows = resolver.symbols_of(slot)
        if not rows or record.scopes.kind[slot.scope] not in _OPEN:
            continue
        symbol = record.symbols[rows[0]]
        reason = _run_by_name(slot.path, record, symbol, new_name)
        if reason is not None:
            return reason
        reason = _visited(resolver, slot, record, new_name)
        if reason is not None:
            return reason
    name = slots[0].name if slots else ""
    classes = {ClassType(one.path, one.scope) for one in family.classes}
    for path in sorted({slot.path for slot in slots} | {one.path for one in family.classes}):
        record = resolver.snapshot.records[path]
        for row, part in built_parts(resolver, path, record):
            is_part = (name.startswith(part) or name.endswith(part)) and part != name and len(part) >= _SHORTEST
            still = new_name.startswith(part) or new_name.endswith(part)
            if is_part and not still and _may_mean(resolver, path, record, row, slots, classes):
                text = resolver.snapshot.text(path)
                line = 0 if text is None else text.line_of(record.calls.start[row]) + 1
                return f"{path}:{line} looks names up that have '{part}' in them, and may find it by that"
    return None


def _run_by_name(path: str, record: FileRecord, symbol: Symbol, new_name: str) -> str | None:
    """Tests are found by their names."""
    file = PurePosixPath(path).name
    if not (file.startswith("test") or file.endswith("_test.py")) or symbol.kind not in _FUNCTIONS:
        return None
    beginning = "Test" if symbol.kind == "class" else "test"
    if symbol.name.startswith(beginning) and not new_name.startswith(beginning):
        return f"tests are found by their names: '{new_name}' would not be run"
    if symbol.kind == "function" and symbol.name.startswith("pytest_"):
        return f"pytest calls '{symbol.name}' by its name"
    return None


def _visited(resolver: Resolver, slot: Slot, record: FileRecord, new_name: str) -> str | None:
    """A method of a class whose base, from outside, calls methods by the beginning of their names."""
    if record.scopes.kind[slot.scope] != _CLASS:
        return None
    for owner in resolver.types.order(ClassType(slot.path, slot.scope)):
        home = resolver.record(owner.path)
        for name in () if home is None else (home.scopes[owner.scope].name, *_base_names(home, owner.scope)):
            beginning = _VISITED.get(name)
            if beginning is not None and slot.name.startswith(beginning) and not new_name.startswith(beginning):
                return f"{name} calls methods whose names begin with '{beginning}'"
    return None


def _base_names(record: FileRecord, scope: int) -> Iterator[str]:
    for ref in record.scopes[scope].refs:
        if ref >= 0:
            yield record.names[record.occurrences.name[ref]]


def built_parts(resolver: Resolver, path: str, record: FileRecord) -> Iterator[tuple[int, str]]:
    """(call, a part of the name) of each lookup in a file by a name that is put together."""
    if all(record.name_index(name) is None for name in _LOOKUPS):
        return
    text = resolver.snapshot.text(path)
    if text is None or text.digest != record.digest:
        return
    for row in range(len(record.calls)):
        called = called_name(record, row)
        if called not in _LOOKUPS:
            continue
        span = _name_part(text.data, record, row, called)
        source = text.data[span.start : span.end].strip()
        if _LITERAL.fullmatch(source) and source[:1] not in b"fF":
            continue
        for literal in _LITERAL.finditer(source):
            pieces = (
                _FIELD.split(literal["text"]) if literal[0][:1] in b"fF" or b"%" in literal[0] else [literal["text"]]
            )
            for piece in pieces:
                if re.fullmatch(rb"\w+", piece):
                    yield row, piece.decode()


def _name_part(data: bytes, record: FileRecord, row: int, called: str) -> Span:
    """Where a lookup says the name: the second argument, or what stands in the brackets behind `globals()`."""
    if called in ("globals", "locals", "vars"):
        end = record.calls.end[row]
        closing = data.find(b"]", end, end + 200)
        return Span(end + 1, closing) if data[end : end + 1] == b"[" and closing > 0 else Span(end, end)
    inside = record.calls[row].inside
    if called in ("attrgetter", "methodcaller"):
        return inside
    comma = _comma(data, inside.start, inside.end)
    return Span(comma + 1, _comma(data, comma + 1, inside.end)) if comma < inside.end else Span(inside.end, inside.end)


def _comma(data: bytes, start: int, end: int) -> int:
    """The next comma that is not inside brackets or quotes; `end` when there is none."""
    depth, quote = 0, 0
    for at in range(start, end):
        byte = data[at]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte in b"([{":
            depth += 1
        elif byte in b")]}":
            depth -= 1
        elif byte == 0x2C and depth == 0:
            return at
    return end


def _may_mean(
    resolver: Resolver, path: str, record: FileRecord, row: int, slots: tuple[Slot, ...], classes: set[ClassType]
) -> bool:
    """Whether what a lookup looks into may hold one of the slots: not where it is known to be something else."""
    arguments = record.calls[row].arguments
    if called_name(record, row) in ("globals", "locals"):
        return any(slot.scope == 0 and slot.path == path for slot in slots)
    first = record.arguments.value[arguments[0]] if len(arguments) else NO_REF
    types = resolver.types.of_ref(path, first)
    if not types:
        return True
    for one in types:
        if isinstance(one, Module) and any(slot.path == one.path and slot.scope == 0 for slot in slots):
            return True
        if isinstance(one, ClassType | Instance):
            own = ClassType(one.path, one.scope)
            if any(at in classes for at in resolver.types.order(own)) or own in classes:
                return True
    return False
