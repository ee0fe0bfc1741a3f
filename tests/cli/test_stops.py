"""What a user sees of runs that cannot work, only look around, or kept a move with a later one."""

from __future__ import annotations

import csv
import io
import json
import re
from itertools import repeat
from pathlib import Path

import pytest

from preceptor.agents.servers.openai import OpenAIServer, from_schema
from preceptor.agents.servers.scripted import Body
from preceptor.cli import main
from preceptor.core.fields import LabelField
from preceptor.evals.task import Task
from tests.graphs import small
from tests.graphs.small import OPTIONS, finished

Captured = pytest.CaptureFixture[str]
SMALL = [
    "refine",
    "tests.graphs.small:task",
    "--student",
    "simulated",
    "--rounds",
    "1",
    "--name",
    "one",
]
TINY = ["tests.graphs.test_exploring:tiny", "--student", "simulated", "--rounds", "2"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def wide() -> Task:
    """Return a task whose answers are longer than the answer limit where one call asks for all."""
    names = [f"finding number {i} of the long questionnaire" for i in range(40)]
    fields = tuple(LabelField(name=n, values=("present", "absent")) for n in names)
    notes = tuple(
        e.model_copy(update={"gold": {n: ("present", "absent")[i % 2] for n in names}})
        for i, e in enumerate(small.task().examples)
    )
    made = small.task().model_copy(update={"name": "wide", "fields": fields, "examples": notes})
    return made.model_copy(update={"mode": "joint"})


def cut(body: Body) -> Body:
    """Return an answer of a model that writes and writes."""
    return from_schema({**body, "max_tokens": 8})


def test_answers_that_are_cut_off_end_a_run_with_5_and_say_what_to_change(capsys: Captured) -> None:
    with OpenAIServer(repeat(cut)) as server:
        student = f"openai:scripted@{server.base_url}"
        asked = ["refine", "tests.cli.test_stops:wide", "--student", student, "--name", "one"]
        assert main(asked) == 5
        said = capsys.readouterr()
        (told,) = [row for row in said.err.splitlines() if row.startswith("preceptor: ")]
        assert re.search(
            r"0 of 30 answers can be read: 30 cut off at the answer limit of [\d,]+ tok", told
        )
        assert "--mode per_field" in told
        assert told.endswith("there is no bundle")
        assert "Not measured" in said.out.splitlines()[0]
        assert "Bundle:" not in said.out
        count = len(server.requests)
        assert main(["resume", "one"]) == 5
        assert told in capsys.readouterr().err
        assert not [r for r in server.requests[count:] if "completions" in r.path]
    assert main(["report", "one"]) == 0
    assert main(["trace", "one"]) == 0
    assert "is unusable" in capsys.readouterr().out
    assert main(["runs", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["state"] == "finished"
    assert "Not measured" in row["headline"]
    assert not Path("runs/openings.jsonl").exists()
    for verb in (["extract", "runs/one", "--in", "n.csv", "--out", "o.csv"], ["rollback", "one", "0"]):
        assert main(verb) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_longer_answer_limit_is_what_helps(capsys: Captured) -> None:
    with OpenAIServer() as server:
        student = f"openai:scripted@{server.base_url}"
        asked = ["refine", "tests.cli.test_stops:wide", "--student", student, "--max-tokens", "3000"]
        assert main([*asked, "--rounds", "1", "--explore"]) == 0


@pytest.mark.parametrize("verb", ["refine", "plan"])
def test_a_task_with_too_few_patients_is_refused(verb: str, capsys: Captured) -> None:
    assert main([verb, *TINY]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "dev has 14 groups: under 15 nothing can be accepted" in said
    assert "dev needs 15 patients: " in said
    assert "--explore" in said
    assert not Path("runs").exists()
    assert main(["tasks", "check", TINY[0]]) == 2
    said = capsys.readouterr().err
    assert said.startswith("preceptor: task 'tiny': dev has 14 groups: under 15")
    assert len(said.splitlines()) == 1
    assert main([verb, *TINY, "--explore"]) == 0


def test_exploring_can_be_approved_and_resumed(capsys: Captured) -> None:
    assert main(["refine", *TINY, "--explore", "--approve", "--name", "one"]) == 130
    assert main(["approve", "one"]) in (0, 130)
    while main(["approve", "one", "--reject", "not now"]) == 130:
        pass
    capsys.readouterr()
    assert main(["resume", "one"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Synthetic data. Not measured: exploration: the sealed test stays closed.")
    assert not Path("runs/openings.jsonl").exists()


def test_eval_has_no_exploring(capsys: Captured) -> None:
    assert main(["eval", "simulated", "--task", "tests.graphs.small:task", "--explore"]) == 2
    assert "--explore" in capsys.readouterr().err


def test_splits_go_to_a_file_or_the_screen(capsys: Captured) -> None:
    assert main(SMALL) == 0
    capsys.readouterr()
    assert main(["runs", "splits", "one"]) == 0
    shown = capsys.readouterr().out
    rows = [*csv.DictReader(io.StringIO(shown))]
    assert list(rows[0]) == ["id", "group", "part"]
    assert len(rows) == 90
    assert main(["runs", "splits", "one", "--out", "splits.csv"]) == 0
    assert Path("splits.csv").read_text("utf-8") == shown
    assert "36 train, 30 dev, 24 test" in capsys.readouterr().err
    assert main(["runs", "splits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows
    for wrong in (["one", "one"], ["one", "--out", "no/such/x.csv"], ["none"]):
        assert main(["runs", "splits", *wrong]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_splits_of_changed_data(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(SMALL) == 0
    capsys.readouterr()
    changed = small.task().model_copy(update={"examples": small.task().examples[:-1]})
    monkeypatch.setattr("tests.graphs.small.task", lambda: changed)
    assert main(["runs", "splits", "one", "--out", "splits.csv"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "have changed since run 'one' began" in said
    assert not Path("splits.csv").exists()


def test_kept_moves_are_told_in_lists_also_for_reports_from_before(capsys: Captured) -> None:
    finished(Path("runs"), OPTIONS)
    file = Path("runs/run/report.json")
    told = json.loads(file.read_text("utf-8"))
    told["attempts"] = [
        {"round": 1, "tool": "edit_prompt", "args": {}, "outcome": "pending", "dev_gain": 0.01},
        {"round": 2, "tool": "edit_prompt", "args": {}, "outcome": "accepted", "dev_gain": 0.02},
    ]
    file.write_text(json.dumps(told), "utf-8")
    assert main(["runs"]) == 0
    kept = "edit_prompt (round 1, with 2), edit_prompt (round 2)"
    assert capsys.readouterr().out.rstrip().endswith(f"Kept: {kept}.")
    assert main(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["kept"] == kept
