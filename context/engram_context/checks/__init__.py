"""Findings in one file of a snapshot: one module per check, stable codes, comments that silence them.

- `syntax-error`: the text is no Python.
- `unresolved-import`, `unknown-import-name` (imports.py): a module, or a name of a project's module, is not there.
- `undefined-name`, `undefined-export` (names.py): nothing binds a name that is read, or listed in `__all__`.
- `unused-import`, `unused-variable` (unused.py): nothing reads what is bound.
"""

from __future__ import annotations

from engram_context.checks.imports import unresolved_imports
from engram_context.checks.names import undefined_names
from engram_context.checks.subject import Subject
from engram_context.checks.suppression import unsuppressed
from engram_context.checks.syntax import syntax_errors
from engram_context.checks.unused import unused_imports, unused_variables
from engram_context.findings import Finding
from engram_context.outside.environment import Environment
from engram_context.snapshot import Snapshot


def findings(snapshot: Snapshot, path: str, environment: Environment) -> tuple[Finding, ...]:
    """What is wrong in one file, sorted by place. Empty for an unknown file, a language without checks, and a
    file whose record lags behind its text."""
    record, text = snapshot.record(path), snapshot.text(path)
    if record is None or text is None or record.language != "python" or record.digest != text.digest:
        return ()
    subject = Subject(snapshot, path, text, record, environment)
    checks = [syntax_errors, unresolved_imports]
    if not record.errors:
        # Half-written code loses bindings and uses: what it seems to lack says nothing.
        checks += [undefined_names, unused_imports, unused_variables]
    kept = unsuppressed([found for check in checks for found in check(subject)], text)
    return tuple(sorted(kept, key=lambda finding: (finding.span.start, finding.span.end, finding.code)))
