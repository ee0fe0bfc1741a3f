"""After a kill the embedded student's resumed run is the run that was never killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from preceptor import nano
from preceptor.core.trace import committed, read
from preceptor.graphs import refine

pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not (nano.path() / "model.safetensors").exists(), reason="no weights are shipped"
)


def child(folder: Path, *where: str) -> int:
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "tests.graphs.nano_child", str(folder), *where],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    ).returncode


def outcome(folder: Path) -> tuple[str, list[object]]:
    state, onward = refine.state_of(folder / "run")
    assert onward == ()
    return state["incumbent"], list(committed(read(folder / "run" / "trace.jsonl")))


@pytest.mark.slow
def test_killed_and_resumed(tmp_path: Path) -> None:
    assert child(tmp_path / "whole") == 0
    whole = outcome(tmp_path / "whole")
    killed = tmp_path / "killed"
    for where in ("inside:40", "after:baseline", "before:evaluate", "after:judge"):
        assert child(killed, where) == -9, where
    assert child(killed) == 0
    assert outcome(killed) == whole
