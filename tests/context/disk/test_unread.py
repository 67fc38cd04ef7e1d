"""Answers before the index is there are the answers that the index gives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from engram_context.disk import indexing
from engram_context.disk.unread import ScannedNames
from engram_context.edits import ProjectEdit, Refusal
from engram_context.project import Project
from engram_context.reader import read_record
from engram_context.records import FileRecord
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Text

FILES = {
    "shop/__init__.py": "from shop.cart import Cart\n__all__ = ['Cart']\n",
    "shop/cart.py": "from shop import prices\nfrom shop.base import *\n\n\nclass Cart(Basket):\n"
    "    def total(self, rate=1):\n        return prices.total(self.items, rate=rate)\n\n    @property\n"
    "    def first(self):\n        return self.items[0]\n",
    "shop/base.py": "class Basket:\n    def __init__(self):\n        self.items = []\n\n    def total(self, rate=1):\n"
    "        return 0\n\n\ndef café(total): return total\n",
    "shop/prices.py": "def total(items, rate):\n    # total of the items\n    return sum(items) * rate\n",
    "shop/latin.py": "# -*- coding: latin-1 -*-\nfrom shop.base import caf\xe9\ncaf\xe9(total=1)\n",
    "main.py": "from shop import Cart\ncart = Cart()\nprint(cart.total(rate=2), cart.first, 'total')\n",
    "broken.py": "from shop import Cart\ndef f(:\n    Cart().total()\n",
    "notes.md": "The total of a Cart.\n",
    "nul.py": "x = 1\0\n",
}


def write(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode("latin-1" if "latin" in path else "utf-8"))


def opened(root: Path, cache: Path) -> Project:
    return Project(root, cache_folder=cache, workers=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "root", FILES)
    return tmp_path / "root"


@pytest.fixture
def indexed(root: Path, tmp_path: Path) -> Iterator[Snapshot]:
    project = opened(root, tmp_path / "indexed")
    project.apply(project.load())
    yield project.snapshot
    project.close_project()


def unread(root: Path, cache: Path) -> Snapshot:
    """As it is when only the names of the files are known."""
    project = opened(root, cache)
    project.apply(next(project.stages()))
    assert isinstance(project.snapshot.index, ScannedNames)
    return project.snapshot


def answers(snapshot: Snapshot, place: Place) -> tuple[object, ...]:
    renamed = snapshot.rename(place, "entirely_new")
    return (
        snapshot.definitions(place),
        snapshot.references(place),
        snapshot.hover(place),
        renamed if isinstance(renamed, Refusal) else shown(renamed),
    )


def shown(edit: ProjectEdit) -> object:
    return repr(edit)


def places(snapshot: Snapshot, path: str) -> list[Place]:
    return [Place(path, start) for start in snapshot.records[path].occurrences.start]


def test_every_name_means_the_same_before_anything_else_was_read(root: Path, tmp_path: Path, indexed: Snapshot) -> None:
    asked = 0
    for path in indexed.paths:
        for place in places(indexed, path):
            asked += 1
            assert answers(unread(root, tmp_path / "none"), place) == answers(indexed, place), place
            shutil.rmtree(tmp_path / "none")
    assert asked > 60


def test_names_are_in_the_same_files(root: Path, tmp_path: Path, indexed: Snapshot) -> None:
    before = unread(root, tmp_path / "none")
    assert len(indexed.index.names()) > 15
    for name in (*indexed.index.names(), "The", "nowhere", "tota", "otal"):
        assert before.files_naming(name) == indexed.files_naming(name), name
        assert before.definers[name] == indexed.definers[name], name
        assert set(before.files_naming(name, "Cart")) <= set(indexed.files_naming(name))
    assert indexed.index.names() - {"*"} <= before.index.names()


def test_edits_count_before_the_index_is_there(root: Path, tmp_path: Path, indexed: Snapshot) -> None:
    project = opened(root, tmp_path / "none")
    stages = project.stages()
    project.apply(next(stages))
    project.edit("main.py", Text.of("from shop import prices\nprices.total([], 1)\nfresh = 1\n"))
    project.edit("new.py", Text.of("from shop.prices import total\n"))
    project.settle()
    (root / "shop" / "base.py").unlink()
    project.apply(project.refresh(["shop/base.py"]))
    snapshot = project.snapshot
    assert isinstance(snapshot.index, ScannedNames)
    changed = indexed.after({path: snapshot.records[path] for path in ("main.py", "new.py")}).after(
        {"shop/base.py": None}
    )
    for name in ("total", "fresh", "Basket", "prices", "cart"):
        assert snapshot.files_naming(name) == changed.files_naming(name), name
        assert snapshot.definers[name] == changed.definers[name], name
    for change in stages:
        project.apply(change)
    assert not isinstance(project.snapshot.index, ScannedNames)
    assert project.snapshot.paths == changed.paths
    for name in ("total", "fresh", "Basket", "prices", "cart"):
        assert project.snapshot.files_naming(name) == changed.files_naming(name), name
    project.close_project()


def test_what_a_question_read_is_not_read_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(text: Text, language: str) -> FileRecord:
        read.append(text.decode())
        return read_record(text, language)

    monkeypatch.setattr(indexing, "read_record", counted)
    project = opened(root, tmp_path / "none")
    stages = project.stages()
    project.apply(next(stages))
    assert read == []
    assert project.snapshot.files_naming("total")
    assert 0 < len(read) < len(FILES)
    for change in stages:
        project.apply(change)
    assert len(read) == len(set(read)) == len(project.snapshot.paths)
    project.close_project()


def test_a_file_that_goes_away_unread_is_a_file_with_nothing_in_it(root: Path, tmp_path: Path) -> None:
    snapshot = unread(root, tmp_path / "none")
    (root / "shop" / "prices.py").unlink()
    assert snapshot.records["shop/prices.py"].names == ()
    assert "shop/prices.py" not in snapshot.files_naming("total")


def test_a_real_package_is_the_same_either_way(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "json"
    shutil.copytree(Path(json.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    project = opened(tmp_path / "root", tmp_path / "indexed")
    project.apply(project.load())
    for name in ("JSONDecoder", "scanstring", "dumps", "indent", "encode"):
        path = project.snapshot.definers[name][0] if project.snapshot.definers[name] else "json/encoder.py"
        record = project.snapshot.records[path]
        at = record.occurrences_of(name)[0]
        place = Place(path, record.occurrences.start[at])
        assert answers(unread(tmp_path / "root", tmp_path / "none"), place) == answers(project.snapshot, place)
        shutil.rmtree(tmp_path / "none")
    project.close_project()
