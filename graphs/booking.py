"""A model that is asked for labels, with what it costs in the ledger.

Owns one rule: a claim on the budget before anything is asked, what it cost after. A batch keeps its
claim while it is under way, and a resumed process takes the claim over with the batch, so that work
that was paid for once is booked once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from preceptor.agents.batch.student import BatchStudent
from preceptor.core.amounts import Tally, most_read, most_written
from preceptor.core.ledger import Ledger, Reservation
from preceptor.core.ports import Cancel, Student
from preceptor.core.records import Call, ModelRef, Reply


def never() -> bool:
    """Return that nobody wants to stop."""
    return False


class BookedStudent:
    """Puts the ledger before a model.

    Args:
        student: Who answers; a ``BatchStudent`` is booked at the price of batches.
        ledger: The account.
        spec: The model's name in the table of prices.

    Attributes:
        why: Why the last call that failed did.
    """

    def __init__(self, student: Student, ledger: Ledger, spec: str) -> None:
        self._student = student
        self._batch = student if isinstance(student, BatchStudent) else None
        self._ledger = ledger
        self._spec = spec
        self._session = uuid.uuid4().hex[:8]
        self._count = 0
        self.why = ""

    @property
    def ref(self) -> ModelRef:
        """The model."""
        return self._student.ref

    @property
    def context(self) -> int | None:
        """The longest prompt plus answer in tokens."""
        return self._student.context

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls.

        Raises:
            BudgetStop: If they do not fit the budget; nothing is asked then. And as soon as the wall
                seconds are used up.
            StudentError: If the server cannot be used.
        """
        if not calls:
            return
        by_key = {call.key: call for call in calls}
        claim = self._claim(calls)
        tally = Tally()
        late, missing = self._ledger.deadline(), len(calls)
        try:
            for reply in self._student.complete(calls, lambda: late() or (cancel or never)()):
                self._count_in(tally, reply, by_key[reply.key])
                missing -= 1
                yield reply
            if missing and not (cancel or never)():
                self._ledger.check_time()
        finally:
            self._settle(claim, tally)

    def _claim(self, calls: Sequence[Call]) -> Reservation:
        read, written = sum(map(most_read, calls)), sum(map(most_written, calls))
        amounts: dict[str, float | None] = {"teacher_tokens": read + written}
        dollars = self._dollars(read, written)
        if dollars is not None:
            amounts["dollars"] = dollars
        if self._batch is None:
            self._count += 1
            return self._ledger.reserve(f"labels:{self._session}.{self._count}", **amounts)
        name = f"labels:{self._batch.name(calls)}"
        return self._ledger.adopt(name) or self._ledger.reserve(name, **amounts)

    def _dollars(self, read: float | None, written: float | None) -> float | None:
        return self._ledger.cost(self._spec, read, written, self._batch is not None)

    def _count_in(self, tally: Tally, reply: Reply, call: Call) -> None:
        if reply.status == "failed":
            self.why = reply.error
            if self._batch is not None:
                tally.replies += 1  # OpenAI charges a batch for completed requests only.
                return
        tally.count(reply, call)

    def _settle(self, claim: Reservation, tally: Tally) -> None:
        if self._batch is not None and self._batch.under_way:
            return
        if not tally.replies:
            claim.release()
        elif tally.read is None or tally.written is None:
            claim.settle(teacher_tokens=None, dollars=None)
        else:
            claim.settle(
                teacher_tokens=tally.read + tally.written,
                dollars=self._dollars(tally.read, tally.written),
            )

    def close(self) -> None:
        """Close it."""
        self._student.close()
