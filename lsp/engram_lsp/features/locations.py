"""Places in files as the protocol spells them; what definition, references and symbols have in common."""

from collections.abc import Iterable
from itertools import groupby

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
    for path, group in groupby(locations, lambda location: location.path):
        if path not in texts:
            texts[path] = snapshot.text(path)
        text = texts[path]
        if text is not None:
            spans = [location.span for location in group]
            found += [(path, range) for range in convert.ranges_of(text, spans, unit)]
    return found


def to_protocol(session: Session, folder: Folder, found: Iterable[tuple[str, types.Range]]) -> list[types.Location]:
    found = list(found)
    uris = {path: session.uri_of(folder, path) for path in {path for path, _ in found}}
    return [types.Location(uris[path], range) for path, range in found]
