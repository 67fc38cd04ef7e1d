"""One whole session and every command, without a network: what the processes reached for, started and wrote.

All of it is done once, in a network namespace without interfaces where the system has such a thing. Then the record is
read from several sides.
"""

import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from engram_lsp.client import Client, where
from safety.sandbox import (
    NETWORK,
    PROCESSES,
    Event,
    Sandbox,
    command,
    ghost,
    labels,
    offline,
    snapshot,
    symbols,
    written,
)
from wire_support import age, copy_packages

pytestmark = pytest.mark.wire

HABIT = "def close(self):\n    self.connection.close()\n    self.pool.release(self)\n"
PRICES = "def price(item):\n    return len(item)\n"
TILL = (
    "import os\nfrom shop.prices import price\n\n\ndef total(items):\n    return sum(price(item) for item in items)\n"
)
FAULTY = "def ratio(a, b):\n    return a / b\n\n\nprint(undefined_thing)\nratio(1, 0)\n"
TRACE = """Traceback (most recent call last):
  File "{root}/shop/faulty.py", line 6, in <module>
    ratio(1, 0)
  File "{root}/shop/faulty.py", line 2, in ratio
    return a / b
           ~~^~~
ZeroDivisionError: division by zero
"""


@dataclass
class Day:
    """What was done in a sandbox, and how it was before."""

    sandbox: Sandbox
    log: Path
    answers: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    prints: dict[str, bytes] = field(default_factory=dict)
    sockets: list[object] = field(default_factory=list)
    children: set[str] = field(default_factory=set)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    serving: list[Event] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    sandbox = Sandbox(tmp_path_factory.mktemp("day"))
    day = Day(sandbox, sandbox.folder / "log" / "engram.log")
    day.log.parent.mkdir()
    prefix = offline()
    furnish(sandbox)
    day.before = snapshot(sandbox.project)
    try:
        work(day, [] if isinstance(prefix, str) else prefix)
        day.serving = sandbox.events()
        day.after = snapshot(sandbox.project)
        (sandbox.project / "padding.py").unlink()
        commands(day, [] if isinstance(prefix, str) else prefix)
        day.events = sandbox.events()
        yield day
    finally:
        sandbox.end()


def furnish(sandbox: Sandbox) -> None:
    """A project with all that a stranger may put where Python, git and tools look for code to run."""
    for name, text in (
        ("shop/__init__.py", ""), ("shop/prices.py", PRICES), ("shop/till.py", TILL), ("shop/faulty.py", FAULTY),
        ("shop/a.py", HABIT * 2), ("shop/b.py", HABIT * 2), ("pyproject.toml", '[project]\nname = "shop"\n'),
    ):  # fmt: skip
        sandbox.write(name, text)
    copy_packages(sandbox.project, "json")
    for name in (
        "sitecustomize",
        "usercustomize",
        "conftest",
        "engram_lsp",
        "json",
        "tree_sitter_evil",
        "shop/conftest",
    ):
        sandbox.write(f"{name}.py", sandbox.payload)
    sandbox.write("setup.py", sandbox.payload)
    sandbox.write("padding.py", "# So much that processes are begun to read it.\n" * 40_000)
    age(sandbox.project)


def work(day: Day, prefix: list[str]) -> None:
    """A session of every kind of question, started in the project's own folder."""
    sandbox, root = day.sandbox, day.sandbox.project
    client = sandbox.start(
        prefix=prefix,
        arguments=["--verbose", "--log", str(day.log)],
        cwd=root,
        model=True,
        settings={"index.workers": 2, "inline.debounceMs": 0},
    )
    look(day, client)
    answers = day.answers
    answers["status"] = client.ready()
    till = client.open(root / "shop" / "till.py", TILL + "\n\ncount = tot")
    answers["completion"] = labels(client, till, 8, 11)
    answers["hover"] = client.request("textDocument/hover", where(till, 5, 16))
    answers["definition"] = client.request("textDocument/definition", where(till, 5, 16))
    answers["references"] = client.request(
        "textDocument/references", {**where(till, 5, 16), "context": {"includeDeclaration": True}}
    )
    answers["actions"] = client.request(
        "textDocument/codeAction",
        {
            "textDocument": {"uri": till},
            "range": {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}},
            "context": {"diagnostics": []},
        },
    )
    client.request("textDocument/documentLink", {"textDocument": {"uri": till}})
    habit = client.open(root / "shop" / "c.py", "def stop(self):\n    self.connection.close()\n    self.pool.")
    answers["ghost"] = ghost(client, habit, 2, 14)
    answers["diagnostics"] = client.request(
        "textDocument/diagnostic", {"textDocument": {"uri": client.open(root / "shop" / "faulty.py")}}
    )
    client.change(till, TILL)
    answers["rename"] = client.request("textDocument/rename", {**where(till, 5, 16), "newName": "cost_of"})
    answers["moved"] = client.request(
        "workspace/willRenameFiles",
        {"files": [{"oldUri": (root / "shop/prices.py").as_uri(), "newUri": (root / "shop/costs.py").as_uri()}]},
    )
    answers["trace"] = command(client, "trace", TRACE.format(root=root))
    answers["symbols"] = symbols(client, "price")
    answers["rebuilt"] = command(client, "rebuildMemory", timeout=60)
    answers["report"] = command(client, "report")
    answers["why"] = command(client, "why", (root / "shop" / "till.py").as_uri())
    look(day, client)
    assert client.stop() == 0


def commands(day: Day, prefix: list[str]) -> None:
    """Each command of the command line, from within the project."""
    root, trace = day.sandbox.project, day.sandbox.folder / "trace.txt"
    trace.write_text(TRACE.format(root=root), encoding="utf-8")
    questions = (
        ("check", ".", "--format", "sarif"),
        ("check", ".", "--fix"),
        ("complete", "shop/till.py:6:30"),
        ("rename", "shop/prices.py:1:6", "cost_of"),
        ("trace", str(trace)),
        ("why", "shop/prices.py", ".env"),
        ("doctor",),
        ("explain", "unused-import"),
        ("generate", "--prompt", "import ", "--max-tokens", "4"),
        ("demo", "."),
    )
    with ThreadPoolExecutor(2) as both:
        done = both.map(lambda arguments: day.sandbox.run(*arguments, prefix=prefix, cwd=root), reversed(questions))
        for arguments, process in zip(reversed(questions), done, strict=True):
            name = " ".join(arguments[:1] + arguments[2:])
            day.codes[name], day.prints[name] = process.returncode, process.stdout + process.stderr


def look(day: Day, client: Client) -> None:
    """From outside: the sockets that the server's processes hold, and what its children are."""
    server = psutil.Process(client.process.pid)
    for process in (server, *server.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, FileNotFoundError):  # a worker may have ended by now
            day.sockets += process.net_connections("inet")
            day.children.add(Path(process.exe()).resolve().name)
            if sys.platform == "linux":
                day.sockets += inet_sockets(process.pid)


def inet_sockets(process: int) -> list[str]:
    """Inodes of sockets that a process holds and that are of the internet's protocols, as the kernel lists them."""
    held = {str(entry.readlink()) for entry in Path(f"/proc/{process}/fd").iterdir() if entry.is_symlink()}
    numbers = {name.removeprefix("socket:[").rstrip("]") for name in held if name.startswith("socket:[")}
    listed: set[str] = set()
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp", "packet", "netlink"):
        file = Path(f"/proc/{process}/net/{table}")
        lines = file.read_text().splitlines()[1:] if file.exists() else []
        listed.update(word for line in lines for word in line.split())
    return sorted(numbers & listed)


# --- it works ----------------------------------------------------------------------------------------------------------


def test_everything_is_answered_without_a_network(day: Day) -> None:
    answers = day.answers
    assert answers["status"]["engine"]["provider"]
    assert answers["status"]["remote"] == {"problem": "off"}
    assert "total" in answers["completion"]
    assert "price" in answers["hover"]["contents"]["value"]
    assert answers["definition"][0]["uri"].endswith("prices.py")
    assert len(answers["references"]) == 3
    assert {action["kind"] for action in answers["actions"]} >= {"quickfix"}
    assert answers["ghost"][0] == "release(self)"
    assert "undefined-name" in {item["code"] for item in answers["diagnostics"]["items"]}
    assert len(answers["rename"]["documentChanges"]) == 2
    assert answers["moved"]["documentChanges"]
    assert answers["trace"]["traces"][0]["suspects"][0]["uri"].endswith("faulty.py")
    assert answers["symbols"] == ["price"]
    assert answers["rebuilt"]["folders"][0]["files"] > 10


def test_the_commands_work_without_a_network(day: Day) -> None:
    codes = day.codes
    assert {name for name, code in codes.items() if code == 1} == {
        name for name in codes if name.startswith(("check", "why"))
    }
    assert {name for name, code in codes.items() if code not in (0, 1)} == set()
    assert b"ZeroDivisionError" in day.prints["trace"]


# --- it reaches for nothing --------------------------------------------------------------------------------------------


def test_no_process_of_ours_reaches_for_the_network(day: Day) -> None:
    """An event loop wakes itself through a pair of connected sockets without a name or an address (`socketpair`), of
    which Python's hook says nothing but that a socket was made; whatever binds, connects, sends or looks a name up is
    another event."""
    assert [event for event in day.events if event.name.startswith(NETWORK)] == []


def test_no_socket_of_the_internet_is_seen_from_outside(day: Day) -> None:
    assert day.sockets == []


@pytest.mark.skipif(isinstance(offline(), str), reason="needs network namespaces")
def test_the_prefix_does_deny_the_network(no_network: list[str]) -> None:
    """What the other tests rest on."""
    code = "import socket; socket.create_connection(('127.0.0.1', %d), 2)"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert subprocess.run([sys.executable, "-c", code % port], check=False).returncode == 0
        denied = subprocess.run([*no_network, sys.executable, "-c", code % port], capture_output=True, check=False)
    assert denied.returncode != 0
    assert b"unreachable" in denied.stderr


def test_no_program_is_started_but_processes_of_ours_that_read(day: Day) -> None:
    """Workers are begun by `multiprocessing` (which asks the system for a process, and says so to no hook), and are the
    same Python. The demo starts the real server."""
    assert day.children == {Path(sys.executable).resolve().name}
    started = [event for event in day.events if event.name in PROCESSES]
    demo = [event for event in started if "engram_lsp.cli" in str(event.arguments)]
    assert len(demo) >= 1
    assert [event for event in started if event not in demo] == []
    assert [event for event in day.serving if event.name in PROCESSES] == []


def test_no_code_of_the_project_is_run_or_loaded(day: Day) -> None:
    assert not day.sandbox.executed.exists()
    root = str(day.sandbox.project)
    ours = tuple(
        str(Path(place).resolve())
        for place in (
            *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")),
            *(Path(__file__).parents[2] / layer for layer in ("lsp", "context", "runtime", "tests/safety/recorder")),
        )
    )
    run = {event.first for event in day.events if event.name == "exec"}
    assert not [name for name in run if name.startswith(root)]
    # Code without a file: what `dataclasses`, `namedtuple`, attrs and (with no name at all) cattrs write for a class.
    files = {name for name in run if name and not name.startswith("<")}
    assert [name for name in files if not str(Path(name).resolve()).startswith(ours)] == []
    libraries = {event.first for event in day.events if event.name == "ctypes.dlopen" and "/" in event.first}
    imported = {str(event.arguments[1]) for event in day.events if event.name == "import" and event.arguments[1]}
    assert [name for name in libraries | imported if name.startswith(root)] == []


def test_nothing_is_unpickled_into_code(day: Day) -> None:
    """Only what our own processes send each other is a pickle: values of ours, of numpy and of the standard library."""
    found = {event.first.partition(".")[0] for event in day.events if event.name == "pickle.find_class"}
    assert found <= {"engram_context", "engram_lsp", "engram_runtime", "numpy", "pathlib", "multiprocessing",
                     "concurrent", "builtins", "collections", "functools", "_codecs", "copyreg"}  # fmt: skip


# --- it writes nowhere else --------------------------------------------------------------------------------------------


def test_a_session_writes_to_nothing_but_its_cache_folder_and_its_log(day: Day) -> None:
    outside = {path for path in written(day.serving) if not path.is_relative_to(day.sandbox.cache)}
    assert outside == {day.log}


def test_commands_write_to_nothing_but_the_cache_folder_and_temporary_files(day: Day) -> None:
    sandbox = day.sandbox
    allowed = (sandbox.cache, day.log, sandbox.home / ".cache" / "engram-ls", sandbox.temporary)
    outside = {path for path in written(day.events) if not any(path.is_relative_to(place) for place in allowed)}
    assert outside <= {sandbox.home / ".cache"}


def test_what_is_there_afterwards_is_the_cache_and_the_log(day: Day) -> None:
    """Native code too: ONNX Runtime's telemetry, say, has a database and an identifier of the machine."""
    sandbox = day.sandbox
    assert day.log.exists()
    assert list(sandbox.cache.glob("*.sqlite"))
    assert [path.name for path in sandbox.temporary.iterdir()] == []
    assert [path.name for path in sandbox.cwd.iterdir()] == []
    left = {path.relative_to(sandbox.home) for path in sandbox.home.rglob("*") if path.is_file()}
    assert {path.parts[:2] for path in left} <= {(".cache", "engram-ls")}


def test_the_project_is_as_it_was_to_the_byte_and_the_second(day: Day) -> None:
    assert day.after == day.before
    commanded = snapshot(day.sandbox.project)
    assert commanded == {name: state for name, state in day.before.items() if name in commanded}
    assert len(commanded) == len(day.before) - 1
