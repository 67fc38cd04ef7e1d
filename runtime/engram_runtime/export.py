"""A trained checkpoint as a model folder that the server can run.

model.onnx          the graph of every phase, with its weights (graph.py)
engram.npy          rows of the Engram tables, looked up by the host (weights.py)
engram_classes.npy  token -> class, for the Engram hashes
config.json, tokenizer.json
model.json          how it was made: weights, training figures, sizes
"""

import json
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from engram_runtime import graph
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.quantize import Blocks
from engram_runtime.weights import Weights, write_engram

WeightKind = Literal["fp32", "int8", "int4"]
KINDS: dict[WeightKind, Blocks | None] = {"fp32": None, "int8": Blocks(8), "int4": Blocks(4)}

FILES = ("model.onnx", "engram.npy", "engram_classes.npy", "config.json", "tokenizer.json", "model.json")

FORMAT = 1
"""Version of the folder's contents; a server refuses one it does not know."""


def export(checkpoint: Path, out: Path, weights: WeightKind = "int8") -> dict[str, Any]:
    """Writes the model folder `out`, replacing it as a whole, and returns what its model.json says.

    Raises FileNotFoundError if the checkpoint lacks a file, ValueError if its parts do not fit together.
    """
    if out.exists() and any(file.name not in FILES for file in out.iterdir()):
        raise ValueError(f"{out} holds other things than a model, which would be lost: choose another place")
    config = ModelConfig.read(checkpoint / "config.json")
    tensors = Weights(checkpoint / "weights.safetensors")
    classes = np.load(checkpoint / "engram_classes.npy", allow_pickle=False)
    hashes = EngramHash(config, classes)
    tables: dict[int, np.ndarray] = {}
    for layer in config.engram_layers:
        tables[layer] = tensors[f"model.layers.{layer}.engram.table.weight"]
        if tables[layer].shape != (hashes.row_count(layer), config.engram_dim):
            raise ValueError(
                f"layer {layer} has an Engram table of {tables[layer].shape}, "
                f"but config.json asks for {(hashes.row_count(layer), config.engram_dim)}"
            )
    try:
        model = graph.build(config, tensors, KINDS[weights])
    except KeyError as missing:
        raise ValueError(f"{checkpoint / 'weights.safetensors'} lacks {missing}") from missing

    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    onnx.save(model, partial / "model.onnx")
    write_engram(partial / "engram.npy", tables, eight_bit=weights != "fp32")
    np.save(partial / "engram_classes.npy", classes)
    config.write(partial / "config.json")
    shutil.copyfile(checkpoint / "tokenizer.json", partial / "tokenizer.json")
    about: dict[str, Any] = {
        "format": FORMAT,
        "weights": weights,
        "block": blocks.size if (blocks := KINDS[weights]) else None,
        "parameters": sum(tensors[name].size for name in tensors if not name.endswith("tid2eid")),
        "engram_parameters": sum(table.size for table in tables.values()),
        "nodes": len(model.graph.node),
        "bytes": {file.name: file.stat().st_size for file in sorted(partial.iterdir())},
    }
    training = checkpoint / "training.json"
    if training.exists():
        about["training"] = json.loads(training.read_text(encoding="utf-8"))
    (partial / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    if out.exists():
        shutil.rmtree(out)
    partial.replace(out)
    return about
