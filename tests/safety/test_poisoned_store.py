"""A cache folder that somebody else wrote: it costs time, and can neither run, write, mislead nor stop anything."""

import os
import pickle
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from engram_context.disk import store as stores
from engram_context.disk.store import Entry
from engram_context.outside.record_cache import RecordCache
from engram_lsp.client import where
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safety.sandbox import PROCESSES, Sandbox, symbols
from wire_support import age


class Payload:
    """What a pickle of it would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo run",)


def garbage(file: Path) -> None:
    file.write_bytes(pickle.dumps(Payload()))


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for at in range(200, len(data), 97):
        data[at] ^= 0x5A
    file.write_bytes(bytes(data))


def enormous(file: Path) -> None:
    os.truncate(file, 8 << 30)


def piped(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def foldered(file: Path) -> None:
    file.unlink()
    file.mkdir()


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def endless(file: Path) -> None:
    """A view that never ends, where the table is expected."""
    change(
        file,
        "ALTER TABLE files RENAME TO old",
        "CREATE VIEW files AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT 'p' || x AS path, 0 "
        "AS mtime_ns, 0 AS size, x'00' AS digest, x'00' AS record, x'00' AS tokens, '' AS reason, 0 AS checksum FROM n",
    )


def triggered(file: Path) -> None:
    change(file, "CREATE TRIGGER t BEFORE INSERT ON files BEGIN DELETE FROM meta; END")


def rewritten(file: Path, edit: Callable[[str, Entry], tuple[str, Entry]]) -> None:
    """Rows of somebody who knows how they are checked."""
    with closing(sqlite3.connect(file)) as connection, connection:
        rows = connection.execute(stores._READ).fetchall()
        connection.execute("DELETE FROM files")
        for row in rows:
            path, entry = edit(row[0], Entry(*row[1:7]))
            values = (path, entry.mtime_ns, entry.size, entry.digest, entry.record, entry.tokens, entry.reason)
            connection.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, stores._checksum(path, entry))
            )


def unpickled(file: Path) -> None:
    bomb = pickle.dumps(Payload())
    rewritten(file, lambda path, e: (path, Entry(e.mtime_ns, e.size, e.digest, bomb, bomb, "")))


def elsewhere(file: Path) -> None:
    """Paths that lead out of the project."""
    rewritten(file, lambda path, e: (f"../outside/{path}", e))


def broken(file: Path) -> None:
    rewritten(
        file, lambda path, e: (path, Entry(e.mtime_ns, e.size, e.digest, e.record[: len(e.record) // 2], b"\xff", ""))
    )


POISONS = (garbage, truncated, flipped, enormous, foldered, endless, triggered, unpickled, elsewhere, broken)


@pytest.mark.wire
@pytest.mark.skipif(sys.platform == "win32", reason="a store that is open cannot be changed there")
def test_whatever_the_store_holds_questions_are_answered_rightly(sandbox: Sandbox) -> None:
    """One project for each poison, all in one server: it first writes their stores, and then finds them poisoned."""
    roots = [sandbox.folder / poison.__name__ for poison in (*POISONS, piped)]
    for root in roots:
        (root / "shop").mkdir(parents=True)
        (root / "shop" / "prices.py").write_text(f"def price_of_{root.name}(item): ...\n", encoding="utf-8")
        (root / "shop" / "till.py").write_text(
            f"from shop.prices import price_of_{root.name}\n\nprice_of_{root.name}('tea')\n", encoding="utf-8"
        )
        age(root)
    first = sandbox.start(*roots)
    assert first.stop() == 0
    for root, poison in zip(roots, (*POISONS, piped), strict=True):
        poison(stores.Store(sandbox.cache, root, "").path)
    client = sandbox.start(*roots)
    for root in roots:
        uri = client.open(root / "shop" / "till.py")
        found = client.request("textDocument/definition", where(uri, 2, 4), 30)
        assert [one["uri"] for one in found] == [(root / "shop" / "prices.py").as_uri()], root.name
        assert symbols(client, f"price_of_{root.name}") == [f"price_of_{root.name}"]
    assert not any("outside" in folder["root"] for folder in client.ready()["folders"])
    assert client.stop() == 0
    # Only what our own processes send each other is a pickle.
    loaded = {event.first.partition(".")[0] for event in sandbox.events() if event.name == "pickle.find_class"}
    assert not loaded & {"posix", "nt", "os", "subprocess"}
    assert not [event for event in sandbox.events() if event.name in PROCESSES]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("target", ["a database", "nothing"])
def test_a_link_in_the_cache_folder_is_thrown_away_and_its_target_left_alone(tmp_path: Path, target: str) -> None:
    victim = tmp_path / "victim.sqlite"
    if target == "a database":
        change(victim, "CREATE TABLE files (precious)", "INSERT INTO files VALUES ('kept')")
    before = victim.read_bytes() if victim.exists() else None
    store = stores.Store(tmp_path / "cache", tmp_path / "project", "v")
    store.path.parent.mkdir()
    store.path.symlink_to(victim)
    store.write({"a.py": Entry(1, 2, b"d", b"r", b"t")})
    assert store.load() == {"a.py": Entry(1, 2, b"d", b"r", b"t")}
    store.close()
    assert not store.path.is_symlink()
    assert (victim.read_bytes() if victim.exists() else None) == before


@pytest.mark.skipif(sys.platform == "win32", reason="rights are other ones there")
def test_only_the_user_may_read_what_is_kept(tmp_path: Path) -> None:
    store = stores.Store(tmp_path / "cache", tmp_path / "project", "v")
    store.write({"a.py": Entry(1, 2, b"d", b"r", b"t")})
    store.close()
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


@given(st.binary(max_size=300), st.integers(0, 5000), st.integers(0, 255))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_record_of_a_library_is_no_record(tmp_path: Path, data: bytes, at: int, byte: int) -> None:
    from engram_context.reader import read_record
    from engram_context.text import Text

    text = Text.of("def f(a, b=1):\n    return a.b(b)\n" * 200)
    cache = RecordCache(tmp_path / "records")
    record = read_record(text, "python")
    cache.keep(record)
    file = next((tmp_path / "records").glob("*.record"))
    whole = record.to_bytes()
    at = min(at, len(whole) - 1)
    for damaged in (data, whole[:at] + data, whole[:at] + bytes([byte]) + whole[at + 1 :]):
        file.write_bytes(damaged)
        found = cache.find(text.digest, len(text))
        assert found is None or found.digest == text.digest
