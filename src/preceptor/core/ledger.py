"""The one budget of a run: dollars, teacher tokens, student calls, compute and wall seconds.

Owns what was spent and what is left. Everything is reserved before it is spent and settled after; a
reservation that its process did not live to settle counts as spent. Leaves estimates to who reserves,
and prices to ``prices``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field

from preceptor.core.database import Migration, connect, store_errors, transaction
from preceptor.core.errors import BudgetStop, InputError
from preceptor.core.prices import PRICE_HINT, PriceTable
from preceptor.core.record import Record

RESOURCES = ("dollars", "teacher_tokens", "student_calls", "compute_seconds", "wall_seconds")
WALL = "wall_seconds"

_MIGRATIONS: tuple[Migration, ...] = (
    (
        "CREATE TABLE lives (life INTEGER PRIMARY KEY, seconds REAL NOT NULL)",
        "CREATE TABLE entries (key TEXT NOT NULL, life INTEGER NOT NULL, resource TEXT NOT NULL,"
        " reserved REAL, actual REAL, state TEXT NOT NULL,"
        " PRIMARY KEY (key, life, resource)) WITHOUT ROWID",
    ),
)

_COUNTED = "SELECT resource, sum(coalesce(actual, reserved, 0)) FROM entries {} GROUP BY resource"


class Budget(Record):
    """Limits of a run; None is no limit.

    Attributes:
        dollars: What is paid for teacher and student tokens.
        teacher_tokens: Input and output tokens of the teacher.
        student_calls: Requests to the student that the cache does not answer.
        compute_seconds: Time that the student and its training compute.
        wall_seconds: Time that the run's processes live, all together.
    """

    dollars: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    teacher_tokens: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    student_calls: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    compute_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    wall_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    def limits(self) -> dict[str, float]:
        """Return the limited resources and their limits."""
        said = {name: getattr(self, name) for name in RESOURCES}
        return {name: float(limit) for name, limit in said.items() if limit is not None}


@dataclass(frozen=True)
class Reservation:
    """A claim on the budget, named by its key. One of ``settle`` and ``release`` ends it."""

    ledger: Ledger
    key: str

    def settle(self, **actual: float | None) -> None:
        """Say what it cost. A second time, it changes nothing.

        Args:
            **actual: Amount per resource. None: it cost something, nobody knows what; the reserved
                amount is kept and the resource counted as unknown. A resource that is not named
                cost what was reserved.
        """
        self.ledger._settle(self.key, actual)

    def release(self) -> None:
        """Give back what was reserved: nothing was spent."""
        self.ledger._release(self.key)


class Ledger:
    """What a run has spent, on disk; safe for several threads and processes.

    A key names one piece of work. Reserving a key that is open returns the same reservation;
    one that is settled stays settled, and costs nothing again. A reservation of a process that died
    stays counted (``assumed``), and doing its work again is a new claim beside it.

    Opening writes nothing, so that a report may read the ledger of a live run (whose open
    reservations it sees as assumed).
    """

    def __init__(
        self,
        path: Path | None,
        budget: Budget,
        prices: PriceTable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the ledger of a run.

        Args:
            path: Its file, made if it is missing; None keeps it in memory.
            budget: The limits; they may have changed since the last process.
            prices: Dollars per token.
            clock: Seconds since any moment; measures wall time.
        """
        self.path = path
        self.budget = budget
        self.prices = prices
        self._clock = clock
        self._started = clock()
        self._life = 0
        self._closed = False
        self._lock = threading.RLock()
        self._connection = connect(path, _MIGRATIONS)

    def cost(
        self, model: str, input_tokens: float | None, output_tokens: float | None, batch: bool = False
    ) -> float | None:
        """Return dollars, or None where price or token counts are unknown; ``batch``: of a batch.

        Raises:
            InputError: If dollars are limited and the model has no price.
        """
        if self.budget.dollars is not None and self.prices.find(model) is None:
            raise InputError(f"no price is known for {model!r}, and dollars are limited", PRICE_HINT)
        return self.prices.cost(model, input_tokens, output_tokens, batch)

    def reserve(self, key: str, **amounts: float | None) -> Reservation:
        """Claim what a piece of work may cost at most, before it is done.

        Args:
            key: Names the work.
            **amounts: Upper estimate per resource, at least 0. None: unknown. Wall seconds are
                only compared with what is left; the clock counts them.

        Raises:
            BudgetStop: If it does not fit in what is left; nothing is claimed then.
            InputError: If the amount of a limited resource is unknown.
            StoreError: If it cannot be written.
        """
        self._check_names(amounts)
        with self._writing():
            if self._is_claimed(key):
                return Reservation(self, key)
            self._check_fits(key, amounts)
            for name, amount in amounts.items():
                if name != WALL:
                    self._write(key, name, (amount, None, "open"))
        return Reservation(self, key)

    def adopt(self, key: str) -> Reservation | None:
        """Take over what a dead process had claimed under ``key``; None if there is nothing.

        For work that goes on without its process (a batch at a server): it costs once, whoever
        settles it. Whoever adopts must know that no other process is at it.

        Raises:
            StoreError: If it cannot be written.
        """
        with self._writing():
            given = self._connection.execute(
                "UPDATE OR IGNORE entries SET life = ? WHERE key = ? AND state = 'open'",
                (self._life, key),
            )
            return Reservation(self, key) if given.rowcount else None

    def _check_names(self, amounts: Mapping[str, float | None]) -> None:
        for name, amount in amounts.items():
            if name not in RESOURCES:
                raise InputError(f"no resource is named {name!r}", "one of " + ", ".join(RESOURCES))
            if amount is not None and not 0 <= amount < float("inf"):
                raise InputError(f"{name}: {amount!r} is no amount", "a finite number from 0 up")

    def _is_claimed(self, key: str) -> bool:
        query = "SELECT 1 FROM entries WHERE key = ? AND (life = ? OR state != 'open')"
        return self._connection.execute(query, (key, self._life)).fetchone() is not None

    def _check_fits(self, key: str, amounts: Mapping[str, float | None]) -> None:
        left = self._left()
        for name, room in left.items():
            asked = amounts.get(name, 0.0)
            if asked is None:
                hint = PRICE_HINT if name == "dollars" else f"remove the limit budget.{name}"
                raise InputError(f"{name} are limited, and what the next step costs is unknown", hint)
            if asked > room or (name == WALL and room == 0.0):
                raise BudgetStop(
                    f"{room:g} {name} are left, the next step asks for {asked:g}",
                    f"allow more: --{name.replace('_', '-')}",
                )

    def _settle(self, key: str, actual: Mapping[str, float | None]) -> None:
        self._check_names(actual)
        with self._writing():
            query = "SELECT 1 FROM entries WHERE key = ? AND state != 'open'"
            if self._connection.execute(query, (key,)).fetchone():
                return
            query = "SELECT resource, reserved FROM entries WHERE key = ? AND life = ?"
            held = dict(self._connection.execute(query, (key, self._life)).fetchall())
            for name in held.keys() | actual.keys() - {WALL}:
                spent = actual.get(name, held.get(name))
                state = "unknown" if spent is None else "settled"
                self._write(key, name, (held.get(name), spent, state))

    def _release(self, key: str) -> None:
        with self._writing():
            self._connection.execute(
                "DELETE FROM entries WHERE key = ? AND life = ? AND state = 'open'", (key, self._life)
            )

    def _write(self, key: str, name: str, row: tuple[float | None, float | None, str]) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)", (key, self._life, name, *row)
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the ledger alone; write down how long this process has lived, too."""
        with self._lock, store_errors(self.path):
            if not self._life:
                # Outside of the transaction: the life stays when the claim is refused.
                row = self._connection.execute("INSERT INTO lives (seconds) VALUES (0)")
                self._life = row.lastrowid or 0
            with transaction(self._connection):
                seconds = self._clock() - self._started
                self._connection.execute(
                    "UPDATE lives SET seconds = ? WHERE life = ?", (seconds, self._life)
                )
                yield

    def _wall(self) -> float:
        query = "SELECT coalesce(sum(seconds), 0) FROM lives WHERE life != ?"
        before = float(self._connection.execute(query, (self._life,)).fetchone()[0])
        return before + (self._clock() - self._started if self._life else 0.0)

    def _sums(self, where: str, values: tuple[int, ...] = ()) -> dict[str, float]:
        rows = self._connection.execute(_COUNTED.format(where), values).fetchall()
        return {name: float(amount) for name, amount in rows}

    def _left(self) -> dict[str, float]:
        taken = {**self._sums(""), WALL: self._wall()}
        return {
            name: max(0.0, limit - taken.get(name, 0.0)) for name, limit in self.budget.limits().items()
        }

    def spent(self) -> dict[str, float]:
        """Return what was spent per resource.

        Counted are settled amounts, and the reserved amount where the true one is unknown or its
        process died. Reservations that this process still holds are not.
        """
        with self._lock, store_errors(self.path):
            sums = self._sums("WHERE state != 'open' OR life != ?", (self._life,))
            return {**dict.fromkeys(RESOURCES, 0.0), **sums, WALL: self._wall()}

    def assumed(self) -> dict[str, float]:
        """Return the part of ``spent`` that dead processes had reserved and not settled."""
        with self._lock, store_errors(self.path):
            return self._sums("WHERE state = 'open' AND life != ?", (self._life,))

    def unknown(self) -> dict[str, int]:
        """Return how many settlements did not know what they cost, per resource."""
        query = (
            "SELECT resource, count(*) FROM entries WHERE state = 'unknown'"
            " OR (state = 'open' AND life != ? AND reserved IS NULL) GROUP BY resource"
        )
        with self._lock, store_errors(self.path):
            rows = self._connection.execute(query, (self._life,)).fetchall()
            return {name: int(count) for name, count in rows}

    def left(self) -> dict[str, float]:
        """Return what may still be reserved of each limited resource, never below 0."""
        with self._lock, store_errors(self.path):
            return self._left()

    def deadline(self) -> Callable[[], bool]:
        """Return what says, at no cost, whether the wall seconds are used up; never without a limit."""
        left = self.left().get(WALL)
        if left is None:
            return lambda: False
        until = self._clock() + left
        return lambda: self._clock() >= until

    def check_time(self) -> None:
        """Stop work that takes longer than the run may.

        Raises:
            BudgetStop: If the wall seconds are used up.
        """
        if self.deadline()():
            raise BudgetStop(
                f"the {self.budget.wall_seconds:g} wall_seconds are used up",
                "allow more: --wall-seconds",
            )

    def close(self) -> None:
        """Write down the wall time and give the file back. May be called twice."""
        with self._lock:
            if self._closed:
                return
            if self._life:
                with self._writing():
                    pass
            self._closed = True
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
