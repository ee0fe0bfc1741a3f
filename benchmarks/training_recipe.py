"""What a training is made of, one thing changed at a time: weight of the frame, method, rate, epochs.

    python benchmarks/training_recipe.py nano --notes 200 --out docs/results/training_recipe_nano

Every arm is a training of the move `fine_tune` on the same train notes, measured on the same dev
notes; the sealed test stays closed. What is done is kept in `--work`, so that a long study can be
broken off. The page has a table, the curves (decision loss over steps) are beside it as SVG.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.records import Example
from preceptor.core.settings import load
from preceptor.evals import curve, subsets
from preceptor.graphs import lab
from preceptor.tools.sft.args import FineTuneArgs
from preceptor.tools.sft.job import Result
from preceptor.tools.sft.telling import ends

Given = dict[str, JsonValue]


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: What the table calls it.
        args: The arguments of `fine_tune` beside the profile `standard`.
        change: Hyper-parameters.
    """

    name: str
    change: Given = field(default_factory=dict)
    args: Given = field(default_factory=dict)

    def move(self) -> FineTuneArgs:
        """Return the arguments of the move."""
        return FineTuneArgs.model_validate({"profile": "standard", **self.args, "change": self.change})


OLD: dict[str, Given] = {
    "nano": {"frame": 1.0, "probe": False, "rate": 2e-3, "method": "full"},
    "hf:smollm2-135m": {"frame": 1.0, "probe": False, "rate": 5.4e-4, "method": "lora"},
}
"""What was done before: all tokens alike; for SmolLM2 adapters, their rate by the root of its size."""


BEFORE = "as before: all tokens alike"


def together(arm: Arm) -> Arm:
    """Return an arm with all fields answered in one call, unless it says or is as before."""
    asks = "together" in arm.args or arm.name == BEFORE
    return arm if asks else replace(arm, args={**arm.args, "together": True})


def arms(student: str, usual: float) -> list[Arm]:
    """Return the arms of a student; `usual` is the rate that goes with its size."""
    fixed: Given = {"probe": False, "rate": usual}
    return [
        Arm(BEFORE, OLD.get(student, {"frame": 1.0, "probe": False})),
        Arm("the recipe: frame 0.1, rate tried"),
        *(Arm(f"frame {frame:g}", {**fixed, "frame": frame}) for frame in (0.0, 0.01, 0.03, 0.1, 1.0)),
        *(Arm(f"rate {f:g} times", {**fixed, "rate": f * usual}) for f in (1 / 3, 3.0)),
        Arm("adapters, rank 16", {"method": "lora", "probe": True}),
        Arm("8 epochs", {**fixed, "epochs": 8}),
        Arm("a call per field", fixed, {"together": False}),
        Arm("a call per field, 8 epochs", {**fixed, "epochs": 8}, {"together": False}),
        *(Arm(f"{n} notes a step", {**fixed, "batch": 12 * n}) for n in (1, 2, 8)),
        Arm("1,000 notes put together anew", fixed, {"recombined": 1000}),
    ]


@dataclass(frozen=True)
class Done:
    """An arm with what came of it."""

    arm: str
    row: curve.Row
    results: tuple[Result, ...]

    @property
    def result(self) -> Result:
        """What came of the first seed."""
        return self.results[0]


def run(
    opened: lab.Lab,
    student: str,
    drawn: Sequence[tuple[Example, ...]],
    every: Sequence[Arm],
) -> list[Done]:
    """Train and measure all arms; what is in the lab's folder is not done again.

    Args:
        opened: The lab.
        student: Who is trained.
        drawn: The train notes of each seed.
        every: The arms.
    """
    start = opened.start(student)
    zero = opened.ask(start, "untouched")
    found = []
    for arm in every:
        runs, results = [], []
        for seed, notes in enumerate(drawn):
            recipe, result = opened.tune(start, notes, arm.move(), seed, arm.name)
            runs.append(opened.ask(recipe, arm.name))
            results.append(result)
            first, last = ends(result.decisions)
            one = curve.row("trained", arm.name, runs[-1:], zero)
            print(
                f"{arm.name}, seed {seed}: {one.score.value:.3f}, {first:.3f} -> {last:.3f} "
                f"(guess {result.guess:.3f}), rate {result.rate:.1e}, {result.seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
        found.append(Done(arm.name, curve.row("trained", arm.name, runs, zero), tuple(results)))
    found.insert(0, Done("untouched", curve.row("zero_shot", "untouched", [zero]), found[0].results))
    return found


def line(done: Done) -> str:
    """Return a row of the table."""
    row, result = done.row, done.result
    score = f"{row.score.value:.3f} [{row.score.low:.3f}, {row.score.high:.3f}]"
    if row.kind != "trained":
        return f"| {row.name} | {score} | | {row.macro_f1:.3f} | | | | | | |"
    each = ", ".join(f"{score:.3f}" for score in row.by_seed)
    pairs = [ends(one.decisions) for one in done.results]
    first, last = (statistics.fmean(column) for column in zip(*pairs, strict=True))
    frame = statistics.fmean(ends(one.frames)[1] for one in done.results if one.frames)
    learned = f"{sum(one.learned for one in done.results)} of {len(done.results)}"
    rates = ", ".join(dict.fromkeys(f"{one.rate:.1e}" for one in done.results))
    seconds = statistics.fmean(one.seconds for one in done.results)
    return (
        f"| {row.name} | {score} | {each} | {row.macro_f1:.3f} | {first:.2f} → {last:.2f} "
        f"| {frame:.4f} | {learned} | {rates} | {result.steps} | {seconds:.0f} |"
    )


COLOURS = ("#1b6ca8", "#c2452d", "#3a8f5c", "#8a5aab", "#b98a1d", "#555555", "#d6619b", "#2aa5a5")


def svg(every: Sequence[Done], guess: float) -> str:
    """Return the decision losses over the part of each training that is done, and guessing's."""
    trained = [d for d in every if d.row.kind == "trained"]
    high = max(1.3 * guess, 1.0)
    wide, tall, left, right, top, low = 760, 380, 50, 230, 16, 34

    def x(part: float) -> float:
        return left + (wide - left - right) * part

    def y(loss: float) -> float:
        return top + (tall - top - low) * (1 - min(loss, high) / high)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" font-family="sans-serif" '
        'font-size="11">',
        f'<rect width="{wide}" height="{tall}" fill="white"/>',
    ]
    for tick in range(6):
        loss = high * tick / 5
        out.append(f'<text x="{left - 6}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss:.2f}</text>')
        out.append(
            f'<line x1="{left}" x2="{wide - right}" y1="{y(loss):.1f}" y2="{y(loss):.1f}" '
            'stroke="#eee"/>'
        )
    out.append(
        f'<line x1="{left}" x2="{wide - right}" y1="{y(guess):.1f}" y2="{y(guess):.1f}" stroke="#000" '
        'stroke-dasharray="4 3"/>'
    )
    out.append(f'<text x="{wide - right + 6}" y="{y(guess) + 4:.1f}">guessing</text>')
    for number, done in enumerate(trained):
        losses = smooth(done.result.decisions, 30)
        places = [(i + 0.5) / len(losses) for i in range(len(losses))]
        path = " ".join(f"{x(p):.1f},{y(v):.1f}" for p, v in zip(places, losses, strict=True))
        colour = COLOURS[number % len(COLOURS)]
        dash = ' stroke-dasharray="6 3"' if number >= len(COLOURS) else ""
        out.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'
        )
        place = top + 14 + 15 * number
        out.append(
            f'<line x1="{wide - right + 40}" x2="{wide - right + 62}" y1="{place}" y2="{place}" '
            f'stroke="{colour}" stroke-width="2"{dash}/>'
        )
        out.append(f'<text x="{wide - right + 67}" y="{place + 4}">{done.arm}</text>')
    middle = left + (wide - left - right) / 2
    out.append(f'<text x="{middle}" y="{tall - 8}" text-anchor="middle">part of the training</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def smooth(values: Sequence[float], bins: int) -> list[float]:
    """Return means over equal parts of a training."""
    count = min(bins, len(values))
    edges = [round(i * len(values) / count) for i in range(count + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student")
    parser.add_argument("--task", default="toxicity-l")
    parser.add_argument("--notes", type=int, default=200)
    parser.add_argument("--dev", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1, help="trainings per arm")
    parser.add_argument("--seconds", type=float, default=7200, help="the most that one training takes")
    parser.add_argument("--arms", default="", help="names of arms, with ;; all if empty")
    parser.add_argument("--together", action="store_true", help="all fields in one call, but for some")
    parser.add_argument("--usual", type=float, help="the rate in the middle (default: by size)")
    parser.add_argument("--work", type=Path, default=Path("runs/training-recipe"))
    parser.add_argument("--out", type=Path, required=True, help="the page, without its ending")
    asked = parser.parse_args()
    settings = load(None, os.environ, {"training.seconds": str(asked.seconds)})
    usual = asked.usual or {"nano": 2e-3}.get(asked.student, 1e-4)
    wanted = [name.strip() for name in asked.arms.split(";") if name.strip()]
    every = [a for a in arms(asked.student, usual) if not wanted or a.name in wanted]
    every = [together(a) for a in every] if asked.together else every
    request = lab.Asked(task=asked.task, student=asked.student, dev=asked.dev)
    folder = asked.work / asked.student.replace(":", "-") / asked.task
    with lab.opened(request, folder, settings, lambda name, progress: None) as opened:
        drawn = [
            subsets.nested(opened.train, [asked.notes], seed, nearest=True, fields=opened.task.fields)[
                asked.notes
            ]
            for seed in range(asked.seeds)
        ]
        found = run(opened, asked.student, drawn, every)
        mark = "Synthetic data. " if opened.task.synthetic else ""
    guess = found[1].result.guess
    name = asked.out.name
    command = f"benchmarks/training_recipe.py {asked.student} --task {asked.task} --notes {asked.notes}"
    page = [
        f"# What a training of `{asked.student}` is made of\n",
        f"Written by `{command} --dev {asked.dev} --seeds {asked.seeds}`. {mark}{asked.notes} train "
        f"notes of `{asked.task}`, another draw for each seed, measured on {len(opened.dev)} dev "
        "notes; accuracy (the mean over seeds with its 95 % interval over patients, and each seed) and "
        "macro F1 over labels.",
        f"Losses are nats per token: of what decides an answer, over the first and the last five steps "
        f"(guessing without the note: {guess:.2f}), and of the frame at the end. Curves: seed 0.",
        "",
        f"![decision loss]({name}.svg)",
        "",
        "| training | accuracy on dev | seeds | macro F1 | decision loss | frame loss | learned | rate "
        "| steps | s |",
        "| --- | --- | --- | ---: | --- | ---: | --- | --- | ---: | ---: |",
        *map(line, found),
    ]
    asked.out.with_suffix(".md").write_text("\n".join(page) + "\n", "utf-8")
    asked.out.with_suffix(".svg").write_text(svg(found, guess), "utf-8")


if __name__ == "__main__":
    main()
