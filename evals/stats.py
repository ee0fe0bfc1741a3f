"""How sure a number is: intervals and tests whose unit is the patient, not the note.

Owns the statistics; leaves what follows from them to ``graphs.gates``. Everything is deterministic
for the same input and seed. Notes of one patient are alike, so patients are what is resampled and
flipped; treating notes or fields as independent makes intervals too narrow.

Sources: Davison & Hinkley, Bootstrap Methods and their Application (1997), 3.8, for resampling whole
clusters; Wilson, JASA 22 (1927) 209, for a proportion; Fisher, The Design of Experiments (1935), 21,
for sign flips; Phipson & Smyth, Stat Appl Genet Mol Biol 9 (2010) 39, for the +1 in random flips;
Holm, Scand J Stat 6 (1979) 65.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from preceptor.core.errors import InputError
from preceptor.core.records import Interval, Scored

Floats = NDArray[np.float64]

DRAWS = 2_000
"""Bootstrap draws."""

EXACT_GROUPS = 13
"""With at most this many patients that differ at all, every sign pattern is counted (8,192)."""

FLIPS = 10_000
"""Random sign patterns beyond that."""

_BLOCK = 2_000_000
TIE = 1e-9


def group_sums(groups: Sequence[str], values: Sequence[float] | Floats) -> tuple[Floats, Floats]:
    """Return (sum, count) of ``values`` per group, groups in order of first appearance."""
    place: dict[str, int] = {}
    index = np.fromiter((place.setdefault(g, len(place)) for g in groups), np.int64, len(groups))
    weights = np.asarray(values, np.float64)
    sums = np.bincount(index, weights, minlength=len(place)).astype(np.float64)
    return sums, np.bincount(index, minlength=len(place)).astype(np.float64)


def _bootstrap_means(sums: Floats, counts: Floats, seed: int) -> Floats:
    """Return the means over ``DRAWS`` resamplings of whole groups, shape (DRAWS,)."""
    rng = np.random.default_rng(seed)
    size = len(sums)
    out = np.empty(DRAWS)
    step = max(1, _BLOCK // size)
    for at in range(0, DRAWS, step):
        picked = rng.integers(0, size, (min(step, DRAWS - at), size))
        out[at : at + step] = sums[picked].sum(axis=1) / counts[picked].sum(axis=1)
    return out


def cluster_interval(
    groups: Sequence[str],
    values: Sequence[float] | Floats,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the mean of ``values`` with its percentile interval over resampled groups.

    Args:
        groups: The patient of each value.
        values: One number per note.
        bounds: What the mean can be at all; this is the interval when there are fewer than two
            patients, of whom nothing can be learned about the spread.
        level: The coverage aimed at.
        seed: Of the resampling.
    """
    numbers = np.asarray(values, np.float64)
    if not len(numbers):
        return Interval(value=0.0, low=bounds[0], high=bounds[1])
    mean = float(numbers.mean())
    sums, counts = group_sums(groups, numbers)
    if len(sums) < 2:
        return Interval(value=mean, low=bounds[0], high=bounds[1])
    if bounds == (0.0, 1.0) and (numbers == numbers[0]).all() and mean in bounds:
        return wilson(round(mean * len(sums)), len(sums), level)
    means = _bootstrap_means(sums, counts, seed)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(value=mean, low=min(float(low), mean), high=max(float(high), mean))


def interval(scored: Sequence[Scored], level: float = 0.95, seed: int = 0) -> Interval:
    """Return the mean endpoint over notes with its interval (all right or all wrong: Wilson's)."""
    groups, values = [s.group for s in scored], [s.score for s in scored]
    return cluster_interval(groups, values, level=level, seed=seed)


def ratio_interval(
    groups: Sequence[str], tops: Sequence[float], bottoms: Sequence[float], level: float = 0.95
) -> Interval:
    """Return sum(tops) / sum(bottoms) with its percentile interval over resampled groups.

    Args:
        groups: The patient of each pair of numbers.
        tops: Numerators, for F1 twice the hits.
        bottoms: Denominators, for F1 what was said and what is in gold.
        level: The coverage aimed at.

    Returns:
        0 in [0, 1] if nothing stands below the line, and [0, 1] for fewer than two patients.
    """
    top, _ = group_sums(groups, tops)
    bottom, _ = group_sums(groups, bottoms)
    top, bottom = top[bottom > 0], bottom[bottom > 0]
    value = float(top.sum() / bottom.sum()) if len(bottom) else 0.0
    if len(bottom) < 2:
        return Interval(value=value, low=0.0, high=1.0)
    means = _bootstrap_means(top, bottom, 0)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def field_intervals(scored: Sequence[Scored], seed: int = 0) -> dict[str, Interval]:
    """Return the mean score of each field with its interval."""
    names = dict.fromkeys(name for s in scored for name in s.fields)
    result = {}
    for name in names:
        having = [s for s in scored if name in s.fields]
        groups, values = [s.group for s in having], [s.fields[name] for s in having]
        result[name] = cluster_interval(groups, values, seed=seed)
    return result


def paired(before: Sequence[Scored], after: Sequence[Scored]) -> tuple[list[str], Floats]:
    """Return (patient, score after minus score before) of each note.

    Raises:
        InputError: If the two do not score the same notes in the same order.
    """
    if [(s.example_id, s.group) for s in before] != [(s.example_id, s.group) for s in after]:
        raise InputError(
            "two evaluations of different notes cannot be compared", "evaluate both on one split"
        )
    gain = np.array([b.score - a.score for a, b in zip(before, after, strict=True)], np.float64)
    return [s.group for s in before], gain


def paired_difference(
    before: Sequence[Scored], after: Sequence[Scored], level: float = 0.95, seed: int = 0
) -> Interval:
    """Return the mean gain of ``after`` over ``before`` with its interval, in points of [-1, 1].

    Raises:
        InputError: If the two do not score the same notes in the same order.
    """
    groups, gain = paired(before, after)
    return cluster_interval(groups, gain, (-1.0, 1.0), level, seed)


def wilson(hits: int, total: int, level: float = 0.95) -> Interval:
    """Return a proportion with Wilson's score interval; [0, 1] for a total of 0."""
    if not total:
        return Interval(value=0.0, low=0.0, high=1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = hits / total
    middle = share + z * z / (2 * total)
    spread = z * float(np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)))
    scale = 1 + z * z / total
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return Interval(value=share, low=min(max(low, 0.0), share), high=max(min(high, 1.0), share))


def sign_flip(sums: Floats, seed: int = 0) -> Floats:
    """Return one-sided p values for «the mean is above 0», by flipping the signs of patients.

    Under the null hypothesis a patient's sum is as likely to have one sign as the other. Patients
    whose sums are all 0 bear on nothing and are left out.

    Args:
        sums: Shape (patients,) for one test, or (patients, tests) for several with shared flips.
        seed: Of the random flips.

    Returns:
        Shape (tests,): the share of sign patterns whose total reaches the observed one; exact up to
        ``EXACT_GROUPS`` patients, else (1 + reached) / (1 + ``FLIPS``).
    """
    table = sums.reshape(len(sums), -1)
    table = table[np.any(table != 0, axis=1)]
    observed = table.sum(axis=0) - TIE
    size = len(table)
    if size <= EXACT_GROUPS:
        patterns = np.arange(2**size)[:, None] >> np.arange(size) & 1
        reached = ((1.0 - 2.0 * patterns) @ table >= observed).sum(axis=0)
        return np.asarray(reached / 2**size, np.float64)
    rng = np.random.default_rng(seed)
    reached = np.zeros(table.shape[1])
    step = max(1, _BLOCK // size)
    for at in range(0, FLIPS, step):
        shape = (min(step, FLIPS - at), size)
        signs = rng.integers(0, 2, shape, np.int8).astype(np.float64) * 2 - 1
        reached += (signs @ table >= observed).sum(axis=0)
    return np.asarray((1 + reached) / (1 + FLIPS), np.float64)


def skewed_t(sums: Floats) -> float:
    """Return a one-sided p value for «the mean is above 0» that allows for skewed patient sums.

    Sign flips take a patient's gain to be symmetric around 0 under the null hypothesis. A change that
    helps many patients a little and harms a few much is not, and is promoted too often; Hall's
    transformation of the t statistic (J R Stat Soc B 54 (1992) 221) takes the skewness that is seen
    into account, and stays monotone in the mean. The tail of Student's t is Wallace's normal
    approximation (Ann Math Stat 30 (1959) 1124).

    Args:
        sums: Shape (patients,), at least two.
    """
    size, mean, spread = len(sums), float(sums.mean()), float(sums.std(ddof=1))
    if spread < TIE:
        return 0.0 if mean > TIE else 1.0
    skew = float(((sums - mean) ** 3).mean()) / spread**3
    shift = mean / spread
    hall = shift + skew * shift**2 / 3 + skew**2 * shift**3 / 27 + skew / (6 * size)
    t, free = hall * float(np.sqrt(size)), size - 1
    z = (8 * free + 1) / (8 * free + 3) * float(np.sqrt(free * np.log1p(t * t / free)))
    return 1 - NormalDist().cdf(float(np.copysign(z, t)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p values, in the order given."""
    ranked = sorted(p_values, key=lambda name: (p_values[name], name))
    adjusted, worst = {}, 0.0
    for rank, name in enumerate(ranked):
        worst = max(worst, min(1.0, (len(ranked) - rank) * p_values[name]))
        adjusted[name] = worst
    return {name: adjusted[name] for name in p_values}


def standard_error(groups: Sequence[str], values: Sequence[float] | Floats) -> float | None:
    """Return the cluster-robust standard error of the mean; None for fewer than two patients."""
    sums, counts = group_sums(groups, values)
    size = len(sums)
    if size < 2:
        return None
    residual = sums - counts * (sums.sum() / counts.sum())
    return float(np.sqrt(size / (size - 1) * (residual**2).sum()) / counts.sum())


def detectable_gain(error: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the true gain that a one-sided test at ``alpha`` finds with ``power`` (normal theory).

    Args:
        error: The standard error of the paired gain.
        alpha: The level of the test.
        power: How often the gain should be found.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)) * error
