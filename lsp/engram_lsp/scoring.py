"""How probable an edit is: what the model, and the memory, say of texts that might stand at a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from engram_context.text import Span, Text
from engram_runtime import fim
from engram_runtime.engine import never
from engram_runtime.sampling import Prior

from engram_lsp.prompt import UNFINISHED, Limits, beginning
from engram_lsp.schedule import Cancelled

if TYPE_CHECKING:
    from engram_lsp.predictor import Memory, Predictor

LIMITS = Limits(lines_before=30, step=6, lines_after=6, bytes_before=1536, bytes_after=384)
"""What is shown around a place: more than for ghost text, so that most functions are seen from their `def` on."""


@runtime_checkable
class Scores(Protocol):
    """An engine that judges continuations of a prompt: see `OnnxEngine.score`."""

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        prior: Prior | None = None,
        cancelled: Cancelled = never,
    ) -> tuple[tuple[float, ...], ...] | None: ...


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, and the continuations of it that are to be compared."""

    prompt: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]


def score_edits(
    predictor: Predictor,
    text: Text,
    span: Span,
    candidates: Sequence[str],
    *,
    path: str = "",
    memory: Memory | None = None,
    limits: Limits = LIMITS,
    cancelled: Cancelled = never,
) -> tuple[float, ...] | None:
    """The natural log of how probable `text` is with each of `candidates` at `span` (UTF-8 bytes), less one constant.

    To be compared with one another only; what stands there may be one of them. A candidate is seen between what comes
    before it and the lines after it, and counts with the rest of the line in which it ends. `memory`: the project
    memory as seen from the span's start, where it is to have its say (`Project.view`). None when cancelled, or where
    there is no model. Model thread only.
    """
    asked = question(predictor, text, span, candidates, path, limits)
    found = token_scores(predictor, asked, memory, cancelled)
    return None if found is None else tuple(sum(one) for one in found)


def question(
    predictor: Predictor, text: Text, span: Span, candidates: Sequence[str], path: str, limits: Limits = LIMITS
) -> Question:
    """What the model is asked about the candidates: the lines after them first, then what stands before."""
    tokenizer = predictor.tokenizer
    line_end = text.line_span(text.line_of(span.end)).end
    rest_end = line_end - len(text.data[span.end : line_end]) + len(text.data[span.end : line_end].rstrip(b"\r\n"))
    rest_end = max(rest_end, span.end)
    last = min(text.line_count - 1, text.line_of(span.end) + limits.lines_after)
    end = min(text.line_span(last).end, rest_end + limits.bytes_after)
    before = _decoded(text, beginning(text, span.start, limits), span.start)
    # A word and the space before it are one token: the prompt ends before both.
    unfinished = UNFINISHED.search(before)
    begun = unfinished[0] if unfinished is not None else ""
    prompt = fim.prompt(
        tokenizer,
        tokenizer.encode(before[: len(before) - len(begun)]),
        tokenizer.encode(_decoded(text, rest_end, max(end, rest_end))),
        tokenizer.encode(fim.path_header(path)) if path else (),
    )
    rest = _decoded(text, span.end, rest_end)
    endings = (tokenizer.encode(begun + candidate + rest) for candidate in candidates)
    return Question(tuple(prompt), tuple((*ending, tokenizer.end) for ending in endings))


def token_scores(
    predictor: Predictor, asked: Question, memory: Prior | None = None, cancelled: Cancelled = never
) -> tuple[tuple[float, ...], ...] | None:
    """The natural log of each token's probability, for each continuation; None when cancelled or without a model."""
    engine = predictor.engine
    if isinstance(engine, Scores):
        return engine.score(asked.prompt, asked.continuations, memory, cancelled)
    if engine is None:
        return None
    found: list[tuple[float, ...]] = []
    for continuation in asked.continuations:
        scores: list[float] = []
        for at, token in enumerate(continuation):
            log_probs = engine.next_log_probs((*asked.prompt, *continuation[:at]), cancelled)
            if log_probs is None:
                return None
            scores.append(float(log_probs[token]))
        found.append(tuple(scores))
    return tuple(found)


def _decoded(text: Text, start: int, end: int) -> str:
    """Characters that a limit in bytes would cut in half are left out."""
    return text.data[start:end].decode("utf-8", errors="ignore")
