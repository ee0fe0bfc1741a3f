"""``preceptor plan``: what a run would cost, before anything is spent."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from preceptor.cli import refine
from preceptor.cli.options import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from preceptor.graphs.costs import Cost, Plan


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: those of ``refine``."""
    refine.configure(parser)
    parser.add_argument(
        "--measure", action="store_true", help="time the student on a few train notes, for the seconds"
    )


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.graphs import planning

    chosen = settings(args)
    found = planning.plan(refine.options(args, chosen), chosen, args.measure)
    print(json.dumps(found.model_dump(mode="json"), indent=2) if args.json else text(found))
    return 0


def text(found: Plan) -> str:
    """Return the plan for a person."""
    from preceptor.evals.metrics.choice import words

    sizes = ", ".join(f"{count} {part}" for part, count in found.notes.items())
    head = [
        f"{found.task}: {sizes} notes; {found.mode}, {found.calls_per_note} calls per note, "
        f"answers of up to {found.max_tokens:,} tokens.",
        f"Student {found.student}, teacher {found.teacher}, at most {found.rounds} rounds, "
        f"likely {found.likely_rounds}. Judged by {words(found.metric)}.",
        "",
        f"{'':<22}{'round, likely':>15}{'round, worst':>15}{'run, likely':>15}{'run, worst':>15}",
    ]
    costs = (found.round_likely, found.round_worst, found.likely, found.worst)
    rows = [f"{name:<22}" + "".join(f"{show(c):>15}" for c in costs) for name, show in _ROWS.items()]
    tail = []
    if found.seconds_per_call is None:
        tail.append("Seconds are unknown until the student is timed: preceptor plan … --measure.")
    else:
        tail.append(
            f"Measured: {found.seconds_per_call:.4f} s per call; the teacher's time comes on top."
        )
    if found.unpriced:
        tail.append(
            f"No price is known for {', '.join(found.unpriced)}: set prices (docs/configuration.md)."
        )
    if found.stopped_by:
        tail.append(f"The worst case ends at the limit of {', '.join(found.stopped_by)}.")
    if found.likely_stopped_by:
        tail.append(f"So does the likely run, at {', '.join(found.likely_stopped_by)}.")
    if found.turn_tokens:
        tail.append(
            f"A turn of the teacher reads about {found.turn_tokens:,} tokens: a brief of this task."
        )
    tail += _extra(found)
    tail.append(
        "Tokens are estimated from characters, a training's seconds from a rate on one CPU thread."
    )
    return "\n".join([*head, *rows, "", *tail])


def _extra(found: Plan) -> list[str]:
    lines = []
    if found.tight:
        lines.append(f"Warning: {found.tight}.")
    if found.training:
        lines.append(f"No training is counted: {found.training}.")
    if found.labels is not None:
        told = found.labels
        price = "unknown" if told.dollars is None else f"{told.dollars:,.2f} dollars"
        how = "in a batch" if told.batch else "one by one"
        lines.append(
            f"Labels by {told.model}, if it is asked for them, come on top: {told.notes:,} notes, "
            f"{told.calls:,} calls {how}, {told.tokens:,} tokens, {price}."
        )
    return lines


def _dollars(cost: Cost) -> str:
    return "unknown" if cost.dollars is None else f"{cost.dollars:,.2f}"


def _amount(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


_ROWS: dict[str, Callable[[Cost], str]] = {
    "student calls": lambda c: f"{c.student_calls:,}",
    "student tokens": lambda c: f"{c.student_tokens:,}",
    "teacher turns": lambda c: f"{c.teacher_turns:,}",
    "teacher tokens": lambda c: f"{c.teacher_tokens:,}",
    "dollars": _dollars,
    "trainings": lambda c: f"{c.trainings:,g}",
    "training seconds": lambda c: _amount(c.training_seconds),
    "all seconds": lambda c: _amount(c.seconds),
}
