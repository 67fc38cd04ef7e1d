"""Learn the shares in context/engram_context/memory/prior.json.

    pip download --no-deps --dest wheels requests urllib3 marshmallow boltons networkx werkzeug tornado ...
    python tests/bench/fit_prior.py --write context/engram_context/memory/prior.json wheels/*.whl

Each project is its own memory. At random places in its code the rest of the function's file is kept and the text from
the place to a few lines further is hidden, exactly as for a cursor in an open document; every token of the line is then
predicted from the true text before it. The projects given here must not be ones that anything is measured on.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from engram_context.memory import prior
from engram_context.memory.ngrams import NgramMemory
from engram_runtime.tokenizer import Tokenizer
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from projects import DEFAULT_TOKENIZER, Encoded, code_lines, encoded, read_project


@dataclass(frozen=True, slots=True)
class Samples:
    buckets: NDArray[np.int64]  # [N, LEVELS]
    truths: NDArray[np.float32]  # [N, LEVELS]
    floor: NDArray[np.float32]  # [N]


def samples_of(project: Encoded, vocab_size: int, cursors: int, seed: int) -> Samples:
    """Every token of `cursors` random line rests, with what each level of the memory said of it."""
    chance = random.Random(seed)
    memory = NgramMemory(vocab_size)
    memory.update(project.tokens)
    unigrams = sum(np.bincount(ids, minlength=vocab_size) for ids in project.tokens.values())
    unigram = (unigrams + 0.5) / (unigrams.sum() + 0.5 * vocab_size)
    lines = [(path, line) for path in project.tokens for line in code_lines(project, path)]
    buckets, truths, floor = [], [], []
    for path, (start, end) in chance.sample(lines, min(cursors, len(lines))):
        ids = project.tokens[path]
        if chance.random() < 0.5 and end - start > 1:
            start = chance.randrange(start, end)
        # Hide what an author has not written yet: this line, and often a few lines more.
        hidden = end + (0 if chance.random() < 0.5 else chance.randrange(1, 60))
        view = memory.view(path, ids[:start], ids[hidden:])
        for at in range(start, end):
            found = view.find(ids[:at])
            if found is None:
                continue
            levels = prior.count_levels(found.tokens, found.lengths, found.scopes, found.weights, vocab_size)
            column = np.flatnonzero(levels.ids == ids[at])
            hit = levels.counts[:, column[0]] if len(column) else np.float32(0)
            above = (0, prior.LEVELS - len(levels.totals))
            buckets.append(np.pad(np.where(levels.totals > 0, levels.buckets, -1), above, constant_values=-1))
            truths.append(np.pad(hit / np.maximum(levels.totals, 1e-9), above))
            floor.append(unigram[ids[at]])
    return Samples(np.array(buckets), np.array(truths, np.float32), np.array(floor, np.float32))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("projects", nargs="+", type=Path, help="folders, wheels or .tar.gz archives")
    arguments.add_argument("--tokenizer", type=Path, default=DEFAULT_TOKENIZER)
    arguments.add_argument("--cursors", type=int, default=400, help="per project")
    arguments.add_argument("--write", type=Path, default=None)
    options = arguments.parse_args()
    tokenizer = Tokenizer.read(options.tokenizer)
    parts: list[Samples] = []
    names: list[str] = []
    for number, path in enumerate(options.projects):
        project = encoded(read_project(path), tokenizer)
        if sum(map(len, project.tokens.values())) < 20_000:
            continue
        parts.append(samples_of(project, tokenizer.vocab_size, options.cursors, number))
        names.append(path.name.split("-")[0])
        print(f"{names[-1]}: {len(parts[-1].floor)} tokens", flush=True)
    buckets = np.concatenate([p.buckets for p in parts])
    truths = np.concatenate([p.truths for p in parts])
    floor = np.concatenate([p.floor for p in parts])
    shares = prior.learn_shares(buckets, truths, floor)
    share = np.where(buckets >= 0, shares[np.arange(prior.LEVELS), np.maximum(buckets, 0)], 0.0)
    likely = floor.astype(np.float64)
    for level in range(prior.LEVELS):
        likely = (1 - share[:, level]) * likely + share[:, level] * truths[:, level]
    print(f"{len(likely)} tokens, {-np.log2(likely).mean():.3f} bits a token on what was learned from")
    if options.write is not None:
        # Without a model to weigh it against: the memory is trusted more the surer it is.
        sure = 0.25 + 0.7 * np.append(prior.TOPS, 1.0)
        trust = np.broadcast_to(sure.astype(np.float32), (len(prior.LENGTHS), len(sure)))
        about = "learned by tests/bench/fit_prior.py"
        options.write.write_text(prior.as_json(prior.Table(shares, trust), about, names), encoding="utf-8")


if __name__ == "__main__":
    main()
