"""A model folder as a checkpoint to train on from: what `export` folded, reordered and rounded, taken back.

The graph's matrices are products of weights in places: of those any factors do that give the same product, and so the
recovered network computes what the graph computes, up to what rounding took. Factors are chosen as training begins
with them: scales of the hyper-connections at their initial value, the attention's output in halves of equal size.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

from engram_runtime.config import CSA, SLIDING, ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.quantize import dequantised
from engram_runtime.shapes import expected_shapes
from engram_runtime.weights import EngramRows

Array = np.ndarray

INITIAL_SCALE = 0.1
"""What network.py gives the scales of hyper-connections to begin with."""


def recover(folder: Path, out: Path) -> Path:
    """Writes the checkpoint folder `out` of the model folder: config.json, weights.safetensors, tokenizer.json and
    engram_classes.npy; returns `out`.

    Needs memory for all weights in float32. Raises FileNotFoundError if there is no model, ValueError for one that
    cannot be taken back: with a draft head, with convolved Engram layers, or of another layout.
    """
    config = ModelConfig.read(folder / "config.json")
    if config.num_nextn_predict_layers or config.engram_form != "gated":
        raise ValueError(f"{folder}: models with a draft head or convolved Engram layers cannot be trained on from")
    try:
        weights = dict(_Recovered(config, onnx.load(folder / "model.onnx")).weights())
    except (KeyError, StopIteration, IndexError) as problem:
        raise ValueError(f"{folder}: the graph is not one of this version's ({problem})") from problem
    if config.engram_layers:
        classes = np.load(folder / "engram_classes.npy")
        counts = {layer: EngramHash(config, classes).row_count(layer) for layer in config.engram_layers}
        rows = EngramRows(folder / "engram.npy", counts)
        for layer, count in counts.items():
            weights[f"model.layers.{layer}.engram.table.weight"] = rows.lookup(layer, np.arange(count)[:, None])
    for name, shape in expected_shapes(config).items():
        if name not in weights or weights[name].shape != shape:
            raise ValueError(f"{folder}: {name} could not be recovered")
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, out / "weights.safetensors")
    config.write(out / "config.json")
    for name in ("tokenizer.json", "engram_classes.npy"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, out / name)
    return out


class _Recovered:
    """The weights of a graph that graph.py built. Its nodes are read in the order in which they were made."""

    def __init__(self, config: ModelConfig, model: onnx.ModelProto) -> None:
        self.config = config
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes = list(model.graph.node)
        self._makers = {output: node for node in self._nodes for output in node.output}
        self._norms = iter([node for node in self._nodes if node.op_type == "SimplifiedLayerNormalization"])
        self._sinks = iter(
            [
                node.input[1]
                for node in self._nodes
                if node.op_type == "Where" and self._shape(node.input[1]) == (config.num_attention_heads, 1)
            ]
        )

    def weights(self) -> Iterator[tuple[str, Array]]:
        """Every parameter but the Engram tables."""
        config = self.config
        yield "model.embed_tokens.weight", self._embedding()
        for i in range(config.num_hidden_layers):
            yield from self._layer(i)
        fn, base = self._mapping("model.hc_head.fn")
        yield "model.hc_head.hc_fn", fn / np.float32(INITIAL_SCALE)
        yield "model.hc_head.hc_base", base
        yield "model.hc_head.hc_scale", np.full(1, INITIAL_SCALE, np.float32)
        next(self._norms)
        yield "model.norm.weight", self._norm()
        if not config.tie_word_embeddings:
            yield "lm_head.weight", self._matrix("lm_head", config.vocab_size)

    def _layer(self, i: int) -> Iterator[tuple[str, Array]]:
        config, L = self.config, f"model.layers.{i}"
        sites = 2 * i
        if i in config.engram_layers:
            both = self._matrix(f"{L}.engram.key_value")
            H = config.hidden_size
            yield f"{L}.engram.key_proj.weight", both[:-H]
            yield f"{L}.engram.value_proj.weight", both[-H:] / (self._written(sites - 1) / 2)
            yield f"{L}.engram.key_norm.weight", self._norm()
            yield f"{L}.engram.query_norm.weight", self._norm() * H**0.5
        yield from self._site(f"{L}.attn_hc")
        yield f"{L}.input_layernorm.weight", self._norm()
        yield from self._attention(i, sites)
        yield from self._site(f"{L}.ffn_hc")
        yield f"{L}.post_attention_layernorm.weight", self._norm()
        yield from self._experts(i, sites + 1)

    def _site(self, prefix: str) -> Iterator[tuple[str, Array]]:
        fn, base = self._mapping(f"{prefix}.fn")
        next(self._norms)  # of the flattened streams, without a weight
        yield f"{prefix}.fn", fn / np.float32(INITIAL_SCALE)
        yield f"{prefix}.base", base
        yield f"{prefix}.scale", np.full(3, INITIAL_SCALE, np.float32)

    def _attention(self, i: int, site: int) -> Iterator[tuple[str, Array]]:
        config, kind, A = self.config, self.config.layer_types[i], f"model.layers.{i}.self_attn"
        h, D, Di, nI = config.num_attention_heads, config.head_dim, config.index_head_dim, config.index_n_heads
        R = config.q_lora_rank
        inward = self._matrix(f"{A}.in")
        yield f"{A}.q_a_proj.weight", inward[:R]
        yield f"{A}.kv_proj.weight", self._back(inward[R : R + D], D)
        yield f"{A}.q_a_norm.weight", self._norm()
        heads = self._matrix(f"{A}.q_b")
        yield f"{A}.q_b_proj.weight", self._back(heads[: h * D], D)
        next(self._norms)  # of the queries: the scale of the logits
        yield f"{A}.kv_norm.weight", self._back(self._norm(), D)
        yield f"{A}.sinks", self._value(next(self._sinks))[:, 0]
        if kind != SLIDING:
            C = f"{A}.compressor"
            rest, bias = inward[R + D :], self._value(f"{C}.position_bias")[0]
            if kind == CSA:
                yield f"{C}.indexer.q_b_proj.weight", self._back(heads[h * D :], Di)
                yield f"{C}.indexer.scorer.weights_proj.weight", rest[-nI:] * (nI * Di) ** 0.5
                yield f"{C}.indexer.kv_norm.weight", self._back(self._norm(), Di)
                kv, index_kv, gate, index_gate = self._halves(rest[:-nI], D, Di, D, Di)
                yield f"{C}.indexer.kv_proj.weight", self._back(index_kv, Di)
                yield f"{C}.indexer.gate_proj.weight", self._back(index_gate, Di)
                # Slots of the window before pool the a-halves, those of its own the b-halves.
                slots = np.concatenate(np.split(bias, 2), 1).T
                bias, index_bias = (part.T for part in self._halves(slots, D, Di))
                yield f"{C}.indexer.position_bias", self._back(index_bias.T, Di).T
            else:
                kv, gate = rest[:D], rest[D:]
            yield f"{C}.kv_proj.weight", self._back(kv, D)
            yield f"{C}.gate_proj.weight", self._back(gate, D)
            yield f"{C}.position_bias", self._back(bias.T, D).T
            yield f"{C}.kv_norm.weight", self._back(self._norm(), D)
        low, high = self._output(A)
        yield f"{A}.o_a_proj.weight", self._back(low.T, D).T
        yield f"{A}.o_b_proj.weight", high / np.float32(self._written(site))

    def _output(self, A: str) -> tuple[Array, Array]:
        """The attention's output matrices [groups * rank, hD / groups] and [H, groups * rank]; channels turned."""
        groups, rank = self.config.o_groups, self.config.o_lora_rank
        if f"{A}.o" not in self._constants:
            return np.concatenate([self._matrix(f"{A}.o_a.{g}", rank) for g in range(groups)]), self._matrix(f"{A}.o_b")
        lows: list[Array] = []
        highs: list[Array] = []
        for product in np.split(self._matrix(f"{A}.o", self.config.hidden_size), groups, 1):
            left, sizes, right = np.linalg.svd(product, full_matrices=False)
            root = np.sqrt(np.resize(sizes, rank) * (np.arange(rank) < len(sizes)))
            lows.append(root[:, None] * np.resize(right, (rank, right.shape[1])))
            highs.append(np.resize(left.T, (rank, left.shape[0])).T * root)
        return np.concatenate(lows), np.concatenate(highs, 1)

    def _experts(self, i: int, site: int) -> Iterator[tuple[str, Array]]:
        config, M = self.config, f"model.layers.{i}.mlp"
        written = np.float32(self._written(site))
        yield f"{M}.gate.weight", self._value(f"{M}.gate").T
        if config.mlp_layer_types[i] == "hash_moe":
            # Which experts, not their order: each is weighted by its own score.
            chosen = np.argsort(-self._value(f"{M}.gate.tid2eid").astype(np.int64), 1, kind="stable")
            yield f"{M}.gate.tid2eid", chosen[:, : config.num_experts_per_tok]
        else:
            yield f"{M}.gate.e_score_correction_bias", self._bias(f"{M}.experts")
        yield f"{M}.experts.gate_up_proj", _in_halves(self._stack(f"{M}.experts.gate_up"))
        yield f"{M}.experts.down_proj", self._stack(f"{M}.experts.down") / (written * config.routed_scaling_factor)
        shared = _in_halves(self._stack(f"{M}.shared_experts.gate_up"))[0]
        yield f"{M}.shared_experts.gate_proj.weight", shared[: len(shared) // 2]
        yield f"{M}.shared_experts.up_proj.weight", shared[len(shared) // 2 :]
        yield f"{M}.shared_experts.down_proj.weight", self._stack(f"{M}.shared_experts.down")[0] / written

    def _bias(self, experts: str) -> Array:
        """The constant that is added to the scores before the best are chosen."""
        node = next(n for n in self._nodes if n.op_type in ("MoE", "QMoE") and n.input[2] == f"{experts}.gate_up")
        choice = self._makers[node.input[1]]
        while choice.op_type != "Add":
            # In float32 what is given are logarithms of the chosen scores: the choice is made by the comparison.
            choice = self._makers[choice.input[0]]
        return self._value(choice.input[1])

    def _embedding(self) -> Array:
        codes = self._value("embedding")
        if codes.dtype == np.float32:
            return codes
        return dequantised(codes, self._value("embedding.scales")[..., 0], 8)

    def _mapping(self, name: str) -> tuple[Array, Array]:
        """A site's matrix and what is added to its product."""
        node = next(node for node in self._nodes if name in node.input)
        base = node.input[2] if node.op_type == "Gemm" else node.input[5]
        return self._matrix(name), self._value(base)

    def _matrix(self, name: str, rows: int = 0) -> Array:
        """The matrix [N, K] of a product; `rows` is N where a float one may be square."""
        value = self._value(name)
        if value.dtype == np.float32:
            return value if name == "lm_head" and value.shape[0] == rows else value.T
        scales = self._value(f"{name}.scales")
        return dequantised(value, scales, 4 if value.shape[-1] * 2 == self._block(name) else 8)

    def _stack(self, name: str) -> Array:
        """The matrices [E, N, K] of experts."""
        value = self._value(name)
        if value.dtype == np.float32:
            return value
        E, N, packed = value.shape
        scales = self._value(f"{name}.scales")
        codes = value.reshape(E * N, scales.shape[2], -1)
        bits = 4 if codes.shape[-1] * 2 == self._block(name) else 8
        return dequantised(codes, scales.reshape(E * N, -1), bits).reshape(E, N, packed * 8 // bits)

    def _block(self, name: str) -> int:
        node = next(node for node in self._nodes if name in node.input)
        return next(attribute.i for attribute in node.attribute if attribute.name == "block_size")

    def _norm(self) -> Array:
        return self._value(next(self._norms).input[1])

    def _value(self, name: str) -> Array:
        return numpy_helper.to_array(self._constants[name])

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._constants[name].dims) if name in self._constants else ()

    def _written(self, site: int) -> float:
        return 2 * (1 - self.config.hc_eps) ** -(site + 1)

    def _back(self, matrix: Array, width: int) -> Array:
        """Rows with the rotated channels of each head at its end again."""
        heads = matrix.reshape(-1, width, *matrix.shape[1:])
        R = self.config.qk_rope_head_dim
        return np.concatenate([heads[:, R:], heads[:, :R]], 1).reshape(matrix.shape)

    @staticmethod
    def _halves(rows: Array, *widths: int) -> list[Array]:
        """Rows (a: part, part, ... | b: part, part, ...) as parts (a | b)."""
        ends = np.cumsum(widths)
        a, b = (np.split(half, ends[:-1]) for half in np.split(rows, 2))
        return [np.concatenate(pair) for pair in zip(a, b, strict=True)]


def _in_halves(alternating: Array) -> Array:
    """Rows [E, 2I, H], gate and up in turns, as gate then up."""
    return np.concatenate([alternating[:, 0::2], alternating[:, 1::2]], 1)
