"""How often the gate promotes what is no better, and how often it finds what is.

    nice -n 10 python -m benchmarks.gate_simulation > docs/results/gate.md

Under every metric: ``gate_metric_tables``. For accuracy, three layers. (1) Many runs, vectorised
(``gate_world``): the test, the alpha and the stacking of ``graphs.gates`` on arrays. (2) The real
``judge`` on the same kind of data, with its guards; its decisions are compared with those of the
arrays. (3) Whole runs through the simulated student, the evaluator and the real ``judge``
(``gate_student``). Everything is seeded; the numbers in docs/results/gate.md are this script's output.
It takes seven minutes of one core.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from benchmarks import gate_metric_tables, gate_words
from benchmarks.gate_page import shown, table
from benchmarks.gate_student import rate
from benchmarks.gate_world import (
    Move,
    Rule,
    World,
    even_move,
    null_rate,
    one_field_broken,
    power,
    rare_move,
    real_runs,
    simulate,
    veto_rates,
)


def null_table(runs: int) -> str:
    """Return the false-promotion rates of runs in which no candidate is any better."""
    base, even = World(), even_move()
    cases: list[tuple[str, World, Rule, Move]] = [
        ("**the gate**: 100 notes, 50 patients, 8 looks", base, "gate", even),
        ("a rejected look rolls back only the last move", base, "keep stack", even),
        ("without stacking", base, "no stacking", even),
        ("75 notes, 25 patients", replace(base, patients=25, notes=3), "gate", even),
        ("76 notes, 38 patients", replace(base, patients=38), "gate", even),
        ("200 notes, 100 patients", replace(base, patients=100), "gate", even),
        ("4 looks", replace(base, looks=4), "gate", even),
        ("16 looks", replace(base, looks=16), "gate", even),
        ("1 field", replace(base, fields=1), "gate", even),
        ("moves that touch 5 % of cells", base, "gate", even_move(0.05)),
        ("moves that touch 38 % of cells", base, "gate", even_move(0.38)),
        ("accept if better", base, "better", even),
        ("p < .05 at every look", base, "p < .05", even),
    ]
    rows = [
        [name, shown(*null_rate(i, w, rule, move, runs))]
        for i, (name, w, rule, move) in enumerate(cases)
    ]
    return table(["No candidate has any effect", "runs that promote one, %"], rows)


def skew_table(runs: int) -> str:
    """Return the same for null moves that hit few patients hard, with and without the second test."""
    rows = []
    for harm in (True, False):
        for share, strength in ((0.3, 0.5), (0.1, 0.9), (0.05, 0.9)):
            move = rare_move(share, strength, harm)
            who = "harms" if harm else "helps"
            rates = [shown(*null_rate(50, World(), r, move, runs)) for r in ("flips only", "gate")]
            rows.append(
                [f"{who} {100 * share:.0f} % of patients in {100 * strength:.0f} % of cells", *rates]
            )
    return table(["Null move", "sign flips alone, %", "the gate, %"], rows)


def power_table(runs: int) -> str:
    """Return the power of one look."""
    rows = []
    for patients, notes in ((25, 3), (38, 2), (50, 2), (100, 2), (200, 2)):
        world = World(patients=patients, notes=notes)
        cells = []
        for effect in (0.03, 0.05, 0.08, 0.12):
            cells.append(
                " / ".join(f"{100 * p:.0f}" for p in power(3, world, effect, (0.05, 0.0125), runs))
            )
        rows.append([f"{patients * notes} ({patients})", *cells])
    return table(["dev notes (patients)", "+3", "+5", "+8", "+12"], rows)


MIXED = (0.0, 0.08, -0.02, 0.03, 0.0, 0.05, -0.01, 0.03)


def mixed_table(runs: int) -> str:
    """Return what is kept and what is wrongly promoted when good and bad candidates are mixed."""
    scenes = {
        "mixed": MIXED,
        "eight of +3": (0.03,) * 8,
        "eight of −1": (-0.01,) * 8,
    }
    rules: tuple[Rule, ...] = ("gate", "no stacking", "alpha not returned", "p < .05", "better")
    rows = []
    for name, effects in scenes.items():
        for rule in rules:
            out = simulate(9, World(), effects, rule, even_move(), runs)
            gain = f"{100 * out.gain.mean():+.1f}"
            worse = shown(int((out.gain < -1e-9).sum()), runs)
            rows.append([name, rule, gain, shown(int(out.false.sum()), runs), worse])
    head = [
        "candidates",
        "rule",
        "true gain kept, points",
        "runs with a false promotion, %",
        "runs that end worse, %",
    ]
    return table(head, rows)


def guard_table(runs: int) -> str:
    """Return how often field guards forbid a candidate."""
    neutral, good = (veto_rates(4, World(), e, runs) for e in (0.0, 0.08))
    rows = [[name, f"{100 * neutral[name]:.1f}", f"{100 * good[name]:.1f}"] for name in neutral]
    return table(
        ["Guard over 12 fields", "forbids a neutral candidate, %", "forbids a true +8, %"], rows
    )


def accuracy_sections(runs: int, real: int, students: int) -> list[str]:
    """Return the sections of the page on accuracy alone, where moves and rules are varied."""
    null = rate(students, "Mind up{k} and dn{k}.")
    good = rate(max(5, students // 5), "Mind up{k}.")
    promoted, different = real_runs(12, World(), 0.0, real)
    seen = ", ".join(
        f"−{100 * drop:.0f} points: {100 * one_field_broken(5, World(), drop, runs // 10):.0f} %"
        for drop in (0.10, 0.20, 0.30)
    )
    return [
        "# Accuracy in detail",
        "`gate_world.py` has the model: 12 fields, accuracy 75; the rule of acceptance is varied here. "
        f"{runs:,} runs per row.",
        "## Runs in which nothing is better",
        null_table(runs),
        f"The real `judge` on the same data, guards included: {shown(promoted, real)} % of {real} "
        f"runs; it decided otherwise than the arrays in {different} of {real * World().looks} looks.",
        "Through the simulated student, the evaluator and the real `judge` (100 notes, 50 patients, 8 "
        f"looks, notes of a patient alike): null rules {shown(*null)} % of {null[1]} runs; rules that "
        f"truly help {shown(*good)} % of {good[1]} runs promote.",
        "## Null moves that are not symmetric",
        skew_table(runs),
        gate_words.SKEW,
        "## Power of one look, % (at α = .05 / .0125; .0125 is the first of eight looks)",
        power_table(runs),
        "## Good and bad candidates mixed (100 notes, 50 patients, 8 looks)",
        f"«Mixed» is, in order: {', '.join(f'{100 * e:+.0f}' for e in MIXED)} points. A promotion is "
        "false if what is promoted is truly no better than what it replaces.",
        mixed_table(runs),
        "## Field guard",
        guard_table(runs // 4),
        f"One field of 12 broken while the others gain 8 points; the guard sees a fall of {seen}.",
    ]


def report(asked: argparse.Namespace) -> str:
    """Return docs/results/gate.md."""
    parts = [
        "# The gate: how often it is wrong, and what it can see",
        "Output of `benchmarks/gate_simulation.py`; all of it simulated, not measured on real "
        f"students. {asked.metrics:,} runs per row of the tables of metrics, {asked.real_metrics} of "
        "the real `judge`; 95 % intervals in brackets. Nominal: at most 10 % of runs promote anything "
        "that is no better.",
        gate_words.SUMMARY,
        *gate_metric_tables.sections(asked.metrics, asked.real_metrics),
        *accuracy_sections(asked.runs, asked.real, asked.students),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description="Simulate the gate.")
    parser.add_argument("--runs", type=int, default=2000, help="runs per row of the array tables")
    parser.add_argument("--metrics", type=int, default=1000, help="runs per row of the metrics' tables")
    parser.add_argument("--real-metrics", type=int, default=30, help="runs of the real judge by metric")
    parser.add_argument("--real", type=int, default=150, help="runs of the real judge")
    parser.add_argument("--students", type=int, default=50, help="runs through the simulated student")
    asked = parser.parse_args()
    started = time.perf_counter()
    text = report(asked)
    print(text, end="")
    core, clock = time.process_time(), time.perf_counter() - started
    print(f"\nTook {core:.0f} s of one core, {clock:.0f} s by the clock of a shared machine.")


if __name__ == "__main__":
    main()
