"""One opened model: the ONNX Runtime session, the Engram rows beside it, and graph calls on caches."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from engram_runtime.cache import Cache, layout
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.providers import Inference, choose
from engram_runtime.weights import EngramRows


class ModelError(Exception):
    """A model folder that cannot be used; the message says what is wrong with it and what to do."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one graph call said: logits float32 [wanted, V] of the last `wanted` of `tokens`, and their state rows."""

    before: Cache
    tokens: np.ndarray
    logits: np.ndarray
    rows: Sequence[np.ndarray]

    def cache(self, count: int | None = None) -> Cache:
        """The cache after the first `count` of the tokens (all of them when None)."""
        return self.before.extended(self.tokens if count is None else self.tokens[:count], self.rows)


class Session:
    """A model that is ready to run. Calls may come from several threads; caches are values and carry no lock."""

    def __init__(
        self, folder: Path, config: ModelConfig, about: dict[str, Any], hashes: EngramHash, run: Inference
    ) -> None:
        self.folder, self.config, self.about = folder, config, about
        self._run = run
        self._hashes = hashes
        self._rows = EngramRows(
            folder / "engram.npy", {layer: hashes.row_count(layer) for layer in config.engram_layers}
        )
        self._outputs = ["output", *(f"new.{state.name}" for state in layout(config))]
        given = {value.name for value in (*run.session.get_inputs(), *run.session.get_outputs())}
        wanted = {"input_ids", "position", "logits", *self._outputs, *(state.name for state in layout(config))}
        if not wanted <= given:
            raise ModelError(f"{folder / 'model.onnx'} lacks {sorted(wanted - given)[0]}: export the model again")

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

    @property
    def provider(self) -> str:
        return self._run.provider

    @property
    def reason(self) -> str:
        """Why it runs there."""
        return self._run.reason

    def call(self, cache: Cache, tokens: Sequence[int] | np.ndarray, logits: int = 1) -> Call:
        """Runs the graph on `tokens` after `cache`, for the logits of the last `logits` of them."""
        feed = dict(cache.inputs())
        ids = np.array(tokens, np.int64)
        reach = max(self.config.engram_orders, default=1) - 1
        recent = np.concatenate((cache.tokens[max(0, cache.position - reach) :], ids))
        for layer in self.config.engram_layers:
            numbers = self._hashes.rows(recent, layer, len(recent) - len(ids))
            feed[f"engram.{layer}"] = self._rows.lookup(layer, numbers)
        feed["input_ids"] = ids
        feed["position"] = np.array(cache.position, np.int64)
        feed["logits"] = np.array(logits, np.int64)
        output, *rows = cast("list[np.ndarray]", self._run.run(self._outputs, feed))
        return Call(cache, ids, output, rows)

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
    names = ("model.json", "config.json", "model.onnx", "engram.npy", "engram_classes.npy", "tokenizer.json")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise ModelError(f"{folder} is not a model folder: it lacks {', '.join(missing)}")
    try:
        about: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if about["format"] != 1:
            raise ModelError(f"{folder} has format {about['format']}, only 1 is known: update engram-ls")
        config = ModelConfig.read(folder / "config.json")
        hashes = EngramHash(config, np.load(folder / "engram_classes.npy", allow_pickle=False))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError) as problem:
        raise ModelError(f"{folder} cannot be read: {problem!r}") from problem
    return config, about, hashes
