"""The loss of a training: answers' tokens alone meet the vocabulary, and those that decide weigh fully.

Owns how a batch is valued. TRL scores every position of a row over the whole vocabulary where it has no
GPU kernel, though only the answer's few tokens count: half of a small model's work. Here the answer's
positions alone go through the last layer. And of these most are forced by the schema (braces, names,
quotes): a mean over all of them hardly moves once the frame is learned, whatever became of the labels,
so that forced tokens weigh little (``Hyper.frame``). A training entry point: it imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from preceptor.tools.sft import ranks
from preceptor.tools.sft.bundles import FORCED, IGNORED

if TYPE_CHECKING:
    from torch import Tensor

_OWN_SCALES = ("logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")


def own_scale(model: Any) -> bool:
    """Tell whether a model scales its logits in a way of its own."""
    config = model.config.get_text_config()
    found = [getattr(config, name, None) for name in _OWN_SCALES]
    routed = bool(getattr(config, "output_router_logits", False))
    return routed or any(value is not None and value != 1 for value in found)


@dataclass(frozen=True)
class Found:
    """What a model says to the answers of a batch, one entry per token that is learned.

    Attributes:
        each: Their losses in nats, with gradients.
        marks: The question that each decides, ``FORCED`` if none.
        right: Whether it is the likeliest token.
    """

    each: Tensor
    marks: Tensor
    right: Tensor

    def mean(self, frame: float, total: Any = None) -> Tensor:
        """Return the mean loss by what tokens weigh.

        Args:
            frame: What a forced token weighs.
            total: What all tokens of the step weigh, those of other parts and processes, too; of these
                tokens alone if None.
        """
        weight = weights(self.marks, frame)
        summed = (self.each * weight).sum()
        if total is None:
            return summed / weight.sum()
        # The tokens of all processes are counted, and the mean of their gradients is taken.
        mean: Tensor = summed * ranks.world() / total
        return mean


def found(model: Any, batch: dict[str, Any]) -> Found:
    """Return the losses of a batch's answers."""
    from torch.nn import functional

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    labels = batch["labels"][:, 1:]
    given: dict[str, Any] = {
        k: batch[k] for k in ("input_ids", "attention_mask", "position_ids") if k in batch
    }
    asked = labels != IGNORED
    logits, wanted = _logits(inner, given, asked), labels[asked]
    each = functional.cross_entropy(logits, wanted, reduction="none")
    return Found(each, batch["marks"][:, 1:][asked], logits.detach().argmax(-1) == wanted)


def _logits(inner: Any, given: dict[str, Any], asked: Tensor) -> Tensor:
    """Return the logits at some positions, (n, vocabulary)."""
    if own_scale(inner):  # Only its own forward knows how.
        whole: Tensor = inner(**given, use_cache=False).logits
        return whole[:, :-1][asked].float()
    states = inner.base_model(**given, use_cache=False).last_hidden_state[:, :-1]
    logits: Tensor = inner.get_output_embeddings()(states[asked]).float()
    cap = getattr(inner.config.get_text_config(), "final_logit_softcapping", None)
    return cap * (logits / cap).tanh() if cap else logits


def answer_loss(model: Any, batch: dict[str, Any]) -> Tensor:
    """Return the summed loss of a batch's answers, all tokens alike."""
    return found(model, batch).each.sum()


def weights(marks: Tensor, frame: float) -> Tensor:
    """Return what each learned token weighs: 1 if it decides, ``frame`` if it is forced."""
    decides = (marks != FORCED).float()
    return decides + frame * (1 - decides)


def shared(model: Any, batch: dict[str, Any]) -> Found:
    """Return ``found``, through the wrapper that brings the gradients of processes together.

    Its own ``forward`` has to be called: it prepares the exchange.
    """
    from torch.nn.parallel import DistributedDataParallel

    if not isinstance(model, DistributedDataParallel):
        return found(model, batch)
    inner = model.module
    usual = inner.forward

    def forward(**given: Any) -> tuple[Tensor, Tensor, Tensor]:
        made = found(inner, given)
        return made.each, made.marks, made.right

    inner.forward = forward
    try:
        return Found(*model(**batch))
    finally:
        inner.forward = usual


@dataclass
class Tally:
    """Losses counted up, of tokens that decide and of forced ones; and which questions are wrong.

    Attributes:
        decisions: Summed loss of tokens that decide, and how many.
        frames: The same of forced ones.
        wrong: The questions of which some token was not the likeliest.
    """

    decisions: list[float] = field(default_factory=lambda: [0.0, 0.0])
    frames: list[float] = field(default_factory=lambda: [0.0, 0.0])
    wrong: set[int] = field(default_factory=set)

    def add(self, said: Found) -> None:
        """Count what was found."""
        each, decides = said.each.detach().float(), said.marks != FORCED
        for kept, chosen in ((self.decisions, decides), (self.frames, ~decides)):
            kept[0] += float(each[chosen].sum())
            kept[1] += float(chosen.sum())
        self.wrong.update(said.marks[decides & ~said.right].tolist())

    def means(self) -> dict[str, float]:
        """Return the mean losses per token, of what was counted, by name."""
        named = {"decision_loss": self.decisions, "frame_loss": self.frames}
        return {name: total / count for name, (total, count) in named.items() if count}
