"""What a run is judged by: its metric, its target, and whether recall may be given up for precision.

Owns what options, task and an older run's folder say of it, put together; leaves the rule that chooses
a metric to ``evals.metrics.choice`` and the acceptance test to ``graphs.gates``.
"""

from __future__ import annotations

from preceptor.core.runs import RunStore
from preceptor.evals.metrics import choice
from preceptor.evals.metrics.choice import Metric
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
