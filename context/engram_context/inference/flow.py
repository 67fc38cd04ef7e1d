"""What reaches a read: the assignments that can be the last before it, and the tests that hold where it stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from engram_context.records import AUGMENTED, KIND, ROLE, SCOPE_KIND, FileRecord, Narrowing

_PARAMETER = KIND["parameter"]
_COMPREHENSION = SCOPE_KIND["comprehension"]
_ATTRIBUTES = (ROLE["attribute"], ROLE["attribute-write"])
_WRITE = frozenset({ROLE["attribute-write"]})
_PARTS = 6
_TESTS = 32
"""How many tests before a read are looked at."""
_BINDINGS = 64
"""How many bindings before a read, and behind it, are looked at."""


class Flow:
    """The blocks of one file, as a tree, and its narrowings by name."""

    def __init__(self, record: FileRecord) -> None:
        self.record = record
        blocks = record.blocks
        self.parents: list[int] = []
        around: list[int] = []
        for index, start in enumerate(blocks.start):
            while around and blocks.end[around[-1]] <= start:
                around.pop()
            self.parents.append(around[-1] if around else -1)
            around.append(index)
        self._sorted: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
        self.narrowings: dict[int, list[int]] = {}
        for row, name in enumerate(record.narrowings.name):
            self.narrowings.setdefault(name, []).append(row)
        for rows in self.narrowings.values():
            rows.sort(key=record.narrowings.start.__getitem__)

    def blocks_around(self, offset: int) -> Iterator[int]:
        """The blocks an offset is in, innermost first."""
        blocks = self.record.blocks
        at = bisect_right(blocks.start, offset) - 1
        while at >= 0:
            if offset < blocks.end[at]:
                yield at
            at = self.parents[at]

    # --- assignments ----------------------------------------------------------------------------------

    def reaching(self, rows: Sequence[int], index: int) -> Sequence[int]:
        """Those of a name's bindings, all in one scope, that the read at `index` can see the value of.

        The last binding whose block the read is in ends the search backwards. Bindings behind the read count where
        a loop leads back to it. Where there are too many to tell, all of them may be seen.
        """
        record = self.record
        scope = record.symbols.scope[rows[0]]
        if not self._is_read_in(index, scope):
            return rows
        key = (scope, record.symbols.name[rows[0]])
        if key not in self._sorted:
            order = sorted(rows, key=record.symbols.start.__getitem__)
            self._sorted[key] = order, [record.symbols.start[row] for row in order]
        order, starts = self._sorted[key]
        offset, low = record.occurrences.start[index], record.scopes.start[scope]
        inner = [block for block in self.blocks_around(offset) if record.blocks.start[block] > low]
        at = bisect_right(starts, offset)
        found: list[int] = []
        for row in reversed(order[max(at - _BINDINGS, 0) : at]):
            if self._end(row) > offset:
                continue  # the read is part of it
            found.append(row)
            if not record.symbols.flags[row] & AUGMENTED and self._block(row, low) in (*inner, -1):
                break
        else:
            return rows
        last = record.symbols.start[found[-1]]
        blocks = record.blocks
        # Only a loop around both, in which the last binding before is not made anew, leads back.
        loops = [block for block in inner if blocks.loop[block] and blocks.start[block] > last]
        end = max((blocks.end[loop] for loop in loops), default=0)
        found.reverse()
        found.extend(row for row in order[at : min(bisect_right(starts, end), at + _BINDINGS)])
        return found

    def _end(self, row: int) -> int:
        symbols = self.record.symbols
        return (
            symbols.start[row]
            if symbols.kind[row] == _PARAMETER
            else symbols.body_end[row]
            if symbols.inner[row] < 0
            else symbols.start[row]
        )

    def _block(self, row: int, low: int) -> int:
        """The innermost block of the binding's scope that a binding is in, -1 for the scope itself."""
        symbols, blocks = self.record.symbols, self.record.blocks
        if symbols.kind[row] == _PARAMETER:
            return -1
        at = next(self.blocks_around(symbols.start[row]), -1)
        if at < 0 or blocks.start[at] <= low:
            # A loop's own variable is bound in its head, and means something in its body alone.
            return -1
        return at

    def _is_read_in(self, index: int, scope: int) -> bool:
        """Whether a read is evaluated where it stands in a scope: there, or in a comprehension."""
        scopes = self.record.scopes
        at = self.record.occurrences.scope[index]
        while at != scope and at > 0 and scopes.kind[at] == _COMPREHENSION:
            at = scopes.parent[at]
        return at == scope

    # --- tests ----------------------------------------------------------------------------------------

    def tests(self, index: int, bindings: Sequence[int]) -> list[Narrowing]:
        """What is known by tests about the name or attribute at `index`, the outermost first. `bindings` are those
        of a plain name: behind one of them a test before it says nothing."""
        record = self.record
        rows = self.narrowings.get(record.occurrences.name[index])
        if not rows:
            return []
        offset = record.occurrences.start[index]
        narrowings = record.narrowings
        at = bisect_right(rows, offset, key=narrowings.start.__getitem__)
        here = [row for row in reversed(rows[max(at - _TESTS, 0) : at]) if offset < narrowings.end[row]]
        if not here:
            return []
        subject = self.subject(index)
        found: list[Narrowing] = []
        for row in reversed(here):
            narrowing = narrowings[row]
            if narrowing.subject == subject and not self._is_bound_between(narrowing, offset, index, bindings):
                found.append(narrowing)
        return found

    def subject(self, index: int) -> str:
        """A name, or the names of a chain of attributes with dots between; "" for what is neither."""
        record = self.record
        parts: list[str] = []
        while len(parts) < _PARTS and index >= 0:
            parts.append(record.names[record.occurrences.name[index]])
            if record.occurrences.role[index] not in _ATTRIBUTES:
                return ".".join(reversed(parts))
            index = record.occurrences.link[index]
        return ""

    def _is_bound_between(self, narrowing: Narrowing, offset: int, index: int, bindings: Sequence[int]) -> bool:
        record = self.record
        start = narrowing.span.start
        # What is read for a binding is read before it.
        if any(start <= record.symbols.start[row] < offset and self._end(row) <= offset for row in bindings):
            return True
        if record.occurrences.role[index] not in _ATTRIBUTES:
            return False
        name = record.names[record.occurrences.name[index]]
        writes = record.occurrences_of(name, _WRITE)
        return any(start <= record.occurrences.start[write] < offset for write in writes)
