"""How fast the same network runs here and elsewhere: engram-ls, transformers, its ONNX export, llama.cpp.

    python tests/bench/speed.py [--shape nano|default] [--rounds 8] [--python llama=VENV/bin/python] [--json FILE]

All run one network of random weights, batch 1, one thread each, in processes of their own that take turns within every
round, so that other load on the machine meets all of them; the order goes round. Reported are medians over the rounds and
their ratios. On a busy machine take `--clock cpu`: CPU time of the process instead of wall time.

    decode N    one token in, the likeliest next one out, in a sequence that began with N tokens: tokens are given (the
                same for all), greedy choice included, no sampling, no text. llama.cpp: llama_decode and argmax of its
                logits. transformers: model(...) with its cache. Ours: Session.call. The ONNX export cannot go on (see
                peers/exported.py): one step of it, repeated.
    prefill N   N tokens as a new sequence, logits of the last alone. Ours in chunks of 128 as the engine does it (so that a
                keystroke can cancel), llama.cpp in micro-batches of 512 as it does by default.
    first token seconds from a prompt of N tokens to the first generated one through our engine, when nothing is kept, when the
                prompt's last token has changed (a typed character: the server's prompts end at the cursor), and when a
                token before its last quarter has (a typed character if prompts had the suffix last).
    python      what of a decoded token is spent outside of ONNX Runtime.

Kinds of weights: fp32 everywhere; against our int8 llama.cpp's Q8_0, against our int4 its Q4_0 (blocks of 32). Ours are what
`export` makes, which may be finer in places: the table has the sizes, where llama.cpp's count the tied matrix twice.

Peers are optional. llama.cpp and the export may live in another Python than this one: name it with --python. The export is
made once, which takes minutes: `python tests/bench/peers/exported.py CHECKPOINT`, with the checkpoint that --keep FOLDER leaves.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from engram_runtime.config import ModelConfig
from peers import weights
from rich.console import Console
from rich.progress import track
from rich.table import Table

CONTEXTS = (100, 2000)
PROMPTS = (512, 2048)
EDITED = 2048
PARITY = 250
"""Tokens over which logits are compared: fewer entries than the indexer chooses."""

WORKER = Path(__file__).parent / "peers" / "worker.py"
NAMES = {"ours": "engram-ls", "llama": "llama.cpp", "eager": "transformers", "exported": "ONNX export"}
KINDS = ("fp32", "int8", "int4")

GOALS = (
    ("int4", "eager", "fp32", 20.0),
    ("int4", "exported", "fp32", 5.0),
    ("int4", "llama", "int4", 1.5),
    ("int8", "llama", "int8", 1.2),
    ("fp32", "llama", "fp32", 1.0),
)
"""Our kind, the peer, its kind, and how many times as fast decoding is to be."""


@dataclass
class Subject:
    """One engine with one kind of weights, in its process."""

    engine: str
    kind: str
    process: subprocess.Popen[str]
    about: dict[str, Any] = field(default_factory=dict)
    times: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    note: str = ""

    @property
    def name(self) -> str:
        return f"{NAMES[self.engine]} {self.kind}{self.note}"

    def read(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with code {self.process.wait()}: see above")
        return json.loads(line)

    def ask(self, do: str, **arguments: Any) -> Any:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return self.read()

    def measure(self, name: str, do: str, **arguments: Any) -> None:
        found = self.ask(do, **arguments)
        kept = self.times.setdefault(name, {"wall": [], "cpu": []})
        for clock, seconds in found.items():
            kept[clock] += seconds

    def seconds(self, name: str, clock: str) -> float | None:
        times = self.times.get(name)
        return median(times[clock]) if times else None


@contextmanager
def started(engine: str, kind: str, folder: Path, python: str, note: str = "") -> Iterator[Subject | None]:
    """The subject, ready; None with a line on stderr when it cannot be had."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    command = [python, str(WORKER), engine, str(folder), kind]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment
    ) as process:
        subject = Subject(engine, kind, process, note=note)
        said = subject.read()
        if "unavailable" in said:
            print(f"left out: {subject.name}: {said['unavailable']}", file=sys.stderr)
            yield None
        else:
            subject.about = said["ready"]
            yield subject
        assert process.stdin
        process.stdin.close()


def run(subjects: Sequence[Subject], rounds: int, quiet: bool) -> None:
    """All measurements that every engine has, in turns. A first round is only to warm up."""
    for number in track(range(rounds + 1), "measuring", disable=quiet, console=Console(stderr=True)):
        turn = number % len(subjects)
        for subject in (*subjects[turn:], *subjects[:turn]):
            count = 4 if subject.engine == "eager" else 24
            for context in CONTEXTS:
                subject.measure(f"decode {context}", "decode", context=context, count=count)
            for prompt in PROMPTS if subject.engine != "exported" else ():
                # The slow ones need not read long prompts in every round.
                if prompt <= 512 or subject.engine != "eager" or number % 3 == 1:
                    subject.measure(f"prefill {prompt}", "prefill", count=prompt)
            if number == 0:
                subject.times.clear()


def ratios(subjects: Sequence[Subject], clock: str) -> list[dict[str, Any]]:
    """Each goal with what came out, by context."""
    found: list[dict[str, Any]] = []
    for kind, peer, theirs, goal in GOALS:
        ours = next((s for s in subjects if (s.engine, s.kind, s.note) == ("ours", kind, "")), None)
        other = next((s for s in subjects if (s.engine, s.kind) == (peer, theirs)), None)
        if ours and other:
            row: dict[str, Any] = {"ours": ours.name, "peer": other.name, "goal": goal}
            for context in CONTEXTS:
                a, b = ours.seconds(f"decode {context}", clock), other.seconds(f"decode {context}", clock)
                row[f"decode {context}"] = b / a if a and b else None
            for prompt in PROMPTS:
                a, b = ours.seconds(f"prefill {prompt}", clock), other.seconds(f"prefill {prompt}", clock)
                row[f"prefill {prompt}"] = b / a if a and b else None
            found.append(row)
    return found


def parity(subjects: Sequence[Subject], folder: Path) -> list[dict[str, Any]]:
    """How far the logits of every engine in float32 are from ours."""
    exact = {s.engine: s for s in subjects if (s.kind, s.note) == ("fp32", "") and s.engine != "exported"}
    if "ours" not in exact:
        return []
    logits: dict[str, np.ndarray] = {}
    for engine, subject in exact.items():
        path = folder / f"logits-{engine}.npy"
        subject.ask("logits", count=PARITY, path=str(path))
        logits[engine] = np.load(path)
    ours = logits.pop("ours")
    return [
        {
            "peer": exact[engine].name,
            "tokens": PARITY,
            "largest difference": float(np.abs(ours - theirs).max()),
            "median difference": float(np.median(np.abs(ours - theirs))),
            "largest logit": float(np.abs(theirs).max()),
            "same choice": float((ours.argmax(1) == theirs.argmax(1)).mean()),
        }
        for engine, theirs in logits.items()
    ]


def own(subject: Subject, clock: str) -> dict[str, Any]:
    """What our engine alone is asked."""
    edits = {name: median(times) for name, times in subject.ask("edits", count=EDITED, repeat=3, clock=clock).items()}
    shares = {
        f"{name} {context}": median(times)
        for context in CONTEXTS
        for name, times in subject.ask("shares", context=context, count=200, clock=clock).items()
    }
    return {"edits": edits, "shares": shares}


def millis(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.2f}"


def show(report: dict[str, Any], subjects: Sequence[Subject], clock: str) -> None:
    console = Console(width=150)
    table = Table(
        *("", *(f"decode {n}, ms (tok/s)" for n in CONTEXTS), *(f"prefill {n}, tok/s" for n in PROMPTS), "weights, MB"),
        title=f"medians, {clock} time",
    )
    for subject in subjects:
        cells = [subject.name]
        for context in CONTEXTS:
            seconds = subject.seconds(f"decode {context}", clock)
            cells.append(f"{millis(seconds)} ({1 / seconds:.0f})" if seconds else "")
        for prompt in PROMPTS:
            seconds = subject.seconds(f"prefill {prompt}", clock)
            cells.append(f"{prompt / seconds:.0f}" if seconds else "")
        table.add_row(*cells, f"{subject.about.get('megabytes', '')}")
    console.print(table)

    names = [*(f"decode {n}" for n in CONTEXTS), *(f"prefill {n}" for n in PROMPTS)]
    table = Table("ours", "peer", "goal", *names, title="times as fast as the peer")
    for row in report["ratios"]:
        cells = [f"{row[name]:.2f}" if row[name] else "" for name in names]
        table.add_row(row["ours"], row["peer"], f"{row['goal']:g}", *cells)
    console.print(table)

    if report["parity"]:
        table = Table(*report["parity"][0], title="logits in float32 against ours")
        for row in report["parity"]:
            table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
        console.print(table)

    mine = [subject for subject in subjects if subject.engine == "ours"]
    table = Table("", *(subject.name for subject in mine), title="ours")
    for name in ("nodes", "nodes_per_layer", "build_seconds", "export_seconds", "open_seconds"):
        table.add_row(name.replace("_", " "), *(f"{subject.about[name]:g}" for subject in mine))
    owned = [report["own"][subject.name] for subject in mine]
    for name, what in (("full", "nothing kept"), ("typed", "last token typed"), ("middle", "a token within typed")):
        table.add_row(f"first token of {EDITED}, {what}, ms", *(millis(each["edits"][name]) for each in owned))
    table.add_row(
        "… typed / nothing kept", *(f"{each['edits']['typed'] / each['edits']['full']:.3f}" for each in owned)
    )
    for context in CONTEXTS:
        inside, call, whole = ([each["shares"][f"{n} {context}"] for each in owned] for n in SHARES)
        table.add_row(f"token in the engine's loop after {context}, ms", *map(millis, whole))
        for what, part in (("Session.call", call), ("the engine's loop", whole)):
            share = [(b - a) / b for a, b in zip(inside, part, strict=True)]
            table.add_row(f"… of {what}, outside ONNX Runtime", *(f"{each:.1%}" for each in share))
    console.print(table)


SHARES = ("onnxruntime", "session", "engine")


def profile(subject: Subject) -> Table:
    table = Table("operator", "µs a token", "nodes a token", "µs a node", title=f"{subject.name}, decode 100, profiled")
    for name, (micros, nodes) in subject.ask("profile", context=100, count=50).items():
        table.add_row(name, f"{micros:.0f}", f"{nodes:.0f}", f"{micros / nodes:.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=weights.SHAPES, default="nano")
    parser.add_argument("--sinkhorn", type=int, help="iterations, for all engines; 4 by default as in what ships")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--engines", default="ours,llama,eager,exported", help="with commas: ours,llama,eager,exported")
    parser.add_argument("--kinds", default=",".join(KINDS), help="with commas: fp32,int8,int4")
    parser.add_argument("--python", action="append", default=[], metavar="ENGINE=PATH", help="an engine's own Python")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--profile", action="store_true", help="also ours by operator, from ONNX Runtime's profiler")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave checkpoint and model files there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, every single time included")
    options = parser.parse_args()
    engines, kinds = options.engines.split(","), options.kinds.split(",")
    if unknown := (set(engines) - set(NAMES)) | (set(kinds) - set(KINDS)):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    pythons = dict(each.split("=", 1) for each in options.python)
    config: ModelConfig = weights.SHAPES[options.shape]
    if options.sinkhorn:
        config = replace(config, hc_sinkhorn_iters=options.sinkhorn)

    with ExitStack() as stack:
        root = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        folders = {"": root / f"{options.shape}-{config.hc_sinkhorn_iters}"}
        wanted = [
            (engine, kind, "") for engine in engines for kind in kinds if kind == "fp32" or engine in ("ours", "llama")
        ]
        if options.shape == "default" and "ours" in engines:
            folders[" + Engram"] = root / f"{options.shape}-{config.hc_sinkhorn_iters}-engram"
            wanted += [("ours", kind, " + Engram") for kind in kinds]
        for note, folder in folders.items():
            if not folder.exists():
                engram = ModelConfig().engram_layers if note else ()
                weights.write(replace(config, engram_layers=engram), folder)
        subjects = [
            subject
            for engine, kind, note in wanted
            if (
                subject := stack.enter_context(
                    started(engine, kind, folders[note], pythons.get(engine, sys.executable), note)
                )
            )
        ]
        if not subjects:
            sys.exit("nothing to measure")
        run(subjects, options.rounds, quiet=not sys.stderr.isatty())
        report = {
            "shape": options.shape,
            "sinkhorn": config.hc_sinkhorn_iters,
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            "ratios": ratios(subjects, options.clock),
            "parity": parity(subjects, root),
            "own": {subject.name: own(subject, options.clock) for subject in subjects if subject.engine == "ours"},
            "about": {subject.name: subject.about for subject in subjects},
            "times": {subject.name: subject.times for subject in subjects},
        }
        show(report, subjects, options.clock)
        if options.profile:
            for subject in subjects:
                if subject.engine == "ours":
                    Console(width=100).print(profile(subject))
        if options.json:
            options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
