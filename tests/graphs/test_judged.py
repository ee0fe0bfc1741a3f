"""What a run is judged by: its metric, its target, and the constant answer to beat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.core.errors import TaskError
from preceptor.core.fields import LabelField, ListField
from preceptor.core.records import Example
from preceptor.core.trace import read
from preceptor.evals.metrics import choice, resampling
from preceptor.evals.splits import SPLIT_KEY, SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import judged
from tests.graphs import small
from tests.graphs.small import OPTIONS, finished, opened


def sparse() -> Task:
    """Return the small task with findings in one note of six."""
    fields = tuple(LabelField(name=n, values=("yes", "no")) for n in small.FORMS)
    notes = tuple(
        e.model_copy(
            update={"gold": {n: "yes" if (i + k) % 6 == 0 else "no" for k, n in enumerate(small.FORMS)}}
        )
        for i, e in enumerate(small.task().examples)
    )
    return small.task().model_copy(update={"name": "sparse", "fields": fields, "examples": notes})


SPARSE = OPTIONS.model_copy(update={"task": "tests.graphs.test_judged:sparse"})


def test_a_run_keeps_its_metric_and_says_why(tmp_path: Path) -> None:
    finished(tmp_path, SPARSE)
    events = {e.kind: e.data for e in read(tmp_path / "run" / "trace.jsonl")}
    told = events["prepared"]["metric"]
    assert isinstance(told, dict)
    assert told["name"] == "macro_f1"
    assert "of train in field" in str(told["why"])
    report = json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))
    assert report["metric"] == "macro_f1"
    assert report["cards"][0]["labels"] == {name: ["yes"] for name in small.FORMS}
    with opened(tmp_path, SPARSE) as session:
        assert session.metric.name == "macro_f1"


def test_the_score_of_dev_is_the_metric_and_not_accuracy(tmp_path: Path) -> None:
    with opened(tmp_path, SPARSE) as session:
        found = session.evaluate(session.start, session.splits.dev, "dev")
        metric = choice.choose(session.task.fields, session.examples(session.splits.train), "macro_f1")
        assert session.score(found) == resampling.interval(metric.statistic, found.scored)
        assert session.score(found).value != pytest.approx(found.mean)


def test_a_run_from_before_metrics_goes_on_by_accuracy(tmp_path: Path) -> None:
    with opened(tmp_path, SPARSE):
        pass
    config = tmp_path / "run" / "run.json"
    told = json.loads(config.read_text("utf-8"))
    holder = told if "metric" in told else told["config"]
    del holder["metric"]
    config.write_text(json.dumps(told), "utf-8")
    with opened(tmp_path, SPARSE) as session:
        assert session.metric.name == "accuracy"


def test_a_task_s_target_ends_a_run_and_stands_in_the_report(tmp_path: Path) -> None:
    easy = SPARSE.model_copy(update={"task": "tests.graphs.test_judged:easy"})
    assert finished(tmp_path, easy)["stop"] == "target"
    report = json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))
    assert report["standing"]["target"] == 0.01
    assert report["standing"]["reached"] in ("reached", "open")


def easy() -> Task:
    """Return the small task with a target that anybody reaches."""
    return small.task().model_copy(update={"target": 0.01})


def test_precision_may_be_preferred_to_recall(tmp_path: Path) -> None:
    precise = OPTIONS.model_copy(update={"task": "tests.graphs.test_judged:precise"})
    with opened(tmp_path, precise) as session:
        assert session.gate.recall_alpha == 0.0


def precise() -> Task:
    """Return the small task with a preference for precision."""
    return small.task().model_copy(update={"prefer": "precision"})


def test_a_metric_that_dev_cannot_have_leaves_no_folder(tmp_path: Path) -> None:
    nothing = SPARSE.model_copy(update={"task": "tests.graphs.test_judged:nothing_in_dev"})
    with pytest.raises(TaskError, match="cannot be computed on dev"), opened(tmp_path, nothing):
        pass
    assert not (tmp_path / "run").exists()


def nothing_in_dev() -> Task:
    """Return a task whose dev part has no finding."""
    parts = ("train", "dev", "test")
    notes = tuple(
        Example(
            id=f"n{i}",
            group=f"p{i}",
            text="A note.",
            gold={"pain": "yes" if i % 18 == 0 else "no"},
            meta={SPLIT_KEY: parts[i % 3]},
        )
        for i in range(90)
    )
    field = LabelField(name="pain", values=("yes", "no"))
    return Task(name="bare", fields=(field,), examples=notes, split=SplitSpec())


def test_the_best_constant_answer_follows_the_metric() -> None:
    task = sparse()
    train, notes = task.examples[:45], task.examples[45:]
    f1 = judged.best_constant(task, choice.choose(task.fields, train), train, notes)
    assert f1.name == "always-positive"
    assert f1.score.value == pytest.approx(2 / 7, abs=0.06)  # 2p / (1 + p) with p = 1/6
    accuracy = choice.choose(task.fields, train, "accuracy")
    assert judged.best_constant(task, accuracy, train, notes).name == "majority"


def test_the_best_constant_list_is_the_commonest_items() -> None:
    field = ListField(name="drugs")
    notes = tuple(
        Example(id=f"n{i}", group=f"p{i}", text="x", gold={"drugs": ["aspirin"] if i % 3 == 0 else []})
        for i in range(60)
    )
    task = Task(name="drugs", fields=(field,), examples=notes)
    found = judged.best_constant(task, choice.choose(task.fields, notes), notes, notes)
    assert found.name == "commonest"
    assert found.score.value == pytest.approx(0.5)


def test_evaluations_are_compared_with_it_in_the_trace(tmp_path: Path) -> None:
    finished(tmp_path, SPARSE)
    told = next(e.data for e in read(tmp_path / "run" / "trace.jsonl") if e.kind == "baseline")
    assert judged.Constant.model_validate(told["constant"]).name == "always-positive"
