"""A folder with a network's weights, in any of the layouts that such folders come in, opened without reading them.

    config.json                     ours (config.py), or a `deepseek_v4` one (released.py)
    weights.safetensors             what `engram-ls train` writes
    model.safetensors               what transformers writes, and larger models in shards:
    model.safetensors.index.json    tensor name -> shard
    tokenizer.json                  optional
    engram_classes.npy              token -> class, where the network has Engram layers

Headers say every name, shape and number type, so that a checkpoint is checked as a whole before work on it begins. A
tensor is read from its mapped file when it is asked for and not kept: FP8 and FP4 weights are decoded, a layer's
experts are stacked. Reading one therefore needs memory for that tensor alone, of which the largest is a layer's
experts.gate_up_proj, 4 x E x 2I x H bytes.
"""

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from engram_runtime import blockfloat
from engram_runtime.config import ModelConfig
from engram_runtime.released import Place, model_config, place, scaled_by
from engram_runtime.shapes import Shape, expected_shapes
from engram_runtime.weights import Table, Weights

_FLOATS = ("F64", "F32", "F16", "BF16")
_INTEGERS = ("I64", "I32", "I16", "I8", "U8")
_PROBLEMS_SHOWN = 12

_ALL = slice(None)


@dataclass(frozen=True, slots=True)
class _Stored:
    """One tensor of a file, with its block scales where it has any (they may lie in another shard)."""

    file: Weights
    name: str
    scales: tuple[Weights, str] | None

    @property
    def kind(self) -> str:
        """Its number type; two FP4 values in a byte go by several names in files, and by F4 here."""
        kind = self.file.stored(self.name)[0]
        return "F4" if self.scales and kind in ("I8", "U8") else kind

    @property
    def shape(self) -> Shape:
        """Shape of the values. Raises ValueError for a number type that cannot be read, or scales that do not fit."""
        stored, shape = self.file.stored(self.name)
        if self.kind not in (*_FLOATS, *_INTEGERS, "F8_E4M3", "F4"):
            raise ValueError(f"{self.name} is of type {stored}, which cannot be read")
        if self.kind == "F4" and stored != "F4":
            shape = (*shape[:-1], 2 * shape[-1])
        if self.scales:
            kind, scales = self.scales[0].stored(self.scales[1])
            if kind == "F8_E4M3":
                raise ValueError(f"{self.name} has FP8 scales (NVFP4), which cannot be read; take the MXFP4 release")
            if kind not in (*_FLOATS, "F8_E8M0", "U8"):
                raise ValueError(f"{self.scales[1]} is of type {kind}, which scales cannot be")
            try:
                blockfloat.block_of(shape, scales, self._usual)
            except ValueError as problem:
                raise ValueError(f"{self.name}: {problem}") from problem
        return shape

    @property
    def _usual(self) -> tuple[int, int]:
        return (1, 32) if self.kind == "F4" else (128, 128)

    def read(self, rows: slice = _ALL) -> np.ndarray:
        """float32 values, or the integers as they are stored; of these rows only."""
        shape, kind = self.shape, self.kind
        if kind == "F4":
            values = blockfloat.fp4(self._codes(rows))
        elif kind == "F8_E4M3":
            values = blockfloat.fp8(self._codes(rows))
        else:
            values = self.file.rows(self.name, rows)
            if kind in _INTEGERS:
                return values
            values = np.array(values, np.float32) if self.scales else values.astype(np.float32, copy=False)
        if self.scales:
            scales = self._read_scales()
            block = blockfloat.block_of(shape, scales.shape, self._usual)
            if rows != _ALL and scales.size > 1:
                # Rows may begin within a block: each is given the scales of its own.
                scales, block = scales[np.arange(*rows.indices(shape[0])) // block[0]], (1, block[1])
            blockfloat.scale(values, scales, block)
        return values

    def _codes(self, rows: slice) -> np.ndarray:
        return self.file.codes(self.name).reshape(self.file.stored(self.name)[1])[rows]

    def _read_scales(self) -> np.ndarray:
        assert self.scales is not None
        file, name = self.scales
        kind, shape = file.stored(name)
        if kind in ("F8_E8M0", "U8"):
            return blockfloat.E8M0[file.codes(name)].reshape(shape)
        return file[name].astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A matrix [rows, dim] that is read in pieces (weights.py's `Table`)."""

    stored: _Stored

    @property
    def shape(self) -> Shape:
        return self.stored.shape

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        return self.stored.read(rows)


class Tensors(Mapping[str, np.ndarray]):
    """The parameters of a checkpoint under our names, float32 (but for integers), each read when it is asked for."""

    def __init__(self, files: Mapping[str, Weights]) -> None:
        """`files` maps the stored name of each tensor to the file that has it."""
        self._places: dict[str, dict[Place, _Stored]] = defaultdict(dict)
        scales: set[str] = set()
        for stored, file in files.items():
            found = next((name for name in scaled_by(stored) if name in files), None)
            if found:
                scales.add(found)
            at = place(stored)
            self._places[at.name][at] = _Stored(file, stored, (files[found], found) if found else None)
        for name in scales:
            self._places.pop(place(name).name, None)

    def __getitem__(self, name: str) -> np.ndarray:
        places = self._of(name)
        if len(places) == 1 and (whole := places.get(Place(name))):
            return whole.read()
        values = np.empty(self.shape(name), np.float32)
        rows = values.shape[1] // self._parts(places)
        for at, stored in places.items():
            values[at.expert, at.part * rows : (at.part + 1) * rows] = stored.read()
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def shape(self, name: str) -> Shape:
        """Shape of a parameter, from headers alone. Raises KeyError; ValueError if it could not be read or stacked."""
        places = self._of(name)
        shapes = {at: stored.shape for at, stored in places.items()}
        if len(shapes) == 1 and Place(name) in shapes:
            return shapes[Place(name)]
        if Place(name) in shapes:
            raise ValueError(f"{name} is there both as a whole and expert by expert")
        parts = self._parts(places)
        count = 1 + max(cast("int", at.expert) for at in places)
        whole = {(expert, part) for expert in range(count) for part in range(parts)}
        if lacking := sorted({expert for expert, _ in whole - {(at.expert, at.part) for at in places}}):
            raise ValueError(f"{name} lacks weights of {_listed('expert', lacking)}")
        if len(each := set(shapes.values())) != 1 or len(first := each.pop()) != 2:
            raise ValueError(f"{name}: its experts are of different shapes, or no matrices")
        return count, parts * first[0], first[1]

    def table(self, name: str) -> Table:
        """A parameter that is stored in one piece, to be read some rows at a time. Raises KeyError."""
        return _Rows(self._of(name)[Place(name)])

    def kinds(self, name: str) -> set[str]:
        """Number types that a parameter is stored in."""
        return {stored.kind for stored in self._of(name).values()}

    def _of(self, name: str) -> dict[Place, _Stored]:
        if name not in self._places:
            raise KeyError(name)
        return self._places[name]

    @staticmethod
    def _parts(places: Mapping[Place, _Stored]) -> int:
        return 1 + max(at.part for at in places)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An opened checkpoint folder. `classes` [V] are the tokens' classes for the Engram hashes; None without Engram."""

    folder: Path
    config: ModelConfig
    weights: Tensors
    tokenizer: Path | None
    classes: np.ndarray | None

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Opens a folder of any of the layouts; no weights are read.

        Raises FileNotFoundError where a file is missing, ValueError where one cannot be understood; both say which.
        """
        path = folder / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"{folder} is not a checkpoint: it has no config.json")
        config = _config(path)
        tensors = Tensors(_files(folder))
        if config.num_nextn_predict_layers and "mtp.0.e_proj.weight" not in tensors:
            # transformers drops the MTP layer from the weights, but leaves it in the configuration.
            config = dataclasses.replace(config, num_nextn_predict_layers=0)
        tokenizer = folder / "tokenizer.json"
        classes = None
        if config.engram_layers:
            classes = np.load(folder / "engram_classes.npy", allow_pickle=False)
        return cls(folder, config, tensors, tokenizer if tokenizer.is_file() else None, classes)

    def verify(self) -> None:
        """Raises ValueError with all that is missing or does not fit the configuration, judged by headers alone."""
        problems: list[str] = []
        if self.classes is not None and self.classes.shape != (self.config.vocab_size,):
            problems.append(
                f"engram_classes.npy has classes of shape {list(self.classes.shape)} "
                f"for {self.config.vocab_size} tokens"
            )
        expected = expected_shapes(self.config)
        if lacking := [name for name in expected if name not in self.weights]:
            problems.append(
                f"{len(lacking)} of {len(expected)} parameters are missing: {', '.join(shortened(lacking))}"
            )
        for name, shape in expected.items():
            if name not in self.weights:
                continue
            try:
                found = self.weights.shape(name)
            except ValueError as problem:
                problems.append(str(problem))
                continue
            if found != shape:
                problems.append(f"{name} is of shape {list(found)}, config.json asks for {list(shape)}")
            elif name.endswith("tid2eid") != (self.weights.kinds(name) <= set(_INTEGERS)):
                problems.append(f"{name} is of type {', '.join(sorted(self.weights.kinds(name)))}")
        if problems:
            shown = problems[:_PROBLEMS_SHOWN]
            if len(problems) > len(shown):
                shown.append(f"and {len(problems) - len(shown)} more problems")
            raise ValueError(f"{self.folder} cannot be used:\n  " + "\n  ".join(shown))

    def unused(self) -> list[str]:
        """Parameters that the network of this configuration has not, shortened."""
        expected = expected_shapes(self.config)
        return shortened(name for name in self.weights if name not in expected)


def _config(path: Path) -> ModelConfig:
    try:
        fields: Any = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(fields, dict):
            raise ValueError("it is not an object")
        if "model_type" not in fields:
            return ModelConfig.read(path)
        return model_config(cast("dict[str, Any]", fields))
    except (ValueError, TypeError) as problem:
        said = str(problem).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {said}") from problem


def _files(folder: Path) -> dict[str, Weights]:
    """Stored tensor name -> file."""
    for name in ("weights.safetensors", "model.safetensors"):
        if (folder / name).is_file():
            file = Weights(folder / name)
            return dict.fromkeys(file, file)
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        raise FileNotFoundError(
            f"{folder} has no weights: neither weights.safetensors, nor model.safetensors, nor {index.name} with shards"
        )
    try:
        shards: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(shards.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"{index} is not an index of tensors: {problem!r}") from problem
    if absent := [name for name in names if not (folder / name).is_file()]:
        raise FileNotFoundError(f"{folder} lacks {len(absent)} of {len(names)} shards: {', '.join(absent)}")
    files = {name: Weights(folder / name) for name in names}
    # Names alone: to ask a mapping whether it has a tensor would read the tensor.
    held = {name: set(file) for name, file in files.items()}
    if lost := [tensor for tensor, shard in shards.items() if tensor not in held[shard]]:
        raise ValueError(f"{index} names tensors that their shards have not: {', '.join(shortened(lost))}")
    return {tensor: files[shard] for tensor, shard in shards.items()}


def shortened(names: Iterable[str]) -> list[str]:
    """Parameter names with those of several layers put together: `model.layers.{0-2,5}.input_layernorm.weight`."""
    layers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for name in names:
        if numbered := re.fullmatch(r"(.*?\blayers\.)(\d+)(\..+)", name):
            layers[numbered[1], numbered[3]].append(int(numbered[2]))
        else:
            layers[name, ""] = []
    return [
        before if not numbers else f"{before}{_ranges(numbers) if len(numbers) > 1 else numbers[0]}{after}"
        for (before, after), numbers in layers.items()
    ]


def _ranges(numbers: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return "{" + ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs) + "}"


def _listed(what: str, numbers: Sequence[int]) -> str:
    return f"{what} {numbers[0]}" if len(numbers) == 1 else f"{what}s {_ranges(numbers)[1:-1]}"
