"""Which names of a file are bound where and which mentions use which binding, in one pass over its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engram_context.records import AUGMENTED, KINDS, ROLES, FileRecord
from engram_context.scopes import is_bound_yet, visible_scopes

Binding = tuple[int, int]
"""A variable: the scope that holds it and the number of its name in the record's name table."""

_ATTRIBUTE = KINDS.index("attribute")
_READ, _DELETE, _DECLARATION, _STRING = (ROLES.index(role) for role in ("read", "delete", "declaration", "string"))


@dataclass(frozen=True, slots=True)
class Usage:
    """`symbols`: the bindings' symbols in source order. `uses`: the occurrences that read a binding (a `del` and
    an augmented assignment read, too). `free`: occurrences that read a name no scope of the file binds.
    `declared`: bindings that a global or nonlocal statement reaches from elsewhere.
    """

    symbols: Mapping[Binding, list[int]]
    uses: Mapping[Binding, list[int]]
    free: tuple[int, ...]
    declared: frozenset[Binding]

    @staticmethod
    def of(record: FileRecord) -> Usage:
        symbols: dict[Binding, list[int]] = {}
        uses: dict[Binding, list[int]] = {}
        table = record.symbols
        for index, (scope, name, kind) in enumerate(zip(table.scope, table.name, table.kind, strict=True)):
            if kind != _ATTRIBUTE:
                symbols.setdefault((scope, name), []).append(index)
        for index, flags in enumerate(table.flags):
            if flags & AUGMENTED:
                uses.setdefault((table.scope[index], table.name[index]), []).append(table.occurrence[index])
        occurrences = record.occurrences
        global_in = {
            (occurrences.scope[index], occurrences.name[index])
            for index, role in enumerate(occurrences.role)
            if role == _DECLARATION and occurrences.link[index]
        }
        free: list[int] = []
        declared: set[Binding] = set()
        found: dict[Binding, Binding | None] = {}
        columns = zip(occurrences.role, occurrences.scope, occurrences.name, strict=True)
        for index, (role, scope, name) in enumerate(columns):
            if role not in (_READ, _DELETE, _DECLARATION, _STRING):
                continue
            key = (0, name) if role == _STRING else (scope, name)
            if key not in found:
                found[key] = _lookup(record, symbols, global_in, key)
            binding = found[key]
            if role == _DECLARATION:
                declared.add(binding or (0, name))
            elif binding is None:
                free.append(index)
            else:
                uses.setdefault(binding, []).append(index)
                if binding[0] and not is_bound_yet(record, symbols.get(key, ()), index):
                    # In a class body it may be the class's own later, or what is further out now.
                    outer = _lookup(record, symbols, global_in, key, skip=binding[0])
                    if outer is not None:
                        uses.setdefault(outer, []).append(index)
        return Usage(symbols, uses, tuple(free), frozenset(declared))


def _lookup(
    record: FileRecord,
    symbols: Mapping[Binding, list[int]],
    global_in: set[Binding],
    key: Binding,
    skip: int = -1,
) -> Binding | None:
    """The binding that a name read in a scope means, in a scope other than `skip`."""
    name = key[1]
    for scope in visible_scopes(record, key[0]):
        if scope == skip:
            continue
        if (scope, name) in global_in:
            return (0, name) if (0, name) in symbols else None
        if (scope, name) in symbols:
            return scope, name
    return None
