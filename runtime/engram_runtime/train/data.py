"""Training batches from the corpus: windows of tokens with fill-in-the-middle, made on the fly and fixed by the seed.

Every row of a batch is packed with samples one after the other. A sample is a piece of one document, half of the time
rearranged around a cursor as an editor would ask (`fim`), mostly with a `# path` header. Split points fall between
characters, so the model sees tokens cut by the cursor. Rows begin with 0-3 padding tokens, since compressed attention
behaves differently at each position modulo its rate.

Half of the rows are packed as a prompt with excerpts is: before the sample stand pieces of its package that share its
names, each with the path it is from, so that the model learns to look there.
"""

import bisect
import random
import re
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
_EXCERPT_CHARACTERS = (300, 1200)
_EXCERPT_CANDIDATES = 12
_PROSE = re.compile(r'''"""(?:.|\n)*?"""|\'\'\'(?:.|\n)*?\'\'\'|^[ \t]*\#.*$''', re.MULTILINE)
_NAME = re.compile(r"[^\W\d]\w{2,}")


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
    header_share: float = 0.8
    most_padding: int = 3
    excerpt_share: float = 0.5
    """Rows that begin with excerpts of the sample's own package."""
    prose_share: float = 0.3
    """Cursors that fall into a docstring or a comment are kept with this probability."""


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
        self._packages: dict[str, list[int]] = {}
        for index, document in enumerate(texts):
            self._packages.setdefault(document.package, []).append(index)

    def batch(self, number: int) -> Batch:
        """The batch with this number, from 0 on without end."""
        chance = random.Random(f"{self._seed}:{number}")
        rows = [self._row(chance) for _ in range(self._rows)]
        return Batch(np.stack([tokens for tokens, _ in rows]), np.stack([weights for _, weights in rows]))

    def _row(self, chance: random.Random) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        size = self._length + 1
        tokens = [self._tokenizer.pad] * chance.randint(0, self._mixture.most_padding)
        weights = [0.0] * len(tokens)
        index, place = self._place(chance)
        if chance.random() < self._mixture.excerpt_share:
            for ids in self._excerpts(chance, index, place, int(size * chance.uniform(0.2, 0.6))):
                tokens += ids
                weights += self._counted(ids)
        while size - len(tokens) >= _LEAST_TOKENS:
            ids, counted = self._sample(chance, index, place, size - len(tokens))
            tokens += ids
            weights += counted
            index, place = self._place(chance)
        tokens += [self._tokenizer.pad] * (size - len(tokens))
        weights += [0.0] * (size - len(weights))
        return np.array(tokens[:size], dtype=np.int64), np.array(weights[1:size], dtype=np.float32)

    def _counted(self, ids: list[int]) -> list[float]:
        return [float(token != self._tokenizer.begin) for token in ids]

    def _place(self, chance: random.Random) -> tuple[int, int]:
        """A document's index and a place in it, every character of the code in the corpus equally likely."""
        while True:
            drawn = chance.randrange(int(self._cumulative[-1]))
            index = int(np.searchsorted(self._cumulative, drawn, side="right"))
            text = self._texts[index].text
            place = drawn - int(self._cumulative[index]) + len(text)
            if chance.random() < self._mixture.prose_share or not in_prose(text, place):
                return index, place

    def _excerpts(self, chance: random.Random, index: int, place: int, room: int) -> list[list[int]]:
        """Pieces of the sample's package, at most `room` tokens together, those that share most names with it last.

        Of its own document only what a row cannot reach from the place.
        """
        document = self._texts[index]
        reach = self._length * _CHARACTERS_PER_TOKEN
        near = document.text[max(place - reach // 2, 0) : place + reach // 2]
        wanted = set(_NAME.findall(near))
        siblings = self._packages[document.package]
        at = bisect.bisect_left(siblings, index)
        pieces: list[tuple[float, int, str]] = []
        for number in range(_EXCERPT_CANDIDATES):
            # Files lie in path order: neighbours in the list are neighbours in the tree.
            close = min(max(at + chance.randint(-4, 4), 0), len(siblings) - 1)
            other = siblings[close] if number % 2 else chance.choice(siblings)
            text = self._texts[other].text
            start = line_start(text, chance.randrange(len(text)))
            if other == index and place - reach < start < place + reach:
                continue
            end = text.find("\n", start + chance.randint(*_EXCERPT_CHARACTERS))
            piece = text[start : end + 1 if end >= 0 else len(text)]
            names = set(_NAME.findall(piece))
            pieces.append((len(names & wanted) / (len(names) + 8) ** 0.5, other, piece))
        chosen: list[list[int]] = []
        for _, other, piece in sorted(pieces, reverse=True):
            header = self._tokenizer.encode(fim.path_header(self._texts[other].path))
            ids = [self._tokenizer.begin, *header, *self._tokenizer.encode(piece)][:room]
            if len(ids) < _LEAST_TOKENS:
                break
            chosen.append(ids)
            room -= len(ids)
        return chosen[::-1]

    def _sample(self, chance: random.Random, index: int, place: int, room: int) -> tuple[list[int], list[float]]:
        """Ids of one sample around a place, at most `room` of them, and how much predicting each one counts."""
        document = self._texts[index]
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


def in_prose(text: str, place: int) -> bool:
    """Whether a place lies in a docstring (or another long string) or in a line that is a comment."""
    # Only near the place: a docstring longer than that is rare, and a corpus file may be long.
    first = max(place - 4000, 0)
    opened = text.count('"""', 0, first) % 2 == 1
    near = ('"""' if opened else "") + text[first : place + 200]
    shift = first - (3 if opened else 0)
    return any(m.start() + shift <= place < m.end() + shift for m in _PROSE.finditer(near)) or (
        near.count('"""', 0, place - shift) % 2 == 1
    )


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
