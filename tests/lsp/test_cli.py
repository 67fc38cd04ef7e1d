"""The commands as a person or a script runs them, in this process, on a small project."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engram_lsp.cli import COMMANDS, main
from engram_lsp.cli.demo import Demo
from engram_runtime.config import SLIDING, ModelConfig
from engram_runtime.nvidia import Device
from engram_runtime.shapes import expected_shapes
from safetensors.numpy import save_file

PROJECT = {
    "pyproject.toml": "[project]\nname = 'shop'\n",
    "shop/__init__.py": "",
    "shop/basket.py": (
        "import os\n\n\nclass Basket:\n    def __init__(self):\n        self.items = []\n\n"
        "    def add(self, item):\n        self.items.append(item)\n"
    ),
    "shop/app.py": "from shop.basket import Basket\n\nbasket = Basket()\nbasket.add('æ')\nprint(basquet)\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        file = tmp_path / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "project"


@pytest.fixture
def engram(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: its exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        reads = arguments[0] in ("check", "complete", "rename")
        given = [*map(str, arguments), *(("--cache", str(tmp_path / "cache")) if reads else ())]
        with pytest.raises(SystemExit) as left:
            main(given)
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def test_check_reports_problems_and_says_so_by_its_exit_code(project: Path, engram: Any) -> None:
    code, out, _ = engram("check", project)
    assert code == 1
    assert "shop/app.py:5:7: error" in out and "basquet" in out
    assert "shop/basket.py:1:8" in out and "unused-import" in out


def test_check_of_one_file_or_folder_speaks_of_it_alone(project: Path, engram: Any) -> None:
    code, out, _ = engram("check", project / "shop" / "basket.py", "--json")
    assert code == 1
    assert {(one["path"], one["code"], one["line"], one["column"]) for one in json.loads(out)} == {
        ("shop/basket.py", "unused-import", 1, 8)
    }
    (project / "shop" / "basket.py").write_text("ITEMS = []\n")
    assert engram("check", project / "shop" / "basket.py")[0] == 0


def test_rename_prints_a_diff_and_writes_only_when_told(project: Path, engram: Any) -> None:
    basket = project / "shop" / "basket.py"
    before = {file: file.read_bytes() for file in project.rglob("*.py")}
    code, diff, _ = engram("rename", f"{basket}:4:7", "Cart")
    assert code == 0
    assert "-class Basket:\n+class Cart:\n" in diff and "+from shop.basket import Cart\n" in diff
    assert {file: file.read_bytes() for file in project.rglob("*.py")} == before
    assert engram("rename", f"{basket}:4:7", "Cart", "--write")[0] == 0
    assert (project / "shop" / "app.py").read_text(encoding="utf-8").count("Cart") == 2
    assert "class Cart:" in basket.read_text()
    assert not list(project.rglob("*.engram-*"))


def test_rename_of_a_module_moves_its_file_when_told(project: Path, engram: Any) -> None:
    app = project / "shop" / "app.py"
    code, diff, _ = engram("rename", f"{app}:1:12", "cart")
    assert code == 0 and "rename from shop/basket.py\nrename to shop/cart.py\n" in diff
    assert (project / "shop" / "basket.py").exists()
    assert engram("rename", f"{app}:1:12", "cart", "--write")[0] == 0
    assert not (project / "shop" / "basket.py").exists() and (project / "shop" / "cart.py").exists()
    assert app.read_text(encoding="utf-8").startswith("from shop.cart import Basket\n")


def test_rename_keeps_line_endings_and_a_byte_order_mark(project: Path, engram: Any) -> None:
    app = project / "shop" / "app.py"
    app.write_bytes(b"\xef\xbb\xbf" + PROJECT["shop/app.py"].replace("\n", "\r\n").encode())
    assert engram("rename", f"{project / 'shop' / 'basket.py'}:4:7", "Cart", "--write")[0] == 0
    expected = PROJECT["shop/app.py"].replace("\n", "\r\n").replace("Basket", "Cart").encode()
    assert app.read_bytes() == b"\xef\xbb\xbf" + expected


def test_rename_refuses_with_a_reason(project: Path, engram: Any) -> None:
    code, out, err = engram("rename", f"{project / 'shop' / 'basket.py'}:4:7", "class")
    assert code == 1 and out == "" and "class" in err
    code, out, _ = engram("rename", f"{project / 'shop' / 'app.py'}:5:1", "show", "--json")
    assert code == 1 and "builtin" in json.loads(out)["refused"]


def test_complete_lists_the_members_of_what_is_known(project: Path, engram: Any) -> None:
    app = project / "shop" / "app.py"
    app.write_text(PROJECT["shop/app.py"] + "basket.", encoding="utf-8")
    code, out, _ = engram("complete", f"{app}:6:8", "--json", "--model", "none")
    answer = json.loads(out)
    assert code == 0
    assert {"add", "items"} <= {one["name"] for one in answer["list"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "nowhere"], "does not exist"),
        (["complete", "nowhere.py:1:1"], "does not exist"),
        (["complete", "{app}:900:1"], "has 6 lines"),
        (["complete", "{app}:1:900"], "the last column is"),
        (["complete", "{app}"], "is not FILE:LINE:COL"),
        (["complete", "{app}:1:1", "--most", "-1"], "-1 is not a number of 0 to"),
        (["complete", "{app}:1:1", "--model", "{broken}"], "tokenizer.json cannot be read"),
        (["check", "no[/where]"], "no[/where] does not exist"),
        (["rename", "{app}:0:1", "x"], "is not FILE:LINE:COL"),
        (["demo", "nowhere"], "is not a folder"),
        (["export", "nowhere", "out"], "nowhere is not a checkpoint"),
        (["complete", "{app}:1:1", "--root", "{other}"], "is not in"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(project: Path, engram: Any, arguments: list[str], said: str) -> None:
    names = {"app": project / "shop" / "app.py", "other": project.parent}
    if "{other}" in arguments:
        names["other"] = project / "elsewhere"
        names["other"].mkdir()
    if "{broken}" in arguments:
        names["broken"] = project.parent / "broken"
        names["broken"].mkdir()
        (names["broken"] / "tokenizer.json").write_text("{")
    code, _, err = engram(*(argument.format(**names) for argument in arguments))
    assert code == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_a_file_that_is_left_out_says_why(project: Path, engram: Any) -> None:
    (project / ".gitignore").write_text("secret*\n")
    hidden = project / "secret_keys.py"
    hidden.write_text("KEY = 1\n")
    code, _, err = engram("complete", f"{hidden}:1:1")
    assert code == 2 and ".gitignore" in err


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A released DeepSeek-V4 in small, of random weights and without a tokenizer."""
    config = ModelConfig(
        vocab_size=64,
        hidden_size=32,
        layer_types=(SLIDING, SLIDING),
        mlp_layer_types=("moe", "moe"),
        num_attention_heads=2,
        head_dim=32,
        q_lora_rank=32,
        o_lora_rank=32,
        n_routed_experts=2,
        moe_intermediate_size=32,
        engram_layers=(),
    )
    fields = {name: value for name, value in dataclasses.asdict(config).items() if "layer" not in name}
    fields |= {"model_type": "deepseek_v4", "num_hidden_layers": 2, "num_hash_layers": 0, "compress_ratios": [0, 0]}
    folder = tmp_path / "DeepSeek-V4-Nano"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(fields))
    random = np.random.default_rng(0)
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in expected_shapes(config).items()}
    save_file({**weights, "mtp.1.norm.weight": np.ones(3, np.float32)}, folder / "model.safetensors")
    return folder


def test_export_says_what_it_wrote_and_what_it_left_out(checkpoint: Path, engram: Any) -> None:
    code, out, err = engram("export", checkpoint, checkpoint.parent / "model", "--weights", "int4")
    assert code == 0
    assert "parameters" in out and "as int4" in out
    assert "no tokenizer.json" in err and "Left out: mtp.1.norm.weight" in err
    code, out, err = engram("export", checkpoint, checkpoint.parent / "model", "--json")
    about = json.loads(out)
    assert code == 0 and err == ""
    assert about["weights"] == "int8" and about["tokenizer"] is False and about["unused"] == ["mtp.1.norm.weight"]
    assert about == json.loads((checkpoint.parent / "model" / "model.json").read_text())


def test_export_tells_what_a_checkpoint_lacks(checkpoint: Path, engram: Any) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "n_routed_experts": 3}))
    code, out, err = engram("export", checkpoint, checkpoint.parent / "model")
    assert code == 2 and out == ""
    assert "experts.gate_up_proj is of shape [2, 64, 32], config.json asks for [3, 64, 32]" in " ".join(err.split())
    (checkpoint / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
    code, _, err = engram("export", checkpoint, checkpoint.parent / "model")
    assert code == 2 and "its architecture is 'llama'" in " ".join(err.split())
    assert not (checkpoint.parent / "model").exists()


def test_doctor_finds_nothing_broken(engram: Any) -> None:
    code, out, _ = engram("doctor", "--json")
    verdicts = json.loads(out)
    assert [verdict for verdict in verdicts if verdict["state"] == "bad"] == []
    assert code == 0
    assert {"python", "packages", "providers", "model", "cache", "watcher"} <= {one["subject"] for one in verdicts}
    facts = {one["subject"]: one["facts"] for one in verdicts}
    assert "CPUExecutionProvider" in facts["providers"]["available"]
    assert facts["model"]["provider"] in facts["providers"]["available"] and facts["model"]["reason"]
    assert facts["Engram tables"]["bytes"] == Path(facts["Engram tables"]["file"]).stat().st_size


def test_doctor_names_what_it_found_broken(engram: Any) -> None:
    code, out, _ = engram("doctor", "--json", "--model", "nowhere")
    broken = {one["subject"]: one["what"] for one in json.loads(out) if one["state"] == "bad"}
    assert code == 1 and broken.keys() == {"model", "Engram tables"}
    assert "nowhere is not a model folder" in broken["model"]


@pytest.mark.parametrize(
    ("found", "missing", "hidden", "state", "said"),
    [
        (1, ("libcublas.so.13",), None, "note", "CUDA lacks libcublas.so.13"),
        (1, (), None, "good", "Some GPU (2.0 of 3.0 GB free)"),
        (0, (), "7", "note", "shows no device"),
    ],
)
def test_doctor_says_what_cuda_lacks(
    engram: Any,
    monkeypatch: pytest.MonkeyPatch,
    found: int,
    missing: tuple[str, ...],
    hidden: str | None,
    state: str,
    said: str,
) -> None:
    monkeypatch.setattr("engram_runtime.nvidia.driver_version", lambda: "580.1")
    monkeypatch.setattr("engram_runtime.nvidia.devices", lambda: (Device("Some GPU", 3 * 10**9, 2 * 10**9),) * found)
    monkeypatch.setattr("engram_runtime.providers.load_cuda_libraries", lambda: missing)
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    if hidden:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    _, shown, _ = engram("doctor")
    assert ("engram-ls[cuda]" in shown) == bool(missing), "brackets are not markup"
    _, out, _ = engram("doctor", "--json")
    verdict = next(one for one in json.loads(out) if one["subject"] == "providers")
    assert (verdict["state"], said in verdict["what"]) == (state, True)
    assert ("engram-ls[cuda]" in verdict["advice"]) == bool(missing)
    assert not hidden or "'7'" in verdict["advice"]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str, engram: Any) -> None:
    code, out, _ = (
        engram(command, "--help") if command not in ("check", "complete", "rename") else engram(command, "-h")
    )
    assert code == 0 and f"engram-ls {command}" in out


def test_an_unknown_command_is_not_a_crash(engram: Any) -> None:
    code, _, err = engram("frobnicate")
    assert code == 2 and "frobnicate" in err


@pytest.mark.wire
def test_the_demo_shows_a_real_server_at_work(project: Path, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (project / "shop" / f"{name}.py").write_text(
            "from shop.basket import Basket\n\n\ndef fill():\n    basket = Basket()\n    basket.add(1)\n    return basket\n"
        )
    report = Demo(project, tmp_path / "cache", quiet=True).run()
    assert report["cold"]["status"]["folders"][0]["files"] == 7
    assert report["rename"]["symbol"] == "Basket" and report["rename"]["files"] == 5
    assert "undefined-name" in report["problems"]["by_code"]
    assert report["fault"]["found"]["code"] == "undefined-name" and report["fault"]["withdrawn"]
    assert report["warm"]["status"]["folders"][0]["files"] == 7
