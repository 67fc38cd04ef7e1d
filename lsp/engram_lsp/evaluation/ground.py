"""A repository as the server would know it, and everything that is asked of it. The one place that builds a `Query`.

The memory holds every file but the asked one, of which it knows what is left and right of the hole, as it does while
somebody types there: nothing that is hidden can be looked up.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar, cast

import numpy as np
from engram_context.completion.candidates import Candidate
from engram_context.disk.indexing import Coding
from engram_context.memory.matches import MemoryView
from engram_context.memory.ngrams import NgramMemory
from engram_context.project import Project
from engram_context.snapshot import Snapshot
from engram_context.text import Place, Span, Text
from engram_runtime.engine import Engine, OnnxEngine, Prediction, Request, Step, never
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.evaluation.questions import Hole
from engram_lsp.evaluation.repositories import Repository
from engram_lsp.features.completion import follows_receiver, is_word_byte, listed
from engram_lsp.ghost import Written
from engram_lsp.predictor import Predictor, Query, Style
from engram_lsp.prompt import finished, window
from engram_lsp.ranking import matches
from engram_lsp.shown import Learned, filter_for, name_of
from engram_lsp.suggestion import Suggestion

Known = Literal["own", "other", "nothing"]
"""What the memory holds besides the open document: the repository, another repository, or there is no memory."""
ArmName = Literal["fused", "memory", "model", "random"]
ARMS: tuple[ArmName, ...] = ("fused", "memory", "model", "random")

Answer = TypeVar("Answer")

_LONGEST_LIST = 100  # as `engram.completion.limit`


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to answer: `usual` as the server does, `open` with four lines for who asks instead of a block."""

    name: ArmName
    known: Known
    open: Predictor
    usual: Predictor


def arms(
    tokenizer: Tokenizer, engine: Engine | None, wanted: Sequence[ArmName] = ARMS, style: Style | None = None
) -> tuple[Arm, ...]:
    """The arms that can be asked: without an engine only the memory."""
    known: dict[ArmName, Known] = {"fused": "own", "memory": "own", "model": "nothing", "random": "other"}
    usual = style or Style()
    # Blocks are not measured here.
    lines = replace(usual, candidates=4, block_tokens=usual.line_tokens)
    alone, fused = ([Predictor(tokenizer, asked, each) for each in (lines, usual)] for asked in (None, engine))
    return tuple(
        Arm(name, known[name], *(alone if name == "memory" else fused))
        for name in ARMS
        if name in wanted and (name == "memory" or engine is not None)
    )


@dataclass(frozen=True, slots=True)
class Guess:
    """A suggestion in place. `added`: what it writes at the cursor; `text`: the file with it accepted; `sureness`: what
    decides whether it is shown, 0 to 1."""

    added: str
    text: str
    sureness: float


def sureness(predictor: Predictor, written: Written) -> float:
    """The chance that the filter gives a suggestion; its probability where no filter was fitted."""
    about = predictor.engine.about if isinstance(predictor.engine, OnnxEngine) else None
    judge = filter_for(name_of(about), written.suggestion.source)
    return judge.chance(written.signs) if isinstance(judge, Learned) else written.suggestion.probability


class Ground:
    """One repository, read into a project memory. One question at a time."""

    def __init__(self, repository: Repository, project: Project, other: NgramMemory | None) -> None:
        self.repository = repository
        self.project = project
        self._other = other

    @property
    def memory(self) -> NgramMemory:
        return self.project.memory

    @property
    def has_other(self) -> bool:
        """Whether another repository's memory is at hand."""
        return self._other is not None

    def knows_elsewhere(self, name: str, path: str) -> bool:
        """Whether a name stands in another file than `path`."""
        return any(file != path for file in self.project.snapshot.files_naming(name))

    def query(self, hole: Hole, known: Known, *, typed: str = "", invoked: bool = False) -> Query:
        """The question at a hole, of which the beginning `typed` was written."""
        before = hole.before + typed
        text = Text.of(before + hole.after)
        offset = len(before.encode("utf-8", "surrogatepass"))
        return Query(hole.path, text, offset, 0, self._view(hole.path, *finished(text, offset), known), invoked)

    def _view(self, path: str, text: Text, offset: int, known: Known) -> MemoryView | None:
        if known == "own":
            return self.project.view(path, offset, text)
        if known == "other" and self._other is not None:
            sides = (text.data[:offset], text.data[offset:])
            left, right = (self.project.encode(side.decode("utf-8", "replace")) for side in sides)
            return self._other.view(path, left[left != 0], right[right != 0])
        return None

    # Ghost text

    def guess(self, predictor: Predictor, query: Query) -> Guess | None:
        """What ghost text would write if all of it were shown."""
        written = predictor.guess(query)
        guess = None if written is None else self._guess(query, written.suggestion)
        return None if guess is None or written is None else replace(guess, sureness=sureness(predictor, written))

    def guesses(self, predictor: Predictor, query: Query) -> list[Guess]:
        """What ghost text does write, best first."""
        found = (self._guess(query, suggestion) for suggestion in predictor.inline(query))
        return [guess for guess in found if guess is not None]

    def _guess(self, query: Query, suggestion: Suggestion) -> Guess | None:
        data = query.text.data
        written = suggestion.text.encode("utf-8", "surrogatepass")
        typed = data[suggestion.span.start : query.offset]
        if not written.startswith(typed):
            return None
        with suppress(UnicodeDecodeError):
            added = written[len(typed) :].decode()
            text = (data[: suggestion.span.start] + written + data[suggestion.span.end :]).decode()
            return Guess(added, text, suggestion.probability)
        return None

    # The next token

    def next_tokens(self, arm: Arm, hole: Hole) -> Iterator[tuple[int, np.ndarray | None]]:
        """Each token of what is hidden, and the log probabilities [V] of what stands there, all before it being known;
        None where nobody knows anything. Tokens that were typed as a whole are not asked for."""
        predictor = arm.open
        query = self.query(hole, arm.known)
        around = window(query.text, query.offset, predictor.style.limits)
        tokens = predictor.tokenizer.encode(around.typed + hole.hidden)
        given = len(around.typed.encode())
        end = 0
        for at, token in enumerate(tokens):
            end += len(predictor.tokenizer.token_bytes(token))
            if end > given:
                yield token, predictor.following(query, tokens[:at])

    # The completion list

    @contextmanager
    def opened(self, hole: Hole) -> Generator[Callable[[str], Snapshot]]:
        """The hole's file as an open document. The function says what the project is with a beginning typed there."""

        def typed(beginning: str) -> Snapshot:
            self.project.edit(hole.path, Text.of(hole.before + beginning + hole.after))
            self.project.settle()
            return self.project.snapshot

        try:
            yield typed
        finally:
            self.project.close(hole.path)
            self.project.settle()

    def candidates(self, hole: Hole, typed: str, snapshot: Snapshot) -> tuple[Candidate, ...]:
        """What may stand at a hole by the rules, in the project as `opened` gives it."""
        return snapshot.candidates(Place(hole.path, len((hole.before + typed).encode("utf-8", "surrogatepass"))))

    def listed(self, arm: Arm, hole: Hole, typed: str, snapshot: Snapshot, found: Sequence[Candidate]) -> list[str]:
        """The names that the server's list shows, in order, each once; `found`: what `candidates` gave."""
        query = self.query(hole, arm.known, typed=typed)
        start = query.offset
        while start and is_word_byte(query.text.data[start - 1]):
            start -= 1
        word = query.text.slice(Span(start, query.offset))
        fitting = [candidate for candidate in found if matches(word, candidate.name)]
        free = bool(found) or follows_receiver(query.text, start)
        order = listed(arm.usual, query, snapshot, fitting, free)
        return list(dict.fromkeys(candidate.name for candidate in order[:_LONGEST_LIST]))


@contextmanager
def read(
    repository: Repository,
    coding: Coding,
    other: NgramMemory | None,
    progress: Callable[[int, int, str], None] = lambda _d, _t, _p: None,
) -> Generator[Ground]:
    """The repository read, its cache in a folder that goes away afterwards."""
    with TemporaryDirectory(prefix="engram-eval-", ignore_cleanup_errors=True) as cache:
        project = Project(repository.root, coding, cache_folder=Path(cache))
        project.apply(project.load(progress))
        try:
            yield Ground(repository, project, other)
        finally:
            project.close_project()


def memory_of(repository: Repository, tokenizer: Tokenizer) -> NgramMemory:
    """Only what follows what in a repository: all that is needed of one that stands for any other."""
    memory = NgramMemory(tokenizer.vocab_size)
    ids = tokenizer.encode_batch([text for _, text in repository.files])
    held = {path: np.array(tokens) for (path, _), tokens in zip(repository.files, ids, strict=True)}
    memory.update({path: tokens[tokens != 0] for path, tokens in held.items()})
    return memory


def shifted(engine: Engine, by: int, pad: int) -> Engine:
    """An engine that sees every prompt `by` tokens further right, as after padding: another phase of its chunks."""
    return cast("Engine", _Shifted(engine, (pad,) * by))


class _Shifted:
    def __init__(self, engine: Engine, padding: tuple[int, ...]) -> None:
        self._engine = engine
        self._padding = padding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def steps(self, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Step]:
        return self._engine.steps(self._shifted(request), cancelled)

    def predict(self, request: Request, cancelled: Callable[[], bool] = never) -> Prediction:
        return self._engine.predict(self._shifted(request), cancelled)

    def next_log_probs(self, prompt: Sequence[int], cancelled: Callable[[], bool] = never) -> np.ndarray | None:
        return self._engine.next_log_probs((*self._padding, *prompt), cancelled)

    def _shifted(self, request: Request) -> Request:
        return replace(request, prompt=(*self._padding, *request.prompt))


def timed(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """An answer and the processor time of this process that it took, in milliseconds."""
    began = time.process_time()
    answer = work()
    return answer, (time.process_time() - began) * 1000
