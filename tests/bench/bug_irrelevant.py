"""Stack traces that no change of a package repairs: other people's errors, machines, networks, impatience.

Most go through the package's own lines, as real ones do: a line of a random function stands where the text says
`{project}`; `{script}` is a line of somebody's script outside.
"""

from __future__ import annotations

import random
import re

from engram_context.snapshot import Snapshot
from engram_context.trace.locating import is_test

_SCRIPT = '  File "/home/somebody/work/report.py", line {line}, in main\n    {code}\n'
_SOCKET = '  File "/usr/lib/python3.11/socket.py", line 851, in create_connection\n    sock.connect(sa)\n'

# (name, code of the script, whether frames of the project follow, frames of others, the error)
TRACES = (
    ("refused", "client.load(url)", True, _SOCKET, "ConnectionRefusedError: [Errno 111] Connection refused"),
    ("dns", "client.load(url)", False, _SOCKET, "socket.gaierror: [Errno -2] Name or service not known"),
    ("requests", "requests.get(url)", True, "", "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.x.org', port=443): Max retries exceeded"),
    ("memory", "everything = load(huge)", True, "", "MemoryError"),
    ("interrupt", "main()", True, "", "KeyboardInterrupt"),
    ("third party", "import numpy as np", False, "", "ModuleNotFoundError: No module named 'numpy'"),
    ("optional dependency", "run(fast=True)", True, "", "ModuleNotFoundError: No module named 'orjson_speedups'"),
    ("script forgets an argument", "result = build()", False, "", "TypeError: build() missing 1 required positional argument: 'target'"),
    ("script passes a number", "run(3)", True, "", "TypeError: 'int' object is not iterable"),
    ("script's own key", "row['prise']", False, "", "KeyError: 'prise'"),
    ("script's own attribute", "lib.make_everything()", False, "", "AttributeError: module 'lib' has no attribute 'make_everything'"),
    ("test timeout", "run()", True, "", "Failed: Timeout (>10.0s) from pytest-timeout."),
    ("permission", "save('/etc/shadow')", True, "", "PermissionError: [Errno 13] Permission denied: '/etc/shadow'"),
    ("no file", "load('confg.toml')", True, "", "FileNotFoundError: [Errno 2] No such file or directory: 'confg.toml'"),
    ("disk full", "save(out)", True, "", "OSError: [Errno 28] No space left on device"),
    ("another project", "app.handle(request)", False, '  File "/srv/shop/shop/views.py", line 88, in checkout\n    total = cart.total()\n  File "/srv/shop/shop/cart.py", line 19, in total\n    return sum(item.prise for item in self.items)\n', "AttributeError: 'Item' object has no attribute 'prise'"),
    ("git", "release()", True, '  File "/usr/lib/python3.11/subprocess.py", line 571, in run\n    raise CalledProcessError(retcode, process.args,\n', "subprocess.CalledProcessError: Command '['git', 'push']' returned non-zero exit status 128."),
    ("locked database", "store(rows)", True, "", "sqlite3.OperationalError: database is locked"),
    ("bad input", "read(path)", True, '  File "<frozen codecs>", line 322, in decode\n', "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ("bad json", "read(path)", True, '  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode\n    raise JSONDecodeError("Expecting value", s, err.value) from None\n', "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
)  # fmt: skip


def traces(snapshot: Snapshot, rng: random.Random) -> list[tuple[str, str]]:
    """(name, text) of each, with lines of this project."""
    places = _places(snapshot)
    found: list[tuple[str, str]] = []
    for name, code, is_through, others, error in TRACES:
        frames = [_SCRIPT.format(line=rng.randint(5, 90), code=code)]
        if is_through:
            frames += rng.sample(places, min(rng.randint(1, 3), len(places)))
        found.append((name, f"Traceback (most recent call last):\n{''.join(frames)}{others}{error}\n"))
    return found


def _places(snapshot: Snapshot) -> list[str]:
    """Frames at statements that call something, in functions of the project."""
    found: list[str] = []
    for path in snapshot.paths:
        record, text = snapshot.record(path), snapshot.text(path)
        if record is None or text is None or is_test(path) or re.match(r"docs?/|examples?/|setup\.py|scripts/", path):
            continue
        for symbol in record.symbols:
            if symbol.kind not in ("function", "method"):
                continue
            first, last = text.line_of(symbol.body.start), text.line_of(symbol.body.end)
            for line in range(first + 1, last):
                code = text.slice(text.line_span(line)).strip()
                if re.match(r"(return|for|if|\w+ =|\w[\w.]*\()", code) and code.endswith((")", "):", "]", ":")):
                    found.append(f'  File "/opt/site/{path}", line {line + 1}, in {symbol.name}\n    {code}\n')
                    break
    return found
