"""Weights that were damaged or lost: made anew of the job's own copy, or trained again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="pip install preceptor[local]")

from preceptor.tools.sft import base, train
from preceptor.tools.sft.job import ADAPTER, DATA, Hyper, Job, Paths, Result
from preceptor.tools.sft.place import Place
from preceptor.tools.sft.runner import Runner
from tests.tools.sft import small

WEIGHTS = "adapter_model.safetensors"
QUICK = Hyper(epochs=1, batch=16, validation=0, patience=0, share=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Result]:
    """A job that was trained, and its weights where they are looked for."""
    runner = Runner(root)
    folder = tmp_path_factory.getbasetemp() / "finished"
    job = small.write(folder, QUICK)
    train.run(Place.read(folder))  # the first test trains, the others find it
    shutil.copytree(folder, runner.folder(job))
    result = runner.result(job)
    assert result is not None
    return job, result


def damage(folder: Path) -> None:
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (folder / WEIGHTS).write_bytes(weights)


def run(root: Path, job: Job, python: str = "") -> Result:
    runner = Runner(root, python=python) if python else Runner(root)
    rows = (runner.folder(job) / DATA).read_bytes()
    return runner.run(job, rows, Paths(base=str(small.model())))


@pytest.mark.parametrize("what", ["changed", "cut", "note", "gone"])
def test_damaged_weights_are_made_anew(root: Path, finished: tuple[Job, Result], what: str) -> None:
    job, result = finished
    at = base.adapter_folder(root, result.adapter)
    own = Runner(root).folder(job) / ADAPTER
    assert (at / WEIGHTS).stat().st_ino != (own / WEIGHTS).stat().st_ino
    if what == "changed":
        damage(at)
    elif what == "cut":
        (at / WEIGHTS).write_bytes(b"")
    elif what == "note":
        (at / base.ABOUT).unlink()
    else:
        shutil.rmtree(at)
    assert run(root, job, "/nonsense") == result
    assert base.read_about(at).adapter == result.adapter
    assert base.file_hashes(at) == result.files
    assert [path.name for path in at.parent.iterdir()] == [at.name]


def test_a_damaged_copy_of_the_job_harms_nobody(root: Path, finished: tuple[Job, Result]) -> None:
    job, result = finished
    damage(Runner(root).folder(job) / ADAPTER)
    assert Runner(root).result(job) == result


@pytest.mark.timeout(600)  # a training process on a busy machine
@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_with_both_copies_lost_it_is_trained_again(
    root: Path, finished: tuple[Job, Result], how: str
) -> None:
    job, result = finished
    runner = Runner(root)
    for folder in (base.adapter_folder(root, result.adapter), runner.folder(job) / ADAPTER):
        damage(folder) if how == "damaged" else shutil.rmtree(folder)
    assert runner.result(job) is None
    assert run(root, job).adapter == result.adapter
    assert base.read_about(base.adapter_folder(root, result.adapter)).adapter == result.adapter


def test_by_hand_too(tmp_path: Path) -> None:
    small.write(tmp_path, QUICK)
    first = train.run(Place.read(tmp_path))
    damage(tmp_path / ADAPTER)
    assert train.run(Place.read(tmp_path)).adapter == first.adapter
    assert base.read_about(tmp_path / ADAPTER).adapter == first.adapter
