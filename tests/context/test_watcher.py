"""The watcher on real folders. Every wait is for a condition, with a limit that only a failure reaches."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engram_context.watcher import Watcher

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


@pytest.fixture(params=["events", "polling"])
def polling(request: pytest.FixtureRequest) -> float | None:
    return None if request.param == "events" else 0.05


@pytest.fixture
def seen() -> Seen:
    return Seen()


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


def test_without_events_the_folder_is_looked_at_and_the_log_says_so(
    tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("watchdog.observers.api.BaseObserver.schedule", refuse)
    watcher = Watcher(tmp_path, python, seen)
    with caplog.at_level(logging.WARNING):
        watcher.start()
    try:
        assert watcher.polling
        assert "cannot be watched" in caplog.text
        (tmp_path / "a.py").write_text("")
        watcher.rescan()
        seen.until(lambda: "a.py" in seen.paths)
    finally:
        watcher.stop()


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
