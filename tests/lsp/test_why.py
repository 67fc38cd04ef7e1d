"""`engram-ls why`: what it says is what the project does."""

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from engram_context.project import Project
from engram_lsp.cli import main

Why = Callable[..., tuple[int, str]]


@pytest.fixture
def why(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Why:
    monkeypatch.setenv("COLUMNS", "500")

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["why", *map(str, arguments), "--cache", str(tmp_path / "cache")])
        return int(left.value.code or 0), capsys.readouterr().out

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    files: dict[str, bytes] = {
        "pyproject.toml": b"",
        ".gitignore": b"# made by a tool\n/gen/\n*_pb2.py\n",
        ".engramignore": b"private/\n!gen/\n",
        "a.py": b"x = 1\n",
        "pkg/b.py": b"def f(): pass\n",
        "pkg/b_pb2.py": b"",
        "gen/c.py": b"y = 1\n",
        "private/d.py": b"",
        "private/deep/e.py": b"",
        "table.csv": b"",
        "binary.py": b"\0\1",
        "utf16.py": "x = 1".encode("utf-16"),
        "latin.py": b"# \xe9\n",
        "cookie.py": b"# coding: latin-1\n# \xe9\n",
        "large.py": b"x = 1\n" * 400_000,
        "empty.py": b"",
        "broken.py": b"def f(:\n",
        ".env": b"K=1",
        "server.pem": b"",
        "credentials.json": b"{}",
        "credentials.py": b"def login(): ...\n",
        ".ssh/config.py": b"",
        "node_modules/m/x.js": b"",
        "env/pyvenv.cfg": b"",
        "env/lib/x.py": b"",
        ".git/hooks/h.py": b"",
        "web/app.ts": b"export const a = 1;\n",
    }
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def test_each_file_is_in_or_out_with_the_rule_that_decides(root: Path, why: Why) -> None:
    expected: dict[str, str | None] = {
        "a.py": None,
        "gen/c.py": None,
        "cookie.py": None,
        "pkg/b_pb2.py": ".gitignore:3: *_pb2.py",
        "private/deep/e.py": ".engramignore:1: private/",
        "table.csv": "no language that is read here has such a file name",
        "binary.py": "binary (it contains a zero byte)",
        "utf16.py": "UTF-16, and source files are UTF-8",
        "latin.py": "not UTF-8, and no encoding comment says what else it is",
        "large.py": "larger than the limit of 2,097,152 bytes",
        ".env": ".env may hold secrets (built-in rule)",
        ".ssh/config.py": ".ssh/ is a place for secrets (built-in rule)",
        "env/lib/x.py": "env/ is a virtual environment (it has a pyvenv.cfg; built-in rule)",
        "gone.py": "there is no such file",
        "../elsewhere.py": f"it is outside the project folder {root.resolve()}; say --root for another one",
    }
    code, out = why("--json", "--root", root, *(root / path for path in expected))
    assert code == 1
    told = json.loads(out)
    assert [each["why"] or None for each in told] == list(expected.values())
    assert [each["in"] for each in told] == [reason is None for reason in expected.values()]
    assert told[3]["rule"] == {"source": ".gitignore", "line": 3}
    assert [each["kind"] for each in told[3:6]] == ["rule", "rule", "language"]


def test_prose_and_exit_codes(root: Path, why: Why, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "pkg")
    assert why("b.py", "../a.py") == (0, "b.py: in\n../a.py: in\n")
    code, out = why("../a.py", "b_pb2.py")
    assert (code, out) == (1, "../a.py: in\nb_pb2.py: not in: .gitignore:3: *_pb2.py\n")
    assert why("b.py", "--exclude", "b.py") == (1, "b.py: not in: the setting index.exclude: b.py\n")
    assert why("b.py", "--max-file-kb", "0") == (1, "b.py: not in: larger than the limit of 0 bytes\n")


def test_source_whose_name_tells_of_secrets_is_known_by_its_names(root: Path, why: Why) -> None:
    code, out = why("--json", root / "credentials.py")
    (told,) = json.loads(out)
    assert (code, told["in"], told["kind"]) == (0, True, "private")


def test_for_every_file_of_a_tree_the_answer_is_what_the_project_does(root: Path, tmp_path: Path, why: Why) -> None:
    with suppress(OSError):
        (root / "link.py").symlink_to(root / "a.py")
        (root / "linked").symlink_to(root / "pkg")
        (root / "dead.py").symlink_to(root / "nowhere.py")
        (tmp_path / "outside.py").write_text("")
        (root / "out.py").symlink_to(tmp_path / "outside.py")
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / "pipe.py")
        with suppress(OSError):  # long names are none for sockets
            socket.socket(socket.AF_UNIX).bind(str(root / "s.py"))
        with suppress(OSError):
            (root / os.fsdecode(b"bad\xff.py")).write_text("")
    project = Project(root, cache_folder=tmp_path / "other", workers=1)
    project.apply(project.load())
    _, out = why("--json", root)
    told: list[dict[str, Any]] = json.loads(out)
    names = {Path(folder, name).relative_to(root).as_posix() for folder, _, files in os.walk(root) for name in files}
    assert {each["path"] for each in told} == {name.replace("\udcff", "\\xff") for name in names}
    assert {each["path"] for each in told if each["in"]} == set(project.snapshot.paths)
    assert all(bool(each["why"]) != (each["in"] and each["kind"] != "private") for each in told)
    # Neither does a file change what it is by having been named by an event.
    project.apply(project.refresh(name for name in names if name.isprintable()))
    assert {each["path"] for each in told if each["in"]} == set(project.snapshot.paths)
    project.close_project()


def test_a_project_that_is_reached_by_a_link_is_the_same(root: Path, tmp_path: Path, why: Why) -> None:
    try:
        (tmp_path / "linked").symlink_to(root)
    except OSError:
        pytest.skip("links need rights on Windows")
    code, out = why("--json", tmp_path / "linked/pkg/b.py")
    assert (code, json.loads(out)[0]["path"]) == (0, "pkg/b.py")
