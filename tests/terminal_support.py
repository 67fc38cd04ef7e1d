"""Programs in a terminal, for tests of editors that are typed at and looked at."""

import shlex
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from editor_support import until

COLUMNS, ROWS = 120, 40


class Terminal:
    """A program in a terminal of its own, by tmux: keys go in, the screen comes out."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name = f"engram-{uuid.uuid4().hex}"
        shell = shlex.join(["env", "TERM=xterm-256color", *command])
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "-c", str(folder), shell, environment=environment)

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: "M-f", "Tab", "C-x"."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def screen(self, *, colours: bool = False) -> str:
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def until(self, true: Callable[[str], object], what: str) -> str:
        """Waits until the screen is so; the screen."""
        try:
            until(lambda: true(self.screen()), what)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.screen()}") from None
        return self.screen()

    def ended(self) -> bool:
        return self._run("has-session").returncode != 0

    def close(self) -> None:
        self._run("kill-server")

    def _tmux(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        done = self._run(*arguments, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, *arguments: str, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["tmux", "-u", "-L", self.name, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
