"""The rule teacher's choice beats a uniform draw among the same moves, on simulated students."""

from __future__ import annotations

from benchmarks.teacher_choice import World, at_random, compare, interval, page, refine
from preceptor.agents.rules import best_per_cost
from preceptor.agents.students.simulated import SimulatedStudent, demo_spec
from preceptor.core.records import Prompt
from tests.contracts.evidence import FIELDS, corpus


def world(seed: int) -> World:
    notes = corpus(140, seed)
    student = SimulatedStudent(notes, demo_spec(notes, FIELDS, seed=seed))
    return World(FIELDS, student, notes[:60], notes[60:], Prompt())


def test_better_than_chance() -> None:
    curves = compare([world(seed) for seed in range(6)], rounds=2)
    gaps = [rules[-1] - random[-1] for rules, random in curves]
    assert interval(gaps)[0] > 0, gaps
    assert all(rules[-1] > rules[0] + 0.03 for rules, _ in curves)
    text = page("small", 2, curves)
    assert "| 2 | 0." in text
    assert text.count("\n| ") == 5


def test_both_policies_are_the_same_again() -> None:
    one = world(1)
    assert refine(one, best_per_cost, 2) == refine(one, best_per_cost, 2)
    assert refine(one, at_random(3), 2) == refine(one, at_random(3), 2)
