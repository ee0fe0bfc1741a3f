"""What a labeller costs is booked, and its time is limited, also inside one batch of calls."""

from __future__ import annotations

import pytest

from preceptor.agents.students.scripted import ScriptedStudent
from preceptor.core.errors import BudgetStop
from preceptor.core.ledger import Budget, Ledger
from preceptor.core.prices import PriceTable
from preceptor.core.records import Call
from preceptor.graphs.booking import BookedStudent
from tests.contracts.student import EXAMPLES, calls_about


class Clock:
    """A clock that moves a second per answer."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def answer(self, call: Call) -> str:
        self.now += 1.0
        return "{}"


def test_a_limit_of_wall_time_holds_between_two_calls() -> None:
    clock = Clock()
    ledger = Ledger(None, Budget(wall_seconds=4), PriceTable(), clock)
    student = BookedStudent(ScriptedStudent(clock.answer), ledger, "scripted")
    with pytest.raises(BudgetStop, match=r"4 wall_seconds are used up \(.*--wall-seconds\)"):
        list(student.complete(calls_about(EXAMPLES)))
    assert clock.now == 4
    assert ledger.spent()["teacher_tokens"] > 0


@pytest.mark.parametrize("seconds", [None, 100])
def test_without_such_a_limit_or_under_it_all_is_asked(seconds: float | None) -> None:
    clock = Clock()
    ledger = Ledger(None, Budget(wall_seconds=seconds), PriceTable(), clock)
    student = BookedStudent(ScriptedStudent(clock.answer), ledger, "scripted")
    assert len(list(student.complete(calls_about(EXAMPLES)))) == 9


def test_who_is_stopped_by_a_person_is_not_out_of_time() -> None:
    clock = Clock()
    ledger = Ledger(None, Budget(wall_seconds=100), PriceTable(), clock)
    student = BookedStudent(ScriptedStudent(clock.answer), ledger, "scripted")
    assert len(list(student.complete(calls_about(EXAMPLES), lambda: clock.now >= 2))) == 2
