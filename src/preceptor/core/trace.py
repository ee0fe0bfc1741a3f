"""What happened in a run, in order: the append-only ``trace.jsonl``.

Owns the line's schema, its version, and that an event is written once. Leaves the kinds of event and
what they carry to ``graphs``; leaves durability to ``core.files``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue, ValidationError

from preceptor.core.errors import StoreError
from preceptor.core.files import JsonLines
from preceptor.core.record import Record

SCHEMA_VERSION = 1
"""Rises when a line's own entries change; new kinds of event do not raise it."""

_VOLATILE = ("seconds", "duration")


class Event(Record):
    """One line of the trace.

    Attributes:
        v: The schema version of the line.
        seq: Its place, from 1, without gaps.
        time: When, in UTC, ISO 8601 with milliseconds.
        attempt: The how-manieth process on this run wrote it, from 1.
        kind: What happened.
        key: Names this event among all of the run; a second one of the same key is not written.
        data: What is to be said about it: hashes, ids and numbers, no note.
    """

    v: int
    seq: int
    time: str
    attempt: int
    kind: str
    key: str
    data: dict[str, JsonValue]


def _event(value: Mapping[str, JsonValue], where: str) -> Event:
    version = value.get("v")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"{where}: trace version {version}, this program reads up to {SCHEMA_VERSION}",
            "use the newer preceptor that wrote this run",
        )
    try:
        return Event.model_validate(value)
    except ValidationError as cause:
        raise StoreError(f"{where}: not an event of a trace", "the file was changed by hand") from cause


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a trace, in order; a torn line is left out, no file is no events.

    Raises:
        StoreError: If a line is of a newer version, or is no event.
    """
    for number, value in JsonLines(path).read():
        yield _event(value, f"{path} line {number}")


class Trace:
    """The trace of one run. Opening it writes nothing.

    ``attempt`` counts the processes that have written to this run: one more than the highest number in
    the file when this object first appends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = JsonLines(path)
        self._keys: set[str] = set()
        self._seq = 0
        self._last_attempt = 0
        self._attempt: int | None = None

    def append(self, kind: str, data: Mapping[str, JsonValue], key: str) -> None:
        """Write one event and wait until it is on the disk; nothing if ``key`` is already there.

        Raises:
            StoreError: If the disk is full or the file is of a newer version; the file is then as it
                was.
        """
        with self._log.writing() as writer:
            for value in writer.unseen():
                self._learn(_event(value, str(self.path)))
            if key in self._keys:
                return
            if self._attempt is None:
                self._attempt = self._last_attempt + 1
            event = Event(
                v=SCHEMA_VERSION,
                seq=self._seq + 1,
                time=datetime.now(UTC).isoformat(timespec="milliseconds"),
                attempt=self._attempt,
                kind=kind,
                key=key,
                data=dict(data),
            )
            writer.append(event.model_dump())
            self._learn(event)

    def _learn(self, event: Event) -> None:
        self._keys.add(event.key)
        self._seq = max(self._seq, event.seq)
        self._last_attempt = max(self._last_attempt, event.attempt)

    def __iter__(self) -> Iterator[Event]:
        return read(self.path)


def _stable(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {
            name: _stable(inner)
            for name, inner in value.items()
            if name not in _VOLATILE and not name.endswith(tuple("_" + v for v in _VOLATILE))
        }
    return [_stable(inner) for inner in value] if isinstance(value, list) else value


def committed(events: Iterable[Event]) -> list[dict[str, JsonValue]]:
    """Return what two runs of the same work must agree on.

    Left out are attempt, time, and every entry named ``seconds`` or ``duration`` (or ending in
    ``_seconds``, ``_duration``), however deep in the data.
    """
    return [{"seq": e.seq, "kind": e.kind, "key": e.key, "data": _stable(e.data)} for e in events]
