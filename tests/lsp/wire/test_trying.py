"""Fixes of a trace that are tried with the user's test command, if they agree."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from engram_lsp.client import Client
from wire_support import Start

FILES = {
    "calc.py": "def biggest(items):\n    return sorted(items)[len(items)]\n",
    "test_calc.py": "from calc import biggest\n\n\ndef test_biggest():\n    assert biggest([3, 1]) == 3\n",
    "pytest.ini": "[pytest]\n",
}
TRACE = """\
=================================== FAILURES ===================================
_________________________________ test_biggest _________________________________
test_calc.py:5: in test_biggest
    assert biggest([3, 1]) == 3
calc.py:2: in biggest
    return sorted(items)[len(items)]
E   IndexError: list index out of range
=========================== short test summary info ============================
FAILED test_calc.py::test_biggest - IndexError: list index out of range
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def answered(launch: Start, root: Path, answer: str | None) -> tuple[Client, list[Any]]:
    client = launch(root, settings={"trace.testCommand": f'"{sys.executable}" -m pytest -q'})
    client.answers["window/showMessageRequest"] = lambda _: None if answer is None else {"title": answer}
    told = client.request("workspace/executeCommand", {"command": "engram.trace", "arguments": [TRACE]}, timeout=180)
    return client, [one for trace in told["traces"] for one in trace["proposals"]]


def test_the_fix_that_the_tests_verify_is_proposed(launch: Start, root: Path) -> None:
    _, found = answered(launch, root, "Run it")
    assert {one["verified"] for one in found} == {"tests"}
    assert any("len(items) - 1" in str(one["edit"]) or "[-1]" in str(one["edit"]) for one in found)
    assert (root / "calc.py").read_text(encoding="utf-8") == FILES["calc.py"]
    assert sorted(path.name for path in root.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("answer", [None, "No"])
def test_nothing_is_run_that_the_user_did_not_agree_to(launch: Start, root: Path, answer: str | None) -> None:
    (root / "conftest.py").write_text(f"open({str(root / 'ran')!r}, 'w')\n", encoding="utf-8")
    _, found = answered(launch, root, answer)
    assert "tests" not in {one["verified"] for one in found}
    assert not (root / "ran").exists()


def test_tests_end_with_the_server(launch: Start, root: Path) -> None:
    (root / "conftest.py").write_text(
        f"import os, time\nopen({str(root / 'pid')!r}, 'w').write(f'{{os.getpid()}} {{os.getcwd()}}')\ntime.sleep(100)\n",
        encoding="utf-8",
    )
    client = launch(root, settings={"trace.testCommand": f'"{sys.executable}" -m pytest -q'})
    client.answers["window/showMessageRequest"] = lambda _: {"title": "Run it"}
    client.send("workspace/executeCommand", {"command": "engram.trace", "arguments": [TRACE]})
    end = time.monotonic() + 60
    while not (root / "pid").exists() or not (root / "pid").read_text(encoding="utf-8"):
        assert time.monotonic() < end
        time.sleep(0.05)
    number, folder = (root / "pid").read_text(encoding="utf-8").split(" ", 1)
    client.stop()
    assert not psutil.pid_exists(int(number))
    assert not Path(folder).exists()
