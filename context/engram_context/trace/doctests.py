"""Examples in docstrings that gave something else, as doctest prints them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from engram_context.trace import python
from engram_context.trace.values import Frame, Trace

_PLACE = re.compile(r'File "([^"]{1,1000})", line (\d{1,9})(?:, in (.{1,500}))?')
_MOST = 200


def read(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    """A failed example, and what was raised in it as its cause."""
    if at + 1 >= len(lines) or not lines[at + 1].startswith("Failed example:"):
        return None
    place = _PLACE.match(lines[at])
    if place is None:
        return None
    example, at = _indented(lines, at + 2)
    said: dict[str, list[str]] = {"Expected:": [], "Got:": []}
    cause: Trace | None = None
    while at < len(lines):
        line = lines[at]
        if line == "Expected nothing":
            at += 1
        elif line in said:
            said[line], at = _indented(lines, at + 1)
        elif line.startswith("Exception raised:"):
            # A trace has lost its margin already.
            raised = python.read(lines, at + 1) if at + 1 < len(lines) else None
            if raised is None:
                at += 1
            else:
                cause, at = raised
        else:
            break
    frame = Frame(place[1], int(place[2]), (place[3] or "").rpartition(".")[2], example[0].strip() if example else "")
    expected, got = ("\n".join(said[key]) for key in ("Expected:", "Got:"))
    message = f"expected {expected or 'nothing'}, got {got}"
    trace = Trace("python", "DocTestFailure", message, (frame,), kind="assertion", test=place[3] or "")
    if cause is not None:
        trace = replace(cause, frames=(frame, *(one for one in cause.frames if not _is_doctest(one))), test=trace.test)
    elif example:
        trace = replace(trace, values=((example[0].strip(), got),))
    return trace, at


def _is_doctest(frame: Frame) -> bool:
    return frame.file.startswith("<doctest ") or frame.file.replace("\\", "/").endswith("/doctest.py")


def _indented(lines: Sequence[str], at: int) -> tuple[list[str], int]:
    """The lines of a block, without the margin of four, and the line behind them."""
    found: list[str] = []
    while at < len(lines) and len(found) < _MOST and (lines[at].startswith("    ") or not lines[at]):
        found.append(lines[at][4:])
        at += 1
    while found and not found[-1]:
        found.pop()
    return found, at
