"""How a run ended, and what a reader must know before the figures: owns those words of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preceptor.evals.metrics.choice import words

if TYPE_CHECKING:
    from preceptor.core.readable import Readable
    from preceptor.core.records import Interval
    from preceptor.evals.report import Report

WORRYING = 0.5

FEW = 5
"""With fewer cases than this a field says little."""

ALIKE = ("macro_f1", "balanced_accuracy")
"""The metrics under which a rare field weighs as much as a frequent one."""


def warnings(report: Report) -> list[str]:
    """Return a line per thing that makes the figures say less than they seem to."""
    lines = []
    if report.readable is not None:
        lines.append(f"Warning: the untouched student, on dev: {_told(report.readable)}.")
    if report.schema_loose is not None:
        lines.append(f"Warning: {report.schema_loose.words()}.")
    where, part = ("the sealed test", report.test) if report.test else ("dev", report.dev)
    final: Interval = part.valid[1]
    if final.value <= WORRYING and report.final_recipe != report.baseline_recipe:
        share = f"{100 * final.value:.0f} % of its answers"
        lines.append(f"Warning: the final student, on {where}: only {share} can be read.")
    return [*lines, *_thin(report)]


def _thin(report: Report) -> list[str]:
    """Return which fields weigh as much as the others with hardly a case to find."""
    if report.metric not in ALIKE:
        return []
    cases = {row.field: row.after.positive.gold for row in report.fields if row.after}
    thin = [f"{name!r} {n}" for name, n in cases.items() if 0 < n < FEW]
    if not thin:
        return []
    shown = ", ".join(thin[:4]) + (f" and {len(thin) - 4} more fields" if len(thin) > 4 else "")
    return [
        f"Warning: {words(report.metric)} counts all fields alike, and some have fewer than {FEW} "
        f"cases on the sealed test: {shown}."
    ]


def constant(report: Report) -> list[str]:
    """Return the fields that the final student answers alike nearly everywhere."""
    if not report.constant:
        return []
    lines = []
    for one in report.constant:
        said = f"always {one.cue!r}" if one.cue else "nearly always the same"
        shares = f"{_share(one.said_share)} of the answers; gold's commonest value holds"
        lines.append(
            f"  {one.field}: {said} ({shares} {_share(one.gold_share)}); "
            f"wrong in {one.count} of {one.total} notes"
        )
    return ["Constant answers of the final student on the sealed test", *lines]


def _share(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.0f} %"


def _told(seen: Readable) -> str:
    return f"{seen.counts()}; {seen.advice()}"


def ended(report: Report) -> list[str]:
    """Return why the run ended, and what stood in the way of each kind of move."""
    if not report.stop:
        return []
    lines = ["Why it ended", f"  {report.stop}"]
    return [*lines, *(f"  {one.move}: {one.reason}" for one in report.blocked)]
