"""Messages to and from a chat model, past the gate.

Owns which parts of a message hold text: what is said, and the arguments of tool calls. On the way out
everything that else stands in an earlier answer (the provider's raw copy of it) is left out, because
nobody has looked at it; on the way back pseudonyms become what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from pydantic import JsonValue

from preceptor.core.egress import Door

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage


def mapped(value: JsonValue, change: Callable[[str], str]) -> JsonValue:
    """Return a JSON value with every text in it changed; keys stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [mapped(inner, change) for inner in value]
    if isinstance(value, dict):
        return {key: mapped(inner, change) for key, inner in value.items()}
    return value


def outgoing(messages: Sequence[BaseMessage], door: Door) -> list[BaseMessage]:
    """Return the messages of one request as they may be sent; they are one line of the log.

    Raises:
        InputError: If the policy lets nothing out.
    """
    texts: list[str] = []
    for message in messages:
        _changed(message, lambda text: texts.append(text) or text)  # type: ignore[func-returns-value]
    sent: Iterator[str] = iter(door.send(texts))
    if not door.changes:
        return list(messages)
    return [_changed(message, lambda _: next(sent)) for message in messages]


def incoming(message: AIMessage, door: Door) -> AIMessage:
    """Return an answer with what its pseudonyms stand for."""
    if not door.changes:
        return message
    from langchain_core.messages import AIMessage

    changed = _changed(message, door.back)
    assert isinstance(changed, AIMessage)
    changed.usage_metadata = message.usage_metadata
    changed.response_metadata = message.response_metadata
    return changed


def _changed(message: BaseMessage, change: Callable[[str], str]) -> BaseMessage:
    """Return a message with its texts changed, each exactly once and in the same order."""
    from langchain_core.messages import AIMessage

    content = mapped(cast("JsonValue", message.content), change)
    if not isinstance(message, AIMessage):
        return message.model_copy(update={"content": content})
    calls = [{**c, "args": mapped(c["args"], change)} for c in message.tool_calls]
    broken = [
        {**c, "args": change(str(c.get("args") or "")), "error": None}
        for c in message.invalid_tool_calls
    ]
    return AIMessage(
        content=cast("str", content),
        tool_calls=cast("list", calls),  # type: ignore[type-arg]
        invalid_tool_calls=cast("list", broken),  # type: ignore[type-arg]
        id=message.id,
    )
