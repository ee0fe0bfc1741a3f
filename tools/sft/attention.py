"""Attention of short rows on a CPU in bfloat16, by plain products of matrices.

Owns that arithmetic. There the flash kernels, above all their backward pass, take longer than the
scores that they spare; those of a few hundred tokens fit into memory. A training entry point: it
imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

NAME = "preceptor_short"
MOST = 2**23
"""Scores of a layer (rows, heads, tokens, tokens) up to which they are all held."""


def install(model: Any) -> bool:
    """Let a model attend by ``attend``, and tell whether it can; if not, nothing is changed."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    usual = model.config._attn_implementation == "sdpa" and model.device.type == "cpu"
    if not (usual and model._supports_attention_backend):
        return False
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    model.set_attn_implementation(NAME)
    return True


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Return what queries see, (rows, tokens, heads, size): as transformers asks an implementation.

    Args:
        module: The layer.
        query: (rows, heads, tokens, size).
        key: (rows, grouped heads, tokens, size).
        value: Likewise.
        attention_mask: (rows, 1, tokens, tokens), True where a token is seen; None: those before.
        **kwargs: What else transformers gives.
    """
    import torch
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    rows, heads, tokens, size = query.shape
    short = rows * heads * tokens * key.shape[2] <= MOST and tokens == key.shape[2]
    plain = attention_mask is None or attention_mask.dtype == torch.bool
    if not (short and plain) or value.dtype != torch.bfloat16 or kwargs.get("dropout"):
        found: tuple[Tensor, None] = ALL_ATTENTION_FUNCTIONS["sdpa"](
            module, query, key, value, attention_mask, **kwargs
        )
        return found
    if attention_mask is None:
        attention_mask = torch.ones(tokens, tokens, dtype=torch.bool).tril()[None, None]
    kept = key.shape[1]
    scaling = kwargs.get("scaling")
    with torch.autocast("cpu", enabled=False):  # It would compute the softmax in 32 bits.
        scaled = (query * (size**-0.5 if scaling is None else scaling)).to(value.dtype)
        # All queries that meet the same keys stand in one line.
        line = scaled.reshape(rows, kept, -1, size)
        scores = torch.matmul(line, key.to(value.dtype).transpose(-1, -2))
        scores = scores.reshape(rows, heads, tokens, tokens)
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
        seen = torch.softmax(scores, -1).reshape(rows, kept, -1, tokens)
        out = torch.matmul(seen, value).reshape(rows, heads, tokens, -1)
    return out.transpose(1, 2).contiguous(), None
