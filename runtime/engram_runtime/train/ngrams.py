"""The floor a trained network must beat: an interpolated n-gram model of the same training text.

Jelinek-Mercer smoothing with learned weights: P_k = w P(next | last k tokens) + (1 - w) P_{k-1} down to the uniform
distribution, where w belongs to the order k and to a bucket of how often the context was seen and how many different
tokens followed it. The weights are fitted by EM on validation text.

Contexts are looked up in the training positions sorted by their last four tokens, the nearest one in the high bits, so
one sort serves every order; longer contexts are found by filtering the four-token matches.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

MAX_ORDER: Final = 8
_PACKED: Final = 4
_BITS: Final = 16
_MATCHES: Final = 20_000
"""Of a context seen more often than this, an even sample stands for its followers."""
_COUNT_BUCKETS: Final = 10
_SPREAD_BUCKETS: Final = 4

Floats = npt.NDArray[np.float64]


class Ngrams:
    """Counts of the training tokens, and the weights that mix the orders."""

    def __init__(self, documents: Sequence[Sequence[int]], vocab_size: int, max_order: int = MAX_ORDER) -> None:
        """Token ids are below 65,536, and 0 never occurs in a document: it separates them."""
        if vocab_size > 1 << _BITS:
            raise ValueError(f"{vocab_size} tokens do not fit {_BITS} bits")
        separator = np.zeros(max_order, dtype=np.uint16)
        pieces = [part for ids in documents for part in (separator, np.asarray(ids, dtype=np.uint16))]
        self._tokens = np.concatenate([*pieces, separator])
        self._vocab = vocab_size
        self._max_order = max_order
        keys = np.zeros(len(self._tokens), dtype=np.uint64)
        for distance in range(1, _PACKED + 1):
            before = self._tokens[:-distance].astype(np.uint64)
            keys[distance:] |= before << np.uint64(_BITS * (_PACKED - distance))
        positions = np.flatnonzero(self._tokens)
        order = np.argsort(keys[positions], kind="stable")
        self._positions = positions[order].astype(np.int32 if len(self._tokens) < 2**31 else np.int64)
        self._keys = keys[self._positions]
        unigrams = np.bincount(self._tokens[self._positions], minlength=vocab_size).astype(np.float64)
        self._unigram = unigrams / max(unigrams.sum(), 1.0)
        shape = (max_order + 1, _COUNT_BUCKETS, _SPREAD_BUCKETS)
        self.weights: Floats = np.full(shape, 0.5)
        self.weights[0] = 0.999

    @property
    def token_count(self) -> int:
        return len(self._positions)

    def fit(self, documents: Sequence[Sequence[int]], positions: int = 20_000, rounds: int = 20, seed: int = 0) -> None:
        """Learns the weights by EM on (a sample of) the tokens of documents that were not counted."""
        places = [(number, at) for number, ids in enumerate(documents) for at in range(len(ids))]
        random = np.random.default_rng(seed)
        chosen = random.choice(len(places), min(positions, len(places)), replace=False)
        # One row an observation, one column an order: what it gives the true token, and the bucket; -1 where unseen.
        likelihood = np.zeros((len(chosen), self._max_order + 1))
        buckets = np.full((len(chosen), self._max_order + 1, 2), -1, dtype=np.int64)
        for row, place in enumerate(chosen):
            number, at = places[int(place)]
            truth = documents[number][at]
            likelihood[row, 0] = self._unigram[truth]
            buckets[row, 0] = 0
            for order, followers in self._followers(documents[number], at):
                likelihood[row, order] = np.count_nonzero(followers == truth) / len(followers)
                buckets[row, order] = _bucket(followers)
        for _ in range(rounds):
            self._maximise(likelihood, buckets)

    def _maximise(self, likelihood: Floats, buckets: npt.NDArray[np.int64]) -> None:
        """One round of EM: each weight becomes the share of arrivals at its bucket that stop there."""
        rows, orders = likelihood.shape
        below = np.full(rows, 1.0 / self._vocab)
        mixed: list[Floats] = []
        for order in range(orders):
            seen = buckets[:, order, 0] >= 0
            weight = np.where(seen, self.weights[order, buckets[:, order, 0], buckets[:, order, 1]], 0.0)
            below = weight * likelihood[:, order] + (1 - weight) * below
            mixed.append(below)
        arriving = np.ones(rows)
        for order in range(orders - 1, -1, -1):
            seen = buckets[:, order, 0] >= 0
            at = buckets[:, order]
            weight = np.where(seen, self.weights[order, at[:, 0], at[:, 1]], 0.0)
            stopping = arriving * weight * likelihood[:, order] / mixed[order]
            stops = np.zeros(self.weights.shape[1:])
            arrivals = np.zeros(self.weights.shape[1:])
            np.add.at(stops, (at[seen, 0], at[seen, 1]), stopping[seen])
            np.add.at(arrivals, (at[seen, 0], at[seen, 1]), arriving[seen])
            # One imagined arrival each way keeps a bucket of few observations near its neighbours' middle.
            self.weights[order] = np.clip((stops + 0.5) / (arrivals + 1.0), 1e-4, 1 - 1e-4)
            arriving = arriving - stopping

    def log_probs(self, tokens: Sequence[int], start: int) -> npt.NDArray[np.float32]:
        """Natural log-probabilities [T-start, V] of what stands at positions start..T-1, each given all before it."""
        answer = np.empty((len(tokens) - start, self._vocab), dtype=np.float32)
        for row, at in enumerate(range(start, len(tokens))):
            weight = self.weights[0, 0, 0]
            mixed = weight * self._unigram + (1 - weight) / self._vocab
            for order, followers in self._followers(tokens, at):
                weight = self.weights[order, *_bucket(followers)]
                mixed *= 1 - weight
                np.add.at(mixed, followers, weight / len(followers))
            answer[row] = np.log(mixed)
        return answer

    def _followers(self, tokens: Sequence[int], at: int) -> list[tuple[int, npt.NDArray[np.uint16]]]:
        """For each order from 1 up whose context before `at` was seen: the order and the tokens that followed it."""
        found: list[tuple[int, npt.NDArray[np.uint16]]] = []
        key = 0
        matches = self._positions
        for order in range(1, min(self._max_order, at) + 1):
            token = int(tokens[at - order])
            if order <= _PACKED:
                shift = _BITS * (_PACKED - order)
                key |= token << shift
                bounds = np.array([key, key + (1 << shift) - 1], dtype=np.uint64)
                low = int(np.searchsorted(self._keys, bounds[0], side="left"))
                high = int(np.searchsorted(self._keys, bounds[1], side="right"))
                matches = self._positions[low:high]
                if len(matches) > _MATCHES:
                    matches = matches[:: -(-len(matches) // _MATCHES)]
            else:
                matches = matches[self._tokens[matches - order] == token]
            if not len(matches):
                break
            found.append((order, self._tokens[matches]))
        return found


def _bucket(followers: npt.NDArray[np.uint16]) -> tuple[int, int]:
    """(count, spread) bucket of a context: log2 of how often it was seen, and how varied what followed is."""
    total = len(followers)
    kinds = len(np.unique(followers)) if total <= 256 else len(np.unique(followers[:: total // 256]))
    share = kinds / min(total, 256)
    count = min(total.bit_length() - 1, _COUNT_BUCKETS - 1)
    return count, 0 if share <= 0.1 else 1 if share <= 0.35 else 2 if share <= 0.7 else 3
