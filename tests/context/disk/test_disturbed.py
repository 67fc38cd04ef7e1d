"""A project whose files change, go and hide while it is read ends at what a fresh look would find."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from engram_context.disk.ignore import FileState
from engram_context.disk.indexing import Coding
from engram_context.disk.watcher import Watcher
from engram_context.languages import language_of
from engram_context.project import Project
from engram_context.text import Text


def letters(_: str) -> Callable[[str], Sequence[int]]:
    return lambda text: [min(ord(letter), 200) for letter in text]


CODING = Coding(letters, "", 256, "letters")
Make = Callable[..., Project]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def make(root: Path, tmp_path: Path) -> Iterator[Make]:
    made: list[Project] = []

    def project(**settings: object) -> Project:
        folder = tmp_path / f"cache{len(made)}"
        made.append(Project(root, CODING, cache_folder=folder, workers=1, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield project
    for each in made:
        each.close_project()


def write(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")


def state_of(project: Project) -> tuple[dict[str, bytes], dict[str, list[int]]]:
    records = {path: record.to_bytes() for path, record in project.snapshot.records.items()}
    tokens = {path: np.asarray(project.memory.text(path)).tolist() for path in project.memory.paths}
    return records, {path: ids for path, ids in tokens.items() if ids}


def test_files_that_go_change_and_come_while_they_are_read_end_as_they_are(root: Path, make: Make) -> None:
    write(root, {f"pkg/f{number}.py": f"x{number} = 1\n" for number in range(30)})
    project, turn = make(), iter(range(1000))

    def disturb(_done: int, _total: int, path: str) -> None:
        number = next(turn)
        if number % 3 == 0:
            (root / f"pkg/f{29 - number // 2}.py").unlink(missing_ok=True)
        elif number % 3 == 1:
            write(root, {path: f"changed_{number} = 2\n"})
        else:
            write(root, {f"later/g{number}.py": "later = 1\n"})

    project.apply(project.load(disturb))
    fresh = make()
    fresh.apply(fresh.load())
    done = threading.Event()

    def batch(paths: frozenset[str]) -> None:
        project.apply(project.files_changed(paths))
        if state_of(project) == state_of(fresh):
            done.set()

    watcher = Watcher(root, lambda path: language_of(path) is not None, batch, project.states)
    watcher.start()
    try:
        assert done.wait(15), state_of(project)[0].keys() ^ state_of(fresh)[0].keys()
    finally:
        watcher.stop()


def test_a_change_that_time_and_size_do_not_show_is_found_by_its_content(root: Path, make: Make) -> None:
    write(root, {"a.py": "one = 1\n"})
    project = make()
    project.apply(project.load())
    state = (root / "a.py").stat()
    write(root, {"a.py": "two = 2\n"})
    os.utime(root / "a.py", ns=(state.st_atime_ns, state.st_mtime_ns))
    # What was written just now is not believed to be settled: the next look at the folder reads it again.
    assert project.states["a.py"] != FileState(state.st_mtime_ns, state.st_size)
    project.apply(project.rescan())
    assert {symbol.name for symbol in project.snapshot.records["a.py"].symbols} == {"two"}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that may not be read")
def test_a_folder_that_may_not_be_read_is_absent_and_back_when_it_may(root: Path, make: Make) -> None:
    write(root, {"a.py": "x = 1\n", "hidden/b.py": "y = 1\n"})
    (root / "hidden").chmod(0)
    project = make()
    try:
        project.apply(project.load())
        assert project.snapshot.paths == ("a.py",)
        assert "cannot be looked at" in (project.why_not("hidden/b.py") or "")
    finally:
        (root / "hidden").chmod(0o700)
    project.apply(project.rescan())
    assert project.snapshot.paths == ("a.py", "hidden/b.py")


def test_source_whose_name_tells_of_secrets_has_names_and_no_tokens_however_it_was_read(root: Path, make: Make) -> None:
    secret = "def login():\n    return 'hunter2 hunter2'\n"
    write(root, {"a.py": "from credentials import login\nlogin()\n", "credentials.py": secret})
    project = make()
    project.apply(project.load())
    assert project.snapshot.paths == ("a.py", "credentials.py")
    before = project.memory.tokens
    assert before == len("from credentials import login\nlogin()\n")
    write(root, {"credentials.py": secret + "x = 1\n"})
    project.apply(project.files_changed({"credentials.py"}))
    assert project.memory.tokens == before
    project.open("credentials.py", Text.of(secret + "y = 2\n"))
    project.settle()
    assert project.memory.tokens == before
    assert {symbol.name for symbol in project.snapshot.records["credentials.py"].symbols} == {"login", "y"}
    assert project.excerpts("a.py", 40, 2000) == ()
    assert not project.may_be_shown("credentials.py")


def test_what_is_left_out_and_open_is_quoted_to_nobody(root: Path, make: Make) -> None:
    write(root, {".engramignore": "own.py\n", "own.py": "", "a.py": "compute_total(1)\n", "b.py": "compute_total(2)\n"})
    project = make()
    project.apply(project.load())
    project.open("own.py", Text.of("def compute_total(of):\n    return 'hunter2'\n"))
    project.settle()
    assert {excerpt.path for excerpt in project.excerpts("a.py", 10, 2000)} <= {"b.py"}
    assert "own.py" not in project.memory.paths


@pytest.mark.parametrize("name", [".env", "id_rsa", "server.key"])
def test_a_secret_document_has_no_record_and_no_tokens(root: Path, make: Make, name: str) -> None:
    project = make()
    project.apply(project.load())
    project.open(name, Text.of("hunter2 = 'hunter2'\n"))
    project.settle()
    assert len(project.snapshot.records[name].symbols) == 0
    assert project.memory.tokens == 0
    assert project.snapshot.files_naming("hunter2") == ()


def test_of_a_document_above_the_limit_nothing_is_read_until_it_shrinks(root: Path, make: Make) -> None:
    write(root, {"a.py": "x = 1\n" * 500})
    project = make(largest=1000)
    project.apply(project.load())
    assert project.snapshot.paths == ()
    assert project.why_not("a.py") == "larger than the limit of 1,000 bytes"
    text = Text.of("x = 1\n" * 500)
    project.open("a.py", text)
    project.settle()
    assert project.behind == frozenset()
    assert project.tree("a.py", text) is None
    assert project.memory.tokens == 0
    assert project.view("a.py", 30).next([ord(letter) for letter in "x ="]) is not None  # its own window counts
    project.edit("a.py", Text.of("y = 1\n"))
    project.settle()
    assert {symbol.name for symbol in project.snapshot.records["a.py"].symbols} == {"y"}


def test_no_more_files_are_read_than_may_be(root: Path, make: Make) -> None:
    write(root, {"a.py": "", "b.py": "", "deep/c.py": "", "deep/d.py": ""})
    project = make(most=2)
    project.apply(project.load())
    assert project.snapshot.paths == ("a.py", "b.py")
    assert project.why_not("deep/c.py") == "it has not been read: there are too many files, or it is new"
