"""Learn how far to trust the n-gram memory beside a model, token by token: gate.json in the model's folder.

    pip download --no-deps --dest wheels cachetools voluptuous tinydb mako ...
    python tests/bench/fit_gate.py --model runtime/engram_runtime/models/default --write wheels/*.whl

To be run again after the model was trained anew, on projects that neither the model was trained on nor anything is
measured on: a model that knows the projects by heart would be trusted too much. Each project is its own memory, without
the hidden line. `--prior context/engram_context/memory/prior.json` also learns the table that stands in where no gate fits.

Reported in bits a token, for projects left out of the fit, a quarter at a time: model, memory with the model for what it
leaves over, the table's trust, and the gate's; and how often the likeliest token is right.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from engram_context.memory import prior
from engram_context.memory.ngrams import NgramMemory
from engram_runtime import fim
from engram_runtime.cache import Cache
from engram_runtime.gate import FILE, Gate, Glance, features
from engram_runtime.session import Session
from engram_runtime.tokenizer import Tokenizer

sys.path.insert(0, str(Path(__file__).parent))
from projects import Encoded, code_lines, encoded, read_project

_BEFORE, _AFTER = 512, 128
_HIDDEN = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """What was said before each of N hidden tokens."""

    features: np.ndarray  # [N, F]
    model: np.ndarray  # [N]: the model's probability of the truth
    claimed: np.ndarray  # [N]: the memory's, with the model for what it leaves over
    longest: np.ndarray  # [N]
    top: np.ndarray  # [N]
    # The best of the tokens that the memory names and the best other one, as the two sides of the mixture see them:
    # (model, claimed) of whichever token wins is decided by the weight, so all that could win are kept.
    rivals: np.ndarray  # [N, R, 2]: probabilities by model and by memory (as claimed), the truth in row 0


def measure(project: Encoded, tokenizer: Tokenizer, session: Session, cursors: int, seed: int) -> Seen | None:
    chance = random.Random(seed)
    memory = NgramMemory(tokenizer.vocab_size)
    memory.update(project.tokens)
    lines = [(path, line) for path in project.tokens for line in code_lines(project, path)]
    rows: list[tuple[np.ndarray, float, float, int, float, np.ndarray]] = []
    for path, (start, end) in chance.sample(lines, min(cursors, len(lines))):
        ids = project.tokens[path]
        if chance.random() < 0.5 and end - start > 1:
            start = chance.randrange(start, end)
        view = memory.view(path, ids[:start], ids[end:])
        before = ids[max(0, start - chance.randrange(_BEFORE // 2, _BEFORE)) : start].tolist()
        header = tokenizer.encode(fim.path_header(path))
        prompt = fim.prompt(tokenizer, before, ids[end : end + _AFTER].tolist(), header)
        call = session.call(Cache.empty(session.config), [*prompt, *ids[start : end - 1].tolist()], end - start)
        logits = call.logits.astype(np.float64)
        logs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        for at in range(start, end):
            said = view.next(ids[:at])
            if said is None:
                continue
            row, truth = logs[at - start], int(ids[at])
            p = np.exp(row)
            top = int(p.argmax())
            glance = Glance(top, float(p[top]), -float(p @ row), p[said.ids])
            rest = 1.0 - float(said.chances.sum())
            claimed = rest * p
            claimed[said.ids] += said.chances
            rivals = [truth, top, *(int(i) for i in said.ids[:4] if i != truth)]
            found = features(glance, said)
            pairs = np.zeros((6, 2))
            for n, token in enumerate(rivals[:6]):
                pairs[n] = p[token], claimed[token]
            if top == truth:
                pairs[1] = 0.0
            longest = int(said.evidence[0])
            rows.append((found, float(p[truth]), float(claimed[truth]), longest, float(said.chances[0]), pairs))
    return Seen(*(np.array(column) for column in zip(*rows, strict=True))) if rows else None


def joined(parts: list[Seen]) -> Seen:
    return Seen(*(np.concatenate([getattr(part, name) for part in parts]) for name in Seen.__dataclass_fields__))


def learn(seen: Seen, steps: int = 1500, seed: int = 0) -> Gate:
    """The gate under which the true tokens are likeliest."""
    torch.manual_seed(seed)
    x = torch.tensor(seen.features, dtype=torch.float32)
    middle, spread = x.mean(0), x.std(0).clamp_min(1e-3)
    x = ((x - middle) / spread).clamp(-4, 4)
    model, claimed = (torch.tensor(values, dtype=torch.float32) for values in (seen.model, seen.claimed))
    inner = torch.nn.Linear(x.shape[1], _HIDDEN)
    out = torch.nn.Linear(_HIDDEN, 1)
    parameters = [*inner.parameters(), *out.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (4096,))
        weight = torch.sigmoid(out(torch.tanh(inner(x[rows])))[:, 0])
        loss = -torch.log((1 - weight) * model[rows] + weight * claimed[rows] + 1e-9).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    arrays = (middle, spread, inner.weight, inner.bias, out.weight[0])
    return Gate(*(array.detach().numpy().copy() for array in arrays), out.bias.item())


def weights(gate: Gate, seen: Seen) -> np.ndarray:
    x = np.clip((seen.features - gate.middle) / gate.spread, -4, 4)
    return 1 / (1 + np.exp(-(np.tanh(x @ gate.inner.T + gate.inner_bias) @ gate.out + gate.out_bias)))


def trusted(table: np.ndarray, seen: Seen) -> np.ndarray:
    return table[seen.longest, np.searchsorted(prior.TOPS, seen.top, side="right")]


def figures(weight: np.ndarray | float, seen: Seen) -> tuple[float, float]:
    """Bits a token, and how often the truth beats every rival."""
    chances = weight * seen.claimed + (1 - weight) * seen.model
    w = np.broadcast_to(weight, seen.model.shape)[:, None]
    rivals = (1 - w) * seen.rivals[..., 0] + w * seen.rivals[..., 1]
    right = rivals[:, 0] > rivals[:, 1:].max(1)
    return float(-np.log2(np.maximum(chances, 1e-9)).mean()), float(right.mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("projects", nargs="+", type=Path, help="folders, wheels or .tar.gz archives")
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--cursors", type=int, default=120, help="per project")
    arguments.add_argument("--write", action="store_true", help="write gate.json into the model's folder")
    arguments.add_argument("--prior", type=Path, help="the prior.json whose trust to learn as well")
    options = arguments.parse_args()
    tokenizer = Tokenizer.read(options.model / "tokenizer.json")
    session = Session.open(options.model)
    parts: list[Seen] = []
    names: list[str] = []
    for number, path in enumerate(options.projects):
        project = encoded(read_project(path), tokenizer)
        part = measure(project, tokenizer, session, options.cursors, number) if project.tokens else None
        if part is not None:
            parts.append(part)
            names.append(path.name.split("-")[0])
    outcomes: dict[str, list[tuple[int, float, float]]] = {}
    for quarter in range(4):
        fitted = joined([part for n, part in enumerate(parts) if n % 4 != quarter])
        left = joined([part for n, part in enumerate(parts) if n % 4 == quarter])
        table = prior.learn_trust(
            fitted.longest.astype(np.int64), fitted.top.astype(np.float32), fitted.claimed, fitted.model
        )
        for name, weight in (
            ("model alone", 0.0),
            ("memory, the model for the rest", 1.0),
            ("table", trusted(table, left)),
            ("gate", weights(learn(fitted), left)),
        ):
            outcomes.setdefault(name, []).append((len(left.model), *figures(weight, left)))
    for name, found in outcomes.items():
        count = sum(n for n, _, _ in found)
        bits, right = (sum(n * row[k] for n, *row in found) / count for k in (0, 1))
        print(f"{name:32} {bits:.3f} bits a token, {100 * right:.1f} % right, {count} tokens", flush=True)
    everything = joined(parts)
    if options.write:
        about = (
            f"Trust in the project memory beside this model, learned by tests/bench/fit_gate.py from {len(everything.model)}"
            f" tokens of {', '.join(sorted(names, key=str.lower))}"
        )
        learn(everything, steps=3000).write(options.model / FILE, about)
    if options.prior is not None:
        trust = prior.learn_trust(
            everything.longest.astype(np.int64),
            everything.top.astype(np.float32),
            everything.claimed,
            everything.model,
        )
        table, (about, projects) = prior.load_table(), prior.about_table()
        options.prior.write_text(prior.as_json(prior.Table(table.shares, trust), about, projects), encoding="utf-8")


if __name__ == "__main__":
    main()
