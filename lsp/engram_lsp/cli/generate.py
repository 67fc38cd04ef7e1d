"""`engram-ls generate`: continues a text, as it comes."""

import argparse
import codecs
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from engram_context.text import Text
from engram_runtime import fim
from engram_runtime.engine import OnnxEngine, Request, Step
from engram_runtime.models import default_model
from engram_runtime.session import ModelError
from engram_runtime.tokenizer import Tokenizer

from engram_lsp.cli import workspace
from engram_lsp.cli.terminal import UserError, notes, number, print_json, progress
from engram_lsp.coding import coding_of
from engram_lsp.predictor import Memory

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prompt", metavar="TEXT|FILE|-", help="what to continue: a file, the text itself, or - for standard input"
    )
    parser.add_argument("--suffix", metavar="TEXT|FILE", help="what comes after the gap that is to be filled")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="model folder (default: the one that ships)")
    parser.add_argument("--memory", type=Path, metavar="PATH", help="a project that the model is to know by heart")
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="cache folder of the project (default: the user's)"
    )
    parser.add_argument(
        "--max-tokens", type=number(int, 1, 1_000_000), default=128, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--temperature",
        type=number(float, 0, 100),
        default=0.0,
        metavar="T",
        help="0 takes the likeliest token, 1 draws as the model would (default: %(default)g)",
    )
    parser.add_argument(
        "--top-p",
        type=number(float, 0.001, 1),
        default=1.0,
        metavar="P",
        help="draw among the likeliest tokens that hold this much (default: %(default)g)",
    )
    parser.add_argument(
        "--seed",
        type=number(int, 0, 2**63),
        default=0,
        metavar="N",
        help="equal seeds draw alike (default: %(default)s)",
    )
    parser.add_argument("--threads", type=number(int, 1, 1024), default=1, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON value at the end instead of text as it comes"
    )


@dataclass(frozen=True, slots=True)
class _Input:
    """A text, and the file it was read from if it was."""

    text: str
    file: Path | None


def _input(given: str, option: str) -> _Input:
    if given == "-":
        return _Input(sys.stdin.buffer.read().decode("utf-8", errors="replace"), None)
    try:
        # A text may be no name at all: too long, or with a zero byte.
        file = Path(given) if Path(given).is_file() else None
    except (OSError, ValueError):
        file = None
    if file is None:
        return _Input(given, None)
    try:
        return _Input(file.read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"{option}: {file} cannot be read: {problem}") from problem


def run(options: argparse.Namespace) -> int:
    given: str | None = options.prompt
    if given is None:
        if sys.stdin.isatty():
            raise UserError("say what to continue: --prompt TEXT, --prompt FILE, or text on standard input")
        given = "-"
    prompt = _input(given, "--prompt")
    suffix = _input(options.suffix, "--suffix") if options.suffix is not None else None
    folder: Path = options.model.expanduser() if options.model else default_model()
    try:
        engine = OnnxEngine.open(folder, threads=options.threads)
    except ModelError as problem:
        raise UserError(str(problem)) from problem
    try:
        with _memory(options, folder, prompt, suffix) as (name, memory):
            ids = _ids(engine.tokenizer, prompt.text, suffix, name)
            if len(ids) >= engine.context:
                raise UserError(
                    f"the prompt has {len(ids):,} tokens, but this model reads at most {engine.context:,} "
                    "with what it writes: shorten it"
                )
            return _generate(engine, ids, memory, options)
    finally:
        engine.close()


@contextmanager
def _memory(
    options: argparse.Namespace, folder: Path, prompt: _Input, suffix: _Input | None
) -> Generator[tuple[str, Memory | None]]:
    """What the prompt's file is called, in its project if it has one, and the project as seen from the prompt's end."""
    name = prompt.file.name if prompt.file else ""
    root: Path | None = options.memory
    if root is None:
        yield name, None
        return
    asked = argparse.Namespace(root=None, cache=options.cache, interpreter=None, json=options.json)
    with workspace.opened(root, asked, coding_of(folder / "tokenizer.json")) as project:
        if prompt.file and prompt.file.resolve().is_relative_to(project.root):
            name = prompt.file.resolve().relative_to(project.root).as_posix()
        text = Text.of(prompt.text + (suffix.text if suffix else ""))
        yield name, project.view(name, len(prompt.text.encode()), text)


def _ids(tokenizer: Tokenizer, prompt: str, suffix: _Input | None, name: str) -> Sequence[int]:
    encode = tokenizer.encode
    header = encode(fim.path_header(name)) if name else []
    if suffix is None:
        return [tokenizer.begin, *header, *encode(prompt)]
    return fim.prompt(tokenizer, encode(prompt), encode(suffix.text), header)


@dataclass(slots=True)
class _Spent:
    """What a run came to."""

    read_seconds: float = 0.0
    write_seconds: float = 0.0
    tokens: int = 0
    first: int = 0
    """Tokens of the first step: they came with the reading of the prompt."""
    steps: int = 0
    drafted: int = 0
    accepted: int = 0
    log_probability: float = 0.0
    finish: str = "interrupted"

    def add(self, step: Step) -> None:
        self.first = self.first or len(step.tokens)
        self.tokens += len(step.tokens)
        self.steps += 1
        self.drafted += step.drafted
        self.accepted += step.accepted
        self.log_probability += sum(step.log_probs)


def _generate(engine: OnnxEngine, ids: Sequence[int], memory: Memory | None, options: argparse.Namespace) -> int:
    tokenizer, spent = engine.tokenizer, _Spent()
    most = min(int(options.max_tokens), engine.context - len(ids))
    request = Request(
        ids,
        max_tokens=most,
        stop_tokens=tokenizer.specials,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
        drafter=memory,
        prior=memory,
    )
    said: list[str] = []
    write: Callable[[str], Any] = said.append if options.json else _to_terminal
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    steps: Iterator[Step] = engine.steps(request)
    began = time.perf_counter()
    try:
        with progress("reading the prompt", quiet=options.json) as advance:
            engine.read(ids, progress=lambda done, count: advance(done, count, ""))
        for step in steps:
            now = time.perf_counter()
            if not spent.steps:
                spent.read_seconds, began = now - began, now
            spent.write_seconds = now - began
            spent.add(step)
            write(decoder.decode(b"".join(map(tokenizer.token_bytes, step.tokens))))
        if not spent.steps:
            spent.read_seconds = time.perf_counter() - began
        spent.finish = "length" if spent.tokens >= most else "stop"
    except KeyboardInterrupt:
        cast("Generator[Step]", steps).close()
    write(decoder.decode(b"", final=True))
    _report(spent, len(ids), "".join(said), options)
    return INTERRUPTED if spent.finish == "interrupted" else 0


def _to_terminal(text: str) -> None:
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:  # a console that cannot show it
        sys.stdout.write(text.encode(sys.stdout.encoding, errors="replace").decode(sys.stdout.encoding))
    sys.stdout.flush()


def _report(spent: _Spent, prompt_tokens: int, text: str, options: argparse.Namespace) -> None:
    speed = (spent.tokens - spent.first) / spent.write_seconds if spent.steps > 1 else 0.0
    if options.json:
        print_json(
            {
                "text": text,
                "finish": spent.finish,
                "prompt_tokens": prompt_tokens,
                "tokens": spent.tokens,
                "log_probability": spent.log_probability,
                "read_seconds": spent.read_seconds,
                "write_seconds": spent.write_seconds,
                "tokens_per_second": speed,
                "steps": spent.steps,
                "drafted": spent.drafted,
                "accepted": spent.accepted,
            }
        )
        return
    sys.stdout.write("\n")
    drafts = f", {spent.accepted} of {spent.drafted} drafts right" if spent.drafted else ""
    why = {"length": "at the limit of tokens", "stop": "at its end", "interrupted": "when told to"}[spent.finish]
    notes.print(
        f"[dim]read {prompt_tokens:,} tokens in {spent.read_seconds:.2f} s; wrote {spent.tokens:,}"
        f"{f' at {speed:,.0f} a second' if speed else ''}{drafts}; ended {why}[/]",
        soft_wrap=True,
    )
