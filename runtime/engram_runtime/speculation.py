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

import numpy as np

MOST = 16
"""Drafts per call at most."""

COST = 0.12
"""What one more token adds to a call, in decoding calls of one token (tests/bench/speculation.py, "cost")."""

LONGEST = 24
"""Matches are told apart up to this length."""

Draft = tuple[Sequence[int], int]
"""Guessed tokens, and how much they rest on: for a copy, the number of tokens that matched before it."""

# How often the next drafted token was right, by the number of matching tokens before it, on validation files
# (tests/bench/speculation.py --learn). What a decoder of its own learns soon outweighs it.
OF_COPIES = (0.1, 0.1, 0.25, 0.4, 0.5, 0.55, 0.65, 0.7, 0.75, 0.8, 0.8, 0.85, 0.9, 0.9, 0.9, 0.9) + (0.95,) * 9
OF_REPETITIONS = (0.1, 0.1, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.85, 0.9, 0.9, 0.95, 0.95, 0.95) + (0.98,) * 11
OF_OTHERS = (0.6,) * (LONGEST + 1)


class Drafter(Protocol):
    """Guesses how tokens go on, cheaply.

    One that also has `draft(tokens, count) -> Draft` is asked that instead, and its drafts get the length they deserve.
    """

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        """At most `count` tokens likely to follow `tokens`; none when it has no idea."""
        ...


class Repetition:
    """Copies the sequence itself: what followed when its newest tokens (two at least) stood there before.

    A project memory knows the project, not what has just been generated.
    """

    REACH = 4096
    """How many tokens back it looks."""

    __slots__ = ("_count", "_tokens")

    def __init__(self, prompt: np.ndarray, room: int) -> None:
        """`room`: how many tokens may come after the prompt (int64) at most."""
        self._tokens = np.concatenate((prompt, np.zeros(room, np.int64)))
        self._count = len(prompt)

    def draft(self, tokens: Sequence[int], count: int) -> Draft:
        """Guesses after `tokens`: the prompt and what has come since."""
        length = len(tokens)
        self._tokens[self._count : length] = tokens[self._count :]
        self._count = length
        held = self._tokens[max(0, length - self.REACH) : length]
        pairs = (held[1:-1] == held[-1]) & (held[:-2] == held[-2]) if length > 2 else np.zeros(0, np.bool_)
        spots = pairs.nonzero()[0][-8:] + 1
        if not len(spots):
            return (), 0
        back = np.arange(LONGEST)
        same = held[np.maximum(spots[:, None] - back, 0)] == held[len(held) - 1 - np.minimum(back, len(held) - 1)]
        same &= spots[:, None] >= back
        lengths = np.where(same.all(1), LONGEST, same.argmin(1))
        # Of equals the last: what is near is alike.
        best = len(spots) - 1 - int(lengths[::-1].argmax())
        following = held[spots[best] + 1 : spots[best] + 1 + count].tolist()
        # A copy that reaches the end of what there is goes on with itself, as a loop would.
        return [following[i % len(following)] for i in range(count)], int(lengths[best])


class Acceptance:
    """How often drafts were right, by what they rested on; learned while decoding, the distant past forgotten."""

    WEIGHT = 8.0
    MEMORY = 256.0
    PATIENCE = 32

    def __init__(self, start: Sequence[float]) -> None:
        """`start`: what is believed at first, for matches of 0 to LONGEST tokens."""
        self._tried = [self.WEIGHT] * len(start)
        self._right = [chance * self.WEIGHT for chance in start]
        self._passed = 0

    def chance(self, match: int) -> float:
        """That the token drafted after `match` matching ones is right."""
        known = min(match, LONGEST)
        return self._right[known] / self._tried[known]

    def worth(self, match: int, most: int) -> tuple[int, float]:
        """How many of at most `most` drafts after `match` tokens give the most tokens per time, and how many times as
        many as plain decoding."""
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
        return count, best

    def retry(self) -> bool:
        """Whether a draft that is not worth it is tried nevertheless: now and then, or nothing new would be learned."""
        self._passed = (self._passed + 1) % self.PATIENCE
        return not self._passed

    def learn(self, match: int, drafted: int, agreed: int) -> None:
        """`agreed` of `drafted` were right, the next one (if any) was wrong; of the rest nothing is known."""
        for i in range(min(drafted, agreed + 1)):
            known = min(match + i, LONGEST)
            self._tried[known] += 1.0
            self._right[known] += i < agreed
            if self._tried[known] > self.MEMORY:
                self._tried[known] /= 2
                self._right[known] /= 2


class History:
    """What an engine has learned of the drafters it met, by their type."""

    def __init__(self) -> None:
        self._known: dict[object, Acceptance] = {}

    def of(self, key: object, start: Sequence[float]) -> Acceptance:
        return self._known.setdefault(key, Acceptance(start))


class Drafts:
    """What one request checks: asks its drafter, bounds what comes, and learns from how it went."""

    __slots__ = ("_chosen", "_match", "_sources", "_streak", "_vocab_size")

    # A repetition of as many tokens is believed before anyone else is asked.
    SURE = 16

    def __init__(
        self,
        drafter: Drafter | None,
        history: History,
        vocab_size: int,
        prompt: np.ndarray,
        room: int,
        biased: bool = False,
    ) -> None:
        """`prompt` and `room` as for Repetition. `biased`: a prior is mixed in, so that drafts fare better."""
        self._vocab_size = vocab_size
        self._match = self._streak = 0
        self._sources: list[tuple[Callable[[Sequence[int], int], Draft], Acceptance]] = []
        self._chosen: Acceptance | None = None
        if drafter is None:
            return
        own = Repetition(prompt, room)
        self._sources.append((own.draft, history.of((Repetition, biased), OF_REPETITIONS)))
        known = cast("Callable[[Sequence[int], int], Draft] | None", getattr(drafter, "draft", None))

        def by_streak(tokens: Sequence[int], count: int) -> Draft:
            # Of a drafter that does not say, a guess rests on how many of its last ones were right in a row.
            return drafter.propose(tokens, count), self._streak

        acceptance = history.of((type(drafter), biased), OF_COPIES if known else OF_OTHERS)
        self._sources.append((known or by_streak, acceptance))

    def after(self, tokens: Sequence[int], room: int) -> list[int]:
        """Drafts worth checking after `tokens`, at most `room`: cut before the first id that is not a token's."""
        most = min(MOST, room)
        drafts: list[int] = []
        if most <= 0:
            return drafts
        best = 0.0
        chosen: Sequence[int] = ()
        for ask, history in self._sources:
            proposed, match = ask(tokens, most)
            if not len(proposed):
                continue
            count, rate = history.worth(match, min(most, len(proposed)))
            if rate > best:
                best, chosen, self._chosen, self._match = rate, proposed[:count], history, match
                if not count and history.retry():
                    chosen = proposed[:1]
            if match >= self.SURE:
                break
        for token in chosen:
            if not 0 <= token < self._vocab_size:
                break
            drafts.append(int(token))
        return drafts

    def learn(self, drafted: int, agreed: int) -> None:
        """`agreed` of the last drafts were right."""
        if drafted and self._chosen is not None:
            self._chosen.learn(self._match, drafted, agreed)
            if self._chosen is self._sources[-1][1]:
                self._streak = self._streak + agreed if agreed == drafted else 0
