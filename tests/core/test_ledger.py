import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from preceptor.core.errors import BudgetStop, InputError
from preceptor.core.ledger import Budget, Ledger
from preceptor.core.prices import PriceTable

PRICES = PriceTable()

KILLED = """
import os, sys
from pathlib import Path
from preceptor.core.ledger import Budget, Ledger
from preceptor.core.prices import PriceTable
ledger = Ledger(Path(sys.argv[1]), Budget(), PriceTable())
ledger.reserve("done", student_calls=10).settle(student_calls=7)
ledger.reserve("in flight", student_calls=30, dollars=None)
os.kill(os.getpid(), 9)
"""


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ledger(budget: Budget | None = None, path: Path | None = None) -> Ledger:
    return Ledger(path, budget or Budget(), PRICES, Clock())


def test_what_is_reserved_is_gone_until_it_is_settled_or_released() -> None:
    book = ledger(Budget(student_calls=100))
    first = book.reserve("a", student_calls=60)
    assert book.left() == {"student_calls": 40}
    assert book.spent()["student_calls"] == 0
    first.settle(student_calls=25)
    assert book.left() == {"student_calls": 75}
    assert book.spent()["student_calls"] == 25
    book.reserve("b", student_calls=75).release()
    assert book.left() == {"student_calls": 75}


def test_what_does_not_fit_is_refused_before_anything_is_claimed() -> None:
    book = ledger(Budget(student_calls=100, dollars=1))
    book.reserve("a", student_calls=60).settle()
    with pytest.raises(BudgetStop) as caught:
        book.reserve("b", dollars=0.5, student_calls=41)
    assert str(caught.value) == (
        "40 student_calls are left, the next step asks for 41 (allow more: --student-calls)"
    )
    assert book.left() == {"dollars": 1, "student_calls": 40}
    book.reserve("b", student_calls=40)
    book.reserve("c", student_calls=0)


def test_resources_without_a_limit_are_counted_too() -> None:
    book = ledger()
    book.reserve("a", teacher_tokens=10**9).settle(teacher_tokens=5)
    assert book.spent()["teacher_tokens"] == 5
    assert book.left() == {}


def test_the_same_key_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with ledger(Budget(student_calls=10), path) as book:
        claims = [book.reserve("a", student_calls=6), book.reserve("a", student_calls=6)]
        for claim in claims:
            claim.settle(student_calls=5)
        book.reserve("a", student_calls=6).settle(student_calls=9)
        assert book.spent()["student_calls"] == 5
    with ledger(Budget(student_calls=10), path) as book:
        book.reserve("a", student_calls=6).settle(student_calls=6)
        assert book.spent()["student_calls"] == 5


def test_what_settle_does_not_name_cost_what_was_reserved() -> None:
    book = ledger()
    book.reserve("a", student_calls=6, compute_seconds=2).settle(student_calls=5, dollars=0.25)
    spent = book.spent()
    assert (spent["student_calls"], spent["compute_seconds"], spent["dollars"]) == (5, 2, 0.25)


def test_unknown_is_counted_as_unknown_and_never_as_nothing() -> None:
    book = ledger(Budget(teacher_tokens=100))
    book.reserve("a", teacher_tokens=30).settle(teacher_tokens=None)
    assert book.unknown() == {"teacher_tokens": 1}
    assert book.spent()["teacher_tokens"] == 30
    assert book.left() == {"teacher_tokens": 70}
    book.reserve("b", dollars=None).settle()
    book.reserve("c").settle(dollars=None)
    assert book.unknown() == {"teacher_tokens": 1, "dollars": 2}


def test_an_unknown_price_is_refused_only_where_dollars_are_limited() -> None:
    assert ledger().cost("mystery-model", 10, 10) is None
    limited = ledger(Budget(dollars=1))
    with pytest.raises(InputError, match=r"mystery-model.*--set 'prices"):
        limited.cost("mystery-model", 10, 10)
    with pytest.raises(InputError, match=r"dollars are limited.*--set 'prices"):
        limited.reserve("a", dollars=None)
    assert limited.spent()["dollars"] == 0
    assert limited.cost("gpt-4o", 1_000_000, 0) == 2.5
    assert limited.cost("gpt-4o", None, 10) is None
    assert limited.cost("ollama:llama3.2", None, None) == 0


def test_a_reservation_of_a_killed_process_counts_as_spent(tmp_path: Path) -> None:
    path = tmp_path / "l"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60).returncode == -9
    book = ledger(Budget(student_calls=100), path)
    assert book.spent()["student_calls"] == 37
    assert book.assumed() == {"student_calls": 30, "dollars": 0}
    assert book.unknown() == {"dollars": 1}
    assert book.left() == {"student_calls": 63}
    again = book.reserve("in flight", student_calls=30)
    assert book.left() == {"student_calls": 33}
    again.settle(student_calls=20)
    again.settle(student_calls=20)
    assert book.spent()["student_calls"] == 57
    assert book.assumed()["student_calls"] == 30


def test_reading_a_live_ledger_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l"
    live = ledger(None, path)
    claim = live.reserve("a", student_calls=5)
    with ledger(None, path) as reader:
        assert reader.assumed() == {"student_calls": 5}
    claim.settle(student_calls=3)
    assert live.spent()["student_calls"] == 3
    assert live.assumed() == {}


def test_a_released_claim_of_a_dead_process_is_not_released(tmp_path: Path) -> None:
    path = tmp_path / "l"
    dead = ledger(None, path).reserve("a", student_calls=5)
    book = ledger(None, path)
    book.reserve("a", student_calls=5).release()
    assert book.spent()["student_calls"] == 5
    assert dead.key == "a"


def test_wall_time_adds_up_over_processes_and_stops(tmp_path: Path) -> None:
    path, clock = tmp_path / "l", Clock()
    budget = Budget(wall_seconds=100)
    with Ledger(path, budget, PRICES, clock) as first:
        first.reserve("a")
        clock.now += 60
        assert first.spent()["wall_seconds"] == 60
    clock.now += 10_000
    second = Ledger(path, budget, PRICES, clock)
    assert second.left() == {"wall_seconds": 40}
    second.reserve("b", wall_seconds=30).settle(wall_seconds=30)
    assert second.spent()["wall_seconds"] == 60, "the clock counts, not the estimate"
    with pytest.raises(BudgetStop, match="40 wall_seconds are left"):
        second.reserve("c", wall_seconds=41)
    clock.now += 41
    with pytest.raises(BudgetStop, match="0 wall_seconds are left"):
        second.reserve("d")
    assert second.left() == {"wall_seconds": 0}


def test_a_refused_first_claim_does_not_lose_the_wall_time(tmp_path: Path) -> None:
    path, clock = tmp_path / "l", Clock()
    with Ledger(path, Budget(student_calls=1), PRICES, clock) as book:
        with pytest.raises(BudgetStop):
            book.reserve("a", student_calls=2)
        clock.now += 5
    with Ledger(path, Budget(), PRICES, clock) as book:
        assert book.spent()["wall_seconds"] == 5


def test_a_raised_limit_counts_after_resuming(tmp_path: Path) -> None:
    with ledger(Budget(student_calls=10), tmp_path / "l") as book:
        book.reserve("a", student_calls=10).settle()
    with ledger(Budget(student_calls=15), tmp_path / "l") as book:
        assert book.left() == {"student_calls": 5}


def test_threads_cannot_spend_the_same_money(tmp_path: Path) -> None:
    books = [ledger(Budget(student_calls=50), tmp_path / "l") for _ in range(2)]
    got, refused = [], []

    def work(who: int) -> None:
        for i in range(10):
            try:
                books[who % 2].reserve(f"{who}:{i}", student_calls=2).settle()
                got.append(2)
            except BudgetStop:
                refused.append(2)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(got), sum(refused)) == (50, 30)
    assert books[0].left() == {"student_calls": 0}


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf")])
def test_what_is_no_amount_is_refused(amount: float) -> None:
    with pytest.raises(InputError, match="is no amount"):
        ledger().reserve("a", dollars=amount)
    with pytest.raises(InputError, match="is no amount"):
        ledger().reserve("a", dollars=1).settle(dollars=amount)
    with pytest.raises(ValidationError):
        Budget(dollars=amount)


def test_a_misspelt_resource_is_refused() -> None:
    with pytest.raises(InputError, match=r"'dolars'.*one of dollars"):
        ledger().reserve("a", dolars=1)


def test_work_that_goes_on_without_its_process_costs_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with ledger(Budget(dollars=10), path) as first:
        first.reserve("batch", dollars=6.0)
    with ledger(Budget(dollars=10), path) as second:
        assert second.adopt("other") is None
        claim = second.adopt("batch")
        assert claim is not None
        assert second.left() == {"dollars": 4}
        assert second.assumed() == {}
        claim.settle(dollars=1.5)
        assert second.spent()["dollars"] == 1.5
        assert second.adopt("batch") is None, "what is settled is settled"
