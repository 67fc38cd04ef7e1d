"""What drafts of the project memory are worth: tokens per second with and without them, on real code.

    python tests/bench/speculation.py CORPUS [--heldout] [--cursors 16] [--tokens 64] [--model FOLDER] [--learn] [--json]

CORPUS is a folder of `engram-ls corpus`. The model continues code at random lines, greedily, as it does for ghost text:
prompt with suffix, the memory holding the rest of the project but not the hidden tokens. Each cursor is continued four
ways in turn (plain, with drafts, with the memory's opinion mixed in, with both), so that other load on the machine meets
all of them; speeds are medians over cursors of tokens per second of processor time (one thread computes, so on an idle
machine that is time), ratios those of medians. Reading the prompt is not part of it.

`--learn` prints how often drafts were right by the number of matching tokens, which is where `OF_COPIES` and
`OF_REPETITIONS` come from; they and `COST` are tuned on validation files (the default), never on the held-out ones.
"""

import argparse
import json
import time
import unittest.mock
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from engram_context.memory.matches import MemoryView
from engram_context.memory.ngrams import NgramMemory
from engram_context.text import Text
from engram_lsp.prompt import Limits, window
from engram_runtime import fim
from engram_runtime.cache import Cache
from engram_runtime.engine import CHUNK, OnnxEngine, Prediction, Request
from engram_runtime.models import default_model
from engram_runtime.session import Session
from engram_runtime.speculation import COST, LONGEST, MOST, Acceptance, History, Repetition
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import Document, documents, heldout
from engram_runtime.train.questions import code_lines
from rich.console import Console
from rich.progress import track
from rich.table import Table

REPOSITORIES = ("flask", "httpx", "rich", "jinja2", "click", "sqlparse", "attrs", "django")
WAYS = ("plain", "drafts", "prior", "both")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place to continue: the prompt, and the memory without what is hidden there."""

    prompt: tuple[int, ...]
    view: MemoryView


def spots(
    files: Sequence[Document], asked: Sequence[Document], tokenizer: Tokenizer, count: int, hidden: int
) -> list[Spot]:
    memory = NgramMemory(tokenizer.vocab_size)
    ids = tokenizer.encode_batch([file.text for file in files])
    memory.update({file.path: np.array(tokens, np.uint16) for file, tokens in zip(files, ids, strict=True)})
    random = np.random.default_rng(0)
    found: list[Spot] = []
    places = [(file, line) for file in asked for line in sorted(code_lines(file.text)) if line > 10]
    for number in random.permutation(len(places))[:count].tolist():
        file, line = places[number]
        text = Text.of(file.text)
        start = text.line_start(line)
        # The cursor stands after the line's indentation, as an editor leaves it.
        start += len(text.data[start:]) - len(text.data[start:].lstrip(b" "))
        rest = tokenizer.encode(text.data[start:].decode())
        cut = start + len(b"".join(tokenizer.token_bytes(token) for token in rest[:hidden]))
        end = text.data.find(b"\n", cut)
        after = text.data[end if end >= 0 else len(text.data) :].decode()
        before = text.data[:start].decode()
        view = memory.view(file.path, tokenizer.encode(before), tokenizer.encode(after))
        around = window(Text.of(before + after), start, Limits())
        header = tokenizer.encode(fim.path_header(file.path))
        prompt = fim.prompt(tokenizer, tokenizer.encode(around.before), tokenizer.encode(around.after), header)
        found.append(Spot(tuple(prompt), view))
    return found


def projects(
    folder: Path, held: bool, tokenizer: Tokenizer, count: int, hidden: int
) -> Iterator[tuple[str, list[Spot]]]:
    if held:
        repositories = heldout(folder)
        for name in REPOSITORIES:
            yield name, spots(repositories[name], repositories[name], tokenizer, count, hidden)
        return
    asked: dict[str, list[Document]] = defaultdict(list)
    for document in documents(folder, "validation"):
        asked[document.package].append(document)
    chosen = sorted(asked, key=lambda package: -sum(len(document.text) for document in asked[package]))[:8]
    others: dict[str, list[Document]] = defaultdict(list)
    for document in documents(folder):
        if document.package in chosen:
            others[document.package].append(document)
    for name in chosen:
        yield name, spots([*others[name], *asked[name]], asked[name], tokenizer, count, hidden)


@dataclass(slots=True)
class Timed:
    """The session's graph calls under a clock, to tell the engine's own time from theirs."""

    session: Session
    seconds: float = 0.0

    def call(self, *arguments: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            return self.session.call(*arguments, **named)
        finally:
            self.seconds += time.process_time() - began

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


@dataclass(slots=True)
class Measured:
    speeds: list[float] = field(default_factory=list)
    tokens: int = 0
    steps: int = 0
    drafted: int = 0
    accepted: int = 0
    engine: float = 0.0
    seconds: float = 0.0

    def add(self, said: Prediction, seconds: float, calls: float) -> None:
        self.speeds.append(len(said.tokens) / seconds)
        self.tokens += len(said.tokens)
        self.steps += said.steps
        self.drafted += said.drafted
        self.accepted += said.accepted
        self.seconds += seconds
        self.engine += seconds - calls


def measure(engine: OnnxEngine, found: Sequence[Spot], tokens: int) -> tuple[dict[str, Measured], int, int]:
    """Figures by way, and how many cursors said the same with drafts as without (without and with the prior)."""
    timed = Timed(engine._session)  # type: ignore[arg-type]
    engine._session = timed  # type: ignore[assignment]
    figures = {way: Measured() for way in WAYS}
    same, same_mixed = 0, 0
    specials = frozenset({engine.tokenizer.end, engine.tokenizer.begin, engine.tokenizer.pad})
    for number, spot in enumerate(found):
        said: dict[str, Prediction] = {}
        engine.predict(Request(spot.prompt, max_tokens=1))
        for turn in range(len(WAYS)):
            way = WAYS[(turn + number) % len(WAYS)]
            request = Request(
                spot.prompt,
                max_tokens=tokens,
                stop_tokens=specials,
                drafter=spot.view if way in ("drafts", "both") else None,
                prior=spot.view if way in ("prior", "both") else None,
            )
            timed.seconds = 0.0
            began = time.process_time()
            said[way] = engine.predict(request)
            spent = time.process_time() - began
            if len(said[way].tokens) >= 8:
                figures[way].add(said[way], spent, timed.seconds)
        same += said["plain"].tokens == said["drafts"].tokens
        same_mixed += said["prior"].tokens == said["both"].tokens
    engine._session = timed.session
    return figures, same, same_mixed


def costs(session: Session, rounds: int = 40) -> dict[int, float]:
    """Time of a call by its tokens, in calls of one token."""
    tokens = np.random.default_rng(0).integers(6, session.config.vocab_size, 700)
    cache = Cache.empty(session.config)
    while cache.position < 512:
        cache = session.call(cache, tokens[cache.position : 512][:CHUNK], 1).cache()
    spent: dict[int, list[float]] = {count: [] for count in (1, 2, 3, 5, 9, 13, 17)}
    for _ in range(rounds):
        for count, times in spent.items():
            began = time.process_time()
            session.call(cache, tokens[512 : 512 + count], count)
            times.append(time.process_time() - began)
    one = float(np.median(spent[1]))
    return {count: float(np.median(times)) / one for count, times in spent.items()}


class Curious(Acceptance):
    """Believes in every draft, so that all of them are checked at full length."""

    def __init__(self) -> None:
        super().__init__((0.5,) * (LONGEST + 1))
        self.counts = np.zeros((LONGEST + 1, 2), np.int64)

    def worth(self, match: int, most: int) -> tuple[int, float]:
        return most, 2.0

    def learn(self, match: int, drafted: int, agreed: int) -> None:
        for i in range(min(drafted, agreed + 1)):
            self.counts[min(match + i, LONGEST)] += (1, i < agreed)


class Lessons(History):
    """What is learned of the memory when nothing else drafts, and of repetitions when the memory has no idea."""

    def __init__(self) -> None:
        self.known: dict[object, Curious] = {}

    def of(self, key: object, start: Sequence[float]) -> Acceptance:
        return self.known.setdefault(key, Curious())


class Nothing:
    """Has no idea."""

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        return ()


def learn(engine: OnnxEngine, found: Sequence[Spot], tokens: int) -> None:
    specials = frozenset({engine.tokenizer.end, engine.tokenizer.begin, engine.tokenizer.pad})
    for spot in found:
        for prior in (None, spot.view):
            engine.predict(Request(spot.prompt, tokens, specials, drafter=Nothing(), prior=prior))
            with unittest.mock.patch.object(Repetition, "draft", lambda *_: ((), 0)):
                engine.predict(Request(spot.prompt, tokens, specials, drafter=spot.view, prior=prior))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--heldout", action="store_true")
    parser.add_argument("--cursors", type=int, default=16, help="per repository")
    parser.add_argument("--tokens", type=int, default=64, help="to generate at each, and hidden there")
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--learn", action="store_true", help="print how often drafts were right, by matching tokens")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    engine = OnnxEngine.open(options.model, ["CPUExecutionProvider"])
    lessons = Lessons()
    if options.learn:
        engine._history = lessons
    console = Console()
    rows: dict[str, Any] = {}
    every = {way: Measured() for way in WAYS}
    together = [0, 0, 0]
    for name, found in track(
        projects(options.corpus, options.heldout, engine.tokenizer, options.cursors, options.tokens),
        "measuring",
        total=8,
        disable=options.json,
        console=Console(stderr=True),
    ):
        if options.learn:
            learn(engine, found, options.tokens)
            continue
        figures, same, same_mixed = measure(engine, found, options.tokens)
        for way, one in figures.items():
            total = every[way]
            total.speeds += one.speeds
            for part in ("tokens", "steps", "drafted", "accepted", "engine", "seconds"):
                setattr(total, part, getattr(total, part) + getattr(one, part))
        together = [a + b for a, b in zip(together, (same, same_mixed, len(found)), strict=True)]
        rows[name] = row(figures, same, same_mixed, len(found))
    if options.learn:
        table = Table(
            "match", *(f"{getattr(kind, '__name__', kind)}{' + prior' * biased}" for kind, biased in lessons.known)
        )
        for match in range(LONGEST + 1):
            counts = [lesson.counts[match] for lesson in lessons.known.values()]
            table.add_row(str(match), *(f"{right / max(tried, 1):.2f} of {tried}" for tried, right in counts))
        console.print(table)
        return
    rows["all"] = row(every, *together)
    measured = costs(engine._opened())
    if options.json:
        print(json.dumps({"repositories": rows, "costs": measured}, indent=2))
        return
    table = Table(title=f"{options.tokens} tokens, greedy, 1 thread", title_justify="left")
    for column in ("", *next(iter(rows.values()))):
        table.add_column(column, justify="left" if not column else "right")
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in values.values()))
    console.print(table)
    console.print("cost of a call by its tokens:", ", ".join(f"{k}: {v:.2f}" for k, v in measured.items()))
    console.print(f"assumed: 1 + {COST} for each further token, at most {MOST} drafts")


def row(figures: dict[str, Measured], same: int, same_mixed: int, count: int) -> dict[str, float | str]:
    speed = {way: float(np.median(one.speeds)) if one.speeds else 0.0 for way, one in figures.items()}
    drafts, both = figures["drafts"], figures["both"]
    return {
        "plain tok/s": f"{speed['plain']:.0f}",
        "drafts": f"{speed['drafts']:.0f}",
        "ratio": speed["drafts"] / max(speed["plain"], 1e-9),
        "tokens/step": drafts.tokens / max(drafts.steps, 1),
        "accepted": f"{drafts.accepted / max(drafts.drafted, 1):.0%}",
        "same": f"{same}/{count}",
        "prior tok/s": f"{speed['prior']:.0f}",
        "both": f"{speed['both']:.0f}",
        "ratio ": speed["both"] / max(speed["prior"], 1e-9),
        "tokens/step ": both.tokens / max(both.steps, 1),
        "accepted ": f"{both.accepted / max(both.drafted, 1):.0%}",
        "same ": f"{same_mixed}/{count}",
        "engine % plain": f"{100 * figures['plain'].engine / figures['plain'].seconds:.1f}",
        "drafts ": f"{100 * drafts.engine / drafts.seconds:.1f}",
        "prior": f"{100 * figures['prior'].engine / figures['prior'].seconds:.1f}",
    }


if __name__ == "__main__":
    main()
