"""textDocument/documentHighlight"""

from engram_context.views.highlight import Access, highlights
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.guard import stale
from engram_lsp.session import Session

KINDS: dict[Access, types.DocumentHighlightKind] = {
    "read": types.DocumentHighlightKind.Read,
    "write": types.DocumentHighlightKind.Write,
    "text": types.DocumentHighlightKind.Text,
}


async def document_highlight(
    session: Session, params: types.DocumentHighlightParams
) -> list[types.DocumentHighlight] | None:
    asked = await session.asked(params.text_document, params.position)
    if asked is None:
        return None
    found = await session.in_background(lambda _: highlights(asked.snapshot, asked.place))
    if not session.is_current(asked):
        raise stale()
    ranges = convert.ranges_of(asked.text, [one.span for one in found], session.unit)
    return [types.DocumentHighlight(range, KINDS[one.access]) for one, range in zip(found, ranges, strict=True)]
