"""Predictions from a model folder: prefix reuse, decoding with drafts and a prior, cancellation between graph calls."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Protocol

import numpy as np

from engram_runtime.cache import Cache, Prefixes
from engram_runtime.sampling import Prior, Sampler, log_probabilities, mixed, probabilities
from engram_runtime.session import Call, ModelError, Session
from engram_runtime.speculation import Drafter, DraftLength, drafts_for
from engram_runtime.tokenizer import Tokenizer

CHUNK = 128
"""Prompt tokens per graph call: a cancelled prefill ends after at most one of these."""

KEPT_BYTES = 64 << 20
"""Memory for caches of earlier prompts."""

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the model is asked to continue.

    Ends before a token of `stop_tokens`, after the token that makes `stop(generated so far)` true, or after
    `max_tokens`. `drafter` only makes it faster; `prior` is mixed into every distribution.
    """

    prompt: Sequence[int]
    max_tokens: int = 64
    stop_tokens: frozenset[int] = frozenset()
    stop: Callable[[Sequence[int]], bool] | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    drafter: Drafter | None = None
    prior: Prior | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One round of decoding: at least one token, and the natural log of each one's probability, prior included."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """All steps together. `reused` prompt tokens came from a kept cache, `prefilled` were computed."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    finish: Finish
    prefilled: int
    reused: int
    steps: int
    drafted: int
    accepted: int


def never() -> bool:
    return False


class Engine(Protocol):
    """Something that continues token sequences: the local model, or one on another machine."""

    def steps(self, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Step]:
        """The continuation as it is found. `cancelled` is asked before every graph call and ends it."""
        ...

    def predict(self, request: Request, cancelled: Callable[[], bool] = never) -> Prediction:
        """The whole continuation."""
        ...

    def next_log_probs(self, prompt: Sequence[int], cancelled: Callable[[], bool] = never) -> np.ndarray | None:
        """Log-probabilities [V] of the token after `prompt`; None when cancelled."""
        ...


@dataclass(slots=True)
class _Tally:
    finish: Finish = "cancelled"
    prefilled: int = 0
    reused: int = 0
    steps: int = 0
    drafted: int = 0
    accepted: int = 0


class OnnxEngine:
    """An `Engine` on ONNX Runtime in this process.

    Meant to be called by one thread. Were there several, their graph calls would take turns and nothing would break.
    """

    def __init__(self, session: Session, tokenizer: Tokenizer, context: int) -> None:
        self.tokenizer = tokenizer
        self.context = context
        self._session: Session | None = session
        self._kept = Prefixes(KEPT_BYTES)
        self._lock = Lock()

    @classmethod
    def open(
        cls, folder: Path, providers: Sequence[str] | None = None, threads: int = 1, context: int | None = None
    ) -> "OnnxEngine":
        """Opens a model folder; `providers` and `threads` as for `Session.open`.

        `context` bounds prompt and continuation together, at most (and when None) what the model was made for.
        Raises ModelError.
        """
        session = Session.open(folder, providers, threads)
        try:
            tokenizer = Tokenizer.read(folder / "tokenizer.json")
        except (ValueError, KeyError) as problem:
            raise ModelError(f"{folder / 'tokenizer.json'} cannot be read: {problem}") from problem
        if tokenizer.vocab_size > session.config.vocab_size:
            raise ModelError(
                f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, the model {session.config.vocab_size}"
            )
        limit = session.config.max_position_embeddings
        return cls(session, tokenizer, min(context or limit, limit))

    def close(self) -> None:
        """Frees the model and every cache; the engine cannot be asked again."""
        with self._lock:
            self._session = None
            self._kept = Prefixes(KEPT_BYTES)

    def describe(self) -> dict[str, Any]:
        """What runs and where, for people: provider, model, context, and the folder's model.json."""
        session = self._opened()
        return {
            "provider": session.provider,
            "folder": str(session.folder),
            "context": self.context,
            "vocab_size": session.config.vocab_size,
            "layers": session.config.num_hidden_layers,
            "kept_caches": len(self._kept),
            "kept_bytes": self._kept.bytes,
            **session.about,
        }

    def steps(self, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Step]:
        return self._steps(request, cancelled, _Tally())

    def predict(self, request: Request, cancelled: Callable[[], bool] = never) -> Prediction:
        tally = _Tally()
        tokens: list[int] = []
        log_probs: list[float] = []
        for step in self._steps(request, cancelled, tally):
            tokens += step.tokens
            log_probs += step.log_probs
        return Prediction(
            tuple(tokens),
            tuple(log_probs),
            tally.finish,
            tally.prefilled,
            tally.reused,
            tally.steps,
            tally.drafted,
            tally.accepted,
        )

    def next_log_probs(self, prompt: Sequence[int], cancelled: Callable[[], bool] = never) -> np.ndarray | None:
        read = self._read(prompt, cancelled, _Tally())
        return None if read is None else log_probabilities(read[1][-1])

    def _opened(self) -> Session:
        if self._session is None:
            raise RuntimeError("the engine is closed")
        return self._session

    def _read(
        self, prompt: Sequence[int], cancelled: Callable[[], bool], tally: _Tally
    ) -> tuple[Cache, np.ndarray] | None:
        """The cache after the prompt and the logits [1, V] that follow it; None when cancelled, with the work kept."""
        session = self._opened()
        tokens = np.array(prompt, np.int64)
        if not 0 < len(tokens) < self.context:
            raise ValueError(f"a prompt has 1 to {self.context - 1} tokens, this one {len(tokens)}")
        if tokens.min() < 0 or tokens.max() >= session.config.vocab_size:
            raise ValueError(f"token ids are 0 to {session.config.vocab_size - 1}")
        with self._lock:
            cache = self._kept.find(tokens) or Cache.empty(session.config)
        tally.reused = cache.position
        logits: np.ndarray | None = None
        while cache.position < len(tokens):
            if cancelled():
                return None
            chunk = tokens[cache.position : cache.position + CHUNK]
            last = cache.position + len(chunk) == len(tokens)
            with self._lock:
                call = session.call(cache, chunk, logits=int(last))
                cache, logits = call.cache(), call.logits
                self._kept.keep(cache)
            tally.prefilled += len(chunk)
        assert logits is not None
        return cache, logits

    def _steps(self, request: Request, cancelled: Callable[[], bool], tally: _Tally) -> Iterator[Step]:
        session, sampler = self._opened(), Sampler(request.temperature, request.top_p, request.seed)
        if request.max_tokens < 1:
            raise ValueError(f"max_tokens is {request.max_tokens}: ask for at least one token")
        read = self._read(request.prompt, cancelled, tally)
        if read is None:
            return
        cache, logits = read
        tokens = list(request.prompt)
        generated: list[int] = []
        room = min(request.max_tokens, self.context - len(tokens))
        length, drafts = DraftLength(), list[int]()
        call: Call | None = None
        while True:
            new: list[int] = []
            log_probs: list[float] = []
            finish: Finish | None = None
            agreed = 0
            for i, row in enumerate(logits):
                p = mixed(probabilities(row), request.prior.next(tokens) if request.prior else None)
                token = sampler.choose(p)
                if token in request.stop_tokens:
                    finish = "stop"
                    break
                new.append(token)
                log_probs.append(float(np.log(p[token])))
                tokens.append(token)
                generated.append(token)
                if request.stop is not None and request.stop(generated):
                    finish = "stop"
                elif len(generated) >= room:
                    finish = "length"
                if i < len(drafts) and token == drafts[i]:
                    agreed += 1
                else:
                    break
                if finish:
                    break
            tally.accepted += agreed
            length.learn(len(drafts), agreed)
            if call is not None:
                with self._lock:
                    cache = call.cache(1 + agreed)
                    self._kept.keep(cache)
            if finish:
                tally.finish = finish
            if new:
                tally.steps += 1
                yield Step(tuple(new), tuple(log_probs))
            if finish or cancelled():
                return
            count = min(length.count, room - len(generated) - 1)
            drafts = drafts_for(request.drafter, tokens, count, session.config.vocab_size)
            tally.drafted += len(drafts)
            with self._lock:
                call = session.call(cache, [tokens[-1], *drafts], logits=1 + len(drafts))
            logits = call.logits
