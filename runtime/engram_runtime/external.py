"""The weights of an ONNX model in one file beside it, written as they are made, so that they never meet in memory."""

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from onnx import StringStringEntryProto, TensorProto, helper

_PAGE = 1 << 16
"""What a mapping may start at on every system (on Windows, whose allocations are the coarsest)."""

_SMALL_PAGE = 1 << 12


class ExternalData:
    """A file of constants. Called with a name and an array, writes the array and returns the tensor that refers to it.

    Constants of 64 KiB and more start at a multiple of that, so that a runtime can map them where they lie.
    """

    def __init__(self, path: Path) -> None:
        self._location = path.name
        self._file: BinaryIO = path.open("wb")

    def __call__(self, name: str, array: np.ndarray) -> TensorProto:
        array = np.ascontiguousarray(array)
        page = _PAGE if array.nbytes >= _PAGE else _SMALL_PAGE
        offset = math.ceil(self._file.tell() / page) * page
        self._file.seek(offset)
        self._file.write(array.reshape(-1).view(np.uint8).data)
        where = {"location": self._location, "offset": str(offset), "length": str(array.nbytes)}
        return TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
            external_data=[StringStringEntryProto(key=key, value=value) for key, value in where.items()],
        )

    def close(self) -> None:
        self._file.close()
