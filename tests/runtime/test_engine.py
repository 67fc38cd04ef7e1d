"""The engine continues prompts alike, whatever it remembers, drafts, or was interrupted in."""

import gc
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from engram_runtime.cache import Prefixes
from engram_runtime.engine import CHUNK, OnnxEngine, Request, Step, _Run
from engram_runtime.export import WeightKind
from engram_runtime.sampling import Opinion
from engram_runtime.session import ModelError, Session
from engram_runtime.speculation import Drafter
from engram_runtime.tokenizer import Tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from opinions import Said

CPU = ["CPUExecutionProvider"]
RANDOM = np.random.default_rng(11)
PROMPT = RANDOM.integers(6, 262, 300).tolist()


@pytest.fixture(scope="module")
def folder(folders: dict[WeightKind, Path]) -> Path:
    return folders["fp32"]


@pytest.fixture(scope="module")
def new_engine(folder: Path, tokenizer: Tokenizer) -> Callable[[], OnnxEngine]:
    """Makes engines that remember nothing; they share one session, which keeps no state."""
    session = Session.open(folder, CPU)
    return lambda: OnnxEngine(session, tokenizer, 2048)


@pytest.fixture
def engine(new_engine: Callable[[], OnnxEngine]) -> Iterator[OnnxEngine]:
    opened = new_engine()
    yield opened
    opened.close()


class Oracle:
    """Drafts the known continuation, with every `wrong`-th token spoilt."""

    def __init__(self, prompt: Sequence[int], continuation: Sequence[int], wrong: int = 0) -> None:
        self.start, self.continuation, self.wrong = len(prompt), continuation, wrong

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        at = len(tokens) - self.start
        drafts = list(self.continuation[at : at + count])
        for i in range(len(drafts)):
            if self.wrong and (at + i) % self.wrong == self.wrong - 1:
                drafts[i] = (drafts[i] + 1) % 262
        return drafts


class Stop:
    """True from the `after`-th time it is asked."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_prediction_is_its_steps(engine: OnnxEngine) -> None:
    request = Request(PROMPT, max_tokens=20)
    prediction = engine.predict(request)
    steps = list(engine.steps(request))
    assert prediction.tokens == tuple(token for step in steps for token in step.tokens)
    assert len(prediction.tokens) == len(prediction.log_probs) == 20
    assert prediction.finish == "length"
    assert (prediction.prefilled, prediction.reused, prediction.steps) == (300, 0, 20)


def test_log_probs_are_those_of_the_model(engine: OnnxEngine) -> None:
    prediction = engine.predict(Request(PROMPT, max_tokens=5))
    for i, (token, log_prob) in enumerate(zip(prediction.tokens, prediction.log_probs, strict=True)):
        row = engine.next_log_probs([*PROMPT, *prediction.tokens[:i]])
        assert row is not None
        assert row.argmax() == token
        assert row[token] == pytest.approx(log_prob, abs=1e-4)
        assert np.exp(row).sum() == pytest.approx(1)


@settings(max_examples=8, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, 420), st.integers(1, 60)), min_size=1, max_size=5))
def test_remembered_prefixes_change_nothing(new_engine: Callable[[], OnnxEngine], edits: list[tuple[int, int]]) -> None:
    """A prompt that is edited again and again is continued as it would be by an engine that never saw another."""
    engine, prompt = new_engine(), list(PROMPT)
    for at, count in edits:
        prompt = [*prompt[: max(1, at)], *RANDOM.integers(6, 262, count).tolist(), *prompt[at + 5 :]]
        request = Request(prompt, max_tokens=6)
        assert engine.predict(request).tokens == new_engine().predict(request).tokens


def test_typing_runs_only_what_was_typed(engine: OnnxEngine) -> None:
    first = engine.predict(Request(PROMPT, max_tokens=30))
    typed = [*PROMPT, *first.tokens[:10]]
    second = engine.predict(Request(typed, max_tokens=20))
    assert second.tokens == first.tokens[10:]
    assert (second.reused, second.prefilled) == (309, 1)
    other = engine.predict(Request([*PROMPT[:250], 9, 9], max_tokens=3))
    assert (other.reused, other.prefilled) == (250, 2)


def test_a_change_far_back_reuses_what_lies_before_it(engine: OnnxEngine) -> None:
    long = RANDOM.integers(6, 262, 1800).tolist()
    engine.predict(Request(long, max_tokens=1))
    other = 7 if long[700] != 7 else 8
    again = engine.predict(Request([*long[:700], other, *long[701:]], max_tokens=1))
    assert again.reused == 700


def test_stop_tokens_end_before_themselves(engine: OnnxEngine) -> None:
    whole = engine.predict(Request(PROMPT, max_tokens=20)).tokens
    stopper = whole[7]
    cut = engine.predict(Request(PROMPT, max_tokens=20, stop_tokens=frozenset({stopper})))
    assert cut.tokens == whole[: whole.index(stopper)]
    assert cut.finish == "stop"


def test_a_stop_function_sees_what_was_generated_and_ends_after_it(engine: OnnxEngine) -> None:
    whole = engine.predict(Request(PROMPT, max_tokens=20)).tokens
    seen: list[tuple[int, ...]] = []

    def stop(tokens: Sequence[int]) -> bool:
        seen.append(tuple(tokens))
        return len(tokens) == 6

    drafter = Oracle(PROMPT, whole)
    cut = engine.predict(Request(PROMPT, max_tokens=20, stop=stop, drafter=drafter))
    assert cut.tokens == whole[:6]
    assert cut.finish == "stop"
    assert seen == [whole[: i + 1] for i in range(6)]


def test_the_context_ends_a_prediction(folder: Path) -> None:
    engine = OnnxEngine.open(folder, CPU, context=310)
    prediction = engine.predict(Request(PROMPT, max_tokens=50))
    assert (len(prediction.tokens), prediction.finish) == (10, "length")


@pytest.mark.parametrize("wrong", [0, 2, 5])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_drafts_change_the_number_of_steps_only(
    new_engine: Callable[[], OnnxEngine], wrong: int, temperature: float
) -> None:
    request = Request(PROMPT, max_tokens=60, temperature=temperature, seed=4)
    plain = new_engine().predict(request)
    drafter = Oracle(PROMPT, plain.tokens, wrong)
    fast = new_engine().predict(Request(PROMPT, max_tokens=60, temperature=temperature, seed=4, drafter=drafter))
    assert fast.tokens == plain.tokens
    assert np.allclose(fast.log_probs, plain.log_probs, atol=1e-4)
    assert fast.finish == plain.finish
    assert fast.accepted + fast.steps == 60
    if wrong:
        assert 0 < fast.accepted < fast.drafted
        assert fast.steps < 60
    else:
        assert fast.accepted > 0.8 * fast.drafted
        assert fast.steps < 12


def test_a_useless_drafter_is_harmless(engine: OnnxEngine) -> None:
    class Wrong:
        def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
            return [-1, 10**6] if len(tokens) % 2 else [0] * 50

    plain = engine.predict(Request(PROMPT, max_tokens=20))
    spoilt = engine.predict(Request(PROMPT, max_tokens=20, drafter=Wrong()))
    assert spoilt.tokens == plain.tokens


CHAIN = np.array(
    [
        [0.40, 0.30, 0.15, 0.10, 0.05],
        [0.05, 0.25, 0.50, 0.10, 0.10],
        [0.20, 0.20, 0.20, 0.20, 0.20],
        [0.10, 0.60, 0.10, 0.10, 0.10],
        [0.30, 0.15, 0.05, 0.40, 0.10],
    ]
)
"""Chances of the next token by the last one, of the five tokens 10 to 14."""


class Chain:
    """A prior that leaves nothing to the model: what is drawn from is known exactly."""

    def next(self, tokens: Sequence[int]) -> Opinion | None:
        return Said(np.arange(10, 15), CHAIN[tokens[-1] - 10 if 10 <= tokens[-1] < 15 else 0], 1.0)


class Biased:
    """Always guesses the same run, which is wrong more often than right, whatever was said last."""

    def draft(self, tokens: Sequence[int], count: int) -> tuple[Sequence[int], int]:
        return [11, 12, 11, 12][:count], 8

    def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
        return self.draft(tokens, count)[0]


class Redrawing(_Run):
    """The usual mistake: a draft is accepted by its chance, and when it is not, drawn again from all tokens."""

    def take(self, rows: np.ndarray, drafts: Sequence[int]) -> Step:
        before, agreed = len(self.generated), 0
        for i in range(len(rows)):
            opinion = self.opinion()
            assert opinion is not None
            lucky = i < len(drafts) and self.sampler._random.random() < opinion.chances[drafts[i] - 10]
            self.say(drafts[i] if lucky else self.sampler.choose(rows[i], opinion)[0])
            if not lucky:
                break
            agreed += 1
        self.drafted += len(drafts)
        self.accepted += agreed
        said = self.generated[before:]
        return Step(tuple(said), (0.0,) * len(said), len(drafts), agreed)


def test_sampling_with_drafts_keeps_the_distribution(
    new_engine: Callable[[], OnnxEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pearson's statistic of 1,000 drawn tokens by the token before them, against the chances they were drawn with.

    20 degrees of freedom: a correct engine exceeds 52.4 once in 10,000 times; a usual mistake is far beyond it.
    """

    def statistic(drafter: Drafter | None) -> float:
        engine, counts, drafted, accepted = new_engine(), np.zeros((5, 5)), 0, 0
        for seed in range(20):
            said = engine.predict(
                Request(PROMPT[:4], max_tokens=51, temperature=1.0, seed=seed, drafter=drafter, prior=Chain())
            )
            np.add.at(counts, (np.array(said.tokens[:-1]) - 10, np.array(said.tokens[1:]) - 10), 1)
            drafted += said.drafted
            accepted += said.accepted
        assert (0.1 * drafted < accepted < 0.5 * drafted) if drafter else not drafted
        expected = CHAIN * counts.sum(1, keepdims=True)
        return float(((counts - expected) ** 2 / expected).sum())

    assert statistic(None) < 52.4
    assert statistic(Biased()) < 52.4
    monkeypatch.setattr("engram_runtime.engine._Run", Redrawing)
    assert statistic(Biased()) > 100


def test_a_prior_is_mixed_into_every_choice_and_log_prob(engine: OnnxEngine) -> None:
    class Alternating:
        def next(self, tokens: Sequence[int]) -> Opinion | None:
            return Said(np.array([20 + len(tokens) % 2]), np.array([1.0]), 0.9)

    whole = engine.predict(Request(PROMPT, max_tokens=8, prior=Alternating()))
    assert whole.tokens == (20, 21) * 4
    for i, log_prob in enumerate(whole.log_probs):
        row = engine.next_log_probs([*PROMPT, *whole.tokens[:i]])
        assert row is not None
        assert log_prob == pytest.approx(np.log(0.9 + 0.1 * np.exp(row[whole.tokens[i]])), abs=1e-5)
    drafted = engine.predict(Request(PROMPT, max_tokens=8, prior=Alternating(), drafter=Oracle(PROMPT, whole.tokens)))
    assert drafted.tokens == whole.tokens
    assert drafted.steps < 8


@pytest.mark.parametrize("after", range(9))
def test_cancelling_between_any_two_calls_leaves_a_usable_engine(
    new_engine: Callable[[], OnnxEngine], after: int
) -> None:
    long = RANDOM.integers(6, 262, 3 * CHUNK + 10).tolist()
    whole = new_engine().predict(Request(long, max_tokens=8)).tokens
    engine = new_engine()
    cut = engine.predict(Request(long, max_tokens=8), Stop(after))
    assert cut.finish == "cancelled"
    assert cut.tokens == whole[: max(0, after - 3)]
    rest = engine.predict(Request(long, max_tokens=8))
    assert rest.tokens == whole
    assert rest.reused == min(after * CHUNK, len(long) - 1)


@settings(max_examples=15, deadline=None)
@given(
    points=st.lists(st.tuples(st.integers(0, 14), st.booleans()), min_size=1, max_size=4),
    wrong=st.sampled_from([0, 2, 3]),
    temperature=st.sampled_from([0.0, 1.0]),
)
def test_a_request_that_was_given_up_anywhere_is_answered_as_if_never_begun(
    new_engine: Callable[[], OnnxEngine], points: list[tuple[int, bool]], wrong: int, temperature: float
) -> None:
    """Given up again and again, by asking to cancel or by closing the generator, with drafts right and wrong."""
    prompt = [*PROMPT, *PROMPT[:60]]
    plain = new_engine().predict(Request(prompt, max_tokens=16, temperature=temperature, seed=3))
    drafter = Oracle(prompt, plain.tokens, wrong)
    request = Request(prompt, max_tokens=16, temperature=temperature, seed=3, drafter=drafter)
    engine = new_engine()
    for after, close in points:
        if close:
            steps = engine.steps(request)
            said = [token for step in itertools.islice(steps, after) for token in step.tokens]
            cast("Generator[Step]", steps).close()
        else:
            cut = engine.predict(request, Stop(after))
            said = list(cut.tokens)
            assert (cut.finish == "cancelled") == (len(said) < 16)
        assert tuple(said) == plain.tokens[: len(said)]
    assert engine.predict(request).tokens == plain.tokens
    assert engine.predict(Request(prompt[:200], max_tokens=4)).tokens == (
        new_engine().predict(Request(prompt[:200], max_tokens=4)).tokens
    )


def test_a_step_generator_that_is_dropped_leaves_a_usable_engine_and_its_work(engine: OnnxEngine) -> None:
    whole = engine.predict(Request(PROMPT, max_tokens=8)).tokens
    engine._kept = Prefixes(1 << 20)
    steps = engine.steps(Request(PROMPT, max_tokens=8))
    said = [token for step in itertools.islice(steps, 4) for token in step.tokens]
    del steps
    gc.collect()
    again = engine.predict(Request([*PROMPT, *said], max_tokens=4))
    assert again.tokens == whole[4:]
    assert (again.reused, again.prefilled) == (303, 1)


def test_a_drafter_that_raises_loses_nothing(engine: OnnxEngine) -> None:
    class Broken:
        def propose(self, tokens: Sequence[int], count: int) -> Sequence[int]:
            if len(tokens) > 303:
                raise LookupError("no idea")
            return []

    with pytest.raises(LookupError):
        engine.predict(Request(PROMPT, max_tokens=8, drafter=Broken()))
    assert engine.predict(Request(PROMPT, max_tokens=8)).reused == 299


def test_two_interleaved_predictions_do_not_disturb_each_other(engine: OnnxEngine) -> None:
    other = [*PROMPT[:280], 5, 5]
    expected = [engine.predict(Request(prompt, max_tokens=8)).tokens for prompt in (PROMPT, other)]
    both = [engine.steps(Request(prompt, max_tokens=8)) for prompt in (PROMPT, other)]
    mixed_up = [[next(steps).tokens[0] for steps in both] for _ in range(8)]
    assert [tuple(tokens) for tokens in zip(*mixed_up, strict=True)] == expected


def test_greedy_alternatives_begin_with_the_likeliest_tokens(engine: OnnxEngine) -> None:
    row = engine.next_log_probs(PROMPT)
    assert row is not None
    found = list(engine.alternatives(Request(PROMPT, max_tokens=6), 4))
    assert [one.tokens[0] for one in found] == np.argsort(-row, kind="stable")[:4].tolist()
    assert found[0].tokens == engine.predict(Request(PROMPT, max_tokens=6)).tokens
    for one in found:
        assert one.log_probs[0] == pytest.approx(row[one.tokens[0]], abs=1e-4)
        rest = engine.predict(Request([*PROMPT, one.tokens[0]], max_tokens=5))
        assert one.tokens[1:] == rest.tokens
        assert (one.finish, one.steps) == ("length", 6)


def test_sampled_alternatives_are_the_predictions_of_successive_seeds(new_engine: Callable[[], OnnxEngine]) -> None:
    prior = Chain()
    request = Request(PROMPT, max_tokens=6, temperature=0.8, top_p=0.9, seed=5, prior=prior)
    engine = new_engine()
    found = list(engine.alternatives(request, 4))
    assert [one.tokens for one in found] == [
        new_engine().predict(replace(request, seed=5 + i)).tokens for i in range(4)
    ]
    assert [(one.prefilled, one.reused) for one in found] == [(300, 0), (0, 300), (0, 300), (0, 300)]
    assert len({one.tokens for one in found}) > 1


def test_alternatives_can_be_cancelled_and_stop(engine: OnnxEngine) -> None:
    assert list(engine.alternatives(Request(PROMPT), 3, lambda: True)) == []
    # Three calls read the prompt, three more finish the first; the second is given up.
    assert len(list(engine.alternatives(Request(PROMPT, max_tokens=4), 3, Stop(7)))) == 1
    first = engine.predict(Request(PROMPT, max_tokens=1)).tokens[0]
    stopped = next(engine.alternatives(Request(PROMPT, max_tokens=4, stop_tokens=frozenset({first})), 2))
    assert (stopped.tokens, stopped.finish, stopped.steps) == ((), "stop", 0)


def test_a_prompt_can_be_read_ahead(engine: OnnxEngine) -> None:
    seen: list[tuple[int, int]] = []
    assert engine.read(PROMPT, progress=lambda done, count: seen.append((done, count)))
    assert seen == [(CHUNK * n, 300) for n in range(1, 300 // CHUNK + 1)]
    said = engine.predict(Request(PROMPT, max_tokens=1))
    assert (said.reused, said.prefilled) == (300 // CHUNK * CHUNK, 300 % CHUNK)
    assert not engine.read(RANDOM.integers(6, 262, 300).tolist(), lambda: True)


def test_kept_prompts_stay_within_their_memory(folder: Path) -> None:
    engine = OnnxEngine.open(folder, CPU, kept_bytes=3 << 20)
    for _ in range(12):
        engine.predict(Request(RANDOM.integers(6, 262, 200).tolist(), max_tokens=2))
        assert engine.describe()["kept_bytes"] <= 3 << 20
    assert engine.describe()["kept_caches"] >= 1


def test_continuations_that_are_tried_are_judged_as_if_each_were_the_prompt_and_leave_no_trace(
    engine: OnnxEngine,
) -> None:
    after = engine.fork(PROMPT)
    assert after is not None
    tried = [[], [7], [9, 11, 8], [7, 12], [9]]
    kept = engine.describe()["kept_caches"]
    rows = [after(tokens) for tokens in tried]
    assert engine.describe()["kept_caches"] == kept
    for tokens, row in zip(tried, rows, strict=True):
        expected = engine.next_log_probs([*PROMPT, *tokens])
        assert expected is not None
        np.testing.assert_allclose(row, expected, atol=1e-4)
    assert engine.fork(PROMPT, lambda: True) is None


def test_continuations_are_scored_as_if_each_token_were_asked_for(engine: OnnxEngine) -> None:
    long = RANDOM.integers(6, 262, CHUNK + 5).tolist()
    continuations = [[7], [], [9, 11, 8], long, [7, 12]]
    scores = engine.score(PROMPT, continuations)
    assert scores is not None
    again = engine.score(PROMPT, continuations)
    assert again is not None
    np.testing.assert_allclose(np.concatenate(again), np.concatenate(scores), atol=1e-4)
    for tokens, found in zip(continuations, scores, strict=True):
        assert len(found) == len(tokens)
        for at in [*range(min(4, len(tokens))), *range(max(0, len(tokens) - 3), len(tokens))]:
            expected = engine.next_log_probs([*PROMPT, *tokens[:at]])
            assert expected is not None
            np.testing.assert_allclose(found[at], expected[tokens[at]], atol=1e-3)
    assert engine.score(PROMPT, continuations, None, lambda: True) is None
    assert engine.score(PROMPT, continuations, None, Stop(3)) is None


def test_what_might_stand_along_a_text_is_judged_as_if_each_place_were_asked_about(engine: OnnxEngine) -> None:
    places = {1: [7], CHUNK - 1: [8], CHUNK: [9, 10], CHUNK + 1: [7], 2 * CHUNK + 40: [9], 300: [11]}
    found = engine.along(PROMPT, places)
    assert found is not None and found.keys() == places.keys()
    for place, tokens in places.items():
        expected = engine.next_log_probs(PROMPT[:place])
        assert expected is not None
        np.testing.assert_allclose(found[place], expected[tokens], atol=1e-3)
    assert engine.along(PROMPT, {}) == {}
    assert engine.along(PROMPT, places, Stop(3)) is None
    with pytest.raises(ValueError, match="places"):
        engine.along(PROMPT, {0: [7]})


def test_a_prior_has_its_say_in_scores(engine: OnnxEngine) -> None:
    class Always:
        def next(self, tokens: Sequence[int]) -> Opinion:
            return Said(np.array([9]), np.array([1.0]), 0.5)

    plain, told = engine.score(PROMPT, [[9, 8]]), engine.score(PROMPT, [[9, 8]], Always())
    assert plain is not None and told is not None
    assert told[0][0] == pytest.approx(np.log(0.5 * np.exp(plain[0][0]) + 0.5), abs=1e-4)
    assert told[0][1] == pytest.approx(plain[0][1] + np.log(0.5), abs=1e-4)


def test_next_log_probs_can_be_cancelled(engine: OnnxEngine) -> None:
    assert engine.next_log_probs(PROMPT, lambda: True) is None


@pytest.mark.parametrize("prompt", [[], [-1], [262], [7] * 2048])
def test_a_prompt_that_cannot_be_read_is_refused(engine: OnnxEngine, prompt: list[int]) -> None:
    with pytest.raises(ValueError, match="token"):
        engine.predict(Request(prompt))


def test_asking_for_no_tokens_is_refused(engine: OnnxEngine) -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        engine.predict(Request(PROMPT, max_tokens=0))


def test_a_closed_engine_says_so(engine: OnnxEngine) -> None:
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.predict(Request(PROMPT))


def test_the_engine_describes_itself(engine: OnnxEngine) -> None:
    engine.predict(Request(PROMPT, max_tokens=1))
    about = engine.describe()
    assert about["provider"] == CPU[0]
    assert about["weights"] == "fp32"
    assert about["training"] == {"tokens": 0}
    assert about["kept_caches"] > 0
    json.dumps(about)


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def spoil(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        drop("model.onnx"),
        drop("engram.npy"),
        drop("tokenizer.json"),
        spoil("model.onnx", b"not a graph"),
        spoil("config.json", b"{"),
        spoil("config.json", b'{"vocab_size": 100}'),
        spoil("config.json", b'{"colour": 1}'),
        spoil("config.json", b"[]"),
        spoil("model.json", b'{"format": 99}'),
        spoil("model.json", b"\xff\xfe"),
        spoil("tokenizer.json", b"{}"),
        spoil("engram_classes.npy", b""),
        spoil("engram.npy", b"\x93NUMPY"),
        lambda folder: np.save(folder / "engram.npy", np.zeros(3)),
        lambda folder: np.save(folder / "engram_classes.npy", np.zeros(3)),
        shutil.rmtree,
    ],
)
def test_a_broken_model_folder_gives_one_clear_error(model_copy: Path, damage: Callable[[Path], object]) -> None:
    damage(model_copy)
    with pytest.raises(ModelError) as raised:
        OnnxEngine.open(model_copy, CPU)
    assert str(model_copy) in str(raised.value)


def test_running_a_model_needs_neither_torch_nor_onnx(folder: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from engram_runtime.engine import OnnxEngine, Request
engine = OnnxEngine.open(Path({str(folder)!r}), {CPU})
engine.predict(Request([7, 8, 9], max_tokens=2))
print(sorted({{"torch", "onnx", "safetensors", "transformers"}} & sys.modules.keys()))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
