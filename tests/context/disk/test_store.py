"""The cache on disk, and everything that may be wrong with it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engram_context.disk.ignore import FileState
from engram_context.disk.store import Entry, Store
from hypothesis import given, settings
from hypothesis import strategies as st

ONE = Entry(1, 2, b"digest", b"record", b"tokens")
TWO = Entry(3, 4, b"", b"", b"", "binary")


def test_what_is_written_is_there_after_opening_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", Path("/project"), "v")
    store.write({"a.py": ONE, "b.py": TWO, "gone.py": ONE})
    store.write({"gone.py": None, "b.py": FileState(9, 9), "unknown.py": FileState(1, 1)})
    store.close()
    again = Store(tmp_path / "cache", Path("/project"), "v")
    assert again.load() == {"a.py": ONE, "b.py": Entry(9, 9, b"", b"", b"", "binary")}
    again.close()


def test_each_project_has_a_file_of_its_own(tmp_path: Path) -> None:
    one, two = Store(tmp_path, Path("/one"), "v"), Store(tmp_path, Path("/two"), "v")
    one.write({"a.py": ONE})
    assert two.load() == {}
    one.close()
    two.close()


def test_what_another_version_wrote_is_not_read(tmp_path: Path) -> None:
    store = Store(tmp_path, Path("/p"), "old")
    store.write({"a.py": ONE})
    store.close()
    store = Store(tmp_path, Path("/p"), "new")
    assert store.load() == {}
    store.write({"b.py": TWO})
    assert store.load() == {"b.py": TWO}
    store.close()


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, 40_000), junk=st.binary(min_size=1, max_size=5_000), cut=st.none() | st.integers(0, 40_000))
def test_a_damaged_file_costs_its_content_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, start: int, junk: bytes, cut: int | None
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    store = Store(folder, Path("/p"), "v")
    entries = {f"{i}.py": Entry(i, i, b"d" * 16, bytes([i]) * 900, b"t" * 90) for i in range(30)}
    store.write(entries)
    path = store.path
    store.close()
    data = bytearray(path.read_bytes())
    data[start : start + len(junk)] = junk
    path.write_bytes(data[:cut])
    store = Store(folder, Path("/p"), "v")
    # (When a file was read is not held to be true; what was read is.)
    assert all(
        replace(entry, mtime_ns=entries[path].mtime_ns, size=entries[path].size) == entries[path]
        for path, entry in store.load().items()
    )
    store.write({"new.py": ONE})
    if store.usable:
        assert store.load()["new.py"] == ONE
    store.close()


def test_a_file_that_is_something_else_is_replaced_with_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path, Path("/p"), "v")
    store.path.write_bytes(b"not a database at all" * 100)
    with caplog.at_level(logging.WARNING):
        store.write({"a.py": ONE})
    assert store.load() == {"a.py": ONE}
    assert len(caplog.records) == 1
    store.close()


def test_a_database_with_other_tables_is_replaced(tmp_path: Path) -> None:
    path = Store(tmp_path, Path("/p"), "v").path
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE files (x); CREATE TABLE meta (key TEXT, value TEXT); ")
    connection.close()
    store = Store(tmp_path, Path("/p"), "v")
    store.write({"a.py": ONE})
    assert store.load() == {"a.py": ONE}
    store.close()


def test_without_a_folder_to_write_in_everything_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        store = Store(tmp_path / "file" / "cache", Path("/p"), "v")
        assert not store.usable
    store.write({"a.py": ONE})
    assert store.load() == {}
    store.close()
    assert len(caplog.records) == 1


def entry(record: bytes, size: int = 1) -> Entry:
    return Entry(1, size, b"digest", record, b"tokens")


def test_a_full_disk_is_one_line_in_the_log_until_there_is_room_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, Path("/p"), "v")
    store.write({"a.py": ONE})
    assert store._connection is not None
    store._connection.execute("PRAGMA max_page_count = 10")
    with caplog.at_level(logging.WARNING):
        store.write({f"{i}.py": entry(bytes(10_000)) for i in range(50)})
        store.write({"b.py": ONE})
    assert ["going on without it" in record.message for record in caplog.records] == [True]
    other = Store(tmp_path, Path("/p"), "v")
    assert other.load() == {"a.py": ONE}
    other.close()
    caplog.clear()
    monkeypatch.setattr(store, "_retry_at", 0.0)  # the limit was the connection's
    with caplog.at_level(logging.WARNING):
        store.write({"c.py": TWO})
        store.write({"d.py": TWO})
    assert store.load() == {"a.py": ONE, "c.py": TWO, "d.py": TWO}
    assert ["is written again" in record.message for record in caplog.records] == [True]
    store.close()


def test_what_another_server_holds_is_waited_for_and_tried_again_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engram_context.disk.store._PATIENCE", 0.05)
    store = Store(tmp_path, Path("/p"), "v")
    store.write({"a.py": ONE})
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    made = Store(tmp_path, Path("/p"), "v")  # making one waits for nobody
    with caplog.at_level(logging.WARNING):
        store.write({"b.py": ONE})
        store.write({"c.py": ONE})
    assert ["database is locked" in record.message for record in caplog.records] == [True]
    assert made.load() == {"a.py": ONE}  # who only reads does not wait
    other.execute("ROLLBACK")
    other.close()
    monkeypatch.setattr(store, "_retry_at", 0.0)
    store.write({"d.py": ONE})
    assert made.load() == {"a.py": ONE, "d.py": ONE}
    store.close()
    made.close()


def test_a_server_of_another_version_takes_the_cache_over_and_nothing_is_mixed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = Store(tmp_path, Path("/p"), "old")
    old.write({"a.py": entry(b"old")})
    new = Store(tmp_path, Path("/p"), "new")
    new.write({"b.py": entry(b"new")})
    with caplog.at_level(logging.WARNING):
        old.write({"c.py": entry(b"old")})
    assert "in use by another version" in caplog.text
    assert new.load() == {"b.py": entry(b"new")}
    assert old.load() == {}
    old.close()
    new.close()


def test_a_row_that_is_not_as_it_was_written_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path, Path("/p"), "v")
    store.write({f"{column}.py": entry(b"record") for column in ("digest", "record", "tokens", "reason", "path", "ok")})
    assert store._connection is not None
    for column in ("digest", "record", "tokens"):
        store._connection.execute(f"UPDATE files SET {column} = x'00' WHERE path = '{column}.py'")
    store._connection.execute("UPDATE files SET reason = 7 WHERE path = 'reason.py'")
    store._connection.execute("UPDATE files SET path = 'other.py' WHERE path = 'path.py'")
    with caplog.at_level(logging.WARNING):
        assert store.load() == {"ok.py": entry(b"record")}
    assert ["5 entries" in record.message for record in caplog.records] == [True]
    store.close()


def test_a_path_that_is_no_text_does_not_keep_the_others_from_being_written(tmp_path: Path) -> None:
    store = Store(tmp_path, Path("/p"), "v")
    store.write({"a.py": ONE, "b\udcff.py": ONE})
    assert store.load() == {"a.py": ONE}
    store.close()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that may not be written to")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_cache_that_may_not_be_written_is_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    store = Store(tmp_path / "cache", Path("/p"), "v")
    store.write({"a.py": ONE})
    store.close()
    (store.path if what == "file" else tmp_path / "cache").chmod(0o500)
    try:
        store = Store(tmp_path / "cache", Path("/p"), "v")
        with caplog.at_level(logging.WARNING):
            assert store.load() in ({}, {"a.py": ONE})
            store.write({"b.py": ONE})
            store.write({"c.py": ONE})
        assert len(caplog.records) == 1
        store.close()
    finally:
        (tmp_path / "cache").chmod(0o700)


@pytest.mark.parametrize("cut", [0, 1, 100, 4096, 5000, 9000])
def test_a_file_that_was_cut_off_gives_old_entries_or_none(tmp_path: Path, cut: int) -> None:
    entries = {f"{number}.py": entry(bytes([number]) * 900) for number in range(30)}
    store = Store(tmp_path, Path("/p"), "v")
    store.write(entries)
    store.close()
    os.truncate(store.path, cut)
    store = Store(tmp_path, Path("/p"), "v")
    assert store.load().items() <= entries.items()
    store.write({"new.py": ONE})
    assert store.load()["new.py"] == ONE
    store.close()


# Other processes. Where they can be forked that takes no time.
CONTEXT = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
ROUNDS = 20 if CONTEXT.get_start_method() == "fork" else 3


def generation(turn: int) -> dict[str, Entry | FileState | None]:
    """What one write puts in: a different number of files of different sizes each time, all telling their turn."""
    there = {f"{number}.py": entry(b"%d " % turn * (number * 40 + 1), turn) for number in range(20 + turn % 7)}
    return there | {f"{number}.py": None for number in range(20 + turn % 7, 30)}


def write_on_and_on(folder: Path, first: int) -> None:
    store = Store(folder, Path("/p"), "v")
    turn = first
    while True:
        store.write(generation(turn))
        turn += 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_server_that_is_killed_while_it_writes_leaves_the_old_or_the_new_state(tmp_path: Path) -> None:
    chance = random.Random(5)
    first = 1
    for _ in range(ROUNDS):
        writer = CONTEXT.Process(target=write_on_and_on, args=(tmp_path, first), daemon=True)
        writer.start()
        written = Store(tmp_path, Path("/p"), "v")
        while turn_of(written) < first:  # it has begun
            time.sleep(0.001)
        time.sleep(chance.random() * 0.05)
        writer.kill()
        writer.join()
        written.close()
        store = Store(tmp_path, Path("/p"), "v")
        turn = turn_of(store)
        assert store.load() == {path: found for path, found in generation(turn).items() if found is not None}
        store.write({"0.py": None})
        assert store.usable
        store.write(generation(turn))
        store.close()
        first = turn + 1


def turn_of(store: Store) -> int:
    entries = store.load()
    return entries["0.py"].size if "0.py" in entries else 0


def write_mine(folder: Path, name: str, start: Any, done: Any) -> None:
    start.wait()
    store = Store(folder, Path("/p"), "v")
    for turn in range(30):
        store.write({f"{name}{turn}.py": entry(name.encode() * 5000), f"{name}{turn - 1}.old": None, "both.py": ONE})
        if turn % 10 == 0:
            store.load()
    done.put((name, store.usable, store._in_trouble))
    store.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_servers_that_begin_at_once_on_one_project_lose_nothing(tmp_path: Path) -> None:
    for turn in range(ROUNDS // 4 + 1):
        folder = tmp_path / str(turn)
        start, done = CONTEXT.Event(), CONTEXT.Queue()
        servers = [CONTEXT.Process(target=write_mine, args=(folder, name, start, done)) for name in ("a", "b", "c")]
        for server in servers:
            server.start()
        start.set()
        assert sorted(done.get(timeout=60) for _ in servers) == [(name, True, False) for name in ("a", "b", "c")]
        for server in servers:
            server.join()
        store = Store(folder, Path("/p"), "v")
        assert store.load().keys() == {"both.py"} | {f"{name}{turn}.py" for name in "abc" for turn in range(30)}
        store.close()
