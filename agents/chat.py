"""The chat teacher: any LangChain chat model with bound tools.

Owns one turn with a foreign model: the messages, the retries, and what its answer becomes. Leaves the
words of the brief to ``agents.brief``, the gate to ``agents.screening`` and the reading of a model's
name to ``agents.teacher``. No error says what a server said: it may quote the notes. Only
what can pass is tried again (no connection, too slow, 429, 5xx, silence that does not end as an answer,
a body that is no completion); an answer that makes no sense is returned as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from pydantic import JsonValue

from preceptor.agents import brief, fitting, screening, strict
from preceptor.agents.students.completion import usage
from preceptor.agents.students.retry import UNTRUSTED, UNTRUSTED_HINT, retry_after, untrusted
from preceptor.core import wire
from preceptor.core.errors import TeacherError, boundary
from preceptor.core.ports import Evidence, ToolSpec
from preceptor.core.record import canonical
from preceptor.core.records import Situation, TeacherTurn, ToolCall, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

    from preceptor.agents.teacher import TeacherOptions

PAUSES = (0.5, 2.0, 8.0)
"""Seconds to wait before the first, second and every further retry; Retry-After wins."""

LONGEST_PAUSE = 60.0

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP codes that may pass."""

COMPLETE = ("stop", "end_turn", "length", "max_tokens")
"""The finish reasons with which saying nothing is an answer, if a useless one."""

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
    read, written = usage(message.usage_metadata)
    return TeacherTurn(
        message=cast("dict[str, JsonValue]", messages_to_dict([message])[0]),
        text=str(message.text),
        calls=calls,
        broken=broken,
        # A server that counts nothing may say so with zeros.
        usage=Usage(input_tokens=read, output_tokens=written) if read else None,
    )


def bound(tool: ToolSpec, strictly: bool = False) -> dict[str, JsonValue]:
    """Return a tool as the OpenAI protocol writes it."""
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": strict.schema(tool.schema) if strictly else tool.schema,
    }
    if strictly:
        function["strict"] = True
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
        # Only OpenAI itself is sure to know strict schemas.
        self._strict = name.startswith("openai:") and "@" not in name

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
            InputError: If the policy lets nothing out.
        """
        from langchain_core.messages import AIMessage

        messages = self._messages(situation, evidence, transcript, tools)
        door = self._options.door
        if door is not None:
            messages = screening.outgoing(messages, door)
        said = self._ask(messages, tools)
        if not isinstance(said, AIMessage):
            raise TeacherError(f"teacher {self.name!r} answered with {type(said).__name__}")
        if self._strict:
            for call in said.tool_calls:
                call["args"] = cast("dict[str, JsonValue]", strict.without_nulls(call["args"]))
        return as_turn(screening.incoming(said, door) if door is not None else said)

    def _messages(
        self,
        situation: Situation,
        evidence: Evidence,
        transcript: Sequence[dict[str, JsonValue]],
        tools: Sequence[ToolSpec],
    ) -> list[BaseMessage]:
        from langchain_core.messages import HumanMessage, SystemMessage, messages_from_dict

        system, user = brief.brief(situation, evidence, tools, self._options.brief_tokens)
        room = self._options.transcript_tokens * brief.CHARS_PER_TOKEN
        earlier = messages_from_dict([dict(m) for m in fitting.fit(transcript, room)])
        return [SystemMessage(system), HumanMessage(user), *map(_readable, earlier)]

    def _ask(self, messages: list[BaseMessage], tools: Sequence[ToolSpec]) -> BaseMessage:
        model = self._bind(tools)
        attempt = 0
        while True:
            try:
                with boundary(TeacherError, "teacher"):
                    said = cast("BaseMessage", model.invoke(messages))
                if attempt >= self._options.retries or not _silent(said):
                    return said
                attempt += 1
                self._sleep(PAUSES[min(attempt, len(PAUSES)) - 1])
            except wire.Redirected as moved:
                raise self._elsewhere(moved) from moved
            except TeacherError as lost:
                error = lost.__cause__
                if error is None:
                    raise
                found = wire.redirected(error)
                if found is not None:
                    raise self._elsewhere(found) from error
                if type(error).__name__ == "ValidationError" and "tool_calls" in str(error):
                    return _unreadable()
                if self._strict and _code(error) == 400:
                    self._strict = False
                    model = self._bind(tools)
                    continue
                attempt += 1
                passing = may_pass(error) or _no_completion(error)
                if attempt > self._options.retries or not passing:
                    raise self._lost(error, attempt) from error
                self._sleep(pause(error, attempt - 1))

    def _bind(self, tools: Sequence[ToolSpec]) -> Any:
        made = [bound(tool, self._strict) for tool in tools]
        if self.name.startswith("openai:"):
            return self._model.bind_tools(made, parallel_tool_calls=False)
        return self._model.bind_tools(made)

    def _elsewhere(self, moved: wire.Redirected) -> TeacherError:
        return TeacherError(f"teacher {self.name!r}: {moved.message}", moved.hint)

    def _lost(self, error: BaseException, tries: int) -> TeacherError:
        code = _code(error)
        what = f"HTTP {code}" if code else type(error).__name__
        if untrusted(error):
            what, hint = UNTRUSTED, UNTRUSTED_HINT
        elif code is None and not may_pass(error):
            hint = "the answer is no chat completion: does the URL end in /v1?"
        else:
            hint = _HINTS.get(code or 0, "check that the server is up")
        times = "1 try" if tries == 1 else f"{tries} tries"
        return TeacherError(f"teacher {self.name!r} gives no answer after {times}: {what}", hint)


def _readable(message: BaseMessage) -> BaseMessage:
    """Return a message that every server can read back: broken tool calls become words."""
    from langchain_core.messages import AIMessage

    if not isinstance(message, AIMessage) or not message.invalid_tool_calls:
        return message
    broken = ", ".join(str(call.get("name")) for call in message.invalid_tool_calls)
    said = f"{message.text}\n(a call of {broken} whose arguments were no JSON object)".strip()
    return AIMessage(content=said, tool_calls=message.tool_calls)


def _silent(message: BaseMessage) -> bool:
    """Return whether nothing came, and the server does not say that this is the whole answer."""
    from langchain_core.messages import AIMessage

    if not isinstance(message, AIMessage) or message.tool_calls or message.invalid_tool_calls:
        return False
    about = message.response_metadata
    ends = (about.get(name) for name in ("finish_reason", "stop_reason", "done_reason"))
    end = next((str(e).lower() for e in ends if e), "")
    return not str(message.text).strip() and end not in COMPLETE


def _no_completion(error: BaseException) -> bool:
    """Return whether LangChain could not take the answer apart: a proxy or a restart may be why."""
    broken = isinstance(error, TypeError | ValueError | LookupError | AttributeError)
    return _code(error) is None and (broken or "ResponseValidation" in type(error).__name__)


def _unreadable() -> AIMessage:
    """Return what stands for an answer that LangChain could not take apart."""
    from langchain_core.messages import AIMessage
    from langchain_core.messages.tool import invalid_tool_call

    call = invalid_tool_call(name="a tool", args="", id="unreadable", error="no JSON object")
    return AIMessage(content="", invalid_tool_calls=[call])


_HINTS = {
    401: "check the key",
    403: "check the key",
    404: "check the model's name and the URL",
    400: "the server refused the request: does the model take tools, and this much text?",
}


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
    if untrusted(error):
        return False
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    names = [cls.__name__ for cls in type(error).__mro__]
    return any(part in name for name in names for part in _PASSING_NAMES)


def asked_wait(error: BaseException) -> float | None:
    """Return the seconds that a server asked to wait, None if it did not say."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    return retry_after(headers.get("retry-after") if headers is not None else None)


def pause(error: BaseException, attempt: int) -> float:
    """Return the seconds to wait before retry number ``attempt`` (from 0)."""
    wait = asked_wait(error)
    return PAUSES[min(attempt, len(PAUSES) - 1)] if wait is None else min(LONGEST_PAUSE, wait)
