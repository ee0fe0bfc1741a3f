"""What is remembered of batches, on disk: which work was handed in, and where.

Owns a folder of small files, one per batch. A slip is written before anything is sent, with a marker
that the batch carries at the server; so a process that dies at any moment leaves enough to find its
batch again, and nobody hands the same work in twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from preceptor.core.errors import StoreError
from preceptor.core.files import store_error, write_whole
from preceptor.core.record import Record


class Slip(Record):
    """One batch.

    Attributes:
        key: The content hash of the work.
        marker: What the batch carries in its metadata; another one each time work is handed in.
        host: The server.
        requests: How many.
        since: When the slip was written, in seconds since 1970.
        file: The id of the uploaded file, once there is one.
        batch: The batch's id, once it is known.
        status: As the server told it last.
        closed: Whether its results have been taken, or will never come.
    """

    key: str
    marker: str
    host: str
    requests: int
    since: float
    file: str = ""
    batch: str = ""
    status: str = ""
    closed: bool = False


class Slips:
    """The slips of one run.

    Args:
        folder: Where they lie; made with the first one.
        clock: Seconds since 1970.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def take(self, key: str, host: str, requests: int) -> Slip:
        """Return the open slip of some work, a new one if there is none.

        Raises:
            StoreError: If it cannot be read or written.
        """
        for slip in self.all():
            if slip.key == key and not slip.closed:
                return slip
        slip = Slip(key=key, marker=uuid.uuid4().hex, host=host, requests=requests, since=self._clock())
        self.put(slip)
        return slip

    def put(self, slip: Slip) -> Slip:
        """Keep a slip, in place of what it said before; return it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise store_error("write", self._folder, cause) from cause
        write_whole(self._folder / f"{slip.marker}.json", slip.to_json().encode())
        return slip

    def all(self) -> list[Slip]:
        """Return every slip, oldest first.

        Raises:
            StoreError: If one is damaged.
        """
        found = []
        for path in self._folder.glob("*.json"):
            try:
                found.append(Slip.from_json(path.read_text("utf-8")))
            except (ValidationError, ValueError, OSError) as cause:
                raise StoreError(
                    f"{str(path)!r} cannot be read",
                    "look at the batches on the server's own page before you remove it",
                ) from cause
        return sorted(found, key=lambda slip: (slip.since, slip.marker))

    def age(self, slip: Slip) -> float:
        """Return the seconds since a slip was written."""
        return max(0.0, self._clock() - slip.since)
