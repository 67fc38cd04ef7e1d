"""Reading many files: in this process, in others, and when the others die."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from engram_context.disk import indexing
from engram_context.disk.ignore import FileState, Ignore
from engram_context.disk.indexing import Coding, Wanted, read_entries
from engram_context.disk.store import Entry
from engram_context.memory.lines import LineEncoder
from engram_context.records import FileRecord


def letters(_: str) -> Callable[[str], Sequence[int]]:
    return lambda text: [min(ord(letter), 200) for letter in text]


def die(_: str) -> Callable[[str], Sequence[int]]:
    os._exit(3)


def break_down(_: str) -> Callable[[str], Sequence[int]]:
    def fail(text: str) -> Sequence[int]:
        raise RuntimeError("no ids today")

    return fail


CODING = Coding(letters, "", 256, "letters")


def wanted(root: Path) -> dict[str, Wanted]:
    return {path: Wanted(state) for path, state in Ignore(root).walk(lambda path: True)}


def read(root: Path, coding: Coding, files: dict[str, Wanted], workers: int) -> dict[str, Entry | FileState]:
    encode = LineEncoder(letters(""))
    return dict(read_entries(root, files, coding, encode, workers, lambda *_: None, lambda: False))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(12):
        (tmp_path / f"f{number}.py").write_text(f"def f{number}(): return {number}\n", encoding="utf-8")
    return tmp_path


def test_an_entry_holds_what_the_record_and_the_ids_can_be_made_from(root: Path) -> None:
    (root / "wide.py").write_text("é = 'Ω\0'.strip()\n".replace("\0", ""), encoding="utf-8")
    entries = read(root, CODING, wanted(root), 1)
    entry = entries["f7.py"]
    assert isinstance(entry, Entry)
    record = FileRecord.from_bytes(entry.record)
    assert [symbol.name for symbol in record.symbols] == ["f7"]
    assert record.digest == entry.digest
    assert bytes(entry.tokens) == "def f7(): return 7\n".encode("utf-16-le")
    wide = entries["wide.py"]
    assert isinstance(wide, Entry)
    assert wide.reason == ""


def test_what_is_known_already_is_only_looked_at(root: Path) -> None:
    files = wanted(root)
    entries = read(root, CODING, files, 1)
    known = {path: Wanted(file.state, entries[path].digest) for path, file in files.items()}  # type: ignore[union-attr]
    assert all(isinstance(entry, FileState) for entry in read(root, CODING, known, 1).values())
    (root / "f3.py").write_text("changed = 1\n", encoding="utf-8")
    again = read(root, CODING, known, 1)
    assert [path for path, entry in again.items() if isinstance(entry, Entry)] == ["f3.py"]


def test_workers_that_die_are_replaced_by_this_process(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(indexing, "_WORTH_WORKERS", 0)
    files = wanted(root)
    with caplog.at_level(logging.WARNING):
        entries = read(root, Coding(die, "", 256, "die"), files, 2)
    assert entries == read(root, CODING, files, 1)
    assert [record.message for record in caplog.records if "worker processes failed" in record.message]


def test_a_file_that_the_reader_fails_on_is_one_entry_with_a_reason(root: Path) -> None:
    encode = LineEncoder(break_down(""))
    entry = indexing.read_entry(root, "f1.py", Wanted(FileState(1, 1)), encode, "<u2")
    assert isinstance(entry, Entry)
    assert entry.reason == "the reader failed (RuntimeError)"
    gone = indexing.read_entry(root, "gone.py", Wanted(FileState(1, 1)), LineEncoder(letters("")), "<u2")
    assert isinstance(gone, Entry)
    assert gone.reason


def test_a_cancel_stops_between_files_in_workers_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_WORTH_WORKERS", 0)
    monkeypatch.setattr(indexing, "_BATCH_BYTES", 1)
    for workers in (1, 2):
        seen: list[str] = []
        encode = LineEncoder(letters(""))
        for path, _ in read_entries(
            root, wanted(root), CODING, encode, workers, lambda *_: None, lambda seen=seen: len(seen) >= 3
        ):
            seen.append(path)
        assert 3 <= len(seen) < 12


def test_a_file_written_just_now_is_looked_at_again_next_time(root: Path) -> None:
    entry = read(root, CODING, wanted(root), 1)["f0.py"]
    assert entry.mtime_ns == -1
    old = (root / "f0.py").stat().st_mtime_ns - 60_000_000_000
    os.utime(root / "f0.py", ns=(old, old))
    assert read(root, CODING, wanted(root), 1)["f0.py"].mtime_ns == old


def test_every_file_is_in_one_batch_and_batches_are_alike() -> None:
    files = {f"{n}.py": Wanted(FileState(0, (n * 7919) % 90_000)) for n in range(300)}
    batches = indexing._batches(files)
    assert sorted(path for batch in batches for path, _ in batch) == sorted(files)
    sizes = [sum(wanted.state.size for _, wanted in batch) for batch in batches]
    assert max(sizes) < 2 * indexing._BATCH_BYTES


def test_what_a_question_waits_for_is_read_wherever_there_is_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With processes, without them, and with processes that never get their turn."""
    monkeypatch.setattr(indexing, "_SOON_BYTES", 1)
    for path in root.iterdir():
        os.utime(path, (1e9, 1e9))
    files = wanted(root)
    coding = Coding(chr, "", 1, "none")  # type: ignore[arg-type]  # something that other processes can import
    here = indexing.Readers(root, coding, LineEncoder(letters("")), 1)
    expected = dict(here.read_soon(files))
    assert all(entry.record and not entry.tokens for entry in expected.values())
    there = indexing.Readers(root, coding, LineEncoder(letters("")), 2)
    there.start()
    assert dict(there.read_soon(files)) == expected
    assert dict(there.read(files, "names", lambda *_: None, lambda: False)) == expected
    assert dict(there.read_soon(files)) == expected
    there.close()
    assert dict(there.read_soon(files)) == expected
