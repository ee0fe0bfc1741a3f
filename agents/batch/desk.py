"""One batch from beginning to end: hand in, wait, fetch; at any moment to be taken up again.

Owns the order of the steps and what is written down between them. After ``kill -9`` the same work
finds its slip: a batch that was created is waited for, one that may have been created is looked for
at the server first, and a file that was uploaded is used. Nothing is handed in twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from preceptor.agents.batch import lines
from preceptor.agents.batch.lines import Outcome
from preceptor.agents.batch.service import OVER, Seen, Service
from preceptor.agents.batch.slips import Slip, Slips
from preceptor.agents.students.retry import Passing, Stop
from preceptor.core.errors import Interrupted, StudentError

LOST_AFTER = 20
"""So many looks in a row without an answer, retries and pauses included, and the server is gone."""

CANCELLING = 1200.0
"""Seconds that a batch gets to stop after it was told to; OpenAI says up to ten minutes."""


@dataclass(frozen=True)
class Patience:
    """How a batch is waited for.

    Attributes:
        hours: The longest, from the first hand-in on, over all processes.
        first: Seconds before the second look.
        growth: How much longer each further pause is.
        longest: The longest pause.
    """

    hours: float = 26.0
    first: float = 5.0
    growth: float = 1.5
    longest: float = 60.0


@dataclass
class Desk:
    """Hands batches in and fetches them.

    Attributes:
        service: The server.
        slips: What is written down.
        stop: Waits, and says when a person wants to stop.
        patience: How long.
        heard: Hears (requests answered, requests in all) while waiting.
    """

    service: Service
    slips: Slips
    stop: Stop
    patience: Patience = field(default_factory=Patience)
    heard: Callable[[int, int], None] = lambda done, total: None

    def hand_in(self, slip: Slip, content: Callable[[], bytes]) -> Slip:
        """Return the slip with a batch at the server.

        Args:
            slip: Of this work; see ``Slips.take``.
            content: Makes the input file; asked only if it has to be sent.

        Raises:
            StudentError: If the server cannot be used, or the file is too large for it.
        """
        try:
            if slip.batch:
                return slip
            if slip.status:  # An earlier process came at least as far as the upload.
                there = self.service.find(slip.marker, slip.since)
                if there is not None:
                    return self._note(slip, there)
            if not slip.file:
                slip = self._upload(slip, content)
            return self._note(slip, self.service.create(slip.file, slip.marker, slip.since))
        except Passing as trouble:
            raise self._gone(trouble) from trouble

    def _upload(self, slip: Slip, content: Callable[[], bytes]) -> Slip:
        name = f"preceptor-{slip.marker}.jsonl"
        known = self.service.file_named(name) if slip.status else ""
        if not known:
            data = content()
            if len(data) > lines.MOST_BYTES:
                raise StudentError(
                    f"a batch file of {len(data):,} bytes is too large", "ask about fewer notes"
                )
            slip = self.slips.put(slip.model_copy(update={"status": "uploading"}))
            known = self.service.upload(name, data)
        return self.slips.put(slip.model_copy(update={"file": known, "status": "uploaded"}))

    def _note(self, slip: Slip, seen: Seen) -> Slip:
        told = {"batch": seen.id, "status": seen.status, "file": slip.file or seen.input}
        return (
            slip
            if told.items() <= slip.model_dump().items()
            else self.slips.put(slip.model_copy(update=told))
        )

    def wait(self, slip: Slip) -> Seen:
        """Return a batch that is over.

        After the time limit it is told to stop, and what it has by then is kept.

        Raises:
            Interrupted: If a person wants to stop; the batch goes on at the server.
            StudentError: If the server cannot be used any more.
        """
        pause, told, missed = self.patience.first, False, 0
        limit = 3600 * self.patience.hours
        while True:
            try:
                seen = self.service.look(slip.batch)
                if not told and seen.status not in OVER and self.slips.age(slip) > limit:
                    told, limit = True, self.slips.age(slip) + CANCELLING
                    seen = self.service.cancel(slip.batch)
                missed = 0
            except Passing as trouble:
                missed += 1
                if missed >= LOST_AFTER:
                    raise self._gone(trouble) from trouble
            else:
                self.heard(seen.done, slip.requests)
                slip = self._note(slip, seen)
                if seen.status in OVER or (told and self.slips.age(slip) > limit):
                    return seen
            if self.stop.wait(pause):
                raise Interrupted(
                    f"batch {slip.batch} goes on at {slip.host!r}",
                    "resume waits for it again; to stop it: preceptor runs batches RUN --cancel",
                )
            pause = min(self.patience.longest, pause * self.patience.growth)

    def fetch(self, seen: Seen) -> dict[str, Outcome]:
        """Return the results of a batch, by custom id.

        Raises:
            StudentError: If they cannot be had.
        """
        try:
            files = [self.service.content(name) for name in (seen.output, seen.errors) if name]
        except Passing as trouble:
            raise self._gone(trouble) from trouble
        found: dict[str, Outcome] = {}
        for data in files:
            found = {**lines.read(data), **found}
        return found

    def close(self, slip: Slip, seen: Seen) -> None:
        """Say that the results are kept; the server's copies of requests and answers are deleted."""
        self.slips.put(slip.model_copy(update={"status": seen.status, "closed": True}))
        for name in (slip.file or seen.input, seen.output, seen.errors):
            if name:
                self.service.delete(name)

    def _gone(self, trouble: Passing) -> StudentError | Interrupted:
        if self.stop.wait(0):
            return Interrupted("stopped while a batch was handed in or fetched", "resume takes it up")
        return StudentError(f"{self.service.host!r}: {trouble.why}", "try again later: nothing is lost")
