"""Names that a module makes when they are asked for: by `__getattr__`, with imports in it or a literal dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engram_context.imports import Module
from engram_context.records import FileRecord, value_row
from engram_context.targets import Target

if TYPE_CHECKING:
    from engram_context.resolve import Resolver

_GETTER = "__getattr__"


def lazy_member(resolver: Resolver, module: Module, name: str) -> tuple[Target, ...]:
    """What `module.name` is when the module has a `__getattr__`; nothing when that does not say it plainly."""
    record = None if module.is_namespace else resolver.record(module.path)
    rows = () if record is None else record.bindings(0, _GETTER)
    if record is None or not rows:
        return ()
    for row in rows:
        inner = record.symbols.inner[row]
        for imported in record.imports if inner >= 0 else ():
            if imported.scope == inner and imported.bound_name == name:
                return resolver.imported(module.path, imported)
    for dotted, attribute in _entries(record, name):
        level = len(dotted) - len(dotted.lstrip("."))
        found = _in_module(resolver, module, dotted[level:], level, attribute)
        if found:
            return found
    return ()


def _in_module(resolver: Resolver, module: Module, dotted: str, level: int, name: str) -> tuple[Target, ...]:
    for above in (level,) if level else (0, 1):
        for source in resolver.module(module.path, dotted, above):
            if isinstance(source, Module) and source != module:
                found = resolver.member(source, name)
                if found:
                    return found
                if dotted.rpartition(".")[2] == name:
                    return (source,)
    return ()


def _entries(record: FileRecord, name: str) -> Iterator[tuple[str, str]]:
    """(module, the name there) of what the dictionaries at the top of a file have for a name: `{name: module}`,
    `{name: (module, other)}` or `{module: [name, ...]}`."""
    for row in record.symbols_in(0):
        at = value_row(record.symbols.value[row])
        value = None if at is None else record.values[at]
        if value is None or value.kind != "dict":
            continue
        pool = record.values.pool[value.first : value.second]
        for key, held in zip(pool[::2], pool[1::2], strict=True):
            keys, texts = _texts(record, key), _texts(record, held)
            if keys == [name] and texts:
                yield texts[0], texts[1] if len(texts) == 2 else name
            elif name in texts and keys:
                yield keys[0], name


def _texts(record: FileRecord, ref: int) -> list[str]:
    """The plain strings that an expression is or has as its elements."""
    row = value_row(ref)
    value = None if row is None else record.values[row]
    if value is None:
        return []
    if value.kind == "str":
        return [record.values.strings[value.first]] if value.first else []
    if value.kind in ("list", "tuple", "set"):
        return [
            text for element in record.values.pool[value.first : value.second] for text in _texts(record, element)[:1]
        ]
    return []
