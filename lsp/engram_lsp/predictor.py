"""Where the project memory and the model meet: ghost text, and the order of the completion list.

Both are asked for the same thing, the distribution of the next token, and answer together: the memory's n-grams know
this project by heart, the model knows how code goes on where the memory has never been. Without a model the memory
answers alone; without a memory (a file outside any project) the model does.

Everything here runs on the single model thread and looks at `cancelled` between any two steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from engram_context.completion.candidates import Candidate
from engram_context.memory.excerpts import Excerpt
from engram_context.text import Text
from engram_runtime.engine import Engine, OnnxEngine, never
from engram_runtime.sampling import Opinion, Prior, blended, mixed
from engram_runtime.speculation import Drafter
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.ghost import REACH, Writer, Written
from engram_lsp.naming import Judge
from engram_lsp.prompt import Limits, Prompts, Window, window
from engram_lsp.ranking import Ranker, Spread
from engram_lsp.shown import Filter, Threshold, filter_for, name_of
from engram_lsp.spelling import Spellings
from engram_lsp.suggestion import Source, Suggestion

Cancelled = Callable[[], bool]

# Continuations of one prompt about which is remembered what the model said: 32 kB each with the default model.
_CONTINUED = 100


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
    """A place in one revision of a document; `offset` in UTF-8 bytes, `path` as the prompt shows it. `excerpts` of
    other files come before the document in the prompt."""

    path: str
    text: Text
    offset: int
    revision: int
    memory: Memory | None = None
    invoked: bool = False
    excerpts: tuple[Excerpt, ...] = ()


@dataclass(frozen=True, slots=True)
class Style:
    """How suggestions are made.

    `shown`: the least probability at which an unasked suggestion appears; None: what is learned for the model decides
    (shown.py). `further`, `within`: how probable an unasked suggestion must be to go on to another line, behind a
    statement and within one.
    """

    limits: Limits = field(default_factory=Limits)
    line_tokens: int = 32
    block_tokens: int = 96
    shown: float | None = None
    further: float = 0.4
    within: float = 0.15
    candidates: int = 4
    temperature: float = 0.7


class Predictor:
    """Asks the engine and the memory together. `engine` None means the memory alone."""

    def __init__(self, tokenizer: Tokenizer, engine: Engine | None, style: Style | None = None) -> None:
        self.tokenizer = tokenizer
        self.engine = engine
        self.style = style or Style()
        self._spelled = Spellings(tokenizer)
        self._prompts = Prompts(tokenizer)
        self._continued: tuple[tuple[int, ...], dict[tuple[int, ...], np.ndarray]] = ((), {})
        self._ranker = Ranker(tokenizer, self._spelled, self._window, self._prompt, self._judge)
        self._writer = Writer(
            tokenizer, self._spelled, engine, self.style, self._window, self._prompt, self._next, self._filter
        )

    # Ghost text

    def inline(self, query: Query, cancelled: Cancelled = never) -> tuple[Suggestion, ...]:
        """Suggestions for the rest of the line (of the block, when invoked), best first; often none: see ghost.py.

        Raises what the engine raises: a remote one RemoteError, where the local one should be asked instead.
        """
        return self._writer.inline(query, cancelled)

    def guess(self, query: Query, cancelled: Cancelled = never) -> Written | None:
        """The unasked suggestion at a place, whether or not it would be shown, and what may be judged by."""
        return self._writer.guess(query, cancelled)

    def _filter(self, source: Source) -> Filter:
        if self.style.shown is not None:
            return Threshold(self.style.shown)
        about = self.engine.about if isinstance(self.engine, OnnxEngine) else None
        return filter_for(name_of(about), source)

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

    def read(self, query: Query, cancelled: Cancelled = never) -> None:
        """Reads the prompt of a place ahead, so that a list for it is soon ordered."""
        prompt = self.prompt(query)
        if isinstance(self.engine, Forks) and self._continued[0] != prompt:
            self.engine.fork(prompt, cancelled)

    # Asking

    def following(self, query: Query, written: Sequence[int] = (), cancelled: Cancelled = never) -> np.ndarray | None:
        """Log probabilities [V] of the next token, model and memory together, after what is shown of a place less its
        unfinished word, and `written` tokens; None when neither has an answer."""
        return self._next((*self._prompt(query, self._window(query)), *written), query.memory, cancelled)

    def prompt(self, query: Query) -> tuple[int, ...]:
        """What the model is shown of a place, less its unfinished word."""
        return self._prompt(query, self._window(query))

    def _window(self, query: Query) -> Window:
        return window(query.text, query.offset, self.style.limits)

    def _prompt(self, query: Query, around: Window) -> tuple[int, ...]:
        return self._prompts.of(query.path, around, query.excerpts)

    def _next(self, prompt: tuple[int, ...], memory: Memory | None, cancelled: Cancelled) -> np.ndarray | None:
        """Log probabilities [V] of the next token, model and memory together; None when neither has an answer."""
        opinion = memory.next(prompt) if memory is not None else None
        if self.engine is None:
            return self._together(None, opinion)
        log_probs = self.engine.next_log_probs(prompt, cancelled)
        return None if log_probs is None else self._together(log_probs, opinion)

    def _judge(self, prompt: tuple[int, ...], memory: Memory | None, cancelled: Cancelled) -> Judge:
        """As `_next` of one prompt and several short continuations: the prompt is read once for all of them, and what
        the model said stays while the prompt does, which is as long as one word is being typed."""
        if self._continued[0] != prompt or len(self._continued[1]) > _CONTINUED:
            self._continued = (prompt, {})
        said = self._continued[1]
        forks: list[Callable[[Sequence[int]], np.ndarray] | None] = []

        def judge(path: tuple[int, ...]) -> np.ndarray | None:
            if cancelled():
                return None
            if path not in said:
                if not forks:
                    forks.append(self.engine.fork(prompt, cancelled) if isinstance(self.engine, Forks) else None)
                fork = forks[0]
                if fork is None:
                    return self._next(prompt + path, memory, cancelled)
                said[path] = fork(path)
            opinion = memory.next(prompt[-REACH:] + path) if memory is not None else None
            return self._together(said[path], opinion)

        return judge

    def _together(self, log_probs: np.ndarray | None, opinion: Opinion | None) -> np.ndarray | None:
        """Log probabilities [V] by the model's, where there is one, and the memory's opinion."""
        if log_probs is not None:
            gate = self.engine.gate if self.engine is not None else None
            return np.log(np.maximum(mixed(np.exp(log_probs), opinion, gate), 1e-12))
        if opinion is None:
            return None
        model = np.full(self.tokenizer.vocab_size, 1.0 / self.tokenizer.vocab_size)
        return np.log(blended(model, opinion.ids, opinion.chances, 1.0))
