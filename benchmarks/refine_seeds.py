"""What refinement does for a student, over several draws of the splits; every draw is shown.

    python benchmarks/refine_seeds.py toxicity --student nano > docs/results/toxicity.md

One run per seed: the sealed test is opened once in each. The page shows the untouched and the final
student with 95 % intervals over patients, the best answerer without a language model, and the mean
over seeds. With `--keep FILE` each note's scores are kept, too, for `benchmarks/compare_moves.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from preceptor.core.kept import is_kept, marked
from preceptor.core.records import Evaluation
from preceptor.core.settings import load
from preceptor.evals.metrics.choice import words
from preceptor.evals.report import Report
from preceptor.graphs import refine, wiring

KEPT = "kept"
"""What ``--keep`` writes of a move that the final student has, by its own acceptance or a later one."""


@dataclass(frozen=True)
class Ran:
    """One run.

    Attributes:
        report: Its report.
        final: The final student on the sealed test.
        seconds: By the clock.
        training: Of them, those of trainings.
    """

    report: Report
    final: Evaluation
    seconds: float
    training: float


def one(task: str, student: str, moves: tuple[str, ...], seed: int, root: Path) -> Ran:
    """Refine once."""
    settings = load(None, os.environ, {})
    given = {"task": task, "student": student, "seed": seed, "moves": moves}
    options = wiring.options(settings, given)
    begun = time.perf_counter()
    with wiring.create(options, root, f"{task}-{seed}", settings) as session:
        state = refine.run(session)
        store = session.store.artefacts
        made = store.get_record(state["report"], Report)
        told = next(e for e in session.store.trace if e.kind == "test")
        final = store.get_record(str(told.data["final"]), Evaluation)
        trained = [read_seconds(f) for f in (session.store.path / "training").rglob("result.json")]
    return Ran(made, final, time.perf_counter() - begun, sum(trained))


def read_seconds(file: Path) -> float:
    """Return how long a training took."""
    return float(json.loads(file.read_bytes())["seconds"])


def row(seed: int, ran: Ran) -> str:
    """Return a run as a row of the table."""
    report, test = ran.report, ran.report.test
    assert test is not None
    kept = [a.tool for a in marked(report.attempts) if is_kept(a)]
    names = ", ".join(f"{kept.count(n)} {n}" for n in dict.fromkeys(kept)) or "none"
    rule = report.rules[0]
    return (
        f"| {seed} | {shown(test.baseline)} | {shown(test.final)} "
        f"| {100 * test.gain.value:+.1f} [{100 * test.gain.low:+.1f}, {100 * test.gain.high:+.1f}] "
        f"| {rule.name} {rule.score.value:.3f} | {names} of {len(report.attempts)} "
        f"| {report.costs['student_calls'].spent:,.0f} | {ran.training:.0f} | {ran.seconds:.0f} |"
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
    parser.add_argument("--keep", type=Path, help="where the scores of single notes go, as JSON")
    asked = parser.parse_args()
    rows: list[str] = []
    reports: list[Report] = []
    kept: dict[str, dict[str, list[str | float]]] = {}
    moves = tuple(name for name in asked.moves.split(",") if name)
    with tempfile.TemporaryDirectory() as name:
        with ProcessPoolExecutor(asked.parallel) as pool:
            jobs = [
                pool.submit(one, asked.task, asked.student, moves, seed, Path(name) / str(seed))
                for seed in range(asked.seeds)
            ]
            for seed, job in enumerate(jobs):
                ran = job.result()
                reports.append(ran.report)
                kept[str(seed)] = {s.example_id: [s.group, s.score] for s in ran.final.scored}
                rows.append(row(seed, ran))
                print(rows[-1], file=sys.stderr, flush=True)
    if asked.keep:
        choices = [
            [(a.tool, KEPT if is_kept(a) else a.outcome) for a in marked(r.attempts)] for r in reports
        ]
        asked.keep.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"moves": moves, "choices": choices, "scores": kept}, indent=None)
        asked.keep.write_text(text + "\n", "utf-8")
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
    metric = words(reports[0].metric)
    print(f"{mark}Sealed test of about {test.notes} notes of {test.patients} patients per draw; scores")
    print(f"are {metric}, with 95 % intervals over patients. All draws")
    allowed = asked.moves.replace(",", ", ") or "all"
    print(f"are shown; they share notes, so they are not independent. Moves: {allowed}.\n")
    print(
        "| seed | untouched | final | gain, points | best without a language model | kept moves "
        "| student calls | of training, s | seconds |"
    )
    print("| ---: | --- | --- | --- | --- | --- | ---: | ---: | ---: |")
    print("\n".join(rows))
    print(
        f"\nMean gain over the draws: {statistics.mean(gains):+.1f} points "
        f"(from {min(gains):+.1f} to {max(gains):+.1f}); "
        f"the interval excludes zero in {better} of {len(rows)}."
    )


if __name__ == "__main__":
    main()
