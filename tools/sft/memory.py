"""Memory for a training: what it takes, what is there, and what would fit instead.

Owns the estimate that is made before anything is loaded. Whole weights are trained in 32 bits: each has
a gradient and Adam's two moments beside it, 16 bytes in all (Rajbhandari et al., ZeRO, SC 2020, 3.1
counts the same for mixed precision); adapters add little to the weights themselves. What passes through
the model at once comes on top; memory that runs out there is met by smaller parts (``train.attempt``).
"""

from __future__ import annotations

import struct
from pathlib import Path

from preceptor.core import model_folder
from preceptor.core.reading import loads
from preceptor.tools.sft.job import Failed, Job, Method

FULL, COPY, ADAPTERS, HALF, QUARTER = 16, 4, 4.5, 2.3, 0.8
"""Bytes per weight of the model: all are trained; a copy to go back to; adapters over 32 bits, over 16,
over 4."""

_PASSING = 2**29
"""Bytes for what passes through the model, libraries and all."""


def parameters(folder: Path) -> int:
    """Return how many weights a folder holds, 0 if its files do not say."""
    total = 0
    for path in model_folder.files(folder):
        try:
            with path.open("rb") as stream:
                (size,) = struct.unpack("<Q", stream.read(8))
                head = loads(stream.read(min(size, path.stat().st_size)))
        except (OSError, ValueError, struct.error):
            return 0
        for name, tensor in head.items():
            if name != "__metadata__":
                count = 1
                for length in tensor["shape"]:
                    count *= length
                total += count
    return total


def needed(method: Method, weights: int, *, probe: bool = False, gpu: bool = False) -> int:
    """Return how many bytes a training of a model of so many weights takes."""
    adapters = QUARTER if method == "qlora" else HALF if gpu else ADAPTERS
    each = FULL + COPY * probe if method == "full" else adapters
    return int(each * weights) + _PASSING


def check(job: Job, folder: Path, there: int | None, *, gpu: bool = False) -> None:
    """Refuse a training for which there is too little memory.

    Args:
        job: The job.
        folder: The base model's.
        there: The bytes that are free; nothing is refused if nobody knows.
        gpu: Whether they are a GPU's.

    Raises:
        Failed: Saying what would fit.
    """
    weights = parameters(folder)
    takes = needed(job.hyper.method, weights, probe=job.hyper.probe, gpu=gpu)
    if there is None or not weights or takes <= there:
        return
    what = "all weights" if job.hyper.method == "full" else "adapters"
    less = needed("lora", weights, gpu=gpu)
    hint = f"method 'lora' takes about {_gib(less)}" if less <= there else "take a smaller model"
    if less >= takes and job.hyper.method == "full":
        hint = "take a smaller model"
    raise Failed(
        f"training {what} of {job.base.spec!r} takes about {_gib(takes)} of memory, "
        f"{_gib(there)} are free",
        hint,
        "out_of_memory",
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
