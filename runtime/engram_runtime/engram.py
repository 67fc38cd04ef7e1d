"""Which rows of the Engram tables a token reads: hashes of the n-grams that end at it (arXiv 2601.07372).

Token ids are first folded to classes (tokens that differ in case, white space or Unicode form share one). For
each order N and each head, hash = (xor over k < N of class[t-k] * m_k) mod p, with odd 64-bit multipliers m_k drawn
per layer and a prime p of its own per order and head, so that two n-grams that meet in one head part in the others.
The tables of all heads of a layer lie behind each other in one, order by order, and head by head within it.

numpy only: the server looks rows up with this before it runs the graph, training does the same per batch.
"""

import numpy as np
import numpy.typing as npt

from engram_runtime.config import ModelConfig

Rows = npt.NDArray[np.int64]

_SEED = 0x456E6772616D  # "Engram": multipliers are part of the trained model and must never change.


class EngramHash:
    """The hash functions of one model. `classes` [V] folds token ids; immutable, safe to share between threads."""

    __slots__ = ("_classes", "_multipliers", "_offsets", "_orders", "_primes")

    def __init__(self, config: ModelConfig, classes: npt.ArrayLike) -> None:
        table = np.asarray(classes, dtype=np.uint64)
        if table.shape != (config.vocab_size,):
            raise ValueError(f"classes has shape {table.shape}, but the model has {config.vocab_size} tokens")
        self._classes = table
        self._orders = config.engram_orders
        count = len(config.engram_orders) * config.engram_heads
        primes = _primes_from(config.engram_rows, count * len(config.engram_layers))
        self._primes: dict[int, npt.NDArray[np.uint64]] = {}
        self._offsets: dict[int, Rows] = {}
        self._multipliers: dict[int, npt.NDArray[np.uint64]] = {}
        for index, layer in enumerate(config.engram_layers):
            own = primes[index * count : (index + 1) * count]
            self._primes[layer] = np.array(own, dtype=np.uint64).reshape(len(self._orders), -1)
            self._offsets[layer] = np.cumsum([0, *own], dtype=np.int64)
            # The bit generator itself: numpy promises that its stream stays the same, of Generator it does not.
            drawn = np.random.PCG64([_SEED, layer]).random_raw(max(self._orders, default=1))
            self._multipliers[layer] = drawn | np.uint64(1)

    def row_count(self, layer: int) -> int:
        """Rows of the layer's table, all orders and heads together."""
        return int(self._offsets[layer][-1])

    def rows(self, tokens: npt.ArrayLike, layer: int, start: int = 0) -> Rows:
        """Row numbers [T-start, orders*heads] that tokens start..T-1 of `tokens` [T] read in `layer`.

        An n-gram that reaches before the first token sees token 0 (padding) there. Of a slice of a longer text the
        first max(orders)-1 positions would be wrong for that reason, which is what `start` is for.
        """
        ids = np.asarray(tokens, dtype=np.int64)
        reach = len(self._multipliers[layer]) - 1
        first = max(start - reach, 0)
        classes = self._classes[ids[first:]]
        before = np.full(reach - (start - first), self._classes[0], dtype=np.uint64)
        classes = np.concatenate((before, classes))
        return self._hash(classes, layer, len(ids) - start)

    def batch_rows(self, tokens: npt.ArrayLike, layer: int) -> Rows:
        """`rows` of each row of tokens [B,S]: [B,S,orders*heads]."""
        ids = np.asarray(tokens, dtype=np.int64)
        reach = len(self._multipliers[layer]) - 1
        before = np.full((*ids.shape[:-1], reach), self._classes[0], dtype=np.uint64)
        return self._hash(np.concatenate((before, self._classes[ids]), axis=-1), layer, ids.shape[-1])

    def _hash(self, classes: npt.NDArray[np.uint64], layer: int, length: int) -> Rows:
        """classes [..., reach + length] -> row numbers [..., length, orders*heads] of the last `length` of them."""
        multipliers, primes = self._multipliers[layer], self._primes[layer]
        reach = len(multipliers) - 1
        mixed = np.zeros((*classes.shape[:-1], length), dtype=np.uint64)
        remainders: dict[int, npt.NDArray[np.uint64]] = {}
        for k, multiplier in enumerate(multipliers):
            # uint64 products wrap around, which is the point of odd multipliers: they stay a bijection.
            mixed = mixed ^ (classes[..., reach - k : reach - k + length] * multiplier)
            if k + 1 in self._orders:
                remainders[k + 1] = mixed[..., None] % primes[self._orders.index(k + 1)]
        rows = np.concatenate([remainders[order] for order in self._orders], axis=-1)
        return rows.astype(np.int64) + self._offsets[layer][:-1]


def _primes_from(least: int, count: int) -> list[int]:
    """The first `count` primes that are at least `least`."""
    found: list[int] = []
    candidate = max(least, 2)
    while len(found) < count:
        if all(candidate % divisor for divisor in range(2, int(candidate**0.5) + 1)):
            found.append(candidate)
        candidate += 1
    return found
