"""A round's transcript cut to the room that a teacher's context leaves for it.

Owns which parts are shortened: the newest messages stay whole as long as they can, older ones keep
their beginnings. No message is left out, since every tool call needs its result.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

LEAST = 200
"""Characters that every message keeps."""

MARK = " … (cut)"


def latest(transcript: Sequence[dict[str, JsonValue]]) -> list[dict[str, JsonValue]]:
    """Return the last turn with what was answered to it; earlier turns are left out."""
    turns = [at for at, message in enumerate(transcript) if message.get("type") == "ai"]
    return list(transcript[turns[-1] :] if turns else transcript)


def fit(transcript: Sequence[dict[str, JsonValue]], most_chars: int) -> list[dict[str, JsonValue]]:
    """Return the messages, as LangChain serialises them, cut to about ``most_chars`` characters.

    Arguments of tool calls count, and stay as they are: a cut call would be another call.
    """
    fitted: list[dict[str, JsonValue]] = []
    room = most_chars
    for message in reversed(transcript):
        data = message.get("data")
        content = data.get("content") if isinstance(data, dict) else None
        if isinstance(data, dict) and isinstance(content, str):
            limit = max(LEAST, room // 2)
            if len(content) > limit:
                content = content[: limit - len(MARK)] + MARK
                data = {**data, "content": content}
                message = {**message, "data": data}
            room = max(0, room - len(content))
        fitted.append(message)
    return fitted[::-1]
