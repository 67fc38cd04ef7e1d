"""Caches are values: extending, rewinding and sharing them never changes what another one says."""

import math
from pathlib import Path

import numpy as np
import pytest
from engram_runtime.cache import FROZEN_GATE, REWIND, SLACK, Cache, Prefixes, common_prefix, layout
from engram_runtime.export import WeightKind
from engram_runtime.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import SMALL

STATES = layout(SMALL)
TOKENS = np.random.default_rng(5).integers(6, 262, 1500)


def written(cache: Cache, count: int, tokens: np.ndarray = TOKENS) -> Cache:
    """Where a graph call would have written the rows of `count` tokens: each row holds its own number."""
    cache = cache.writable(count)
    start, stop = cache.position, cache.position + count
    cache.writes(tokens[start:stop])
    for state, array in zip(STATES, cache.tape.arrays, strict=True):
        first, last = state.rows(start)[1], state.rows(stop)[1]
        base = 0 if state.kind == "entries" else cache.tape.base
        numbers = np.arange(first, last, dtype=np.float32)
        array[first - base : last - base] = numbers.reshape(-1, *[1] * len(state.shape))
    return cache


def extended(cache: Cache, count: int) -> Cache:
    return written(cache, count).extended(TOKENS[cache.position : cache.position + count])


def check(cache: Cache) -> None:
    """Every row the graph would read is the row that was written for it."""
    assert np.array_equal(cache.tokens, TOKENS[: cache.position])
    for state, view in zip(STATES, cache.rows().values(), strict=True):
        first, last = state.rows(cache.position)
        assert view.shape == (last - first, *state.shape)
        frozen = np.zeros(state.shape, np.float32)
        frozen[..., state.shape[-1] // 2 :] = FROZEN_GATE
        for number, row in zip(range(first, last), view, strict=True):
            assert np.array_equal(row, frozen if number < 0 else np.full(state.shape, number)), (state.name, number)
    for state, array in zip(STATES, cache.tape.arrays, strict=True):
        assert state.kind == "entries" or not array[0].any(), "the sink's row is zero"


@pytest.fixture(scope="module")
def session(folders: dict[WeightKind, Path]) -> Session:
    return Session.open(folders["fp32"], ["CPUExecutionProvider"])


def same(a: Cache, b: Cache) -> bool:
    pairs = zip(a.rows().items(), b.rows().items(), strict=True)
    return all(name == other and np.array_equal(x, y) for (name, x), (other, y) in pairs)


@settings(max_examples=60, deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.sampled_from(["extend", "rewind", "fork"]), st.integers(1, 300), st.integers(0, 10)), max_size=12
    )
)
def test_any_history_of_caches_holds_the_rows_of_its_tokens(moves: list[tuple[str, int, int]]) -> None:
    caches = [Cache.empty(SMALL)]
    for move, amount, which in moves:
        cache = caches[which % len(caches)]
        match move:
            case "extend":
                cache = extended(cache, min(amount, len(TOKENS) - cache.position))
            case "rewind":
                cache = cache.rewind(max(cache.oldest, cache.position - amount))
            case _:
                cache = extended(extended(cache, 1), 1)
        caches.append(cache)
    for cache in caches:
        check(cache)


def test_rows_of_rejected_tokens_leave_no_trace() -> None:
    cache = extended(Cache.empty(SMALL), 61)
    drafted = written(cache, 14).extended(TOKENS[61:63])
    check(drafted)
    check(extended(drafted, 40))


def test_what_another_continuation_has_overwritten_is_not_given_out() -> None:
    cache = extended(Cache.empty(SMALL), 61)
    first, second = written(cache, 3), written(cache, 5)
    kept = second.extended(TOKENS[61:66])
    with pytest.raises(RuntimeError, match="another continuation"):
        first.extended(TOKENS[100:103])
    check(kept)
    check(first.extended(TOKENS[61:63]))  # the same tokens: the rows are theirs, too
    extended(kept, 250)  # moves to another tape
    with pytest.raises(RuntimeError, match="another continuation"):
        kept.extended(TOKENS[100:103])


def test_a_long_text_does_not_copy_its_entries_again_and_again() -> None:
    cache, copies, arrays = Cache.empty(SMALL), 0, None
    while cache.position < 1400:
        cache = extended(cache, 20)
        copies += cache.tape.arrays[-1] is not arrays
        arrays = cache.tape.arrays[-1]
    assert copies <= 4


def test_a_cache_reaches_back_at_least_the_promised_tokens() -> None:
    cache = Cache.empty(SMALL)
    while cache.position < 1400:
        cache = extended(cache, 7)
        assert cache.oldest <= max(0, cache.position - REWIND)
        check(cache.rewind(cache.oldest))


def test_rewinding_too_far_is_refused() -> None:
    cache = Cache.empty(SMALL)
    while cache.position < 1400:
        cache = extended(cache, 100)
    for position in (cache.oldest - 1, cache.position + 1):
        with pytest.raises(ValueError, match="cannot rewind"):
            cache.rewind(position)


def test_a_cache_of_a_long_text_is_bounded_except_for_its_entries() -> None:
    rows = sum(4 * math.prod(state.shape) for state in STATES if state.kind != "entries")
    most = (REWIND + 2 * SLACK + 128) * rows
    cache = Cache.empty(SMALL)
    while cache.position < 1400:
        cache = extended(cache, 100)
    a_token = sum(4 * math.prod(state.shape) / state.rate for state in STATES if state.kind == "entries")
    assert cache.bytes < most + 2 * (cache.position + SLACK + 128) * (a_token + 8)


@pytest.mark.parametrize("rewind", [0, 7, 700])
def test_how_far_back_is_the_callers_choice(rewind: int) -> None:
    cache = Cache.empty(SMALL, rewind)
    while cache.position < 1400:
        cache = extended(cache, 90)
        assert cache.oldest <= max(0, cache.position - rewind)
    check(cache.rewind(cache.oldest))


def test_a_rewound_cache_is_the_cache_it_was_bit_for_bit(session: Session) -> None:
    cache = Cache.empty(session.config)
    before: dict[int, Cache] = {}
    states: dict[int, list[np.ndarray]] = {}
    while cache.position < 420:
        cache = session.call(cache, TOKENS[cache.position : cache.position + 1], 0).cache()
        before[cache.position] = cache
        states[cache.position] = [view.copy() for view in cache.rows().values()]
    for back in range(1, 257):
        rewound = cache.rewind(cache.position - back)
        assert all(map(np.array_equal, rewound.rows().values(), states[rewound.position]))


def test_a_rewound_cache_goes_on_as_a_fresh_prefill_does(session: Session) -> None:
    """Bit for bit when both were computed in calls of the same sizes; else to rounding."""
    other = (TOKENS[400:440] + 1) % 262
    cache = Cache.empty(session.config)
    for start in range(0, 400, 50):
        cache = session.call(cache, TOKENS[start : start + 50], 0).cache()
    for kept in (350, 300, 200, 150):
        text = np.concatenate((TOKENS[:kept], other))
        fresh = Cache.empty(session.config)
        for start in range(0, kept, 50):
            fresh = session.call(fresh, text[start : start + 50], 0).cache()
        rewound = cache.rewind(kept)
        assert same(rewound, fresh)
        again, anew = session.call(rewound, other, 40), session.call(fresh, other, 40)
        assert np.array_equal(again.logits, anew.logits)
        assert same(again.cache(), anew.cache())
        whole = session.call(Cache.empty(session.config), text, 40)
        assert np.abs(whole.logits - again.logits).max() < 5e-5


def test_forks_do_not_see_each_other(session: Session) -> None:
    base = session.call(Cache.empty(session.config), TOKENS[:90], 0).cache()
    alone = [session.call(base, TOKENS[i : i + 30], 1).logits for i in (100, 200)]
    forks = [base, base]
    for step in range(30):
        for i, start in enumerate((100, 200)):
            call = session.call(forks[i], TOKENS[start + step : start + step + 1], 1)
            forks[i] = call.cache()
            if step == 29:
                assert np.abs(call.logits - alone[i]).max() < 5e-5
    assert np.array_equal(session.call(base, TOKENS[100:130], 1).logits, alone[0])


def test_the_longest_kept_prefix_is_found() -> None:
    kept = Prefixes(1 << 30)
    short, long = extended(Cache.empty(SMALL), 40), extended(Cache.empty(SMALL), 200)
    kept.keep(short)
    kept.keep(long)
    found = kept.find(np.concatenate((TOKENS[:150], TOKENS[:9])))
    assert found is not None
    assert found.position == 150
    check(found)
    assert kept.find(np.array([TOKENS[0] + 1])) is None


def test_a_prompt_seen_before_leaves_its_last_token_to_run() -> None:
    kept = Prefixes(1 << 30)
    kept.keep(extended(Cache.empty(SMALL), 64))
    found = kept.find(TOKENS[:64])
    assert found is not None
    assert found.position == 63


def test_one_cache_is_kept_of_those_on_a_tape() -> None:
    kept, cache = Prefixes(1 << 30), Cache.empty(SMALL)
    for _ in range(20):
        cache = extended(cache, 5)
        kept.keep(cache)
    assert len(kept) == 1
    kept.keep(cache.rewind(50))
    found = kept.find(TOKENS[:101])
    assert found is not None
    assert found.position == 100


def test_the_least_recently_used_prefix_goes_first() -> None:
    caches: list[Cache] = []
    kept = Prefixes(3 * Cache.empty(SMALL).bytes)
    for first in range(5):
        tokens = np.array([first, 1, 2])
        caches.append(written(Cache.empty(SMALL), 3, tokens).extended(tokens))
        kept.keep(caches[-1])
        if first == 3:
            assert kept.find(np.array([1, 1, 2, 3])) is not None
    assert [kept.find(np.array([first, 1, 2, 3])) is not None for first in range(5)] == [False, True, False, True, True]


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_the_common_prefix_is_the_longest_that_is_equal(a: list[int], b: list[int]) -> None:
    n = common_prefix(np.array(a, np.int64), np.array(b, np.int64))
    assert a[:n] == b[:n]
    assert n == min(len(a), len(b)) or a[n] != b[n]


def test_a_call_whose_rows_another_one_has_overwritten_has_no_cache(session: Session) -> None:
    cache = session.call(Cache.empty(session.config), TOKENS[:40]).cache()
    first = session.call(cache, TOKENS[40:42])
    second = session.call(cache, TOKENS[50:52])
    with pytest.raises(RuntimeError, match="another continuation"):
        first.cache()
    assert np.array_equal(second.cache().tokens[40:], TOKENS[50:52])
