"""Training on from a model that works, on its user's own code: minutes, not hours, and nothing worse at the end.

What is there is little text and a network that knows much already. So some files are held out, rates are a fraction
of those of a first training, and of all weights on the way those are kept that predict the held-out files best, the
ones from the start included. Then as much of the way is taken back as these files do not mind: between the start and
the end lie weights that know the new code as well and have forgotten less of all other code (Wortsman et al. 2022).
"""

import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.network import DeepseekV4
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import Document
from engram_runtime.train.data import Batch, Batches, Mixture
from engram_runtime.train.duplicates import NearDuplicates, shingles
from engram_runtime.train.loop import (
    Loss,
    Precision,
    autocast_type,
    bits_per_token,
    device_of,
    keep_memory,
    learning_rate,
    loss_function,
    prefetched,
    take_step,
)
from engram_runtime.train.optimizers import optimizers
from engram_runtime.train.questions import code_lines
from engram_runtime.train.sources import reason_against


@dataclass(frozen=True, slots=True)
class OwnCode:
    """The user's files: those to learn from, those to measure on, and how many were left out for what."""

    train: tuple[Document, ...]
    held: tuple[Document, ...]
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])


def own_code(documents: Iterable[Document], held_share: float = 0.15) -> OwnCode:
    """The files worth learning from, `held_share` of their characters held out, whole files of code, by hash: the same
    ones every time. Of files that resemble each other only one is taken, so that none is held out and learned.

    Raises ValueError where there are not two files to tell apart.
    """
    chosen: list[Document] = []
    left_out: Counter[str] = Counter()
    kept = NearDuplicates()
    for document in sorted(documents, key=_hash):
        if reason := _reason_against(document):
            left_out[reason] += 1
        elif not kept.admit(shingles(document.text, document.path)):
            left_out["duplicate"] += 1
        else:
            chosen.append(document)
    held = set(_held(chosen, held_share))
    train = [document for document in chosen if document not in held]
    if not train or not held:
        raise ValueError(
            f"there are {len(chosen)} files of code to learn from: at least two are needed, one of them to measure on"
        )
    in_order = [tuple(sorted(part, key=lambda one: (one.package, one.path))) for part in (train, held)]
    return OwnCode(in_order[0], in_order[1], dict(sorted(left_out.items())))


def _hash(document: Document) -> bytes:
    return blake2b(f"{document.package}/{document.path}".encode(), digest_size=8).digest()


def _reason_against(document: Document) -> str | None:
    """As for the corpus, but tests are code like any other, and the licence is the user's own affair."""
    return reason_against(document.path, document.text, own=True)


def _held(chosen: Sequence[Document], share: float) -> list[Document]:
    total = sum(len(document.text) for document in chosen)
    held: list[Document] = []
    room = share * total
    for document in chosen:
        size = len(document.text)
        # A file may be a little too large, and the first one as large as half of everything, for there must be one.
        if size <= (1.3 * room if held else total / 2) and code_lines(document.text):
            held.append(document)
            room -= size
    return held


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """How a model is trained on. Rates and ways were chosen on a package that is neither in the corpus nor held out."""

    minutes: float = 10.0
    passes: float = 3.0
    """How often the text is gone through at most."""
    rows: int = 2
    length: int = 1024
    seed: int = 0
    mixture: Mixture = field(default_factory=Mixture)
    adam_lr: float = 1.2e-3
    muon_lr: float = 8e-3
    table_lr: float = 1e-2
    balance_rate: float = 1e-4
    clip: float = 1.0
    warmup_steps: int = 8
    decay_share: float = 0.9
    checks: int = 8
    """How often the held-out files are looked at over the whole budget."""
    patience: int = 3
    """After so many checks without a better one the run ends."""
    check_rows: int = 12
    ways: tuple[float, ...] = (0.5, 0.7)
    """Shares of the way from the start to the best weights, shortest first; the first that is good enough is gone."""
    slack: float = 0.01
    """Good enough is what costs at most so many bits a token more than the whole way."""
    device: str = "auto"
    precision: Precision = "auto"
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run stands. `spent`: the share of the budget; `bits`: the loss of this step's batch a token."""

    number: int
    spent: float
    seconds: float
    tokens: int
    bits: float


@dataclass(frozen=True, slots=True)
class Check:
    """A look at the held-out files: bits a token, and whether they are the fewest so far."""

    step: int
    seconds: float
    bits: float
    best: bool


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how a run goes."""

    step: Callable[[Step], None] = lambda _: None
    check: Callable[[Check], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of a run; the first check is of the weights that it began with."""

    checks: tuple[Check, ...]
    last: Step
    interrupted: bool
    way: float
    """The share of the way from the start to the best weights that is gone."""
    bits: float
    """What the held-out files cost there."""

    @property
    def better(self) -> bool:
        """Whether any weights predict the held-out files better than those at the start."""
        return any(check.best for check in self.checks[1:])


def finetune(start: Path, code: OwnCode, out: Path, options: TuneOptions, watch: Watch = Watch()) -> Tuned:
    """Trains on from the checkpoint folder `start` and writes the best weights as the checkpoint folder `out`.

    KeyboardInterrupt ends the run and keeps the best so far. Raises FileNotFoundError without a checkpoint.
    """
    learner = _Learner(start, code, options)
    checks: list[Check] = []
    best: dict[str, Tensor] = {}
    since = 0
    step = Step(0, 0.0, 0.0, 0, math.nan)
    way, least = 1.0, math.inf
    interrupted = False

    def look() -> None:
        nonlocal best, since, least
        bits = learner.held_bits()
        check = Check(step.number, round(step.seconds, 1), bits, bits < least)
        if check.best:
            best, least = learner.weights(), bits
        since = 0 if check.best else since + 1
        checks.append(check)
        watch.check(check)

    began = time.perf_counter()
    try:
        look()
        waiting = time.perf_counter() - began  # what looking takes is not learning's time
        with prefetched(learner.data, 0, 1) as batches:
            while step.spent < 1 and since < options.patience:
                bits = learner.step(next(batches), step)
                tokens = step.tokens + options.rows * options.length
                seconds = time.perf_counter() - began - waiting
                spent = max(seconds / 60 / options.minutes, tokens / learner.most_tokens)
                step = Step(step.number + 1, min(spent, 1.0), seconds, tokens, bits)
                watch.step(step)
                if step.spent * options.checks >= len(checks):
                    stopped = time.perf_counter()
                    look()
                    waiting += time.perf_counter() - stopped
        if any(check.best for check in checks[1:]):
            way, least, best = learner.shortened(best, least)
    except KeyboardInterrupt:
        if not checks:
            raise
        interrupted = True
    tuned = Tuned(tuple(checks), step, interrupted, way, least)
    _write(start, out, best, tuned, code, options)
    return tuned


class _Learner:
    """The network, its optimisers and both kinds of text."""

    def __init__(self, start: Path, code: OwnCode, options: TuneOptions) -> None:
        device = device_of(options.device)
        if device.type == "cpu":
            keep_memory()
            if options.threads:
                torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        config, tokenizer = ModelConfig.read(start / "config.json"), Tokenizer.read(start / "tokenizer.json")
        classes = np.load(start / "engram_classes.npy") if config.engram_layers else np.zeros(config.vocab_size, int)
        engram = EngramHash(config, classes)
        self._options = options
        self._start = start
        self._model = DeepseekV4(config, [engram.row_count(layer) for layer in config.engram_layers])
        self._model.load_state_dict(load_file(start / "weights.safetensors"))
        self._model.to(device)
        self._optimizers: Sequence[Optimizer] = optimizers(
            self._model, options.adam_lr, options.muon_lr, options.table_lr
        )
        low = autocast_type(options.precision, device)
        self._loss: Loss = loss_function(self._model, engram, device, low)
        shape = (tokenizer, options.rows, options.length)
        self.data = Batches(code.train, *shape, options.seed, options.mixture)
        self._held = Batches(code.held, *shape, options.seed + 1, Mixture(excerpt_share=0.0, header_share=1.0))
        self.most_tokens = options.passes * _tokens(code.train, tokenizer)

    def step(self, batch: Batch, now: Step) -> float:
        """Learns a batch; its loss in bits a token."""
        options = self._options
        rate = learning_rate(options, now.number, now.spent)
        loss, _ = take_step(self._model, self._optimizers, self._loss, batch, rate, options.clip, options.balance_rate)
        return loss / math.log(2)

    def held_bits(self) -> float:
        """Of the held-out files; the same places every time."""
        count = max(self._options.check_rows // self._options.rows, 1)
        bits = bits_per_token(self._loss, self._held, count, gradients=False)
        self._model.forget_load()
        return bits

    def shortened(self, weights: dict[str, Tensor], bits: float) -> tuple[float, float, dict[str, Tensor]]:
        """The shortest of the ways from the start to these weights that costs hardly more than their `bits`, what it
        costs, and the weights there."""
        start = load_file(self._start / "weights.safetensors")
        for way in self._options.ways:
            between = {
                name: torch.lerp(start[name], end, way) if end.is_floating_point() else end
                for name, end in weights.items()
            }
            self._model.load_state_dict(between)
            found = self.held_bits()
            if found <= bits + self._options.slack:
                return way, found, between
        return 1.0, bits, weights

    def weights(self) -> dict[str, Tensor]:
        """A copy."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self._model.state_dict().items()}


def _tokens(documents: Sequence[Document], tokenizer: Tokenizer) -> float:
    """About how many there are: of much text a part is counted."""
    part = documents[:: -(-len(documents) // 200)]
    counted = sum(map(len, tokenizer.encode_batch([document.text for document in part])))
    return counted * sum(len(document.text) for document in documents) / sum(len(document.text) for document in part)


def _write(
    start: Path, out: Path, weights: dict[str, Tensor], tuned: Tuned, code: OwnCode, options: TuneOptions
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, out / "weights.safetensors")
    for name in ("config.json", "tokenizer.json", "engram_classes.npy"):
        if (start / name).exists():
            shutil.copyfile(start / name, out / name)
    figures = {
        "steps": tuned.last.number,
        "tokens": tuned.last.tokens,
        "seconds": round(tuned.last.seconds, 1),
        "way": tuned.way,
        "held_out_bits": tuned.bits,
        "files": {"train": len(code.train), "held_out": len(code.held)},
        "checks": [asdict(check) for check in tuned.checks],
        "options": {name: value for name, value in asdict(options).items() if name not in ("device", "threads")},
    }
    (out / "training.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
