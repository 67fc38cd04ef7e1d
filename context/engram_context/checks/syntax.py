"""Syntax errors, as the reader met them."""

from __future__ import annotations

from engram_context.findings import Finding
from engram_context.records import FileRecord


def syntax_errors(record: FileRecord) -> list[Finding]:
    return [Finding("syntax-error", "error", error.span, error.message) for error in record.errors]
