"""textDocument/codeLens and codeLens/resolve: how often definitions are mentioned, counted when a lens is in sight"""

from engram_context.text import Place
from engram_context.views import lenses
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.features import locations
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session


async def code_lens(session: Session, params: types.CodeLensParams) -> list[types.CodeLens] | None:
    if not session.settings.code_lens.references:
        return None
    asked = await session.asked(params.text_document)
    if asked is None:
        return None
    spans = lenses.lenses(asked.snapshot, asked.path)
    ranges = convert.ranges_of(asked.text, spans, session.unit)
    return [types.CodeLens(range, data={"uri": asked.document.uri}) for range in ranges]


async def resolve(session: Session, lens: types.CodeLens) -> types.CodeLens:
    """Counts what is defined where the lens stands by now; one that stands nowhere any more says nothing."""
    uri = str(lens.data["uri"]) if isinstance(lens.data, dict) and "uri" in lens.data else ""
    asked = await session.asked(types.TextDocumentIdentifier(uri), lens.range.start)
    if asked is None:
        lens.command = types.Command("", "")
        return lens

    def count(_: Cancelled) -> list[tuple[str, types.Range]]:
        found = lenses.mentions(asked.snapshot, Place(asked.path, asked.offset))
        return locations.ranges(asked.snapshot, found, session.unit)

    found = await session.in_background(count, decorates=True)
    title = "1 reference" if len(found) == 1 else f"{len(found)} references"
    command = session.settings.code_lens.command
    arguments = [asked.document.uri, lens.range.start, locations.to_protocol(session, asked.folder, found)]
    lens.command = types.Command(title, command, arguments=arguments if command else None)
    return lens
