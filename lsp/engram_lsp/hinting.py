"""Hints of the model: found while nobody waits for anything, kept by content, shown beside what the checks find.

A function's hints are kept under the digest of its text and of the lines before it, so that an edit elsewhere in the
file asks about nothing anew. What was found shows as long as the function stands as it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from engram_context.edits import Edit, project_edit
from engram_context.findings import Finding, Fix
from engram_context.project import Project
from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Span, Text

from engram_lsp.schedule import Cancelled, Newest

if TYPE_CHECKING:  # what checks and models need takes a while to import: a start leaves it alone
    from engram_context.checks.misuse.places import Places, Suspicion
    from engram_context.memory.matches import MemoryView

    from engram_lsp.misuse import Hint
    from engram_lsp.predictor import Predictor

LINES_BEFORE = 8
"""So many lines before a function are read with it, and tell one apart from its equals."""
_MOST, _MOST_FILES = 4096, 64
"""Functions and files whose hints are kept."""
Key = bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A hint with its place in its function."""

    start: int
    name: str
    alternative: str
    chance: float


@dataclass(slots=True)
class Hints:
    """What was found out about functions. Written by the event loop, read by any thread."""

    newest: Newest = field(default_factory=Newest)
    _of_files: OrderedDict[str, tuple[bytes, tuple[Finding, ...]]] = field(
        default_factory=OrderedDict[str, tuple[bytes, tuple[Finding, ...]]]
    )
    _kept: OrderedDict[Key, tuple[Kept, ...]] = field(default_factory=OrderedDict[Key, tuple[Kept, ...]])

    def knows(self, key: Key) -> bool:
        return key in self._kept

    def keep(self, key: Key, span: Span, found: tuple[Hint, ...]) -> None:
        self._kept[key] = tuple(
            Kept(one.span.start - span.start, one.name, one.alternative, one.chance) for one in found
        )
        self._kept.move_to_end(key)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)

    def keep_of_file(self, path: str, text: Text, found: tuple[Finding, ...]) -> None:
        """What was found in a file without the model."""
        self._of_files[path] = (text.digest, found)
        self._of_files.move_to_end(path)
        while len(self._of_files) > _MOST_FILES:
            self._of_files.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything: somebody else will answer from now on."""
        self.newest.ticket()
        self._kept.clear()
        self._of_files.clear()

    def findings(self, snapshot: Snapshot, path: str) -> tuple[Finding, ...]:
        """What is known of a file as it stands."""
        text, record = snapshot.text(path), snapshot.record(path)
        if text is None or record is None or record.digest != text.digest:
            return ()
        digest, others = self._of_files.get(path, (b"", ()))
        found = findings_in(path, text, record, lambda key: self._kept.get(key, ())) if self._kept else ()
        if digest != text.digest or not others:
            return found
        return (*found, *_unsilenced([(one, one.span) for one in others], text))


def beside(found: tuple[Finding, ...], hints: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What checks found, and the hints that say something else."""
    said = {(one.code, one.span) for one in found}
    return (*found, *(one for one in hints if (one.code, one.span) not in said))


def findings_in(
    path: str, text: Text, record: FileRecord, kept: Callable[[Key], tuple[Kept, ...]]
) -> tuple[Finding, ...]:
    """The hints of a file's functions as findings, less those that a comment silences."""
    from engram_context.checks.misuse.functions import bodies_of

    found: list[tuple[Finding, Span]] = []
    for span in bodies_of(record):
        for one in kept(key_of(path, text, span)):
            start = span.start + one.start
            place = Span(start, start + len(one.name.encode("utf-8", "surrogatepass")))
            edit = project_edit({path: [Edit(place, one.alternative)]}, {path: text})
            fix = Fix(f"Change to '{one.alternative}'", edit)
            message = f"'{one.name}' stands where '{one.alternative}' was expected"
            found.append(
                (Finding("misused-variable", "hint", place, message, (), (fix,), confidence=one.chance), place)
            )
    return _unsilenced(found, text) if found else ()


def _unsilenced(found: list[tuple[Finding, Span]], text: Text) -> tuple[Finding, ...]:
    from engram_context.checks.catalogue import CODES
    from engram_context.checks.suppression import unsuppressed

    return tuple(unsuppressed(found, text, CODES))


def key_of(path: str, text: Text, span: Span) -> Key:
    """The same for the same function behind the same lines of the same file."""
    before = text.data[text.line_start(max(0, text.line_of(span.start) - LINES_BEFORE)) : span.start]
    digest = blake2b(path.encode("utf-8", "surrogatepass"), digest_size=16)
    digest.update(len(before).to_bytes(4, "big") + before + text.data[span.start : span.end])
    return digest.digest()


def suspected(
    snapshot: Snapshot, path: str, known: Callable[[Key], bool] = lambda _: False
) -> Iterator[tuple[Places, tuple[Suspicion, ...]]]:
    """The functions of a file that nothing is known of, with what may be asked about them."""
    from engram_context.checks.misuse.nearby import places_in

    for places in places_in(snapshot, path):
        if not known(key_of(path, places.text, places.function.span)):
            yield places, tuple(places.suspicions())


def hints_of(
    predictor: Predictor,
    project: Project | None,
    places: Places,
    path: str,
    cancelled: Cancelled,
    suspicions: tuple[Suspicion, ...],
) -> tuple[Hint, ...] | None:
    """As `misuse.hints`, with what the project remembers. Model thread only."""
    from engram_lsp.misuse import hints, without

    span = places.function.span
    memory: MemoryView | None = None
    if project is not None and project.memory.tokens:
        memory = project.view(path, span.start, without(places.text, span))
    return hints(predictor, places, path, memory, cancelled, suspicions)


def findings_of_model(project: Project, predictor: Predictor, path: str) -> tuple[Finding, ...]:
    """What the model hints at in one file of a project, sorted by place; the memory too, where the project has read it.
    A plain check may say the same of swapped arguments: see `beside`.

    Takes seconds for a file of thousands of lines."""
    from engram_context.checks.misuse.hinted import file_hints

    text, record = project.snapshot.text(path), project.snapshot.record(path)
    if text is None or record is None:
        return ()
    kept = Hints()
    kept.keep_of_file(path, text, file_hints(project.snapshot, path))
    for places, suspicions in suspected(project.snapshot, path):
        span = places.function.span
        found = hints_of(predictor, project, places, path, lambda: False, suspicions) or ()
        kept.keep(key_of(path, text, span), span, found)
    return tuple(sorted(kept.findings(project.snapshot, path), key=lambda one: one.span.start))
