"""One opened model: the ONNX Runtime session, the Engram rows beside it, and graph calls on caches."""

import contextlib
import ctypes
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort

from engram_runtime.cache import Cache, layout
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.weights import EngramRows

log = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"


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
        self, folder: Path, config: ModelConfig, about: dict[str, Any], hashes: EngramHash, run: ort.InferenceSession
    ) -> None:
        self.folder, self.config, self.about = folder, config, about
        self._run = run
        self._hashes = hashes
        self._rows = EngramRows(
            folder / "engram.npy", {layer: hashes.row_count(layer) for layer in config.engram_layers}
        )
        self._outputs = ["output", *(f"new.{state.name}" for state in layout(config))]
        given = {value.name for value in run.get_inputs()} | {value.name for value in run.get_outputs()}
        wanted = {"input_ids", "position", "logits", *self._outputs, *(state.name for state in layout(config))}
        if not wanted <= given:
            raise ModelError(f"{folder / 'model.onnx'} lacks {sorted(wanted - given)[0]}: export the model again")

    @classmethod
    def open(cls, folder: Path, providers: Sequence[str] | None = None, threads: int = 1) -> "Session":
        """Opens a model folder.

        `providers` are ONNX Runtime's names; None takes CUDA where a device with enough free memory is faster than one
        CPU. `threads` computes one operator; small models are slower with 2 than with 1. Raises ModelError.
        """
        config, about, hashes = _read(folder)

        def opened(names: Sequence[str]) -> Session:
            return cls(folder, config, about, hashes, _inference(folder / "model.onnx", names, threads))

        try:
            session = opened(providers or [CPU])
        except (ValueError, OSError, EOFError) as problem:
            raise ModelError(f"{folder}: {problem}") from problem
        if providers:
            if session.provider != providers[0]:
                log.warning("%s cannot be had here, the model runs on %s", providers[0], session.provider)
            return session
        if (reason := _no_cuda(folder / "model.onnx")) is None:
            try:
                other = opened([CUDA, CPU])
                there, here = other.seconds_per_token(), session.seconds_per_token()
                if other.provider == CUDA and there < here:
                    log.info("model runs on CUDA")
                    return other
                reason = f"a token takes {there * 1e3:.1f} ms on CUDA, {here * 1e3:.1f} ms on the CPU"
                if other.provider != CUDA:
                    reason = "CUDA's libraries cannot be loaded: install engram-ls[cuda]"
            except Exception as problem:  # whatever a driver or a missing library may raise
                reason = f"CUDA failed: {problem}"
        log.info("model runs on the CPU: %s", reason)
        return session

    @property
    def provider(self) -> str:
        return self._run.get_providers()[0]

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


def _inference(path: Path, providers: Sequence[str], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads that spin would take a core from the editor between two keystrokes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Every call has other shapes: memory patterns, one per shape, would never be used again.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    if CUDA in providers:
        # Finds the libraries that pip installed. What it has to say it prints, and stdout belongs to the protocol.
        with contextlib.redirect_stdout(sys.stderr):
            ort.preload_dlls()
    try:
        # The fallback would print, too.
        return ort.InferenceSession(str(path), options, providers=list(providers), enable_fallback=0)
    except Exception as problem:  # ONNX Runtime's own exceptions derive from Exception only
        raise ModelError(f"ONNX Runtime cannot open {path}: {problem}") from problem


def _no_cuda(model: Path) -> str | None:
    """Why CUDA is not worth a try; None when it is."""
    if CUDA not in ort.get_available_providers():
        return "this ONNX Runtime has no CUDA provider"
    free = _free_device_memory()
    if free is None:
        return "no NVIDIA device found"
    # Weights, their packed copies, and the provider's own context.
    needed = 2 * model.stat().st_size + (1 << 30)
    if free < needed:
        return f"the NVIDIA device has {free >> 20} MiB free, {needed >> 20} MiB are needed"
    return None


class _Memory(ctypes.Structure):
    """nvmlMemory_t, in bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def _free_device_memory() -> int | None:
    """Free bytes on the first NVIDIA device, asked of its driver; None without one."""
    name = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
    try:
        driver = ctypes.CDLL(name)
        device, memory = ctypes.c_void_p(), _Memory()
        steps = (
            lambda: driver.nvmlInit_v2(),
            lambda: driver.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)),
            lambda: driver.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)),
        )
        found = all(step() == 0 for step in steps)
        driver.nvmlShutdown()
        return int(memory.free) if found else None
    except (OSError, AttributeError):
        return None
