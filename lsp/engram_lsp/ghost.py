"""Ghost text: how the predictor's tokens become suggestions, how far they go on, and which are worth showing.

An unasked suggestion is the rest of the line; further lines only where they are likely, the statement or block goes
on, and nothing follows the cursor on its line. One that was asked for is the rest of the block, with other beginnings
beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from engram_runtime.engine import Engine, Request, Step, never
from engram_runtime.sampling import Prior
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.brackets import scan
from engram_lsp.prompt import Window
from engram_lsp.shown import Filter, Signs
from engram_lsp.spelling import Spellings
from engram_lsp.suggestion import Source, Suggestion, Surroundings, best_first, fit, within_block

if TYPE_CHECKING:
    from engram_lsp.predictor import Cancelled, Memory, Query, Style

_HARDLY = math.log(1e-3)  # another beginning that is less probable is none that anybody means
REACH = 64
"""More tokens than this before a place the memory does not look at."""


@dataclass(frozen=True, slots=True)
class _Start:
    """A prompt, and the tokens with which the answer has to begin: so that the typed text is kept (token healing), or
    so that it differs from the others. `log_probs` are of those among them that say more than was typed."""

    prompt: tuple[int, ...]
    forced: tuple[int, ...]
    log_probs: tuple[float, ...] = ()
    seed: int = 0  # of equal beginnings, those with a seed are gone on from by chance


@dataclass(frozen=True, slots=True)
class Written:
    """A suggestion, what may be judged by, and the probability of its first line."""

    suggestion: Suggestion
    signs: Signs
    first_line: float


@dataclass(frozen=True, slots=True)
class _Place:
    """A question, what the model is shown of it, and what its answers have to fit."""

    query: Query
    around: Window
    fits: Surroundings

    @property
    def may_go_on(self) -> bool:
        """Whether further lines have a place here."""
        return not self.fits.suffix.strip() and not self.fits.standing.comment


class Writer:
    """Writes suggestions. It is given how a place is shown and how its next token is judged."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        spelled: Spellings,
        engine: Engine | None,
        style: Style,
        window: Callable[[Query], Window],
        prompt: Callable[[Query, Window], tuple[int, ...]],
        following: Callable[[tuple[int, ...], Memory | None, Cancelled], np.ndarray | None],
        filters: Callable[[Source], Filter],
    ) -> None:
        """`window`, `prompt`: what the model is shown of a place. `following`: log probabilities [V] of the token after
        a prompt, None when nobody tells. `filters`: what is shown unasked, by who says it."""
        self.tokenizer = tokenizer
        self.engine = engine
        self.style = style
        self._spelled = spelled
        self._bytes = spelled.of
        self._window, self._prompt, self._next = window, prompt, following
        self._filters = filters
        self._ends_line = np.fromiter((b"\n" in spelling for spelling in self._bytes), bool, tokenizer.vocab_size)
        self._stops = frozenset({tokenizer.end, tokenizer.begin, tokenizer.pad})

    def inline(self, query: Query, cancelled: Cancelled = never) -> tuple[Suggestion, ...]:
        """Suggestions, best first; often none. As `Predictor.inline`."""
        place = self._place(query)
        if query.invoked:
            return self._asked_for(place, cancelled)
        if _inside_a_word(place.around):
            return ()
        shown = self._filters(self._source(query))
        for start in self._starts(place, 1, cancelled):
            written = self._written(place, start, math.log(shown.floor + 1e-12), cancelled)
            if written is not None and shown.shows(written.signs):
                return (written.suggestion,)
        return ()

    def guess(self, query: Query, cancelled: Cancelled = never) -> Written | None:
        """The unasked suggestion at a place, whether or not it would be shown."""
        place = self._place(query)
        starts = self._starts(place, 1, cancelled)
        return self._written(place, starts[0], -math.inf, cancelled) if starts else None

    def _place(self, query: Query) -> _Place:
        data, at = query.text.data, query.offset
        before, after = (part.decode("utf-8", errors="ignore") for part in (data[:at], data[at:]))
        return _Place(query, self._window(query), Surroundings.of(before, after))

    def _asked_for(self, place: _Place, cancelled: Cancelled) -> tuple[Suggestion, ...]:
        """The rest of the block, and lines that begin otherwise. Judged by their first lines: a block is long."""
        found: list[Suggestion] = []
        for number, start in enumerate(self._starts(place, self.style.candidates, cancelled)):
            written = self._written(place, start, -math.inf, cancelled, whole_block=not number)
            if written is not None:
                found.append(replace(written.suggestion, probability=written.first_line))
        return () if cancelled() else best_first(found)

    # How an answer begins

    def _starts(self, place: _Place, count: int, cancelled: Cancelled) -> list[_Start]:
        """At most `count` different beginnings, the likeliest first; none where nothing agrees with the typed text.

        Spells the typed text anew, token by token, as the model would have: each token must agree with what was typed,
        the last one may run beyond it. Where that leaves no choice, the beginnings differ in the token after it.
        """
        query, prompt = place.query, self._prompt(place.query, place.around)
        rest = place.around.typed.encode()
        forced: tuple[int, ...] = ()
        starts = [_Start(prompt, ())]
        while rest:
            log_probs = self._next(prompt + forced, query.memory, cancelled)
            if cancelled():
                return []
            if log_probs is None:
                # An engine that tells no probabilities has a tokenizer of its own, and spells the text as it likes.
                spelled = () if self.engine is None else self.tokenizer.encode(rest.decode("utf-8", errors="ignore"))
                return _by_chance(_Start(prompt, (*forced, *spelled)), count) if spelled else []
            agreeing = self._spelled.agreeing(rest)
            if not len(agreeing):
                return []
            # What was typed is certain: only how it goes on is a guess, so the probabilities are made to sum to one.
            left = log_probs[agreeing] - np.logaddexp.reduce(log_probs[agreeing])
            order = np.argsort(-left, kind="stable")[:count]
            found = [(int(agreeing[i]), float(left[i])) for i in order]
            starts = [
                _Start(prompt, (*forced, token), (chance,) if len(self._bytes[token]) > len(rest) else ())
                for token, chance in found
                if len(self._bytes[token]) >= len(rest)
            ]
            forced += (found[0][0],)
            rest = rest[len(self._bytes[forced[-1]]) :]
        return self._branched(place, starts, count, cancelled)

    def _branched(self, place: _Place, starts: list[_Start], count: int, cancelled: Cancelled) -> list[_Start]:
        """As many beginnings as are wanted: the first of `starts` in several variants, by the token that comes next."""
        missing = 1 + count - len(starts)
        if missing < 2:
            return starts[:count]
        first, *others = starts
        log_probs = self._next(first.prompt + first.forced, place.query.memory, cancelled)
        if cancelled():
            return []
        if log_probs is None:
            return _by_chance(first, count) if self.engine is not None else []
        best = [int(token) for token in np.argsort(-log_probs, kind="stable")[: missing + len(self._stops)]]
        varied = [
            replace(first, forced=(*first.forced, token), log_probs=(*first.log_probs, float(log_probs[token])))
            for token in best
            if token not in self._stops and (token == best[0] or log_probs[token] > _HARDLY)
        ]
        return [*varied[:missing], *others]

    # How it goes on

    def _written(
        self, place: _Place, start: _Start, least: float, cancelled: Cancelled, *, whole_block: bool = False
    ) -> Written | None:
        """A suggestion that begins so; None when cancelled, when its first line becomes less probable than `least` (a
        log probability), or when nothing is left that fits the place."""
        query, typed = place.query, place.around.typed
        several = place.may_go_on and (whole_block or not query.invoked)
        request = Request(
            prompt=start.prompt + start.forced,
            max_tokens=self.style.block_tokens if several else self.style.line_tokens,
            stop_tokens=self._stops,
            stop=None if several else self._line_ended,
            temperature=self.style.temperature if start.seed else 0.0,
            seed=start.seed,
            drafter=query.memory,
            prior=query.memory,
        )
        going = _Going(place, self._spell(start.forced), self.style, least - sum(start.log_probs), several, whole_block)
        if not self._go(going, request, cancelled):
            return None
        spelled = going.text
        if not spelled.startswith(typed):
            return None
        new = fit(spelled.removeprefix(typed), place.fits, multiline=several)
        if not new:
            return None
        log_probs = (*start.log_probs, *self._kept(start.forced, going, typed + new))
        line = (*start.log_probs, *self._kept(start.forced, going, typed + new.split("\n", 1)[0]))
        word = query.text.slice(place.around.word)
        text, chance = word + new, math.exp(sum(log_probs))
        suggestion = Suggestion(text, place.around.word, chance, self._source(query), query.revision)
        return Written(suggestion, self._signs(place, start, new, log_probs), math.exp(sum(line)))

    def _go(self, going: _Going, request: Request, cancelled: Cancelled) -> bool:
        """Decodes until a continuation has gone far enough; False when cancelled, or when it is not worth finishing, as
        most are not."""
        for step in self._steps(request, cancelled):
            for token, log_prob in zip(step.tokens, step.log_probs, strict=True):
                if not going.take(token, self._bytes[token], log_prob):
                    return not going.failed and not cancelled()
        going.finish(len(going.tokens) >= request.max_tokens)
        return not cancelled()

    def _kept(self, forced: Sequence[int], going: _Going, shown: str) -> tuple[float, ...]:
        """Log probabilities of those predicted tokens that are still (at least partly) in the shown text."""
        length = sum(len(self._bytes[token]) for token in forced)
        limit, count = len(shown.encode()), 0
        for token in going.tokens:
            if length >= limit:
                break
            length += len(self._bytes[token])
            count += 1
        return tuple(going.log_probs[:count])

    def _signs(self, place: _Place, start: _Start, new: str, log_probs: tuple[float, ...]) -> Signs:
        fits, query = place.fits, place.query
        word = query.text.slice(place.around.word)
        return Signs(
            text=new,
            log_probs=log_probs,
            match=_match_length(query.memory, start.prompt),
            before=fits.line.removesuffix(word),
            typed=word,
            suffix=fits.suffix,
            healed=sum(start.log_probs),
            unfinished=not fits.suffix.strip() and scan(new, fits.standing).standing.unfinished,
        )

    def _line_ended(self, tokens: Sequence[int]) -> bool:
        return bool(tokens) and bool(self._ends_line[tokens[-1]])

    def _steps(self, request: Request, cancelled: Cancelled) -> Iterator[Step]:
        if self.engine is not None:
            return self.engine.steps(request, cancelled)
        return by_heart(request, request.prior, cancelled) if request.prior is not None else iter(())

    def _spell(self, tokens: Sequence[int]) -> bytes:
        return b"".join(self._bytes[token] for token in tokens)

    def _source(self, query: Query) -> Source:
        if self.engine is None:
            return "memory"
        return "both" if query.memory is not None else "model"


class _Going:
    """A continuation under way: how far it goes on. `text` begins with what it was forced to begin with.

    `failed`: its first line is less probable than it has to be. Later lines only have to be likely enough to be shown
    with those before, and else are left out.
    """

    __slots__ = ("_ended", "_forced", "_fresh", "_least", "_place", "_several", "_spelled", "_style", "_total",
                 "_whole", "failed", "log_probs", "tokens")  # fmt: skip

    def __init__(
        self, place: _Place, forced: bytes, style: Style, least: float, several: bool, whole_block: bool
    ) -> None:
        self._place, self._forced, self._style = place, forced, style
        self._least, self._several, self._whole = least, several, whole_block
        self.tokens: list[int] = []
        self.log_probs: list[float] = []
        self.failed = False
        self._spelled: list[bytes] = []
        self._total = 0.0
        self._ended: int | None = None  # how many tokens are in the lines that are finished, if any
        self._fresh = False  # nothing but blanks stands in the newest line

    @property
    def text(self) -> str:
        return b"".join((self._forced, *self._spelled)).decode("utf-8", errors="ignore")

    def take(self, token: int, spelled: bytes, log_prob: float) -> bool:
        """Goes on by a token; False when that is the end, the token not taken or taken back with its line."""
        if b"\n" in spelled:
            if not self._goes_on(spelled):
                return False
            self._ended, self._fresh = len(self.tokens), True
        self.tokens.append(token)
        self.log_probs.append(log_prob)
        self._spelled.append(spelled)
        self._total += log_prob
        if self._total < self._least:
            self.failed = self._ended is None
            return self._back()
        if self._fresh and spelled.strip():
            self._fresh = False
            if within_block(self._new, self._place.fits) != self._new:
                return self._back()
        return self._ended is not None or self._whole or len(self.tokens) < self._style.line_tokens

    def finish(self, too_long: bool) -> None:
        """There are no more tokens; if only because they were `too_long`, the last line of several is not whole."""
        if too_long:
            self._back()

    @property
    def _new(self) -> str:
        return self.text.removeprefix(self._place.around.typed)

    def _goes_on(self, spelled: bytes) -> bool:
        """Whether another line belongs to the suggestion."""
        if not self._several or spelled.count(b"\n") > 1:
            return False
        new, fits = self._new, self._place.fits
        if not new.strip() and not (self._whole or fits.goes_on_below):
            return False
        if self._whole:
            return True
        unfinished = scan(new, fits.standing).standing.unfinished
        least = math.log(self._style.within if unfinished else self._style.further)
        self._least = max(self._least, least) if self._ended is None else least
        return self._total >= self._least

    def _back(self) -> bool:
        if self._ended is not None:
            del self.tokens[self._ended :], self.log_probs[self._ended :], self._spelled[self._ended :]
        return False


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


def _by_chance(start: _Start, count: int) -> list[_Start]:
    """The same beginning again and again, where nobody tells what else is likely."""
    return [replace(start, seed=seed) for seed in range(count)]


def _match_length(memory: Memory | None, tokens: Sequence[int]) -> int:
    """How many of the last tokens stood in the memory in just that order (32 at most)."""
    draft = getattr(memory, "draft", None)
    return int(draft(tuple(tokens[-REACH:]), 1)[1]) if draft is not None else 0


def _inside_a_word(around: Window) -> bool:
    return bool(around.after) and (around.after[0].isalnum() or around.after[0] == "_")
