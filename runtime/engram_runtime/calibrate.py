"""What the matrices of a network are multiplied with, gathered from texts: their inputs' second moments.

A matrix W whose inputs x have the moment M = mean(x xT) is off by E[|(W' - W) x|^2] = tr((W' - W) M (W' - W)T) after
rounding to W'. `quantize.Plan` rounds so that this becomes small, not the distance between the weights.

The network's own float32 graph is run with these inputs as further outputs, so that they are of exactly the shape and
order in which the graph multiplies them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import numpy as np
import onnx
import onnxruntime as ort

from engram_runtime import graph
from engram_runtime.cache import Cache
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.providers import CPU
from engram_runtime.rotary import Rotations

Array = np.ndarray
Moments = Mapping[str, Array]
"""By the name that the graph has for a matrix: float32 [E, K, K], one for each of the E equal parts of its rows.

Only experts have more parts than one. The moment of an expert that no token went to is zero.
"""


def moments(
    config: ModelConfig, weights: Mapping[str, Array], classes: Array | None, texts: Iterable[Sequence[int]]
) -> dict[str, Array]:
    """Second moments of the inputs of every matrix over the tokens of the texts.

    `weights` are the network's float weights under their state-dict names, Engram tables included; `classes` those of
    its tokens (None without Engram). Raises ValueError if the texts hold no token.
    """
    model = graph.build(config, weights)
    matrices = _matrices(model)
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    experts = {
        node.input[2].removesuffix(".gate_up"): (node, onnx.numpy_helper.to_array(initializers[node.input[2]]))
        for node in model.graph.node
        if node.op_type == "MoE"
    }
    routed = [name for node, _ in experts.values() for name in node.input[:2]]
    watched = list(dict.fromkeys([*matrices.values(), *routed]))
    known = {value.name for value in (*model.graph.input, *model.graph.output)}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in watched if name not in known)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    run = ort.InferenceSession(model.SerializeToString(), options, [CPU])

    tables = [weights[f"model.layers.{layer}.engram.table.weight"] for layer in config.engram_layers]
    hashes = None if classes is None else EngramHash(config, classes)
    sums: dict[str, Array] = {}

    def add(name: str, x: Array, part: int = 0, parts: int = 1) -> None:
        x = x.reshape(-1, x.shape[-1])
        if name not in sums:
            sums[name] = np.zeros((parts, x.shape[1], x.shape[1]), np.float32)
        sums[name][part] += x.T @ x

    tokens = 0
    for text in texts:
        ids = np.asarray(text, np.int64)
        if not len(ids):
            continue
        tokens += len(ids)
        found = cast("list[Array]", run.run(watched, _inputs(config, tables, hashes, ids)))
        values = dict(zip(watched, found, strict=True))
        for name, source in matrices.items():
            add(name, values[source])
        for name, (node, gate_up) in experts.items():
            x = values[node.input[0]].reshape(len(ids), -1)
            for e, share in enumerate(_shares(node, values[node.input[1]])):
                rows = share > 0
                # An expert's error counts as its output does: with the share that the router gives it.
                given = x[rows] * share[rows, None]
                add(f"{name}.gate_up", given, e, len(gate_up))
                add(f"{name}.down", _activated(node, x[rows] @ gate_up[e].T) * share[rows, None], e, len(gate_up))
    if not tokens:
        raise ValueError("there is nothing to calibrate on: the texts hold no token")
    return {name: total / tokens for name, total in sums.items()}


def _matrices(model: onnx.ModelProto) -> dict[str, str]:
    """Name of each matrix that is multiplied with -> name of its input."""
    constants = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    found = {
        node.input[1]: node.input[0]
        for node in model.graph.node
        if node.op_type in ("MatMul", "FusedMatMul", "Gemm") and node.input[1] in constants
    }
    # A tied head is the embedding: it must be rounded like it to remain so.
    if "embedding" in found:
        found["lm_head"] = found["embedding"]
    return found


def _inputs(config: ModelConfig, tables: Sequence[Array], hashes: EngramHash | None, ids: Array) -> dict[str, Array]:
    """The graph's inputs for a text from its first token on."""
    tape = Cache.empty(config).writable(len(ids)).tape
    numbers = {"position": 0, "row": -tape.base, "logits": len(ids)}
    given = {name: np.array(value, np.int64) for name, value in numbers.items()} | {"input_ids": ids}
    given |= Rotations(config).tables(tape.base, tape.room - tape.base)
    for state, array in zip(tape.states, tape.arrays, strict=True):
        given[state.name] = array[: len(ids) // state.rate] if state.kind == "entries" else array
    if hashes:
        for layer, table, numbers_of in zip(config.engram_layers, tables, hashes.all_rows(ids), strict=True):
            given[f"engram.{layer}"] = table[numbers_of].reshape(len(ids), -1).astype(np.float32)
    return given


def _shares(node: onnx.NodeProto, choice: Array) -> Array:
    """float32 [E, S]: what share each expert has in a token's output, 0 for those not chosen."""
    count = int(_attribute(node, "k"))
    choice = choice.reshape(-1, choice.shape[-1])
    worst = np.argpartition(choice, -count, axis=1)[:, :-count]
    share = np.exp(choice - choice.max(1, keepdims=True))
    np.put_along_axis(share, worst, 0, 1)
    return (share / share.sum(1, keepdims=True)).T


def _activated(node: onnx.NodeProto, gate_up: Array) -> Array:
    """[S, 2I], gate and up alternating -> [S, I]."""
    limit = float(_attribute(node, "swiglu_limit"))
    gate, up = np.minimum(gate_up[:, 0::2], limit), np.clip(gate_up[:, 1::2], -limit, limit)
    return gate / (1 + np.exp(-gate)) * up


def _attribute(node: onnx.NodeProto, name: str) -> int | float:
    return next(onnx.helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == name)
