"""The next token, all before it being known: how often it is the likeliest, and how many bits it costs."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from engram_lsp.evaluation.figures import Figure, mean
from engram_lsp.evaluation.ground import Arm, Ground
from engram_lsp.evaluation.lines import Record, by_arm
from engram_lsp.evaluation.questions import Hole

FIGURES = (
    Figure("top1", "likeliest is right", "share", mean("top1")),
    Figure("top5", "among five likeliest", "share", mean("top5")),
    Figure("bits", "bits per token", "bits", mean("bits")),
)


def measure(
    ground: Ground, asked: Sequence[Hole], arms: Sequence[Arm], tick: Callable[[], None]
) -> dict[str, list[Record]]:
    """A row for each hidden token, by arm."""

    def rows(arm: Arm, hole: Hole) -> list[Record]:
        size = arm.open.tokenizer.vocab_size
        return [judged(log_probs, token, size) for token, log_probs in ground.next_tokens(arm, hole)]

    return by_arm(asked, arms, tick, rows)


def judged(log_probs: np.ndarray | None, token: int, vocab_size: int) -> Record:
    """Without an opinion every token is equally likely, and ties count as wrong."""
    if log_probs is None:
        return {"top1": 0.0, "top5": 0.0, "bits": math.log2(vocab_size)}
    own = float(log_probs[token])
    rank = int((log_probs >= own).sum())
    return {"top1": float(rank <= 1), "top5": float(rank <= 5), "bits": -own / math.log(2)}
