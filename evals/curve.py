"""A learning curve in numbers: what a student reaches with so many notes, over several seeds.

Owns the rows of a curve and how they come from answers. Leaves training and asking to ``graphs.curve``,
and the page and the plot to ``evals.curve_page``.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, JsonValue

from preceptor.core.fields import FieldSpec
from preceptor.core.record import Record
from preceptor.core.records import Answer, Example, Interval, Scored
from preceptor.evals import stats
from preceptor.evals.scorers import field_metrics, score_answer, valid_rate

Kind = Literal["zero_shot", "trained", "larger"]


@dataclass(frozen=True)
class Run:
    """The answers of one student to the notes that all are measured on.

    Attributes:
        examples: Those notes.
        answers: In their order.
        fields: The task's fields.
        trained: How many notes it was trained on.
        patients: Of how many patients these are.
        seconds: How long training took.
        learned: Whether it learned anything; one that did not is measured all the same.
    """

    examples: tuple[Example, ...]
    answers: tuple[Answer, ...]
    fields: tuple[FieldSpec, ...]
    trained: int = 0
    patients: int = 0
    seconds: float = 0.0
    learned: bool = True

    def scored(self) -> list[Scored]:
        """Return the scores of each note."""
        return [
            score_answer(e, a, self.fields) for e, a in zip(self.examples, self.answers, strict=True)
        ]


class Row(Record):
    """One point of a curve, or a line to compare it with.

    Attributes:
        kind: An untouched student, a trained one, or a larger untouched model.
        name: What the table calls it.
        notes: Trained on, the fewest of the seeds; patients likewise.
        patients: Of how many patients these are.
        seeds: How many trainings.
        score: The mean note score over seeds; the interval is over patients of the measured notes.
        by_seed: The mean note score of each seed.
        micro_f1: Over all labels other than «nothing found» and all items, pooled; mean over seeds.
        macro_f1: The mean over fields (over their labels), mean over seeds.
        failures: The share of notes with a field that could not be read.
        gain: Over the untouched student, paired by note, in points of [-1, 1].
        seconds: Training, the mean over seeds.
        unlearned: How many of the trainings did not come below the loss of guessing.
    """

    kind: Kind
    name: str
    notes: int
    patients: int
    seeds: int
    score: Interval
    by_seed: tuple[float, ...]
    micro_f1: Interval
    macro_f1: float
    failures: float
    gain: Interval | None = None
    seconds: float = 0.0
    unlearned: int = 0


class Curve(Record):
    """A whole curve.

    Attributes:
        task: Whose notes.
        synthetic: Whether they are generated.
        student: Who was trained.
        profile: How.
        constrained: Whether only texts that fit the schema could come out.
        change: Hyper-parameters that differ from the profile's, as they were given.
        labels: The fields that ask for a label.
        lists: The fields that ask for a list.
        measured_on: The part that all rows are measured on.
        notes: Its notes.
        patients: Its patients.
        split_seed: The draw of the parts.
        left_out: Train notes that were not used since they nearly repeat one of dev or test.
        rows: Zero-shot, by size, larger.
    """

    task: str
    synthetic: bool
    student: str
    profile: str
    constrained: bool
    change: dict[str, JsonValue] = Field(default_factory=dict)
    labels: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    measured_on: str = "dev"
    notes: int
    patients: int
    split_seed: int
    left_out: int = 0
    rows: tuple[Row, ...] = ()


def row(kind: Kind, name: str, runs: Sequence[Run], zero: Run | None = None) -> Row:
    """Return the row of one size: its runs are the seeds.

    Args:
        kind: What it is.
        name: What the table calls it.
        runs: One per seed, all over the same notes; at least one.
        zero: The untouched student on the same notes.
    """
    every = [run.scored() for run in runs]
    marks = [valid_rate(scored) for scored in every]
    mean = _mean(every)
    f1s = [_macro_f1(run) for run in runs]
    return Row(
        kind=kind,
        name=name,
        notes=min(run.trained for run in runs),
        patients=min(run.patients for run in runs),
        seeds=len(runs),
        score=stats.interval(mean),
        by_seed=tuple(statistics.fmean(s.score for s in scored) for scored in every),
        micro_f1=_micro_f1(runs),
        macro_f1=statistics.fmean(f1s),
        failures=1 - statistics.fmean(marks),
        gain=stats.paired_difference(zero.scored(), mean) if zero is not None else None,
        seconds=round(statistics.fmean(run.seconds for run in runs), 1),
        unlearned=sum(not run.learned for run in runs),
    )


def _mean(every: Sequence[Sequence[Scored]]) -> list[Scored]:
    """Return the notes with their scores averaged over seeds: one unit per note, not per seed."""
    return [
        same[0].model_copy(update={"score": statistics.fmean(s.score for s in same)})
        for same in zip(*every, strict=True)
    ]


def _macro_f1(run: Run) -> float:
    metrics = field_metrics(run.examples, run.answers, run.fields)
    return statistics.fmean(
        m.macro_f1 if m.macro_f1 is not None else (m.positive.f1 or 0.0) for m in metrics
    )


def _micro_f1(runs: Sequence[Run]) -> Interval:
    """Return the mean of the seeds' micro F1, with an interval over patients of their pooled counts."""
    groups: list[str] = []
    hits: list[float] = []
    both: list[float] = []
    each = []
    for run in runs:
        own_hits = own_both = 0.0
        for example, answer in zip(run.examples, run.answers, strict=True):
            counts = [m.positive for m in field_metrics([example], [answer], run.fields)]
            groups.append(example.group)
            hits.append(2.0 * sum(c.hits for c in counts))
            both.append(float(sum(c.gold + c.said for c in counts)))
            own_hits, own_both = own_hits + hits[-1], own_both + both[-1]
        each.append(own_hits / own_both if own_both else 0.0)
    found = stats.ratio_interval(groups, hits, both)
    mean = statistics.fmean(each)
    return Interval(value=mean, low=min(found.low, mean), high=max(found.high, mean))
