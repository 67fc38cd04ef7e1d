"""A function that is suspected, with its syntax tree, and the changes that might repair it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tree_sitter import Node, Tree

from engram_context.edits import Edit
from engram_context.records import FileRecord
from engram_context.resolve import Resolver
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text
from engram_context.trace.repairs.trouble import Trouble
from engram_context.trace.values import Suspect


@dataclass(frozen=True, slots=True)
class Repair:
    """One change, mostly in one place. `rule` names the kind of change, `path` and `line` (from 1) where it is; `edits`
    are by path. `evidence` says by name what speaks for it, as numbers that are weighed (ranking.py)."""

    path: str
    edits: tuple[tuple[str, Edit], ...]
    rule: str
    line: int
    why: str
    evidence: dict[str, float] = field(default_factory=dict[str, float], hash=False, compare=False)

    @property
    def key(self) -> tuple[tuple[str, int, int, str], ...]:
        """The same for repairs that make the same texts."""
        return tuple((path, edit.span.start, edit.span.end, edit.new_text) for path, edit in self.edits)


@dataclass(frozen=True, eq=False)
class Site:
    """One suspect, read: what the rules look at. All of it is of one snapshot."""

    snapshot: Snapshot
    resolver: Resolver
    suspect: Suspect
    trouble: Trouble
    text: Text
    tree: Tree
    record: FileRecord

    @property
    def path(self) -> str:
        return self.suspect.path

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The named nodes of the suspect, outer before inner; for a module's own code those of its suspected lines."""
        found: list[Node] = []
        span, lines = self.suspect.span, self.suspect.lines
        whole = self.suspect.symbol >= 0
        waiting = [self.tree.root_node]
        while waiting:
            node = waiting.pop()
            if node.end_byte <= span.start or node.start_byte >= span.end:
                continue
            if (whole and span.start <= node.start_byte and node.end_byte <= span.end) or (
                not whole and any(node.start_point[0] < line <= node.end_point[0] + 1 for line in lines)
            ):
                found.append(node)
            waiting += reversed(node.named_children)
        return tuple(found)

    def of_type(self, *types: str) -> Iterator[Node]:
        return (node for node in self.nodes if node.type in types)

    def source(self, node: Node) -> str:
        return self.text.slice(Span(node.start_byte, node.end_byte))

    def line(self, node: Node) -> int:
        """Counted from 1."""
        return node.start_point[0] + 1

    @cached_property
    def function(self) -> Node | None:
        """The innermost def that the suspect is."""
        found = [node for node in self.of_type("function_definition") if node.start_byte >= self.suspect.span.start]
        return found[0] if found else None

    def repair(
        self,
        rule: str,
        why: str,
        *changes: tuple[Node | Span, str],
        at: Node | None = None,
        evidence: dict[str, float] | None = None,
    ) -> Repair:
        """The change of each node to a text; the line is that of `at`, else of the first."""
        edits = tuple(
            (self.path, Edit(where if isinstance(where, Span) else Span(where.start_byte, where.end_byte), new))
            for where, new in changes
        )
        line = self.text.line_of(edits[0][1].span.start) + 1 if at is None else self.line(at)
        return Repair(self.path, edits, rule, line, why, evidence or {})


def between(left: Node, right: Node) -> Span:
    """What stands between two nodes."""
    return Span(left.end_byte, right.start_byte)
