"""`engram-ls compare` on the model that ships."""

import json
from pathlib import Path

import pytest
from engram_lsp.cli import main
from engram_runtime.models import default_model

CODE = "def area(width, height):\n    return width * height\n"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["compare", *arguments])
    return int(str(left.value.code))


def test_a_model_is_not_far_from_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3):
        (tmp_path / f"{i}.py").write_text(CODE * (i + 1), encoding="utf-8")
    model = str(default_model())
    assert run(model, model, "--text", str(tmp_path), "--count", "2", "--json") == 0
    said = json.loads(capsys.readouterr().out)[model]
    assert said["tokens"] > 10
    assert said["divergence"] == 0
    assert said["agreement"] == 1
    assert run(model, model, "--text", str(tmp_path)) == 0
    assert "100.00%" in capsys.readouterr().out


def test_what_is_no_model_or_no_code_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, nothing = str(default_model()), str(tmp_path / "nothing")
    assert run(model, nothing, "--text", str(tmp_path)) == 2
    assert "no text files" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "a.py").write_text(CODE, encoding="utf-8")
    assert run(model, nothing, "--text", str(tmp_path)) == 2
    assert "lacks model.json" in " ".join(capsys.readouterr().err.split())
    assert run(nothing, model, "--text", str(tmp_path)) == 2


def test_no_files_are_no_number_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(default_model())
    assert run(model, model, "--text", str(tmp_path), "--count", "0") == 2
    assert "0 is not a number of 1 to" in capsys.readouterr().err
