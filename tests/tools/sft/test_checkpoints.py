"""A checkpoint counts once it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.tools.sft import checkpoints

JOB = "a job"


def make(root: Path, step: int, whole: bool = True, best: int | None = None) -> Path:
    folder = root / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"w" * step)
    (folder / "state").write_bytes(b"s")
    if whole:
        checkpoints.mark(folder, JOB, seconds=step / 2, tokens=10 * step, best=best)
    return folder


def test_the_last_whole_one_wins(tmp_path: Path) -> None:
    assert checkpoints.last(tmp_path, JOB) is None
    make(tmp_path, 2)
    ninth = make(tmp_path, 9)
    make(tmp_path, 10, whole=False)
    found = checkpoints.last(tmp_path, JOB)
    assert found is not None
    assert found[0] == ninth
    assert (found[1].seconds, found[1].tokens) == (4.5, 90)


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "marker"])
def test_a_damaged_one_does_not_count(tmp_path: Path, damage: str) -> None:
    folder = make(tmp_path, 3)
    if damage == "cut":
        (folder / "weights").write_bytes(b"ww")
    elif damage == "changed":
        (folder / "weights").write_bytes(b"wwx")
    elif damage == "missing":
        (folder / "state").unlink()
    else:
        (folder / checkpoints.MARKER).write_bytes(b'{"files"')
    assert checkpoints.last(tmp_path, JOB) is None


def test_one_of_another_job_does_not_count(tmp_path: Path) -> None:
    make(tmp_path, 3)
    assert checkpoints.last(tmp_path, "another job") is None


def test_one_whose_best_step_is_damaged_does_not_count(tmp_path: Path) -> None:
    """A training would go on from it to its end, and then have no weights to keep."""
    make(tmp_path, 2)
    best = make(tmp_path, 4, best=4)
    make(tmp_path, 9, best=4)
    found = checkpoints.last(tmp_path, JOB)
    assert found is not None
    assert (found[0].name, found[1].best) == ("checkpoint-9", 4)
    (best / "weights").write_bytes(b"other")
    found = checkpoints.last(tmp_path, JOB)
    assert found is not None
    assert found[0].name == "checkpoint-2"
    assert checkpoints.drop_after(tmp_path, found[0]) == ["checkpoint-9", "checkpoint-4"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]
