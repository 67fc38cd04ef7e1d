"""What model and memory say of names that may be misused: whether another name in scope was expected where one
stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from engram_context.checks.misuse.places import Places, Suspicion
from engram_context.text import Span, Text
from engram_runtime import fim
from engram_runtime.engine import OnnxEngine, never

from engram_lsp.hinting import LINES_BEFORE
from engram_lsp.judging import Judge, Witness, chance, fits, judge_for, row
from engram_lsp.schedule import Cancelled
from engram_lsp.shown import name_of

if TYPE_CHECKING:
    from engram_context.memory.matches import MemoryView
    from engram_runtime.tokenizer import Tokenizer

    from engram_lsp.predictor import Predictor

_WINDOW, _OVERLAP = 900, 300
"""Tokens that are read at once, and how many of them stood at the end of what was read before."""
_HEAD_LINES = 3
_UNHEARD = 1e-5
"""What a memory that does not mention a name is taken to say of it."""


@runtime_checkable
class ReadsAlong(Protocol):
    """An engine that says of places along a text what might stand there: see `OnnxEngine.along`."""

    def along(
        self, tokens: Sequence[int], at: Mapping[int, Sequence[int]], cancelled: Cancelled = never
    ) -> dict[int, tuple[float, ...]] | None: ...


@dataclass(frozen=True, slots=True)
class Expected:
    """The first token of the alternative against that of the name: by the model from what stands before (log ratio, and
    the name's log probability), and by the memory (log ratio)."""

    ratio: float
    written: float
    memory: float


NOTHING = Expected(0.0, 0.0, 0.0)

Key = tuple[int, str]
"""The start of a place and the name that may be meant there."""


@dataclass(frozen=True, slots=True)
class _Window:
    """Tokens to be read, and which of the function's bytes [start, end) are asked about in them: token `i` begins at
    `offsets[i]`, which is -1 in front of the function's own text."""

    tokens: tuple[int, ...]
    offsets: tuple[int, ...]
    start: int
    end: int


def windows(tokenizer: Tokenizer, text: Text, path: str, span: Span) -> Iterator[_Window]:
    """A function cut into what can be read at once, each with some lines before it and, where these are not the
    function's first, its head."""
    first = text.line_start(max(0, text.line_of(span.start) - LINES_BEFORE))
    tokens = tokenizer.encode(text.data[first : span.end].decode("utf-8", "surrogatepass"))
    offsets = list(accumulate((len(tokenizer.token_bytes(token)) for token in tokens), initial=first))
    header = (tokenizer.begin, *tokenizer.encode(fim.path_header(path)))
    if offsets.pop() != span.end:
        return  # a text that has no UTF-8
    head_end = text.line_span(min(text.line_of(span.start) + _HEAD_LINES, text.line_count) - 1).end
    head = tuple(tokenizer.encode(text.data[span.start : head_end].decode("utf-8", "replace") + "\n"))
    at = 0
    while at < len(tokens):
        begin = max(0, at - _OVERLAP)
        end = min(len(tokens), begin + _WINDOW)
        front = (*header, *head) if begin else header
        yield _Window(
            (*front, *tokens[begin:end]),
            (*(-1,) * len(front), *offsets[begin:end]),
            offsets[at],
            offsets[end] if end < len(offsets) else span.end,
        )
        at = end


def expectations(
    predictor: Predictor,
    text: Text,
    path: str,
    span: Span,
    suspicions: Iterable[Suspicion],
    memory: MemoryView | None,
    cancelled: Cancelled = never,
    *,
    model: bool = True,
) -> dict[Key, Expected] | None:
    """What is expected at the places of one function, which is read once; None when cancelled.

    `memory` must not know the function itself, or it would expect what is written. `model`: whether the model is asked.
    """
    tokenizer, engine = predictor.tokenizer, predictor.engine
    asked: dict[int, list[Suspicion]] = {}
    for one in suspicions:
        asked.setdefault(one.span.start, []).append(one)
    found: dict[Key, Expected] = {}
    for window in windows(tokenizer, text, path, span):
        rows = {offset: row for row, offset in enumerate(window.offsets) if window.start <= offset < window.end}
        at: dict[int, list[int]] = {}
        compared: list[tuple[int, int, int, Key]] = []
        for start, some in asked.items():
            spaced = text.data[start - 1 : start] == b" " and start - 1 in rows
            row = rows.get(start - 1 if spaced else start)
            if row is None:
                continue
            space = " " if spaced else ""
            for one in some:
                own, other = (tokenizer.encode(space + name)[0] for name in (one.name, one.alternative))
                if own != other and window.tokens[row] == own:
                    at.setdefault(row, []).extend((own, other))
                    compared.append((row, own, other, (start, one.alternative)))
        said: Mapping[int, tuple[float, ...]] = {}
        if model and isinstance(engine, ReadsAlong):
            heard = engine.along(window.tokens, at, cancelled)
            if heard is None:
                return None
            said = heard
        opinions = {row: _opinion(memory, window.tokens[:row]) for row in at} if memory is not None else {}
        for row, own, other, key in compared:
            chances = dict(zip(at[row], said[row], strict=True)) if row in said else {}
            opinion = opinions.get(row, {})
            told = math.log(opinion.get(other, 0.0) + _UNHEARD) - math.log(opinion.get(own, 0.0) + _UNHEARD)
            found[key] = Expected(chances.get(other, 0.0) - chances.get(own, 0.0), chances.get(own, 0.0), told)
        if cancelled():
            return None
    return found


def _opinion(memory: MemoryView, tokens: Sequence[int]) -> dict[int, float]:
    said = memory.next(tokens[-64:])
    return {} if said is None else dict(zip(said.ids.tolist(), said.chances.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Hint:
    """`name` at `span` may have to be `alternative`; `chance`: how likely that is."""

    span: Span
    name: str
    alternative: str
    chance: float


def witness_of(predictor: Predictor, *, has_memory: bool) -> Witness:
    """What can be heard: a model that nothing was fitted to says nothing."""
    engine = predictor.engine
    is_known = isinstance(engine, OnnxEngine) and fits(name_of(engine.about))
    if is_known:
        return "both" if has_memory else "model"
    return "memory" if has_memory else "signs"


def without(text: Text, span: Span) -> Text:
    """A text without one function: what a memory may know of the file when it is asked about that."""
    return text.splice(span.start, span.end, b"")


def hints(
    predictor: Predictor,
    places: Places,
    path: str,
    memory: MemoryView | None,
    cancelled: Cancelled = never,
    suspicions: Sequence[Suspicion] | None = None,
    witness: Witness | None = None,
) -> tuple[Hint, ...] | None:
    """What is likely misused in one function, at most one place; None when cancelled. Model thread only.

    `memory`: the project memory as seen from the function's start, `without` it. `suspicions`: those of `places`, where
    they are at hand. `witness`: what is heard, where not all that can be.
    """
    text, span = places.text, places.function.span
    suspicions = tuple(places.suspicions()) if suspicions is None else suspicions
    if not suspicions:
        return ()
    witness = witness or witness_of(predictor, has_memory=memory is not None)
    judge = judge_for(witness)
    expected: dict[Key, Expected] = {}
    if witness != "signs":
        heard = expectations(predictor, text, path, span, suspicions, memory, cancelled, model=witness != "memory")
        if heard is None:
            return None
        expected = heard
    odds, one = max(_judged(judge, suspicions, expected), key=lambda pair: pair[0])
    if odds < judge.shown:
        return ()
    return (Hint(one.span, one.name, one.alternative, chance(odds)),)


def _judged(
    judge: Judge, suspicions: Iterable[Suspicion], expected: Mapping[Key, Expected]
) -> Iterator[tuple[float, Suspicion]]:
    for one in suspicions:
        said = expected.get((one.span.start, one.alternative), NOTHING)
        yield judge.odds(row(one.signs, said.memory, said.ratio, said.written)), one
