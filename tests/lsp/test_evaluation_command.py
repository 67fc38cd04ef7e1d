"""`engram-ls eval` as a person runs it, on a small project."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from engram_lsp.cli import main
from engram_lsp.cli.eval import styled
from engram_lsp.predictor import Style

CODE = "def {name}(width, height):\n    area = width * height\n    print(area)\n    return area\n\n\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for file in "abc":
        text = "".join(CODE.format(name=f"{file}_area{i}") for i in range(6))
        (folder / f"{file}.py").write_text(text, encoding="utf-8")
    return folder


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["eval", *map(str, arguments)])
    return int(str(left.value.code))


def test_what_the_memory_knows_by_heart_is_measured_as_right(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, plots = tmp_path / "report.json", tmp_path / "plots"
    options = ("--model", "none", "--cursors", 6, "--json", report, "--plots", plots)
    assert run(project, *options) == 0
    said = capsys.readouterr()
    assert "the rest of the line" in said.out and "they do not say how" in " ".join(said.out.split())
    assert "project: the next token" in said.err
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["repositories"] == ["project"]
    figures = found["figures"]
    assert list(figures) == ["lines", "tokens", "names", "typing"]
    assert figures["tokens"]["memory"]["top1"]["value"] > 0.5
    exact = figures["lines"]["memory"]["exact"]
    assert exact["low"] <= exact["value"] <= exact["high"] and exact["repositories"] == {"project": exact["value"]}
    assert figures["typing"]["memory"]["completed"]["value"] > 0.2
    drawn = sorted(path.name for path in plots.iterdir())
    assert drawn == ["coverage.svg", "exact.svg", "names.svg", "tokens.svg"]
    for path in plots.iterdir():
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_equal_seeds_give_equal_figures(project: Path, tmp_path: Path) -> None:
    said: list[object] = []
    for name in ("one.json", "two.json"):
        run(project, "--model", "none", "--cursors", 4, "--only", "tokens", "--json", tmp_path / name, "--seed", 5)
        said.append(json.loads((tmp_path / name).read_text(encoding="utf-8"))["records"])
    assert said[0] == said[1]


def test_settings_can_be_tried(capsys: pytest.CaptureFixture[str]) -> None:
    style = styled(Style(), [("limits.lines_before", 48.0), ("further", 0.5)])
    assert style == replace(Style(), limits=replace(Style().limits, lines_before=48), further=0.5)
    assert isinstance(style.limits.lines_before, int)
    for wrong in ("limits=3", "limits.nothing=3", "further.more=3", "furthest=3"):
        assert run("nowhere", "--model", "none", "--set", wrong) == 2
        assert "there is no setting" in capsys.readouterr().err
    assert run("nowhere", "--set", "further") == 2


def test_code_of_a_repository_is_only_run_when_that_is_allowed(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project, "--only", "infill", "--model", "none") == 2
    assert "say --run" in capsys.readouterr().err
    tested = CODE.format(name="area").replace("\n", '\n    """\n    >>> area(2, 3)\n    6\n    6\n    """\n', 1)
    (project / "tested.py").write_text(tested + tested.replace("area(", "surface("), encoding="utf-8")
    report = tmp_path / "report.json"
    assert run(project, "--run", "--only", "infill", "--model", "none", "--cursors", 2, "--json", report) == 0
    rows = json.loads(report.read_text(encoding="utf-8"))["records"]["infill"]["memory"]["project"]
    assert rows and all(row["passed"] >= row["exact"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "say what to measure on"),
        (("nowhere",), "does not exist"),
        (("--heldout", "nowhere"), "is no corpus"),
        (("--split-date", "1", "--heldout", "nowhere"), "has no history"),
        (("nowhere", "--model", "nowhere"), "lacks model.json"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: tuple[str, ...],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert reason in " ".join(capsys.readouterr().err.split())
