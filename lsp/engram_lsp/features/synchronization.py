"""textDocument/didOpen, didChange, didClose, didSave"""

from lsprotocol import types

from engram_lsp.features import inline_completion
from engram_lsp.session import Session


def did_open(session: Session, params: types.DidOpenTextDocumentParams) -> None:
    session.changed(session.documents.open(params.text_document))


def did_change(session: Session, params: types.DidChangeTextDocumentParams) -> None:
    item = params.text_document
    changed = session.documents.change(item.uri, item.version, params.content_changes)
    if changed is not None:
        session.changed(changed[0])
        inline_completion.edited(session, changed[0])


def did_close(session: Session, params: types.DidCloseTextDocumentParams) -> None:
    document = session.documents.close(params.text_document.uri)
    if document is not None:
        session.was_closed(document)
        session.offers.clear()


def did_save(session: Session, params: types.DidSaveTextDocumentParams) -> None:
    """The disk now has what the editor shows; a client that sends no file events has said it here."""
    document = session.documents.get(params.text_document.uri)
    if document is not None and document.path is not None:
        session.files_changed([document.path])
