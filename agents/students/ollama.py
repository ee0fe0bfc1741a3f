"""``ollama:NAME``: a model that Ollama serves, over its native ``/api/chat``.

Owns what is sent (the whole JSON Schema as ``format``, ``num_ctx`` always), what each HTTP trouble
means, and the judgement whether the prompt was cut. Concurrency and retries are ``pool`` and ``retry``.

**How a cut prompt is found.** Ollama answers 200 to a prompt that does not fit: it drops the oldest
messages or shifts the prompt, to about half the window, and shows it in nothing but
``prompt_eval_count``. So ``num_ctx`` is chosen from an upper estimate of the prompts' tokens, and a
reply counts as ``truncated`` if the answer was cut (``done_reason`` is ``length``), if prompt and
answer fill the window, or if fewer tokens were read than the prompt can have been written in.
Ollama counts tokens that it took from its prompt cache too (since 0.2; structured output needs 0.5),
except 0.30, which counted only the others: there, and where a count is missing, a low count says
nothing and only the first two signs are used.

A model of ours, whose tokenizer is here, is asked over ``/api/generate`` with ``raw``: the prompt is
rendered here, as it was for training, and no template of the server's touches it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from preceptor.agents.students import StudentOptions
from preceptor.agents.students.chat import Chat, of_folder
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
from preceptor.agents.students.wire import install
from preceptor.core.errors import StudentError
from preceptor.core.fields import object_schema
from preceptor.core.ports import Cancel
from preceptor.core.records import Call, Message, ModelRef, Reply
from preceptor.core.settings import check_url, masked

if TYPE_CHECKING:
    import httpx
    import ollama

STEP = 2048
"""The window grows in steps, because Ollama loads a model anew for every other ``num_ctx``."""

UPPER, LOWER = 2.0, 6.0
"""Bytes per token: no tokenizer in use needs more tokens than bytes / 2 for prose and clinical
shorthand, nor fewer than bytes / 6; template tokens come on top of the first."""

TEMPLATE = 16
"""Tokens that a chat template adds to a message, at most."""

UNCOUNTED = "0.30."
"""Versions that leave cached tokens out of ``prompt_eval_count``."""


def most_tokens(messages: Sequence[Message]) -> int:
    """Return an upper estimate of a prompt's tokens."""
    size = sum(len(m.content.encode("utf-8", "replace")) for m in messages)
    return int(size / UPPER) + TEMPLATE * (len(messages) + 1)


def fewest_tokens(messages: Sequence[Message]) -> int:
    """Return a lower estimate of a prompt's tokens."""
    return int(sum(len(m.content.encode("utf-8", "replace")) for m in messages) / LOWER)


class OllamaStudent:
    """Asks a model that Ollama serves.

    Args:
        name: The model's name, with or without a tag.
        options: Concurrency, timeout, retries, address, window, keep-alive.

    Raises:
        StudentError: If Ollama cannot be reached or does not have the model.
    """

    def __init__(self, name: str, options: StudentOptions) -> None:
        # The library reads the address when it is imported.
        check_url(options.base_url or os.environ.get("OLLAMA_HOST", ""), "OLLAMA_HOST")
        import httpx
        import ollama

        self._name = name
        self._options = options
        self._chat: Chat | None = of_folder(options.tokenizer) if options.tokenizer else None
        self._heard = threading.local()
        self._client = ollama.Client(
            host=options.base_url or None,
            timeout=options.timeout,
            event_hooks={"response": [self._hear]},
        )
        self._errors = ollama.ResponseError
        self._foreign = (
            ollama.ResponseError, httpx.HTTPError, ConnectionError, ValueError, TypeError
        )  # fmt: skip
        self._window = 0
        backoff = Backoff(options.retries)
        hang_up = install(self._client._client)
        self._pool = Pool(self._ask, options.parallel, backoff, self._down(), hang_up)
        self.ref = ModelRef(spec=f"ollama:{name}", digest=self._find_digest())
        shown = self._show()
        self.context = _context(shown.modelinfo or {})
        self._thinks = "thinking" in (shown.capabilities or [])
        self._counts_cached = not self._version().startswith(UNCOUNTED)

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls, as they come.

        Raises:
            StudentError: If the server or the model is gone.
        """
        needed = max((most_tokens(c.messages) + c.decoding.max_tokens for c in calls), default=0)
        # The window never shrinks, so that a batch of short notes does not reload the model.
        self._window = max(self._window, self._fitting(needed))
        yield from self._pool.run(calls, cancel)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _hear(self, response: httpx.Response) -> None:
        # The client's errors carry no headers.
        self._heard.wait = retry_after(response.headers.get("retry-after"))

    def _fitting(self, needed: int) -> int:
        if self._options.num_ctx:
            return self._options.num_ctx
        window = -(-needed // STEP) * STEP
        return min(window, self.context) if self.context else window

    def _ask(self, call: Call) -> Reply:
        began = time.monotonic()
        try:
            got, text = self._asked(call)
        except self._foreign as error:
            raise self._trouble(error) from None
        return self._reply(call, got, text, time.monotonic() - began)

    def _asked(self, call: Call) -> tuple[ollama.ChatResponse | ollama.GenerateResponse, str]:
        """Send a call; return what came back, and the text in it."""
        decoding = call.decoding
        shape = cast("dict[str, object]", object_schema(call.fields)) if decoding.constrained else None
        options = {
            "num_ctx": self._window,
            "num_predict": decoding.max_tokens,
            "temperature": decoding.temperature,
            "seed": decoding.seed,
        }
        if self._chat is not None:
            raw = self._client.generate(
                self._name,
                self._chat.text(call.messages),
                raw=True,
                format=shape,
                options=options,
                keep_alive=self._options.keep_alive,
            )
            return raw, raw.response or ""
        got = self._client.chat(
            self._name,
            [{"role": m.role, "content": m.content} for m in call.messages],
            format=shape,
            options=options,
            think=False if self._thinks else None,
            keep_alive=self._options.keep_alive,
        )
        return got, got.message.content or ""

    def _reply(
        self,
        call: Call,
        got: ollama.ChatResponse | ollama.GenerateResponse,
        text: str,
        seconds: float,
    ) -> Reply:
        read, written = got.prompt_eval_count or None, got.eval_count
        full = bool(read) and (read or 0) + (written or 0) >= self._window
        short = self._counts_cached and bool(read) and (read or 0) < fewest_tokens(call.messages)
        cut = got.done_reason == "length" or full or short
        return Reply(call.key, text, "truncated" if cut else "ok", read, written, seconds)

    def _trouble(self, error: Exception) -> Exception:
        """Return what an exception of the client means, without the server's own words."""
        import httpx

        if isinstance(error, self._errors):
            return self._status(error.status_code, error.error)
        if isinstance(error, ConnectionError):
            if untrusted(error):
                return StudentError(f"{self._where()}: {UNTRUSTED}", UNTRUSTED_HINT)
            return Passing("no connection to Ollama", unreachable=True)
        if isinstance(error, httpx.TimeoutException):
            return late(self._options.timeout)
        if isinstance(error, httpx.TransportError):
            return Passing("the connection broke off")
        if isinstance(error, (json.JSONDecodeError, ValueError, TypeError)):
            return Refused("Ollama answered with something that is no chat response")
        return error

    def _status(self, status: int, words: object) -> Exception:
        if status == 404:
            return self._missing()
        if worth_another_try(status):
            return Passing(f"Ollama answered with status {status}", self._heard.wait)
        if status in (401, 403):
            return StudentError(f"Ollama refused access (status {status})", "set OLLAMA_API_KEY")
        long = status == 400 and "context length" in str(words).lower()
        return Refused(f"Ollama answered with status {status}", truncated=long)

    def _find_digest(self) -> str:
        wanted = self._name if ":" in self._name else f"{self._name}:latest"
        try:
            listed = self._client.list().models
        except self._foreign as error:
            raise self._unusable(error) from error
        for model in listed:
            if model.model == wanted:
                return (model.digest or "").removeprefix("sha256:")[:20]
        raise self._missing()

    def _show(self) -> ollama.ShowResponse:
        try:
            return self._client.show(self._name)
        except self._foreign as error:
            raise self._unusable(error) from error

    def _version(self) -> str:
        """Return the server's version, empty if it tells none; the client has no call for it."""
        import httpx

        try:
            where = self._client._client.base_url.join("/api/version")
            return str(httpx.get(where, timeout=10).json().get("version", ""))
        except (httpx.HTTPError, ValueError, AttributeError):
            return ""

    def _unusable(self, error: Exception) -> StudentError:
        meaning = self._trouble(error)
        if isinstance(meaning, StudentError):
            return meaning
        if isinstance(meaning, Passing) and meaning.unreachable:
            return self._down()
        return StudentError(f"Ollama cannot be used: {meaning}", "is it Ollama that listens there?")

    def _down(self) -> StudentError:
        return StudentError(f"Ollama does not answer at {self._where()}", "start it: ollama serve")

    def _where(self) -> str:
        return masked(str(self._client._client.base_url).rstrip("/"))

    def _missing(self) -> StudentError:
        return StudentError(
            f"Ollama does not have the model {self._name!r}", f"ollama pull {self._name}"
        )


def _context(info: Mapping[str, object]) -> int | None:
    architecture = info.get("general.architecture")
    longest = info.get(f"{architecture}.context_length")
    return longest if isinstance(longest, int) else None
