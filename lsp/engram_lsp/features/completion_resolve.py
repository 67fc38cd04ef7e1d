"""completionItem/resolve: an item's documentation, sent when the item is looked at"""

from lsprotocol import types

from engram_lsp import harmless
from engram_lsp.session import Session


async def resolve(session: Session, item: types.CompletionItem) -> types.CompletionItem:
    """Of the newest list; items of older ones stay as they are."""
    candidate, snapshot = session.listed.find(item.data), session.listed.snapshot
    if candidate is None or snapshot is None:
        return item
    doc, outside = candidate.doc, candidate.outside
    if not doc and outside:
        doc = await session.in_background(lambda _: snapshot.library.doc(outside))  # reads sources
    if doc:
        markdown = session.client.completion_markdown
        kind = types.MarkupKind.Markdown if markdown else types.MarkupKind.PlainText
        item.documentation = types.MarkupContent(kind, harmless.documentation(doc) if markdown else doc)
    return item
