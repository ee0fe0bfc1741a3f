"""A training of a run goes out and its result comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from preceptor.cli import main
from preceptor.core.errors import InputError
from preceptor.graphs import carrying
from preceptor.tools.sft.carry import Parcel
from preceptor.tools.sft.job import JOB, Job
from tests.graphs.small import opened
from tests.tools.sft import small
from tests.tools.sft.test_carry import pretend


def test_out_and_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    fresh = tmp_path / "fresh"
    job = small.write(fresh)
    with pytest.raises(InputError, match="it has none"):
        carrying.send(run, "last", tmp_path / "out")
    (run / "training" / "jobs").mkdir(parents=True)
    fresh.rename(run / "training" / "jobs" / job.fingerprint)
    out = carrying.send(run, job.fingerprint[:6], tmp_path / "out", Parcel(with_base=True))
    assert Job.from_json((out / JOB).read_bytes()) == job
    assert (out / "base" / "config.json").is_file()
    with pytest.raises(InputError, match="not finished"):
        carrying.take_back(out, run)
    result = pretend(out, job)
    with pytest.raises(InputError, match="has no training"):
        carrying.take_back(out, tmp_path / "other")
    assert carrying.take_back(out, run) == result
    with pytest.raises(InputError, match="no training job"):
        carrying.take_back(tmp_path, run)


def test_a_round_names_its_training(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        run = session.store.path
        fresh = run / "training" / "jobs" / "fresh"
        job = small.write(fresh)
        result = pretend(fresh, job)
        fresh.rename(fresh.with_name(job.fingerprint))
        tuned = session.put(session.start.model_copy(update={"adapter": result.adapter}))
        session.event("move", "one", {"round": 1, "tool": "edit_prompt", "candidate": tuned})
        session.event("move", "two", {"round": 2, "tool": "fine_tune", "candidate": tuned})
    assert carrying.of_round(run, 2) == job.fingerprint
    out = carrying.send(run, "2", tmp_path / "out")
    assert Job.from_json((out / JOB).read_bytes()) == job
    with pytest.raises(InputError, match=r"round 1 .* trained nothing: its move was edit_prompt"):
        carrying.send(run, "1", tmp_path / "none")
    with pytest.raises(InputError, match="round 3 of run 'run' made no move"):
        carrying.of_round(run, 3)
    assert not (tmp_path / "none").exists()


def test_one_training_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        run = str(session.store.path)
    for given in ([], ["last", "--round", "1"]):
        assert main(["sft", "export-job", run, *given, "--out", str(tmp_path / "x")]) == 2
        assert "which training?" in capsys.readouterr().err


def test_trainings_of_curves_and_joint_trainings_go_out_and_back(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = tmp_path / "runs" / "curve-small"
    job = small.write(tmp_path / "fresh")
    (place / "training" / "jobs").mkdir(parents=True)
    (tmp_path / "fresh").rename(place / "training" / "jobs" / job.fingerprint)
    out, named = str(tmp_path / "out"), ["--runs-dir", str(tmp_path / "runs")]
    assert main(["sft", "export-job", "curve-small", "last", "--out", out, "--with-base", *named]) == 0
    pretend(tmp_path / "out", job)
    assert main(["sft", "import-job", out, "--run", "curve-small", *named]) == 0
    assert "give its command again" in capsys.readouterr().out
