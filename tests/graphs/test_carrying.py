"""A training of a run goes out and its result comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from preceptor.core.errors import InputError
from preceptor.graphs import carrying
from preceptor.tools.sft.job import JOB, Job
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
    out = carrying.send(run, job.fingerprint[:6], tmp_path / "out", with_base=True)
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
