"""The next name: where it stands in the list that the server would show, with 0, 1 and 2 letters of it typed."""

from collections.abc import Callable, Sequence
from functools import partial

from engram_lsp.evaluation.figures import Figure, mean, median
from engram_lsp.evaluation.ground import Arm, Ground, timed
from engram_lsp.evaluation.lines import Record
from engram_lsp.evaluation.questions import Hole

TYPED = (0, 1, 2)

FIGURES = (
    *(
        Figure(f"{key}_typed{typed}", f"{label}, {typed} typed", "share", mean(key, f"typed{typed}"))
        for typed in TYPED
        for key, label in (("top1", "first in the list"), ("top5", "among five"), ("mrr", "mean 1/rank"))
    ),
    Figure("top1_dot", "first behind a dot, 0 typed", "share", mean("top1", "dot")),
    Figure("top5_dot", "among five behind a dot, 0 typed", "share", mean("top5", "dot")),
    Figure("listed", "anywhere in the list, 0 typed", "share", mean("listed", "typed0")),
    Figure("cpu_ms", "CPU, median ms", "ms", median("cpu_ms")),
)


def measure(
    ground: Ground, asked: Sequence[Hole], arms: Sequence[Arm], tick: Callable[[], None]
) -> dict[str, list[Record]]:
    """A row for each name and number of letters typed, by arm."""
    found: dict[str, list[Record]] = {arm.name: [] for arm in arms}
    for hole in asked:
        with ground.opened(hole) as project:
            for typed in (count for count in TYPED if count < len(hole.hidden)):
                begun = hole.hidden[:typed]
                snapshot = project(begun)
                candidates, common = timed(partial(ground.candidates, hole, begun, snapshot))
                for arm in arms:
                    names, spent = timed(partial(ground.listed, arm, hole, begun, snapshot, candidates))
                    row = ranked(names, hole.hidden) | {f"typed{typed}": 1.0, "cpu_ms": common + spent}
                    if not typed and hole.before.rstrip().endswith("."):
                        row["dot"] = 1.0
                    found[arm.name].append(row)
        tick()
    return found


def ranked(names: Sequence[str], truth: str) -> Record:
    rank = names.index(truth) + 1 if truth in names else 0
    return {
        "top1": float(rank == 1),
        "top5": float(1 <= rank <= 5),
        "mrr": 1 / rank if rank else 0.0,
        "listed": float(rank > 0),
    }
