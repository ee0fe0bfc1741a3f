"""Intervals and tests of any metric, whose unit is the patient.

Owns resampling and swapping of patients' counts; leaves what a metric is to ``evals.metrics.statistic``
and what follows from a test to ``graphs.gates``. Everything is deterministic for the same input and
seed.

Intervals are percentile bootstraps over whole patients (Davison & Hinkley, Bootstrap Methods and their
Application (1997), 3.8). The test is approximate randomisation (Noreen, Computer-Intensive Methods for
Testing Hypotheses (1989); Yeh, COLING 2000, 947): if two recipes were equally good, the outcomes of a
patient under the one could as well be those under the other, so they are swapped or not, patient by
patient, and the metric is computed again. For a mean over notes this is the sign-flip test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from preceptor.core.errors import InputError
from preceptor.core.records import Interval, Scored
from preceptor.evals import stats
from preceptor.evals.metrics.statistic import Floats, Statistic

_STEP = 1e-4
_TRACE = 1e-9
"""So much of all patients is in a resampling out of which no rare label or field may drop."""

_BLOCK = 4_000_000


@dataclass(frozen=True)
class Pair:
    """Two recipes' counts on the same notes, summed by patient.

    Attributes:
        statistic: What values them.
        before: Shape (patients, counts).
        after: Likewise.
    """

    statistic: Statistic
    before: Floats
    after: Floats

    @property
    def gain(self) -> float:
        """The metric after minus before; NaN if it is not defined."""
        return float(self._gains(self.before.sum(0), self.after.sum(0)))

    def _gains(self, before: Floats, after: Floats) -> Floats:
        return np.asarray(self.statistic.value(after) - self.statistic.value(before))

    def field_gains(self) -> Floats:
        """Return the gain of each field, shape (fields,); NaN where it is not defined."""
        value = self.statistic.by_field
        return value(self.after.sum(0)) - value(self.before.sum(0))

    def gain_p(self, seed: int = 0) -> float:
        """Return the one-sided p value of "after is better"."""
        return float(self._swapped(seed, fields=False, sign=1.0)[0])

    def loss_p(self, seed: int = 0) -> float:
        """Return the one-sided p value of "after is worse"."""
        return float(self._swapped(seed, fields=False, sign=-1.0)[0])

    def field_loss_p(self, seed: int = 0) -> Floats:
        """Return the one-sided p value of "after is worse" of each field, shape (fields,)."""
        return self._swapped(seed, fields=True, sign=-1.0)

    def _swapped(self, seed: int, *, fields: bool, sign: float) -> Floats:
        """Return the share of swaps in which the signed gain reaches the observed one."""
        value = self.statistic.by_field if fields else self.statistic.value
        change = self.after - self.before
        moved = np.any(change != 0, axis=1)
        change = change[moved]
        before, after = self.before.sum(0), self.after.sum(0)
        observed = np.atleast_1d(sign * (value(after) - value(before)))
        reached, drawn = np.zeros_like(observed), 0
        for swap in _swaps(len(change), seed, change.shape[1]):
            shift = swap @ change
            gains = sign * (value(after - shift) - value(before + shift))
            short = gains.reshape(len(swap), -1) < observed - stats.TIE
            reached += (~short).sum(0)  # what is not defined counts as reached
            drawn += len(swap)
        if len(change) <= stats.EXACT_GROUPS:
            return np.asarray(reached / drawn)
        return np.asarray((1 + reached) / (1 + drawn))

    def better_p(self, seed: int = 0) -> float:
        """Return the one-sided p value of "after is better" by both tests, 1 without a value.

        It may be used for as few patients as there are: no sign pattern of five has a p below .03.
        """
        if len(self.before) < 2 or not np.isfinite(self.gain):
            return 1.0
        return max(self.gain_p(seed), self.skewed_p())

    def skewed_p(self) -> float:
        """Return the p value of "after is better" of a t test that allows for skewness.

        Where the metric is a mean, patients' sums are tested; else their influence on the gain, the
        infinitesimal jackknife (Efron & Tibshirani, An Introduction to the Bootstrap (1993), 21).
        """
        if self.statistic.additive:
            return stats.skewed_t(self.after[:, 0] - self.before[:, 0])
        return stats.skewed_t(self.influences())

    def influences(self) -> Floats:
        """Return each patient's pseudo-value of the gain, shape (patients,); their mean is the gain."""
        size = len(self.before)
        before, after = self.before.sum(0), self.after.sum(0)
        near = self._gains(before + _STEP * self.before, after + _STEP * self.after)
        return np.asarray(self.gain + size * (near - self.gain) / _STEP)


def _swaps(size: int, seed: int, width: int) -> Iterator[Floats]:
    """Yield blocks of swaps, shape (block, size): 1 where a patient's outcomes change places."""
    if size <= stats.EXACT_GROUPS:
        yield (np.arange(2**size)[:, None] >> np.arange(size) & 1).astype(np.float64)
        return
    rng = np.random.default_rng(seed)
    step = max(1, min(stats.FLIPS, _BLOCK // max(size, width)))
    for at in range(0, stats.FLIPS, step):
        shape = (min(step, stats.FLIPS - at), size)
        yield 1.0 - rng.integers(0, 2, shape, np.int8).astype(np.float64)


def by_patient(statistic: Statistic, scored: Sequence[Scored]) -> Floats:
    """Return the counts of each patient, shape (patients, counts), in order of first appearance."""
    place: dict[str, int] = {}
    index = [place.setdefault(s.group, len(place)) for s in scored]
    counts = statistic.count(scored)
    totals = np.zeros((len(place), counts.shape[1]))
    np.add.at(totals, index, counts)
    return totals


def pair(statistic: Statistic, before: Sequence[Scored], after: Sequence[Scored]) -> Pair:
    """Return two recipes' counts on the same notes.

    Raises:
        InputError: If the two do not score the same notes in the same order.
    """
    if [(s.example_id, s.group) for s in before] != [(s.example_id, s.group) for s in after]:
        raise InputError(
            "two evaluations of different notes cannot be compared", "evaluate both on one split"
        )
    return Pair(statistic, by_patient(statistic, before), by_patient(statistic, after))


def resampled(
    value: Callable[[Floats], Floats], totals: Floats, seed: int, trace: float = 0.0
) -> Floats:
    """Return ``value`` of each resampling of patients, shape (draws, …).

    Args:
        value: Of summed counts.
        totals: The counts of each patient, shape (patients, counts).
        seed: Of the draws.
        trace: How much of all patients is added to each.
    """
    rng = np.random.default_rng(seed)
    size = len(totals)
    step = max(1, min(stats.DRAWS, _BLOCK // max(1, size)))
    out = []
    for at in range(0, stats.DRAWS, step):
        block = min(step, stats.DRAWS - at)
        picked = rng.integers(0, size, (block, size)) + size * np.arange(block)[:, None]
        drawn = np.bincount(picked.ravel(), minlength=block * size).reshape(block, size)
        out.append(value((drawn + trace) @ totals))
    return np.concatenate(out)


def _traces(statistic: Statistic) -> tuple[float, ...]:
    """Return the ways in which a metric is resampled; its interval spans them all.

    A mean over labels and fields is one over those that gold has: where a rare one is in no patient
    that was drawn, it is another mean, over the easier fields that are left. So it is also valued with
    a trace of all patients, which keeps such a label at the value that it has in all of them, or at 0
    where it was only invented.
    """
    return (0.0,) if statistic.additive else (0.0, _TRACE)


def _interval(
    value: float, ways: Sequence[Floats], bounds: tuple[float, float], level: float
) -> Interval:
    """Return the interval that spans those of the draws of each way."""
    tail = (1 - level) / 2
    known = [draws[np.isfinite(draws)] for draws in ways]
    ends = [np.quantile(draws, [tail, 1 - tail]) for draws in known if len(draws)]
    if not np.isfinite(value) or not ends:
        return Interval(value=0.0, low=bounds[0], high=bounds[1])
    low, high = min(float(end[0]) for end in ends), max(float(end[1]) for end in ends)
    value += 0.0  # -0.0 becomes 0.0
    return Interval(value=value, low=min(low, value) + 0.0, high=max(high, value))


def interval(
    statistic: Statistic, scored: Sequence[Scored], level: float = 0.95, seed: int = 0
) -> Interval:
    """Return the metric with its interval over patients.

    A metric that is not defined is 0 with the whole range as its interval, as with fewer than two
    patients; for a value at the end of the range that no resampling moves, the interval is Wilson's for
    so many patients.
    """
    bounds = statistic.bounds
    if not scored:
        return Interval(value=0.0, low=bounds[0], high=bounds[1])
    totals = by_patient(statistic, scored)
    value = float(statistic.value(totals.sum(0)))
    if len(totals) < 2 and np.isfinite(value):
        return Interval(value=value, low=bounds[0], high=bounds[1])
    ways = [resampled(statistic.value, totals, seed, trace) for trace in _traces(statistic)]
    found = _interval(value, ways, bounds, level)
    return _widened(found, len(totals), bounds, level)


def _widened(found: Interval, size: int, bounds: tuple[float, float], level: float) -> Interval:
    """Return Wilson's interval in place of one without width at an end of [0, 1]."""
    if bounds == (0.0, 1.0) and found.low == found.high == found.value and found.value in bounds:
        return stats.wilson(round(found.value * size), size, level)
    return found


def difference(
    statistic: Statistic,
    before: Sequence[Scored],
    after: Sequence[Scored],
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the metric after minus before, paired, with its interval over patients.

    Raises:
        InputError: If the two do not score the same notes in the same order.
    """
    both = pair(statistic, before, after)
    low, high = statistic.bounds
    bounds = low - high, high - low
    if len(both.before) < 2:
        value = both.gain if len(both.before) and np.isfinite(both.gain) else 0.0
        return Interval(value=value, low=bounds[0], high=bounds[1])
    ways = [resampled_gains(both, seed, trace) for trace in _traces(statistic)]
    return _interval(both.gain, ways, bounds, level)


def resampled_gains(both: Pair, seed: int, trace: float = 0.0) -> Floats:
    """Return the gain in each resampling of patients, shape (draws,)."""
    width = both.before.shape[1]

    def gain(totals: Floats) -> Floats:
        return np.asarray(
            both.statistic.value(totals[:, width:]) - both.statistic.value(totals[:, :width])
        )

    return resampled(gain, np.hstack([both.before, both.after]), seed, trace)


def field_intervals(
    statistic: Statistic, scored: Sequence[Scored], seed: int = 0
) -> dict[str, Interval]:
    """Return the metric of each field with its interval; fields without a value are left out."""
    if not scored:
        return {}
    totals = by_patient(statistic, scored)
    values = statistic.by_field(totals.sum(0))
    ways = [resampled(statistic.by_field, totals, seed, trace) for trace in _traces(statistic)]
    found = {}
    for at, name in enumerate(statistic.fields):
        if np.isfinite(values[at]):
            own = [draws[:, at] for draws in ways]
            one = _interval(float(values[at]), own, statistic.bounds, 0.95)
            found[name] = _widened(one, len(totals), statistic.bounds, 0.95)
    return found


def standard_error(both: Pair, seed: int = 0) -> float | None:
    """Return the standard error of the gain over patients; None for fewer than two or no change.

    Where the metric is no mean, it is the spread over resamplings: influences make it 10 to 15 % too
    small where few patients have what is to be found (docs/results/gate.md).
    """
    size = len(both.before)
    if size < 2 or not np.isfinite(both.gain):
        return None
    if both.statistic.additive:
        return float(both.influences().std(ddof=1) / np.sqrt(size)) or None
    draws = resampled_gains(both, seed)
    known = draws[np.isfinite(draws)]
    return float(known.std(ddof=1)) or None if len(known) > 1 else None
