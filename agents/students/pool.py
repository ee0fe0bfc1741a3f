"""Bounded concurrency for students behind a server: calls in, replies out as they come.

Owns the threads, cancellation, and the judgement that a server is gone; leaves one call to ``ask``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Literal

from preceptor.agents.students.retry import Backoff, Passing, Refused, persist
from preceptor.core.errors import StudentError
from preceptor.core.ports import Cancel
from preceptor.core.records import Call, Reply

GRACE = 2.0
"""Seconds that a cancelled batch waits for answers under way, which may have cost something."""

GONE_AFTER = 3
"""This many calls in a row that reached nobody, retries included, mean that the server is gone."""

_POLL = 0.05


class Pool:
    """Asks with up to ``parallel`` threads.

    Args:
        ask: Answers one call; raises ``Passing``, ``Refused``, or ``StudentError`` for all.
        parallel: The most calls under way.
        backoff: How one call is tried again.
        gone: The error to raise when the server is gone.
    """

    def __init__(
        self, ask: Callable[[Call], Reply], parallel: int, backoff: Backoff, gone: StudentError
    ) -> None:
        self._ask = ask
        self._parallel = max(1, parallel)
        self._backoff = backoff
        self._gone = gone

    def run(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Yield one Reply per Call, as they come.

        Raises:
            StudentError: If the server is gone, or ``ask`` says that nothing can be answered.
        """
        if not calls or (cancel is not None and cancel()):
            return
        work = _Work(calls, self._one, 4 * self._parallel)
        threads = [
            threading.Thread(target=work.labour, daemon=True, name=f"student-{i}")
            for i in range(min(self._parallel, len(calls)))
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._collect(work, len(calls), cancel)
        finally:
            work.stop.set()

    def _collect(self, work: _Work, count: int, cancel: Cancel | None) -> Iterator[Reply]:
        unreached = 0
        until = float("inf")
        got = 0
        while got < count and not (work.stop.is_set() and work.idle()):
            if cancel is not None and not work.stop.is_set() and cancel():
                work.stop.set()
                until = time.monotonic() + GRACE
            try:
                reply, reached = work.next_reply(_POLL)
            except Empty:
                if time.monotonic() > until:
                    return
                continue
            got += 1
            unreached = 0 if reached else unreached + 1
            if unreached >= min(GONE_AFTER, count) and not work.stop.is_set():
                raise self._gone
            yield reply

    def _one(self, call: Call, stop: threading.Event) -> Outcome | None:
        began = time.monotonic()
        try:
            return persist(lambda: self._ask(call), self._backoff, stop), True
        except Passing as trouble:
            # A call given up because of a cancellation was not answered, rather than failed.
            lost = _lost(call, "failed", trouble.why, began)
            return None if stop.is_set() else (lost, not trouble.unreachable)
        except Refused as refusal:
            return _lost(call, "truncated" if refusal.truncated else "failed", refusal.why, began), True


Outcome = tuple[Reply, bool]
"""A reply, and whether anybody was reached."""


def _lost(call: Call, status: Literal["truncated", "failed"], why: str, began: float) -> Reply:
    return Reply(call.key, "", status, error=why, seconds=time.monotonic() - began)


class _Work:
    """The calls that are left, and the outcomes that nobody has collected yet."""

    def __init__(
        self,
        calls: Sequence[Call],
        one: Callable[[Call, threading.Event], Outcome | None],
        ahead: int,
    ) -> None:
        self.stop = threading.Event()
        self._calls = iter(calls)
        self._one = one
        self._lock = threading.Lock()
        self._under_way = 0
        # Without it, threads would run through all calls while nobody collects.
        self._room = threading.Semaphore(ahead)
        self._done: SimpleQueue[Outcome | BaseException] = SimpleQueue()

    def labour(self) -> None:
        """Take calls until there are none left or somebody says stop."""
        while (call := self._take()) is not None:
            try:
                outcome: Outcome | BaseException | None = self._one(call, self.stop)
            except BaseException as error:
                # A thread must not swallow what went wrong: the consumer raises it.
                outcome = error
            if outcome is not None:
                self._done.put(outcome)
            with self._lock:
                self._under_way -= 1

    def _take(self) -> Call | None:
        while not self._room.acquire(timeout=2 * _POLL):
            if self.stop.is_set():
                return None
        with self._lock:
            call = None if self.stop.is_set() else next(self._calls, None)
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
