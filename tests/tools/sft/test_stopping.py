"""A training that is stopped around a validation and gone on with comes to what it would have come to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="pip install preceptor[local]")

from transformers import TrainerCallback

from preceptor.tools.sft import train
from preceptor.tools.sft.job import CANCEL, Failed, Hyper, Limits, Result
from preceptor.tools.sft.place import Place
from tests.contracts.evidence import corpus
from tests.tools.sft import small

HYPER = Hyper(epochs=4, batch=8, validation=0.3, patience=2, share=False, rate=5e-3)
ROWS = small.rows(corpus(16), 2)
EVERY_STEP = Limits(checkpoint_seconds=0)
ROOT = Path(__file__).parents[3]


class CancelAt(TrainerCallback):
    """Asks a training to stop after a step."""

    def __init__(self, folder: Path, step: int) -> None:
        self.folder, self.step = folder, step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            (self.folder / CANCEL).touch()


def made(folder: Path) -> Path:
    small.write(folder, HYPER, EVERY_STEP, ROWS)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """What comes of it if nothing disturbs it."""
    return train.run(Place.read(made(tmp_path_factory.mktemp("whole"))))


def came_to(result: Result) -> dict[str, object]:
    return result.model_dump(exclude={"seconds", "memory_mb"})


@pytest.mark.parametrize("moment", ["on_epoch_end", "on_evaluate"])
@pytest.mark.timeout(600)  # a training process on a busy machine
def test_killed_before_or_after_the_validation_of_an_epoch(
    whole: Result, tmp_path: Path, moment: str
) -> None:
    folder = made(tmp_path)
    step = whole.validation[1][0]
    program = [sys.executable, "-m", "tests.tools.sft.dying", str(folder), moment, str(step)]
    search = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    ended = subprocess.run(
        program, env={**os.environ, "PYTHONPATH": search}, capture_output=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert came_to(train.run(Place.read(folder))) == came_to(whole)


@pytest.mark.parametrize("places", [(1, 2, 4), (2, 7)])
def test_cancelled_in_the_middle_of_an_epoch(
    whole: Result, tmp_path: Path, places: tuple[int, ...]
) -> None:
    folder = made(tmp_path)
    for step in places:
        with pytest.raises(Failed, match="cancelled"):
            train.run(Place.read(folder), [CancelAt(folder, step)])
        (folder / CANCEL).unlink(missing_ok=True)
    assert came_to(train.run(Place.read(folder))) == came_to(whole)
