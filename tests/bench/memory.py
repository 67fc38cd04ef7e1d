"""How fast the n-gram memory is, and how well it predicts by itself.

    python tests/bench/memory.py PROJECT...

PROJECT is a folder, a wheel or a source archive. Quality is measured at random cursors on lines of code, half of them at
the start of the line and half inside it: the rest of the line is hidden from the memory (with `--hide N`, N more lines as
well) and predicted from the true text before it. Nothing but the project's own text is known: no model, no other code.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from engram_context.memory.matches import MemoryView
from engram_context.memory.ngrams import NgramMemory
from engram_runtime.tokenizer import Tokenizer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))
from projects import DEFAULT_TOKENIZER, Encoded, code_lines, encoded, read_project


def speed(project: Encoded, vocab_size: int, seed: int) -> dict[str, str]:
    chance = random.Random(seed)
    size = sum(len(text.encode()) for text in project.texts.values())
    memory = NgramMemory(vocab_size)
    began = time.process_time()
    memory.update(project.tokens)
    build = time.process_time() - began
    each = memory.bytes / memory.tokens
    paths = [path for path, ids in project.tokens.items() if len(ids) > 500]
    spent: dict[str, list[float]] = {"update": [], "view": [], "next": [], "propose": []}

    def timed(name: str, call: Callable[[], object]) -> None:
        start = time.perf_counter()
        call()
        spent[name].append(time.perf_counter() - start)

    path = chance.choice(paths)
    for turn in range(300):
        if turn % 20 == 0:
            path = chance.choice(paths)
        ids = project.tokens[path][:10_000]
        cut = chance.randrange(50, len(ids) - 20)
        timed("update", lambda ids=ids, path=path: memory.update({path: ids}))
        timed("view", lambda ids=ids, path=path, cut=cut: memory.view(path, ids[:cut], ids[cut + 10 :]))
        view = memory.view(path, ids[:cut], ids[cut + 10 :])
        before = ids[:cut].tolist()
        timed("next", lambda view=view, before=before: view.next(before))
        timed("propose", lambda view=view, before=before: view.propose(before, 8))
    row = {"tokens": f"{memory.tokens:,}", "build MB/s": f"{size / build / 1e6:.0f}"}
    row["bytes/token"] = f"{each:.1f}"
    for name, values in spent.items():
        row[f"{name} µs p50/p95"] = f"{np.median(values) * 1e6:.0f} / {np.quantile(values, 0.95) * 1e6:.0f}"
    return row


def quality(project: Encoded, tokenizer: Tokenizer, cursors: int, hide: int, seed: int) -> dict[str, str]:
    chance = random.Random(seed)
    memory = NgramMemory(tokenizer.vocab_size)
    memory.update(project.tokens)
    counts = sum(np.bincount(ids, minlength=tokenizer.vocab_size) for ids in project.tokens.values())
    unigram = (counts + 0.5) / (counts.sum() + 0.5 * tokenizer.vocab_size)
    lines = {path: code_lines(project, path) for path in project.tokens}
    places = [(path, number) for path, found in lines.items() for number in range(len(found))]
    bits, first, fifth, whole = [], [], [], []
    drafted, accepted = 0, 0
    for path, number in chance.sample(places, min(cursors, len(places))):
        ids = project.tokens[path]
        start, end = lines[path][number]
        if len(whole) % 2 and end - start > 1:
            start = chance.randrange(start + 1, end)
        hidden = lines[path][min(number + hide, len(lines[path]) - 1)][1]
        view = memory.view(path, ids[:start], ids[hidden:])
        for at in range(start, end):
            weighed = view.distribution(ids[:at])
            given, order = 0.0, np.zeros(0, np.int64)
            if weighed is not None:
                order = weighed.ids[np.argsort(-weighed.probabilities, kind="stable")[:5]]
                given = float(weighed.probabilities[weighed.ids == ids[at]].sum())
            bits.append(-np.log2(given + (weighed.rest if weighed is not None else 1.0) * unigram[ids[at]]))
            first.append(len(order) > 0 and order[0] == ids[at])
            fifth.append(ids[at] in order)
        draft = view.propose(ids[:start], 8)
        agree = np.equal(draft, ids[start : start + len(draft)]) if len(ids) >= start + len(draft) else np.zeros(1)
        drafted += len(draft)
        accepted += int(np.logical_and.accumulate(agree).sum()) if len(draft) else 0
        whole.append(greedy(view, ids[:start].tolist(), ids[start:end].tolist(), tokenizer))
    return {
        "cursors": str(len(whole)),
        "top-1 %": f"{100 * np.mean(first):.1f}",
        "top-5 %": f"{100 * np.mean(fifth):.1f}",
        "bits/token": f"{np.mean(bits):.2f}",
        "line exact %": f"{100 * np.mean(whole):.1f}",
        "at line start": f"{100 * np.mean(whole[::2]):.1f}",
        "inside a line": f"{100 * np.mean(whole[1::2]):.1f}",
        "draft accepted": f"{accepted / max(drafted, 1):.2f}",
    }


def greedy(view: MemoryView, before: list[int], truth: list[int], tokenizer: Tokenizer) -> bool:
    """Whether always taking the likeliest token spells the rest of the line and then ends it."""
    wanted = tokenizer.decode(truth)
    made: list[int] = []
    while len(made) < len(truth) + 8:
        answer = view.next(before + made, 1)
        if answer is None:
            return False
        token = int(answer.ids[0])
        if b"\n" in tokenizer.token_bytes(token):
            break
        made.append(token)
        if not wanted.startswith(tokenizer.decode(made)):
            return False
    return tokenizer.decode(made) == wanted


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("projects", nargs="+", type=Path)
    arguments.add_argument("--tokenizer", type=Path, default=DEFAULT_TOKENIZER)
    arguments.add_argument("--cursors", type=int, default=300)
    arguments.add_argument("--hide", type=int, default=0, help="lines hidden after the cursor's own")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    tokenizer = Tokenizer.read(options.tokenizer)
    rows: list[tuple[str, dict[str, str]]] = []
    for path in options.projects:
        project = encoded(read_project(path), tokenizer)
        if not project.tokens:
            sys.exit(f"{path} has no Python files that can be read")
        row = speed(project, tokenizer.vocab_size, options.seed)
        row |= quality(project, tokenizer, options.cursors, options.hide, options.seed)
        rows.append((path.name.split("-")[0], row))
    table = Table(title="n-gram memory alone")
    table.add_column("")
    for name, _ in rows:
        table.add_column(name, justify="right")
    for key in rows[0][1]:
        table.add_row(key, *(row[key] for _, row in rows))
    Console().print(table)


if __name__ == "__main__":
    main()
