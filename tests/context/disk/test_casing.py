"""Where upper and lower case are one, a path is spelled as on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from engram_context.disk.casing import Casing, ignores_case
from engram_context.disk.ignore import Ignore
from hypothesis import given
from hypothesis import strategies as st


class Disk:
    """A folder tree by names, whose file system does not tell upper from lower case."""

    def __init__(self, root: Path, *files: str) -> None:
        self.root = root
        self.files = files
        self.asked = 0

    def names_in(self, folder: Path) -> list[str]:
        self.asked += 1
        inside = [Path(file).parts for file in self.files]
        at = [part.casefold() for part in folder.relative_to(self.root).parts]
        found = {parts[len(at)] for parts in inside if [part.casefold() for part in parts[: len(at)]] == at}
        if not found:
            raise FileNotFoundError(folder)
        return sorted(found)


def test_a_path_gets_the_spelling_on_disk_and_what_is_not_there_keeps_its_own(tmp_path: Path) -> None:
    disk = Disk(tmp_path, "Shop/Straße.py", "Shop/caf\u00e9.py", "README.md")
    casing = Casing(tmp_path, names_in=disk.names_in)
    assert casing.true("shop/STRASSE.py") == "Shop/Straße.py"
    assert casing.true("SHOP/CAFE\u0301.PY") == "Shop/caf\u00e9.py"
    assert casing.true("readme.MD") == "README.md"
    assert casing.true("shop/New.py") == "Shop/New.py"
    assert casing.true("Other/New.py") == "Other/New.py"


def test_a_spelling_that_is_there_exactly_is_never_replaced_by_a_likeness(tmp_path: Path) -> None:
    casing = Casing(tmp_path, names_in=Disk(tmp_path, "a.py", "A.py").names_in)
    assert (casing.true("a.py"), casing.true("A.py")) == ("a.py", "A.py")


@given(st.lists(st.booleans(), min_size=20, max_size=20))
def test_any_spelling_is_the_same_file(upper: list[bool]) -> None:
    root, path = Path("/nowhere at all"), "Shop/sub/Prices.py"
    other = "".join(x.swapcase() if swap else x for x, swap in zip(path, upper, strict=False))
    assert Casing(root, names_in=Disk(root, path).names_in).true(other) == path


def test_nothing_is_looked_up_again_until_a_folder_changes(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    disk = Disk(tmp_path, "pkg/a.py")
    casing = Casing(tmp_path, names_in=disk.names_in)
    for _ in range(5):
        assert casing.true("pkg/A.py") == "pkg/a.py"
    assert disk.asked == 2
    disk.files = ("pkg/A.py",)
    os.utime(tmp_path / "pkg", ns=(1, 1))
    assert casing.true("pkg/A.py") == "pkg/A.py"


def test_the_file_system_says_whether_case_counts(tmp_path: Path) -> None:
    (tmp_path / "name.py").write_text("")
    assert ignores_case(tmp_path) == (tmp_path / "NAME.PY").exists()
    assert ignores_case(tmp_path / "gone") is False


def test_rules_ignore_case_where_files_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitignore").write_text("Generated/\n")
    assert Ignore(tmp_path).why("generated/a.py") is None or ignores_case(tmp_path)
    monkeypatch.setattr("engram_context.disk.ignore.ignores_case", lambda _: True)
    assert Ignore(tmp_path).why("generated/a.py") == ".gitignore:1: Generated/"
