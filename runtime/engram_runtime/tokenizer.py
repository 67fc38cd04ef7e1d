"""Text to token ids and back: byte-level BPE whose pre-tokens are a newline with its indentation, a word with the
space before it, a few digits, or a run of punctuation. Any str survives the round trip.

Newline and indentation are one pre-token because they are one decision in Python: it saves 8 % of the tokens.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from unicodedata import normalize

import numpy as np
import tokenizers

PAD: Final = "<｜▁pad▁｜>"
BEGIN: Final = "<｜begin▁of▁sentence｜>"
END: Final = "<｜end▁of▁sentence｜>"
FIM_BEGIN: Final = "<｜fim▁begin｜>"
FIM_HOLE: Final = "<｜fim▁hole｜>"
FIM_END: Final = "<｜fim▁end｜>"
SPECIALS: Final = (PAD, BEGIN, END, FIM_BEGIN, FIM_HOLE, FIM_END)
"""DeepSeek's names. Ours have ids 0..5 in this order; those of released models have them elsewhere."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A trained vocabulary. Safe to share between threads: nothing in it changes after `read`."""

    _model: tokenizers.Tokenizer
    _bytes: tuple[bytes, ...] = field(repr=False)
    """What each id stands for; empty for the specials and for ids the vocabulary leaves unused."""
    _specials: tuple[int, ...]
    """The ids of SPECIALS, in that order."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a `tokenizer.json`. Raises FileNotFoundError, or ValueError when it is none of DeepSeek's kind."""
        return cls.parse(path.read_text(encoding="utf-8"), str(path))

    @classmethod
    def parse(cls, content: str, origin: str = "tokenizer.json") -> Self:
        """Like `read`, from the file's content; `origin` is named in errors."""
        try:
            model = tokenizers.Tokenizer.from_str(content)
        except Exception as problem:  # the library raises bare Exception
            raise ValueError(f"{origin} is no tokenizer: {problem}") from problem
        vocabulary = model.get_vocab(with_added_tokens=True)
        if absent := [name for name in SPECIALS if name not in vocabulary]:
            raise ValueError(f"{origin} has no {', '.join(absent)}")
        # Without this flag the library would read "<｜fim▁hole｜>" in a user's file as the token.
        model.encode_special_tokens = True
        letters = _byte_of_letter()
        pieces = [b""] * (max(vocabulary.values()) + 1)
        added = model.get_added_tokens_decoder()
        for token, number in vocabulary.items():
            if number in added:
                pieces[number] = b"" if added[number].special or token in SPECIALS else token.encode()
            elif token not in SPECIALS:
                try:
                    pieces[number] = bytes(letters[letter] for letter in token)
                except KeyError as problem:
                    raise ValueError(f"{origin}: {token!r} is no token of bytes") from problem
        return cls(model, tuple(pieces), tuple(vocabulary[name] for name in SPECIALS))

    def encode(self, text: str) -> list[int]:
        """The ids of a text, no specials added; the text of a special token is encoded as ordinary bytes.

        A lone surrogate, which UTF-8 cannot write, is encoded as U+FFFD.
        """
        try:
            return self._model.encode(text, add_special_tokens=False).ids
        except TypeError:  # the library's word for a str that UTF-8 cannot write
            return self._model.encode(_without_surrogates(text), add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each text, on all cores and without the GIL."""
        clean = [_without_surrogates(text) for text in texts]
        return [encoding.ids for encoding in self._model.encode_batch_fast(clean, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; specials give nothing, a character cut at either end gives U+FFFD."""
        try:
            pieces = b"".join(map(self._bytes.__getitem__, ids))
        except IndexError:
            pieces = b"".join(map(self.token_bytes, ids))
        return pieces.decode("utf-8", errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """The bytes one id stands for; empty for specials, and for the spare ids at the end of a model's vocabulary."""
        return self._bytes[token] if token < len(self._bytes) else b""

    def to_json(self) -> str:
        """The content of a `tokenizer.json` that `read` takes."""
        return self._model.to_str()

    @property
    def vocab_size(self) -> int:
        return len(self._bytes)

    @property
    def specials(self) -> frozenset[int]:
        """Every id that stands for no text."""
        return frozenset(number for number, piece in enumerate(self._bytes) if not piece)

    @property
    def pad(self) -> int:
        """Padding in batches, never part of a text; id 0 in our own vocabularies."""
        return self._specials[0]

    @property
    def begin(self) -> int:
        return self._specials[1]

    @property
    def end(self) -> int:
        return self._specials[2]

    @property
    def fim_begin(self) -> int:
        return self._specials[3]

    @property
    def fim_hole(self) -> int:
        return self._specials[4]

    @property
    def fim_end(self) -> int:
        return self._specials[5]


def engram_classes(tokenizer: Tokenizer) -> np.ndarray:
    """Token -> class, int32 [V]: the compressed vocabulary of arXiv 2601.07372 §2.2.

    Tokens that agree after NFKC, lower-casing and folding of white space share a class; classes are dense from 0,
    in order of their first token. Each special is a class of its own, pad being class 0; so is a token that is only
    a part of a UTF-8 character.
    """
    classes: dict[str | int | bytes, int] = {}
    answer = np.empty(tokenizer.vocab_size, dtype=np.int32)
    for token in range(tokenizer.vocab_size):
        raw = tokenizer.token_bytes(token)
        key: str | int | bytes
        if not raw:
            key = token
        else:
            try:
                text = normalize("NFKC", raw.decode("utf-8")).lower()
                # Of white space alone only this is kept: whether it ends a line.
                key = " ".join(text.split()) or ("\n" if "\n" in text else " ")
            except UnicodeDecodeError:
                key = raw
        answer[token] = classes.setdefault(key, len(classes))
    return answer


def _byte_of_letter() -> dict[str, int]:
    """GPT-2's table of printable stand-ins for the 256 bytes, inverted."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {chr(byte): byte for byte in printable}
    rest = (byte for byte in range(256) if byte not in set(printable))
    table.update({chr(256 + number): byte for number, byte in enumerate(rest)})
    return table


def _without_surrogates(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
