"""What a check has to say about a place in a file."""

from dataclasses import dataclass
from typing import Literal

from engram_context.edits import ProjectEdit
from engram_context.text import Location, Span

Severity = Literal["error", "warning", "information", "hint"]
Tag = Literal["unnecessary", "deprecated"]


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that makes a finding go away; `title` names it in a menu."""

    title: str
    edit: ProjectEdit


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: a stable code, where, how bad, in words, and what could be done."""

    code: str
    severity: Severity
    span: Span
    message: str
    related: tuple[tuple[Location, str], ...] = ()
    fixes: tuple[Fix, ...] = ()
    tags: frozenset[Tag] = frozenset()
