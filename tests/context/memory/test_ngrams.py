"""The n-gram memory against a plain scan over the same files."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from unittest.mock import patch

import numpy as np
import pytest
from engram_context.memory import matches, segments
from engram_context.memory.matches import Found
from engram_context.memory.ngrams import NgramMemory
from engram_context.memory.segments import make_segment
from hypothesis import given, settings
from hypothesis import strategies as st

VOCAB = 7
WIDE = 70_000

files = st.dictionaries(
    st.sampled_from(["a.py", "b.py", "pkg/a.py", "pkg/b.py", "pkg/sub/a.py"]),
    st.none() | st.lists(st.integers(1, VOCAB - 1), max_size=30),
    max_size=5,
)
contexts = st.lists(st.integers(0, VOCAB), max_size=12)
# Texts with matches long and many.
repetitive = st.builds(
    lambda unit, times, rest: unit * times + rest,
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(1, 20),
    st.lists(st.integers(1, 3), max_size=3),
)


def scanned(
    texts: Mapping[str, Sequence[int]], path: str | None, context: Sequence[int]
) -> Counter[tuple[int, int, int]]:
    """(match length, scope, next token) of every position that agrees with at least the newest token."""
    context = list(context)
    if 0 in context:
        context = context[len(context) - context[::-1].index(0) :]
    answer: Counter[tuple[int, int, int]] = Counter()
    for other, tokens in texts.items():
        scope = 1
        if path is not None and other.rpartition("/")[0] == path.rpartition("/")[0]:
            scope = 3 if other == path else 2
        for at in range(len(tokens) - 1):
            length = 0
            while length < min(len(context), at + 1) and tokens[at - length] == context[-1 - length]:
                length += 1
            if length:
                answer[length, scope, tokens[at + 1]] += 1
    return answer


def counted(found: Found | None) -> Counter[tuple[int, int, int]]:
    if found is None:
        return Counter()
    assert (found.weights == 1).all()
    return Counter(zip(found.lengths.tolist(), found.scopes.tolist(), found.tokens.tolist(), strict=True))


def held(updates: Sequence[Mapping[str, Sequence[int] | None]]) -> dict[str, Sequence[int]]:
    texts: dict[str, Sequence[int]] = {}
    for update in updates:
        for path, tokens in update.items():
            if tokens is None:
                texts.pop(path, None)
            else:
                texts[path] = tokens
    return texts


@pytest.mark.parametrize("vocab", [VOCAB, WIDE])
@settings(max_examples=150, deadline=None)
@given(
    updates=st.lists(files, max_size=8),
    contexts=st.lists(contexts, min_size=1, max_size=4),
    path=st.none() | st.sampled_from(["a.py", "pkg/a.py", "pkg/new.py", "other/x.py"]),
    compact=st.booleans(),
)
def test_every_match_is_the_one_that_a_scan_of_the_files_finds(
    vocab: int,
    updates: list[Mapping[str, Sequence[int] | None]],
    contexts: list[list[int]],
    path: str | None,
    compact: bool,
) -> None:
    memory = NgramMemory(vocab)
    for update in updates:
        memory.update(update)
    if compact:
        memory.compact()
    texts = held(updates)
    view = memory.view(path)
    assert memory.paths == frozenset(texts)
    assert memory.tokens == sum(map(len, texts.values()))
    for path_of, tokens in texts.items():
        assert memory.text(path_of) is not None
        assert list(memory.text(path_of)) == list(tokens)  # type: ignore[arg-type]
    for context in contexts:
        truth = scanned(texts, path, context)
        assert counted(view.find(context)) == truth
        assert view.match_length(context) == max((length for length, _, _ in truth), default=0)


@settings(max_examples=100, deadline=None)
@given(updates=st.lists(files, max_size=6), late=files, contexts=st.lists(contexts, min_size=1, max_size=4))
def test_a_merge_made_elsewhere_keeps_what_changed_meanwhile(
    updates: list[Mapping[str, Sequence[int] | None]],
    late: Mapping[str, Sequence[int] | None],
    contexts: list[list[int]],
) -> None:
    memory = NgramMemory(VOCAB)
    for update in updates:
        memory.update(update)
    due = memory.compaction()
    merged = due.run() if due is not None else None
    memory.update(late)
    if due is not None and merged is not None:
        memory.install(due, merged)
    texts = held([*updates, late])
    assert memory.paths == frozenset(texts)
    for context in contexts:
        assert counted(memory.view().find(context)) == scanned(texts, None, context)


@settings(max_examples=100, deadline=None)
@given(
    updates=st.lists(files, max_size=4),
    before=st.lists(st.integers(1, VOCAB - 1), max_size=20),
    after=st.lists(st.integers(1, VOCAB - 1), max_size=20),
    context=contexts,
)
def test_an_open_document_stands_in_for_its_file_and_its_two_sides_never_join(
    updates: list[Mapping[str, Sequence[int] | None]], before: list[int], after: list[int], context: list[int]
) -> None:
    memory = NgramMemory(VOCAB)
    for update in updates:
        memory.update(update)
    texts = held(updates)
    texts.pop("pkg/a.py", None)
    truth = scanned(texts, "pkg/a.py", context)
    for side in (before, after):
        truth += scanned({"pkg/a.py": side}, "pkg/a.py", context)
    assert counted(memory.view("pkg/a.py", before, after).find(context)) == truth
    # The memory itself has not changed.
    assert counted(memory.view().find(context)) == scanned(held(updates), None, context)


@pytest.mark.parametrize("vocab", [VOCAB, WIDE])
@settings(max_examples=100, deadline=None)
@given(
    updates=st.lists(files, max_size=6),
    sides=st.none() | st.tuples(repetitive, repetitive),
    said=st.lists(st.tuples(st.just(0) | st.integers(-3, 0), st.just([0]) | repetitive), max_size=3),
    limits=st.sampled_from([(384, 2048, 64), (2, 3, 64), (384, 2048, 2), (2, 3, 2)]),
)
def test_a_view_that_is_asked_token_after_token_says_what_a_fresh_one_says(
    vocab: int,
    updates: list[Mapping[str, Sequence[int] | None]],
    sides: tuple[list[int], list[int]] | None,
    said: list[tuple[int, list[int]]],
    limits: tuple[int, int, int],
) -> None:
    memory = NgramMemory(vocab)
    for update in updates:
        memory.update(update)
    names = ("_SAMPLE", "_DEEP_SAMPLE", "_FOLLOWED")
    with patch.multiple(matches, **dict(zip(names, limits, strict=True))):
        walked = memory.view("pkg/a.py", *sides or ())
        tokens: list[int] = []
        for turn, (back, token) in enumerate(
            (back if i == 0 else 0, t) for back, run in said for i, t in enumerate(run)
        ):
            tokens = [*tokens[: len(tokens) + back], token]
            fresh = memory.view("pkg/a.py", *sides or ())
            # The questions come in any order, and not each of them for every token.
            if turn % 3 != 1:
                assert walked.draft(tokens, 5) == fresh.draft(tokens, 5)
            if turn % 7 == 3:
                assert walked.match_length(tokens) == memory.view("pkg/a.py", *sides or ()).match_length(tokens)
            if turn % 5 != 2:
                one, other = walked.find(tokens), memory.view("pkg/a.py", *sides or ()).find(tokens)
                assert (one is None) == (other is None)
                if one is not None and other is not None:
                    for name in ("tokens", "lengths", "scopes", "weights"):
                        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_long_match_is_followed_no_further_than_contexts_are_looked_at() -> None:
    memory = NgramMemory(100)
    memory.update({"a.py": range(1, 80)})
    view = memory.view()
    for end in range(1, 60):
        assert view.draft(range(1, end + 1), 1) == ([end + 1], min(end, 32))


@settings(max_examples=150, deadline=None)
@given(updates=st.lists(files, max_size=6), context=contexts, count=st.integers(0, 9))
def test_a_draft_is_what_stood_after_a_longest_match(
    updates: list[Mapping[str, Sequence[int] | None]], context: list[int], count: int
) -> None:
    memory = NgramMemory(VOCAB)
    for update in updates:
        memory.update(update)
    view = memory.view("pkg/a.py")
    draft = view.propose(context, count)
    assert len(draft) <= count
    longest = view.match_length(context)
    assert bool(draft) == (count > 0 and longest > 0)
    if not draft:
        return
    tail = context[len(context) - longest :] + draft
    windows = [tokens[i : i + len(tail)] for tokens in held(updates).values() for i in range(len(tokens))]
    assert tail in windows


@settings(max_examples=100, deadline=None)
@given(updates=st.lists(files, max_size=6), context=contexts)
def test_a_distribution_sums_to_what_is_claimed(
    updates: list[Mapping[str, Sequence[int] | None]], context: list[int]
) -> None:
    memory = NgramMemory(VOCAB)
    for update in updates:
        memory.update(update)
    view = memory.view("a.py")
    weighed = view.distribution(context)
    truth = scanned(held(updates), "a.py", context)
    assert (weighed is None) == (not truth)
    if weighed is None:
        assert view.next(context) is None
        return
    assert sorted(weighed.ids.tolist()) == sorted({following for _, _, following in truth})
    assert weighed.probabilities.sum() + weighed.rest == pytest.approx(1, abs=1e-4)
    expected = view.next(context, 2)
    assert expected is not None
    ids, probabilities, trust = expected.ids, expected.chances, expected.weight
    assert 1 <= len(ids) <= 2
    assert list(probabilities) == sorted(probabilities, reverse=True)
    assert probabilities[0] == weighed.probabilities.max()
    assert 0 <= trust <= 1


def test_equal_contexts_with_one_continuation_make_it_likely() -> None:
    memory = NgramMemory(100)
    memory.update({f"f{i}.py": [10, 11, 12, 13, 20 + i % 2] for i in range(40)} | {"g.py": [10, 11, 12, 30] * 10})
    expected = memory.view().next([10, 11, 12])
    assert expected is not None
    assert expected.ids[0] == 13
    assert expected.chances[0] > expected.chances[1]
    assert set(expected.ids.tolist()) == {13, 30}


def test_common_contexts_are_sampled_and_their_counts_stay_close() -> None:
    memory = NgramMemory(50)
    random = np.random.default_rng(1)
    tokens = np.where(random.random(200_000) < 0.5, 1, random.integers(2, 6, 200_000))
    memory.update({"a.py": tokens})
    found = memory.view().find([9, 1])
    assert found is not None
    assert len(found.tokens) < 3_000
    true = Counter(tokens[1:][tokens[:-1] == 1].tolist())
    seen = np.bincount(found.tokens, weights=found.weights)
    for token in range(1, 6):
        assert seen[token] == pytest.approx(true[token], rel=0.35)


def test_segments_stay_few_while_many_files_are_edited_one_at_a_time() -> None:
    memory = NgramMemory(1000)
    random = np.random.default_rng(1)
    memory.update({f"{i}.py": random.integers(1, 1000, 200) for i in range(300)})
    most = 0
    for turn in range(600):
        memory.update({f"{turn % 300}.py": random.integers(1, 1000, 200)})
        memory.compact()
        most = max(most, len(memory._segments))
    assert most <= 12
    assert memory.tokens == 300 * 200
    assert memory.bytes < memory.tokens * 2 * 16 + 300 * 64


def test_a_view_does_not_change_its_mind_while_another_thread_writes() -> None:
    memory = NgramMemory(50)
    random = np.random.default_rng(1)
    texts = {f"{i}.py": random.integers(1, 50, 300).tolist() for i in range(20)}
    memory.update(texts)
    view = memory.view("3.py")
    context = texts["5.py"][:40]
    first = counted(view.find(context))
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            turn = 0
            while not stop.is_set():
                memory.update({f"{turn % 20}.py": random.integers(1, 50, 300) if turn % 3 else None})
                turn += 1
        except BaseException as problem:
            failures.append(problem)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(200):
            assert counted(view.find(context)) == first
            memory.view("4.py").next(context)
    finally:
        stop.set()
        thread.join()
    assert not failures
    assert first == scanned(texts, "3.py", context[-32:])


def test_a_token_outside_the_vocabulary_is_refused_and_changes_nothing() -> None:
    memory = NgramMemory(50)
    memory.update({"a.py": [1, 2, 3]})
    generation = memory.generation
    with pytest.raises(ValueError, match=r"b\.py: token ids must lie in 0 \.\. 49"):
        memory.update({"a.py": [4], "b.py": [50]})
    assert memory.generation == generation
    assert list(memory.text("a.py")) == [1, 2, 3]  # type: ignore[arg-type]


def test_an_empty_memory_answers_nothing() -> None:
    view = NgramMemory(50).view("a.py", [], [])
    assert view.next([1, 2]) is None
    assert view.propose([1, 2], 4) == []
    assert view.match_length([1, 2]) == 0
    assert view.find([]) is None


def test_a_segment_that_is_sorted_in_parts_is_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    random_ = np.random.default_rng(5)
    files = [
        (f"{n}.py", 0, random_.zipf(1.4, size).astype(np.uint64) % 300 + 1) for n, size in enumerate((0, 1, 400, 900))
    ]
    for dtype in (np.uint16, np.uint32):
        texts = [(path, directory, tokens.astype(dtype)) for path, directory, tokens in files]
        whole = make_segment(texts, dtype)
        with monkeypatch.context() as patched:
            patched.setattr(segments, "_STEP", 64)
            parts = make_segment(texts, dtype)
        assert np.array_equal(parts.keys, whole.keys)
        assert np.all(np.diff(parts.keys.astype(object)) >= 0)
        assert np.array_equal(np.sort(parts.order), np.sort(whole.order))
        places = np.arange(64 // (8 * np.dtype(dtype).itemsize))
        for position, key in zip(parts.order.tolist(), parts.keys.tolist(), strict=True):
            before = [int(parts.tokens[position - back]) if position >= back else 0 for back in places.tolist()]
            bits = 8 * np.dtype(dtype).itemsize
            assert key == sum(token << (64 - bits * (back + 1)) for back, token in enumerate(before))
