"""Where the project memory and the model meet: ghost text, and the order of the completion list.

Both are asked for the same thing, the distribution of the next token, and answer together: the memory's n-grams know
this project by heart, the model knows how code goes on where the memory has never been. Without a model the memory
answers alone; without a memory (a file outside any project) the model does.

Everything here runs on the single model thread and looks at `cancelled` between any two steps.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from engram_context.candidates import Candidate
from engram_context.text import Text
from engram_lsp.naming import Judge
from engram_lsp.prompt import Limits, Window, window
from engram_lsp.ranking import Ranker, Spread
from engram_lsp.spelling import Spellings
from engram_lsp.suggestion import Source, Suggestion, best_first, fit
from engram_runtime import fim
from engram_runtime.engine import Engine, Request, Step, never
from engram_runtime.sampling import Opinion, Prior, blended, mixed
from engram_runtime.speculation import Drafter
from engram_runtime.tokenizer import Tokenizer

Cancelled = Callable[[], bool]


CONTEXT = 64
"""More tokens than this before a place the memory does not look at."""


@runtime_checkable
class Forks(Protocol):
    """An engine that reads a prompt once for several short continuations: see `OnnxEngine.fork`."""

    def fork(
        self, prompt: Sequence[int], cancelled: Cancelled = never
    ) -> Callable[[Sequence[int]], np.ndarray] | None: ...


class Memory(Drafter, Prior, Protocol):
    """The project memory as one document sees it: it drafts and it biases."""


@dataclass(frozen=True, slots=True)
class Query:
    """A place in one revision of a document; `offset` in UTF-8 bytes, `path` as the prompt shows it."""

    path: str
    text: Text
    offset: int
    revision: int
    memory: Memory | None = None
    invoked: bool = False


@dataclass(frozen=True, slots=True)
class Style:
    """How suggestions are made. `shown` is the least probability at which an unasked suggestion appears."""

    limits: Limits = field(default_factory=Limits)
    line_tokens: int = 32
    block_tokens: int = 96
    shown: float = 0.4
    candidates: int = 3
    temperature: float = 0.7


@dataclass(frozen=True, slots=True)
class _Start:
    """A prompt, and the tokens with which the answer has to begin so that the typed text is kept (token healing)."""

    prompt: tuple[int, ...]
    forced: tuple[int, ...]
    log_probability: float


class Predictor:
    """Asks the engine and the memory together. `engine` None means the memory alone."""

    def __init__(self, tokenizer: Tokenizer, engine: Engine | None, style: Style | None = None) -> None:
        self.tokenizer = tokenizer
        self.engine = engine
        self.style = style or Style()
        self._spelled = Spellings(tokenizer)
        self._ranker = Ranker(tokenizer, self._spelled, self._window, self._prompt, self._judge)
        self._bytes = self._spelled.of
        self._ends_line = np.fromiter((b"\n" in spelling for spelling in self._bytes), bool, tokenizer.vocab_size)

    # Ghost text

    def inline(self, query: Query, cancelled: Cancelled = never) -> tuple[Suggestion, ...]:
        """Suggestions for the rest of the line (of the block, when invoked), best first; often none.

        Raises what the engine raises: a remote one RemoteError, where the local one should be asked instead.
        """
        around = self._window(query)
        if not query.invoked and _inside_a_word(around):
            return ()
        start = self._start(query, around, cancelled)
        if start is None:
            return ()
        found: list[Suggestion] = []
        for seed in range(self.style.candidates if query.invoked else 1):
            suggestion = self._suggest(query, around, start, seed, cancelled)
            if cancelled():
                break
            if suggestion is not None:
                found.append(suggestion)
        least = 0.0 if query.invoked else self.style.shown
        return tuple(suggestion for suggestion in best_first(found) if suggestion.probability >= least)

    def _suggest(
        self, query: Query, around: Window, start: _Start, seed: int, cancelled: Cancelled
    ) -> Suggestion | None:
        multiline = query.invoked and seed == 0 and not around.after.partition("\n")[0].strip()
        request = Request(
            prompt=start.prompt + start.forced,
            max_tokens=self.style.block_tokens if multiline else self.style.line_tokens,
            stop_tokens=frozenset({self.tokenizer.end, self.tokenizer.begin, self.tokenizer.pad}),
            stop=None if multiline else self._line_ended,
            temperature=self.style.temperature if seed else 0.0,
            seed=seed,
            drafter=query.memory,
            prior=query.memory,
        )
        least = -math.inf if query.invoked else math.log(self.style.shown + 1e-12) - start.log_probability
        said = self._said(request, least, cancelled)
        if said is None:
            return None
        tokens, log_probs = said
        spelled = self._text(start.forced + tokens)
        if not spelled.startswith(around.typed):
            return None
        new = fit(spelled.removeprefix(around.typed), around.before + around.typed, around.after, multiline=multiline)
        if not new:
            return None
        word = query.text.slice(around.word)
        kept = self._kept(start.forced, tokens, log_probs, around.typed + new)
        probability = math.exp(start.log_probability + kept)
        return Suggestion(word + new, around.word, probability, self._source(query), query.revision)

    def _said(
        self, request: Request, least: float, cancelled: Cancelled
    ) -> tuple[tuple[int, ...], tuple[float, ...]] | None:
        """The continuation and its log probabilities; None when cancelled, or as soon as it is less probable than
        `least` (a log probability): most guesses are not worth finishing."""
        tokens: list[int] = []
        log_probs: list[float] = []
        total = 0.0
        for step in self._steps(request, cancelled):
            tokens += step.tokens
            log_probs += step.log_probs
            # The token that ends the line is not shown, so its probability does not count against what is.
            total += sum(step.log_probs[:-1] if self._ends_line[tokens[-1]] else step.log_probs)
            if total < least:
                return None
        return None if cancelled() else (tuple(tokens), tuple(log_probs))

    def _kept(self, forced: Sequence[int], tokens: Sequence[int], log_probs: Sequence[float], shown: str) -> float:
        """Log probability of those predicted tokens that are still (at least partly) in the shown text."""
        length = sum(len(self._bytes[token]) for token in forced)
        limit, total = len(shown.encode()), 0.0
        for token, log_prob in zip(tokens, log_probs, strict=True):
            if length >= limit:
                break
            length += len(self._bytes[token])
            total += log_prob
        return total

    def _line_ended(self, tokens: Sequence[int]) -> bool:
        return bool(tokens) and bool(self._ends_line[tokens[-1]])

    # The completion list

    @property
    def ranker(self) -> Ranker:
        """Orders completion lists; what it considers is there to be measured."""
        return self._ranker

    def rank(
        self,
        query: Query,
        candidates: Sequence[Candidate],
        cancelled: Cancelled = never,
        spread: Spread | None = None,
    ) -> tuple[tuple[Candidate, float], ...]:
        """The candidates that continue the typed word, and names that are expected though nothing allows them, most
        probable first: see ranking.py."""
        return self._ranker.rank(query, candidates, cancelled, spread)

    # Asking

    def following(self, query: Query, written: Sequence[int] = (), cancelled: Cancelled = never) -> np.ndarray | None:
        """Log probabilities [V] of the next token, model and memory together, after what is shown of a place less its
        unfinished word, and `written` tokens; None when neither has an answer."""
        return self._next((*self._prompt(query, self._window(query)), *written), query.memory, cancelled)

    def _window(self, query: Query) -> Window:
        return window(query.text, query.offset, self.style.limits)

    def _prompt(self, query: Query, around: Window) -> tuple[int, ...]:
        encode = self.tokenizer.encode
        header = encode(fim.path_header(query.path))
        return tuple(fim.prompt(self.tokenizer, encode(around.before), encode(around.after), header))

    def _start(self, query: Query, around: Window, cancelled: Cancelled) -> _Start | None:
        """Heals the prompt's end: spells the typed text anew, token by token, as the model would have.

        Each token must agree with what was typed; the last one may run beyond it. None where nothing agrees.
        """
        prompt = self._prompt(query, around)
        rest = around.typed.encode()
        forced: tuple[int, ...] = ()
        total = 0.0
        while rest:
            log_probs = self._next(prompt + forced, query.memory, cancelled)
            if cancelled():
                return None
            if log_probs is None:
                # An engine that tells no probabilities has a tokenizer of its own, and spells the text as it likes.
                spelled = () if self.engine is None else self.tokenizer.encode(rest.decode("utf-8", errors="ignore"))
                return _Start(prompt, (*forced, *spelled), total) if spelled else None
            agreeing = self._spelled.agreeing(rest)
            if not len(agreeing):
                return None
            # What was typed is certain: only how it goes on is a guess, so the probabilities are made to sum to one.
            left = log_probs[agreeing]
            token = int(agreeing[left.argmax()])
            if len(self._bytes[token]) > len(rest):
                total += float(left.max() - np.logaddexp.reduce(left))
            forced += (token,)
            rest = rest[len(self._bytes[token]) :]
        return _Start(prompt, forced, total)

    def _next(self, prompt: tuple[int, ...], memory: Memory | None, cancelled: Cancelled) -> np.ndarray | None:
        """Log probabilities [V] of the next token, model and memory together; None when neither has an answer."""
        opinion = memory.next(prompt) if memory is not None else None
        if self.engine is None:
            return self._together(None, opinion)
        log_probs = self.engine.next_log_probs(prompt, cancelled)
        return None if log_probs is None else self._together(log_probs, opinion)

    def _judge(self, prompt: tuple[int, ...], memory: Memory | None, cancelled: Cancelled) -> Judge:
        """As `_next` of one prompt and several short continuations: the prompt is read once for all of them."""
        fork = self.engine.fork(prompt, cancelled) if isinstance(self.engine, Forks) else None

        def judge(path: tuple[int, ...]) -> np.ndarray | None:
            if cancelled():
                return None
            if fork is None:
                return self._next(prompt + path, memory, cancelled)
            opinion = memory.next(prompt[-CONTEXT:] + path) if memory is not None else None
            return self._together(fork(path), opinion)

        return judge

    def _together(self, log_probs: np.ndarray | None, opinion: Opinion | None) -> np.ndarray | None:
        """Log probabilities [V] by the model's, where there is one, and the memory's opinion."""
        if log_probs is not None:
            return np.log(np.maximum(mixed(np.exp(log_probs), opinion), 1e-12))
        if opinion is None:
            return None
        model = np.full(self.tokenizer.vocab_size, 1.0 / self.tokenizer.vocab_size)
        return np.log(blended(model, opinion.ids, opinion.chances, 1.0))

    def _steps(self, request: Request, cancelled: Cancelled) -> Iterator[Step]:
        if self.engine is not None:
            return self.engine.steps(request, cancelled)
        return by_heart(request, request.prior, cancelled) if request.prior is not None else iter(())

    def _text(self, tokens: Sequence[int]) -> str:
        return b"".join(self._bytes[token] for token in tokens).decode("utf-8", errors="ignore")

    def _source(self, query: Query) -> Source:
        if self.engine is None:
            return "memory"
        return "both" if query.memory is not None else "model"


def by_heart(request: Request, prior: Prior, cancelled: Cancelled = never) -> Iterator[Step]:
    """Greedy decoding with the prior alone: what is left of a prediction when there is no model."""
    tokens: list[int] = []
    prompt = tuple(request.prompt)
    while len(tokens) < request.max_tokens and not cancelled():
        answer = prior.next((*prompt, *tokens))
        if answer is None or not len(answer.ids):
            return
        best = int(np.argmax(answer.chances))
        token = int(answer.ids[best])
        if token in request.stop_tokens:
            return
        tokens.append(token)
        yield Step((token,), (math.log(max(float(answer.chances[best]), 1e-9)),))
        if request.stop is not None and request.stop(tokens):
            return


def _inside_a_word(around: Window) -> bool:
    return bool(around.after) and (around.after[0].isalnum() or around.after[0] == "_")
