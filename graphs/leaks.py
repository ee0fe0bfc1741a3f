"""What several tasks must not learn from together: each other's dev and test.

Owns the comparison across tasks. Within one task it is the guard's (``graphs.training``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from preceptor.evals import duplicates
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task


@dataclass(frozen=True)
class Leaks:
    """What was found, by the tasks' places.

    Attributes:
        forbidden: Train notes that nearly repeat a dev or test note of another task, or are of a dev or
            test patient of another task about the same patients.
        patients: A name that tasks about the same patients share.
    """

    forbidden: tuple[frozenset[str], ...]
    patients: tuple[str, ...]


def across(tasks: Sequence[tuple[Task, Splits]]) -> Leaks:
    """Return what the tasks must not learn from because of each other.

    Two tasks are about the same patients if a note of one nearly repeats a note of the other and both
    are of a patient of the same name.
    """
    texts, places, held = [], [], []
    for i, (task, drawn) in enumerate(tasks):
        out = {*drawn.dev, *drawn.test}
        held.append({e.group for e in task.examples if e.id in out})
        for example in task.examples:
            texts.append(example.text)
            places.append((i, example, example.id in out))
    forbidden: dict[int, set[str]] = defaultdict(set)
    space = list(range(len(tasks)))
    for a, b, _ in duplicates.pairs(texts):
        (i, first, first_out), (j, second, second_out) = places[a], places[b]
        if i == j:
            continue
        if first_out:
            forbidden[j].add(second.id)
        if second_out:
            forbidden[i].add(first.id)
        if first.group == second.group:
            old, new = space[j], space[i]
            space = [new if s == old else s for s in space]
    for i, (task, _) in enumerate(tasks):
        others = {g for j in range(len(tasks)) if j != i and space[j] == space[i] for g in held[j]}
        forbidden[i] |= {e.id for e in task.examples if e.group in others}
    return Leaks(
        tuple(frozenset(forbidden[i]) for i in range(len(tasks))),
        tuple(tasks[s][0].name for s in space),
    )
