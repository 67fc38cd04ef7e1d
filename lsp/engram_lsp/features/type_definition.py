"""textDocument/typeDefinition"""

from engram_context.views.declarations import type_definitions
from lsprotocol import types

from engram_lsp.features import locations
from engram_lsp.session import Session


async def type_definition(session: Session, params: types.TypeDefinitionParams) -> list[types.Location] | None:
    asked = await session.asked(params.text_document, params.position)
    if asked is None:
        return None
    found = locations.ranges(asked.snapshot, type_definitions(asked.snapshot, asked.place), session.unit)
    return locations.to_protocol(session, asked.folder, found)
