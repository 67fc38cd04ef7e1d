"""Where a graph runs: which of ONNX Runtime's providers this machine can use, and the way back to the CPU.

CUDA is chosen by itself where it is present, has room, and is faster than one CPU thread. Other accelerators
(DirectML, CoreML, ROCm, TensorRT) run only when they are named: some compute whole graphs wrongly or compile for
minutes. Whatever a device does wrong later, in the middle of a call, the CPU does again and keeps.
"""

import contextlib
import io
import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import onnxruntime as ort

from engram_runtime.nvidia import devices

log = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

SURELY_FASTER = 1 << 30
"""Bytes of weights from which on CUDA is taken without being timed against the CPU."""

_OUT_OF_MEMORY = ("Failed to allocate memory", "out of memory", "STATUS_ALLOC_FAILED", "bad allocation", "bad_alloc")
"""What ONNX Runtime's arena, the CUDA runtime, cuBLAS and cuDNN, and C++ say when memory has run out."""

INSTALL_CUDA = "pip install 'engram-ls[cuda]'"

T = TypeVar("T")


class Inference:
    """A graph that is open on one provider, and moves to the CPU for good when a call on its device fails.

    Calls may come from several threads. `reason` says in words why it runs where it runs.
    """

    def __init__(self, opened: Callable[[Sequence[str]], ort.InferenceSession], providers: Sequence[str]) -> None:
        """`opened` makes the session for a list of providers; it is called again, with the CPU alone, on a failure."""
        self._opened = opened
        self._session = opened(providers)
        self.reason = ""

    @classmethod
    def open(cls, path: Path, providers: Sequence[str], threads: int) -> "Inference":
        """Raises RuntimeError if ONNX Runtime does."""
        return cls(lambda names: _session(path, names, threads), providers)

    @property
    def provider(self) -> str:
        return self._session.get_providers()[0]

    @property
    def session(self) -> ort.InferenceSession:
        """The session of the moment. What is bound to one must be bound anew when `attempt` gives another."""
        return self._session

    def run(self, outputs: Sequence[str] | None, feed: dict[str, Any]) -> list[Any]:
        """As `onnxruntime.InferenceSession.run`."""
        return self.attempt(lambda session: cast("list[Any]", session.run(outputs, feed)))

    def attempt(self, work: Callable[[ort.InferenceSession], T]) -> T:
        """The result of `work` on the session; if the device fails, of the same work on the CPU.

        `work` may run twice and must be safe to repeat: read its inputs from host memory and overwrite its outputs.
        """
        session = self._session
        try:
            return work(session)
        except Exception as problem:  # ONNX Runtime's exceptions derive from Exception only
            if session.get_providers()[0] == CPU or not _of_device(problem):
                raise
            if self._session is session:
                device, refuge = self.provider, self._opened([CPU])
            else:  # another thread met the same failure first
                device, refuge = "", self._session
            result = work(refuge)  # raises where the request was at fault and not the device, which then stays
            if device:
                self._session = refuge
                self.reason = f"{device} {_failure(problem)}"
                log.warning("the model moves to the CPU: %s", self.reason)
            return result


class Candidate(Protocol):
    """A model opened on some provider."""

    @property
    def provider(self) -> str: ...

    @property
    def reason(self) -> str:
        """Why it has moved since it was opened; empty if it has not."""
        ...

    def seconds_per_token(self) -> float: ...


C = TypeVar("C", bound=Candidate)


def choose(model: Path, opened: Callable[[Sequence[str]], C], providers: Sequence[str] | None = None) -> tuple[C, str]:
    """The model of the graph file `model`, opened on the best provider or on the first of `providers`, and why there.

    One log line says so. Raises what `opened` raises for the CPU.
    """
    if providers:
        chosen, reason = _named(opened, providers)
    elif (obstacle := cuda_obstacle(model)) is None:
        chosen, reason = _cuda_or_cpu(model, opened)
    else:
        chosen, reason = opened([CPU]), obstacle
    if chosen.reason:  # it has moved meanwhile, and said so
        return chosen, chosen.reason
    level = logging.WARNING if providers and chosen.provider != providers[0] else logging.INFO
    log.log(level, "the model runs on %s: %s", chosen.provider.removesuffix("ExecutionProvider"), reason)
    return chosen, reason


def _named(opened: Callable[[Sequence[str]], C], providers: Sequence[str]) -> tuple[C, str]:
    try:
        chosen = opened(providers)
    except Exception as problem:
        if list(providers) == [CPU]:
            raise
        return opened([CPU]), f"{providers[0]} {_failure(problem)}"
    if chosen.provider == providers[0]:
        return chosen, "the settings name it"
    return chosen, f"{providers[0]} cannot be had here"


def _cuda_or_cpu(model: Path, opened: Callable[[Sequence[str]], C]) -> tuple[C, str]:
    if missing := load_cuda_libraries():  # ONNX Runtime would say so too, on many lines
        return opened([CPU]), f"CUDA's libraries cannot be loaded ({', '.join(missing)}): {INSTALL_CUDA}"
    try:
        there = opened([CUDA, CPU])
        if there.provider != CUDA:
            return there, there.reason or f"CUDA's provider cannot be loaded: {INSTALL_CUDA}"
        slow = there.seconds_per_token()
    except Exception as problem:  # whatever a driver or a library may raise
        return opened([CPU]), f"CUDA {_failure(problem)}"
    if there.provider != CUDA:
        return there, there.reason
    if graph_bytes(model) >= SURELY_FASTER:
        return there, "a model of this size is faster there"
    here = opened([CPU])
    fast = here.seconds_per_token()
    return there if slow < fast else here, f"a token takes {slow * 1e3:.1f} ms on CUDA, {fast * 1e3:.1f} ms on the CPU"


def cuda_obstacle(model: Path) -> str | None:
    """Why CUDA is not worth a try for this graph; None when it is."""
    if CUDA not in ort.get_available_providers():
        return "this ONNX Runtime has no CUDA provider"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every device"
    found = devices()
    if not found:
        return "no NVIDIA device found"
    # Weights, their packed copies, and the provider's own context.
    needed = 2 * graph_bytes(model) + (1 << 30)
    if found[0].free < needed:
        return f"{found[0].name} has {found[0].free >> 20} MiB free, {needed >> 20} MiB are needed"
    return None


def graph_bytes(model: Path) -> int:
    """Bytes of the graph file and of the files with its weights beside it (model.onnx, model.onnx.data, …)."""
    return sum(file.stat().st_size for file in model.parent.glob(f"{model.name}*") if file.is_file())


def load_cuda_libraries() -> tuple[str, ...]:
    """Loads the libraries of the CUDA provider that pip installed, and names those that are nowhere to be found."""
    said = io.StringIO()
    # What it has to say it prints, and stdout belongs to the protocol.
    with contextlib.redirect_stdout(said):
        ort.preload_dlls()
    log.debug("%s", said.getvalue())
    failed = re.findall(r"^Failed to load (.+?):", said.getvalue(), re.MULTILINE)
    return tuple(dict.fromkeys(Path(name).name for name in failed))


def _of_device(problem: Exception) -> bool:
    """Whether a device may be to blame: ONNX Runtime raises its own types, and RuntimeError where values are bound."""
    kind = type(problem)
    return kind is RuntimeError or (kind.__module__.startswith("onnxruntime") and kind.__name__ != "InvalidArgument")


def _failure(problem: Exception) -> str:
    said = str(problem)
    if any(text in said for text in _OUT_OF_MEMORY):
        return "ran out of memory"
    first_line = said.strip().partition("\n")[0]
    return f"failed: {first_line[:200]}"


def _session(path: Path, providers: Sequence[str], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads that spin would take a core from the editor between two keystrokes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if CUDA in providers:
        load_cuda_libraries()
    try:
        # The fallback would print, too.
        return ort.InferenceSession(
            str(path), options, providers=[_configured(name) for name in providers], enable_fallback=0
        )
    except Exception as problem:  # ONNX Runtime's own exceptions derive from Exception only
        raise RuntimeError(f"ONNX Runtime cannot open {path.name}: {problem}") from problem


def _configured(provider: str) -> str | tuple[str, dict[str, str]]:
    """The provider with its options. CUDA takes memory as it is needed, and computes in full float32 as CPUs do."""
    if provider == CUDA:
        return CUDA, {"arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"}
    return provider
