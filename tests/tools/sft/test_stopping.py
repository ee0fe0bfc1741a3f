# ruff: noqa: TID253  (training is what it is about)
"""Stopped and gone on with, a training comes to what it would have come to."""

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

from preceptor.tools.sft import data, train, watch
from preceptor.tools.sft.job import CANCEL, CHECKPOINTS, Failed, Hyper, Limits, Result
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


def test_a_best_checkpoint_that_is_damaged(whole: Result, tmp_path: Path) -> None:
    """What was trained after it is trained again; it would have no weights to keep in the end."""
    folder = made(tmp_path)
    first = whole.validation[0][0]
    with pytest.raises(Failed, match="cancelled"):
        train.run(Place.read(folder), [CancelAt(folder, first + 1)])
    (folder / CANCEL).unlink(missing_ok=True)
    weights = folder / CHECKPOINTS / f"checkpoint-{first}" / "adapter_model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    assert came_to(train.run(Place.read(folder))) == came_to(whole)


def test_a_best_checkpoint_that_is_damaged_meanwhile(tmp_path: Path) -> None:
    """The error names it, and starting again helps."""
    hyper = HYPER.model_copy(update={"method": "full", "rate": 1e-2, "patience": 1, "epochs": 20})
    rows = small.rows(corpus(20), fields=1)
    aside = {row.id for row in data.split(rows, hyper.validation, 0)[1]}
    # What is learned from the others is ever more wrong on the patients left aside.
    said = {True: "[999, 777, 555, 333]", False: '{"dry mouth": "unknown"}'}
    rows = [row.model_copy(update={"answer": said[row.id in aside]}) for row in rows]
    small.write(tmp_path, hyper, found=rows)

    class Damage(TrainerCallback):
        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            best = Path(args.output_dir) / f"checkpoint-{state.best_global_step}"
            (best / "training_args.bin").unlink()

    with pytest.raises(Failed, match=r"checkpoint-\d+', is damaged") as told:
        train.run(Place.read(tmp_path), [Damage()])
    assert "start it again" in told.value.hint
    result = train.run(Place.read(tmp_path))
    assert result.stopped == "patience"
    assert result.best_step < result.steps


def test_checkpoints_that_take_long_are_written_less_often() -> None:
    assert watch.between(60.0, 0.5) == 60.0
    assert watch.between(60.0, 5.0) == 200.0
    assert watch.between(0.0, 5.0) == 0.0  # Asked for after each step.
