"""How many guesses are worth checking, and what is learned from the check."""

from collections.abc import Sequence

import numpy as np
import pytest
from engram_runtime.speculation import (
    COST,
    LONGEST,
    MOST,
    OF_COPIES,
    Acceptance,
    Drafts,
    History,
    Repetition,
)
from hypothesis import given
from hypothesis import strategies as st

OUTCOMES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, MOST), st.integers(0, MOST)).map(lambda o: (o[0], o[1], min(o[1:]))),
    max_size=60,
)


class Copying:
    """Proposes ever the same tokens, and says what they rest on."""

    def __init__(self, tokens: Sequence[int], match: int) -> None:
        self.tokens, self.match = tokens, match

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        return self.tokens[:count]

    def draft(self, tokens: Sequence[int], count: int) -> tuple[Sequence[int], int]:
        return self.tokens[:count], self.match


class Silent:
    """Proposes, and does not say what its guesses rest on."""

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        return [7] * count


def rate(history: Acceptance, match: int, count: int) -> float:
    """Expected tokens per decoding call when `count` drafts are checked."""
    reached = np.cumprod([history.chance(match + i) for i in range(count)])
    return (1 + reached.sum()) / (1 + COST * count)


@given(OUTCOMES, st.integers(0, 40), st.integers(0, MOST))
def test_as_many_drafts_are_checked_as_give_most_tokens_per_time(
    outcomes: list[tuple[int, int, int]], match: int, most: int
) -> None:
    history = Acceptance(OF_COPIES)
    for outcome in outcomes:
        history.learn(*outcome)
    count, best = history.worth(match, most)
    assert 0 <= count <= most
    rates = [rate(history, match, n) for n in range(most + 1)]
    assert rates[count] == pytest.approx(max(rates)) == pytest.approx(best)


def test_longer_matches_earn_longer_drafts() -> None:
    history = Acceptance(OF_COPIES)
    counts = [history.worth(match, MOST)[0] for match in range(30)]
    assert counts == sorted(counts)
    assert counts[0] == 0 and counts[2] <= 2 and counts[24] >= 8


@pytest.mark.parametrize("chance", [0.0, 0.2, 0.6, 0.95])
def test_what_is_believed_becomes_what_is_true(chance: float) -> None:
    history, random = Acceptance(OF_COPIES), np.random.default_rng(0)
    for _ in range(3000):
        agreed = int((random.random(4) >= chance).argmax()) if (random.random(4) >= chance).any() else 4
        history.learn(5, 4, agreed)
        right = random.random(4) < chance
        history.learn(12, 4, 4 if right.all() else int(right.argmin()))
    assert history.chance(12) == pytest.approx(chance, abs=0.1)


def test_only_what_was_decided_is_learned_from() -> None:
    history = Acceptance(OF_COPIES)
    before = [history.chance(match) for match in range(10)]
    history.learn(3, 5, 2)
    after = [history.chance(match) for match in range(10)]
    assert [new > old for old, new in zip(before, after, strict=True)] == [False] * 3 + [True] * 2 + [False] * 5
    assert [new < old for old, new in zip(before, after, strict=True)] == [False] * 5 + [True] + [False] * 4


def drafts_of(drafter: Copying | Silent | None, vocab_size: int = 100, room: int = 5000) -> Drafts:
    return Drafts(drafter, History(), vocab_size, np.array([1]), room)


def test_a_drafter_that_is_always_wrong_is_left_alone_and_then_tried_again() -> None:
    drafts = drafts_of(Copying([7] * MOST, 5))
    tries: list[int] = []
    for turn in range(2000):
        if found := drafts.after([1], 50):
            tries.append(turn)
            drafts.learn(len(found), 0)
    assert tries[:5] == list(range(5)), "at first it is believed"
    assert 5 < sum(turn >= 1000 for turn in tries) < 100, "later it is tried now and then"


def test_a_drafter_that_does_not_say_is_judged_by_its_streak() -> None:
    drafts = drafts_of(Silent())
    lengths: list[int] = []
    for _ in range(40):
        found = drafts.after([1], 50)
        drafts.learn(len(found), len(found))
        lengths.append(len(found))
    assert lengths[-1] > 2 * lengths[0]
    drafts.learn(len(drafts.after([1], 50)), 0)
    assert len(drafts.after([1], 50)) < lengths[-1]


@given(st.lists(st.integers(-2, 12), max_size=30), st.integers(-1, 30))
def test_drafts_fit_the_room_and_the_vocabulary(proposed: list[int], room: int) -> None:
    found = drafts_of(Copying(proposed, LONGEST), 10).after([1], room)
    assert found == proposed[: len(found)]
    assert len(found) <= max(0, min(room, MOST))
    assert all(0 <= token < 10 for token in found)


def test_without_a_drafter_there_are_no_drafts() -> None:
    assert drafts_of(None).after([1, 2, 3, 1, 2, 3, 1, 2], 9) == []


def test_what_a_sequence_repeats_is_drafted_beside_a_drafter_that_knows_less() -> None:
    repeated = [*range(10, 40), *range(10, 30)]
    drafts = Drafts(Copying([7] * MOST, 3), History(), 100, np.array(repeated), 10)
    found = drafts.after(repeated, 20)
    assert len(found) > 3
    assert found == list(range(30, 40))[: len(found)] + list(range(10, 40))[: max(0, len(found) - 10)]
    assert drafts.after([*repeated, 5], 20)[:1] == [7]


def slow_repetition(tokens: list[int]) -> tuple[int, int]:
    """(the token after the longest earlier match, the last of equals; its length, at most LONGEST)."""
    best = (0, -1)
    for spot in range(len(tokens) - 1):
        length = 0
        while length <= min(spot, LONGEST - 1) and tokens[spot - length] == tokens[len(tokens) - 1 - length]:
            length += 1
        best = max(best, (length, spot))
    return (tokens[best[1] + 1] if best[0] > 1 else -1), best[0]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=9), st.lists(st.integers(0, 2), max_size=40))
def test_a_repetition_is_the_longest_match_of_the_last_few(prompt: list[int], said: list[int]) -> None:
    """Grown token by token, against a search of everything; it looks at the eight latest places that share two tokens,
    so where there are more it may settle for a shorter match."""
    own = Repetition(np.array(prompt), len(said))
    for count in range(len(said) + 1):
        tokens = [*prompt, *said[:count]]
        draft, match = own.draft(tokens, 6)
        token, longest = slow_repetition(tokens)
        places = sum(tokens[i - 1 : i + 1] == tokens[-2:] for i in range(1, len(tokens) - 1))
        assert bool(draft) == (longest > 1)
        if draft:
            assert len(draft) == 6
            assert match == longest or (places > 8 and 1 < match < longest)
            if match == longest and places <= 8:
                assert draft[0] == token


def test_a_loop_is_drafted_beyond_its_end() -> None:
    draft, match = Repetition(np.array([9, 1, 2, 3, 1, 2, 3, 1, 2, 3]), 0).draft([9, 1, 2, 3, 1, 2, 3, 1, 2, 3], 8)
    assert (list(draft), match) == ([1, 2, 3, 1, 2, 3, 1, 2], 6)
