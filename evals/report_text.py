"""A report in words and tables, for a reader who knows the notes and not the machine.

Owns the wording; leaves every number to ``evals.report``. The first line says whether there is a gain.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from preceptor.core import kept
from preceptor.core.records import Attempt
from preceptor.evals import answerers, report_end
from preceptor.evals.headline import change, comparisons, headline, points, score, table
from preceptor.evals.metrics import card
from preceptor.evals.metrics.choice import words

if TYPE_CHECKING:
    from preceptor.evals.comparison import Comparison
    from preceptor.evals.report import FieldRow, Report
    from preceptor.evals.standing import RuleRow

WIDTH = 100
"""How wide lines of prose may be."""

_RESOURCES = {
    "dollars": ("dollars", "{:,.2f}"),
    "teacher_tokens": ("teacher tokens", "{:,.0f}"),
    "student_calls": ("student calls", "{:,.0f}"),
    "compute_seconds": ("seconds of computing", "{:,.1f}"),
    "wall_seconds": ("seconds by the clock", "{:,.1f}"),
}
_FIELD_NOTES = (
    "  right: the share of notes with the right answer (of a list: the mean F1 of a note's items)",
    '  P precision, R recall, F1: of what is to be found (labels but "nothing found", or items);',
    "  P, R and F1 of the final student, F1 before of the untouched one; cases: how many gold has",
)


def _number(value: float | None, form: str = "{:,.0f}") -> str:
    return "unknown" if value is None else form.format(value)


def _comparison(test: Comparison, metric: str) -> list[str]:
    rows = [
        [words(metric), score(test.baseline), score(test.final), change(test.gain)],
        *([words(r.name), score(r.baseline), score(r.final), change(r.gain)] for r in test.others),
        ["notes with every field right", score(test.exact[0]), score(test.exact[1]), ""],
        ["readable answers", score(test.valid[0]), score(test.valid[1]), ""],
        ["tokens per note", _number(test.tokens[0]), _number(test.tokens[1]), ""],
    ]
    lines = table(["", "untouched", "final", "gain, points"], rows)
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
        lines.append(f"  a test of this size detects a true gain of {least} four times out of five")
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
    cells = [row.field, score(row.baseline), score(row.final), change(row.gain)]
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
    return [
        "Fields on the sealed test",
        *table(head, [_field(r) for r in report.fields]),
        *_FIELD_NOTES,
    ]


def _rule(row: RuleRow) -> list[str]:
    return [row.name, score(row.score), change(row.final_ahead), answerers.what(row.name)]


def _rules(report: Report) -> list[str]:
    if not report.rules:
        return []
    rows = [_rule(row) for row in report.rules]
    lines = [
        f"Without any language model ({words(report.metric)})",
        *table(["answerer", "score", "final student ahead by, points", "what it does"], rows),
    ]
    best = report.rules[0]
    if best.ahead != "better":
        sure = "is better than" if best.ahead == "worse" else "may be as good as"
        lines.append(f"  note: {best.name!r} {sure} the final student")
    return lines


def _cards(report: Report) -> list[str]:
    if not report.cards:
        return []
    return [
        "How it is measured",
        *(row for c in report.cards for line in card.lines(c) for row in wrap(line)),
    ]


def wrap(line: str) -> list[str]:
    """Return a line as lines of a page's width; what hangs over stands two columns deeper."""
    own = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(line, WIDTH, subsequent_indent=own + "  ", break_long_words=False)


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
    lines = [
        "What was run",
        f"  task {report.task}; student {report.student}; teacher {report.teacher}",
    ]
    if report.final_recipe == report.baseline_recipe:
        lines.append(f"  recipe {report.final_recipe}, unchanged")
    else:
        lines.append(f"  recipe {report.baseline_recipe} (untouched), {report.final_recipe} (final)")
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
