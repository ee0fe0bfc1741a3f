"""Metrics as functions of counts that add up over notes.

Owns the arithmetic of each metric. A corpus-level metric such as F1 or kappa is no mean over notes, but
it is a function of counts that are: so every metric here first counts (one row of numbers per note) and
then values a sum of such rows. Summed by patient, resampled or swapped, the rows give intervals and
tests of any metric (``evals.metrics.resampling``).

A value that could not be read is never right. A metric that is not defined is NaN, never 0: F1 and
recall where gold has nothing to find, kappa where gold has one label only. Sources: van Rijsbergen,
Information Retrieval (1979), 7 for F; Cohen, Educ Psychol Meas 20 (1960) 37 for kappa; Cohen, Psychol
Bull 70 (1968) 213 for weighted kappa; Brodersen et al., ICPR (2010) 3121 for balanced accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Scored

Floats = NDArray[np.float64]


class Statistic(Protocol):
    """A number for a set of notes.

    ``additive`` tells whether it is a mean over notes, so that patients' sums say everything about it.
    ``bounds`` is the range of its values.
    """

    @property
    def additive(self) -> bool:
        """Whether the value is a sum of notes' gains over a number that never changes."""
        ...

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that have a value of their own, in order."""
        ...

    def count(self, scored: Sequence[Scored]) -> Floats:
        """Return the counts of each note, shape (notes, counts)."""
        ...

    def value(self, totals: Floats) -> Floats:
        """Return the metric of summed counts: (..., counts) to (...); NaN where it is not defined."""
        ...

    def by_field(self, totals: Floats) -> Floats:
        """Return the metric of each field alone: (..., counts) to (..., fields); NaN likewise."""
        ...


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """Return top / bottom, NaN where nothing stands below the line."""
    out = np.full(np.shape(bottom), np.nan)
    return np.asarray(np.divide(top, bottom, out=out, where=bottom > 0))


def _mean(values: Floats, groups: Floats) -> Floats:
    """Return weighted means of what is defined: (..., values) by (values, groups) to (..., groups)."""
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0.0) @ groups, known @ groups)


@dataclass(frozen=True)
class Mean:
    """A mean over notes of one number per note; fields are means of their own scores.

    Args:
        fields: The task's fields, by name.
        of: The number of a note.
    """

    fields: tuple[str, ...]
    of: Callable[[Scored], float]
    additive: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)

    def count(self, scored: Sequence[Scored]) -> Floats:
        """Return (number, 1, then score and 1 of each field that has gold)."""
        table = np.zeros((len(scored), 2 + 2 * len(self.fields)))
        for row, note in zip(table, scored, strict=True):
            row[0], row[1] = self.of(note), 1.0
            for at, name in enumerate(self.fields):
                if name in note.fields:
                    row[2 + 2 * at], row[3 + 2 * at] = note.fields[name], 1.0
        return table

    def value(self, totals: Floats) -> Floats:
        """Return the mean over notes."""
        return _ratio(totals[..., 0], totals[..., 1])

    def by_field(self, totals: Floats) -> Floats:
        """Return the mean score of each field over the notes with gold for it."""
        return _ratio(totals[..., 2::2], totals[..., 3::2])


@dataclass(frozen=True)
class _Unit:
    """Something that is found or not: one label of a label field, or the items of a list field."""

    field: str
    weight: float
    label: int | None


def _found(unit: _Unit, outcome: tuple[int, ...]) -> tuple[float, float, float]:
    """Return (in gold, said, hits) of one note; ``outcome`` as in ``Scored.outcomes``."""
    if unit.label is None:
        return float(outcome[0]), float(outcome[1]), float(outcome[2])
    gold, said = outcome[0] == unit.label, outcome[1] == unit.label
    return float(gold), float(said), float(gold and said)


class Detection:
    """Counts of what was to be found: (in gold, said, hits) per unit; base of F1 and recall.

    Args:
        specs: The fields that are looked at.
        labels: The labels that count per label field; all if a field is not named.
    """

    additive = False
    bounds = (0.0, 1.0)

    def __init__(
        self, specs: Sequence[FieldSpec], labels: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._units = [unit for field in specs for unit in _units(field, labels or {})]
        self.fields = tuple(f.name for f in specs)
        own = np.zeros((len(self._units), len(specs)))
        for at, unit in enumerate(self._units):
            own[at, self.fields.index(unit.field)] = 1.0
        self.own = own
        self.field_weights = np.array([f.weight for f in specs])
        self.unit_weights = np.array([u.weight for u in self._units])

    def count(self, scored: Sequence[Scored]) -> Floats:
        """Return (gold, said, hits) per unit, side by side.

        Raises:
            InputError: If a note was scored before such counts were kept.
        """
        table = np.zeros((len(scored), 3 * len(self._units)))
        for row, note in zip(table, scored, strict=True):
            for at, unit in enumerate(self._units):
                outcome = outcome_of(note, unit.field)
                if outcome is not None:
                    row[3 * at : 3 * at + 3] = _found(unit, outcome)
        return table

    def f1(self, totals: Floats) -> Floats:
        """Return the F1 of each unit that gold has: 2·hits / (gold + said)."""
        gold, said, hits = totals[..., 0::3], totals[..., 1::3], totals[..., 2::3]
        return np.where(gold > 0, _ratio(2 * hits, gold + said), np.nan)

    def pooled(self, totals: Floats, groups: Floats) -> Floats:
        """Return F1 of units pooled by (units, groups) weights; NaN where gold has nothing."""
        gold, said, hits = (totals[..., i::3] @ groups for i in range(3))
        return np.where(gold > 0, _ratio(2 * hits, gold + said), np.nan)


def outcome_of(note: Scored, field: str) -> tuple[int, ...] | None:
    """Return what came of a field of a note, None if it is not scored there.

    Raises:
        InputError: If the note was scored before such counts were kept.
    """
    if field not in note.fields:
        return None
    if field not in note.outcomes:
        raise InputError(
            f"note {note.example_id!r} was scored without counts", "measure the student again"
        )
    return note.outcomes[field]


def _units(field: FieldSpec, labels: Mapping[str, Sequence[str]]) -> list[_Unit]:
    if not isinstance(field, LabelField):
        return [_Unit(field.name, field.weight, None)]
    counted = labels.get(field.name, field.values)
    return [_Unit(field.name, field.weight, i) for i, v in enumerate(field.values) if v in counted]


class MacroF1(Detection):
    """The mean F1 over fields, and within a field over its labels that count.

    A label or list that gold never has is left out; answers that name it count against the labels that
    gold has there instead.
    """

    def value(self, totals: Floats) -> Floats:
        """Return the weighted mean over fields."""
        return _mean(self.by_field(totals), self.field_weights[:, None])[..., 0]

    def by_field(self, totals: Floats) -> Floats:
        """Return the mean F1 of each field's labels."""
        return _mean(self.f1(totals), self.own)


class MicroF1(Detection):
    """F1 of all labels that count and all items, pooled over fields (weighted by field)."""

    def value(self, totals: Floats) -> Floats:
        """Return 2·hits / (gold + said) over everything."""
        return self.pooled(totals, self.unit_weights[:, None])[..., 0]

    def by_field(self, totals: Floats) -> Floats:
        """Return the pooled F1 of each field."""
        return self.pooled(totals, self.own)


class Recall(Detection):
    """The share of what was to be found that was found, pooled over fields (weighted by field)."""

    def value(self, totals: Floats) -> Floats:
        """Return hits / gold over everything."""
        gold, hits = totals[..., 0::3], totals[..., 2::3]
        return _ratio(hits @ self.unit_weights, gold @ self.unit_weights)

    def by_field(self, totals: Floats) -> Floats:
        """Return hits / gold of each field."""
        return _ratio(totals[..., 2::3] @ self.own, totals[..., 0::3] @ self.own)


class BalancedAccuracy(Detection):
    """The mean over fields of the mean recall over the labels that gold has; lists: items' recall."""

    def value(self, totals: Floats) -> Floats:
        """Return the weighted mean over fields."""
        return _mean(self.by_field(totals), self.field_weights[:, None])[..., 0]

    def by_field(self, totals: Floats) -> Floats:
        """Return each field's mean recall over its labels."""
        return _mean(_ratio(totals[..., 2::3], totals[..., 0::3]), self.own)


class Kappa:
    """The mean over label fields of Cohen's kappa, with quadratic weights where labels are ordered.

    An answer that could not be read is as far from gold as can be. A field of which gold has one label
    only is left out: nothing can be told there from chance.

    Args:
        specs: The task's fields; lists are left out.
    """

    additive = False
    bounds = (-1.0, 1.0)

    def __init__(self, specs: Sequence[FieldSpec]) -> None:
        self._specs = [f for f in specs if isinstance(f, LabelField)]
        self.fields = tuple(f.name for f in self._specs)
        self._weights = np.array([[f.weight] for f in self._specs])
        self._starts = np.cumsum([0, *(len(f.values) * (len(f.values) + 1) for f in self._specs)])

    def count(self, scored: Sequence[Scored]) -> Floats:
        """Return the cells (gold label, said label or unread) of each field, side by side.

        Raises:
            InputError: If a note was scored before such counts were kept.
        """
        table = np.zeros((len(scored), int(self._starts[-1])))
        for row, note in zip(table, scored, strict=True):
            for start, field in zip(self._starts, self._specs, strict=False):
                outcome = outcome_of(note, field.name)
                if outcome is not None:
                    said = outcome[1] if outcome[1] >= 0 else len(field.values)
                    row[start + outcome[0] * (len(field.values) + 1) + said] = 1.0
        return table

    def value(self, totals: Floats) -> Floats:
        """Return the weighted mean over fields."""
        return _mean(self.by_field(totals), self._weights)[..., 0]

    def by_field(self, totals: Floats) -> Floats:
        """Return each field's kappa: 1 - observed / expected disagreement."""
        return np.stack(
            [
                self._one(
                    field, totals[..., start : start + len(field.values) * (len(field.values) + 1)]
                )
                for start, field in zip(self._starts, self._specs, strict=False)
            ],
            axis=-1,
        )

    def _one(self, field: LabelField, cells: Floats) -> Floats:
        size = len(field.values)
        apart = _distances(size, field.ordered)
        gold = cells @ np.repeat(np.eye(size), size + 1, axis=0)
        said = cells @ np.tile(np.eye(size + 1), (size, 1))
        expected = _ratio(np.einsum("...i,...i->...", gold @ apart, said), cells.sum(-1))
        several = np.count_nonzero(gold > 0, axis=-1) > 1
        return np.where(several, 1 - _ratio(cells @ apart.ravel(), expected), np.nan)


def _distances(size: int, ordered: bool) -> Floats:
    """Return the disagreement of each gold label (rows) with each said one and with an unread one."""
    places = np.arange(size)
    if ordered:
        apart = ((places[:, None] - places[None, :]) / (size - 1)) ** 2
    else:
        apart = (places[:, None] != places[None, :]).astype(np.float64)
    return np.hstack([apart, np.ones((size, 1))])
