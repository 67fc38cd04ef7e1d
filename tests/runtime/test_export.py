"""What is exported is what was trained, and a checkpoint that does not fit is refused by name."""

import contextlib
import json
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.export import FILES, WeightKind, export
from engram_runtime.external import ExternalData
from engram_runtime.network import DeepseekV4
from engram_runtime.shapes import expected_shapes
from engram_runtime.weights import EngramRows, Weights, write_engram
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file
from small_model import SMALL


def test_weights_are_read_as_torch_wrote_them(checkpoint: Path, network: DeepseekV4) -> None:
    weights = Weights(checkpoint / "weights.safetensors")
    state = network.state_dict()
    assert set(weights) == set(state)
    assert len(weights) == len(state)
    for name, value in state.items():
        assert np.array_equal(weights[name], value.numpy())


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_every_number_type_is_read(tmp_path: Path, kind: torch.dtype) -> None:
    value = (torch.randn(3, 5) * 10).abs().to(kind)
    save_file({"x": value, "scalar": torch.ones((), dtype=kind)}, tmp_path / "w.safetensors", {"format": "pt"})
    weights = Weights(tmp_path / "w.safetensors")
    assert np.array_equal(weights["x"], value.float().numpy() if kind == torch.bfloat16 else value.numpy())
    assert weights["scalar"].shape == ()
    with pytest.raises(KeyError):
        weights["y"]


@pytest.mark.parametrize("content", [b"", b"short", b"\x08\0\0\0\0\0\0\0not json", b"\xff" * 40])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"w\.safetensors"):
        Weights(tmp_path / "w.safetensors")


def test_a_checkpoint_that_was_cut_short_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    file = copy / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="cut short"):
        export(copy, tmp_path / "out")


@pytest.mark.parametrize("eight_bit", [False, True])
def test_engram_rows_come_back(tmp_path: Path, hashes: EngramHash, eight_bit: bool) -> None:
    random = np.random.default_rng(0)
    tables = {layer: random.normal(size=(hashes.row_count(layer), 16)).astype(np.float32) for layer in (1, 3)}
    tables[3][5] = 0
    write_engram(tmp_path / "engram.npy", tables, eight_bit)
    rows = EngramRows(tmp_path / "engram.npy", {layer: len(table) for layer, table in tables.items()})
    for layer, table in tables.items():
        numbers = random.integers(0, len(table), (9, 4))
        numbers[0, 0] = 5
        found, expected = rows.lookup(layer, numbers), table[numbers].reshape(9, -1)
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() <= (0.02 if eight_bit else 0)
    with pytest.raises(ValueError, match="rows"):
        EngramRows(tmp_path / "engram.npy", {1: 7})


def test_the_folder_says_how_it_was_made(folders: dict[WeightKind, Path], network: DeepseekV4) -> None:
    for kind, folder in folders.items():
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        assert about["weights"] == kind
        assert about["training"] == {"tokens": 0}
        assert about["parameters"] == sum(weight.numel() for weight in network.parameters()) + 2 * 4  # router biases
        assert about["bytes"]["model.onnx"] == (folder / "model.onnx").stat().st_size
        assert ModelConfig.read(folder / "config.json") == SMALL
        assert not list(folder.parent.glob("*.partial"))


def test_fewer_bits_make_a_smaller_model(folders: dict[WeightKind, Path]) -> None:
    sizes = [(folders[kind] / "model.onnx").stat().st_size for kind in ("fp32", "int8", "int4")]
    assert sizes == sorted(sizes, reverse=True)
    assert (folders["int8"] / "engram.npy").stat().st_size < (folders["fp32"] / "engram.npy").stat().st_size / 3


def test_exporting_again_replaces_the_folder(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    export(checkpoint, out, "int4")
    export(checkpoint, out, "int8")
    assert json.loads((out / "model.json").read_text())["weights"] == "int8"
    assert {file.name for file in out.iterdir()} == {*FILES} - {"model.onnx.data", "draft.onnx", "gate.json"}


def test_a_folder_of_other_things_is_not_overwritten(checkpoint: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    shutil.copyfile(checkpoint / "config.json", precious / "config.json")
    with pytest.raises(ValueError, match="other things"):
        export(checkpoint, precious)
    assert (precious / "thesis.txt").exists()


def rewrite(name: str, value: torch.Tensor | None) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = {key: torch.tensor(array) for key, array in Weights(folder / "weights.safetensors").items()}
        tensors.pop(name)
        if value is not None:
            tensors[name] = value
        save_file(tensors, folder / "weights.safetensors")

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (rewrite("model.layers.1.self_attn.kv_proj.weight", None), "kv_proj"),
        (rewrite("model.layers.1.engram.table.weight", torch.zeros(5, 16)), r"table.weight is of shape \[5, 16\]"),
        (lambda folder: np.save(folder / "engram_classes.npy", np.zeros(3)), "classes"),
        (lambda folder: (folder / "config.json").write_text('{"layers": 3}'), "unknown"),
    ],
)
def test_a_checkpoint_whose_parts_do_not_fit_is_refused(
    checkpoint: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    copy = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    damage(copy)
    with pytest.raises(ValueError, match=message):
        export(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failed_export_leaves_what_was_there(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    export(checkpoint, out, "int8")

    def interrupt(done: int, total: int, name: str) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(checkpoint, out, "fp32", progress=interrupt)
    assert json.loads((out / "model.json").read_text())["weights"] == "int8"
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_disk_that_is_too_full_is_told_before_work_begins(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match=r"only 0\.0 GB are free"):
        export(checkpoint, tmp_path / "new" / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_taken_for_a_folder(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "model").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        export(checkpoint, tmp_path / "model")


def test_progress_names_every_weight_once(checkpoint: Path, tmp_path: Path, network: DeepseekV4) -> None:
    said: list[tuple[int, int, str]] = []
    export(checkpoint, tmp_path / "model", "int4", progress=lambda *what: said.append(what))
    names = [name for _, _, name in said if name]
    assert sorted(names) == sorted(network.state_dict())
    assert [done for done, _, _ in said] == list(range(len(names) + 1))
    assert {total for _, total, _ in said} == {len(names)}


def test_constants_in_a_file_of_their_own_are_read_back(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = {
        "large": random.normal(size=(300, 100)).astype(np.float32),
        "codes": random.integers(0, 256, (70, 1001), np.uint8),
        "turned": random.normal(size=(50, 60)).astype(np.float32).T,
        "scalar": np.array(7, np.int64),
        "last": random.normal(size=(20000,)).astype(np.float16),
    }
    with contextlib.closing(ExternalData(tmp_path / "model.onnx.data")) as store:
        tensors = {name: store(name, value) for name, value in values.items()}
    for name, value in values.items():
        assert tensors[name].ByteSize() < 200
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensors[name], str(tmp_path)), value)
        where = {entry.key: entry.value for entry in tensors[name].external_data}
        assert int(where["offset"]) % (65536 if value.nbytes >= 65536 else 4096) == 0


@pytest.mark.parametrize("kind", ["fp32", "int8", "int4"])
def test_memory_is_needed_for_the_largest_weight_and_not_for_the_model(tmp_path: Path, kind: WeightKind) -> None:
    config = replace(
        SMALL,
        hidden_size=128,
        layer_types=SMALL.layer_types * 4,
        mlp_layer_types=("moe",) * 16,
        n_routed_experts=16,
        moe_intermediate_size=128,
        engram_layers=(),
    )
    random = np.random.default_rng(0)
    weights = {name: random.standard_normal(shape, np.float32) for name, shape in expected_shapes(config).items()}
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    config.write(folder / "config.json")
    save_arrays(weights, folder / "weights.safetensors")
    sizes = [weight.nbytes for weight in weights.values()]
    del weights
    tracemalloc.start()
    try:
        export(folder, tmp_path / "model", kind, one_file=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * max(sizes) < sum(sizes) / 6


@pytest.mark.parametrize("stored", ["float32", "bfloat16", "fp8"])
def test_engram_tables_are_exported_in_less_memory_than_they_take(tmp_path: Path, stored: str) -> None:
    """Also where each number must be decoded, and blocks of scales do not end where pieces do."""
    config = replace(SMALL, engram_rows=80_021, engram_dim=32)
    rows = EngramHash(config, np.zeros(262, np.int64)).row_count(1)
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    config.write(folder / "config.json")
    np.save(folder / "engram_classes.npy", np.arange(262))
    torch.manual_seed(1)
    tensors = {name: torch.zeros(shape) for name, shape in expected_shapes(config).items()}
    tables: dict[int, torch.Tensor] = {}
    for layer in config.engram_layers:
        name = f"model.layers.{layer}.engram.table.weight"
        table = torch.randn(tensors[name].shape)
        if stored == "bfloat16":
            table = table.bfloat16()
            tables[layer] = table.float()
        elif stored == "fp8":
            scales = 2.0 ** torch.randint(-3, 3, (-(-len(table) // 128), 1))
            table = table.to(torch.float8_e4m3fn)
            tensors[f"{name}_scale_inv"] = scales
            tables[layer] = table.float() * scales.repeat_interleave(128, 0)[: len(table)]
        else:
            tables[layer] = table
        tensors[name] = table
    tensors = {name: value if "tid2eid" not in name else value.long() for name, value in tensors.items()}
    save_file(tensors, folder / "weights.safetensors")
    del tensors
    tracemalloc.start()
    try:
        export(folder, tmp_path / "model", "fp32")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * rows * 32 * 4
    found = EngramRows(tmp_path / "model" / "engram.npy", {layer: len(table) for layer, table in tables.items()})
    numbers = np.arange(0, rows, 97)[:, None]
    for layer, table in tables.items():
        assert np.array_equal(found.lookup(layer, numbers), table.numpy()[numbers[:, 0]])


def test_a_checkpoint_that_lacks_a_file_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    (copy / "weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError):
        export(copy, tmp_path / "out")
