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
_PLACES_TRIED = 64
_NAME = re.compile(r"[^\W\d]\w{2,}")
_SLASHED = (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".go", ".java", ".js", ".jsx", ".mjs", ".rs", ".ts", ".tsx")


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


@dataclass(frozen=True, slots=True)
class _Sample:
    """A part of a row: tokens, how much predicting each one counts, and which characters of which document they are."""

    ids: list[int]
    weights: list[float]
    index: int
    span: tuple[int, int]


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
        if chance.random() < self._mixture.excerpt_share:
            room = int(size * chance.uniform(0.2, 0.6))
            sample = self._sample(chance, size - len(tokens) - room)
            for excerpt in (*self._excerpts(chance, sample, room), sample):
                tokens += excerpt.ids
                weights += excerpt.weights
        while size - len(tokens) >= _LEAST_TOKENS:
            sample = self._sample(chance, size - len(tokens))
            tokens += sample.ids
            weights += sample.weights
        tokens += [self._tokenizer.pad] * (size - len(tokens))
        weights += [0.0] * (size - len(weights))
        return np.array(tokens[:size], dtype=np.int64), np.array(weights[1:size], dtype=np.float32)

    def _place(self, chance: random.Random) -> tuple[int, int]:
        """A document's index and a place in it, every character of the code in the corpus equally likely."""
        index = place = 0
        # Texts that are nothing but prose have no other places.
        for _ in range(_PLACES_TRIED):
            drawn = chance.randrange(int(self._cumulative[-1]))
            index = int(np.searchsorted(self._cumulative, drawn, side="right"))
            document = self._texts[index]
            place = drawn - int(self._cumulative[index]) + len(document.text)
            if chance.random() < self._mixture.prose_share or not in_prose(document.text, place, document.path):
                break
        return index, place

    def _excerpts(self, chance: random.Random, sample: _Sample, room: int) -> list[_Sample]:
        """Pieces of the sample's package beside the sample, at most `room` tokens together; those that share most names
        with it come last, which is next to it."""
        index, document = sample.index, self._texts[sample.index]
        wanted = set(_NAME.findall(document.text, *sample.span))
        siblings = self._packages[document.package]
        at = bisect.bisect_left(siblings, index)
        taken = {index: [sample.span]}
        found: list[tuple[float, int, int, int]] = []
        for number in range(_EXCERPT_CANDIDATES):
            # Files lie in path order: neighbours in the list are neighbours in the tree.
            close = min(max(at + chance.randint(-4, 4), 0), len(siblings) - 1)
            other = siblings[close] if number % 2 else chance.choice(siblings)
            text = self._texts[other].text
            start = line_start(text, chance.randrange(len(text)))
            end = text.find("\n", start + chance.randint(*_EXCERPT_CHARACTERS)) + 1 or len(text)
            if all(end <= first or last <= start for first, last in taken.setdefault(other, [])):
                taken[other].append((start, end))
                names = set(_NAME.findall(text, start, end))
                found.append((len(names & wanted) / (len(names) + 8) ** 0.5, other, start, end))
        chosen: list[_Sample] = []
        for _, other, start, end in sorted(found, reverse=True):
            header = self._tokenizer.encode(fim.path_header(self._texts[other].path))
            body = self._tokenizer.encode(self._texts[other].text[start:end])
            ids = [self._tokenizer.begin, *header, *body][:room]
            if len(ids) < _LEAST_TOKENS:
                break
            chosen.append(_Sample(ids, _from(1 + len(header), len(ids)), other, (start, end)))
            room -= len(ids)
        return chosen[::-1]

    def _sample(self, chance: random.Random, room: int) -> _Sample:
        """A sample around a place drawn at random, of at most `room` tokens."""
        index, place = self._place(chance)
        document = self._texts[index]
        header: list[int] = []
        if chance.random() < self._mixture.header_share:
            header = self._tokenizer.encode(fim.path_header(document.path))[: room // 4]
        if chance.random() < self._mixture.fim_share and room >= 4 * _LEAST_TOKENS:
            return self._fim(chance, index, place, header, room)
        start = line_start(document.text, max(place - chance.randrange(room * _CHARACTERS_PER_TOKEN), 0))
        end = min(start + room * _CHARACTERS_PER_TOKEN * 2, len(document.text))
        body = self._tokenizer.encode(document.text[start:end])
        if len(body) > room - 1 - len(header):
            body = body[: room - 1 - len(header)]
            end = start + len(self._tokenizer.decode(body))
        ids = [self._tokenizer.begin, *header, *body]
        if end == len(document.text):
            ids.append(self._tokenizer.end)
        return _Sample(ids[:room], _from(1 + len(header), min(len(ids), room)), index, (start, end))

    def _fim(self, chance: random.Random, index: int, cursor: int, header: list[int], room: int) -> _Sample:
        """A sample around the cursor, rearranged. Text counts, header and markers do not."""
        text = self._texts[index].text
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
        last = min(end + (left - before) * _CHARACTERS_PER_TOKEN, len(text))
        suffix = tokenizer.encode(text[end:last])
        if len(suffix) > left - len(prefix):
            suffix = suffix[: left - len(prefix)]
            last = end + len(tokenizer.decode(suffix))
        order: fim.Order = "spm" if chance.random() < self._mixture.spm_share else "psm"
        prompt = fim.prompt(tokenizer, prefix, suffix, header, order)
        ids = [*prompt, *middle, tokenizer.end]
        markers = {tokenizer.begin, tokenizer.fim_begin, tokenizer.fim_hole, tokenizer.fim_end}
        weights = [0.0 if token in markers else 1.0 for token in ids]
        weights[1 : 1 + len(header)] = [0.0] * len(header)
        return _Sample(ids, weights, index, (start, last))


def _from(first: int, count: int) -> list[float]:
    """Weights of which the first ones are zero."""
    return [0.0] * min(first, count) + [1.0] * (count - first)


def in_prose(text: str, place: int, path: str = "") -> bool:
    """Whether a place lies in a comment that has its lines to itself, or in a docstring (or another long string).

    The path says the language: Python unless its ending is one of a language with C's comments.
    """
    line = text[line_start(text, place) : place + 2].lstrip()
    if path.endswith(_SLASHED):
        return line.startswith("//") or text.rfind("/*", 0, place) > text.rfind("*/", 0, place)
    # A quote that opens a long string has none, or whole strings of its kind, before it.
    return line.startswith("#") or any(text.count(quotes, 0, place) % 2 for quotes in ('"""', "'''"))


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
