"""The weights of an ONNX model in one file beside it, written as they are made, so that they never meet in memory."""

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from onnx import StringStringEntryProto, TensorProto, helper

_PAGE = 1 << 16
"""What a mapping may start at on every system (on Windows, whose allocations are the coarsest)."""

_SMALL_PAGE = 1 << 12
_PIECE = 1 << 22


class ExternalData:
    """A file of constants. Called with a name and an array, writes the array and returns the tensor that refers to it.

    Constants of 64 KiB and more start at a multiple of that, so that a runtime can map them where they lie. What is
    stored again under the same name, by another graph of the same model, is there once.
    """

    def __init__(self, path: Path) -> None:
        self._location = path.name
        self._file: BinaryIO = path.open("w+b")
        self._end = 0
        self._offsets: dict[str, tuple[int, int]] = {}

    def __call__(self, name: str, array: np.ndarray) -> TensorProto:
        values = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        offset, length = self._offsets.get(name, (0, -1))
        if length != len(values) or not self._holds(offset, values):
            page = _PAGE if len(values) >= _PAGE else _SMALL_PAGE
            offset = math.ceil(self._end / page) * page
            self._file.seek(offset)
            self._file.write(values.data)
            self._offsets[name] = offset, len(values)
            self._end = offset + len(values)
        where = {"location": self._location, "offset": str(offset), "length": str(len(values))}
        return TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
            external_data=[StringStringEntryProto(key=key, value=value) for key, value in where.items()],
        )

    def _holds(self, offset: int, values: np.ndarray) -> bool:
        self._file.seek(offset)
        pieces = range(0, len(values), _PIECE)
        parts = (values[start : start + _PIECE].tobytes() for start in pieces)
        return all(self._file.read(len(part)) == part for part in parts)

    def close(self) -> None:
        self._file.close()
