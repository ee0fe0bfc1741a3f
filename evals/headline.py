"""The first lines of a report: what came of a run, in three comparisons.

Owns the wording; leaves what may be said to ``evals.standing`` and every number to ``evals.report``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from preceptor.core.records import Interval
from preceptor.evals.metrics.choice import words

if TYPE_CHECKING:
    from preceptor.evals.comparison import Comparison
    from preceptor.evals.report import Report
    from preceptor.evals.standing import RuleRow, Standing


def points(value: Interval) -> str:
    """Return a difference in points with its interval."""
    low, high = 100 * value.low, 100 * value.high
    return f"{100 * value.value:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"


def score(value: Interval) -> str:
    """Return a score with its interval."""
    shown = (round(number, 3) + 0.0 for number in (value.value, value.low, value.high))  # no -0.000
    return "{:.3f} [{:.3f}, {:.3f}]".format(*shown)


def headline(report: Report) -> str:
    """Return one sentence: better or not than the untouched student, and whether to use it at all."""
    mark = "Synthetic data. " if report.synthetic else ""
    if report.test is None:
        why = f"the sealed test was not opened ({report.stop or 'the run stopped'})"
        return f"{mark}Not measured: {report.unmeasured or why}."
    return mark + _untouched(report) + _verdict(report) + _reached(report.standing)


def _untouched(report: Report) -> str:
    test = report.test
    assert test is not None
    named = words(report.metric)
    gain = f"{100 * test.gain.value:+.1f} points [{_range(test.gain)}]"
    moved = f"{named} {test.baseline.value:.3f} to {test.final.value:.3f} on the sealed test, {gain}"
    return {
        "better": f"Better than the untouched student ({moved})",
        "worse": f"No gain, but a loss ({moved})",
        "no_gain": f"No gain shown ({moved}; {_unsure(test)})",
        "unchanged": "No gain: nothing that was tried passed the acceptance test, so the student is "
        f"unchanged ({named} {test.final.value:.3f} on the sealed test)",
        "not_measured": "Not measured",
    }[report.finding]


def _range(value: Interval) -> str:
    return f"{100 * value.low:+.1f}, {100 * value.high:+.1f}"


def _unsure(test: Comparison) -> str:
    """Return why a gain is not called one."""
    if test.gain.low > 0 and test.p_value is not None:
        return f"too few of the {test.patients} patients bear on it to be sure, p = {test.p_value:.3f}"
    return "the interval includes no change"


def is_useless(report: Report) -> bool:
    """Return whether the headline says not to use the final student."""
    found = report.standing
    return found is not None and found.best_trivial is not None and found.trivial != "better"


def _verdict(report: Report) -> str:
    """Return the end of the sentence: against answerers that need no model."""
    found = report.standing
    if found is None or found.best is None:
        return "."
    joined = ", but" if report.finding == "better" else "; it is"
    if found.best_trivial is not None and is_useless(report):
        ahead = _ahead(found.best_trivial)
        told = "worse than" if found.trivial == "worse" else "no better than"
        return f"{joined} {told} {_trivially(found.best_trivial)} {ahead}: do not use it."
    if found.baseline != "better":
        told = "worse than" if found.baseline == "worse" else "no better than"
        named = f"{found.best.name!r} {_ahead(found.best)}"
        return f"{joined} {told} {named}, which needs no language model."
    named = f"{found.best.name!r}, {_ahead(found.best).strip('()')}"
    return f", and better than the best answerer without a language model ({named})."


def _ahead(row: RuleRow) -> str:
    return f"({100 * row.final_ahead.value:+.1f} points [{_range(row.final_ahead)}])"


def _reached(found: Standing | None) -> str:
    """Return the third comparison in words; nothing where the task names no target."""
    if found is None or found.target is None or found.reached is None:
        return ""
    said = {"reached": "is reached", "open": "may be reached or not", "missed": "is missed"}
    return f" The target {found.target:g} {said[found.reached]}."


def _trivially(row: RuleRow) -> str:
    named = {
        "majority": "always giving the commonest answer",
        "always-positive": "always answering that the finding is there",
        "commonest": "always listing the commonest items",
    }
    return named.get(row.name, f"{row.name!r}, which answers the same to every note")


def comparisons(report: Report) -> list[str]:
    """Return the three comparisons, a line each; none if the test was not opened."""
    found, test = report.standing, report.test
    if found is None or test is None:
        return []
    rows = [
        ["the final student", score(test.final), ""],
        ["the untouched student", score(test.baseline), change(test.gain)],
    ]
    if found.best is not None:
        rows.append(_row("the best answerer without a language model", found.best))
    if found.best_trivial is not None and found.best_trivial != found.best:
        rows.append(_row("the best constant answer", found.best_trivial))
    head = ["", words(report.metric), "final student ahead by, points"]
    return [
        "How it stands on the sealed test (95 % intervals in brackets)",
        *table(head, rows),
        _target(found),
    ]


def change(value: Interval) -> str:
    """Return a difference in points with its interval, for a table."""
    return f"{100 * value.value:+.1f} [{100 * value.low:+.1f}, {100 * value.high:+.1f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, columns as wide as they must be."""
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *rows)
    ]


def _row(what: str, row: RuleRow) -> list[str]:
    return [f"{what}, {row.name!r}", score(row.score), change(row.final_ahead)]


def _target(found: Standing) -> str:
    if found.target is None or found.reached is None:
        return "  target: none (set one with 'target' in the task, or --target)"
    said = {
        "reached": "reached",
        "open": "undecided, neither surely reached nor surely missed",
        "missed": "missed",
    }[found.reached]
    return f"  target {found.target:.3f}: {said}"
