"""The order of the completion list: candidates by model and memory together, and names that only the memory knows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from engram_runtime.engine import never
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.prompt import Window
from engram_lsp.spelling import Spellings

if TYPE_CHECKING:
    from engram_lsp.predictor import Cancelled, Memory, Query

UNSEEN = math.log(1e-5)  # what a name costs whose first token neither memory nor model expects


class Named(Protocol):
    """Anything that may stand in a completion list."""

    @property
    def name(self) -> str: ...


NamedT = TypeVar("NamedT", bound=Named)


class Ranker:
    """Orders names by what is expected at a place. It is given how a place is shown and how it is judged."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        spelled: Spellings,
        window: Callable[[Query], Window],
        prompt: Callable[[Query, Window], tuple[int, ...]],
        following: Callable[[tuple[int, ...], Memory | None, Cancelled], np.ndarray | None],
    ) -> None:
        """`window` and `prompt`: what the model is shown of a place. `following`: log probabilities [V] of the token
        after a prompt, by model and memory together; None when neither has an answer."""
        self.tokenizer = tokenizer
        self._bytes = spelled.of
        self._window, self._prompt, self._next = window, prompt, following
        self._spellings: dict[str, tuple[int, ...]] = {}

    def rank(
        self, query: Query, candidates: Sequence[NamedT], cancelled: Cancelled = never
    ) -> tuple[tuple[NamedT, float], ...]:
        """The candidates that continue the typed word, most probable first, each with its log probability.

        The first token of a name is judged by model and memory together, the rest by the memory, for the few first
        tokens that matter. Where two names tie, the one given first stays first.
        """
        around = self._window(query)
        word = query.text.slice(around.word)
        kept = [candidate for candidate in candidates if matches(word, candidate.name)]
        if not kept:
            return ()
        prompt = self._prompt(query, around)
        log_probs = self._next(prompt, query.memory, cancelled)
        if log_probs is None:
            return tuple((candidate, 0.0) for candidate in kept)
        lead = around.typed.removesuffix(word)
        spellings = [self._spell(lead + candidate.name) for candidate in kept]
        scores = [max(float(log_probs[spelling[0]]), UNSEEN) for spelling in spellings]
        firsts = sorted({s[0] for s in spellings if len(s) > 1}, key=lambda first: -log_probs[first])[:8]
        tails = {first: self._tails((*prompt, first), query.memory, cancelled) for first in firsts}
        scores = [
            score + tails.get(spelling[0], {}).get(spelling[1], UNSEEN / 2) if len(spelling) > 1 else score
            for score, spelling in zip(scores, spellings, strict=True)
        ]
        order = sorted(range(len(kept)), key=lambda index: -scores[index])
        return tuple((kept[index], scores[index]) for index in order)

    def recall(self, query: Query, most: int = 8, cancelled: Cancelled = never) -> tuple[tuple[str, float], ...]:
        """Names that the memory expects here, with their log probabilities: they need no resolution, only habit.

        This is what completes the attribute of a receiver whose type nobody knows.
        """
        memory = query.memory
        if memory is None:
            return ()
        around = self._window(query)
        prompt = self._prompt(query, around)
        names: dict[str, float] = {}
        for tokens, log_prob in self._beginnings(prompt, memory, around.typed, most):
            if cancelled():
                break
            name, certain = self._name(prompt, tokens, memory, around.typed)
            if name and name != query.text.slice(around.word):
                names[name] = max(names.get(name, -math.inf), log_prob + certain)
        return tuple(sorted(names.items(), key=lambda item: -item[1]))

    def _beginnings(
        self, prompt: tuple[int, ...], memory: Memory, typed: str, most: int
    ) -> Iterator[tuple[tuple[int, ...], float]]:
        answer = memory.next(prompt)
        if answer is None:
            return
        ids, probabilities = answer.ids, answer.chances
        required = typed.encode()
        for token, probability in sorted(zip(ids.tolist(), probabilities.tolist(), strict=True), key=lambda x: -x[1]):
            spelling = self._bytes[token]
            fits = spelling.startswith(required) or (spelling and required.startswith(spelling))
            if fits and probability > 0:
                yield (token,), math.log(probability)
                most -= 1
                if not most:
                    return

    def _name(self, prompt: tuple[int, ...], tokens: tuple[int, ...], memory: Memory, typed: str) -> tuple[str, float]:
        """Follows the memory's most probable tokens to the end of an identifier; at most eight tokens."""
        total = 0.0
        for _ in range(8):
            spelled = self._text(tokens)
            answer = memory.next((*prompt, *tokens))
            if answer is None or not len(answer.ids):
                break
            best = int(np.argmax(answer.chances))
            following = self._bytes[int(answer.ids[best])]
            if not following or not (following[:1].isalnum() or following[:1] in b"_" or following[0] >= 0x80):
                break
            if not spelled.isidentifier() and not spelled.lstrip().isidentifier():
                break
            tokens += (int(answer.ids[best]),)
            total += math.log(max(float(answer.chances[best]), 1e-9))
        spelled = self._text(tokens)
        name = spelled.lstrip(" ") if spelled.startswith(typed) else ""
        return (name, total) if name.isidentifier() else ("", 0.0)

    def _tails(self, tokens: tuple[int, ...], memory: Memory | None, cancelled: Cancelled) -> dict[int, float]:
        answer = memory.next(tokens) if memory is not None and not cancelled() else None
        if answer is None:
            return {}
        return {int(i): math.log(max(float(p), 1e-9)) for i, p in zip(answer.ids, answer.chances, strict=True)}

    def _spell(self, text: str) -> tuple[int, ...]:
        spelling = self._spellings.get(text)
        if spelling is None:
            if len(self._spellings) > 50_000:
                self._spellings.clear()
            spelling = self._spellings[text] = tuple(self.tokenizer.encode(text))
        return spelling

    def _text(self, tokens: Sequence[int]) -> str:
        return b"".join(self._bytes[token] for token in tokens).decode("utf-8", errors="ignore")


def matches(typed: str, name: str) -> bool:
    """Whether `name` may be what the user began to type: the letters in order, the first one first."""
    if not typed:
        return True
    if not name or name[0].lower() != typed[0].lower():
        stripped = name.lstrip("_")
        if not stripped or stripped[0].lower() != typed[0].lower():
            return False
        name = stripped
    letters = iter(name.lower())
    return all(letter in letters for letter in typed.lower())
