"""Several tokens from one graph call: drafts are guesses, checked all at once.

A drafter here is deterministic: it proposes one token, not a distribution. Speculative sampling would then accept draft
d with probability p(d) and otherwise draw from p without d. Drawing from p and comparing with d does just that, so the
check *is* ordinary sampling: output has the distribution of plain decoding, and with the same seed (or greedy) it is
the same output, up to the rounding of logits that are computed several at a time.
"""

from collections.abc import Sequence
from typing import Protocol


class Drafter(Protocol):
    """Guesses how tokens go on, cheaply."""

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        """At most `count` tokens likely to follow `tokens`; none when it has no idea."""
        ...


class DraftLength:
    """How many drafts to check next: longer after full success, shorter after failure.

    Checking k tokens costs about 1 + k/4 single steps on a CPU, so drafts that fail are not free.
    """

    MOST = 12

    def __init__(self) -> None:
        self.count = 4

    def learn(self, drafted: int, accepted: int) -> None:
        if not drafted:
            return
        if accepted == drafted:
            self.count = min(self.MOST, self.count + 2)
        else:
            self.count = max(1, accepted + 1)


def drafts_for(drafter: Drafter | None, tokens: Sequence[int], count: int, vocab_size: int) -> list[int]:
    """What the drafter proposes, cut to `count` and to the first id that is not a token's."""
    if drafter is None or count <= 0:
        return []
    drafts: list[int] = []
    for token in drafter.propose(tokens, count)[:count]:
        if not 0 <= token < vocab_size:
            break
        drafts.append(int(token))
    return drafts
