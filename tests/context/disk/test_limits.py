"""One bad file costs a bounded time, and its text is known all the same."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest
from engram_context.disk import limits
from engram_context.reader import parse, read_record
from engram_context.records import empty_record
from engram_context.text import Text, Unreadable, read_bytes, read_text

SLOW = {
    "lines that go on": ("python", b"\\\n" * 40_000),
    "definitions that never end": ("python", b"def f(:\n" * 40_000),
    "calls of calls": ("python", b"a" + b"()" * 120_000),
    "elements of elements": ("python", b"a" + b"[0]" * 80_000),
    "brackets that never close": ("javascript", b"[" * 200_000),
    "calls of calls elsewhere": ("javascript", b"a" + b"()" * 120_000),
    "pointers to pointers": ("c", b"int " + b"*" * 200_000 + b"x;"),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_text_that_takes_too_long_has_an_empty_record_of_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.05)
    language, data = SLOW[name]
    text = Text.of(data)
    with caplog.at_level(logging.WARNING):
        record = read_record(text, language)
    assert record.to_bytes() == empty_record(text.digest, language, len(data), text.line_count).to_bytes()


def test_ordinary_code_is_read_within_the_time_and_alike_in_pieces_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(__file__).read_bytes() * 30
    monkeypatch.setattr("engram_context.reader._SHORT", 1 << 30)
    whole = parse(Text.of(source), "python")
    monkeypatch.setattr("engram_context.reader._SHORT", 0)
    monkeypatch.setattr("engram_context.reader._PIECE", 1000)
    pieces = parse(Text.of(source), "python")
    assert whole is not None and pieces is not None
    assert str(whole.root_node) == str(pieces.root_node)
    assert "SLOW" in {symbol.name for symbol in read_record(Text.of(source), "python").symbols}


def test_other_threads_have_their_turn_while_a_long_text_is_parsed() -> None:
    turns, done = [], threading.Event()

    def count() -> None:
        while not done.is_set():
            turns.append(None)
            done.wait(0.001)

    other = threading.Thread(target=count)
    text = Text.of(Path(__file__).read_bytes() * 200)
    other.start()
    before = len(turns)
    parse(text, "python")
    after = len(turns)
    done.set()
    other.join()
    assert after > before + 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    assert read_text(tmp_path / "pipe.py") == Unreadable("not a regular file")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_a_device_and_a_folder_are_not_read() -> None:
    assert read_text(Path("/dev/zero")) == Unreadable("not a regular file")
    assert isinstance(read_text(Path("/")), Unreadable)


def test_a_file_that_grows_is_read_up_to_the_limit_and_one_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"x" * 5000)
    assert read_bytes(tmp_path / "a.py", 1000) == b"x" * 1000
    assert read_text(tmp_path / "a.py", 4999) == Unreadable("larger than the limit of 4,999 bytes")
    assert isinstance(read_text(tmp_path / "gone.py"), Unreadable)
    assert isinstance(read_text(tmp_path / ("x" * 5000)), Unreadable)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_text_in_no_encoding_of_source_is_unreadable_with_a_reason(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.py").write_bytes("x = 'é'\n".encode(encoding))
    found = read_text(tmp_path / "a.py")
    assert isinstance(found, Unreadable)
    assert found.reason
