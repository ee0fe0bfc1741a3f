"""What a training may take of a run's seconds, and what each attempt at it costs."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="pip install preceptor[local]")

from preceptor.core.errors import BudgetStop, InputError
from preceptor.core.ledger import Budget, Ledger
from preceptor.core.prices import PriceTable
from preceptor.graphs import training
from preceptor.tools.sft import options
from preceptor.tools.sft.job import DATA, Paths
from preceptor.tools.sft.options import FineTuneOptions
from preceptor.tools.sft.runner import Runner
from tests.tools.sft import small


def ledger(seconds: float | None) -> Ledger:
    return Ledger(None, Budget(compute_seconds=seconds), PriceTable())


def test_an_attempt_is_granted_what_is_left() -> None:
    book = ledger(2000)
    reserve = training.reserve_on(book)
    first = reserve("fine_tune:x", 1800)
    assert first.seconds == 1800
    first.settle(1900)
    assert reserve("fine_tune:y", 1800).seconds == pytest.approx(100)
    assert training.reserve_on(ledger(None))("fine_tune:x", 1800).seconds == 1800


def test_each_attempt_at_a_job_is_booked_and_none_starts_without_seconds() -> None:
    book = ledger(10)
    reserve = training.reserve_on(book)
    for spent in (4.0, 8.0):
        reserve("fine_tune:x", 1800).settle(4.0)
        assert book.spent()["compute_seconds"] == spent
    reserve("fine_tune:x", 1800).settle(2.5)
    with pytest.raises(BudgetStop, match="no compute_seconds are left"):
        reserve("fine_tune:x", 1800)


def test_the_process_is_told_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job is the same; the limit stands beside it."""
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport sys\nprint(*sys.argv[2:])\nsys.exit(3)")
    python.chmod(0o755)
    monkeypatch.setattr(options, "Runner", partial(Runner, python=str(python)))
    book = ledger(7)
    given = FineTuneOptions(reserve=training.reserve_on(book))
    job = small.write(tmp_path / "made")
    rows, paths = (tmp_path / "made" / DATA).read_bytes(), Paths(base=str(small.model()))
    with pytest.raises(InputError, match=r"--seconds 7\.000"):
        given.train(tmp_path, job, rows, paths)
    left = book.left()["compute_seconds"]
    assert left < 7
    with pytest.raises(InputError, match=f"--seconds {left:.3f}"):
        given.train(tmp_path, job, rows, paths)
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == [job.fingerprint]
