"""Which tokens agree with letters that are already typed: the index behind token healing."""

from bisect import bisect_left

import numpy as np
from engram_runtime.tokenizer import Tokenizer


class Spellings:
    """The bytes of every token, sorted, so that a question costs its answer and not the vocabulary."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.of = tuple(tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size))
        by_bytes = sorted((spelling, token) for token, spelling in enumerate(self.of) if spelling)
        self._sorted = [spelling for spelling, _ in by_bytes]
        self._tokens = np.array([token for _, token in by_bytes], np.int64)

    def agreeing(self, typed: bytes) -> np.ndarray:
        """Ids of the tokens that begin with `typed` or with which `typed` (not empty) begins."""
        starting = slice(bisect_left(self._sorted, typed), bisect_left(self._sorted, _after(typed)))
        found = [self._tokens[starting]]
        for length in range(1, len(typed)):
            part = typed[:length]
            at = bisect_left(self._sorted, part)
            while at < len(self._sorted) and self._sorted[at] == part:
                found.append(self._tokens[at : at + 1])
                at += 1
        return np.concatenate(found)


def _after(prefix: bytes) -> bytes:
    """The least byte string after all that begin with `prefix`: longer than any token where there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\xff" * 1024
