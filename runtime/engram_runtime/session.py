"""One opened model: the ONNX Runtime session, the Engram rows beside it, and graph calls on caches."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakSet

import numpy as np
import onnxruntime as ort

from engram_runtime.cache import Cache, Tape, layout, shown
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.providers import Inference, choose
from engram_runtime.rotary import Rotations
from engram_runtime.weights import EngramRows

FORMAT = 2
"""Version of a model folder's contents."""

_BEFORE = "streams.before"
"""What a draft head is given of the trunk."""

_KEPT_COUNTS = 32
"""Calls of up to so many tokens find their inputs' memory ready."""


class ModelError(Exception):
    """A model folder that cannot be used; the message says what is wrong with it and what to do."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one graph call said: logits float32 [wanted, V] of the last `wanted` of `tokens`.

    `streams` float32 [tokens, nH] are the residual streams of all of them, of a model with a draft head (mtp.py).
    """

    before: Cache
    tokens: np.ndarray
    logits: np.ndarray
    streams: np.ndarray | None = None

    def cache(self, count: int | None = None) -> Cache:
        """The cache after the first `count` of the tokens (all of them when None).

        To be taken before another call on the cache that this one was made on: its rows are where this one's were.
        """
        return self.before.extended(self.tokens if count is None else self.tokens[:count])


class Logits:
    """Memory for the logits of up to `count` tokens, which one caller may use for call after call."""

    def __init__(self, config: ModelConfig, count: int) -> None:
        self._memory = np.empty((count, config.vocab_size), np.float32)
        self._bound: dict[int, tuple[np.ndarray, ort.OrtValue]] = {}

    def first(self, count: int) -> tuple[np.ndarray, ort.OrtValue]:
        """Memory of the first `count` rows, float32 [count, V], as numpy's and as ONNX Runtime's."""
        if count not in self._bound:
            array = self._memory[:count]
            self._bound[count] = array, ort.OrtValue.ortvalue_from_numpy(array)
        return self._bound[count]


class _Given:
    """Inputs of a call of a certain number of tokens, in memory that ONNX Runtime reads where it lies."""

    def __init__(self, count: int, engram: Sequence[str], width: int, streams: int) -> None:
        """`engram` are the inputs of looked-up rows of `width`; `streams` is the width of a draft head's input or 0."""
        self.ids = np.empty(count, np.int64)
        self.position, self.row, self.logits = (np.array(0, np.int64) for _ in range(3))
        self.engram = np.empty((len(engram), count, width), np.float32)
        arrays = {"input_ids": self.ids, "position": self.position, "row": self.row, "logits": self.logits}
        arrays |= dict(zip(engram, self.engram, strict=True))
        self.streams = np.zeros((count, streams), np.float32)
        if streams:
            arrays[_BEFORE] = self.streams
        self.values = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}


class _Bound:
    """A tape bound to a session: its arrays are the graph's inputs and outputs at once. Binding takes longer than a
    small operator, so only what has changed since the last call is bound again."""

    def __init__(self, run: ort.InferenceSession, tape: Tape, tables: Mapping[str, np.ndarray]) -> None:
        self.run: ort.InferenceSession | None = run
        self.io: Any = run.io_binding()
        self._given: _Given | None = None
        self._output: ort.OrtValue | None = None
        self._kept: dict[str, ort.OrtValue] = {}
        for name, array in tables.items():
            self._input(name, array)
        self._entries: list[tuple[str, int, np.ndarray]] = []
        for state, array in zip(tape.states, tape.arrays, strict=True):
            if state.kind == "entries":
                self._entries.append((state.name, state.rate, array))
            else:
                self._both(state.name, array)
        self._rates = tuple({rate for _, rate, _ in self._entries})
        self._shown: list[int] = []

    def prepare(self, given: _Given, after: int, output: ort.OrtValue, streams: np.ndarray | None) -> None:
        """For a call at whose end the sequence has `after` tokens."""
        if given is not self._given:
            for name, value in given.values.items():
                self.io.bind_ortvalue_input(name, value)
            self._given = given
        if output is not self._output:
            self.io.bind_ortvalue_output("output", output)
            self._output = output
        rows = [shown(after // rate) for rate in self._rates]
        if rows != self._shown:
            by_rate = dict(zip(self._rates, rows, strict=True))
            for name, rate, array in self._entries:
                self._both(name, array[: by_rate[rate]])
            self._shown = rows
        if streams is not None:
            self.io.bind_ortvalue_output("streams", ort.OrtValue.ortvalue_from_numpy(streams))

    def release(self) -> None:
        """Lets go of the session: the tape is bound anew when it is called on."""
        self.run = self.io = None
        self._kept.clear()

    def _input(self, name: str, array: np.ndarray) -> None:
        self._kept[name] = ort.OrtValue.ortvalue_from_numpy(array)
        self.io.bind_ortvalue_input(name, self._kept[name])

    def _both(self, name: str, array: np.ndarray) -> None:
        self._input(name, array)
        self.io.bind_ortvalue_output(f"new.{name}", self._kept[name])


class Session:
    """A model that is ready to run. Calls may come from several threads; caches are values and carry no lock."""

    def __init__(
        self, folder: Path, config: ModelConfig, about: dict[str, Any], hashes: EngramHash, run: Inference
    ) -> None:
        self.folder, self.config, self.about = folder, config, about
        self._run = run
        self._hashes = hashes
        counts = {layer: hashes.row_count(layer) for layer in config.engram_layers}
        self._rows = EngramRows(folder / "engram.npy", counts) if counts else None
        self._engram = tuple(f"engram.{layer}" for layer in config.engram_layers)
        self._reach = max(config.engram_orders, default=1) - 1
        self._rotations = Rotations(config)
        self._given: dict[int, _Given] = {}
        self._bounds = WeakSet[_Bound]()
        self._lock = Lock()
        given = {value.name for value in (*run.session.get_inputs(), *run.session.get_outputs())}
        width = config.hc_mult * config.hidden_size
        self._streams, self._before = (width if name in given else 0 for name in ("streams", _BEFORE))
        states = [name for state in layout(config) for name in (state.name, f"new.{state.name}")]
        if missing := {"input_ids", "position", "row", "logits", "output", *self._engram, *states} - given:
            raise ModelError(f"{folder / 'model.onnx'} lacks {min(missing)}: export the model again")
        engram = {value.name for value in run.session.get_inputs() if value.name.startswith("engram.")}
        if engram != set(self._engram):
            raise ModelError(f"{folder}: graph and config.json have other Engram layers: export the model again")

    @classmethod
    def open(cls, folder: Path, providers: Sequence[str] | None = None, threads: int = 1) -> "Session":
        """Opens a model folder.

        `providers` are ONNX Runtime's names; None takes CUDA where a device with enough free memory is faster (see
        providers.py). `threads` computes one operator; small models are slower with 2 than with 1. Raises ModelError.
        """
        config, about, hashes = _read(folder)

        def opened(names: Sequence[str]) -> Session:
            return cls(folder, config, about, hashes, Inference.open(folder / "model.onnx", names, threads))

        try:
            session, session._run.reason = choose(folder / "model.onnx", opened, providers)
            return session
        except (ValueError, OSError, EOFError, RuntimeError) as problem:
            raise ModelError(f"{folder}: {problem}") from problem

    def draft_head(self, threads: int = 1) -> "Session | None":
        """The model's draft head (mtp.py), on the same provider; None when it has none. Raises ModelError."""
        file = self.folder / "draft.onnx"
        if not self._streams or not file.is_file():
            return None
        config = self.config.draft_head
        try:
            run = Inference.open(file, self._run.session.get_providers(), threads)
        except (ValueError, OSError, RuntimeError) as problem:
            raise ModelError(f"{file}: {problem}") from problem
        hashes = EngramHash(config, np.zeros(config.vocab_size, np.int64))
        return Session(self.folder, config, self.about, hashes, run)

    @property
    def provider(self) -> str:
        return self._run.provider

    @property
    def reason(self) -> str:
        """Why it runs there."""
        return self._run.reason

    def call(
        self,
        cache: Cache,
        tokens: Sequence[int] | np.ndarray,
        logits: int = 1,
        before: np.ndarray | None = None,
        memory: Logits | None = None,
    ) -> Call:
        """Runs the graph on `tokens` after `cache`, for the logits of the last `logits` of them.

        A draft head is also given the streams float32 [tokens, nH] of the token before each. In `memory` of the
        caller's own, logits are written over those of the call before: it has to be done with them.
        """
        ids = np.array(tokens, np.int64)
        count = len(ids)
        if not 0 <= logits <= count:
            raise ValueError(f"logits of {logits} tokens are asked for, but {count} are given")
        if (before is None) != (self._before == 0):
            raise ValueError("a draft head, and nothing else, is given the streams of the token before each")
        streams = np.empty((count, self._streams), np.float32) if self._streams else None
        output, value = (memory or Logits(self.config, logits)).first(logits)
        with self._lock:
            cache = cache.writable(count)
            cache.writes(ids)
            given = self._given.get(count) or self._new_given(count)
            given.ids[:] = ids
            given.position[...] = cache.position
            given.row[...] = cache.position - cache.tape.base
            given.logits[...] = logits
            self._look_up(cache, ids, given)
            if before is not None:
                given.streams[:] = before
            self._run.attempt(lambda run: self._on(run, cache, given, value, streams))
        return Call(cache, ids, output, streams)

    def _on(
        self, run: ort.InferenceSession, cache: Cache, given: _Given, output: ort.OrtValue, streams: np.ndarray | None
    ) -> None:
        bound = cache.tape.bound
        if not isinstance(bound, _Bound) or bound.run is not run:
            tape = cache.tape
            bound = tape.bound = _Bound(run, tape, self._rotations.tables(tape.base, tape.room - tape.base))
            # After a move to the CPU, other tapes would keep the device's session and its memory as long as they live.
            for other in tuple(self._bounds):
                if other.run is not run:
                    other.release()
            self._bounds.add(bound)
        bound.prepare(given, cache.position + len(given.ids), output, streams)
        run.run_with_iobinding(bound.io)

    def _new_given(self, count: int) -> _Given:
        given = _Given(count, self._engram, self.config.engram_width, self._before)
        if count <= _KEPT_COUNTS:
            self._given[count] = given
        return given

    def _look_up(self, cache: Cache, ids: np.ndarray, given: _Given) -> None:
        if self._rows is None:
            return
        position, tokens = cache.position, cache.tape.tokens
        first = max(0, position - self._reach)
        self._rows.lookup_all(
            self._hashes.all_rows(tokens[first : position + len(ids)], position - first), given.engram
        )

    def seconds_per_token(self) -> float:
        """Least time of a decode call, of a few."""
        cache = self.call(Cache.empty(self.config), [1] * 64).cache()
        times: list[float] = []
        for _ in range(6):
            start = time.perf_counter()
            self.call(cache, [1])
            times.append(time.perf_counter() - start)
        return min(times)


def _read(folder: Path) -> tuple[ModelConfig, dict[str, Any], EngramHash]:
    """Configuration, model.json and Engram hashes of a folder whose format we know."""

    def require(*names: str) -> None:
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise ModelError(f"{folder} is not a model folder: it lacks {', '.join(missing)}")

    require("model.json", "config.json", "model.onnx")
    try:
        about: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            advice = "update engram-ls" if about["format"] > FORMAT else "export the model again"
            raise ModelError(f"{folder} has format {about['format']}, {FORMAT} is wanted: {advice}")
        config = ModelConfig.read(folder / "config.json")
        if config.engram_layers:
            require("engram.npy", "engram_classes.npy")
            classes = np.load(folder / "engram_classes.npy", allow_pickle=False)
        else:
            classes = np.zeros(config.vocab_size, np.int64)
        hashes = EngramHash(config, classes)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError) as problem:
        raise ModelError(f"{folder} cannot be read: {problem!r}") from problem
    return config, about, hashes
