"""Encoding line by line against encoding the whole."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
import tokenizers
from engram_context.memory import lines
from engram_context.memory.lines import LineEncoder
from hypothesis import given, settings
from hypothesis import strategies as st

texts = st.text(st.sampled_from(" \t\n\r\f\u00a0\u2028aé_1(.:=\"'#\U0001f600"), max_size=60) | st.text(max_size=40)


@cache
def trained() -> tokenizers.Tokenizer:
    """A byte-level BPE that splits as the shipped one does: a newline with its indentation, a word with its space."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    pattern = r"\s*\n[ \t]*| ?[\p{L}_][\p{L}\p{M}\p{N}_]*| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}_]+|\s+"
    model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    model.train_from_iterator([lines.__doc__ or "", open(lines.__file__, encoding="utf-8").read()], trainer)  # noqa: PTH123, SIM115
    return model


def encode(text: str) -> Sequence[int]:
    return trained().encode(text, add_special_tokens=False).ids


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_the_ids_of_the_lines_are_the_ids_of_the_text(text: str) -> None:
    assert LineEncoder(encode)(text).tolist() == list(encode(text))


@given(text=texts)
def test_pieces_join_to_the_text(text: str) -> None:
    assert "".join(lines._PIECE.findall(text)) == text


def test_a_line_that_was_seen_is_not_encoded_again() -> None:
    asked: list[str] = []

    def counting(text: str) -> list[int]:
        asked.append(text)
        return [1] * len(text)

    encoder = LineEncoder(counting)
    encoder("a = 1\nb = 2\n\nc = 3\n")
    asked.clear()
    encoder("a = 1\nb = 2\n\nchanged = 3\n")
    assert asked == ["\n\nchanged = 3"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_REMEMBERED", 10)
    encoder = LineEncoder(encode)
    text = "".join(f"x{n} = {n}\n" for n in range(100))
    assert encoder(text).tolist() == list(encode(text))
    assert len(encoder._known) <= 10
