"""Limits of a run as a user meets them: what is cut short, the sealed test, and going on with more."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from preceptor.agents.servers.openai import OpenAIServer
from preceptor.cli import main
from preceptor.core.cache import AnswerCache

Captured = pytest.CaptureFixture[str]
REFINE = [
    "refine", "tests.graphs.small:task", "--student", "simulated", "--moves", "edit_prompt",
    "--name", "one",
]  # fmt: skip
DEV, TEST, TRAIN = 30 * 3, 24 * 3, 36 * 3


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def report() -> dict[str, object]:
    found: dict[str, object] = json.loads(Path("runs/one/report.json").read_text("utf-8"))
    return found


def test_a_move_that_the_budget_cut_short_stands_in_the_report(capsys: Captured) -> None:
    # Enough for the baseline, a look at train, the move's estimate, and the sealed test; not for dev.
    calls = DEV + TRAIN + 40 + 2 * TEST
    assert main([*REFINE, "--student-calls", str(calls)]) == 3
    said = capsys.readouterr().err
    assert "budget: budget:" not in said
    assert "student_calls are left, the next step asks for" in said
    attempts = report()["attempts"]
    assert isinstance(attempts, list)
    tried = attempts[-1]
    assert (tried["tool"], tried["outcome"]) == ("edit_prompt", "unfinished")
    assert "the budget ended before it was judged" in Path("runs/one/report.txt").read_text("utf-8")


def test_a_limit_of_time_ends_refining_and_the_sealed_test_is_measured() -> None:
    assert main([*REFINE, "--compute-seconds", "0.00001"]) == 3
    assert report()["test"] is not None


def test_a_run_that_stopped_early_goes_on_with_more(capsys: Captured) -> None:
    assert main([*REFINE, "--wall-seconds", "0.000001"]) == 3
    assert "allow more: --wall-seconds" in capsys.readouterr().err
    assert main(["resume", "one"]) == 3
    assert main(["resume", "one", "--wall-seconds", "900"]) == 0
    assert report()["test"] is not None
    trace = [json.loads(x) for x in Path("runs/one/trace.jsonl").read_text("utf-8").splitlines()]
    [limits] = [e["data"] for e in trace if e["kind"] == "limits"]
    assert limits == {"limits": {"wall_seconds": 900}}


def test_a_limit_of_wall_time_holds_inside_a_chunk(capsys: Captured) -> None:
    """The dev part is one chunk: at this server it takes four times as long as the run may."""
    with OpenAIServer(latency=1.0) as server:
        student = ["--student", f"openai:scripted@{server.url}"]
        begun = time.monotonic()
        assert main([*REFINE[:2], *student, "--name", "one", "--wall-seconds", "3"]) == 3
        assert time.monotonic() - begun < 10
        assert 8 <= len(server.asked) < DEV
    assert "3 wall_seconds are used up (allow more: --wall-seconds)" in capsys.readouterr().err
    with AnswerCache(Path("runs/one/cache.sqlite")) as cache:
        assert len(cache) > 0, "what was answered is kept"
