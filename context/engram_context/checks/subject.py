"""The file that is being checked, with what several checks ask about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tree_sitter import Node

from engram_context.checks.check import Found
from engram_context.checks.module_names import ModuleNames
from engram_context.checks.surroundings import Surroundings
from engram_context.checks.usage import Usage
from engram_context.checks.whole import Whole, whole_of
from engram_context.outside.environment import Environment
from engram_context.recent import resolver_of
from engram_context.records import FileRecord
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.text import Text

__all__ = ["Found", "Subject"]


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

    @property
    def resolver(self) -> Resolver:
        return resolver_of(self.snapshot)

    @property
    def whole(self) -> Whole:
        return whole_of(self.snapshot, self.environment)

    @cached_property
    def module_names(self) -> ModuleNames:
        return self.whole.of(_module_names)

    def mention(self, node: Node | None) -> int | None:
        """The occurrence that a name is, or the last one of a chain of attributes; None for any other expression."""
        if node is not None and node.type == "attribute":
            node = node.child_by_field_name("attribute")
        if node is None or node.type != "identifier":
            return None
        return self.record.occurrence_at(node.start_byte)

    def is_on_disk(self, directory: str, name: str) -> bool:
        """Whether a folder of the project has a module that the snapshot has not: compiled, generated, ignored."""
        return self.environment.folder_has(self.environment.root / directory, name)


def _module_names(whole: Whole) -> ModuleNames:
    return ModuleNames(whole.snapshot)
