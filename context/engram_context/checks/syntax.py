"""Syntax errors, as the reader met them."""

from __future__ import annotations

from engram_context.checks.check import Check, Code
from engram_context.checks.subject import Found, Subject
from engram_context.findings import Finding


def syntax_errors(subject: Subject) -> Found:
    for problem in subject.record.errors:
        yield Finding("syntax-error", "error", problem.span, problem.message), problem.span


CHECK = Check(
    syntax_errors,
    (Code("syntax-error", "error", frozenset(("E999", "E902"))),),
    reads_broken=True,
)
