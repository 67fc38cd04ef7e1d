"""Weights on disk, read without torch: safetensors checkpoints, and the Engram rows of an exported model."""

import json
import mmap
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

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
        return self.rows(name, slice(None))

    def rows(self, name: str, wanted: slice) -> np.ndarray:
        """The tensor's first axis from `wanted.start` to `wanted.stop`; no more than these rows is read."""
        kind, shape = self.stored(name)
        if kind not in _TYPES:
            raise ValueError(f"{self._path}: {name} is {kind}; only {', '.join(_TYPES)} can be read")
        values = self.codes(name).view(_TYPES[kind]).reshape(shape)
        values = values[wanted] if shape else values
        if kind == "BF16":
            wide = values.astype(np.uint32)
            wide <<= 16
            values = wide.view(np.float32)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._header)

    def __len__(self) -> int:
        return len(self._header)


PAGE = 4096
"""Bytes that one access to a mapped file brings in, on nearly every machine."""

_PIECE = 8 << 20
"""Bytes of a table that are written at a time."""

READ_AHEAD = 256 << 20
"""Bytes up to which a file of tables is read ahead as a whole."""

_FROM_MEMORY = 6e-6
"""Seconds that a row takes at most when its page is in memory, be it that of another process."""


class Table(Protocol):
    """An array [rows, dim], or something that reads such slices of one when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


def write_engram(path: Path, tables: Mapping[int, Table], eight_bit: bool) -> None:
    """Writes the tables [rows, dim] of the Engram layers, in layer order behind each other, to one `.npy`.

    A record of it is a page of rows, float32 or int8 with a float16 scale each, so that no row lies across two pages;
    the header fills a page, and each layer begins with one. Tables are read in pieces: they may exceed memory.
    """
    dims = {table.shape[1] for table in tables.values()} or {1}
    if len(dims) > 1:
        raise ValueError(f"the rows of all Engram tables are of one width, these are of {sorted(dims)}")
    dim = dims.pop()
    kind = _page(dim, eight_bit)
    step = _PIECE // PAGE * kind["row"].shape[0]
    with path.open("wb") as file:
        file.write(_header(kind, _places({layer: table.shape[0] for layer, table in tables.items()}, kind)[1]))
        for layer in sorted(tables):
            table = tables[layer]
            for start in range(0, table.shape[0], step):
                piece = np.asarray(table[start : min(start + step, table.shape[0])], np.float32)
                file.write(_pages(piece, kind).view(np.uint8).data)


def reserve_engram(path: Path, counts: Mapping[int, int], dim: int, eight_bit: bool) -> None:
    """Makes the file that `write_engram` would make of zeros, for rows that come in another order.

    Where the file system knows holes it takes no room. To be filled by way of `numpy.load(path, mmap_mode="r+")`.
    """
    kind = _page(dim, eight_bit)
    pages = _places(counts, kind)[1]
    with path.open("wb") as file:
        file.write(_header(kind, pages))
        file.truncate(PAGE + pages * kind.itemsize)


def _places(counts: Mapping[int, int], kind: np.dtype[np.void]) -> tuple[dict[int, int], int]:
    """The record that each layer's rows begin with, and the number of all records."""
    per = kind["row"].shape[0] if len(kind["row"].shape) == 2 else 1
    starts: dict[int, int] = {}
    pages = 0
    for layer in sorted(counts):
        starts[layer] = pages
        pages += -(-counts[layer] // per)
    return starts, pages


def _page(dim: int, eight_bit: bool) -> np.dtype[np.void]:
    """The record of a page: `row` [rows, dim] and, where they are int8, `scale` [rows]; as many rows as fit."""
    width = dim + 2 if eight_bit else 4 * dim
    size = -(-width // PAGE) * PAGE
    per = size // width
    fields: list[Any] = [("row", "i1" if eight_bit else "<f4", (per, dim))]
    if eight_bit:
        fields.append(("scale", "<f2", (per,)))
    if rest := size - per * width:
        fields.append(("rest", f"V{rest}"))
    return np.dtype(fields)


def _header(kind: np.dtype[np.void], pages: int) -> bytes:
    """The head of the `.npy`, blown up to a page with spaces as the format allows."""
    said = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (pages,)}
    magic = np.lib.format.magic(1, 0)
    length = PAGE - len(magic) - 2
    return magic + length.to_bytes(2, "little") + f"{said!r:<{length - 1}}\n".encode("latin1")


def _pages(table: np.ndarray, kind: np.dtype[np.void]) -> np.ndarray:
    """Rows float32 [n, dim] as records of `kind`; what the last page has too many is zeros."""
    per, dim = kind["row"].shape
    records = np.zeros(-(-len(table) // per), kind)
    rows = np.zeros((len(records) * per, dim), np.float32)
    rows[: len(table)] = table
    if "scale" in (kind.names or ()):
        scale = (np.abs(rows).max(1) / 127).astype(np.float16)
        wide = np.where(scale == 0, 1, scale).astype(np.float32)[:, None]
        rows = np.clip(np.rint(rows / wide), -127, 127)
        records["scale"] = scale.reshape(-1, per)
    records["row"] = rows.reshape(-1, per, dim)
    return records


@dataclass(frozen=True, slots=True)
class _Flat:
    """A file's bytes as rows alone and as scales alone, from the first of each on. What else the pages hold counts as
    some more of them: as many of either as `steps` [2,1,1,1] says lie between the last of a page and the next."""

    rows: np.ndarray
    scales: np.ndarray | None
    steps: np.ndarray


def _flat(records: np.ndarray, per: int, dim: int) -> _Flat | None:
    """`numpy.take` is faster than indexing by page and slot; None where a page is no multiple of a row."""
    kind = records.dtype
    row = kind["row"].base
    step, rest = divmod(kind.itemsize, dim * row.itemsize)
    first = per * dim if "scale" in (kind.names or ()) else 0
    if rest or first % 2 or kind.itemsize % 2:
        return None
    steps = np.array([step, kind.itemsize // 2], np.int64).reshape(2, 1, 1, 1) - per
    return _Flat(records.view(row).reshape(-1, dim), records.view("<f2")[first // 2 :] if first else None, steps)


class EngramRows:
    """Rows of the Engram tables of one model, mapped: read from disk as they are asked for, however large the file.

    Of a large file only pages that hold a wanted row are read; a small one is read ahead as a whole.
    """

    def __init__(self, path: Path, counts: Mapping[int, int]) -> None:
        """`counts` are the rows of each layer. Raises FileNotFoundError, or ValueError if the file has other rows."""
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        names = mapped.dtype.names or ()
        if not isinstance(mapped, np.memmap) or "row" not in names:
            raise ValueError(f"{path} does not hold Engram tables: export the model again")
        # Seen as plain arrays: memmap looks at every result of indexing, which costs more than the row.
        records = mapped.view(np.ndarray)
        self._rows: np.ndarray = records["row"]
        self._scales: np.ndarray | None = records["scale"] if "scale" in names else None
        if self._rows.ndim == 2:  # models exported by version 0.1 have a record for each row
            self._rows = self._rows[:, None]
            self._scales = None if self._scales is None else self._scales[:, None]
        self._per = self._rows.shape[1]
        starts, pages = _places(counts, records.dtype)
        if len(records) != pages:
            raise ValueError(f"{path} does not hold the {sum(counts.values())} rows that the configuration asks for")
        self._starts = {layer: start * self._per for layer, start in starts.items()}
        self._all_starts = np.array([self._starts[layer] for layer in counts], np.int64).reshape(-1, 1, 1)
        self.bytes = records.nbytes
        self._flat = _flat(records, self._per, self._rows.shape[2])
        self.read_ahead = self.bytes <= READ_AHEAD
        # Windows has no such advice: there the system guesses.
        self._map = mapped.base if isinstance(mapped.base, mmap.mmap) and hasattr(mapped.base, "madvise") else None
        self._first, self._size = mapped.offset % mmap.ALLOCATIONGRANULARITY, records.itemsize
        self._on_disk = not self.read_ahead
        if self._map is not None:
            self._map.madvise(mmap.MADV_WILLNEED if self.read_ahead else mmap.MADV_RANDOM)

    def lookup(self, layer: int, numbers: np.ndarray) -> np.ndarray:
        """Rows of `layer` for numbers [T, n]: float32 [T, n * dim]."""
        return self._gather((numbers + self._starts[layer])[None])[0]

    def lookup_all(self, numbers: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Rows of all layers, in the order of `counts`, for numbers [layers, T, n]: float32 [layers, T, n * dim].

        `out` is memory for them, which is then what is returned.
        """
        return self._gather(numbers + self._all_starts, out)

    def _gather(self, numbers: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        pages = numbers // self._per
        if self.read_ahead:
            rows, scales = self._touch(numbers, pages)
        else:
            start = time.perf_counter()
            # Pages touched one after another are read one after another; asked for before, all at the same time.
            if self._on_disk:
                self._ask_for(pages)
            rows, scales = self._touch(numbers, pages)
            self._on_disk = time.perf_counter() - start > _FROM_MEMORY * numbers.size
        if out is None:
            out = np.empty((*numbers.shape[:2], numbers.shape[2] * rows.shape[3]), np.float32)
        wide = out.reshape(rows.shape)
        if scales is None:
            wide[:] = rows
        else:
            np.multiply(rows, scales[..., None], out=wide, dtype=np.float32)
        return out

    def _touch(self, numbers: np.ndarray, pages: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if (flat := self._flat) is not None:
            at = pages * flat.steps + numbers
            return flat.rows.take(at[0], 0), None if flat.scales is None else flat.scales.take(at[1])
        place = pages, numbers - pages * self._per
        return self._rows[place], None if self._scales is None else self._scales[place]

    def _ask_for(self, pages: np.ndarray) -> None:
        if self._map is None:
            return
        starts = np.unique(pages) * self._size + self._first
        starts -= starts % mmap.PAGESIZE
        for start in starts.tolist():
            self._map.madvise(mmap.MADV_WILLNEED, start, self._size)
