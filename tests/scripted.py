"""A scripted model, whose every word is known, and a memory that counts for real."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from engram_context.memory.ngrams import NgramMemory
from engram_context.text import Text
from engram_lsp.predictor import Query
from engram_runtime.engine import Prediction, Request, Step
from engram_runtime.models import default_model
from engram_runtime.tokenizer import Tokenizer

TOKENIZER = Tokenizer.read(default_model() / "tokenizer.json")
SURE = 0.9


@dataclass
class Script:
    """A model that continues any prompt so that the text after `fim_end` becomes `story`, each token with p = `sure`.

    `others`: stories that are expected, too, each token of the first with half the rest of p, and so on.
    """

    story: str
    others: tuple[str, ...] = ()
    sure: float = SURE
    prompts: list[tuple[int, ...]] = field(default_factory=list)
    decoded: int = 0
    gate = None

    def _expected(self, prompt: Sequence[int]) -> list[int]:
        start = len(prompt) - 1 - list(reversed(prompt)).index(TOKENIZER.fim_end)
        written = list(prompt[start + 1 :])
        found: list[int] = []
        for story in (self.story, *self.others):
            told = TOKENIZER.encode(story)
            if told[: len(written)] == written and len(told) > len(written):
                found.append(told[len(written)])
        return list(dict.fromkeys(found)) or [TOKENIZER.end]

    def next_log_probs(self, prompt: Sequence[int], cancelled: Callable[[], bool] = lambda: False) -> np.ndarray | None:
        if cancelled():
            return None
        self.prompts.append(tuple(prompt))
        p = np.full(TOKENIZER.vocab_size, 1e-9)
        left = 1.0
        for token, share in zip(self._expected(prompt), (self.sure, *(0.5,) * 8), strict=False):
            p[token] = left * share
            left -= p[token]
        return np.log(p / p.sum())

    def steps(self, request: Request, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Step]:
        tokens: list[int] = []
        while len(tokens) < request.max_tokens and not cancelled():
            token = self._expected([*request.prompt, *tokens])[0]
            if token in request.stop_tokens:
                return
            tokens.append(token)
            self.decoded += 1
            yield Step((token,), (float(np.log(self.sure)),))
            if request.stop is not None and request.stop(tokens):
                return

    def predict(self, request: Request, cancelled: Callable[[], bool] = lambda: False) -> Prediction:
        steps = list(self.steps(request, cancelled))
        tokens = tuple(step.tokens[0] for step in steps)
        finish = "cancelled" if cancelled() else "stop"
        return Prediction(tokens, tuple(step.log_probs[0] for step in steps), finish, 0, 0, len(steps), 0, 0)


def ask(before: str, after: str = "", *, invoked: bool = False, memory: object = None) -> Query:
    return Query("app.py", Text.of(before + after), len(before.encode()), 7, memory, invoked)  # type: ignore[arg-type]


def remembering(*files: str) -> NgramMemory:
    memory = NgramMemory(TOKENIZER.vocab_size)
    memory.update({f"file{i}.py": np.array(TOKENIZER.encode(text), np.uint16) for i, text in enumerate(files)})
    return memory
