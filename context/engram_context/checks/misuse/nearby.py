"""The functions of one file of a snapshot, ready to be asked about, with what files near it do with names."""

from __future__ import annotations

from collections.abc import Iterator

import tree_sitter

from engram_context.checks.misuse.arguments import Swap, swaps
from engram_context.checks.misuse.callables import Callables
from engram_context.checks.misuse.functions import functions_of
from engram_context.checks.misuse.habits import Experience, Habits, habits_of
from engram_context.checks.misuse.places import Places
from engram_context.checks.usage import Usage
from engram_context.languages import language_of
from engram_context.reader import is_text_alone, parse_shallow
from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Text

_MOST_FILES = 60
"""Files whose habits count: those of the folder first."""


def places_in(snapshot: Snapshot, path: str) -> Iterator[Places]:
    """The functions of a file. None of a file that is not Python, does not parse, or has changed since it was read."""
    ground = _ground(snapshot, path)
    if ground is not None:
        text, record, tree, experience, callables = ground
        for function in functions_of(record, Usage.of(record)):
            yield Places(text, record, tree, experience, function, callables)


def swaps_in(snapshot: Snapshot, path: str) -> Iterator[Swap]:
    """The pairs of arguments in a file that may have to change places."""
    ground = _ground(snapshot, path)
    if ground is not None:
        _, record, tree, experience, callables = ground
        yield from swaps(record, tree, experience, callables)


def _ground(snapshot: Snapshot, path: str) -> tuple[Text, FileRecord, tree_sitter.Tree, Experience, Callables] | None:
    text, record = snapshot.text(path), snapshot.record(path)
    if text is None or record is None or record.language != "python":
        return None
    if record.errors or record.digest != text.digest or is_text_alone(record):
        return None
    tree = parse_shallow(text, "python")
    if tree is None:
        return None
    return text, record, tree, Experience(record, tuple(_others(snapshot, path))), Callables(snapshot)


def _others(snapshot: Snapshot, path: str) -> Iterator[Habits]:
    folder = path.rpartition("/")[0]
    paths = (other for other in snapshot.paths if other != path and language_of(other) == "python")
    for other in sorted(paths, key=lambda one: (one.rpartition("/")[0] != folder, one))[:_MOST_FILES]:
        record = snapshot.record(other)
        if record is not None and record.language == "python":
            yield habits_of(record)
