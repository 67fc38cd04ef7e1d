"""Learn how far to trust the n-gram memory against a trained model: the `trust` of context/engram_context/prior.json.

    python tests/bench/fit_trust.py --model runtime/engram_runtime/models/default --write PRIOR wheels/*.whl

To be run again after the model was trained anew, on projects that neither the model was trained on nor anything is
measured on, if there are any; a model that knows the projects by heart would be trusted too much.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import numpy as np
from engram_context import prior
from engram_context.ngrams import NgramMemory
from engram_runtime import fim
from engram_runtime.cache import Cache
from engram_runtime.session import Session
from engram_runtime.tokenizer import Tokenizer

sys.path.insert(0, str(Path(__file__).parent))
from projects import Encoded, code_lines, encoded, read_project

_BEFORE, _AFTER = 640, 128


def measure(project: Encoded, tokenizer: Tokenizer, session: Session, cursors: int, seed: int) -> np.ndarray:
    """[N, 5]: longest, top, the memory's probability of the truth, what it left over, the model's probability."""
    chance = random.Random(seed)
    memory = NgramMemory(tokenizer.vocab_size)
    memory.update(project.tokens)
    lines = [(path, line) for path in project.tokens for line in code_lines(project, path)]
    rows: list[tuple[float, ...]] = []
    for path, (start, end) in chance.sample(lines, min(cursors, len(lines))):
        ids = project.tokens[path]
        if chance.random() < 0.5 and end - start > 1:
            start = chance.randrange(start, end)
        view = memory.view(path, ids[:start], ids[end:])
        before = ids[max(0, start - _BEFORE) : start].tolist()
        header = tokenizer.encode(fim.path_header(path))
        prompt = fim.prompt(tokenizer, before, ids[end : end + _AFTER].tolist(), header)
        call = session.call(Cache.empty(session.config), [*prompt, *ids[start : end - 1].tolist()], end - start)
        logits = call.logits.astype(np.float64)
        chances = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
        for at in range(start, end):
            model = float(chances[at - start, ids[at]])
            weighed = view.distribution(ids[:at])
            if weighed is not None:
                given = float(weighed.probabilities[weighed.ids == ids[at]].sum())
                rows.append((weighed.longest, weighed.probabilities.max(), given, weighed.rest, model))
    return np.array(rows)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("projects", nargs="+", type=Path, help="folders, wheels or .tar.gz archives")
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--cursors", type=int, default=40, help="per project")
    arguments.add_argument("--write", type=Path, default=None, help="the prior.json to change")
    options = arguments.parse_args()
    tokenizer = Tokenizer.read(options.model / "tokenizer.json")
    session = Session.open(options.model)
    parts: list[np.ndarray] = []
    for number, path in enumerate(options.projects):
        project = encoded(read_project(path), tokenizer)
        if project.tokens:
            parts.append(measure(project, tokenizer, session, options.cursors, number))
            print(f"{path.name.split('-')[0]}: {len(parts[-1])} tokens", flush=True)
    longest, top, given, rest, model = np.concatenate(parts).T
    claimed = given + rest * model
    trust = prior.learn_trust(longest.astype(np.int64), top.astype(np.float32), claimed, model)
    weight = trust[longest.astype(np.int64), np.searchsorted(prior.TOPS, top, side="right")]
    for name, chances in (
        ("model alone", model),
        ("memory with the model for the rest", claimed),
        ("half and half", (claimed + model) / 2),
        ("learned trust", weight * claimed + (1 - weight) * model),
    ):
        print(f"{name}: {-np.log2(np.maximum(chances, 1e-9)).mean():.3f} bits a token")
    print(np.round(trust, 2))
    if options.write is not None:
        table = prior.load_table()
        about, projects = prior.about_table()
        options.write.write_text(prior.as_json(prior.Table(table.shares, trust), about, projects), encoding="utf-8")


if __name__ == "__main__":
    main()
