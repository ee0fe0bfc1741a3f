"""What one answer is worth: how much the metric would move if it were mended, or broken.

Owns the weights by which a teacher that counts answers (``agents.rules``) and tools that estimate gains
turn counts into points of the run's metric. Under accuracy every answer weighs the same; under F1 a
missed finding weighs far more than a mention that is rightly left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Scored
from preceptor.evals.metrics.choice import Metric


def worth(
    metric: Metric, fields: Sequence[FieldSpec], scored: Sequence[Scored]
) -> tuple[dict[str, float], ...]:
    """Return, per note and field, what the metric would gain by a right answer, or lose by a wrong one.

    All other answers stay as they are; in [0, 1]. Empty for accuracy, where all answers of a field
    weigh the same, and for a person's own function, which cannot be asked.
    """
    if not scored or metric.function is not None or metric.name == "accuracy":
        return ()
    cells = [
        (at, field.name)
        for at, note in enumerate(scored)
        for field in fields
        if field.name in note.fields
    ]
    changed = list(_changed(metric, fields, scored))
    counts = metric.statistic.count(scored)
    total = counts.sum(0)
    shift = metric.statistic.count(changed) - counts[[at for at, _ in cells]]
    moved = np.abs(metric.statistic.value(total + shift) - metric.statistic.value(total))
    out: tuple[dict[str, float], ...] = tuple({} for _ in scored)
    for (at, name), value in zip(cells, moved, strict=True):
        out[at][name] = float(value) if np.isfinite(value) else 0.0
    return out


def _changed(metric: Metric, fields: Sequence[FieldSpec], scored: Sequence[Scored]) -> Iterator[Scored]:
    """Yield each note once per scored field, with that field's answer the other way round."""
    counted = dict(metric.labels)
    for note in scored:
        for field in fields:
            if field.name not in note.fields:
                continue
            right = note.fields[field.name] < 1.0
            outcome = _outcome(field, note.outcomes[field.name], counted.get(field.name, ()), right)
            yield note.model_copy(
                update={
                    "fields": {**note.fields, field.name: float(right)},
                    "outcomes": {**note.outcomes, field.name: outcome},
                }
            )


def _outcome(
    field: FieldSpec, was: tuple[int, ...], counted: tuple[str, ...], right: bool
) -> tuple[int, ...]:
    """Return an outcome that is right, or wrong in the likeliest way: invented, or missed."""
    if not isinstance(field, LabelField):
        return (was[0], was[0], was[0]) if right else (was[0], int(not was[0]), 0)
    if right:
        return was[0], was[0]
    usual = next((i for i, v in enumerate(field.values) if v not in counted), len(field.values) - 1)
    found = next((i for i, v in enumerate(field.values) if v in counted), 0)
    return was[0], found if was[0] == usual else usual
