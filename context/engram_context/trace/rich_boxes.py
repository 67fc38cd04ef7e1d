"""Python tracebacks drawn in boxes, with the lines around each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engram_context.trace.python import error_of, is_assertion
from engram_context.trace.values import Frame, Trace

_PLACE = re.compile(r"(\S[^:]{0,500}|[A-Za-z]:[^:]{1,500}):(\d{1,9}) in (\S{1,300})")
_MARKED = re.compile(r"[❱>] *(\d{1,9}) ?(.*)")
_MOST = 2000
_FIRST = 8
"""Lines under a heading among which the first place stands."""


def read(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    """A box under the heading of a traceback, with the error below it."""
    if "Traceback (most recent call last)" not in lines[at] or lines[at].lstrip()[:1] not in ("╭", "+", "┌"):
        return None
    frames: list[Frame] = []
    at += 1
    start, end = at, min(at + _MOST, len(lines))
    while at < end and (frames or at - start < _FIRST):
        line = lines[at].strip()
        if line[:1] not in ("│", "|", "╭", "╰", "├", "└"):
            break
        inside = line.strip("│|").strip()
        if place := _PLACE.fullmatch(inside):
            frames.append(Frame(place[1], int(place[2]), place[3]))
        elif frames and (marked := _MARKED.fullmatch(inside)):
            last = frames[-1]
            if not last.code and int(marked[1]) == last.line:
                frames[-1] = Frame(last.file, last.line, last.function, marked[2].lstrip("│ ").rstrip())
        at += 1
    error = error_of(lines[at]) if at < len(lines) else None
    if not frames:
        return None
    name, message = error or ("", "")
    kind = "assertion" if is_assertion(name) else "exception"
    return Trace("python", name, message, tuple(frames), kind=kind), at + (error is not None)
