"""What a check is: a function over one file, and the codes of what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engram_context.findings import Finding, Severity
from engram_context.text import Span

if TYPE_CHECKING:
    from engram_context.checks.subject import Subject

Found = Iterator[tuple[Finding, Span]]
"""Findings, each with the span of the statement whose comments may silence it."""


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of problem. `name` never changes once it is released; `severity` is the usual one, which the user may
    set. `pages/<name>.md` tells users about it, with examples that the tests run.

    `foreign`: what other tools call it in comments that silence them (flake8 and ruff, pylint, mypy, pyright).
    `of_types`: a bare `type: ignore`, which speaks to type checkers and not to linters, silences it.
    `needs_project`: it says something about other files, so nothing is said until they have been read.
    """

    name: str
    severity: Severity
    foreign: frozenset[str] = frozenset()
    of_types: bool = False
    needs_project: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """`files`: Python source, or the files in which a project declares what it depends on. `reads_broken`: it is also
    asked about source with syntax errors, which loses bindings and uses. `of_project`: any change anywhere may change
    what it finds; of the other checks `incremental.py` knows which changes can."""

    find: Callable[[Subject], Found]
    codes: tuple[Code, ...]
    files: Literal["python", "manifest"] = "python"
    reads_broken: bool = False
    of_project: bool = False
