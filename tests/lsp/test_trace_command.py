"""`engram-ls trace` as a person or a script runs it."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.cli import main

FILES = {
    "pyproject.toml": "[project]\nname = 'shop'\n",
    "shop/__init__.py": "",
    "shop/basket.py": (
        "class Basket:\n    def __init__(self):\n        self.items = []\n\n"
        "    def add(self, item):\n        self.itmes.append(item)\n"
    ),
    "shop/app.py": "from shop.basket import Basket\n\n\ndef fill(names):\n    basket = Basket()\n"
    "    for name in names:\n        basket.add(name)\n    return basket\n",
}
TRACE = """\
Traceback (most recent call last):
  File "/ci/shop/app.py", line 7, in fill
    basket.add(name)
    ~~~~~~~~~~^^^^^^
  File "/ci/shop/basket.py", line 6, in add
    self.itmes.append(item)
    ^^^^^^^^^^
AttributeError: 'Basket' object has no attribute 'itmes'. Did you mean: 'items'?
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (tmp_path / "log.txt").write_text(TRACE, encoding="utf-8")
    return tmp_path / "project"


@pytest.fixture
def trace(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command: its exit code, standard output and standard error."""

    def run(file: object, *arguments: object) -> tuple[int, str, str]:
        given = ["trace", str(file), "--project", str(project), "--cache", str(tmp_path / "cache")]
        with pytest.raises(SystemExit) as left:
            main([*given, *map(str, arguments)])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def test_suspects_are_named_with_their_reasons(trace: Run, tmp_path: Path) -> None:
    code, out, _ = trace(tmp_path / "log.txt", "--no-fixes")
    assert code == 0
    assert "shop/app.py:7 in fill" in out
    assert "1. shop/basket.py:6 Basket.add: the error was raised in it" in out


def test_a_trace_is_read_from_standard_input(trace: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TRACE.encode())))
    code, out, _ = trace("-", "--no-fixes", "--json")
    (found,) = json.loads(out)["traces"]
    assert code == 0
    assert (found["error"], found["suspects"][0]["path"], found["suspects"][0]["lines"]) == (
        "AttributeError",
        "shop/basket.py",
        [6],
    )
    assert [frame["here"]["path"] for frame in found["frames"]] == ["shop/app.py", "shop/basket.py"]


def test_a_fix_is_shown_and_written_only_when_it_is_asked_for(trace: Run, project: Path, tmp_path: Path) -> None:
    before = (project / "shop/basket.py").read_text()
    _, out, _ = trace(tmp_path / "log.txt", "--unsure", "--json")
    fixes: list[Any] = json.loads(out)["traces"][0]["fixes"]
    number = next(at for at, fix in enumerate(fixes, 1) if "+        self.items.append(item)" in fix["diff"])
    assert (project / "shop/basket.py").read_text() == before
    code, _, said = trace(tmp_path / "log.txt", "--unsure", "--write", number)
    assert code == 0 and f"fix {number} written" in said
    assert (project / "shop/basket.py").read_text() == before.replace("itmes", "items")


def test_a_fix_that_is_not_there_is_not_written(trace: Run, tmp_path: Path) -> None:
    code, _, said = trace(tmp_path / "log.txt", "--no-fixes", "--write", 1)
    assert code == 2 and "there is no fix 1" in said


@pytest.mark.parametrize(
    "text", ["nothing went wrong\n", TRACE.replace("shop/app", "bank/till").replace("shop/basket", "bank/book")]
)
def test_a_text_that_has_nothing_to_do_with_the_project_ends_with_one(trace: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "other.txt").write_text(text)
    assert trace(tmp_path / "other.txt")[0] == 1


def test_a_file_that_is_not_there_ends_with_two(trace: Run, tmp_path: Path) -> None:
    code, _, said = trace(tmp_path / "nowhere.txt")
    assert code == 2 and "cannot be read" in said


def test_texts_of_any_encoding_are_read(trace: Run, tmp_path: Path) -> None:
    (tmp_path / "wide.txt").write_bytes(TRACE.encode("utf-16"))
    assert trace(tmp_path / "wide.txt", "--no-fixes")[0] == 0
    (tmp_path / "broken.txt").write_bytes(b"\xff\x00\xfe" + TRACE.encode())
    assert trace(tmp_path / "broken.txt", "--no-fixes")[0] == 0
