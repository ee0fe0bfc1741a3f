"""A world in which the truth about a candidate is known in every metric: labels, lists, one scale.

Owns the arrays behind ``gate_metric_tables``. A note has cells: one per label field (is it there or
not), four per list (its items), or one on a scale of four labels. A student gets cells right or wrong;
it misses ``MISS`` of what is there, and invents as much as it misses, so that precision, recall and F1
of every field are the same 70 %. Whether a cell is in gold, is right, or changes depends on its patient
and its note, as in ``gate_world``.

A null move changes cells and leaves the rate of every kind of error where it was, so the true value of
every metric stays. A move of effect e shrinks all errors in one proportion until the metric has gained
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_world import Bools, Floats, latent, quantile
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Evaluation, Scored
from preceptor.evals.metrics import choice

MISS, TURN = 0.30, 0.36
"""The share of gold that is missed; the share of errors that a move puts right and makes anew."""

ITEMS = np.array([0.30, 0.18, 0.09, 0.04])
"""How often a list has more than 0, 1, 2, 3 items, at ``share`` 0.30."""

SCALE = np.array([0.4, 0.3, 0.2, 0.1])
"""How often the four labels of the scale occur."""

_LABELS = ("none", "mild", "moderate", "severe")
_WRONG = np.array(
    [[0, 0.8, 0.15, 0.05], [0.45, 0, 0.45, 0.1], [0.1, 0.45, 0, 0.45], [0.05, 0.15, 0.8, 0]]
)
"""What is said where it is wrong: mostly a neighbour."""

Rates = tuple[float, Floats]
"""How often a cell that is in gold is wrong, and one that is not, the latter by cell."""


@dataclass(frozen=True)
class Task:
    """What is asked for, how often it is there, and by what metric a candidate is judged.

    Attributes:
        metric: The metric.
        fields: How many fields.
        low: How often what is asked for is there: the rarest field. For lists: how often one has items.
        high: The commonest field.
        patients: Patients on dev.
        notes: Notes per patient.
        looks: Candidates per run.
        alpha: The run's.
    """

    metric: choice.Name
    fields: int = 20
    low: float = 0.20
    high: float = 0.40
    patients: int = 50
    notes: int = 2
    looks: int = 8
    alpha: float = 0.10

    @property
    def slots(self) -> int:
        """Cells per field."""
        return len(ITEMS) if self.metric == "list_f1" else 1

    @cached_property
    def specs(self) -> tuple[FieldSpec, ...]:
        """The fields as a task has them."""
        names = [f"f{i}" for i in range(self.fields)]
        if self.metric == "list_f1":
            return tuple(ListField(name=n) for n in names)
        if self.metric == "kappa":
            return tuple(
                LabelField(name=n, values=_LABELS, default="none", ordered=True) for n in names
            )
        return tuple(LabelField(name=n, values=("yes", "no")) for n in names)

    @cached_property
    def judged_by(self) -> choice.Metric:
        """The metric as the gate takes it."""
        return choice.choose(self.specs, [], self.metric)

    @cached_property
    def shares(self) -> Floats:
        """How often each cell is in gold, shape (cells,)."""
        if self.metric == "list_f1":
            return np.asarray(np.tile(ITEMS * self.low / ITEMS[0], self.fields))
        if self.metric == "kappa":
            return np.ones(self.fields)
        return np.linspace(self.low, self.high, self.fields)

    @cached_property
    def rates(self) -> Rates:
        """The first student's errors."""
        if self.metric == "kappa":
            return MISS, np.zeros(self.fields)
        there = self.shares.reshape(self.fields, self.slots).sum(1, keepdims=True)
        free = (1 - self.shares).reshape(self.fields, self.slots).sum(1, keepdims=True)
        return MISS, np.repeat(MISS * there / free, self.slots)


@dataclass(frozen=True)
class Gold:
    """What is true of dev, shape (patients, notes, cells).

    Attributes:
        there: Whether a cell is in gold.
        label: On a scale, its label.
        wrong: On a scale, the label that is said where it is wrong.
    """

    there: Bools
    label: NDArray[np.int64]
    wrong: NDArray[np.int64]


def drawn(rng: np.random.Generator, task: Task, cells: int) -> Floats:
    """Return correlated standard normal numbers, shape (patients, notes, cells)."""
    made: Floats = latent(rng, (1, task.patients, task.notes, cells))[0]
    return made


def gold(rng: np.random.Generator, task: Task) -> Gold:
    """Return one dev set."""
    one = drawn(rng, task, task.fields)
    if task.metric != "kappa":
        there = np.repeat(one, task.slots, axis=2) < quantile(task.shares)
        return Gold(there, there.astype(np.int64), np.zeros_like(there, np.int64))
    label = np.searchsorted(quantile(np.cumsum(SCALE)[:-1]), one).astype(np.int64)
    wrong = (rng.random((*one.shape, 1)) > np.cumsum(_WRONG, axis=1)[label]).sum(-1)
    return Gold(np.ones_like(one, np.bool_), label, np.minimum(wrong, 3))


def first(rng: np.random.Generator, task: Task, truth: Gold) -> Bools:
    """Return which cells the first student gets right."""
    missed, invented = task.rates
    bound = np.where(truth.there, quantile(1 - missed), quantile(1 - invented))
    right: Bools = drawn(rng, task, truth.there.shape[2]) < bound
    return right


def moved(rng: np.random.Generator, task: Task, truth: Gold, right: Bools, target: Rates) -> Bools:
    """Return the cells after a move from the first student's rates of error to ``target``."""
    there, absent = _flows(task.rates[0], target[0]), _flows(task.rates[1], target[1])
    one = drawn(rng, task, right.shape[2])
    raised = one > np.where(truth.there, quantile(1 - there[0]), quantile(1 - absent[0]))
    lowered = one < np.where(truth.there, quantile(there[1]), quantile(absent[1]))
    return np.where(right, ~lowered, raised)


def _flows(error: float | Floats, target: float | Floats) -> tuple[Floats, Floats]:
    """Return how often a wrong cell is put right, and a right one made wrong."""
    both = TURN * np.minimum(error, target)
    mended = (both + np.maximum(np.subtract(error, target), 0)) / np.maximum(error, 1e-12)
    broken = (both + np.maximum(np.subtract(target, error), 0)) / (1 - np.asarray(error))
    return np.asarray(mended), np.asarray(broken)


def ruined(rng: np.random.Generator, task: Task, truth: Gold, right: Bools, share: float) -> Bools:
    """Return the cells after a null move that ruins a share of the patients and helps all a little.

    Of what is there in the notes of a ruined patient nine tenths are lost, and as much is invented as
    keeps precision; everybody gets back what makes up for it.
    """
    missed, invented = task.rates
    back = share * 0.9 * (1 - missed) / missed
    lost = np.where(truth.there, 0.9, back * invented / (1 - invented) / share)
    hit = rng.random((task.patients, 1, 1)) < share
    one = rng.random(right.shape)
    return np.where(right, ~(hit & (one < lost)), one < back)


def counts(task: Task, truth: Gold, right: Bools) -> tuple[Floats, Floats]:
    """Return what the metric and the recall count, each of shape (patients, counts)."""
    if task.metric == "kappa":
        return _on_scale(task, truth, right)
    shape = (task.patients, task.notes, task.fields, task.slots)
    said, hits = truth.there == right, truth.there & right
    found = [part.reshape(shape).sum((1, 3)) for part in (truth.there, said, hits)]
    table = np.stack(found, -1).reshape(task.patients, -1).astype(np.float64)
    if task.metric != "accuracy":
        return table, table
    score = right.mean(2).sum(1)
    return np.stack([score, np.full_like(score, task.notes)], -1), table


def _on_scale(task: Task, truth: Gold, right: Bools) -> tuple[Floats, Floats]:
    said = np.where(right, truth.label, truth.wrong)
    size = len(_LABELS)
    cells = np.eye(size * (size + 1))[truth.label * (size + 1) + said].sum(1)
    one, other = (np.eye(size)[x][..., 1:] for x in (truth.label, said))
    units = np.stack([one, other, one * other], -1).sum(1)
    return cells.reshape(task.patients, -1), units.reshape(task.patients, -1)


def true_value(task: Task, target: Rates) -> float:
    """Return the metric in the population at some rates of error."""
    missed, invented = target
    if task.metric == "kappa":
        cells = np.zeros((4, 5))
        cells[:, :4] = SCALE[:, None] * ((1 - missed) * np.eye(4) + missed * _WRONG)
        return float(task.judged_by.statistic.value(np.tile(cells.ravel(), task.fields)))
    hits, said = _said(task, missed, invented)
    if task.metric == "accuracy":
        return float((hits + (1 - task.shares) * (1 - invented)).mean())
    by_field = [p.reshape(task.fields, -1).sum(1) for p in (task.shares, said, hits)]
    return float(task.judged_by.statistic.value(np.stack(by_field, -1).ravel()))


def _said(task: Task, missed: float, invented: Floats) -> tuple[Floats, Floats]:
    """Return how often each cell is a hit, and is said at all."""
    hits = task.shares * (1 - missed)
    return hits, hits + (1 - task.shares) * invented


def better_by(task: Task, effect: float) -> Rates | None:
    """Return the rates of error at which the metric has gained ``effect``; None if there are none."""
    base = true_value(task, task.rates)
    if true_value(task, (0.0, 0 * task.rates[1])) - base <= effect:
        return None
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        gained = true_value(task, (middle * task.rates[0], middle * task.rates[1])) - base
        low, high = (middle, high) if gained > effect else (low, middle)
    return low * task.rates[0], low * task.rates[1]


def traded(task: Task, missed: float) -> Rates:
    """Return the rates with ``missed`` at which the true metric is the same."""
    base, low, high = true_value(task, task.rates), 0.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        at = true_value(task, (missed, np.minimum(middle * task.rates[1], 1.0)))
        low, high = (middle, high) if at > base else (low, middle)
    return missed, np.minimum(low * task.rates[1], 1.0)


def evaluation(task: Task, truth: Gold, right: Bools, recipe: str) -> Evaluation:
    """Return the cells as the real gate reads them."""
    said = np.where(right, truth.label, truth.wrong if task.metric == "kappa" else 1 - truth.label)
    scored = []
    for i in range(task.patients):
        for j in range(task.notes):
            outcomes, marks = {}, {}
            for k in range(task.fields):
                cell = slice(k * task.slots, (k + 1) * task.slots)
                name, here, got = f"f{k}", truth.label[i, j, cell], said[i, j, cell]
                outcomes[name], marks[name] = _outcome(task, here, got)
            score = sum(marks.values()) / task.fields
            one = Scored.model_construct(
                example_id=f"{i}.{j}", group=str(i), fields=marks, score=score, valid=True, cost=100,
                outcomes=outcomes, own=None, feedback="",
            )  # fmt: skip
            scored.append(one)
    return Evaluation.model_construct(recipe=recipe, split="dev", scored=tuple(scored))


def _outcome(
    task: Task, here: NDArray[np.int64], got: NDArray[np.int64]
) -> tuple[tuple[int, ...], float]:
    """Return what ``Scored`` keeps of one field, and its mark."""
    if task.metric == "list_f1":
        found = int(here.sum()), int(got.sum()), int((here & got).sum())
        return found, 2 * found[2] / (found[0] + found[1]) if found[0] + found[1] else 1.0
    places = (
        (int(here[0]), int(got[0])) if task.metric == "kappa" else (1 - int(here[0]), 1 - int(got[0]))
    )
    return places, float(places[0] == places[1])
