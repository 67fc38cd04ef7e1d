"""The watcher on real folders. Every wait is for a condition, with a limit that only a failure reaches."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from engram_context.disk import watcher as watcher_module
from engram_context.disk.events import Watchdog
from engram_context.disk.ignore import FileState, Ignore
from engram_context.disk.network import shared_drive, type_of
from engram_context.disk.watcher import Watcher

if sys.platform.startswith("linux"):
    from engram_context.disk.inotify import Inotify

LIMIT = 15.0


class Seen:
    """Batches as they come in."""

    def __init__(self) -> None:
        self.batches: list[frozenset[str]] = []
        self.changed = threading.Condition()

    def __call__(self, batch: frozenset[str]) -> None:
        with self.changed:
            self.batches.append(batch)
            self.changed.notify_all()

    @property
    def paths(self) -> set[str]:
        return {path for batch in self.batches for path in batch}

    def until(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, LIMIT), self.batches


def python(path: str) -> bool:
    return path.endswith(".py")


@pytest.fixture(params=["events", "watchdog", "polling"])
def polling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float | None:
    if request.param == "watchdog":  # what other systems than Linux use
        monkeypatch.setattr(watcher_module, "events_of", lambda root, on_event, _: Watchdog(root, on_event))
    return 0.05 if request.param == "polling" else None


@pytest.fixture
def seen() -> Seen:
    return Seen()


@contextmanager
def watching(root: Path, seen: Seen, known: Mapping[str, FileState] | None = None, **more: Any) -> Iterator[Watcher]:
    watcher = Watcher(root, python, seen, known, **more)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


@pytest.fixture
def watch(tmp_path: Path, seen: Seen, polling: float | None) -> Iterator[Callable[[], Watcher]]:
    started: list[Watcher] = []

    def start() -> Watcher:
        watcher = Watcher(tmp_path, python, seen, polling=polling)
        started.append(watcher)
        watcher.start()
        return watcher

    yield start
    for watcher in started:
        watcher.stop()


def test_a_file_that_is_written_made_or_deleted_is_named(
    tmp_path: Path, watch: Callable[[], Watcher], seen: Seen
) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/a.py").write_text("1")
    (tmp_path / "old.py").write_text("1")
    watch()
    (tmp_path / "pkg/a.py").write_text("longer")
    (tmp_path / "new.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "old.py").unlink()
    seen.until(lambda: seen.paths >= {"pkg/a.py", "new.py", "old.py"})
    assert seen.paths == {"pkg/a.py", "new.py", "old.py"}


def test_an_atomic_save_and_a_new_folder_are_noticed(tmp_path: Path, watch: Callable[[], Watcher], seen: Seen) -> None:
    (tmp_path / "a.py").write_text("1")
    watch()
    (tmp_path / "a.py.tmp").write_text("22")
    (tmp_path / "a.py.tmp").replace(tmp_path / "a.py")
    (tmp_path / "new/deep").mkdir(parents=True)
    (tmp_path / "new/deep/b.py").write_text("")
    seen.until(lambda: seen.paths >= {"a.py", "new/deep/b.py"})
    # The new folder is watched from now on.
    (tmp_path / "new/deep/c.py").write_text("")
    seen.until(lambda: "new/deep/c.py" in seen.paths)


def test_a_folder_that_goes_takes_its_files_along(tmp_path: Path, watch: Callable[[], Watcher], seen: Seen) -> None:
    (tmp_path / "pkg/sub").mkdir(parents=True)
    (tmp_path / "pkg/a.py").write_text("")
    (tmp_path / "pkg/sub/b.py").write_text("")
    watch()
    (tmp_path / "pkg").rename(tmp_path / "renamed")
    seen.until(lambda: seen.paths >= {"pkg/a.py", "pkg/sub/b.py", "renamed/a.py", "renamed/sub/b.py"})
    shutil.rmtree(tmp_path / "renamed")
    seen.until(lambda: sum("renamed/sub/b.py" in batch for batch in seen.batches) == 2)


def test_a_folder_that_is_made_again_is_watched_again(tmp_path: Path, watch: Callable[[], Watcher], seen: Seen) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/a.py").write_text("")
    watch()
    for turn in range(3):
        shutil.rmtree(tmp_path / "pkg")
        (tmp_path / "pkg").mkdir()
        (tmp_path / f"pkg/b{turn}.py").write_text("")
        seen.until(lambda turn=turn: f"pkg/b{turn}.py" in seen.paths)
    (tmp_path / "pkg/b2.py").write_text("longer")
    seen.until(lambda: sum("pkg/b2.py" in batch for batch in seen.batches) == 2)


def test_a_branch_switch_is_few_batches_and_misses_nothing(
    tmp_path: Path, watch: Callable[[], Watcher], seen: Seen
) -> None:
    for number in range(600):
        (tmp_path / f"d{number % 7}").mkdir(exist_ok=True)
        (tmp_path / f"d{number % 7}/f{number}.py").write_text("1")
    watch()
    paths = {f"d{number % 7}/f{number}.py" for number in range(600)}
    for path in paths:
        (tmp_path / path).write_text("another")
    seen.until(lambda: seen.paths == paths)
    assert len(seen.batches) < 40


def test_ignored_files_are_not_named_until_a_rule_changes(
    tmp_path: Path, watch: Callable[[], Watcher], seen: Seen
) -> None:
    (tmp_path / ".gitignore").write_text("gen.py\n")
    (tmp_path / "gen.py").write_text("")
    (tmp_path / ".git").mkdir()
    watch()
    (tmp_path / "gen.py").write_text("longer")
    (tmp_path / ".git/hook.py").write_text("")
    (tmp_path / "a.py").write_text("")
    seen.until(lambda: "a.py" in seen.paths)
    assert seen.paths == {"a.py"}
    (tmp_path / ".gitignore").write_text("a.py\n")
    seen.until(lambda: "gen.py" in seen.paths and sum("a.py" in batch for batch in seen.batches) == 2)
    assert ".gitignore" in seen.paths  # who reads the project has to read the rules again, too


def test_a_file_that_only_looks_touched_is_not_named(tmp_path: Path, seen: Seen) -> None:
    (tmp_path / "a.py").write_text("1")
    watcher = Watcher(tmp_path, python, seen)
    watcher.start()
    try:
        watcher.hint(frozenset({"a.py", "missing.py"}))
        (tmp_path / "b.py").write_text("")
        watcher.hint(frozenset({"b.py"}))
        seen.until(lambda: "b.py" in seen.paths)
        assert seen.paths == {"b.py"}
    finally:
        watcher.stop()


def test_a_deleted_root_is_one_line_in_the_log_and_its_files_stay_known(
    tmp_path: Path, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.py").write_text("")
    watcher = Watcher(root, python, seen, polling=0.05)
    with caplog.at_level(logging.WARNING):
        watcher.start()
        try:
            root.rename(tmp_path / "elsewhere")
            end = time.monotonic() + LIMIT
            while not caplog.records and time.monotonic() < end:
                time.sleep(0.01)
            assert [record.message for record in caplog.records if "cannot be read any more" in record.message]
            (tmp_path / "elsewhere").rename(root)
            (root / "b.py").write_text("")
            seen.until(lambda: "b.py" in seen.paths)
            assert seen.paths == {"b.py"}
        finally:
            watcher.stop()
    assert sum("cannot be read any more" in record.message for record in caplog.records) == 1


class Silent:
    """Events of which none arrives."""

    def __init__(self, root: Path, on_event: object, on_overflow: Callable[[], object]) -> None:
        self.overflow = on_overflow

    def watch(self, folder: str) -> None: ...

    def looked(self) -> None: ...

    def stop(self) -> None: ...


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> list[Silent]:
    made: list[Silent] = []

    def events_of(root: Path, on_event: object, on_overflow: Callable[[], object]) -> Silent:
        made.append(Silent(root, on_event, on_overflow))
        return made[-1]

    monkeypatch.setattr(watcher_module, "events_of", events_of)
    return made


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    with caplog.at_level(logging.WARNING):
        yield lambda: [record.getMessage() for record in caplog.records]


def test_dropped_events_are_one_line_in_the_log_and_nothing_is_missed(
    tmp_path: Path, seen: Seen, silent: list[Silent], said: Callable[[], list[str]]
) -> None:
    with watching(tmp_path, seen) as watcher:
        for turn in range(3):
            (tmp_path / f"f{turn}.py").write_text("")
            silent[0].overflow()
            seen.until(lambda turn=turn: f"f{turn}.py" in seen.paths)
        assert not watcher.polling
    assert [line for line in said() if "dropped events" in line] == said()
    assert len(said()) == 1


def test_what_no_event_told_of_is_found_all_the_same(
    tmp_path: Path, seen: Seen, silent: list[Silent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "_WITH_EVENTS", 0.05)
    monkeypatch.setattr(watcher_module, "_SHARE_WITH", 0)
    with watching(tmp_path, seen):
        (tmp_path / "a.py").write_text("")
        seen.until(lambda: "a.py" in seen.paths)


def test_a_shared_drive_is_looked_at_besides_listening_and_the_log_says_so(
    tmp_path: Path, seen: Seen, silent: list[Silent], said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "shared_drive", lambda _: "nfs4")
    monkeypatch.setattr(watcher_module, "_WITHOUT_EVENTS", 0.05)
    with watching(tmp_path, seen) as watcher:
        assert watcher.polling
        (tmp_path / "a.py").write_text("")
        seen.until(lambda: "a.py" in seen.paths)
    assert len(said()) == 1
    assert "nfs4" in said()[0]


def test_looks_take_a_small_share_of_the_time(tmp_path: Path, seen: Seen) -> None:
    for polling in (None, 3.0):
        watcher = Watcher(tmp_path, python, seen, polling=polling)
        watcher._took = 10.0
        assert watcher._between() >= (3.0 if polling else 10.0 * 20)


LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how Linux tells of changes")


@LINUX
@pytest.mark.parametrize("later", [False, True])
def test_without_watches_the_folder_is_looked_at_and_it_is_said_once(
    tmp_path: Path, seen: Seen, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    monkeypatch.setattr("engram_context.disk.inotify._limit", lambda: 3)
    monkeypatch.setattr(watcher_module, "_WITHOUT_EVENTS", 0.05)
    told: list[str] = []
    folders = [tmp_path / f"d{number}/sub" for number in range(4)]
    if not later:
        for folder in folders:
            folder.mkdir(parents=True)
    with watching(tmp_path, seen, on_problem=told.append) as watcher:
        assert watcher.polling is not later
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "a.py").write_text("")
        seen.until(lambda: len(seen.paths) == 4)
        assert watcher.polling
    assert len(said()) == 1
    assert told == said()
    assert "max_user_watches" in told[0]


@LINUX
def test_without_a_queue_for_events_the_folder_is_looked_at(
    tmp_path: Path, seen: Seen, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(watcher_module, "events_of", refuse)
    monkeypatch.setattr(watcher_module, "_WITHOUT_EVENTS", 0.05)
    with watching(tmp_path, seen) as watcher:
        assert watcher.polling
        (tmp_path / "a.py").write_text("")
        seen.until(lambda: "a.py" in seen.paths)
    assert len(said()) == 1
    assert "max_user_instances" in said()[0]


@LINUX
def test_the_kernel_says_when_its_queue_was_full(tmp_path: Path) -> None:
    size = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))
    if size > 40_000:
        pytest.skip("filling the queue would take long")
    go_on, overflowed, names = threading.Event(), threading.Event(), set[str]()

    def event(path: str, is_folder: bool) -> None:
        go_on.wait(LIMIT)
        names.add(path)

    inotify = Inotify(tmp_path, event, overflowed.set)
    try:
        inotify.watch("")
        for number in range(size // 2 + 3000):
            (tmp_path / str(number)).write_text("x")  # two events: made, written
        go_on.set()
        assert overflowed.wait(LIMIT)
        (tmp_path / "afterwards").write_text("x")
        end = time.monotonic() + LIMIT
        while "afterwards" not in names and time.monotonic() < end:
            time.sleep(0.01)
        assert "afterwards" in names
    finally:
        inotify.stop()


@LINUX
def test_only_folders_of_the_project_are_watched_and_those_that_leave_it_are_let_go(tmp_path: Path, seen: Seen) -> None:
    for folder in ("pkg/sub", "node_modules/a/b", ".git/objects", "pkg/__pycache__", "build/x"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pkg/loop").symlink_to(tmp_path)
    (tmp_path / ".gitignore").write_text("build/\n")
    with watching(tmp_path, seen) as watcher:
        assert isinstance(watcher._events, Inotify)
        watched = watcher._events._folders
        assert set(watched.values()) == {"", "pkg", "pkg/sub"}
        (tmp_path / "pkg").rename(tmp_path / "moved")
        (tmp_path / "moved/a.py").write_text("")
        seen.until(lambda: "moved/a.py" in seen.paths)
        assert set(watched.values()) == {"", "moved", "moved/sub"}
        (tmp_path / ".gitignore").write_text("moved/\n")
        (tmp_path / "b.py").write_text("")
        seen.until(lambda: "b.py" in seen.paths and sum("moved/a.py" in batch for batch in seen.batches) == 2)
        assert set(watched.values()) == {"", "build", "build/x"}


def test_what_changed_before_the_watch_began_is_named(tmp_path: Path, seen: Seen) -> None:
    for name in ("same.py", "written.py", "gone.py"):
        (tmp_path / name).write_text("1")
    known = dict(Ignore(tmp_path).walk(python))
    (tmp_path / "written.py").write_text("longer")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "new.py").write_text("")
    with watching(tmp_path, seen, known):
        seen.until(lambda: seen.paths == {"written.py", "gone.py", "new.py"})


def test_a_file_that_changes_twice_within_the_resolution_of_its_time_is_named_again(
    tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "_SETTLED", 1.0)
    with watching(tmp_path, seen):
        (tmp_path / "a.py").write_text("1")
        seen.until(lambda: "a.py" in seen.paths)
        state = (tmp_path / "a.py").stat()
        (tmp_path / "a.py").write_text("2")
        os.utime(tmp_path / "a.py", ns=(state.st_atime_ns, state.st_mtime_ns))
        seen.until(lambda: sum("a.py" in batch for batch in seen.batches) == 2)


def test_a_root_that_is_made_again_is_watched_again(
    tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "_WITHOUT_EVENTS", 0.05)
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.py").write_text("1")
    with watching(root, seen) as watcher:
        shutil.rmtree(root)
        end = time.monotonic() + LIMIT
        while not watcher._root_gone and time.monotonic() < end:
            time.sleep(0.01)
        root.mkdir()
        (root / "b.py").write_text("1")
        seen.until(lambda: seen.paths >= {"a.py", "b.py"})
        (root / "c.py").write_text("1")
        seen.until(lambda: "c.py" in seen.paths)


def test_the_drive_of_a_folder_is_the_innermost_mount() -> None:
    mounts = [("/", "ext4"), ("/home", "nfs4"), ("/home/me/local", "xfs"), ("/mnt/c", "drvfs"), ("/homes", "btrfs")]
    kinds = {path: type_of(path, mounts) for path in ("/home/me/p", "/home/me/local/p", "/mnt/c/p", "/homes/x", "/tmp")}
    assert list(kinds.values()) == ["nfs4", "xfs", "drvfs", "btrfs", "ext4"]
    assert type_of("/x", []) == ""
    # What was mounted last over a place counts.
    assert type_of("/a/b", [("/a", "ext4"), ("/a", "fuse.sshfs")]) == "fuse.sshfs"


def test_drives_that_others_write_to_are_told_from_local_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engram_context.disk.network.sys.platform", "linux")
    for kind, shared in [
        ("nfs4", True), ("cifs", True), ("smb3", True), ("9p", True), ("fuse.sshfs", True), ("virtiofs", True),
        ("ext4", False), ("fuseblk", False), ("fuse.ntfs-3g", False), ("overlay", False), ("tmpfs", False),
    ]:  # fmt: skip
        monkeypatch.setattr("engram_context.disk.network._mounts", lambda kind=kind: [("/", kind)])
        assert bool(shared_drive(tmp_path)) == shared, kind


def test_a_batch_that_fails_does_not_end_the_watch(tmp_path: Path, seen: Seen) -> None:
    def fail_first(batch: frozenset[str]) -> None:
        seen(batch)
        if len(seen.batches) == 1:
            raise RuntimeError("no")

    watcher = Watcher(tmp_path, python, fail_first)
    watcher.start()
    try:
        (tmp_path / "a.py").write_text("")
        seen.until(lambda: "a.py" in seen.paths)
        (tmp_path / "b.py").write_text("")
        seen.until(lambda: "b.py" in seen.paths)
    finally:
        watcher.stop()
