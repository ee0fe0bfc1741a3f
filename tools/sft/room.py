"""Room on the disk for what a training writes: its weights, and the checkpoints before.

Owns how much that is, what is refused before it starts, and how a disk that is full is recognised.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.tools.sft import base, checkpoints, ranks
from preceptor.tools.sft.job import Failed, Job

KEPT = 2
"""Checkpoints that are kept: the last one and the best; one more lies there while it is written."""
_MORE = 1.2
"""What is written may be larger than the weights by so much: names, shapes, the tokenizer."""
# The last is what writes the files of ``torch.save``.
_SAID = ("no space left", "quota exceeded", "inline_container")


@dataclass(frozen=True)
class Room:
    """What a training needs.

    Attributes:
        folder: The job's.
        weights: Bytes of what comes out.
        checkpoint: Bytes of a checkpoint: what is trained, Adam's two moments of each, and what else
            the model has if it is not kept apart.
    """

    folder: Path
    weights: int
    checkpoint: int

    @staticmethod
    def of(job: Job, folder: Path, stored: Path, model: Any) -> Room:
        """Return what a job needs.

        Args:
            job: The job.
            folder: Its folder.
            stored: The base model's, whose precision whole weights are written in.
            model: What is trained.
        """
        sizes = [(p.numel() * p.element_size(), p.requires_grad) for p in model.parameters()]
        trained = sum(size for size, is_trained in sizes if is_trained)
        own = trained if hasattr(model, "peft_config") else sum(size for size, _ in sizes)
        whole = base.model_bytes(stored) if job.kind == "merged" or job.merge else 0
        adapter = trained if job.kind == "lora" else 0
        return Room(folder, int((whole + adapter) * _MORE), int((own + 2 * trained) * _MORE))

    def check(self, held: int = 0) -> None:
        """Refuse to start what could not be written.

        Args:
            held: Bytes of checkpoints that are there already.

        Raises:
            Failed: If the disk has no room.
        """
        needed, free = self.weights + (KEPT + 1) * self.checkpoint - held, self._free()
        if free < needed:
            raise Failed(
                f"{_mib(needed)} MiB of disk are needed for weights and checkpoints, "
                f"{_mib(free)} are free",
                "make room, or train adapters without merging",
                "disk",
            )

    def has_checkpoint(self) -> bool:
        """Tell whether a checkpoint fits now, and the weights after it."""
        return self._free() >= self.checkpoint + self.weights

    def save(self, trainer: Any, write: Callable[[], None]) -> None:
        """Write a checkpoint; without room only one that is needed in the end is insisted on.

        After the last step the weights are at hand; before, those of the best step have to be kept.

        Args:
            trainer: What trains.
            write: Writes the checkpoint of its step.

        Raises:
            Failed: If there is no room for one that is needed.
        """
        from safetensors import SafetensorError

        state = trainer.state
        if ranks.agreed(self.has_checkpoint()):
            try:
                write()
                return
            except (OSError, RuntimeError, SafetensorError) as cause:
                if ranks.first():
                    at = checkpoints.at(Path(trainer.args.output_dir), state.global_step)
                    shutil.rmtree(at, ignore_errors=True)
                if ranks.world() > 1 or not is_full(cause):  # The others wait in the middle of it.
                    raise
        if state.best_global_step == state.global_step and not trainer.control.should_training_stop:
            raise self._full(int(state.global_step))

    def _full(self, step: int) -> Failed:
        return Failed(
            f"the disk is full: the checkpoint of step {step}, the best until now, needs "
            f"{_mib(self.checkpoint)} MiB beside {_mib(self.weights)} for the weights",
            "make room and start it again: it goes on from the checkpoint before",
            "disk",
        )

    def _free(self) -> int:
        return shutil.disk_usage(self.folder).free


def _mib(size: int) -> int:
    return -(-size // 2**20)


def is_full(error: BaseException) -> bool:
    """Tell whether an error of whatever library says that the disk is full."""
    known = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return known or any(words in str(error).lower() for words in _SAID)
