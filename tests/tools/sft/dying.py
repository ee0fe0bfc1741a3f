# ruff: noqa: TID253  (training is what it is about)
"""A training that is killed at a named moment of a step; started by the tests of this folder."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from preceptor.tools.sft import train
from preceptor.tools.sft.place import Place


def killer(moment: str, step: int) -> TrainerCallback:
    """Return a callback that kills this process when ``moment`` comes after ``step``."""

    class Killer(TrainerCallback):
        pass

    def kill(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Killer, moment, kill)
    return Killer()


if __name__ == "__main__":
    folder, moment, step = sys.argv[1:]
    train.run(Place.read(Path(folder)), [killer(moment, int(step))])
