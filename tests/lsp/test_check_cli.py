"""`engram-ls check` for CI: formats, baselines, fixes, exit codes; and `engram-ls explain`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engram_context.checks import many
from engram_context.project import Project
from engram_lsp.cli import main

PROJECT = {
    "shop/__init__.py": "",
    "shop/basket.py": "import os\nimport sys\n\n\nclass Basket:\n    pass\n",
    "shop/app.py": "from shop.basket import Basket\n\nprint(Basket, 'æ', basquet)\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, text in PROJECT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "pyproject.toml").write_text("[tool.shop]\n")
    return root


@pytest.fixture
def check(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["check", str(project), *map(str, arguments), "--cache", str(tmp_path / "cache")])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def test_sarif_names_tool_rules_places_and_fingerprints(check: Any, project: Path) -> None:
    code, out, _ = check("--format", "sarif")
    assert code == 1
    log = json.loads(out)
    (run,) = log["runs"]
    assert log["version"] == "2.1.0" and run["tool"]["driver"]["name"] == "engram-ls"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert set(rules) == {"unused-import", "undefined-name"}
    assert run["originalUriBaseIds"]["ROOT"]["uri"] == project.as_uri() + "/"
    found = {
        (result["ruleId"], result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], result["level"])
        for result in run["results"]
    }
    assert found == {("unused-import", "shop/basket.py", "note"), ("undefined-name", "shop/app.py", "error")}
    (undefined,) = [result for result in run["results"] if result["ruleId"] == "undefined-name"]
    assert undefined["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 3, "startColumn": 20, "endLine": 3, "endColumn": 27,
    }  # fmt: skip
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    assert len({result["partialFingerprints"]["engram/v1"] for result in run["results"]}) == 3


def test_github_is_told_by_workflow_commands(check: Any) -> None:
    _, out, _ = check("--format", "github")
    assert "::error file=shop/app.py,line=3,col=20,endLine=3,endColumn=27,title=undefined-name::" in out


def test_what_a_baseline_lists_is_not_told_again_wherever_it_moved(check: Any, project: Path, tmp_path: Path) -> None:
    known = tmp_path / "baseline.json"
    assert check("--write-baseline", known)[0] == 0
    assert check("--baseline", known)[:2] == (0, "")
    basket = project / "shop" / "basket.py"
    basket.write_text("# moved\n\n" + basket.read_text() + "\n\nimport re\n")
    code, out, _ = check("--baseline", known)
    assert code == 1
    assert "'re'" in out and "'os'" not in out
    app = project / "shop" / "app.py"
    app.write_text(PROJECT["shop/app.py"] + "print(Basket, 'æ', basquet)\n", encoding="utf-8")
    assert check("--baseline", known)[1].count("basquet") == 1  # one more of the same than is known


def test_a_file_that_is_no_baseline_is_told_to_be_none(check: Any, tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"version": 9, "problems": {}}', '{"version": 1, "problems": {"a": 1}}'):
        (tmp_path / "no.json").write_text(text)
        code, _, err = check("--baseline", tmp_path / "no.json")
        assert code == 2
        assert "is no baseline" in err
    assert check("--baseline", tmp_path / "missing.json")[0] == 2


def test_a_severity_can_be_set_or_a_code_switched_off(check: Any) -> None:
    _, out, _ = check("--severity", "unused-import=error", "--severity", "undefined-name=off")
    assert "error: 'os'" in out and "undefined-name" not in out
    assert check("--severity", "unused-import=off", "--severity", "undefined-name=off")[0] == 0
    with pytest.raises(SystemExit) as left:
        main(["check", "--severity", "no-such-code=off"])
    assert left.value.code == 2


def test_a_project_says_severities_for_all_who_work_on_it(check: Any, project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.engram-ls.severity]\nunused-import = "off"\nundefined-name = "warning"\nno-such-code = "off"\n'
    )
    _, out, _ = check()
    assert "unused-import" not in out and "warning: 'basquet'" in out
    _, out, _ = check("--severity", "undefined-name=information")
    assert "information: 'basquet'" in out
    for text in (
        "[tool.engram-ls]\nseverity = 1\n",
        "[tool.engram-ls.severity]\nunused-import = 7\n",
        "no toml",
        "[tool]\nengram-ls = []\n",
    ):
        (project / "pyproject.toml").write_text(text)
        assert "unused-import" in check()[1]


def test_safe_fixes_are_shown_as_a_diff_and_written_only_when_told(check: Any, project: Path) -> None:
    basket = project / "shop" / "basket.py"
    code, out, _ = check("--fix")
    assert code == 1
    assert "-import os\n" in out and "-import sys\n" in out
    assert basket.read_text() == PROJECT["shop/basket.py"]
    code, out, err = check("--fix", "--write")
    assert basket.read_text() == "\n\nclass Basket:\n    pass\n"
    assert "2 problems fixed in 1 files" in err
    assert code == 1 and "basquet" in out  # what has no safe fix is left and told
    assert (project / "shop" / "app.py").read_text(encoding="utf-8") == PROJECT["shop/app.py"]


def test_the_model_hints_at_a_variable_where_another_one_was_meant(check: Any, project: Path) -> None:
    (project / "shop" / "app.py").write_text(
        "class Connection:\n"
        "    def __init__(self, host, port, timeout=10.0):\n"
        "        self.host = host\n"
        "        self.port = port\n"
        "        self.timeout = port\n"
    )
    assert "misused-variable" not in check("--least", "hint")[1]
    _, out, _ = check("--model", "--format", "json")
    (hint,) = [one for one in json.loads(out) if one["code"] == "misused-variable"]
    assert (hint["path"], hint["line"], hint["fixes"]) == ("shop/app.py", 5, ["Change to 'timeout'"])


def test_exit_zero_and_output_are_for_jobs_that_only_collect(check: Any, tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    code, out, _ = check("--exit-zero", "--format", "json", "--output", target)
    assert (code, out) == (0, "")
    assert {one["code"] for one in json.loads(target.read_text(encoding="utf-8"))} == {
        "unused-import",
        "undefined-name",
    }
    assert check("--format", "json", "--output", tmp_path / "no" / "such.json")[0] == 2


def test_several_processes_find_what_one_finds(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "_WORTH_WORKERS", 1)
    opened = Project(project, cache_folder=tmp_path / "cache")
    opened.load_names()
    paths = [path for path in opened.snapshot.paths if path.endswith(".py")]
    assert dict(many.findings_of(opened, paths, 2)) == {path: opened.findings(path) for path in paths}
    opened.close_project()


def test_explain_shows_the_page_of_a_code_and_lists_the_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code, said in (
        (["explain", "unused-import"], 0, "# unused-import"),
        (["explain"], 0, "undefined-name"),
        (["explain", "--json"], 0, '"severity": "error"'),
        (["explain", "no-such-code"], 2, ""),
    ):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == code
        assert said in capsys.readouterr().out


def test_no_module_of_the_folder_that_one_is_in_is_run_by_workers(project: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for name in ("multiprocessing", "pickle", "runpy", "signal", "struct"):
        (project / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n", encoding="utf-8")
    program = tmp_path / "elsewhere" / "program.py"
    program.parent.mkdir()
    program.write_text(
        "from engram_context.checks import many\nfrom engram_lsp.cli import main\n\n"
        "if __name__ == '__main__':\n    many._WORTH_WORKERS = 1\n    main()\n",
        encoding="utf-8",
    )
    command = [sys.executable, program, "check", ".", "--workers", "2", "--cache", str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "undefined-name" in done.stdout, done.stderr
    assert "failed" not in done.stderr
    assert not mark.exists()
