"""Own the Muon optimiser: momentum made orthogonal, for the model's matrices.

After K. Jordan et al., 2024; five Newton-Schulz steps, matrices of one shape done together.
"""

# ruff: noqa: TID253  (a training entry point: torch is what it is about)
from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def orthogonal(stack: Tensor, steps: int = 5) -> Tensor:
    """Return the nearest semi-orthogonal matrices, roughly, of a stack (k, rows, columns)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = stack.size(1) > stack.size(2)
    x = stack.transpose(1, 2) if tall else stack
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    out: Tensor = x.transpose(1, 2) if tall else x
    return out


class Muon(torch.optim.Optimizer):
    """Stochastic gradient descent with orthogonalised Nesterov momentum."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95) -> None:
        """Take the matrices to train."""
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make one step."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for shape, same in shapes.items():
                updates = []
                for p in same:
                    held = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    held.mul_(group["momentum"]).add_(p.grad)
                    updates.append(p.grad + group["momentum"] * held)
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for p, update in zip(same, orthogonal(torch.stack(updates)), strict=True):
                    p.add_(update, alpha=-group["lr"] * scale)
