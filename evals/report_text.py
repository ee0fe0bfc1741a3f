"""A report in words and tables, for a reader who knows the notes and not the machine.

Owns the wording; leaves every number to ``evals.report``. The first line says whether there is a gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from preceptor.core import kept
from preceptor.core.records import Attempt, Interval
from preceptor.evals import report_end
from preceptor.evals.headline import comparisons, headline, points, score
from preceptor.evals.metrics import card
from preceptor.evals.metrics.choice import words

if TYPE_CHECKING:
    from preceptor.evals.comparison import Comparison
    from preceptor.evals.report import FieldRow, Report
    from preceptor.evals.standing import RuleRow

_RESOURCES = {
    "dollars": ("dollars", "{:,.2f}"),
    "teacher_tokens": ("teacher tokens", "{:,.0f}"),
    "student_calls": ("student calls", "{:,.0f}"),
    "compute_seconds": ("seconds of computing", "{:,.1f}"),
    "wall_seconds": ("seconds by the clock", "{:,.1f}"),
}


def _change(value: Interval) -> str:
    return f"{100 * value.value:+.1f} [{100 * value.low:+.1f}, {100 * value.high:+.1f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, columns as wide as they must be."""
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *rows)
    ]


def _number(value: float | None, form: str = "{:,.0f}") -> str:
    return "unknown" if value is None else form.format(value)


def _comparison(test: Comparison, metric: str) -> list[str]:
    rows = [
        [words(metric), score(test.baseline), score(test.final), _change(test.gain)],
        *([words(r.name), score(r.baseline), score(r.final), _change(r.gain)] for r in test.others),
        ["notes with every field right", score(test.exact[0]), score(test.exact[1]), ""],
        ["readable answers", score(test.valid[0]), score(test.valid[1]), ""],
        ["tokens per note", _number(test.tokens[0]), _number(test.tokens[1]), ""],
    ]
    lines = table(["", "baseline", "final", "gain, points"], rows)
    lines.append(f"  {test.fixed} notes better, {test.broken} worse, of {test.notes}")
    return lines


def _test(report: Report) -> list[str]:
    test = report.test
    if test is None:
        return []
    lines = [
        f"Sealed test: {test.notes} notes of {test.patients} patients",
    ]
    lines += _comparison(test, report.metric)
    if test.detectable is not None:
        least = f"{100 * test.detectable:.1f} points"
        lines.append(f"  a test of this size finds a true gain of {least} four times out of five")
    times = "once" if report.openings == 1 else f"{report.openings} times"
    lines.append(f"  opened {times} so far" + _warning(report.openings))
    return lines


def _warning(openings: int) -> str:
    return "; every further opening makes its numbers kinder than the truth" if openings > 1 else ""


def _dev(report: Report) -> list[str]:
    lines = [
        f"Dev, where candidates were chosen: {report.dev.notes} notes of {report.dev.patients} patients"
    ]
    lines += _comparison(report.dev, report.metric)
    if report.gap is not None:
        lines.append(f"  dev minus sealed test, final student: {points(report.gap)}")
    return lines


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _field(row: FieldRow) -> list[str]:
    cells = [row.field, score(row.baseline), score(row.final), _change(row.gain)]
    found = row.after.positive if row.after else None
    if found is None:
        return [*cells, "-", "-", "-", "-", "-"]
    before = row.before.positive.f1 if row.before else None
    rates = [_rate(v) for v in (found.precision, found.recall, found.f1, before)]
    return [*cells, *rates, str(found.gold)]


def _fields(report: Report) -> list[str]:
    if not report.fields:
        return []
    head = [
        "field",
        "right before",
        "right after",
        "gain, points",
        "P",
        "R",
        "F1",
        "F1 before",
        "cases",
    ]
    note = '  P, R, F1: of what was found (labels other than "nothing found", or items), final student'
    return ["Fields on the sealed test", *table(head, [_field(r) for r in report.fields]), note]


def _rule(row: RuleRow) -> list[str]:
    return [row.name, score(row.score), _change(row.final_ahead)]


def _rules(report: Report) -> list[str]:
    if not report.rules:
        return []
    rows = [_rule(row) for row in report.rules]
    lines = [
        f"Without any language model ({words(report.metric)})",
        *table(["answerer", "score", "final student ahead by, points"], rows),
    ]
    best = report.rules[0]
    if best.ahead != "better":
        sure = "is better than" if best.ahead == "worse" else "may be as good as"
        lines.append(f"  note: {best.name!r} {sure} the final student")
    return lines


def _cards(report: Report) -> list[str]:
    if not report.cards:
        return []
    return ["How it is measured", *(line for found in report.cards for line in card.lines(found))]


def _gain(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.1f}"


def _attempt(tried: Attempt) -> list[str]:
    cells = [
        str(tried.round),
        tried.tool,
        kept.fate(tried),
        _gain(tried.train_gain),
        _gain(tried.dev_gain),
    ]
    return [*cells, tried.reason]


def _attempts(report: Report) -> list[str]:
    if not report.attempts:
        return ["What was tried", "  nothing"]
    head = ["round", "move", "verdict", "train", "dev", "why"]
    return ["What was tried (gains in points)", *table(head, [_attempt(a) for a in report.attempts])]


def _costs(report: Report) -> list[str]:
    lines = ["What it cost"]
    for name, cost in report.costs.items():
        words, form = _RESOURCES.get(name, (name, "{:,.1f}"))
        amount = form.format(cost.spent)
        if cost.unknown:
            amount = (
                "unknown" if not cost.spent else f"at least {amount}; {cost.unknown} amounts unknown"
            )
        lines.append(f"  {words}: {amount}")
    return lines if len(lines) > 1 else [*lines, "  unknown"]


def _left_behind(report: Report) -> list[str]:
    if not report.left_behind:
        return []
    lines = [f"  {name}: remove it with: ollama rm {name}" for name in report.left_behind]
    return ["Left on the server by moves that were not kept", *lines]


def _origin(report: Report) -> list[str]:
    lines = ["Of what", f"  task {report.task}; student {report.student}; teacher {report.teacher}"]
    lines.append(f"  recipe {report.baseline_recipe} became {report.final_recipe}")
    lines += [f"  {name} sealed as {value}" for name, value in report.seals.items()]
    if report.synthetic:
        lines.append("  the notes are synthetic: nothing here says how the student does on real ones")
    return lines


def write(report: Report) -> str:
    """Return the whole report."""
    parts = [
        [headline(report), *report_end.warnings(report)],
        comparisons(report),
        report_end.constant(report),
        _test(report),
        _fields(report),
        _rules(report),
        _dev(report),
        _attempts(report),
        report_end.ended(report),
        _costs(report),
        _left_behind(report),
        _cards(report),
        _origin(report),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"
