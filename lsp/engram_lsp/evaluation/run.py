"""An evaluation: which groups of figures, of which repositories, and what came of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engram_context.indexing import Coding
from engram_context.ngrams import NgramMemory
from engram_runtime.engine import Engine
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.evaluation import lines, names, phases, tokens, typing
from engram_lsp.evaluation.figures import Figure, Measured, Rows, measured, rows_of
from engram_lsp.evaluation.ground import ARMS, Arm, ArmName, Ground, arms, memory_of, read
from engram_lsp.evaluation.lines import Record
from engram_lsp.evaluation.questions import Hole, Questions
from engram_lsp.evaluation.repositories import Opening

Progress = Callable[[int, int, str], None]

GROUPS: dict[str, tuple[str, tuple[Figure, ...]]] = {
    "tokens": ("the next token", tokens.FIGURES),
    "lines": ("the rest of the line", lines.FIGURES),
    "names": ("the next name in the list", names.FIGURES),
    "typing": ("a perfect reader types", typing.FIGURES),
    "phases": ("phases of the prompt", phases.FIGURES),
}
"""What can be measured: its title and its figures."""


@dataclass(frozen=True, slots=True)
class Options:
    """`cursors` for each repository."""

    cursors: int = 60
    seed: int = 0
    groups: tuple[str, ...] = tuple(GROUPS)
    arms: tuple[ArmName, ...] = ARMS


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`records[group][arm][repository]`: what happened at each hole."""

    repositories: tuple[str, ...]
    records: dict[str, dict[str, dict[str, list[Record]]]] = field(
        default_factory=dict[str, dict[str, dict[str, list[Record]]]]
    )

    def add(self, group: str, repository: str, found: Mapping[str, list[Record]]) -> None:
        for arm, records in found.items():
            self.records.setdefault(group, {}).setdefault(arm, {})[repository] = records

    def tables(self, group: str, arm: str) -> dict[str, Rows]:
        """By repository."""
        held = self.records.get(group, {}).get(arm, {})
        return {name: rows_of(records) for name, records in held.items()}

    def figures(self, group: str) -> Iterator[Measured]:
        """Every figure of a group for every arm that was asked, where there is one."""
        for arm in self.records.get(group, {}):
            tables = self.tables(group, arm)
            for figure in GROUPS[group][1]:
                found = measured(group, arm, figure, tables)
                if found.value == found.value:
                    yield found


def evaluate(
    openings: Sequence[Opening],
    coding: Coding,
    tokenizer: Tokenizer,
    engine: Engine | None,
    options: Options,
    progress: Progress = lambda _d, _t, _w: None,
) -> Evaluation:
    """Asks everything. `engine` None measures the memory alone. Raises RepositoryError where nothing can be asked."""
    done = Evaluation(tuple(name for name, _ in openings))
    other = _first_other(openings, tokenizer, options)
    for _, opening in openings:
        with opening() as repository, read(repository, coding, other) as ground:
            _ask(ground, Questions(repository, options.seed), tokenizer, engine, options, done, progress)
            other = ground.memory
    return done


def _first_other(openings: Sequence[Opening], tokenizer: Tokenizer, options: Options) -> NgramMemory | None:
    """A memory of another repository for the first one; each later one gets that of the one before it."""
    if len(openings) < 2 or "random" not in options.arms:
        return None
    with openings[1][1]() as repository:
        return memory_of(repository, tokenizer)


def _ask(
    ground: Ground,
    questions: Questions,
    tokenizer: Tokenizer,
    engine: Engine | None,
    options: Options,
    done: Evaluation,
    progress: Progress,
) -> None:
    name = ground.repository.name
    answering = [arm for arm in arms(tokenizer, engine, options.arms) if arm.known != "other" or ground.has_other]
    for group, (holes, ask) in _asked(ground, questions, tokenizer, engine, options, answering).items():
        count = 0

        def tick(group: str = group, total: int = len(holes)) -> None:
            nonlocal count
            count += 1
            progress(count, total, f"{name}: {GROUPS[group][0]}")

        done.add(group, name, ask(holes, tick))


Ask = Callable[[Sequence[Hole], Callable[[], None]], dict[str, list[Record]]]


def _asked(
    ground: Ground,
    questions: Questions,
    tokenizer: Tokenizer,
    engine: Engine | None,
    options: Options,
    answering: Sequence[Arm],
) -> dict[str, tuple[Sequence[Hole], Ask]]:
    """The holes of each wanted group, and who measures them."""
    in_lines = lines.holes(questions, options.cursors)
    plain = [hole for hole in in_lines if hole.kind in ("start", "middle")]
    # A list without names to choose from, or ghost text by a stranger, is nobody's question.
    listing = [arm for arm in answering if arm.name in ("fused", "memory")]
    found: dict[str, tuple[Sequence[Hole], Ask]] = {}
    if "tokens" in options.groups:
        found["tokens"] = plain, lambda holes, tick: tokens.measure(ground, holes, answering, tick)
    if "lines" in options.groups:
        found["lines"] = in_lines, lambda holes, tick: lines.measure(ground, holes, answering, tick)
    if "names" in options.groups:
        found["names"] = (
            questions.names(options.cursors),
            lambda holes, tick: names.measure(ground, holes, listing, tick),
        )
    if "typing" in options.groups:
        stretches = questions.stretches(max(1, options.cursors // 6), typing.LINES)
        found["typing"] = stretches, lambda holes, tick: typing.measure(ground, holes, listing, tick)
    if "phases" in options.groups and engine is not None:
        shifted = phases.shifted_arms(tokenizer, engine)
        found["phases"] = plain[::2], lambda holes, tick: phases.measure(ground, holes, shifted, tick)
    return found
