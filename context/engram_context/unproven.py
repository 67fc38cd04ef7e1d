"""Mentions that may mean a symbol but cannot be proven to: in strings, settings, documents and comments.

They become edits that ask for confirmation, each with how likely it is that they mean the symbol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engram_context.edits import Edit
from engram_context.text import Span

if TYPE_CHECKING:
    from engram_context.snapshot import Snapshot

_SETTINGS = ("pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", "mkdocs.yml")


def dotted_strings(snapshot: Snapshot, old: str, new: str) -> Iterator[tuple[str, Edit]]:
    """The dotted name `old` of a module, and what goes on behind it, in strings and in the project's settings."""
    if "." not in old and not old:
        return
    last = old.rpartition(".")[2]
    in_string = re.compile(rb"""(?<![\w.])%s(?=[.:"'\s\])(,]|$)""" % re.escape(old).encode())
    for path in dict.fromkeys((*snapshot.files_naming(last), *_SETTINGS)):
        record, text = snapshot.record(path), snapshot.text(path)
        if text is None:
            continue
        for match in in_string.finditer(text.data):
            at = None if record is None else record.occurrence_at(match.start())
            if record is not None and at is not None and record.occurrences.start[at] == match.start():
                continue
            yield path, Edit(Span(*match.span()), new, f"a text that names the module {old}")
