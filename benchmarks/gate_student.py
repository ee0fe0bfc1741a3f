"""Whole runs of the gate through the simulated student, the cached evaluator and the real ``judge``.

Owns a world in which the truth about every move is known: a patient's notes may hold the hidden phrases
``up3`` (a rule that names it puts notes right) and ``dn3`` (a rule that names it breaks notes). A rule
that names both, where both are equally frequent, changes many answers and is worth nothing; one that
names only ``up3`` is worth something.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from preceptor.agents.students.simulated import Need, SimulatedSpec, SimulatedStudent
from preceptor.core.cache import AnswerCache
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Evaluation, Example, ModelRef, Prompt, Recipe
from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings
from preceptor.graphs.gates import GateConfig, GateState, judge

FIELDS: tuple[FieldSpec, ...] = tuple(
    LabelField(name=f"f{i}", values=("present", "absent", "unknown")) for i in range(6)
)
SHARE, LIFT = 0.25, 0.30


def spec(looks: int, seed: int) -> SimulatedSpec:
    """Return a student without clipping: its p stays between 0.15 and 0.75 whatever it is told."""
    needs = tuple(
        Need(field=f.name, phrase=f"{kind}{k}", lift=LIFT if kind == "up" else -LIFT)
        for f in FIELDS
        for k in range(looks)
        for kind in ("up", "dn")
    )
    return SimulatedSpec(
        seed=seed, default_skill=0.75, difficulty=0.30, needs=needs, useless_cost=0.0, length_cost=0.0
    )


def examples(run: int, looks: int, patients: int) -> list[Example]:
    """Return two notes per patient, which hold the same hidden phrases."""
    rng = np.random.default_rng([77, run])
    notes = []
    for patient in range(patients):
        held = [f"{kind}{k}" for k in range(looks) for kind in ("up", "dn") if rng.random() < SHARE]
        for visit in range(2):
            gold = {f.name: str(rng.choice(["present", "absent", "unknown"])) for f in FIELDS}
            name = f"{run}.{patient}.{visit}"
            notes.append(
                Example(
                    id=name, group=f"{run}.{patient}", text=f"{name} {' '.join(held)}", gold={**gold}
                )
            )
    return notes


def recipe(rules: tuple[str, ...]) -> Recipe:
    """Return a recipe with these rules for all fields."""
    return Recipe(model=ModelRef(spec="simulated"), prompt=Prompt(rules=rules), mode="joint")


def one_run(run: int, looks: int, patients: int, rule: str) -> bool:
    """Return whether a run of ``looks`` candidates promotes anything.

    Args:
        run: Its seed.
        looks: How many candidates.
        patients: On dev.
        rule: What candidate k adds, with ``{k}`` in it.
    """
    notes = examples(run, looks, patients)
    student = SimulatedStudent(notes, spec(looks, run))
    config = GateConfig(looks=looks)
    state, promoted = GateState.start(config), False
    kept: tuple[str, ...] = ()
    rules = kept
    with tempfile.TemporaryDirectory() as folder, AnswerCache(Path(folder) / "a.db") as cache:
        evaluator = CachedEvaluator(EvaluatorSettings(FIELDS, 256), lambda _: student, cache)
        incumbent: Evaluation = evaluator.evaluate(recipe(rules), notes, "dev")
        for k in range(looks):
            tried = (*rules, rule.format(k=k))
            candidate = evaluator.evaluate(recipe(tried), notes, "dev")
            verdict, state = judge(incumbent, candidate, state, config)
            if verdict.outcome == "accept":
                incumbent, kept, promoted = candidate, tried, True
            rules = tried if verdict.outcome in ("accept", "pending") else kept
    return promoted


def rate(runs: int, rule: str, looks: int = 8, patients: int = 50) -> tuple[int, int]:
    """Return (runs that promoted anything, runs)."""
    return sum(one_run(r, looks, patients, rule) for r in range(runs)), runs
