"""A checkpoint counts once it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.tools.sft import checkpoints


def make(root: Path, step: int, whole: bool = True) -> Path:
    folder = root / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"w" * step)
    (folder / "state").write_bytes(b"s")
    if whole:
        checkpoints.mark(folder, seconds=step / 2, tokens=10 * step)
    return folder


def test_the_last_whole_one_wins(tmp_path: Path) -> None:
    assert checkpoints.last(tmp_path) is None
    make(tmp_path, 2)
    ninth = make(tmp_path, 9)
    make(tmp_path, 10, whole=False)
    found = checkpoints.last(tmp_path)
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
    assert checkpoints.last(tmp_path) is None
