"""The DeepSeek-V4 network with Engram memory, whole-sequence (training) form, one flat file.

Symbols: B batch, S tokens, V vocabulary, H hidden size, n residual streams, h heads, D head width, R rotary width,
W sliding window, r tokens per compressed entry, C = S // r closed entries, E routed experts, K of them per token,
I expert width.

Parts, in the order of a token's way: embedding copied into n streams -> per layer [Engram] -> mHC(attention) ->
mHC(MoE) -> hc_head -> RMSNorm -> lm_head (the embedding where tied). Where configured, a layer of multi-token
prediction reads the streams beside hc_head. Equations follow the V4 report (arXiv 2606.19348) and "Conditional Memory
via Scalable Lookup" (arXiv 2601.07372). Parameter names are the contract with `export.py`.

Attention here is dense over what may be seen: the sliding window in blocks of W queries x 2W keys, plus all
compressed entries under a mask. In CSA layers the Lightning Indexer's top-k mask is the real selection, also in
training. Top-k passes no gradient, so, as in the released model, the indexer learns from a KL divergence that pulls
its softmax over the visible entries towards the attention that the heads in fact paid to them; its inputs are
detached, so that loss trains the indexer alone (`DeepseekV4.streams` returns it beside the streams).
"""

# X is the paper's name for the residual streams, which every block replaces.
# pyright: reportConstantRedefinition=false

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from engram_runtime.config import CSA, HCA, SLIDING, ModelConfig

_HAS_GROUPED = hasattr(F, "grouped_mm")
"""From torch 2.10 on."""

_GATE_FLOOR = 1e-6
"""Least |s| under the Engram gate's square root, whose slope is infinite at zero."""


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """x [..., N] to unit root mean square, in fp32 inside, times weight [N] where there is one."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return wide if weight is None else wide * weight


class RMSNorm(nn.Module):
    """Over the last axis, with a weight [*size]: [H], or [n,H] where streams have their own."""

    def __init__(self, *size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        normed = rms_norm(x, self.weight, self.eps)
        # Under autocast every projection would cast it again for itself.
        kind = x.device.type
        return normed.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else normed


def rotary(positions: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin [P, R/2] of the rotary angles of positions [P]; frequencies [R/2] in radians per position.

    In double, since float angles are off by 1e-3 at position 30,000; Apple's devices have only float.
    """
    # Frequencies stay in host memory (`.to` of a module would fail on double); unwaited, the copy costs no time.
    wide = torch.float32 if positions.device.type == "mps" else torch.float64
    angle = positions.to(wide)[:, None] * frequencies.to(positions.device, wide, non_blocking=True)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the trailing 2*cos.shape[-1] channels of x as interleaved pairs; cos and sin broadcast against them."""
    width = 2 * cos.shape[-1]
    still, turned = x.float().split([x.shape[-1] - width, width], dim=-1)
    even, odd = turned.unflatten(-1, (-1, 2)).unbind(-1)
    pairs = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return torch.cat((still, pairs.flatten(-2)), dim=-1)


def sinkhorn(logits: Tensor, iterations: int, eps: float) -> Tensor:
    """[..., n, n] logits to nearly doubly stochastic matrices: row softmax, columns, then rows and columns in turn."""
    matrix = logits.softmax(dim=-1) + eps
    matrix = matrix / (matrix.sum(dim=-2, keepdim=True) + eps)
    for _ in range(iterations - 1):
        matrix = matrix / (matrix.sum(dim=-1, keepdim=True) + eps)
        matrix = matrix / (matrix.sum(dim=-2, keepdim=True) + eps)
    return matrix


class HyperConnection(nn.Module):
    """Manifold-constrained hyper-connection around one block: how the n streams are read, written and mixed.

    Starts near an ordinary residual stream: mixing near the identity, writing with weight 1, reading nearly uniform
    with a preference that goes round with `site`, without which equal streams would get equal gradients for ever.
    """

    def __init__(self, config: ModelConfig, site: int) -> None:
        super().__init__()
        n, H = config.hc_mult, config.hidden_size
        self.n, self.config = n, config
        self.fn = nn.Parameter(torch.randn((2 + n) * n, n * H) * 0.02)
        self.scale = nn.Parameter(torch.full((3,), 0.1))
        read = torch.full((n,), math.log(1 / max(n - 1, 1)))
        read[site % n] += 1.0
        self.base = nn.Parameter(torch.cat((read, torch.zeros(n), 4.0 * torch.eye(n).flatten())))

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """X [B,S,n,H] -> block input [B,S,H], post [B,S,n], comb [B,S,n,n]."""
        n, eps = self.n, self.config.hc_eps
        flat = X.flatten(-2)
        # The normalisation is one factor per token, so it may follow the projection.
        scale = torch.rsqrt(flat.square().mean(-1, keepdim=True) + self.config.rms_norm_eps)
        with torch.autocast(X.device.type, enabled=False):
            pre, post, comb = (F.linear(flat, self.fn) * scale).split([n, n, n * n], dim=-1)
        base_pre, base_post, base_comb = self.base.split([n, n, n * n])
        pre = torch.sigmoid(pre * self.scale[0] + base_pre) + eps
        post = 2 * torch.sigmoid(post * self.scale[1] + base_post)
        comb = sinkhorn((comb * self.scale[2] + base_comb).unflatten(-1, (n, n)), self.config.hc_sinkhorn_iters, eps)
        return _read(X, pre), post, comb


def _read(X: Tensor, pre: Tensor) -> Tensor:
    """Sum over streams of pre_i X_i, written out: n is 4 and a batched 1xn matmul costs more than it computes."""
    return sum((pre[..., i, None] * X[..., i, :] for i in range(1, X.shape[-2])), pre[..., 0, None] * X[..., 0, :])


def write_streams(X: Tensor, y: Tensor, post: Tensor, comb: Tensor) -> Tensor:
    """X'_k = post_k y + sum_j comb[j,k] X_j: the transposed matrix mixes, comb's columns sum to one."""
    n = X.shape[-2]
    streams = X.unbind(-2)
    return torch.stack(
        [sum((comb[..., j, k, None] * streams[j] for j in range(n)), post[..., k, None] * y) for k in range(n)],
        dim=-2,
    )


class HyperHead(nn.Module):
    """Reads the streams once more, before the final norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        n, H = config.hc_mult, config.hidden_size
        self.config = config
        self.hc_fn = nn.Parameter(torch.randn(n, n * H) * 0.02)
        self.hc_base = nn.Parameter(torch.full((n,), math.log(1 / max(n - 1, 1))))
        self.hc_scale = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, X: Tensor) -> Tensor:
        flat = X.flatten(-2)
        scale = torch.rsqrt(flat.square().mean(-1, keepdim=True) + self.config.rms_norm_eps)
        with torch.autocast(X.device.type, enabled=False):
            logits = F.linear(flat, self.hc_fn) * scale
        return _read(X, torch.sigmoid(logits * self.hc_scale + self.hc_base) + self.config.hc_eps)


class Compressor(nn.Module):
    """Pools each r tokens into one entry of width D, with a softmax per channel over the window's slots.

    Without overlap (HCA) entry w pools tokens [wr, wr+r). With overlap (CSA) the projections are 2D wide and entry w
    pools 2r slots: the first halves of window w-1 and the second halves of window w.
    """

    def __init__(self, config: ModelConfig, rate: int, width: int, overlap: bool) -> None:
        super().__init__()
        self.rate, self.width, self.overlap, self.config = rate, width, overlap, config
        self.frequencies = torch.from_numpy(config.frequencies(CSA if overlap else HCA))
        wide = width * (2 if overlap else 1)
        self.kv_proj = nn.Linear(config.hidden_size, wide, bias=False)
        self.gate_proj = nn.Linear(config.hidden_size, wide, bias=False)
        self.position_bias = nn.Parameter(torch.zeros(rate, wide))
        self.kv_norm = RMSNorm(width, eps=config.rms_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """x [B,S,H] -> the closed entries [B,C,D], with RoPE at position w*r."""
        C, D = x.shape[1] // self.rate, self.width
        x = x[:, : C * self.rate]
        kv = self.kv_proj(x).float().unflatten(1, (C, self.rate))  # [B,C,r,D or 2D]
        gate = self.gate_proj(x).float().unflatten(1, (C, self.rate)) + self.position_bias
        if self.overlap:
            kv = torch.cat((F.pad(kv[:, :-1, :, :D], (0, 0, 0, 0, 1, 0)), kv[..., D:]), dim=2)
            before = F.pad(gate[:, :-1, :, :D], (0, 0, 0, 0, 1, 0), value=float("-inf"))
            gate = torch.cat((before, gate[..., D:]), dim=2)
        entries = self.kv_norm((gate.softmax(dim=2) * kv).sum(dim=2))
        positions = torch.arange(C, device=x.device) * self.rate
        return rotate(entries, *rotary(positions, self.frequencies))


def _visible(S: int, C: int, rate: int, device: torch.device) -> Tensor:
    """[S,C]: entry w is visible to token t once its window has closed, w < (t+1) // r."""
    closed = (torch.arange(S, device=device) + 1) // rate
    return torch.arange(C, device=device) < closed[:, None]


class Scorer(nn.Module):
    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.weights_proj = nn.Linear(hidden, heads, bias=False)


class Indexer(Compressor):
    """The Lightning Indexer: scores every entry for every token with small heads of its own."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, config.compress_rate_csa, config.index_head_dim, overlap=True)
        self.heads = config.index_n_heads
        self.q_b_proj = nn.Linear(config.q_lora_rank, self.heads * self.width, bias=False)
        self.scorer = Scorer(config.hidden_size, self.heads)

    def scores(self, x: Tensor, q_rank: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x [B,S,H], q_rank [B,S,q_lora] -> [B,S,C], sum over heads of w_h ReLU(q_h . k_s), scaled, not masked."""
        keys = self(x)
        q = rotate(self.q_b_proj(q_rank).unflatten(-1, (self.heads, self.width)), cos, sin)
        dots = F.relu((q.flatten(1, 2) @ keys.transpose(1, 2)).float()).unflatten(1, (-1, self.heads))  # [B,S,hI,C]
        weights = self.scorer.weights_proj(x).float() * (self.heads * self.width) ** -0.5
        return (dots * weights[..., None]).sum(dim=2)


class SparseCompressor(Compressor):
    """CSA's compressor with its indexer beneath it, as the parameter names have it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, config.compress_rate_csa, config.head_dim, overlap=True)
        self.indexer = Indexer(config)


class Attention(nn.Module):
    """Multi-query attention with one shared key-value row per token, a sliding window and compressed entries.

    K = V = kv. Since V carries RoPE, the output's rotary channels are turned back at the query's position.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        H, h, D = config.hidden_size, config.num_attention_heads, config.head_dim
        g, o = config.o_groups, config.o_lora_rank
        self.config, self.kind, self.rate = config, config.layer_types[layer], config.compress_rate(layer)
        self.frequencies = torch.from_numpy(config.frequencies(self.kind))
        self.q_a_proj = nn.Linear(H, config.q_lora_rank, bias=False)
        self.q_a_norm = RMSNorm(config.q_lora_rank, eps=config.rms_norm_eps)
        self.q_b_proj = nn.Linear(config.q_lora_rank, h * D, bias=False)
        self.kv_proj = nn.Linear(H, D, bias=False)
        self.kv_norm = RMSNorm(D, eps=config.rms_norm_eps)
        self.sinks = nn.Parameter(torch.zeros(h))
        self.o_a_proj = nn.Linear(h * D // g, g * o, bias=False)
        self.o_b_proj = nn.Linear(g * o, H, bias=False)
        if self.kind == CSA:
            self.compressor = SparseCompressor(config)
        elif self.kind != SLIDING:
            self.compressor = Compressor(config, self.rate, D, overlap=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """x [B,S,H] -> output [B,S,H], and the indexer's alignment loss where there is an indexer and entries."""
        config = self.config
        B, S, _ = x.shape
        h, D, W = config.num_attention_heads, config.head_dim, config.sliding_window
        cos, sin = rotary(torch.arange(S, device=x.device), self.frequencies)
        q_rank = self.q_a_norm(self.q_a_proj(x))
        q = rms_norm(self.q_b_proj(q_rank).unflatten(-1, (h, D)), None, config.rms_norm_eps)
        q = rotate(q, cos[:, None], sin[:, None]) * D**-0.5
        kv = rotate(self.kv_norm(self.kv_proj(x)), cos, sin)

        # Queries in blocks of W see their own block and the one before; heads fold into rows, as one K serves them all.
        blocks = -(-S // W)
        pad = blocks * W - S
        padded = F.pad(kv, (0, 0, W, pad)).unflatten(1, (blocks + 1, W))
        keys = torch.cat((padded[:, :-1], padded[:, 1:]), dim=2)  # [B,blocks,2W,D]
        q_blocks = F.pad(q, (0, 0, 0, 0, 0, pad)).unflatten(1, (blocks, W))  # [B,blocks,W,h,D]
        window = (q_blocks.flatten(2, 3) @ keys.transpose(-1, -2)).float().unflatten(2, (W, h))  # [B,blocks,W,h,2W]
        row, column = torch.arange(W, device=x.device)[:, None], torch.arange(2 * W, device=x.device)
        seen = (column > row) & (column <= row + W)
        seen = seen & ((column >= W) | (torch.arange(blocks, device=x.device) > 0)[:, None, None])  # [blocks,W,2W]
        window = window.masked_fill(~seen[:, :, None], float("-inf")).flatten(1, 2)[:, :S]

        sink = self.sinks.float().view(1, 1, h, 1).expand(B, S, h, 1)
        C = S // self.rate if self.rate else 0
        if not C:
            probabilities = torch.cat((window, sink), dim=-1).softmax(dim=-1)
            return self._output(self._window_values(probabilities[..., : 2 * W], keys, pad), cos, sin), None

        entries = self.compressor(x)  # [B,C,D]
        mask = _visible(S, C, self.rate, x.device)[None]
        scores: Tensor | None = None
        if isinstance(self.compressor, SparseCompressor):
            scores = self.compressor.indexer.scores(x.detach(), q_rank.detach(), cos[:, None], sin[:, None])
            scores = scores.masked_fill(~mask, float("-inf"))
            if config.index_topk < C:
                # Scores of exactly zero are common (ReLU). Of equals the earlier entry wins, as ONNX's TopK has it and
                # torch's topk does not: without a rule, what is selected would change with the length of the text.
                chosen = scores.detach().sort(dim=-1, descending=True, stable=True).indices[..., : config.index_topk]
                mask = mask & torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, chosen, True)
        distant = (q.flatten(1, 2) @ entries.transpose(1, 2)).float().unflatten(1, (S, h))  # [B,S,h,C]
        distant = distant.masked_fill(~mask[:, :, None], float("-inf"))
        probabilities = torch.cat((window, distant, sink), dim=-1).softmax(dim=-1)
        far = probabilities[..., 2 * W : 2 * W + C]
        out = self._window_values(probabilities[..., : 2 * W], keys, pad)
        out = out + (far.flatten(1, 2) @ entries).float().unflatten(1, (S, h))
        return self._output(out, cos, sin), None if scores is None else alignment_loss(scores, far, mask)

    def _window_values(self, probabilities: Tensor, keys: Tensor, pad: int) -> Tensor:
        """[B,S,h,2W] x [B,blocks,2W,D] -> [B,S,h,D]."""
        _, S, h, _ = probabilities.shape
        W = self.config.sliding_window
        blocked = F.pad(probabilities, (0, 0, 0, 0, 0, pad)).unflatten(1, (-1, W)).flatten(2, 3)
        return (blocked @ keys).float().unflatten(2, (W, h)).flatten(1, 2)[:, :S]

    def _output(self, out: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Turns [B,S,h,D] back, projects it in o_groups independent groups, and then to [B,S,H]."""
        g = self.config.o_groups
        grouped = rotate(out, cos[:, None], -sin[:, None]).flatten(-2).unflatten(-1, (g, -1))
        weights = self.o_a_proj.weight.unflatten(0, (g, -1)).unbind(0)
        return self.o_b_proj(torch.cat([F.linear(grouped[..., i, :], w) for i, w in enumerate(weights)], dim=-1))


def alignment_loss(scores: Tensor, far: Tensor, mask: Tensor) -> Tensor:
    """KL(attention over the entries, all heads together || softmax of the indexer's scores): mean over tokens with any.

    scores [B,S,C] with -inf where not visible, far [B,S,h,C] attention, mask [1 or B,S,C] what attention could see.
    """
    with torch.no_grad():
        target = far.sum(dim=2)
        target = target / target.sum(dim=-1, keepdim=True).clamp_min(1e-9)
        some = mask.any(dim=-1)
    scores = scores.masked_fill(~mask, -1e30)
    divergence = torch.xlogy(target, target) - target * scores.log_softmax(dim=-1).clamp_min(-1e4)
    return (divergence.sum(dim=-1) * some).sum() / (some.expand(scores.shape[:2]).sum().clamp_min(1))


class Gate(nn.Module):
    """Routes each token to K experts: by a fixed table of token ids (hash) or by affinity plus a balancing bias.

    Affinity is sqrt(softplus(W_g x)). The bias only decides who is chosen, never the weight; `balance` moves it against
    the load since the last call, which keeps experts in use without an auxiliary loss (arXiv 2408.15664).
    """

    tid2eid: Tensor
    e_score_correction_bias: Tensor
    load: Tensor

    def __init__(self, config: ModelConfig, hashed: bool) -> None:
        super().__init__()
        E, K, V = config.n_routed_experts, config.num_experts_per_tok, config.vocab_size
        self.config, self.hashed = config, hashed
        self.weight = nn.Parameter(torch.randn(E, config.hidden_size) * config.hidden_size**-0.5)
        if hashed:
            self.register_buffer("tid2eid", balanced_table(V, K, E))
        else:
            self.register_buffer("e_score_correction_bias", torch.zeros(E))
        self.register_buffer("load", torch.zeros(E), persistent=False)

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """x [T,H], tokens [T] -> experts [T,K] and their weights [T,K]."""
        with torch.autocast(x.device.type, enabled=False):
            affinity = F.softplus(F.linear(x.float(), self.weight)).sqrt()
        if self.hashed:
            experts = self.tid2eid[tokens]
        else:
            biased = affinity.detach() + self.e_score_correction_bias
            experts = biased.topk(self.config.num_experts_per_tok, dim=-1).indices
        weights = affinity.gather(-1, experts)
        weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20) * self.config.routed_scaling_factor
        return experts, weights

    @torch.no_grad()
    def balance(self, rate: float) -> None:
        """Raises the bias of experts with less than the mean load by `rate`, lowers the others'; forgets the load."""
        if not self.hashed:
            self.e_score_correction_bias += rate * torch.sign(self.load.mean() - self.load)
        self.load.zero_()


def balanced_table(V: int, K: int, E: int) -> Tensor:
    """[V,K] int64: K distinct experts per token at random; the first column has each of them V/E times.

    Raises ValueError where K experts are more than there are.
    """
    if K > E:
        raise ValueError(f"num_experts_per_tok {K} is more than n_routed_experts {E}")
    first = (torch.randperm(V) % E)[:, None]
    others = torch.rand(V, E - 1).argsort(dim=1)[:, : K - 1] + 1
    return torch.cat((first, (first + others) % E), dim=1)


class Experts(nn.Module):
    """E gated experts, weights stacked: gate_up_proj [E,2I,H] (gate rows first), down_proj [E,H,I]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        E, H, I = config.n_routed_experts, config.hidden_size, config.moe_intermediate_size  # noqa: E741
        self.limit = config.swiglu_limit
        self.activate: Callable[[Tensor, float], Tensor] = swiglu
        self.gate_up_proj = nn.Parameter(torch.randn(E, 2 * I, H) * H**-0.5)
        self.down_proj = nn.Parameter(torch.zeros(E, H, I))

    def forward(self, x: Tensor, counts: Tensor) -> Tensor:
        """x [T*K,H] sorted by expert, counts[e] rows each -> [T*K,H]."""
        return self.grouped(x, counts) if x.is_cuda and _HAS_GROUPED else self.one_by_one(x, counts)

    def one_by_one(self, x: Tensor, counts: Tensor) -> Tensor:
        # unbind, not indexing: its backward writes each expert's gradient once instead of E full-size sums.
        layers = zip(x.split(counts.tolist()), self.gate_up_proj.unbind(0), self.down_proj.unbind(0), strict=True)
        return torch.cat([F.linear(self.activate(F.linear(rows, up), self.limit), down) for rows, up, down in layers])

    def grouped(self, x: Tensor, counts: Tensor) -> Tensor:
        """The same as one kernel for all experts, which leaves the counts on the device."""
        kind = x.device.type
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        ends = counts.cumsum(0).to(torch.int32)
        up, down = self.gate_up_proj.to(low).transpose(1, 2), self.down_proj.to(low).transpose(1, 2)
        hidden = self.activate(F.grouped_mm(x.to(low), up, offs=ends), self.limit)
        return F.grouped_mm(hidden, down, offs=ends)


def swiglu(gate_up: Tensor, limit: float) -> Tensor:
    """[..., 2I] (gate, then up) -> [..., I], clamped as V4 does: the gate from above only."""
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate.clamp(max=limit)) * up.clamp(-limit, limit)


class SharedExpert(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H, I = config.hidden_size, config.moe_intermediate_size  # noqa: E741
        self.limit = config.swiglu_limit
        self.gate_proj = nn.Linear(H, I, bias=False)
        self.up_proj = nn.Linear(H, I, bias=False)
        self.down_proj = nn.Linear(I, H, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(swiglu(torch.cat((self.gate_proj(x), self.up_proj(x)), dim=-1), self.limit))


class MoE(nn.Module):
    """Routed experts and one shared expert, added."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.gate = Gate(config, hashed=config.mlp_layer_types[layer] == "hash_moe")
        self.experts = Experts(config)
        self.shared_experts = SharedExpert(config)

    def forward(self, x: Tensor, input_ids: Tensor) -> Tensor:
        """x [B,S,H], input_ids [B,S] -> [B,S,H]."""
        rows = x.flatten(0, 1)
        experts, weights = self.gate(rows, input_ids.flatten())
        routed = self._routed(rows, experts, weights)
        return self.shared_experts(x) + routed.view_as(x)

    def _routed(self, rows: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
        """Sorts the (token, expert) pairs by expert, so that each expert is one dense matmul over its own rows."""
        K, E = experts.shape[1], self.gate.config.n_routed_experts
        pairs = experts.flatten()
        order = pairs.argsort(stable=True)
        # Not bincount: on a GPU it waits for the device.
        counts = (pairs[:, None] == torch.arange(E, device=pairs.device)).sum(dim=0)
        if self.training:
            self.gate.load += counts
        out = self.experts(rows.index_select(0, order // K), counts)
        out = out * weights.flatten().index_select(0, order)[:, None]
        return torch.zeros_like(rows, dtype=torch.float32).index_add(0, order // K, out.float())


class Engram(nn.Module):
    """Hashed n-gram memory, gated into each stream i by how well the looked-up key agrees with it.

        s_i = <RMSNorm(W_K e), RMSNorm(X_i)> / sqrt(H)    e: the token's rows, all orders and heads
        v_i = sigmoid(sign(s_i) sqrt|s_i|) W_V e
    "gated" (V4.1):        X'_i = X_i + v_i, one W_K serves all streams
    "convolved" (paper):   X'_i = X_i + v_i + SiLU(conv(RMSNorm(v_i))), each stream has a W_K
        conv: each channel for itself, over tokens t, t-N, t-2N, t-3N, N the greatest order

    The convolution starts at zero. The table is sparse: a step touches few of its rows, and its optimiser updates only
    those.
    """

    def __init__(self, config: ModelConfig, rows: int) -> None:
        super().__init__()
        n, H, width, eps = config.hc_mult, config.hidden_size, config.engram_width, config.rms_norm_eps
        convolved = config.engram_form == "convolved"
        self.eps, self.reach = eps, config.engram_reach
        self.table = nn.Embedding(rows, config.engram_dim, sparse=True)
        self.key_proj = nn.Linear(width, n * H if convolved else H, bias=False)
        self.value_proj = nn.Linear(width, H, bias=False)
        self.key_norm = RMSNorm(n, H, eps=eps) if convolved else RMSNorm(H, eps=eps)
        self.query_norm = RMSNorm(n, H, eps=eps)
        self.conv: nn.Conv1d | None = None
        if convolved:
            self.conv_norm = RMSNorm(n, H, eps=eps)
            self.conv = nn.Conv1d(n * H, n * H, 4, groups=n * H, dilation=max(config.engram_orders), bias=False)
            nn.init.zeros_(self.conv.weight)

    def lookup(self, rows: Tensor) -> Tensor:
        """rows [B,S,orders*heads] -> their concatenation e [B,S,engram_width]."""
        return self.table(rows).flatten(-2)

    def forward(self, X: Tensor, e: Tensor) -> Tensor:
        """X [B,S,n,H], e [B,S,engram_width] -> X'."""
        H = X.shape[-1]
        key = self.key_norm(self.key_proj(e).unflatten(-1, (-1, H)))  # [B,S,1 or n,H]
        query = rms_norm(X, self.query_norm.weight, self.eps)
        s = (key * query).sum(dim=-1, keepdim=True) * H**-0.5  # [B,S,n,1]
        gate = torch.sigmoid(s.sign() * s.abs().clamp_min(_GATE_FLOOR).sqrt())
        value = gate * self.value_proj(e).float()[..., None, :]
        return X + value if self.conv is None else X + value + self._convolved(value, self.conv)

    def _convolved(self, value: Tensor, conv: nn.Conv1d) -> Tensor:
        """[B,S,n,H] -> SiLU(conv(RMSNorm)) of it; tokens before the first are zeros."""
        channels = self.conv_norm(value).flatten(-2).transpose(1, 2)  # [B,nH,S]
        return F.silu(conv(F.pad(channels, (self.reach, 0))).float()).transpose(1, 2).view_as(value)


class Layer(nn.Module):
    def __init__(self, config: ModelConfig, layer: int, engram_rows: int) -> None:
        super().__init__()
        self.engram = Engram(config, engram_rows) if engram_rows else None
        self.attn_hc = HyperConnection(config, 2 * layer)
        self.ffn_hc = HyperConnection(config, 2 * layer + 1)
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.mlp = MoE(config, layer)
        self.write: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = write_streams

    def forward(self, X: Tensor, input_ids: Tensor, e: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """X [B,S,n,H] -> X, and the indexer's alignment loss where the layer has one."""
        X, normed, post, comb, aligned = self.attend(X, e)
        return self.write(X, self.mlp(normed, input_ids), post, comb), aligned

    def attend(self, X: Tensor, e: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        """All of the layer up to the MoE: streams, the MoE's input, and how its output is to be written back."""
        if self.engram is not None and e is not None:
            X = self.engram(X, e)
        u, post, comb = self.attn_hc(X)
        y, aligned = self.self_attn(self.input_layernorm(u))
        X = write_streams(X, y, post, comb)
        u, post, comb = self.ffn_hc(X)
        return X, self.post_attention_layernorm(u), post, comb, aligned


class DraftLayer(Layer):
    """Multi-token prediction: drafts token t+2 from the streams at t, as the trunk left them, and token t+1.

        z_i = W_e RMSNorm_e(embedding of token t+1) + W_h RMSNorm_h(X_i)
    z goes through one whole layer, which slides and routes by affinity, an hc_head and a norm of its own. Embedding
    and lm_head are the trunk's. Names as in released checkpoints, whose `mtp.0` holds what is here and in `Layer`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.draft_head, 0, 0)
        H, eps = config.hidden_size, config.rms_norm_eps
        self.enorm, self.hnorm = RMSNorm(H, eps=eps), RMSNorm(H, eps=eps)
        self.e_proj, self.h_proj = nn.Linear(H, H, bias=False), nn.Linear(H, H, bias=False)
        self.hc_head = HyperHead(config)
        self.norm = RMSNorm(H, eps=eps)

    def draft(self, X: Tensor, embedded: Tensor, input_ids: Tensor) -> Tensor:
        """X [B,S,n,H]; of the tokens after: embedded [B,S,H], input_ids [B,S] -> normed hidden [B,S,H]."""
        z = self.e_proj(self.enorm(embedded))[..., None, :] + self.h_proj(self.hnorm(X))
        return self.norm(self.hc_head(self(z.float(), input_ids, None)[0]))


class Trunk(nn.Module):
    def __init__(self, config: ModelConfig, engram_rows: Sequence[int]) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        counts = dict(zip(config.engram_layers, engram_rows, strict=True))
        self.layers = nn.ModuleList(Layer(config, i, counts.get(i, 0)) for i in range(config.num_hidden_layers))
        self.hc_head = HyperHead(config)
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class DeepseekV4(nn.Module):
    """The whole network. `engram_rows[i]` is the row count of the table of config.engram_layers[i]."""

    def __init__(self, config: ModelConfig, engram_rows: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.model = Trunk(config, engram_rows)
        self.lm_head = (
            None if config.tie_word_embeddings else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        )
        self.mtp = nn.ModuleList(DraftLayer(config) for _ in range(config.num_nextn_predict_layers))
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Projections at 1/sqrt(fan in), but those that write to the streams at zero: layers start as the identity."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                std = 0.0 if name.endswith(("o_b_proj", "down_proj")) else module.in_features**-0.5
                nn.init.normal_(module.weight, std=std)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    @property
    def layers(self) -> Sequence[Layer]:
        return cast("Sequence[Layer]", self.model.layers)

    @property
    def blocks(self) -> Sequence[Layer]:
        """The layers, and that of multi-token prediction where there is one."""
        return [*self.layers, *cast("Sequence[Layer]", self.mtp)]

    def streams(self, input_ids: Tensor, engram_rows: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        """input_ids [B,S], engram_rows {layer: [B,S,orders*heads]} -> X [B,S,n,H] after all layers, alignment []."""
        X = self.model.embed_tokens(input_ids)[..., None, :].expand(-1, -1, self.config.hc_mult, -1)
        alignment = X.new_zeros(())
        for index, layer in enumerate(self.layers):
            e = layer.engram.lookup(engram_rows[index]) if layer.engram is not None else None
            X, aligned = layer(X, input_ids, e)
            if aligned is not None:
                alignment = alignment + aligned
        return X, alignment

    def read(self, X: Tensor) -> Tensor:
        """Streams [B,S,n,H] -> normed hidden [B,S,H], from which `head` predicts the next token."""
        return self.model.norm(self.model.hc_head(X))

    def trunk(self, input_ids: Tensor, engram_rows: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        """`streams`, read: normed hidden [B,S,H], alignment loss []."""
        X, alignment = self.streams(input_ids, engram_rows)
        return self.read(X), alignment

    def draft(self, X: Tensor, following: Tensor) -> Tensor:
        """Streams [B,S,n,H], the token after each [B,S] -> hidden [B,S,H], from which `head` predicts the next but one.

        Raises ValueError without a layer for it (num_nextn_predict_layers).
        """
        if not self.mtp:
            raise ValueError("the network has no layer of multi-token prediction: num_nextn_predict_layers is 0")
        return cast("DraftLayer", self.mtp[0]).draft(X, self.model.embed_tokens(following), following)

    @property
    def head_weight(self) -> Tensor:
        """[V,H]: the embedding where tied."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def head(self, hidden: Tensor) -> Tensor:
        """[..., H] -> logits [..., V]."""
        return F.linear(hidden, self.head_weight)

    def forward(self, input_ids: Tensor, engram_rows: dict[int, Tensor]) -> Tensor:
        """input_ids [B,S], engram_rows {layer: [B,S,orders*heads] row numbers} -> logits [B,S,V]."""
        return self.head(self.trunk(input_ids, engram_rows)[0])

    def forget_load(self) -> None:
        """Leaves what was routed since the last `balance` out of the count: validation is not training."""
        for layer in self.blocks:
            layer.mlp.gate.load.zero_()

    def compile_parts(self) -> None:
        """Compiles what has fixed shapes, for speed; the sorting of tokens to experts between them stays eager."""
        for layer in self.blocks:
            layer.attend = torch.compile(layer.attend)
            layer.write = torch.compile(layer.write)
            layer.mlp.experts.activate = torch.compile(swiglu, dynamic=True)

    def balance(self, rate: float) -> None:
        """Moves the routers' balancing biases by one step against the load since the last call."""
        for layer in self.blocks:
            layer.mlp.gate.balance(rate)
