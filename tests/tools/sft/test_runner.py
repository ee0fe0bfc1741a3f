"""The process: killed, cancelled, found again, and kept from running twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="pip install preceptor[local]")

from preceptor.core import lock
from preceptor.core.errors import InputError, Interrupted, StoreError
from preceptor.core.ports import Progress
from preceptor.tools.sft import base, checkpoints, train
from preceptor.tools.sft.job import (
    CANCEL,
    CHECKPOINTS,
    DATA,
    JOB,
    PATHS,
    Hyper,
    Job,
    Limits,
    Paths,
    Result,
)
from preceptor.tools.sft.launch import Launch
from preceptor.tools.sft.place import Place
from preceptor.tools.sft.runner import Runner
from tests.tools.sft import small

LONG = Hyper(epochs=5, batch=8, validation=0, patience=0, share=False)
"""20 rows of 10 notes: 15 steps, so that a kill falls into them."""
EVERY_STEP = Limits(checkpoint_seconds=0)


def paths() -> Paths:
    return Paths(base=str(small.model()))


def made(folder: Path, hyper: Hyper, limits: Limits = EVERY_STEP) -> tuple[Job, bytes]:
    return small.write(folder, hyper, limits), (folder / DATA).read_bytes()


def wait_for_checkpoint(folder: Path, child: subprocess.Popen[bytes]) -> None:
    while not list((folder / CHECKPOINTS).glob(f"checkpoint-*/{checkpoints.MARKER}")):
        assert child.poll() is None, "the training ended without a checkpoint"
        time.sleep(0.05)


def started(folder: Path) -> subprocess.Popen[bytes]:
    """Start a training process as the runner does, and leave it alone."""
    return subprocess.Popen(
        [sys.executable, "-m", "preceptor.tools.sft.train", str(folder / JOB)],
        env={**os.environ, "PYTHONPATH": str(Path(base.__file__).parents[3]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_no_torch_here() -> None:
    program = (
        "import sys\nfrom preceptor.tools.sft import runner, finetune, carry, faces\n"
        "print({'torch', 'transformers', 'trl', 'peft', 'datasets'} & {*sys.modules})"
    )
    search = os.pathsep.join([str(Path(__file__).parents[3] / "src")])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": search},
    )  # fmt: skip
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
@pytest.mark.timeout(900)  # a training process on a busy machine
def test_killed_adopted_and_gone_on(tmp_path: Path) -> None:
    """Killed with -9, begun again by a parent that dies, then found by a runner: the same losses."""
    job, rows = made(tmp_path / "made", LONG)
    runner = Runner(tmp_path / "root")
    folder = runner.folder(job)
    small.write(folder, LONG, EVERY_STEP)
    child = started(folder)
    wait_for_checkpoint(folder, child)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert runner.result(job) is None
    orphan = started(folder)
    while lock.holder(folder) is None:
        time.sleep(0.05)
    seen: list[Progress] = []
    result = runner.run(job, rows, paths(), seen.append)
    assert orphan.wait() == 0  # it was adopted, not ended
    assert (seen[-1].done, seen[-1].total, seen[-1].what) == (15, 15, "steps")
    small.write(tmp_path / "whole", LONG, EVERY_STEP)
    whole = train.run(Place.read(tmp_path / "whole"))
    assert result.losses == whole.losses
    assert result.adapter == whole.adapter
    kept = base.adapter_folder(tmp_path / "root", result.adapter)
    assert base.read_about(kept).adapter == result.adapter
    # A finished job is not run again: there is no interpreter to run it with.
    assert Runner(tmp_path / "root", python="/nonsense").run(job, rows, paths()) == result


@pytest.mark.slow
@pytest.mark.timeout(900)  # a training process on a busy machine
def test_cancelled_then_two_at_once(tmp_path: Path) -> None:
    job, rows = made(tmp_path / "made", LONG)
    runner = Runner(tmp_path / "root", lock=tmp_path / "device")
    folder = runner.folder(job)
    with pytest.raises(Interrupted, match="cancelled"):
        runner.run(job, rows, paths(), cancel=lambda: (folder / CHECKPOINTS).exists())
    assert runner.result(job) is None
    assert checkpoints.last(folder / CHECKPOINTS, job.fingerprint) is not None
    found: list[Result] = []
    (tmp_path / "device").mkdir(exist_ok=True)
    with lock.lock(tmp_path / "device"), pytest.raises(StoreError, match="another training is running"):
        runner.run(job, rows, paths())
    both = [
        threading.Thread(target=lambda: found.append(runner.run(job, rows, paths()))) for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert sum(b'"event":"start"' in line for line in (folder / "events.jsonl").open("rb")) <= 3


def fake(folder: Path, program: str) -> str:
    """Return an interpreter that runs ``program`` in place of the training."""
    script = folder / "python"
    script.write_text(f"#!{sys.executable}\n{program}")
    script.chmod(0o755)
    return str(script)


def test_a_process_that_dies_is_told_in_one_line(tmp_path: Path) -> None:
    job, rows = made(tmp_path / "made", LONG)
    note = small.NOTES[0].text.replace("\n", " ")
    program = f"import sys\nprint('Traceback ...')\nprint({note!r})\nsys.exit(3)"
    runner = Runner(tmp_path / "root", python=fake(tmp_path, program))
    with pytest.raises(InputError, match="ended with code 3") as told:
        runner.run(job, rows, paths())
    assert note[:30] not in str(told.value)
    killed = "import os\nprint('MemoryError: no room')\nos.sys.stdout.flush()\nos.kill(os.getpid(), 9)"
    runner = Runner(tmp_path / "root", python=fake(tmp_path, killed))
    with pytest.raises(InputError, match="ended by signal 9: MemoryError: no room") as told:
        runner.run(job, rows, paths())
    assert "memory may have run out: a smaller 'batch'" in told.value.hint


def test_a_process_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preceptor.tools.sft.runner.GRACE", 0.5)
    monkeypatch.setattr("preceptor.tools.sft.runner.SOON", 0.5)
    job, rows = made(tmp_path / "made", LONG, Limits(seconds=0.1))
    runner = Runner(tmp_path / "root", python=fake(tmp_path, "import time\ntime.sleep(600)"))
    with pytest.raises(InputError, match="took longer than its limit"):
        runner.run(job, rows, paths())


def test_the_job_stands_in_the_folder(tmp_path: Path) -> None:
    job, rows = made(tmp_path / "made", LONG)
    runner = Runner(tmp_path / "root", lock=tmp_path, python=fake(tmp_path, "import sys\nsys.exit(3)"))
    with pytest.raises(InputError):
        runner.run(job, rows, paths())
    folder = runner.folder(job)
    assert Job.from_json((folder / JOB).read_bytes()) == job
    assert (folder / DATA).read_bytes() == rows
    said = Paths.from_json((folder / PATHS).read_bytes())
    assert (said.base, said.lock) == (str(small.model()), str(tmp_path))


def test_the_command_line_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([str(tmp_path / JOB)]) == 2
    assert "no training job" in capsys.readouterr().err
    made(tmp_path, LONG)
    (tmp_path / PATHS).unlink()
    assert train.main([str(tmp_path)]) == 2
    assert "--base" in capsys.readouterr().err
    small.write(tmp_path, LONG)
    with lock.lock(tmp_path):
        assert train.main([str(tmp_path)]) == 75


@pytest.mark.timeout(600)  # a training process on a busy machine
def test_by_hand_interrupted_and_cancelled_before(tmp_path: Path) -> None:
    """A line and the exit code of an interruption; an old file that asks to stop stops nothing."""
    many = [row.model_copy(update={"times": 10}) for row in small.rows()]  # no end before the signal
    small.write(tmp_path, LONG.model_copy(update={"epochs": 20}), EVERY_STEP, many)
    (tmp_path / CANCEL).touch()
    child = subprocess.Popen(
        [sys.executable, "-m", "preceptor.tools.sft.train", str(tmp_path / JOB)],
        env={**os.environ, "PYTHONPATH": str(Path(base.__file__).parents[3]), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background may have inherited that it is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    marked = f"checkpoint-*/{checkpoints.MARKER}"
    while len(list((tmp_path / CHECKPOINTS).glob(marked))) < 2:
        assert child.poll() is None, "the training ended by itself"
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    said = child.communicate()[1]
    assert child.returncode == 130
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("error: training was interrupted (start it again")
    assert not (tmp_path / CANCEL).exists()


def test_a_request_to_stop_that_a_beginning_process_removed_is_made_again(tmp_path: Path) -> None:
    job, rows = made(tmp_path / "made", LONG)
    program = (
        "import pathlib, sys, time\n"
        f"cancel = pathlib.Path(sys.argv[3]).parent / {CANCEL!r}\n"
        "for _ in range(2):\n"
        "    while not cancel.exists(): time.sleep(0.01)\n"
        "    cancel.unlink()\n"
        "sys.exit(1)"
    )
    runner = Runner(tmp_path / "root", python=fake(tmp_path, program))
    with pytest.raises(Interrupted, match="cancelled"):
        runner.run(job, rows, paths(), cancel=lambda: True)


@pytest.mark.parametrize(
    ("visible", "seen"), [(None, "0"), ("2,3", "2"), ("GPU-aa, GPU-bb", "GPU-aa"), ("", "")]
)
def test_one_process_sees_one_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, seen: str
) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    job, rows = made(tmp_path / "made", LONG)
    program = "import os, sys\nprint(repr(os.environ['CUDA_VISIBLE_DEVICES']))\nsys.exit(3)"
    with pytest.raises(InputError, match=f"ended with code 3: {seen!r}"):
        Runner(tmp_path / "root", python=fake(tmp_path, program)).run(job, rows, paths())
    launched = Runner(tmp_path / "root", launch=Launch("accelerate", 2)).launch.environ()
    assert "CUDA_VISIBLE_DEVICES" not in launched


def test_one_process_by_hand_sees_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    made(tmp_path, LONG)
    with lock.lock(tmp_path):
        assert train.main([str(tmp_path)]) == 75
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
