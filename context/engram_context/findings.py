"""What a check has to say about a place in a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engram_context.edits import ProjectEdit
from engram_context.text import Location, Span

Severity = Literal["error", "warning", "information", "hint"]
Tag = Literal["unnecessary", "deprecated"]


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that makes a finding go away; `title` names it in a menu. `is_safe`: it changes nothing about what the
    program does, so that all such fixes of a file may be made at once and unseen."""

    title: str
    edit: ProjectEdit
    is_safe: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: a stable code, where, how bad, in words, and what could be done. `confidence`: how likely it is
    that it is one, where that cannot be proven."""

    code: str
    severity: Severity
    span: Span
    message: str
    related: tuple[tuple[Location, str], ...] = ()
    fixes: tuple[Fix, ...] = ()
    tags: frozenset[Tag] = frozenset()
    confidence: float = 1.0

    def safe_edit(self, path: str) -> ProjectEdit | None:
        """The first fix that is safe, where it changes nothing but the file that this is a finding of."""
        edit = next((fix.edit for fix in self.fixes if fix.is_safe), None)
        return edit if edit is not None and list(edit.edits) == [path] and not edit.moves else None


def new_ones(before: Sequence[Finding], after: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings that were not there before, wherever they stood: by code and message, counted."""
    left: dict[tuple[str, str], int] = {}
    for finding in before:
        key = (finding.code, finding.message)
        left[key] = left.get(key, 0) + 1
    found: list[Finding] = []
    for finding in after:
        key = (finding.code, finding.message)
        if left.get(key):
            left[key] -= 1
        else:
            found.append(finding)
    return tuple(found)
