"""The progress of a training, line by line: what the process writes and who started it reads.

Owns the events of a job's folder. They hold numbers and names only, never text of a note.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.files import JsonLines, parse_line
from preceptor.core.ports import Progress
from preceptor.tools.sft.job import EVENTS

EVERY = 0.5
"""Seconds between two events about steps."""


class Writer:
    """Writes the events of one process.

    Args:
        folder: The job's.
        mute: Write nothing: another process of the same job does.
    """

    def __init__(self, folder: Path, mute: bool = False) -> None:
        self._log = None if mute else JsonLines(folder / EVENTS)
        self._last = 0.0

    def say(self, what: str, **values: JsonValue) -> None:
        """Write an event."""
        if self._log is not None:
            self._log.append({"event": what, "time": round(time.time(), 3), **values})

    def step(self, **values: JsonValue) -> None:
        """Write an event about a step, unless the last one was a moment ago.

        Args:
            **values: ``step``, ``of``, ``loss``, ``decision_loss``, ``frame_loss``,
                ``tokens_per_second``, ``eta``, ``memory_mb``.
        """
        now = time.monotonic()
        if now - self._last >= EVERY or values.get("step") == values.get("of"):
            self._last = now
            self.say("step", **values)


class Reader:
    """Reads the events of a folder as they come, from where the file ends now."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS
        self._at = self._path.stat().st_size if self._path.exists() else 0
        self._rest = b""

    def new(self) -> Iterator[dict[str, JsonValue]]:
        """Yield the events since the last time."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = self._rest + file.read()
            self._at = file.tell()
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            event = parse_line(line)
            if event is not None:
                yield event


def progress(event: dict[str, JsonValue]) -> Progress | None:
    """Return how far an event says that training is, None if it does not."""
    step, of = event.get("step"), event.get("of")
    if event.get("event") != "step" or not isinstance(step, int) or not isinstance(of, int):
        return None
    return Progress(step, of, "steps")
