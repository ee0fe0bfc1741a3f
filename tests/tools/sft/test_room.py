# ruff: noqa: TID253  (training is what it is about)
"""A disk that is full: what is refused before, and what a training does without."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("trl", reason="pip install preceptor[local]")

import torch
from safetensors import SafetensorError
from transformers import TrainerCallback

from preceptor.tools.sft import base, train
from preceptor.tools.sft.job import (
    ADAPTER,
    CHECKPOINTS,
    FAILURE,
    Failed,
    Failure,
    Hyper,
    Limits,
    Result,
)
from preceptor.tools.sft.place import Place
from preceptor.tools.sft.room import is_full
from tests.contracts.evidence import corpus
from tests.tools.sft import small

HYPER = Hyper(epochs=3, batch=8, validation=0.3, patience=0, share=False, rate=5e-3)
ROWS = small.rows(corpus(16), 2)
TORCH_SAYS = (
    "[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file data/9"
)


class Usage(NamedTuple):
    free: int


class Step(TrainerCallback):
    """Knows which step a training is at."""

    now = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.now = state.global_step


def made(folder: Path, hyper: Hyper = HYPER, limits: Limits | None = None) -> Path:
    small.write(folder, hyper, limits, ROWS)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """What comes of it with room enough."""
    return train.run(Place.read(made(tmp_path_factory.mktemp("whole"))))


def failure(folder: Path) -> Failure:
    return Failure.from_json((folder / FAILURE).read_bytes())


def events(folder: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (folder / "events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_checkpoints_are_reckoned_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    """One holds what is trained three times: itself and Adam's two moments."""
    made(tmp_path, HYPER.model_copy(update={"method": method}))
    sizes: list[int] = []

    class Saved(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            at = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            sizes.append(sum(p.stat().st_size for p in at.iterdir()))

    train.run(
        Place.read(made(tmp_path / "done", HYPER.model_copy(update={"method": method}))), [Saved()]
    )
    if method == "full":
        assert sizes[0] > 3 * base.model_bytes(small.model())
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(2 * sizes[0]))
    with pytest.raises(Failed, match="MiB of disk are needed for weights and checkpoints"):
        train.run(Place.read(tmp_path))
    assert failure(tmp_path).kind == "disk"


def test_a_last_checkpoint_without_room_is_done_without(
    whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step()
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**12 if step.now < whole.steps else 10))
    result = train.run(Place.read(made(tmp_path)), [step])
    assert (result.adapter, result.validation) == (whole.adapter, whole.validation)
    assert events(tmp_path).count("checkpoint_skipped") == 1


def failing(usual: Callable[..., None], step: Step, at: int) -> Callable[..., None]:
    """Return ``torch.save`` on a disk that gets full at a step."""

    def save(what: Any, file: Any, *more: Any, **named: Any) -> None:
        if step.now == at:
            Path(file).write_bytes(b"torn")
            raise RuntimeError(TORCH_SAYS)
        usual(what, file, *more, **named)

    return save


def test_a_disk_that_is_full_at_the_last_checkpoint(
    whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step()
    monkeypatch.setattr(torch, "save", failing(torch.save, step, whole.steps))
    result = train.run(Place.read(made(tmp_path)), [step])
    assert result.adapter == whole.adapter
    assert "checkpoint_skipped" in events(tmp_path)


def test_a_disk_that_is_full_at_a_checkpoint_that_is_needed(
    whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing torn is left; with room it goes on, to the same weights."""
    made(tmp_path)
    step, first = Step(), whole.validation[0][0]
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", failing(torch.save, step, first))
        with pytest.raises(Failed, match=f"the checkpoint of step {first}, the best until now"):
            train.run(Place.read(tmp_path), [step])
    assert failure(tmp_path).kind == "disk"
    assert not list((tmp_path / CHECKPOINTS).glob("checkpoint-*"))
    assert train.run(Place.read(tmp_path)).adapter == whole.adapter


def test_weights_that_are_torn_make_room_for_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)

    def torn(model: Any, job: Any, folder: Path, stored: str) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"torn")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(train, "save", torn)
    with pytest.raises(Failed, match="No space left"):
        train.run(Place.read(tmp_path))
    assert (failure(tmp_path).kind, failure(tmp_path).hint) == ("disk", "make room and start it again")
    assert not (tmp_path / ADAPTER).exists()
    assert list((tmp_path / CHECKPOINTS).glob("checkpoint-*/complete.json"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_how_a_full_disk_is_said() -> None:
    with pytest.raises(RuntimeError) as told:
        torch.save(torch.zeros(10**6), "/dev/full")
    assert is_full(told.value)
    assert is_full(
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    )
    assert not is_full(torch.OutOfMemoryError("CUDA out of memory"))
