"""textDocument/implementation: looks for classes in the whole project, so it runs on a worker."""

from engram_context.views.type_hierarchy import implementations
from lsprotocol import types

from engram_lsp.features import locations
from engram_lsp.guard import stale
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session


async def implementation(session: Session, params: types.ImplementationParams) -> list[types.Location] | None:
    asked = await session.asked(params.text_document, params.position)
    if asked is None:
        return None
    environment = asked.folder.holder.environment

    def find(cancelled: Cancelled) -> list[tuple[str, types.Range]]:
        found = implementations(asked.snapshot, asked.place, environment, cancelled)
        return locations.ranges(asked.snapshot, found, session.unit)

    found = await session.in_background(find)
    if not session.is_current(asked):
        raise stale()
    return locations.to_protocol(session, asked.folder, found)
