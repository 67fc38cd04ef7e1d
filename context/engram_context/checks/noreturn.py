"""Functions that never return: declared so, or raising on every way through them."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

from tree_sitter import Node

from engram_context.checks.flow import flow_of, never_returns
from engram_context.checks.subject import Subject
from engram_context.checks.surroundings import body_of
from engram_context.checks.whole import Whole
from engram_context.records import ABSTRACT, ASYNC, GENERATOR, NO_REF, OVERLOAD, FileRecord
from engram_context.targets import Slot

NEVER = frozenset(("NoReturn", "Never"))
_RAISES = re.compile(rb"\braise\b|NoReturn|Never\b|\b_?exit\b|fail|abort|error")


@dataclass(slots=True)
class NoReturn:
    """The functions of one snapshot that never return. Any thread."""

    whole: Whole
    _known: dict[tuple[str, int], bool] = field(default_factory=dict[tuple[str, int], bool])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def never_returns(self, path: str, record: FileRecord, row: int) -> bool:
        """Whether the function that a symbol is never comes back."""
        with self._lock:
            if (path, row) not in self._known:
                self._known[path, row] = False  # what a function sees that calls itself
                self._known[path, row] = self._read(path, record, row)
            return self._known[path, row]

    def _read(self, path: str, record: FileRecord, row: int) -> bool:
        symbol = record.symbols[row]
        if symbol.kind not in ("function", "method") or symbol.flags & (ASYNC | GENERATOR | ABSTRACT | OVERLOAD):
            return False
        if is_declared(record, row):
            return True
        text = self.whole.snapshot.text(path)
        if text is None or text.digest != record.digest or path.endswith(".pyi"):
            return False
        if not _RAISES.search(text.data, symbol.body.start, symbol.body.end):
            return False
        body = body_of(text, record, row)
        if body is None or b"NotImplementedError" in (body.text or b""):
            return False
        flow = flow_of(body)
        return flow.reachable().isdisjoint((*flow.returns, *flow.falls))


def is_declared(record: FileRecord, row: int) -> bool | None:
    """Whether a function is declared never to return; None where it does not say what it returns."""
    annotation = record.symbols.annotation[row]
    if annotation == NO_REF:
        return None
    return annotation >= 0 and record.names[record.occurrences.name[annotation]] in NEVER


def no_return(whole: Whole) -> NoReturn:
    return NoReturn(whole)


def is_without_return(subject: Subject, call: Node) -> bool:
    """Whether a call is of something that never returns, as far as that can be found out."""
    if never_returns(call):
        return True
    index, resolver = subject.mention(call.child_by_field_name("function")), subject.resolver
    if index is None:
        return False
    origins = [
        origin
        for target in resolver.of_occurrence(subject.path, index)
        for origin in resolver.origins(target)
        if isinstance(origin, Slot)
    ]
    known = subject.whole.of(no_return)
    found = False
    for slot in origins:
        other = resolver.record(slot.path)
        rows = resolver.symbols_of(slot)
        if other is None or not rows:
            return False
        # What other files can see of a function that says what it returns is that, and not its body.
        if slot.path != subject.path and not all(is_declared(other, row) is not False for row in rows):
            return False
        if not all(known.never_returns(slot.path, other, row) for row in rows):
            return False
        found = True
    return found
