"""What a model in process computes in, where that is less than fp32.

Owns the products in bfloat16 on a CPU. Only the matrices of the layers and what they are multiplied
with are rounded; what is passed from layer to layer, norms, attention and the scores of tokens stay
fp32, so that less is lost than by a model that is bfloat16 as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from preceptor.core.weights import Precision


def dtype(precision: Precision, device: str) -> torch.dtype | str:
    """Return in what a model's weights are loaded."""
    import torch

    if device == "cpu" or precision == "fp32":
        return torch.float32
    return torch.bfloat16 if precision == "bf16" else "auto"


def shorten(model: PreTrainedModel) -> None:
    """Keep the matrices of an fp32 model's layers in bfloat16, and multiply by them there; in place."""
    import torch

    class Short(torch.nn.Module):
        """A linear layer that takes and gives fp32."""

        def __init__(self, whole: torch.nn.Linear) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(whole.weight.bfloat16(), requires_grad=False)
            self.bias = None if whole.bias is None else whole.bias.float()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            got = torch.nn.functional.linear(x.bfloat16(), self.weight).float()
            return got if self.bias is None else got + self.bias

    for part in list(model.get_decoder().modules()):  # type: ignore[no-untyped-call]
        for name, child in list(part.named_children()):
            if type(child) is torch.nn.Linear:
                setattr(part, name, Short(child))
