"""Findings in one file of a snapshot: one module per check, stable codes, comments that silence them.

- `syntax-error`: the text is no Python.
- `unresolved-import`, `unknown-import-name` (imports.py): a module, or a name of a project's module, is not there.
- `undefined-name`, `undefined-export` (names.py): nothing binds a name that is read, or listed in `__all__`.
- `unused-import`, `unused-variable` (unused.py): nothing reads what is bound.
"""

from __future__ import annotations

from functools import cache

from engram_context.checks.imports import ModuleNames, unresolved_imports
from engram_context.checks.names import undefined_names
from engram_context.checks.suppression import unsuppressed
from engram_context.checks.surroundings import Surroundings
from engram_context.checks.syntax import syntax_errors
from engram_context.checks.unused import unused_imports, unused_variables
from engram_context.checks.usage import Usage
from engram_context.environment import Environment
from engram_context.findings import Finding
from engram_context.imports import Module
from engram_context.snapshot import Snapshot
from engram_context.text import Span


def findings(snapshot: Snapshot, path: str, environment: Environment) -> tuple[Finding, ...]:
    """What is wrong in one file, sorted by place. Empty for an unknown file, a language without checks, and a
    file whose record lags behind its text."""
    record, text = snapshot.record(path), snapshot.text(path)
    if record is None or text is None or record.language != "python" or record.digest != text.digest:
        return ()
    found: list[tuple[Finding, Span]] = [(finding, finding.span) for finding in syntax_errors(record)]

    @cache
    def surroundings() -> Surroundings | None:
        return Surroundings.of(text, record.language)

    usage = Usage.of(record)
    names = ModuleNames(snapshot)

    def is_submodule(name: str) -> bool:
        here = Module(path)
        if not here.is_package:
            return False
        found = snapshot.modules.child(here.directory, name)
        return found is not None or environment.folder_has(environment.root / here.directory, name)

    def star_names() -> frozenset[str] | None:
        return names.stars_in(path, record)

    found += unresolved_imports(snapshot, path, text, record, environment, names, surroundings)
    if not record.errors:
        # Half-written code loses bindings and uses: what it seems to lack says nothing.
        found += undefined_names(path, text, record, usage, surroundings, is_submodule, star_names, lambda name: ())
        found += unused_imports(path, text, record, usage, surroundings, lambda imported: False)
        found += unused_variables(record, usage, surroundings)
    kept = unsuppressed(found, text)
    return tuple(sorted(kept, key=lambda finding: (finding.span.start, finding.span.end, finding.code)))
