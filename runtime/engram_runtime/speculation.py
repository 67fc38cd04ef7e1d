"""Several tokens from one graph call: drafts are guesses, checked all at once.

A drafter is deterministic: it proposes one token, not a distribution. Speculative sampling (Leviathan et al., arXiv
2211.17192) would then accept draft d with probability p(d) and otherwise draw from p without d. Drawing from p and
comparing with d does just that, so the check *is* ordinary sampling: output has the distribution of plain decoding,
and with the same seed (or greedy) it is the same output.

How many drafts to check is a bargain: every further token makes a call longer, and is worth that by the chance that it
and all before it are right. That chance depends on how much the guess rests on: a draft that continues 12 matching
tokens is right far more often than one after 2, and when its first token is right, its second rests on 13.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

MOST = 16
"""Drafts per call at most."""

COST = 0.1
"""What one more token adds to a call, in decoding calls of one token (tests/bench/speculation.py, "cost")."""

Draft = tuple[Sequence[int], int]
"""Guessed tokens, and how much they rest on: for a copy, the number of tokens that matched before it."""


class Drafter(Protocol):
    """Guesses how tokens go on, cheaply.

    One that also has `draft(tokens, count) -> Draft` is asked that instead, and its drafts get the length they deserve.
    """

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        """At most `count` tokens likely to follow `tokens`; none when it has no idea."""
        ...


class Acceptance:
    """How often drafts were right, by what they rested on; learned while decoding, the distant past forgotten."""

    CLASSES = 24
    # Right drafts by matching tokens before them, on validation files with the project memory as drafter
    # (tests/bench/speculation.py --learn).
    START = (0.3, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.7, 0.75, 0.75) + (0.8,) * 4 + (0.85,) * 8
    WEIGHT = 8.0
    MEMORY = 256.0
    PATIENCE = 32

    def __init__(self) -> None:
        self._tried = [self.WEIGHT] * self.CLASSES
        self._right = [chance * self.WEIGHT for chance in self.START]
        self._passed = 0

    def chance(self, match: int) -> float:
        """Of a token that is drafted on `match`, itself included nothing."""
        known = min(match, self.CLASSES - 1)
        return self._right[known] / self._tried[known]

    def worth(self, match: int, most: int) -> int:
        """How many of at most `most` drafts that rest on `match` give the most tokens per time."""
        best, count = 1.0, 0
        reached = expected = 1.0
        for i in range(most):
            reached *= self.chance(match + i)
            expected += reached
            rate = expected / (1.0 + COST * (i + 1))
            if rate > best:
                best, count = rate, i + 1
            elif reached < COST:
                break
        return count

    def retry(self) -> bool:
        """Whether a draft that is not worth it is tried nevertheless: now and then, or nothing new would be learned."""
        self._passed = (self._passed + 1) % self.PATIENCE
        return not self._passed

    def learn(self, match: int, drafted: int, agreed: int) -> None:
        """`agreed` of `drafted` were right, the next one (if any) was wrong; of the rest nothing is known."""
        for i in range(min(drafted, agreed + 1)):
            known = min(match + i, self.CLASSES - 1)
            self._tried[known] += 1.0
            self._right[known] += i < agreed
            if self._tried[known] > self.MEMORY:
                self._tried[known] /= 2
                self._right[known] /= 2


class Drafts:
    """What one request checks: asks its drafter, bounds what comes, and learns from how it went."""

    __slots__ = ("_ask", "_history", "_match", "_streak", "_vocab_size")

    def __init__(self, drafter: Drafter | None, history: Acceptance, vocab_size: int) -> None:
        self._history, self._vocab_size = history, vocab_size
        self._match = self._streak = 0
        self._ask: Callable[[Sequence[int], int], Draft] | None = None
        if drafter is not None:
            known = cast("Callable[[Sequence[int], int], Draft] | None", getattr(drafter, "draft", None))
            # Of a drafter that does not say, a guess rests on how many of its last ones were right in a row.
            self._ask = known or (lambda tokens, count: (drafter.propose(tokens, count), self._streak))

    def after(self, tokens: Sequence[int], room: int) -> list[int]:
        """Drafts worth checking after `tokens`, at most `room`: cut before the first id that is not a token's."""
        if self._ask is None or room <= 0:
            return []
        most = min(MOST, room)
        proposed, self._match = self._ask(tokens, most)
        if not len(proposed):
            return []
        count = self._history.worth(self._match, min(most, len(proposed)))
        if not count and self._history.retry():
            count = 1
        drafts: list[int] = []
        for token in proposed[:count]:
            if not 0 <= token < self._vocab_size:
                break
            drafts.append(int(token))
        return drafts

    def learn(self, drafted: int, agreed: int) -> None:
        """`agreed` of the last drafts were right."""
        if drafted:
            self._history.learn(self._match, drafted, agreed)
            self._streak = self._streak + agreed if agreed == drafted else 0
