"""Nodes, constants and weights of an ONNX graph in the making."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MS = "com.microsoft"
Array = np.ndarray
Value = tuple[str, int, Sequence[int | str]]
"""An input or output of a graph: name, type, shape."""

Store = Callable[[str, Array], TensorProto]
"""Takes a constant as soon as it is made, and says how the graph is to refer to it."""

STORED = 4096
"""Bytes from which on a constant goes to the store."""

_SHARED = 64
"""Values up to which equal constants are one."""


class Nodes:
    """Collects nodes; every method that adds one returns the names of its outputs."""

    def __init__(self, store: Store | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self._store = store
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._once: dict[str, str] = {}

    def op(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        """Adds a node with one output."""
        return self.ops(1, kind, *inputs, names=(name,) if name else (), domain=domain, **attributes)[0]

    def ops(
        self, count: int, kind: str, *inputs: str, names: Sequence[str] = (), domain: str = "", **attributes: Any
    ) -> list[str]:
        number = len(self.nodes)
        outputs = list(names) or [f"{kind}.{number}.{i}" for i in range(count)]
        self.nodes.append(
            helper.make_node(kind, list(inputs), outputs, f"{kind}.{number}", domain=domain, **attributes)
        )
        return outputs

    def once(self, name: str, make: Callable[[], str]) -> str:
        """What `make` returned when `name` was first asked for: parts that several layers share."""
        if name not in self._once:
            self._once[name] = make()
        return self._once[name]

    def constant(self, value: Array, name: str = "") -> str:
        value = np.ascontiguousarray(value)
        key = (value.dtype.str, value.shape, value.tobytes()) if value.size <= _SHARED else None
        if key and key in self._small:
            return self._small[key]
        name = name if name and name not in self.constants else f"{name or 'constant'}.{len(self.constants)}"
        stored = self._store(name, value) if self._store and value.nbytes >= STORED else None
        self.constants[name] = stored or numpy_helper.from_array(value, name)
        if key:
            self._small[key] = name
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: int) -> str:
        return self.constant(np.array(value, np.int64))

    def floats(self, *values: float) -> str:
        return self.constant(np.array(values, np.float32))

    def split(self, x: str, *sizes: int, axis: int = -1) -> list[str]:
        return self.ops(len(sizes), "Split", x, self.ints(*sizes), axis=axis)

    def reshape(self, x: str, *shape: int, name: str = "") -> str:
        return self.op("Reshape", x, self.ints(*shape), name=name)

    def norm(self, x: str, scale: Array, epsilon: float) -> str:
        """RMSNorm over the last axis, times `scale`, which may have more axes than that."""
        return self.op(
            "SimplifiedLayerNormalization",
            x,
            self.constant(np.asarray(scale, np.float32)),
            axis=-1,
            epsilon=epsilon,
            stash_type=1,
        )

    def model(self, name: str, inputs: Sequence[Value], outputs: Sequence[Value]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(*value) for value in inputs],
            [helper.make_tensor_value_info(*value) for value in outputs],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", 22), helper.make_opsetid(MS, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="engram-ls")


class LinearWeights:
    """A network's float weights, each read once, with the changes of layout that the graph wants."""

    def __init__(self, weights: Mapping[str, Array], rotated: int) -> None:
        """`rotated` channels at the end of each head carry positions (R)."""
        self._weights, self._rotated = weights, rotated

    def __call__(self, name: str) -> Array:
        return np.asarray(self._weights[name], np.float32)

    def integers(self, name: str) -> Array:
        return np.asarray(self._weights[name])

    def turned(self, matrix: Array, width: int) -> Array:
        """Rows of `matrix` reordered so that the rotated (trailing) channels of each head of `width` come first."""
        heads = matrix.reshape(-1, width, *matrix.shape[1:])
        split = width - self._rotated
        return np.concatenate([heads[:, split:], heads[:, :split]], 1).reshape(matrix.shape)
