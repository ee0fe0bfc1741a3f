"""Attention of many rows that go on from few prefixes, without a copy of a prefix per row.

Owns the arithmetic: a row's queries meet its prefix, which is stored once, and its own tokens apart;
the two parts are put together by their log-sum-exp, which is exact (flash attention, arXiv 2205.14135,
does so block by block). Only on a CPU, where such a kernel says its log-sum-exp. Leaves what a prefix
is, and when rows are fed, to ``prefix``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

NAME = "preceptor_shared"
FAR = -1e30
"""Added to the score of padding: finite, since a block of nothing but minus infinity is no number."""


@dataclass(frozen=True)
class Layer:
    """What prefixes left in one layer: keys and values, (prefixes, heads, tokens, size)."""

    keys: torch.Tensor
    values: torch.Tensor

    @classmethod
    def of(cls, layer: object) -> Layer | None:
        """Return what a layer of transformers' cache holds; None if it is no layer of attention."""
        keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
        return None if keys is None or values is None else cls(keys, values)


@dataclass(frozen=True)
class Ahead:
    """Prefixes that rows go on from.

    Attributes:
        layers: By number of the model's layer; None where there is no attention.
        padding: ``FAR`` where a prefix has padding, else 0, (prefixes, tokens); None without any.
        slots: A row per place, (prefixes, most rows of one); places left over repeat any row.
        places: Each row's place among all, (rows,); None if rows and places are the same.
    """

    layers: tuple[Layer | None, ...]
    padding: torch.Tensor | None
    slots: torch.Tensor
    places: torch.Tensor | None

    @classmethod
    def of(
        cls, layers: Sequence[Layer | None], padding: torch.Tensor | None, rows: Sequence[int]
    ) -> Ahead:
        """Return what ``rows`` go on from, one number of a prefix per row."""
        import torch

        used = sorted(set(rows))
        if used != list(range(len(next(one for one in layers if one).keys))):
            index = torch.tensor(used)
            layers = [one and Layer(one.keys[index], one.values[index]) for one in layers]
            padding = None if padding is None else padding[index]
        mine: dict[int, list[int]] = {prefix: [] for prefix in used}
        for row, prefix in enumerate(rows):
            mine[prefix].append(row)
        most = max(map(len, mine.values()))
        slots = [own + own[:1] * (most - len(own)) for own in mine.values()]
        places = [0] * len(rows)
        for i, own in enumerate(mine.values()):
            for j, row in enumerate(own):
                places[row] = i * most + j
        same = places == list(range(len(used) * most))
        return cls(tuple(layers), padding, torch.tensor(slots), None if same else torch.tensor(places))

    def attend(
        self, layer: Layer, query: torch.Tensor, scaling: float | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what rows see of their prefixes: (rows, heads, tokens, size) and log-sum-exps."""
        import torch

        heads, tokens, size = query.shape[1:]
        prefixes, most = self.slots.shape
        kept, length = layer.keys.shape[1:3]
        if self.places is not None:
            query = query[self.slots.flatten()]
        # All queries that meet the same keys stand in one line: of all rows, and of all grouped heads.
        line = query.reshape(prefixes, most, kept, -1, size).transpose(1, 2).flatten(2, 3)
        mask = None
        if self.padding is not None:
            mask = self.padding.to(query.dtype)[:, None, None].expand(-1, 1, line.shape[2], length)
        out, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            line, layer.keys, layer.values, 0.0, False, attn_mask=mask, scale=scaling
        )
        out = out.reshape(prefixes, kept, most, -1, tokens, out.shape[-1]).transpose(1, 2)
        weight = weight.reshape(prefixes, kept, most, -1, tokens).transpose(1, 2)
        out, weight = out.reshape(-1, heads, tokens, out.shape[-1]), weight.reshape(-1, heads, tokens)
        if self.places is None:
            return out, weight
        return out[self.places], weight[self.places]


_AHEAD: ContextVar[Ahead | None] = ContextVar("ahead", default=None)


@contextmanager
def after(ahead: Ahead) -> Iterator[None]:
    """Let what an installed model reads meanwhile go on from prefixes."""
    token = _AHEAD.set(ahead)
    try:
        yield
    finally:
        _AHEAD.reset(token)


def install(model: PreTrainedModel) -> bool:
    """Let a model attend by ``attend``, and tell whether it can; if not, nothing is changed."""
    import torch
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    there = hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu")
    known = model.config._attn_implementation in ("sdpa", NAME)
    if not (there and known and model._supports_attention_backend and model.device.type == "cpu"):
        return False
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    model.set_attn_implementation(NAME)
    return True


def installed(model: PreTrainedModel) -> bool:
    """Tell whether a model attends by ``attend``."""
    return bool(model.config._attn_implementation == NAME)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Return what queries see, (rows, tokens, heads, size): as transformers asks an implementation."""
    import torch
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ahead = _AHEAD.get()
    if ahead is None:
        found: tuple[torch.Tensor, None] = ALL_ATTENTION_FUNCTIONS["sdpa"](
            module, query, key, value, attention_mask, **kwargs
        )
        return found
    layer = ahead.layers[int(module.layer_idx)]  # type: ignore[arg-type]
    assert layer is not None
    scaling = kwargs.get("scaling")
    assert scaling is None or isinstance(scaling, float)
    before, before_weight = ahead.attend(layer, query, scaling)
    groups = query.shape[1] // key.shape[1]
    mask = None
    if attention_mask is not None:
        mask = torch.zeros_like(attention_mask, dtype=query.dtype).masked_fill(~attention_mask, FAR)
    own, own_weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query,
        key.repeat_interleave(groups, 1),
        value.repeat_interleave(groups, 1),
        0.0,
        mask is None and query.shape[2] > 1,
        attn_mask=mask,
        scale=scaling,
    )
    share = torch.sigmoid(own_weight - before_weight).unsqueeze(-1).to(own.dtype)
    return torch.lerp(before, own, share).transpose(1, 2).contiguous(), None
