"""recorder.py LOG COMMAND...: starts a language server, passes everything on, and writes every message to LOG.

One JSON value a line: {"pid": ...} at each start, then {"by": "client" or "server", "message": ...}.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO


def record(log: Path, command: list[str]) -> int:
    with (
        log.open("a", buffering=1, encoding="utf-8") as lines,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server,
    ):
        lock = threading.Lock()

        def note(entry: dict[str, Any]) -> None:
            with lock:
                lines.write(json.dumps(entry) + "\n")

        note({"pid": server.pid})
        assert server.stdin is not None and server.stdout is not None
        threading.Thread(target=passing, args=(sys.stdin.buffer, server.stdin, "client", note), daemon=True).start()
        passing(server.stdout, sys.stdout.buffer, "server", note)
        code = server.wait()
    # The thread that waits for the editor's next word need not end.
    os._exit(code if code >= 0 else 128 - code)


def passing(source: BinaryIO, target: BinaryIO, by: str, note: Any) -> None:
    try:
        while head := header(source):
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = source.read(length)
            note({"by": by, "message": json.loads(body)})
            target.write(head + body)
            target.flush()
    except (OSError, ValueError):
        pass  # one of the two is gone
    finally:
        with contextlib.suppress(OSError):
            target.close()


def header(source: BinaryIO) -> bytes:
    lines = b""
    while line := source.readline():
        lines += line
        if line == b"\r\n":
            return lines
    return b""


if __name__ == "__main__":
    record(Path(sys.argv[1]), sys.argv[2:])
