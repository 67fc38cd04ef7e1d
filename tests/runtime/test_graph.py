"""The ONNX graph says what the reference network says, however the tokens are cut into calls."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engram_runtime.cache import Cache
from engram_runtime.config import ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.export import WeightKind, export
from engram_runtime.network import DeepseekV4, Indexer
from engram_runtime.session import Logits, Session
from engram_runtime.tokenizer import Tokenizer, engram_classes
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import SMALL, random_network

WriteCheckpoint = Callable[[Path, DeepseekV4], Path]
LENGTH = 330  # crosses ten HCA windows of 32 and fourteen sliding windows of 24
CLOSE = 5e-5
TOKENS = np.random.default_rng(1).integers(0, 262, LENGTH)


def reference(network: DeepseekV4, hashes: EngramHash, tokens: np.ndarray) -> np.ndarray:
    rows = {layer: torch.from_numpy(hashes.rows(tokens, layer))[None] for layer in network.config.engram_layers}
    with torch.no_grad():
        return network(torch.from_numpy(tokens)[None], rows)[0].numpy()


def in_pieces(session: Session, tokens: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Logits of all tokens, computed in calls of the given sizes (repeated as needed)."""
    cache, answers, turn = Cache.empty(session.config), [], 0
    while cache.position < len(tokens):
        piece = tokens[cache.position : cache.position + sizes[turn % len(sizes)]]
        call = session.call(cache, piece, len(piece))
        answers.append(call.logits)
        cache, turn = call.cache(), turn + 1
    return np.concatenate(answers)


@pytest.fixture(scope="module")
def session(folders: dict[WeightKind, Path]) -> Session:
    return Session.open(folders["fp32"], ["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def expected(network: DeepseekV4, hashes: EngramHash) -> np.ndarray:
    return reference(network, hashes, TOKENS)


def test_the_network_of_these_tests_is_not_trivial(expected: np.ndarray) -> None:
    assert 1 < expected.std() < 10
    assert len(np.unique(expected.argmax(1))) > 50


def test_a_whole_prefill_agrees_with_the_network(session: Session, expected: np.ndarray) -> None:
    assert np.abs(in_pieces(session, TOKENS, [LENGTH]) - expected).max() < CLOSE


def test_token_by_token_agrees_with_the_network(session: Session, expected: np.ndarray) -> None:
    assert np.abs(in_pieces(session, TOKENS, [1]) - expected).max() < CLOSE


@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=6))
def test_any_chunking_agrees_with_the_network(session: Session, expected: np.ndarray, sizes: list[int]) -> None:
    assert np.abs(in_pieces(session, TOKENS, sizes) - expected).max() < CLOSE


def test_logits_are_given_for_the_last_tokens_only(session: Session, expected: np.ndarray) -> None:
    empty = Cache.empty(session.config)
    assert np.abs(session.call(empty, TOKENS, 3).logits - expected[-3:]).max() < CLOSE
    assert session.call(empty, TOKENS, 0).logits.shape == (0, 262)


def test_logits_in_the_caller_s_memory_are_the_same(session: Session) -> None:
    memory, empty = Logits(session.config, 4), Cache.empty(session.config)
    kept: list[np.ndarray] = []
    for count in (2, 4, 2, 1):
        tokens = TOKENS[count : 3 * count]
        lent = session.call(empty, tokens, count, memory=memory).logits
        assert np.array_equal(lent, session.call(empty, tokens, count).logits)
        kept.append(lent)
    assert all(np.shares_memory(each, kept[0]) for each in kept)


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_every_phase_of_the_compressors_decodes_alike(
    session: Session, network: DeepseekV4, hashes: EngramHash, start: int
) -> None:
    """The same text shifted by one, two, three tokens meets other window boundaries."""
    tokens = np.concatenate((np.full(start, 7), TOKENS[:150]))
    expected = reference(network, hashes, tokens)
    assert np.abs(in_pieces(session, tokens, [64 + start, 1, 2, 3]) - expected).max() < CLOSE


@pytest.fixture(scope="module")
def narrow(tokenizer: Tokenizer) -> DeepseekV4:
    """Selects 9 of up to 82 entries. Eight index heads: with few, ReLU makes many exact zeros, and torch's order among
    equals is not specified."""
    return random_network(replace(SMALL, index_topk=9, index_n_heads=8), engram_classes(tokenizer))


def test_the_indexer_selects_what_a_dense_mask_would(
    narrow: DeepseekV4, hashes: EngramHash, tmp_path: Path, write_checkpoint: WriteCheckpoint
) -> None:
    expected = reference(narrow, hashes, TOKENS)
    export(write_checkpoint(tmp_path / "checkpoint", narrow), tmp_path / "model", "fp32")
    session = Session.open(tmp_path / "model", ["CPUExecutionProvider"])
    assert np.abs(in_pieces(session, TOKENS, [LENGTH]) - expected).max() < CLOSE
    assert np.abs(in_pieces(session, TOKENS, [64, 1, 3]) - expected).max() < CLOSE


def test_selection_changes_the_answer(narrow: DeepseekV4, hashes: EngramHash, tokenizer: Tokenizer) -> None:
    """Otherwise the test above would not tell selecting from attending to everything."""
    everything = random_network(replace(narrow.config, index_topk=512), engram_classes(tokenizer))
    difference = np.abs(reference(narrow, hashes, TOKENS) - reference(everything, hashes, TOKENS)).max(1)
    assert (difference[:36] < CLOSE).all()
    assert (difference[60:] > 0.01).all()


def test_among_equal_scores_the_older_entries_are_taken(
    narrow: DeepseekV4,
    hashes: EngramHash,
    tmp_path: Path,
    write_checkpoint: WriteCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blind = DeepseekV4(narrow.config, [hashes.row_count(layer) for layer in narrow.config.engram_layers]).eval()
    blind.load_state_dict(narrow.state_dict())
    with torch.no_grad():
        for name, weight in blind.named_parameters():
            if name.endswith("scorer.weights_proj.weight"):
                weight.zero_()
    export(write_checkpoint(tmp_path / "checkpoint", blind), tmp_path / "model", "fp32")
    actual = in_pieces(Session.open(tmp_path / "model", ["CPUExecutionProvider"]), TOKENS, [50, 1, 7])

    def older_first(indexer: Indexer, x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        entries = x.shape[1] // indexer.rate
        return -torch.arange(entries, dtype=torch.float32).expand(1, x.shape[1], entries)

    monkeypatch.setattr(Indexer, "scores", older_first)
    assert np.abs(actual - reference(blind, hashes, TOKENS)).max() < CLOSE


def test_untied_embeddings_are_exported(
    network: DeepseekV4, hashes: EngramHash, tmp_path: Path, write_checkpoint: WriteCheckpoint
) -> None:
    config = replace(network.config, tie_word_embeddings=False)
    torch.manual_seed(3)
    untied = DeepseekV4(config, [hashes.row_count(layer) for layer in config.engram_layers]).eval()
    untied.load_state_dict(network.state_dict(), strict=False)
    expected = reference(untied, hashes, TOKENS[:80])
    for kind, close in (("fp32", CLOSE / 10), ("int8", 0.1)):
        export(write_checkpoint(tmp_path / "checkpoint", untied), tmp_path / kind, kind)
        session = Session.open(tmp_path / kind, ["CPUExecutionProvider"])
        assert np.abs(in_pieces(session, TOKENS[:80], [80]) - expected).mean() < close


@pytest.mark.parametrize(
    "changes",
    [
        {"engram_layers": (), "engram_orders": (2,)},
        {"o_groups": 1, "hc_mult": 2, "hc_sinkhorn_iters": 1},
        {"engram_orders": (2, 3, 4), "compress_rate_csa": 8, "compress_rate_hca": 16, "sliding_window": 1},
        {"num_experts_per_tok": 4, "num_attention_heads": 1, "o_groups": 1, "index_n_heads": 8},
    ],
)
def test_other_shapes_agree_too(
    tokenizer: Tokenizer, write_checkpoint: WriteCheckpoint, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config: ModelConfig = replace(SMALL, **changes)
    classes = engram_classes(tokenizer)
    network = random_network(config, classes)
    expected = reference(network, EngramHash(config, classes), TOKENS[:150])
    export(write_checkpoint(tmp_path / "checkpoint", network), tmp_path / "model", "fp32")
    actual = in_pieces(Session.open(tmp_path / "model", ["CPUExecutionProvider"]), TOKENS[:150], [70, 1, 5])
    assert np.abs(actual - expected).max() < CLOSE
