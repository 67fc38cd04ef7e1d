"""Asks memory and model about the open documents once nobody waits for anything, and shows what comes of it."""

from __future__ import annotations

from engram_context.text import Span
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from engram_lsp.documents import Document
from engram_lsp.features import diagnostics
from engram_lsp.hinting import hints_of, key_of, suspected
from engram_lsp.schedule import Cancelled
from engram_lsp.session import Asked, Session

_REST = 2.0
"""How long everything rests before the model is asked, in seconds."""
_AGAIN = 1.0
"""How long to wait where somebody else wanted the model."""
_WHAT = "asking the model for hints"


def schedule(session: Session, document: Document | None) -> None:
    """A document, or (None) something else, changed: the model is asked once everything rests."""
    if not session.settings.diagnostics.model or not session.settings.diagnostics.enable:
        return
    session.hints.newest.ticket()
    session.rest.after(_REST, "hints", lambda: session.tasks.start(_WHAT, _look(session)))


def _later(session: Session) -> None:
    session.rest.after(_AGAIN, "hints", lambda: session.tasks.start(_WHAT, _look(session)))


async def _look(session: Session) -> None:
    """Asks about the functions of the open documents that nothing is known of, one after the other."""
    outdated = session.hints.newest.ticket()
    if session.predictor is None:
        if session.opening is None or not session.opening.done():
            _later(session)
        return
    for document in tuple(session.documents):
        try:
            asked = await session.asked(types.TextDocumentIdentifier(document.uri))
        except JsonRpcException:
            return  # the newer text has its own turn
        if asked is None or outdated():
            continue
        if asked.folder.project is not None and not asked.folder.loaded:
            return  # there is a change when it is read
        before = session.hints.findings(asked.snapshot, asked.path)
        done = await _ask(session, asked, outdated)
        if session.hints.findings(asked.snapshot, asked.path) != before and session.is_current(asked):
            _show(session, asked)
        if not done and not outdated():
            _later(session)
            return


async def _ask(session: Session, asked: Asked, outdated: Cancelled) -> bool:
    """Whether all was found out."""
    from engram_context.checks.misuse.hinted import file_hints

    whole = Span(0, len(asked.text))
    file = key_of(asked.path, asked.text, whole)
    if session.hints.knows(file):
        return True
    session.hints.keep_of_file(
        asked.path,
        asked.text,
        await session.in_background(lambda _: file_hints(asked.snapshot, asked.path), decorates=True),
    )
    # One function at a time: other decorations need not wait for all of them.
    coming = suspected(asked.snapshot, asked.path, session.hints.knows)
    while (following := await session.in_background(lambda _: next(coming, None), decorates=True)) is not None:
        places, suspicions = following
        predictor = session.predictor
        if predictor is None or outdated():
            return False
        found = await session.model_desk.do_idle(
            lambda cancelled, places=places, suspicions=suspicions, predictor=predictor: hints_of(
                predictor, asked.folder.project, places, asked.path, lambda: cancelled() or outdated(), suspicions
            )
        )
        if found is None:
            return False
        span = places.function.span
        session.hints.keep(key_of(asked.path, asked.text, span), span, found)
    session.hints.keep(file, whole, ())
    return True


def _show(session: Session, asked: Asked) -> None:
    if not session.client.pulls_diagnostics:
        diagnostics.start_push(session, asked.document.uri)
    elif session.client.refreshes_diagnostics:
        diagnostics.start_refresh(session)
