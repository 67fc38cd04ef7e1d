"""workspace/semanticTokens/refresh, inlayHint/refresh, codeLens/refresh: files on disk changed what documents show."""

from engram_lsp.documents import Document
from engram_lsp.guard import answered
from engram_lsp.session import Session

# One request after a burst of changes, in seconds.
_REST = 0.5


def schedule(session: Session, document: Document | None) -> None:
    """A client asks anew by itself after an edit, so only other changes are told."""
    if document is None and len(session.documents):
        session.rest.after(_REST, "refresh what is shown", lambda: ask(session))


def ask(session: Session) -> None:
    client, server = session.client, session.server
    if client.refreshes_tokens and session.settings.semantic_tokens.enable:
        session.tasks.start("refreshing tokens", answered(server.workspace_semantic_tokens_refresh_async(None)))
    if client.refreshes_hints:
        session.tasks.start("refreshing hints", answered(server.workspace_inlay_hint_refresh_async(None)))
    if client.refreshes_lenses and session.settings.code_lens.references:
        session.tasks.start("refreshing lenses", answered(server.workspace_code_lens_refresh_async(None)))
