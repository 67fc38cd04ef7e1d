"""Edits of a project, made right for what the client can do."""

from dataclasses import replace
from pathlib import Path

import pytest
from engram_context.edits import Edit, ProjectEdit, project_edit
from engram_context.text import Span, Text
from engram_lsp.capabilities import Client
from engram_lsp.features.workspace_edit import for_client, workspace_edit
from engram_lsp.folder import Folder, Loose
from engram_lsp.guard import CONTENT_MODIFIED, REQUEST_FAILED
from engram_lsp.server import build_server
from engram_lsp.session import Session
from lsprotocol import types
from pygls.exceptions import JsonRpcException

ABLE = Client(document_changes=True, change_annotations=True, renames_files=True)
A, B = Text.of("x = '😀' + name\n"), Text.of("name\r\n")
CERTAIN, DOUBTFUL = Edit(Span(13, 17), "other"), Edit(Span(0, 4), "other", "may be another name")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session with the document a.py open, at version 7, and b.py known."""
    session = build_server().session
    session.client = ABLE
    folder = Folder.of(tmp_path, Loose(tmp_path, None))
    session.folders[tmp_path] = folder
    document = types.TextDocumentItem((tmp_path / "a.py").as_uri(), types.LanguageKind.Python, 7, A.decode())
    session.documents.open(document)
    folder.holder.edit("a.py", A)
    folder.holder.edit("b.py", B)
    return session


@pytest.fixture
def folder(session: Session) -> Folder:
    return next(iter(session.folders.values()))


EDIT = project_edit({"a.py": [CERTAIN], "b.py": [DOUBTFUL]}, {"a.py": A, "b.py": B})


def test_open_documents_carry_their_version_and_doubtful_edits_their_reason(session: Session, folder: Folder) -> None:
    edit = workspace_edit(session, folder, EDIT)
    assert edit.document_changes is not None and edit.changes is None
    first, second = edit.document_changes
    assert isinstance(first, types.TextDocumentEdit) and isinstance(second, types.TextDocumentEdit)
    assert (first.text_document.version, second.text_document.version) == (7, None)
    # Columns count UTF-16 here: the smiling face takes two.
    assert first.edits == [types.TextEdit(types.Range(types.Position(0, 11), types.Position(0, 15)), "other")]
    (doubtful,) = second.edits
    assert isinstance(doubtful, types.AnnotatedTextEdit) and edit.change_annotations is not None
    annotation = edit.change_annotations[doubtful.annotation_id]
    assert annotation.needs_confirmation and annotation.label == "may be another name"


@pytest.mark.parametrize("lacking", ["document_changes", "change_annotations"])
def test_clients_that_would_not_ask_get_only_what_is_certain(lacking: str) -> None:
    edit, left_out = for_client(EDIT, replace(ABLE, **{lacking: False}))
    assert left_out == 1
    assert dict(edit.edits) == {"a.py": (CERTAIN,)}
    assert for_client(EDIT, ABLE) == (EDIT, 0)
    assert for_client(EDIT.certain, Client()) == (EDIT.certain, 0)


def test_clients_of_the_old_protocol_get_plain_changes(session: Session, folder: Folder) -> None:
    session.client = Client()
    edit = workspace_edit(session, folder, EDIT.certain)
    assert edit.document_changes is None and edit.changes is not None
    assert list(edit.changes) == [(folder.root / "a.py").as_uri()]


def test_an_edit_made_for_another_text_is_not_given_out(session: Session, folder: Folder) -> None:
    session.documents.change(
        (folder.root / "a.py").as_uri(), 8, [types.TextDocumentContentChangeWholeDocument("changed\n")]
    )
    with pytest.raises(JsonRpcException) as caught:
        workspace_edit(session, folder, EDIT)
    assert caught.value.code == CONTENT_MODIFIED


def test_files_are_renamed_after_their_edits_and_only_where_the_client_can(session: Session, folder: Folder) -> None:
    moving = ProjectEdit(EDIT.certain.edits, (("a.py", "c.py"),), EDIT.certain.digests)
    edit = workspace_edit(session, folder, moving)
    assert edit.document_changes is not None
    last = edit.document_changes[-1]
    assert isinstance(last, types.RenameFile)
    assert (last.old_uri, last.new_uri) == ((folder.root / "a.py").as_uri(), (folder.root / "c.py").as_uri())
    session.client = replace(ABLE, renames_files=False)
    with pytest.raises(JsonRpcException) as caught:
        workspace_edit(session, folder, moving)
    assert caught.value.code == REQUEST_FAILED


def test_what_is_likelier_is_asked_about_first(session: Session, folder: Folder) -> None:
    edits = (
        Edit(Span(0, 1), "x", "a text", 0.31),
        Edit(Span(2, 3), "x", "an attribute", 0.88),
        Edit(Span(4, 5), "x", "an attribute", 0.93),
    )
    answer = workspace_edit(session, folder, replace(EDIT, edits={"a.py": edits}))
    assert answer.change_annotations is not None and answer.document_changes is not None
    labels = {name: annotation.label for name, annotation in sorted(answer.change_annotations.items())}
    assert list(labels.values()) == ["90 %: an attribute", "30 %: a text"]
    [document] = answer.document_changes
    assert isinstance(document, types.TextDocumentEdit)
    assert [labels[e.annotation_id] for e in document.edits if isinstance(e, types.AnnotatedTextEdit)] == [
        "30 %: a text", "90 %: an attribute", "90 %: an attribute",
    ]  # fmt: skip
