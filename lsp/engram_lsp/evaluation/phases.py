"""Whether it matters where chunks of tokens begin: the same questions with 0 to 3 tokens of padding in front."""

from collections.abc import Callable, Sequence

from engram_runtime.engine import Engine
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.evaluation import tokens
from engram_lsp.evaluation.figures import Figure, mean, worst_by_mean
from engram_lsp.evaluation.ground import Arm, Ground, arms, shifted
from engram_lsp.evaluation.lines import Record, is_exact
from engram_lsp.evaluation.questions import Hole
from engram_lsp.predictor import Style

PHASES = (0, 1, 2, 3)
_EXACT = [f"exact{phase}" for phase in PHASES]
_BITS = [f"bits{phase}" for phase in PHASES]

FIGURES = (
    Figure("exact_worst", "exact lines, worst phase by mean", "ratio", worst_by_mean(_EXACT)),
    Figure("bits_worst", "bits, mean by worst phase", "ratio", worst_by_mean(_BITS, lower_is_better=True)),
    *(Figure(column, f"exact lines, phase {phase}", "share", mean(column)) for phase, column in enumerate(_EXACT)),
    *(Figure(column, f"bits per token, phase {phase}", "bits", mean(column)) for phase, column in enumerate(_BITS)),
)


def shifted_arms(tokenizer: Tokenizer, engine: Engine, style: Style | None = None) -> list[tuple[Arm, ...]]:
    """The model alone and with the memory, once for each phase."""
    engines = [shifted(engine, phase, tokenizer.pad) for phase in PHASES]
    return [arms(tokenizer, each, ("fused", "model"), style) for each in engines]


def measure(
    ground: Ground, asked: Sequence[Hole], alike: Sequence[Sequence[Arm]], tick: Callable[[], None]
) -> dict[str, list[Record]]:
    """A row for each hole, by arm; `alike`: the arms in each phase."""
    found: dict[str, list[Record]] = {arm.name: [] for arm in alike[0]}
    for hole in asked:
        for phased in zip(*alike, strict=True):
            row: Record = {}
            for phase, arm in enumerate(phased):
                guess = ground.guess(arm.usual, ground.query(hole, arm.known))
                row[f"exact{phase}"] = float(is_exact(guess, hole))
                size = arm.open.tokenizer.vocab_size
                bits = [tokens.judged(said, token, size)["bits"] for token, said in ground.next_tokens(arm, hole)]
                if bits:
                    row[f"bits{phase}"] = sum(bits) / len(bits)
            found[phased[0].name].append(row)
        tick()
    return found
