"""Any chat model of LangChain, asked as a student is: for labels by a teacher that only it knows.

Owns how a call becomes a message and an answer a reply. The answer's shape stands in the prompt only:
structured output is not the same from provider to provider. Concurrency and retries are ``pool`` and
``retry``; which errors may pass is told by ``agents.chat``. No error says what a server said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from preceptor.agents import chat
from preceptor.agents.students import StudentOptions
from preceptor.agents.students.completion import usage
from preceptor.agents.students.pool import Pool
from preceptor.agents.students.retry import (
    UNTRUSTED,
    UNTRUSTED_HINT,
    Backoff,
    Passing,
    Refused,
    untrusted,
)
from preceptor.core.errors import StudentError, boundary
from preceptor.core.ports import Cancel
from preceptor.core.records import Call, ModelRef, Reply

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

ENDED = ("stop", "end_turn", "STOP")
"""How they say that an answer is whole."""

CUT = ("length", "max_tokens", "MAX_TOKENS")
"""How providers say that an answer was cut off."""


class LangChainStudent:
    """Asks a chat model of LangChain.

    Args:
        spec: Its name, ``PROVIDER:NAME``.
        model: Makes it, sampling at a temperature, or as the provider likes if that is None.
        options: Concurrency and retries.

    Attributes:
        context: The longest prompt plus answer in tokens: not known.
    """

    context: int | None = None

    def __init__(
        self, spec: str, model: Callable[[float | None], BaseChatModel], options: StudentOptions
    ) -> None:
        self.ref = ModelRef(spec=spec)
        self._make = model
        self._model = model(0.0)
        self._cold = True
        gone = StudentError(
            f"{spec!r} cannot be reached", "check the network and the provider's address"
        )
        self._pool = Pool(self._ask, options.parallel, Backoff(options.retries), gone)

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls, as they come.

        Raises:
            StudentError: If the provider is gone, or refuses access.
        """
        yield from self._pool.run(calls, cancel)

    def close(self) -> None:
        """Nothing to close: LangChain keeps its connections itself."""

    def _ask(self, call: Call) -> Reply:
        began, cold = time.monotonic(), self._cold
        try:
            said = self._invoke(self._model, call)
        except StudentError as lost:
            error = lost.__cause__ or lost
            if not cold or getattr(error, "status_code", None) != 400:
                raise self._trouble(error) from None
            said = self._without_temperature(call)
        return _reply(call, said, time.monotonic() - began)

    def _without_temperature(self, call: Call) -> AIMessage:
        """Ask without a temperature, which may have been refused; if that helps, from now on."""
        warm = self._make(None)
        try:
            said = self._invoke(warm, call)
        except StudentError as lost:
            raise self._trouble(lost.__cause__ or lost) from None
        self._model, self._cold = warm, False
        return said

    def _invoke(self, model: BaseChatModel, call: Call) -> AIMessage:
        from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

        kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
        with boundary(StudentError, "student"):
            return model.invoke([kinds[m.role](content=m.content) for m in call.messages])

    def _trouble(self, error: BaseException) -> Exception:
        code = getattr(error, "status_code", None)
        what = f"status {code}" if code else type(error).__name__
        if untrusted(error):
            return StudentError(f"{self.ref.spec}: {UNTRUSTED}", UNTRUSTED_HINT)
        if chat.may_pass(error):
            wait = chat.asked_wait(error)
            return Passing(f"{self.ref.spec}: {what}", wait, unreachable=code is None)
        if code in (401, 403):
            return StudentError(f"{self.ref.spec} refused access ({what})", "check the provider's key")
        return Refused(f"{self.ref.spec} gives no answer: {what}")


def _reply(call: Call, said: AIMessage, seconds: float) -> Reply:
    """Return the reply that a message is.

    Raises:
        Passing: If there is no text in it, and it did not end as an answer does.
        Refused: If it did, without one.
    """
    read, written = usage(said.usage_metadata)
    about = said.response_metadata
    text = str(said.text)
    end = str(about.get("finish_reason") or about.get("stop_reason") or about.get("done_reason"))
    if end in CUT:
        return Reply(call.key, text, "truncated", read, written, seconds)
    if not text:
        raise Refused("no text came") if end in ENDED else Passing("no text came")
    return Reply(call.key, text, "ok", read, written, seconds)
