"""Open documents: what the client's editor shows, which may differ from the disk."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engram_context.disk.builtin_rules import is_secret
from engram_context.languages import language_of
from engram_context.text import Span, Text, Unit
from lsprotocol import types

from engram_lsp import convert

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Document:
    """One version of an open document. `revision` grows with every change in any document, whatever `version` says."""

    uri: str  # as its client spells it
    path: Path | None
    language: str
    version: int
    revision: int
    text: Text

    @property
    def is_read(self) -> bool:
        """Whether we have anything to say about it, by its file's name or by what the client calls it. Never about what
        may hold secrets: its text goes nowhere."""
        if self.path is not None and is_secret(self.path.name):
            return False
        return self.language == "python" or (self.path is not None and language_of(self.path.name) is not None)


@dataclass(frozen=True, slots=True)
class Splice:
    """The bytes `start..old_end` became the bytes `start..new_end`."""

    start: int
    old_end: int
    new_end: int


class Documents:
    """The open documents by URI. Owned by the event loop."""

    def __init__(self, unit: Unit = "utf-16") -> None:
        self.unit: Unit = unit
        self._open: dict[str, Document] = {}
        self._revisions = itertools.count(1)

    def __iter__(self) -> Iterator[Document]:
        return iter(tuple(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def get(self, uri: str) -> Document | None:
        return self._open.get(convert.key_of(uri))

    def at(self, path: Path) -> Document | None:
        """The open document of a file."""
        return self._open.get(convert.key_of(convert.uri_of(path)))

    def open(self, item: types.TextDocumentItem) -> Document:
        document = Document(
            uri=item.uri,
            path=convert.path_of(item.uri),
            language=item.language_id,
            version=item.version,
            revision=next(self._revisions),
            text=Text.of(item.text),
        )
        self._open[convert.key_of(item.uri)] = document
        return document

    def change(
        self, uri: str, version: int | None, changes: Sequence[types.TextDocumentContentChangeEvent]
    ) -> tuple[Document, tuple[Splice, ...]] | None:
        """Applies changes in order and returns the new version with what was spliced; None if it is not open.

        Each range speaks of the text after the change before it. Version numbers are taken as they come: a client
        that counts wrongly has still sent its text.
        """
        key = convert.key_of(uri)
        document = self._open.get(key)
        if document is None:
            log.warning("ignored a change to a document that is not open")
            return None
        text = document.text
        splices: list[Splice] = []
        for change in changes:
            new = change.text.encode("utf-8", "surrogatepass")
            if isinstance(change, types.TextDocumentContentChangePartial):
                span = convert.span_of(text, change.range, self.unit)
                text = text.splice(span.start, span.end, new)
            else:
                span = Span(0, len(text))
                text = Text.of(new)
            splices.append(Splice(span.start, span.end, span.start + len(new)))
        version = document.version if version is None else version
        document = replace(document, version=version, revision=next(self._revisions), text=text)
        self._open[key] = document
        return document, tuple(splices)

    def close(self, uri: str) -> Document | None:
        return self._open.pop(convert.key_of(uri), None)
