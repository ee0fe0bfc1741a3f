"""Several processes of one training: which of them this is, and what they agree on.

Owns the questions that have another answer where ``accelerate launch`` has started several: the first
process alone holds the locks, writes events, checkpoints and results, and decides when to stop; the
others follow. With one process every answer is trivial and nothing is sent. A training entry point: it
imports torch.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from preceptor.tools.sft.job import Failed


def rank() -> int:
    """Return the place of this process among all, from 0."""
    return int(os.environ.get("RANK", "0")) if world() > 1 else 0


def world() -> int:
    """Return how many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def local() -> int:
    """Return the place of this process on its machine: the number of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0")) if world() > 1 else 0


def first() -> bool:
    """Return whether this process is the one that writes and decides."""
    return rank() == 0


def _meeting(**how: bool) -> Any:
    """Return what accelerate knows of this process; the first call meets the others."""
    from accelerate import PartialState  # type: ignore[import-untyped]

    return PartialState(**how)


def join() -> None:
    """Meet the other processes, over NCCL where there are GPUs and over gloo where there are none.

    Raises:
        Failed: If there are fewer GPUs than processes.
    """
    if world() == 1:
        return
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus and local() >= gpus:
        raise Failed(
            f"there are {gpus} GPUs for {os.environ.get('LOCAL_WORLD_SIZE', world())} processes",
            "start as many processes as there are GPUs",
            "setup",
        )
    if not gpus:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    _meeting(cpu=not gpus)


def leave() -> None:
    """Part from the other processes."""
    if world() > 1:
        _meeting().destroy_process_group()


def end(code: int) -> None:
    """End this process at once, if it is one of several; return if it is alone.

    An orderly exit takes apart what the processes met with while threads of it may still run, which now
    and then aborts a process that has done all its work: its launcher would call the training failed.
    """
    if world() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait() -> None:
    """Go on once all processes are here."""
    if world() > 1:
        from torch import distributed

        distributed.barrier()


def agreed(value: int) -> int:
    """Return what the first process says; all have to ask."""
    if world() == 1:
        return value
    import torch
    from torch import distributed

    said = torch.tensor([value], device=_meeting().device)
    distributed.broadcast(said, src=0)
    return int(said.item())


def total(value: int) -> int:
    """Return the sum over all processes; all have to ask."""
    if world() == 1:
        return value
    import torch
    from torch import distributed

    summed = torch.tensor([value], device=_meeting().device)
    distributed.all_reduce(summed)
    return int(summed.item())
