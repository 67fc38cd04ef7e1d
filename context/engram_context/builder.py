"""Collects the rows of one file while its tree is walked, and turns them into a record.

While walking, nobody knows which occurrence or value an expression will become. So refs are written down as
the byte offset at which the expression ends: no two primary expressions (names, attributes, calls,
subscripts, displays) end at the same byte. `finish` translates all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engram_context.disk.limits import Deadline
from engram_context.records import (
    CONDITIONAL,
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


class RecordBuilder:
    """One per file. Methods named `add_...` append a row and return its number."""

    def __init__(self, text: Text, language: str) -> None:
        self.text = text
        self.data = text.data
        self.language = language
        self.deadline = Deadline()  # for what fills it
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
        self.values: list[int] = []  # flat, three numbers a row
        self.value_ends: list[int] = []
        self.returned: dict[int, list[int]] = {}
        self.yielded: dict[int, list[int]] = {}
        self.blocks: list[tuple[int, int, int]] = []
        self.narrowings: list[tuple[int, int, int, int, int, int]] = []
        self.declared: dict[tuple[int, int], bool] = {}  # (scope, name) -> global?
        self.exports: list[str] | None = None
        self.doc = ""
        # How far the last branch of a scope reaches; what is met before that is inside it.
        self.conditional_until: dict[int, int] = {}
        self.type_checking_until: dict[int, int] = {}

    # --- rows -----------------------------------------------------------------------------------------

    def name(self, start: int, end: int) -> int:
        """The interned number of the name that stands at start..end."""
        names = self.names
        return names.setdefault(self.data[start:end], len(names))

    def string(self, value: str) -> int:
        return self.strings.setdefault(value.replace("\0", "\ufffd"), len(self.strings)) if value else 0

    def branch(self, scope: int, end: int) -> None:
        """From here to `end` what a scope binds is bound under a condition."""
        self.conditional_until[scope] = max(end, self.conditional_until.get(scope, 0))

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
        if start < self.conditional_until.get(scope, 0):
            flags |= CONDITIONAL
        row = [start, start, name, target, KIND[kind], *body, self.string(detail), self.string(doc)]
        row += (value, annotation, inner, low, len(self.pool), flags)
        self.symbols.append(row)
        return index

    def add_scope(self, kind: ScopeKind, start: int, end: int, parent: int, symbol: int = -1, name: int = -1) -> int:
        self.scopes.append([SCOPE_KIND[kind], start, end, parent, symbol, 0, 0, name])
        return len(self.scopes) - 1

    def add_value(self, kind: ValueKind, first: int = NO_REF, second: int = NO_REF, end: int = -1) -> int:
        """The ref of a new value. One with an `end` is found by whoever refers to that offset."""
        self.values += (VALUE_KIND[kind], first, second)
        self.value_ends.append(end)
        return value_ref(len(self.value_ends) - 1)

    def pooled(self, refs: list[int]) -> tuple[int, int]:
        low = len(self.pool)
        self.pool.extend(refs)
        return low, len(self.pool)

    # --- the end --------------------------------------------------------------------------------------

    def finish(self, errors: tuple[SyntaxProblem, ...]) -> FileRecord:
        names = tuple(name.decode("utf-8", "surrogatepass") for name in self.names)
        occurrences = sorted(self.occurrences)
        at_start = {row[0]: index for index, row in enumerate(occurrences)}
        if len(at_start) < len(occurrences):
            # Broken code can make two rows of one token: one of them stands.
            occurrences = list({row[0]: row for row in occurrences}.values())
            at_start = {row[0]: index for index, row in enumerate(occurrences)}
        widths = list(map(len, self.names))
        at_end = {row[0] + widths[row[1]]: index for index, row in enumerate(occurrences)}
        at_end.update((end, value_ref(row)) for row, end in enumerate(self.value_ends) if end >= 0)

        def refs(offsets: Iterable[int]) -> list[int]:
            """Ends of expressions to refs; what is negative already is one."""
            return [offset if offset < 0 else at_end.get(offset, NO_REF) for offset in offsets]

        starts, numbers, scopes, roles, links = _transposed(occurrences, 5)
        links = [
            link if role not in _ATTRIBUTES or link < 0 else at_end.get(link, NO_REF)
            for role, link in zip(roles, links, strict=True)
        ]
        symbols = _transposed(self.symbols, 15)
        symbols[0] = [at_start.get(offset, -1) for offset in symbols[0]]
        symbols[3] = self._binding_scopes()
        symbols[9], symbols[10] = refs(symbols[9]), refs(symbols[10])
        for scope, returned in {**self.returned, **self.yielded}.items():
            self.scopes[scope][5:7] = self.pooled(returned)
        imports = _transposed(self.imports, 11)
        imports[9] = [at_start.get(offset, -1) for offset in imports[9]]
        imports[10] = [at_start.get(offset, -1) for offset in imports[10]]
        arguments = _transposed(self.arguments, 3)
        arguments[2] = refs(arguments[2])
        calls = _transposed(self.calls, 8)
        calls[5] = refs(calls[5])
        kinds, first, second = (self.values[at::3] for at in range(3))
        # A literal's numbers are no refs, nor are a call's row and a part's position.
        has_first = [kind < _LITERALS for kind in kinds]
        first = [old if not has else new for has, old, new in zip(has_first, first, refs(first), strict=True)]
        second = [
            old if not has or kind in _ONE_REF else new
            for has, kind, old, new in zip(has_first, kinds, second, refs(second), strict=True)
        ]
        columns = [starts, numbers, scopes, roles, links, *symbols, *_transposed(self.scopes, 8)]
        columns += [*imports, *arguments, *calls, kinds, first, second]
        narrowings = _transposed(self.narrowings, 6)
        narrowings[5] = refs(narrowings[5])
        columns += [*_transposed(self.blocks, 3), *narrowings]
        pool = column_of(refs(self.pool))
        return FileRecord(
            self.text.digest,
            self.language,
            len(self.data),
            self.text.line_count,
            names,
            errors,
            None if self.exports is None else tuple(dict.fromkeys(self.exports)),
            self.doc,
            *tables_of(names, tuple(self.strings), pool, [column_of(column) for column in columns]),
        )

    def _binding_scopes(self) -> list[int]:
        """The scope of each symbol: names that are declared global or nonlocal belong to the one meant."""
        found = [symbol[3] for symbol in self.symbols]
        if not self.declared:
            return found
        bound = {(symbol[3], symbol[2]) for symbol in self.symbols}
        for row, symbol in enumerate(self.symbols):
            is_global = self.declared.get((symbol[3], symbol[2]))
            if is_global is None or symbol[4] == _ATTRIBUTE:
                continue
            target = 0
            if not is_global:
                target = self.scopes[symbol[3]][3]
                while target > 0 and not (
                    self.scopes[target][0] in _FUNCTIONS
                    and (target, symbol[2]) in bound
                    and (target, symbol[2]) not in self.declared
                ):
                    target = self.scopes[target][3]
                target = symbol[3] if target <= 0 else target
            found[row] = target
        return found


_LITERALS = VALUE_KIND["str"]
_ONE_REF = (VALUE_KIND["call"], VALUE_KIND["part"])
_ATTRIBUTES = (ROLE["attribute"], ROLE["attribute-write"])
_ATTRIBUTE = KIND["attribute"]
_FUNCTIONS = (SCOPE_KIND["function"], SCOPE_KIND["lambda"])


def _transposed(rows: Sequence[Sequence[int]], width: int) -> list[Sequence[int]]:
    """Rows as columns."""
    return list(zip(*rows, strict=True)) if rows else [()] * width
