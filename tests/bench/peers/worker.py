"""Runs one engine and answers requests, a JSON object per line, until the input ends.

    python worker.py ENGINE FOLDER KIND

ENGINE is a module beside this one. Times are pairs of lists, wall and CPU seconds (of all threads of this process).
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from peers import Engine, UnavailableError

Times = dict[str, list[float]]


def timed(times: Times, work: Callable[[], Any]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    times["cpu"].append(time.process_time() - cpu)
    times["wall"].append(time.perf_counter() - wall)


class Worker:
    def __init__(self, engine: Engine, vocab_size: int) -> None:
        self.engine = engine
        self.tokens: list[int] = np.random.default_rng(1).integers(6, vocab_size, 1 << 16).tolist()
        self._read: dict[int, int] = {}

    def decode(self, context: int, count: int) -> Times:
        """`count` single tokens in a sequence that began with `context`; it goes on in the next round."""
        slot, times = f"decode {context}", Times(wall=[], cpu=[])
        if context not in self._read:
            self.engine.start(slot, self.tokens[:context])
            self._read[context] = context
        for _ in range(count):
            token = self.tokens[self._read[context]]
            self._read[context] += 1
            timed(times, lambda token=token: self.engine.step(slot, token))
        return times

    def prefill(self, count: int, repeat: int = 1) -> Times:
        """`count` tokens as a new sequence, with the logits of the last."""
        times = Times(wall=[], cpu=[])
        for _ in range(repeat):
            timed(times, lambda: self.engine.start("prefill", self.tokens[:count]))
        return times

    def logits(self, count: int, path: str) -> None:
        np.save(path, self.engine.logits(self.tokens[:count]))

    def answer(self, do: str, **arguments: Any) -> Any:
        """A measurement of this class, or what the engine alone can do."""
        return (getattr(self, do, None) or getattr(self.engine, do))(**arguments)


def main() -> None:
    # Libraries that print must not disturb the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    name, folder, kind = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))

    def say(what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    try:
        engine: Engine = importlib.import_module(f"peers.{name}").open_engine(folder, kind)
    except (UnavailableError, ImportError) as problem:
        say({"unavailable": str(problem)})
        return
    worker = Worker(engine, config["vocab_size"])
    say({"ready": engine.about()})
    for line in sys.stdin:
        say(worker.answer(**json.loads(line)))


if __name__ == "__main__":
    main()
