"""Rows one after the other in one sequence, without padding, where kernels take rows of any length.

Owns when that is done and how such a batch is laid out. The kernels are those of the package
``flash_attn`` on a GPU; positions that begin anew tell them where a row begins, and tell a model
without them the mask. It is done where rows share nothing that could be computed once (``bundles``
saves more where they do), for models of attention layers alone: a convolution or a recurrent state
would look over the end of a row. ``packs`` compares the losses of both layouts before they are relied
on. A training entry point: it imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from preceptor.tools.sft.bundles import TokenRow, alone
from preceptor.tools.sft.losses import answer_loss
from preceptor.tools.sft.trainer import Collator, as_row, close_enough, layer_kinds, on

ATTENTION = frozenset({"full_attention", "sliding_attention"})


def implementation(device: str, method: str) -> str | None:
    """Return the attention that reads packed rows here, None if there is none.

    The kernels compute in 16 bits, so that whole weights, which are trained in 32, go without.
    """
    there = device == "cuda" and method != "full" and find_spec("flash_attn") is not None
    return "flash_attention_2" if there else None


@dataclass(frozen=True)
class Packed:
    """Makes one sequence of a batch's rows."""

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return ids, labels, marks, positions (1, tokens of all rows each), and their number."""
        import torch

        def joined(name: str) -> Any:
            return torch.tensor([[value for row in rows for value in row[name]]])

        return {
            "input_ids": joined("input_ids"),
            "labels": joined("labels"),
            "position_ids": joined("positions"),
            "marks": joined("marks"),
            "row_tokens": sum(row["row_tokens"] for row in rows),
        }


def packs(model: Any, rows: Sequence[TokenRow], padded: Collator) -> bool:
    """Tell whether packed rows have the losses of the same rows in a padded batch, by trying it."""
    import torch

    if not set(layer_kinds(model)) <= ATTENTION or len(rows) < 2:
        return False
    weight = model.get_input_embeddings().weight
    some = [as_row(alone(row)) for row in sorted(rows, key=lambda row: row.size)[:: len(rows) - 1][:2]]

    def loss(batch: dict[str, Any]) -> float:
        return float(answer_loss(model, on(batch, weight.device)))

    was_training = model.training
    model.eval()
    with torch.no_grad():
        one, other = loss(padded(some)), loss(Packed()(some))
    model.train(was_training)
    return close_enough(one, other, weight.dtype)
