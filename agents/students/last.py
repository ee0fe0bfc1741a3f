"""Leaving out what no answer is read from: a student looks at the last position's logits only.

The last layer's feed-forward part is the first place where the other positions no longer matter (its
attention still needs their keys and values): what it gives for the last position is added to all, and
only the last one of the sums is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

KNOWN = {
    "LlamaDecoderLayer": "mlp",
    "Qwen2DecoderLayer": "mlp",
    "Qwen3DecoderLayer": "mlp",
    "Lfm2DecoderLayer": "feed_forward",
}
"""Layers that end by adding their feed-forward part, and what they call it."""


def only(model: PreTrainedModel) -> None:
    """Let a model's last layer compute the last position only, where its kind is known; in place."""
    layers = getattr(model.get_decoder(), "layers", None)  # type: ignore[no-untyped-call]
    if layers is None or type(layers[-1]).__name__ not in KNOWN:
        return
    part: torch.nn.Module = getattr(layers[-1], KNOWN[type(layers[-1]).__name__])
    part.register_forward_pre_hook(_last)


def _last(_: torch.nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    return (given[0][:, -1:],)
