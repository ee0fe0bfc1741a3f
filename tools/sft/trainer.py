"""TRL's SFTTrainer with a loss that costs little on a CPU, and batches of bundles.

Owns how a batch is read. TRL scores every position of a row over the whole vocabulary where it has no
GPU kernel, though only the answer's few tokens count: half of a small model's work. Here the answer's
positions alone go through the last layer; the loss is the same, and so are its gradients. Models whose
logits are scaled in ways of their own keep TRL's loss. A training entry point: it imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preceptor.tools.sft import ranks, shards
from preceptor.tools.sft.bundles import (
    IGNORED,
    PADDING,
    Bundle,
    TokenRow,
    alone,
    bundled,
    common,
    order,
)
from preceptor.tools.sft.room import Room

if TYPE_CHECKING:
    from torch import Tensor

_OWN_SCALES = ("logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")
_SAME_LOSS = {"float32": 1e-5, "bfloat16": 1e-2, "float16": 2e-3}
"""Losses of two layouts this close (relative) count as equal: they differ by rounding alone."""


@dataclass(frozen=True)
class Collator:
    """Makes tensors of bundles.

    Attributes:
        pad: The token that fills up short rows; masked.
        kinds: The kinds of layers that the model tells apart in its masks; empty if it does not.
    """

    pad: int
    kinds: tuple[str, ...] = ()

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return ids, labels, positions, a mask, and how many tokens the rows have."""
        import torch

        size = max(len(row["input_ids"]) for row in rows)

        def filled(name: str, value: int) -> Tensor:
            return torch.tensor([[*row[name], *[value] * (size - len(row[name]))] for row in rows])

        batch: dict[str, Any] = {
            "input_ids": filled("input_ids", self.pad),
            "labels": filled("labels", IGNORED),
            "row_tokens": sum(row["row_tokens"] for row in rows),
        }
        segments = filled("segments", PADDING)
        if not segments[segments != PADDING].any():
            batch["attention_mask"] = (segments == 0).long()
            return batch
        batch["position_ids"] = filled("positions", 0)
        mask = visible(segments, batch["position_ids"])
        batch["attention_mask"] = self._by_kind(mask) if self.kinds else mask
        return batch

    def _by_kind(self, mask: Tensor) -> dict[str, Tensor | None]:
        return {kind: mask if kind == "full_attention" else None for kind in self.kinds}


def visible(segments: Tensor, positions: Tensor) -> Tensor:
    """Return which token sees which: (batch, 1, tokens, tokens), True where it does."""
    ours, theirs = segments[:, :, None], segments[:, None, :]
    earlier = positions[:, None, :] <= positions[:, :, None]
    return (earlier & ((theirs == 0) | ((theirs == ours) & (theirs > 0))))[:, None]


def layer_kinds(model: Any) -> tuple[str, ...]:
    """Return the kinds of a model's layers, empty if it has but one."""
    return tuple(sorted(set(getattr(model.config.get_text_config(), "layer_types", None) or ())))


def overlap_of(model: Any) -> int | None:
    """Return how far back a model's convolutions look together; None if rows cannot be bundled."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or []
    if config._attn_implementation not in ("sdpa", "eager") or not set(kinds) <= {
        "full_attention",
        "conv",
    }:
        return None
    if own_scale(model) or (not kinds and getattr(config, "sliding_window", None)):
        return None
    convolutions = sum(kind == "conv" for kind in kinds)
    return int(convolutions * (int(getattr(config, "conv_L_cache", 1)) - 1))


def own_scale(model: Any) -> bool:
    """Tell whether a model scales its logits in a way of its own."""
    config = model.config.get_text_config()
    found = [getattr(config, name, None) for name in _OWN_SCALES]
    routed = bool(getattr(config, "output_router_logits", False))
    return routed or any(value is not None and value != 1 for value in found)


def answer_loss(model: Any, batch: dict[str, Any]) -> Tensor:
    """Return the summed loss of a batch's answers; only their positions meet the vocabulary."""
    from torch.nn import functional

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    labels = batch["labels"][:, 1:]
    given = {k: batch[k] for k in ("input_ids", "attention_mask", "position_ids") if k in batch}
    states = inner.base_model(**given, use_cache=False).last_hidden_state[:, :-1]
    asked = labels != IGNORED
    logits = inner.get_output_embeddings()(states[asked]).float()
    cap = getattr(inner.config.get_text_config(), "final_logit_softcapping", None)
    if cap:
        logits = cap * (logits / cap).tanh()
    return functional.cross_entropy(logits, labels[asked], reduction="sum")


def shared_loss(model: Any, batch: dict[str, Any]) -> Tensor:
    """Return ``answer_loss``, through the wrapper that brings the gradients of processes together.

    Its own ``forward`` has to be called: it prepares the exchange.
    """
    from torch.nn.parallel import DistributedDataParallel

    if not isinstance(model, DistributedDataParallel):
        return answer_loss(model, batch)
    inner = model.module
    usual = inner.forward
    inner.forward = lambda **given: answer_loss(inner, given)
    try:
        loss: Tensor = model(**batch)
    finally:
        inner.forward = usual
    return loss


def can_bundle(model: Any, rows: Sequence[TokenRow], collator: Collator, overlap: int) -> bool:
    """Tell whether bundled rows have the losses of the same rows alone, by trying on one note."""
    import torch

    by_note: dict[str, list[TokenRow]] = {}
    for row in rows:
        by_note.setdefault(row.note, []).append(row)
    several = [g[:3] for g in by_note.values() if len(g) > 1 and common(g) >= max(overlap, 1)]
    if not several:
        return False
    weight = model.get_input_embeddings().weight

    def loss(bundles: Sequence[Bundle]) -> float:
        batch = collator([as_row(b) for b in bundles])
        return float(answer_loss(model, on(batch, weight.device)))

    was_training = model.training
    model.eval()
    with torch.no_grad():
        one, other = loss([alone(r) for r in several[0]]), loss([bundled(several[0], overlap)])
    model.train(was_training)
    return close_enough(one, other, weight.dtype)


def close_enough(one: float, other: float, dtype: object) -> bool:
    """Return whether two losses differ by no more than the rounding of a precision."""
    close = _SAME_LOSS.get(str(dtype).removeprefix("torch."), 1e-2)
    return abs(one - other) <= close * max(abs(one), 1.0)


def on(batch: dict[str, Any], device: Any) -> dict[str, Any]:
    """Return a batch whose tensors lie on ``device``."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: moved(v) for k, v in value.items()}
        return value.to(device) if hasattr(value, "to") else value

    return {name: moved(value) for name, value in batch.items()}


def as_row(bundle: Bundle) -> dict[str, Any]:
    """Return a bundle as a row of the trainer's data set."""
    return {
        "input_ids": bundle.ids,
        "labels": bundle.labels,
        "positions": bundle.positions,
        "segments": bundle.segments,
        "row_tokens": bundle.row_tokens,
    }


class _Order:
    """A sampler that knows from the trainer's state which epoch it is."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._lengths = [len(ids) for ids in trainer.train_dataset["input_ids"]]

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        args = self._trainer.args
        batch = args.train_batch_size * args.gradient_accumulation_steps
        epoch = self._trainer.state.global_step // -(-len(self._lengths) // batch)
        return iter(order(self._lengths, batch, args.seed, epoch))


def dealt(trainer: Any) -> Any:
    """Return the batches of this process among several."""
    size = trainer.args.train_batch_size
    batches = shards.Dealt(_Order(trainer), size, ranks.rank(), ranks.world())
    return shards.loader(trainer.train_dataset, trainer.data_collator, batches)


def evaluated(trainer: Any) -> dict[str, float]:
    """Return the mean loss of the rows aside, as the trainer's own loop has it in one process.

    The trainer's division among several would fill up the last batch with other rows.
    """
    trainer.model.eval()
    rows, size = trainer.eval_dataset, trainer.args.eval_batch_size
    whole = shards.Dealt(range(len(rows)), size, 0, 1)
    summed = 0.0
    for batch in shards.loader(rows, trainer.data_collator, whole):
        loss, _, _ = trainer.prediction_step(trainer.model, batch, prediction_loss_only=True)
        summed += len(batch["labels"]) * float(loss)
    metrics = {"eval_loss": summed / len(rows)}
    trainer.log(metrics)
    heard = trainer.callback_handler
    trainer.control = heard.on_evaluate(trainer.args, trainer.state, trainer.control, metrics)
    return metrics


def make_trainer(bf16: bool, room: Room, **given: Any) -> Any:
    """Return a trainer of TRL that reads bundles.

    Args:
        bf16: Whether products are computed in bfloat16.
        room: Where checkpoints are written, as long as there is room.
        **given: What ``trl.SFTTrainer`` takes.
    """
    import torch
    from trl.trainer.sft_trainer import SFTTrainer

    class Trainer(SFTTrainer):  # type: ignore[misc, unused-ignore]
        """Counts the tokens of the rows, and computes the loss of the answers only."""

        row_tokens = 0

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            """Return the order of each epoch, whichever step the training begins at."""
            return _Order(self)

        def get_train_dataloader(self) -> Any:
            """Return the batches of this process; of several, the same steps as one would make."""
            if ranks.world() == 1:
                return super().get_train_dataloader()
            return dealt(self)

        def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
            """Return the loss of the rows aside; of several processes each computes all of it."""
            one = ranks.world() == 1
            found: dict[str, float] = super().evaluate(*args, **kwargs) if one else evaluated(self)
            return found

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            """Write a checkpoint, if there is room."""
            usual: Any = super()._save_checkpoint
            room.save(self, lambda: usual(model, trial))

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            """Return the mean loss per answer token."""
            batch = dict(inputs)
            count = batch.pop("row_tokens")
            if model.training:
                self.row_tokens += int(count)
            if own_scale(self.model):
                whole: Any = super()
                return whole.compute_loss(model, batch, return_outputs, num_items_in_batch)
            with torch.autocast(self.args.device.type, dtype=torch.bfloat16, enabled=bf16):
                total = shared_loss(model, batch)
            if num_items_in_batch is None:
                return total / (batch["labels"][:, 1:] != IGNORED).sum()
            # The tokens of all processes are counted, and the mean of their gradients is taken.
            return total * ranks.world() / num_items_in_batch

    return Trainer(**given)
