"""A line that is being written, completed just so far that the parser can read it."""

from __future__ import annotations

import re

from engram_context.text import Span, Text

_MARKS = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\#.*|[()\[\]{}]""")
_OPENS_BLOCK = re.compile(r"\s*(?:async\s+)?(?:if|elif|else|for|while|with|try|except|finally|def|class|match|case)\b")
_LONGEST = 20_000
"""Bytes of a line that somebody may be writing."""
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def missing(text: Text, offset: int) -> str:
    """What a line lacks at its end: brackets that it opens and does not close, and the colon of a block that follows.

    Nothing where something else stands behind the place, or where lines below go on with what the line opened.
    """
    number = text.line_of(offset)
    span = text.line_span(number)
    if len(span) > _LONGEST:
        return ""
    before, after = text.slice(Span(span.start, offset)), text.slice(Span(offset, span.end))
    if after.strip(" \t\r\n)]}:"):
        return ""
    opens_block = bool(_OPENS_BLOCK.match(before))
    if _is_deeper(text, number, len(before) - len(before.lstrip())) and not opens_block:
        return ""
    lacking = _unclosed(before + after)
    return lacking + ":" if opens_block and not after.rstrip().endswith(":") else lacking


def _unclosed(line: str) -> str:
    """The brackets that close what a line opens, innermost first."""
    closing: list[str] = []
    for mark in _MARKS.findall(line):
        if mark in _CLOSING:
            closing.append(_CLOSING[mark])
        elif closing and mark == closing[-1]:
            closing.pop()
    return "".join(reversed(closing))


def _is_deeper(text: Text, number: int, indent: int) -> bool:
    """Whether the next line that is not blank is indented more, or closes a bracket."""
    for at in range(number + 1, min(text.line_count, number + 50)):
        line = text.slice(text.line_span(at))
        if bare := line.strip():
            return len(line) - len(line.lstrip()) > indent or bare[0] in ")]}"
    return False
