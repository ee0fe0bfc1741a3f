"""LangChain's messages of a round: what of them a server reads, and what an answer amounts to.

Owns these judgements; sending them is ``agents.chat``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from preceptor.core.record import canonical

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

COMPLETE = ("stop", "end_turn", "length", "max_tokens")
"""The finish reasons with which saying nothing is an answer, if a useless one."""


def length(transcript: Sequence[dict[str, JsonValue]]) -> int:
    """Return the characters of a transcript that a server reads: what is said, and arguments."""
    size = 0
    for message in transcript:
        data = message.get("data")
        if isinstance(data, dict):
            calls = data.get("tool_calls")
            size += len(str(data.get("content") or "")) + (len(canonical(calls)) if calls else 0)
    return size


def readable(message: BaseMessage) -> BaseMessage:
    """Return a message that every server can read back: broken tool calls become words."""
    from langchain_core.messages import AIMessage

    if not isinstance(message, AIMessage) or not message.invalid_tool_calls:
        return message
    broken = ", ".join(str(call.get("name")) for call in message.invalid_tool_calls)
    said = f"{message.text}\n(a call of {broken} whose arguments were no JSON object)".strip()
    return AIMessage(content=said, tool_calls=message.tool_calls)


def silent(message: BaseMessage) -> bool:
    """Return whether nothing came, and the server does not say that this is the whole answer."""
    from langchain_core.messages import AIMessage

    if not isinstance(message, AIMessage) or message.tool_calls or message.invalid_tool_calls:
        return False
    about = message.response_metadata
    ends = (about.get(name) for name in ("finish_reason", "stop_reason", "done_reason"))
    end = next((str(e).lower() for e in ends if e), "")
    return not str(message.text).strip() and end not in COMPLETE


def unreadable() -> AIMessage:
    """Return what stands for an answer that LangChain could not take apart."""
    from langchain_core.messages import AIMessage
    from langchain_core.messages.tool import invalid_tool_call

    call = invalid_tool_call(name="a tool", args="", id="unreadable", error="no JSON object")
    return AIMessage(content="", invalid_tool_calls=[call])
