"""A learning curve as a page and as a plot.

Owns the table in markdown and the drawing in SVG, which is written by hand: axes, one point with its
interval per size, the seeds as dots, and dashed lines for what was not trained. Leaves every number to
``evals.curve``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from preceptor.core.records import Interval
from preceptor.evals.curve import Curve, Row

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 44, 50
TICKS = 5


def markdown(curve: Curve, made_by: str = "") -> str:
    """Return the page; ``made_by`` is the command that made it."""
    mark = "Synthetic data. " if curve.synthetic else ""
    said = f"Written by `{made_by}`.\n" if made_by else ""
    forced = "answers are forced into the schema" if curve.constrained else "answers are free"
    out = [
        f"# Learning curve of `{curve.student}` on `{curve.task}`\n",
        f"{said}{mark}Profile `{curve.profile}`{_changed(curve)}; measured on {curve.notes} "
        f"{curve.measured_on} notes of {curve.patients} patients (split seed {curve.split_seed}); "
        f"{forced}.",
        "A smaller subset of train is part of each larger one of the same seed; whole patients (the "
        "groups that the data keep together), so that a size is met as nearly as they allow. "
        + _legend(curve),
    ]
    if curve.left_out:
        out.append(f"{curve.left_out} train notes nearly repeat a dev or test note and were left out.")
    out += [
        "",
        "| student | notes | patients | seeds | score | seeds, low to high | over untouched, points "
        "| micro F1 | macro F1 | parse failures | seconds |",
        "| --- | ---: | ---: | ---: | --- | --- | --- | --- | ---: | ---: | ---: |",
        *map(_line, curve.rows),
    ]
    vain = [f"{row.unlearned} of {row.seeds} with {row.name}" for row in curve.rows if row.unlearned]
    if vain:
        out += [
            "",
            f"**Nothing was learned in {', '.join(vain)}**: the loss of the tokens that decide an "
            "answer stayed at what guessing without the note gives. They are measured all the same.",
        ]
    return "\n".join(out) + "\n"


def _changed(curve: Curve) -> str:
    return "".join(f", {name} {value}" for name, value in curve.change.items())


def _legend(curve: Curve) -> str:
    """Return what the columns mean for the kinds of field that the task has."""
    labels = bool(curve.labels) or not curve.lists
    score = ["whether the label is right"] if labels else []
    score += ["F1 of the items (compared without case; 1 where both lists are empty)"] * bool(
        curve.lists
    )
    micro = ["the labels other than «nothing found»"] * labels + ["the items"] * bool(curve.lists)
    macro = ["all labels count alike"] * labels + ["a list's items are pooled"] * bool(curve.lists)
    return (
        "Scores are accuracy, whatever metric the task's runs have; where most fields are empty, read "
        f"F1. The score of a field is {', of a list '.join(score)}; that of a note is their mean, "
        "averaged over seeds. 95 % intervals are over the measured patients, not over seeds, whose "
        f"lowest and highest score stand beside it. Micro F1 pools {' and '.join(micro)}; macro F1 is "
        f"the mean over fields, within which {' and '.join(macro)}."
    )


def shown(value: Interval) -> str:
    """Return an estimate with its interval."""
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def points(value: Interval) -> str:
    """Return a difference in points with its interval."""
    return f"{100 * value.value:+.1f} [{100 * value.low:+.1f}, {100 * value.high:+.1f}]"


def _line(row: Row) -> str:
    trained = row.kind == "trained"
    spread = f"{min(row.by_seed):.3f} to {max(row.by_seed):.3f}" if trained else ""
    gain = points(row.gain) if row.gain is not None else ""
    return (
        f"| {row.name} | {row.notes if trained else ''} | {row.patients if trained else ''} "
        f"| {row.seeds if trained else ''} | {shown(row.score)} | {spread} | {gain} "
        f"| {shown(row.micro_f1)} | {row.macro_f1:.3f} | {100 * row.failures:.1f} % "
        f"| {f'{row.seconds:.0f}' if trained else ''} |"
    )


def svg(curve: Curve) -> str:
    """Return the plot: the note score over the number of train notes."""
    trained = [row for row in curve.rows if row.kind == "trained"]
    lines = [row for row in curve.rows if row.kind != "trained"]
    low, high = _range(curve.rows)
    x = _places([row.notes for row in trained])

    def y(score: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - score) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(curve.student)} on {escape(curve.task)}: '
        f"accuracy on {curve.notes} {curve.measured_on} notes</text>",
    ]
    for i in range(TICKS + 1):
        at = low + (high - low) * i / TICKS
        parts.append(_stroke(LEFT, y(at), WIDTH - RIGHT, y(at), "#ddd"))
        parts.append(f'<text x="{LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{at:.2f}</text>')
    for row in trained:
        parts.append(
            f'<text x="{x(row.notes):.1f}" y="{HEIGHT - BOTTOM + 18}" '
            f'text-anchor="middle">{row.notes}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">train notes (log scale)</text>'
    )
    for row, colour in zip(lines, ("#888", "#b5651d"), strict=False):
        at = y(row.score.value)
        parts.append(_stroke(LEFT, at, WIDTH - RIGHT, at, colour, ' stroke-dasharray="6 4"'))
        place = _far_end(row, trained)
        parts.append(f'<text {place} y="{at - 5:.1f}" fill="{colour}">{escape(row.name)}</text>')
    path = " ".join(f"{x(row.notes):.1f},{y(row.score.value):.1f}" for row in trained)
    parts.append(f'<polyline points="{path}" fill="none" stroke="#1f5fa8" stroke-width="2"/>')
    for row in trained:
        at = x(row.notes)
        parts.append(_stroke(at, y(row.score.low), at, y(row.score.high), "#1f5fa8"))
        parts.append(f'<circle cx="{at:.1f}" cy="{y(row.score.value):.1f}" r="4" fill="#1f5fa8"/>')
        for seed in row.by_seed:
            parts.append(
                f'<circle cx="{at:.1f}" cy="{y(seed):.1f}" r="2.5" fill="none" stroke="#1f5fa8"/>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _far_end(line: Row, trained: Sequence[Row]) -> str:
    """Return where a line's name stands: at the end that is farther from the points."""
    away = [abs(row.score.value - line.score.value) for row in trained] or [0.0]
    right = away[0] < away[-1]
    return f'x="{WIDTH - RIGHT - 6}" text-anchor="end"' if right else f'x="{LEFT + 6}"'


def _places(sizes: Sequence[int]) -> Callable[[int], float]:
    """Return where a size stands on the horizontal axis, which is logarithmic: sizes often double."""
    least, most = min(sizes, default=1), max(sizes, default=1)
    low, high = math.log(max(least, 1)) - 0.3, math.log(max(most, 1)) + 0.2
    return lambda size: LEFT + (WIDTH - LEFT - RIGHT) * (math.log(max(size, 1)) - low) / (high - low)


def _range(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the ends of the vertical axis: tenths around all that is drawn."""
    ends = [end for row in rows for end in (row.score.low, row.score.high, *row.by_seed)]
    low, high = int(10 * min(ends, default=0.0)) / 10, -int(-10 * max(ends, default=1.0) // 1) / 10
    return (low, high) if high - low > 0.05 else (max(0.0, low - 0.1), low + 0.1)


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'
