"""The NVIDIA devices that CUDA would use, asked of the driver's own libraries: no CUDA context, no other process."""

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Device:
    """One device, in CUDA's order and as CUDA_VISIBLE_DEVICES leaves it. Memory in bytes."""

    name: str
    total: int
    free: int


class _Memory(ctypes.Structure):
    """nvmlMemory_t."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


_TEXT = 96
"""Bytes for a name, a bus id or a version: no less than the driver's own limits."""


def devices() -> tuple[Device, ...]:
    """Every device; empty without a driver or a device.

    CUDA knows the order, NVML the memory: the PCI bus id joins them.
    """
    cuda, nvml = _library("nvcuda.dll", "libcuda.so.1"), _library("nvml.dll", "libnvidia-ml.so.1")
    if cuda is None or nvml is None:
        return ()
    count = ctypes.c_int()
    if not _done(lambda: cuda.cuInit(0), lambda: cuda.cuDeviceGetCount(ctypes.byref(count))):
        return ()
    if not _done(lambda: nvml.nvmlInit_v2()):
        return ()
    try:
        found = [_device(cuda, nvml, ordinal) for ordinal in range(count.value)]
    finally:
        nvml.nvmlShutdown()
    return tuple(device for device in found if device)


def driver_version() -> str | None:
    """The driver's version; None without a driver."""
    nvml = _library("nvml.dll", "libnvidia-ml.so.1")
    if nvml is None or not _done(lambda: nvml.nvmlInit_v2()):
        return None
    text = ctypes.create_string_buffer(_TEXT)
    found = _done(lambda: nvml.nvmlSystemGetDriverVersion(text, _TEXT))
    nvml.nvmlShutdown()
    return text.value.decode() if found else None


def _device(cuda: ctypes.CDLL, nvml: ctypes.CDLL, ordinal: int) -> Device | None:
    handle, own = ctypes.c_int(), ctypes.c_void_p()
    bus, name, memory = ctypes.create_string_buffer(_TEXT), ctypes.create_string_buffer(_TEXT), _Memory()
    found = _done(
        lambda: cuda.cuDeviceGet(ctypes.byref(handle), ordinal),
        lambda: cuda.cuDeviceGetName(name, _TEXT, handle),
        lambda: cuda.cuDeviceGetPCIBusId(bus, _TEXT, handle),
        lambda: nvml.nvmlDeviceGetHandleByPciBusId_v2(bus, ctypes.byref(own)),
        lambda: nvml.nvmlDeviceGetMemoryInfo(own, ctypes.byref(memory)),
    )
    return Device(name.value.decode(), int(memory.total), int(memory.free)) if found else None


def _library(windows: str, linux: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(windows if sys.platform == "win32" else linux)
    except OSError:
        return None


def _done(*steps: Callable[[], Any]) -> bool:
    """Whether every step answered 0, success; none is taken after one that did not."""
    try:
        return all(step() == 0 for step in steps)
    except AttributeError:  # an old driver without the function
        return False
