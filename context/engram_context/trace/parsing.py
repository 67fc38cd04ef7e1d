"""Stack traces in any text: pasted, of a log, of a continuous build.

The text is taken line by line. What terminals, loggers and build servers put before each line is taken away first;
then each language's reader is asked at every line whether a trace begins there. A reader looks at no line twice, so
that the time follows the length of the text, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from engram_context.trace import doctests, go, java, javascript, pytests, python, rich_boxes, rust
from engram_context.trace.values import Trace

Read = Callable[[Sequence[str], int], tuple[Trace, int] | None]
"""The trace that begins at a line, and the line behind it; None if none does."""

_READERS: tuple[Read, ...] = (
    doctests.read, python.read, pytests.read, rich_boxes.read, java.read, javascript.read, go.read, rust.read,
)  # fmt: skip

_LONGEST = 4000
"""Characters of a line that are looked at."""
_MOST = 200
"""Traces of one text that are read."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_STAMP = re.compile(
    r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?[ \t]?"
    r"|\[?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]?[ \t]"
)
_BRACKET = re.compile(r"\[[\w .:/#-]{1,60}\](?: |$)")
_HEADERS = ("Exception Group Traceback (most recent call last", "Traceback (most recent call last")
_ESCAPED = re.compile(r"\\n[ \\t]*(?:File \\*\"|at |\\tat )")
_BOXES = "╭┌"
_DIGITS = re.compile(r"\d")


def parse(text: str) -> tuple[Trace, ...]:
    """The traces of a text, in its order; those that were raised from one another are one."""
    lines = clean(text)
    found: list[Trace] = []
    at = 0
    while at < len(lines) and len(found) < _MOST:
        read = next((read for reader in _READERS if (read := reader(lines, at)) is not None), None)
        if read is None:
            at += 1
        else:
            found.append(read[0])
            at = max(read[1], at + 1)
    return _with_tests(found, lines)


def clean(text: str) -> list[str]:
    """The lines without colours and without what a logger or a build server puts before each of them."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    lines: list[str] = []
    prefix = ""
    for raw in text.splitlines():
        for line in _unescaped(raw[:_LONGEST]):
            line = _without_stamps(line).replace("\t", "    ") if line[:1] not in " \t" else line
            if prefix.strip() and line.rstrip() == prefix.rstrip():
                line = ""
            elif prefix and _has_prefix(line, prefix):
                line = line[len(prefix) :]
            elif line.strip():
                prefix = _prefix_of(line) or ""
                line = line[len(prefix) :]
            lines.append(line.rstrip())
    return lines


def _unescaped(line: str) -> list[str]:
    """The lines in one of a structured log, which writes the ends of lines as `\\n`."""
    if "\\n" not in line or not _ESCAPED.search(line):
        return [line]
    return line.replace("\\n", "\n").replace("\\t", "    ").replace('\\"', '"').replace("\\\\", "\\").splitlines()


def _without_stamps(line: str) -> str:
    for pattern in (_STAMP, _BRACKET, _STAMP):
        match = pattern.match(line)
        if match is not None:
            line = line[match.end() :]
    return line


def _prefix_of(line: str) -> str | None:
    """What stands before a traceback's first line and is no part of an exception group's box."""
    for header in _HEADERS:
        at = line.find(header)
        if at < 0:
            continue
        before = line[:at]
        if before.lstrip()[:1] in _BOXES and before.strip():
            return None
        core = before.rstrip(" |+")
        if core:
            return before[:-4] if before.endswith("  + ") else before
        return before if not before.strip() else None
    return None


def _has_prefix(line: str, prefix: str) -> bool:
    """Whether a line has a prefix, but for the digits in it: times and counters go on."""
    start = line[: len(prefix)]
    return start == prefix or (len(start) == len(prefix) and _DIGITS.sub("0", start) == _DIGITS.sub("0", prefix))


_SUMMARY = re.compile(r"(?:FAILED|ERROR) (\S+::\S+)")


def _with_tests(found: list[Trace], lines: Sequence[str]) -> tuple[Trace, ...]:
    """The traces with the whole ids of their tests, where a summary at the end has them."""
    ids: dict[str, str] = {}
    for line in lines:
        if line.startswith(("FAILED", "ERROR")) and (match := _SUMMARY.match(line)):
            ids.setdefault(match[1].partition("::")[2].replace("::", "."), match[1])
    if not ids:
        return tuple(found)
    return tuple(replace(one, test=ids.get(one.test, one.test)) for one in found)
