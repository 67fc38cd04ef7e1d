"""A machine of its own for a server: home, temporary folder, cache and project, and a recorder of all that it does.

The server is the real program, as it is installed. Its recorder (`recorder/`) also runs in every process that it
starts; what native code does beside it is seen in the files that are there before and afterwards.
"""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from engram_lsp.client import Client, where
from wire_support import capabilities

HERE = Path(__file__).parent
COMMAND = Path(sysconfig.get_path("scripts")) / ("engram-ls.exe" if sys.platform == "win32" else "engram-ls")

Json = Any


@dataclass(frozen=True)
class Event:
    """One of Python's audit events: the process, its name, and its arguments as far as they are plain."""

    process: int
    name: str
    arguments: tuple[Json, ...]

    @property
    def first(self) -> str:
        return str(self.arguments[0]) if self.arguments else ""

    @property
    def writes(self) -> bool:
        """Whether it opens a file, by its name, for more than reading."""
        if self.name == "sqlite3.connect":
            return True
        if self.name != "open" or not isinstance(self.arguments[0], str):
            return False
        mode, flags = self.arguments[1], self.arguments[2]
        for_writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        return (isinstance(mode, str) and bool(set(mode) & set("wax+"))) or bool(int(flags or 0) & for_writing)


@dataclass
class Sandbox:
    """Folders of one test. `project` is what a user would open; everything else belongs to the machine."""

    folder: Path
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        for place in (self.home, self.temporary, self.project, self.cwd):
            place.mkdir(parents=True, exist_ok=True)

    @cached_property
    def home(self) -> Path:
        return self.folder / "home"

    @cached_property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @cached_property
    def cache(self) -> Path:
        return self.folder / "cache"

    @cached_property
    def project(self) -> Path:
        return self.folder / "project"

    @cached_property
    def cwd(self) -> Path:
        return self.folder / "elsewhere"

    @cached_property
    def executed(self) -> Path:
        """A file that only comes to be when something of the project is run."""
        return self.folder / "executed"

    @cached_property
    def log(self) -> Path:
        """Standard error of the server."""
        return self.folder / "stderr"

    @property
    def payload(self) -> str:
        """Python code that leaves a trace of having run."""
        return f"open({str(self.executed)!r}, 'a').write('run ')\n"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "LOCALAPPDATA": str(self.home / "AppData" / "Local"),
            "APPDATA": str(self.home / "AppData" / "Roaming"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".local" / "share"),
            "TMPDIR": str(self.temporary),
            "TEMP": str(self.temporary),
            "TMP": str(self.temporary),
            "PYTHONPATH": str(HERE / "recorder"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ENGRAM_AUDIT": str(self.folder / "audit"),
        }

    def write(self, name: str, text: str | bytes = "") -> Path:
        """A file of the project."""
        file = self.project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return file

    # --- running ------------------------------------------------------------------------------------------

    def start(
        self,
        *roots: Path,
        settings: Json = None,
        prefix: Sequence[str] = (),
        arguments: Sequence[str] = (),
        cwd: Path | None = None,
        editor: str = "vscode",
        ready: bool = True,
        model: bool = False,
    ) -> Client:
        """The real server, at work on the project (or on these roots)."""
        configuration = {"index.cacheFolder": str(self.cache), **({} if model else {"model.path": "none"})}
        command = [*prefix, str(COMMAND), "serve", *arguments]
        client = InFolder(cwd or self.cwd, command, {**configuration, **(settings or {})}, self.environment, self.log)
        self.clients.append(client)
        client.initialize(*(roots or (self.project,)), capabilities=capabilities(editor), name=editor)
        if ready:
            client.ready(60)
        return client

    def run(self, *arguments: str, prefix: Sequence[str] = (), cwd: Path | None = None, **more: Json) -> Json:
        """One command of `engram-ls`, to its end."""
        return subprocess.run(
            [*prefix, str(COMMAND), *arguments],
            cwd=cwd or self.cwd,
            env={**_inherited(), **self.environment, **more.pop("environment", {})},
            capture_output=True,
            timeout=120,
            check=False,
            **more,
        )

    def end(self) -> None:
        for client in self.clients:
            if client.process.poll() is None:
                client.kill()

    # --- what was done ------------------------------------------------------------------------------------

    def events(self) -> list[Event]:
        file = self.folder / "audit"
        lines = file.read_bytes().splitlines() if file.exists() else []
        found = [json.loads(line) for line in lines]
        events = [Event(number, name, tuple(arguments)) for number, name, *arguments in found]
        assert not [one for one in events if one.name == "unrecorded"]
        return events

    def written(self) -> set[Path]:
        """What was opened for writing, made, renamed, changed or deleted, anywhere, by Python code."""
        return written(self.events())


CHANGES = frozenset(
    (
        "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
        "os.utime", "os.setxattr", "os.removexattr", "os.chflags", "shutil.copyfile", "shutil.move", "shutil.rmtree",
        "shutil.copytree", "tempfile.mkstemp", "tempfile.mkdtemp",
    )
)  # fmt: skip
# Deleted by the descriptor of its folder: a part of `shutil.rmtree`, which says the name of the whole.
_IN_FOLDER = ("os.remove", "os.rmdir", "os.mkdir")
PROCESSES = frozenset(
    ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn",
     "os.startfile", "os.startfile/2")
)  # fmt: skip
NETWORK = ("socket.", "http.", "urllib.", "ftplib.", "smtplib.", "ssl.", "webbrowser.")


def _inherited() -> dict[str, str]:
    """Our environment, but for what commands that ran in this process have made safer."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}


def written(events: Sequence[Event]) -> set[Path]:
    """What these events opened for writing, made, renamed, changed or deleted."""
    found: set[Path] = set()
    for event in events:
        if event.writes:
            found.add(Path(event.first))
        elif event.name in CHANGES and not (event.name in _IN_FOLDER and event.arguments[-1] not in (-1, None)):
            found.update(Path(each) for each in event.arguments[:2] if isinstance(each, str))
    return found - {Path(os.devnull)}


class InFolder(Client):
    """A client whose server starts in a folder of its own choice."""

    def __init__(
        self, cwd: Path, command: Sequence[str], settings: Json, environment: dict[str, str], log: Path
    ) -> None:
        before = Path.cwd()
        os.chdir(cwd)
        try:
            super().__init__(command, configuration=settings, environment=environment, log=log)
        finally:
            os.chdir(before)


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Everything in a folder: kind and rights, time of change, digest of the content."""
    found: dict[str, tuple[int, int, str]] = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        regular = stat.S_ISREG(state.st_mode)
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if regular else ""
        found[path.relative_to(folder).as_posix()] = (state.st_mode, state.st_mtime_ns if regular else 0, digest)
    return found


def contents(folder: Path) -> bytes:
    """The bytes of all files below a folder, one after the other."""
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def offline() -> list[str] | str:
    """The prefix of a command that has no network interface at all, or why there is none."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    program = shutil.which("unshare")
    if program is None:
        return "there is no unshare"
    prefix = [program, "--net"] if os.geteuid() == 0 else [program, "--user", "--map-root-user", "--net"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return prefix if tried.returncode == 0 else "the kernel lets nobody make a network namespace here"


# --- questions -------------------------------------------------------------------------------------------------------


def command(client: Client, name: str, *arguments: Json, timeout: float = 30) -> Json:
    question = {"command": f"engram.{name}", "arguments": list(arguments)}
    return client.request("workspace/executeCommand", question, timeout)


def symbols(client: Client, query: str) -> list[str]:
    return [symbol["name"] for symbol in client.request("workspace/symbol", {"query": query}, 20) or ()]


def labels(client: Client, uri: str, line: int, column: int) -> set[str]:
    answer = client.request("textDocument/completion", where(uri, line, column), 20)
    return {item["label"] for item in (answer["items"] if isinstance(answer, dict) else answer or ())}


def ghost(client: Client, uri: str, line: int, column: int) -> list[str]:
    question = {**where(uri, line, column), "context": {"triggerKind": 1}}
    answer = client.request("textDocument/inlineCompletion", question, 30)
    return [item["insertText"] for item in (answer or {"items": ()})["items"]]
