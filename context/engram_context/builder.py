"""Collects the rows of one file while its tree is walked, and turns them into a record.

While walking, nobody knows which occurrence or value an expression will become. So refs are written down as
the byte offset at which the expression ends: no two primary expressions (names, attributes, calls,
subscripts, displays) end at the same byte. `finish` translates all of them at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engram_context.records import (
    CONDITIONAL,
    IMPORT_CONDITIONAL,
    IMPORT_TYPE_CHECKING,
    KIND,
    NO_REF,
    ROLE,
    SCOPE_KIND,
    VALUE_KIND,
    FileRecord,
    Kind,
    Role,
    ScopeKind,
    SyntaxProblem,
    ValueKind,
    column_of,
    tables_of,
    value_ref,
)
from engram_context.text import Text

Ints = NDArray[np.int64]


class RecordBuilder:
    """One per file. Methods named `add_...` append a row and return its number."""

    def __init__(self, text: Text, language: str) -> None:
        self.text = text
        self.data = text.data
        self.language = language
        self.names: dict[bytes, int] = {}
        self.strings: dict[str, int] = {"": 0}
        self.pool: list[int] = []
        # Occurrences: (start, name, scope, role, link)
        self.occurrences: list[tuple[int, int, int, int, int]] = []
        self.symbols: list[list[int]] = []
        self.scopes: list[list[int]] = []
        self.imports: list[list[int]] = []
        self.arguments: list[tuple[int, int, int]] = []
        self.calls: list[list[int]] = []
        self.values: list[list[int]] = []
        self.value_ends: list[int] = []
        self.returned: dict[int, list[int]] = {}
        self.declared: dict[tuple[int, int], bool] = {}  # (scope, name) -> global?
        self.exports: list[str] | None = None
        self.doc = ""
        self.conditional: list[tuple[int, int]] = []
        self.type_checking: list[tuple[int, int]] = []

    # --- rows -----------------------------------------------------------------------------------------

    def name(self, start: int, end: int) -> int:
        """The interned number of the name that stands at start..end."""
        names = self.names
        return names.setdefault(self.data[start:end], len(names))

    def string(self, value: str) -> int:
        return self.strings.setdefault(value.replace("\0", "\ufffd"), len(self.strings))

    def add_occurrence(self, start: int, end: int, scope: int, role: Role, link: int = NO_REF) -> int:
        name = self.name(start, end)
        self.occurrences.append((start, name, scope, ROLE[role], link))
        return name

    def add_symbol(
        self,
        start: int,
        end: int,
        scope: int,
        kind: Kind,
        role: Role,
        body: tuple[int, int],
        *,
        bound_in: int | None = None,
        value: int = NO_REF,
        annotation: int = NO_REF,
        flags: int = 0,
        detail: str = "",
        doc: str = "",
        inner: int = -1,
        decorators: tuple[int, ...] = (),
        occurs: bool = True,
        link: int | None = None,
    ) -> int:
        """A binding, and (unless `occurs` is False) its occurrence in the scope whose text it stands in.

        An attribute's occurrence is given its receiver as `link`.
        """
        index = len(self.symbols)
        name = self.name(start, end)
        if occurs:
            self.occurrences.append((start, name, scope, ROLE[role], index if link is None else link))
        low = len(self.pool)
        self.pool.extend(decorators)
        target = scope if bound_in is None else bound_in
        row = [start, start, name, target, KIND[kind], *body, self.string(detail), self.string(doc)]
        row += (value, annotation, inner, low, len(self.pool), flags)
        self.symbols.append(row)
        return index

    def add_scope(self, kind: ScopeKind, start: int, end: int, parent: int, symbol: int = -1, name: int = -1) -> int:
        self.scopes.append([SCOPE_KIND[kind], start, end, parent, symbol, 0, 0, name])
        return len(self.scopes) - 1

    def add_value(self, kind: ValueKind, first: int = NO_REF, second: int = NO_REF, end: int = -1) -> int:
        """The ref of a new value. One with an `end` is found by whoever refers to that offset."""
        self.values.append([VALUE_KIND[kind], first, second])
        self.value_ends.append(end)
        return value_ref(len(self.values) - 1)

    def pooled(self, refs: list[int]) -> tuple[int, int]:
        low = len(self.pool)
        self.pool.extend(refs)
        return low, len(self.pool)

    # --- the end --------------------------------------------------------------------------------------

    def finish(self, errors: tuple[SyntaxProblem, ...]) -> FileRecord:
        names = tuple(name.decode("utf-8", "surrogatepass") for name in self.names)
        occurrences = np.array(self.occurrences, dtype=np.int64).reshape(-1, 5)
        starts = occurrences[:, 0]
        if len(starts) > 1 and not bool((starts[1:] > starts[:-1]).all()):
            # Broken code can make two rows of one token: the first one made stands.
            starts, kept = np.unique(starts, return_index=True)
            occurrences = occurrences[kept]
        widths = np.fromiter(map(len, self.names), dtype=np.int64, count=len(names))
        ends = starts + widths[occurrences[:, 1]] if len(starts) else starts
        translate = _Translation(ends, np.array(self.value_ends, dtype=np.int64))

        attributes = np.isin(occurrences[:, 3], (ROLE["attribute"], ROLE["attribute-write"]))
        occurrences[attributes, 4] = translate(occurrences[attributes, 4])
        symbols = _rows(self.symbols, 15)
        symbols[:, 0] = _positions(starts, symbols[:, 0])
        for column in (9, 10):
            symbols[:, column] = translate(symbols[:, column])
        self._settle_declarations(symbols)
        scopes = _rows(self.scopes, 8)
        for scope, refs in self.returned.items():
            scopes[scope, 5:7] = self.pooled(refs)
        inside = _Depths(self.conditional)
        if len(symbols):
            depth = inside(symbols[:, 1]) - inside(scopes[symbols[:, 3], 1])
            symbols[:, 14] |= np.where(depth > 0, CONDITIONAL, 0)
        imports = _rows(self.imports, 11)
        if len(imports):
            depth = inside(imports[:, 0]) - inside(scopes[imports[:, 6], 1])
            checking = _Depths(self.type_checking)(imports[:, 0])
            imports[:, 7] = np.where(depth > 0, IMPORT_CONDITIONAL, 0) | np.where(checking > 0, IMPORT_TYPE_CHECKING, 0)
            for column in (9, 10):
                imports[:, column] = _positions(starts, imports[:, column])
        arguments = np.array(self.arguments, dtype=np.int64).reshape(-1, 3)
        arguments[:, 2] = translate(arguments[:, 2])
        calls = _rows(self.calls, 8)
        calls[:, 5] = translate(calls[:, 5])
        values = _rows(self.values, 3)
        # A literal's numbers are no refs, nor are a call's row and a part's position.
        first = values[:, 0] < VALUE_KIND["str"]
        second = first & (values[:, 0] != VALUE_KIND["call"]) & (values[:, 0] != VALUE_KIND["part"])
        values[first, 1] = translate(values[first, 1])
        values[second, 2] = translate(values[second, 2])
        pool = translate(np.array(self.pool, dtype=np.int64))
        tables = (occurrences, symbols, scopes, imports, arguments, calls, values)
        columns = [column_of(table[:, at].tolist()) for table in tables for at in range(table.shape[1])]
        return FileRecord(
            self.text.digest,
            self.language,
            len(self.data),
            self.text.line_count,
            names,
            errors,
            None if self.exports is None else tuple(dict.fromkeys(self.exports)),
            self.doc,
            *tables_of(names, tuple(self.strings), column_of(pool.tolist()), columns),
        )

    def _settle_declarations(self, symbols: Ints) -> None:
        """Bindings of names that are declared global or nonlocal belong to the scope that is meant."""
        if not self.declared:
            return
        bound = {(row[3], row[2]) for row in self.symbols}
        function = (SCOPE_KIND["function"], SCOPE_KIND["lambda"])
        for row, symbol in enumerate(self.symbols):
            key = (symbol[3], symbol[2])
            is_global = self.declared.get(key)
            if is_global is None or symbol[4] == KIND["attribute"]:
                continue
            target = 0
            if not is_global:
                target = self.scopes[symbol[3]][3]
                while target > 0 and not (
                    self.scopes[target][0] in function
                    and (target, symbol[2]) in bound
                    and (target, symbol[2]) not in self.declared
                ):
                    target = self.scopes[target][3]
                target = symbol[3] if target <= 0 else target
            symbols[row, 3] = target


class _Translation:
    """Turns ends of expressions into refs; what is negative already is a ref."""

    def __init__(self, ends: Ints, value_ends: Ints) -> None:
        rows = np.flatnonzero(value_ends >= 0)
        order = rows[np.argsort(value_ends[rows], kind="stable")]
        self.ends = ends
        self.value_rows = order
        self.value_ends = value_ends[order]

    def __call__(self, refs: Ints) -> Ints:
        result = np.where(refs >= 0, NO_REF, refs)
        result = self._matched(refs, result, self.ends, np.arange(len(self.ends)))
        return self._matched(refs, result, self.value_ends, -2 - self.value_rows)

    @staticmethod
    def _matched(refs: Ints, result: Ints, ends: Ints, becomes: Ints) -> Ints:
        if not len(ends) or not len(refs):
            return result
        at = np.minimum(np.searchsorted(ends, refs), len(ends) - 1)
        return np.where((refs >= 0) & (ends[at] == refs), becomes[at], result)


def _rows(rows: list[list[int]], width: int) -> Ints:
    return np.array(rows, dtype=np.int64).reshape(-1, width)


def _positions(starts: Ints, offsets: Ints) -> Ints:
    """The index of the occurrence that begins at each offset, -1 where none does."""
    if not len(starts):
        return np.full(len(offsets), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(starts, offsets), len(starts) - 1)
    return np.where(starts[at] == offsets, at, -1)


class _Depths:
    """How many of the given regions an offset is in."""

    def __init__(self, regions: list[tuple[int, int]]) -> None:
        edges = np.array(regions, dtype=np.int64).reshape(-1, 2)
        self.opens = np.sort(edges[:, 0])
        self.closes = np.sort(edges[:, 1])

    def __call__(self, offsets: Ints) -> Ints:
        return np.searchsorted(self.opens, offsets, "right") - np.searchsorted(self.closes, offsets, "right")
