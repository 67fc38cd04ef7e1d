"""`engram-ls train --from default PATH… --out MODELFOLDER`: a model trained on, on the user's own repositories."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from engram_runtime.engine import OnnxEngine
from engram_runtime.models import default_model
from engram_runtime.session import ModelError
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from engram_lsp.cli.extra import training_tools
from engram_lsp.cli.terminal import UserError, notes, out, print_json, progress
from engram_lsp.coding import coding_of
from engram_lsp.evaluation.ground import ArmName
from engram_lsp.own_code import Comparison, compare, places, sources, write

if TYPE_CHECKING:
    from engram_runtime.train.finetune import Check, OwnCode, Step, Tuned

PLACES = 100
_WRITTEN = ("config.json", "tokenizer.json", "model.json")
"""What export writes of a model folder's JSON files. The others are about the model, and hold for one trained on."""

_ARMS: dict[ArmName, str] = {"model": "model alone", "fused": "with the project memory"}
_FIGURES = {
    "bits": ("bits a token", "{:.2f}"),
    "top1": ("next token, first choice", "{:.1%}"),
    "exact": ("rest of the line, exact", "{:.1%}"),
}


def run(options: argparse.Namespace, minutes: float) -> int:
    start, folder = _start(options.start_from), options.out.expanduser()
    _check_out(folder, start)
    with training_tools():
        code = _read(options.paths)
    asked = places(code.held, options.places)
    if not any(asked.values()):
        raise UserError("the files that were held out have no code to measure on: add more code")
    _say(_about(code))
    with TemporaryDirectory(prefix="engram-train-", ignore_cleanup_errors=True) as work, training_tools():
        tuned = _trained(start, code, Path(work), options, minutes)
        if not tuned.better:
            return _nothing_learned(tuned, start, options.json)
        _exported(start, code, Path(work), folder, options.json)
    _say("measuring on the held-out files, before and after")
    try:
        with _opened(start) as before, _opened(folder) as after, _measuring(asked, options.json) as tick:
            coding = coding_of(folder / "tokenizer.json")
            comparison = compare(code.train, asked, (before, after), before.tokenizer, coding, tick)
    except KeyboardInterrupt:
        _say(f"stopped before it was measured; the model is in {folder}")
        raise
    _report(code, tuned, comparison, start, folder, options.json)
    return 0 if comparison.gained else 1


def _start(given: str | None) -> Path:
    if given in (None, "default"):
        return default_model()
    folder = Path(given).expanduser()
    if (folder / "weights.safetensors").exists() and not (folder / "model.onnx").exists():
        raise UserError(f"{folder} is a checkpoint: on your own code a model is trained on; see engram-ls export")
    if not (folder / "model.onnx").exists():
        raise UserError(f'{folder} is not a model folder: name one, or "default" for the model in the package')
    return folder


def _check_out(folder: Path, start: Path) -> None:
    """What would fail after minutes of training is told before it."""
    if folder.resolve() in (start.resolve(), default_model().resolve()):
        raise UserError(f"{folder} is the model to begin with, which must stay: choose another --out")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder for the model")
    if folder.exists() and any(folder.iterdir()) and not (folder / "model.json").exists():
        raise UserError(f"{folder} holds other things than a model, which would be lost: choose another --out")


def _read(paths: list[Path]) -> OwnCode:
    from engram_runtime.train.finetune import own_code

    for path in paths:
        if not path.expanduser().is_dir():
            raise UserError(f"{path} is not a folder: name folders of your own code")
    return own_code(sources(path.expanduser() for path in paths))


def _about(code: OwnCode) -> str:
    sizes = [sum(len(document.text) for document in part) / 1000 for part in (code.train, code.held)]
    said = f"{len(code.train)} files to learn from ({sizes[0]:,.0f} kB), {len(code.held)} held out ({sizes[1]:,.0f} kB)"
    left_out = ", ".join(f"{count} {reason}" for reason, count in code.left_out.items())
    return said + (f"; left out: {left_out}" if left_out else "")


def _trained(start: Path, code: OwnCode, work: Path, options: argparse.Namespace, minutes: float) -> Tuned:
    from engram_runtime.recover import recover
    from engram_runtime.train.finetune import TuneOptions, Watch, finetune

    recover(start, work / "start")
    chosen = TuneOptions(minutes=minutes, seed=options.seed, device=options.device, threads=options.threads)
    with _Shown() as shown:
        tuned = finetune(work / "start", code, work / "tuned", chosen, Watch(shown.step, shown.check))
    if tuned.better:
        _say(f"kept: {tuned.way:.0%} of the way from the start, {tuned.bits:.3f} bits a token")
    if tuned.interrupted:
        _say("stopped: going on with the best so far (once more ends everything)")
    return tuned


def _exported(start: Path, code: OwnCode, work: Path, folder: Path, quiet: bool) -> None:
    from engram_runtime.export import export

    write(code.train, work / "code")
    made = folder.absolute().with_name(f"{folder.absolute().name}.new")
    shutil.rmtree(made, ignore_errors=True)
    try:
        with progress("writing the model", quiet=quiet) as advance:
            export(work / "tuned", made, "int8", calibration=work / "code", progress=advance)
        for file in start.glob("*.json"):
            if file.name not in _WRITTEN:
                shutil.copyfile(file, made / file.name)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    try:
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)
    except OSError as problem:  # a server has the files of the old one open, on Windows
        raise UserError(f"{folder} cannot be replaced ({problem}): the new model is in {made}") from problem


@contextmanager
def _opened(folder: Path) -> Generator[OnnxEngine]:
    try:
        engine = OnnxEngine.open(folder)
    except (ModelError, OSError) as problem:
        raise UserError(str(problem)) from problem
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def _measuring(asked: dict[str, Any], quiet: bool) -> Generator[Callable[[], None]]:
    total, done = sum(map(len, asked.values())), 0

    with progress("measuring", quiet=quiet) as advance:

        def tick() -> None:
            nonlocal done
            done += 1
            advance(done, total, "")

        yield tick


@dataclass(slots=True)
class _Shown:
    """A live bar on a terminal; elsewhere a plain line at every look at the held-out files."""

    _first: float = 0.0
    _bar: Progress = field(init=False)

    def __post_init__(self) -> None:
        columns = (
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
        )
        self._bar = Progress(
            TextColumn("[bold]training"), *columns, console=notes, transient=True, disable=not notes.is_terminal
        )

    def __enter__(self) -> _Shown:
        self._bar.start()
        self._bar.add_task("train", total=1.0, said="")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, step: Step) -> None:
        speed = step.tokens / max(step.seconds, 1e-9)
        self._bar.update(self._bar.task_ids[0], completed=step.spent, said=f"{speed:,.0f} tokens/s")

    def check(self, check: Check) -> None:
        if not check.step:
            self._first = check.bits
        change = f" ({check.bits - self._first:+.3f})" if check.step else " at the start"
        best = ", best so far" if check.best and check.step else ""
        _say(f"{check.seconds / 60:5.1f} min  held-out files: {check.bits:.3f} bits a token{change}{best}")


def _nothing_learned(tuned: Tuned, start: Path, as_json: bool) -> int:
    why = "stopped before anything was learned" if tuned.interrupted else "no gain: nothing predicts them better"
    said = f"{why}; the held-out files cost {tuned.bits:.3f} bits a token. No model was written: keep {start}."
    if as_json:
        print_json({"gained": False, "model": None, "recommended": str(start), "training": asdict(tuned)})
    else:
        out.print(said, soft_wrap=True, markup=False)
    return 1


def _report(code: OwnCode, tuned: Tuned, comparison: Comparison, start: Path, folder: Path, as_json: bool) -> None:
    setting = json.dumps(str(folder.resolve()), ensure_ascii=False)
    if as_json:
        print_json(
            {
                "gained": comparison.gained,
                "model": str(folder.resolve()),
                "recommended": str(folder.resolve() if comparison.gained else start),
                "files": {"train": len(code.train), "held_out": [document.path for document in code.held]},
                "comparison": asdict(comparison),
                "training": asdict(tuned),
            }
        )
        return
    out.print(_table(comparison))
    out.print(
        f"{comparison.places} places and {comparison.tokens:,} tokens of {len(code.held)} held-out files; with the"
        f" memory {comparison.difference:+.2f} bits a token (95 %: {comparison.low:+.2f} to {comparison.high:+.2f})",
        soft_wrap=True,
    )
    if comparison.gained:
        out.print(
            f'\nPut this into your editor\'s settings:\n\n    "engram.model.path": {escape(setting)}', soft_wrap=True
        )
        return
    out.print(
        f"\nNo sure gain as the server uses it: keep {escape(str(start))}. The new model is in {escape(str(folder))}.",
        soft_wrap=True,
    )


def _table(comparison: Comparison) -> Table:
    table = Table(title="held-out files, before → after", title_justify="left")
    table.add_column("")
    for heading in _ARMS.values():
        table.add_column(heading, justify="right")
    for name, (label, form) in _FIGURES.items():
        cells = [
            " → ".join(form.format(getattr(side[arm], name)) for side in (comparison.before, comparison.after))
            for arm in _ARMS
        ]
        table.add_row(label, *cells)
    return table


def _say(text: str) -> None:
    notes.print(text, soft_wrap=True, markup=False)
