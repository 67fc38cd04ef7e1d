"""Failures as pytest prints them: its long, short and line styles. Its native style is Python's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from engram_context.trace.python import columns_of, error_of, heading_of, is_assertion, is_header, link_of
from engram_context.trace.values import Frame, Kind, Relation, Trace

_LOCATION = re.compile(r"([^\s:'\"][^:'\"]{0,500}\.\w{1,6}|[A-Za-z]:[^:'\"]{1,500}|<\w{1,40}>):(\d{1,9}): ?(.*)")
_LINE_STYLE = re.compile(r"(?:assert |[A-Za-z_][\w.]{0,200}(?:Error|Exception|Failed|Exit|Interrupt)\b)")
_DEF = re.compile(r"\s*(?:async )?def (\w{1,200})")
_BOUND = re.compile(r"([A-Za-z_]\w{0,80}) *= (.*)")
_NEXT_BOUND = re.compile(r", (?=[A-Za-z_]\w{0,80} = )")
_WHERE = re.compile(r"\+ +(?:where|and) +(.*)")
_LISTED = re.compile(r"\d{3,6} (.*)")
_MOST = 4000
"""Lines of one failure that are looked at."""
_ABOVE = 40
"""Lines above one of the line style that can say more about it."""


@dataclass(slots=True)
class _Entry:
    """One frame as it is being read."""

    function: str = ""
    code: str = ""
    marked: tuple[int, int] | None = None
    raised: list[str] = field(default_factory=list[str])


def read(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    """A failure from its heading on, or from where a paste of it begins."""
    line = lines[at]
    test = heading_of(line)
    if test is not None:
        at += 1
    elif not line.startswith((">  ", "> \t")):
        match = _LOCATION.match(line)
        if match is None:
            return None
        if not match[3].startswith("in "):
            return _line_style(lines, match, at)
    end = at
    while end < len(lines) and end < at + _MOST and not _is_end(lines[end]):
        if is_header(lines[end].lstrip(" +")):
            return None
        end += 1
    section = _Section(test or "")
    section.read(lines[at:end])
    return None if section.last is None else (section.last, end)


def _is_end(line: str) -> bool:
    return line.startswith(("=====", "-----")) or heading_of(line) is not None


def _line_style(lines: Sequence[str], match: re.Match[str], at: int) -> tuple[Trace, int] | None:
    said = match[3]
    if not _LINE_STYLE.match(said):
        return None
    raised = [said]
    for above in range(at - 1, max(at - _ABOVE, -1), -1):
        if lines[above].startswith("E "):
            # What it said in full.
            raised = [line.removeprefix("E ").strip() for line in lines[above:at]]
            break
        if not lines[above].startswith(" "):
            break
    error, message = error_of(raised[0]) or ("AssertionError", raised[0])
    kind: Kind = "assertion" if is_assertion(error) else "exception"
    values = tuple(_introspected(raised).items())
    frames = (Frame(match[1], int(match[2])),)
    return Trace("python", error, message, frames, kind=kind, notes=tuple(raised[1:]), values=values), at + 1


class _Section:
    def __init__(self, test: str) -> None:
        self.test = test
        self.last: Trace | None = None
        self.relation: Relation | None = None
        self._begin()

    def _begin(self) -> None:
        self.frames: list[Frame] = []
        self.raised: list[str] = []
        self.error = ""
        self.values: dict[str, str] = {}
        self.entry = _Entry()
        # The frame whose source is still to come, of the short style.
        self.open: tuple[str, int, str] | None = None
        self.code_line = ""

    def read(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._take(line)
        self._finish(None)

    def _take(self, line: str) -> None:
        entry = self.entry
        if line.startswith("E ") or line == "E":
            entry.raised.append(line[1:].strip())
        elif line.startswith(">"):
            entry.code = line[1:].strip()
            if not entry.function and (definition := _DEF.match(entry.code)):
                entry.function = definition[1]
            entry.marked = None
            self.code_line = " " + line[1:]
        elif line.startswith("_ _ _"):
            self._close()
        elif relation := link_of(line):
            self._finish(relation)
        elif match := (None if line[:1] in " \t" else _LOCATION.match(line)):
            self._location(match)
        elif self.open is None and not entry.function and (definition := _DEF.match(line)):
            entry.function = definition[1]
        elif line[:1] in (" ", "\t"):
            self._source(line)
        elif listed := _LISTED.fullmatch(line):
            # A docstring: its last example is the one that failed.
            if listed[1].lstrip().startswith(">>> "):
                entry.code = listed[1].lstrip()[4:]
        elif _BOUND.match(line):
            for bound in _NEXT_BOUND.split(line):
                if match := _BOUND.match(bound):
                    self.values[match[1]] = match[2]

    def _source(self, line: str) -> None:
        entry = self.entry
        if self.open is not None and not entry.code:
            entry.code = line.strip()
            self.code_line = line
        elif entry.code and entry.marked is None and not line.strip(" ^~"):
            entry.marked = columns_of(self.code_line, line)

    def _location(self, match: re.Match[str]) -> None:
        file, line, said = match[1], int(match[2]), match[3]
        if said.startswith("in "):
            self._close()
            self.open = (file, line, said[3:].strip())
            return
        self._close()
        if self.frames and self.frames[-1].line == 0:
            last = self.frames.pop()
            self.frames.append(Frame(file, line, last.function, last.code, last.columns))
        else:
            self.frames.append(Frame(file, line))
        self.error = said.strip() or self.error
        self.entry = _Entry()

    def _close(self) -> None:
        """Ends the frame at hand; in the long style its place is still to come."""
        entry = self.entry
        if entry.raised:
            self.raised = entry.raised
        if self.open is not None:
            file, line, function = self.open
            self.frames.append(Frame(file, line, function, entry.code, entry.marked))
        elif entry.code or entry.function:
            self.frames.append(Frame("", 0, entry.function, entry.code, entry.marked))
        self.open = None
        self.entry = _Entry()

    def _finish(self, relation: Relation | None) -> None:
        self._close()
        frames = tuple(frame for frame in self.frames if frame.line or frame.code)
        if (frames and any(frame.line for frame in frames)) or (frames and self.raised):
            self.last = self._trace(frames)
        self._begin()
        self.relation = relation

    def _trace(self, frames: tuple[Frame, ...]) -> Trace:
        first = self.raised[0] if self.raised else ""
        said = error_of(first)
        if said is not None and (not self.error or said[0].rpartition(".")[2] == self.error.rpartition(".")[2]):
            error, message = said
        else:
            error, message = self.error, first
            if first.startswith("assert ") and not error:
                error = "AssertionError"
        notes = tuple(self.raised[1:])
        values = {**self.values, **_introspected(self.raised)}
        others: tuple[tuple[Relation, Trace], ...] = ()
        if self.relation is not None and self.last is not None:
            others = ((self.relation, self.last),)
        kind = "exception"
        if is_assertion(error):
            kind = "assertion"
        elif error in ("SyntaxError", "IndentationError", "TabError") and not frames[-1].function:
            kind = "syntax"
        return Trace("python", error, message, frames, others, kind, notes, tuple(values.items()), self.test)


def _introspected(raised: Sequence[str]) -> dict[str, str]:
    """What the explanations of an assertion say: `+  where 3 = len(found)`."""
    found: dict[str, str] = {}
    for line in raised:
        if match := _WHERE.match(line):
            value, equals, expression = match[1].partition(" = ")
            if equals:
                found[expression] = value
    return found
