"""engram-ls itself: a model folder made by `export`, run by `Session`; and what no peer has to be asked."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from engram_runtime import graph
from engram_runtime.cache import Cache
from engram_runtime.checkpoint import Checkpoint
from engram_runtime.engine import CHUNK, OnnxEngine, Request
from engram_runtime.export import KINDS, export
from engram_runtime.quantize import Plan
from engram_runtime.session import Session

CPU = ["CPUExecutionProvider"]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Ours:
    def __init__(self, folder: Path, model: Path, kind: str) -> None:
        self.checkpoint, self.model, self.kind = folder, model, kind
        started = time.perf_counter()
        said = export(folder, model, kind)
        self.seconds = {"export": time.perf_counter() - started}
        started = time.perf_counter()
        self.session = Session.open(model, CPU)
        self.seconds["open"] = time.perf_counter() - started
        self.nodes: int = said["nodes"]
        self.megabytes = sum(said["bytes"].values()) / 1e6
        self.parameters: int = said["parameters"]
        self.caches: dict[str, Cache] = {}

    def about(self) -> dict[str, Any]:
        config = self.session.config
        source = Checkpoint.open(self.checkpoint)
        blocks = KINDS[self.kind]
        started = time.perf_counter()
        graph.build(config, source.weights, Plan(blocks) if blocks else None)
        return {
            "engine": f"engram-ls, onnxruntime {ort.__version__}",
            "parameters": self.parameters,
            "megabytes": round(self.megabytes, 1),
            "nodes": self.nodes,
            "nodes_per_layer": round(self.nodes / config.num_hidden_layers, 1),
            "build_seconds": round(time.perf_counter() - started, 2),
            **{f"{name}_seconds": round(seconds, 2) for name, seconds in self.seconds.items()},
        }

    def start(self, slot: str, tokens: list[int], chunk: int = CHUNK) -> int:
        cache = Cache.empty(self.session.config)
        best = -1
        for first in range(0, len(tokens), chunk):
            call = self.session.call(cache, tokens[first : first + chunk], int(first + chunk >= len(tokens)))
            cache = call.cache()
            if len(call.logits):
                best = int(call.logits[-1].argmax())
        self.caches[slot] = cache
        return best

    def step(self, slot: str, token: int) -> int:
        call = self.session.call(self.caches[slot], [token], 1)
        best = int(call.logits[-1].argmax())
        self.caches[slot] = call.cache()
        return best

    def logits(self, tokens: list[int]) -> np.ndarray:
        cache, rows = Cache.empty(self.session.config), []
        for first in range(0, len(tokens), CHUNK):
            piece = tokens[first : first + CHUNK]
            call = self.session.call(cache, piece, len(piece))
            rows.append(call.logits)
            cache = call.cache()
        return np.concatenate(rows)

    # ---- what only this engine is asked

    def edits(self, count: int, repeat: int, clock: str) -> dict[str, list[float]]:
        """Seconds to the first token of a prompt of `count` tokens through the engine, which reuses what it can.

        full: nothing is kept. typed: the last token is another one, as after a typed character in the order of the
        server's prompts (suffix first, then prefix). middle: another token `count // 4` before the end, which is where a typed
        character would be with the prefix first and a suffix of a quarter of the prompt behind it.
        """
        random = np.random.default_rng(2)
        times: dict[str, list[float]] = {"full": [], "typed": [], "middle": []}
        prompt = random.integers(6, self.session.config.vocab_size, count)
        for _ in range(repeat):
            engine = OnnxEngine.open(self.model, CPU)
            self._first(engine, prompt, CLOCKS[clock], times["full"])
            for _ in range(4):
                typed = prompt.copy()
                typed[-1] = 6 + (typed[-1] - 5) % (self.session.config.vocab_size - 6)
                self._first(engine, typed, CLOCKS[clock], times["typed"])
                prompt = typed
            edited = prompt.copy()
            edited[-(count // 4)] = 6 + (edited[-(count // 4)] - 5) % (self.session.config.vocab_size - 6)
            self._first(engine, edited, CLOCKS[clock], times["middle"])
            engine.close()
            prompt = random.integers(6, self.session.config.vocab_size, count)
        return times

    @staticmethod
    def _first(engine: OnnxEngine, prompt: np.ndarray, now: Callable[[], float], times: list[float]) -> None:
        request = Request(prompt.tolist(), max_tokens=1)
        started = now()
        next(engine.steps(request))
        times.append(now() - started)

    def shares(self, context: int, count: int, clock: str) -> dict[str, list[float]]:
        """Seconds per decoded token: in ONNX Runtime, in Session.call, and in the engine's whole greedy loop."""
        now = CLOCKS[clock]
        inside = _Clock(ort.InferenceSession, ("run", "run_with_iobinding"), now)
        calls = _Clock(Session, ("call",), now)
        tokens = np.random.default_rng(3).integers(6, self.session.config.vocab_size, context).tolist()
        engine = OnnxEngine.open(self.model, CPU)
        times: dict[str, list[float]] = {"onnxruntime": [], "session": [], "engine": []}
        steps = engine.steps(Request(tokens, max_tokens=count))
        next(steps)
        with inside, calls:
            while True:
                inside.seconds = calls.seconds = 0.0
                started = now()
                if next(steps, None) is None:
                    break
                whole = now() - started
                for name, seconds in zip(times, (inside.seconds, calls.seconds, whole), strict=True):
                    times[name].append(seconds)
        engine.close()
        return times

    def profile(self, context: int, count: int) -> dict[str, list[float]]:
        """Microseconds a decoded token and nodes by operator, from ONNX Runtime's profiler, which adds 1-2 to each."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = str(self.model / "profile")
        options.log_severity_level = 3
        session = Session.open(self.model, CPU)
        # The session's own options, and the profiler's.
        session._run._session = ort.InferenceSession(str(self.model / "model.onnx"), options, providers=CPU)
        tokens = np.random.default_rng(3).integers(6, session.config.vocab_size, context + count).tolist()
        cache = session.call(Cache.empty(session.config), tokens[:context], 1).cache()
        for token in tokens[context:]:
            cache = session.call(cache, [token], 1).cache()
        return _by_operator(Path(session._run._session.end_profiling()), count)


def _by_operator(path: Path, count: int) -> dict[str, list[float]]:
    events = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    runs = [event["ts"] for event in events if event["name"] == "model_run"]
    first = sorted(runs)[1] if len(runs) > 1 else 0
    found: dict[str, list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and event["ts"] >= first:
            entry = found.setdefault(event["args"]["op_name"], [0.0, 0.0])
            entry[0] += event["dur"] / count
            entry[1] += 1 / count
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))


class _Clock:
    """While entered, adds up the seconds spent in some methods of a class."""

    def __init__(self, kind: type, names: tuple[str, ...], now: Callable[[], float]) -> None:
        self.seconds, self._now = 0.0, now
        self._kind = kind
        self._methods = {name: getattr(kind, name) for name in names}

    def __enter__(self) -> "_Clock":
        for name, method in self._methods.items():
            setattr(self._kind, name, self._timed(method))
        return self

    def __exit__(self, *exception: object) -> None:
        for name, method in self._methods.items():
            setattr(self._kind, name, method)

    def _timed(self, method: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            started = self._now()
            try:
                return method(*arguments, **named)
            finally:
                self.seconds += self._now() - started

        return run


def open_engine(folder: Path, kind: str) -> Ours:
    return Ours(folder, folder / f"model-{kind}", kind)
