"""The file that is being checked, with what several checks ask about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from engram_context.checks.module_names import ModuleNames
from engram_context.checks.surroundings import Surroundings
from engram_context.checks.usage import Usage
from engram_context.findings import Finding
from engram_context.outside.environment import Environment
from engram_context.records import FileRecord
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text

Found = Iterator[tuple[Finding, Span]]
"""Findings, each with the span of the statement whose comments may silence it."""


@dataclass(frozen=True)
class Subject:
    """One file of a snapshot. What costs something is made when it is first asked for, and kept."""

    snapshot: Snapshot
    path: str
    text: Text
    record: FileRecord
    environment: Environment

    @cached_property
    def usage(self) -> Usage:
        return Usage.of(self.record)

    @cached_property
    def surroundings(self) -> Surroundings:
        return Surroundings.of(self.text, self.record.language)

    @cached_property
    def resolver(self) -> Resolver:
        return Resolver(self.snapshot)

    @cached_property
    def module_names(self) -> ModuleNames:
        return ModuleNames(self.snapshot)

    def is_on_disk(self, directory: str, name: str) -> bool:
        """Whether a folder of the project has a module that the snapshot has not: compiled, generated, ignored."""
        return self.environment.folder_has(self.environment.root / directory, name)
