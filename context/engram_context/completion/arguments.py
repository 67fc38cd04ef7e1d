"""The names that an argument of a call may have: name=."""

from __future__ import annotations

from engram_context.inference.members import ClassType
from engram_context.outside.library import is_outside
from engram_context.records import KEYWORDS, KIND, POSITIONAL_ONLY, VARIADIC, FileRecord
from engram_context.resolve import Resolver
from engram_context.targets import Slot, Target
from engram_context.text import Text

_PARAMETER, _VARIABLE, _ATTRIBUTE = KIND["parameter"], KIND["variable"], KIND["attribute"]
_METHOD = KIND["method"]


def argument_names(resolver: Resolver, path: str, record: FileRecord, text: Text, start: int) -> dict[str, Target]:
    """Parameters of the call in which an argument begins at `start`, those that are not given yet, in their order;
    nothing where none begins."""
    at = _call_at(record, text, start)
    if at is None:
        return {}
    call = record.calls[at]
    given = {record.arguments[index].keyword for index in call.arguments}
    found: dict[str, Target] = {}
    for callee in resolver.types.of_ref(path, call.callee):
        functions = resolver.types.functions(callee)
        for function in functions:
            home = resolver.record(function.path)
            inner = -1 if home is None else home.symbols.inner[function.symbol]
            if home is None or inner < 0:
                continue
            rows = home.symbols_in(inner)
            names = [home.symbols[row] for row in rows if home.symbols.kind[row] == _PARAMETER]
            # The object that a method is called on is no argument.
            skip = 1 if home.symbols.kind[function.symbol] == _METHOD and names and names[0].name in _SELF else 0
            for symbol in names[skip:]:
                if not symbol.flags & (VARIADIC | KEYWORDS | POSITIONAL_ONLY):
                    found.setdefault(symbol.name, Slot(function.path, inner, symbol.name))
            found = {**resolver.types.keywords.handed_on(function), **found}
        if isinstance(callee, ClassType) and all(is_outside(function.path) for function in functions):
            # No __init__ in the project: a dataclass or NamedTuple takes its fields.
            found = {**_fields(resolver, callee), **found}
    return {name: target for name, target in found.items() if name not in given}


_SELF = frozenset({"self", "cls"})


def _fields(resolver: Resolver, callee: ClassType) -> dict[str, Target]:
    fields: dict[str, Target] = {}
    for name, target in resolver.types.names(callee).items():
        record = resolver.record(target.path) if isinstance(target, Slot) else None
        if record is None or not isinstance(target, Slot) or name.startswith("_") or is_outside(target.path):
            continue
        kinds = {record.symbols.kind[row] for row in resolver.symbols_of(target)}
        if kinds & {_VARIABLE, _ATTRIBUTE}:
            fields[name] = target
    return fields


def _call_at(record: FileRecord, text: Text, start: int) -> int | None:
    """The call of which an argument begins at `start`."""
    inside = [
        row
        for row, (first, last) in enumerate(zip(record.calls.inside_start, record.calls.inside_end, strict=True))
        if first <= start <= last
    ]
    if not inside:
        return None
    row = max(inside, key=lambda row: record.calls.inside_start[row])
    before = text.data[record.calls.inside_start[row] : start]
    depth = 0
    for byte in reversed(before):
        if byte in b")]}":
            depth += 1
        elif byte in b"([{":
            if not depth:
                return None  # in a list, a tuple or the like within the call
            depth -= 1
    bare = before.rstrip()
    return row if not bare or bare.endswith(b",") else None
