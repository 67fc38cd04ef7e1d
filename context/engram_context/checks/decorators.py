"""What decorators leave of a def or class: everything, how it is called, or nothing that is known."""

from __future__ import annotations

from typing import Final

from engram_context.inference.calls import last_name
from engram_context.outside.library import is_outside
from engram_context.records import KEYWORDS, KIND, SCOPE_KIND, VARIADIC, FileRecord, rows_with, value_row
from engram_context.resolve import Resolver
from engram_context.targets import Builtin, External, Slot

KEEPING: Final = frozenset(
    {"staticmethod", "classmethod", "property", "cached_property", "abstractmethod", "abstractproperty", "overload"}
    | {"override", "final", "deprecated", "cache", "lru_cache", "wraps", "no_type_check", "total_ordering", "dataclass"}
    | {"runtime_checkable", "setter", "getter", "deleter", "abstractclassmethod", "abstractstaticmethod", "unique"}
    | {"dataclass_transform", "disjoint_base", "type_check_only"}
)
"""Decorators from outside the project that leave what is called, and what a class has, as it is written."""
MANAGING: Final = frozenset(("contextmanager", "asynccontextmanager"))
"""These keep the parameters and not the result."""
ATTRS: Final = frozenset(("define", "frozen", "mutable", "attrs", "s", "attributes"))
_OF_PROPERTIES: Final = frozenset(("setter", "getter", "deleter"))
_PARAMETER, _FUNCTION, _FUNCTION_SCOPE = KIND["parameter"], KIND["function"], SCOPE_KIND["function"]


def keeps_all(resolver: Resolver, path: str, record: FileRecord, ref: int) -> bool:
    """Whether a decorator leaves what it is put on as it is."""
    name = last_name(record, ref)
    return name in _OF_PROPERTIES or (name in KEEPING | ATTRS and _is_from_outside(resolver, path, _bare(record, ref)))


def keeps_parameters(resolver: Resolver, path: str, record: FileRecord, ref: int) -> bool:
    """Whether a decorator leaves the parameters of a function as they are: one of the project that puts a function in
    its place that only hands on what it is given."""
    if keeps_all(resolver, path, record, ref):
        return True
    bare = _bare(record, ref)
    if last_name(record, ref) in MANAGING and _is_from_outside(resolver, path, bare):
        return True
    targets = resolver.meanings(path, bare) if bare >= 0 else ()
    if len(targets) != 1 or not isinstance(targets[0], Slot) or is_outside(targets[0].path):
        return False
    home = resolver.record(targets[0].path)
    rows = resolver.symbols_of(targets[0])
    return home is not None and len(rows) == 1 and _hands_on(home, rows[0])


def _bare(record: FileRecord, ref: int) -> int:
    """What is called, where a decorator is a call."""
    row = value_row(ref)
    return record.values[row].first if row is not None and record.values[row].kind == "call" else ref


def _is_from_outside(resolver: Resolver, path: str, ref: int) -> bool:
    targets = resolver.meanings(path, ref) if ref >= 0 else ()
    return bool(targets) and all(
        isinstance(one, External | Builtin) or (isinstance(one, Slot) and is_outside(one.path)) for one in targets
    )


def _hands_on(record: FileRecord, row: int) -> bool:
    """Whether a decorator's one wrapper, `wraps(function)`, calls the function with just what it is called with."""
    scopes, symbols = record.scopes, record.symbols
    decorator = symbols.inner[row]
    if symbols.kind[row] != _FUNCTION or decorator < 0:
        return False
    low, high = scopes.start[decorator], scopes.end[decorator]
    wrappers = [
        (scope, ref)
        for scope in rows_with(scopes.kind, _FUNCTION_SCOPE)
        if low < scopes.start[scope] < high and scopes.symbol[scope] >= 0
        for ref in symbols[scopes.symbol[scope]].decorators
        if last_name(record, ref) == "wraps"
    ]
    if len(wrappers) != 1:
        return False
    wrapper, ref = wrappers[0]
    given = _positional(record, ref)
    parameters = sorted(
        (at for at in record.symbols_in(wrapper) if symbols.kind[at] == _PARAMETER), key=symbols.start.__getitem__
    )
    stars = [symbols.flags[at] & (VARIADIC | KEYWORDS) for at in parameters]
    if len(given) != 1 or stars[-2:] != [VARIADIC, KEYWORDS] or any(stars[:-2]):
        return False
    expected = [
        (record.names[symbols.name[at]], {VARIADIC: 1, KEYWORDS: 2}.get(star, 0))
        for at, star in zip(parameters, stars, strict=True)
    ]
    calls = [
        at
        for at, callee in enumerate(record.calls.callee)
        if callee >= 0
        and record.names[record.occurrences.name[callee]] == given[0]
        and scopes.start[wrapper] < record.calls.start[at] < scopes.end[wrapper]
    ]
    return bool(calls) and all(_given(record, at) == expected for at in calls)


def _positional(record: FileRecord, ref: int) -> list[str]:
    """The names that a call is given."""
    row = value_row(ref)
    if row is None or record.values[row].kind != "call":
        return []
    return [name for name, star in _given(record, record.values[row].second) if not star]


def _given(record: FileRecord, call: int) -> list[tuple[str, int]]:
    """The names that a call is given, with their stars; "" for anything else."""
    found: list[tuple[str, int]] = []
    for at in record.calls[call].arguments:
        argument = record.arguments[at]
        is_name = argument.value >= 0 and argument.keyword is None
        found.append((record.names[record.occurrences.name[argument.value]] if is_name else "", argument.stars))
    return found
