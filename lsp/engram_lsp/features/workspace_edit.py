"""A ProjectEdit as a WorkspaceEdit that this client can apply."""

from collections.abc import Mapping

from engram_context.edits import Edit, ProjectEdit
from engram_context.text import Text
from lsprotocol import types

from engram_lsp import convert
from engram_lsp.capabilities import Client
from engram_lsp.folder import Folder
from engram_lsp.guard import refused, stale
from engram_lsp.session import Session


def workspace_edit(session: Session, folder: Folder, edit: ProjectEdit) -> types.WorkspaceEdit:
    """The whole edit. Raises ContentModified when a text is no longer the one the edit was made for, and RequestFailed
    when the client cannot do what it asks for. Edits that need confirmation must have been taken out for clients
    without change annotations (`for_client`)."""
    if edit.moves and not session.client.renames_files:
        raise refused("this would rename a file, which this editor does not let a language server do")
    texts: dict[str, Text] = {}
    names: dict[str, types.OptionalVersionedTextDocumentIdentifier] = {}
    for path in edit.edits:
        document = session.document_at(folder, path)
        uri = document.uri if document is not None else convert.uri_of(folder.root / path)
        names[path] = types.OptionalVersionedTextDocumentIdentifier(uri=uri, version=document and document.version)
        text = document.text if document is not None else folder.snapshot.text(path)
        if text is None or edit.digests.get(path, text.digest) != text.digest:
            # Nobody told us that the file changed: read it, so that the next attempt succeeds.
            session.files_changed([folder.root / path])
            raise stale()
        texts[path] = text
    if not session.client.document_changes:
        changes = {
            names[path].uri: convert.text_edits(texts[path], edits, session.unit) for path, edits in edit.edits.items()
        }
        return types.WorkspaceEdit(changes=changes)
    return versioned(session, folder, edit, texts, names)


def versioned(
    session: Session,
    folder: Folder,
    edit: ProjectEdit,
    texts: Mapping[str, Text],
    documents: Mapping[str, types.OptionalVersionedTextDocumentIdentifier],
) -> types.WorkspaceEdit:
    """With the version of each open document, so that a client refuses what comes too late."""
    unproven = (one for edits in edit.edits.values() for one in edits if one.annotation is not None)
    labels = sorted({(-grade(one), label(one)) for one in unproven})
    # Clients list annotations by their names, so the likeliest has the first.
    names = {label: f"engram.{number:03}" for number, (_, label) in enumerate(labels)}

    def text_edit(text: Text, one: Edit) -> types.TextEdit | types.AnnotatedTextEdit:
        range = convert.range_of(text, one.span, session.unit)
        if one.annotation is None:
            return types.TextEdit(range, one.new_text)
        return types.AnnotatedTextEdit(names[label(one)], range, one.new_text)

    changes: list[types.TextDocumentEdit | types.CreateFile | types.RenameFile | types.DeleteFile] = []
    for path, edits in edit.edits.items():
        changes.append(types.TextDocumentEdit(documents[path], [text_edit(texts[path], one) for one in edits]))
    # Moves come last: the edits speak of the files under their old names.
    changes += [
        types.RenameFile(session.uri_of(folder, old), convert.uri_of(folder.root / new)) for old, new in edit.moves
    ]
    annotations = {name: types.ChangeAnnotation(label, needs_confirmation=True) for label, name in names.items()}
    return types.WorkspaceEdit(document_changes=changes, change_annotations=annotations or None)


def grade(edit: Edit) -> int:
    """How likely an unproven edit is right, in tens of per cent: a person then sees a few groups, not a hundred."""
    return round(edit.likelihood * 10) * 10


def label(edit: Edit) -> str:
    """What is said about an unproven edit."""
    return edit.annotation or "" if edit.likelihood >= 1 else f"{grade(edit)} %: {edit.annotation}"


def for_client(edit: ProjectEdit, client: Client) -> tuple[ProjectEdit, int]:
    """The edit as far as this client may be given it, and how many edits were left out: without change annotations a
    client would apply uncertain edits without asking."""
    if not edit.needs_confirmation or (client.change_annotations and client.document_changes):
        return edit, 0
    return edit.certain, len(edit) - len(edit.certain)
