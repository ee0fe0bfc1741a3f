"""A scripted server that speaks OpenAI's chat completions, as the published reference has it.

``GET /v1/models``, ``POST /v1/embeddings`` and ``POST /v1/chat/completions``, whole or streamed, with
tool calls and structured output; and ``POST /v1/completions`` with a ``json_schema``, as llama.cpp has
it. Replies come from a script, a function, or the request's own schema. Files and batches are
``servers.batches``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import JsonValue

from preceptor.agents.servers.batches import PATHS, Counter, Course, refusal
from preceptor.agents.servers.fitting import cut_to
from preceptor.agents.servers.scripted import (
    Body,
    Request,
    Response,
    ScriptedServer,
    Trouble,
    prompt_text,
    simplest,
    tokens,
    vectors,
)

EMBEDDING = 16
"""The dimension of its vectors."""

Item = Body | Callable[[Body], Body]
"""A full response (see ``completion``), or a function from a request to one."""


def tool_call(name: str, arguments: Body | str, call_id: str = "call_1") -> JsonValue:
    """Return one tool call of a reply; ``arguments`` as text may be broken JSON."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def completion(
    text: str | None = None,
    *,
    calls: Sequence[JsonValue] = (),
    finish: str = "",
    usage: tuple[int, int] | None = (10, 5),
    model: str = "scripted",
) -> Body:
    """Return a full chat completion.

    Args:
        text: The content.
        calls: Tool calls, see ``tool_call``.
        finish: The finish reason; ``tool_calls`` or ``stop`` if empty.
        usage: Prompt and completion tokens; None leaves usage out, as some servers do.
        model: Its name.
    """
    message: Body = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = list(calls)
    reason = finish or ("tool_calls" if calls else "stop")
    body: Body = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1767225600,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
    }
    if usage:
        prompt, written = usage
        body["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
        }
    return body


def from_schema(body: Body) -> Body:
    """Return the simplest completion that fits the request's schema and ``max_tokens``."""
    wanted = body.get("response_format")
    inner = wanted.get("json_schema") if isinstance(wanted, dict) else None
    schema = inner.get("schema") if isinstance(inner, dict) else body.get("json_schema")
    pieces = tokens(json.dumps(simplest(schema), ensure_ascii=False))
    most = body.get("max_tokens") or body.get("max_completion_tokens")
    room = most if isinstance(most, int) else len(pieces)
    return completion(
        "".join(pieces[:room]),
        finish="length" if room < len(pieces) else "stop",
        usage=(len(tokens(prompt_text(body))), min(room, len(pieces))),
        model=str(body.get("model")),
    )


class OpenAIServer(ScriptedServer):
    """Speaks chat completions.

    Args:
        script: The replies, in order; when it is used up, or not given, ``from_schema`` answers.
        models: Context length per model name; any other name is answered with 404. None in place
            of a length leaves it out.
        schemas: Whether structured output is understood; if not, it is answered with 400.
        reasons: Whether its models refuse a temperature, and ``max_tokens``, as those that reason do.
        troubles: What goes wrong with which request for a completion.
        latency: Seconds that every completion takes.

    Attributes:
        counter: Its files and batches; set another one to script how those go wrong.
        props: What ``GET /props`` answers, as llama.cpp's server does; 404 if empty.
        cuts_to: How many tokens it reads of a prompt, passing over the others without a word.
    """

    answering = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")

    def __init__(
        self,
        script: Iterable[Item] = (),
        *,
        models: dict[str, int | None] | None = None,
        schemas: bool = True,
        reasons: bool = False,
        troubles: Iterable[Trouble | None] = (),
        latency: float = 0.0,
    ) -> None:
        self._script = iter(script)
        self._models = models
        self._schemas = schemas
        self._reasons = reasons
        self.props: Body = {}
        self.counter = Counter(self.respond)
        self.cuts_to: int | None = None
        super().__init__(troubles=troubles, latency=latency)

    @property
    def base_url(self) -> str:
        """What a client calls ``base_url``."""
        return f"{self.url}/v1"

    def script_batches(
        self,
        *courses: Course,
        before: Mapping[str, Iterable[Trouble | None]] | None = None,
        after: Mapping[str, Iterable[Trouble | None]] | None = None,
    ) -> None:
        """Start anew with files and batches that go as scripted: see ``Counter``."""
        self.counter = Counter(self.respond, courses, before, after)

    def handle(self, request: Request) -> Response | None:
        """Record ``request`` and return what is sent, None to drop the connection."""
        if not request.path.startswith(PATHS):
            return super().handle(request)
        with self._lock:
            self.requests.append(request)
        return self.counter.handle(request)

    def respond(self, request: Request) -> Response:
        """Return what the API answers."""
        told: Body = {"/v1/models": {"object": "list", "data": self._listed()}, "/props": self.props}
        if request.method == "GET" and told.get(request.path):
            return Response.of(told[request.path])
        if request.method != "POST" or request.path not in self.answering:
            return refusal(404, "no such path", None)
        name = str(request.body.get("model"))
        if self._models is not None and name not in self._models:
            return refusal(404, f"The model `{name}` does not exist", "model_not_found")
        if request.path == "/v1/embeddings":
            return Response.of(_embedded(name, request.body.get("input")))
        if self._reasons and "temperature" in request.body:
            text = "Unsupported value: 'temperature' does not support 0 with this model."
            return refusal(400, text, "unsupported_value", "temperature")
        if self._reasons and "max_tokens" in request.body:
            text = "Unsupported parameter: use 'max_completion_tokens' instead."
            return refusal(400, text, "unsupported_parameter", "max_tokens")
        if request.body.get("response_format") and not self._schemas:
            return refusal(400, "response_format is not supported", None)
        longest = (self._models or {}).get(name)
        if longest and len(tokens(prompt_text(request.body))) > longest:
            text = f"This model's maximum context length is {longest} tokens."
            return refusal(400, text, "context_length_exceeded")
        with self._lock:
            item = next(self._script, from_schema)
        body = request.body if self.cuts_to is None else cut_to(request.body, self.cuts_to)
        reply = item(body) if callable(item) else item
        if request.path == "/v1/completions":
            return Response.of(_text(reply))
        return _streamed(reply) if request.body.get("stream") else Response.of(reply)

    def _listed(self) -> list[JsonValue]:
        listed: list[JsonValue] = []
        for name, longest in (self._models or {"scripted": None}).items():
            entry: Body = {"id": name, "object": "model", "created": 1767225600, "owned_by": "scripted"}
            listed.append({**entry, "max_model_len": longest} if longest else entry)
        return listed


def _text(reply: Body) -> Body:
    """Return a chat completion as the completion of a prompt."""
    given = reply.get("choices")
    choices: list[JsonValue] = []
    for choice in given if isinstance(given, list) else []:
        assert isinstance(choice, dict)
        message = choice.get("message")
        said = message.get("content") if isinstance(message, dict) else None
        choices.append({**{k: v for k, v in choice.items() if k != "message"}, "text": said})
    return {**reply, "object": "text_completion", "choices": choices}


def _embedded(model: str, given: JsonValue) -> JsonValue:
    found = vectors(given, EMBEDDING)
    data: list[JsonValue] = [
        {"object": "embedding", "index": i, "embedding": [*v]} for i, v in enumerate(found)
    ]
    return {
        "object": "list",
        "model": model,
        "data": data,
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }


def _streamed(reply: Body) -> Response:
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    assert isinstance(choice, dict)
    message = choice.get("message")
    delta: Body = dict(message) if isinstance(message, dict) else {}
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [
            {**call, "index": i} for i, call in enumerate(calls) if isinstance(call, dict)
        ]
    head: Body = {**reply, "object": "chat.completion.chunk"}
    usage = head.pop("usage", None)
    end = choice.get("finish_reason")
    chunks: list[Body] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": end}]},
    ]
    if usage:
        chunks.append({**head, "choices": [], "usage": usage})
    lines = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks]
    return Response("".join([*lines, "data: [DONE]\n\n"]).encode(), type="text/event-stream")
