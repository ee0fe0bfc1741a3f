"""Who may have the Python run that a run or task file names: who began the run, or says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.cli import main
from preceptor.core.errors import InputError, TaskError
from preceptor.core.permission import VARIABLE
from preceptor.core.runs import RunStore
from preceptor.evals import taskfile
from preceptor.graphs import begun, wiring
from tests.graphs import small
from tests.hostile.foreign import waiting

SCORING = "def share(gold, answer):\n    return float(gold == answer)\n"


def config(run: Path, **changed: object) -> None:
    whole = json.loads((run / "run.json").read_text("utf-8"))
    said = whole.get("config", whole)
    for key, value in changed.items():
        said.pop(key) if value is None else said.update({key: value})
    (run / "run.json").write_text(json.dumps(whole), "utf-8")


def test_a_run_of_ones_own_opens_without_a_word(tmp_path: Path) -> None:
    with wiring.reopen(waiting(tmp_path), small.SETTINGS):
        pass


def test_a_run_without_a_seal_opens_once_its_code_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = waiting(tmp_path)
    config(run, code_seal=None)
    with pytest.raises(InputError, match=f"{VARIABLE}=tests.graphs.small:task"):
        begun.check(RunStore.open(run))
    assert main(["resume", str(run)]) == 2
    monkeypatch.setenv(VARIABLE, "tests.graphs.small:task")
    with wiring.reopen(run, small.SETTINGS):
        pass


def test_a_run_whose_task_is_no_python_has_no_seal() -> None:
    said: dict[str, JsonValue] = {"options": {"task": "toxicity", "metric": ""}, "metric": "accuracy"}
    assert begun.sealed(dict(said)) == said


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = ({"id": f"n{i}", "text": f"Day {i}.", "pain": "no" if i % 2 else "yes"} for i in range(12))
    Path("notes.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    Path("scoring_mine.py").write_text(SCORING, "utf-8")
    Path("task.yaml").write_text(
        "name: t\ndata: {path: notes.jsonl}\nmetric: scoring_mine:share\n"
        "fields: [{name: pain, values: ['yes', 'no']}]\n",
        "utf-8",
    )
    return Path("task.yaml")


def test_a_task_files_metric_in_python_runs_once_it_is_named(
    task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TaskError, match="say --metric"):
        taskfile.load(task)
    monkeypatch.setenv(VARIABLE, "other:one, scoring_mine:share")
    assert taskfile.load(task).metric == "scoring_mine:share"


def test_no_settings_file_grants_it(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("preceptor.toml").write_text('run_code = "scoring_mine:share"\n', "utf-8")
    assert main(["tasks", "check", str(task)]) == 2
    assert "unknown key 'run_code'" in capsys.readouterr().err
