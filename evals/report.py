"""What a run ends with: baseline against final on the sealed test, and what to think of it.

Owns which numbers a report holds and how they are computed from plain records. Leaves its words to
``evals.report_text``, and where the records come from to the graph. A score without an interval is not
in a report; what is not known is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from preceptor.core import kept
from preceptor.core.blocked import Blocked
from preceptor.core.fields import FieldSpec
from preceptor.core.forced import Loose
from preceptor.core.readable import Readable
from preceptor.core.record import Record
from preceptor.core.records import Answer, Attempt, Evaluation, Example, Gold, Interval, Scored
from preceptor.core.records import Finding as FindingRecord
from preceptor.evals import report_text, stats
from preceptor.evals.comparison import Comparison, compare
from preceptor.evals.constant import constant_fields
from preceptor.evals.metrics import resampling
from preceptor.evals.metrics.card import Card, card
from preceptor.evals.metrics.choice import Metric, accuracy
from preceptor.evals.scorers import (
    FieldMetrics,
    field_metrics,
    score_answer,
)
from preceptor.evals.standing import Finding, RuleRow, Standing, standing, surely_better

REPORT_VERSION = 2


@dataclass(frozen=True)
class Side:
    """One student, on the sealed test and on dev.

    Attributes:
        dev: Its scores on dev.
        test: Its scores on the sealed test; None if the test was not opened.
        answers: Its answers to the test notes, in the order of ``ReportInputs.examples``; without
            them the report has no precision and recall.
    """

    dev: Evaluation
    test: Evaluation | None = None
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class ReportInputs:
    """Everything that a report is made of.

    Attributes:
        task: The task's name.
        fields: Its fields.
        student: The model that answers.
        teacher: Who taught.
        baseline: The student as it came.
        final: The student that the run kept.
        examples: The test notes, with gold.
        rules: What each rule baseline says about the test notes: values by note id, by its name.
        attempts: Every changing move, with its verdict.
        stop: Why the run ended, in words.
        spent: Amount per resource.
        unknown: How many amounts of a resource are not known; such a resource is shown as «at least».
        openings: How often this test set has been opened so far, this run included.
        seals: Content hash of each split.
        synthetic: Whether the notes are generated.
        left_behind: Models that the run made on the student's server and that no kept recipe needs.
        metric: What the run was judged by; accuracy if None.
        trivial: The names among ``rules`` of those that answer the same to every note.
        target: The value of the metric that would be good enough, if the task says.
        unmeasured: Why there are no figures of the sealed test; empty if there are.
        blocked: What stood in the way of each kind of move when the teacher ended the run.
        readable: The untouched student's answers on dev, if half or more could not be read.
        schema_loose: Those that the server did not hold to the schema, if there were any.
    """

    task: str
    fields: tuple[FieldSpec, ...]
    student: str
    teacher: str
    baseline: Side
    final: Side
    examples: tuple[Example, ...] = ()
    rules: Mapping[str, Mapping[str, Gold]] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    stop: str = ""
    spent: Mapping[str, float] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)
    openings: int = 0
    seals: Mapping[str, str] = field(default_factory=dict)
    synthetic: bool = False
    left_behind: tuple[str, ...] = ()
    metric: Metric | None = None
    trivial: frozenset[str] = frozenset()
    target: float | None = None

    def judged_by(self) -> Metric:
        """Return the metric."""
        return self.metric or accuracy(self.baseline.dev.scored)

    unmeasured: str = ""
    blocked: tuple[Blocked, ...] = ()
    readable: Readable | None = None
    schema_loose: Loose | None = None


class FieldRow(Record):
    """One field on the sealed test; ``before`` and ``after`` hold counts, precision and recall."""

    field: str
    baseline: Interval
    final: Interval
    gain: Interval
    before: FieldMetrics | None = None
    after: FieldMetrics | None = None


class Cost(Record):
    """What a run used up of one resource; with ``unknown`` entries it is a lower bound."""

    spent: float
    unknown: int = 0


class Report(Record):
    """A run's result, as JSON.

    Attributes:
        metric: What the scores are.
        standing: The three comparisons of the headline.
        cards: What each metric is, the run's own first.
        constant: The fields to which the final student gives one answer on the sealed test.
        finding: What the sealed test says.
        test: Baseline against final there; None if it was not opened.
        dev: The same on dev, where candidates were chosen: it flatters the final student.
        gap: Final on dev minus final on test.
        left_behind: Models on the student's server that no kept recipe needs.
        unmeasured: Why ``test`` is None.
        blocked: What stood in the way of each kind of move when the teacher ended the run.
        readable: The untouched student's answers on dev, if half or more could not be read.
        schema_loose: Those that the server did not hold to the schema, if there were any.
    """

    version: int = REPORT_VERSION
    task: str
    synthetic: bool
    student: str
    teacher: str
    metric: str = "accuracy"
    finding: Finding
    standing: Standing | None = None
    stop: str = ""
    baseline_recipe: str
    final_recipe: str
    test: Comparison | None
    dev: Comparison
    gap: Interval | None = None
    fields: tuple[FieldRow, ...] = ()
    rules: tuple[RuleRow, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    costs: dict[str, Cost] = Field(default_factory=dict)
    openings: int = 0
    seals: dict[str, str] = Field(default_factory=dict)
    left_behind: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    constant: tuple[FindingRecord, ...] = ()
    unmeasured: str = ""
    blocked: tuple[Blocked, ...] = ()
    readable: Readable | None = None
    schema_loose: Loose | None = None


def _field_row(
    name: str,
    sides: tuple[Sequence[Scored], Sequence[Scored]],
    metrics: Sequence[FieldMetrics],
) -> FieldRow:
    pairs = [(b, a) for b, a in zip(*sides, strict=True) if name in b.fields]
    groups = [b.group for b, _ in pairs]
    before, after = [b.fields[name] for b, _ in pairs], [a.fields[name] for _, a in pairs]
    change = [new - old for old, new in zip(before, after, strict=True)]
    return FieldRow(
        field=name,
        baseline=stats.cluster_interval(groups, before),
        final=stats.cluster_interval(groups, after),
        gain=stats.cluster_interval(groups, change, (-1.0, 1.0)),
        before=metrics[0] if metrics else None,
        after=metrics[1] if metrics else None,
    )


def _field_rows(inputs: ReportInputs, before: Evaluation, after: Evaluation) -> tuple[FieldRow, ...]:
    metrics: dict[str, list[FieldMetrics]] = {}
    if inputs.baseline.answers and inputs.final.answers:
        found = dict(inputs.judged_by().labels)
        for side in (inputs.baseline, inputs.final):
            for counted in field_metrics(inputs.examples, side.answers, inputs.fields, found):
                metrics.setdefault(counted.field, []).append(counted)
    scored = {name for s in before.scored for name in s.fields}
    sides = before.scored, after.scored
    return tuple(
        _field_row(f.name, sides, metrics.get(f.name, ())) for f in inputs.fields if f.name in scored
    )


def _rule_rows(inputs: ReportInputs, after: Evaluation) -> tuple[RuleRow, ...]:
    """Score what the baselines say; the strongest comes first."""
    rows = []
    metric = inputs.judged_by()
    for name, said in inputs.rules.items():
        answers = [Answer(example_id=e.id, record=said.get(e.id), calls=0) for e in inputs.examples]
        both = zip(inputs.examples, answers, strict=True)
        scored = [score_answer(e, a, inputs.fields, metric.function) for e, a in both]
        ahead = resampling.difference(metric.statistic, scored, after.scored)
        p_value = resampling.pair(metric.statistic, scored, after.scored).better_p()
        value = resampling.interval(metric.statistic, scored)
        plain = name in inputs.trivial
        rows.append(RuleRow(name=name, score=value, final_ahead=ahead, trivial=plain, p_value=p_value))
    return tuple(sorted(rows, key=lambda row: (-row.score.value, row.name)))


def _gap(dev: Sequence[Scored], test: Sequence[Scored], metric: Metric) -> Interval | None:
    """Return dev minus test (they hold different patients: each half-width is its interval's)."""
    sides = [resampling.interval(metric.statistic, part) for part in (dev, test)]
    if any(len({s.group for s in part}) < 2 for part in (dev, test)):
        return None
    value = sides[0].value - sides[1].value
    halves = [(side.high - side.low) / 2 for side in sides]
    half = math.hypot(*halves)
    return Interval(value=value, low=value - half, high=value + half)


def _finding(inputs: ReportInputs, test: Comparison | None) -> Finding:
    if test is None:
        return "not_measured"
    if inputs.baseline.dev.recipe == inputs.final.dev.recipe:
        return "unchanged"
    if surely_better(test.gain, test.p_value):
        return "better"
    return "worse" if test.gain.high < 0 else "no_gain"


def build(inputs: ReportInputs) -> Report:
    """Return the report of a run.

    Raises:
        InputError: If baseline and final were measured on different notes.
    """
    before, after = inputs.baseline.test, inputs.final.test
    metric, fields = inputs.judged_by(), inputs.fields
    test = compare(before.scored, after.scored, metric, fields) if before and after else None
    finding = _finding(inputs, test)
    rules = _rule_rows(inputs, after) if after else ()
    names = {**inputs.spent, **inputs.unknown}
    return Report(
        task=inputs.task,
        synthetic=inputs.synthetic,
        student=inputs.student,
        teacher=inputs.teacher,
        metric=metric.name,
        finding=finding,
        standing=standing(
            finding,
            test.final if test else None,
            rules,
            inputs.target,
            test.patients if test else 0,
        ),
        stop=inputs.stop,
        baseline_recipe=inputs.baseline.dev.recipe,
        final_recipe=inputs.final.dev.recipe,
        test=test,
        dev=compare(inputs.baseline.dev.scored, inputs.final.dev.scored, metric),
        gap=_gap(inputs.final.dev.scored, after.scored, metric) if after else None,
        fields=_field_rows(inputs, before, after) if before and after else (),
        rules=rules,
        attempts=kept.marked(inputs.attempts),
        costs={
            name: Cost(spent=inputs.spent.get(name, 0.0), unknown=inputs.unknown.get(name, 0))
            for name in names
        },
        openings=inputs.openings,
        seals=dict(inputs.seals),
        left_behind=inputs.left_behind,
        cards=tuple(_cards(metric, test)),
        constant=_constant(inputs),
        unmeasured=inputs.unmeasured,
        blocked=inputs.blocked,
        readable=inputs.readable,
        schema_loose=inputs.schema_loose,
    )


def _constant(inputs: ReportInputs) -> tuple[FindingRecord, ...]:
    """Return the constant answers of the final student; the ids of notes are left out."""
    if not inputs.final.answers:
        return ()
    found = constant_fields(inputs.examples, inputs.final.answers, inputs.fields)
    return tuple(one.model_copy(update={"example_ids": ()}) for one in found)


def _cards(metric: Metric, test: Comparison | None) -> Iterator[Card]:
    """Yield the card of the run's metric, then those beside it."""
    yield card(metric.name, metric)
    for row in test.others if test else ():
        yield card(row.name)


def to_text(report: Report) -> str:
    """Return the report for a reader; the first line says whether there is a gain."""
    return report_text.write(report)
