"""Open documents follow their editor's edits."""

from collections.abc import Callable

import pytest
from engram_context.text import Unit
from engram_lsp.documents import Documents
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

URI = "file:///project/a.py"
TEXT = st.text(alphabet=st.sampled_from("ab\n\ré文😀"), max_size=12)
POSITION = st.tuples(st.integers(0, 6), st.integers(0, 14))
EDITS = st.lists(st.tuples(POSITION, POSITION, TEXT), max_size=6)


def opened(text: str, unit: Unit = "utf-16") -> Documents:
    documents = Documents(unit)
    documents.open(types.TextDocumentItem(URI, types.LanguageKind.Python, 1, text))
    return documents


def lines_of(text: str) -> list[str]:
    """The lines with their ends, an empty last one included."""
    lines, current = [], ""
    for index, char in enumerate(text):
        current += char
        if char == "\n" or (char == "\r" and text[index + 1 : index + 2] != "\n"):
            lines.append(current)
            current = ""
    return [*lines, current]


def index_of(text: str, line: int, column: int, width: Callable[[str], int]) -> int:
    """The str index of a position."""
    lines = lines_of(text)
    if line >= len(lines):
        return len(text)
    start, content = sum(map(len, lines[:line])), lines[line].rstrip("\r\n")
    used = count = 0
    while count < len(content) and used + width(content[count]) <= column:
        used += width(content[count])
        count += 1
    return start + count


WIDTHS: dict[Unit, Callable[[str], int]] = {
    "utf-8": lambda char: len(char.encode()),
    "utf-16": lambda char: 2 if char > "\uffff" else 1,
    "utf-32": lambda _: 1,
}


@given(TEXT, EDITS, st.sampled_from(sorted(WIDTHS)))
def test_any_edits_leave_the_text_that_editing_a_string_leaves(
    text: str, edits: list[tuple[tuple[int, int], tuple[int, int], str]], unit: Unit
) -> None:
    documents = opened(text, unit)
    changes: list[types.TextDocumentContentChangeEvent] = []
    for (line, column), (last, until), new in edits:
        range = types.Range(types.Position(line, column), types.Position(last, until))
        changes.append(types.TextDocumentContentChangePartial(range, new))
        start = index_of(text, line, column, WIDTHS[unit])
        end = max(start, index_of(text, last, until, WIDTHS[unit]))
        text = text[:start] + new + text[end:]
    changed = documents.change(URI, 2, changes)
    assert changed is not None
    document, splices = changed
    assert document.text.decode() == text
    assert len(splices) == len(edits)
    assert document.text.line_count == len(lines_of(text))


@given(TEXT, EDITS)
def test_the_splices_tell_where_the_bytes_moved(
    text: str, edits: list[tuple[tuple[int, int], tuple[int, int], str]]
) -> None:
    documents = opened(text)
    before = text.encode()
    for number, ((line, column), (last, until), new) in enumerate(edits):
        range = types.Range(types.Position(line, column), types.Position(last, until))
        changed = documents.change(URI, number, [types.TextDocumentContentChangePartial(range, new)])
        assert changed is not None
        document, (splice,) = changed
        assert document.text.data == before[: splice.start] + new.encode() + before[splice.old_end :]
        assert splice.new_end == splice.start + len(new.encode())
        before = document.text.data


def test_a_whole_text_replaces_everything() -> None:
    changed = opened("one").change(URI, 2, [types.TextDocumentContentChangeWholeDocument("two\n")])
    assert changed is not None and changed[0].text.decode() == "two\n"


def test_a_change_to_a_document_that_is_not_open_is_ignored() -> None:
    assert Documents().change(URI, 2, [types.TextDocumentContentChangeWholeDocument("x")]) is None


@pytest.mark.parametrize("version", [0, 1, 7, -3])
def test_wrong_versions_are_taken_as_they_come_and_revisions_still_grow(version: int) -> None:
    documents = opened("x")
    before = documents.get(URI)
    changed = documents.change(URI, version, [types.TextDocumentContentChangeWholeDocument("y")])
    assert before is not None and changed is not None
    assert changed[0].version == version
    assert changed[0].revision > before.revision


def test_a_document_is_found_under_every_spelling_and_answers_under_its_own() -> None:
    documents = opened("x")
    document = documents.get("file:///project/%61.py")
    assert document is not None and document.uri == URI
    assert documents.close("file:///project/./a.py") is document
    assert documents.get(URI) is None
    assert documents.close(URI) is None


def test_lone_surrogates_survive() -> None:
    changed = opened("x").change(URI, 2, [types.TextDocumentContentChangeWholeDocument("a\ud800b")])
    assert changed is not None and changed[0].text.decode() == "a\ud800b"
