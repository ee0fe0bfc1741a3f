"""Several processes: the losses of one, one failure for all, and a stop that all follow.

The trainings are started by ``accelerate launch``, two processes on the CPU that meet over gloo.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from preceptor.core.errors import InputError, Interrupted
from preceptor.core.ports import Progress
from preceptor.tools.sft import shards
from preceptor.tools.sft.bundles import IGNORED
from preceptor.tools.sft.job import (
    CHECKPOINTS,
    DATA,
    FAILURE,
    PATHS,
    RESULT,
    Failure,
    Hyper,
    Limits,
    Paths,
    Result,
)
from preceptor.tools.sft.launch import ENTRY, PORTS, Launch, free_port
from preceptor.tools.sft.runner import Runner

TWO = Launch("accelerate", 2)


def test_a_launcher_is_needed_for_several() -> None:
    with pytest.raises(InputError, match="need a launcher"):
        Launch(processes=2)
    assert Launch().command("py", "job.json") == ["py", "-m", ENTRY, "job.json"]


def test_the_command_of_accelerate() -> None:
    pytest.importorskip("accelerate")
    command = TWO.command("py", "job.json")
    assert command[:3] == ["py", "-m", "accelerate.commands.launch"]
    assert command[command.index("--num_processes") + 1] == "2"
    assert int(command[command.index("--main_process_port") + 1]) in PORTS
    assert command[-3:] == ["-m", ENTRY, "job.json"]
    alone = Launch("accelerate").command("py", "job.json")
    assert "--main_process_port" not in alone
    assert "--num_processes" not in alone


def test_a_port_that_is_taken_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, other = free_port(), free_port()
    monkeypatch.setattr(random, "sample", lambda *_: [taken, other])
    with socket.socket() as held:
        held.bind(("", taken))
        assert free_port() == other
    monkeypatch.setattr(random, "sample", lambda *_: [])
    with pytest.raises(InputError, match="no port is free"):
        free_port()


@pytest.mark.parametrize(("rows", "size", "world"), [(9, 4, 2), (10, 3, 3), (5, 8, 4), (16, 5, 2)])
def test_all_processes_together_read_what_one_would(rows: int, size: int, world: int) -> None:
    order = list(range(rows))[::-1]
    read = [list(shards.Dealt(order, size, rank, world)) for rank in range(world)]
    assert {len(batches) for batches in read} == {-(-rows // size)}
    for step in range(-(-rows // size)):
        assert all(batches[step] for batches in read)
        counted = [i for batches in read for i, counts in batches[step] if counts]
        assert sorted(counted) == sorted(order[step * size : (step + 1) * size])


def test_a_row_that_does_not_count_has_no_answer() -> None:
    placed = shards.Placed([{"labels": [IGNORED, 5, 6], "row_tokens": 3}])
    assert placed[0, True] == {"labels": [IGNORED, 5, 6], "row_tokens": 3}
    assert placed[0, False] == {"labels": [IGNORED] * 3, "row_tokens": 0}


@pytest.fixture(scope="module")
def hyper() -> Hyper:
    """Return a training whose last batch has one row, and rows that tell when to stop."""
    return Hyper(epochs=2, batch=5, validation=0.25, patience=0, share=False, bf16=False)


def launched(folder: Path, launch: Launch, entry: str = ENTRY) -> int:
    """Train the job in a folder; return the exit code."""
    command = [entry if word == ENTRY else word for word in launch.command(sys.executable, folder)]
    done = subprocess.run(command, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    print(done.stderr.decode(errors="replace")[-4000:])  # shown where a test fails
    return done.returncode


def written(folder: Path, hyper: Hyper, limits: Limits) -> Path:
    from tests.contracts.evidence import corpus
    from tests.tools.sft import small

    small.write(folder, hyper, limits, small.rows(corpus(12)))
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, hyper: Hyper) -> Result:
    """One process's result."""
    pytest.importorskip("trl", reason="pip install preceptor[local]")
    folder = written(tmp_path_factory.mktemp("alone"), hyper, Limits())
    assert launched(folder, Launch()) == 0
    return Result.from_json((folder / RESULT).read_bytes())


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(alone: Result, hyper: Hyper, tmp_path: Path) -> None:
    folder = written(tmp_path / "two", hyper, Limits())
    assert launched(folder, TWO) == 0
    two = Result.from_json((folder / RESULT).read_bytes())
    assert two.losses == pytest.approx(alone.losses, rel=1e-3)
    assert two.losses[0] == pytest.approx(alone.losses[0], rel=1e-6)
    assert [step for step, _ in two.validation] == [step for step, _ in alone.validation]
    told, wanted = ([loss for _, loss in r.validation] for r in (two, alone))
    assert len(told) == 2
    assert told == pytest.approx(wanted, rel=1e-3)
    assert (two.tokens, two.steps, two.rows) == (alone.tokens, alone.steps, alone.rows)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events].count("start") == 1
    assert not (folder / CHECKPOINTS).exists()


@pytest.mark.slow
def test_one_that_fails_ends_all_and_the_job_goes_on(
    alone: Result, hyper: Hyper, tmp_path: Path
) -> None:
    folder = written(tmp_path / "job", hyper, Limits(checkpoint_seconds=0))
    assert launched(folder, TWO, "tests.tools.sft.failing") != 0
    failure = Failure.from_json((folder / FAILURE).read_bytes())
    assert "the second process fails here" in failure.message
    assert not (folder / RESULT).exists()
    assert launched(folder, TWO) == 0
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [e["step"] for e in events if e["event"] == "resumed"] == [3]
    found = Result.from_json((folder / RESULT).read_bytes())
    assert found.losses == pytest.approx(alone.losses, rel=1e-3)
    assert found.tokens == alone.tokens


@pytest.mark.slow
def test_all_stop_when_one_is_asked_to(tmp_path: Path, hyper: Hyper) -> None:
    pytest.importorskip("trl", reason="pip install preceptor[local]")
    from tests.tools.sft import small

    longer = hyper.model_copy(update={"epochs": 20})
    job = small.write(tmp_path / "made", longer)
    rows = (tmp_path / "made" / DATA).read_bytes()
    paths = Paths.from_json((tmp_path / "made" / PATHS).read_bytes())
    runner = Runner(tmp_path / "root", launch=TWO)
    heard: list[Progress] = []
    with pytest.raises(Interrupted, match="cancelled"):
        runner.run(job, rows, paths, heard.append, lambda: bool(heard))
    kept = runner.folder(job) / CHECKPOINTS
    saved = [path for path in kept.iterdir() if path.is_dir()]
    assert saved
    for one in saved:
        names = {path.name for path in one.iterdir()}
        assert {"rng_state_0.pth", "rng_state_1.pth", "complete.json"} <= names
