"""The model's say in which proposed fix is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from engram_context.edits import Edit, project_edit
from engram_context.text import Span, Text
from engram_context.trace.fixes import Proposal
from engram_lsp.predictor import Predictor
from engram_lsp.repair import differences, judged, weighed
from engram_runtime.gate import Gate
from engram_runtime.models import default_model
from engram_runtime.tokenizer import Tokenizer

from tests.fixture import snapshot_of

_SOURCE = "def last(items):\n    return items[len(items)]\n"
_FILES = {"a.py": _SOURCE}


class Expecting:
    """Finds continuations with a text in them as likely as those without it are unlikely."""

    gate: Gate | None = None

    def __init__(self, tokenizer: Tokenizer, wanted: str) -> None:
        self.tokenizer, self.wanted = tokenizer, wanted

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        prior: object = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[tuple[float, ...], ...] | None:
        said = (self.tokenizer.decode(list(tokens)[:-1]) for tokens in continuations)
        return tuple((-1.0,) if self.wanted in one else (-9.0,) for one in said)


def proposal(old: str, new: str, confidence: float) -> Proposal:
    text = Text.of(_SOURCE)
    start = _SOURCE.rindex(old)
    edit = project_edit({"a.py": [Edit(Span(start, start + len(old)), new)]}, {"a.py": text})
    return Proposal(edit, new, "index", "a.py", 2, confidence)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.read(default_model() / "tokenizer.json")


def test_a_fix_that_the_model_expects_comes_first(tokenizer: Tokenizer) -> None:
    made = (proposal("items[len(items)]", "items[0]", 0.3), proposal("len(items)", "len(items) - 1", 0.2))
    predictor = Predictor(tokenizer, Expecting(tokenizer, "- 1"))  # type: ignore[arg-type]
    assert differences(predictor, snapshot_of(_FILES), made) == {0: 0.0, 1: 8.0}
    assert [one.why for one in judged(predictor, snapshot_of(_FILES), made)] == ["len(items) - 1", "items[0]"]


def test_without_a_model_the_order_stays(tokenizer: Tokenizer) -> None:
    made = (proposal("items[len(items)]", "items[0]", 0.2), proposal("len(items)", "len(items) - 1", 0.3))
    assert judged(Predictor(tokenizer, None), snapshot_of(_FILES), made) == made


def test_all_together_are_no_likelier_than_before() -> None:
    made = (proposal("len(items)", "0", 0.4), proposal("len(items)", "-1", 0.3), proposal("len(items)", "1", 0.01))
    after = weighed(made, {0: -50.0, 1: 7.0, 2: 50.0})
    assert sum(one.confidence for one in after) <= sum(one.confidence for one in made) + 1e-9
    assert np.all(np.diff([one.confidence for one in after]) <= 0)
    assert {one.why for one in after} == {one.why for one in made}
