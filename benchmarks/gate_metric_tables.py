"""The tables of the gate under every metric, and what a decision costs.

Owns the sections of docs/results/gate.md on metrics; ``gate_simulation`` puts the page together.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from benchmarks import gate_words
from benchmarks.gate_metric_runs import (
    Move,
    even,
    one_look,
    promotions,
    real_runs,
    ruin,
)
from benchmarks.gate_metrics import MISS, Task, better_by, evaluation, first, gold, moved, traded
from benchmarks.gate_page import shown, table
from benchmarks.gate_remedies import remedies_table, skewness_table, spread_table, whole_runs
from preceptor.graphs.gates import GateConfig, GateState, judge

TASKS: dict[str, Task] = {
    "accuracy, 20 fields": Task("accuracy"),
    "accuracy, 20 rare fields": Task("accuracy", 20, 0.05, 0.05),
    "macro F1, 20 fields": Task("macro_f1"),
    "macro F1, 20 rare fields": Task("macro_f1", 20, 0.05, 0.05),
    "macro F1, 3 rare fields": Task("macro_f1", 3, 0.05, 0.05),
    "micro F1, 20 fields": Task("micro_f1"),
    "micro F1, 20 rare fields": Task("micro_f1", 20, 0.05, 0.05),
    "micro F1, 3 rare fields": Task("micro_f1", 3, 0.05, 0.05),
    "list F1, 70 % of lists empty": Task("list_f1", 1, 0.30, 0.30),
    "list F1, 90 % of lists empty": Task("list_f1", 1, 0.10, 0.10),
    "kappa, 1 field of 4 ordered labels": Task("kappa", 1),
}
MOVES: dict[str, Move] = {
    "symmetric": even(),
    "1 patient in 10 ruined": ruin(0.10),
    "1 patient in 20 ruined": ruin(0.05),
}
ALPHAS = (0.05, 0.0125)
STUDIED = ("macro F1, 20 fields", "macro F1, 20 rare fields", "list F1, 70 % of lists empty")


def _pair(rates: list[float]) -> str:
    return " / ".join(f"{100 * r:.0f}" for r in rates)


def promoted_table(runs: int) -> str:
    """Return how often whole runs promote what is no better, by metric, move and rule."""
    rows = []
    for label, task in TASKS.items():
        for name, move in MOVES.items():
            rates = [
                shown(*promotions(1, task, rule, move, runs))
                for rule in ("swaps alone", "both tests", "with recall")
            ]
            rows.append([label, name, rates[0], rates[1], f"**{rates[2]}**"])
    head = [
        "metric",
        "null move",
        "swaps alone, %",
        "and the skewness test, %",
        "the gate: and recall, %",
    ]
    return table(head, rows)


def power_table(runs: int) -> str:
    """Return the power of one look for +8 points of each metric."""
    rows = []
    for label, task in TASKS.items():
        better = better_by(task, 0.08)
        if better is None:
            rows.append([label, *["—"] * 4])
            continue
        at = one_look(2, task, even(better), ALPHAS, runs)
        cells = [_pair(at["swaps alone"]), _pair(at["with recall"])]
        for times in (2, 4):
            more = replace(task, patients=times * task.patients)
            cells.append(_pair(one_look(2, more, even(better), ALPHAS, runs)["with recall"]))
        rows.append([label, *cells])
    head = ["metric", "swaps alone, 100 notes", "the gate, 100 notes", "200 notes", "400 notes"]
    return table(head, rows)


def traded_table(runs: int) -> str:
    """Return what becomes of moves that trade recall for precision, with and without the guard."""
    rows = []
    for label in STUDIED:
        task = TASKS[label]
        for name, rates in (
            ("finds more (recall 70 → 80), invents more: the same F1", traded(task, MISS - 0.1)),
            ("finds less (70 → 60), invents less: the same F1", traded(task, MISS + 0.1)),
            ("finds less (70 → 60), invents nothing: F1 +5", (MISS + 0.1, 0 * task.rates[1])),
            ("finds less (70 → 65), invents nothing: F1 +9", (MISS + 0.05, 0 * task.rates[1])),
        ):
            at = one_look(3, task, even(rates), ALPHAS, runs)
            rows.append([label, name, *(_pair(at[rule]) for rule in at)])
    head = ["metric", "move", "swaps alone", "and the skewness test", "the gate: and recall"]
    return table(head, rows)


def real_lines(runs: int) -> str:
    """Return what the real ``judge`` does on the same data."""
    lines = []
    for label in ("accuracy, 20 fields", *STUDIED, "kappa, 1 field of 4 ordered labels"):
        task = TASKS[label]
        promoted, different, vetoes = real_runs(13, task, runs)
        lines.append([label, shown(promoted, runs), f"{different} of {runs * task.looks}", f"{vetoes}"])
    head = [
        "metric",
        "runs that promote, %",
        "looks decided otherwise than by the arrays",
        "field vetoes",
    ]
    return table(head, lines)


def seconds_table() -> str:
    """Return the time of one decision of the real ``judge``, 20 fields, notes of two per patient."""
    rows = []
    for name, task in (
        ("accuracy", Task("accuracy")),
        ("macro F1", Task("macro_f1")),
        ("kappa, 4 ordered labels", Task("kappa")),
        ("list F1", Task("list_f1", 20, 0.3, 0.3)),
    ):
        cells = []
        for notes in (100, 1_000):
            spent = _seconds(replace(task, patients=notes // 2))
            cells.append(f"{spent:.2f}")
        rows.append([name, *cells])
    return table(["metric", "100 notes × 20 fields, s", "1,000 notes × 20 fields, s"], rows)


def _seconds(task: Task) -> float:
    """Return the median of five decisions, in seconds of one core."""
    rng = np.random.default_rng(4)
    truth = gold(rng, task)
    before = first(rng, task, truth)
    after = moved(rng, task, truth, before, better_by(task, 0.03) or task.rates)
    sides = evaluation(task, truth, before, "a"), evaluation(task, truth, after, "b")
    config, spent = GateConfig(), []
    for _ in range(5):
        started = time.process_time()
        judge(*sides, GateState.start(config), config, task.judged_by)
        spent.append(time.process_time() - started)
    return sorted(spent)[2]


def studied() -> dict[str, Task]:
    """Return the metrics that are looked at more closely."""
    return {label: TASKS[label] for label in (*STUDIED, "macro F1, 3 rare fields")}


def sections(runs: int, real: int) -> list[str]:
    """Return the sections of the page on metrics."""
    rare = TASKS["macro F1, 20 rare fields"]
    return [
        "## Every metric: what was simulated",
        gate_words.WORLD,
        "## Every metric: runs in which nothing is better",
        promoted_table(runs),
        gate_words.PROMOTED,
        skewness_table(studied(), runs // 2),
        gate_words.WHY,
        "## Every metric: power of one look for +8 points, % (at α = .05 / .0125)",
        power_table(runs),
        gate_words.POWER,
        "## Recall: moves that trade it for precision; promoted at one look, % (at α = .05 / .0125)",
        traded_table(runs),
        gate_words.TRADED,
        "## How wide the gain spreads, and whether intervals hold the truth",
        spread_table(studied(), runs),
        gate_words.SPREAD,
        "## Other second tests that were tried; promoted at one look, % (at α = .05 / .0125)",
        remedies_table({label: TASKS[label] for label in STUDIED}, runs),
        "Whole runs of macro F1 with 20 rare fields:",
        whole_runs(rare, runs),
        gate_words.REMEDY,
        "## The real `judge` on the same data, and its time",
        real_lines(real),
        "Symmetric null moves, whole runs. Seconds of one core (one thread, median of five):",
        seconds_table(),
    ]
