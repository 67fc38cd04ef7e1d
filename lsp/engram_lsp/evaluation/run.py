"""An evaluation: which groups of figures, of which repositories, and what came of it."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engram_context.disk.indexing import Coding
from engram_context.memory.ngrams import NgramMemory
from engram_runtime.engine import Engine
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.evaluation import infill, lines, names, phases, tokens, typing
from engram_lsp.evaluation.figures import Figure, Measured, Rows, measured, rows_of
from engram_lsp.evaluation.ground import ARMS, ArmName, Ground, arms, memory_of, read
from engram_lsp.evaluation.lines import Record
from engram_lsp.evaluation.questions import Questions
from engram_lsp.evaluation.repositories import Opening
from engram_lsp.predictor import Style

Progress = Callable[[int, int, str], None]

GROUPS: dict[str, tuple[str, tuple[Figure, ...]]] = {
    "lines": ("the rest of the line", lines.FIGURES),
    "tokens": ("the next token", tokens.FIGURES),
    "names": ("the next name in the list", names.FIGURES),
    "typing": ("a perfect reader types", typing.FIGURES),
    "phases": ("phases of the prompt", phases.FIGURES),
    "infill": ("a line of a function, judged by its doctests", infill.FIGURES),
}
"""What can be measured: its title and its figures."""
RUNS_CODE = frozenset({"infill"})
"""Groups that run code of the repositories: never by default."""


@dataclass(frozen=True, slots=True)
class Options:
    """`cursors` for each repository; `style`: how suggestions are made, where not as usual."""

    cursors: int = 60
    seed: int = 0
    groups: tuple[str, ...] = tuple(name for name in GROUPS if name not in RUNS_CODE)
    arms: tuple[ArmName, ...] = ARMS
    style: Style | None = None


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
    every = arms(tokenizer, engine, options.arms, options.style)
    answering = [arm for arm in every if arm.known != "other" or ground.has_other]
    # A list without names to choose from, or ghost text by a stranger, is nobody's question.
    listing = [arm for arm in answering if arm.name in ("fused", "memory")]
    in_lines = lines.holes(questions, options.cursors)
    plain = [hole for hole in in_lines if hole.kind in ("start", "middle")]
    # Lines come first, so that their processor time is that of a place where nobody asked before.
    for group in (name for name in GROUPS if name in options.groups):
        tick = _ticker(progress, f"{name}: {GROUPS[group][0]}", options.cursors)
        if group == "tokens":
            done.add(group, name, tokens.measure(ground, plain, answering, tick))
        elif group == "lines":
            done.add(group, name, lines.measure(ground, in_lines, answering, tick))
        elif group == "names":
            done.add(group, name, names.measure(ground, questions.names(options.cursors), listing, tick))
        elif group == "typing":
            stretches = questions.stretches(max(1, options.cursors // 6), typing.LINES)
            done.add(group, name, typing.measure(ground, stretches, listing, tick))
        elif group == "phases" and engine is not None:
            alike = phases.shifted_arms(tokenizer, engine, options.style)
            done.add(group, name, phases.measure(ground, plain[::2], alike, tick))
        elif group == "infill":
            with infill.workshop(ground.repository) as shop:
                asked = infill.questions(ground.repository, shop, options.cursors, options.seed)
                done.add(group, name, infill.measure(ground, asked, shop, answering, tick))


def _ticker(progress: Progress, title: str, most: int) -> Callable[[], None]:
    """Says that one more question of a group has been asked; how many there are is known roughly."""
    count = itertools.count(1)
    return lambda: progress(next(count), most, title)
