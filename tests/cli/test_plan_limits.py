"""The plan refuses what refine refuses, and its limits end a run as a whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.cli import main

Captured = pytest.CaptureFixture[str]
PLAN = ["plan", "tests.graphs.small:task", "--student", "simulated"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def planned(capsys: Captured, *given: str) -> dict[str, object]:
    assert main([*PLAN, *given, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--moves", "foo"], "foo"),
        (["--student", "foo"], "no such model: 'foo'"),
        (["--processes", "4"], "need a launcher"),
        (["--student-calls", "100"], "too few for the baseline and the sealed test"),
        (["--teacher", "openai:mystery", "--dollars", "5"], "no price is known for 'openai:mystery'"),
        (["--student", "openai:mystery", "--dollars", "5"], "no price is known for 'openai:mystery'"),
    ],
)
def test_what_refine_refuses_is_refused(given: list[str], said: str, capsys: Captured) -> None:
    assert main([*PLAN, *given]) == 2
    assert said in capsys.readouterr().err


def test_a_limit_ends_all_amounts_alike(capsys: Captured) -> None:
    teacher = ["--teacher", "openai:gpt-4o"]
    free, bound = planned(capsys, *teacher), planned(capsys, *teacher, "--dollars", "0.2")
    whole, cut = free["worst"], bound["worst"]
    assert isinstance(whole, dict)
    assert isinstance(cut, dict)
    share = 0.2 / whole["dollars"]
    assert cut["dollars"] == pytest.approx(0.2)
    for name in ("teacher_tokens", "student_calls", "teacher_turns"):
        assert cut[name] == pytest.approx(share * whole[name], abs=1)
    assert bound["stopped_by"] == ["dollars"]
    assert (free["stopped_by"], free["likely_stopped_by"]) == ([], [])
    assert main([*PLAN, *teacher, "--dollars", "0.01"]) == 0
    said = capsys.readouterr().out
    assert "The worst case ends at the limit of dollars." in said
    assert "So does the likely run, at dollars." in said
    assert "at most 8 rounds, likely 7." in said
