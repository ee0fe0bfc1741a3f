"""``openai:NAME@URL``: a model behind chat completions (vLLM, llama.cpp, any compatible server).

Owns what is sent, what each error of the client means, and the two fallbacks: a server that rejects
structured output (400, 422) is asked without it from then on (``without_schema`` says so), and a model
that reasons, which takes no temperature, is asked as such (``reasons``). Without a URL it is OpenAI's
own service. Concurrency and retries are ``pool`` and ``retry``; the client's own retries are off,
because nobody could count them.

A prompt that does not fit is refused by most servers. Those that cut it and say nothing are found by
the counts that they report (``whole``), unless the server tells its context, as those do that refuse.
Whose answer it is says ``served_as``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from preceptor.agents.destination import OPENAI
from preceptor.agents.students import StudentOptions
from preceptor.agents.students.completion import NONE, Said, said
from preceptor.agents.students.openai_wire import Posting
from preceptor.agents.students.pool import Pool
from preceptor.agents.students.retry import (
    UNTRUSTED,
    UNTRUSTED_HINT,
    Backoff,
    Passing,
    Refused,
    late,
    retry_after,
    untrusted,
    worth_another_try,
)
from preceptor.agents.students.served_as import ServedAs
from preceptor.agents.students.whole import Watch, says_too_long, without_note
from preceptor.core.errors import StudentError
from preceptor.core.fields import object_schema
from preceptor.core.ports import Cancel
from preceptor.core.records import Call, Decoding, Message, ModelRef, Reply
from preceptor.core.settings import check_url, masked

if TYPE_CHECKING:
    import openai

LLAMA_CPP = "llamacpp"
"""How llama.cpp's server calls itself in its list of models."""

LOCAL = ("localhost", "127.0.0.1", "::1")
KEY = "OPENAI_API_KEY"


REASONING = re.compile(r"(o\d|gpt-5(?!-chat))")
"""How the names of OpenAI's models begin that reason before they answer, and refuse a temperature."""

REASONING_TOKENS = 4_096
"""What such a model may write before its answer: the limit on tokens counts both."""

UNSUPPORTED = ("unsupported_value", "unsupported_parameter")


def with_path(url: str) -> str:
    """Return ``url`` with ``/v1`` where it names no path."""
    return url if not url or urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1"


def key_for(url: str) -> str:
    """Return the key to send: the real one from the environment, never to this machine.

    Raises:
        StudentError: If OpenAI's own service is meant and there is no key.
    """
    real = os.environ.get(KEY, "")
    if not url and not real:
        raise StudentError("OpenAI needs a key", f"set {KEY}, or name a server: openai:NAME@URL")
    return real if real and urlsplit(url).hostname not in LOCAL else "none"


class BadRequest(Refused):
    """Status 400 or 422: too long, or asked for something that the server does not know.

    Attributes:
        parameter: Which parameter it is that the server does not take, if it says so.
    """

    parameter = ""


class OpenAIStudent:
    """Asks a model behind chat completions.

    Args:
        name: The model's name at the server.
        url: The server, with or without ``/v1``; empty for OpenAI's own service.
        options: Concurrency, timeout, retries.

    Attributes:
        client: The client; its own retries are off.
        without_schema: Whether the server rejected structured output.
        reasons: Whether the model takes no temperature, and writes thoughts before its answer.

    Raises:
        StudentError: If the server cannot be reached, or a key is missing.
    """

    def __init__(self, name: str, url: str, options: StudentOptions) -> None:
        import openai

        named = "the student's name" if url else "OPENAI_BASE_URL"
        check_url(url or os.environ.get("OPENAI_BASE_URL", ""), named)
        self._name = name
        self._url = with_path(url)
        self._timeout = options.timeout
        self.client = openai.OpenAI(
            api_key=key_for(url),
            # The client takes an empty variable for an address.
            base_url=self._url or os.environ.get("OPENAI_BASE_URL") or OPENAI,
            timeout=options.timeout,
            max_retries=0,
        )
        self.without_schema = False
        self.reasons = not url and REASONING.match(name) is not None
        where = f"{name}@{url}" if url else name
        self.ref = ModelRef(spec=f"openai:{where}")
        down = StudentError(f"no server answers at {self._where()}", "start it, or correct the URL")
        self._posting = Posting(self.client)
        self._pool = Pool(
            self._ask,
            options.parallel,
            Backoff(options.retries),
            down,
            self._posting.hang_up,
            lambda: self._slots,
        )
        self._slots = 0
        self._fits = False
        self._watch = Watch(self._counted)
        self._listed: list[str] = []
        self.context = self._longest(down)
        own = not url and not os.environ.get("OPENAI_BASE_URL")
        self._refuses = own or self.context is not None
        self._served = ServedAs(name, self._listed)

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls, as they come.

        Raises:
            StudentError: If the server or the model is gone.
        """
        yield from self._pool.run(calls, cancel)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _ask(self, call: Call) -> Reply:
        began = time.monotonic()
        constrained = call.decoding.constrained and not self.without_schema
        reasons = self.reasons
        try:
            got = self._chat(call, constrained)
        except BadRequest as refusal:
            if refusal.parameter == "temperature" and not reasons:
                self.reasons = True
                return self._ask(call)
            if refusal.truncated:
                raise self._too_long(call) from None
            if not constrained:
                raise
            got = self._chat(call, False)
            # The same request went through without it, so it was the schema that was refused.
            self.without_schema = True
        self._served.check(got.model)
        reply = self.read(call, got, time.monotonic() - began)
        if not self._refuses and not self._watch.whole(call.messages, reply.prompt_tokens):
            raise Refused("the note is too long: the server read only a part of it", True)
        self._fits = True
        return replace(reply, unforced=call.decoding.constrained and self.without_schema)

    def _too_long(self, call: Call) -> Exception:
        """Return what a prompt means that the server refuses as too long."""
        self._refuses = True
        bare = without_note(call.messages)
        if not self._fits and bare != call.messages:
            one = call.decoding.model_copy(update={"max_tokens": 1, "constrained": False})
            try:
                self._send(replace(call, messages=bare, decoding=one))
            except BadRequest as refusal:
                if refusal.truncated:
                    return StudentError(
                        f"the prompt does not fit the context of {self.ref.spec} without any note",
                        "take a student with a longer context, or a shorter prompt (--mode per_field)",
                    )
            self._fits = True
        return Refused("the note is too long for the model", True)

    def _send(self, call: Call) -> object:
        """Have the server read a prompt; what it answers does not matter."""
        return self._chat(call, False)

    def _counted(self, messages: Sequence[Message]) -> int | None:
        """Return how many tokens the server reads of a prompt."""
        call = Call("", (), tuple(messages), Decoding(max_tokens=1, constrained=False))
        return self._chat(call, False).read or None

    def body(self, call: Call, constrained: bool) -> dict[str, object]:
        """Return what is sent to ask ``call``.

        Args:
            call: What is asked.
            constrained: Whether to ask for structured output.
        """
        # OpenAI's newer models refuse the old name, other servers may not know the new one.
        limit = "max_tokens" if self._url and not self.reasons else "max_completion_tokens"
        body: dict[str, object] = {
            "model": self._name,
            "messages": [{"role": m.role, "content": m.content} for m in call.messages],
            "seed": call.decoding.seed,
            limit: call.decoding.max_tokens + (REASONING_TOKENS if self.reasons else 0),
        }
        if not self.reasons:
            body["temperature"] = call.decoding.temperature
        if constrained:
            schema = {"name": "answer", "strict": True, "schema": object_schema(call.fields)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _chat(self, call: Call, constrained: bool) -> Said:
        return self._post("/chat/completions", self.body(call, constrained))

    def _post(self, path: str, body: dict[str, object]) -> Said:
        import openai

        try:
            return said(self._posting.post(path, body))
        except openai.OpenAIError as error:
            raise self._trouble(error) from None
        except (ValueError, TypeError, RecursionError):
            raise Passing(NONE) from None

    def read(self, call: Call, got: Said, seconds: float) -> Reply:
        """Return the reply that a completion is.

        Raises:
            Passing: If it has no text, and did not end as an answer does.
            Refused: If it ended as an answer does, without one.
        """
        got.check()
        status: Literal["truncated", "ok"] = "truncated" if got.cut else "ok"
        return Reply(call.key, got.text, status, got.read, got.written, seconds)

    def _trouble(self, error: openai.OpenAIError) -> Exception:
        """Return what an error of the client means, without the server's own words."""
        import openai

        if isinstance(error, openai.APITimeoutError):
            return late(self._timeout)
        if isinstance(error, openai.APIConnectionError):
            if untrusted(error):
                return self._untrusted()
            refused = "refused" in str(error.__cause__).lower()
            return Passing("the connection failed or broke off", unreachable=refused)
        if isinstance(error, openai.APIResponseValidationError):
            return Passing(NONE)
        if isinstance(error, openai.APIStatusError):
            return self._status(error)
        return Refused(f"the client failed: {type(error).__name__}")

    def _status(self, error: openai.APIStatusError) -> Exception:
        status, code = error.status_code, str(error.code or "")
        if worth_another_try(status) and code != "insufficient_quota":
            wait = retry_after(error.response.headers.get("retry-after"))
            return Passing(f"the server answered with status {status}", wait)
        if status in (401, 403) or code == "insufficient_quota":
            return StudentError(f"{self.ref.spec} refused access (status {status})", f"check {KEY}")
        if status == 404:
            return StudentError(
                f"the server does not have the model {self._name!r}",
                f"see which it has: curl {self._where()}models",
            )
        long = code == "context_length_exceeded" or says_too_long(error)
        why = f"the server answered with status {status} {code}".strip()
        if status not in (400, 422):
            return Refused(why, truncated=long)
        refusal = BadRequest(why, truncated=long)
        refusal.parameter = str(error.param or "") if code in UNSUPPORTED else ""
        return refusal

    def _untrusted(self) -> StudentError:
        return StudentError(f"{self._where()}: {UNTRUSTED}", UNTRUSTED_HINT)

    def _where(self) -> str:
        return masked(str(self.client.base_url))

    def _longest(self, down: StudentError) -> int | None:
        """Return the context length, where the server's list of models tells one."""
        import openai

        try:
            listed = self.client.models.list().data
        except openai.APITimeoutError:
            return None
        except openai.APIConnectionError as error:
            raise (self._untrusted() if untrusted(error) else down) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            return None
        self._listed += [model.id for model in listed]
        for model in listed:
            if model.id == self._name and model.owned_by == LLAMA_CPP:
                self._slots = self._count_slots()
            longest = (model.model_extra or {}).get("max_model_len")
            if model.id == self._name and isinstance(longest, int):
                return longest
        return None

    def _count_slots(self) -> int:
        """Return how many calls a server of llama.cpp works on at once, 0 if it does not say."""
        import openai

        try:
            root = self._where().rstrip("/").removesuffix("/v1")
            said = self.client.get(f"{root}/props", cast_to=object)
        except (openai.OpenAIError, ValueError, TypeError):
            return 0
        found = said.get("total_slots") if isinstance(said, dict) else None
        return found if isinstance(found, int) and found > 0 else 0
