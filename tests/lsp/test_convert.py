"""URIs and positions, there and back."""

import string
from pathlib import Path

import pytest
from engram_context.text import Span, Text, Unit
from engram_lsp import convert
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

UNITS: tuple[Unit, ...] = ("utf-8", "utf-16", "utf-32")

# Ends of lines of every kind, characters of one to four bytes, and the combining and joining ones that look like one.
SOURCE = st.text(alphabet=st.sampled_from("ab \t\n\ré文😀𝒳\u0301\u200d"), max_size=40).map(
    lambda text: text.replace("b", "\r\n")
)


def naive_offset(text: str, line: int, column: int, unit: Unit) -> int:
    """By the protocol's own words: split at line ends, encode the line, count code units."""
    start, lines = 0, []
    index = 0
    while index < len(text):
        if text[index] in "\r\n":
            lines.append((start, index))
            index += 2 if text.startswith("\r\n", index) else 1
            start = index
        else:
            index += 1
    lines.append((start, len(text)))
    if line >= len(lines):
        return len(text.encode())
    first, end = lines[line]
    used, at = 0, first
    width = {
        "utf-8": lambda c: len(c.encode()),
        "utf-16": lambda c: len(c.encode("utf-16-le")) // 2,
        "utf-32": lambda c: 1,
    }[unit]
    while at < end and used + width(text[at]) <= column:
        used += width(text[at])
        at += 1
    return len(text[:at].encode())


@given(SOURCE, st.integers(0, 8), st.integers(0, 30), st.sampled_from(UNITS))
def test_a_position_means_the_same_offset_as_by_the_letter_of_the_protocol(
    source: str, line: int, column: int, unit: Unit
) -> None:
    assert convert.offset(Text.of(source), types.Position(line, column), unit) == naive_offset(
        source, line, column, unit
    )


@given(SOURCE, st.data(), st.sampled_from(UNITS))
def test_every_offset_between_characters_survives_the_round_trip(source: str, data: st.DataObject, unit: Unit) -> None:
    text = Text.of(source)
    offset = len(source[: data.draw(st.integers(0, len(source)))].encode())
    back = convert.offset(text, convert.position(text, offset, unit), unit)
    # Between \r and \n there is no position: the line's end stands for it.
    assert back == offset or (text.data[back : offset + 1] == b"\r\n")


@given(SOURCE, st.tuples(*[st.integers(0, 9)] * 4), st.sampled_from(UNITS))
def test_a_range_is_a_span_inside_the_text_however_wild_it_is(
    source: str, numbers: tuple[int, int, int, int], unit: Unit
) -> None:
    a, b, c, d = numbers
    text = Text.of(source)
    span = convert.span_of(text, types.Range(types.Position(a, b), types.Position(c, d)), unit)
    assert 0 <= span.start <= span.end <= len(text)


def test_a_column_inside_an_astral_character_means_its_start() -> None:
    text = Text.of("x😀y")
    assert convert.offset(text, types.Position(0, 2), "utf-16") == 1
    assert convert.range_of(text, Span(5, 6), "utf-16") == types.Range(types.Position(0, 3), types.Position(0, 4))
    assert convert.range_of(text, Span(5, 6), "utf-8").start.character == 5
    assert convert.range_of(text, Span(5, 6), "utf-32").start.character == 2


@pytest.mark.parametrize(
    "uri",
    ["file:///c%3A/dir/a%20b.py", "file:///C:/dir/a b.py", "file:///c:/dir/a%20b.py", "FILE:///C%3a/dir/a b.py"],
)
def test_every_spelling_of_a_windows_file_is_one_name(uri: str) -> None:
    assert convert.file_name(uri, windows=True) == r"C:\dir\a b.py"


def test_windows_names_become_the_uris_that_clients_expect() -> None:
    assert convert.file_uri(r"C:\dir\a b#.py", windows=True) == "file:///c%3A/dir/a%20b%23.py"
    assert convert.file_uri(r"\\host\share\a.py", windows=True) == "file://host/share/a.py"
    assert convert.file_name("file://host/share/a.py", windows=True) == r"\\host\share\a.py"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("file:///a/b.py", "/a/b.py"),
        ("file:///a/b%3Ac.py", "/a/b:c.py"),
        ("file:///a/what?.py", "/a/what?.py"),
        ("file:///a/b#c.py", "/a/b#c.py"),
        ("file://localhost/a.py", "/a.py"),
        ("file:/a.py", "/a.py"),
        ("file:///%E6%96%87.py", "/文.py"),
        ("untitled:Untitled-1", None),
        ("git:/a.py?ref", None),
        ("nonsense", None),
        ("file://", None),
        ("file:///a%00.py", None),
    ],
)
def test_a_file_uri_is_a_posix_name_and_others_are_none(uri: str, name: str | None) -> None:
    assert convert.file_name(uri, windows=False) == name


@given(st.text(alphabet=st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1))
def test_every_posix_name_survives_the_round_trip(name: str) -> None:
    assert convert.file_name(convert.file_uri(f"/{name}", windows=False), windows=False) == f"/{name}"


def test_a_name_that_is_not_utf_8_survives_the_round_trip() -> None:
    name = b"/caf\xe9.py".decode("utf-8", "surrogateescape")
    assert convert.file_uri(name, windows=False) == "file:///caf%E9.py"
    assert convert.file_name("file:///caf%E9.py", windows=False) == name


@given(st.text(alphabet=string.ascii_letters + "./ ", max_size=20))
def test_two_spellings_of_one_file_have_one_key(tail: str) -> None:
    path = Path("/root") / tail.strip("/ ")
    plain = convert.uri_of(path)
    shouted = plain.replace("/root", "/%72oot")
    assert convert.key_of(plain) == convert.key_of(shouted)


def test_buffers_without_a_file_are_known_by_their_uri() -> None:
    assert convert.key_of("untitled:Untitled-1") == "untitled:Untitled-1"
