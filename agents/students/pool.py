"""Bounded concurrency for students behind a server: calls in, replies out as they come.

Owns the threads, cancellation, and the judgement that a server is gone; leaves one call to ``ask``, the
order of the calls to ``lanes``, and what counts as a server that answers nothing to ``wave``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

from preceptor.agents.students.lanes import Lanes
from preceptor.agents.students.retry import Backoff, Passing, Refused, persist
from preceptor.agents.students.transport import HangUp
from preceptor.agents.students.wave import Wave
from preceptor.core.errors import StudentError
from preceptor.core.ports import Cancel
from preceptor.core.records import Call, Reply

GRACE = 2.0
"""Seconds that a cancelled batch waits for answers under way, which may have cost something."""

GONE_AFTER = 3
"""This many calls in a row that reached nobody, retries included, mean that the server is gone."""

_POLL = 0.05

_HANG_UP = 1.0
"""Seconds in which requests end that nobody waits for any more."""


class Outcome(NamedTuple):
    """A reply, whether anybody was reached, and whether no answer came in time."""

    reply: Reply
    reached: bool = True
    slow: bool = False


class Pool:
    """Asks with up to ``parallel`` threads.

    Args:
        ask: Answers one call; raises ``Passing``, ``Refused``, or ``StudentError`` for all.
        parallel: The most calls under way.
        backoff: How one call is tried again.
        gone: The error to raise when the server is gone.
        hang_up: Ends the requests of threads, so that the server stops working on them.
        slots: Says how many slots the server has, 0 if nobody knows. More calls than those are not
            sent at once: in the server's queue they would mix the notes of its slots.
    """

    def __init__(
        self,
        ask: Callable[[Call], Reply],
        parallel: int,
        backoff: Backoff,
        gone: StudentError,
        hang_up: HangUp = lambda threads: None,
        slots: Callable[[], int] = lambda: 0,
    ) -> None:
        self._ask = ask
        self._parallel = max(1, parallel)
        self._backoff = backoff
        self._gone = gone
        self._hang_up = hang_up
        self._slots = slots

    def run(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Yield one Reply per Call, as they come.

        Raises:
            StudentError: If the server is gone or answers nothing, or ``ask`` says that it cannot.
        """
        if not calls or (cancel is not None and cancel()):
            return
        slots = self._slots()
        parallel = min(self._parallel, len(calls), slots or self._parallel)
        work = _Work(Lanes(calls, parallel if slots else 1), self._one, 4 * parallel)
        threads = [
            threading.Thread(target=work.labour, args=(i,), daemon=True, name=f"student-{i}")
            for i in range(parallel)
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._collect(work, (calls, parallel), cancel)
        finally:
            work.stop.set()
            self._abandon(threads)

    def _abandon(self, threads: Sequence[threading.Thread]) -> None:
        """Hang up what is still under way; again, where a request was only about to be sent."""
        until = time.monotonic() + _HANG_UP
        while alive := [t.ident or 0 for t in threads if t.is_alive()]:
            self._hang_up(alive)
            if time.monotonic() > until:
                return
            time.sleep(0.001)

    def _collect(
        self, work: _Work, asked: tuple[Sequence[Call], int], cancel: Cancel | None
    ) -> Iterator[Reply]:
        calls, parallel = asked
        count = len(calls)
        wave = Wave(parallel, len({c.example_id for c in calls}))
        unreached = 0
        until = float("inf")
        got = 0
        while got < count and not (work.stop.is_set() and work.idle()):
            if cancel is not None and not work.stop.is_set() and cancel():
                work.stop.set()
                until = time.monotonic() + GRACE
            try:
                reply, reached, slow = work.next_reply(_POLL)
            except Empty:
                if time.monotonic() > until:
                    return
                continue
            got += 1
            unreached = 0 if reached else unreached + 1
            if unreached >= min(GONE_AFTER, count) and not work.stop.is_set():
                raise self._gone
            lost = wave.hear(reply, slow) if not work.stop.is_set() else None
            if lost is not None:
                raise lost
            yield reply

    def _one(self, call: Call, stop: threading.Event) -> Outcome | None:
        began = time.monotonic()
        try:
            return Outcome(persist(lambda: self._ask(call), self._backoff, stop))
        except Passing as trouble:
            # A call given up because of a cancellation was not answered, rather than failed.
            lost = _lost(call, "failed", trouble.why, began)
            return None if stop.is_set() else Outcome(lost, not trouble.unreachable, trouble.slow)
        except Refused as refusal:
            status: Literal["truncated", "failed"] = "truncated" if refusal.truncated else "failed"
            return Outcome(_lost(call, status, refusal.why, began))


def _lost(call: Call, status: Literal["truncated", "failed"], why: str, began: float) -> Reply:
    return Reply(call.key, "", status, error=why, seconds=time.monotonic() - began)


class _Work:
    """The calls that are left, and the outcomes that nobody has collected yet."""

    def __init__(
        self,
        calls: Lanes,
        one: Callable[[Call, threading.Event], Outcome | None],
        ahead: int,
    ) -> None:
        self.stop = threading.Event()
        self._calls = calls
        self._one = one
        self._lock = threading.Lock()
        self._under_way = 0
        # Without it, threads would run through all calls while nobody collects.
        self._room = threading.Semaphore(ahead)
        self._done: SimpleQueue[Outcome | BaseException] = SimpleQueue()

    def labour(self, worker: int) -> None:
        """Take calls until there are none left or somebody says stop."""
        while (call := self._take(worker)) is not None:
            try:
                outcome: Outcome | BaseException | None = self._one(call, self.stop)
            except BaseException as error:
                # A thread must not swallow what went wrong: the consumer raises it.
                outcome = error
            if outcome is not None:
                self._done.put(outcome)
            with self._lock:
                self._under_way -= 1

    def _take(self, worker: int) -> Call | None:
        while not self._room.acquire(timeout=2 * _POLL):
            if self.stop.is_set():
                return None
        with self._lock:
            call = None if self.stop.is_set() else self._calls.take(worker)
            self._under_way += call is not None
        return call

    def idle(self) -> bool:
        """Return whether nothing is under way and nothing waits to be collected."""
        with self._lock:
            return self._under_way == 0 and self._done.empty()

    def next_reply(self, timeout: float) -> Outcome:
        """Return the next outcome; raises ``Empty`` after ``timeout`` seconds without one."""
        outcome = self._done.get(timeout=timeout)
        self._room.release()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome
