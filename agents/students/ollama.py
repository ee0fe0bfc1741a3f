"""``ollama:NAME``: a model that Ollama serves, over its native ``/api/chat``.

Owns what is sent (the whole JSON Schema as ``format``, ``num_ctx`` and ``truncate: false`` always),
what each HTTP trouble means, and what is done about a prompt that does not fit. Concurrency and
retries are ``pool`` and ``retry``.

**No prompt is cut.** By default Ollama answers 200 to a prompt that does not fit: it cuts the middle
of a long message or leaves out earlier turns, and may show it in nothing at all. Asked not to, it
answers 400 (``ollama_wire``). Then the window is widened, up to the model's own context (``window``),
and the note is asked again; what does not fit there is refused as too long for the model. So is
widened a window that prompt and answer fill, since what comes after that is written with a part of the
prompt forgotten. The first width is an estimate (``counting``): a wrong one costs a reload, and never
an answer. Servers that do not know the parameter are watched by their counts (``whole``).

**The model is the one that was asked.** Its digest is looked up at the start, and again after the
connection failed on the way: a server that was restarted may have another model under the name.

A model of ours, whose tokenizer is here, is asked over ``/api/generate`` with ``raw``: the prompt is
rendered here, as it was for training, and no template of the server's touches it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from preceptor.agents.students import StudentOptions, ollama_wire
from preceptor.agents.students.chat import Chat, of_folder
from preceptor.agents.students.counting import Count, Sizes, of_tokenizer
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
from preceptor.agents.students.transport import install
from preceptor.agents.students.whole import Watch, without_note
from preceptor.agents.students.window import Window
from preceptor.core import keys, ollama_names, served, wire
from preceptor.core.errors import StudentError
from preceptor.core.fields import object_schema
from preceptor.core.ports import Cancel
from preceptor.core.record import DIGEST_CHARS
from preceptor.core.records import Call, Decoding, Message, ModelRef, Reply
from preceptor.core.settings import masked

if TYPE_CHECKING:
    import httpx
    import ollama


COMPLETE = ("stop", "length")
"""The done reasons with which an empty text is an answer, if an unreadable one."""


class TooLong(Refused):
    """The prompt does not fit the window; ``tokens`` is what it has, 0 if the server does not say."""

    def __init__(self, why: str, tokens: int = 0) -> None:
        super().__init__(why, truncated=True)
        self.tokens = tokens


class NoMemory(Refused):
    """The server has no memory for a model with such a window."""


class OllamaStudent:
    """Asks a model that Ollama serves.

    Args:
        name: The model's name, with or without a tag.
        options: Concurrency, timeout, retries, address, window, keep-alive.

    Attributes:
        thinks: Whether the model can think aloud before it answers; the call says whether it shall.

    Raises:
        StudentError: If Ollama cannot be reached or does not have the model.
    """

    def __init__(self, name: str, options: StudentOptions) -> None:
        # The library, too, reads OLLAMA_HOST, when it is imported.
        served.ollama()
        self._address = served.ollama(options.base_url)
        import httpx
        import ollama

        self._name = name
        self._options = options
        self._chat: Chat | None = of_folder(options.tokenizer) if options.tokenizer else None
        self._heard = threading.local()
        sends = wire.settings(self._address, key=keys.ollama(self._address, options.keys))
        sends["event_hooks"]["response"].append(self._hear)
        self._client = ollama.Client(host=self._address.url, timeout=options.timeout, **sends)
        self._errors = ollama.ResponseError
        self._foreign = (
            ollama.ResponseError, httpx.HTTPError, ConnectionError, ValueError, TypeError
        )  # fmt: skip
        self._doubt = False
        self._lock = threading.Lock()
        self._fits = False
        backoff = Backoff(options.retries)
        hang_up = install(self._client._client)
        self._pool = Pool(self._ask, options.parallel, backoff, self._down(), hang_up)
        try:
            self.ref = ModelRef(spec=f"ollama:{name}", digest=self._find_digest())
            shown = self._client.show(name)
        except self._foreign as error:
            raise self._unusable(error) from error
        self.context = _context(shown.modelinfo or {})
        self.thinks = self._chat is None and "thinking" in (shown.capabilities or [])
        self._window = Window(self.context, options.num_ctx)
        self._sizes = Sizes(self._counts_here(options))
        self._refuses = ollama_wire.knows_truncate(self._version())
        self._watch = Watch(self._counted)

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls, as they come.

        Raises:
            StudentError: If the server or the model is gone.
        """
        sizes = (self._sizes.estimate(c.messages) + self._room(c.decoding) for c in calls)
        self._window.fit(max(sizes, default=0))
        yield from self._pool.run(calls, cancel)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _hear(self, response: httpx.Response) -> None:
        # The client's errors carry no headers.
        self._heard.wait = retry_after(response.headers.get("retry-after"))

    def _room(self, decoding: Decoding) -> int:
        """Return the most tokens that may be written: the server counts thoughts, too."""
        return decoding.room if self.thinks else decoding.max_tokens

    def _counts_here(self, options: StudentOptions) -> Count | None:
        """Return what counts prompts with the model's own tokenizer, None if that is not here."""
        chat = self._chat
        if chat is not None:
            return lambda messages: len(chat.ids([messages])[0])
        return of_tokenizer(options.counts) if options.counts else None

    def _ask(self, call: Call) -> Reply:
        began = time.monotonic()
        while True:
            window = self._window.size
            try:
                got, text = self._sent(call, window)
            except TooLong as refusal:
                self._refuses = True
                needed = refusal.tokens + self._room(call.decoding) if refusal.tokens else 0
                if not self._window.grow(window, needed):
                    raise self._too_long(call) from None
                continue
            except NoMemory:
                if not self._window.too_wide(window):
                    raise Passing("the server has no memory for the model") from None
                raise Refused(f"the server has no memory for a window of {window:,} tokens") from None
            self._check_model(got)
            reply = self._reply(call, got, text, time.monotonic() - began)
            if self._read_whole(call, reply, window):
                return reply
            if not self._window.grow(window):
                if reply.completion_tokens and self._refuses:
                    # The prompt was read whole; there is no room for the answer.
                    return replace(reply, status="truncated")
                raise self._too_long(call)

    def _read_whole(self, call: Call, reply: Reply, window: int) -> bool:
        """Return whether prompt and answer had room in the window."""
        read, written = reply.prompt_tokens or 0, reply.completion_tokens or 0
        at_limit = reply.status == "truncated" and written >= self._room(call.decoding)
        full = bool(read) and read + written >= window and not (at_limit and self._refuses)
        if not full and not self._refuses:
            full = not self._watch.whole(call.messages, read, window)
        if not full:
            self._fits = True
            self._window.prove(window)
            if read:
                self._sizes.learn(call.messages, read)
        return not full

    def _too_long(self, call: Call) -> Exception:
        """Return what a prompt means that does not fit the widest window."""
        limit = self._window.limit
        if self._window.lowered:
            return Refused(f"the server has no memory for a window of more than {limit:,} tokens")
        bare = without_note(call.messages)
        if not self._fits and bare != call.messages:
            one = call.decoding.model_copy(update={"max_tokens": 1, "think": "auto"})
            try:
                self._sent(replace(call, messages=bare, decoding=one), limit)
            except TooLong:
                return StudentError(
                    f"the prompt does not fit without any note: {self.ref.spec} reads {limit:,} tokens",
                    "take a student with a longer context, or a shorter prompt (--mode per_field)",
                )
            self._fits = True
        return Refused(f"the note is too long for the model, which reads {limit:,} tokens", True)

    def _counted(self, messages: Sequence[Message]) -> int | None:
        """Return how many tokens the server reads of a prompt."""
        call = Call("", (), tuple(messages), Decoding(max_tokens=1, constrained=False))
        got, _ = self._sent(call, self._window.size)
        return got.prompt_eval_count or None

    def _sent(
        self, call: Call, window: int
    ) -> tuple[ollama.ChatResponse | ollama.GenerateResponse, str]:
        try:
            return self._asked(call, window)
        except self._foreign as error:
            raise self._trouble(error) from None

    def _asked(
        self, call: Call, window: int
    ) -> tuple[ollama.ChatResponse | ollama.GenerateResponse, str]:
        """Send a call; return what came back, and the text in it."""
        import ollama

        decoding = call.decoding
        body: dict[str, object] = {
            "model": self._name,
            "format": object_schema(call.fields) if decoding.constrained else None,
            "options": {
                "num_ctx": window,
                "num_predict": self._room(decoding),
                "temperature": decoding.temperature,
                "seed": decoding.seed,
            },
            "keep_alive": self._options.keep_alive,
        }
        if self._chat is not None:
            body |= {"prompt": self._chat.text(call.messages), "raw": True}
            raw = ollama_wire.send(self._client, "/api/generate", body, ollama.GenerateResponse)
            return raw, raw.response or ""
        turns = [{"role": m.role, "content": m.content} for m in call.messages]
        body |= {"messages": turns, "think": decoding.think == "on" if self.thinks else None}
        got = ollama_wire.send(self._client, "/api/chat", body, ollama.ChatResponse)
        return got, got.message.content or ""

    def _reply(
        self,
        call: Call,
        got: ollama.ChatResponse | ollama.GenerateResponse,
        text: str,
        seconds: float,
    ) -> Reply:
        read, written = got.prompt_eval_count or None, got.eval_count
        if not text and got.done_reason not in COMPLETE:
            # Such as "load": the model was loaded, and nothing was generated.
            raise Passing(f"no text came (done reason {got.done_reason!r})")
        cut = got.done_reason == "length"
        return Reply(call.key, text, "truncated" if cut else "ok", read, written, seconds)

    def _check_model(self, got: ollama.ChatResponse | ollama.GenerateResponse) -> None:
        """Refuse an answer of another model than the one that was asked.

        Raises:
            StudentError: If it is of another.
        """
        if got.model and not ollama_names.same(got.model, self._name):
            raise StudentError(
                f"{self._where()} answers as {masked(got.model)!r}, not as {self._name!r}",
                "is it Ollama that listens there? nothing that it said was counted",
            )
        with self._lock:
            if not self._doubt:
                return
            try:
                digest = self._find_digest()
            except self._foreign as error:
                raise self._trouble(error) from None
            if digest != self.ref.digest:
                raise StudentError(
                    f"Ollama came back with another model under the name {self._name!r}",
                    f"digest before: {self.ref.digest}, now: {digest}; resume with the former",
                )
            self._doubt = False

    def _trouble(self, error: Exception) -> Exception:
        """Return what an exception of the client means, without the server's own words."""
        import httpx

        if isinstance(error, self._errors):
            return self._status(error.status_code, error.error)
        if isinstance(error, ConnectionError | httpx.TransportError):
            self._doubt = True
        if isinstance(error, ConnectionError):
            if untrusted(error):
                return StudentError(f"{self._where()}: {UNTRUSTED}", UNTRUSTED_HINT)
            return Passing("no connection to Ollama", unreachable=True)
        if isinstance(error, httpx.TimeoutException):
            return late(self._options.timeout)
        if isinstance(error, httpx.TransportError):
            return Passing("the connection broke off")
        if isinstance(error, (json.JSONDecodeError, ValueError, TypeError)):
            return Passing("Ollama answered with something that is no chat response")
        return error

    def _status(self, status: int, words: object) -> Exception:
        if status == 404:
            return self._missing()
        if ollama_wire.too_long(status, words):
            return TooLong("the prompt does not fit", ollama_wire.tokens_told(words))
        if ollama_wire.out_of_memory(status, words):
            return NoMemory("the server has no memory for it")
        if worth_another_try(status):
            return Passing(f"Ollama answered with status {status}", self._heard.wait)
        if status in (401, 403):
            return StudentError(f"Ollama refused access (status {status})", keys.HINT)
        return Refused(f"Ollama answered with status {status}")

    def _find_digest(self) -> str:
        listed = self._client.list().models
        digests = {model.model or "": model.digest or "" for model in listed}
        there = ollama_names.find(self._name, digests)
        if there is None:
            raise self._missing(list(digests))
        return digests[there].removeprefix("sha256:")[:DIGEST_CHARS]

    def _version(self) -> str:
        """Return the server's version, empty if it tells none; the client has no call for it."""
        import httpx

        try:
            said = self._client._client.get("/api/version", timeout=10)
            return str(said.json().get("version", ""))
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
        return self._address.url

    def _missing(self, listed: Sequence[str] = ()) -> StudentError:
        return StudentError(
            f"Ollama does not have the model {self._name!r}", ollama_names.mend(self._name, listed)
        )


def _context(info: Mapping[str, object]) -> int | None:
    architecture = info.get("general.architecture")
    longest = info.get(f"{architecture}.context_length")
    return longest if isinstance(longest, int) else None
