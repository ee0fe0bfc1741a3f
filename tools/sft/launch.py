"""How the training process is started: by itself, or as several processes by ``accelerate launch``.

Owns the command line, and which GPUs the process sees. What several processes do differently is in
``ranks``.
"""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from preceptor.core import machine
from preceptor.core.errors import InputError

Launcher = Literal["python", "accelerate"]
ENTRY = "preceptor.tools.sft.train"
PORTS = range(20_000, 32_768)


@dataclass(frozen=True)
class Launch:
    """A way to start a training.

    Attributes:
        launcher: ``python`` starts one process, ``accelerate`` one per GPU.
        processes: How many; None: as many as there are GPUs.
        threads: Of a CPU, in each process; None: what ``OMP_NUM_THREADS`` says, else all that this
            process may use. Losses differ by rounding only, so that it is no part of a job.

    Raises:
        InputError: If several processes are asked for without the launcher that starts them, or it is
            not installed.
    """

    launcher: Launcher = "python"
    processes: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be started."""
        if self.launcher == "python" and (self.processes or 1) > 1:
            raise InputError(
                f"{self.processes} training processes need a launcher", "--launcher accelerate"
            )
        if self.launcher == "accelerate" and find_spec("accelerate") is None:
            raise InputError("accelerate is not installed", "pip install 'preceptor[local]'")

    def environ(self) -> dict[str, str]:
        """Return what the environment of the process has beside ours."""
        threads = str(self.threads or usable_threads())
        said = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        return {**said, **(one_gpu() if self.launcher == "python" else {})}

    def command(self, python: str, job: Path | str) -> list[str]:
        """Return the command that trains the job in a file."""
        if self.launcher == "python":
            return [python, "-m", ENTRY, str(job)]
        # Its option --cpu would start one process only; ``ranks`` sees by itself that there is no GPU.
        many = (self.processes or 1) > 1
        several = ["--multi_gpu", "--main_process_port", str(free_port())] if many else []
        count = ["--num_processes", str(self.processes)] if self.processes else []
        how = [*several, *count, "--num_machines", "1", "--mixed_precision", "no"]
        return [python, "-m", "accelerate.commands.launch", *how, "-m", ENTRY, str(job)]


def usable_threads() -> int:
    """Return how many threads of a CPU to compute with: what the environment says, else all cores."""
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(said) if said.isdigit() and int(said) else machine.cores()


def free_port() -> int:
    """Return a port on which processes can meet.

    The processes take it seconds later, when they have loaded their libraries. It is none of those that
    the system hands out meanwhile to whoever connects (from 32,768 on), as accelerate's own choice is.
    """
    for port in random.sample(PORTS, 50):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    raise InputError("no port is free for the training's processes", "end other programs first")


def one_gpu() -> dict[str, str]:
    """Return the variable that shows a single process one GPU only: the first that it could see.

    Of several the trainer would make one model per GPU in the same process, with steps of another size.
    """
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    return {"CUDA_VISIBLE_DEVICES": seen.split(",")[0].strip()}
