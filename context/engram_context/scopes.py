"""Which scope of a file a name means, by Python's lexical rules."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator

from engram_context.records import KIND, ROLE, SCOPE_KIND, FileRecord

_CLASS = SCOPE_KIND["class"]
_TYPE_PARAMETERS = SCOPE_KIND["type-parameters"]
_ATTRIBUTE = KIND["attribute"]
_DECLARING = frozenset({ROLE["declaration"], ROLE["delete"]})
_DELETE, _READ = ROLE["delete"], ROLE["read"]


def visible_scopes(record: FileRecord, scope: int) -> Iterator[int]:
    """The scopes in which a name read in `scope` is looked for, innermost first.

    The names of a class are seen in its own body and by the annotations and type parameters of its methods,
    not inside functions and comprehensions.
    """
    kinds, parents = record.scopes.kind, record.scopes.parent
    sees_class = True
    while scope >= 0:
        kind = kinds[scope]
        if kind != _CLASS or sees_class:
            yield scope
        if kind != _TYPE_PARAMETERS:
            sees_class = False
        scope = parents[scope]


class NameScopes:
    """One name in one file: the scopes that bind it (`symbols`, and `bound` without the attributes of classes),
    and the scope each mention means."""

    def __init__(self, record: FileRecord, name: str) -> None:
        self.record = record
        self.name = name
        symbols = record.symbols
        bound: dict[int, tuple[int, ...]] = {}
        self.symbols = record.bound(name)
        for scope, found in self.symbols.items():
            plain = tuple(index for index in found if symbols.kind[index] != _ATTRIBUTE)
            if plain:
                bound[scope] = plain
        self.bound = bound
        self.bound_at = {symbols.start[row]: scope for scope, rows in bound.items() for row in rows}
        self.deleted: set[int] = set()
        self.declared: dict[int, bool] = {}
        self._meant: dict[int, int | None] = {}
        occurrences = record.occurrences
        for index in record.occurrences_of(name, _DECLARING):
            scope = occurrences.scope[index]
            if occurrences.role[index] == _DELETE:
                self.deleted.add(scope)
            else:
                self.declared[scope] = bool(occurrences.link[index])

    def scope_of(self, scope: int) -> int | None:
        """The scope that a mention in `scope` means. None: bound nowhere in the file, so a star import's
        name, a builtin or a mistake."""
        if scope not in self._meant:
            self._meant[scope] = self._look_up(scope)
        return self._meant[scope]

    def _look_up(self, scope: int, skip: int = -1) -> int | None:
        """The scope that is meant, other than `skip`."""
        for at in visible_scopes(self.record, scope):
            if at == skip:
                continue
            is_global = self.declared.get(at)
            if is_global:
                return 0 if 0 in self.bound else None
            if is_global is None and (at in self.bound or at in self.deleted):
                return at
        return None

    def scope_of_occurrence(self, index: int) -> int | None:
        """Like `scope_of`, for an occurrence whose role is a name's. A binding's scope is its symbol's."""
        occurrences = self.record.occurrences
        bound_in = self.bound_at.get(occurrences.start[index])
        if bound_in is not None:
            return bound_in
        inside = occurrences.scope[index]
        if (
            occurrences.role[index] == _READ
            and inside in self.bound
            and not is_bound_yet(self.record, self.bound[inside], index)
        ):
            outer = self._look_up(inside, skip=inside)
            # What nobody else has is a forward reference, in an annotation perhaps.
            return outer if outer is not None or hasattr(builtins, self.name) else inside
        return self.scope_of(inside)


def is_bound_yet(record: FileRecord, bindings: Iterable[int], index: int) -> bool:
    """Whether a read finds a name of its own scope. Class bodies run from top to bottom and look further out
    for what they have not bound yet: in `size = size` the right one is the module's. Elsewhere always true."""
    occurrences, symbols = record.occurrences, record.symbols
    if record.scopes.kind[occurrences.scope[index]] != _CLASS:
        return True
    return any(symbols.body_end[symbol] <= occurrences.start[index] for symbol in bindings)


def binding_scope(record: FileRecord, scope: int, name: str) -> int | None:
    """The scope that `name`, mentioned in `scope`, means; None when the file binds it nowhere in sight."""
    return NameScopes(record, name).scope_of(scope)


def class_around(record: FileRecord, scope: int) -> int | None:
    """The class scope whose method a scope is in, however deeply."""
    kinds, parents = record.scopes.kind, record.scopes.parent
    at = parents[scope] if scope > 0 else -1
    while at > 0:
        if kinds[at] == _CLASS:
            return at
        at = parents[at]
    return None
