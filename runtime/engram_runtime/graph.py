"""The network as one ONNX graph for every phase: prefill, any chunk of it, decoding, checking several drafted tokens.

Inputs (S = new tokens, any number; p = tokens before them):
    input_ids  int64 [S]
    position   int64 []            p
    logits     int64 []            for how many of the last tokens logits are wanted, 0..S
    engram.{l} float32 [S, engram_width]   rows looked up for layer l, concatenated over orders and heads
    {state}    float32 [rows, width]       what `cache.layout` says is read at position p
Outputs: `output` float32 [logits, V], and per state `new.{state}`: its rows of the new tokens (or windows they close).

Activations are [S, 1, width], streams [S, n, H]: one token is one batch element, so that most operators run on S = 1 as
a vector. Rotated channels come first in every head (`RotaryEmbedding` turns leading channels; the network's are
trailing), which only permutes weights here. Equation numbers and names are those of network.py.

Ties in the indexer's top-k go to the older entry, as ONNX's TopK promises.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engram_runtime.cache import layout
from engram_runtime.config import CSA, SLIDING, ModelConfig
from engram_runtime.quantize import Blocks, quantised

MS = "com.microsoft"
MASKED = -1e30
Array = np.ndarray


@dataclass(frozen=True, slots=True)
class _Positions:
    """What depends on positions and lengths only: computed once, read by every layer.

    `turns` are (cos, sin, -sin) tables over the new tokens by rope theta; `rows(heads)` index them.
    """

    turns: Mapping[float, tuple[str, str, str]]
    token: str  # int64 [S, 1]: 0..S-1
    window_first: str  # bool [1+P+S]: the sink's column
    window_mask: str  # [S, 1, 1, 1+P+S]
    window_columns: str  # int64 [1]: 1+P+S


@dataclass(frozen=True, slots=True)
class _Windows:
    """The same for one compression rate: N windows are closed by the new tokens, M are closed in all."""

    turn: tuple[str, str]  # cos, sin over the N new entries (one row more, so that the table is never empty)
    entry: str  # int64 [N, 1]: 0..N-1
    members: str  # int64 [N, slots]: which rows each entry pools
    mask: str  # [S, 1, 1, M]


class _Graph:
    """Nodes and constants in the making. Constants of up to 64 values are shared when equal."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def op(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        """Adds a node with one output and returns the output's name."""
        return self.ops(1, kind, *inputs, names=(name,) if name else (), domain=domain, **attributes)[0]

    def ops(
        self, count: int, kind: str, *inputs: str, names: Sequence[str] = (), domain: str = "", **attributes: Any
    ) -> list[str]:
        number = len(self.nodes)
        outputs = list(names) or [f"{kind}.{number}.{i}" for i in range(count)]
        node = helper.make_node(kind, list(inputs), outputs, f"{kind}.{number}", domain=domain, **attributes)
        self.nodes.append(node)
        return outputs

    def constant(self, value: Array, name: str = "") -> str:
        value = np.ascontiguousarray(value)
        key = (value.dtype.str, value.shape, value.tobytes()) if value.size <= 64 else None
        if key and key in self._small:
            return self._small[key]
        name = name if name and name not in self.constants else f"{name or 'constant'}.{len(self.constants)}"
        self.constants[name] = value
        if key:
            self._small[key] = name
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: int) -> str:
        return self.constant(np.array(value, np.int64))

    def floats(self, *values: float) -> str:
        return self.constant(np.array(values, np.float32))


def build(config: ModelConfig, weights: Mapping[str, Array], blocks: Blocks | None = None) -> onnx.ModelProto:
    """The graph of the network whose weights are given under their state-dict names (Engram tables are not read).

    `blocks` quantises the large matrices; None keeps float32. Raises KeyError for a missing weight.
    """
    return _Builder(config, weights, blocks).model()


class _Builder:
    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], blocks: Blocks | None) -> None:
        self.config, self.weights, self.blocks = config, weights, blocks
        self.graph = _Graph()
        self.inputs: list[tuple[str, int, Sequence[int | str]]] = []
        self.outputs: list[tuple[str, int, Sequence[int | str]]] = []
        self.windows: dict[str, _Windows] = {}

    # ---- parts every layer uses

    def weight(self, name: str) -> Array:
        return np.asarray(self.weights[name], np.float32)

    def turned(self, matrix: Array, width: int) -> Array:
        """Rows of `matrix` reordered so that the rotated (trailing) channels of each head of `width` come first."""
        R = self.config.qk_rope_head_dim
        heads = matrix.reshape(-1, width, *matrix.shape[1:])
        return np.concatenate([heads[:, width - R :], heads[:, : width - R]], 1).reshape(matrix.shape)

    def linear(self, x: str, matrix: Array, name: str) -> str:
        """x [..., in] times matrix [out, in] transposed."""
        if self.blocks is None:
            return self.graph.op("MatMul", x, self.graph.constant(matrix.T, name))
        codes, scales = quantised(matrix, self.blocks)
        N, K = matrix.shape
        return self.graph.op(
            "MatMulNBits",
            x,
            self.graph.constant(codes, name),
            self.graph.constant(scales, f"{name}.scales"),
            domain=MS,
            K=K,
            N=N,
            bits=self.blocks.bits,
            block_size=self.blocks.size,
            accuracy_level=4,
        )

    def norm(self, x: str, scale: Array) -> str:
        """RMSNorm over the last axis times `scale`."""
        return self.graph.op(
            "SimplifiedLayerNormalization",
            x,
            self.graph.constant(np.asarray(scale, np.float32)),
            axis=-1,
            epsilon=self.config.rms_norm_eps,
            stash_type=1,
        )

    def rotate(self, x: str, rows: str, cos: str, sin: str) -> str:
        """RoPE on the leading channels; x [B, T, width] or [B, 1, T, width], rows [B, T] of the tables."""
        R = self.config.qk_rope_head_dim
        return self.graph.op(
            "RotaryEmbedding", x, rows, cos, sin, domain=MS, interleaved=1, num_heads=1, rotary_embedding_dim=R
        )

    def split(self, x: str, *sizes: int) -> list[str]:
        return self.graph.ops(len(sizes), "Split", x, self.graph.ints(*sizes), axis=-1)

    def reshape(self, x: str, *shape: int) -> str:
        return self.graph.op("Reshape", x, self.graph.ints(*shape))

    # ---- positions

    def turn(self, positions: str, theta: float) -> tuple[str, str]:
        """cos and sin [T, R/2] of int64 positions [T]; in double, since float angles are off by 1e-3 at 30,000."""
        g, R = self.graph, self.config.qk_rope_head_dim
        frequencies = theta ** -(np.arange(0, R, 2, dtype=np.float64) / R)
        column = g.op("Unsqueeze", g.op("Cast", positions, to=TensorProto.DOUBLE), g.ints(1))
        angles = g.op("Mul", column, g.constant(frequencies[None]))
        cos, sin = (g.op("Cast", g.op(f, angles), to=TensorProto.FLOAT) for f in ("Cos", "Sin"))
        return cos, sin

    def positions(self) -> _Positions:
        g, config = self.graph, self.config
        one, zero = g.scalar(1), g.scalar(0)
        count = g.op("Shape", "input_ids")
        length = g.op("Squeeze", count)
        # The operator wants its table at least as long as its "sequence", which is the heads here: hence spare rows.
        spare = g.scalar(max(config.num_attention_heads, config.index_n_heads))
        absolute = g.op("Add", g.op("Range", zero, g.op("Add", length, spare), one), "position")
        turns: dict[float, tuple[str, str, str]] = {}
        for kind in dict.fromkeys(config.layer_types):
            theta = self.theta(kind)
            if theta not in turns:
                cos, sin = self.turn(absolute, theta)
                turns[theta] = cos, sin, g.op("Neg", sin)
        token = g.op("Unsqueeze", g.op("Range", zero, length, one), g.ints(1))
        # Column 0 is the sink, column c the key of token p-P+c-1; query i is in line with column P+i+1.
        past = g.op("Squeeze", g.op("Shape", "kv.0", end=1))
        columns = g.op("Add", g.op("Add", past, length), one)
        column = g.op("Range", zero, columns, one)
        distance = g.op("Sub", g.op("Add", token, g.op("Add", past, one)), column)
        hidden = g.op(
            "Or",
            g.op("Less", distance, zero),
            g.op("GreaterOrEqual", distance, g.scalar(config.sliding_window)),
        )
        first = g.op("Equal", column, zero)
        hidden = g.op("And", hidden, g.op("Not", first))
        mask = g.op("Where", hidden, g.floats(MASKED), g.floats(0.0))
        return _Positions(
            turns,
            token,
            first,
            g.op("Unsqueeze", mask, g.ints(1, 2)),
            g.op("Reshape", columns, g.ints(1)),
        )

    def theta(self, kind: str) -> float:
        return self.config.rope_theta if kind == SLIDING else self.config.compress_rope_theta

    def windows_of(self, layer: int) -> _Windows:
        """The windows of this layer's compression, shared by all layers of its type."""
        kind = self.config.layer_types[layer]
        if kind not in self.windows:
            self.windows[kind] = self.new_windows(kind, self.config.compress_rate(layer))
        return self.windows[kind]

    def new_windows(self, kind: str, rate: int) -> _Windows:
        g = self.graph
        zero, one, r = g.scalar(0), g.scalar(1), g.scalar(rate)
        after = g.op("Add", "position", g.op("Squeeze", g.op("Shape", "input_ids")))
        closed, total = g.op("Div", "position", r), g.op("Div", after, r)
        count = g.op("Sub", total, closed)
        index = g.op("Range", zero, count, one)
        starts = g.op("Mul", g.op("Range", closed, g.op("Add", total, one), one), r)
        entry = g.op("Unsqueeze", index, g.ints(1))
        if kind == CSA:
            # A raw row is (a | b) and is read as two rows. An entry pools the a-halves of the window before its own
            # and the b-halves of its own; the rows given start at the window before the first open one.
            slots = np.arange(2 * rate)
            members = g.op(
                "Add", g.op("Mul", entry, g.scalar(2 * rate)), g.constant((2 * slots + (slots >= rate))[None])
            )
        else:
            members = g.op("Add", g.op("Mul", entry, r), g.constant(np.arange(rate)[None]))
        # Entry w is visible to the query at t when w < (t+1) // rate.
        queries = g.op("Range", g.op("Add", "position", one), g.op("Add", after, one), one)
        limit = g.op("Unsqueeze", g.op("Div", queries, r), g.ints(1))
        hidden = g.op("GreaterOrEqual", g.op("Range", zero, total, one), limit)
        mask = g.op("Where", hidden, g.floats(MASKED), g.floats(0.0))
        return _Windows(self.turn(starts, self.theta(kind)), entry, members, g.op("Unsqueeze", mask, g.ints(1, 2)))

    # ---- manifold-constrained hyper-connections

    def mix(self, streams: str, prefix: str, suffix: str = "") -> str:
        """The mappings of one site from its streams, [S, 1, outputs]: fn (x̂) * scale + base."""
        n, H = self.config.hc_mult, self.config.hidden_size
        fn, base, scale = (self.weight(f"{prefix}.{suffix}{part}") for part in ("fn", "base", "scale"))
        widths = [n] if suffix else [n, n, n * n]
        fn = fn * np.repeat(scale, widths)[:, None]
        flat = self.norm(self.reshape(streams, -1, 1, n * H), np.ones(n * H))
        return self.graph.op(
            "Add", self.graph.op("MatMul", flat, self.graph.constant(fn.T, f"{prefix}.fn")), self.graph.constant(base)
        )

    def gate(self, logits: str) -> str:
        return self.graph.op("Add", self.graph.op("Sigmoid", logits), self.graph.floats(self.config.hc_eps))

    def gather_streams(self, streams: str, prefix: str) -> tuple[str, str, str]:
        """Block input [S, 1, H], and what `scatter_streams` needs: post / 2 [S, 1, n] and comb [S, n, n]."""
        g, n = self.graph, self.config.hc_mult
        pre, post, comb = self.split(self.mix(streams, prefix), n, n, n * n)
        comb = g.op("Softmax", self.reshape(comb, -1, n, n), axis=-1)
        comb = g.op("Add", comb, g.floats(self.config.hc_eps))
        # Sinkhorn: columns, then rows and columns. The epsilon inside the sums is left out: see `written`.
        comb = g.op("LpNormalization", comb, axis=-2, p=1)
        for _ in range(self.config.hc_sinkhorn_iters - 1):
            comb = g.op("LpNormalization", g.op("LpNormalization", comb, axis=-1, p=1), axis=-2, p=1)
        return g.op("MatMul", self.gate(pre), streams), g.op("Sigmoid", post), comb

    def scatter_streams(self, streams: str, y: str, post: str, comb: str) -> str:
        """X'_k = post_k y + sum_j comb[j, k] X_j, as one product; y must come scaled by `written`."""
        g = self.graph
        return g.op(
            "FusedMatMul",
            g.op("Concat", comb, post, axis=1),
            g.op("Concat", streams, y, axis=1),
            domain=MS,
            transA=1,
        )

    def written(self, site: int) -> float:
        """The factor folded into weights that write to the streams at a site (two in each layer).

        It doubles, for `gather_streams` gives half of post. It also makes up for the epsilon that Sinkhorn's sums, near
        1, leave out: every `comb` should be smaller by 1 - eps. Instead the streams grow, and what is added to them
        grows alike; whatever reads them normalises.
        """
        return 2 * (1 - self.config.hc_eps) ** -(site + 1)

    # ---- attention

    def attention(self, layer: int, x: str, at: _Positions) -> str:
        """The attention output [S, 1, H] of the normed input x [S, 1, H], times `written`."""
        g, config = self.graph, self.config
        kind = config.layer_types[layer]
        A = f"model.layers.{layer}.self_attn"
        h, D, Di, nI = config.num_attention_heads, config.head_dim, config.index_head_dim, config.index_n_heads
        cos, sin, back = at.turns[self.theta(kind)]

        # Everything that reads x is one product.
        parts = [self.weight(f"{A}.q_a_proj.weight"), self.turned(self.weight(f"{A}.kv_proj.weight"), D)]
        if kind != SLIDING:
            parts.append(self.compressor_projection(f"{A}.compressor", kind))
        if kind == CSA:
            scorer = self.weight(f"{A}.compressor.indexer.scorer.weights_proj.weight")
            parts.append(scorer * (nI * Di) ** -0.5)
        q_low, kv, *rest = self.split(self.linear(x, np.concatenate(parts), f"{A}.in"), *(len(part) for part in parts))
        q_low = self.norm(q_low, self.weight(f"{A}.q_a_norm.weight"))

        heads = self.turned(self.weight(f"{A}.q_b_proj.weight"), D)
        index_query = ""
        if kind == CSA:
            index_heads = self.turned(self.weight(f"{A}.compressor.indexer.q_b_proj.weight"), Di)
            q, index_query = self.split(
                self.linear(q_low, np.concatenate([heads, index_heads]), f"{A}.q_b"), h * D, nI * Di
            )
        else:
            q = self.linear(q_low, heads, f"{A}.q_b")
        # The scale of the logits, D^-1/2, is the norm's weight.
        q = self.norm(self.reshape(q, -1, 1, h, D), np.full(D, D**-0.5))
        head_rows = self.repeated(at.token, h)
        q = self.rotate(q, head_rows, cos, sin)

        kv = self.norm(kv, self.turned(self.weight(f"{A}.kv_norm.weight"), D))
        new_kv = g.op("Reshape", self.rotate(kv, at.token, cos, sin), g.ints(-1, D), name=f"new.kv.{layer}")
        keys = [g.constant(np.zeros((1, D), np.float32)), f"kv.{layer}", new_kv]
        first, mask = at.window_first, at.window_mask
        windows = None
        if kind != SLIDING:
            windows = self.windows_of(layer)
            new_entries = self.compress(layer, kind, rest[0], windows)
            if kind != CSA:
                keys += [f"entries.{layer}", new_entries]
                first, mask = self.with_entries(at, windows)
        key = g.op("Concat", *keys, axis=0)
        sinks = g.constant(self.weight(f"{A}.sinks")[:, None], f"{A}.sinks")
        logits = g.op("FusedMatMul", q, key, domain=MS, transB=1)
        logits = g.op("Add", g.op("Where", first, sinks, logits), mask)
        if windows is None or kind != CSA:
            o = g.op("MatMul", g.op("Softmax", logits, axis=-1), key)
        else:
            o = self.sparse(layer, q, index_query, rest[1], logits, key, at, windows)
        # Values carry the rotation of their own position: turn it back by the query's.
        o = self.rotate(o, head_rows, cos, back)
        return self.attention_output(layer, self.reshape(o, -1, 1, h * D))

    def repeated(self, token: str, heads: int) -> str:
        """Table rows int64 [S, heads] of the new tokens, the same for every head."""
        name = f"token_rows.{heads}"
        if not any(name in node.output for node in self.graph.nodes):
            self.graph.op("Add", token, self.graph.constant(np.zeros((1, heads), np.int64)), name=name)
        return name

    def with_entries(self, at: _Positions, windows: _Windows) -> tuple[str, str]:
        """Sink column and mask of a layer that attends to every entry after its window."""
        g = self.graph
        if not any("dense_mask" in node.output for node in g.nodes):
            g.op("Concat", at.window_mask, windows.mask, axis=-1, name="dense_mask")
            width = g.op("Squeeze", g.op("Shape", "dense_mask", start=3))
            columns = g.op("Range", g.scalar(0), width, g.scalar(1))
            g.op("Equal", columns, g.scalar(0), name="dense_first")
        return "dense_first", "dense_mask"

    def sparse(
        self,
        layer: int,
        q: str,
        index_query: str,
        index_weights: str,
        logits: str,
        key: str,
        at: _Positions,
        windows: _Windows,
    ) -> str:
        """CSA: attention over the window (its logits are given) and the indexer's top-k entries of each query."""
        g, config = self.graph, self.config
        nI, Di = config.index_n_heads, config.index_head_dim
        cos, sin, _ = at.turns[self.theta(CSA)]
        query = self.rotate(self.reshape(index_query, -1, 1, nI, Di), self.repeated(at.token, nI), cos, sin)
        keys = g.op("Concat", f"keys.{layer}", f"new.keys.{layer}", axis=0)
        scores = g.op("Relu", g.op("FusedMatMul", query, keys, domain=MS, transB=1))
        scores = g.op("MatMul", self.reshape(index_weights, -1, 1, 1, nI), scores)
        scores = g.op("Add", scores, windows.mask)
        total = g.op("Shape", keys, start=0, end=1)
        count = g.op("Min", total, g.ints(config.index_topk))
        best, chosen = g.ops(2, "TopK", scores, count, axis=-1, sorted=0)
        entries = g.op("Concat", f"entries.{layer}", f"new.entries.{layer}", axis=0)
        picked = g.op("Gather", entries, g.op("Squeeze", chosen, g.ints(2)), axis=0)  # [S, 1, k, D]
        hidden = g.op("Less", best, g.floats(MASKED / 2))
        more = g.op("FusedMatMul", q, picked, domain=MS, transB=1)
        more = g.op("Where", hidden, g.floats(MASKED), more)
        share = g.op("Softmax", g.op("Concat", logits, more, axis=-1), axis=-1)
        near, far = g.ops(2, "Split", share, g.op("Concat", at.window_columns, count, axis=0), axis=-1)
        return g.op("Add", g.op("MatMul", near, key), g.op("MatMul", far, picked))

    def attention_output(self, layer: int, o: str) -> str:
        """Grouped low-rank projection of o [S, 1, hD], times `written`."""
        g, config, A = self.graph, self.config, f"model.layers.{layer}.self_attn"
        h, D, groups, rank = config.num_attention_heads, config.head_dim, config.o_groups, config.o_lora_rank
        low = self.weight(f"{A}.o_a_proj.weight")  # [groups * rank, hD / groups]
        low = self.turned(low.T, D).T
        width = h * D // groups
        pieces = self.split(o, *[width] * groups) if groups > 1 else [o]
        lows = [self.linear(piece, low[i * rank : (i + 1) * rank], f"{A}.o_a.{i}") for i, piece in enumerate(pieces)]
        joined = g.op("Concat", *lows, axis=-1) if groups > 1 else lows[0]
        return self.linear(joined, self.written(2 * layer) * self.weight(f"{A}.o_b_proj.weight"), f"{A}.o_b")

    # ---- compression

    def compressor_projection(self, C: str, kind: str) -> Array:
        """Rows that make one raw state row: kv | gate, or for CSA (a: kv, index kv, gate, index gate | b: the same)."""
        D, Di = self.config.head_dim, self.config.index_head_dim
        kv, gate = (self.turned(self.weight(f"{C}.{part}_proj.weight"), D) for part in ("kv", "gate"))
        if kind != CSA:
            return np.concatenate([kv, gate])
        index_kv, index_gate = (
            self.turned(self.weight(f"{C}.indexer.{part}_proj.weight"), Di) for part in ("kv", "gate")
        )
        return np.concatenate(
            [
                part[half * width : (half + 1) * width]
                for half in (0, 1)
                for part, width in ((kv, D), (index_kv, Di), (gate, D), (index_gate, Di))
            ]
        )

    def slot_bias(self, C: str, kind: str) -> Array:
        """Bias of the pooling gates, [slots, channels]."""
        D, Di = self.config.head_dim, self.config.index_head_dim
        bias = self.turned(self.weight(f"{C}.position_bias").T, D).T
        if kind != CSA:
            return bias
        index_bias = self.turned(self.weight(f"{C}.indexer.position_bias").T, Di).T
        return np.concatenate(
            [np.concatenate([bias[:, i * D : (i + 1) * D], index_bias[:, i * Di : (i + 1) * Di]], 1) for i in (0, 1)]
        )

    def compress(self, layer: int, kind: str, raw: str, windows: _Windows) -> str:
        """Writes the new raw rows, pools the windows they close, and returns the new entries [N, D]."""
        g, config = self.graph, self.config
        C, D, Di = f"model.layers.{layer}.self_attn.compressor", config.head_dim, config.index_head_dim
        channels = D + Di if kind == CSA else D
        width = 4 * channels if kind == CSA else 2 * channels
        new = g.op("Reshape", raw, g.ints(-1, width), name=f"new.raw.{layer}")
        rows = g.op("Concat", f"raw.{layer}", new, axis=0)
        if kind == CSA:
            rows = self.reshape(rows, -1, 2 * channels)
        kv, gate = self.split(g.op("Gather", rows, windows.members, axis=0), channels, channels)
        bias = g.constant(self.slot_bias(C, kind)[None], f"{C}.position_bias")
        share = g.op("Softmax", g.op("Add", gate, bias), axis=1)
        pooled = g.op("ReduceSum", g.op("Mul", kv, share), g.ints(1), keepdims=1)  # [N, 1, channels]
        if kind != CSA:
            return self.entry(pooled, f"{C}.kv_norm.weight", D, windows, f"new.entries.{layer}")
        pooled, index_pooled = self.split(pooled, D, Di)
        self.entry(index_pooled, f"{C}.indexer.kv_norm.weight", Di, windows, f"new.keys.{layer}")
        return self.entry(pooled, f"{C}.kv_norm.weight", D, windows, f"new.entries.{layer}")

    def entry(self, pooled: str, norm: str, width: int, windows: _Windows, name: str) -> str:
        normed = self.norm(pooled, self.turned(self.weight(norm), width))
        return self.graph.op(
            "Reshape", self.rotate(normed, windows.entry, *windows.turn), self.graph.ints(-1, width), name=name
        )

    # ---- experts

    def experts(self, layer: int, x: str) -> str:
        """The routed and shared experts' output [S, 1, H] of the normed input x, times `written`."""
        g, config = self.graph, self.config
        M, E = f"model.layers.{layer}.mlp", config.n_routed_experts
        gates = g.op("MatMul", x, g.constant(self.weight(f"{M}.gate.weight").T, f"{M}.gate"))
        scores = self.reshape(g.op("Sqrt", g.op("Softplus", gates)), -1, E)
        if config.mlp_layer_types[layer] == "hash_moe":
            table = np.zeros((config.vocab_size, E), np.uint8)
            np.put_along_axis(table, np.asarray(self.weights[f"{M}.gate.tid2eid"]), 1, 1)
            rows = g.op("Gather", g.constant(table, f"{M}.gate.tid2eid"), "input_ids", axis=0)
            choice = g.op("Cast", rows, to=TensorProto.FLOAT)
        else:
            bias = self.weight(f"{M}.gate.e_score_correction_bias")
            choice = g.op("Add", scores, g.constant(bias))
        written = self.written(2 * layer + 1)
        down = self.weight(f"{M}.experts.down_proj") * (written * config.routed_scaling_factor)
        routed = self.expert_group(
            x,
            choice,
            scores,
            self.weight(f"{M}.experts.gate_up_proj"),
            down,
            config.num_experts_per_tok,
            f"{M}.experts",
        )
        S = f"{M}.shared_experts"
        gate_up = np.concatenate([self.weight(f"{S}.gate_proj.weight"), self.weight(f"{S}.up_proj.weight")])
        if gate_up.shape[0] != 2 * config.moe_intermediate_size:
            raise ValueError(
                f"{S} is {gate_up.shape[0] // 2} wide, not {config.moe_intermediate_size}: more than one expert?"
            )
        shared = self.expert_group(
            x, self.certain(), "", gate_up[None], written * self.weight(f"{S}.down_proj.weight")[None], 1, S
        )
        return g.op("Add", routed, shared)

    def certain(self) -> str:
        """Router input [S, 1] of a lone expert."""
        name = "certain"
        if not any(name in node.output for node in self.graph.nodes):
            ones = numpy_helper.from_array(np.ones(1, np.float32))
            shape = self.graph.op("Concat", self.graph.op("Shape", "input_ids"), self.graph.ints(1), axis=0)
            self.graph.op("ConstantOfShape", shape, value=ones, name=name)
        return name

    def expert_group(self, x: str, choice: str, scores: str, gate_up: Array, down: Array, count: int, name: str) -> str:
        """The top `count` experts by `choice`, weighted by their normalised `scores` ("" for one lone expert)."""
        g = self.graph
        E, width, H = gate_up.shape
        # The operator wants gate and up rows alternating.
        fused = np.stack([gate_up[:, : width // 2], gate_up[:, width // 2 :]], 2).reshape(E, width, H)
        shared: dict[str, Any] = {
            "domain": MS,
            "k": count,
            "normalize_routing_weights": 1,
            "activation_type": "swiglu",
            "swiglu_fusion": 1,
            "activation_alpha": 1.0,
            "activation_beta": 0.0,
            "swiglu_limit": self.config.swiglu_limit,
        }
        if self.blocks is None:
            if scores:
                # `MoE` takes the softmax of its router input over the chosen: logarithms of scores, others far below.
                if count < E:
                    best, _ = g.ops(2, "TopK", choice, g.ints(count), axis=-1, sorted=1)
                    least = g.op("Gather", best, g.ints(count - 1), axis=-1)
                    chosen = g.op("GreaterOrEqual", choice, least)
                    choice = g.op("Where", chosen, g.op("Log", scores), g.floats(MASKED))
                else:
                    choice = g.op("Log", scores)
            return g.op(
                "MoE", x, choice, g.constant(fused, f"{name}.gate_up"), "", g.constant(down, f"{name}.down"), **shared
            )
        up_codes, up_scales = quantised(fused.reshape(-1, H), self.blocks)
        down_codes, down_scales = quantised(down.reshape(-1, down.shape[-1]), self.blocks)
        inputs = [
            g.constant(up_codes.reshape(E, width, -1), f"{name}.gate_up"),
            g.constant(up_scales.reshape(E, width, -1), f"{name}.gate_up.scales"),
            "",
            g.constant(down_codes.reshape(E, H, -1), f"{name}.down"),
            g.constant(down_scales.reshape(E, H, -1), f"{name}.down.scales"),
        ]
        # router_weights is the fifteenth input.
        inputs += [*[""] * 7, scores] if scores else []
        return g.op(
            "QMoE",
            x,
            choice,
            *inputs,
            expert_weight_bits=self.blocks.bits,
            block_size=self.blocks.size,
            accuracy_level=4,
            **shared,
        )

    # ---- Engram

    def engram(self, layer: int, streams: str) -> str:
        """Streams with the layer's conditional memory added, gated per stream."""
        g, config = self.graph, self.config
        M, H = f"model.layers.{layer}.engram", config.hidden_size
        self.inputs.append((f"engram.{layer}", TensorProto.FLOAT, ["tokens", config.engram_width]))
        rows = self.reshape(f"engram.{layer}", -1, 1, config.engram_width)
        # `written`, of a site before the layer's first and with no post to make up for.
        value_proj = self.weight(f"{M}.value_proj.weight") * (self.written(2 * layer - 1) / 2)
        both = np.concatenate([self.weight(f"{M}.key_proj.weight"), value_proj])
        key, value = self.split(self.linear(rows, both, f"{M}.key_value"), H, H)
        key = self.norm(key, self.weight(f"{M}.key_norm.weight"))
        # <key, RMSNorm(X_i) * query_norm_i> / sqrt(H)
        query_norm = self.weight(f"{M}.query_norm.weight") * H**-0.5
        query = g.op("Mul", self.norm(streams, np.ones(H)), g.constant(query_norm))
        score = g.op("FusedMatMul", query, key, domain=MS, transB=1)  # [S, n, 1]
        floor = g.op("Max", g.op("Abs", score), g.floats(1e-6))  # as the network has it, for its gradient's sake
        root = g.op("Mul", g.op("Sign", score), g.op("Sqrt", floor))
        return g.op("Add", streams, g.op("Mul", g.op("Sigmoid", root), value))

    # ---- the whole

    def model(self) -> onnx.ModelProto:
        g, config = self.graph, self.config
        V, H, n = config.vocab_size, config.hidden_size, config.hc_mult
        self.inputs += [
            ("input_ids", TensorProto.INT64, ["tokens"]),
            ("position", TensorProto.INT64, []),
            ("logits", TensorProto.INT64, []),
        ]
        at = self.positions()
        tied = config.tie_word_embeddings
        embedded, head = self.embedding("model.embed_tokens.weight" if tied else "lm_head.weight")
        if not tied:
            table = g.constant(self.weight("model.embed_tokens.weight"), "embed_tokens")
            embedded = g.op("Gather", table, "input_ids", axis=0)
        streams = g.op("Add", self.reshape(embedded, -1, 1, H), g.constant(np.zeros((1, n, H), np.float32), "streams"))
        for layer in range(config.num_hidden_layers):
            L = f"model.layers.{layer}"
            if layer in config.engram_layers:
                streams = self.engram(layer, streams)
            u, post, comb = self.gather_streams(streams, f"{L}.attn_hc")
            x = self.norm(u, self.weight(f"{L}.input_layernorm.weight"))
            streams = self.scatter_streams(streams, self.attention(layer, x, at), post, comb)
            u, post, comb = self.gather_streams(streams, f"{L}.ffn_hc")
            x = self.norm(u, self.weight(f"{L}.post_attention_layernorm.weight"))
            streams = self.scatter_streams(streams, self.experts(layer, x), post, comb)
        count = g.op("Shape", "input_ids")
        wanted = g.op("Sub", count, "logits")
        streams = g.op("Slice", streams, wanted, count, g.ints(0))
        pre = self.gate(self.mix(streams, "model.hc_head", "hc_"))
        x = self.norm(g.op("MatMul", pre, streams), self.weight("model.norm.weight"))
        x = self.reshape(x, -1, H)
        if self.blocks is None:
            g.op("FusedMatMul", x, head[0], domain=MS, transB=1, name="output")
        else:
            g.op(
                "MatMulNBits",
                x,
                *head,
                domain=MS,
                K=H,
                N=V,
                bits=8,
                block_size=self.blocks.size,
                accuracy_level=4,
                name="output",
            )
        self.outputs.append(("output", TensorProto.FLOAT, ["wanted", V]))
        for state in layout(config):
            self.inputs.append((state.name, TensorProto.FLOAT, [f"{state.name}.rows", state.width]))
            self.outputs.append((f"new.{state.name}", TensorProto.FLOAT, [f"new.{state.name}.rows", state.width]))
        return self.finished()

    def embedding(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Embedded input_ids, and the same table as the constants of the output projection (they share memory)."""
        g, table = self.graph, self.weight(name)
        if self.blocks is None:
            whole = g.constant(table, "embedding")
            return g.op("Gather", whole, "input_ids", axis=0), (whole,)
        # The embedding stays at eight bits: its rows are the whole input, and a row is read once per token.
        codes, scales = quantised(table, Blocks(8, self.blocks.size))
        data, scale = g.constant(codes, "embedding"), g.constant(scales[..., None], "embedding.scales")
        embedded = g.op(
            "GatherBlockQuantized",
            data,
            "input_ids",
            scale,
            domain=MS,
            bits=8,
            block_size=self.blocks.size,
            gather_axis=0,
            quantize_axis=2,
        )
        return embedded, (data, g.constant(scales, "embedding.head_scales"))

    def finished(self) -> onnx.ModelProto:
        g = self.graph
        graph = helper.make_graph(
            g.nodes,
            "deepseek_v4",
            [helper.make_tensor_value_info(*value) for value in self.inputs],
            [helper.make_tensor_value_info(*value) for value in self.outputs],
            [numpy_helper.from_array(value, name) for name, value in g.constants.items()],
        )
        opsets = [helper.make_opsetid("", 22), helper.make_opsetid(MS, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="engram-ls")
