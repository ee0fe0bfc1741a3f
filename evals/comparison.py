"""Two students on the same notes: the run's metric, those beside it, and what changed note by note.

Owns the record of a comparison and how it is computed from scores. Leaves what is compared to
``evals.report``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec
from preceptor.core.record import Record
from preceptor.core.records import Interval, Scored
from preceptor.evals import stats
from preceptor.evals.metrics import resampling
from preceptor.evals.metrics.choice import Metric, applicable, make
from preceptor.evals.metrics.statistic import Statistic
from preceptor.evals.scorers import mean_cost


class Comparison(Record):
    """Baseline against final on the same notes.

    Attributes:
        notes: How many.
        patients: Of how many patients.
        baseline: The run's metric with its interval over patients.
        final: Likewise.
        gain: Final minus baseline, paired.
        p_value: Of "final is better", one-sided, the larger of the gate's two tests; None in reports
            from before.
        fixed: Notes of which more is right than before.
        broken: Notes of which less is right.
        exact: Share of notes with every field right: before, after.
        valid: Share of notes whose every field could be read: before, after.
        tokens: Mean prompt and completion tokens per note, before and after; None if not known.
        others: The metrics beside the run's.
        detectable: The true gain that a comparison of this size finds four times out of five
            (one-sided, 5 %), given how much the two differ from note to note; None if they do not.
    """

    notes: int
    patients: int
    baseline: Interval
    final: Interval
    gain: Interval
    fixed: int
    broken: int
    exact: tuple[Interval, Interval]
    valid: tuple[Interval, Interval]
    tokens: tuple[float | None, float | None]
    detectable: float | None
    p_value: float | None = None
    others: tuple[MetricRow, ...] = ()


class MetricRow(Record):
    """A metric beside the one that the run was judged by."""

    name: str
    baseline: Interval
    final: Interval
    gain: Interval


def _shares(scored: Sequence[Scored]) -> tuple[Interval, Interval]:
    """Return the share of notes fully right and the share of readable ones, over patients."""
    groups = [s.group for s in scored]
    whole = [float(all(v == 1.0 for v in s.fields.values())) for s in scored]
    valid = [float(s.valid) for s in scored]
    return stats.cluster_interval(groups, whole), stats.cluster_interval(groups, valid)


def compare(
    before: Sequence[Scored],
    after: Sequence[Scored],
    metric: Metric,
    fields: Sequence[FieldSpec] = (),
) -> Comparison:
    """Return baseline against final on the same notes.

    Args:
        before: The baseline's scores.
        after: The final student's, in the same order.
        metric: What the run was judged by.
        fields: The task's fields, for the metrics beside it; none are counted without.

    Raises:
        InputError: If the notes differ, or there are none.
    """
    groups, gain = stats.paired(before, after)
    if not groups:
        raise InputError("there are no notes to compare", "look at the sizes of the splits")
    by = metric.statistic
    both = resampling.pair(by, before, after)
    error = resampling.standard_error(both)
    (exact, valid), (exact_after, valid_after) = _shares(before), _shares(after)
    return Comparison(
        notes=len(groups),
        patients=len(set(groups)),
        baseline=resampling.interval(by, before),
        final=resampling.interval(by, after),
        gain=resampling.difference(by, before, after),
        fixed=int((gain > 0).sum()),
        broken=int((gain < 0).sum()),
        exact=(exact, exact_after),
        valid=(valid, valid_after),
        tokens=(mean_cost(before), mean_cost(after)),
        detectable=stats.detectable_gain(error) if error else None,
        p_value=both.better_p(),
        others=tuple(_other_rows(before, after, metric, fields)),
    )


def _other_rows(
    before: Sequence[Scored], after: Sequence[Scored], metric: Metric, fields: Sequence[FieldSpec]
) -> Iterator[MetricRow]:
    """Yield the metrics beside the run's that have a value on these notes, and the recall."""
    if not fields or not all(s.outcomes for s in (*before, *after)):
        return  # scored before metrics could be chosen
    beside: dict[str, Statistic] = {
        n: make(n, fields, dict(metric.labels))
        for n in applicable(fields)
        if n not in (metric.name, "exact_match")  # which every comparison has
    }
    if metric.recall is not None:
        beside["recall"] = metric.recall
    for name, by in beside.items():
        sides = resampling.interval(by, before), resampling.interval(by, after)
        if math.isfinite(resampling.pair(by, before, after).gain):
            gain = resampling.difference(by, before, after)
            yield MetricRow(name=name, baseline=sides[0], final=sides[1], gain=gain)
