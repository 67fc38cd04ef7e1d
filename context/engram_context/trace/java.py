"""Stack traces of the Java machine: Java's, Kotlin's, Scala's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from engram_context.trace.values import Frame, Kind, Relation, Trace

_FRAME = re.compile(r"\s*at (?:[\w.$@-]{1,200}/){0,2}([\w.$<>]{1,500})\(([^()]{1,300})\)")
_ERROR = re.compile(r"(?:Exception in thread \"[^\"]{0,200}\" )?([A-Za-z_$][\w$]*(?:\.[\w$]+)*)(?:: ?(.*))?")
_MORE = re.compile(r"\s*\.\.\. \d{1,9} (?:more|common frames omitted)")
_DEEPEST = 50
_BEFORE = 12


def read(lines: Sequence[str], at: int) -> tuple[Trace, int] | None:
    """The frames that begin at a line with the error above them, and the causes below."""
    if _frame(lines[at]) is None:
        return None
    error, message, notes = _error_above(lines, at)
    return _read(lines, at, Trace("java", error, message, notes=notes), 0, 0)


def _read(lines: Sequence[str], at: int, of: Trace, margin: int, depth: int) -> tuple[Trace, int]:
    """The trace with its frames, which begin at a line, and with what caused it and was suppressed in it, which stand
    no farther left than `margin`."""
    frames: list[Frame] = []
    while at < len(lines) and (frame := _frame(lines[at])) is not None:
        frames.append(frame)
        at += 1
    if at < len(lines) and _MORE.match(lines[at]):
        at += 1
    others: list[tuple[Relation, Trace]] = []
    while at < len(lines) and depth < _DEEPEST:
        stripped = lines[at].strip()
        inner = len(lines[at]) - len(lines[at].lstrip())
        relation: Relation | None = next((kind for words, kind in _RELATIONS if stripped.startswith(words)), None)
        if relation is None or inner < margin:
            break
        stripped = stripped.partition(": ")[2]
        said = _ERROR.match(stripped)
        name, told = (said[1], said[2] or "") if said is not None else ("", stripped)
        at += 1
        start = at
        while at < len(lines) and at < start + _BEFORE and lines[at].strip() and not _starts(lines[at]):
            at += 1
        further = tuple(line.strip() for line in lines[start:at])
        # A cause has a cause of its own at the same margin, what was suppressed in it farther right.
        least = inner if relation == "cause" else inner + 1
        other, at = _read(lines, at, Trace("java", name, told, notes=further), least, depth + 1)
        others.append((relation, other))
    kind: Kind = "assertion" if of.error.rpartition(".")[2] in _ASSERTIONS else "exception"
    return replace(of, frames=tuple(reversed(frames)), others=tuple(others), kind=kind), at


_RELATIONS: tuple[tuple[str, Relation], ...] = (("Caused by: ", "cause"), ("Suppressed: ", "suppressed"))
_ASSERTIONS = frozenset({"AssertionError", "AssertionFailedError", "ComparisonFailure"})


def _starts(line: str) -> bool:
    stripped = line.strip()
    return _frame(line) is not None or stripped.startswith(("Caused by: ", "Suppressed: ", "... "))


def _frame(line: str) -> Frame | None:
    if not line.lstrip().startswith("at "):
        return None
    match = _FRAME.match(line)
    if match is None:
        return None
    name, place = match[1], match[2]
    file, _, number = place.rpartition(":")
    if not number.isdigit() or len(number) > 9:
        file, number = place, "0"
        if "." not in place and place not in ("Native Method", "Unknown Source"):
            return None
    home, _, function = name.rpartition(".")
    module = home.partition("$")[0]
    if function in ("<init>", "<clinit>"):
        function = module.rpartition(".")[2]
    elif function.startswith("lambda$"):
        function = function.split("$")[1]
    return Frame(file if int(number) or file.count(".") else f"<{file}>", int(number), function, module=module)


def _error_above(lines: Sequence[str], at: int) -> tuple[str, str, tuple[str, ...]]:
    for here in range(at - 1, max(at - _BEFORE, 0) - 1, -1):
        line = lines[here].strip()
        if not line or _frame(line) is not None:
            break
        for start in (line, line.rpartition(" ")[2] if ": " not in line else line):
            match = _ERROR.match(start)
            if match is not None and "." in match[1] and (match[2] is not None or match.end() == len(start)):
                return match[1], match[2] or "", tuple(one.strip() for one in lines[here + 1 : at])
    return "", "", ()
