"""Muon for the hidden matrices, AdamW for the rest, a lazy Adam for the Engram tables.

Muon (https://kellerjordan.github.io/posts/muon): the update is the momentum's nearest orthogonal matrix, so that all
directions of a weight learn at one speed; it needs about half of AdamW's tokens for one loss at this size.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients that take singular values in (0, 1] to about 1 in five steps."""


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """[N,r,c] -> the nearest (semi-)orthogonal matrix to each, roughly, by Newton-Schulz iterations in bfloat16."""
    a, b, c = _QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.bfloat16()
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).float()


class Muon(Optimizer):
    """Nesterov momentum, orthogonalised. Takes matrices [r,c] or stacks of them [N,r,c].

    Matrices of one shape, whatever parameters they are from, go through Newton-Schulz as one batch.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float = 0.02, momentum: float = 0.95) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[tuple[nn.Parameter, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state: dict[str, Any] = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(state["momentum"], group["momentum"])
                by_shape.setdefault(tuple(parameter.shape[-2:]), []).append((parameter, update))
            for (rows, columns), pairs in by_shape.items():
                stacks = [update.reshape(-1, rows, columns) for _, update in pairs]
                updates = orthogonalise(torch.cat(stacks)).split([len(stack) for stack in stacks])
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                for (parameter, _), update in zip(pairs, updates, strict=True):
                    parameter.add_(update.view_as(parameter), alpha=-rate)


def optimizers(model: nn.Module, adam_lr: float, muon_lr: float, table_lr: float) -> Sequence[Optimizer]:
    """The optimisers of all of the network's parameters. Each group keeps its full rate as `initial_lr`."""
    matrices: list[nn.Parameter] = []
    tables: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if name.endswith("engram.table.weight"):
            tables.append(parameter)
        elif (name.endswith("_proj.weight") and min(parameter.shape) >= 32) or name.endswith(
            ("gate_up_proj", "down_proj")
        ):
            matrices.append(parameter)
        else:
            rest.append(parameter)
    found: list[Optimizer] = [torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.98), eps=1e-10, weight_decay=0.0)]
    if matrices:
        found.append(Muon(matrices, lr=muon_lr))
    if tables:
        # Touches only the rows of the batch: the cost does not grow with the table, and rare rows keep their estimates.
        found.append(torch.optim.SparseAdam(tables, lr=table_lr, betas=(0.9, 0.99), eps=1e-10))
    for optimizer in found:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return found
