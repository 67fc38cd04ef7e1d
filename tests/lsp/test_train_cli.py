"""`engram-ls train`: a model trained on, on the user's own repositories, as a person runs it; and the run on a corpus."""

import dataclasses
import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engram_lsp.cli import main
from engram_lsp.own_code import compare, places, sources
from engram_runtime.engine import OnnxEngine
from engram_runtime.export import export
from engram_runtime.tokenizer import engram_classes
from engram_runtime.train import finetune
from engram_runtime.train.corpus import Document
from safetensors.torch import save_file
from small_model import SMALL, byte_tokenizer, random_network


def module(number: int) -> str:
    return f"import shapes{number}\n\n\n" + "".join(
        f"def area_{number}_{line}(width_{number}, scale):\n    return width_{number} * scale + {number * line}\n\n\n"
        for line in range(4)
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model that was exported, with a file beside it that export knows nothing of."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = byte_tokenizer()
    classes = engram_classes(tokenizer)
    checkpoint = folder / "checkpoint"
    checkpoint.mkdir()
    SMALL.write(checkpoint / "config.json")
    weights = random_network(SMALL, classes).state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, checkpoint / "weights.safetensors")
    np.save(checkpoint / "engram_classes.npy", classes)
    (checkpoint / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    export(checkpoint, folder / "small", "int8")
    (folder / "small" / "notes.json").write_text('{"of": "small"}', encoding="utf-8")
    return folder / "small"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    for number in range(6):
        file = root / "shop" / f"part{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(module(number), encoding="utf-8")
    return root


@pytest.fixture
def engram(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: its exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def of_small_size(monkeypatch: pytest.MonkeyPatch, **more: float) -> None:
    """Fewer and shorter rows than a real model is trained on with."""
    few: dict[str, Any] = {"rows": 2, "length": 96, "passes": 2.0, "checks": 2, "check_rows": 2, "precision": "fp32"}
    few |= {"adam_lr": 3e-3, "muon_lr": 2e-2, "table_lr": 1e-2} | more
    monkeypatch.setattr(finetune, "TuneOptions", partial(finetune.TuneOptions, **few))


def test_training_on_gives_a_model_that_the_server_opens(
    model: Path, project: Path, tmp_path: Path, engram: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_small_size(monkeypatch)
    (project / ".engramignore").write_text("hidden.py\n")
    (project / "shop" / "hidden.py").write_text(module(9), encoding="utf-8")
    made = tmp_path / "made"
    given = ("train", "--from", model, project, "--out", made, "--minutes", 5, "--threads", 1, "--places", 4)
    code, out, err = engram(*given)
    # A random model knows nothing: whatever is learned is a gain.
    assert code == 0
    assert "bits a token" in out and f'"engram.model.path": {json.dumps(str(made))}' in out
    assert "5 files to learn from" in err and "1 held out" in err and "held-out files:" in err
    assert json.loads((made / "notes.json").read_text(encoding="utf-8")) == {"of": "small"}
    about = json.loads((made / "model.json").read_text(encoding="utf-8"))
    assert about["calibrated"] and about["weights"] == "int8" and about["training"]["files"]["train"] == 5

    where = f"{project / 'shop' / 'part0.py'}:5:12"
    code, out, _ = engram("complete", where, "--model", made, "--json", "--cache", tmp_path / "cache")
    offered = json.loads(out)
    # Whether such a small model is sure of anything is left to chance.
    assert code == 0 and offered["list"] and all(one["source"] == "both" for one in offered["ghost_text"])
    _, out, _ = engram("doctor", "--model", made, "--json")
    looked = {one["subject"]: one for one in json.loads(out)}
    assert looked["model"]["state"] == "good" and looked["model"]["facts"]["folder"] == str(made)

    # Once more, from there on: what is in the way is a model, and may be replaced.
    code, out, _ = engram("train", "--from", made, project, "--out", tmp_path / "again", *given[6:], "--json")
    said = json.loads(out)
    assert said["comparison"]["before"]["model"]["bits"] < about["training"]["checks"][0]["bits"]
    assert said["model"] == str(tmp_path / "again") and code == (0 if said["gained"] else 1)


def test_without_a_gain_the_old_model_stays_recommended_and_nothing_is_written(
    model: Path, project: Path, tmp_path: Path, engram: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_small_size(monkeypatch, adam_lr=1e-30, muon_lr=1e-30, table_lr=1e-30, balance_rate=0.0)
    given = ("train", "--from", model, project, "--out", tmp_path / "made", "--threads", 1)
    code, out, _ = engram(*given)
    assert code == 1 and "no gain" in out and f"keep {model}" in out
    assert not list(tmp_path.glob("made*"))
    code, out, _ = engram(*given, "--json")
    said = json.loads(out)
    assert code == 1 and said["gained"] is False and said["recommended"] == str(model)


def test_what_the_project_leaves_out_is_not_read(project: Path) -> None:
    (project / ".gitignore").write_text("private/\n")
    for path in ("private/keys.py", ".venv/lib/other.py", "node_modules/x.py"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(module(8), encoding="utf-8")
    (project / "credentials.py").write_text(module(7), encoding="utf-8")
    (project / "broken.py").write_bytes(b"\xff\xfe\x00")
    (project / "notes.txt").write_text("no code")
    found = sources([project, project])
    assert {document.path for document in found} == {f"shop/part{number}.py" for number in range(6)}
    assert {document.package for document in found} == {"shop", "shop-2"}


def test_line_ends_are_the_same_in_what_is_learned(project: Path) -> None:
    (project / "shop" / "part0.py").write_bytes(module(0).replace("\n", "\r\n").encode())
    assert next(one.text for one in sources([project]) if one.path == "shop/part0.py") == module(0)


def test_a_model_compared_with_itself_gains_nothing_and_the_memory_knows_the_learned_files_alone(model: Path) -> None:
    learned = [Document("shop", "shop/part1.py", module(1)), Document("other", "other/part2.py", module(2))]
    held = [Document("shop", "shop/held.py", module(3)), Document("other", "other/held.py", module(1))]
    asked = places(held, 8)
    assert {package: {hole.path for hole in holes} for package, holes in asked.items()} == {
        "shop": {"shop/held.py"},
        "other": {"other/held.py"},
    }
    engine = OnnxEngine.open(model)
    try:
        found = compare(learned, asked, (engine, engine), engine.tokenizer, _coding(model))
    finally:
        engine.close()
    assert found.before == found.after and found.difference == found.low == found.high == 0 and not found.gained
    assert found.places == sum(map(len, asked.values()))
    # A copy of the other package's file is of no use: each package has a memory of its own, and the file is open.
    assert found.before["fused"].bits < found.before["model"].bits


def _coding(model: Path) -> Any:
    from engram_lsp.coding import coding_of

    return coding_of(model / "tokenizer.json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{project}", "--from", "default"], "add --out MODELFOLDER"),
        (["{project}", "--from", "{model}"], "add --out MODELFOLDER"),
        (["{project}", "{project}"], "several folders"),
        (["{project}", "--out", "{new}", "--resume", "--corpus", "x"], "--corpus, --resume: for training on a corpus"),
        (["nowhere", "--out", "{new}"], "nowhere is not a folder"),
        (["{project}", "--out", "{project}"], "holds other things than a model"),
        (["{project}", "--out", "{file}"], "is a file"),
        (["{project}", "--from", "{model}", "--out", "{model}"], "is the model to begin with"),
        (["{project}", "--from", "{checkpoint}", "--out", "{new}"], "is a checkpoint"),
        (["{project}", "--from", "{project}", "--out", "{new}"], "is not a model folder"),
        (["{empty}", "--out", "{new}"], "at least two are needed"),
        (["{project}", "--out", "{new}", "--minutes", "0"], "is not a number of"),
        (["{new}", "--corpus", "nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(
    model: Path, project: Path, tmp_path: Path, engram: Any, arguments: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    names = {
        "project": project,
        "model": model,
        "checkpoint": model.parent / "checkpoint",
        "new": tmp_path / "new",
        "file": project / "shop" / "part0.py",
        "empty": tmp_path / "empty",
    }
    code, _, err = engram("train", *(argument.format(**names) for argument in arguments))
    assert code == 2 and said in " ".join(err.split())
    assert "Traceback" not in err and not (tmp_path / "new").exists()


def test_a_run_on_a_corpus_is_asked_for_by_its_folder_alone(tmp_path: Path, engram: Any) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for split in ("train", "validation"):
        with gzip.open(corpus / f"{split}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(
                json.dumps(dataclasses.asdict(Document("shop", f"{n}.py", module(n)))) + "\n" for n in (1, 2)
            )
    (corpus / "tokenizer.json").write_text(byte_tokenizer().to_json(), encoding="utf-8")
    layers = {"layer_types": SMALL.layer_types[:2], "mlp_layer_types": SMALL.mlp_layer_types[:2], "engram_layers": (1,)}
    dataclasses.replace(SMALL, **layers).write(tmp_path / "small.json")
    given = ["--corpus", corpus, "--config", tmp_path / "small.json", "--tokens", 1, "--device", "cpu", "--threads", 1]
    code, out, _ = engram("train", tmp_path / "run", *given)
    assert code == 0 and "4,096 tokens" in out
    assert (tmp_path / "run" / "weights.safetensors").exists()
