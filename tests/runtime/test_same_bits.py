"""A token's logits have the same bits however many tokens are computed beside it.

Drafts that are checked several at a time, prompts that are read in chunks and prefixes that are reused then change
nothing at all. Without this, the last bit that a sum in another order leaves grows: activations are rounded to int8,
and one of a hundred greedy tokens comes out different.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engram_runtime.cache import Cache
from engram_runtime.engine import CHUNK, OnnxEngine, Request
from engram_runtime.export import WeightKind
from engram_runtime.models import default_model
from engram_runtime.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st

CPU = ["CPUExecutionProvider"]
LENGTH = 430


@pytest.fixture(scope="module", params=["int8", "int4", "shipped"])
def session(request: pytest.FixtureRequest, folders: dict[WeightKind, Path]) -> Session:
    return Session.open(default_model() if request.param == "shipped" else folders[request.param], CPU)


@pytest.fixture(scope="module")
def tokens(session: Session) -> np.ndarray:
    return np.random.default_rng(5).integers(6, session.config.vocab_size, LENGTH)


@pytest.fixture(scope="module")
def one_by_one(session: Session, tokens: np.ndarray) -> np.ndarray:
    cache, rows = Cache.empty(session.config), list[np.ndarray]()
    for token in tokens.tolist():
        call = session.call(cache, [token])
        cache = call.cache()
        rows.append(call.logits[0].copy())
    return np.stack(rows)


@settings(max_examples=12, deadline=None)
@given(
    counts=st.lists(
        st.one_of(st.integers(1, 20), st.integers(1, CHUNK), st.just(CHUNK)), min_size=LENGTH, max_size=LENGTH
    )
)
def test_any_cut_of_a_text_gives_the_same_bits(
    session: Session, tokens: np.ndarray, one_by_one: np.ndarray, counts: list[int]
) -> None:
    cache = Cache.empty(session.config)
    for count in counts:
        if cache.position == LENGTH:
            return
        piece = tokens[cache.position : cache.position + count]
        call = session.call(cache, piece, len(piece))
        assert np.array_equal(call.logits, one_by_one[cache.position : cache.position + len(piece)]), (
            f"{len(piece)} tokens after {cache.position}"
        )
        cache = call.cache()


@pytest.fixture(scope="module")
def engine() -> Iterator[OnnxEngine]:
    opened = OnnxEngine.open(default_model(), CPU)
    yield opened
    opened.close()


class Spoilt:
    """Knows the continuation of a prompt, but for every `wrong`-th token."""

    def __init__(self, prompt: list[int], said: tuple[int, ...], wrong: int) -> None:
        self.start, self.said, self.wrong = len(prompt), said, wrong

    def propose(self, tokens: list[int], count: int) -> list[int]:
        at = len(tokens) - self.start
        return [token + (i % self.wrong == 0) for i, token in enumerate(self.said[at : at + count], at + 1)]


@settings(max_examples=15, deadline=None)
@given(
    start=st.integers(0, 200),
    length=st.integers(1, 120),
    wrong=st.integers(2, 9),
    temperature=st.sampled_from([0.0, 0.0, 1.0]),
)
def test_drafts_change_not_one_bit_of_what_the_shipped_model_says(
    engine: OnnxEngine, start: int, length: int, wrong: int, temperature: float
) -> None:
    text = engine.tokenizer.encode(Path(__file__).read_text(encoding="utf-8"))
    prompt = [engine.tokenizer.begin, *text[start : start + length]]
    plain = engine.predict(Request(prompt, max_tokens=48, temperature=temperature, seed=start))
    drafter = Spoilt(prompt, plain.tokens, wrong)
    request = Request(prompt, max_tokens=48, temperature=temperature, seed=start, drafter=drafter)
    drafted = engine.predict(request)
    assert (drafted.tokens, drafted.log_probs) == (plain.tokens, plain.log_probs)
    assert drafted.steps < plain.steps
