"""The plan against what a run then cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.core.errors import TaskError
from preceptor.core.ledger import Budget
from preceptor.core.settings import Settings
from preceptor.graphs import planning, refine, wiring
from tests.graphs.small import OPTIONS, SETTINGS

TOXICITY = wiring.Options(task="toxicity", student="simulated")
RUNS = {
    "small": OPTIONS,
    "small, another draw": OPTIONS.model_copy(update={"seed": 1}),
    "small, all fields at once": OPTIONS.model_copy(update={"mode": "joint"}),
    "toxicity": TOXICITY,
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS.keys())
def test_the_likely_figure_is_within_a_factor_of_two(options: wiring.Options, tmp_path: Path) -> None:
    said = planning.plan(options, SETTINGS, measure=True)
    with wiring.create(options, tmp_path, "run", SETTINGS) as session:
        refine.run(session)
        spent = session.ledger.spent()
    assert spent["student_calls"] / 2 <= said.likely.student_calls <= spent["student_calls"] * 2
    assert spent["student_calls"] <= said.worst.student_calls
    assert said.likely.dollars == spent["dollars"] == 0
    assert said.likely.teacher_tokens == spent["teacher_tokens"] == 0
    assert said.likely.seconds is not None


def test_an_unknown_price_stays_unknown() -> None:
    options = TOXICITY.model_copy(update={"teacher": "openai:mystery"})
    said = planning.plan(options, SETTINGS)
    assert said.likely.dollars is None
    assert said.worst.dollars is None
    assert said.unpriced == ("openai:mystery",)
    assert said.likely.teacher_tokens > 0
    priced = Settings(prices={"openai:mystery": {"input": 1.0, "output": 2.0}})
    known = planning.plan(options, priced)
    assert known.unpriced == ()
    assert known.likely.dollars is not None
    assert known.worst.dollars is not None
    assert 0 < known.likely.dollars < known.worst.dollars


def test_seconds_are_unknown_until_the_student_is_timed() -> None:
    assert planning.plan(OPTIONS, SETTINGS).likely.seconds is None


def test_the_worst_case_stays_within_the_budget() -> None:
    options = OPTIONS.model_copy(update={"budget": Budget(student_calls=400)})
    said = planning.plan(options, SETTINGS)
    assert said.worst.student_calls == said.likely.student_calls == 400
    assert said.stopped_by == ("student_calls",)


def test_mode_and_size_count() -> None:
    alone = planning.plan(TOXICITY, SETTINGS)
    joint = planning.plan(TOXICITY.model_copy(update={"mode": "joint"}), SETTINGS)
    assert alone.calls_per_note == 12 * joint.calls_per_note
    assert alone.worst.student_calls == 12 * joint.worst.student_calls


def test_planning_writes_and_asks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    planning.plan(OPTIONS.model_copy(update={"student": "ollama:not-there"}), SETTINGS)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TaskError):
        planning.plan(OPTIONS.model_copy(update={"task": "nope"}), SETTINGS)
