"""The network in its whole-sequence form."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from engram_runtime.config import CSA, HCA, SLIDING, ModelConfig
from engram_runtime.engram import EngramHash
from engram_runtime.network import (
    DeepseekV4,
    Engram,
    Gate,
    HyperConnection,
    alignment_loss,
    balanced_table,
    rotary,
    rotate,
    sinkhorn,
    write_streams,
)
from engram_runtime.train.loss import token_loss
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

CONFIG = ModelConfig(
    vocab_size=64,
    hidden_size=32,
    layer_types=(SLIDING, CSA, HCA, CSA),
    mlp_layer_types=("hash_moe", "moe", "moe", "moe"),
    num_attention_heads=4,
    head_dim=16,
    qk_rope_head_dim=8,
    q_lora_rank=16,
    o_groups=2,
    o_lora_rank=16,
    sliding_window=8,
    compress_rate_csa=4,
    compress_rate_hca=16,
    index_n_heads=2,
    index_head_dim=16,
    index_topk=5,
    n_routed_experts=4,
    num_experts_per_tok=2,
    moe_intermediate_size=16,
    engram_layers=(1, 2),
    engram_heads=2,
    engram_rows=97,
    engram_dim=8,
)
HASHES = EngramHash(CONFIG, np.arange(64))
PAPER = dataclasses.replace(CONFIG, engram_form="convolved", num_nextn_predict_layers=1, tie_word_embeddings=False)


def network(config: ModelConfig = CONFIG) -> DeepseekV4:
    """With random weights everywhere: a fresh network is the identity in many places, and would hide mistakes."""
    torch.manual_seed(0)
    model = DeepseekV4(config, [EngramHash(config, np.arange(64)).row_count(layer) for layer in config.engram_layers])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model


def rows_of(tokens: Tensor) -> dict[int, Tensor]:
    return {layer: torch.from_numpy(HASHES.batch_rows(tokens.numpy(), layer)) for layer in CONFIG.engram_layers}


@pytest.fixture(scope="module")
def model() -> DeepseekV4:
    return network().eval()


@torch.no_grad()
def logits(model: DeepseekV4, tokens: Tensor) -> Tensor:
    return model(tokens, rows_of(tokens))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from((CONFIG, PAPER)), st.integers(1, 70), st.data())
def test_a_future_token_never_changes_past_logits(config: ModelConfig, length: int, data: st.DataObject) -> None:
    model = network(config).eval()
    place = data.draw(st.integers(0, length - 1))
    tokens = torch.randint(0, 64, (1, length), generator=torch.Generator().manual_seed(length))
    changed = tokens.clone()
    changed[0, place] = (changed[0, place] + 1 + data.draw(st.integers(0, 62))) % 64
    before, after = logits(model, tokens), logits(model, changed)
    torch.testing.assert_close(before[:, :place], after[:, :place], rtol=0, atol=1e-5)
    assert not torch.allclose(before[:, place:], after[:, place:], atol=1e-4)


@pytest.mark.parametrize("length", [1, 3, 4, 15, 16, 17, 50])
def test_a_prefix_alone_has_the_logits_it_has_inside_a_longer_text(model: DeepseekV4, length: int) -> None:
    tokens = torch.randint(0, 64, (2, 60), generator=torch.Generator().manual_seed(1))
    whole, alone = logits(model, tokens), logits(model, tokens[:, :length])
    torch.testing.assert_close(whole[:, :length], alone, rtol=0, atol=1e-5)


def test_rows_of_a_batch_do_not_see_each_other(model: DeepseekV4) -> None:
    tokens = torch.randint(0, 64, (3, 40), generator=torch.Generator().manual_seed(2))
    one_by_one = torch.cat([logits(model, row[None]) for row in tokens])
    torch.testing.assert_close(logits(model, tokens), one_by_one, rtol=0, atol=1e-5)


def test_tokens_beyond_the_window_are_seen_through_compressed_entries_only() -> None:
    sliding = dataclasses.replace(
        CONFIG, layer_types=(SLIDING,), mlp_layer_types=("moe",), engram_layers=(), engram_orders=(2,)
    )
    compressed = dataclasses.replace(sliding, layer_types=(HCA,))
    tokens = torch.randint(0, 64, (1, 40), generator=torch.Generator().manual_seed(3))
    changed = tokens.clone()
    changed[0, 3] = (changed[0, 3] + 7) % 64
    for config, reach in ((sliding, False), (compressed, True)):
        model = network(config).eval()
        with torch.no_grad():
            difference = (model(tokens, {}) - model(changed, {})).abs().amax(dim=-1)[0]
        # Window 8: token 3 is last seen directly by token 10.
        assert (difference[3:11] > 0).all()
        assert (difference[11:15] == 0).all()
        # The entry of tokens 0..15 is there from the token that closes it on.
        assert bool((difference[15:] > 0).all()) is reach


def test_selection_by_the_indexer_leaves_entries_out() -> None:
    tokens = torch.randint(0, 64, (1, 60), generator=torch.Generator().manual_seed(4))
    few, all_of_them = network(), network(dataclasses.replace(CONFIG, index_topk=512))
    difference = (logits(few, tokens) - logits(all_of_them, tokens)).abs().amax(dim=-1)[0]
    closed = 5 * 4 + 3  # with five entries or fewer the selection takes all
    assert (difference[:closed] < 1e-5).all()
    assert (difference[closed:] > 1e-4).any()


def test_the_alignment_loss_trains_the_indexers_alone() -> None:
    model = network()
    tokens = torch.randint(0, 64, (2, 60), generator=torch.Generator().manual_seed(5))
    _, alignment = model.trunk(tokens, rows_of(tokens))
    alignment.backward()
    assert alignment.item() > 0
    for name, parameter in model.named_parameters():
        touched = parameter.grad is not None and bool(parameter.grad.to_dense().abs().sum() > 0)
        assert touched == (".indexer." in name), name


def test_an_indexer_that_agrees_with_attention_has_no_alignment_loss() -> None:
    far = torch.rand(2, 9, 3, 6, generator=torch.Generator().manual_seed(6))
    mask = torch.ones(1, 9, 6, dtype=torch.bool).tril(-1)
    far = far * mask[:, :, None]
    scores = far.sum(dim=2).clamp_min(1e-30).log().masked_fill(~mask, float("-inf"))
    assert abs(alignment_loss(scores, far, mask).item()) < 1e-5
    assert alignment_loss(scores.flip(0), far, mask).item() > 0.01


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_sinkhorn_makes_rows_and_columns_sum_to_one(seed: int, n: int) -> None:
    matrix = sinkhorn(torch.randn(7, n, n, generator=torch.Generator().manual_seed(seed)), 20, 1e-6)
    assert (matrix >= 0).all()
    torch.testing.assert_close(matrix.sum(dim=-2), torch.ones(7, n), rtol=0, atol=1e-4)
    torch.testing.assert_close(matrix.sum(dim=-1), torch.ones(7, n), rtol=0, atol=2e-2)


def test_mixing_with_the_transposed_matrix_keeps_the_sum_of_the_streams() -> None:
    X, zero = torch.randn(1, 5, 4, 8), torch.zeros(1, 5, 8)
    comb = sinkhorn(torch.randn(1, 5, 4, 4), 50, 0.0)
    mixed = write_streams(X, zero, torch.ones(1, 5, 4), comb)
    torch.testing.assert_close(mixed, torch.einsum("bsjk,bsjh->bskh", comb, X))
    torch.testing.assert_close(mixed.sum(dim=2), X.sum(dim=2), rtol=0, atol=1e-4)


def test_a_fresh_hyper_connection_is_nearly_a_residual_connection() -> None:
    torch.manual_seed(0)
    X = torch.randn(1, 3, 1, 32).expand(-1, -1, 4, -1).contiguous()
    u, post, comb = HyperConnection(CONFIG, 1)(X)
    assert F.cosine_similarity(u, X[:, :, 0], dim=-1).min() > 0.999
    torch.testing.assert_close(post, torch.ones_like(post), rtol=0, atol=0.15)
    torch.testing.assert_close(comb, torch.eye(4).expand_as(comb), rtol=0, atol=0.1)


def test_rotation_depends_on_distance_alone_and_is_undone_by_its_conjugate() -> None:
    q, k = torch.randn(2, 16)
    cos, sin = rotary(torch.arange(100), torch.from_numpy(CONFIG.frequencies(SLIDING)))
    dots = [float(rotate(q, cos[i + 7], sin[i + 7]) @ rotate(k, cos[i], sin[i])) for i in (0, 13, 92)]
    assert max(dots) - min(dots) < 1e-4
    torch.testing.assert_close(rotate(rotate(q, cos[9], sin[9]), cos[9], -sin[9]), q)
    assert torch.equal(rotate(q, cos[9], sin[9])[:8], q[:8])


def test_routing_is_what_a_loop_over_tokens_computes(model: DeepseekV4) -> None:
    mlp = model.layers[1].mlp
    x, tokens = torch.randn(1, 11, 32), torch.zeros(1, 11, dtype=torch.int64)
    with torch.no_grad():
        fast = mlp(x, tokens)[0]
        experts, weights = mlp.gate(x[0], tokens[0])
        for t in range(11):
            slow = mlp.shared_experts(x[0, t])
            for expert, weight in zip(experts[t], weights[t], strict=True):
                gate, up = (mlp.experts.gate_up_proj[expert] @ x[0, t]).chunk(2)
                hidden = F.silu(gate.clamp(max=CONFIG.swiglu_limit)) * up.clamp(
                    -CONFIG.swiglu_limit, CONFIG.swiglu_limit
                )
                slow = slow + weight * (mlp.experts.down_proj[expert] @ hidden)
            torch.testing.assert_close(fast[t], slow, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights.sum(dim=-1), torch.full((11,), CONFIG.routed_scaling_factor))


def test_grouped_experts_are_the_experts_one_by_one(model: DeepseekV4) -> None:
    experts = model.layers[1].mlp.experts
    counts = torch.tensor([5, 0, 17, 2])
    x = torch.randn(24, 32)
    with torch.no_grad():
        torch.testing.assert_close(experts.grouped(x, counts), experts.one_by_one(x, counts))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert experts.grouped(x, counts).dtype == torch.bfloat16


def test_the_hash_table_gives_every_token_distinct_experts_and_every_expert_its_share() -> None:
    table = balanced_table(1000, 3, 8)
    assert all(len(set(row)) == 3 for row in table.tolist())
    assert torch.bincount(table[:, 0], minlength=8).tolist() == [125] * 8
    shares = torch.bincount(table.flatten(), minlength=8) / 3000
    assert (shares - 1 / 8).abs().max() < 0.03


def test_balancing_brings_an_overloaded_expert_back_to_its_share() -> None:
    torch.manual_seed(0)
    gate = Gate(CONFIG, hashed=False)
    with torch.no_grad():
        gate.weight[0] += 0.5  # with inputs of positive mean, expert 0 is everybody's choice
    x, tokens = torch.randn(4000, 32) + 0.3, torch.zeros(4000, dtype=torch.int64)

    def loads() -> Tensor:
        return torch.bincount(gate(x, tokens)[0].flatten(), minlength=4) / 8000

    assert loads()[0] > 0.4
    for _ in range(400):
        gate.load += loads()
        gate.balance(0.01)
        assert (gate.load == 0).all()
    assert (loads() - 0.25).abs().max() < 0.03
    experts, weights = gate(x, tokens)
    plain = F.softplus(F.linear(x, gate.weight)).sqrt().gather(-1, experts)
    torch.testing.assert_close(weights, plain / plain.sum(-1, keepdim=True) * CONFIG.routed_scaling_factor)


@pytest.mark.parametrize("config", [CONFIG, PAPER])
def test_every_parameter_gets_a_gradient(config: ModelConfig) -> None:
    model = network(config)
    tokens = torch.randint(0, 64, (2, 60), generator=torch.Generator().manual_seed(7))
    X, loss = model.streams(tokens, rows_of(tokens))
    loss = loss + F.cross_entropy(model.head(model.read(X))[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    if config.num_nextn_predict_layers:
        drafted = model.head(model.draft(X[:, :-2], tokens[:, 1:-1]))
        loss = loss + F.cross_entropy(drafted.flatten(0, 1), tokens[:, 2:].flatten())
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.to_dense().abs().sum() > 0, name


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 1200), st.integers(0, 100))
def test_the_chunked_loss_is_cross_entropy_with_its_gradients(rows: int, seed: int) -> None:
    torch.manual_seed(seed)
    hidden, head = torch.randn(rows, 8), torch.randn(50, 8)
    targets, weights = torch.randint(0, 50, (rows,)), torch.rand(rows)
    a = [hidden.clone().requires_grad_(), head.clone().requires_grad_()]
    b = [hidden.clone().requires_grad_(), head.clone().requires_grad_()]
    total, each = token_loss(a[0], a[1], targets, weights)
    expected = F.cross_entropy(F.linear(b[0], b[1]), targets, reduction="none")
    (total * 3).backward()
    ((expected * weights).sum() * 3).backward()
    torch.testing.assert_close(each, expected.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(total, (expected * weights).sum(), rtol=1e-4, atol=1e-4)
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x.grad, y.grad, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_the_papers_engram_is_what_its_equations_say_of_each_token_and_stream() -> None:
    torch.manual_seed(1)
    engram = Engram(PAPER, 97)
    for parameter in engram.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.4)
    S, n, H, N = 20, 4, 32, 4
    X, e = torch.randn(1, S, n, H), torch.randn(1, S, PAPER.engram_width)
    keys, taps = engram.key_proj.weight.view(n, H, -1), engram.conv.weight.view(n, H, 4)

    def unit(x: Tensor) -> Tensor:
        return x / (x.square().mean() + PAPER.rms_norm_eps).sqrt()

    def gated(t: int, i: int) -> Tensor:
        key, query = unit(keys[i] @ e[0, t]) * engram.key_norm.weight[i], unit(X[0, t, i]) * engram.query_norm.weight[i]
        s = key @ query / H**0.5
        return torch.sigmoid(s.sign() * s.abs().sqrt()) * (engram.value_proj.weight @ e[0, t])

    actual = engram(X, e)[0]
    for t in range(S):
        for i in range(n):
            mixed = torch.zeros(H)
            for k, before in enumerate((3 * N, 2 * N, N, 0)):
                if t >= before:
                    mixed += taps[i, :, k] * unit(gated(t - before, i)) * engram.conv_norm.weight[i]
            torch.testing.assert_close(actual[t, i], X[0, t, i] + gated(t, i) + F.silu(mixed), rtol=1e-4, atol=1e-5)


def test_a_fresh_convolution_adds_nothing() -> None:
    torch.manual_seed(2)
    engram = Engram(PAPER, 97)
    X, e = torch.randn(2, 9, 4, 32), torch.randn(2, 9, PAPER.engram_width)
    with_it = engram(X, e)
    engram.conv = None
    assert torch.equal(with_it, engram(X, e))


@pytest.fixture(scope="module")
def paper() -> DeepseekV4:
    return network(PAPER).eval()


@torch.no_grad()
def test_a_draft_from_the_last_window_is_the_draft_in_the_whole_text(paper: DeepseekV4) -> None:
    """All that decoding has to keep of the past: the layer slides, and RoPE knows distances alone."""
    tokens = torch.randint(0, 64, (2, 61), generator=torch.Generator().manual_seed(9))
    X, following = paper.streams(tokens[:, :-1], rows_of(tokens[:, :-1]))[0], tokens[:, 1:]
    whole = paper.draft(X, following)
    for t in (0, 3, 7, 8, 30, 59):
        first = max(0, t + 1 - PAPER.sliding_window)
        step = paper.draft(X[:, first : t + 1], following[:, first : t + 1])
        torch.testing.assert_close(step[:, -1], whole[:, t], rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_draft_sees_nothing_after_the_token_that_it_follows(paper: DeepseekV4) -> None:
    X, following = torch.randn(1, 40, 4, 32), torch.randint(0, 64, (1, 40))
    whole = paper.draft(X, following)
    X[:, 25] += 1.0
    following[:, 25] = (following[:, 25] + 1) % 64
    changed = (paper.draft(X, following) - whole).abs().amax(dim=-1)[0]
    assert (changed[:25] == 0).all()
    assert (changed[25 : 25 + PAPER.sliding_window] > 0).all()
    assert (changed[25 + PAPER.sliding_window :] == 0).all()


def test_a_network_without_the_layer_for_it_drafts_nothing(model: DeepseekV4) -> None:
    with pytest.raises(ValueError, match="num_nextn_predict_layers is 0"):
        model.draft(torch.randn(1, 2, 4, 32), torch.zeros(1, 2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_factor": 4.0}, "needs rope_original_positions"),
        ({"rope_factor": 0.5}, "would shorten"),
        ({"rope_beta_fast": 1.0}, "rope_beta_slow"),
        ({"layer_types": ("full_attention",) * 4}, "'full_attention'"),
        ({"engram_form": "attention"}, "gated or convolved"),
        ({"num_nextn_predict_layers": 2}, "only 0 or 1"),
        ({"num_experts_per_tok": 5}, "more than n_routed_experts 4"),
        ({"compress_rate_csa": 0}, "compress_rate_csa is 0"),
        ({"engram_orders": (1, 2)}, "two tokens or more"),
        ({"o_groups": 3}, "does not divide"),
        ({"qk_rope_head_dim": 18}, "fit head_dim"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rope_theta", None, "rope_theta is None, not a number"),
        ("rms_norm_eps", float("nan"), "rms_norm_eps is nan, not a number"),
        ("rope_theta", 10**400, "not a number"),
        ("sliding_window", 128.5, "sliding_window is 128.5, not a whole number"),
        ("engram_layers", {}, "engram_layers is {}, not a list"),
    ],
)
def test_a_configuration_of_wrong_types_is_refused(tmp_path: Path, name: str, value: object, said: str) -> None:
    ModelConfig().write(tmp_path / "config.json")
    fields = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**fields, name: value}), encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        ModelConfig.read(tmp_path / "config.json")


def test_a_configuration_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = dataclasses.replace(PAPER, rope_factor=16.0, rope_original_positions=4096)
    config.write(tmp_path / "config.json")
    assert ModelConfig.read(tmp_path / "config.json") == config
