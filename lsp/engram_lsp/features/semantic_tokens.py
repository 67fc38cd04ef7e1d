"""textDocument/semanticTokens: full, full/delta and range"""

import numpy as np
from engram_context.text import Span
from engram_context.views.semantic import TOKEN_MODIFIERS, TOKEN_TYPES, Ints, difference, encoded
from engram_context.views.semantic import semantic_tokens as find
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.guard import stale
from engram_lsp.session import Asked, Session

LEGEND = types.SemanticTokensLegend(list(TOKEN_TYPES), list(TOKEN_MODIFIERS))


async def full(session: Session, params: types.SemanticTokensParams) -> types.SemanticTokens | None:
    asked = await wanted(session, params.text_document)
    if asked is None:
        return None
    new = await numbers(session, asked)
    return types.SemanticTokens(new.tolist(), session.tokens.keep(asked.document.uri, new))


async def delta(
    session: Session, params: types.SemanticTokensDeltaParams
) -> types.SemanticTokens | types.SemanticTokensDelta | None:
    """The difference to an answer that is still known, else all of it."""
    asked = await wanted(session, params.text_document)
    if asked is None:
        return None
    new = await numbers(session, asked)
    uri = asked.document.uri
    old = session.tokens.find(uri, params.previous_result_id)
    if old is None:
        return types.SemanticTokens(new.tolist(), session.tokens.keep(uri, new))
    splice = difference(old, new)
    if splice is None:
        return types.SemanticTokensDelta([], params.previous_result_id)
    edit = types.SemanticTokensEdit(splice.start, splice.removed, splice.added.tolist())
    return types.SemanticTokensDelta([edit], session.tokens.keep(uri, new))


async def range_(session: Session, params: types.SemanticTokensRangeParams) -> types.SemanticTokens | None:
    asked = await wanted(session, params.text_document)
    if asked is None:
        return None
    span = convert.span_of(asked.text, params.range, session.unit)
    return types.SemanticTokens((await numbers(session, asked, span)).tolist())


async def wanted(session: Session, item: types.TextDocumentIdentifier) -> Asked | None:
    return await session.asked(item) if session.settings.semantic_tokens.enable else None


async def numbers(session: Session, asked: Asked, span: Span | None = None) -> Ints:
    """The tokens of a document's current version as the protocol encodes them. Raises ContentModified when there is a
    newer one by now."""

    def make() -> Ints:
        tokens = find(asked.snapshot, asked.path)
        if tokens is None:
            return np.zeros(0, np.int64)
        if span is not None:
            tokens = tokens.within(span)
        lines, columns = asked.text.positions(tokens.start, session.unit)
        _, ends = asked.text.positions(tokens.end, session.unit)
        return encoded(lines, columns, ends - columns, tokens)

    found = await session.in_background(lambda _: make())
    if not session.is_current(asked):
        raise stale()
    return found
