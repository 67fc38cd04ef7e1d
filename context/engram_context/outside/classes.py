"""Classes from outside the project: which names they have, read from their sources, never by importing them."""

from __future__ import annotations

import builtins
from functools import lru_cache
from pathlib import Path

from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.records import KIND, ROLE, FileRecord, Import, rows_with, value_row
from engram_context.text import Unreadable, read_text

_CLASS, _IMPORT = KIND["class"], KIND["import"]
_ATTRIBUTE = ROLE["attribute"]
_DEPTH = 12


def class_members(dotted: str, environment: Environment) -> frozenset[str] | None:
    """The names of a class's members, inherited ones included; None when they cannot be seen.

    `dotted` is a builtin's name, or a module's followed by the class's.
    """
    return _members(dotted, environment, _DEPTH)


@lru_cache(maxsize=256)
def _members(dotted: str, environment: Environment, depth: int) -> frozenset[str] | None:
    builtin = getattr(builtins, dotted.removeprefix("builtins."), None)
    if isinstance(builtin, type):
        return frozenset(dir(builtin))
    module, _, name = dotted.rpartition(".")
    path = environment.find_module(module) if module and depth else None
    record = None if path is None else _record(path)
    if path is None or record is None:
        return None
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    rows = record.bindings(0, name)
    found: set[str] = set()
    classes = [record.symbols.inner[row] for row in rows if record.symbols.kind[row] == _CLASS]
    for scope in classes:
        found.update(record.names[record.symbols.name[row]] for row in record.symbols_in(scope))
        for ref in record.scopes[scope].refs:
            base = _dotted(record, ref, module, package)
            inherited = None if base is None else _members(base, environment, depth - 1)
            if inherited is None:
                return None
            found |= inherited
    if classes:
        return frozenset(found).union(dir(object))
    for row in rows:
        if record.symbols.kind[row] == _IMPORT:
            source = _imported(record, row, package)
            return None if source is None else _members(source, environment, depth - 1)
    stars = (imported for imported in record.imports if imported.name == "*")
    for star in stars:
        inner = _members(f"{_absolute(star, package)}.{name}", environment, depth - 1)
        if inner is not None:
            return inner
    return None


@lru_cache(maxsize=64)
def _record(path: Path) -> FileRecord | None:
    text = read_text(path)
    return None if isinstance(text, Unreadable) else read_record(text, "python")


def _dotted(record: FileRecord, ref: int, module: str, package: str) -> str | None:
    """The dotted name of a base class that is written as a name, an attribute, or either with type arguments."""
    row = value_row(ref)
    if row is not None:
        value = record.values[row]
        return _dotted(record, value.first, module, package) if value.kind == "subscript" else None
    if ref < 0:
        return None
    name = record.names[record.occurrences.name[ref]]
    if record.occurrences.role[ref] == _ATTRIBUTE:
        owner = _dotted(record, record.occurrences.link[ref], module, package)
        return None if owner is None else f"{owner}.{name}"
    rows = record.bindings(0, name)
    if not rows:
        return name if hasattr(builtins, name) else None
    if any(record.symbols.kind[row] == _CLASS for row in rows):
        return f"{module}.{name}"
    imports = [row for row in rows if record.symbols.kind[row] == _IMPORT]
    return _imported(record, imports[0], package) if imports else None


def _imported(record: FileRecord, symbol: int, package: str) -> str | None:
    """What an import binds, by its absolute dotted name."""
    for row in rows_with(record.imports.bound, symbol):
        imported = record.imports[row]
        module = _absolute(imported, package)
        if imported.name is not None:
            return f"{module}.{imported.name}"
        return module if imported.alias is not None else module.partition(".")[0]
    return None


def _absolute(imported: Import, package: str) -> str:
    """The absolute name of the module that an import in a module of `package` names."""
    if not imported.level:
        return imported.module
    parts = package.split(".")
    above = ".".join(parts[: len(parts) - imported.level + 1])
    return f"{above}.{imported.module}" if imported.module else above
