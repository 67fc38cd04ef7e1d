"""The split by time, in a repository made here."""

import subprocess
from pathlib import Path

import pytest
from engram_lsp.evaluation.history import split
from engram_lsp.evaluation.questions import Questions
from engram_lsp.evaluation.repositories import RepositoryError

OLD = '"""A module that was here from the beginning, long enough to be asked about."""\n\n\n' + "".join(
    f"def old_{i}(value):\n    return value + {i}\n\n\n" for i in range(6)
)
NEW = OLD + "def added(value):\n    doubled = value * 2\n    return doubled\n"
FRESH = OLD.replace("old_", "fresh_")


def git(folder: Path, *arguments: str, when: str = "2024-01-01T00:00:00+00:00") -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "core.autocrlf=false")
    environment = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, "GIT_CONFIG_NOSYSTEM": "1"}
    import os

    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, env=os.environ | environment
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "pkg").mkdir(parents=True)
    git(folder, "init")
    (folder / "pkg/module.py").write_bytes(OLD.encode())
    (folder / "pkg/moved.py").write_bytes(OLD.replace("old_", "moved_").encode())
    (folder / "notes.txt").write_bytes(b"not code\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "first")
    (folder / "pkg/module.py").write_bytes(NEW.encode())
    (folder / "pkg/fresh.py").write_bytes(FRESH.encode())
    git(folder, "mv", "pkg/moved.py", "pkg/elsewhere.py")
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "second", when="2024-06-01T00:00:00+00:00")
    return folder


@pytest.mark.parametrize("since", ["2024-03-01", "1"])
def test_the_memory_is_what_was_and_the_questions_are_what_came(checkout: Path, since: str) -> None:
    with split(checkout, since) as found:
        assert (found.root / "pkg/module.py").read_text(encoding="utf-8") == OLD
        assert not (found.root / "pkg/fresh.py").exists()
        assert not (found.root / "notes.txt").exists()
        # A file that only moved has nothing new.
        assert [path for path, _ in found.files] == ["pkg/fresh.py", "pkg/module.py"]
        assert dict(found.files)["pkg/module.py"] == NEW
        hidden = {hole.hidden for hole in Questions(found).lines(40, "start") if hole.path == "pkg/module.py"}
        assert hidden and hidden <= {"def added(value):", "doubled = value * 2", "return doubled"}


def test_a_folder_of_a_checkout_is_measured_by_itself(checkout: Path) -> None:
    with split(checkout / "pkg", "1") as found:
        assert [path for path, _ in found.files] == ["fresh.py", "module.py"]
        assert (found.root / "moved.py").exists()


def test_a_history_that_is_too_short_or_missing_says_so(checkout: Path, tmp_path: Path) -> None:
    for since in ("2020-01-01", "7"):
        with pytest.raises(RepositoryError, match="does not reach back"), split(checkout, since):
            pass
    with pytest.raises(RepositoryError, match="no new Python code"), split(checkout, "2025-01-01"):
        pass
    (tmp_path / "plain").mkdir()
    with pytest.raises(RepositoryError, match="plain"), split(tmp_path / "plain", "1"):
        pass
