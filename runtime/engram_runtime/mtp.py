"""Drafts by the model's own layer of multi-token prediction (MTP), from what the model thought last.

At position t the head reads the residual streams that the model left there and token t+1, and predicts token t+2. For
the draft after that it reads its own streams and its own draft. Its one attention layer slides, so it has a cache like
any model: its row t is of token t+1.

A draft costs a call of the head, which in a shallow model is dear: it is asked when what it usually says is sure
enough to pay for that.

What the head has not seen, such as the part of a prompt whose cache was reused, is missing from its window. Its
positions may start anywhere, for rotary angles are relative.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from engram_runtime.cache import Cache, common_prefix
from engram_runtime.config import ModelConfig
from engram_runtime.session import Call, Session
from engram_runtime.shapes import expected_shapes
from engram_runtime.speculation import COST

CHAIN = 3
"""Drafts at most: each is a call of the head, and rests on the one before."""

LEAST = 0.15
"""Drafts end where, by the head's own word, they are all right with less than this probability."""

PATIENCE = 16
"""The head is asked at least every so many times, or nothing would be known of how sure it is by now."""

_HELD = 256
"""Positions whose streams are held, for the head to catch up with the model."""


class MtpDrafter:
    """A `Drafter` that must `observe` every call of the model whose text it is to continue.

    Not safe to share between threads.
    """

    def __init__(self, head: Session, cost: float, chain: int = CHAIN) -> None:
        """`head`: `Session.draft_head` of the model; `cost`: of a draft and its check, in calls of the model (see
        `cost_of_draft`); `chain`: how many tokens to draft at most."""
        self._head, self._cost, self._chain = head, cost, chain
        # How probable its first draft is to the head, of late; at first it is trusted.
        self._usual, self._passed = 1.0, 0
        # The model's streams after each of the last of its tokens, the first of which is that of position _first.
        self._first = 0
        self._tokens = np.empty(0, np.int64)
        self._streams = np.empty((0, head.config.hc_mult * head.config.hidden_size), np.float32)
        # The head's cache; its row 0 is of position _start.
        self._start = 0
        self._cache = Cache.empty(head.config)

    def observe(self, call: Call) -> None:
        """Takes the streams of a call of the model; what it takes for the text may turn out to be wrong drafts."""
        if call.streams is None:
            return
        position = call.before.position
        kept = position - self._first
        if not (0 <= kept <= len(self._tokens) and self._follows(call.before.tokens, kept)):
            self._first, kept = position, 0
        self._tokens = np.concatenate((self._tokens[:kept], call.tokens))
        self._streams = np.concatenate((self._streams[:kept], call.streams))
        if (surplus := len(self._tokens) - _HELD) > 0:
            self._tokens, self._streams = self._tokens[surplus:], self._streams[surplus:]
            self._first += surplus

    def propose(self, tokens: Sequence[int], count: int) -> list[int]:
        """At most `count` drafts after `tokens`, of which the model has seen all but the last."""
        text = np.array(tokens, np.int64)
        end = len(text) - 1
        seen = end - self._first
        if count < 1 or not (0 < seen <= len(self._tokens) and self._follows(text, seen)):
            return []
        if self._usual < self._cost:
            self._passed = (self._passed + 1) % PATIENCE
            if self._passed:
                return []
        cache = self._caught_up(text)
        row = self._start + cache.position
        before = self._streams[row - self._first : seen]
        call = self._head.call(cache, text[row + 1 :], 1, before)
        cache = self._cache = call.cache()
        drafts: list[int] = []
        streams: list[np.ndarray] = []
        chance = 1.0
        while True:
            logits = call.logits[0]
            best = int(logits.argmax())
            sure = 1 / float(np.exp(logits - logits[best]).sum())
            if not drafts:
                self._usual += (sure - self._usual) / PATIENCE
            chance *= sure
            if chance < LEAST:
                return drafts
            drafts.append(best)
            if len(drafts) == min(count, self._chain) or chance * self._usual < self._cost:
                return drafts
            assert call.streams is not None
            streams.append(call.streams[-1])
            # Drafts leave no trace in the cache: all of them are given again.
            call = self._head.call(cache, drafts, 1, np.stack(streams))

    def _follows(self, text: np.ndarray, count: int) -> bool:
        """Whether the first `count` of the held positions are of this text."""
        return bool((self._tokens[:count] == text[self._first : self._first + count]).all())

    def _caught_up(self, text: np.ndarray) -> Cache:
        """The head's cache as far as it is of this text, short of its last row; a new one where streams are missing."""
        end = len(text) - 1
        shared = common_prefix(self._cache.tokens, text[self._start + 1 : end])
        if self._start < end and shared >= self._cache.oldest and self._start + shared >= self._first:
            return self._cache.rewind(shared)
        self._start = max(self._first, end - self._head.config.sliding_window)
        return Cache.empty(self._head.config)


def cost_of_draft(config: ModelConfig) -> float:
    """What a draft and its check take, in calls of the model: by the weights that the head and the model read."""
    K, E = config.num_experts_per_tok, config.n_routed_experts
    model, head = 0.0, 0.0
    for name, shape in expected_shapes(replace(config, engram_layers=())).items():
        read = prod(shape) * (K / E if ".experts." in name else 1)
        if name.startswith("mtp."):
            head += read
        elif not name.endswith(("embed_tokens.weight", "tid2eid", "lm_head.weight")):
            model += read
    output = config.vocab_size * config.hidden_size
    return (head + output) / (model + output) + COST
