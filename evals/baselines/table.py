"""The table of a task's baselines on some notes: each one's score with its 95 % interval.

Owns the rows and their text; what a score is comes from outside.
"""

from __future__ import annotations

from collections.abc import Sequence

from preceptor.core.record import Record
from preceptor.core.records import Answer, Example, Interval
from preceptor.evals import splits
from preceptor.evals.baselines import catalogue
from preceptor.evals.baselines.supervised import Embed
from preceptor.evals.metrics import resampling
from preceptor.evals.metrics.choice import Metric, choose
from preceptor.evals.scorers import score_answer
from preceptor.evals.task import Task


class BaselineRow(Record):
    """One baseline: its name, what kind it is, and its score."""

    name: catalogue.Name
    kind: catalogue.Kind
    score: Interval


def table(
    task: Task,
    train: Sequence[Example],
    notes: Sequence[Example],
    metric: Metric,
    embed: Embed | None = None,
) -> tuple[BaselineRow, ...]:
    """Return one row per baseline of a task, the best first.

    Args:
        task: The task.
        train: The notes that baselines learn from.
        notes: Labelled notes to score them on.
        metric: What a baseline is worth.
        embed: Texts to vectors, for ``embedding``.
    """
    rows = []
    for name in catalogue.names_for(task, embed is not None):
        said = catalogue.predict(name, task, train, notes, embed)
        answers = (Answer(example_id=e.id, record=said[e.id], calls=0) for e in notes)
        both = zip(notes, answers, strict=True)
        scored = [score_answer(e, a, task.fields, metric.function) for e, a in both]
        value = resampling.interval(metric.statistic, scored)
        rows.append(BaselineRow(name=name, kind=catalogue.kind_of(name), score=value))
    return tuple(sorted(rows, key=lambda row: (-row.score.value, row.name)))


def on_dev(task: Task, seed: int | None = None) -> tuple[BaselineRow, ...]:
    """Return the table on the dev part of one draw of the splits, by the task's metric.

    Raises:
        TaskError: If the split cannot be drawn.
    """
    made = splits.make(task, seed)
    train = made.examples(task, "train")
    metric = choose(task.fields, train, task.metric)
    return table(task, train, made.examples(task, "dev"), metric)


def text(rows: Sequence[BaselineRow]) -> str:
    """Return the table as lines for a terminal."""
    wide = max([len(row.name) for row in rows], default=0)
    lines = ["without a language model, learned from train, on dev (95 % interval over patients):"]
    for row in rows:
        s = row.score
        lines.append(f"  {row.name:<{wide}}  {s.value:.3f} [{s.low:.3f}, {s.high:.3f}]  {row.kind}")
    return "\n".join(lines)
