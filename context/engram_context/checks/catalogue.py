"""All checks: what they find in one file, and the codes of what they say."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import PurePath

from engram_context.checks import (
    api,
    attributes,
    calls,
    cycles,
    dead,
    dependencies,
    duplicates,
    exceptions,
    exports,
    imports,
    names,
    nothing,
    overrides,
    parameters,
    returns,
    syntax,
    unbound,
    unreachable,
    unused,
)
from engram_context.checks.check import Check, Code
from engram_context.checks.manifests import is_checked
from engram_context.checks.misuse import plain
from engram_context.checks.subject import Subject
from engram_context.checks.suppression import unsuppressed
from engram_context.checks.surroundings import TooDeepError
from engram_context.findings import Finding
from engram_context.outside.environment import Environment
from engram_context.reader import is_text_alone
from engram_context.snapshot import Snapshot
from engram_context.text import Span

log = logging.getLogger(__name__)

CHECKS: tuple[Check, ...] = (
    syntax.CHECK,
    imports.CHECK,
    names.CHECK,
    unused.CHECK,
    unbound.CHECK,
    unreachable.CHECK,
    parameters.CHECK,
    duplicates.CHECK,
    exports.CHECK,
    exceptions.CHECK,
    exceptions.OF_PROJECT,
    calls.CHECK,
    attributes.CHECK,
    nothing.CHECK,
    overrides.CHECK,
    returns.CHECK,
    cycles.CHECK,
    dependencies.IN_MANIFESTS,
    dependencies.IN_PYTHON,
    api.CHECK,
    *plain.CHECKS,
    dead.CHECK,
)
CODES: dict[str, Code] = {code.name: code for check in CHECKS for code in check.codes}


def findings(snapshot: Snapshot, path: str, environment: Environment) -> tuple[Finding, ...]:
    """What is wrong in one file, sorted by place. Empty for an unknown file, a file without checks, and one whose
    record lags behind its text."""
    subject = subject_of(snapshot, path, environment)
    return () if subject is None else found_in(subject)


def subject_of(snapshot: Snapshot, path: str, environment: Environment) -> Subject | None:
    """A file to be checked; None where nothing can be found."""
    record, text = snapshot.record(path), snapshot.text(path)
    if record is None or text is None or record.digest != text.digest or not is_checked(path, record.language):
        return None
    if record.language == "python" and is_text_alone(record):
        return None
    return Subject(snapshot, path, text, record, environment)


def found_in(subject: Subject, *, of_project: bool | None = None) -> tuple[Finding, ...]:
    """What is wrong in a file, sorted by place. `of_project`: only by checks that are so, or not."""
    record = subject.record
    kind = "python" if record.language == "python" else "manifest"
    # Half-written code loses bindings and uses: what it seems to lack says nothing.
    checks = [check for check in CHECKS if check.files == kind and (check.reads_broken or not record.errors)]
    asked = [check for check in checks if of_project is None or check.of_project == of_project]
    found = [one for check in asked for one in _found_by(check, subject)]
    return in_order(unsuppressed(found, subject.text, CODES))


def _found_by(check: Check, subject: Subject) -> Iterator[tuple[Finding, Span]]:
    """What a check finds. One that fails costs what it had yet to find, and a line in the log, which quotes no text."""
    try:
        yield from check.find(subject)
    except TooDeepError:
        return  # nobody wrote this: what has to look around in it says nothing
    except Exception as error:
        inner = traceback.extract_tb(error.__traceback__)[-1]
        log.error(
            "checking for %s failed in one file: %s at %s:%s",
            check.codes[0].name, type(error).__name__, PurePath(inner.filename).name, inner.lineno,
        )  # fmt: skip


def in_order(found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda finding: (finding.span.start, finding.span.end, finding.code)))


def page_of(code: str) -> str | None:
    """What users are told about a code, in Markdown; None for a code that does not exist."""
    if code not in CODES:
        return None
    return files("engram_context.checks").joinpath("pages", f"{code}.md").read_text(encoding="utf-8")
