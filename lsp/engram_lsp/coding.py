"""How the project memory turns text into tokens, as a value that reader processes can be sent.

Those import this module, so it imports nothing but the tokenizer.
"""

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path

from engram_context.disk.indexing import Coding
from engram_runtime.tokenizer import Tokenizer


@cache
def read_tokenizer(file: str) -> Tokenizer:
    """The tokenizer of a file, read once."""
    return Tokenizer.read(Path(file))


def load_encode(file: str) -> Callable[[str], Sequence[int]]:
    return read_tokenizer(file).encode


def coding_of(file: Path) -> Coding:
    """The coding by a `tokenizer.json`. Raises OSError or ValueError when it cannot be used."""
    vocab_size = read_tokenizer(str(file)).vocab_size
    return Coding(load_encode, str(file), vocab_size, blake2b(file.read_bytes(), digest_size=12).hexdigest())
