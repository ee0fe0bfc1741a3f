"""Whether a candidate replaces the incumbent, and why.

Owns the rule of acceptance and the run's error budget; leaves the numbers to ``evals.stats`` and what
follows from a verdict to the graph. ``judge`` looks at dev once and is a pure function: the same
evaluations and state give the same verdict on every machine. How often the rule promotes a candidate
that is no better, and how often it finds one that is, is shown by ``benchmarks/gate_simulation.py``.

The rule: the task's metric over all of dev, one unit per patient; a one-sided approximate randomisation
test, and beside it a t test that allows for skewness, of which the larger p counts (docs/adr/0006 and
0015 say why); one alpha for the whole run, spread over the looks that are left, and given back by an
acceptance; nothing accepted that makes a field, the share of readable answers or the recall of what was
to be found surely worse; what is better but not surely so is pending, and may be built on.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from preceptor.core.record import Record, digest
from preceptor.core.records import Evaluation, Interval, Scored
from preceptor.evals import stats
from preceptor.evals.enough import LEAST_GROUPS
from preceptor.evals.metrics import choice, resampling
from preceptor.evals.metrics.choice import Metric
from preceptor.evals.scorers import mean_cost

Outcome = Literal["accept", "pending", "reject", "cannot_decide"]


class GateConfig(Record):
    """The thresholds; shares and scores are in [0, 1].

    Attributes:
        alpha: The most often that a run may promote a candidate that is no better.
        looks: How many candidates may be judged on dev in one run.
        min_groups: With fewer patients than this nothing is accepted.
        field_drop: A field may not fall by this much and surely so.
        field_alpha: How sure, after Holm's correction over fields.
        valid_drop: Unreadable notes may rise by this share, or by one note.
        cost_margin: A cheaper candidate may be worse by this much at most.
        cost_saving: How much cheaper it must be.
        recall_alpha: How sure a fall of the recall of what was to be found must be to veto; 0 where
            precision is what counts.
    """

    alpha: float = Field(default=0.10, gt=0, lt=1)
    looks: int = Field(default=8, ge=1)
    min_groups: int = Field(default=LEAST_GROUPS, ge=2)
    field_drop: float = 0.05
    field_alpha: float = 0.05
    valid_drop: float = 0.01
    cost_margin: float = 0.01
    cost_saving: float = 0.30
    recall_alpha: float = Field(default=0.05, ge=0, lt=1)


class GateState(Record):
    """What is left of the run's error budget: part of the graph's state, as JSON."""

    alpha_left: float
    looks_left: int

    @classmethod
    def start(cls, config: GateConfig) -> GateState:
        """Return the state before the first look."""
        return cls(alpha_left=config.alpha, looks_left=config.looks)

    @property
    def next_alpha(self) -> float:
        """The level of the next look."""
        return self.alpha_left / self.looks_left if self.looks_left else 0.0


class FieldGuard(Record):
    """What became of one field.

    Attributes:
        field: Its name.
        change: The change of its own value of the metric; of its accuracy where it has none.
        p_value: Of a fall, one-sided, after Holm's correction.
        failed: Whether it fell by too much, and surely so.
    """

    field: str
    change: float
    p_value: float
    failed: bool


class Verdict(Record):
    """What the gate says about one candidate, and why.

    Attributes:
        outcome: ``accept``: it replaces the incumbent. ``pending``: better, not surely so; it may
            be built on and judged again with what is built. ``reject``: roll back.
            ``cannot_decide``: too few patients, or no look left.
        reason: One line for a reader.
        gain: Candidate minus incumbent on dev, with its 95 % interval.
        p_value: Of the gain, one-sided, the larger of the two tests; None if nothing was tested.
        alpha: The level that this look was judged at.
        spent: How much alpha it used up.
        fields: One line per field.
        valid_change: The change of the share of readable notes.
        cost_ratio: Candidate's tokens per note over the incumbent's; None if unknown.
        by_cost: Whether it was accepted for being cheaper, not for being better.
        metric: What the gain is measured in.
        recall: What became of the recall of what was to be found; None if it was not looked at.
    """

    outcome: Outcome
    reason: str
    gain: Interval
    p_value: float | None = None
    alpha: float = 0.0
    spent: float = 0.0
    fields: tuple[FieldGuard, ...] = ()
    valid_change: float = 0.0
    cost_ratio: float | None = None
    by_cost: bool = False
    metric: str = "accuracy"
    recall: FieldGuard | None = None


def worth_a_look(train_gain: float | None) -> bool:
    """Tell whether a candidate may be judged on dev: only if train, cross-fitted, says it is better."""
    return train_gain is not None and train_gain > 0


def _seed(before: Evaluation, after: Evaluation) -> int:
    name = f"{before.recipe}:{after.recipe}:{before.split}"
    return int(digest(name)[:12], 16)


def guard_fields(
    both: resampling.Pair, config: GateConfig, seed: int = 0, plain: resampling.Pair | None = None
) -> tuple[FieldGuard, ...]:
    """Return what became of each field.

    Args:
        both: Counts of the metric.
        config: The thresholds.
        seed: Of the swaps.
        plain: Counts of accuracy: what guards a field that has no value under the metric, because gold
            has nothing to find there or the metric leaves out such fields.
    """
    known: dict[str, tuple[float, float]] = {}
    for pair in (both, plain) if plain else (both,):
        gains, falls = pair.field_gains(), pair.field_loss_p(seed)
        for name, gain, p in zip(pair.statistic.fields, gains, falls, strict=True):
            if math.isfinite(gain):
                known.setdefault(name, (float(gain), float(p)))
    adjusted = stats.holm({name: p for name, (_, p) in known.items()})
    return tuple(
        FieldGuard(
            field=name,
            change=gain,
            p_value=adjusted[name],
            failed=gain <= -config.field_drop and adjusted[name] < config.field_alpha,
        )
        for name, (gain, _) in known.items()
    )


def guard_recall(
    before: tuple[Scored, ...], after: tuple[Scored, ...], metric: Metric, config: GateConfig, seed: int
) -> FieldGuard | None:
    """Return what became of the recall of what was to be found: no gain by saying less.

    None where it is not looked at, as in a run that began before its counts were kept.
    """
    if metric.recall is None or not config.recall_alpha:
        return None
    if not all(s.outcomes for s in (*before, *after)):
        return None
    both = resampling.pair(metric.recall, before, after)
    if not math.isfinite(both.gain):
        return None
    p_value = both.loss_p(seed)
    failed = both.gain < 0 and p_value < config.recall_alpha
    return FieldGuard(field="recall", change=both.gain, p_value=p_value, failed=failed)


def _valid_change(before: tuple[Scored, ...], after: tuple[Scored, ...]) -> int:
    return sum(s.valid for s in after) - sum(s.valid for s in before)


def _cost_ratio(before: tuple[Scored, ...], after: tuple[Scored, ...]) -> float | None:
    old, new = mean_cost(before), mean_cost(after)
    return new / old if old and new is not None else None


def _veto(
    fields: tuple[FieldGuard, ...],
    recall: FieldGuard | None,
    unread: tuple[int, int],
    config: GateConfig,
) -> str:
    """Return why a guard forbids the candidate, or an empty text; ``unread``: (more of them, notes)."""
    worst = [f for f in fields if f.failed]
    if worst:
        shown = ", ".join(f"{f.field} {100 * f.change:+.1f}" for f in worst[:3])
        return f"surely worse on {shown} points"
    if recall is not None and recall.failed:
        return f"surely finds less of what is there: recall {100 * recall.change:+.1f} points"
    lost, notes = unread
    if lost > max(1.0, config.valid_drop * notes):
        return f"{lost} more of {notes} answers cannot be read"
    return ""


def _saves(
    sides: tuple[tuple[Scored, ...], tuple[Scored, ...]],
    ratio: float | None,
    metric: Metric,
    config: GateConfig,
) -> bool:
    if ratio is None or ratio > 1 - config.cost_saving:
        return False
    bound = resampling.difference(metric.statistic, *sides, level=0.90)
    return bound.low >= -config.cost_margin


def _undecided(reason: str, gain: Interval) -> Verdict:
    return Verdict(outcome="cannot_decide", reason=reason, gain=gain)


def judge(
    incumbent: Evaluation,
    candidate: Evaluation,
    state: GateState,
    config: GateConfig,
    metric: Metric | None = None,
) -> tuple[Verdict, GateState]:
    """Judge a candidate on dev.

    Args:
        incumbent: What is in use, on dev.
        candidate: What may replace it, on the same notes in the same order.
        state: What is left of the error budget.
        config: The thresholds.
        metric: What better means; accuracy, the mean score of the notes, if None.

    Returns:
        The verdict, and the state after it: unchanged when nothing was tested.

    Raises:
        InputError: If the two evaluations are not of the same notes.
    """
    before, after = incumbent.scored, candidate.scored
    if metric is None:
        metric = choice.accuracy(before)
    both = resampling.pair(metric.statistic, before, after)
    patients = len(both.before)
    if patients < config.min_groups:
        need = f"{patients} patients on dev; the gate needs {config.min_groups} to decide"
        return _undecided(need, resampling.difference(metric.statistic, before, after)), state
    if not state.looks_left:
        gain = resampling.difference(metric.statistic, before, after)
        return _undecided("no look at dev is left", gain), state
    verdict = _tested((incumbent, candidate), both, state.next_alpha, config, metric)
    left = state.alpha_left - verdict.spent
    return verdict, GateState(alpha_left=left, looks_left=state.looks_left - 1)


def _tested(
    sides: tuple[Evaluation, Evaluation],
    both: resampling.Pair,
    alpha: float,
    config: GateConfig,
    metric: Metric,
) -> Verdict:
    """Return the verdict of the test and the guards at a level."""
    before, after = sides[0].scored, sides[1].scored
    seed = _seed(*sides)
    gain = resampling.difference(metric.statistic, before, after)
    p_value = max(both.gain_p(seed), both.skewed_p())
    plain = resampling.pair(choice.accuracy(before).statistic, before, after)
    fields = guard_fields(both, config, seed, plain)
    recall = guard_recall(before, after, metric, config, seed)
    change_valid = _valid_change(before, after)
    ratio = _cost_ratio(before, after)
    veto = _veto(fields, recall, (-change_valid, len(before)), config)
    outcome, reason, by_cost = _decide(gain.value, p_value, alpha, veto)
    if outcome != "accept" and not veto and _saves((before, after), ratio, metric, config):
        outcome, by_cost = "accept", True
        reason = f"not worse by more than {100 * config.cost_margin:.0f} point, and cheaper"
    return Verdict(
        outcome=outcome,
        reason=f"{100 * gain.value:+.1f} points (p = {p_value:.4f}): {reason}",
        gain=gain,
        p_value=p_value,
        alpha=alpha,
        spent=0.0 if outcome == "accept" and not by_cost else alpha,
        fields=fields,
        valid_change=change_valid / len(before),
        cost_ratio=ratio,
        by_cost=by_cost,
        metric=metric.name,
        recall=recall,
    )


def _decide(gain: float, p_value: float, alpha: float, veto: str) -> tuple[Outcome, str, bool]:
    """Return (outcome, reason, False) from the test and the guards alone."""
    if veto:
        return "reject", veto, False
    if gain <= 0:
        return "reject", "not better", False
    if p_value <= alpha:
        return "accept", f"better at the {alpha:.4f} that this look may spend", False
    return "pending", f"better, but not at the {alpha:.4f} that this look may spend", False
