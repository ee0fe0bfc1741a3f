"""A wall clock that jumps: runs, budgets and waits do not care."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import cycle
from pathlib import Path

import pytest

from preceptor.agents.students.retry import LONGEST_WAIT, Backoff, retry_after
from preceptor.core.ledger import Budget
from preceptor.core.trace import read
from preceptor.graphs.session import Limits
from tests.graphs.small import OPTIONS, finished, opened


def test_a_run_under_a_jumping_clock_is_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 86_400
    limited = OPTIONS.model_copy(
        update={"budget": Budget(wall_seconds=day / 2), "limits": Limits(rounds=2, plateau=2)}
    )
    calm = finished(tmp_path / "calm", limited)
    jumps = cycle([day, -3 * day, 40 * day, 0])
    real = time.time
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: real() + next(jumps))
        jumped = finished(tmp_path / "jumped", limited)
    assert jumped["stop"] == calm["stop"] != "budget"
    assert jumped["incumbent"] == calm["incumbent"]
    with opened(tmp_path / "jumped", limited) as session:
        assert 0 < session.ledger.spent()["wall_seconds"] < day / 2
    # Not their keys: the brief tells the teacher how much time is left.
    kinds = [[e.kind for e in read(tmp_path / name / "run/trace.jsonl")] for name in ("calm", "jumped")]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("days", [-400, 400])
def test_a_date_to_wait_for_from_a_clock_that_is_wrong_is_no_long_wait(days: int) -> None:
    asked = retry_after(format_datetime(datetime.now(UTC) + timedelta(days=days)))
    assert asked is not None
    assert 0 <= Backoff().wait(0, asked) <= LONGEST_WAIT
