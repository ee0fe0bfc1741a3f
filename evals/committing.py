"""Committing answers as they come: whatever ends the process, little of what was asked is lost.

Owns when answers are written: a batch every few seconds, also while nothing more comes. One transaction
per answer would cost more than a fast student's answers; one per chunk cost an evening on a slow one.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from preceptor.core.cache import AnswerCache
from preceptor.core.errors import StoreError
from preceptor.core.records import Answer

EVERY = 2.0
"""Seconds that an answer waits for others before it is committed."""


class Committer:
    """Takes whole answers of one student; a context manager that commits the rest in the end.

    Args:
        cache: Where they are kept.
        key: The student's key there.
        every: Seconds between two commits.
    """

    def __init__(self, cache: AnswerCache, key: str, every: float = EVERY) -> None:
        self._cache, self._key, self._every = cache, key, every
        self._lock = threading.Lock()
        self._waiting: dict[str, Answer] = {}
        self._timer: threading.Timer | None = None
        self._error: StoreError | None = None

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer; ``failed`` ones are left out.

        Raises:
            StoreError: If those before could not be written.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            if answer.status == "failed":
                return
            self._waiting[key] = answer
            if self._timer is None:
                self._timer = threading.Timer(self._every, self._in_time)
                self._timer.daemon = True
                self._timer.start()

    def commit(self) -> None:
        """Write what waits.

        Raises:
            StoreError: If the disk is full or read-only.
        """
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._waiting:
                self._cache.put_many(self._key, self._waiting)
                self._waiting = {}

    def _in_time(self) -> None:
        try:
            self.commit()
        except StoreError as error:
            # The thread that asks raises it, with the next answer or in the end.
            self._error = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.commit()
