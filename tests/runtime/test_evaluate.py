"""Measuring: the questions, the arithmetic, the n-gram floor, and that every kind of model answers the same questions."""

import gzip
import json
import math
import random
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.export import export
from engram_runtime.network import DeepseekV4
from engram_runtime.tokenizer import engram_classes
from engram_runtime.train.corpus import Document
from engram_runtime.train.evaluate import (
    REPOSITORIES,
    bits_per_token,
    evaluate,
    forced_completion,
    line_exact_match,
    tables,
)
from engram_runtime.train.ngrams import Ngrams
from engram_runtime.train.questions import Cursor, code_lines, cursors, scored_positions, shortened, windows
from engram_runtime.train.vocabulary import learn_tokenizer
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

WORDS = ["alpha", "beta", "gamma", "width", "height", "left", "right", "index", "total", "parser", "reader", "value"]


def module(seed: int, functions: int = 30) -> str:
    draw = random.Random(seed)
    lines = [f'"""Module {seed}."""', ""]
    for number in range(functions):
        a, b, c = draw.sample(WORDS, 3)
        lines += [
            f"def {a}_{number}({b}, {c}):",
            f'    """Returns {a}."""',
            "    # how",
            f"    return {b} + {c}  # so",
            "",
        ]
    return "\n".join(lines)


FILES = [Document("pack", f"pack/m{seed}.py", module(seed)) for seed in range(6)]
TOKENIZER = learn_tokenizer([file.text for file in FILES], size=400)
V = TOKENIZER.vocab_size


def test_code_lines_hold_no_docstring_comment_or_blank_line() -> None:
    text = (
        '"""Module\n\nof two."""\n\nimport os  # why\n\n# only this\n\nclass A:\n    """Doc."""\n\n'
        '    x = """a\n\n    b"""\n\n    def f(self):\n        "One."\n        return (\n            # inside\n            1,\n\n        )\n'
    )
    lines = text.split("\n")
    assert [lines[number] for number in sorted(code_lines(text))] == [
        "import os  # why",
        "class A:",
        '    x = """a',
        "",
        '    b"""',
        "    def f(self):",
        "        return (",
        "            1,",
        "        )",
    ]


def test_what_is_not_python_has_no_code_lines() -> None:
    assert code_lines("def (:\n") == frozenset()
    assert code_lines("\x00") == frozenset()
    assert code_lines("") == frozenset()


def test_scored_tokens_stand_on_code_lines_and_hold_no_newline() -> None:
    text = FILES[0].text
    ids = TOKENIZER.encode(text)
    mask = scored_positions(TOKENIZER, ids, code_lines(text))
    scored = b"\n".join(TOKENIZER.token_bytes(token) for token, hit in zip(ids, mask, strict=True) if hit).decode()
    assert "Returns" not in scored
    assert "Module" not in scored
    assert "return" in scored
    line, offset = 0, 0
    for token, hit in zip(ids, mask, strict=True):
        piece = TOKENIZER.token_bytes(token)
        assert line == text.encode()[:offset].count(b"\n")
        assert hit == (b"\n" not in piece and line in code_lines(text))
        line, offset = line + piece.count(b"\n"), offset + len(piece)


def test_windows_ask_about_the_file_with_context_on_the_left() -> None:
    asked = windows(TOKENIZER, FILES, 20, context=256, span=64)
    assert len(asked) == 20
    assert len({(window.tokens, window.start) for window in asked}) == 20
    whole = {tuple(TOKENIZER.encode(file.text)) for file in FILES}
    for window in asked:
        assert window.tokens[0] == TOKENIZER.begin
        inside = window.tokens[1:]
        assert any(
            ids[at : at + len(inside)] == inside and (window.start == 257 or at == 0)
            for ids in whole
            for at in range(len(ids))
        )
        assert 0 < window.start <= min(window.scored)
        assert max(window.scored) < len(window.tokens) <= 1 + 256 + 64


def test_the_same_seed_asks_the_same_and_another_seed_does_not() -> None:
    assert windows(TOKENIZER, FILES, 9, seed=1) == windows(TOKENIZER, FILES, 9, seed=1)
    assert windows(TOKENIZER, FILES, 9, seed=1) != windows(TOKENIZER, FILES, 9, seed=2)
    assert cursors(FILES, 9, seed=1) == cursors(FILES, 9, seed=1)
    assert cursors(FILES, 9, seed=1) != cursors(FILES, 9, seed=2)


def test_no_more_windows_are_asked_than_there_are() -> None:
    few = windows(TOKENIZER, FILES[:1], 1000, span=64)
    assert len(few) == len(set(few))
    ids = TOKENIZER.encode(FILES[0].text)
    mask = scored_positions(TOKENIZER, ids, code_lines(FILES[0].text))
    assert sum(len(window.scored) for window in few) == mask.sum()


@given(by=st.integers(0, 600), seed=st.integers(0, 5))
def test_a_shortened_window_asks_for_the_same_tokens(by: int, seed: int) -> None:
    for window in windows(TOKENIZER, FILES, 3, seed=seed):
        less = shortened(window, by)
        assert less.tokens[0] == TOKENIZER.begin
        assert less.tokens[less.start :] == window.tokens[window.start :]
        assert [less.tokens[at] for at in less.scored] == [window.tokens[at] for at in window.scored]
        assert less.tokens[1 : less.start] == window.tokens[1 : window.start][by:]


def test_cursors_split_a_file_in_three_on_a_code_line() -> None:
    asked = cursors(FILES, 40)
    texts = {file.text for file in FILES}
    assert len(asked) == 40
    assert sum(cursor.at_line_start for cursor in asked) == 20
    for cursor in asked:
        assert cursor.prefix + cursor.middle + cursor.suffix in texts
        assert cursor.middle
        assert "\n" not in cursor.middle
        line = cursor.prefix.split("\n")[-1]
        assert cursor.at_line_start == (not line.strip())
        assert cursor.prefix.count("\n") in code_lines(cursor.prefix + cursor.middle + cursor.suffix)


def test_a_constant_distribution_costs_log2_of_the_vocabulary_and_is_never_right() -> None:
    asked = {"a": windows(TOKENIZER, FILES[:3], 5), "b": windows(TOKENIZER, FILES[3:], 5)}
    figures = bits_per_token(lambda tokens, start: np.full((len(tokens) - start, V), -math.log(V)), asked)
    assert set(figures) == {"a", "b", "all"}
    assert figures["all"].bits == pytest.approx(math.log2(V))
    assert figures["all"].interval == pytest.approx((math.log2(V), math.log2(V)))
    assert figures["all"].top1 == figures["all"].top5 == 0
    assert figures["all"].positions == sum(len(window.scored) for group in asked.values() for window in group)


def test_the_figures_are_those_of_the_scored_tokens_alone() -> None:
    asked = {"a": windows(TOKENIZER, FILES, 8)}

    def score(tokens: tuple[int, ...], start: int) -> np.ndarray:
        # The truth is third best with probability 1/4 everywhere.
        answer = np.full((len(tokens) - start, V), math.log(0.05 / (V - 3)))
        for row, token in enumerate(tokens[start:]):
            answer[row, [(token + 1) % V, (token + 2) % V]] = math.log(0.35)
            answer[row, token] = math.log(0.25)
        return answer

    figures = bits_per_token(score, asked)["a"]  # type: ignore[arg-type]
    assert figures.bits == pytest.approx(2.0)
    assert figures.top1 == 0
    assert figures.top5 == 1


def test_the_interval_holds_the_figure_and_narrows_with_more_windows() -> None:
    model = Ngrams([TOKENIZER.encode(file.text) for file in FILES[:2]], V, max_order=3)
    few, many = (
        bits_per_token(model.log_probs, {"a": windows(TOKENIZER, FILES, count, span=32)})["a"] for count in (6, 60)
    )
    for figures in (few, many):
        assert figures.interval[0] <= figures.bits <= figures.interval[1]
    assert many.interval[1] - many.interval[0] < few.interval[1] - few.interval[0]


def naive_log_prob(
    model: Ngrams, documents: list[list[int]], weights: np.ndarray, order: int, history: list[int]
) -> np.ndarray:
    """Jelinek-Mercer written down as it is defined, with counts in dictionaries."""
    counts: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for ids in documents:
        for at, token in enumerate(ids):
            for k in range(min(order, at) + 1):
                counts[tuple(ids[at - k : at])][token] += 1
    mixed = np.full(V, 1 / V)
    for k in range(min(order, len(history)) + 1):
        followers = counts.get(tuple(history[len(history) - k :]))
        if not followers:
            break
        total = followers.total()
        share = len(followers) / min(total, 256)
        bucket = (
            min(total.bit_length() - 1, 9),
            0 if share <= 0.1 else 1 if share <= 0.35 else 2 if share <= 0.7 else 3,
        )
        weight = weights[0, 0, 0] if k == 0 else weights[k, *bucket]
        mixed = mixed * (1 - weight)
        for token, count in followers.items():
            mixed[token] += weight * count / total
    return np.log(mixed)


@given(seed=st.integers(0, 10_000))
def test_sorted_contexts_count_like_dictionaries(seed: int) -> None:
    draw = random.Random(seed)
    # Few tokens, so that long contexts repeat.
    documents = [[draw.randint(6, 9) for _ in range(draw.randint(0, 40))] for _ in range(5)]
    model = Ngrams(documents, V, max_order=6)
    model.fit([[draw.randint(6, 9) for _ in range(60)]], rounds=3)
    history = [draw.randint(6, 10) for _ in range(draw.randint(0, 12))]
    (fast,) = model.log_probs([*history, 6], len(history))
    slow = naive_log_prob(model, documents, model.weights, 6, history)
    np.testing.assert_allclose(fast, slow, rtol=1e-5)
    assert np.exp(fast, dtype=np.float64).sum() == pytest.approx(1.0, abs=1e-3)


def test_fitting_the_weights_makes_unseen_text_cheaper() -> None:
    encoded = [TOKENIZER.encode(file.text) for file in FILES]
    asked = {"a": windows(TOKENIZER, FILES[4:], 20)}
    plain, fitted = Ngrams(encoded[:3], V), Ngrams(encoded[:3], V)
    fitted.fit(encoded[3:4])
    before, after = (bits_per_token(model.log_probs, asked)["a"].bits for model in (plain, fitted))
    assert after < before < math.log2(V)


def test_a_forced_completion_is_right_when_every_token_and_the_end_are_likeliest() -> None:
    cursor = Cursor("x = 1\n", "return alpha + beta", "\n", at_line_start=True)
    middle = TOKENIZER.encode(cursor.middle)
    newline = TOKENIZER.encode("\n")[0]

    def oracle(wrong_at: int | None, last: int):
        def score(tokens: list[int], start: int) -> np.ndarray:
            answer = np.zeros((len(tokens) - start, V))
            for row, token in enumerate([*tokens[start:-1], last]):
                answer[row, 7 if row == wrong_at else token] = 1
            return answer

        return score

    assert len(middle) > 2
    assert tuple(TOKENIZER.encode(cursor.prefix)) == tuple(TOKENIZER.encode("x = 1\n"))
    for fill_in in (True, False):
        assert forced_completion(TOKENIZER, oracle(None, TOKENIZER.end), fill_in)(cursor)
        assert forced_completion(TOKENIZER, oracle(None, newline), fill_in)(cursor)
        assert not forced_completion(TOKENIZER, oracle(None, middle[0]), fill_in)(cursor)
        assert not forced_completion(TOKENIZER, oracle(1, newline), fill_in)(cursor)


def test_line_figures_are_shares_by_place() -> None:
    asked = {"a": cursors(FILES[:2], 10), "b": cursors(FILES[2:], 10)}
    figures = line_exact_match(lambda cursor: cursor.at_line_start, asked)
    assert figures["a"].exact == figures["all"].exact == 0.5
    assert figures["all"].at_line_start == 1
    assert figures["all"].mid_line == 0
    assert figures["all"].cursors == 20


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    splits = {
        "train": [Document("p", f"t{seed}.py", module(100 + seed)) for seed in range(8)],
        "validation": [Document("p", "v.py", module(200))],
        "heldout": [Document(name, f"{name}.py", module(seed)) for seed, name in enumerate(REPOSITORIES, start=300)],
    }
    for split, documents in splits.items():
        with gzip.open(folder / f"{split}.jsonl.gz", "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(asdict(document)) + "\n" for document in documents)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained small network: its figures are bad, but they are the same in every form of it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    config = ModelConfig(
        vocab_size=V, hidden_size=64, layer_types=("sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"),
        mlp_layer_types=("hash_moe", "moe", "moe"), engram_layers=(1,), q_lora_rank=32, o_lora_rank=16, head_dim=32, qk_rope_head_dim=16,
        index_head_dim=32, index_topk=256, engram_rows=512, moe_intermediate_size=32,
    )  # fmt: skip
    classes = engram_classes(TOKENIZER)
    hashing = EngramHash(config, classes)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = DeepseekV4(config, [hashing.row_count(layer) for layer in config.engram_layers])
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.05 * torch.randn_like(weight)
    save_file(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "weights.safetensors"
    )
    config.write(folder / "config.json")
    (folder / "tokenizer.json").write_text(TOKENIZER.to_json(), encoding="utf-8")
    np.save(folder / "engram_classes.npy", classes)
    (folder / "training.json").write_text("{}", encoding="utf-8")
    return folder


def test_a_checkpoint_and_its_export_get_the_same_figures(corpus: Path, checkpoint: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / "model", weights="fp32")
    ours = evaluate(checkpoint, corpus, window_count=3, cursor_count=2, floor_megabytes=1, phases=2)
    theirs = evaluate(tmp_path / "model", corpus, window_count=3, cursor_count=2, floor_megabytes=0)
    assert ours.tokens["all"].bits == pytest.approx(theirs.tokens["all"].bits, abs=1e-3)
    assert ours.tokens["all"].positions == theirs.tokens["all"].positions
    assert ours.floor_tokens is not None
    assert ours.floor_tokens["all"].bits < ours.tokens["all"].bits
    assert ours.floor_tokens["all"].positions == ours.tokens["all"].positions
    assert ours.worst_phase is not None
    assert ours.worst_phase["all"].bits >= ours.tokens["all"].bits
    assert theirs.floor_tokens is None
    assert theirs.lines["all"].cursors == 2 * len(REPOSITORIES)
    assert [len(table.rows) for table in tables(ours)] == [len(REPOSITORIES) + 1] * 2
    assert [len(table.rows) for table in tables(theirs)] == [len(REPOSITORIES) + 1]


def test_a_folder_without_a_model_is_refused(corpus: Path, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(TOKENIZER.to_json(), encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"neither weights.safetensors nor model.onnx"):
        evaluate(tmp_path, corpus, window_count=1, cursor_count=1, floor_megabytes=0)
