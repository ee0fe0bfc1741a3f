"""Runs that only look around, and tasks that are too small for any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.core.errors import TaskError
from preceptor.core.ledger import Budget
from preceptor.core.runs import openings
from preceptor.core.settings import Settings
from preceptor.core.trace import read
from preceptor.evals import check, enough, splits
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import gates, measuring, planning, refine, wiring
from tests.graphs.small import OPTIONS, SETTINGS, finished, opened, task

TINY = OPTIONS.model_copy(update={"task": "tests.graphs.test_exploring:tiny"})
EXPLORE = TINY.model_copy(update={"explore": True})


def tiny() -> Task:
    """Return the small task with 14 patients in dev: one too few."""
    split = SplitSpec(train=36, dev=14, test=24)
    return task().model_copy(update={"name": "tiny", "split": split})


def kinds(root: Path) -> list[str]:
    return [e.kind for e in read(root / "run" / "trace.jsonl")]


def test_one_number_serves_the_gate_and_the_check() -> None:
    assert gates.GateConfig().min_groups == enough.LEAST_GROUPS == 15
    assert check.check(tiny()).refused
    assert not check.check(task()).refused


def test_too_few_patients_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="dev has 14 groups") as caught, opened(tmp_path, TINY):
        pass
    assert "under 15 nothing can be accepted" in caught.value.message
    assert "larger part" in caught.value.hint
    assert "--explore" in caught.value.hint
    assert not list(tmp_path.iterdir())
    with pytest.raises(TaskError, match="dev has 14 groups"):
        planning.plan(TINY, Settings())


def test_what_is_said_fits_the_task() -> None:
    few = tiny().model_copy(update={"examples": task().examples[:20], "split": SplitSpec()})
    short = enough.shortage(few, splits.make(few))
    assert short is not None
    assert short[1].startswith("dev needs 15 patients: label notes of more than the 20 patients here")
    doubled = tuple(e.model_copy(update={"group": f"p{i // 4}"}) for i, e in enumerate(task().examples))
    grouped = tiny().model_copy(update={"examples": doubled})
    short = enough.shortage(grouped, splits.make(grouped))
    assert short is not None
    assert "'group' column" in short[1]


def test_exploring_a_small_task_accepts_nothing_and_leaves_the_test_closed(tmp_path: Path) -> None:
    state = finished(tmp_path, EXPLORE)
    assert refine.exit_code(state) == 0
    assert state["incumbent"] == state["baseline"]
    found = [e for e in read(tmp_path / "run" / "trace.jsonl") if e.kind == "verdict"]
    looked = [e.data for e in found if e.data["dev"]]
    assert looked
    assert all("14 patients on dev" in str(data["reason"]) for data in looked)
    check_closed(tmp_path, "tiny")


def check_closed(root: Path, name: str) -> None:
    folder = root / "run"
    assert openings(root, name) == []
    assert "test_opened" not in kinds(root)
    said = (folder / "report.txt").read_text("utf-8")
    assert said.startswith("Synthetic data. Not measured: exploration")
    made = json.loads((folder / "bundle" / "metrics.json").read_text("utf-8"))
    assert made["test"] is None
    assert made["unmeasured"].startswith("exploration")
    readme = " ".join((folder / "bundle" / "README.md").read_text("utf-8").split())
    assert "the sealed test was **not measured**" in readme
    assert not list(folder.glob("test_answers*"))
    with opened(root) as session:
        asked = session.store.cache.get_many
        ids = session.examples(session.splits.test)
        from preceptor.core.cache import answer_key, example_key

        key = answer_key(session.start, session.start.model, session.task.fields)
        assert not asked(key, [example_key(e) for e in ids])


def test_exploring_a_large_task_still_keeps_what_dev_supports(tmp_path: Path) -> None:
    options = OPTIONS.model_copy(update={"explore": True})
    state = finished(tmp_path, options)
    verdicts = [
        e.data["outcome"] for e in read(tmp_path / "run" / "trace.jsonl") if e.kind == "verdict"
    ]
    assert ("accepted" in verdicts) == (state["incumbent"] != state["baseline"])
    assert "accepted" in verdicts
    check_closed(tmp_path, "small")


def test_exploring_goes_on_after_a_stop(tmp_path: Path) -> None:
    from preceptor.core.errors import Interrupted

    with opened(tmp_path, EXPLORE) as session:
        (session.store.path / "stop").touch()
        with pytest.raises(Interrupted):
            refine.run(session)
        session.store.clear_stop()
    with opened(tmp_path) as session:
        assert session.explore
        refine.run(session)
    check_closed(tmp_path, "tiny")


def test_no_budget_is_held_back_for_a_test_that_stays_closed(tmp_path: Path) -> None:
    budget = Budget(student_calls=3 * 14 + 3)
    with opened(tmp_path, EXPLORE.model_copy(update={"budget": budget})) as session:
        assert session.ledger.budget.student_calls == budget.student_calls
    seen = planning.plan(EXPLORE, Settings()).worst.student_calls
    whole = planning.plan(
        EXPLORE.model_copy(update={"explore": False, "gate": gates.GateConfig(min_groups=2, looks=4)}),
        Settings(),
    ).worst.student_calls
    assert whole - seen == 2 * 3 * 24


def test_a_run_folder_from_before_there_was_exploring_opens(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    file = tmp_path / "run" / "run.json"
    info = json.loads(file.read_text("utf-8"))
    assert info["config"]["options"].pop("explore") is False
    file.write_text(json.dumps(info), "utf-8")
    with wiring.reopen(tmp_path / "run", SETTINGS) as session:
        assert not session.explore


def test_the_bundle_of_an_exploration_can_be_measured(tmp_path: Path) -> None:
    finished(tmp_path, EXPLORE)
    settings = Settings(runs_dir=tmp_path)
    asked = measuring.Request(student=str(tmp_path / "run"), task=TINY.task, split="test")
    found = measuring.measure(asked, settings, lambda _: None)
    assert found.notes == 24
    assert [o.run for o in openings(tmp_path, "tiny")] == ["eval"]
