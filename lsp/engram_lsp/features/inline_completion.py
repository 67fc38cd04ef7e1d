"""textDocument/inlineCompletion: ghost text. Only the newest question counts, and only for the text it was asked of.

While the text of a suggestion is being typed or accepted piece by piece, what is left of it answers at once.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from engram_context.text import Span, Text
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.documents import Document
from engram_lsp.offers import Offer
from engram_lsp.quiet import is_quiet
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Asked, Session
from engram_lsp.settings import InlineSettings
from engram_lsp.suggestion import Suggestion, Surroundings, next_indentation


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
    if asked is None or not answerable or not settings.enable or not (invoked or comes_unasked(settings)):
        return None
    ground = ground_of(asked, params.context.selected_completion_info, session)
    suggestions = None if invoked else await session.offers.known(asked.document.uri, ground.text, ground.offset)
    if suggestions is not None:
        session.offers.tally.kept += 1
    else:
        if not invoked and (rest := session.pace.wait(settings.debounce_ms / 1000)):
            await asyncio.sleep(rest)
        if outdated() or not session.is_current(asked):
            return None
        suggestions = await computed(session, asked, ground, outdated, invoked=invoked)
    if suggestions is None or outdated() or not session.is_current(asked):
        return None
    items = [
        item for suggestion in suggestions if (item := to_protocol(session, asked, ground, suggestion)) is not None
    ]
    return types.InlineCompletionList(items)


def comes_unasked(settings: InlineSettings) -> bool:
    """Whether ghost text is wanted while typing, just now."""
    return settings.automatic and not is_quiet(settings.quiet_hours, datetime.now().time())


async def computed(
    session: Session, asked: Asked, ground: Ground, outdated: Cancelled, *, invoked: bool
) -> tuple[Suggestion, ...] | None:
    """Asks the model, the remote one first; None once outdated. What it says is kept for as long as it is right."""
    session.offers.stop()
    session.offers.tally.computed += 1
    began = time.monotonic()
    suggestions = await session.elsewhere(asked, ground.text, ground.offset, outdated, invoked=invoked)
    if suggestions is None and not outdated():
        suggestions = await suggested(session, asked, ground.text, ground.offset, outdated, invoked=invoked)
    if suggestions is None or outdated() or not session.is_current(asked):
        return None
    if not invoked:
        session.pace.answered(time.monotonic() - began)
    session.offers.keep(Offer(asked.document.uri, ground.text, ground.offset, suggestions))
    return suggestions


async def suggested(
    session: Session, asked: Asked, text: Text, offset: int, outdated: Cancelled, *, invoked: bool = False
) -> tuple[Suggestion, ...] | None:
    """What the local model and the memory suggest; None where nobody can be asked."""

    def suggest(cancelled: Cancelled) -> tuple[Suggestion, ...] | None:
        predictor = session.predictor
        if predictor is None or outdated():
            return None
        query = session.query(asked, text, offset, invoked=invoked)
        return predictor.inline(query, lambda: cancelled() or outdated())

    return await session.in_model_thread(suggest)


def edited(session: Session, document: Document) -> None:
    """A document was edited: offers that this made wrong go, and behind an accepted one the next is made at once."""
    session.pace.typed(time.monotonic())
    end = session.offers.edited(document.uri, document.text)
    settings = session.settings.inline
    # A server is asked when the user types, not on the chance that they might.
    if end is None or not (settings.enable and comes_unasked(settings)) or session.remote is not None:
        return
    folder, path = session.folder_of(document)
    asked = Asked(document, folder, path, end, folder.snapshot)

    async def suggest(text: Text, offset: int, outdated: Cancelled) -> tuple[Suggestion, ...] | None:
        return await suggested(session, asked, text, offset, outdated)

    session.offers.ahead(
        document.uri, next_places(document.text, end), suggest, partial(session.tasks.start, "suggesting ahead")
    )


def next_places(text: Text, offset: int) -> list[tuple[Text, int]]:
    """Where somebody goes on typing behind `offset`: right there, or at the beginning of a new line, where nothing
    follows on this one."""
    before, after = (part.decode("utf-8", "ignore") for part in (text.data[:offset], text.data[offset:]))
    around = Surroundings.of(before, after)
    places = [(text, offset)]
    if not around.suffix.strip():
        new = (around.newline + next_indentation(around)).encode()
        places.append((text.splice(offset, offset, new), offset + len(new)))
    return places


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
