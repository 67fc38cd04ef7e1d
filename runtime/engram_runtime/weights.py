"""Weights on disk, read without torch: safetensors checkpoints, and the Engram rows of an exported model."""

import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


class Weights(Mapping[str, np.ndarray]):
    """The tensors of one `.safetensors` file by name. The file is mapped: a tensor costs memory once it is looked at.

    bfloat16 is widened to float32, which is exact. Raises FileNotFoundError, or ValueError for another kind of file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            try:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as problem:
                raise ValueError(f"{path} is empty") from problem
        length = int.from_bytes(self._data[:8], "little")
        try:
            header: dict[str, Any] = json.loads(self._data[8 : 8 + length])
        except ValueError as problem:
            raise ValueError(f"{path} is not a safetensors file: its header cannot be read") from problem
        header.pop("__metadata__", None)
        self._header, self._start = header, 8 + length

    def stored(self, name: str) -> tuple[str, tuple[int, ...]]:
        """A tensor's number type, in safetensors' terms, and its shape, from the header alone.

        Raises KeyError, or ValueError when the file ends before the tensor does.
        """
        entry = self._header[name]
        end = self._start + int(entry["data_offsets"][1])
        if end > len(self._data):
            raise ValueError(f"{self._path} is cut short: {name} ends at byte {end} of {len(self._data)}")
        return entry["dtype"], tuple(entry["shape"])

    def codes(self, name: str) -> np.ndarray:
        """A tensor's bytes, uint8 [bytes], for number types that numpy has not."""
        self.stored(name)
        first, last = cast("list[int]", self._header[name]["data_offsets"])
        return np.frombuffer(self._data, np.uint8, last - first, self._start + first)

    def __getitem__(self, name: str) -> np.ndarray:
        kind, shape = self.stored(name)
        if kind not in _TYPES:
            raise ValueError(f"{self._path}: {name} is {kind}; only {', '.join(_TYPES)} can be read")
        values = self.codes(name).view(_TYPES[kind])
        if kind == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._header)

    def __len__(self) -> int:
        return len(self._header)


def write_engram(path: Path, tables: Mapping[int, np.ndarray], eight_bit: bool) -> None:
    """Writes the tables [rows, dim] of the Engram layers, in layer order behind each other, to one `.npy`.

    Records are `row` (float32 or int8) and, for int8, its float16 `scale`: both lie in the same page.
    """
    dim = next(iter(tables.values())).shape[1] if tables else 0
    kind = np.dtype([("row", "i1", (dim,)), ("scale", "<f2")] if eight_bit else [("row", "<f4", (dim,))])
    records = np.zeros(sum(len(table) for table in tables.values()), kind)
    start = 0
    for layer in sorted(tables):
        table = np.asarray(tables[layer], np.float32)
        part = records[start : start + len(table)]
        if eight_bit:
            scale = (np.abs(table).max(1) / 127).astype(np.float16)
            part["scale"] = scale
            wide = np.where(scale == 0, 1, scale).astype(np.float32)[:, None]
            part["row"] = np.clip(np.rint(table / wide), -127, 127).astype(np.int8)
        else:
            part["row"] = table
        start += len(table)
    np.save(path, records)


class EngramRows:
    """Rows of the Engram tables of one model, mapped: read from disk as they are asked for."""

    def __init__(self, path: Path, counts: Mapping[int, int]) -> None:
        """`counts` are the rows of each layer. Raises FileNotFoundError, or ValueError if the file has other rows."""
        # Seen as a plain array: memmap looks at every result of indexing, which costs more than the row.
        self._records: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        self._starts: dict[int, int] = {}
        total = 0
        for layer in sorted(counts):
            self._starts[layer] = total
            total += counts[layer]
        names = self._records.dtype.names
        if names is None or "row" not in names or len(self._records) != total:
            raise ValueError(f"{path} does not hold the {total} rows that the configuration asks for")

    def lookup(self, layer: int, numbers: np.ndarray) -> np.ndarray:
        """Rows of `layer` for numbers [T, n]: float32 [T, n * dim]."""
        found = self._records[numbers + self._starts[layer]]
        rows = found["row"].astype(np.float32)
        if "scale" in (self._records.dtype.names or ()):
            rows *= found["scale"].astype(np.float32)[..., None]
        return rows.reshape(len(numbers), -1)
