"""The network as one ONNX graph for every phase: prefill, any chunk of it, decoding, checking several drafted tokens.

Inputs (S = new tokens, any number; p = tokens before them):
    input_ids  int64 [S]
    position   int64 []            p
    row        int64 []            the row of the first new token in every `window` and `open` state: see cache.py
    logits     int64 []            for how many of the last tokens logits are wanted, 0..S
    cos.{k}, sin.{k}, back.{k}     float32 [rows, R/2] for k of `rotations`: the rotary angles of the token at each row
    engram.{l} float32 [S, engram_width]   rows looked up for layer l, concatenated over orders and heads
    {state}    float32             the tape's array of each state in `cache.layout`; of entries, at least the first
                                   (p+S) // rate: what there is beyond is neither read nor written
Outputs: `output` float32 [logits, V]; per state `new.{state}`: the same array with the new rows written. Bound to one
buffer, input and output, nothing but the new rows is touched. With `draft`, `streams` float32 [S, nH]: the residual
streams after the last layer, for a draft head. That is a graph of its own (`build_draft`) of the same form: one layer,
whose input beside the streams are the tokens that follow theirs, and whose logits are of the tokens after those.

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
from onnx import TensorProto, numpy_helper

from engram_runtime.cache import layout
from engram_runtime.config import CSA, SLIDING, LayerType, ModelConfig
from engram_runtime.nodes import MS, Array, LinearWeights, Nodes, Store, Value
from engram_runtime.quantize import Codes, Plan
from engram_runtime.rotary import rotations

MASKED = -1e30

_SAFE = 60.0
"""Logits whose exponentials, and a million times those, are floats."""

_FOLDED = 1.5
"""How much larger than its two factors the attention's output matrix may be where it is multiplied out: a small one is
read sooner than five nodes are run."""


def build(
    config: ModelConfig,
    weights: Mapping[str, Array],
    plan: Plan | None = None,
    store: Store | None = None,
    draft: bool = False,
) -> onnx.ModelProto:
    """The graph of the network whose weights are given under their state-dict names (Engram tables are not read).

    Every weight is asked for once, layer after layer. `plan` quantises the large matrices, None keeps float32; `store`
    takes large constants as they are made, None keeps them in the model. Raises KeyError for a missing weight.
    """
    return _Builder(config, weights, plan, store).model(draft)


def build_draft(
    config: ModelConfig, weights: Mapping[str, Array], plan: Plan | None = None, store: Store | None = None
) -> onnx.ModelProto:
    """The graph of the network's layer of multi-token prediction, as of a network `config.draft_head`.

    Further input: `streams.before` float32 [S, nH], of the trunk or, for drafts of drafts, its own `streams`.
    """
    return _Builder(config.draft_head, weights, plan, store).draft_model()


@dataclass(frozen=True, slots=True)
class _Positions:
    """What depends on positions and lengths only: computed once, read by every layer.

    The window's keys are C rows of the tape: row 0, the sink's, and those of the tokens that any query sees.
    """

    rows: str  # int64 [S, 1]: of the new tokens
    shift: str  # int64 []: row of a token less its position
    after: str  # int64 []: p + S
    queries: str  # int64 [S, 1]: positions of the new tokens, plus 1
    keys: str  # int64 [C]: rows of the window's keys
    columns: str  # int64 [1]: C
    mask: str  # [S, 1, 1, C]
    sink: str  # bool [C]


@dataclass(frozen=True, slots=True)
class _Windows:
    """The same for one compression rate: N windows are closed by the new tokens, M entries are given in all."""

    numbers: str  # int64 [N, 1]: which ones
    rows: str  # int64 [N, 1]: the rows of their first tokens
    members: str  # int64 [N, slots] or [N, slots, 2]: the raw rows (and halves of them) that each one pools
    mask: str  # [S, 1, M]
    total: str  # int64 [1]: M


@dataclass(frozen=True, slots=True)
class _Layer:
    """Where one decoder layer has its weights and its states, and what it is made of."""

    weights: str
    states: str
    attention: LayerType
    hashed: bool
    engram: bool
    sites: int
    """Hyper-connection sites before this layer's: see `written`."""


def alternating(gate_up: Array) -> Array:
    """Rows [E, 2I, H], gate then up, in turns, as the operator wants them."""
    E, width, H = gate_up.shape
    turns = np.empty((E, width, H), np.float32)
    turns[:, 0::2], turns[:, 1::2] = gate_up[:, : width // 2], gate_up[:, width // 2 :]
    return turns


class _Builder:
    def __init__(self, config: ModelConfig, weights: Mapping[str, Array], plan: Plan | None, store: Store | None):
        self.config, self.plan = config, plan
        self.weight = LinearWeights(weights, config.qk_rope_head_dim)
        self.graph = Nodes(store)
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.windows: dict[LayerType, _Windows] = {}
        self.turned = self.weight.turned

    # ---- parts every layer uses

    def quantised(self, name: str, matrix: Array) -> Codes | None:
        return self.plan.quantise(name, matrix) if self.plan else None

    def linear(self, x: str, matrix: Array, name: str) -> str:
        """x [..., in] times matrix [out, in] transposed."""
        codes = self.quantised(name, matrix)
        if codes is None:
            return self.graph.op("MatMul", x, self.graph.constant(matrix.T, name))
        return self.product(x, codes, self.graph.constant(codes.codes, name), *matrix.shape)

    def product(self, x: str, codes: Codes, weights: str, N: int, K: int, output: str = "", bias: str = "") -> str:
        """x times the transpose of the matrix [N, K] that is quantised as `codes`, whose constant is `weights`."""
        return self.graph.op(
            "MatMulNBits",
            x,
            weights,
            self.graph.constant(codes.scales, f"{weights}.scales"),
            *(("", "", bias) if bias else ()),
            domain=MS,
            name=output,
            K=K,
            N=N,
            bits=codes.bits,
            block_size=codes.size,
            accuracy_level=4,
        )

    def norm(self, x: str, scale: Array) -> str:
        return self.graph.norm(x, scale, self.config.rms_norm_eps)

    def rotate(self, x: str, rows: str, kind: LayerType, back: bool = False) -> str:
        """RoPE on the leading channels; x [B, T, width] or [B, 1, T, width], rows [B, T] of the tables."""
        tables = rotations(self.config)[kind]
        return self.graph.op(
            "RotaryEmbedding",
            x,
            rows,
            f"cos.{tables}",
            f"{'back' if back else 'sin'}.{tables}",
            domain=MS,
            interleaved=1,
            num_heads=1,
            rotary_embedding_dim=self.config.qk_rope_head_dim,
        )

    def put(self, state: str, rows: str, new: str) -> str:
        """The state's array with `new` written at `rows` [*, 1]."""
        return self.graph.op("ScatterND", state, rows, new, name=f"new.{state}")

    # ---- positions

    def positions(self) -> _Positions:
        g, W = self.graph, self.config.sliding_window
        length, zero, one = g.op("Size", "input_ids"), g.scalar(0), g.scalar(1)
        after = g.op("Add", "position", length)
        past = g.op("Min", "position", g.scalar(W - 1))
        first, last = g.op("Sub", "row", past), g.op("Add", "row", length)
        rows = g.op("Unsqueeze", g.op("Range", "row", last, one), g.ints(1))
        keys = g.op("Concat", g.ints(0), g.op("Range", first, last, one), axis=0)
        shift = g.op("Sub", "row", "position")
        # A key is visible if it is at most W - 1 tokens back. The sink's row is none of these and has its own rule.
        distance = g.op("Sub", rows, keys)
        visible = g.op("Equal", distance, g.op("Clip", distance, zero, g.scalar(W - 1)))
        mask = g.op("Where", visible, g.floats(0.0), g.floats(MASKED))
        return _Positions(
            rows,
            shift,
            after,
            g.op("Sub", rows, g.op("Sub", shift, one)),
            keys,
            g.op("Shape", keys),
            g.op("Unsqueeze", mask, g.ints(1, 2)),
            g.op("Equal", keys, g.ints(0)),
        )

    def windows_of(self, kind: LayerType, at: _Positions) -> _Windows:
        """The windows of this kind of compression, which all its layers share."""
        if kind not in self.windows:
            self.windows[kind] = self.new_windows(kind, at)
        return self.windows[kind]

    def new_windows(self, kind: LayerType, at: _Positions) -> _Windows:
        g, r = self.graph, self.rate(kind)
        rate, one = g.scalar(r), g.scalar(1)
        closed, total = g.op("Div", "position", rate), g.op("Div", at.after, rate)
        numbers = g.op("Unsqueeze", g.op("Range", closed, total, one), g.ints(1))
        rows = g.op("Add", g.op("Mul", numbers, rate), at.shift)
        if kind == CSA:
            # A raw row has halves (a, b). An entry pools the a-halves of the window before its own, the b-halves of
            # its own.
            slots = np.arange(2 * r)
            where = np.stack([slots - r, slots >= r], 1)
            starts = g.op("Mul", g.op("Unsqueeze", rows, g.ints(1)), g.ints(1, 0))
            members = g.op("Add", starts, g.constant(where[None]))
        else:
            members = g.op("Add", rows, g.constant(np.arange(r)[None]))
        # Entry w is visible to the query at t when w < (t+1) // rate, and only then known to be written.
        given = g.op("Shape", f"entries.{self.config.layer_types.index(kind)}", end=1)
        entries = g.op("Range", g.scalar(0), g.op("Squeeze", given), one)
        visible = g.op("Less", entries, g.op("Div", at.queries, rate))
        mask = g.op("Where", visible, g.floats(0.0), g.floats(MASKED))
        return _Windows(numbers, rows, members, g.op("Unsqueeze", mask, g.ints(1)), given)

    def rate(self, kind: LayerType) -> int:
        return self.config.compress_rate_csa if kind == CSA else self.config.compress_rate_hca

    # ---- manifold-constrained hyper-connections

    def mix(self, streams: str, prefix: str, suffix: str = "") -> str:
        """The mappings of one site from its streams, [S, outputs]: fn (x̂) * scale + base."""
        g, n, H = self.graph, self.config.hc_mult, self.config.hidden_size
        fn, base, scale = (self.weight(f"{prefix}.{suffix}{part}") for part in ("fn", "base", "scale"))
        fn = fn * np.repeat(scale, [n] if suffix else [n, n, n * n])[:, None]
        flat = self.norm(g.reshape(streams, -1, n * H), np.ones(n * H))
        codes = self.quantised(f"{prefix}.fn", fn)
        if codes is None:
            return g.op("Gemm", flat, g.constant(fn.T, f"{prefix}.fn"), g.constant(base))
        return self.product(flat, codes, g.constant(codes.codes, f"{prefix}.fn"), *fn.shape, bias=g.constant(base))

    def gate(self, logits: str) -> str:
        return self.graph.op("Add", self.graph.op("Sigmoid", logits), self.graph.floats(self.config.hc_eps))

    def gather_streams(self, streams: str, prefix: str) -> tuple[str, str, str]:
        """Block input [S, 1, H], and what `scatter_streams` needs: post / 2 [S, 1, n] and comb [S, n, n]."""
        g, n = self.graph, self.config.hc_mult
        mapped = g.reshape(self.mix(streams, prefix), -1, 2 + n, n)
        pre, post, comb = g.split(mapped, 1, 1, n, axis=1)
        comb = g.op("Add", g.op("Softmax", comb, axis=-1), g.floats(self.config.hc_eps))
        # Sinkhorn: columns, then rows and columns. The epsilon inside the sums is left out: see `written`.
        comb = g.op("LpNormalization", comb, axis=-2, p=1)
        for _ in range(self.config.hc_sinkhorn_iters - 1):
            comb = g.op("LpNormalization", g.op("LpNormalization", comb, axis=-1, p=1), axis=-2, p=1)
        return g.op("MatMul", self.gate(pre), streams), g.op("Sigmoid", post), comb

    def scatter_streams(self, streams: str, y: list[str], post: str, comb: str) -> str:
        """X'_k = post_k sum(y) + sum_j comb[j, k] X_j, as one product; every y must come scaled by `written`."""
        g = self.graph
        return g.op(
            "FusedMatMul",
            g.op("Concat", comb, *[post] * len(y), axis=1),
            g.op("Concat", streams, *y, axis=1),
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

    def attention(self, layer: _Layer, x: str, at: _Positions) -> str:
        """The attention output [S, 1, H] of the normed input x [S, 1, H], times `written`."""
        g, config, kind, A = self.graph, self.config, layer.attention, f"{layer.weights}.self_attn"
        h, D, Di, nI = config.num_attention_heads, config.head_dim, config.index_head_dim, config.index_n_heads

        # Everything that reads x is one product.
        parts = [self.weight(f"{A}.q_a_proj.weight"), self.turned(self.weight(f"{A}.kv_proj.weight"), D)]
        if kind != SLIDING:
            parts.append(self.compressor_projection(f"{A}.compressor", kind))
        if kind == CSA:
            scorer = self.weight(f"{A}.compressor.indexer.scorer.weights_proj.weight")
            parts.append(scorer * (nI * Di) ** -0.5)
        q_low, kv, *rest = g.split(self.linear(x, np.concatenate(parts), f"{A}.in"), *(len(part) for part in parts))
        q_low = self.norm(q_low, self.weight(f"{A}.q_a_norm.weight"))

        heads = self.turned(self.weight(f"{A}.q_b_proj.weight"), D)
        index_query = ""
        if kind == CSA:
            index_heads = self.turned(self.weight(f"{A}.compressor.indexer.q_b_proj.weight"), Di)
            both = self.linear(q_low, np.concatenate([heads, index_heads]), f"{A}.q_b")
            q, index_query = g.split(both, h * D, nI * Di)
        else:
            q = self.linear(q_low, heads, f"{A}.q_b")
        # The scale of the logits, D^-1/2, is the norm's weight.
        q = self.norm(g.reshape(q, -1, 1, h, D), np.full(D, D**-0.5))
        q = self.rotate(q, self.repeated(at.rows, h), kind)

        kv_norm = self.weight(f"{A}.kv_norm.weight")
        kv = self.norm(kv, self.turned(kv_norm, D))
        kv = self.put(f"kv.{layer.states}", at.rows, g.reshape(self.rotate(kv, at.rows, kind), -1, D))
        near = g.op("Gather", kv, at.keys, axis=0)
        # The sink's key is zero: so is its value, and its logit is what is added to it.
        sinks = self.weight(f"{A}.sinks")
        sink, mask, count = at.sink, at.mask, at.columns
        far: tuple[str, str, str] | None = None
        # RMSNorm leaves no vector longer than this; queries, scaled, have length 1 at most.
        bound = max(float(np.abs(sinks).max()), D**0.5 * float(np.abs(kv_norm).max()))
        if kind != SLIDING:
            windows = self.windows_of(kind, at)
            entry_norm = self.weight(f"{A}.compressor.kv_norm.weight")
            bound = max(bound, D**0.5 * float(np.abs(entry_norm).max()))
            entries = self.compress(layer, rest[0], entry_norm, at, windows)
            if kind == CSA:
                far = self.selected(layer, q, index_query, rest[1], entries, at, windows)
            else:
                near = g.op("Concat", near, entries, axis=0)
                sink, mask, count = self.with_entries(at, windows)
        logits = g.op("FusedMatMul", q, near, domain=MS, transB=1)
        logits = g.op("Add", logits, g.op("Where", sink, g.constant(sinks[:, None], f"{A}.sinks"), mask))
        parts = [(logits, near, g.once(f"ones.{count}", lambda: self.ones(count, g.ints(16))))]
        o = self.attended([*parts, far] if far else parts, bound)
        # Values carry the rotation of their own position: turn it back by the query's.
        o = self.rotate(o, self.repeated(at.rows, h), kind, back=True)
        return self.attention_output(layer, g.reshape(o, -1, 1, h * D))

    def with_entries(self, at: _Positions, windows: _Windows) -> tuple[str, str, str]:
        """Sink, mask and number of the columns where all entries follow the window's keys."""
        g = self.graph
        none = g.once("none", lambda: g.op("Expand", g.constant(np.array([False])), windows.total))
        sink = g.once("sink.hca", lambda: g.op("Concat", at.sink, none, axis=0))
        entries = g.once("mask.entries", lambda: g.op("Unsqueeze", windows.mask, g.ints(1)))
        mask = g.once("mask.hca", lambda: g.op("Concat", at.mask, entries, axis=-1))
        return sink, mask, g.once("columns.hca", lambda: g.op("Add", at.columns, windows.total))

    def attended(self, parts: Sequence[tuple[str, str, str]], bound: float) -> str:
        """Values [S, 1, h, D] by one softmax over all parts: their logits [S, 1, h, columns], values, and ones.

        The sums are products with ones, which skip the zeros of masked columns exactly: a token's result has the same
        bits however many others are computed beside it. `Softmax` sums in an order that depends on where columns lie,
        and the rounding of activations to int8 makes much of a last bit. (Ones are 16 wide, for a product with a
        single column sums in yet another way.) No logit exceeds `bound`: only if its exponential could be too large for
        a float is the largest one taken off first.
        """
        g = self.graph
        logits = [part[0] for part in parts]
        if bound > _SAFE:
            largest = [g.op("ReduceMax", each, g.ints(-1), keepdims=1) for each in logits]
            most = largest[0] if len(largest) == 1 else g.op("Max", *largest)
            logits = [g.op("Sub", each, most) for each in logits]
        odds = [g.op("Exp", each) for each in logits]
        values = [g.op("MatMul", each, part[1]) for each, part in zip(odds, parts, strict=True)]
        sums = [g.op("MatMul", each, part[2]) for each, part in zip(odds, parts, strict=True)]
        total, value = (each[0] if len(each) == 1 else g.op("Add", *each) for each in (sums, values))
        return g.op("Div", value, g.op("Slice", total, g.ints(0), g.ints(1), g.ints(3)))

    def ones(self, *shape: str) -> str:
        """Ones of a shape that is given in pieces, int64 [*] each."""
        return self.graph.op(
            "ConstantOfShape",
            self.graph.op("Concat", *shape, axis=0),
            value=numpy_helper.from_array(np.ones(1, np.float32)),
        )

    def repeated(self, rows: str, heads: int) -> str:
        """Table rows int64 [S, heads], the same for every head."""
        g = self.graph
        return g.once(f"rows.{heads}", lambda: g.op("Add", rows, g.constant(np.zeros((1, heads), np.int64))))

    def selected(
        self, layer: _Layer, q: str, query: str, weights: str, entries: str, at: _Positions, windows: _Windows
    ) -> tuple[str, str, str]:
        """CSA: logits [S, 1, h, k] and rows [S, 1, k, D] of the indexer's top-k entries, and ones [k, 16]."""
        g, config = self.graph, self.config
        nI, Di = config.index_n_heads, config.index_head_dim
        query = self.rotate(g.reshape(query, -1, nI, Di), self.repeated(at.rows, nI), CSA)
        scores = g.op("FusedMatMul", query, f"new.keys.{layer.states}", domain=MS, transB=1)
        scores = g.op("Add", g.op("MatMul", weights, g.op("Relu", scores)), windows.mask)
        count = g.once("selected", lambda: g.op("Min", windows.total, g.ints(config.index_topk)))
        best, chosen = g.ops(2, "TopK", scores, count, axis=-1, sorted=1)
        hidden = g.op("Less", g.op("Unsqueeze", best, g.ints(1)), g.floats(MASKED / 2))
        rows = g.op("Gather", entries, chosen, axis=0)
        logits = g.op("Where", hidden, g.floats(MASKED), g.op("FusedMatMul", q, rows, domain=MS, transB=1))
        return logits, rows, g.once("ones.selected", lambda: self.ones(count, g.ints(16)))

    def attention_output(self, layer: _Layer, o: str) -> str:
        """Grouped low-rank projection of o [S, 1, hD], times `written`."""
        g, config, A = self.graph, self.config, f"{layer.weights}.self_attn"
        h, D, groups, rank = config.num_attention_heads, config.head_dim, config.o_groups, config.o_lora_rank
        low = self.weight(f"{A}.o_a_proj.weight")  # [groups * rank, hD / groups]
        low = self.turned(low.T, D).T
        high = self.written(layer.sites) * self.weight(f"{A}.o_b_proj.weight")  # [H, groups * rank]
        width = h * D // groups
        if len(high) * h * D <= _FOLDED * (low.size + high.size):
            each = zip(np.split(high, groups, 1), np.split(low, groups), strict=True)
            return self.linear(o, np.concatenate([b @ a for b, a in each], 1), f"{A}.o")
        pieces = g.split(o, *[width] * groups) if groups > 1 else [o]
        lows = [self.linear(piece, low[i * rank : (i + 1) * rank], f"{A}.o_a.{i}") for i, piece in enumerate(pieces)]
        joined = g.op("Concat", *lows, axis=-1) if groups > 1 else lows[0]
        return self.linear(joined, high, f"{A}.o_b")

    # ---- compression

    def compressor_projection(self, C: str, kind: LayerType) -> Array:
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

    def slot_bias(self, C: str, kind: LayerType) -> Array:
        """Bias of the pooling gates, [slots, channels]."""
        D, Di = self.config.head_dim, self.config.index_head_dim
        bias = self.turned(self.weight(f"{C}.position_bias").T, D).T
        if kind != CSA:
            return bias
        index_bias = self.turned(self.weight(f"{C}.indexer.position_bias").T, Di).T
        return np.concatenate(
            [np.concatenate([bias[:, i * D : (i + 1) * D], index_bias[:, i * Di : (i + 1) * Di]], 1) for i in (0, 1)]
        )

    def compress(self, layer: _Layer, raw: str, norm: Array, at: _Positions, windows: _Windows) -> str:
        """Writes the new raw rows, pools the windows they close, and returns all entries [M, D]."""
        g, config, kind = self.graph, self.config, layer.attention
        C, D, Di = f"{layer.weights}.self_attn.compressor", config.head_dim, config.index_head_dim
        channels = D + Di if kind == CSA else D
        shape = (2, 2 * channels) if kind == CSA else (2 * channels,)
        rows = self.put(f"raw.{layer.states}", at.rows, g.reshape(raw, -1, *shape))
        pooled_rows = g.op("GatherND" if kind == CSA else "Gather", rows, windows.members)
        kv, gate = g.split(pooled_rows, channels, channels)
        bias = g.constant(self.slot_bias(C, kind)[None], f"{C}.position_bias")
        share = g.op("Softmax", g.op("Add", gate, bias), axis=1)
        # A sum by a product, for the same reason as in `attended`.
        slots = (2 if kind == CSA else 1) * self.rate(kind)
        ones = g.once(
            f"ones.pooled.{kind}",
            lambda: self.ones(g.op("Shape", windows.numbers, start=0, end=1), g.ints(1, slots)),
        )
        pooled = g.op("MatMul", ones, g.op("Mul", kv, share))  # [N, 1, channels]
        if kind == CSA:
            pooled, index_pooled = g.split(pooled, D, Di)
            index_norm = self.weight(f"{C}.indexer.kv_norm.weight")
            self.entry(index_pooled, index_norm, kind, windows, f"keys.{layer.states}")
        return self.entry(pooled, norm, kind, windows, f"entries.{layer.states}")

    def entry(self, pooled: str, norm: Array, kind: LayerType, windows: _Windows, state: str) -> str:
        width = len(norm)
        normed = self.norm(pooled, self.turned(norm, width))
        new = self.graph.reshape(self.rotate(normed, windows.rows, kind), -1, width)
        return self.put(state, windows.numbers, new)

    # ---- experts

    def experts(self, layer: _Layer, x: str) -> list[str]:
        """Outputs [S, 1, H] of the routed and of the shared experts for the normed input x, times `written`."""
        g, config = self.graph, self.config
        M, E, I = f"{layer.weights}.mlp", config.n_routed_experts, config.moe_intermediate_size  # noqa: E741
        gates = g.op("MatMul", x, g.constant(self.weight(f"{M}.gate.weight").T, f"{M}.gate"))
        scores = g.reshape(g.op("Sqrt", g.op("Softplus", gates)), -1, E)
        if layer.hashed:
            table = np.zeros((config.vocab_size, E), np.uint8)
            np.put_along_axis(table, self.weight.integers(f"{M}.gate.tid2eid"), 1, 1)
            rows = g.op("Gather", g.constant(table, f"{M}.gate.tid2eid"), "input_ids", axis=0)
            choice = g.op("Cast", rows, to=TensorProto.FLOAT)
        else:
            choice = g.op("Add", scores, g.constant(self.weight(f"{M}.gate.e_score_correction_bias")))
        written = self.written(layer.sites + 1)
        gate_up = alternating(self.weight(f"{M}.experts.gate_up_proj"))
        down = self.weight(f"{M}.experts.down_proj") * (written * config.routed_scaling_factor)
        routed = self.expert_group(x, choice, scores, gate_up, down, config.num_experts_per_tok, f"{M}.experts")
        T = f"{M}.shared_experts"
        gate_up = np.concatenate([self.weight(f"{T}.gate_proj.weight"), self.weight(f"{T}.up_proj.weight")])
        if gate_up.shape[0] != 2 * I:
            raise ValueError(f"{T} is {gate_up.shape[0] // 2} wide, not {I}: more than one expert?")
        gate_up, down = alternating(gate_up[None]), written * self.weight(f"{T}.down_proj.weight")
        return [routed, self.expert_group(x, g.once("certain", self.certain), "", gate_up, down[None], 1, T)]

    def certain(self) -> str:
        """Router input [S, 1] of a lone expert."""
        shape = self.graph.op("Concat", self.graph.op("Shape", "input_ids"), self.graph.ints(1), axis=0)
        return self.graph.op("ConstantOfShape", shape, value=numpy_helper.from_array(np.ones(1, np.float32)))

    def expert_group(self, x: str, choice: str, scores: str, gate_up: Array, down: Array, count: int, name: str) -> str:
        """The top `count` experts by `choice`, weighted by their normalised `scores` ("" for one lone expert).

        gate_up [E, 2I, H] with its rows `alternating`, down [E, H, I].
        """
        g = self.graph
        E, width, H = gate_up.shape
        attributes: dict[str, Any] = {
            "domain": MS,
            "k": count,
            "normalize_routing_weights": 1,
            "activation_type": "swiglu",
            "swiglu_fusion": 1,
            "activation_alpha": 1.0,
            "activation_beta": 0.0,
            "swiglu_limit": self.config.swiglu_limit,
        }
        up_codes = self.quantised(f"{name}.gate_up", gate_up.reshape(E * width, H))
        down_codes = self.quantised(f"{name}.down", down.reshape(E * H, -1))
        if up_codes is None or down_codes is None:
            if scores:
                choice = self.only_best(choice, scores, count, E)
            up, down_name = g.constant(gate_up, f"{name}.gate_up"), g.constant(down, f"{name}.down")
            return g.op("MoE", x, choice, up, "", down_name, **attributes)
        if (up_codes.bits, up_codes.size) != (down_codes.bits, down_codes.size):
            raise ValueError(f"{name}: both matrices of an expert must be quantised alike")
        inputs = [
            g.constant(up_codes.codes.reshape(E, width, -1), f"{name}.gate_up"),
            g.constant(up_codes.scales.reshape(E, width, -1), f"{name}.gate_up.scales"),
            "",
            g.constant(down_codes.codes.reshape(E, H, -1), f"{name}.down"),
            g.constant(down_codes.scales.reshape(E, H, -1), f"{name}.down.scales"),
        ]
        # router_weights is the fifteenth input.
        inputs += [*[""] * 7, scores] if scores else []
        attributes |= {"expert_weight_bits": up_codes.bits, "block_size": up_codes.size, "accuracy_level": 4}
        return g.op("QMoE", x, choice, *inputs, **attributes)

    def only_best(self, choice: str, scores: str, count: int, E: int) -> str:
        """Router input of `MoE`, which takes a softmax over the chosen: logarithms of scores, all others far below."""
        g = self.graph
        logs = g.op("Log", scores)
        if count == E:
            return logs
        best, _ = g.ops(2, "TopK", choice, g.ints(count), axis=-1, sorted=1)
        least = g.op("Gather", best, g.ints(count - 1), axis=-1)
        return g.op("Where", g.op("GreaterOrEqual", choice, least), logs, g.floats(MASKED))

    # ---- Engram

    def engram(self, layer: _Layer, streams: str, at: _Positions) -> str:
        """Streams with the layer's conditional memory added, gated per stream."""
        g, config = self.graph, self.config
        M, n, H, name = f"{layer.weights}.engram", config.hc_mult, config.hidden_size, f"engram.{layer.states}"
        self.inputs.append((name, TensorProto.FLOAT, ["tokens", config.engram_width]))
        # `written`, of a site before the layer's first and with no post to make up for.
        value_proj = self.weight(f"{M}.value_proj.weight") * (self.written(layer.sites - 1) / 2)
        both = np.concatenate([self.weight(f"{M}.key_proj.weight"), value_proj])
        rows = g.reshape(name, -1, 1, config.engram_width)
        key, value = g.split(self.linear(rows, both, f"{M}.key_value"), len(both) - H, H)
        if config.engram_reach:
            key = g.reshape(key, -1, n, H)
        key = self.norm(key, self.weight(f"{M}.key_norm.weight"))
        # <key, RMSNorm(X_i) * query_norm_i> / sqrt(H)
        query = self.norm(streams, self.weight(f"{M}.query_norm.weight") * H**-0.5)
        if config.engram_reach:
            score = g.op("ReduceSum", g.op("Mul", query, key), g.ints(-1), keepdims=1)  # [S, n, 1]
        else:
            score = g.op("FusedMatMul", query, key, domain=MS, transB=1)
        floor = g.op("Max", g.op("Abs", score), g.floats(1e-6))  # as the network has it, for its gradient's sake
        root = g.op("Mul", g.op("Sign", score), g.op("Sqrt", floor))
        value = g.op("Mul", g.op("Sigmoid", root), value)
        if config.engram_reach:
            value = g.op("Add", value, self.convolved(layer, value, at))
        return g.op("Add", streams, value)

    def convolved(self, layer: _Layer, value: str, at: _Positions) -> str:
        """SiLU of the convolution, each channel for itself, of the normed values [S, n, H] of four tokens."""
        g, config, M = self.graph, self.config, f"{layer.weights}.engram"
        normed = self.norm(value, self.weight(f"{M}.conv_norm.weight"))
        rows = self.put(f"memory.{layer.states}", at.rows, normed)
        # Rows of tokens before the first are zeros.
        taps = np.arange(4) * (config.engram_reach // 3) - config.engram_reach
        four = g.op("Gather", rows, g.op("Add", at.rows, g.constant(taps[None])), axis=0)  # [S, 4, n, H]
        kernel = self.weight(f"{M}.conv.weight").reshape(config.hc_mult, config.hidden_size, 4).transpose(2, 0, 1)
        mixed = g.op("ReduceSum", g.op("Mul", four, g.constant(kernel, f"{M}.conv")), g.ints(1), keepdims=0)
        grown = g.op("Mul", mixed, g.floats(self.written(layer.sites - 1) / 2))
        return g.op("Mul", g.op("Sigmoid", mixed), grown)

    # ---- the whole

    def layer(self, layer: _Layer, streams: str, at: _Positions) -> str:
        L = layer.weights
        if layer.engram:
            streams = self.engram(layer, streams, at)
        u, post, comb = self.gather_streams(streams, f"{L}.attn_hc")
        x = self.norm(u, self.weight(f"{L}.input_layernorm.weight"))
        streams = self.scatter_streams(streams, [self.attention(layer, x, at)], post, comb)
        u, post, comb = self.gather_streams(streams, f"{L}.ffn_hc")
        x = self.norm(u, self.weight(f"{L}.post_attention_layernorm.weight"))
        return self.scatter_streams(streams, self.experts(layer, x), post, comb)

    def model(self, draft: bool) -> onnx.ModelProto:
        g, config = self.graph, self.config
        H, n = config.hidden_size, config.hc_mult
        at = self.start()
        table = self.weight("model.embed_tokens.weight")
        embedded, codes = self.embedding(table)
        streams = g.op("Add", g.reshape(embedded, -1, 1, H), g.constant(np.zeros((1, n, H), np.float32), "zeros"))
        for i, kind in enumerate(config.layer_types):
            hashed, engram = config.mlp_layer_types[i] == "hash_moe", i in config.engram_layers
            layer = _Layer(f"model.layers.{i}", str(i), kind, hashed, engram, 2 * i)
            streams = self.layer(layer, streams, at)
        self.finish(streams, "model.", (table, codes), draft)
        return g.model("deepseek_v4", self.inputs, self.outputs)

    def draft_model(self) -> onnx.ModelProto:
        g, config, M = self.graph, self.config, "mtp.0."
        H, n = config.hidden_size, config.hc_mult
        self.inputs.append(("streams.before", TensorProto.FLOAT, ["tokens", n * H]))
        at = self.start()
        table = self.weight("model.embed_tokens.weight")
        embedded, codes = self.embedding(table)
        following = self.norm(g.reshape(embedded, -1, 1, H), self.weight(f"{M}enorm.weight"))
        before = self.norm(g.reshape("streams.before", -1, n, H), self.weight(f"{M}hnorm.weight"))
        streams = g.op(
            "Add",
            self.linear(following, self.weight(f"{M}e_proj.weight"), f"{M}e_proj"),
            self.linear(before, self.weight(f"{M}h_proj.weight"), f"{M}h_proj"),
        )
        streams = self.layer(_Layer("mtp.0", "0", SLIDING, False, False, 0), streams, at)
        self.finish(streams, M, (table, codes), True)
        return g.model("deepseek_v4_draft", self.inputs, self.outputs)

    def start(self) -> _Positions:
        """What every graph is given, and what it makes of it first."""
        self.inputs += [
            ("input_ids", TensorProto.INT64, ["tokens"]),
            ("position", TensorProto.INT64, []),
            ("row", TensorProto.INT64, []),
            ("logits", TensorProto.INT64, []),
        ]
        for tables in dict.fromkeys(rotations(self.config).values()):
            for part in ("cos", "sin", "back"):
                shape = ["rows", self.config.qk_rope_head_dim // 2]
                self.inputs.append((f"{part}.{tables}", TensorProto.FLOAT, shape))
        return self.positions()

    def finish(self, streams: str, prefix: str, embedding: tuple[Array, Codes | None], draft: bool) -> None:
        """From the last layer's streams to the outputs; `embedding` is the table, for a tied output projection."""
        g, config = self.graph, self.config
        V, H, n = config.vocab_size, config.hidden_size, config.hc_mult
        if draft:
            g.reshape(streams, -1, n * H, name="streams")
            self.outputs.append(("streams", TensorProto.FLOAT, ["tokens", n * H]))
        count = g.op("Shape", "input_ids")
        streams = g.op("Slice", streams, g.op("Sub", count, "logits"), count, g.ints(0))
        pre = g.reshape(self.gate(self.mix(streams, f"{prefix}hc_head", "hc_")), -1, 1, n)
        x = self.norm(g.op("MatMul", pre, streams), self.weight(f"{prefix}norm.weight"))
        self.logits(g.reshape(x, -1, H), embedding if config.tie_word_embeddings else None)
        self.outputs.append(("output", TensorProto.FLOAT, ["wanted", V]))
        for state in layout(config):
            value = (TensorProto.FLOAT, [f"{state.name}.rows", *state.shape])
            self.inputs.append((state.name, *value))
            self.outputs.append((f"new.{state.name}", *value))

    def embedding(self, table: Array) -> tuple[str, Codes | None]:
        """Embedded input_ids [S, H], and the codes of the table if it is quantised."""
        g, codes = self.graph, self.quantised("embedding", table)
        if codes is None:
            return g.op("Gather", g.constant(table, "embedding"), "input_ids", axis=0), None
        if codes.bits != 8:
            raise ValueError("the embedding's rows are read one by one: 8 bits or none")
        embedded = g.op(
            "GatherBlockQuantized",
            g.constant(codes.codes, "embedding"),
            "input_ids",
            g.constant(codes.scales[..., None], "embedding.scales"),
            domain=MS,
            bits=8,
            block_size=codes.size,
            gather_axis=0,
            quantize_axis=2,
        )
        return embedded, codes

    def logits(self, x: str, tied: tuple[Array, Codes | None] | None) -> None:
        """The output projection of x [logits, H]. A tied one is the embedding's own constant if quantised alike."""
        g, V, H = self.graph, self.config.vocab_size, self.config.hidden_size
        table, embedded = tied or (self.weight("lm_head.weight"), None)
        codes = self.quantised("lm_head", table)
        if codes is None:
            whole = "embedding" if tied and embedded is None else g.constant(table, "lm_head")
            g.op("FusedMatMul", x, whole, domain=MS, transB=1, name="output")
        else:
            shared = embedded is not None and np.array_equal(codes.codes, embedded.codes)
            weights = "embedding" if shared else g.constant(codes.codes, "lm_head")
            self.product(x, codes, weights, V, H, "output")
