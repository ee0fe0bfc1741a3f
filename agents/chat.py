"""The chat teacher: any LangChain chat model with bound tools.

Owns one turn with a foreign model: the messages, the retries, and what its answer becomes. Leaves the
words of the brief to ``agents.brief`` and the reading of a model's name to ``agents.teacher``. Only
what can pass is tried again (no connection, too slow, 429, 5xx); an answer that makes no sense is
returned as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from pydantic import JsonValue

from preceptor.agents import brief
from preceptor.core.errors import TeacherError, boundary
from preceptor.core.ports import Evidence, ToolSpec
from preceptor.core.record import canonical
from preceptor.core.records import Situation, TeacherTurn, ToolCall, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

    from preceptor.agents.teacher import TeacherOptions

Screen = Callable[[str], str]
"""What every text that is sent goes through: a redactor, or nothing."""

PAUSES = (0.5, 2.0, 8.0)
"""Seconds to wait before the first, second and every further retry; Retry-After wins."""

LONGEST_PAUSE = 60.0

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP codes that may pass."""

_PASSING_NAMES = ("Timeout", "Connect", "Connection", "RateLimit", "ServiceUnavailable")


def as_turn(message: AIMessage) -> TeacherTurn:
    """Return an ``AIMessage`` as a turn, serialised as LangChain does; unknown usage stays None."""
    from langchain_core.messages import messages_to_dict

    calls = tuple(
        ToolCall(id=call["id"] or f"call-{i}", name=call["name"], args=call["args"])
        for i, call in enumerate(message.tool_calls)
    )
    broken = tuple(
        canonical([call.get("name"), call.get("args")]) for call in message.invalid_tool_calls
    )
    usage = message.usage_metadata
    return TeacherTurn(
        message=cast("dict[str, JsonValue]", messages_to_dict([message])[0]),
        text=str(message.text),
        calls=calls,
        broken=broken,
        usage=Usage(input_tokens=usage["input_tokens"], output_tokens=usage["output_tokens"])
        if usage
        else None,
    )


def bound(tool: ToolSpec) -> dict[str, JsonValue]:
    """Return a tool as the OpenAI protocol writes it."""
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.schema,
    }
    return {"type": "function", "function": function}


class ChatTeacher:
    """Teaches by asking a chat model.

    Args:
        name: What to call it.
        model: The model, its own retries switched off.
        options: Time limit, retries, length of the brief.
        sleep: How to wait between retries.
    """

    def __init__(
        self,
        name: str,
        model: BaseChatModel,
        options: TeacherOptions,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._model = model
        self._options = options
        self._sleep = sleep

    def turn(
        self,
        situation: Situation,
        evidence: Evidence,
        transcript: Sequence[dict[str, JsonValue]],
        tools: Sequence[ToolSpec],
    ) -> TeacherTurn:
        """Ask for the next move.

        Raises:
            TeacherError: If no answer can be had: refused, not found, or still down after retries.
        """
        from langchain_core.messages import AIMessage

        said = self._ask(self._messages(situation, evidence, transcript, tools), tools)
        if not isinstance(said, AIMessage):
            raise TeacherError(f"teacher {self.name!r} answered with {type(said).__name__}")
        return as_turn(said)

    def _messages(
        self,
        situation: Situation,
        evidence: Evidence,
        transcript: Sequence[dict[str, JsonValue]],
        tools: Sequence[ToolSpec],
    ) -> list[BaseMessage]:
        from langchain_core.messages import HumanMessage, SystemMessage, messages_from_dict

        system, user = brief.brief(situation, evidence, tools, self._options.brief_tokens)
        earlier = messages_from_dict([dict(m) for m in transcript])
        screen = self._options.screen or (lambda text: text)
        for message in earlier:
            if message.type in ("tool", "human") and isinstance(message.content, str):
                message.content = screen(message.content)
        return [SystemMessage(screen(system)), HumanMessage(screen(user)), *earlier]

    def _ask(self, messages: list[BaseMessage], tools: Sequence[ToolSpec]) -> BaseMessage:
        model = self._bind(tools)
        attempt = 0
        while True:
            try:
                with boundary(TeacherError, "teacher"):
                    return cast("BaseMessage", model.invoke(messages))
            except TeacherError as lost:
                error = lost.__cause__
                if error is None:
                    raise
                attempt += 1
                if attempt > self._options.retries or not may_pass(error):
                    raise self._lost(error, attempt) from error
                self._sleep(pause(error, attempt - 1))

    def _bind(self, tools: Sequence[ToolSpec]) -> Any:
        made = [bound(tool) for tool in tools]
        if self.name.startswith("openai:"):
            return self._model.bind_tools(made, parallel_tool_calls=False)
        return self._model.bind_tools(made)

    def _lost(self, error: BaseException, tries: int) -> TeacherError:
        code = _code(error)
        what = f"HTTP {code}" if code else type(error).__name__
        hint = {
            401: "check the key",
            403: "check the key",
            404: "check the model's name and the URL",
            400: "the server refused the request: does the model take tools, and this much text?",
        }.get(code or 0, "check that the server is up; the run can be resumed")
        return TeacherError(f"teacher {self.name!r} gives no answer after {tries} tries: {what}", hint)


def _code(error: BaseException) -> int | None:
    code = getattr(error, "status_code", None)
    return code if isinstance(code, int) and code > 0 else None


def may_pass(error: BaseException) -> bool:
    """Return whether the same request may succeed later.

    Works on the class names and status codes that the providers' clients share, so that no client
    has to be imported here.
    """
    code = _code(error)
    if code is not None:
        return code in PASSING
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    names = [cls.__name__ for cls in type(error).__mro__]
    return any(part in name for name in names for part in _PASSING_NAMES)


def pause(error: BaseException, attempt: int) -> float:
    """Return the seconds to wait before retry number ``attempt`` (from 0)."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    asked = headers.get("retry-after") if headers is not None else None
    try:
        return min(LONGEST_PAUSE, max(0.0, float(asked or "none")))
    except ValueError:
        return PAUSES[min(attempt, len(PAUSES) - 1)]
