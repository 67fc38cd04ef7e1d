"""Texts: splicing, lines, and positions in the three units."""

from __future__ import annotations

from pathlib import Path

from engram_context.text import Text, Unit, Unreadable, read_text
from hypothesis import given
from hypothesis import strategies as st

PIECES = st.text(alphabet=st.sampled_from("ab \té€😀\r\n\u2028\x0c\ud800"), max_size=40)
UNITS: tuple[Unit, ...] = ("utf-8", "utf-16", "utf-32")


def columns(line: str, unit: Unit) -> int:
    """The length of a line in a unit, by Python's own encoders."""
    if unit == "utf-32":
        return len(line)
    width = 1 if unit == "utf-8" else 2
    return len(line.encode(unit + ("-le" if unit == "utf-16" else ""), "surrogatepass")) // width


def lines_of(source: str) -> list[str]:
    """The lines of a text without their ends, by definition."""
    return source.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@given(PIECES)
def test_text_gives_back_what_it_was_made_of(source: str) -> None:
    assert Text.of(source).decode() == source
    assert Text.of(source.encode("utf-8", "surrogatepass")) == Text.of(source)


@given(PIECES)
def test_lines_end_at_each_of_the_three_line_ends(source: str) -> None:
    text = Text.of(source)
    assert [text.slice(text.line_span(line)) for line in range(text.line_count)] == lines_of(source)


@given(PIECES, PIECES, st.integers(0, 60), st.integers(0, 60))
def test_a_spliced_text_is_the_text_of_the_spliced_bytes(source: str, new: str, a: int, b: int) -> None:
    text = Text.of(source)
    starts = [len(source[:at].encode("utf-8", "surrogatepass")) for at in range(len(source) + 1)]
    start, end = sorted((starts[min(a, len(source))], starts[min(b, len(source))]))
    spliced = text.splice(start, end, new.encode("utf-8", "surrogatepass"))
    again = Text.of(text.data[:start] + new.encode("utf-8", "surrogatepass") + text.data[end:])
    assert spliced == again
    assert spliced.starts.tolist() == again.starts.tolist()
    assert spliced.digest == again.digest


@given(PIECES, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), PIECES), max_size=6))
def test_many_splices_in_turn_keep_the_line_starts_right(source: str, edits: list[tuple[int, int, str]]) -> None:
    text = Text.of(source)
    for a, b, new in edits:
        text = text.splice(min(a, b), max(a, b), new.encode("utf-8", "surrogatepass"))
        assert text.starts.tolist() == Text.of(text.data).starts.tolist()


@given(PIECES)
def test_positions_count_what_python_encodes(source: str) -> None:
    text = Text.of(source)
    for unit in UNITS:
        for number, line in enumerate(lines_of(source)):
            start = text.line_start(number)
            for at in range(len(line) + 1):
                offset = start + len(line[:at].encode("utf-8", "surrogatepass"))
                position = (number, columns(line[:at], unit))
                assert text.position(offset, unit) == position
                assert text.offset(*position, unit) == offset


@given(PIECES, st.integers(-3, 100), st.integers(-3, 100))
def test_positions_outside_the_text_are_clamped(source: str, line: int, column: int) -> None:
    text = Text.of(source)
    for unit in UNITS:
        offset = text.offset(line, column, unit)
        assert 0 <= offset <= len(text)
        text.data[offset:].decode("utf-8", "surrogatepass")  # never inside a character
        if 0 <= line < text.line_count:
            assert text.line_span(line).start <= offset <= text.line_span(line).end
        elif line >= text.line_count:
            assert offset == len(text)


def test_a_column_inside_a_surrogate_pair_means_the_character() -> None:
    text = Text.of("a😀b")
    assert [text.offset(0, column, "utf-16") for column in range(5)] == [0, 1, 1, 5, 6]


def test_a_file_is_read_as_utf_8_without_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"\xef\xbb\xbfname = '\xc3\xa9'\r\n")
    text = read_text(path)
    assert isinstance(text, Text)
    assert text.decode() == "name = 'é'\r\n"


def test_an_encoding_comment_says_how_to_read_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"#!/usr/bin/python\n# -*- coding: latin-1 -*-\nname = '\xe9'\n")
    text = read_text(path)
    assert isinstance(text, Text)
    assert "é" in text.decode()


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"a\0b")
    (tmp_path / "other").write_bytes(b"name = '\xe9'\n")
    (tmp_path / "wrong").write_bytes(b"# coding: no-such-thing\n\xff")
    (tmp_path / "large").write_bytes(b"x" * 101)
    for name, reason in {
        "binary": "zero byte",
        "other": "not UTF-8",
        "wrong": "not UTF-8",
        "large": "limit of 100 bytes",
        "missing": "No such file",
        ".": "directory",
    }.items():
        found = read_text(tmp_path / name, limit=100)
        assert isinstance(found, Unreadable)
        assert reason in found.reason or name in (".", "missing")
