"""A real Neovim, driven from outside: keys go in as from a keyboard, the screen is read as it is drawn."""

import itertools
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
from editor_support import Server, until

PLUGIN = Path(__file__).parents[3] / "editors" / "neovim"
Json = Any
Start = Callable[..., "Neovim"]


@dataclass
class Session:
    """A Neovim in a project, with the server that it started."""

    nvim: "Neovim"
    server: Server
    project: Path
    version: str


class NeovimError(Exception):
    """What Neovim said about a call."""


class Neovim:
    """One Neovim with `init` as its init.lua, a home of its own in `folder`, and `runtime` in front of its 'runtimepath'."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        init: str,
        *,
        runtime: Sequence[Path] = (),
        arguments: Sequence[str | Path] = (),
        environment: dict[str, str] | None = None,
        where: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "init.lua").write_text(init, encoding="utf-8")
        home = {
            name: str(folder / name.lower())
            for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
        }
        for path in home.values():
            Path(path).mkdir(exist_ok=True, mode=0o700)
        self.folder = folder
        self._ids = itertools.count(1)
        self._address = folder / "socket"
        path = ",".join(str(entry) for entry in runtime)
        before = ["--cmd", f"set rtp^={path}"] if path else []
        options = ["--headless", "-n", "-i", "NONE", *before, "-u", str(folder / "init.lua")]
        self.process = subprocess.Popen(
            [*command, *options, "--listen", str(self._address), *map(str, arguments)],
            cwd=where or folder,
            env={**os.environ, **home, "LC_ALL": "C.UTF-8", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=(folder / "output.txt").open("wb"),
            stderr=subprocess.STDOUT,
        )
        try:
            self._socket = until(self._connect, "Neovim to listen", 30)
        except BaseException:
            self.process.kill()
            raise
        self._socket.settimeout(60)
        self._unpacker = msgpack.Unpacker(
            raw=False, strict_map_key=False, ext_hook=_handle, unicode_errors="surrogateescape"
        )
        # Without somebody to look at it Neovim answers its own questions.
        # So wide that no message with a path in it needs a second line, after which Neovim would wait for a key.
        self.call("nvim_ui_attach", 240, 40, {"rgb": True, "ext_linegrid": True})

    def call(self, method: str, *arguments: Json) -> Json:
        """An API function of Neovim. Waits as long as Neovim waits for the user, up to the socket's timeout."""
        number = next(self._ids)
        self._socket.sendall(msgpack.packb([0, number, method, list(arguments)], unicode_errors="surrogateescape"))
        while True:
            for message in self._unpacker:
                if message[0] == 1 and message[1] == number:
                    if message[2] is not None:
                        raise NeovimError(f"{method}: {message[2]}")
                    return message[3]
            data = self._socket.recv(1 << 16)
            if not data:
                raise NeovimError(f"Neovim is gone ({self.process.poll()}): {self.output}")
            self._unpacker.feed(data)

    def lua(self, code: str, *arguments: Json) -> Json:
        """Runs Lua, which finds the arguments in `...`; what it returns."""
        return self.call("nvim_exec_lua", code, list(arguments))

    def keys(self, text: str) -> None:
        """Types. Special keys are written as in mappings: <Esc>, <M-w>, <lt>."""
        rest = text
        while rest:
            rest = rest.encode()[self.call("nvim_input", rest) :].decode()

    def command(self, text: str) -> None:
        self.call("nvim_command", text)

    def edit(self, path: Path) -> None:
        self.lua("vim.cmd.edit(vim.fn.fnameescape((...)))", str(path))

    def go(self, line: int, column: int) -> None:
        """Puts the cursor at a line and byte, both from 0."""
        self.call("nvim_win_set_cursor", 0, [line + 1, column])

    def text(self, buffer: int = 0) -> str:
        return "".join(line + "\n" for line in self.call("nvim_buf_get_lines", buffer, 0, -1, False))

    def line(self) -> str:
        return self.call("nvim_get_current_line")

    def screen(self) -> str:
        """What is drawn, popup menus, floating windows and virtual text included."""
        return self.lua(_SCREEN)

    def mode(self) -> dict[str, Json]:
        return self.call("nvim_get_mode")

    def until(self, true: Callable[[], Json], what: str, timeout: float = 60) -> Json:
        try:
            return until(true, what, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}") from error

    def until_lua(self, code: str, what: str, *arguments: Json, timeout: float = 60) -> Json:
        return self.until(lambda: self.lua(code, *arguments), what, timeout)

    def clean(self, path: Path | None) -> None:
        """Normal mode, one window, no buffer but (unchanged) that of `path`."""
        self.keys("<C-\\><C-n>")
        self.until(lambda: self.mode() == {"mode": "n", "blocking": False}, "Normal mode")
        self.command("silent! tabonly | silent! only! | enew! | %bwipeout! | messages clear")
        if path:
            self.edit(path)

    def ready(self) -> None:
        """Waits until the server of the current buffer has read everything."""
        self.until_lua("return require('engram').statusline() == 'engram'", "the server to be ready")

    def run(self, command: str, *arguments: Json) -> Json:
        """A command of the server, as its client sends it; the answer."""
        sent = """
            local command, arguments = ...
            local client = vim.lsp.get_clients({ name = "engram" })[1]
            local params = { command = command, arguments = arguments }
            local answer, problem = client:request_sync("workspace/executeCommand", params, 60000)
            if not answer or answer.err then error(problem or answer.err.message) end
            return answer.result
        """
        return self.lua(sent, command, list(arguments))

    def messages(self) -> str:
        """What `:messages` has."""
        return self.call("nvim_exec2", "messages", {"output": True})["output"]

    def told(self) -> str:
        """For a failing test: what stands on the screen and in the messages."""
        if self.mode()["blocking"]:
            return f"Neovim waits for a key\n{self.output}"
        drawn = "\n".join(row for row in self.screen().split("\n") if row not in ("", "~"))
        return f"{drawn}\nmessages:\n{self.messages()}"

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text(encoding="utf-8", errors="replace")

    def quit(self) -> int:
        """`:qall!`, as a user would; the exit code."""
        if self.process.poll() is None:
            self._socket.sendall(msgpack.packb([2, "nvim_input", ["<C-\\><C-n>:qall!<CR>"]]))
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self._socket.close()

    def _connect(self) -> socket.socket | None:
        if self.process.poll() is not None:
            raise NeovimError(f"Neovim ended ({self.process.poll()}): {self.output}")
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._address))
        except OSError:
            connection.close()
            return None
        return connection


def _handle(code: int, data: bytes) -> int:
    """Buffers, windows and tab pages are numbers."""
    return msgpack.unpackb(data)


_SCREEN = """
vim.cmd.redraw()
local rows = {}
for row = 1, vim.o.lines do
  local cells = {}
  for column = 1, vim.o.columns do
    cells[column] = vim.fn.screenstring(row, column)
  end
  rows[row] = (table.concat(cells):gsub("%s+$", ""))
end
return table.concat(rows, "\\n")
"""
