"""Panics of Go, and the failures that its tests report."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engram_context.trace.values import Frame, Trace

_GOROUTINE = re.compile(r"goroutine \d{1,12}(?: [^\[]{0,80})?\[[^\]]{1,80}\]:")
_PLACE = re.compile(r"\s+(\S.{0,1000}?\.(?:go|s)):(\d{1,9})(?: \+0x[0-9a-f]{1,16})?")
_FAILED = re.compile(r"\s*--- FAIL: (\S{1,300})")
_SAID = re.compile(r"\s+([\w./-]{1,300}_test\.go):(\d{1,9}): (.*)")
_STARTS = ("panic: ", "fatal error: ")
_MESSAGE = 40


def read(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    """A panic with the goroutine that it is of; or what a test said of its failure."""
    line = lines[at]
    if line.lstrip().startswith("--- FAIL: "):
        return _failed(lines, at)
    if line.startswith(_STARTS):
        error, _, message = line.partition(": ")
        notes: list[str] = []
        start = at + 1
        while start < len(lines) and len(notes) < _MESSAGE and not _GOROUTINE.match(lines[start]):
            if lines[start].strip():
                notes.append(lines[start].strip())
            start += 1
        if start >= len(lines) or not _GOROUTINE.match(lines[start]):
            return None
        kind, notes = "exception", [note for note in notes if not note.startswith(("[signal ", "panic: "))]
    elif _GOROUTINE.match(line):
        error, message, notes, start, kind = "", "", [], at, "exception"
    else:
        return None
    frames, end = _frames(lines, start + 1)
    message = message.partition(" [recovered]")[0]
    return Trace("go", error, message, tuple(reversed(frames)), kind=kind, notes=tuple(notes)), end


def _frames(lines: Sequence[str], at: int) -> tuple[list[Frame], int]:
    """Innermost first. What the runtime does once it panics comes before the panic and is left out."""
    frames: list[Frame] = []
    while at + 1 < len(lines) and lines[at].strip():
        said = lines[at].strip()
        if said.startswith("...") and said.endswith("..."):
            at += 1
            continue
        place = _PLACE.match(lines[at + 1])
        if place is None:
            break
        name = said.removeprefix("created by ").partition(" in goroutine ")[0]
        if name.endswith(")"):
            name = _without_arguments(name)
        if name in ("panic", "runtime.gopanic"):
            frames.clear()
        else:
            package, function = _split(name)
            frames.append(Frame(place[1], int(place[2]), function, module=package))
        at += 2
    return frames, at


def _without_arguments(name: str) -> str:
    """`pkg.(*T).m(0x1, {...})` without what is given; the brackets may stand in one another."""
    depth = 0
    for at in range(len(name) - 1, -1, -1):
        depth += (name[at] == ")") - (name[at] == "(")
        if depth == 0:
            return name[:at]
    return name


def _split(name: str) -> tuple[str, str]:
    """(package, function) of `example.com/a/pkg.(*Type).method.func1`."""
    slash = name.rfind("/") + 1
    dot = name.find(".", slash)
    if dot < 0:
        return "", name
    function = name[dot + 1 :].replace("(*", "").replace(")", "").replace("(", "").replace("[...]", "")
    parts = [part for part in function.split(".") if not (part.startswith("func") and part[4:].isdigit())]
    return name[:dot], ".".join(part for part in parts if not part.isdigit())


def _failed(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    test = _FAILED.match(lines[at])
    said = _SAID.match(lines[at + 1]) if at + 1 < len(lines) else None
    if test is None or said is None:
        return None
    frame = Frame(said[1], int(said[2]), test[1].partition("/")[0])
    return Trace("go", "FAIL", said[3], (frame,), kind="assertion", test=test[1]), at + 2
