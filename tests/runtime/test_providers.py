"""Which provider a model runs on, and that no failure of a device loses anything."""

from pathlib import Path

import pytest
from engram_runtime.cache import Cache
from engram_runtime.export import WeightKind
from engram_runtime.nvidia import Device, devices
from engram_runtime.providers import CPU, CUDA
from engram_runtime.session import Session

no_device = pytest.mark.skipif(bool(devices()), reason="this machine has a device")

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
