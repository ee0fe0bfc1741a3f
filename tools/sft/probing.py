"""A short training at each of some rates before the real one, and how many epochs fit into its time.

Owns the plan of a training. A rate that is far too low learns nothing in the time that there is, one
that is too high ruins the model, and what is right depends on the model, its data and the method. So
some batches are learned at a third of the usual rate, at the usual one and at three times as much, each
time from the same weights; another rate is taken if the loss of the tokens that decide is clearly
lower. Every batch is measured before it is learned, so that nothing has to be kept aside for it. A
cosine that is cut off by the time limit leaves the weights at a high rate: so epochs are left out that
would not fit. A training entry point: it imports torch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from preceptor.core.files import write_whole
from preceptor.core.record import Record
from preceptor.tools.sft.bundles import order
from preceptor.tools.sft.losses import Tally, found
from preceptor.tools.sft.trainer import on, weight_of

PLAN = "plan.json"
FACTORS = (1 / 3, 1.0, 3.0)
"""What the usual rate is multiplied with."""

SHARE = 0.15
"""The part of a training's time that all short trainings may take together."""

CLEARLY = 0.95
"""Another rate than the usual one has to come below this part of its loss: over so few steps a lower
rate looks better than it is, because a higher one has not come down yet."""

FEWEST, MOST = 12, 40
"""Steps at each rate; with less time than for the fewest, the usual rate is taken."""

ROOM = 0.9
"""The part of the time that is planned with: steps are not all equally long."""


class Plan(Record):
    """How a training is done; kept in the job's folder, so that a resumed one goes on with it.

    Attributes:
        rate: The highest learning rate.
        epochs: Passes over the rows.
        tried: (rate, loss of the tokens that decide) of the short trainings, none if there were none.
        seconds: What they took.
    """

    rate: float
    epochs: int
    tried: tuple[tuple[float, float], ...] = ()
    seconds: float = 0.0


def best(tried: Sequence[tuple[float, float]], usual: float) -> float:
    """Return the rate of the lowest loss if that is clearly below the usual one's, else the latter."""
    losses = dict(tried)
    rate = min(losses, key=losses.__getitem__, default=usual)
    found = losses.get(rate, math.inf)
    return rate if found < math.inf and found <= CLEARLY * losses[usual] else usual


def read(folder: Path) -> Plan | None:
    """Return the plan in a job's folder, None if there is none yet."""
    try:
        return Plan.from_json((folder / PLAN).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None


def write(folder: Path, plan: Plan) -> Plan:
    """Keep a plan in a job's folder."""
    write_whole(folder / PLAN, plan.to_json().encode())
    return plan


@dataclass(frozen=True)
class Probe:
    """What short trainings are made with.

    Attributes:
        model: What is trained; its weights are what they were, afterwards.
        rows: The trainer's data set.
        collate: Makes a batch of some of them.
        batch: How many at once.
        frame: What a forced token weighs.
        bf16: Whether products are computed in bfloat16.
        seed: Of the order.
    """

    model: Any
    rows: Any
    collate: Any
    batch: int
    frame: float
    bf16: bool
    seed: int

    def plan(self, usual: float, epochs: int, seconds: float) -> Plan:
        """Return the best rate, and how many epochs fit.

        Args:
            usual: The rate to look around.
            epochs: The most passes over the rows.
            seconds: What the training may take.
        """
        began = time.monotonic()
        batches = self._batches()
        each = self._seconds_per_step(batches[0], usual)
        whole = min(seconds, each * len(batches) * epochs)
        steps = min(int(SHARE * whole / (len(FACTORS) * each)), MOST, len(batches))
        tried = []
        if steps >= FEWEST:
            tried = [(r, self._loss(batches[:steps], r)) for r in (f * usual for f in FACTORS)]
        rate = best(tried, usual)
        took = time.monotonic() - began
        fitting = int(ROOM * (seconds - took) / (each * len(batches)))
        return Plan(
            rate=rate,
            epochs=max(1, min(epochs, fitting)),
            tried=tuple((rate, round(loss, 4)) for rate, loss in tried),
            seconds=round(took, 3),
        )

    def _batches(self) -> list[list[int]]:
        lengths = [len(ids) for ids in self.rows["input_ids"]]
        places = order(lengths, self.batch, self.seed, 0)
        return [places[at : at + self.batch] for at in range(0, len(places), self.batch)]

    def _seconds_per_step(self, places: Sequence[int], rate: float) -> float:
        """Return what a step takes: the second of two, since the first one prepares things."""
        took = 0.0
        kept = self._weights()
        for _ in range(2):
            began = time.monotonic()
            self._loss([places], rate, kept)
            took = time.monotonic() - began
        # The first batch has the longest rows.
        lengths = [len(ids) for ids in self.rows["input_ids"]]
        longest = sum(lengths[i] for i in places) / len(places)
        return max(took * (sum(lengths) / len(lengths)) / longest, 1e-3)

    def _loss(
        self, batches: Sequence[Sequence[int]], rate: float, kept: list[Any] | None = None
    ) -> float:
        """Return the loss over the later half of some steps at a rate, each batch before it is learned.

        Args:
            batches: The places of their rows.
            rate: Reached after a tenth of the steps.
            kept: The weights as they were; copied now if not given.
        """
        import torch

        kept = kept or self._weights()
        learned = self._learned()
        optimiser = torch.optim.AdamW(learned, lr=rate, weight_decay=0.0, fused=True)
        rise = max(1, len(batches) // 10)
        was_training = self.model.training
        self.model.train()
        tally = Tally()
        for step, places in enumerate(batches):
            if 2 * step == len(batches) or 2 * step == len(batches) + 1:
                tally = Tally()
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1.0, (step + 1) / rise)
            self._step(places, tally)
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimiser.step()
            optimiser.zero_grad()
        self.model.train(was_training)
        with torch.no_grad():
            for weight, was in zip(learned, kept, strict=True):
                weight.copy_(was)
        loss = tally.means()["decision_loss"]
        return loss if loss == loss else float("inf")  # NaN: it has come apart

    def _step(self, places: Sequence[int], tally: Tally) -> None:
        """Add up the gradients of a batch, row by row: memory need not hold all at once."""
        import torch

        device = next(iter(self.model.parameters())).device
        parts = [self.collate([self.rows[i]]) for i in places]
        total = weight_of(parts, self.frame).to(device)
        for part in parts:
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.bf16):
                said = found(self.model, on(part, device))
            tally.add(said)
            torch.autograd.backward(said.mean(self.frame, total))

    def _learned(self) -> list[Any]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def _weights(self) -> list[Any]:
        return [p.detach().clone() for p in self._learned()]
