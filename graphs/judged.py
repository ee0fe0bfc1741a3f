"""What a run is judged by: its metric, its target, and whether recall may be given up for precision.

Owns what options, task and an older run's folder say of it, put together; leaves the rule that chooses
a metric to ``evals.metrics.choice`` and the acceptance test to ``graphs.gates``.
"""

from __future__ import annotations

from collections.abc import Sequence

from preceptor.core.record import Record
from preceptor.core.records import Answer, Example, Interval
from preceptor.core.runs import RunStore
from preceptor.evals import baselines
from preceptor.evals.metrics import choice, resampling
from preceptor.evals.metrics.choice import Metric
from preceptor.evals.scorers import score_answer
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task
from preceptor.graphs.gates import GateConfig
from preceptor.graphs.session import Limits

BEFORE = "accuracy"
"""What runs were judged by before a metric could be chosen."""


def of(asked: str, task: Task, drawn: Splits) -> Metric:
    """Return the metric of a task under one draw of its splits.

    Args:
        asked: What the command line names; the task's own, or what its data call for, if empty.
        task: The task.
        drawn: Its parts; only train is looked at to choose.

    Raises:
        TaskError: If it does not go with the task, or cannot be computed on dev or test.
    """
    metric = choice.choose(task.fields, drawn.examples(task, "train"), asked or task.metric)
    for part in ("dev", "test"):
        choice.check_part(metric, task.fields, drawn.examples(task, part), part)
    return metric


def kept(store: RunStore, asked: str, task: Task, drawn: Splits) -> Metric:
    """Return the metric that a run began with, with the reason it was chosen for.

    Raises:
        TaskError: If it is a function that is not there any more.
    """
    began = str(store.config.get("metric", BEFORE))
    chosen = choice.choose(task.fields, drawn.examples(task, "train"), asked or task.metric)
    if chosen.name == began:
        return chosen
    return choice.choose(task.fields, drawn.examples(task, "train"), began)


def limits(given: Limits, task: Task) -> Limits:
    """Return the limits with the task's target, where none was given."""
    return given if given.target is not None else given.model_copy(update={"target": task.target})


def rule(given: GateConfig, task: Task) -> GateConfig:
    """Return the rule of acceptance; a task that prefers precision has no guard of recall."""
    free = task.prefer == "precision"
    return given.model_copy(update={"recall_alpha": 0.0}) if free else given


class Constant(Record):
    """The best answerer that gives every note the same answer: what a student must beat.

    Attributes:
        name: Which of ``baselines.trivial_names``.
        score: Its value of the run's metric, with its interval.
    """

    name: str
    score: Interval


def best_constant(
    task: Task, metric: Metric, train: Sequence[Example], notes: Sequence[Example]
) -> Constant:
    """Return the constant answers that do best on some notes; they are learned from train."""
    found = []
    for name in baselines.trivial_names(task):
        said = baselines.predict(name, task, train, notes)
        scored = [
            score_answer(e, Answer(example_id=e.id, record=said[e.id]), task.fields, metric.function)
            for e in notes
        ]
        score = resampling.interval(metric.statistic, scored)
        found.append(Constant(name=name, score=score))
    return max(found, key=lambda one: one.score.value)
