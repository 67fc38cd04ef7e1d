"""Trying fixes: in a copy, with the user's own test command, and never in the project."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from engram_context.edits import Edit, project_edit
from engram_context.text import Span, Text
from engram_context.trace.fixes import Proposal
from engram_context.trace.values import Trace
from engram_lsp.verify import Command, Limits, VerifyError, copied, verified

_FILES = {
    "src/calc.py": "def double(x):\n    return x + 1\n\n\ndef same(x):\n    return double(x) - 1\n",
    "tests/test_calc.py": (
        "from calc import double, same\n\n\n"
        "def test_double():\n    assert double(3) == 6\n\n\n"
        "def test_one():\n    assert double(1) == 2\n\n\n"
        "def test_always_wrong():\n    assert double(0) == 7\n"
    ),
    "pytest.ini": "[pytest]\npythonpath = src\n",
}
_TEST = "tests/test_calc.py::test_double"
_PYTEST = f'"{sys.executable}" -m pytest -q tests'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name, content in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def texts(root: Path) -> dict[str, Text]:
    return {name: Text.of((root / name).read_bytes()) for name in _FILES}


def proposal(root: Path, old: str, new: str, path: str = "src/calc.py") -> Proposal:
    text = Text.of((root / path).read_bytes())
    start = text.data.index(old.encode())
    edit = project_edit({path: [Edit(Span(start, start + len(old)), new)]}, {path: text})
    return Proposal(edit, f"{new} instead of {old}", "operator", path, 2, 0.5, "clean")


def trial(root: Path, *made: Proposal, line: str = _PYTEST, test: str = _TEST, **more: object) -> list[tuple[str, str]]:
    trace = Trace("python", "AssertionError", test=test)
    found = verified(made, line, root, trace, texts(root), **more)  # type: ignore[arg-type]
    return [(one.why.partition(" ")[0], one.verified) for one in found]


def everything(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_fix_that_makes_the_test_pass_is_found_among_others(root: Path) -> None:
    found = trial(root, proposal(root, "x + 1", "x - 1"), proposal(root, "x + 1", "x+x"), proposal(root, "x + 1", "x"))
    assert found == [("x+x", "tests")]


def test_a_fix_that_breaks_another_test_is_none(root: Path) -> None:
    # 3 becomes 6, but 1 becomes 4, which was right before.
    assert trial(root, proposal(root, "x + 1", "x+3")) == []


def test_a_test_that_failed_before_may_go_on_failing(root: Path) -> None:
    assert trial(root, proposal(root, "x + 1", "x*2")) == [("x*2", "tests")]


def test_nothing_is_written_to_the_project(root: Path) -> None:
    before = everything(root)
    trial(root, proposal(root, "x + 1", "x*2"))
    assert everything(root) == before


def test_the_copy_is_gone_afterwards(root: Path) -> None:
    with copied(root, {}) as copy:
        assert (copy.root / "src/calc.py").is_file()
        assert root not in copy.folder.parents
    assert not copy.folder.exists()


def test_unsaved_texts_are_what_is_tried(root: Path) -> None:
    unsaved = {"src/calc.py": Text.of(_FILES["src/calc.py"].replace("x + 1", "x + x"))}
    with pytest.raises(VerifyError, match="passes"):
        trial(root, proposal(root, "x + 1", "x*2"), unsaved=unsaved)


def test_caches_repositories_and_environments_are_not_copied(root: Path) -> None:
    for name in (".git/config", "src/__pycache__/calc.pyc", "node_modules/a/b.js", "env/pyvenv.cfg", "env/lib/big.py"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    with copied(root, {}) as copy:
        assert everything(copy.root).keys() == _FILES.keys()


def test_a_project_that_is_too_large_is_not_copied(root: Path) -> None:
    with pytest.raises(VerifyError, match="more than 2 files"), copied(root, {}, Limits(files=2)):
        pass
    with pytest.raises(VerifyError, match="MiB"), copied(root, {}, Limits(size=10)):
        pass


def test_a_change_is_taken_back_by_the_next_one(root: Path) -> None:
    with copied(root, {}) as copy:
        before = everything(copy.root)
        copy.change({"src/calc.py": b"x = 1\n", "src/new.py": b"y = 2\n"})
        copy.change({"pytest.ini": b""})
        assert everything(copy.root) == {**before, "pytest.ini": b""}
        copy.change({})
        assert everything(copy.root) == before


def test_a_run_that_takes_too_long_ends_with_all_that_it_started(root: Path) -> None:
    mark = root.parent / "alive"
    child = f"import time; time.sleep(2.5); open({str(mark)!r}, 'w')"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    with copied(root, {}) as copy:
        run = copy.run((sys.executable, "-c", parent), reports=False, limit=0.7, cancelled=lambda: False)
    assert run.code is None
    time.sleep(2.6)
    assert not mark.exists()


def test_a_cancelled_run_ends(root: Path) -> None:
    with copied(root, {}) as copy:
        run = copy.run((sys.executable, "-c", "import time; time.sleep(60)"), False, 60, cancelled=lambda: True)
    assert run.code is None


def test_what_passes_as_it_is_needs_no_fix(root: Path) -> None:
    with pytest.raises(VerifyError, match="passes"):
        trial(root, proposal(root, "x + 1", "x"), test="tests/test_calc.py::test_one")


def test_a_test_that_is_not_there_is_no_failing_test(root: Path) -> None:
    with pytest.raises(VerifyError, match="cannot be run"):
        trial(root, proposal(root, "x + 1", "x*2"), test="tests/test_calc.py::test_gone")


@pytest.mark.parametrize(("line", "said"), [("", "no test command"), ("no-such-program-at-all x", "no program")])
def test_a_command_that_cannot_be_run_is_told(root: Path, line: str, said: str) -> None:
    with pytest.raises(VerifyError, match=said):
        trial(root, proposal(root, "x + 1", "x*2"), line=line)


def test_any_command_may_judge(root: Path) -> None:
    (root / "check.py").write_text(
        "import sys\nsys.path.insert(0, 'src')\nfrom calc import double\nsys.exit(double(3) != 6)\n", encoding="utf-8"
    )
    found = trial(
        root, proposal(root, "x + 1", "x - 1"), proposal(root, "x + 1", "x*2"), line=f'"{sys.executable}" check.py'
    )
    assert found == [("x*2", "tests")]


def test_the_failing_test_stands_where_the_command_says(root: Path) -> None:
    command = Command.of(f'"{sys.executable}" run.py --only {{test}}', root, "a::b")
    assert command.one is not None
    assert command.one[1:] == ("run.py", "--only", "a::b")


def test_what_pytest_was_to_run_gives_way_to_the_failing_test(root: Path) -> None:
    command = Command.of(f'"{sys.executable}" -m pytest -q -c pytest.ini tests', root, _TEST)
    assert command.one is not None
    assert command.one[1:] == ("-m", "pytest", "-q", "-c", "pytest.ini", _TEST)
    assert command.whole[1:] == ("-m", "pytest", "-q", "-c", "pytest.ini", "tests")


@pytest.mark.skipif(os.name == "nt", reason="programs have other names")
def test_a_program_of_the_project_is_the_projects_own(root: Path) -> None:
    program = root / "bin" / "check"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert Command.of("bin/check", root, "").whole == (str(program),)


@pytest.mark.parametrize(
    ("test", "given"),
    [
        ("tests/test_calc.py::test_double", "tests/test_calc.py::test_double"),
        ("tests/test_calc.py::test_double[3-x.y]", "tests/test_calc.py::test_double[3-x.y]"),
        ("tests/test_calc.py::test_double[$(touch ran)]", "tests/test_calc.py::test_double"),
        ("test_calc.TestCase.test_double", "test_calc.TestCase.test_double"),
        ("tests/test_calc.py::$(touch ran)", ""),
        ("tests/test_calc.py::x;touch", ""),
        ("-pevil::x", ""),
        ("--rootdir=/tmp::x", ""),
        ("/elsewhere/test_calc.py::x", ""),
        ("C:\\elsewhere\\test_calc.py::x", ""),
        ("tests/../../elsewhere/test_calc.py::x", ""),
    ],
)
def test_what_a_trace_calls_a_test_reaches_a_command_only_as_a_plain_id(root: Path, test: str, given: str) -> None:
    named = Command.of(f'"{sys.executable}" -c "run {{test}}"', root, test)
    assert named.one == ((sys.executable, "-c", f"run {given}") if given else None)
    plain = Command.of(f'"{sys.executable}" -m pytest', root, test)
    assert plain.one == ((*plain.whole, given) if given else None)
