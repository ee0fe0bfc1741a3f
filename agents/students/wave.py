"""The judgement that a server answers nothing: the same failure, one call after the other.

Owns how many are enough, and the words. One bad note must not look like a bad server, so that failures
about several notes are asked for. A server that hangs takes its time for each, so that fewer do.
"""

from __future__ import annotations

from preceptor.core.errors import StudentError
from preceptor.core.records import Reply

FEWEST, NOTES = 8, 4
"""The fewest failed calls, and notes that they are about."""

FEWEST_SLOW, NOTES_SLOW = 3, 2
"""The same of calls that got no answer in time."""

SLOW_HINT = (
    "the server is slow or hangs: look at its load and memory, allow more time "
    "(timeouts.student), or lower concurrency; then go on, nothing that was answered is lost"
)
HINT = "look at the server's log and memory, then go on: nothing that was answered is lost"


class Wave:
    """Hears every reply in the order in which they come.

    Args:
        parallel: How many calls are under way at once: no fewer failures count.
        notes: How many notes are asked about.
    """

    def __init__(self, parallel: int, notes: int) -> None:
        self._parallel = parallel
        self._all = notes
        self._why = ""
        self._failed = 0
        self._notes: set[str] = set()

    def hear(self, reply: Reply, slow: bool) -> StudentError | None:
        """Return the error to raise if this reply makes it enough.

        Args:
            reply: What came.
            slow: Whether it failed because no answer came in time.
        """
        if reply.status != "failed":
            self._why = ""
            return None
        if reply.error != self._why:
            self._why, self._failed, self._notes = reply.error, 0, set()
        self._failed += 1
        self._notes.add(reply.key[0])
        fewest, notes = (FEWEST_SLOW, NOTES_SLOW) if slow else (FEWEST, NOTES)
        if self._failed < max(fewest, self._parallel) or len(self._notes) < min(notes, self._all):
            return None
        return StudentError(
            f"{self._failed} calls in a row failed in the same way: {self._why}",
            SLOW_HINT if slow else HINT,
        )
