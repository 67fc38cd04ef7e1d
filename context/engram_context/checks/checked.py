"""Findings that are kept from one snapshot to the next, as long as no change can have changed them."""

from __future__ import annotations

import threading
from collections.abc import Collection

from engram_context.checks.catalogue import findings, found_in, in_order, subject_of
from engram_context.checks.imported import import_graph
from engram_context.checks.incremental import affected
from engram_context.checks.whole import whole_of
from engram_context.findings import Finding
from engram_context.outside.environment import Environment
from engram_context.snapshot import Snapshot

_MANY = 200
"""Of a change of more files than this, nobody asks what it did not affect."""


class Checked:
    """The newest findings of a project's files. Any thread."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._snapshot: Snapshot | None = None
        # By the checks of a file, and by those of the whole project.
        self._found: dict[str, tuple[Finding, ...]] = {}
        self._of_project: dict[str, tuple[Finding, ...]] = {}
        self._lock = threading.Lock()

    def findings(self, snapshot: Snapshot, path: str) -> tuple[Finding, ...]:
        """What the checks find in a file: what is kept, or found now."""
        subject = subject_of(snapshot, path, self._environment)
        if subject is None:
            return ()
        parts: list[tuple[Finding, ...]] = []
        for of_project, kept in ((False, self._found), (True, self._of_project)):
            with self._lock:
                self._advance(snapshot)
                found = kept.get(path) if self._snapshot is snapshot else None
            if found is None:
                found = found_in(subject, of_project=of_project)
                with self._lock:
                    if self._snapshot is snapshot:
                        kept[path] = found
            parts.append(found)
        return in_order(finding for found in parts for finding in found)

    def anew(self, snapshot: Snapshot, path: str) -> tuple[Finding, ...]:
        """What the checks find in a file of a snapshot that need not be the newest."""
        return findings(snapshot, path, self._environment)

    def differing(self, before: Snapshot, after: Snapshot) -> tuple[str, ...] | None:
        """The files whose findings may differ between two snapshots, those first that import what changed; None where
        so much changed that it may be any."""
        if _is_much(before, after):
            return None
        found = affected(before, after, self._environment)
        graph = whole_of(after, self._environment).of(import_graph)
        changed = after.differing_from(before)
        near = {path for path in found if not changed.isdisjoint(graph.imports.get(path, ()))}
        near |= {importer for path in changed for importer in _importers(before, path, self._environment)}
        return tuple(sorted(found, key=lambda path: (path not in near, path)))

    def _advance(self, snapshot: Snapshot) -> None:
        before = self._snapshot
        if before is snapshot or (before is not None and before.revision > snapshot.revision):
            return
        self._snapshot = snapshot
        self._of_project.clear()
        if before is None or _is_much(before, snapshot):
            self._found.clear()
        elif self._found:
            changed = snapshot.differing_from(before)
            gone = self._found.keys() - snapshot.records.keys()
            moved = {path for path, found in self._found.items() if any(_points_at(one, changed) for one in found)}
            for path in (*affected(before, snapshot, self._environment), *gone, *moved):
                self._found.pop(path, None)


def _importers(snapshot: Snapshot, path: str, environment: Environment) -> frozenset[str]:
    return whole_of(snapshot, environment).of(import_graph).importers.get(path, frozenset())


def _is_much(before: Snapshot, after: Snapshot) -> bool:
    # While names are scanned for, asking which files have them would read the project.
    if not (before.index.is_read and after.index.is_read) or before.read != after.read:
        return True
    return len(after.differing_from(before)) > _MANY


def _points_at(finding: Finding, paths: Collection[str]) -> bool:
    """Whether a finding names places in other files, where they may have moved."""
    return any(location.path in paths for location, _ in finding.related) or any(
        path in paths for fix in finding.fixes for path in fix.edit.edits
    )
