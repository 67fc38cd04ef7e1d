"""textDocument/selectionRange"""

from collections.abc import Sequence

from engram_context.text import Span, Text, Unit
from engram_context.views.selection import selections
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.guard import stale
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Session


async def selection_range(session: Session, params: types.SelectionRangeParams) -> list[types.SelectionRange] | None:
    asked = await session.asked(params.text_document, behind=True)  # the tree is read here
    if asked is None:
        return None
    offsets = [convert.offset(asked.text, position, session.unit) for position in params.positions]

    def find(_: Cancelled) -> list[tuple[Span, ...]]:
        tree = asked.folder.holder.tree(asked.path, asked.text)
        whole = (Span(0, len(asked.text)),)
        return [whole if tree is None else selections(tree, asked.text, offset) for offset in offsets]

    found = await session.in_background(find)
    if not session.is_current(asked):
        raise stale()
    return [nested(spans, asked.text, session.unit) for spans in found]


def nested(spans: Sequence[Span], text: Text, unit: Unit) -> types.SelectionRange:
    """Spans from the smallest to the largest, each the parent of the one before."""
    last, *others = reversed(spans)
    found = types.SelectionRange(convert.range_of(text, last, unit))
    for span in others:
        found = types.SelectionRange(convert.range_of(text, span, unit), found)
    return found
