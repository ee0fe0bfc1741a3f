"""Runs, task files, models and adapters from somebody else run nothing on this machine."""

from __future__ import annotations

import pytest

pytest.importorskip("peft", reason="pip install preceptor[local]")

from tests.hostile.foreign import CASES, Case, tried


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.of}: {c.name}")
def test_nothing_of_it_runs_and_one_line_says_so(case: Case) -> None:
    came = tried(case)
    assert not came.ran
    assert came.said.startswith(("preceptor: ", "error: "))
    assert "\n" not in came.said
