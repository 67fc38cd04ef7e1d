"""Predictions from a model folder: prefix reuse, decoding with drafts and a prior, cancellation between graph calls."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any, Literal, Protocol

import numpy as np

from engram_runtime import gate as gates
from engram_runtime.cache import Cache, Prefixes
from engram_runtime.gate import Gate
from engram_runtime.mtp import MtpDrafter, cost_of_draft
from engram_runtime.sampling import Opinion, Prior, Sampler, log_probabilities, mixed
from engram_runtime.session import Call, Logits, ModelError, Session
from engram_runtime.speculation import MOST, Drafter, Drafts, History
from engram_runtime.tokenizer import Tokenizer

CHUNK = 96
"""Prompt tokens per graph call: a cancelled prefill ends after at most one of these.

More than 256 keys at a time, these and the window's 128 and HCA's entries, are summed in another order than few, and
then a text cut otherwise has other last bits. With 96 that is so for prompts of over 4,000 tokens only.
"""

_TRIED = 16
"""Tokens of a continuation that is only tried, for which room is made beforehand."""

KEPT_BYTES = 64 << 20
"""Memory for caches of earlier prompts."""

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the model is asked to continue.

    Ends before a token of `stop_tokens`, after the token that makes `stop(generated so far)` true, or after
    `max_tokens`. `drafter` only makes it faster (what the sequence repeats of itself is drafted then, too); where there
    is none, a model that can drafts for itself (mtp.py). `prior` is mixed into every distribution.
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
    """One round of decoding: at least one token, and the natural log of each one's probability, prior included.

    `accepted` of the tokens were among `drafted` guesses: without them, each would have been a step of its own.
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    drafted: int = 0
    accepted: int = 0


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

    @property
    def gate(self) -> Gate | None:
        """Judges how far a prior is to be trusted against this model; None leaves that to the prior."""
        ...

    def steps(self, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Step]:
        """The continuation as it is found. `cancelled` is asked before every graph call and ends it."""
        ...

    def predict(self, request: Request, cancelled: Callable[[], bool] = never) -> Prediction:
        """The whole continuation."""
        ...

    def next_log_probs(self, prompt: Sequence[int], cancelled: Callable[[], bool] = never) -> np.ndarray | None:
        """Log-probabilities [V] of the token after `prompt`; None when cancelled."""
        ...


class _Run:
    """One continuation under way: what was said so far, and how it went."""

    __slots__ = (
        "_drafts",
        "_observe",
        "accepted",
        "drafted",
        "finish",
        "generated",
        "prefilled",
        "prompt",
        "request",
        "reused",
        "room",
        "sampler",
        "steps",
        "tokens",
    )

    def __init__(self, request: Request, prompt: np.ndarray, room: int, drafts: Drafts, gate: Gate | None) -> None:
        """`prompt`: the request's, int64; `room`: how many tokens may be generated at most."""
        self.request, self.prompt, self.room = request, prompt, room
        self.sampler = Sampler(request.temperature, request.top_p, request.seed, gate)
        self.tokens = list(request.prompt)
        self.generated: list[int] = []
        self.finish: Finish | None = None
        self.reused = self.prefilled = self.steps = self.drafted = self.accepted = 0
        self._drafts = drafts
        self._observe: Callable[[Call], None] | None = getattr(request.drafter, "observe", None)

    def observed(self, call: Call) -> Call:
        """Shows a call to a drafter that wants to see what the model makes of the text."""
        if self._observe is not None:
            self._observe(call)
        return call

    def drafts(self) -> list[int]:
        # One token comes after the last draft: the graph's own.
        return self._drafts.after(self.tokens, self.room - len(self.generated) - 1)

    def opinion(self) -> Opinion | None:
        prior = self.request.prior
        return None if prior is None else prior.next(self.tokens)

    def say(self, token: int) -> bool:
        """Adds a token and sees whether it is the last; False if it is not even to be added."""
        if token in self.request.stop_tokens:
            self.finish = "stop"
            return False
        self.tokens.append(token)
        self.generated.append(token)
        if self.request.stop is not None and self.request.stop(self.generated):
            self.finish = "stop"
        elif len(self.generated) >= self.room:
            self.finish = "length"
        return True

    def take(self, rows: np.ndarray, drafts: Sequence[int]) -> Step:
        """Chooses by logits rows [1 + drafts, V], as long as what is chosen is what was drafted."""
        before = len(self.generated)
        log_probs: list[float] = []
        agreed = 0
        for i in range(len(rows)):
            token, log_prob = self.sampler.choose(rows[i], self.opinion())
            if not self.say(token):
                break
            log_probs.append(log_prob)
            if i == len(drafts) or token != drafts[i]:
                break
            agreed += 1
            if self.finish:
                break
        self._drafts.learn(len(drafts), agreed)
        self.steps += 1 if log_probs else 0
        self.drafted += len(drafts)
        self.accepted += agreed
        return Step(tuple(self.generated[before:]), tuple(log_probs), len(drafts), agreed)

    def prediction(self, steps: Iterable[Step]) -> Prediction:
        """Everything that `steps`, which are this run's, come to."""
        log_probs: list[float] = []
        for step in steps:
            log_probs += step.log_probs
        return Prediction(
            tuple(self.generated),
            tuple(log_probs),
            self.finish or "cancelled",
            self.prefilled,
            self.reused,
            self.steps,
            self.drafted,
            self.accepted,
        )


class _Fork:
    """A prompt that was read, and what may be tried after it."""

    __slots__ = ("_first", "_lock", "_read", "_session", "prompt")

    def __init__(self, prompt: tuple[int, ...], session: Session, read: Cache, first: np.ndarray, lock: Any) -> None:
        """`read`: the cache after `prompt`; `first`: log-probabilities [V] of what follows it."""
        self.prompt, self._session, self._read, self._first, self._lock = prompt, session, read, first, lock

    def after(self, tokens: Sequence[int]) -> np.ndarray:
        """Log-probabilities [V] of the token after the prompt and `tokens`."""
        if not tokens:
            return self._first
        with self._lock:
            # Room for every continuation at once: each of them would move to a tape of its own otherwise.
            self._read = self._read.writable(_TRIED)
            return log_probabilities(self._session.call(self._read, tokens, logits=1).logits[0])


class OnnxEngine:
    """An `Engine` on ONNX Runtime in this process.

    Meant to be called by one thread. Were there several, their graph calls would take turns and nothing would break.
    """

    def __init__(
        self,
        session: Session,
        tokenizer: Tokenizer,
        context: int,
        kept_bytes: int = KEPT_BYTES,
        threads: int = 1,
        gate: Gate | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.gate = gate
        self.context = context
        self._session: Session | None = session
        self._logits = Logits(session.config, 1 + MOST)
        self._kept = Prefixes(kept_bytes)
        # Reentrant: a dropped generator hands its cache back wherever the interpreter happens to notice.
        self._lock = RLock()
        self._history = History()
        self._forked: _Fork | None = None
        head = session.draft_head(threads)
        self._own_drafter = None if head is None else MtpDrafter(head, cost_of_draft(session.config))

    @classmethod
    def open(
        cls,
        folder: Path,
        providers: Sequence[str] | None = None,
        threads: int = 1,
        context: int | None = None,
        kept_bytes: int = KEPT_BYTES,
    ) -> "OnnxEngine":
        """Opens a model folder; `providers` and `threads` as for `Session.open`.

        `context` bounds prompt and continuation together, at most (and when None) what the model was made for.
        `kept_bytes` bounds the memory of earlier prompts' caches; the newest one is kept whatever it takes.
        Raises ModelError.
        """
        session = Session.open(folder, providers, threads)
        try:
            tokenizer = Tokenizer.read(folder / "tokenizer.json")
        except (OSError, ValueError, KeyError) as problem:
            raise ModelError(f"{folder / 'tokenizer.json'} cannot be read: {problem}") from problem
        if tokenizer.vocab_size > session.config.vocab_size:
            raise ModelError(
                f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, the model {session.config.vocab_size}"
            )
        try:
            gate = Gate.read(folder / gates.FILE) if (folder / gates.FILE).exists() else None
        except (OSError, ValueError) as problem:
            raise ModelError(str(problem)) from problem
        limit = session.config.max_position_embeddings
        return cls(session, tokenizer, min(context or limit, limit), kept_bytes, threads, gate)

    def close(self) -> None:
        """Frees the model and every cache; the engine cannot be asked again."""
        with self._lock:
            self._session = self._own_drafter = self._forked = None
            self._kept = Prefixes(0)

    @property
    def about(self) -> dict[str, Any]:
        """The folder's model.json: how the model was made, and thereby which one it is."""
        return self._opened().about

    def describe(self) -> dict[str, Any]:
        """What runs and where, for people: provider, model, context, and the folder's model.json."""
        session = self._opened()
        return {
            "provider": session.provider,
            "reason": session.reason,
            "folder": str(session.folder),
            "context": self.context,
            "vocab_size": session.config.vocab_size,
            "layers": session.config.num_hidden_layers,
            "kept_caches": len(self._kept),
            "kept_bytes": self._kept.bytes,
            **session.about,
        }

    def steps(self, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Step]:
        """As `Engine.steps`. The generator may be dropped or closed at any step; what was computed is kept."""
        return self._steps(self._run(request), cancelled)

    def predict(self, request: Request, cancelled: Callable[[], bool] = never) -> Prediction:
        run = self._run(request)
        return run.prediction(self._steps(run, cancelled))

    def alternatives(self, request: Request, count: int, cancelled: Callable[[], bool] = never) -> Iterator[Prediction]:
        """At most `count` continuations of one prompt, which is read once: each goes on from a fork of its cache.

        Greedy, they begin with the `count` most probable tokens, the most probable first. Sampled, they are what
        `predict` gives for the seeds `seed`, `seed + 1`, ... Once cancelled none comes any more, not even the one
        that was begun.
        """
        run = self._run(request)
        cache = self._read(run, cancelled)
        if cache is None or cancelled():
            return
        session = self._opened()
        with self._lock:
            call = run.observed(session.call(cache, run.tokens[cache.position :], logits=1))
            row = call.logits[0].copy()
            run.prefilled += len(run.tokens) - cache.position
            cache = call.cache()
            self._kept.keep(cache)
        opinion = run.opinion()
        chances = mixed(np.exp(log_probabilities(row)), opinion, self.gate)
        best: list[int] = np.argsort(-chances, kind="stable")[:count].tolist()
        for i in range(count if request.temperature else len(best)):
            if i:
                run = self._run(replace(request, seed=request.seed + i))
                run.reused = len(run.tokens)
            token = run.sampler.choose(row, opinion)[0] if request.temperature else best[i]
            first = [Step((token,), (float(np.log(chances[token])),))] if run.say(token) else []
            run.steps = len(first)
            rest = () if run.finish else self._decoded(run, cache, [token], cancelled)
            prediction = run.prediction((*first, *rest))
            if prediction.finish == "cancelled":
                return
            yield prediction

    def next_log_probs(self, prompt: Sequence[int], cancelled: Callable[[], bool] = never) -> np.ndarray | None:
        run = self._run(Request(prompt, max_tokens=1))
        cache = self._read(run, cancelled)
        if cache is None or cancelled():
            return None
        with self._lock:
            call = self._opened().call(cache, run.tokens[cache.position :], logits=1)
            self._kept.keep(call.cache())
            return log_probabilities(call.logits[0])

    def fork(
        self, prompt: Sequence[int], cancelled: Callable[[], bool] = never
    ) -> Callable[[Sequence[int]], np.ndarray] | None:
        """Reads `prompt` once, to try several short continuations; None when cancelled.

        What is returned gives the log-probabilities [V] of the token after `prompt` and some more tokens, for one graph
        call each. They are not kept: the next question about `prompt` finds its cache as if none had been tried.
        """
        # While a word is typed, its prompt stays the same.
        forked = self._forked
        if forked is not None and not cancelled() and forked.prompt == tuple(prompt):
            return forked.after
        run = self._run(Request(prompt, max_tokens=1))
        cache = self._read(run, cancelled)
        if cache is None or cancelled():
            return None
        with self._lock:
            session = self._opened()
            call = session.call(cache, run.tokens[cache.position :], logits=1)
            read = call.cache()
            self._kept.keep(read)
            self._forked = _Fork(tuple(prompt), session, read, log_probabilities(call.logits[0]), self._lock)
        return self._forked.after

    def score(
        self,
        prompt: Sequence[int],
        continuations: Iterable[Sequence[int]],
        prior: Prior | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> tuple[tuple[float, ...], ...] | None:
        """Log-probabilities of the tokens of each continuation of `prompt`, one after the other, with `prior` mixed in;
        None when cancelled.

        The prompt is read once, and each continuation costs one graph call for every CHUNK of its tokens. They are not
        kept, as those of `fork` are not. Raises ValueError where prompt and continuation exceed the context.
        """
        wanted = [list(continuation) for continuation in continuations]
        longest = max(map(len, wanted), default=0)
        if len(prompt) + longest > self.context:
            raise ValueError(f"prompt and continuation have at most {self.context} tokens")
        run = self._run(Request(prompt, max_tokens=1))
        cache = self._read(run, cancelled)
        if cache is None or cancelled():
            return None
        with self._lock:
            session, pending = self._opened(), run.tokens[cache.position :]
            # Room for the longest at once: what is written behind the prompt is as good as not there afterwards.
            call = session.call(cache.writable(len(pending) + longest), pending, logits=1)
            read = call.cache()
            self._kept.keep(read)
        scores: list[tuple[float, ...]] = []
        for tokens in wanted:
            rows = [call.logits]
            with self._lock:
                after, asked = read, tokens[:-1]
                for start in range(0, len(asked), CHUNK):
                    if cancelled():
                        return None
                    made = session.call(after, asked[start : start + CHUNK], logits=len(asked[start : start + CHUNK]))
                    rows.append(made.logits)
                    if start + CHUNK < len(asked):
                        after = made.cache()
            scores.append(self._scored(np.concatenate(rows)[: len(tokens)], prompt, tokens, prior))
        return tuple(scores)

    def _scored(
        self, logits: np.ndarray, prompt: Sequence[int], tokens: Sequence[int], prior: Prior | None
    ) -> tuple[float, ...]:
        """Log-probabilities of `tokens`, whose logits are [n, V]."""
        log_probs = log_probabilities(logits)
        if prior is None:
            return tuple(log_probs[np.arange(len(tokens)), tokens].tolist())
        scores: list[float] = []
        for at, token in enumerate(tokens):
            chances = mixed(np.exp(log_probs[at]), prior.next([*prompt, *tokens[:at]]), self.gate)
            scores.append(float(np.log(max(chances[token], 1e-12))))
        return tuple(scores)

    def along(
        self, tokens: Sequence[int], at: Mapping[int, Sequence[int]], cancelled: Callable[[], bool] = never
    ) -> dict[int, tuple[float, ...]] | None:
        """Log-probabilities, at some places of a text that is read once, of tokens that might stand there; None when
        cancelled.

        `at`: by how many of `tokens` come before (1 at least), the tokens that are asked about. Nothing is kept. Raises
        ValueError where there is nothing before a place, or too much.
        """
        if not at:
            return {}
        last = max(at)
        if min(at) < 1 or last > len(tokens) or last >= self.context:
            raise ValueError(f"places have 1 to {min(len(tokens), self.context - 1)} tokens before them")
        found: dict[int, tuple[float, ...]] = {}
        cache = Cache.empty(self._opened().config)
        for start in range(0, last, CHUNK):
            if cancelled():
                return None
            piece = tokens[start : min(start + CHUNK, last)]
            first = min((place for place in at if start < place <= start + len(piece)), default=None)
            wanted = 0 if first is None else start + len(piece) - first + 1
            with self._lock:
                call = self._opened().call(cache, piece, logits=wanted)
                cache = call.cache()
            for row in range(wanted):
                place = start + len(piece) - wanted + row + 1
                if place in at:
                    found[place] = tuple(log_probabilities(call.logits[row])[list(at[place])].tolist())
        return found

    def read(
        self,
        prompt: Sequence[int],
        cancelled: Callable[[], bool] = never,
        progress: Callable[[int, int], None] | None = None,
    ) -> bool:
        """Reads all but the end of a prompt ahead, so that its continuation starts at once; False when cancelled.

        `progress(tokens read, tokens in all)` is called after every graph call.
        """
        return self._read(self._run(Request(prompt, max_tokens=1)), cancelled, progress) is not None

    def _opened(self) -> Session:
        if self._session is None:
            raise RuntimeError("the engine is closed")
        return self._session

    def _run(self, request: Request) -> _Run:
        """Raises ValueError for a request that makes no sense, RuntimeError when closed."""
        session = self._opened()
        if request.max_tokens < 1:
            raise ValueError(f"max_tokens is {request.max_tokens}: ask for at least one token")
        prompt = np.array(request.prompt, np.int64)
        if not 0 < len(prompt) < self.context:
            raise ValueError(f"a prompt has 1 to {self.context - 1} tokens, this one {len(prompt)}")
        if prompt.min() < 0 or prompt.max() >= session.config.vocab_size:
            raise ValueError(f"token ids are 0 to {session.config.vocab_size - 1}")
        if request.drafter is None and self._own_drafter is not None:
            request = replace(request, drafter=self._own_drafter)
        room = min(request.max_tokens, self.context - len(prompt))
        vocab_size, biased = session.config.vocab_size, request.prior is not None
        drafts = Drafts(request.drafter, self._history, vocab_size, prompt, room, biased)
        return _Run(request, prompt, room, drafts, self.gate)

    def _read(
        self, run: _Run, cancelled: Callable[[], bool], progress: Callable[[int, int], None] | None = None
    ) -> Cache | None:
        """The cache after all but the last 1 to CHUNK tokens of the prompt; None when cancelled, with the work kept."""
        session, tokens = self._opened(), run.prompt
        with self._lock:
            cache = self._kept.find(tokens) or Cache.empty(session.config)
        run.reused = cache.position
        while len(tokens) - cache.position > CHUNK:
            if cancelled():
                return None
            with self._lock:
                call = session.call(cache, tokens[cache.position : cache.position + CHUNK], logits=0)
                cache = run.observed(call).cache()
                self._kept.keep(cache)
            run.prefilled = cache.position - run.reused
            if progress is not None:
                progress(cache.position, len(tokens))
        return cache

    def _steps(self, run: _Run, cancelled: Callable[[], bool]) -> Generator[Step]:
        cache = self._read(run, cancelled)
        if cache is None:
            return
        yield from self._decoded(run, cache, run.tokens[cache.position :], cancelled)

    def _decoded(
        self, run: _Run, cache: Cache, pending: Sequence[int], cancelled: Callable[[], bool]
    ) -> Generator[Step]:
        """Steps after `cache`, which lacks the `pending` last of the run's tokens."""
        session = self._opened()
        try:
            while not cancelled():
                # To the cache, and to the model's own drafter, there is one writer at a time, from the call until it is
                # known how much of it stays.
                with self._lock:
                    drafts = run.drafts()
                    tokens = [*pending, *drafts]
                    call = run.observed(session.call(cache, tokens, 1 + len(drafts), memory=self._logits))
                    run.prefilled += max(0, len(run.prompt) - cache.position)
                    step = run.take(call.logits, drafts)
                    cache = call.cache(len(pending) + step.accepted)
                pending = run.tokens[-1:]
                if step.tokens:
                    yield step
                if run.finish:
                    return
        finally:
            with self._lock:
                if self._session is not None:
                    self._kept.keep(cache)
