"""Other second tests that were tried for F1 and kappa, and how wide the gain really spreads.

Owns the study behind two sections of docs/results/gate.md: one look, the same candidates for every
test. The gate itself uses none of them but the first two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from benchmarks.gate_metric_runs import (
    SWAPS,
    Move,
    even,
    left_out,
    pairs,
    pool_for,
    promotions,
    ruin,
    swap_p,
)
from benchmarks.gate_metrics import Task, better_by, first, gold, true_value
from benchmarks.gate_page import shown, table
from benchmarks.gate_world import Floats
from preceptor.evals import stats
from preceptor.evals.metrics import resampling
from preceptor.evals.metrics.resampling import Pair

Second = Callable[[np.random.Generator, Pair, Floats], float]
ALPHAS = np.array([0.05, 0.0125])
BOOT = 1_000


def swapped_spread(both: Pair, pool: Floats) -> float:
    """Return the spread of patients' pseudo-values that swaps imply, about the mean."""
    size, value = len(both.before), both.statistic.value
    shift = pool[:SWAPS] @ (both.after - both.before)
    gains = value(both.after.sum(0) - shift) - value(both.before.sum(0) + shift)
    wide = size * float(gains.var())
    return float(np.sqrt(max(wide - both.gain**2, wide / 4) * size / (size - 1)))


def _influences(_rng: np.random.Generator, both: Pair, _pool: Floats) -> float:
    return both.skewed_p()


def _jackknife(_rng: np.random.Generator, both: Pair, _pool: Floats) -> float:
    return stats.skewed_t(left_out(both))


def _by_swaps(_rng: np.random.Generator, both: Pair, pool: Floats) -> float:
    """Return Hall's p with the skewness of influences and the spread of swaps."""
    apart = both.influences()
    own, wide = apart.std(ddof=1), swapped_spread(both, pool)
    if own < stats.TIE or wide < stats.TIE:
        return 1.0
    return stats.skewed_t(both.gain + (apart - apart.mean()) * wide / own)


def _bootstrap_t(rng: np.random.Generator, both: Pair, _pool: Floats) -> float:
    apart = both.influences()
    size, own = len(apart), apart.std(ddof=1)
    if own < stats.TIE:
        return 1.0
    draws = apart[rng.integers(0, size, (BOOT, size))]
    t = (draws.mean(1) - apart.mean()) / np.maximum(draws.std(1, ddof=1), 1e-12)
    return float((1 + (t >= apart.mean() / own).sum()) / (1 + BOOT))


def _bca(rng: np.random.Generator, both: Pair, _pool: Floats) -> float:
    """Return the level at which the bias-corrected, accelerated bootstrap bound is 0."""
    normal = NormalDist()
    draws = resampling.resampled_gains(both, int(rng.integers(1 << 30)))
    apart = both.influences() - both.gain
    bend = float((apart**3).sum() / (6 * (apart**2).sum() ** 1.5 + 1e-300))

    def place(at: float) -> float:
        share = ((draws < at - stats.TIE).mean() + (draws < at + stats.TIE).mean()) / 2
        return normal.inv_cdf(min(max(float(share), 5e-4), 1 - 5e-4))

    bias = place(both.gain)
    short = place(0.0) - bias
    return normal.cdf(short / (1 + bend * short) - bias)


SECONDS: dict[str, Second | None] = {
    "swaps alone": None,
    "**the gate**: t on influences": _influences,
    "t, patients really left out": _jackknife,
    "t on influences, spread of swaps": _by_swaps,
    "bootstrap-t of influences": _bootstrap_t,
    "BCa bootstrap": _bca,
}


def p_values(seed: int, task: Task, move: Move, runs: int) -> dict[str, tuple[Floats, Floats]]:
    """Return, per test, its own p values and those of swaps and test together, shape (runs,)."""
    pool = pool_for(task)
    own: dict[str, list[float]] = {name: [] for name in SECONDS}
    both_p: dict[str, list[float]] = {name: [] for name in SECONDS}
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        truth = gold(rng, task)
        before = first(rng, task, truth)
        both, _ = pairs(task, truth, before, move(rng, task, truth, before))
        swaps = swap_p(rng, both, pool)
        for name, second in SECONDS.items():
            alone = swaps if second is None else second(rng, both, pool)
            own[name].append(alone)
            both_p[name].append(max(swaps, alone))
    return {name: (np.array(own[name]), np.array(both_p[name])) for name in SECONDS}


def _two(p_values_: Floats) -> str:
    return " / ".join(f"{100 * float((p_values_ <= a).mean()):.1f}" for a in ALPHAS)


def remedies_table(tasks: dict[str, Task], runs: int) -> str:
    """Return what each second test does, and how it does when the level is set for equal power."""
    rows = []
    for label, task in tasks.items():
        better = better_by(task, 0.08)
        assert better is not None
        moves = {"null": even(), "ten": ruin(0.1), "twenty": ruin(0.05), "good": even(better)}
        found = {name: p_values(21, task, move, runs) for name, move in moves.items()}
        wanted = float((found["good"]["t, patients really left out"][1] <= ALPHAS[0]).mean())
        for name in SECONDS:
            level = np.quantile(found["good"][name][1], wanted)
            same = float((found["ten"][name][1] <= level).mean())
            cells = [_two(found[m][name][1]) for m in ("null", "ten", "twenty", "good")]
            alone = _two(found["null"][name][0])
            rows.append(
                [f"{label}; {name}", alone, *cells, f"{100 * same:.1f} (at {100 * wanted:.0f})"]
            )
    head = [
        "metric; second test",
        "symmetric null, the test by itself",
        "symmetric null",
        "1 in 10 ruined",
        "1 in 20 ruined",
        "+8 found",
        "1 in 10 ruined, level set for equal power (% found)",
    ]
    return table(head, rows)


def spread_table(tasks: dict[str, Task], runs: int) -> str:
    """Return how wide the gain spreads in truth, and what is taken for it; and intervals' coverage."""
    rows = []
    for label, task in tasks.items():
        better = better_by(task, 0.08)
        assert better is not None
        found = np.array(
            [_spreads(np.random.default_rng([22, r]), task, even(better)) for r in range(runs)]
        )
        truth = found[:, 0].std()
        errors = np.sqrt((found[:, 1:5] ** 2).mean(0))
        cover = found[:, 5:].mean(0)
        rows.append(
            [label, f"{100 * truth:.1f}", *(f"{e / truth:.2f}" for e in errors)]
            + [f"{100 * c:.0f}" for c in cover]
        )
    head = [
        "metric",
        "true spread of the gain, points",
        "influences ÷ true",
        "left out ÷ true",
        "swaps ÷ true",
        "resampling ÷ true",
        "95 % interval of the gain holds +8, %",
        "95 % interval of the value holds it, %",
    ]
    return table(head, rows)


def _spreads(rng: np.random.Generator, task: Task, move: Move) -> tuple[float, ...]:
    """Return the gain, its standard error in four ways, and whether two intervals hold the truth."""
    truth = gold(rng, task)
    before = first(rng, task, truth)
    both, _ = pairs(task, truth, before, move(rng, task, truth, before))
    root = float(np.sqrt(task.patients))
    gains = resampling.resampled_gains(both, 1)
    values = resampling.resampled(task.judged_by.statistic.value, both.before, 1)
    base = true_value(task, task.rates)
    return (
        both.gain,
        float(both.influences().std(ddof=1)) / root,
        float(left_out(both).std(ddof=1)) / root,
        swapped_spread(both, pool_for(task)) / root,
        resampling.standard_error(both) or 0.0,
        _holds(gains, 0.08),
        _holds(values, base),
    )


def _holds(draws: Floats, true: float) -> float:
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low <= true <= high)


def skewness_table(tasks: dict[str, Task], runs: int) -> str:
    """Return how skewed a null move with ruined patients is, and what a sample of 50 shows of it."""
    rows = []
    for label, task in tasks.items():
        cells = []
        for share in (0.10, 0.05):
            wide = _skew(np.random.default_rng(23), replace(task, patients=5_000), share)
            seen = [_skew(np.random.default_rng([24, r]), task, share) for r in range(runs)]
            cells += [f"{wide:.1f}", f"{np.median(seen):.1f}"]
        having = [
            gold(np.random.default_rng([25, r]), task).there.any((1, 2)).sum() for r in range(runs)
        ]
        rows.append([label, f"{np.mean(having):.0f} of {task.patients}", *cells])
    head = [
        "metric",
        "patients with something to find",
        "1 in 10 ruined: skewness, 5,000 patients",
        "median of samples of 50",
        "1 in 20: 5,000 patients",
        "samples of 50",
    ]
    return table(head, rows)


def _skew(rng: np.random.Generator, task: Task, share: float) -> float:
    """Return the skewness of the patients' influences on the gain of a ruinous null move."""
    truth = gold(rng, task)
    before = first(rng, task, truth)
    both, _ = pairs(task, truth, before, ruin(share)(rng, task, truth, before))
    apart = both.influences() - both.influences().mean()
    return float((apart**3).mean() / max(float(apart.std()), 1e-12) ** 3)


def whole_runs(task: Task, runs: int) -> str:
    """Return how often whole runs promote, with the gate's second test and with patients left out."""
    rows = []
    for label, move in (("symmetric", even()), ("1 in 10 ruined", ruin(0.1)), ("1 in 20", ruin(0.05))):
        gate = shown(*promotions(1, task, "both tests", move, runs))
        other = shown(*promotions(1, task, "patients left out", move, runs))
        more = replace(task, patients=4 * task.patients)
        rows.append([label, gate, other, shown(*promotions(1, more, "both tests", move, runs // 4))])
    head = ["null move", "the gate, %", "patients really left out, %", "the gate, 400 notes, %"]
    return table(head, rows)
