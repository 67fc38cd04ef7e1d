"""The training loop: `train(options)` writes a checkpoint folder that `engram_runtime.export` reads at any time.

A checkpoint folder holds config.json, weights.safetensors, tokenizer.json, engram_classes.npy, training.json (the
curve) and state.pt (everything `resume` needs, in one file, so that it is whole or not there). The learning rate
follows the share of the budget spent, be that minutes or tokens, and ends at zero when the budget does.
"""

import ctypes
import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.network import DeepseekV4
from engram_runtime.tokenizer import Tokenizer, engram_classes
from engram_runtime.train.corpus import default_folder, documents
from engram_runtime.train.data import Batch, Batches, Mixture
from engram_runtime.train.loss import token_loss
from engram_runtime.train.optimizers import optimizers

Precision = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What `train` does. Give `minutes` or `tokens`; the first to run out ends the run."""

    out: Path
    corpus: Path = field(default_factory=default_folder)
    tokenizer: Path | None = None
    """Default: tokenizer.json in the corpus folder."""
    config: ModelConfig = field(default_factory=ModelConfig)
    minutes: float | None = 60.0
    tokens: int | None = None
    start_from: Path | None = None
    """A checkpoint folder whose weights (and shape) to begin with."""
    resume: bool = False
    """Go on with the run in `out` where its last checkpoint left it."""
    rows: int = 8
    length: int = 512
    seed: int = 0
    mixture: Mixture = field(default_factory=Mixture)
    adam_lr: float = 3e-3
    muon_lr: float = 0.02
    table_lr: float = 1e-2
    balance_rate: float = 1e-3
    clip: float = 1.0
    warmup_steps: int = 40
    decay_share: float = 0.6
    """The last share of the budget, over which the learning rate falls to zero."""
    device: str = "auto"
    precision: Precision = "auto"
    compile: bool = False
    threads: int = 0
    """CPU threads; 0 leaves torch's choice."""
    compact: bool = False
    """Weights are written as bfloat16, for a checkpoint that has to travel: to export or begin with, half the size."""
    validation_rows: int = 32
    validate_minutes: float = 5.0
    checkpoint_minutes: float = 4.0


@dataclass(frozen=True, slots=True)
class Point:
    """One validation. Losses are bits per token: `train_bits` a mean since the last point, `validation_bits` of whole
    windows, `middle_bits` of fill-in-the-middle rows."""

    step: int
    tokens: int
    seconds: float
    train_bits: float
    validation_bits: float
    middle_bits: float


@dataclass(slots=True)
class Run:
    """Where a run stands: what changes from step to step and must survive a stop."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    curve: list[Point] = field(default_factory=list)


def train(options: TrainOptions, console: Console | None = None) -> Run:
    """Trains until the budget is spent, writing checkpoints to options.out.

    Raises ValueError on options that cannot work, FileNotFoundError where the corpus or a checkpoint is missing.
    """
    console = console or Console(stderr=True)
    _check(options)
    device = device_of(options.device)
    low = autocast_type(options.precision, device)
    if device.type == "cpu":
        keep_memory()
        if options.threads:
            torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)

    config, tokenizer = _config(options), Tokenizer.read(_tokenizer_path(options))
    classes = _classes(tokenizer, config.vocab_size)
    engram = EngramHash(config, classes)
    model = DeepseekV4(config, [engram.row_count(layer) for layer in config.engram_layers])
    if options.start_from is not None:
        model.load_state_dict(load_file(options.start_from / "weights.safetensors"))
    model.to(device)
    found = optimizers(model, options.adam_lr, options.muon_lr, options.table_lr)
    run = _load_state(options.out / "state.pt", model, found, device) if options.resume else Run()
    if options.compile:
        model.compile_parts()
    console.print(_describe(model, device, low), highlight=False)

    shape = (tokenizer, options.rows, options.length)
    data = Batches(list(documents(options.corpus, "train")), *shape, options.seed, options.mixture)
    held = list(documents(options.corpus, "validation"))
    whole = Batches(held, *shape, 1, Mixture(fim_share=0.0, most_padding=0))
    middles = Batches(held, *shape, 2, Mixture(fim_share=1.0))
    loss_of = loss_function(model, engram, device, low)

    def bits(batches: Batches) -> float:
        return bits_per_token(loss_of, batches, max(options.validation_rows // options.rows, 1), options.compile)

    def validate() -> None:
        trained = run.loss_sum / max(run.loss_count, 1) / math.log(2)
        point = Point(run.step, run.tokens, round(run.seconds, 1), trained, bits(whole), bits(middles))
        model.forget_load()
        run.curve.append(point)
        run.loss_sum, run.loss_count = 0.0, 0
        report.line(
            f"step {point.step}  {point.tokens / 1e6:.2f}M tokens  {point.seconds / 60:.1f} min"
            f"  bits/token: train {point.train_bits:.3f}  validation {point.validation_bits:.3f}"
            f"  middle {point.middle_bits:.3f}"
        )

    def checkpoint() -> None:
        save_checkpoint(options, model, found, run, tokenizer, classes)

    # One thread makes about 250 thousand tokens a second: a GPU needs more, a CPU leaves it idle.
    workers = 1 if device.type == "cpu" else min(os.cpu_count() or 1, 8)
    validated = saved = run.seconds
    compiling = options.compile
    with _Report(console) as report, prefetched(data, run.step, workers) as batches:
        last = time.perf_counter()
        while (spent := _spent(options, run)) < 1:
            batch = next(batches)
            rate = learning_rate(options, run.step, spent)
            loss, norm = take_step(model, found, loss_of, batch, rate, options.clip, options.balance_rate)
            if math.isfinite(loss) and math.isfinite(norm):
                run.loss_sum += loss
                run.loss_count += 1
            else:
                report.line(f"step {run.step}: loss {loss}, gradient norm {norm}: step left out")
            run.step += 1
            run.tokens += batch.weights.size
            now = time.perf_counter()
            # The first step compiles: counted, a short budget would be spent on it.
            elapsed = 0.0 if compiling else now - last
            compiling = False
            run.seconds += elapsed
            last = now
            report.step(
                run, loss / math.log(2), norm, batch.weights.size / elapsed if elapsed else 0.0, _spent(options, run)
            )
            if run.seconds - validated >= options.validate_minutes * 60:
                validated = run.seconds
                validate()
            if run.seconds - saved >= options.checkpoint_minutes * 60 or run.step == 1:
                saved = run.seconds
                checkpoint()
        validate()
        checkpoint()
    return run


Loss = Callable[[Batch], tuple[Tensor, Tensor, Tensor]]
"""batch -> mean loss with gradients (alignment of the indexers included), each token's loss [T], its weight [T]."""


def take_step(
    model: DeepseekV4,
    found: Sequence[Optimizer],
    loss_of: Loss,
    batch: Batch,
    rate: float,
    clip: float,
    balance_rate: float,
) -> tuple[float, float]:
    """One step of the optimisers `found` at `rate`, a share of their full learning rates.

    Returns the loss in nats and the gradient's norm; where either is not finite no parameter was changed.
    """
    total, _, _ = loss_of(batch)
    total.backward()
    dense = [parameter for name, parameter in model.named_parameters() if not name.endswith("engram.table.weight")]
    norm = float(nn.utils.clip_grad_norm_(dense, clip))
    loss = float(total.detach())
    if math.isfinite(loss) and math.isfinite(norm):
        for optimizer in found:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * rate
            optimizer.step()
    for optimizer in found:
        optimizer.zero_grad(set_to_none=True)
    model.balance(balance_rate)
    return loss, norm


def loss_function(model: DeepseekV4, engram: EngramHash, device: torch.device, low: torch.dtype | None) -> Loss:
    """How a batch's loss is computed: on `device`, multiplying in the type `low` (None: float32)."""

    def loss_of(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        inputs, targets = batch.tokens[:, :-1].copy(), batch.tokens[:, 1:].copy()
        rows = {
            layer: torch.from_numpy(engram.batch_rows(inputs, layer)).to(device) for layer in model.config.engram_layers
        }
        weights = torch.from_numpy(batch.weights).to(device).flatten()
        shares = weights / weights.sum().clamp_min(1)
        with torch.autocast(device.type, dtype=low or torch.bfloat16, enabled=low is not None):
            hidden, alignment = model.trunk(torch.from_numpy(inputs).to(device), rows)
            total, losses = token_loss(
                hidden.flatten(0, 1), model.head_weight, torch.from_numpy(targets).to(device).flatten(), shares
            )
        # The alignment trains the indexers alone: it is no part of the loss that is reported.
        return total + alignment - alignment.detach(), losses, weights

    return loss_of


def bits_per_token(loss_of: Loss, batches: Batches, count: int, gradients: bool) -> float:
    """The mean over the first `count` batches. `gradients` stay on for compiled code: it would compile again."""
    total = tokens = 0.0
    with torch.set_grad_enabled(gradients):
        for number in range(count):
            _, losses, weights = loss_of(batches.batch(number))
            total += float((losses * weights).sum())
            tokens += float(weights.sum())
    return total / max(tokens, 1.0) / math.log(2)


def _spent(options: TrainOptions, run: Run) -> float:
    """Share of the budget that is used up."""
    shares = [run.seconds / 60 / options.minutes if options.minutes else 0.0]
    shares.append(run.tokens / options.tokens if options.tokens else 0.0)
    return max(shares)


class Schedule(Protocol):
    """How the learning rate goes over a run."""

    @property
    def warmup_steps(self) -> int: ...

    @property
    def decay_share(self) -> float:
        """The last share of the budget, over which the rate falls to zero."""
        ...


def learning_rate(options: Schedule, step: int, spent: float) -> float:
    """Learning rate as a share of its full value: warm-up by steps, constant, then linearly to zero."""
    warm = min((step + 1) / max(options.warmup_steps, 1), 1.0)
    return warm * min((1 - spent) / max(options.decay_share, 1e-9), 1.0)


@contextmanager
def prefetched(data: Batches, first: int, workers: int) -> Generator[Iterator[Batch]]:
    """The batches from number `first` on, the next ones always in the making on threads of their own."""

    def batches(pool: ThreadPoolExecutor) -> Iterator[Batch]:
        ahead = deque(pool.submit(data.batch, first + number) for number in range(2 * workers))
        for number in count(first + 2 * workers):
            batch = ahead.popleft().result()
            ahead.append(pool.submit(data.batch, number))
            yield batch

    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    try:
        yield batches(pool)
    finally:
        pool.shutdown(cancel_futures=True)


class _Report:
    """A live bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("step {task.fields[step]}"),
            BarColumn(),
            TextColumn("{task.fields[loss]:.2f} bits  {task.fields[speed]:,.0f} tokens/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not self._live,
        )
        self._task = self._progress.add_task("train", total=1.0, step=0, loss=0.0, speed=0.0)
        self._last = 0.0

    def __enter__(self) -> "_Report":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def line(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def step(self, run: Run, bits: float, norm: float, speed: float, spent: float) -> None:
        self._progress.update(self._task, completed=spent, step=run.step, loss=bits, speed=speed)
        if not self._live and time.monotonic() - self._last > 30:
            self._last = time.monotonic()
            self.line(
                f"step {run.step}  {100 * spent:.0f} %  loss {bits:.3f} bits  norm {norm:.2f}  {speed:,.0f} tokens/s"
            )


def _describe(model: DeepseekV4, device: torch.device, low: torch.dtype | None) -> str:
    total = sum(parameter.numel() for parameter in model.parameters())
    tables = sum(p.numel() for name, p in model.named_parameters() if "engram.table" in name)
    return (
        f"{total / 1e6:.1f}M parameters, {tables / 1e6:.1f}M of them in Engram tables; {device}, {low or torch.float32}"
    )


def _check(options: TrainOptions) -> None:
    if not options.minutes and not options.tokens:
        raise ValueError("there is no budget: give minutes or tokens")
    if options.length < 32 or options.rows < 1:
        raise ValueError(f"rows {options.rows} of length {options.length}: at least 1 of length 32 is needed")
    if options.resume and not (options.out / "state.pt").exists():
        raise FileNotFoundError(f"{options.out} holds no run to resume (no state.pt): start without resume")


def device_of(name: str) -> torch.device:
    """The device of that name; of "auto" the best one here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return torch.device(name)


def autocast_type(precision: Precision, device: torch.device) -> torch.dtype | None:
    """bfloat16 where the hardware multiplies it faster than float32, or where it was asked for."""
    if precision == "bf16":
        return torch.bfloat16
    if precision == "fp32":
        return None
    if device.type == "cuda":
        return torch.bfloat16
    native = device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if native else None


def keep_memory() -> None:
    """Tells glibc to keep freed memory: fresh pages for every activation cost a CPU run a third of its time."""
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another libc
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 2**26)
    mallopt(mmap_max, 0)


def _tokenizer_path(options: TrainOptions) -> Path:
    if options.tokenizer is not None:
        return options.tokenizer
    before = options.out if options.resume else options.start_from
    return (before or options.corpus) / "tokenizer.json"


def _config(options: TrainOptions) -> ModelConfig:
    """The shape: that of the checkpoint the run begins with, or the options'."""
    before = options.out if options.resume else options.start_from
    return ModelConfig.read(before / "config.json") if before is not None else options.config


def _classes(tokenizer: Tokenizer, vocab_size: int) -> np.ndarray:
    """engram_classes, with classes of their own for ids that the model has and the tokenizer has not."""
    classes = engram_classes(tokenizer)
    if len(classes) > vocab_size:
        raise ValueError(f"the tokenizer has {len(classes)} tokens, the model only {vocab_size}: set vocab_size")
    extra = np.arange(vocab_size - len(classes), dtype=classes.dtype) + (classes.max() + 1)
    return np.concatenate((classes, extra))


def save_checkpoint(
    options: TrainOptions,
    model: DeepseekV4,
    found: Sequence[Optimizer],
    run: Run,
    tokenizer: Tokenizer,
    classes: np.ndarray,
) -> None:
    """Writes the checkpoint folder; each file is replaced in one go."""
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if options.compact:
        weights = {name: w.bfloat16() if w.is_floating_point() else w for name, w in weights.items()}
    figures = {
        "step": run.step,
        "tokens": run.tokens,
        "seconds": round(run.seconds, 1),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "curve": [asdict(point) for point in run.curve],
        "options": {name: value for name, value in asdict(options).items() if name not in _PRIVATE},
    }
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in found],
        "run": asdict(run),
    }
    _replace(out / "config.json", model.config.write)
    _replace(out / "tokenizer.json", lambda path: path.write_text(tokenizer.to_json(), encoding="utf-8"))
    _replace(out / "engram_classes.npy", lambda path: _write_array(path, classes))
    _replace(out / "weights.safetensors", lambda path: save_file(weights, path))
    _replace(out / "training.json", lambda path: path.write_text(json.dumps(figures, indent=1) + "\n", "utf-8"))
    _replace(out / "state.pt", lambda path: torch.save(state, path))


_PRIVATE = frozenset({"out", "corpus", "tokenizer", "start_from", "resume", "config", "threads", "device"})
"""Options that say something of the machine, not of the model."""


def _write_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Writes beside `path` and moves it there in one go, so that a reader never sees half a file."""
    part = path.with_name(f"{path.name}.part")
    write(part)
    part.replace(path)


def _load_state(path: Path, model: DeepseekV4, found: Sequence[Optimizer], device: torch.device) -> Run:
    state = torch.load(path, map_location=device, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, values in zip(found, state["optimizers"], strict=True):
        optimizer.load_state_dict(values)
    fields: dict[str, Any] = state["run"]
    fields["curve"] = [Point(**point) for point in fields["curve"]]
    return Run(**fields)
