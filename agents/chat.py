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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from pydantic import JsonValue

from preceptor.agents import brief, capabilities, fitting, screening, strict
from preceptor.agents.messages import length, readable, silent, unreadable
from preceptor.agents.room import Room, is_too_long
from preceptor.agents.students.completion import usage
from preceptor.agents.students.retry import UNTRUSTED, UNTRUSTED_HINT, retry_after, untrusted
from preceptor.core import wire
from preceptor.core.errors import InputError, TeacherError, boundary
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

CALL_TOKENS = 2048
"""The most tokens of one answer of a server of one's own: one tool call with many patches. A model
whose answer is cut off gets twice as many the next time, up to ``TeacherOptions.max_tokens``."""

REFUSALS = 6
"""How often a request that is refused as too long is made shorter."""

FRAME = 48
"""Characters that stand for the frame of a message."""

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


def bound(tool: ToolSpec, strictly: bool = False, plainly: bool = False) -> dict[str, JsonValue]:
    """Return a tool as the OpenAI protocol writes it; plainly: without what explains its arguments."""
    schema = strict.plain(tool.schema) if plainly else tool.schema
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": strict.schema(tool.schema) if strictly else schema,
    }
    if strictly:
        function["strict"] = True
    return {"type": "function", "function": function}


@dataclass(frozen=True)
class Question:
    """What a turn is asked about; ``cut`` if the round's older messages were left out."""

    situation: Situation
    evidence: Evidence
    transcript: Sequence[dict[str, JsonValue]]
    tools: Sequence[ToolSpec]
    cut: bool = False


@dataclass(frozen=True)
class Sent:
    """One request: the model with its tools, the messages, their length, and what was left out."""

    model: Any
    messages: list[BaseMessage]
    chars: int
    left_out: tuple[str, ...] = ()


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
        self._own = name.startswith("ollama:") or (name.startswith("openai:") and "@" in name)
        self._known: Room | None = None

    def turn(
        self,
        situation: Situation,
        evidence: Evidence,
        transcript: Sequence[dict[str, JsonValue]],
        tools: Sequence[ToolSpec],
    ) -> TeacherTurn:
        """Ask for the next move.

        Raises:
            TeacherError: If no answer can be had: refused, not found, still down after retries, no
                tools, or too small a context.
            InputError: If the policy lets nothing out.
        """
        from langchain_core.messages import AIMessage

        said, sent = self._ask(Question(situation, evidence, transcript, tools))
        if not isinstance(said, AIMessage):
            raise TeacherError(f"teacher {self.name!r} answered with {type(said).__name__}")
        if self._strict:
            for call in said.tool_calls:
                call["args"] = cast("dict[str, JsonValue]", strict.without_nulls(call["args"]))
        self._learn(sent, said)
        door = self._options.door
        turn = as_turn(screening.incoming(said, door) if door is not None else said)
        return turn.model_copy(update={"left_out": sent.left_out}) if sent.left_out else turn

    def _room(self) -> Room:
        """Return what fits; its server is asked once.

        Raises:
            TeacherError: If it says that the model takes no tools.
        """
        if self._known is None:
            found = capabilities.of(self.name, self._options.api_key)
            if found.tools is False:
                raise TeacherError(*no_tools(self.name))
            most = self._options.max_tokens
            answer = min(most, CALL_TOKENS) if self._own and not found.thinks else most
            self._known = Room(self._options.context or found.context, answer)
        return self._known

    def _learn(self, sent: Sent, said: AIMessage) -> None:
        room = self._room()
        if said.usage_metadata:
            room.count(sent.chars, said.usage_metadata["input_tokens"])
        about = said.response_metadata
        if (about.get("finish_reason") or about.get("done_reason")) == "length":
            room.answer = min(self._options.max_tokens, 2 * room.answer)

    def _sent(self, asked: Question) -> Sent:
        """Return the request, as long as the model and its server allow.

        Raises:
            TeacherError: If the model reads too little for the tools and the shortest brief.
        """
        from langchain_core.messages import HumanMessage, SystemMessage, messages_from_dict

        room, per_token = self._room(), brief.CHARS_PER_TOKEN
        tools = [bound(tool, self._strict) for tool in asked.tools]
        looks = self._options.transcript_tokens * per_token
        usual = self._options.brief_tokens * per_token + looks + len(canonical([*tools]))
        most = room.chars(usual)
        left_out: list[str] = []
        if len(canonical([*tools])) > most // 3 and not self._strict:
            tools = [bound(tool, plainly=True) for tool in asked.tools]
            left_out.append("explanations of the tools' arguments")
        rest = most - len(canonical([*tools])) - FRAME * (len(asked.transcript) + 2)
        if most < usual:
            looks = min(looks, max(0, rest // 3), length(asked.transcript))
        earlier = fitting.fit(asked.transcript, looks)
        if (most < usual and length(earlier) < length(asked.transcript)) or asked.cut:
            left_out.append("older messages of the round")
        try:
            chars = self._options.brief_tokens * per_token
            # An earlier call of any length is no reason for a shorter brief where nothing is limited.
            chars = min(chars, rest - length(earlier)) if room.limited else chars
            told = brief.shortened(asked.situation, asked.evidence, asked.tools, chars)
        except InputError:
            latest = fitting.latest(asked.transcript)
            if len(latest) < len(asked.transcript):
                return self._sent(replace(asked, transcript=latest, cut=True))
            if room.loosen(usual):
                return self._sent(asked)
            raise TeacherError(*self._too_small(room, most)) from None
        messages = [SystemMessage(told.system), HumanMessage(told.text)]
        messages += map(readable, messages_from_dict([dict(m) for m in earlier]))
        if self._options.door is not None:
            messages = screening.outgoing(messages, self._options.door)
        chars = sum(len(str(m.content)) + FRAME for m in messages) + len(canonical([*tools]))
        model = self._bind(tools, most)
        return Sent(model, messages, chars, (*told.left_out, *left_out) if most < usual else ())

    def _too_small(self, room: Room, most: int) -> tuple[str, str]:
        size = f"{room.context} tokens" if room.context else f"about {int(most / room.ratio)} tokens"
        return (
            f"teacher {self.name!r} reads {size}: too few for the tools and the shortest brief",
            "a model with a longer context, or fewer moves: --moves edit_prompt",
        )

    def _ask(self, asked: Question) -> tuple[BaseMessage, Sent]:
        room, sent = self._room(), self._sent(asked)
        attempt = slow = refused = 0
        while True:
            try:
                said = self._heard(sent)
                if attempt >= self._options.retries or not silent(said):
                    return said, sent
                attempt += 1
                self._sleep(PAUSES[min(attempt, len(PAUSES)) - 1])
            except TeacherError as failed:
                error = failed.__cause__
                if error is None:
                    raise
                if type(error).__name__ == "ValidationError" and "tool_calls" in str(error):
                    return unreadable(), sent
                if is_too_long(_code(error), str(error)) and refused < REFUSALS:
                    refused += 1
                    room.refuse(sent.chars, str(error), getattr(error, "body", None))
                    sent = self._sent(asked)
                    continue
                if self._strict and _code(error) == 400:
                    self._strict = False
                    sent = self._sent(asked)
                    continue
                attempt += 1
                passing = may_pass(error) or _no_completion(error)
                if attempt > self._options.retries or not passing:
                    raise lost(self.name, error, attempt) from error
                slow += is_slow(error)
                shorter = is_slow(error) and slow > 1
                if shorter:
                    room.hurry(sent.chars)
                    sent = self._sent(asked)
                self._tell(error, shorter)
                self._sleep(pause(error, attempt - 1))

    def _heard(self, sent: Sent) -> BaseMessage:
        try:
            with boundary(TeacherError, "teacher"):
                return cast("BaseMessage", sent.model.invoke(sent.messages))
        except (TeacherError, wire.Redirected) as error:
            moved = wire.redirected(error)
            if moved is None:
                raise
            # Without a cause, it is not tried again.
            raise TeacherError(f"teacher {self.name!r}: {moved.message}", moved.hint) from None

    def _tell(self, error: BaseException, shorter: bool) -> None:
        """Say that the server is asked again: a long wait is not silent."""
        what = f"no answer within {self._options.timeout:g} s" if is_slow(error) else _what(error)
        how = "more briefly" if shorter else "again"
        self._options.say(f"the teacher gives no answer ({what}); it is asked {how}")

    def _bind(self, tools: Sequence[dict[str, JsonValue]], chars: int) -> Any:
        room = self._room()
        model: Any = self._model
        if self.name.startswith("ollama:"):
            sizes = {"num_predict": room.answer_tokens, "num_ctx": room.window_for(chars)}
            model = model.model_copy(update=sizes)
        elif self.name.startswith("openai:"):
            model = model.model_copy(update={"max_tokens": room.answer_tokens})
            return model.bind_tools(tools, parallel_tool_calls=False)
        return model.bind_tools(tools)


def lost(name: str, error: BaseException, tries: int) -> TeacherError:
    """Return what an error means that left a teacher without an answer."""
    code, what = _code(error), _what(error)
    if untrusted(error):
        what, hint = UNTRUSTED, UNTRUSTED_HINT
    elif code is None and not may_pass(error):
        hint = "the answer is no chat completion: does the URL end in /v1?"
    else:
        hint = _HINTS.get(code or 0, "check that the server is up")
    times = "1 try" if tries == 1 else f"{tries} tries"
    return TeacherError(f"teacher {name!r} gives no answer after {times}: {what}", hint)


def no_tools(name: str) -> tuple[str, str]:
    """Return what to say of a model that takes no tools, and what to do."""
    return (
        f"teacher {name!r} takes no tools, and a teacher answers with tool calls",
        "another model: ollama show NAME lists its capabilities, llama.cpp's /props those of its "
        "template; or teacher = 'rules'",
    )


def _no_completion(error: BaseException) -> bool:
    """Return whether LangChain could not take the answer apart: a proxy or a restart may be why."""
    broken = isinstance(error, TypeError | ValueError | LookupError | AttributeError)
    return _code(error) is None and (broken or "ResponseValidation" in type(error).__name__)


_HINTS = {
    401: "check the key",
    403: "check the key",
    404: "check the model's name and the URL",
    400: "the server refused the request: does the model take tools, and this much text?",
}


def _code(error: BaseException) -> int | None:
    code = getattr(error, "status_code", None)
    return code if isinstance(code, int) and code > 0 else None


def _what(error: BaseException) -> str:
    code = _code(error)
    return f"HTTP {code}" if code else type(error).__name__


def is_slow(error: BaseException) -> bool:
    """Return whether no answer came within the time limit."""
    names = [cls.__name__ for cls in type(error).__mro__]
    return isinstance(error, TimeoutError) or any("Timeout" in name for name in names)


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
