"""Looks and whole runs of the gate under every metric, on the world of ``gate_metrics``.

Owns the loop and its rules; ``gate_metric_tables`` makes the tables. Tests are those of
``evals.metrics.resampling``, on counts that are made directly, with fewer swaps (``SWAPS``); a test
with random swaps is valid for any number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from benchmarks.gate_metrics import (
    Gold,
    Rates,
    Task,
    counts,
    evaluation,
    first,
    gold,
    moved,
    ruined,
)
from benchmarks.gate_world import Bools, Floats
from preceptor.evals import stats
from preceptor.evals.metrics.resampling import Pair
from preceptor.graphs.gates import GateConfig, GateState, judge

Rule = Literal["swaps alone", "both tests", "with recall", "patients left out"]
RULES: tuple[Rule, ...] = ("swaps alone", "both tests", "with recall")
Move = Callable[[np.random.Generator, Task, Gold, Bools], Bools]
SWAPS, POOL, FEW = 2_000, 12_000, 250
RECALL_ALPHA = GateConfig().recall_alpha


def even(rates: Rates | None = None) -> Move:
    """Return a move to some rates of error; a null move if they are not given."""

    def apply(rng: np.random.Generator, task: Task, truth: Gold, right: Bools) -> Bools:
        return moved(rng, task, truth, right, rates or task.rates)

    return apply


def ruin(share: float) -> Move:
    """Return the null move that ruins a share of the patients."""

    def apply(rng: np.random.Generator, task: Task, truth: Gold, right: Bools) -> Bools:
        return ruined(rng, task, truth, right, share)

    return apply


def swap_p(rng: np.random.Generator, both: Pair, pool: Floats, sign: float = 1.0) -> float:
    """Return the p value of ``Pair.gain_p`` (``sign`` -1: of ``loss_p``) by swaps out of a pool.

    A first few swaps settle what is far from any level.
    """
    at = int(rng.integers(0, len(pool) - SWAPS))
    reached = _reached(both, pool[at : at + FEW], sign)
    if reached > 0.25 * FEW:
        return (1 + reached) / (1 + FEW)
    return (1 + reached + _reached(both, pool[at + FEW : at + SWAPS], sign)) / (1 + SWAPS)


def _reached(both: Pair, swaps: Floats, sign: float) -> int:
    value = both.statistic.value
    before, after = both.before.sum(0), both.after.sum(0)
    shift = swaps @ (both.after - both.before)
    observed = sign * (value(after) - value(before)) - stats.TIE
    return int((~(sign * (value(after - shift) - value(before + shift)) < observed)).sum())


def left_out(both: Pair) -> Floats:
    """Return the pseudo-values of the jackknife that really leaves a patient out."""
    size, value = len(both.before), both.statistic.value
    before, after = both.before.sum(0), both.after.sum(0)
    others = np.asarray(value(after - both.after) - value(before - both.before))
    found = size * both.gain - (size - 1) * others
    return found[np.isfinite(found)]


def second_p(both: Pair, rule: Rule) -> float:
    """Return the p value of a rule's second test; 0 if it has none."""
    if rule == "swaps alone":
        return 0.0
    return stats.skewed_t(left_out(both)) if rule == "patients left out" else both.skewed_p()


def pool_for(task: Task) -> Floats:
    """Return swaps to draw from, shape (``POOL``, patients)."""
    return np.random.default_rng(8).integers(0, 2, (POOL, task.patients)).astype(np.float64)


def pairs(task: Task, truth: Gold, before: Bools, after: Bools) -> tuple[Pair, Pair]:
    """Return what the metric and the recall count under two recipes."""
    metric = task.judged_by
    assert metric.recall is not None
    one, other = counts(task, truth, before), counts(task, truth, after)
    return Pair(metric.statistic, one[0], other[0]), Pair(metric.recall, one[1], other[1])


def vetoed(rng: np.random.Generator, recall: Pair, pool: Floats) -> bool:
    """Tell whether recall surely falls."""
    return recall.gain < 0 and swap_p(rng, recall, pool, -1.0) < RECALL_ALPHA


def one_run(rng: np.random.Generator, task: Task, pool: Floats, rule: Rule, move: Move) -> bool:
    """Return whether a run promotes anything: pending candidates are built on, alpha is given back."""
    truth = gold(rng, task)
    incumbent = working = first(rng, task, truth)
    left = task.alpha
    promoted = False
    for look in range(task.looks):
        candidate = move(rng, task, truth, working)
        level = left / (task.looks - look)
        both, recall = pairs(task, truth, incumbent, candidate)
        if not both.gain > 0 or (rule == "with recall" and vetoed(rng, recall, pool)):
            working, left = incumbent, left - level
            continue
        working = candidate
        if second_p(both, rule) <= level and swap_p(rng, both, pool) <= level:
            incumbent, promoted = candidate, True
        else:
            left -= level
    return promoted


def promotions(seed: int, task: Task, rule: Rule, move: Move, runs: int) -> tuple[int, int]:
    """Return (runs that promoted anything, runs); the same worlds under every rule."""
    pool = pool_for(task)
    hits = sum(one_run(np.random.default_rng([seed, r]), task, pool, rule, move) for r in range(runs))
    return hits, runs


def one_look(
    seed: int, task: Task, move: Move, alphas: Sequence[float], runs: int
) -> dict[Rule, list[float]]:
    """Return how often one look at each of ``alphas`` accepts, by rule."""
    pool = pool_for(task)
    hits: dict[Rule, Floats] = {rule: np.zeros(len(alphas)) for rule in RULES}
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        truth = gold(rng, task)
        before = first(rng, task, truth)
        both, recall = pairs(task, truth, before, move(rng, task, truth, before))
        if not both.gain > 0:
            continue
        swaps = swap_p(rng, both, pool)
        larger = max(swaps, both.skewed_p())
        kept = 1.0 if vetoed(rng, recall, pool) else larger
        for rule, p_value in zip(RULES, (swaps, larger, kept), strict=True):
            hits[rule] += p_value <= np.asarray(alphas)
    return {rule: [float(h) / runs for h in found] for rule, found in hits.items()}


def real_runs(seed: int, task: Task, runs: int) -> tuple[int, int, int]:
    """Return (runs that promote, looks decided otherwise than here, field vetoes) of ``judge``.

    Null moves; the arrays know no guard of fields, so its vetoes are no difference.
    """
    promoted = different = vetoes = 0
    config = GateConfig(alpha=task.alpha, looks=task.looks)
    pool = pool_for(task)
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        truth = gold(rng, task)
        incumbent = working = first(rng, task, truth)
        state, any_accepted = GateState.start(config), False
        for look in range(task.looks):
            candidate = moved(rng, task, truth, working, task.rates)
            both, recall = pairs(task, truth, incumbent, candidate)
            sure = max(swap_p(rng, both, pool), both.skewed_p()) <= state.next_alpha
            here = bool(both.gain > 0 and sure and not vetoed(rng, recall, pool))
            sides = [
                evaluation(task, truth, cells, name)
                for cells, name in ((incumbent, "a"), (candidate, f"{run}.{look}"))
            ]
            verdict, state = judge(sides[0], sides[1], state, config, task.judged_by)
            accept = verdict.outcome == "accept"
            broken = any(f.failed for f in verdict.fields)
            vetoes += broken
            different += accept != here and not broken
            any_accepted |= accept
            incumbent = candidate if accept else incumbent
            working = candidate if verdict.outcome in ("accept", "pending") else incumbent
        promoted += any_accepted
    return promoted, different, vetoes
