"""What refinement does for a student, over several draws of the splits; every draw is shown.

    python benchmarks/refine_seeds.py toxicity --student nano > docs/results/toxicity.md

One run per seed: the sealed test is opened once in each. The page shows the untouched and the final
student with 95 % intervals over patients, the best rule without a model, and the mean over seeds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from preceptor.core.settings import load
from preceptor.evals.report import Report
from preceptor.graphs import refine, wiring


def one(task: str, student: str, moves: tuple[str, ...], seed: int, root: Path) -> tuple[Report, float]:
    """Return the report of one run, and its seconds by the clock."""
    settings = load(None, os.environ, {})
    given = {"task": task, "student": student, "seed": seed, "moves": moves}
    options = wiring.options(settings, given)
    begun = time.perf_counter()
    with wiring.create(options, root, f"{task}-{seed}", settings) as session:
        state = refine.run(session)
        made = session.store.artefacts.get_record(state["report"], Report)
    return made, time.perf_counter() - begun


def row(seed: int, report: Report, seconds: float) -> str:
    """Return a run as a row of the table."""
    test = report.test
    assert test is not None
    kept = [a.tool for a in report.attempts if a.outcome == "accepted"]
    names = ", ".join(f"{kept.count(n)} {n}" for n in dict.fromkeys(kept)) or "none"
    rule = report.rules[0]
    return (
        f"| {seed} | {shown(test.baseline)} | {shown(test.final)} "
        f"| {100 * test.gain.value:+.1f} [{100 * test.gain.low:+.1f}, {100 * test.gain.high:+.1f}] "
        f"| {rule.name} {rule.score.value:.3f} | {names} of {len(report.attempts)} "
        f"| {report.costs['student_calls'].spent:,.0f} | {seconds:.0f} |"
    )


def shown(value: object) -> str:
    """Return an interval."""
    low, high = getattr(value, "low", 0.0), getattr(value, "high", 0.0)
    return f"{getattr(value, 'value', 0.0):.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Run all seeds and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--student", default="nano")
    parser.add_argument("--moves", default="", help="the moves that are allowed, with commas; all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parallel", type=int, default=1, help="runs at a time, a process each")
    asked = parser.parse_args()
    rows: list[str] = []
    reports: list[Report] = []
    moves = tuple(name for name in asked.moves.split(",") if name)
    with tempfile.TemporaryDirectory() as name:
        with ProcessPoolExecutor(asked.parallel) as pool:
            jobs = [
                pool.submit(one, asked.task, asked.student, moves, seed, Path(name) / str(seed))
                for seed in range(asked.seeds)
            ]
            for seed, job in enumerate(jobs):
                report, seconds = job.result()
                reports.append(report)
                rows.append(row(seed, report, seconds))
                print(rows[-1], file=sys.stderr, flush=True)
    page(asked, reports, rows)


def page(asked: argparse.Namespace, reports: list[Report], rows: list[str]) -> None:
    """Print the page."""
    task, student = asked.task, asked.student
    gains = [100 * r.test.gain.value for r in reports if r.test]
    better = sum(r.finding == "better" for r in reports)
    mark = "Synthetic data. " if reports[0].synthetic else ""
    test = reports[0].test
    assert test is not None
    print(f"# Refining `{student}` on `{task}` with the rule teacher\n")
    only = f" --moves {asked.moves}" if asked.moves else ""
    print(
        f"Written by `benchmarks/refine_seeds.py {task} --student {student} --seeds {len(rows)}{only}`."
    )
    print(f"{mark}Sealed test of about {test.notes} notes of {test.patients} patients per draw; scores")
    print("are the mean share of right fields per note, with 95 % intervals over patients. All draws")
    allowed = asked.moves.replace(",", ", ") or "all"
    print(f"are shown; they share notes, so they are not independent. Moves: {allowed}.\n")
    print(
        "| seed | untouched | final | gain, points | best rule | kept moves | student calls | seconds |"
    )
    print("| ---: | --- | --- | --- | --- | --- | ---: | ---: |")
    print("\n".join(rows))
    print(
        f"\nMean gain over the draws: {statistics.mean(gains):+.1f} points "
        f"(from {min(gains):+.1f} to {max(gains):+.1f}); "
        f"the interval excludes zero in {better} of {len(rows)}."
    )


if __name__ == "__main__":
    main()
