"""Why a kind of move is not made any more: owns that one value, and reading it back."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue, ValidationError

from preceptor.core.record import Record


class Blocked(Record):
    """What stands in the way of one kind of move.

    Attributes:
        move: The tool's name.
        reason: One line, without the words of a note.
    """

    move: str
    reason: str


def read(value: JsonValue) -> tuple[Blocked, ...]:
    """Return what a list of such values says; nothing if it is no such list."""
    if not isinstance(value, list):
        return ()
    try:
        return tuple(Blocked.model_validate(one) for one in value)
    except ValidationError:
        return ()


def dump(found: Sequence[Blocked]) -> list[JsonValue]:
    """Return them as JSON."""
    return [one.model_dump(mode="json") for one in found]


def line(found: Sequence[Blocked]) -> str:
    """Return all of them on one line."""
    return "; ".join(f"{one.move}: {one.reason}" for one in found)
