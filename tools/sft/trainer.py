"""TRL's SFTTrainer with the loss of ``losses``, and batches of bundles.

Owns how a batch is read, what is logged of it, and how the rows aside are judged. A training entry
point: it imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preceptor.tools.sft import attention, ranks, shards
from preceptor.tools.sft.bundles import (
    FORCED,
    IGNORED,
    PADDING,
    Bundle,
    TokenRow,
    alone,
    bundled,
    common,
    order,
)
from preceptor.tools.sft.losses import Tally, answer_loss, found, own_scale, shared, weights
from preceptor.tools.sft.room import Room

if TYPE_CHECKING:
    from torch import Tensor

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
        """Return ids, labels, marks, positions, a mask, and how many tokens the rows have."""
        import torch

        size = max(len(row["input_ids"]) for row in rows)

        def filled(name: str, value: int) -> Tensor:
            return torch.tensor([[*row[name], *[value] * (size - len(row[name]))] for row in rows])

        batch: dict[str, Any] = {
            "input_ids": filled("input_ids", self.pad),
            "labels": filled("labels", IGNORED),
            "marks": filled("marks", FORCED),
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
    if config._attn_implementation not in ("sdpa", "eager", attention.NAME) or not set(kinds) <= {
        "full_attention",
        "conv",
    }:
        return None
    if own_scale(model) or (not kinds and getattr(config, "sliding_window", None)):
        return None
    convolutions = sum(kind == "conv" for kind in kinds)
    return int(convolutions * (int(getattr(config, "conv_L_cache", 1)) - 1))


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
        "marks": bundle.marks,
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


@dataclass(frozen=True)
class Aim:
    """What a training is after.

    Attributes:
        frame: What a forced token weighs in the loss.
        worth: What each question of the rows aside is worth when answered rightly; all the same if
            none is worth anything.
    """

    frame: float = 1.0
    worth: tuple[float, ...] = ()

    def score(self, wrong: Collection[int]) -> float:
        """Return the worth of what is right, in [0, 1]."""
        total = sum(self.worth)
        lost = sum(self.worth[i] for i in wrong) if total else float(len(wrong))
        return 1 - lost / (total or len(self.worth))


LOSS_COUNTS = 1e-3
"""How much of the loss counts beside the score: it tells apart what the score does not."""


def evaluated(trainer: Any, bf16: bool, aim: Aim) -> dict[str, float]:
    """Return how the rows aside are answered now.

    The trainer's division among several processes would fill up the last batch with other rows: here
    each computes all of it.

    Returns:
        ``eval_loss`` and ``eval_frame_loss``, in nats per token; ``eval_score``: the share of right
        answers by their worth, each token given those before it; ``eval_miss``: what is lowest at the
        best step.
    """
    import torch

    trainer.model.eval()
    rows, size = trainer.eval_dataset, trainer.args.eval_batch_size
    tally = Tally()
    for batch in shards.loader(rows, trainer.data_collator, shards.Dealt(range(len(rows)), size, 0, 1)):
        given = on(batch, trainer.args.device)
        with (
            torch.no_grad(),
            torch.autocast(trainer.args.device.type, dtype=torch.bfloat16, enabled=bf16),
        ):
            tally.add(found(trainer.model, given))
    means = tally.means()
    score, loss = aim.score(tally.wrong), means["decision_loss"]
    metrics = {
        "eval_loss": loss,
        "eval_frame_loss": means.get("frame_loss", 0.0),
        "eval_score": score,
        "eval_miss": 1 - score + LOSS_COUNTS * min(loss, 100.0),
    }
    trainer.log(metrics)
    heard = trainer.callback_handler
    trainer.control = heard.on_evaluate(trainer.args, trainer.state, trainer.control, metrics)
    return metrics


def weight_of(batches: Sequence[dict[str, Any]], frame: float) -> Tensor:
    """Return what all learned tokens of some batches weigh together."""
    import torch

    learned = [batch["marks"][:, 1:][batch["labels"][:, 1:] != IGNORED] for batch in batches]
    return torch.stack([weights(marks, frame).sum() for marks in learned]).sum()


class _Answers:
    """What a trainer of answers does in another way than TRL's; the latter stands behind it."""

    bf16: bool
    room: Room
    aim: Aim
    tally: Tally
    row_tokens = 0

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Return the order of each epoch, whichever step the training begins at."""
        return _Order(self)

    def get_train_dataloader(self) -> Any:
        """Return the batches of this process; of several, the same steps as one would make."""
        usual: Any = super()
        return usual.get_train_dataloader() if ranks.world() == 1 else dealt(self)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return how the rows aside are answered."""
        return evaluated(self, self.bf16, self.aim)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint, if there is room."""
        usual: Any = super()
        self.room.save(self, lambda: usual._save_checkpoint(model, trial))

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log the losses of tokens that decide and of forced ones; those of this process."""
        if "loss" in logs:
            logs |= self.tally.means()
            self.tally = Tally()
        usual: Any = super()
        usual.log(logs, *args, **kwargs)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> Any:
        """Return what all tokens of a step weigh together, over all processes."""
        usual: Any = super()
        if usual._get_num_items_in_batch(batch_samples, device) is None:
            return None
        total = weight_of(batch_samples, self.aim.frame).to(device)
        this: Any = self
        return this.accelerator.gather(total).sum()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the mean loss per answer token, by what tokens weigh."""
        import torch

        batch = dict(inputs)
        self.row_tokens += int(batch.pop("row_tokens"))
        device = batch["labels"].device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.bf16):
            said = shared(model, batch)
        self.tally.add(said)
        return said.mean(self.aim.frame, num_items_in_batch)


def make_trainer(bf16: bool, room: Room, aim: Aim, **given: Any) -> Any:
    """Return a trainer of TRL that reads bundles.

    Args:
        bf16: Whether products are computed in bfloat16.
        room: Where checkpoints are written, as long as there is room.
        aim: What counts.
        **given: What ``trl.SFTTrainer`` takes.
    """
    from trl.trainer.sft_trainer import SFTTrainer

    class Trainer(_Answers, SFTTrainer):  # type: ignore[misc, unused-ignore]
        """Both."""

    Trainer.bf16, Trainer.room, Trainer.aim, Trainer.tally = bf16, room, aim, Tally()
    return Trainer(**given)
