"""The draft head says what the reference network's layer says, and drafting with it changes nothing but the speed."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from engram_runtime.cache import Cache
from engram_runtime.engine import OnnxEngine, Request
from engram_runtime.engram import EngramHash
from engram_runtime.export import export
from engram_runtime.mtp import LEAST, PATIENCE, MtpDrafter, cost_of_draft
from engram_runtime.network import DeepseekV4
from engram_runtime.session import Session
from engram_runtime.tokenizer import Tokenizer, engram_classes
from small_model import SMALL, random_network

CONFIG = replace(SMALL, num_nextn_predict_layers=1)


@pytest.fixture(scope="module")
def net(tokenizer: Tokenizer) -> DeepseekV4:
    return random_network(CONFIG, engram_classes(tokenizer))


@pytest.fixture(scope="module")
def folder(
    net: DeepseekV4, write_checkpoint: Callable[[Path, DeepseekV4], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    root = tmp_path_factory.mktemp("mtp")
    export(write_checkpoint(root / "checkpoint", net), root / "model", "fp32")
    return root / "model"


@pytest.fixture(scope="module")
def session(folder: Path) -> Session:
    return Session.open(folder, ["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def head(session: Session) -> Session:
    found = session.draft_head()
    assert found is not None
    return found


TOKENS = np.random.default_rng(3).integers(0, CONFIG.vocab_size, 120)


@pytest.fixture(scope="module")
def reference(net: DeepseekV4, hashes: EngramHash) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Streams [T,nH] of TOKENS, logits [T-1,V] of the drafts after them, streams [T-1,nH] of the head."""
    rows = {layer: torch.tensor(hashes.rows(TOKENS, layer))[None] for layer in CONFIG.engram_layers}
    with torch.no_grad():
        X, _ = net.streams(torch.tensor(TOKENS)[None], rows)
        hidden = net.draft(X[:, :-1], torch.tensor(TOKENS[1:])[None])
        return X[0].flatten(1), net.head(hidden)[0], X[0]


def test_streams_are_those_of_the_network(
    session: Session, reference: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> None:
    call = session.call(Cache.empty(CONFIG), TOKENS, 1)
    assert call.streams is not None
    # Up to a factor near 1, which every reader of streams normalises away: see graph.py "written".
    np.testing.assert_allclose(call.streams, reference[0].numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pieces", [(119,), (1,) * 119, (24, 25, 1, 1, 40, 28)])
def test_the_head_says_what_the_network_says_however_the_text_is_cut(
    head: Session, reference: tuple[torch.Tensor, torch.Tensor, torch.Tensor], pieces: tuple[int, ...]
) -> None:
    streams, logits, _ = reference
    cache, done = Cache.empty(head.config), 0
    found: list[np.ndarray] = []
    for count in pieces:
        text, before = TOKENS[done + 1 : done + 1 + count], streams[done : done + count].numpy()
        call = head.call(cache, text, count, before)
        found.append(call.logits.copy())
        cache, done = call.cache(), done + count
    assert np.abs(np.concatenate(found) - logits.numpy()).max() <= 5e-5


@pytest.mark.parametrize("observed", [0, 60, 95])
def test_a_draft_is_the_most_likely_token_by_the_head(
    session: Session, head: Session, reference: tuple[torch.Tensor, torch.Tensor, torch.Tensor], observed: int
) -> None:
    """What it did not see beyond its window makes no difference."""
    drafter = MtpDrafter(head, cost=0.0, chain=1)
    cache = Cache.empty(CONFIG)
    if observed:
        cache = session.call(cache, TOKENS[:observed], 0).cache()
    for end in range(max(observed + 1, 90), 119):
        call = session.call(cache, TOKENS[cache.position : end], 0)
        cache = call.cache()
        drafter.observe(call)
        drafts = drafter.propose(TOKENS[: end + 1].tolist(), 5)
        chances = reference[1][end - 1].softmax(0)
        if observed != 95 or end > 95 + CONFIG.sliding_window:
            assert drafts == ([int(chances.argmax())] if chances.max() >= LEAST else [])


def test_a_head_that_does_not_pay_is_seldom_asked(
    session: Session, head: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    asked = Session.call
    drafter = MtpDrafter(head, cost=0.99)
    cache = Cache.empty(CONFIG)

    def counted(self: Session, *arguments: object, **named: object) -> object:
        calls.append(self is head)
        return asked(self, *arguments, **named)

    monkeypatch.setattr(Session, "call", counted)
    for end in range(100):
        call = session.call(cache, TOKENS[end : end + 1], 0)
        cache = call.cache()
        drafter.observe(call)
        assert len(drafter.propose(TOKENS[: end + 2].tolist(), 5)) <= 1
    assert 100 / PATIENCE - 1 <= sum(calls) < 30


def test_a_draft_costs_less_the_deeper_the_model() -> None:
    layers = [
        replace(CONFIG, layer_types=CONFIG.layer_types * n, mlp_layer_types=CONFIG.mlp_layer_types * n)
        for n in (1, 2, 10)
    ]
    costs = [cost_of_draft(config) for config in layers]
    assert 1 > costs[0] > costs[1] > costs[2] > 0.12
    assert costs[2] < 0.25


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    """The same model without its head."""
    copy = Path(shutil.copytree(folder, tmp_path_factory.mktemp("plain") / "model"))
    (copy / "draft.onnx").unlink()
    return OnnxEngine.open(copy, ["CPUExecutionProvider"])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_drafting_for_itself_changes_no_token(folder: Path, plain: OnnxEngine, temperature: float) -> None:
    engine = OnnxEngine.open(folder, ["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    text = random.integers(0, CONFIG.vocab_size, 300).tolist()
    drafted = 0
    for end in (20, 22, 250, 251, 40, 300):
        # Prompts that share prefixes, are longer or shorter than the last, and differ in the middle.
        text[end // 2] = int(random.integers(CONFIG.vocab_size))
        request = Request(text[:end], max_tokens=40, temperature=temperature, seed=end)
        found, expected = engine.predict(request), plain.predict(request)
        assert found.tokens == expected.tokens
        assert expected.drafted == 0
        drafted += found.drafted
    assert drafted > 0


@pytest.fixture(scope="module")
def walk(
    tokenizer: Tokenizer,
    write_checkpoint: Callable[[Path, DeepseekV4], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A model whose every token has one successor, which its head knows as well."""
    config = replace(CONFIG, engram_layers=(), tie_word_embeddings=False)
    torch.manual_seed(1)
    network = DeepseekV4(config, []).eval()  # layers start as the identity
    with torch.no_grad():
        table = torch.randn(config.vocab_size, config.hidden_size)
        network.model.embed_tokens.weight.copy_(table)
        assert network.lm_head is not None
        network.lm_head.weight.copy_(table.roll(1, 0))  # after i comes i + 1
        network.get_parameter("mtp.0.e_proj.weight").copy_(torch.eye(config.hidden_size))
        network.get_parameter("mtp.0.h_proj.weight").zero_()
    root = tmp_path_factory.mktemp("walk")
    export(write_checkpoint(root / "checkpoint", network), root / "model", "int8")
    return root / "model"


def test_a_head_that_is_right_saves_calls(walk: Path) -> None:
    engine = OnnxEngine.open(walk, ["CPUExecutionProvider"])
    found = engine.predict(Request([5, 6, 7], max_tokens=60))
    assert list(found.tokens) == list(range(8, 68))
    assert found.steps <= 60 / 3
    assert found.accepted >= found.drafted - 3


def test_a_model_without_a_head_has_none(plain: OnnxEngine, folders: dict[str, Path]) -> None:
    assert Session.open(folders["fp32"], ["CPUExecutionProvider"]).draft_head() is None
    assert plain.predict(Request([1, 2, 3], max_tokens=20)).drafted == 0


def test_both_graphs_share_the_weights_that_they_have_in_common(folder: Path, tmp_path: Path) -> None:
    export(folder.parent / "checkpoint", tmp_path / "model", "fp32", one_file=0)
    stored = [
        {entry.key: entry.value for entry in tensor.external_data}
        for name in ("model.onnx", "draft.onnx")
        for tensor in onnx.load(tmp_path / "model" / name, load_external_data=False).graph.initializer
        if tensor.name == "embedding"
    ]
    assert len(stored) == 2 and stored[0] == stored[1]
    tokens, before = TOKENS[:50], np.ones((50, 4 * CONFIG.hidden_size), np.float32)
    model, same = (Session.open(path, ["CPUExecutionProvider"]) for path in (folder, tmp_path / "model"))
    heads = [session.draft_head() for session in (model, same)]
    calls = [session.call(Cache.empty(session.config), tokens, 5) for session in (model, same)]
    calls += [head.call(Cache.empty(head.config), tokens, 5, before) for head in heads if head]
    np.testing.assert_array_equal(calls[0].logits, calls[1].logits)
    np.testing.assert_array_equal(calls[2].logits, calls[3].logits)
