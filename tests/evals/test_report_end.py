"""A report says why it ended, why nothing was measured, and what makes its figures say less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from preceptor.core.blocked import Blocked
from preceptor.core.readable import count
from preceptor.core.records import Answer, Attempt, ModelRef, Recipe
from preceptor.evals.report import Report, ReportInputs, build, to_text
from preceptor.graphs.reporting import unmeasured
from tests.evals.test_report import inputs


def unopened(given: ReportInputs, why: str) -> Report:
    sides = {name: replace(getattr(given, name), test=None) for name in ("baseline", "final")}
    return build(replace(given, **sides, unmeasured=why))


def test_why_it_ended_names_each_move() -> None:
    blocked = (
        Blocked(move="edit_prompt", reason="all 3 calls that train speaks for were tried"),
        Blocked(move="fine_tune", reason="12 labelled notes to learn from"),
    )
    made = build(replace(inputs(), stop="the teacher sees nothing left", blocked=blocked))
    assert (
        "\n\nWhy it ended\n  the teacher sees nothing left\n  edit_prompt: all 3 calls that train "
        "speaks for were tried\n  fine_tune: 12 labelled notes to learn from\n\n"
    ) in to_text(made)
    assert Report.from_json(made.to_json()).blocked == blocked


def test_what_was_not_measured_says_why_in_the_first_line() -> None:
    made = unopened(inputs(), "exploration: the sealed test stays closed")
    first = to_text(made).splitlines()[0]
    assert first.endswith("Not measured: exploration: the sealed test stays closed.")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"measured": True}, ""),
        ({"measured": False, "opened": False, "why": "exploration"}, "exploration"),
        (
            {"measured": False, "why": "no calls are left"},
            "the sealed test was opened, but not measured: no calls are left",
        ),
    ],
)
def test_an_opened_test_is_never_told_as_closed(told: dict[str, object], said: str) -> None:
    assert unmeasured(told) == said  # type: ignore[arg-type]


def test_half_unreadable_answers_stand_right_below_the_headline() -> None:
    bad = Answer(example_id="n", record=None, status="invalid", problems={"pain": "invalid"})
    seen = count([bad, bad.model_copy(update={"status": "ok", "problems": {}})], Recipe(model=MODEL))
    lines = to_text(build(replace(inputs(), readable=seen))).splitlines()
    assert lines[1].startswith("Warning: the untouched student, on dev: 1 of 2 answers can be read")
    assert not to_text(build(inputs())).splitlines()[1]


MODEL = ModelRef(spec="x")


def test_a_carried_move_is_told_as_kept_in_table_and_json() -> None:
    def tried(number: int, outcome: str) -> Attempt:
        return Attempt.model_validate(
            {"round": number, "tool": "edit_prompt", "args": {}, "outcome": outcome, "dev_gain": 0.01}
        )

    made = build(replace(inputs(), attempts=(tried(1, "pending"), tried(4, "accepted"))))
    assert "kept (with round 4)" in to_text(made)
    assert [a.kept_with for a in made.attempts] == [4, None]
