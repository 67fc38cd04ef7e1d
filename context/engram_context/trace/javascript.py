"""Stacks of JavaScript engines: V8's `at f (file:1:2)`, and `f@file:1:2` of Firefox and Safari."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote

from engram_context.trace.values import Frame, Kind, Relation, Trace

_ERROR = re.compile(
    r"(?:Uncaught )?(?:\(in promise\):? ?)?(?:\[cause\]: )?([A-Za-z_$][\w$.]{0,200})(?: \[[\w]+\])?(?:: ?(.*))?"
)
_BEFORE = 12
"""Lines of a message that are looked through for its beginning."""


def read(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    """The calls that begin at a line, with the error that stands above them."""
    first = _frame(lines[at])
    if first is None:
        return None
    start, frames = at, [first]
    at += 1
    while at < len(lines):
        frame = _frame(lines[at])
        if frame is not None:
            frames.append(frame)
        elif not _is_left_out(lines[at]):
            break
        at += 1
    error, message, notes, top = _error_above(lines, start)
    code = _code_above(lines, top, frames[0])
    if code:
        frames[0] = replace(frames[0], code=code)
    others: tuple[tuple[Relation, Trace], ...] = ()
    if at < len(lines) and lines[at].lstrip().startswith(("[cause]:", "Caused by:", "caused by:")):
        found = _cause(lines, at)
        if found is not None:
            others, at = (("cause", found[0]),), found[1]
    kind: Kind = "assertion" if error.startswith("Assertion") else "exception"
    return Trace("javascript", error, message, tuple(reversed(frames)), others, kind, notes), at


def _is_left_out(line: str) -> bool:
    line = line.strip()
    return line.startswith("... ") and ("more" in line or "lines matching" in line)


def _cause(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    end = at + 1
    while end < len(lines) and end < at + _BEFORE and _frame(lines[end]) is None:
        end += 1
    return read(lines, end) if end < len(lines) and _frame(lines[end]) is not None else None


def _frame(line: str) -> Frame | None:
    stripped = line.strip()
    if stripped.startswith("at "):
        return _v8(stripped[3:].removesuffix(" {"))
    if "@" in stripped and ":" in stripped:
        return _firefox(stripped)
    return None


def _v8(said: str) -> Frame | None:
    for word in ("async ", "new "):
        said = said.removeprefix(word)
    function, place = "", said
    if said.endswith(")"):
        # Of evaluated code the place where that was done: `eval at f (file:1:2), <anonymous>:1:1`.
        opening = said.rfind(" (")
        if opening < 0:
            return None
        function, place = said[:opening], said[opening + 2 : -1]
    if place in ("<anonymous>", "native", "unknown location"):
        return Frame(f"<{place.strip('<>')}>", 0, _name(function))
    found = _position(place)
    if found is None:
        return None
    file, line = found
    return Frame(file, line, _name(function))


def _firefox(said: str) -> Frame | None:
    function, _, place = said.partition("@")
    found = _position(place)
    if found is None or len(function) > 200 or " " in function.replace("async*", ""):
        return None
    return Frame(*found, _name(function.removeprefix("async*").rstrip("/<")))


def _position(place: str) -> tuple[str, int] | None:
    """The (file, line) of `file:line:column`."""
    file, _, column = place.rpartition(":")
    head, _, line = file.rpartition(":")
    if not (column.isdigit() and len(column) < 10):
        return None
    if line.isdigit() and len(line) < 10 and head:
        return _file(head), int(line)
    return (_file(file), int(column)) if file else None


def _file(address: str) -> str:
    """The path in an address: of a file, of a page, of what a bundler was given."""
    address = address.partition("?")[0]
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    if scheme in ("webpack", "webpack-internal", "app"):
        rest = rest.lstrip("/").partition("./")[2] or rest.lstrip("/").partition("/")[2] or rest
    elif scheme in ("http", "https", "moz-extension", "chrome-extension"):
        rest = rest.partition("/")[2]
    elif len(rest) > 2 and rest[0] == "/" and rest[2] == ":":
        rest = rest[1:]
    return unquote(rest)


def _name(function: str) -> str:
    """`Object.method [as other]` by the name that its definition has."""
    function = function.partition(" [as ")[0].strip()
    return "" if function in ("Object.<anonymous>", "<anonymous>", "eval", "anonymous") else function


def _error_above(lines: Sequence[str], at: int) -> tuple[str, str, tuple[str, ...], int]:
    """(error, message, further lines of it, the line where it begins)."""
    top = max(at - _BEFORE, 0)
    for here in range(at - 1, top - 1, -1):
        line = lines[here].strip()
        if not line or _frame(line) is not None:
            break
        match = _ERROR.match(line)
        if match is not None and (match[1].endswith(("Error", "Exception")) or "Uncaught" in line):
            notes = tuple(one.strip() for one in lines[here + 1 : at])
            return match[1], match[2] or "", notes, here
    if at > 0 and (line := lines[at - 1].strip()) and (match := _ERROR.fullmatch(line)) and match[2]:
        return match[1], match[2], (), at - 1
    return "", "", (), at


def _code_above(lines: Sequence[str], top: int, innermost: Frame) -> str:
    """The source that Node prints above an error: its place, the line, a caret."""
    here = top - 1
    while here >= 0 and here > top - 3 and not lines[here].strip():
        here -= 1
    if here < 2 or lines[here].strip("\t ^~") or "^" not in lines[here]:
        return ""
    place = lines[here - 2].strip()
    return lines[here - 1].strip() if place.endswith(f":{innermost.line}") else ""
