"""Places in files as the protocol spells them; what definition, references and symbols have in common."""

from collections.abc import Iterable

from engram_context.snapshot import Snapshot
from engram_context.text import Location, Text, Unit
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.folder import Folder
from engram_lsp.session import Session


def ranges(snapshot: Snapshot, locations: Iterable[Location], unit: Unit) -> list[tuple[str, types.Range]]:
    """(path, range) of each location, files that have gone since left out. Reads texts, so it may run on a worker."""
    texts: dict[str, Text | None] = {}
    found: list[tuple[str, types.Range]] = []
    for location in locations:
        if location.path not in texts:
            texts[location.path] = snapshot.text(location.path)
        text = texts[location.path]
        if text is not None:
            found.append((location.path, convert.range_of(text, location.span, unit)))
    return found


def to_protocol(session: Session, folder: Folder, found: Iterable[tuple[str, types.Range]]) -> list[types.Location]:
    return [types.Location(session.uri_of(folder, path), range) for path, range in found]
