"""How well a model predicts code of repositories it never saw, beside an n-gram model of the same training text.

    python -m engram_runtime.train.evaluate CHECKPOINT_OR_MODEL [--folder CORPUS] [--json FILE]

- bits per token, top-1 and top-5, teacher-forced, over tokens of code lines (no newlines, comments, docstrings);
- rest-of-line exact match at sampled cursors, fill-in-the-middle, with the true text on the right.

Figures are means over five repositories; the interval is a bootstrap over each repository's windows. The same seed
measures the same positions, whatever the model.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from engram_runtime import fim
from engram_runtime.cache import Cache
from engram_runtime.engine import Engine, OnnxEngine, Request
from engram_runtime.session import Session
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import default_folder, documents, heldout
from engram_runtime.train.ngrams import Ngrams
from engram_runtime.train.questions import Cursor, Window, cursors, shortened, windows

REPOSITORIES: Final = ("flask", "httpx", "rich", "django", "sqlparse")

_Item = TypeVar("_Item")

Score = Callable[[Sequence[int], int], np.ndarray]
"""(tokens [T], start) -> natural log-probabilities [T-start, V] of what stands at positions start..T-1."""


@dataclass(frozen=True, slots=True)
class TokenFigures:
    """Of one repository, or the mean of several. The interval is of `bits`: 95 %, low and high."""

    bits: float
    top1: float
    top5: float
    interval: tuple[float, float]
    positions: int


@dataclass(frozen=True, slots=True)
class LineFigures:
    """Shares of cursors whose rest of the line is predicted exactly."""

    exact: float
    at_line_start: float
    mid_line: float
    cursors: int


def bits_per_token(
    score: Score, questions: Mapping[str, Sequence[Window]], seed: int = 0, progress: Console | None = None
) -> dict[str, TokenFigures]:
    """The figures of each repository, and their mean under "all"."""
    answer: dict[str, TokenFigures] = {}
    resampled: list[npt.NDArray[np.float64]] = []
    random = np.random.default_rng(seed)
    for repository, asked in questions.items():
        if not asked:
            raise ValueError(f"{repository} has no code to measure on")
        sums = np.zeros((len(asked), 4))
        for row, window in enumerate(_tracked(asked, repository, progress)):
            sums[row] = _window_sums(score, window)
        draws = random.integers(len(asked), size=(1000, len(asked)))
        drawn = sums[draws].sum(axis=1)
        resampled.append(drawn[:, 0] / drawn[:, 3])
        answer[repository] = _figures(sums.sum(axis=0), resampled[-1])
    parts = list(answer.values())
    low, high = np.percentile(np.mean(resampled, axis=0), (2.5, 97.5))
    answer["all"] = TokenFigures(
        float(np.mean([part.bits for part in parts])),
        float(np.mean([part.top1 for part in parts])),
        float(np.mean([part.top5 for part in parts])),
        (float(low), float(high)),
        sum(part.positions for part in parts),
    )
    return answer


def line_exact_match(
    complete: Callable[[Cursor], bool], questions: Mapping[str, Sequence[Cursor]], progress: Console | None = None
) -> dict[str, LineFigures]:
    """The figures of each repository, and their mean under "all". `complete` says whether it got a cursor right."""
    answer: dict[str, LineFigures] = {}
    for repository, asked in questions.items():
        right = np.array([complete(cursor) for cursor in _tracked(asked, repository, progress)], dtype=np.float64)
        starts = np.array([cursor.at_line_start for cursor in asked], dtype=np.bool_)
        answer[repository] = LineFigures(
            float(right.mean()), float(right[starts].mean()), float(right[~starts].mean()), len(asked)
        )
    parts = list(answer.values())
    answer["all"] = LineFigures(
        float(np.mean([part.exact for part in parts])),
        float(np.mean([part.at_line_start for part in parts])),
        float(np.mean([part.mid_line for part in parts])),
        sum(part.cursors for part in parts),
    )
    return answer


def forced_completion(
    tokenizer: Tokenizer, score: Score, fill_in: bool = True, prefix_tokens: int = 352, suffix_tokens: int = 96
) -> Callable[[Cursor], bool]:
    """Judges a cursor by one teacher-forced pass: every token of the rest of the line is the likeliest one, and so is
    a newline or the end after it. What greedy decoding would write, when the true text is tokenized as it would be.

    `fill_in`: whether the model is asked in fill-in-the-middle form; else it sees the prefix alone.
    """

    def complete(cursor: Cursor) -> bool:
        prefix, suffix = _sides(tokenizer, cursor, prefix_tokens, suffix_tokens)
        middle = tokenizer.encode(cursor.middle)
        asked = fim.prompt(tokenizer, prefix, suffix) if fill_in else [tokenizer.begin, *prefix]
        # The token after the middle is asked for by a stand-in whose own value does not matter.
        best = score([*asked, *middle, tokenizer.end], len(asked)).argmax(axis=1)
        last = int(best[-1])
        return best[:-1].tolist() == middle and (last == tokenizer.end or b"\n" in tokenizer.token_bytes(last))

    return complete


def floor(tokenizer: Tokenizer, folder: Path, megabytes: float) -> Ngrams:
    """The n-gram model of this much training text (evenly spread over the corpus), fitted on the validation text."""
    texts = [document.text for document in documents(folder)]
    stride = max(1, round(sum(map(len, texts)) / (megabytes * 1e6)))
    model = Ngrams(tokenizer.encode_batch(texts[::stride]), tokenizer.vocab_size)
    model.fit(tokenizer.encode_batch([document.text for document in documents(folder, "validation")]))
    return model


def _sides(tokenizer: Tokenizer, cursor: Cursor, before: int, after: int) -> tuple[list[int], list[int]]:
    """The last `before` tokens of the cursor's prefix and the first `after` of its suffix."""
    prefix = tokenizer.encode(cursor.prefix[-16 * before :])[-before:]
    return prefix, tokenizer.encode(cursor.suffix[: 16 * after])[:after]


def _window_sums(score: Score, window: Window) -> tuple[float, int, int, int]:
    """Bits, top-1 hits, top-5 hits and positions of one window."""
    log_probs = score(window.tokens, window.start)
    rows = np.array(window.scored) - window.start
    truth = np.array(window.tokens)[list(window.scored)]
    own = log_probs[rows, truth]
    # Ties count against the model: a constant distribution must not look right.
    rank = (log_probs[rows] >= own[:, None]).sum(axis=1)
    bits = float(-own.sum(dtype=np.float64) / np.log(2))
    return bits, int((rank <= 1).sum()), int((rank <= 5).sum()), len(rows)


def _figures(sums: npt.NDArray[np.float64], resampled: npt.NDArray[np.float64]) -> TokenFigures:
    bits, top1, top5, positions = (float(value) for value in sums)
    low, high = np.percentile(resampled, (2.5, 97.5))
    return TokenFigures(bits / positions, top1 / positions, top5 / positions, (float(low), float(high)), int(positions))


def _tracked(items: Sequence[_Item], title: str, console: Console | None) -> Iterator[_Item]:
    if console is None:
        yield from items
    else:
        yield from track(items, description=f"{title:12}", console=console, transient=True)


def checkpoint_score(folder: Path) -> Score:
    """A training checkpoint's network as a score, on the CPU in fp32."""
    import torch
    from safetensors.torch import load_file

    from engram_runtime.config import ModelConfig
    from engram_runtime.engram import EngramHash
    from engram_runtime.network import DeepseekV4

    config = ModelConfig.read(folder / "config.json")
    hashing = EngramHash(config, np.load(folder / "engram_classes.npy"))
    network = DeepseekV4(config, [hashing.row_count(layer) for layer in config.engram_layers])
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    network.eval()

    def score(tokens: Sequence[int], start: int) -> np.ndarray:
        # The last token is only ever predicted: nothing is asked after it.
        ids = np.array([tokens[:-1]], dtype=np.int64)
        rows = {layer: torch.from_numpy(hashing.batch_rows(ids, layer)) for layer in config.engram_layers}
        with torch.inference_mode():
            hidden, _ = network.trunk(torch.from_numpy(ids), rows)
            return network.head(hidden[0, start - 1 :]).float().log_softmax(dim=-1).numpy()

    return score


def exported_score(session: Session) -> Score:
    """An exported model's graph as a score."""

    def score(tokens: Sequence[int], start: int) -> np.ndarray:
        logits = session.call(Cache.empty(session.config), tokens[:-1], len(tokens) - start).logits.astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    return score


def greedy_completion(
    engine: Engine, tokenizer: Tokenizer, prefix_tokens: int = 352, suffix_tokens: int = 96
) -> Callable[[Cursor], bool]:
    """Judges a cursor by what greedy decoding in fill-in-the-middle form really writes up to the end of the line."""

    def complete(cursor: Cursor) -> bool:
        prefix, suffix = _sides(tokenizer, cursor, prefix_tokens, suffix_tokens)
        room = len(tokenizer.encode(cursor.middle)) + 8
        request = Request(
            fim.prompt(tokenizer, prefix, suffix),
            max_tokens=room,
            stop_tokens=frozenset({tokenizer.end}),
            stop=lambda tokens: b"\n" in tokenizer.token_bytes(tokens[-1]),
        )
        written = tokenizer.decode(engine.predict(request).tokens)
        return written.split("\n")[0].rstrip() == cursor.middle

    return complete


@dataclass(frozen=True, slots=True)
class Report:
    """Everything measured of one model, and of the n-gram floor on the same questions, by repository and "all"."""

    model: str
    tokens: dict[str, TokenFigures]
    worst_phase: dict[str, TokenFigures] | None
    lines: dict[str, LineFigures]
    floor_tokens: dict[str, TokenFigures] | None
    floor_lines: dict[str, LineFigures] | None


def evaluate(
    model: Path,
    corpus: Path,
    window_count: int = 40,
    cursor_count: int = 60,
    floor_megabytes: float = 60.0,
    phases: int = 1,
    console: Console | None = None,
) -> Report:
    """Measures a checkpoint or an exported model folder on the held-out repositories of the corpus.

    window_count and cursor_count are for each repository; floor_megabytes 0 leaves the floor out; phases > 1 repeats
    the token figures with 1, 2, ... tokens less of context and reports the worst.
    Rest-of-line completion is real greedy decoding for an exported model, one teacher-forced pass for a checkpoint.
    Raises FileNotFoundError when the folder holds neither kind of model or the corpus is not built.
    """
    tokenizer = Tokenizer.read(model / "tokenizer.json")
    repositories = heldout(corpus)
    asked = {name: windows(tokenizer, repositories[name], window_count) for name in REPOSITORIES}
    places = {name: cursors(repositories[name], cursor_count) for name in REPOSITORIES}
    if (model / "weights.safetensors").exists():
        score = checkpoint_score(model)
        complete = forced_completion(tokenizer, score)
    elif (model / "model.onnx").exists():
        engine = OnnxEngine.open(model)
        score = exported_score(Session.open(model))
        complete = greedy_completion(engine, tokenizer)
    else:
        raise FileNotFoundError(f"{model} holds neither weights.safetensors nor model.onnx")
    tokens = bits_per_token(score, asked, progress=console)
    others = [
        bits_per_token(
            score,
            {name: [shortened(window, by) for window in group] for name, group in asked.items()},
            progress=console,
        )
        for by in range(1, phases)
    ]
    worst = max([tokens, *others], key=lambda figures: figures["all"].bits) if others else None
    lines = line_exact_match(complete, places, console)
    floor_tokens = floor_lines = None
    if floor_megabytes:
        ngrams = floor(tokenizer, corpus, floor_megabytes)
        floor_tokens = bits_per_token(ngrams.log_probs, asked, progress=console)
        floor_lines = line_exact_match(forced_completion(tokenizer, ngrams.log_probs, fill_in=False), places, console)
    return Report(str(model), tokens, worst, lines, floor_tokens, floor_lines)


def tables(report: Report) -> list[Table]:
    """The report for people: the model's figures, then the floor's; shares in per cent."""
    drawn = [_table(report.model, report.tokens, report.lines)]
    if report.worst_phase:
        worst = report.worst_phase["all"]
        drawn[0].caption = f"worst phase: {worst.bits:.2f} bits, top-1 {100 * worst.top1:.1f} %"
    if report.floor_tokens and report.floor_lines:
        drawn.append(_table("n-gram model of the same text", report.floor_tokens, report.floor_lines))
    return drawn


def _table(title: str, tokens: Mapping[str, TokenFigures], lines: Mapping[str, LineFigures]) -> Table:
    table = Table("repository", title=title)
    for heading in ("bits", "95 %", "top-1", "top-5", "line", "start", "mid"):
        table.add_column(heading, justify="right")
    for name, part in tokens.items():
        line = lines[name]
        shares = (part.top1, part.top5, line.exact, line.at_line_start, line.mid_line)
        interval = f"{part.interval[0]:.2f}–{part.interval[1]:.2f}"
        cells = [f"{part.bits:.2f}", interval, *(f"{100 * share:.1f}" for share in shares)]
        table.add_row(name, *cells, end_section=name == REPOSITORIES[-1])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engram_runtime.train.evaluate", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", type=Path, help="a training checkpoint or an exported model folder")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="the corpus (%(default)s)")
    parser.add_argument("--windows", type=int, default=40, help="windows per repository (%(default)s)")
    parser.add_argument("--cursors", type=int, default=60, help="cursors per repository (%(default)s)")
    parser.add_argument(
        "--floor", type=float, default=60.0, help="MB of text for the n-gram model; 0: none (%(default)s)"
    )
    parser.add_argument("--phases", type=int, default=1, help="token phases to try (%(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the figures as JSON")
    given = parser.parse_args()
    console = Console()
    report = evaluate(given.model, given.folder, given.windows, given.cursors, given.floor, given.phases, console)
    console.print(*tables(report))
    if given.json:
        given.json.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
