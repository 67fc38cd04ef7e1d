"""Which rows of the Engram tables a token reads: hashes of the n-grams that end at it (arXiv 2601.07372).

Token ids are first folded to classes (tokens that differ in case, white space or Unicode form share one). For
each order N and each head, hash = (xor over k < N of class[t-k] * m_k) mod p, with odd 64-bit multipliers m_k drawn
per layer and a prime p of its own per order and head, so that two n-grams that meet in one head part in the others.
The tables of all heads of a layer lie behind each other in one, order by order, and head by head within it.

numpy only: the server looks rows up with this before it runs the graph, training does the same per batch.
"""

from itertools import accumulate
from operator import mul, xor

import numpy as np
import numpy.typing as npt

from engram_runtime.config import ModelConfig

Rows = npt.NDArray[np.int64]

_64_BITS = (1 << 64) - 1
_SEED = 0x456E6772616D  # "Engram": multipliers are part of the trained model and must never change.


class EngramHash:
    """The hash functions of one model. `classes` [V] folds token ids; immutable, safe to share between threads."""

    __slots__ = (
        "_back",
        "_by_layer",
        "_classes",
        "_counts",
        "_index",
        "_multipliers",
        "_offsets",
        "_orders",
        "_primes",
    )

    def __init__(self, config: ModelConfig, classes: npt.ArrayLike) -> None:
        table = np.asarray(classes, dtype=np.uint64)
        if table.shape != (config.vocab_size,):
            raise ValueError(f"classes has shape {table.shape}, but the model has {config.vocab_size} tokens")
        layers, orders, heads = config.engram_layers, config.engram_orders, config.engram_heads
        self._classes = table
        self._index = {layer: index for index, layer in enumerate(layers)}
        longest = max(orders, default=1)
        # Where the classes of an n-gram lie from its last token on backwards; which of them end an order.
        self._back = np.arange(longest - 1, -1, -1)
        self._orders = np.array(orders, dtype=np.int64) - 1
        count = len(orders) * heads
        primes = np.array(_primes_from(config.engram_rows, count * len(layers)), dtype=np.uint64)
        self._primes = primes.reshape(len(layers), 1, len(orders), heads)
        sizes = primes.astype(np.int64).reshape(len(layers), 1, count)
        self._offsets = sizes.cumsum(-1) - sizes
        self._counts = {layer: int(sizes[index].sum()) for layer, index in self._index.items()}
        # The bit generator itself: numpy promises that its stream stays the same, of Generator it does not.
        drawn = [np.random.PCG64([_SEED, layer]).random_raw(longest) for layer in layers]
        self._multipliers = np.array(drawn, dtype=np.uint64).reshape(len(layers), 1, longest) | np.uint64(1)
        # The same for Python: of each layer its multipliers, and of each head the n-gram, the prime and the offset.
        ends = self._orders.repeat(heads).tolist()
        self._by_layer: list[tuple[list[int], list[tuple[int, int, int]]]] = [
            (multipliers, list(zip(ends, of, offsets, strict=True)))
            for multipliers, of, offsets in zip(
                self._multipliers[:, 0].tolist(),
                primes.reshape(len(layers), count).tolist(),
                self._offsets[:, 0].tolist(),
                strict=True,
            )
        ]

    def row_count(self, layer: int) -> int:
        """Rows of the layer's table, all orders and heads together."""
        return self._counts[layer]

    def all_rows(self, tokens: npt.ArrayLike, start: int = 0) -> Rows:
        """`rows` of every Engram layer at once, [layers, T-start, orders*heads], in the configuration's order."""
        ids = np.asarray(tokens, dtype=np.int64)
        if len(ids) - start == 1:
            return self._of_last(ids)
        return self._hash(self._n_grams(ids, start), slice(None))

    def _of_last(self, ids: npt.NDArray[np.int64]) -> Rows:
        """`all_rows` of the last token: between two calls of a graph, numpy's dozen cold calls take twice as long."""
        longest = len(self._back)
        classes: list[int] = self._classes[ids[-longest:]].tolist()[::-1]
        classes += [int(self._classes[0])] * (longest - len(classes))
        found: list[int] = []
        for multipliers, heads in self._by_layer:
            mixed = [each & _64_BITS for each in accumulate(map(mul, classes, multipliers), xor)]
            found += [mixed[end] % prime + offset for end, prime, offset in heads]
        return np.array(found, np.int64).reshape(len(self._by_layer), 1, self._offsets.shape[-1])

    def rows(self, tokens: npt.ArrayLike, layer: int, start: int = 0) -> Rows:
        """Row numbers [T-start, orders*heads] that tokens start..T-1 of `tokens` [T] read in `layer`.

        An n-gram that reaches before the first token sees token 0 (padding) there. Of a slice of a longer text the
        first max(orders)-1 positions would be wrong for that reason, which is what `start` is for.
        """
        index = self._index[layer]
        return self._hash(self._n_grams(np.asarray(tokens, dtype=np.int64), start), slice(index, index + 1))[0]

    def batch_rows(self, tokens: npt.ArrayLike, layer: int) -> Rows:
        """`rows` of each row of tokens [B,S]: [B,S,orders*heads]."""
        ids = np.asarray(tokens, dtype=np.int64)
        index = self._index[layer]
        n_grams = np.concatenate([self._n_grams(row, 0) for row in ids])
        return self._hash(n_grams, slice(index, index + 1)).reshape(*ids.shape, -1)

    def _n_grams(self, ids: npt.NDArray[np.int64], start: int) -> npt.NDArray[np.uint64]:
        """Classes [T-start, longest order] of the n-grams that end at tokens start..T-1, last token first."""
        reach = len(self._back) - 1
        first = max(start - reach, 0)
        classes = self._classes[ids[first:]]
        if missing := reach - (start - first):
            classes = np.concatenate((np.full(missing, self._classes[0]), classes))
        return classes[np.arange(len(ids) - start)[:, None] + self._back]

    def _hash(self, n_grams: npt.NDArray[np.uint64], layers: slice) -> Rows:
        """n_grams [T, longest order] -> row numbers [layers, T, orders*heads]."""
        # uint64 products wrap around, which is the point of odd multipliers: they stay a bijection.
        mixed = np.bitwise_xor.accumulate(n_grams * self._multipliers[layers], axis=-1)
        hashed = mixed[..., self._orders, None] % self._primes[layers]
        offsets = self._offsets[layers]
        return hashed.view(np.int64).reshape(*hashed.shape[:2], offsets.shape[-1]) + offsets


def _primes_from(least: int, count: int) -> list[int]:
    """The first `count` primes that are at least `least`."""
    found: list[int] = []
    candidate = max(least, 2)
    while len(found) < count:
        if _is_prime(candidate):
            found.append(candidate)
        candidate += 1
    return found


_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def _is_prime(number: int) -> bool:
    """Miller-Rabin; with these witnesses it errs for no number below 3.1e23 (Sorenson and Webster, 2015)."""
    if number < 2 or any(number % prime == 0 for prime in _WITNESSES):
        return number in _WITNESSES
    twos = ((number - 1) & (1 - number)).bit_length() - 1
    odd = (number - 1) >> twos
    for witness in _WITNESSES:
        power = pow(witness, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
