"""Panics of Rust, with or without the calls behind them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engram_context.trace.values import Frame, Trace

_PANICKED = re.compile(r"thread '([^']{0,200})'(?: \(\d+\))? panicked at (.*)")
_PLACE = re.compile(r"(.{1,1000}?\.rs):(\d{1,9}):(\d{1,9}):?")
_NUMBERED = re.compile(r"\s*\d{1,5}: +(?:0x[0-9a-f]{1,16} - )?(\S.*)")
_AT = re.compile(r"\s+at (.{1,1000}?):(\d{1,9})(?::(\d{1,9}))?")
_HASH = re.compile(r"::h[0-9a-f]{16}$")
_MESSAGE = 40


def read(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    """A panic and its backtrace."""
    if not lines[at].startswith("thread '"):
        return None
    match = _PANICKED.match(lines[at])
    if match is None:
        return None
    said = match[2]
    place = None if said.startswith("'") else _PLACE.fullmatch(said)
    at += 1
    notes: list[str] = []
    if place is not None:
        while at < len(lines) and len(notes) < _MESSAGE and not _ends_message(lines[at]):
            notes.append(lines[at])
            at += 1
        message = notes.pop(0) if notes else ""
    else:  # before 1.73: 'message', src/main.rs:2:5
        message, _, where = said.rpartition(", ")
        message, place = message.strip("'"), _PLACE.fullmatch(where)
    while at < len(lines) and lines[at].startswith("note: "):
        at += 1
    frames: list[Frame] = []
    if at < len(lines) and lines[at].startswith("stack backtrace:"):
        frames, at = _frames(lines, at + 1)
    if place is not None:
        file, line = place[1], int(place[2])
        # Who panics says exactly where; in the backtrace that is below the machinery of panicking.
        same = next((number for number, one in enumerate(frames) if _same(one.file, file)), None)
        if same is None:
            frames.insert(0, Frame(file, line))
        else:
            frames = [Frame(file, line, frames[same].function, module=frames[same].module), *frames[same + 1 :]]
    kind = "assertion" if message.startswith("assertion ") else "exception"
    test = "" if match[1] in ("main", "<unnamed>") else match[1]
    return Trace("rust", "panic", message, tuple(reversed(frames)), kind=kind, notes=tuple(notes), test=test), at


def _ends_message(line: str) -> bool:
    return line.startswith(("stack backtrace:", "note: ", "thread '")) or not line.strip()


def _same(one: str, other: str) -> bool:
    one, other = (name.replace("\\", "/").removeprefix("./") for name in (one, other))
    return one == other or one.endswith("/" + other) or other.endswith("/" + one)


def _frames(lines: Sequence[str], at: int) -> tuple[list[Frame], int]:
    """Innermost first."""
    frames: list[Frame] = []
    while at < len(lines):
        named = _NUMBERED.match(lines[at])
        if named is None:
            break
        name = _HASH.sub("", named[1]).replace("::{{closure}}", "").strip("<>")
        module, _, function = name.rpartition("::")
        at += 1
        where = _AT.fullmatch(lines[at]) if at < len(lines) else None
        if where is not None:
            at += 1
        file, line = (where[1], int(where[2])) if where is not None else ("", 0)
        frames.append(Frame(file, line, function, module=module))
    return frames, at
