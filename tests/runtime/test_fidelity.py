"""transformers, our network and our graph say the same from one saved checkpoint of random weights.

transformers is asked once per configuration, for all positions of one text; everything of ours, whole or in pieces, is
held against that. `python tests/bench/parity.py` shows by how much they differ.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import pytest
import torch
import transformers
from engram_runtime.config import CSA, HCA, SLIDING, LayerType, ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.export import export
from engram_runtime.network import DeepseekV4, Indexer
from engram_runtime.session import Session
from engram_runtime.tokenizer import engram_classes
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from small_model import SMALL, byte_tokenizer, random_network, randomise
from torch.nn import functional as F  # noqa: N812
from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4RotaryEmbedding
from v4_models import (
    ALIKE,
    CONFIGS,
    HASHED,
    LENGTH,
    MIX,
    ROUTED,
    TOKENS,
    Saved,
    apart,
    in_pieces,
    of_network,
    save,
    theirs,
)

T = TypeVar("T")
CLOSE = 5e-5


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    """By name of the configuration, made when first asked for."""
    root = tmp_path_factory.mktemp("saved")
    return cache(lambda name: save(name, root / name))


@pytest.fixture(scope="module")
def session(saved: Callable[[str], Saved], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Session]:
    """The same in our graph."""
    root = tmp_path_factory.mktemp("exported")

    @cache
    def opened(name: str) -> Session:
        export(saved(name).folder, root / name, "fp32")
        return Session.open(root / name, ["CPUExecutionProvider"])

    return opened


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configuration_is_read_from_what_transformers_saved(saved: Callable[[str], Saved], name: str) -> None:
    engram = {field: getattr(CONFIGS[name], field) for field in ("engram_heads", "engram_rows", "engram_dim")}
    assert replace(saved(name).network.config, **engram) == CONFIGS[name]


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_neither_flat_nor_certain(saved: Callable[[str], Saved], name: str) -> None:
    assert 1 < saved(name).expected.std() < 10
    assert len(np.unique(saved(name).expected.argmax(1))) > 50


@pytest.mark.parametrize("name", ALIKE)
def test_the_network_agrees(saved: Callable[[str], Saved], name: str) -> None:
    assert apart(of_network(saved(name).network, TOKENS), saved(name).expected) < CLOSE


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(ALIKE), length=st.integers(1, LENGTH))
def test_the_network_agrees_on_any_prefix(saved: Callable[[str], Saved], name: str, length: int) -> None:
    assert apart(of_network(saved(name).network, TOKENS[:length]), saved(name).expected[:length]) < CLOSE


@pytest.mark.parametrize("name", ALIKE)
def test_the_graph_agrees_on_a_whole_prefill(
    saved: Callable[[str], Saved], session: Callable[[str], Session], name: str
) -> None:
    assert apart(in_pieces(session(name), [LENGTH]), saved(name).expected) < CLOSE


@pytest.mark.parametrize("name", ALIKE)
def test_the_graph_agrees_token_by_token(
    saved: Callable[[str], Saved], session: Callable[[str], Session], name: str
) -> None:
    """Some 330 steps, in each of which every layer's windows are in another phase."""
    assert apart(in_pieces(session(name), [1]), saved(name).expected) < CLOSE


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(ALIKE), sizes=st.lists(st.integers(1, 140), min_size=1, max_size=7))
def test_the_graph_agrees_however_the_text_is_cut(
    saved: Callable[[str], Saved], session: Callable[[str], Session], name: str, sizes: list[int]
) -> None:
    assert apart(in_pieces(session(name), sizes), saved(name).expected) < CLOSE


@pytest.mark.parametrize("name", ["odd rates", "YaRN"])
@torch.no_grad()
def test_transformers_own_decoding_agrees(saved: Callable[[str], Saved], name: str) -> None:
    """Prefill, then one token at a time with its cache: what we are held against does not depend on how it is asked."""
    reference, expected, start = saved(name).reference, saved(name).expected, 200
    tokens = torch.from_numpy(TOKENS)[None]
    said = reference(tokens[:, :start], use_cache=True)
    answers = [said.logits[0]]
    for position in range(start, 260):
        said = reference(tokens[:, position : position + 1], past_key_values=said.past_key_values, use_cache=True)
        answers.append(said.logits[0])
    assert apart(torch.cat(answers).numpy(), expected[:260]) < CLOSE


def turn_in_double(rotary: DeepseekV4RotaryEmbedding, config: ModelConfig) -> None:
    """Gives transformers our frequencies: its own and their angles are float32, off by 1e-4 at position 1,000."""

    def forward(x: torch.Tensor, position_ids: torch.Tensor, layer_type: str) -> tuple[torch.Tensor, torch.Tensor]:
        frequencies = torch.from_numpy(config.frequencies(SLIDING if layer_type == "main" else CSA))
        angle = position_ids[..., None].double() * frequencies
        return angle.cos().float(), angle.sin().float()

    rotary.forward = forward


@torch.no_grad()
def test_positions_far_out_agree_with_transformers_once_it_turns_in_double(
    saved: Callable[[str], Saved], session: Callable[[str], Session]
) -> None:
    """Without, transformers is off by more than CLOSE: by its rounding, not by ours."""
    tokens = np.random.default_rng(5).integers(0, SMALL.vocab_size, 1500)
    reference = deepcopy(saved("YaRN").reference)
    for module in reference.modules():
        if isinstance(module, DeepseekV4RotaryEmbedding):
            turn_in_double(module, CONFIGS["YaRN"])
    expected = reference(torch.from_numpy(tokens)[None], use_cache=False).logits[0].numpy()
    assert apart(of_network(saved("YaRN").network, tokens), expected) < CLOSE
    assert apart(in_pieces(session("YaRN"), [128], tokens), expected) < CLOSE
    rounded = saved("YaRN").reference(torch.from_numpy(tokens)[None], use_cache=False).logits[0].numpy()
    assert apart(rounded, expected) > CLOSE


@pytest.mark.parametrize("name", ["YaRN", "YaRN of other turns"])
def test_frequencies_are_those_of_transformers(saved: Callable[[str], Saved], name: str) -> None:
    config = CONFIGS[name]
    rotary = DeepseekV4RotaryEmbedding(theirs(config))
    kinds: dict[LayerType, str] = {SLIDING: "main", CSA: "compress", HCA: "compress"}
    for kind, label in kinds.items():
        expected = getattr(rotary, f"{label}_inv_freq").numpy()
        np.testing.assert_allclose(config.frequencies(kind), expected, rtol=1e-6)
        assert getattr(rotary, f"{label}_attention_scaling") == 1
    # Positions lie beyond the original length, and some pairs are slowed, some are not, some are between.
    assert config.rope_original_positions < LENGTH
    slowed = replace(config, rope_factor=1.0).frequencies(CSA) / config.frequencies(CSA)
    assert slowed[0] == 1 and slowed[-1] == pytest.approx(config.rope_factor)
    assert ((slowed > 1) & (slowed < config.rope_factor * 0.99)).any()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("YaRN", {"rope_factor": 1.0}),
        ("clamped experts", {"swiglu_limit": 10.0}),
        ("clamped experts", {"routed_scaling_factor": 1.0}),
        ("mix", {"hc_sinkhorn_iters": 4}),
        ("choice", {"index_topk": 10}),
    ],
)
def test_what_a_configuration_is_here_for_changes_its_logits(
    saved: Callable[[str], Saved], name: str, changes: dict[str, float]
) -> None:
    """Otherwise agreement would say nothing about it."""
    network = saved(name).network
    other = DeepseekV4(replace(network.config, **changes), []).eval()
    other.load_state_dict(network.state_dict())
    assert apart(of_network(other, TOKENS), saved(name).expected) > 100 * CLOSE


@pytest.mark.parametrize("hc_mult", [2, 4])
@torch.no_grad()
def test_the_drafting_layer_is_the_sliding_layer_of_transformers_between_the_released_projections(hc_mult: int) -> None:
    """transformers leaves multi-token prediction out, but has all of its parts."""
    one = replace(MIX, layer_types=(SLIDING,), mlp_layer_types=(ROUTED,), hc_mult=hc_mult)
    torch.manual_seed(8)
    network = DeepseekV4(replace(one, num_nextn_predict_layers=1), []).eval()
    randomise(network, one)
    ours = network.state_dict()
    part = {name.removeprefix("mtp.0."): value for name, value in ours.items() if name.startswith("mtp.0.")}
    X = torch.randn(1, 90, hc_mult, one.hidden_size)
    following = torch.from_numpy(TOKENS)[None, :90]
    embedded = F.embedding(following, ours["model.embed_tokens.weight"])

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], part.pop(f"{name}.weight"), one.rms_norm_eps)

    z = (normed(embedded, "enorm") @ part.pop("e_proj.weight").T)[:, :, None]
    z = z + normed(X, "hnorm") @ part.pop("h_proj.weight").T
    reference = transformers.DeepseekV4ForCausalLM(theirs(one)).eval()
    whole = {
        f"model.{name}" if name.startswith(("hc_head", "norm.")) else f"model.layers.0.{name}": value
        for name, value in part.items()
    }
    shared = dict.fromkeys(("model.embed_tokens.weight", "lm_head.weight"), ours["model.embed_tokens.weight"])
    reference.load_state_dict(whole | shared)
    reference.model.layers[0].register_forward_pre_hook(lambda _, given: (z, *given[1:]))
    expected = reference(following, use_cache=False).logits
    assert expected.std() > 1
    assert apart(network.head(network.draft(X, following)).numpy(), expected.numpy()) < CLOSE


def boundary(network: DeepseekV4, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """How far the last chosen score is above the first that is not, wherever there are more entries than are chosen:
    float32 [layers, tokens]."""
    config, said, scores_of = network.config, [], Indexer.scores

    def listen(indexer: Indexer, *given: torch.Tensor) -> torch.Tensor:
        said.append(scores_of(indexer, *given)[0])
        return said[-1]

    monkeypatch.setattr(Indexer, "scores", listen)
    of_network(network, TOKENS)
    monkeypatch.undo()
    chosen, rate = config.index_topk, config.compress_rate_csa
    closed = (torch.arange(LENGTH) + 1) // rate
    hidden = torch.arange(LENGTH // rate) >= closed[:, None]
    ordered = torch.stack(said).masked_fill(hidden, float("-inf")).sort(dim=-1, descending=True).values
    return (ordered[..., chosen - 1] - ordered[..., chosen])[:, closed > chosen].numpy()


def test_the_choice_that_agrees_is_one_without_ties(
    saved: Callable[[str], Saved], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert boundary(saved("choice").network, monkeypatch).min() > 1e-6


def test_among_tied_scores_network_and_graph_take_the_older_entry(
    saved: Callable[[str], Saved], session: Callable[[str], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = saved("choice among ties").network
    assert (boundary(network, monkeypatch) == 0).mean() > 0.1
    expected = of_network(network, TOKENS)
    for sizes in ([LENGTH], [1], [50, 1, 7]):
        assert apart(in_pieces(session("choice among ties"), sizes), expected) < CLOSE


@st.composite
def configurations(draw: st.DrawFn) -> ModelConfig:
    """Shapes that nobody would choose, Engram included."""

    def one_of(*values: T) -> T:
        return draw(st.sampled_from(values))

    layers = draw(st.lists(st.tuples(st.sampled_from((SLIDING, CSA, HCA)), st.booleans()), min_size=1, max_size=3))
    groups, rotated, experts = one_of(1, 2, 3), one_of(2, 8, 16), one_of(1, 2, 5, 8)
    return replace(
        SMALL,
        layer_types=tuple(kind for kind, _ in layers),
        mlp_layer_types=tuple(HASHED if hashed else ROUTED for _, hashed in layers),
        engram_layers=tuple(draw(st.sets(st.integers(0, len(layers) - 1)))),
        engram_form=one_of("gated", "convolved"),
        engram_orders=one_of((2,), (3,), (2, 3, 4)),
        engram_heads=one_of(1, 3),
        tie_word_embeddings=draw(st.booleans()),
        hidden_size=one_of(32, 48),
        num_attention_heads=groups * one_of(1, 2, 3),
        o_groups=groups,
        head_dim=rotated + one_of(6, 16, 32),
        qk_rope_head_dim=rotated,
        index_head_dim=rotated + one_of(0, 4, 16),
        index_n_heads=one_of(1, 3, 4),
        q_lora_rank=one_of(17, 32),
        o_lora_rank=one_of(8, 24),
        sliding_window=one_of(1, 2, 7, 40),
        compress_rate_csa=one_of(1, 2, 3, 4, 8),
        compress_rate_hca=one_of(1, 5, 16, 31),
        n_routed_experts=experts,
        num_experts_per_tok=draw(st.integers(1, min(4, experts))),
        swiglu_limit=one_of(0.5, 10.0),
        routed_scaling_factor=one_of(1.0, 2.5),
        hc_mult=one_of(1, 2, 3, 4, 5),
        hc_sinkhorn_iters=one_of(1, 2, 20),
        rope_factor=one_of(1.0, 4.0),
        rope_original_positions=32,
    )


@settings(max_examples=10, deadline=None)
@given(config=configurations(), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_network_and_graph_agree_for_any_configuration(config: ModelConfig, sizes: list[int]) -> None:
    classes, tokens = engram_classes(byte_tokenizer()), TOKENS[:120]
    network, hashes = random_network(config, classes), EngramHash(config, classes)
    rows = {layer: torch.from_numpy(hashes.batch_rows(tokens[None], layer)) for layer in config.engram_layers}
    with torch.no_grad():
        expected = network(torch.from_numpy(tokens)[None], rows)[0].numpy()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        checkpoint = Path(folder, "checkpoint")
        checkpoint.mkdir()
        save_file(
            {name: value.contiguous() for name, value in network.state_dict().items()},
            checkpoint / "weights.safetensors",
        )
        config.write(checkpoint / "config.json")
        np.save(checkpoint / "engram_classes.npy", classes)
        (checkpoint / "tokenizer.json").write_text(byte_tokenizer().to_json(), encoding="utf-8")
        export(checkpoint, Path(folder, "model"), "fp32")
        session = Session.open(Path(folder, "model"), ["CPUExecutionProvider"])
        assert apart(in_pieces(session, sizes, tokens), expected) < CLOSE
        assert apart(in_pieces(session, [1], tokens), expected) < CLOSE
        assert apart(in_pieces(session, sizes, tokens, astray=True), expected) < CLOSE
