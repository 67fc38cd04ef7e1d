"""Comments that silence findings: ours, and the well-known ones of other tools."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from engram_context.checks.check import Code
from engram_context.findings import Finding
from engram_context.text import Span, Text

# Looked for behind the first `#` of a line, whatever else stands there.
_COMMENT = re.compile(
    rb"\b(?:"
    rb"(?P<noqa>noqa)\b(?:\s*:\s*(?P<noqa_codes>[A-Za-z][\w-]*(?:[,\s]+[A-Za-z][\w-]*)*))?"
    rb"|(?P<engram>engram:\s*ignore)\b(?:\[(?P<engram_codes>[^\]\n\r]*)\])?"
    rb"|(?P<type>(?:type|pyright|ty|pyrefly):\s*ignore)\b(?:\[(?P<type_codes>[^\]\n\r]*)\])?"
    rb"|pylint:\s*disable\s*=\s*(?P<pylint_codes>[\w,\s-]+)"
    rb")",
    re.IGNORECASE,
)
_OF_LINTERS = re.compile(r"[A-Z]+\d{3}$")
_WHOLE_FILE = re.compile(
    rb"^[ \t\f]*#[ \t]*(?:(?:flake8|ruff):[ \t]*noqa[ \t]*\r?$|engram:\s*ignore-file\b)", re.IGNORECASE | re.MULTILINE
)


def unsuppressed(findings: Iterable[tuple[Finding, Span]], text: Text, codes: Mapping[str, Code]) -> list[Finding]:
    """The findings that no comment silences. Beside each finding stands the statement it belongs to: a comment
    on the first or last line of either counts. Syntax errors are never silenced by a line's comment."""
    findings = list(findings)
    if not findings or b"#" not in text.data:
        return [finding for finding, _ in findings]
    if _WHOLE_FILE.search(text.data):
        return [finding for finding, _ in findings if finding.code == "syntax-error"]
    return [
        finding
        for finding, statement in findings
        if finding.code == "syntax-error"
        or not any(_silences(line, codes[finding.code]) for line in _lines(text, finding.span, statement))
    ]


def _lines(text: Text, *spans: Span) -> set[bytes]:
    numbers = {text.line_of(offset) for span in spans for offset in (span.start, max(span.start, span.end - 1))}
    lines = (text.line_span(number) for number in numbers)
    return {text.data[span.start : span.end] for span in lines}


def _is_of_linters(code: Code) -> bool:
    """Whether linters report it, too: a bare `noqa` speaks to them, and says nothing about what they cannot know."""
    return any(_OF_LINTERS.match(name) for name in code.foreign) or not code.foreign


def _silences(line: bytes, code: Code) -> bool:
    start = line.find(b"#")
    if start < 0:
        return False
    for match in _COMMENT.finditer(line, start):
        found = match.groupdict()
        named = found["noqa_codes"] or found["engram_codes"] or found["type_codes"] or found["pylint_codes"]
        if named is None:
            if found["engram"] or (found["noqa"] and _is_of_linters(code)) or (found["type"] and code.of_types):
                return True
            continue
        names = {name for name in re.split(r"[,\s]+", named.decode("utf-8", "replace")) if name}
        if code.name in names or not names.isdisjoint(code.foreign):
            return True
        # `noqa: F` silences every F code.
        if found["noqa"] and any(known.startswith(name) for known in code.foreign for name in names):
            return True
    return False
