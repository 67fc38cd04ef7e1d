"""Languages whose grammar happens to be installed: their definitions, by the grammar's own query for tags.

No module here knows their rules, so that nothing is claimed of what a mention means.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import tree_sitter
from tree_sitter import Node, QueryCursor, Tree

from engram_context.builder import RecordBuilder
from engram_context.languages.language import Language
from engram_context.records import NO_REF, SCOPE_KIND, FileRecord, Kind, ScopeKind
from engram_context.text import Text

_KINDS: dict[str, Kind] = {
    "class": "class",
    "module": "namespace",
    "namespace": "namespace",
    "package": "namespace",
    "interface": "interface",
    "trait": "interface",
    "struct": "struct",
    "enum": "enum",
    "type": "type-alias",
    "method": "method",
    "function": "function",
    "macro": "function",
    "procedure": "function",
    "subroutine": "function",
    "constant": "constant",
    "variable": "variable",
    "field": "attribute",
    "property": "attribute",
}
_OPENS: dict[Kind, ScopeKind] = {
    "class": "class",
    "interface": "class",
    "struct": "class",
    "enum": "class",
    "namespace": "namespace",
    "method": "function",
    "function": "function",
}
_DEFINES = re.compile(rf"({'|'.join(_KINDS)})_?(definition|declaration|item|statement|specifier|def)?\Z")
_WIDEST = 200


class Generic(Language):
    """A language by its grammar alone."""

    resolves = False

    def __init__(self, name: str, module: Any) -> None:
        self.label = name
        self._module = module

    @cache  # noqa: B019
    def grammar(self) -> tree_sitter.Language:
        function = getattr(self._module, "language", None) or getattr(self._module, f"language_{self.label}")
        return tree_sitter.Language(function())  # pyright: ignore[reportDeprecated]

    @cache  # noqa: B019
    def query(self) -> tree_sitter.Query:
        for source in self._sources():
            with suppress(tree_sitter.QueryError, ValueError):
                return tree_sitter.Query(self.grammar(), source)
        return tree_sitter.Query(self.grammar(), "")

    def _sources(self) -> Iterator[str]:
        """The grammar's query for tags; else a query of whatever looks like a definition with a name."""
        own = getattr(self._module, "TAGS_QUERY", None)
        if isinstance(own, str):
            yield own
        with suppress(OSError, TypeError):
            yield (files(self._module) / "queries" / "tags.scm").read_text(encoding="utf-8")
        yield "\n".join(self._guessed())

    def _guessed(self) -> Iterator[str]:
        grammar = self.grammar()
        for number in range(grammar.node_kind_count):
            kind = grammar.node_kind_for_id(number)
            found = _DEFINES.match(kind or "")
            if found is None or kind is None or not grammar.node_kind_is_named(number):
                continue
            pattern = f"({kind} name: (_) @name) @definition.{found[1]}"
            with suppress(tree_sitter.QueryError, ValueError):
                tree_sitter.Query(grammar, pattern)
                yield pattern

    def read(self, text: Text, tree: Tree) -> FileRecord:
        builder = RecordBuilder(text, self.label)
        builder.add_scope("module", 0, len(text), -1)
        found: dict[int, tuple[Node, Node, Kind]] = {}
        mentioned: dict[int, int] = {}
        for number, (_, match) in enumerate(QueryCursor(self.query()).matches(tree.root_node)):
            if not number & 0xFF:
                builder.deadline.check()
            for capture, nodes in match.items():
                kind = _KINDS.get(capture.removeprefix("definition.")) if capture.startswith("definition.") else None
                for name in match.get("name", ()) if kind is not None else ():
                    if name.end_byte > name.start_byte and b"\n" not in text.data[name.start_byte : name.end_byte]:
                        found.setdefault(name.start_byte, (name, nodes[0], kind or "variable"))
            if any(capture.startswith("reference.") for capture in match):
                mentioned.update((node.start_byte, node.end_byte) for node in match.get("name", ()))
        ends: list[tuple[int, int]] = []  # (end, scope) of what is open
        for start in sorted(found, key=lambda start: (found[start][1].start_byte, -found[start][1].end_byte)):
            name, body, kind = found[start]
            while ends and ends[-1][0] <= body.start_byte:
                ends.pop()
            scope = ends[-1][1] if ends else 0
            inner = -1
            opened = _OPENS.get(kind)
            if opened is not None and body != name:
                inner = builder.add_scope(opened, body.start_byte, body.end_byte, scope, len(builder.symbols))
                ends.append((body.end_byte, inner))
            line = text.slice(text.line_span(text.line_of(body.start_byte))).strip()[:_WIDEST]
            kind = "method" if kind == "function" and builder.scopes[scope][0] == _CLASS else kind
            builder.add_symbol(
                *name.byte_range, scope, kind, "definition", body.byte_range, detail=line, inner=inner
            )  # fmt: skip
            if inner >= 0:
                builder.scopes[inner][7] = builder.name(*name.byte_range)
        for start, end in mentioned.items():
            if start not in found and end > start:
                builder.add_occurrence(start, end, 0, "attribute", NO_REF)
        return builder.finish(())


_CLASS = SCOPE_KIND["class"]


@cache
def installed(name: str) -> Language | None:
    """The language of an installed grammar, by the name of its distribution behind `tree-sitter-`."""
    module = f"tree_sitter_{name.replace('-', '_')}"
    try:
        if find_spec(module) is None:
            return None
        return Generic(name, import_module(module))
    except (ImportError, AttributeError, ValueError):
        return None


def versions() -> str:
    """Which grammars are installed, and in what versions: what records of their languages depend on."""
    found: set[str] = set()
    for folder in sys.path:
        with suppress(OSError), os.scandir(folder or ".") as entries:
            found.update(entry.name for entry in entries if entry.name.startswith("tree_sitter"))
    return ",".join(sorted(found))
