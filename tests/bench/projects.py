"""Real projects for the benches: Python files of a folder, a wheel or a source archive, and their tokens."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from engram_runtime.tokenizer import Tokenizer
from numpy.typing import NDArray

DEFAULT_TOKENIZER = Path(__file__).parents[2] / "runtime/engram_runtime/models/default/tokenizer.json"

_SKIPPED = {"tests", "test", "testing", "_vendor", "vendored", "vendor", "_vendored_packages", "locale"}
_LARGEST = 200_000


@dataclass(frozen=True, slots=True)
class Encoded:
    texts: dict[str, str]
    tokens: dict[str, NDArray[np.uint16]]
    starts: dict[str, NDArray[np.int64]]  # characters at which each token starts, and the text's length


def read_project(path: Path) -> dict[str, str]:
    """path -> text of the Python files, without tests, vendored copies and data that happens to be Python."""
    texts: dict[str, str] = {}
    for name, data in _members(path):
        parts = Path(name).parts
        if name.endswith(".py") and not _SKIPPED & set(parts) and 0 < len(data) <= _LARGEST:
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError:
                continue
            if len(text) / (text.count("\n") + 1) < 100:
                texts[name] = text
    return texts


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*.py")):
            yield file.relative_to(path).as_posix(), file.read_bytes()
    elif path.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".py"):
                    yield name, archive.read(name)
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".py"):
                    stream = archive.extractfile(member)
                    if stream is not None:
                        yield member.name.partition("/")[2], stream.read()


def encoded(texts: dict[str, str], tokenizer: Tokenizer) -> Encoded:
    tokens: dict[str, NDArray[np.uint16]] = {}
    starts: dict[str, NDArray[np.int64]] = {}
    widths = np.array([len(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)])
    for path, text in texts.items():
        ids = np.array(tokenizer.encode(text), np.uint16)
        tokens[path] = ids
        starts[path] = np.concatenate(([0], np.cumsum(widths[ids])))
    return Encoded(texts, tokens, starts)


def code_lines(project: Encoded, path: str) -> list[tuple[int, int]]:
    """(first token, end token) of each line of code after its indentation; comments and docstrings left out."""
    data = project.texts[path].encode("utf-8")
    starts = project.starts[path]
    lines: list[tuple[int, int]] = []
    offset = 0
    quoted = False
    for line in data.split(b"\n"):
        bare = line.strip()
        quotes = line.count(b'"""') + line.count(b"'''")
        if bare and not quoted and not quotes and not bare.startswith(b"#"):
            begin = offset + len(line) - len(line.lstrip())
            first, end = np.searchsorted(starts, [begin, offset + len(line.rstrip())])
            if starts[first] == begin and end > first > 0:
                lines.append((int(first), int(end)))
        quoted ^= quotes % 2 == 1
        offset += len(line) + 1
    return lines
