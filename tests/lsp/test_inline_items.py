"""Suggestions as inline completion items."""

from pathlib import Path

import pytest
from engram_context.text import Span, Text
from engram_lsp import convert
from engram_lsp.documents import Document
from engram_lsp.features.inline_completion import ground_of, to_protocol
from engram_lsp.folder import Folder, Loose
from engram_lsp.server import build_server
from engram_lsp.session import Asked, Session
from engram_lsp.suggestion import Suggestion
from lsprotocol import types

SOURCE = "é = obj.app\n"


@pytest.fixture
def session() -> Session:
    return build_server().session


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    folder = Folder.of(tmp_path, Loose(tmp_path, None))
    text = Text.of(SOURCE)
    document = Document((tmp_path / "a.py").as_uri(), tmp_path / "a.py", "python", 1, 1, text)
    return Asked(document, folder, "a.py", text.data.index(b"\n"), folder.snapshot)


def suggestion(text: str, start: int, end: int) -> Suggestion:
    return Suggestion(text, Span(start, end), 0.5, "both", 1)


def test_an_item_replaces_the_typed_word_and_filters_by_its_whole_text(session: Session, asked: Asked) -> None:
    ground = ground_of(asked, None, session)
    item = to_protocol(session, asked, ground, suggestion("append(1)", asked.offset - 3, asked.offset))
    assert item is not None
    assert item.insert_text == item.filter_text == "append(1)"
    assert item.range == types.Range(types.Position(0, 8), types.Position(0, 11))


def test_a_suggestion_that_does_not_go_on_with_what_was_typed_is_no_item(session: Session, asked: Asked) -> None:
    ground = ground_of(asked, None, session)
    assert to_protocol(session, asked, ground, suggestion("insert(1)", asked.offset - 3, asked.offset)) is None
    assert to_protocol(session, asked, ground, suggestion("append(1)", asked.offset - 3, asked.offset - 1)) is None


def test_with_an_item_selected_the_text_is_as_if_it_were_accepted_and_the_range_is_the_items(
    session: Session, asked: Asked
) -> None:
    range = types.Range(types.Position(0, 8), types.Position(0, 11))
    ground = ground_of(asked, types.SelectedCompletionInfo(range, "append"), session)
    assert ground.text.decode() == "é = obj.append\n"
    assert ground.offset == len("é = obj.append".encode())
    item = to_protocol(session, asked, ground, suggestion("append(1)", ground.offset - 6, ground.offset))
    assert item is not None
    assert (item.insert_text, item.range) == ("append(1)", range)
    assert item.insert_text.startswith("append")
    assert convert.span_of(asked.text, range, "utf-16") == ground.span
