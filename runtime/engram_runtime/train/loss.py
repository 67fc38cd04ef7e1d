"""Cross entropy of a tied head without ever holding all logits.

At V = 8192 the logits are 30 times larger than the hidden states they come from: on a CPU, writing and reading them
several times costs more than the matmuls. Here a chunk of rows is projected, turned into its gradient in place, and
used up while it is still in the cache.
"""

from typing import Any

import torch
from torch import Tensor

_ROWS = 512


class _TokenLoss(torch.autograd.Function):
    """Both gradients are computed in the forward pass, scaled by the weights already."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        kind = hidden.device.type
        rows = hidden.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else hidden.float()
        matrix = head.to(rows.dtype)
        grad_rows, grad_head = torch.empty_like(rows), torch.zeros_like(head)
        losses = torch.empty(len(rows), dtype=torch.float32, device=rows.device)
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            logits = (rows[part] @ matrix.t()).float()
            target = targets[part, None]
            log_total = logits.logsumexp(dim=-1, keepdim=True)
            losses[part] = (log_total - logits.gather(-1, target))[:, 0]
            gradient = logits.sub_(log_total).exp_()
            gradient.scatter_add_(-1, target, gradient.new_full(target.shape, -1.0))
            gradient = gradient.mul_(weights[part, None]).to(rows.dtype)
            torch.mm(gradient, matrix, out=grad_rows[part])
            grad_head += gradient.t() @ rows[part]
        ctx.save_for_backward(grad_rows, grad_head)
        ctx.dtype = hidden.dtype
        ctx.mark_non_differentiable(losses)
        return (losses * weights).sum(), losses

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_rows, grad_head = ctx.saved_tensors
        return (grad_rows * gradients[0]).to(ctx.dtype), grad_head * gradients[0], None, None


def token_loss(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """hidden [T,H], head [V,H], targets [T], weights [T] -> weighted sum of the cross entropies, and each one [T].

    In nats. Only the sum carries gradients. Matmuls run in autocast's type where it is on; sums are fp32.
    """
    total, losses = _TokenLoss.apply(hidden, head, targets, weights)
    return total, losses
