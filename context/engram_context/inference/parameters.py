"""What the parameters of functions are when nobody says it: receivers, what overridden methods declare, and what the
call expects that a lambda is given to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engram_context.inference.inferred import ClassType, Instance, Type, Variable
from engram_context.records import (
    CLASS_METHOD,
    KEYWORDS,
    KIND,
    SCOPE_KIND,
    STATIC_METHOD,
    VALUE_KIND,
    VARIADIC,
    FileRecord,
    Symbol,
    rows_with,
    value_ref,
)

if TYPE_CHECKING:
    from engram_context.inference.members import Types

_METHOD, _PARAMETER = KIND["method"], KIND["parameter"]
_LAMBDA, _LAMBDA_VALUE = SCOPE_KIND["lambda"], VALUE_KIND["lambda"]
_STARS = VARIADIC | KEYWORDS


class Parameters:
    """Answers for one `Types`."""

    def __init__(self, types: Types) -> None:
        self.types = types

    def undeclared(self, path: str, record: FileRecord, symbol: Symbol) -> list[Type]:
        """The types of a parameter without an annotation, by anything but its default."""
        if record.scopes.kind[symbol.scope] == _LAMBDA:
            return self._expected(path, record, symbol)
        return self._receiver(path, record, symbol) or self._inherited(path, record, symbol)

    def collected(self, found: list[Type], symbol: Symbol) -> list[Type]:
        """*args and **kwargs: a tuple and a dict of what is declared."""
        if symbol.flags & KEYWORDS:
            return self.types.builtin("dict", tuple(self.types.builtin("str")), tuple(found))
        return self.types.builtin("tuple", tuple(found))

    def _receiver(self, path: str, record: FileRecord, symbol: Symbol) -> list[Type]:
        """The type of a method's first parameter."""
        scope = record.scopes[symbol.scope]
        if symbol.flags & _STARS:
            return self.collected([], symbol)
        if scope.symbol is None or record.symbols.kind[scope.symbol] != _METHOD:
            return []
        method = record.symbols[scope.symbol]
        parameters = [row for row in record.symbols_in(symbol.scope) if record.symbols.kind[row] == _PARAMETER]
        if method.flags & STATIC_METHOD or not parameters or parameters[0] != symbol.index:
            return []
        named_class = method.flags & CLASS_METHOD or method.name in ("__new__", "__init_subclass__")
        own = method.scope
        return [ClassType(path, own) if named_class or method.name == "__class_getitem__" else Instance(path, own)]

    def _expected(self, path: str, record: FileRecord, symbol: Symbol) -> list[Type]:
        """What a lambda's parameter is by what the call that it is given to expects."""
        values = record.values
        row = next((at for at in rows_with(values.kind, _LAMBDA_VALUE) if values.first[at] == symbol.scope), None)
        rows = () if row is None else rows_with(record.arguments.value, value_ref(row))
        parameters = [at for at in record.symbols_in(symbol.scope) if record.symbols.kind[at] == _PARAMETER]
        place = parameters.index(symbol.index)
        return [
            one
            for at in rows
            for expected in self.types.calls.expected(path, record, at)
            if place < len(expected.parameters)
            for one in expected.parameters[place]
            if not isinstance(one, Variable)
        ]

    def _inherited(self, path: str, record: FileRecord, symbol: Symbol) -> list[Type]:
        """What the overridden method declares a parameter to be."""
        scope = record.scopes[symbol.scope]
        method = None if scope.symbol is None else record.symbols[scope.symbol]
        if method is None or method.kind != "method":
            return []
        for owner in self.types.order(ClassType(path, method.scope))[1:]:
            names = self.types.resolver.names(owner.path, method.name)
            home = self.types.resolver.record(owner.path)
            if names is None or home is None or owner.scope not in names.symbols:
                continue
            inner = home.symbols.inner[names.symbols[owner.scope][0]]
            rows = home.bindings(inner, symbol.name) if inner >= 0 else ()
            return [one for row in rows for one in self.types.of_symbol(owner.path, row)]
        return []
