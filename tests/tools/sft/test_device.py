"""Another training on this machine: named, and ended where its parent died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="pip install preceptor[local]")

from preceptor.core import lock
from preceptor.core.errors import InputError, Interrupted, StoreError
from preceptor.tools.sft import checkpoints, device, train
from preceptor.tools.sft.job import CANCEL, CHECKPOINTS, DATA, JOB, PATHS, Hyper, Job, Limits, Paths
from preceptor.tools.sft.runner import Runner
from tests.tools.sft import small
from tests.tools.sft.test_runner import EVERY_STEP, LONG, fake

ROOT = Path(__file__).parents[3]
ENV = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
HOLD = """
import os, sys, time
from pathlib import Path
from preceptor.core import lock
from preceptor.tools.sft import device
machine, job = Path(sys.argv[1]), Path(sys.argv[2])
parent, heeds = int(sys.argv[3]), sys.argv[4] == "heeds"
with lock.lock(machine), lock.lock(job):
    device.note(machine, job, parent)
    print("held", flush=True)
    while not (heeds and (job / "cancel").exists()):
        time.sleep(0.01)
"""
"""A training as far as anybody else can see; it stops when it is asked to, or does not."""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    (tmp_path / "machine").mkdir()
    return tmp_path / "machine"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The folder of the other job."""
    (tmp_path / "other").mkdir()
    return tmp_path / "other"


def holding(machine: Path, other: Path, parent: int, how: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(machine), str(other), str(parent), how],
        env=ENV, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def dead() -> int:
    """Return the number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def job(folder: Path, hyper: Hyper = LONG, limits: Limits = EVERY_STEP) -> tuple[Job, bytes, Paths]:
    made = small.write(folder, hyper, limits)
    return made, (folder / DATA).read_bytes(), Paths(base=str(small.model()))


@pytest.mark.parametrize("how", ["heeds", "does not"])
def test_an_orphan_of_another_job_is_ended(
    machine: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("preceptor.tools.sft.runner.SOON", 60.0 if how == "heeds" else 0.2)
    child = holding(machine, other, dead(), how)
    ours = fake(tmp_path, "import sys\nprint('it began')\nsys.exit(3)")
    with pytest.raises(InputError, match="it began"):
        Runner(tmp_path / "root", machine, python=ours).run(*job(tmp_path / "made"))
    assert child.wait() == (0 if how == "heeds" else -signal.SIGKILL)
    assert (other / CANCEL).exists()


@pytest.mark.timeout(600)  # a training process on a busy machine
def test_one_that_somebody_waits_for_is_named(
    machine: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = holding(machine, other, os.getpid(), "heeds")
    made = job(tmp_path / "made")
    with pytest.raises(StoreError) as told:
        Runner(tmp_path / "root", machine).run(*made)
    assert f"process {child.pid}, job {other}" in told.value.message
    assert f"touch {other / CANCEL}" in told.value.hint
    assert child.poll() is None
    said = Paths(base=str(small.model()), lock=str(machine))
    (tmp_path / "made" / PATHS).write_text(said.model_dump_json())
    assert train.main([str(tmp_path / "made")]) == 76
    assert f"process {child.pid}, job {other}" in capsys.readouterr().err
    (other / CANCEL).touch()
    assert child.wait() == 0


def test_an_old_note_names_nobody(machine: Path, other: Path) -> None:
    child = holding(machine, other, os.getpid(), "heeds")
    (other / CANCEL).touch()
    child.wait()
    assert device.occupant(machine) is None
    with lock.lock(machine):
        assert device.occupant(machine) is None
        assert "process" not in device.busy(machine).message


def test_an_orphan_that_was_adopted_is_not_ended(machine: Path, tmp_path: Path) -> None:
    """Its own runner waits for it; another job's finds that somebody does."""
    left, ours = job(tmp_path / "left"), Runner(tmp_path / "root", machine)
    folder = ours.folder(left[0])
    folder.mkdir(parents=True)
    child = holding(machine, folder, dead(), "heeds")
    other = Runner(tmp_path / "other", machine, python=fake(tmp_path, "import sys\nsys.exit(76)"))
    named: list[str] = []

    def cancel() -> bool:
        with pytest.raises(StoreError) as told:
            other.run(*job(tmp_path / "made", LONG.model_copy(update={"epochs": 1})))
        assert child.poll() is None
        named.append(told.value.message)
        return True

    with pytest.raises(Interrupted):
        ours.run(*left, cancel=cancel)
    assert f"process {child.pid}, job {folder}" in named[0]
    assert child.wait() == 0


PARENT = """
import sys
from pathlib import Path
from preceptor.tools.sft.job import DATA, JOB, PATHS, Job, Paths
from preceptor.tools.sft.runner import Runner
made, root, machine = map(Path, sys.argv[1:])
job = Job.from_json((made / JOB).read_bytes())
Runner(root, machine).run(job, (made / DATA).read_bytes(), Paths.from_json((made / PATHS).read_bytes()))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)  # training processes on a busy machine
def test_a_parent_that_was_killed(machine: Path, tmp_path: Path) -> None:
    """What it left behind makes way for another job, and is gone on with by its own."""
    left, runner = (
        job(tmp_path / "left", LONG.model_copy(update={"epochs": 20})),
        Runner(tmp_path / "root", machine),
    )
    folder = runner.folder(left[0])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "left"), str(runner.root), str(machine)], env=ENV
    )
    while checkpoints.last(folder / CHECKPOINTS, left[0].fingerprint) is None:
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    orphan = device.occupant(machine)
    assert orphan is not None
    assert (orphan.job, orphan.parent) == (str(folder.resolve()), parent.pid)
    short = Hyper(epochs=1, batch=16, validation=0, patience=0)
    assert runner.run(*job(tmp_path / "made", short)).stopped == "done"
    assert runner.result(left[0]) is None
    assert checkpoints.last(folder / CHECKPOINTS, left[0].fingerprint) is not None
    assert (folder / JOB).is_file()
