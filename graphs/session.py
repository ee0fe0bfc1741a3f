"""Everything that the nodes of one run work with, handed to them as plain values.

Owns the bundle of collaborators, and the small helpers that read and write the run's store for the
nodes. Leaves the choice of classes to ``graphs.wiring`` and the order of things to ``graphs.refine``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import Field, JsonValue

from preceptor.core.ledger import Budget, Ledger
from preceptor.core.ports import Cancel, Evaluator, OnProgress, Progress, Teacher
from preceptor.core.reading import loads
from preceptor.core.record import Record, canonical, digest
from preceptor.core.records import Attempt, Evaluation, Example, Interval, Recipe, Situation
from preceptor.core.runs import RunStore
from preceptor.evals.metrics import resampling
from preceptor.evals.metrics.choice import Metric
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task
from preceptor.graphs.gates import GateConfig
from preceptor.graphs.unquoted import Unquoted
from preceptor.tools.toolbox import Toolbox


class Limits(Record):
    """When a run ends.

    Attributes:
        rounds: The most rounds.
        plateau: Rounds in a row without progress.
        target: Dev score in [0, 1] that is good enough, None for no such target.
        looks_per_round: The most looks of the teacher before it must move.
        breaker: Unusable teacher turns in a row that end the run.
        folds: Into how many parts of patients train is cut: one is held out per round, in turn.
    """

    rounds: int = Field(default=8, ge=1)
    plateau: int = Field(default=5, ge=1)
    target: float | None = Field(default=None, gt=0, le=1)
    looks_per_round: int = Field(default=6, ge=0)
    breaker: int = Field(default=3, ge=1)
    folds: int = Field(default=3, ge=2)


class Listener:
    """Hears what happens, to show it; this one shows nothing."""

    def event(self, kind: str, data: Mapping[str, JsonValue]) -> None:
        """Something was committed to the trace."""

    def progress(self, what: str, progress: Progress) -> None:
        """A piece of work moved on."""

    def of(self, what: str) -> OnProgress:
        """Return who hears of one piece of work."""
        return lambda progress: self.progress(what, progress)

    def money(self, spent: Mapping[str, float]) -> None:
        """So much was spent so far."""

    def close(self) -> None:
        """Nothing is under way any more, whether it ended well or not."""


@dataclass(frozen=True)
class Session:
    """One run's collaborators.

    Attributes:
        store: The run's folder.
        task: What is extracted.
        splits: Which note stands where.
        start: The recipe that the run starts from.
        teacher: Who decides the moves.
        toolbox: What the teacher can do.
        evaluator: Runs recipes over notes.
        ledger: The run's one account; it holds back what the sealed test will need.
        budget: The run's limits of spending, whole.
        gate: The rule of acceptance.
        metric: What better means.
        limits: When the run ends.
        turn_cost: Dollars of (input, output) tokens of one teacher turn, None if unknown.
        cancel: Whether a person wants the run to stop.
        admit: Refuses a candidate that cannot be used, or holds what it must not.
        listener: Who shows what happens.
        approve: Whether a person must say yes before each changing move.
        embed: Texts to vectors, where the run has an embedder.
        explore: Whether the run only looks around: the sealed test stays closed.
    """

    store: RunStore
    task: Task
    splits: Splits
    start: Recipe
    teacher: Teacher
    toolbox: Toolbox
    evaluator: Evaluator
    ledger: Ledger
    budget: Budget
    gate: GateConfig
    metric: Metric
    limits: Limits
    turn_cost: Callable[[int, int], float | None]
    cancel: Cancel
    admit: Callable[[Recipe], object] = lambda _: None
    listener: Listener = field(default_factory=Listener)
    approve: bool = False
    embed: Callable[[Sequence[str]], Sequence[Sequence[float]]] | None = None
    explore: bool = False

    def event(self, kind: str, key: str, data: Mapping[str, JsonValue]) -> None:
        """Commit an event to the trace, once per key, and show it."""
        self.store.trace.append(kind, data, key)
        self.listener.event(kind, data)

    @cached_property
    def unquoted(self) -> Unquoted:
        """What leaves the words of train notes out of what a teacher said."""
        return Unquoted(e.text for e in self.examples(self.splits.train))

    def examples(self, ids: Sequence[str]) -> list[Example]:
        """Return the notes with these ids, in this order."""
        by_id = {example.id: example for example in self.task.examples}
        return [by_id[i] for i in ids]

    def evaluate(self, recipe: Recipe, ids: Sequence[str], split: str) -> Evaluation:
        """Evaluate, showing progress."""
        return self.evaluator.evaluate(
            recipe, self.examples(ids), split, lambda p: self.listener.progress(split, p)
        )

    def score(self, evaluation: Evaluation) -> Interval:
        """Return an evaluation's value of the run's metric, with its interval over patients."""
        return resampling.interval(self.metric.statistic, evaluation.scored)

    def hits_dropped(self, recipe: str, ids: Sequence[str]) -> int:
        """Return how many retrieved examples the prompts of known notes had no room for."""
        known = self.recipe(recipe)
        if known.index is None:
            return 0
        return sum(a.dropped_hits for a in self.evaluator.answers(known, self.examples(ids)))

    def release_test_reserve(self) -> None:
        """Let the sealed test be paid from what was held back, and take the time that it takes."""
        untimed = {"compute_seconds": None, "wall_seconds": None}
        self.ledger.budget = self.budget.model_copy(update=untimed)

    def put(self, record: Record) -> str:
        """Keep a record; return its hash."""
        return self.store.artefacts.put_record(record)

    def recipe(self, digest: str) -> Recipe:
        """Return a kept recipe."""
        return self.store.artefacts.get_record(digest, Recipe)

    def evaluation(self, digest: str) -> Evaluation:
        """Return a kept evaluation."""
        return self.store.artefacts.get_record(digest, Evaluation)

    def situation(self, digest: str) -> Situation:
        """Return what the teacher was told."""
        return self.store.artefacts.get_record(digest, Situation)

    def put_list(self, items: Sequence[JsonValue]) -> str:
        """Keep a list; return its hash."""
        return self.store.artefacts.put(canonical(list(items)))

    def get_list(self, digest: str) -> list[dict[str, JsonValue]]:
        """Return a kept list; an empty hash is the empty list."""
        return loads(self.store.artefacts.get(digest)) if digest else []

    def attempts(self, digest: str) -> tuple[Attempt, ...]:
        """Return the moves so far."""
        return tuple(Attempt.model_validate(item) for item in self.get_list(digest))


def folds(examples: Sequence[Example], count: int, seed: int) -> list[set[str]]:
    """Cut notes into parts of whole patients.

    Args:
        examples: The train notes.
        count: How many parts; fewer if there are fewer patients.
        seed: Another seed cuts otherwise.

    Returns:
        The ids of each part; parts differ by one patient at most.
    """
    groups = sorted({e.group for e in examples}, key=lambda g: digest(f"{seed}:{g}"))
    count = max(1, min(count, len(groups)))
    part = {group: i % count for i, group in enumerate(groups)}
    return [{e.id for e in examples if part[e.group] == i} for i in range(count)]
