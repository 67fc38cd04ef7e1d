"""textDocument/references: reads the whole project's occurrences, so it runs on a worker."""

from lsprotocol import types

from engram_lsp.features import locations
from engram_lsp.guard import stale
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session


async def references(session: Session, params: types.ReferenceParams) -> list[types.Location] | None:
    asked = await session.asked(params.text_document, params.position)
    if asked is None:
        return None

    def find(_: Cancelled) -> list[tuple[str, types.Range]]:
        found = asked.snapshot.references(asked.place, params.context.include_declaration)
        return locations.ranges(asked.snapshot, found, session.unit)

    found = await session.in_background(find)
    if not session.is_current(asked):
        raise stale()
    return locations.to_protocol(session, asked.folder, found)
