"""A project after any sequence of events equals one that is read afresh."""

from __future__ import annotations

import logging
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from engram_context.disk.indexing import Coding
from engram_context.project import Change, Project
from engram_context.text import Text
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

VOCAB = 500
_WORD = re.compile(r"\s*\n[ \t]*| ?\w+| ?[^\s\w]+|\s+")


def small_encoding(_: str) -> Callable[[str], Sequence[int]]:
    """A tokenizer without a vocabulary: words by their checksum."""
    return lambda text: [1 + zlib.crc32(word.encode("utf-8")) % (VOCAB - 1) for word in _WORD.findall(text)]


CODING = Coding(small_encoding, "", VOCAB, "test")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Iterator[Project]:
    made = Project(root, CODING, cache_folder=tmp_path / "cache", workers=1)
    yield made
    made.close_project()


def age(path: Path) -> None:
    """Make a file look settled: what was written this second is never trusted to stay."""
    old = path.stat().st_mtime_ns - 10_000_000_000
    os.utime(path, ns=(old, old))


def write(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")
        age(root / path)


def state_of(project: Project) -> tuple[dict[str, bytes], dict[str, list[int]]]:
    records = {path: record.to_bytes() for path, record in project.snapshot.records.items()}
    tokens = {path: np.asarray(project.memory.text(path)).tolist() for path in project.memory.paths}
    return records, tokens


def names(project: Project, path: str) -> set[str]:
    record = project.snapshot.record(path)
    assert record is not None
    return {symbol.name for symbol in record.symbols}


def test_a_second_start_reads_only_what_changed_and_ends_the_same(root: Path, tmp_path: Path) -> None:
    write(root, {"a.py": "x = 1\n", "pkg/b.py": "def f(): pass\n", "c.py": "gone = 1\n"})
    first = Project(root, CODING, cache_folder=tmp_path / "cache", workers=1)
    seen: list[str] = []
    first.apply(first.load(lambda _done, _total, path: seen.append(path)))
    assert sorted(seen) == ["a.py", "c.py", "pkg/b.py"]
    first.close_project()
    seen.clear()
    (root / "c.py").unlink()
    write(root, {"a.py": "x = 1\ny = 2\n"})
    second = Project(root, CODING, cache_folder=tmp_path / "cache", workers=1)
    second.apply(second.load(lambda _done, _total, path: seen.append(path)))
    assert seen == ["a.py"]
    fresh = Project(root, CODING, cache_folder=tmp_path / "other", workers=1)
    fresh.apply(fresh.load())
    assert state_of(second) == state_of(fresh)
    assert second.counts() == fresh.counts()
    second.close_project()
    fresh.close_project()


def test_worker_processes_read_what_this_process_reads(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engram_context.disk.indexing._WORTH_WORKERS", 0)
    write(root, {f"pkg{n % 5}/f{n}.py": f"def name_{n}(a, b): return a.x{n} + {n}\n" * n for n in range(60)})
    write(root, {"bad.py": "\0", "half.py": "def f(:\n  x ="})
    (root / "latin.py").write_bytes(b"# no cookie \xff\n")
    age(root / "latin.py")
    here = Project(root, CODING, cache_folder=tmp_path / "here", workers=1)
    here.apply(here.load())
    there = Project(root, CODING, cache_folder=tmp_path / "there", workers=2)
    done: list[tuple[int, int]] = []
    there.apply(there.load(lambda number, total, _: done.append((number, total))))
    assert state_of(here) == state_of(there)
    assert done == [(n, 63) for n in range(1, 64)]
    assert there.why_not("bad.py") == "binary (it contains a zero byte)"
    assert "not UTF-8" in (there.why_not("latin.py") or "")
    assert there.why_not("half.py") is None
    here.close_project()
    there.close_project()


def test_a_cancelled_load_stops_soon_and_keeps_what_it_read(root: Path, project: Project) -> None:
    write(root, {f"f{n}.py": f"x{n} = 1\n" for n in range(50)})
    seen: list[str] = []
    project.apply(project.load(lambda _done, _total, path: seen.append(path), lambda: len(seen) >= 7))
    assert len(seen) == 7
    assert set(project.snapshot.paths) == set(seen)
    project.apply(project.load())
    assert len(project.snapshot.paths) == 50


def test_an_open_document_counts_before_the_disk_until_it_is_closed(root: Path, project: Project) -> None:
    write(root, {"a.py": "disk = 1\n"})
    project.apply(project.load())
    project.open("a.py", Text.of("unsaved = 1\n"))
    assert project.behind == {"a.py"}
    project.settle()
    assert names(project, "a.py") == {"unsaved"}
    assert project.behind == frozenset()
    write(root, {"a.py": "elsewhere = 1\n"})
    project.apply(project.files_changed({"a.py"}))
    assert names(project, "a.py") == {"unsaved"}
    project.close("a.py")
    project.settle()
    assert names(project, "a.py") == {"elsewhere"}
    text = project.text("a.py")
    assert text is not None
    assert text.decode() == "elsewhere = 1\n"


def test_the_same_contents_again_are_no_change(root: Path, project: Project) -> None:
    write(root, {"a.py": "x = 1\n"})
    project.apply(project.load())
    snapshot, generation = project.snapshot, project.memory.generation
    os.utime(root / "a.py")
    change = project.files_changed({"a.py", "missing.py", "notes.txt"})
    assert change.paths == frozenset()
    project.apply(change)
    assert project.snapshot is snapshot
    project.open("a.py", Text.of("x = 1\n"))
    project.settle()
    assert project.snapshot is snapshot
    assert project.memory.generation == generation


def test_a_deleted_file_takes_its_symbols_and_ngrams_along(root: Path, project: Project) -> None:
    write(root, {"a.py": "special_name = other_name + 1\n", "b.py": "x = 1\n"})
    project.apply(project.load())
    context = project.encode("special_name =").tolist()
    assert project.memory.view().match_length(context) == len(context)
    (root / "a.py").unlink()
    project.apply(project.files_changed({"a.py"}))
    assert project.snapshot.paths == ("b.py",)
    assert project.memory.paths == {"b.py"}
    assert project.memory.view().match_length(context) == 1  # the "=" of b.py


def test_a_file_of_an_ignored_folder_is_looked_at_while_open_but_not_learned(root: Path, project: Project) -> None:
    write(root, {".gitignore": "private/\n", "private/a.py": "secret = 1\n", "b.py": "x = 1\n"})
    project.apply(project.load())
    assert project.snapshot.paths == ("b.py",)
    assert project.why_not("private/a.py") == ".gitignore:1: private/"
    project.open("private/a.py", Text.of("secret = 2\n"))
    project.settle()
    assert names(project, "private/a.py") == {"secret"}
    assert project.memory.paths == {"b.py"}
    project.close("private/a.py")
    project.settle()
    assert project.snapshot.paths == ("b.py",)


def test_a_watched_change_of_the_rules_changes_what_belongs_to_the_project(root: Path, project: Project) -> None:
    write(root, {"private/a.py": "secret = 1\n", "b.py": "x = 1\n"})
    project.apply(project.load())
    write(root, {".gitignore": "private/\n"})
    project.apply(project.files_changed({".gitignore"}))
    assert project.snapshot.paths == ("b.py",)
    write(root, {".gitignore": "b.py\n"})
    project.apply(project.files_changed({".gitignore"}))
    assert project.snapshot.paths == ("private/a.py",)


def test_a_new_ignore_rule_takes_files_out_at_the_next_look(root: Path, project: Project) -> None:
    write(root, {"a.py": "x = 1\n", "gen/b.py": "y = 1\n"})
    project.apply(project.load())
    write(root, {".engramignore": "gen\n"})
    project.apply(project.rescan())
    assert project.snapshot.paths == ("a.py",)
    assert project.memory.paths == {"a.py"}
    (root / ".engramignore").unlink()
    project.apply(project.rescan())
    assert project.snapshot.paths == ("a.py", "gen/b.py")


def test_an_older_reading_never_replaces_a_newer_one(root: Path, project: Project) -> None:
    write(root, {"a.py": "one = 1\n"})
    project.apply(project.load())
    write(root, {"a.py": "second = 2\n"})
    older = project.files_changed({"a.py"})
    write(root, {"a.py": "third = 3, 3\n"})
    newer = project.files_changed({"a.py"})
    project.apply(newer)
    project.apply(older)
    assert names(project, "a.py") == {"third"}


def test_back_and_forth_while_reading_is_noticed(root: Path, project: Project) -> None:
    write(root, {"a.py": "one = 1\n"})
    project.apply(project.load())
    write(root, {"a.py": "second = 2\n"})
    forth = project.files_changed({"a.py"})
    write(root, {"a.py": "one = 1\n"})
    back = project.files_changed({"a.py"})  # nothing new, as far as it can see
    project.apply(forth)
    project.apply(back)
    project.settle()
    assert names(project, "a.py") == {"one"}


def test_a_load_does_not_undo_what_happened_during_it(root: Path, project: Project) -> None:
    write(root, {"a.py": "disk = 1\n", "b.py": "old = 1\n", "c.py": "kept = 1\n"})
    loaded = project.load()
    project.open("a.py", Text.of("typed = 1\n"))
    project.settle()
    write(root, {"b.py": "newer = 1\n"})
    project.apply(project.files_changed({"b.py"}))
    project.apply(loaded)
    assert names(project, "a.py") == {"typed"}
    assert names(project, "b.py") == {"newer"}
    assert names(project, "c.py") == {"kept"}
    assert project.memory.text("a.py") is not None
    assert project.memory.text("a.py").tolist() == project.encode("typed = 1\n").tolist()  # type: ignore[union-attr]
    assert project.memory.text("b.py").tolist() == project.encode("newer = 1\n").tolist()  # type: ignore[union-attr]


def test_a_view_never_sees_the_text_at_its_own_place(root: Path, project: Project) -> None:
    source = "alpha = beta + gamma\n"
    write(root, {"a.py": source, "b.py": "alpha = beta - delta\n"})
    project.apply(project.load())
    offset = len("alpha = beta")
    view = project.view("a.py", offset)
    draft = view.propose(project.encode(source[:offset]).tolist(), 2)
    assert draft == project.encode(" - delta").tolist()[:2]
    # And typing does not have to reach the memory first.
    project.open("a.py", Text.of("zeta = eta\nzeta"))
    view = project.view("a.py", len("zeta = eta\nzeta"))
    assert view.propose(project.encode("zeta").tolist(), 1) == project.encode(" =").tolist()


def test_a_root_that_goes_away_is_an_error_and_loses_nothing(root: Path, project: Project) -> None:
    write(root, {"a.py": "x = 1\n"})
    project.apply(project.load())
    shutil.rmtree(root)
    with pytest.raises(OSError):
        project.rescan()
    with pytest.raises(OSError):
        project.load()
    assert project.snapshot.paths == ("a.py",)
    assert project.text("a.py") is None
    assert project.findings("a.py") == ()
    with pytest.raises(NotADirectoryError):
        Project(root, CODING)


def test_a_project_without_a_tokenizer_has_everything_but_ngrams(root: Path, tmp_path: Path) -> None:
    write(root, {"a.py": "x = 1\n"})
    project = Project(root, cache_folder=tmp_path / "cache", workers=1)
    project.apply(project.load())
    assert names(project, "a.py") == {"x"}
    assert project.memory.tokens == 0
    assert project.view("a.py", 3).next([1]) is None
    project.close_project()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a file that may not be read")
def test_a_file_that_may_not_be_read_is_absent_with_a_reason(root: Path, project: Project) -> None:
    write(root, {"a.py": "x = 1\n"})
    (root / "a.py").chmod(0)
    project.apply(project.load())
    assert project.snapshot.paths == ()
    assert "denied" in (project.why_not("a.py") or "").lower()


def test_a_large_file_is_absent_with_a_reason_and_counts_once_it_shrinks(root: Path, project: Project) -> None:
    write(root, {"big.py": "x = 1\n" * 2_000_000})
    project.apply(project.load())
    assert project.snapshot.paths == ()
    assert "larger than the limit" in (project.why_not("big.py") or "")
    write(root, {"big.py": "x = 1\n"})
    project.apply(project.files_changed({"big.py"}))
    assert project.snapshot.paths == ("big.py",)
    write(root, {"big.py": "\0"})
    project.apply(project.files_changed({"big.py"}))
    assert project.snapshot.paths == ()
    assert project.memory.paths == frozenset()


def test_of_a_folder_that_is_too_large_the_files_near_its_root_are_read(
    root: Path, project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(root, {f"{'deep/' * depth}f{depth}.py": "x = 1\n" for depth in range(9)})
    monkeypatch.setattr("engram_context.project._MOST_FILES", 3)
    with caplog.at_level(logging.WARNING):
        project.apply(project.load())
    assert project.snapshot.paths == ("deep/deep/f2.py", "deep/f1.py", "f0.py")
    assert "only the first 3 are read" in caplog.text
    project.apply(project.rescan())
    assert len(project.snapshot.paths) == 3


def test_damaged_rows_of_the_cache_are_read_from_the_files_again(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(root, {"a.py": "x = 1\n", "b.py": "y = 1\n"})
    first = Project(root, CODING, cache_folder=tmp_path / "cache", workers=1)
    first.apply(first.load())
    assert first._store._connection is not None
    with first._store._connection as connection:
        connection.execute("UPDATE files SET record = x'00ff' WHERE path = 'a.py'")
        connection.execute("UPDATE files SET tokens = x'00ff00' WHERE path = 'b.py'")
    first.close_project()
    second = Project(root, CODING, cache_folder=tmp_path / "cache", workers=1)
    with caplog.at_level(logging.ERROR):
        second.apply(second.load())
    assert names(second, "a.py") == {"x"}
    assert second.memory.tokens == len(second.encode("x = 1\n")) * 2
    second.close_project()


PATHS = ["a.py", "b.py", "pkg/a.py", "pkg/sub/c.py", "skip/d.py", "notes.txt"]
sources = st.sampled_from(
    [
        "",
        "x = 1\n",
        "x = 2\n",
        "def f(a):\n    return a\n",
        "from b import f\nf(1)\n",
        "def (:\n",
        "é = '\U0001f600'\r\n",
    ]
)
paths = st.sampled_from(PATHS)


class Events(RuleBasedStateMachine):
    """Files and documents change in any order, and readings are applied late."""

    folders: list[Path]

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.base = Path(tempfile.mkdtemp())
        self.root = self.base / "root"
        self.root.mkdir()
        self.project = Project(self.root, CODING, cache_folder=self.base / "cache", workers=1)
        self.documents: dict[str, str] = {}
        self.waiting: list[Change] = []
        self.clock = 1_000_000_000_000_000_000

    def teardown(self) -> None:
        self.project.close_project()
        shutil.rmtree(self.base)

    @initialize(ignored=st.booleans())
    def begin(self, ignored: bool) -> None:
        if ignored:
            (self.root / ".gitignore").write_text("skip/\n")

    @rule(path=paths, source=sources)
    def write(self, path: str, source: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(source.encode("utf-8"))
        self.clock += 1_000_000
        os.utime(file, ns=(self.clock, self.clock))

    @rule(path=paths)
    def delete(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    @rule(path=st.sampled_from(PATHS[:5]), source=sources)
    def type(self, path: str, source: str) -> None:
        self.documents[path] = source
        self.project.edit(path, Text.of(source))

    @rule(path=paths)
    def close(self, path: str) -> None:
        if self.documents.pop(path, None) is not None:
            self.project.close(path)

    @rule(path=paths)
    def hear_of_one(self, path: str) -> None:
        self.waiting.append(self.project.files_changed({path}))

    @rule()
    def look_at_all(self) -> None:
        self.waiting.append(self.project.rescan())

    @rule()
    def load(self) -> None:
        self.waiting.append(self.project.load())

    @rule()
    def read_documents(self) -> None:
        self.waiting.append(self.project.refresh())

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def apply_one(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.waiting) - 1))
        self.project.apply(self.waiting.pop(index))

    @rule()
    def restart(self) -> None:
        self.project.close_project()
        self.waiting.clear()
        self.documents.clear()
        self.project = Project(self.root, CODING, cache_folder=self.base / "cache", workers=1)
        self.project.apply(self.project.load())

    @rule()
    def save(self) -> None:
        self.project.save()

    @invariant()
    def once_nothing_waits_it_equals_a_fresh_reading(self) -> None:
        if self.waiting:
            return
        self.project.apply(self.project.rescan())
        self.project.settle()
        self.project.settle()
        fresh = Project(self.root, CODING, cache_folder=self.base / "fresh", workers=1)
        fresh.apply(fresh.load())
        for path, source in self.documents.items():
            fresh.open(path, Text.of(source))
        fresh.settle()
        assert state_of(self.project) == state_of(fresh)
        assert self.project.behind == frozenset()
        fresh.close_project()
        shutil.rmtree(self.base / "fresh")


Events.TestCase.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_any_order_of_events_ends_in_what_a_fresh_reading_sees = Events.TestCase


def tokens(project: Project, path: str) -> list[int]:
    found = project.memory.text(path)
    assert found is not None
    return found.tolist()


def test_of_many_changed_files_the_tokens_come_after_the_names(root: Path, project: Project, tmp_path: Path) -> None:
    write(root, {f"f{n}.py": f"first{n} = {n}\n" for n in range(130)})
    project.apply(project.load())
    write(root, {f"f{n}.py": f"second{n} = {n}\n" for n in range(120)})
    change = project.refresh(f"f{n}.py" for n in range(120))
    project.apply(change)
    assert project.snapshot.files_naming("second7") == ("f7.py",)
    write(root, {"f3.py": "third = 3\n"})
    portions = project.late_tokens(change)
    project.apply(project.refresh(["f3.py"]))
    project.open("f4.py", Text.of("open4 = 4\n"))
    project.settle()
    assert len(portions) > 1
    for portion in portions:
        project.apply_tokens(portion)
    project.close("f4.py")
    project.settle()
    project.save()
    fresh = Project(root, CODING, cache_folder=tmp_path / "other", workers=1)
    fresh.apply(fresh.load())
    assert project.snapshot.index.names() == fresh.snapshot.index.names()
    assert project.memory.paths == fresh.memory.paths
    for path in fresh.memory.paths:
        assert tokens(project, path) == tokens(fresh, path), path
    again = Project(root, CODING, cache_folder=tmp_path / "cache", workers=1)
    again.apply(again.load())
    for path in fresh.memory.paths:
        assert tokens(again, path) == tokens(fresh, path), path
    fresh.close_project()
    again.close_project()
