"""`engram-ls doctor`: what this installation has, what it lacks, and what to do about it.

Looks only at this machine: no socket is opened (but with `--endpoint`), no newer version is asked for.
"""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import psutil
from engram_context.disk.store import default_cache_folder
from rich.markup import escape
from rich.table import Table

from engram_lsp.cli.terminal import out, print_json
from engram_lsp.coding import read_tokenizer
from engram_lsp.machine import system
from engram_lsp.settings import ModelSettings

State = Literal["good", "note", "bad"]
MARKS: dict[State, str] = {"good": "[green]✓[/]", "note": "[yellow]![/]", "bad": "[red]✗[/]"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that was looked at. `advice` says what to do where the state is not good."""

    subject: str
    state: State
    what: str
    advice: str = ""
    facts: Mapping[str, object] = field(default_factory=dict[str, object])
    """The same for programs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON value instead of a table")
    parser.add_argument("--model", metavar="FOLDER", help="look at this model instead of the one in the package")
    parser.add_argument("--endpoint", metavar="URL", help="also ask the server there for one token of a made-up file")
    parser.add_argument("--endpoint-model", metavar="NAME", default="", help="the name of the model at that server")


def run(options: argparse.Namespace) -> int:
    looks: dict[str, Callable[[], Verdict]] = {
        "python": _python,
        "packages": _packages,
        "providers": _providers,
        "model": lambda: _model(options.model),
        "Engram tables": lambda: _tables(options.model),
        "cache": _cache,
        "watcher": _watcher,
        "memory": _memory,
        "remote model": lambda: _remote(options),
    }
    verdicts = [_survived(subject, look) for subject, look in looks.items()]
    if options.json:
        print_json(
            [{name: getattr(v, name) for name in ("subject", "state", "what", "advice", "facts")} for v in verdicts]
        )
    else:
        table = Table(title="engram-ls doctor", title_justify="left", show_header=False)
        for verdict in verdicts:
            advice = f"\n[dim]{escape(verdict.advice)}[/]" if verdict.advice else ""
            table.add_row(MARKS[verdict.state], verdict.subject, escape(verdict.what) + advice)
        out.print(table)
    return 1 if any(verdict.state == "bad" for verdict in verdicts) else 0


def _survived(subject: str, look: Callable[[], Verdict]) -> Verdict:
    """What breaks while being looked at is a finding, not a crash."""
    try:
        return look()
    except Exception as problem:
        return Verdict(subject, "bad", f"{type(problem).__name__}: {problem}")


def _python() -> Verdict:
    return Verdict("python", "good", f"{platform.python_version()} on {system()}, {os.cpu_count()} cores")


def _packages() -> Verdict:
    wanted = (
        "engram-ls",
        "pygls",
        "lsprotocol",
        "watchdog",
        "tree-sitter",
        "tree-sitter-python",
        "tokenizers",
        "numpy",
    )
    found: list[str] = []
    missing: list[str] = []
    for name in wanted:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Verdict("packages", "bad", f"missing: {', '.join(missing)}", "reinstall engram-ls")
    return Verdict("packages", "good", ", ".join(found))


def _providers() -> Verdict:
    from engram_runtime.nvidia import devices, driver_version
    from engram_runtime.providers import CUDA, INSTALL_CUDA, load_cuda_libraries

    driver, found = driver_version(), devices()
    import onnxruntime  # behind engram_runtime, which switches its telemetry off

    names: list[str] = onnxruntime.get_available_providers()
    missing = load_cuda_libraries() if found and CUDA in names else ()
    facts = {
        "onnxruntime": onnxruntime.__version__,
        "available": names,
        "driver": driver,
        "devices": [{"name": device.name, "total": device.total, "free": device.free} for device in found],
        "missing_libraries": list(missing),
    }
    what = f"ONNX Runtime {onnxruntime.__version__} with {_short(names)}"
    if driver is None:
        return Verdict("providers", "good", f"{what}; no NVIDIA driver here, so the CPU is used", facts=facts)
    what += f"; NVIDIA driver {driver}"
    if not found:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        advice = "look at what nvidia-smi says" if hidden is None else f"CUDA_VISIBLE_DEVICES is {hidden!r}"
        return Verdict("providers", "note", f"{what}, which shows no device", advice, facts)
    memory = (f"{each.name} ({each.free / 1e9:.1f} of {each.total / 1e9:.1f} GB free)" for each in found)
    what += f", {', '.join(memory)}"
    if CUDA not in names:
        advice = "pip uninstall onnxruntime && pip install onnxruntime-gpu"
        return Verdict("providers", "note", f"{what}, which this ONNX Runtime cannot use", advice, facts)
    if missing:
        return Verdict("providers", "note", f"{what}; CUDA lacks {', '.join(missing)}", INSTALL_CUDA, facts)
    return Verdict("providers", "good", what, facts=facts)


def _short(providers: Sequence[str]) -> str:
    return ", ".join(name.removesuffix("ExecutionProvider") for name in providers)


def _model(folder: str | None) -> Verdict:
    from engram_runtime.engine import OnnxEngine
    from engram_runtime.models import default_model

    where = Path(folder) if folder else default_model()
    engine = OnnxEngine.open(where)
    try:
        said: dict[str, Any] = engine.describe()
        prompt = engine.tokenizer.encode("import os\n\ndef size(path):\n    return os")
        answer = engine.next_log_probs(prompt)
        assert answer is not None
        following = engine.tokenizer.decode([int(answer.argmax())])
    finally:
        engine.close()
    size = sum(path.stat().st_size for path in where.rglob("*") if path.is_file())
    facts = {
        "folder": str(where),
        "bytes": size,
        "weights": said.get("weights"),
        "provider": said["provider"],
        "reason": said["reason"],
        "threads": ModelSettings().threads or 1,
    }
    what = (
        f"{where} ({_amount(size)}, {said.get('weights', '?')}) on {_short([said['provider']])}: {said['reason']}; "
        f"{facts['threads']} of {os.cpu_count()} CPU threads; after `return os` it says {following!r}"
    )
    return Verdict("model", "good", what, facts=facts)


def _tables(folder: str | None) -> Verdict:
    from engram_runtime.config import ModelConfig
    from engram_runtime.models import default_model
    from engram_runtime.weights import READ_AHEAD

    where = Path(folder) if folder else default_model()
    config, file = ModelConfig.read(where / "config.json"), where / "engram.npy"
    if not config.engram_layers:
        return Verdict("Engram tables", "good", "this model has none", facts={"bytes": 0})
    size = file.stat().st_size
    per_token = len(config.engram_layers) * len(config.engram_orders) * config.engram_heads
    whole = size <= READ_AHEAD
    facts = {"file": str(file), "bytes": size, "rows_per_token": per_token, "mapped": True, "read_ahead": whole}
    read = "read ahead as a whole" if whole else "read a page at a time as tokens ask for it"
    return Verdict(
        "Engram tables", "good", f"{_amount(size)}, {per_token} rows a token; mapped from disk, {read}", facts=facts
    )


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _cache() -> Verdict:
    folder = default_cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as problem:
        return Verdict(
            "cache", "note", f"{folder}: {problem}", "projects are read anew at every start until this works"
        )
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    state: State = "good" if free > 1 << 30 else "note"
    return Verdict("cache", state, f"{folder}: {used / 1e6:.1f} MB used, {free / 1e9:.0f} GB free on the disk")


def _watcher() -> Verdict:
    from watchdog.observers import Observer

    limits = Path("/proc/sys/fs/inotify")
    if not limits.is_dir():
        return Verdict("watcher", "good", f"{Observer.__module__.rpartition('.')[2]} ({sys.platform})")
    watches = int((limits / "max_user_watches").read_text())
    queue = int((limits / "max_queued_events").read_text())
    what = f"inotify: {watches:,} folders can be watched, {queue:,} events queued"
    if watches < 65_536:
        return Verdict("watcher", "note", what, "large projects are polled instead; raise fs.inotify.max_user_watches")
    return Verdict("watcher", "good", what)


def _memory() -> Verdict:
    machine = psutil.virtual_memory()
    state: State = "good" if machine.available > 1 << 30 else "note"
    advice = "" if state == "good" else "close something: a large project and the model want about 500 MB"
    return Verdict("memory", state, f"{machine.available / 1e9:.1f} GB free of {machine.total / 1e9:.1f} GB", advice)


def _remote(options: argparse.Namespace) -> Verdict:
    from engram_runtime.servers import RemoteError, read_servers, servers_file

    file = servers_file()
    try:
        allowed = read_servers(file)
        if options.endpoint:
            return _endpoint(options.endpoint, options.endpoint_model)
    except RemoteError as problem:
        return Verdict("remote model", "bad", str(problem))
    if not allowed:
        return Verdict("remote model", "good", f"off: no server is listed in {file}, so no code leaves this machine")
    unset = [entry.key_variable for entry in allowed if entry.key_variable and not os.environ.get(entry.key_variable)]
    what = f"{file} allows {', '.join(entry.origin for entry in allowed)}"
    if unset:
        return Verdict("remote model", "note", what, f"not set here: {', '.join(unset)}")
    return Verdict("remote model", "good", what)


def _endpoint(endpoint: str, model: str) -> Verdict:
    from engram_lsp.model import tokenizer_file
    from engram_lsp.remote import Remote
    from engram_lsp.settings import ModelSettings, RemoteSettings

    settings = RemoteSettings(endpoint=endpoint, model=model)
    remote = Remote.open(settings, read_tokenizer(str(tokenizer_file(ModelSettings()))))
    try:
        problem = remote.connect()
        said = remote.describe()
    finally:
        remote.close()
    if problem:
        return Verdict("remote model", "bad", f"{said['endpoint']}: {problem}")
    return Verdict("remote model", "good", f"{said['endpoint']} answers, asked as {said['kind']}, key {said['key']}")
