"""A perfect reader types through a stretch of code: accepts ghost text that is right to its end, else types a token."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from engram_lsp.evaluation.figures import Figure, less, mean, ratio
from engram_lsp.evaluation.ground import Arm, Ground
from engram_lsp.evaluation.lines import Record, by_arm, is_right
from engram_lsp.evaluation.questions import Hole

LINES = 8
"""How long a stretch is."""

FIGURES = (
    Figure("completed", "characters completed", "share", ratio("accepted", "characters")),
    Figure("saved", "keystrokes saved", "share", less(ratio("keystrokes", "characters"))),
    Figure("shown", "places with ghost text", "share", ratio("shown", "places")),
    Figure("right", "of it right to its end", "share", ratio("taken", "shown")),
    Figure("length", "characters per acceptance", "ratio", ratio("accepted", "taken")),
    Figure("completed_stretches", "characters completed, mean of stretches", "share", mean("completed")),
)


def measure(
    ground: Ground, asked: Sequence[Hole], arms: Sequence[Arm], tick: Callable[[], None]
) -> dict[str, list[Record]]:
    """A row for each stretch, by arm."""
    return by_arm(asked, arms, tick, lambda arm, stretch: [_typed(ground, arm, stretch)])


def _typed(ground: Ground, arm: Arm, stretch: Hole) -> Record:
    tokenizer = arm.usual.tokenizer
    written, rest = "", stretch.hidden
    keystrokes = accepted = places = shown = taken = 0
    while rest:
        here = replace(stretch, before=stretch.before + written, hidden=rest)
        guesses = ground.guesses(arm.usual, ground.query(here, arm.known))
        places += 1
        shown += bool(guesses)
        if guesses and is_right(guesses[0].added, rest):
            step = guesses[0].added
            taken += 1
            accepted += characters(step)
            keystrokes += 1
        else:
            step = tokenizer.decode(tokenizer.encode(rest)[:1]) or rest[0]
            step = step if rest.startswith(step) else rest[0]
            keystrokes += characters(step)
        written, rest = written + step, rest[len(step) :]
    size = characters(stretch.hidden)
    return {
        "characters": float(size),
        "accepted": float(accepted),
        "completed": accepted / size,
        "keystrokes": float(keystrokes),
        "places": float(places),
        "shown": float(shown),
        "taken": float(taken),
    }


def characters(text: str) -> int:
    """How many keys it takes to type: a line's indentation comes with its beginning."""
    return len(re.sub(r"\n[ \t]*", "\n", text))
