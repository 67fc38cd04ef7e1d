"""Put on PYTHONPATH, this writes down what a Python process and all those that it starts do to the machine.

One JSON line for each of Python's audit events that reaches out of the process: files opened, made, renamed and deleted,
sockets, other processes, code that is run. The hook cannot be taken out again, by design of `sys.addaudithook`.
"""

import json
import os
import sys

_LOG = os.open(os.environ["ENGRAM_AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_WANTED = (
    "open", "os.", "shutil.", "tempfile.", "sqlite3.connect", "ctypes.dlopen", "import", "exec", "mmap.__new__",
    "socket.", "subprocess.", "pty.", "http.", "urllib.", "ftplib.", "smtplib.", "ssl.", "webbrowser.", "pickle.find_class",
)  # fmt: skip
_DULL = (
    "os.listdir",
    "os.scandir",
    "os.walk",
    "os.fwalk",
    "os.listdrives",
    "os.putenv",
    "os.unsetenv",
    "socket.__new__",
)


def _said(argument: object) -> object:
    if isinstance(argument, str | int | float | None):
        return argument
    if isinstance(argument, bytes | os.PathLike):
        return os.fsdecode(argument)
    code = getattr(argument, "co_filename", None)
    return code if isinstance(code, str) else repr(argument)[:200]


def _hook(event: str, arguments: tuple) -> None:
    if not event.startswith(_WANTED) or event in _DULL:
        return
    try:
        line = json.dumps([os.getpid(), event, *map(_said, arguments)])
        os.write(_LOG, line.encode("utf-8", "surrogatepass") + b"\n")
    except Exception:
        os.write(_LOG, b'[0, "unrecorded"]\n')


sys.addaudithook(_hook)
