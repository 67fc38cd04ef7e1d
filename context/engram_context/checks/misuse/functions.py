"""The functions of a file with their variables: which names are in scope in each, and where they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engram_context.checks.usage import Usage
from engram_context.records import KEYWORDS, KIND, SCOPE_KIND, VARIADIC, FileRecord
from engram_context.text import Span

_FUNCTION = SCOPE_KIND["function"]
_PARAMETER, _VARIABLE = KIND["parameter"], KIND["variable"]
_CLASS = SCOPE_KIND["class"]
_FUNCTIONS = frozenset({KIND["function"], KIND["method"]})


@dataclass(frozen=True, slots=True)
class Variable:
    """A parameter or a local variable. `bound`: the starts of what binds it, `reads`: the occurrences that read it,
    those in nested functions too. `flags` are those of its first symbol, `annotation` is its text as far as a name
    says it."""

    name: str
    is_parameter: bool
    bound: tuple[int, ...]
    reads: tuple[int, ...]
    flags: int
    annotation: str


@dataclass(frozen=True, slots=True)
class Function:
    """`span` is the whole definition; `symbol` the row of its name, `owner` the scope that holds it."""

    scope: int
    symbol: int
    name: str
    span: Span
    owner: int
    is_method: bool
    variables: tuple[Variable, ...]

    def variable(self, name: str) -> Variable | None:
        return next((one for one in self.variables if one.name == name), None)


def functions_of(record: FileRecord, usage: Usage) -> Iterator[Function]:
    """The functions that have two variables at least, in source order. What a method is called on is none."""
    by_scope: dict[int, list[Variable]] = {}
    symbols, scopes = record.symbols, record.scopes
    for (scope, number), rows in usage.symbols.items():
        if scopes.kind[scope] != _FUNCTION:
            continue
        if any(symbols.kind[row] not in (_PARAMETER, _VARIABLE) for row in rows):
            continue
        if (scope, number) in usage.declared:
            continue
        first = rows[0]
        by_scope.setdefault(scope, []).append(
            Variable(
                record.names[number],
                symbols.kind[first] == _PARAMETER,
                tuple(symbols.start[row] for row in rows),
                tuple(sorted(set(usage.uses.get((scope, number), ())))),
                symbols.flags[first],
                _written(record, symbols.annotation[first]),
            )
        )
    for scope in sorted(by_scope):
        symbol = scopes.symbol[scope]
        if symbol < 0:
            continue
        owner = symbols.scope[symbol]
        is_method = scopes.kind[owner] == _CLASS
        variables = sorted(by_scope[scope], key=lambda one: one.bound)
        if is_method and variables and variables[0].is_parameter and not variables[0].flags & (VARIADIC | KEYWORDS):
            variables = _without_receiver(record, symbol, variables)
        if len(variables) >= 2:
            span = Span(symbols.body_start[symbol], symbols.body_end[symbol])
            yield Function(scope, symbol, record.names[symbols.name[symbol]], span, owner, is_method, tuple(variables))


def _without_receiver(record: FileRecord, symbol: int, variables: Sequence[Variable]) -> list[Variable]:
    is_static = any(name == "staticmethod" for name in decorators(record, symbol))
    return list(variables if is_static else variables[1:])


def decorators(record: FileRecord, symbol: int) -> Iterator[str]:
    """The last parts of the names of a function's decorators."""
    symbols = record.symbols
    for ref in record.symbols.pool[symbols.pool_start[symbol] : symbols.pool_end[symbol]]:
        name = last_name(record, ref)
        if name is not None:
            yield name


def last_name(record: FileRecord, ref: int) -> str | None:
    """The last part of what a ref says: of a call, of what is called."""
    values = record.values
    while ref <= -2:
        row = -2 - ref
        if record.values[row].kind not in ("call", "subscript", "await"):
            return None
        ref = values.first[row]
    return record.names[record.occurrences.name[ref]] if ref >= 0 else None


def _written(record: FileRecord, ref: int) -> str:
    """What an annotation says, as far as it tells two apart."""
    if ref == -1:
        return ""
    return last_name(record, ref) or "?"


def bodies_of(record: FileRecord) -> Iterator[Span]:
    """The spans of all functions and methods, as `functions_of` gives them."""
    symbols = record.symbols
    for row, kind in enumerate(symbols.kind):
        if kind in _FUNCTIONS and symbols.inner[row] >= 0:
            yield Span(symbols.body_start[row], symbols.body_end[row])
