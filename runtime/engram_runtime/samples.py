"""Texts from a folder of code: to calibrate a model on, or to measure it with."""

from hashlib import blake2b
from pathlib import Path

from engram_runtime.tokenizer import Tokenizer

LONGEST = 512
"""Tokens of a text; what comes after them is left out."""

TEXTS = 48

_LARGEST = 1 << 20
"""Bytes of a file; larger ones are rarely written by people."""


def texts(folder: Path, tokenizer: Tokenizer, count: int = TEXTS) -> list[list[int]]:
    """Tokens of at most `count` of the text files in the folder and below, from all over it and always the same ones.

    Each begins with the token for that. Raises ValueError if there is no text file.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and 0 < path.stat().st_size <= _LARGEST)
    files.sort(key=lambda path: blake2b(path.relative_to(folder).as_posix().encode()).digest())
    found: list[list[int]] = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        if "\0" not in text:
            # Of a text whose tokens are short on average no more is looked at than will be used.
            found.append([tokenizer.begin, *tokenizer.encode(text[: LONGEST * 8])][:LONGEST])
        if len(found) == count:
            break
    if not found:
        raise ValueError(f"{folder} holds no text files: name a folder of code")
    return found
