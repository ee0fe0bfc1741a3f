"""Does a student that learns from a rule's labels surpass the rule? Whichever way it comes out.

    python benchmarks/weak_labels.py toxicity-l --seen 100 --notes 200 > docs/results/weak_labels.md

Rules (NegEx triggers, phrases mined from a few labelled train notes) label other train notes, whose
gold is hidden. A student is trained on these labels, another one on the hidden gold of the same notes.
All are measured on the same dev notes; the test set is not touched. Trainings and answers are kept in
--runs-dir, so that a run that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from preceptor.core.ports import Evidence, Progress
from preceptor.core.records import Answer, Example, Recipe
from preceptor.core.settings import load
from preceptor.evals import baselines, curve, stats, subsets
from preceptor.evals.curve_page import points, shown
from preceptor.evals.scorers import LabelCounts, field_metrics
from preceptor.graphs import lab
from preceptor.graphs.lab import Asked, Lab
from preceptor.graphs.weak import rules
from preceptor.tools.distill import weak
from preceptor.tools.sft.args import Changes, FineTuneArgs

RULE: baselines.Name = "context+mined"
ANY = "0" * 20
"""Stands for the content hash of labels that are not kept as an artefact here."""


def arguments() -> argparse.Namespace:
    """Return what was asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--student", default="nano")
    parser.add_argument("--seen", type=int, default=100, help="labelled notes that the rules mine")
    parser.add_argument("--notes", type=int, default=200, help="notes that they label")
    parser.add_argument("--dev", type=int, default=400)
    parser.add_argument("--epochs", type=int, help="instead of the profile's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--absent", choices=("keep", "unknown"), default="keep")
    parser.add_argument("--no-gold", action="store_true", help="leave out the student of hidden gold")
    parser.add_argument("--runs-dir", default="runs")
    return parser.parse_args()


def pooled(examples: Sequence[Example], answers: Sequence[Answer], opened: Lab) -> LabelCounts:
    """Return the counts of all labels but «nothing found», over all fields."""
    each = [m.positive for m in field_metrics(examples, answers, opened.task.fields)]
    return LabelCounts(
        gold=sum(c.gold for c in each), said=sum(c.said for c in each), hits=sum(c.hits for c in each)
    )


def by_rules(
    opened: Lab, start: Recipe, seen: Sequence[Example], notes: Sequence[Example]
) -> list[Answer]:
    """Return the rules' answers."""
    evidence = Evidence(opened.task.fields, start, tuple(seen), (), ())
    votes = rules(opened.task, RULE)(evidence, notes)
    return [Answer(example_id=n.id, record=v.values) for n, v in zip(notes, votes, strict=True)]


def main() -> None:
    """Measure and print the page."""
    asked = arguments()
    settings = load(None, os.environ, {"runs_dir": asked.runs_dir})
    request = Asked(task=asked.task, student=asked.student, dev=asked.dev)
    Path(asked.runs_dir).mkdir(parents=True, exist_ok=True)

    def heard(name: str, progress: Progress) -> None:
        if progress.done == progress.total:
            print(f"{name}: {progress.total} {progress.what}", file=sys.stderr, flush=True)

    folder = Path(asked.runs_dir) / f"weak-{asked.task}"
    with lab.opened(request, folder, settings, heard) as opened:
        experiment(opened, asked)


def experiment(opened: Lab, asked: argparse.Namespace) -> None:
    """Train, measure, and print the page."""
    drawn = subsets.nested(opened.train, [asked.seen, asked.seen + asked.notes], asked.seed)
    seen = drawn[asked.seen]
    shown_ids = {e.id for e in seen}
    hidden = tuple(e for e in drawn[asked.seen + asked.notes] if e.id not in shown_ids)
    start = opened.start(asked.student)
    said = by_rules(opened, start, seen, hidden)
    votes = {str(RULE): [weak.Vote(values=a.record or {}) for a in said]}
    labels = weak.combine(hidden, opened.task.fields, votes)
    use = weak.WeakUse(labels=ANY, absent=asked.absent)
    noisy, _ = weak.examples(weak.Labelled(labels, hidden), opened.task.fields, use)
    args = FineTuneArgs(change=Changes(epochs=asked.epochs))
    rule = curve.Run(opened.dev, tuple(by_rules(opened, start, seen, opened.dev)), opened.task.fields)
    untouched = opened.ask(start, "untouched")
    arms = {"the rules": rule, "student, untouched": untouched}
    taught, _ = opened.tune(start, noisy, args, asked.seed, "weak labels")
    arms["student, weak labels"] = opened.ask(taught, "weak labels, dev")
    if not asked.no_gold:
        best, _ = opened.tune(start, hidden, args, asked.seed, "hidden gold")
        arms["student, hidden gold"] = opened.ask(best, "hidden gold, dev")
    page(opened, asked, arms, (seen, hidden, pooled(hidden, said, opened)))


def page(
    opened: Lab,
    asked: argparse.Namespace,
    arms: dict[str, curve.Run],
    labelled: tuple[Sequence[Example], Sequence[Example], LabelCounts],
) -> None:
    """Print the page."""
    seen, hidden, counts = labelled
    mark = "Synthetic data. " if opened.task.synthetic else ""
    patients = len({e.group for e in opened.dev})
    gold = " --no-gold" if asked.no_gold else ""
    print(f"# A student of weak labels beside its labeller, on `{opened.task.name}`\n")
    print(
        f"Written by `benchmarks/weak_labels.py {asked.task} --student {asked.student} "
        f"--seen {asked.seen} --notes {asked.notes} --dev {asked.dev} "
        f"{f'--epochs {asked.epochs} ' if asked.epochs else ''}--seed {asked.seed} "
        f"--absent {asked.absent}{gold}`.\n"
    )
    print(
        f"{mark}The labeller: `{RULE}`, rules with phrases mined from {len(seen)} labelled train "
        f"notes. It labelled {len(hidden)} other train notes, whose gold it did not see: precision "
        f"{counts.precision or 0:.2f} and recall {counts.recall or 0:.2f} on labels other than "
        "«nothing found». One training per student, as `fine_tune` does it by default. All are "
        f"measured on {len(opened.dev)} dev notes of {patients} patients; the score is the mean share "
        "of right fields per note, with 95 % intervals over patients, paired where two are compared. "
        "The sealed test was not opened.\n"
    )
    print("| who | score | beside the rules, points | precision | recall | micro F1 |")
    print("| --- | --- | --- | ---: | ---: | --- |")
    rule = arms["the rules"]
    for name, run in arms.items():
        made = curve.row("trained", name, [run])
        own = pooled(opened.dev, run.answers, opened)
        gain = "" if run is rule else points(stats.paired_difference(rule.scored(), run.scored()))
        print(
            f"| {name} | {shown(made.score)} | {gain} | {own.precision or 0:.2f} "
            f"| {own.recall or 0:.2f} | {shown(made.micro_f1)} |"
        )
    found = stats.paired_difference(rule.scored(), arms["student, weak labels"].scored())
    verdict = "is not told from"
    if found.low > 0 or found.high < 0:
        verdict = "surpasses" if found.low > 0 else "falls short of"
    print(f"\nThe student of weak labels {verdict} its labeller at this size: {points(found)} points.")
    untouched = arms["student, untouched"].scored()
    weak_gain = stats.paired_difference(untouched, arms["student, weak labels"].scored())
    print(f"Beside the untouched student: {points(weak_gain)} points.")
    best = arms.get("student, hidden gold")
    if best is not None:
        gold_gain = stats.paired_difference(untouched, best.scored())
        print(f"The same training on hidden gold, beside the untouched: {points(gold_gain)} points.")
        if gold_gain.low <= 0:
            print("It did not teach right labels, either: this says little about weak ones.")


if __name__ == "__main__":
    main()
