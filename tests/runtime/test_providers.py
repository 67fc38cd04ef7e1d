"""Which provider a model runs on, and that no failure of a device loses anything."""

import gc
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from engram_runtime import providers
from engram_runtime.cache import Cache
from engram_runtime.config import ModelConfig
from engram_runtime.engine import OnnxEngine, Request
from engram_runtime.export import WeightKind
from engram_runtime.nvidia import Device, devices
from engram_runtime.providers import CPU, CUDA, SURELY_FASTER, Inference, choose, graph_bytes
from engram_runtime.session import ModelError, Session
from engram_runtime.tokenizer import Tokenizer
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

no_device = pytest.mark.skipif(bool(devices()), reason="this machine has a device")
PROMPT = np.random.default_rng(5).integers(6, 262, 200).tolist()

OUT_OF_MEMORY = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running MatMul node. Status "
    "Message: bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested buffer of size 8388608",
    "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
)


@pytest.fixture(scope="module")
def folder(folders: dict[WeightKind, Path]) -> Path:
    return folders["fp32"]


@no_device
@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ((), "no NVIDIA device"),
        ((Device("Some GPU", 1 << 40, 1 << 20),), "Some GPU has 1 MiB free"),
        ((Device("Some GPU", 1 << 40, 1 << 40),), "CUDA's libraries cannot be loaded"),
    ],
)
def test_without_a_usable_device_the_model_runs_on_the_cpu_and_one_line_says_why(
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    found: tuple[Device, ...],
    reason: str,
) -> None:
    """Also where the driver's answer is wrong: here there is no device, whatever it says of free memory."""
    monkeypatch.setattr("engram_runtime.providers.devices", lambda: found)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CUDA, CPU])
    with caplog.at_level("INFO", "engram_runtime.providers"):
        session = Session.open(folder)
    assert session.provider == CPU
    assert len(session.call(Cache.empty(session.config), [7, 8]).logits) == 1
    assert len(caplog.records) == 1
    assert reason in caplog.text
    assert reason in session.reason
    assert capfd.readouterr().out == "", "stdout belongs to the protocol"


@no_device
def test_a_provider_that_was_asked_for_in_vain_is_named(
    folder: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    session = Session.open(folder, [CUDA, CPU])
    assert session.provider == CPU
    assert f"{CUDA} cannot be had" in caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert capfd.readouterr().out == ""


class OnDevice:
    """A session that says it is on CUDA and computes on the CPU, until its memory has run out."""

    def __init__(self, session: ort.InferenceSession, calls: int, problem: Exception) -> None:
        self._session, self.left, self._problem = session, calls, problem

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def run(self, *arguments: Any) -> Any:
        self._use()
        return self._session.run(*arguments)

    def run_with_iobinding(self, *arguments: Any) -> None:
        self._use()
        self._session.run_with_iobinding(*arguments)

    def _use(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise self._problem


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Exception], list[OnDevice]]:
    """Gives this machine a device whose sessions serve so many calls and then raise; they are listed when opened."""
    real = providers._session
    monkeypatch.setattr("engram_runtime.providers.devices", lambda: (Device("Some GPU", 1 << 40, 1 << 40),))
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr("engram_runtime.providers.load_cuda_libraries", lambda: ())

    def given(calls: int, problem: Exception) -> list[OnDevice]:
        opened: list[OnDevice] = []

        def session(path: Path, names: Sequence[str], threads: int) -> Any:
            if CUDA not in names:
                return real(path, names, threads)
            opened.append(OnDevice(real(path, [CPU], threads), calls, problem))
            return opened[-1]

        monkeypatch.setattr(providers, "_session", session)
        return opened

    return given


@pytest.mark.parametrize("said", OUT_OF_MEMORY)
@pytest.mark.parametrize("calls", [0, 1, 2, 9])
def test_a_device_that_runs_out_of_memory_in_a_call_loses_nothing(
    folder: Path,
    tokenizer: Tokenizer,
    device: Callable[[int, Exception], list[OnDevice]],
    caplog: pytest.LogCaptureFixture,
    calls: int,
    said: str,
) -> None:
    """Two calls read the prompt: the device fails in the first, the second, or while tokens are written."""
    expected = OnnxEngine(Session.open(folder, [CPU]), tokenizer, 2048).predict(Request(PROMPT, max_tokens=20))
    device(calls, (Fail if "FAIL" in said else RuntimeException)(said))
    session = Session.open(folder, [CUDA, CPU])
    assert session.provider == CUDA
    caplog.clear()
    engine = OnnxEngine(session, tokenizer, 2048)
    assert engine.predict(Request(PROMPT, max_tokens=20)) == expected
    assert session.provider == CPU
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "CUDAExecutionProvider ran out of memory" in caplog.text
    assert "ran out of memory" in session.reason


def test_drafts_and_rewinds_survive_a_device_too(
    folder: Path, device: Callable[[int, Exception], list[OnDevice]]
) -> None:
    tokens = np.array(PROMPT)
    reference = Session.open(folder, [CPU])
    device(3, RuntimeException(OUT_OF_MEMORY[0]))
    failing = Session.open(folder, [CUDA, CPU])
    for session in (failing, reference):
        cache = session.call(Cache.empty(session.config), tokens[:60], 1).cache()
        accepted = session.call(cache, tokens[60:66], 6).cache(2)
        there = session.call(accepted.rewind(61), tokens[61:70], 9)
        again = session.call(there.cache().rewind(60), tokens[60:70], 10)
        if session is failing:
            found = (there.logits, again.logits)
            assert session.provider == CPU
        else:
            assert np.array_equal(found[0], there.logits) and np.array_equal(found[1], again.logits)


def test_caches_of_before_do_not_keep_a_device_that_was_left(
    folder: Path, device: Callable[[int, Exception], list[OnDevice]]
) -> None:
    problem = RuntimeException(OUT_OF_MEMORY[0])
    opened = device(2, problem)
    session, tokens = Session.open(folder, [CUDA, CPU]), np.array(PROMPT)
    kept, other = (session.call(Cache.empty(session.config), tokens[:count], 0).cache() for count in (40, 50))
    left = weakref.ref(opened.pop())
    session.call(other, tokens[50:53], 0)
    problem.__traceback__ = None  # this test has kept it, and it knows every frame
    gc.collect()
    assert session.provider == CPU and left() is None
    reference = Session.open(folder, [CPU])
    fresh = reference.call(Cache.empty(session.config), tokens[:40], 0).cache()
    after = [each.call(cache, tokens[40:45], 5).logits for each, cache in ((session, kept), (reference, fresh))]
    assert np.array_equal(*after)


def test_a_graph_of_other_engram_layers_is_refused(model_copy: Path) -> None:
    config = ModelConfig.read(model_copy / "config.json")
    replace(config, engram_layers=()).write(model_copy / "config.json")
    with pytest.raises(ModelError, match="other Engram layers"):
        Session.open(model_copy, [CPU])


def test_a_device_that_fails_at_the_first_call_leaves_the_model_on_the_cpu(
    folder: Path, device: Callable[[int, Exception], list[OnDevice]], caplog: pytest.LogCaptureFixture
) -> None:
    device(0, RuntimeException(OUT_OF_MEMORY[0]))
    with caplog.at_level("INFO", "engram_runtime.providers"):
        session = Session.open(folder)
    assert session.provider == CPU
    assert session.reason == "CUDAExecutionProvider ran out of memory"
    assert len(caplog.records) == 1
    assert len(session.call(Cache.empty(session.config), [7, 8]).logits) == 1


@pytest.mark.parametrize("named", [None, [CUDA, CPU]])
def test_a_device_that_cannot_take_the_model_leaves_it_on_the_cpu(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: Callable[[int, Exception], list[OnDevice]],
    caplog: pytest.LogCaptureFixture,
    named: list[str] | None,
) -> None:
    device(0, Exception())
    known = providers._session

    def session(path: Path, names: Sequence[str], threads: int) -> ort.InferenceSession:
        if CUDA in names:
            raise RuntimeError(f"ONNX Runtime cannot open model.onnx: {OUT_OF_MEMORY[1]}")
        return known(path, names, threads)

    monkeypatch.setattr(providers, "_session", session)
    with caplog.at_level("INFO", "engram_runtime.providers"):
        opened = Session.open(folder, named)
    assert opened.provider == CPU
    assert opened.reason.endswith("ran out of memory")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "problem", [InvalidArgument("shape"), Fail("overflow"), ValueError("feed"), ZeroDivisionError()]
)
def test_a_request_at_fault_does_not_move_the_model(
    folder: Path, device: Callable[[int, Exception], list[OnDevice]], problem: Exception
) -> None:
    """Neither one that is refused, nor one that the CPU cannot serve either."""
    device(100, Exception())
    inference = Inference.open(folder / "model.onnx", [CUDA, CPU], 1)

    def work(session: ort.InferenceSession) -> None:
        raise problem

    with pytest.raises(type(problem)):
        inference.attempt(work)
    assert inference.provider == CUDA and not inference.reason


def test_a_broken_graph_is_one_error_on_any_provider(
    model_copy: Path, device: Callable[[int, Exception], list[OnDevice]]
) -> None:
    device(0, Exception())
    (model_copy / "model.onnx").write_bytes(b"nothing of the kind")
    for named in (None, [CUDA, CPU], [CPU]):
        with pytest.raises(ModelError, match="cannot open"):
            Session.open(model_copy, named)


@dataclass(frozen=True, slots=True)
class Timed:
    """A model that takes so long for a token."""

    provider: str
    seconds: float
    reason: str = ""

    def seconds_per_token(self) -> float:
        return self.seconds


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(("there", "here", "chosen"), [(0.001, 0.002, CUDA), (0.003, 0.002, CPU)])
def test_the_faster_provider_is_taken(tmp_path: Path, there: float, here: float, chosen: str) -> None:
    (tmp_path / "model.onnx").touch()
    seconds = {CUDA: there, CPU: here}
    model, reason = choose(tmp_path / "model.onnx", lambda names: Timed(names[0], seconds[names[0]]))
    assert model.provider == chosen
    assert f"{there * 1e3:.1f} ms on CUDA, {here * 1e3:.1f} ms on the CPU" in reason


@pytest.mark.usefixtures("device")
def test_a_large_model_is_not_opened_on_the_cpu_to_time_it(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with (tmp_path / "model.onnx.data").open("wb") as file:
        file.truncate(SURELY_FASTER)
    assert graph_bytes(tmp_path / "model.onnx") == SURELY_FASTER
    opened: list[str] = []

    def timed(names: Sequence[str]) -> Timed:
        opened.append(names[0])
        return Timed(names[0], 1.0)

    assert choose(tmp_path / "model.onnx", timed)[0].provider == CUDA
    assert opened == [CUDA]


@pytest.mark.usefixtures("device")
def test_hidden_devices_are_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.onnx").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    model, reason = choose(tmp_path / "model.onnx", lambda names: Timed(names[0], 1.0))
    assert model.provider == CPU and "CUDA_VISIBLE_DEVICES" in reason


def test_other_accelerators_are_not_chosen_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.onnx").touch()
    others = ["TensorrtExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider", "ROCMExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [*others, CPU])
    model, reason = choose(tmp_path / "model.onnx", lambda names: Timed(names[0], 1.0))
    assert model.provider == CPU and "no CUDA provider" in reason
    named, reason = choose(tmp_path / "model.onnx", lambda names: Timed(names[0], 1.0), others[1:2])
    assert named.provider == others[1] and "settings" in reason
