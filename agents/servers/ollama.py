"""A scripted server that speaks Ollama's native API, as its published docs/api.md has it.

``GET /api/tags``, ``GET /api/version``, ``POST /api/show``, ``POST /api/embed`` and ``POST /api/chat``
(whole or as a stream of JSON lines). What it does with a prompt that does not fit ``num_ctx`` is
``servers.fitting``. Models are found under any spelling of their names, as the real one does. Those
that are created on it are ``servers.hosting``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping

from pydantic import JsonValue

from preceptor.agents.servers.fitting import fitted, halves, old
from preceptor.agents.servers.hosting import LONGEST, Library, manifest, tagged
from preceptor.agents.servers.scripted import (
    Body,
    Request,
    Response,
    ScriptedServer,
    Trouble,
    simplest,
    tokens,
    vectors,
)
from preceptor.core import ollama_names

KNOWN = frozenset(
    {
        ("POST", "/api/show"),
        ("POST", "/api/chat"),
        ("POST", "/api/embed"),
        ("DELETE", "/api/delete"),
    }
)
EMBEDDING = 16
"""The dimension of its vectors."""


def from_format(body: Body) -> str:
    """Return the simplest answer that fits the request's ``format``."""
    schema = body.get("format")
    return json.dumps(simplest(schema if isinstance(schema, dict) else {"type": "object"}))


class OllamaServer(ScriptedServer):
    """Speaks Ollama's API.

    Args:
        answer: Returns the text of an answer to a chat request, or a whole ``message``.
        models: Context length per model name; a name without a tag means ``:latest``.
        omit: Keys to leave out of chat responses, as old servers do.
        troubles: What goes wrong with which chat request.
        latency: Seconds that every chat request takes.
        library: What was uploaded and created, and how such models answer.

    Attributes:
        levels: What it says of how a model's weights are stored, by name.
        capabilities: What it says that a model can do, by name; to complete texts and to call tools if
            nothing is said here. Like the real one it refuses tools for a model that has none.
        thinks: The models that can think aloud, with their tags; ``think`` is answered with 400 for all
            others.
        digests: What it lists as the digest of a model, where that is not made of its name.
        answers_as: The model that its answers name; the one that was asked if empty.
        memory: The widest window that it has memory for.
        passes_over_truncate: Whether it does not know the parameter; as its version has it if None.
    """

    answering = ("/api/chat", "/api/embed", "/api/generate")

    def __init__(
        self,
        answer: Callable[[Body], str | Body] = from_format,
        *,
        models: Mapping[str, int] | None = None,
        omit: Iterable[str] = (),
        troubles: Iterable[Trouble | None] = (),
        latency: float = 0.0,
        library: Library | None = None,
    ) -> None:
        self.library = library or Library()
        self._answer = answer
        self._models = {
            tagged(n): size for n, size in ({"scripted": 32768} if models is None else models).items()
        }
        self._omit = frozenset(omit)
        self.version = "0.34.0"
        self.levels: dict[str, str] = {}
        self.capabilities: dict[str, list[JsonValue]] = {}
        self.thinks: set[str] = set()
        self.digests: dict[str, str] = {}
        self.answers_as = ""
        self.memory: int | None = None
        self.passes_over_truncate: bool | None = None
        super().__init__(troubles=troubles, latency=latency)

    def respond(self, request: Request) -> Response:
        """Return what the API answers."""
        where = request.method, request.path
        if where == ("GET", "/api/version"):
            return Response.of({"version": self.version})
        if where == ("GET", "/api/tags"):
            made = self.library.created
            told = {**{n: manifest(one) for n, one in made.items()}, **self.digests}
            names = (*self._models, *made)
            return Response.of({"models": [_listed(n, told.get(n, "")) for n in names]})
        created = self.library.respond(request)
        if created is not None:
            return created
        if where not in KNOWN:
            return Response(b"404 page not found", 404, type="text/plain")
        name = str(request.body.get("model") or "")
        here = {**dict.fromkeys(self.library.created, LONGEST), **self._models}
        known = ollama_names.find(name, here)
        if known is None or request.method == "DELETE":
            return Response.of({"error": f"model '{name}' not found"}, 404)
        if request.path == "/api/show":
            return Response.of(self._shown(known, here[known]))
        if request.path == "/api/embed":
            found = vectors(request.body.get("input"), EMBEDDING)
            return Response.of({"model": name, "embeddings": [[*v] for v in found]})
        if request.body.get("think") and known not in self.thinks:
            return Response.of({"error": f'"{name}" does not support thinking'}, 400)
        return self._chat(request.body, self._models[known])

    def _shown(self, name: str, context: int) -> JsonValue:
        info: Body = {"general.architecture": "scripted", "scripted.context_length": context}
        details: Body = {"format": "gguf"}
        made = self.library.created.get(name)
        level = self.levels.get(name) or (made.quantize.upper() or "F16" if made else "")
        if level:
            details["quantization_level"] = level
        told: Body = {}
        if made is not None:
            told = {**self.library.shown(name), "template": made.template}
            info, details = _mapping(told["model_info"]), {**_mapping(told["details"]), **details}
        return {**told, "capabilities": self._able(name), "model_info": info, "details": details}

    def _able(self, name: str) -> list[JsonValue]:
        thinks: list[JsonValue] = ["thinking"] if name in self.thinks else []
        return self.capabilities.get(name, ["completion", "tools", *thinks])

    def _chat(self, body: Body, longest: int) -> Response:
        name = str(body.get("model"))
        if body.get("tools") and "tools" not in self._able(tagged(name)):
            return Response.of({"error": f'"{name}" does not support tools'}, 400)
        unknown = old(self.version) if self.passes_over_truncate is None else self.passes_over_truncate
        asked = {key: value for key, value in body.items() if not (unknown and key == "truncate")}
        got = fitted(asked, longest, halves(self.version))
        if isinstance(got, Response):
            return got
        if self.memory is not None and got.window > self.memory:
            words = "model requires more system memory (9.1 GiB) than is available (2.2 GiB)"
            return Response.of({"error": words}, 500)
        said = self._answer(got.body)
        message: Body = {"role": "assistant", "content": said} if isinstance(said, str) else said
        room = got.room(body)
        pieces = tokens(str(message.get("content") or ""))
        cut = len(pieces) > room
        message = {**message, "content": "".join(pieces[:room])}
        last: Body = {
            "model": self.answers_as or body.get("model"),
            "created_at": "2026-01-01T00:00:00Z",
            "done": True,
            "done_reason": "length" if cut else "stop",
            "total_duration": 1_000_000,
            "prompt_eval_count": got.read,
            "eval_count": min(len(pieces), room),
        }
        last = {k: v for k, v in last.items() if k not in self._omit}
        if body.get("stream") is False:
            return Response.of({**last, "message": message})
        first: Body = {**last, "done": False, "message": message}
        for key in ("done_reason", "prompt_eval_count", "eval_count", "total_duration"):
            first.pop(key, None)
        lines = (first, {**last, "message": {"role": "assistant", "content": ""}})
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        return Response(text.encode(), type="application/x-ndjson")


def _mapping(value: JsonValue) -> Body:
    return value if isinstance(value, dict) else {}


def _listed(name: str, digest: str = "") -> JsonValue:
    digest = digest or hashlib.sha256(name.encode()).hexdigest()
    return {"name": name, "model": name, "digest": digest, "size": 1, "details": {"format": "gguf"}}
