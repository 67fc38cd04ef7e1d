"""Tracebacks as Python prints them: plain, chained, in groups, of texts that it could not read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from engram_context.trace.values import Frame, Relation, Trace

_HEADERS = ("Traceback (most recent call last", "Exception Group Traceback (most recent call last")
_LINKS: tuple[tuple[str, Relation], ...] = (
    ("During handling of the above exception, another exception occurred", "context"),
    ("The above exception was the direct cause of the following exception", "cause"),
)
_FRAME = re.compile(r'File "([^"]{1,1000})", line (\d{1,9})(?:, in (.{1,500}))?')
_REPEATED = re.compile(r"\[Previous line repeated (\d{1,9}) more times?\]")
_ERROR = re.compile(r"([A-Za-z_][\w.]{0,300}(?:\[[\w., ]{0,80}\])?)(?:: ?(.*))?")
_TEST = re.compile(r"(?:FAIL|ERROR): (\w{1,200})(?: \(([\w.<>]{1,300})\))?")
_SYNTAX = frozenset({"SyntaxError", "IndentationError", "TabError"})
_NOTES = 60
"""Lines behind a message that can belong to it."""
_DEEPEST = 40
"""Groups in groups that are told apart."""


def error_of(line: str) -> tuple[str, str] | None:
    """The (class, message) that a traceback's last line says, None for what is no such line."""
    match = _ERROR.fullmatch(line)
    if match is None or (match[2] is None and " " in line):
        return None
    return match[1], match[2] or ""


def is_assertion(error: str) -> bool:
    return error.rpartition(".")[2] in ("AssertionError", "Failed", "DocTestFailure")


def link_of(line: str) -> Relation | None:
    """How the trace behind a line belongs to the one before it."""
    line = line.strip()
    return next((relation for words, relation in _LINKS if line.startswith(words)), None)


def is_header(line: str) -> bool:
    return line.startswith(_HEADERS)


def columns_of(code: str, line: str) -> tuple[int, int] | None:
    """The columns of `code` (both as they stand on the page, with their margins) that carets in the line below mark."""
    if not line.strip() or line.strip(" ~^") or "^" not in line:
        return None
    margin = len(code) - len(code.lstrip())
    # The operator is marked in an operation and the brackets in a call: what is marked at all is meant.
    start = len(line) - len(line.lstrip())
    end = len(line.rstrip())
    if start < margin or end > len(code.rstrip()) + 1:
        return None
    return (start - margin, end - margin)


def read(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    """A traceback, or the frames of one whose beginning was cut off."""
    line = lines[at]
    stripped = line.lstrip()
    is_start = is_header(line) or stripped.startswith("+ Exception Group Traceback")
    if not is_start and not (stripped.startswith('File "') and _FRAME.match(stripped)):
        return None
    sections = _Sections(_test_before(lines, at))
    end = sections.read(lines, at)
    return None if sections.last is None else (sections.last, end)


def _test_before(lines: Sequence[str], at: int) -> str:
    """The test that a heading above says: of unittest, or of pytest with the interpreter's own style."""
    for line in reversed(lines[max(at - 4, 0) : at]):
        match = _TEST.match(line)
        if match is not None:
            name, home = match[1], match[2] or ""
            return home if home.endswith(f".{name}") else f"{home}.{name}" if home else name
        if heading := heading_of(line):
            return heading
    return ""


def heading_of(line: str) -> str | None:
    """The test that a line of pytest is the heading of."""
    if not (line.startswith("__") and line.endswith("__")):
        return None
    name = line.strip("_").strip()
    for before in ("ERROR at setup of ", "ERROR at teardown of ", "ERROR collecting "):
        name = name.removeprefix(before)
    return name or None


class _Sections:
    """Tracebacks one after another that are raised from one another; `last` is the one that was seen."""

    def __init__(self, test: str = "", depth: int = 0) -> None:
        self.last: Trace | None = None
        self.test = test
        self.depth = depth

    def read(self, lines: Sequence[str], at: int) -> int:
        """Takes the sections that begin at a line; returns the line behind them."""
        relation: Relation | None = None
        if self.last is not None:
            relation, at = _link(lines, at)
        while True:
            found = _boxed(lines, at, self.depth) or _section(lines, at)
            if found is None:
                return at
            trace, at = found
            if self.last is not None and relation is not None:
                trace = replace(trace, others=((relation, self.last), *trace.others))
            self.last = replace(trace, test=self.test)
            relation, after = _link(lines, at)
            if relation is None:
                return at
            at = after

    def add_members(self, members: Sequence[Trace]) -> None:
        if self.last is not None and members:
            others = (*self.last.others, *(("member", member) for member in members))
            self.last = replace(self.last, others=others)


def _link(lines: Sequence[str], at: int) -> tuple[Relation | None, int]:
    """How what follows belongs to what was, and where it begins."""
    here = at
    while here < len(lines) and here < at + 2 and not lines[here].strip():
        here += 1
    relation = link_of(lines[here]) if here < len(lines) else None
    if relation is None:
        return None, at
    here += 1
    while here < len(lines) and not lines[here].strip():
        here += 1
    return relation, here


def _section(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    """One traceback with its error."""
    if at < len(lines) and is_header(lines[at]):
        at += 1
    start = at
    frames, at = read_frames(lines, at)
    if at >= len(lines):
        return (_trace(frames, ("", ""), ()), at) if frames else None
    if not frames and at == start and not error_of(lines[at]):
        return None
    error = error_of(lines[at])
    if error is None:
        return (_trace(frames, ("", ""), ()), at) if frames else None
    at += 1
    notes: list[str] = []
    while at < len(lines) and len(notes) < _NOTES and not _ends_notes(lines[at]):
        notes.append(lines[at])
        at += 1
    return _trace(frames, error, notes), at


def _ends_notes(line: str) -> bool:
    return (
        not line.strip()
        or is_header(line)
        or line.startswith(("====", "----", "____", "****", "FAILED ", "ERROR ", "INFO", "DEBUG", "WARNING", "$ "))
        or line.lstrip().startswith(('File "', "+ Exception Group Traceback"))
    )


def _trace(frames: Sequence[Frame], error: tuple[str, str], notes: Sequence[str]) -> Trace:
    name, message = error
    kind = "exception"
    if name in _SYNTAX and frames and not frames[-1].function:
        kind = "syntax"
    elif is_assertion(name):
        kind = "assertion"
    return Trace("python", name, message, tuple(frames), kind=kind, notes=tuple(notes))


def read_frames(lines: Sequence[str], at: int) -> tuple[list[Frame], int]:
    """The frames from a line on, and the line behind them."""
    frames: list[Frame] = []
    while at < len(lines):
        line = lines[at]
        stripped = line.lstrip()
        match = _FRAME.match(stripped) if stripped.startswith('File "') else None
        if match is None:
            repeated = _REPEATED.match(stripped) if frames else None
            if repeated is None:
                break
            frames[-1] = replace(frames[-1], repeated=int(repeated[1]))
            at += 1
            continue
        margin = len(line) - len(stripped)
        code, columns, at = _source(lines, at + 1, margin)
        frames.append(Frame(match[1], int(match[2]), (match[3] or "").strip(), code, columns))
    return frames, at


def _source(lines: Sequence[str], at: int, margin: int) -> tuple[str, tuple[int, int] | None, int]:
    """(the first line of a frame's source, what is marked in it, the line behind the source). The source stands deeper
    than the frame."""
    code, columns, first = "", None, at
    while at < len(lines):
        line = lines[at]
        stripped = line.lstrip()
        is_deeper = len(line) - len(stripped) > margin
        if not stripped or not is_deeper or stripped.startswith(('File "', "[Previous line repeated")):
            break
        if at == first:
            code = line
        elif at == first + 1:
            columns = columns_of(code, line)
        at += 1
    return code.strip(), columns, at


# --- exception groups ------------------------------------------------------------------------------------------------


def _boxed(lines: Sequence[str], at: int, depth: int) -> tuple[Trace, int] | None:
    """A group with its members, where one begins at a line."""
    stripped = lines[at].lstrip() if at < len(lines) else ""
    if not stripped.startswith("+ Exception Group Traceback") or at + 1 >= len(lines):
        return None
    # Headings alone are none: a block of them would be looked through once from each.
    first = lines[at + 1].lstrip()[2:]
    if not _FRAME.match(first.lstrip()) and error_of(first) is None:
        return None
    found, end = _block(lines, at, len(lines[at]) - len(stripped), depth)
    return None if found is None else (found, end)


def _block(lines: Sequence[str], at: int, margin: int, depth: int) -> tuple[Trace | None, int]:
    """What stands in one box of a group: (its last trace, the line behind it). `margin` is the column of its bars."""
    sections = _Sections(depth=depth)
    content: list[str] = []

    def flush() -> None:
        if content:
            start = next((number for number, line in enumerate(content) if line.strip()), len(content))
            if start < len(content):
                sections.read(content[start:] if sections.last is None else content, 0)
        content.clear()

    while at < len(lines):
        line = lines[at]
        stripped = line.lstrip()
        column = len(line) - len(stripped)
        if column != margin or not stripped:
            break
        if stripped.startswith(("|", "+ Exception Group Traceback")):
            content.append(stripped[2:])
        elif stripped.startswith("+-+"):
            flush()
            members, at = _members(lines, at, margin + 2, depth)
            sections.add_members(members)
            continue
        else:
            break
        at += 1
    flush()
    return sections.last, at


def _members(lines: Sequence[str], at: int, margin: int, depth: int) -> tuple[list[Trace], int]:
    """The boxes of a group's members, which begin at a line of dashes."""
    members: list[Trace] = []
    at += 1
    while at < len(lines):
        if depth >= _DEEPEST:
            return members, at
        found, end = _block(lines, at, margin, depth + 1)
        if found is not None:
            members.append(found)
        at = end
        line = lines[at] if at < len(lines) else ""
        stripped = line.lstrip()
        if len(line) - len(stripped) != margin or not stripped.startswith("+-"):
            break
        at += 1
        if not any(character.isdigit() for character in stripped):
            break  # the floor of the last box
    return members, at
