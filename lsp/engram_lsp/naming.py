"""Which names may come next, token by token: a search through the spellings of names, the likeliest beginnings first.

A name is as likely as its tokens and that it ends after them. Each look behind a beginning costs a question to model
and memory, so only the likeliest beginnings are looked behind; names beyond share what their beginning has.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.spelling import Spellings

Path = tuple[int, ...]
Judge = Callable[[Path], "np.ndarray | None"]
"""Log probabilities [V] of the token after the prompt and some more tokens; None when there is no answer (any more)."""

LOOKS: Final = 8
"""Beginnings that are looked behind for one list, besides the prompt itself."""
_LIKELY: Final = -5.5
"""Beginnings less likely than this (a log probability) by comparison with the best are not looked behind."""
_LONGEST: Final = 12
_CHILDREN: Final = 8
_NOTHING: Final = -30.0

_BEGINS = re.compile(rb"[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*\Z")
_GOES_ON = re.compile(rb"[A-Za-z0-9_\x80-\xff]+\Z")


class Letters:
    """What every token of a vocabulary is to a name."""

    def __init__(self, tokenizer: Tokenizer, spelled: Spellings) -> None:
        self.tokenizer, self.spelled, self.bytes = tokenizer, spelled, spelled.of
        size = tokenizer.vocab_size
        self.begins = np.fromiter((bool(_BEGINS.match(each)) for each in spelled.of), bool, size)
        self.begins_spaced = np.fromiter(
            (each[:1] == b" " and bool(_BEGINS.match(each[1:])) for each in spelled.of), bool, size
        )
        self.goes_on = np.flatnonzero(np.fromiter((bool(_GOES_ON.match(each)) for each in spelled.of), bool, size))
        self.gives = np.flatnonzero(
            np.fromiter((each[:1] == b"=" and each[:2] != b"==" for each in spelled.of), bool, size)
        )
        self._spellings: dict[str, Path] = {}

    def spell(self, text: str) -> Path:
        """The tokens of a name with what stands before it."""
        spelling = self._spellings.get(text)
        if spelling is None:
            if len(self._spellings) > 50_000:
                self._spellings.clear()
            spelling = self._spellings[text] = tuple(self.tokenizer.encode(text))
        return spelling

    def text(self, path: Sequence[int]) -> str:
        return b"".join(self.bytes[token] for token in path).decode("utf-8", errors="ignore")

    def children(self, written: bytes, typed: bytes) -> np.ndarray:
        """The tokens that may follow `written` in a name of which `typed` is there, the space before it included."""
        rest = typed[len(written) :]
        if not written and typed[:1] in (b"", b" "):
            word = self.begins_spaced if typed else self.begins
            return np.flatnonzero(word) if len(rest) <= 1 else _only(self.spelled.agreeing(rest), word)
        return self.spelled.agreeing(rest) if rest else self.goes_on


def _only(tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return tokens[mask[tokens]]


def _log(chance: float) -> float:
    return math.log(max(chance, 1e-6))


@dataclass(frozen=True, slots=True)
class _Beginning:
    """A beginning that was looked behind: its log probability, those of what follows [V], and that no letter does;
    that "=" does (as behind an argument's name)."""

    reached: float
    following: np.ndarray
    ends: float
    gives: float


@dataclass(frozen=True, slots=True)
class Judged:
    """How likely a spelling is as far as it was looked into: its first `known` tokens have `log_probability` together,
    with the end of the name where `whole`."""

    log_probability: float
    known: int
    whole: bool


class Names:
    """What is expected of the names at one place."""

    def __init__(self, letters: Letters, judge: Judge, typed: str) -> None:
        """`typed`: the word's letters that are there, perhaps with the space before."""
        self._letters, self._judge, self._typed = letters, judge, typed.encode()
        self._seen: dict[Path, _Beginning] = {}

    def explore(self, spellings: Iterable[Path], looks: int = LOOKS, free: bool = True) -> bool:
        """Looks behind the likeliest beginnings: those of `spellings` and, where `free`, any that may be a name's.

        False when model and memory have no answer.
        """
        if not self._look((), 0.0):
            return False
        held = {spelling[: length + 1] for spelling in spellings for length in range(len(spelling))}
        by_parent: dict[Path, list[int]] = {}
        for path in held:
            by_parent.setdefault(path[:-1], []).append(path[-1])
        queue: list[tuple[float, Path]] = []
        best = self._push(queue, (), by_parent, free)
        while queue and looks:
            cost, path = heapq.heappop(queue)
            if -cost < best + _LIKELY or len(path) >= _LONGEST:
                break
            looks -= 1
            if self._look(path, -cost):
                self._push(queue, path, by_parent, free)
        return True

    def _push(self, queue: list[tuple[float, Path]], path: Path, by_parent: dict[Path, list[int]], free: bool) -> float:
        """Queues what may follow `path`; how likely the best of it is."""
        seen = self._seen[path]
        tokens = np.array(by_parent.get(path, ()), np.int64)
        if free:
            written = b"".join(self._letters.bytes[token] for token in path)
            allowed = self._letters.children(written, self._typed)
            if len(allowed) > _CHILDREN:
                allowed = allowed[np.argpartition(-seen.following[allowed], _CHILDREN)[:_CHILDREN]]
            tokens = np.union1d(tokens, allowed)
        best = _NOTHING
        for token, log_prob in zip(tokens.tolist(), seen.following[tokens].tolist(), strict=True):
            reached = seen.reached + log_prob
            best = max(best, reached)
            heapq.heappush(queue, (-reached, (*path, token)))
        return best

    def _look(self, path: Path, reached: float) -> bool:
        following = self._judge(path)
        if following is None:
            return False
        ends = 1.0 - float(np.exp(following[self._letters.goes_on]).sum())
        gives = float(np.exp(following[self._letters.gives]).sum())
        self._seen[path] = _Beginning(reached, following, _log(ends), _log(gives))
        return True

    def of(self, spelling: Path, argument: bool = False) -> Judged:
        """What is known about a spelling; as the name of an `argument`, behind which stands a "="."""
        whole = self._seen.get(spelling)
        if whole is not None:
            return Judged(whole.reached + (whole.gives if argument else whole.ends), len(spelling), True)
        for length in range(len(spelling) - 1, -1, -1):
            seen = self._seen.get(spelling[:length])
            if seen is not None:
                return Judged(seen.reached + float(seen.following[spelling[length]]), length + 1, False)
        return Judged(_NOTHING, 0, False)

    def found(self) -> Iterator[tuple[str, Path]]:
        """Every name that begins with what is typed and was looked behind or lies right behind a beginning that was."""
        typed = self._typed.decode("utf-8", errors="ignore")
        least = max((-1e9, *(seen.reached + seen.ends for path, seen in self._seen.items() if path))) + _LIKELY
        paths = {path for path in self._seen if path}
        for path, seen in self._seen.items():
            written = b"".join(self._letters.bytes[token] for token in path)
            allowed = self._letters.children(written, self._typed)
            likely = allowed[seen.following[allowed] + seen.reached > max(least, _LIKELY)]
            paths.update((*path, token) for token in likely.tolist())
        for path in paths:
            text = self._letters.text(path)
            name = text.lstrip(" ")
            if text.startswith(typed) and name.isidentifier():
                yield name, path
