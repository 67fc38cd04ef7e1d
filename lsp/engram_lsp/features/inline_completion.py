"""textDocument/inlineCompletion: ghost text. Only the newest question counts, and only for the text it was asked of."""

import asyncio
from dataclasses import dataclass

from engram_context.text import Span, Text
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Asked, Session
from engram_lsp.suggestion import Suggestion


@dataclass(frozen=True, slots=True)
class Ground:
    """What a suggestion is made for: a text, a cursor in it, and how the answer reaches the real document.

    With an item selected in the completion popup, the text is the document as if that item were accepted; `selected` is
    the item's text and `span` what it replaces in the real document. Otherwise both are None.
    """

    text: Text
    offset: int
    selected: str | None = None
    span: Span | None = None


async def inline_completion(
    session: Session, params: types.InlineCompletionParams
) -> types.InlineCompletionList | None:
    outdated = session.newest_inline.ticket()
    invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    settings = session.settings.inline
    asked = await session.asked(params.text_document, params.position, behind=True)
    answerable = session.predictor is not None or session.remote is not None
    if asked is None or not answerable or not settings.enable or not (invoked or settings.automatic):
        return None
    if not invoked and settings.debounce_ms:
        await asyncio.sleep(settings.debounce_ms / 1000)
    if outdated() or not session.is_current(asked):
        return None
    ground = ground_of(asked, params.context.selected_completion_info, session)

    def suggest(cancelled: Cancelled) -> tuple[Suggestion, ...]:
        predictor = session.predictor
        if predictor is None or outdated():
            return ()
        query = session.query(asked, ground.text, ground.offset, invoked=invoked)
        return predictor.inline(query, lambda: cancelled() or outdated())

    suggestions = await session.elsewhere(asked, ground.text, ground.offset, outdated, invoked=invoked)
    if suggestions is None and not outdated():
        suggestions = await session.in_model_thread(suggest)
    if suggestions is None or outdated() or not session.is_current(asked):
        return None
    items = [
        item for suggestion in suggestions if (item := to_protocol(session, asked, ground, suggestion)) is not None
    ]
    return types.InlineCompletionList(items)


def ground_of(asked: Asked, selected: types.SelectedCompletionInfo | None, session: Session) -> Ground:
    if selected is None:
        return Ground(asked.text, asked.offset)
    span = convert.span_of(asked.text, selected.range, session.unit)
    new = selected.text.encode("utf-8", "surrogatepass")
    return Ground(asked.text.splice(span.start, span.end, new), span.start + len(new), selected.text, span)


def to_protocol(
    session: Session, asked: Asked, ground: Ground, suggestion: Suggestion
) -> types.InlineCompletionItem | None:
    """The item for the real document; None where the suggestion does not extend what is selected or typed."""
    typed = ground.text.slice(Span(suggestion.span.start, ground.offset))
    if not suggestion.text.startswith(typed) or suggestion.span.end != ground.offset:
        return None
    if ground.selected is None or ground.span is None:
        text, span = suggestion.text, suggestion.span
    else:
        text, span = ground.selected + suggestion.text[len(typed) :], ground.span
    range = convert.range_of(asked.text, span, session.unit)
    if range.start.line != range.end.line:
        return None
    return types.InlineCompletionItem(insert_text=text, filter_text=text, range=range)
