"""What a tool expects of a call of its own: owns that one value."""

from __future__ import annotations

from pydantic import JsonValue

from preceptor.core.record import Record


class Prospect(Record):
    """A call of a tool that counts on train speak for, before anything is spent on it.

    Attributes:
        tool: Which tool.
        args: With which arguments.
        gain: What it should bring on train, in points of [0, 1] of the run's metric.
        tokens: What it adds to the prompts of one note, in tokens.
        why: One line: what was counted.
        repairs: How many wrong answers the counts would set right; None if it was not counted.
    """

    tool: str
    args: dict[str, JsonValue]
    gain: float
    tokens: int = 0
    why: str = ""
    repairs: int | None = None
