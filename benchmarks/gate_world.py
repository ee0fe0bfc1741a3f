"""A world of notes, moves and looks, in which the truth about every candidate is known.

Owns the arrays behind ``gate_simulation``; leaves the tables to it.

A note has ``fields`` cells, each right or wrong. A move changes a share of all cells; whether a cell
changes depends on its patient and its note (intraclass correlations 0.15 and 0.10), so that the notes
of a patient change alike. A move of effect e puts right e more cells than it breaks, in the population;
on dev it may look otherwise. Moves act on what earlier moves have left, so that a stack is tested on
the same notes as its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from preceptor.core.records import Evaluation, Scored
from preceptor.evals import stats
from preceptor.evals.metrics import choice, resampling
from preceptor.graphs.gates import GateConfig, GateState, guard_fields, judge

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rule = Literal[
    "gate", "keep stack", "flips only", "no stacking", "alpha not returned", "better", "p < .05"
]
ALONE: tuple[Rule, ...] = ("no stacking", "better", "p < .05")
"""Rules under which every candidate stands on the incumbent."""
Move = Callable[[np.random.Generator, Bools, Floats, float], Bools]

_QUANTILE = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])
BLOCK = 500


@dataclass(frozen=True)
class World:
    """What dev looks like, and how many looks a run takes at it.

    Attributes:
        patients: Patients on dev.
        notes: Notes per patient.
        fields: Cells per note.
        accuracy: The first student's.
        looks: Candidates per run.
        alpha: The run's.
    """

    patients: int = 50
    notes: int = 2
    fields: int = 12
    accuracy: float = 0.75
    looks: int = 8
    alpha: float = 0.10

    def shape(self, runs: int) -> tuple[int, int, int, int]:
        """Return (runs, patients, notes, fields)."""
        return runs, self.patients, self.notes, self.fields


def quantile(shares: float | Floats) -> Floats:
    """Return standard normal quantiles; 0 and 1 are taken for nearly 0 and nearly 1."""
    return np.asarray(_QUANTILE(np.clip(shares, 1e-9, 1 - 1e-9)))


def latent(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return standard normal numbers, correlated within patients and notes."""
    runs, patients, notes, _ = shape
    drawn: Floats = rng.standard_normal(shape) * np.sqrt(1 - 0.15 - 0.10)
    drawn += rng.standard_normal((runs, patients, 1, 1)) * np.sqrt(0.15)
    drawn += rng.standard_normal((runs, patients, notes, 1)) * np.sqrt(0.10)
    return drawn


def start(rng: np.random.Generator, world: World, runs: int) -> Bools:
    """Return which cells the first student gets right."""
    right: Bools = latent(rng, world.shape(runs)) < NormalDist().inv_cdf(world.accuracy)
    return right


def even_move(change: float = 0.18) -> Move:
    """Return a move that touches a share of all cells, for better and worse alike."""

    def apply(rng: np.random.Generator, cells: Bools, truth: Floats, effect: float) -> Bools:
        up = np.clip((change + effect) / 2 / (1 - truth), 1e-9, 1 - 1e-9)
        down = np.clip((change - effect) / 2 / truth, 1e-9, 1 - 1e-9)
        drawn = latent(rng, cells.shape)
        raised = drawn > _QUANTILE(1 - up)[:, None, None, None]
        lowered = drawn < _QUANTILE(down)[:, None, None, None]
        changed: Bools = np.where(cells, ~lowered, raised)
        return changed

    return apply


def rare_move(share: float, strength: float, harm: bool) -> Move:
    """Return a null move that hits few patients hard and pays it back thinly on all others.

    ``harm``: the few are harmed and the many helped a little; this is what fools a test of symmetry.
    """

    def apply(rng: np.random.Generator, cells: Bools, truth: Floats, effect: float) -> Bools:
        p = truth[:, None, None, None]
        hit = rng.random((*cells.shape[:2], 1, 1)) < share
        drawn = rng.random(cells.shape)
        if harm:
            back = np.minimum(p * share * strength / (1 - p), 1.0)
            return np.where(cells, ~(hit & (drawn < strength)), drawn < back)
        back = (1 - p) * share * strength / p
        return np.where(cells, drawn >= back, hit & (drawn < strength))

    return apply


def p_values(rng: np.random.Generator, sums: Floats, skewed: bool = True) -> Floats:
    """Return the gate's p value per run; ``sums`` has shape (runs, patients).

    The flips are shared by the runs of one block, which changes no run's own distribution.
    """
    out = np.empty(len(sums))
    for at in range(0, len(sums), BLOCK):
        part = sums[at : at + BLOCK].astype(np.float32)
        signs = rng.integers(0, 2, (part.shape[1], stats.FLIPS), np.int8).astype(np.float32) * 2 - 1
        reached = (part @ signs >= part.sum(1, keepdims=True) - 1e-4).sum(1)
        out[at : at + BLOCK] = (1 + reached) / (1 + stats.FLIPS)
    if skewed:
        out = np.maximum(out, [stats.skewed_t(row) for row in sums])
    return out


@dataclass(frozen=True)
class Outcome:
    """What became of many runs.

    Attributes:
        false: Per run, whether anything was promoted that was truly no better.
        gain: Per run, the true gain of the last incumbent over the first.
        accepted: The mean number of promotions.
    """

    false: Bools
    gain: Floats
    accepted: float


def run_looks(
    rng: np.random.Generator, world: World, effects: Sequence[float], rule: Rule, move: Move, runs: int
) -> Outcome:
    """Run the loop: one candidate per look, on what is pending or else on the incumbent.

    A look that is rejected rolls the whole stack back, as the loop does; under «keep stack» only the
    last move, which keeps more of what looked good on dev.
    """
    incumbent = start(rng, world, runs)
    working = incumbent.copy()
    truth = np.full((2, runs), world.accuracy)
    left = np.full(runs, world.alpha)
    false = np.zeros(runs, np.bool_)
    accepted = 0
    for look, effect in enumerate(effects):
        candidate = move(rng, working, truth[1], effect)
        sums = (candidate.mean(3, np.float32) - incumbent.mean(3, np.float32)).sum(2, np.float64)
        level = _level(rule, left, world, look)
        better = sums.sum(1) > 1e-9
        accept = (
            better
            if rule == "better"
            else better & (p_values(rng, sums, rule != "flips only") <= level)
        )
        left -= level if rule == "alpha not returned" else np.where(accept, 0.0, level)
        gained = truth[1] + effect
        false |= accept & (gained <= truth[0] + 1e-12)
        accepted += int(accept.sum())
        truth[0] = np.where(accept, gained, truth[0])
        incumbent[accept] = candidate[accept]
        held = accept | better if rule not in ALONE else accept
        truth[1] = np.where(held, gained, truth[1])
        working[held] = candidate[held]
        if rule != "keep stack":
            truth[1] = np.where(held, truth[1], truth[0])
            working[~held] = incumbent[~held]
    return Outcome(false, truth[0] - world.accuracy, accepted / runs)


def _level(rule: Rule, left: Floats, world: World, look: int) -> Floats:
    if rule == "p < .05":
        return np.full(len(left), 0.05)
    return left / (world.looks - look)


def simulate(
    seed: int, world: World, effects: Sequence[float], rule: Rule, move: Move, runs: int
) -> Outcome:
    """Run ``run_looks`` in blocks that fit the memory."""
    parts = [
        run_looks(np.random.default_rng([seed, at]), world, effects, rule, move, min(BLOCK, runs - at))
        for at in range(0, runs, BLOCK)
    ]
    return Outcome(
        np.concatenate([p.false for p in parts]),
        np.concatenate([p.gain for p in parts]),
        float(np.mean([p.accepted for p in parts])),
    )


def null_rate(seed: int, world: World, rule: Rule, move: Move, runs: int) -> tuple[int, int]:
    """Return (runs that promoted anything, runs) when no candidate has any effect."""
    out = simulate(seed, world, [0.0] * world.looks, rule, move, runs)
    return int(out.false.sum()), runs


def power(seed: int, world: World, effect: float, alphas: Sequence[float], runs: int) -> list[float]:
    """Return how often one look at each of ``alphas`` accepts a move of this effect."""
    rng = np.random.default_rng(seed)
    before = start(rng, world, runs)
    after = even_move()(rng, before, np.full(runs, world.accuracy), effect)
    sums = (after.mean(3, np.float32) - before.mean(3, np.float32)).sum(2, np.float64)
    p = p_values(rng, sums)
    return [float((p <= alpha).mean()) for alpha in alphas]


def evaluation(cells: Bools, recipe: str) -> Evaluation:
    """Return one run's cells, shape (patients, notes, fields), as the gate reads them."""
    scored = tuple(
        Scored.model_construct(
            example_id=f"{i}.{j}",
            group=str(i),
            fields={f"f{k}": float(v) for k, v in enumerate(note)},
            score=float(note.mean()),
            valid=True,
            cost=100,
        )
        for i, patient in enumerate(cells)
        for j, note in enumerate(patient)
    )
    return Evaluation.model_construct(recipe=recipe, split="dev", scored=scored)


def real_runs(seed: int, world: World, effect: float, runs: int) -> tuple[int, int]:
    """Return (runs that promoted anything, decisions that the arrays would make otherwise).

    The whole loop with the real ``judge``. The arrays know no guards, so a veto is not a difference.
    """
    promoted = different = 0
    config = GateConfig(alpha=world.alpha, looks=world.looks)
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        incumbent = working = start(rng, world, 1)
        state, any_accepted = GateState.start(config), False
        for look in range(world.looks):
            candidate = even_move()(rng, working, np.array([world.accuracy]), effect)
            sums = (candidate.mean(3) - incumbent.mean(3)).sum(2)
            array = sums.sum() > 1e-9 and p_values(rng, sums)[0] <= state.next_alpha
            pair = evaluation(incumbent[0], "a"), evaluation(candidate[0], f"{run}.{look}")
            verdict, state = judge(*pair, state, config)
            accept = verdict.outcome == "accept"
            different += accept != array and not any(f.failed for f in verdict.fields)
            any_accepted |= accept
            incumbent = candidate if accept else incumbent
            working = candidate if accept or verdict.outcome == "pending" else incumbent
        promoted += any_accepted
    return promoted, different


def _pair(before: Bools, after: Bools) -> resampling.Pair:
    """Return two recipes' cells as what the guards look at."""
    sides = evaluation(before, "a").scored, evaluation(after, "b").scored
    return resampling.pair(choice.accuracy(sides[0]).statistic, *sides)


def veto_rates(seed: int, world: World, effect: float, runs: int) -> dict[str, float]:
    """Return how often each field guard forbids a move that treats all fields alike."""
    rng = np.random.default_rng(seed)
    before = start(rng, world, runs)
    after = even_move()(rng, before, np.full(runs, world.accuracy), effect)
    fall = (after.mean((1, 2)) - before.mean((1, 2))).min(1)
    surely = 0
    for b, a in zip(before, after, strict=True):
        surely += any(f.failed for f in guard_fields(_pair(b, a), GateConfig(), seed=1))
    return {
        "any field falls 3 points": float((fall <= -0.03).mean()),
        "any field falls 5 points": float((fall <= -0.05).mean()),
        "the gate's: 5 points and surely": surely / runs,
    }


def one_field_broken(seed: int, world: World, drop: float, runs: int) -> float:
    """Return how often the guard sees that one field fell by ``drop`` while the others gained 8."""
    rng = np.random.default_rng(seed)
    before = start(rng, world, runs)
    after = even_move()(rng, before, np.full(runs, world.accuracy), 0.08)
    field = slice(0, 1)
    after[..., field] = even_move(max(0.18, drop))(
        rng, before[..., field], np.full(runs, world.accuracy), -drop
    )
    seen = 0
    for b, a in zip(before, after, strict=True):
        guards = guard_fields(_pair(b, a), GateConfig(), seed=1)
        seen += any(f.failed and f.field == "f0" for f in guards)
    return seen / runs
