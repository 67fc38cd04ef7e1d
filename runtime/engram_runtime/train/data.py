"""Training batches from the corpus: windows of tokens with fill-in-the-middle, made on the fly and fixed by the seed.

Every row of a batch is packed with samples one after the other. A sample is a piece of one document, half of the time
rearranged around a cursor as an editor would ask (`fim`), with a `# path` header half of the time. Split points fall
between characters, so the model sees tokens cut by the cursor. Rows begin with 0-3 padding tokens, since compressed
attention behaves differently at each position modulo its rate.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram_runtime import fim
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import Document

_CHARACTERS_PER_TOKEN = 4
_LEAST_TOKENS = 24
"""A remainder of a row shorter than this is padded instead of filled."""


@dataclass(frozen=True, slots=True)
class Batch:
    """tokens int64 [B,S+1]; weights float32 [B,S]: what the loss of predicting tokens[:, 1:] counts (0 masked)."""

    tokens: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Mixture:
    """How samples are made; shares are probabilities."""

    fim_share: float = 0.5
    spm_share: float = 0.5
    header_share: float = 0.5
    most_padding: int = 3


class Batches:
    """Batches over documents, each a pure function of the seed and its number: a resumed run goes on as it would have.

    rows x length tokens, as inputs and (shifted by one) targets. Raises ValueError where there are no documents.
    """

    def __init__(
        self,
        texts: Sequence[Document],
        tokenizer: Tokenizer,
        rows: int,
        length: int,
        seed: int,
        mixture: Mixture = Mixture(),
    ) -> None:
        if not texts:
            raise ValueError("no documents to train on: the corpus is empty")
        self._texts, self._tokenizer, self._mixture = texts, tokenizer, mixture
        self._rows, self._length, self._seed = rows, length, seed
        self._cumulative = np.cumsum([len(document.text) for document in texts])

    def batch(self, number: int) -> Batch:
        """The batch with this number, from 0 on without end."""
        chance = random.Random(f"{self._seed}:{number}")
        rows = [self._row(chance) for _ in range(self._rows)]
        return Batch(np.stack([tokens for tokens, _ in rows]), np.stack([weights for _, weights in rows]))

    def _row(self, chance: random.Random) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        size = self._length + 1
        tokens = [self._tokenizer.pad] * chance.randint(0, self._mixture.most_padding)
        weights = [0.0] * len(tokens)
        while size - len(tokens) >= _LEAST_TOKENS:
            ids, counted = self._sample(chance, size - len(tokens))
            tokens += ids
            weights += counted
        tokens += [self._tokenizer.pad] * (size - len(tokens))
        weights += [0.0] * (size - len(weights))
        return np.array(tokens[:size], dtype=np.int64), np.array(weights[1:size], dtype=np.float32)

    def _document(self, chance: random.Random) -> tuple[Document, int]:
        """A document and a place in it, every character of the corpus equally likely."""
        place = chance.randrange(int(self._cumulative[-1]))
        index = int(np.searchsorted(self._cumulative, place, side="right"))
        document = self._texts[index]
        return document, place - int(self._cumulative[index]) + len(document.text)

    def _sample(self, chance: random.Random, room: int) -> tuple[list[int], list[float]]:
        """Ids of one sample, at most `room` of them, and how much predicting each one counts."""
        document, place = self._document(chance)
        header: list[int] = []
        if chance.random() < self._mixture.header_share:
            header = self._tokenizer.encode(fim.path_header(document.path))[: room // 4]
        if chance.random() < self._mixture.fim_share and room >= 4 * _LEAST_TOKENS:
            return self._fim(chance, document.text, place, header, room)
        start = line_start(document.text, max(place - chance.randrange(room * _CHARACTERS_PER_TOKEN), 0))
        body = self._tokenizer.encode(document.text[start : start + room * _CHARACTERS_PER_TOKEN * 2])
        ended = start + room * _CHARACTERS_PER_TOKEN * 2 >= len(document.text)
        ids = [self._tokenizer.begin, *header, *body, *([self._tokenizer.end] if ended else [])][:room]
        masked = 1 + len(header)
        return ids, [0.0] * masked + [1.0] * (len(ids) - masked)

    def _fim(
        self, chance: random.Random, text: str, cursor: int, header: list[int], room: int
    ) -> tuple[list[int], list[float]]:
        """A sample around the cursor. Text counts, header and markers do not."""
        end = middle_end(chance, text, cursor)
        tokenizer = self._tokenizer
        middle = tokenizer.encode(text[cursor:end])
        while len(middle) > room // 2:  # a shorter one, not a cut one: the suffix must follow it
            end = (cursor + end) // 2
            middle = tokenizer.encode(text[cursor:end])
        left = room - len(middle) - len(header) - 5  # begin, three of fim, end
        before = int(left * chance.uniform(0.4, 0.9))
        start = line_start(text, max(cursor - before * _CHARACTERS_PER_TOKEN, 0))
        prefix = tokenizer.encode(text[start:cursor])[-before:]
        suffix = tokenizer.encode(text[end : end + (left - before) * _CHARACTERS_PER_TOKEN])
        suffix = suffix[: left - len(prefix)]
        order: fim.Order = "spm" if chance.random() < self._mixture.spm_share else "psm"
        prompt = fim.prompt(tokenizer, prefix, suffix, header, order)
        ids = [*prompt, *middle, tokenizer.end]
        markers = {tokenizer.begin, tokenizer.fim_begin, tokenizer.fim_hole, tokenizer.fim_end}
        weights = [0.0 if token in markers else 1.0 for token in ids]
        weights[1 : 1 + len(header)] = [0.0] * len(header)
        return ids, weights


def line_start(text: str, place: int) -> int:
    """The start of the line that holds `place`."""
    return text.rfind("\n", 0, place) + 1


def middle_end(chance: random.Random, text: str, cursor: int) -> int:
    """Where the hidden middle ends: mostly what an editor asks for, rest of line, whole lines; at times any span."""
    kind = chance.random()
    line_end = text.find("\n", cursor)
    if line_end < 0:
        return len(text)
    if kind < 0.5:
        return line_end
    if kind < 0.85:
        end = line_end
        for _ in range(chance.randint(1, 6)):
            following = text.find("\n", end + 1)
            if following < 0:
                return len(text)
            end = following
        return end
    return min(cursor + chance.randint(1, 200), len(text))
