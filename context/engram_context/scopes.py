"""Which scope of a file a name means, by Python's lexical rules."""

from __future__ import annotations

from collections.abc import Iterator

from engram_context.records import KIND, ROLE, SCOPE_KIND, FileRecord

_CLASS = SCOPE_KIND["class"]
_TYPE_PARAMETERS = SCOPE_KIND["type-parameters"]
_COMPREHENSION = SCOPE_KIND["comprehension"]
_ATTRIBUTE = KIND["attribute"]
_DECLARATION = ROLE["declaration"]
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

    def _look_up(self, scope: int) -> int | None:
        for at in visible_scopes(self.record, scope):
            is_global = self.declared.get(at)
            if is_global:
                return 0 if 0 in self.bound else None
            if is_global is None and (at in self.bound or at in self.deleted):
                return at
        return None

    def scope_of_occurrence(self, index: int) -> int | None:
        """Like `scope_of`, for an occurrence whose role is a name's. A binding's scope is its symbol's."""
        occurrences = self.record.occurrences
        bound = self.bound_at.get(occurrences.start[index])
        return self.scope_of(occurrences.scope[index]) if bound is None else bound


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
