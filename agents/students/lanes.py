"""In which order a server is asked, so that it reads as little as possible twice.

Owns which call a thread takes next. Calls about one note begin with it, and a server keeps what each of
its slots has read last. So there are as many lanes as the server has slots, and a lane works through
one note at a time. A server of which nobody knows is asked note by note, which suits one slot and a
cache that all share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby

from preceptor.core.records import Call


class Lanes:
    """The calls that nobody has taken yet; not safe for several threads by itself.

    Args:
        calls: What is asked, the calls about a note in a row.
        width: How many notes are worked on at once.
    """

    def __init__(self, calls: Sequence[Call], width: int) -> None:
        self._notes = deque(deque(found) for _, found in groupby(calls, lambda c: c.example_id))
        self._lanes: list[deque[Call]] = [deque() for _ in range(max(1, width))]

    def take(self, worker: int) -> Call | None:
        """Return the next call for a thread, None if there is none left.

        Nobody is idle while there is work: once no note is left, the longest lane is shared.
        """
        lane = worker % len(self._lanes)
        if not self._lanes[lane] and self._notes:
            self._lanes[lane] = self._notes.popleft()
        found = self._lanes[lane] or max(self._lanes, key=len)
        return found.popleft() if found else None
