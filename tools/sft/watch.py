"""What happens beside training: events, checkpoints, limits, stopping.

Owns the callback. It ends training at the time limit, at a cancel file, at a loss that is no number
and after epochs without gain; it declares checkpoints whole. A training entry point: it imports torch.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preceptor.tools.sft import checkpoints, ranks
from preceptor.tools.sft.events import Writer
from preceptor.tools.sft.job import CANCEL, Failed, Job

if TYPE_CHECKING:
    from transformers import TrainerCallback


CHECKPOINTING = 0.025
"""The part of a training that checkpoints beside those of whole epochs may take."""


@dataclass
class Clock:
    """How long and how much was trained, over all processes of a job.

    Attributes:
        before: Seconds of earlier processes, up to the checkpoint that this one goes on from.
        tokens_before: Tokens likewise.
        began: When this one began, None if it has not.
        until: When it has to stop, None for no such moment.
        why: What ended training early: ``time``, ``patience`` or ``cancelled``.
    """

    before: float = 0.0
    tokens_before: int = 0
    began: float | None = None
    until: float | None = None
    why: str = ""
    saved: float = field(default_factory=time.monotonic)

    @property
    def here(self) -> float:
        """Seconds of this process."""
        return time.monotonic() - self.began if self.began is not None else 0.0

    @property
    def seconds(self) -> float:
        """Seconds of all processes."""
        return self.before + self.here

    @property
    def is_up(self) -> bool:
        """Whether this process has used up what it was given, loading included."""
        return self.until is not None and time.monotonic() > self.until


def memory_mb() -> int:
    """Return the most memory that this process has held, of the GPU where there is one."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() // 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def logged(history: list[dict[str, float]], name: str) -> list[float]:
    """Return what each step of a trainer's log says of ``name``."""
    return [entry[name] for entry in history if name in entry and "loss" in entry]


def validation(history: list[dict[str, float]], name: str = "eval_miss") -> list[tuple[int, float]]:
    """Return (step, value on the patients left aside) from a trainer's log."""
    return [(int(e["step"]), e[name]) for e in history if name in e]


def best_of(found: list[tuple[int, float]]) -> int | None:
    """Return the step of the lowest value, the first of several; None if there is none."""
    return min(found, key=lambda v: v[1])[0] if found else None


def out_of_patience(found: list[tuple[int, float]], patience: int) -> bool:
    """Tell whether the last ``patience`` values are none better than the best before them."""
    values = [loss for _, loss in found]
    return 0 < patience < len(values) and min(values[-patience:]) >= min(values[:-patience])


def is_epoch(args: Any, state: Any) -> bool:
    """Tell whether a step is the last one of an epoch."""
    return int(state.global_step) % (int(state.max_steps) // int(args.num_train_epochs)) == 0


_WISHES = ("", "save", "time", "cancelled")
"""What may follow a step; of several processes, the first one's wish goes."""


def between(least: float, took: float) -> float:
    """Return the seconds between checkpoints that take ``took`` each; 0: one after each step."""
    return max(least, took / CHECKPOINTING) if least else 0.0


class Watch:
    """The callback's methods, without transformers' base class.

    Args:
        job: The job.
        folder: Its folder.
        clock: Is kept going.
        say: Where events go.
        counted: Returns the tokens that were read; all processes have to ask.
    """

    def __init__(
        self, job: Job, folder: Path, clock: Clock, say: Writer, counted: Callable[[], int]
    ) -> None:
        self._job, self._folder, self._clock = job, folder, clock
        self._say, self._counted = say, counted
        self._first = 0
        self._asked = 0.0
        self._between = job.limits.checkpoint_seconds

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self._clock.began = self._clock.saved = time.monotonic()
        self._first = state.global_step

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Write an event; refuse a loss that is no number."""
        logs = more.get("logs") or {}
        for name in ("loss", "decision_loss", "eval_loss"):
            if name in logs and not math.isfinite(logs[name]):
                raise Failed(
                    f"the {name.replace('_', ' ')} is no number at step {state.global_step}",
                    "use a lower rate, or another base model",
                    "nan",
                )
        if "loss" not in logs:
            return
        done, total, here = state.global_step, state.max_steps, self._clock.here
        counted = self._counted()
        self._say.step(
            step=done,
            of=total,
            loss=round(logs["loss"], 5),
            decision_loss=round(logs.get("decision_loss", 0.0), 5),
            frame_loss=round(logs.get("frame_loss", 0.0), 5),
            tokens_per_second=round(counted / max(here, 1e-9)),
            eta=round(here / max(done - self._first, 1) * (total - done), 1),
            memory_mb=memory_mb(),
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop where somebody or the limit says so; save where it is time to."""
        wish = _WISHES[ranks.agreed(_WISHES.index(self._wish(state)))]
        if wish in ("cancelled", "time"):
            self._clock.why = wish
            control.should_training_stop = True
        # After an epoch's last step it is saved once it is validated: a checkpoint without that
        # validation would never get it, and another step might seem the best.
        if wish and not is_epoch(args, state):
            control.should_save = True
            self._asked = time.monotonic()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Validate, and save again, whole epochs only: a stop in the middle of one ends it, too.

        Where training is stopped by chance must not decide which step is the best.
        """
        if not is_epoch(args, state):
            control.should_evaluate = control.should_save = False

    def _wish(self, state: Any) -> str:
        """Return what this process would do after a step: go on, save, or stop and why."""
        clock, limits = self._clock, self._job.limits
        if (self._folder / CANCEL).exists():
            return "cancelled"
        late = clock.is_up or clock.seconds > limits.seconds
        if late and state.global_step < state.max_steps:
            return "time"
        return "save" if time.monotonic() - clock.saved > self._between else ""

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop when nothing was gained for a while."""
        found = validation(state.log_history)
        loss, score = (validation(state.log_history, n)[-1][1] for n in ("eval_loss", "eval_score"))
        self._say.say("validation", step=found[-1][0], loss=round(loss, 5), score=round(score, 5))
        if out_of_patience(found, self._job.hyper.patience) and state.global_step < state.max_steps:
            self._clock.why = self._clock.why or "patience"
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Declare the checkpoint whole, if there was room for it."""
        clock, counted = self._clock, self._counted()
        clock.saved = time.monotonic()
        if self._asked:
            took, self._asked = clock.saved - self._asked, 0.0
            self._between = between(self._job.limits.checkpoint_seconds, took)
        ranks.wait()  # All have written their part of it.
        at = checkpoints.at(Path(args.output_dir), state.global_step)
        if not at.is_dir():
            self._say.say("checkpoint_skipped", step=state.global_step)
            return
        if ranks.first():
            best = best_of(validation(state.log_history))
            tokens = clock.tokens_before + counted
            checkpoints.mark(at, self._job.fingerprint, clock.seconds, tokens, best)
        self._say.say("checkpoint", step=state.global_step)


def as_callback(watch: Watch) -> TrainerCallback:
    """Return what transformers calls: ``watch`` before its own base class."""
    from transformers import TrainerCallback

    class Callback(Watch, TrainerCallback):  # type: ignore[misc, unused-ignore]
        """Both."""

        def __init__(self) -> None:
            vars(self).update(vars(watch))

    return Callback()
