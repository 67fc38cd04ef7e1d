"""The cache on disk, and everything that may be wrong with it."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from engram_context.ignore import FileState
from engram_context.store import Entry, Store
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
    assert all(isinstance(entry, Entry) for entry in store.load().values())
    store.write({"new.py": ONE})
    if store.usable:
        assert store.load()["new.py"] == ONE
    store.close()


def test_a_file_that_is_something_else_is_replaced_with_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Store(tmp_path, Path("/p"), "v")
    path.close()
    path.path.write_bytes(b"not a database at all" * 100)
    with caplog.at_level(logging.WARNING):
        store = Store(tmp_path, Path("/p"), "v")
    store.write({"a.py": ONE})
    assert store.load() == {"a.py": ONE}
    assert len(caplog.records) == 1
    store.close()


def test_a_database_with_other_tables_is_replaced(tmp_path: Path) -> None:
    path = Store(tmp_path, Path("/p"), "v").path
    path.unlink()
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


def test_a_full_disk_is_one_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path, Path("/p"), "v")
    store.write({"a.py": ONE})
    assert store._connection is not None
    store._connection.execute("PRAGMA max_page_count = 8")
    with caplog.at_level(logging.WARNING):
        store.write({f"{i}.py": Entry(1, 1, b"", bytes(10_000), b"") for i in range(50)})
        store.write({"b.py": ONE})
    assert [record for record in caplog.records if "going on without it" in record.message]
    assert len(caplog.records) == 1
    store.close()
    store = Store(tmp_path, Path("/p"), "v")
    assert store.load() == {"a.py": ONE}
    store.close()


def test_two_servers_share_a_cache(tmp_path: Path) -> None:
    one, two = Store(tmp_path, Path("/p"), "v"), Store(tmp_path, Path("/p"), "v")
    for turn in range(20):
        one.write({f"one{turn}.py": ONE})
        two.write({f"two{turn}.py": TWO, f"one{turn - 1}.py": None})
    assert one.load() == two.load()
    assert len(one.load()) == 21
    one.close()
    two.close()


def test_a_killed_writer_leaves_all_or_nothing_of_a_batch(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from engram_context.store import Entry, Store
store = Store(Path(sys.argv[1]), Path("/p"), "v")
store.write({f"{i}.py": Entry(1, 1, b"", b"first", b"") for i in range(100)})
print("written", flush=True)
def rows():
    for i in range(100):
        if i == 60:
            os._exit(9)
        yield f"{i}.py", Entry(2, 2, b"", b"second" * 5000, b"")
class Slow(dict):
    def items(self):
        return rows()
store.write(Slow({"x": None}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 9, done.stderr
    store = Store(tmp_path, Path("/p"), "v")
    assert {entry.record for entry in store.load().values()} == {b"first"}
    assert len(store.load()) == 100
    store.close()
