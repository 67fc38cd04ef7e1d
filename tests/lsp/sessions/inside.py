"""A server inside this process, behind pipes: the true protocol, and a session that tests can look into."""

import gc
import logging
import os
import subprocess
import threading

from engram_lsp import guard
from engram_lsp.server import build_server


class Inside:
    """A server with the few methods of a process that a client needs."""

    def __init__(self) -> None:
        (from_client, to_server), (from_server, to_client) = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(to_server, "wb"), os.fdopen(from_server, "rb")
        self._reading, self._writing = os.fdopen(from_client, "rb"), os.fdopen(to_client, "wb")
        self.server = build_server()
        self.session = self.server.session
        self._thread = threading.Thread(target=self._serve, name="server inside", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self.server.start_io(self._reading, self._writing)
        finally:
            self.session.close_at_once()
            for stream in (self._reading, self._writing):
                if not stream.closed:
                    stream.close()
            gc.unfreeze()  # a server freezes what it has read, and here it is not alone

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else 0 if self.session.closed else 1

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("the server inside", timeout or 0)
        return code

    def kill(self) -> None:
        """As if the client had died: a thread cannot be killed."""
        if not self.stdin.closed:
            self.stdin.close()
        self._thread.join(20)


class Log(logging.Handler):
    """What a server inside writes to its log, as `serve` would write it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._ours = logging.Formatter("%(levelname)s %(name)s: %(message)s")
        self._theirs = guard.WithoutArguments()

    def emit(self, record: logging.LogRecord) -> None:
        ours = record.name.startswith("engram")
        if ours or guard.is_failure(record):
            self.lines.append((self._ours if ours else self._theirs).format(record))
