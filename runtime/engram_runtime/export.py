"""A checkpoint as a model folder that the server can run.

model.onnx          the graph of every phase (graph.py), of small models with its weights
model.onnx.data     the weights of larger models, which the runtime maps
draft.onnx          the layer of multi-token prediction, where the network has one: it drafts (mtp.py)
engram.npy          rows of the Engram tables, looked up by the host (weights.py)
engram_classes.npy  token -> class, for the Engram hashes
config.json, tokenizer.json
model.json          how it was made: weights, training figures, sizes
gate.json           how far a prior is trusted beside this very model (gate.py); learned afterwards, so not written here

Of these a network without Engram layers has no engram files, and one that came without a tokenizer no tokenizer.json.

Weights go through memory one after the other: from the checkpoint's mapped files (checkpoint.py), through graph.py,
which reorders and quantises them, to model.onnx.data. Needed at once is about twice the largest of them, which is the
gate and up projections of a layer's experts: 8 x E x 2I x H bytes.
"""

import contextlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from engram_runtime import calibrate, graph, samples
from engram_runtime.checkpoint import Checkpoint, Tensors
from engram_runtime.external import ExternalData
from engram_runtime.quantize import KINDS as KINDS
from engram_runtime.quantize import Plan
from engram_runtime.quantize import WeightKind as WeightKind
from engram_runtime.session import FORMAT
from engram_runtime.shapes import expected_shapes
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.weights import Table, write_engram

_BYTES: dict[WeightKind, float] = {"fp32": 4, "int8": 1.15, "int4": 0.7}
"""About how many a weight takes, with its share of scales and of what stays float32."""

FILES = (
    *("model.onnx", "model.onnx.data", "draft.onnx", "engram.npy", "engram_classes.npy", "config.json"),
    *("tokenizer.json", "model.json", "gate.json"),
)

ONE_FILE = 200_000_000
"""Up to about how many bytes of weights stay within model.onnx, which is simpler to copy but read as a whole."""

OnProgress = Callable[[int, int, str], None]
"""Called with how many weights are read, of how many, and the name of the one that comes next."""


def export(
    checkpoint: Path,
    out: Path,
    weights: WeightKind = "int8",
    *,
    calibration: Path | None = None,
    one_file: int = ONE_FILE,
    progress: OnProgress = lambda done, total, name: None,
) -> dict[str, Any]:
    """Writes the model folder `out`, replacing it as a whole, and returns what its model.json says.

    `calibration` is a folder of code like that which the model is for: weights are then rounded so that products with
    what occurs in it come out close (calibrate.py), which needs memory for all of them in float32.

    Raises FileNotFoundError if the checkpoint lacks a file, ValueError if its parts do not fit together; `out` is then
    as it was before.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: name a folder for the model")
    if out.exists() and any(file.name not in FILES for file in out.iterdir()):
        raise ValueError(f"{out} holds other things than a model, which would be lost: choose another place")
    source = Checkpoint.open(checkpoint)
    source.verify()
    config, tensors = source.config, source.weights
    sizes = {name: math.prod(shape) for name, shape in expected_shapes(config).items()}
    engram = {layer: f"model.layers.{layer}.engram.table.weight" for layer in sorted(config.engram_layers)}
    tables = sum(sizes[name] for name in engram.values())
    about_bytes = int(_BYTES[weights] * (sum(sizes.values()) - tables))
    _room_for(out, about_bytes + (4 if weights == "fp32" else 1) * tables)

    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        plan = Plan.of(weights, _moments(source, calibration) if calibration and weights != "fp32" else None)
        watched = _Watched(tensors, len(sizes), progress)
        draft = bool(config.num_nextn_predict_layers)
        with contextlib.ExitStack() as stack:
            store = None
            if about_bytes > one_file:
                store = stack.enter_context(contextlib.closing(ExternalData(partial / "model.onnx.data")))
            model = graph.build(config, watched, plan, store, draft=draft)
            onnx.save(model, partial / "model.onnx")
            if draft:
                onnx.save(graph.build_draft(config, watched, plan, store), partial / "draft.onnx")
        if source.classes is not None:
            rows = {layer: watched.table(name) for layer, name in engram.items()}
            write_engram(partial / "engram.npy", rows, eight_bit=weights != "fp32")
            np.save(partial / "engram_classes.npy", source.classes)
        config.write(partial / "config.json")
        if source.tokenizer:
            shutil.copyfile(source.tokenizer, partial / "tokenizer.json")
        about: dict[str, Any] = {
            "format": FORMAT,
            "weights": weights,
            "block": plan.blocks.size if plan else None,
            "calibrated": bool(plan and plan.moments),
            "parameters": sum(size for name, size in sizes.items() if not name.endswith("tid2eid")),
            "engram_parameters": tables,
            "nodes": len(model.graph.node),
            "draft_head": draft,
            "tokenizer": source.tokenizer is not None,
            "bytes": {file.name: file.stat().st_size for file in sorted(partial.iterdir())},
            "unused": source.unused(),
        }
        training = checkpoint / "training.json"
        if training.exists():
            about["training"] = json.loads(training.read_text(encoding="utf-8"))
        (partial / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        partial.replace(out)
        progress(len(sizes), len(sizes), "")
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return about


def _moments(source: Checkpoint, folder: Path) -> Mapping[str, np.ndarray]:
    """Second moments of what the network's matrices are multiplied with on the code in the folder."""
    if source.tokenizer is None:
        raise ValueError(f"{source.folder} has no tokenizer.json, without which it cannot be calibrated on code")
    texts = samples.texts(folder, Tokenizer.read(source.tokenizer))
    return calibrate.moments(source.config, source.weights, source.classes, texts)


class _Watched(Mapping[str, np.ndarray]):
    """The same tensors; tells which one is read, and how many have been."""

    def __init__(self, tensors: Tensors, total: int, progress: OnProgress) -> None:
        self._tensors, self._total, self._progress = tensors, total, progress
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self._note(name)
        return self._tensors[name]

    def table(self, name: str) -> Table:
        self._note(name)
        return self._tensors.table(name)

    def _note(self, name: str) -> None:
        self._progress(len(self._read), self._total, name)
        self._read.add(name)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _room_for(out: Path, needed: int) -> None:
    """Raises ValueError when the disk that `out` is to lie on is too full."""
    there = next(folder for folder in out.absolute().parents if folder.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise ValueError(f"{out} would take about {needed / 1e9:.1f} GB, only {free / 1e9:.1f} GB are free there")
