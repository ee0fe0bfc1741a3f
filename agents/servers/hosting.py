"""Models that were created on a scripted Ollama server: blobs, ``create``, templates, ``generate``.

Owns the part of Ollama's published docs/api.md that puts a model on a server and asks it: ``HEAD`` and
``POST /api/blobs/:digest`` (201, or 400 for another content), ``POST /api/create`` (a stream of states,
with errors in the stream), ``POST /api/copy``, ``POST /api/generate`` (with ``raw`` too) and ``DELETE
/api/delete``. What a created model answers with is a ``Host``: nothing real by default, a real model
where a test brings one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from preceptor.agents.servers import importing
from preceptor.agents.servers.fitting import REFUSAL, cut_text, window_of
from preceptor.agents.servers.scripted import Body, Request, Response, simplest, tokens
from preceptor.core import ollama_names
from preceptor.core.reading import loads

BLOBS = "/api/blobs/"
NDJSON = "application/x-ndjson"
LONGEST = 32768
"""The context of a model that was created."""


@dataclass(frozen=True)
class Created:
    """A model as it was created.

    Attributes:
        files: The content of its files by name.
        template: In Go's template language.
        system: The system message, if a request brings none.
        quantize: To what its weights were made smaller, if at all.
        pre: What the importer called its pre-tokenizer; empty: it is the one that it was trained with.
        adapters: The content of an adapter's files by name.
        source: The model that it was made from, if it was not made from files.
        blob: Where its weights lie, as ``show`` tells it.
    """

    files: Mapping[str, bytes]
    template: str = "{{ .Prompt }}"
    system: str = ""
    quantize: str = ""
    pre: str = ""
    adapters: Mapping[str, bytes] = field(default_factory=dict)
    source: str = ""
    blob: str = ""

    def prompt(self, system: str, user: str) -> str:
        """Return the prompt that the template makes."""
        return fill(self.template, {"System": system or self.system, "Prompt": user})


@dataclass(frozen=True)
class Said:
    """What a model says to a whole prompt."""

    text: str
    read: int
    written: int


Engine = Callable[[str, Body], Said]
"""Answers a whole prompt; the request says in which format."""

Host = Callable[[Created], Engine]
"""Loads a created model; a ``ValueError`` says that it cannot be imported."""


def hollow(created: Created) -> Engine:
    """Return an engine that says the simplest answer that fits the request's ``format``."""

    def answer(prompt: str, body: Body) -> Said:
        schema = body.get("format")
        text = json.dumps(simplest(schema if isinstance(schema, dict) else {"type": "object"}))
        return Said(text, len(tokens(prompt)), len(tokens(text)))

    return answer


_ACTION = re.compile(r"\{\{\s*(?:(if|else|end)\s*)?(?:\.(\w+)\s*)?(\"(?:[^\"\\]|\\.)*\"\s*)?\}\}")


def fill(template: str, values: Mapping[str, str]) -> str:
    """Run a Go template of fields, texts and ``if``/``else``/``end``, without nesting.

    Raises:
        ValueError: If it is none.
    """
    out: list[str] = []
    shown, depth, at = True, 0, 0
    for found in _ACTION.finditer(template):
        word, name, literal = found.groups()
        before = template[at : found.start()]
        if "{{" in before:
            raise ValueError("template error: unexpected action")
        out += [before] if shown else []
        at = found.end()
        if word == "if":
            shown, depth = bool(values.get(name or "")), depth + 1
        elif word:
            shown, depth = (not shown, depth) if word == "else" else (True, depth - 1)
        elif shown:
            out.append(loads(literal) if literal else values[name])
    if depth or "{{" in template[at:]:
        raise ValueError("template error: unexpected EOF")
    return "".join(out) + template[at:]


@dataclass
class Library:
    """What was uploaded and created.

    Attributes:
        host: Loads a created model.
        architectures: What can be imported; all if None.
        adaptable: Architectures of bases that adapters can be put on.
        blobs: Uploaded files by digest.
        created: The models by name.
    """

    host: Host = hollow
    architectures: Collection[str] | None = None
    adaptable: tuple[str, ...] = importing.ADAPTABLE
    blobs: dict[str, bytes] = field(default_factory=dict)
    created: dict[str, Created] = field(default_factory=dict)
    _engines: dict[str, Engine] = field(default_factory=dict)

    def pull(self, name: str, made: Created) -> None:
        """Put a model on the server as its makers published it, tokenizer and all."""
        self._engines[tagged(name)] = self.host(made)
        self.created[tagged(name)] = made

    def shown(self, name: str) -> Body:
        """Return what ``show`` tells of a created model beside its template."""
        made = self.created[name]
        kind = importing.architecture(made.files)
        words = [f"FROM {made.blob or f'/models/blobs/sha256-{weights(made)}'}"]
        words += ["ADAPTER /models/blobs/sha256-0"] if made.adapters else []
        details: Body = {"format": "gguf", "family": kind}
        info: Body = {"general.architecture": kind, f"{kind}.context_length": LONGEST}
        return {"modelfile": "\n".join(words) + "\n", "details": details, "model_info": info}

    def respond(self, request: Request) -> Response | None:
        """Return what the API answers, None if that is no affair of this."""
        if request.path.startswith(BLOBS):
            return self._blob(request)
        if (request.method, request.path) == ("POST", "/api/create"):
            return self._create(request.body)
        if (request.method, request.path) == ("POST", "/api/copy"):
            return self._copy(request.body)
        named = tagged(str(request.body.get("model") or ""))
        name = ollama_names.find(named, self.created)
        if name is None:
            return None
        if (request.method, request.path) == ("DELETE", "/api/delete"):
            del self.created[name], self._engines[name]
            return Response(b"")
        if request.path in ("/api/chat", "/api/generate"):
            return self._ask(request, name)
        return None

    def _blob(self, request: Request) -> Response:
        digest = request.path.removeprefix(BLOBS)
        if request.method == "HEAD":
            return Response(b"", 200 if digest in self.blobs else 404)
        if digest != f"sha256:{hashlib.sha256(request.raw).hexdigest()}":
            return Response.of({"error": "digest mismatch, file must be downloaded again"}, 400)
        self.blobs[digest] = request.raw
        return Response(b"", 201)

    def _create(self, body: Body) -> Response:
        files, source = body.get("files"), str(body.get("from") or "")
        named = tagged(str(body.get("model") or ""))
        name = ollama_names.find(named, self.created) or named
        if not source and (not isinstance(files, dict) or not files):
            return Response.of({"error": "neither 'from' or 'files' was specified"}, 400)
        lines: list[dict[str, JsonValue]] = [{"status": "converting model"}]
        try:
            made = self._adapted(body, source) if source else self._made(body, _texts(files))
            self._engines[name] = self.host(made)
            self.created[name] = made
            if made.quantize:
                lines.append({"status": f"quantizing F16 model to {made.quantize.upper()}"})
            lines.append({"status": "writing manifest"})
            lines.append({"status": "success"})
        except ValueError as error:
            lines.append({"error": str(error)})
        if body.get("stream") is False:
            return Response.of(lines[-1], 200 if name in self.created else 500)
        return Response("".join(json.dumps(line) + "\n" for line in lines).encode(), type=NDJSON)

    def _copy(self, body: Body) -> Response:
        source, target = (tagged(str(body.get(key) or "")) for key in ("source", "destination"))
        known = ollama_names.find(source, self.created)
        if known is None:
            return Response.of({"error": f"model '{source}' not found"}, 404)
        source, target = known, ollama_names.find(target, self.created) or target
        self.created[target], self._engines[target] = self.created[source], self._engines[source]
        return Response(b"")

    def _content(self, files: Mapping[str, str]) -> dict[str, bytes]:
        missing = [digest for digest in files.values() if digest not in self.blobs]
        if missing:
            raise ValueError(f"blob {missing[0]} does not exist")
        return {name: self.blobs[digest] for name, digest in files.items()}

    def _adapted(self, body: Body, source: str) -> Created:
        """Return a model of the server's, with an adapter on it: weights and tokenizer are its own."""
        found = ollama_names.find(tagged(source), self.created)
        if found is None:
            raise ValueError("pull model manifest: file does not exist")
        under = self.created[found]
        adapters = self._content(_texts(body.get("adapters")))
        if adapters:
            importing.check_adapter(importing.architecture(under.files), adapters, self.adaptable)
        if body.get("quantize"):
            raise ValueError("quantization is only supported for F16 and F32 models")
        template = str(body.get("template") or under.template)
        fill(template, {"System": "", "Prompt": ""})
        return replace(
            under,
            template=template,
            system=str(body.get("system") or under.system),
            adapters=adapters or under.adapters,
            source=found,
        )

    def _made(self, body: Body, files: Mapping[str, str]) -> Created:
        content = self._content(files)
        named = importing.named(content)
        whole = any(name.endswith(".gguf") for name in content)
        if not whole and self.architectures is not None and named not in self.architectures:
            raise ValueError(f"unsupported architecture {json.dumps(named)}")
        template = str(body.get("template") or "{{ .Prompt }}")
        fill(template, {"System": "", "Prompt": ""})
        return Created(
            content,
            template,
            str(body.get("system") or ""),
            str(body.get("quantize") or ""),
            pre="" if whole else importing.pre_tokenizer(content),
        )

    def _ask(self, request: Request, name: str) -> Response:
        body = request.body
        raw = request.path == "/api/generate" and body.get("raw") is True
        prompt = str(body.get("prompt") or "")
        if not raw:
            prompt = self.created[name].prompt(*_messages(body))
        said = self._engines[name](prompt, body)
        window = window_of(body, LONGEST)
        if said.read > window:
            if body.get("truncate") is False:
                return Response.of({"error": REFUSAL}, 400)
            shorter = cut_text(prompt, len(tokens(prompt)) * (said.read - window) // said.read)
            said = replace(self._engines[name](shorter, body), read=window)
        last: Body = {
            "model": body.get("model"),
            "created_at": "2026-01-01T00:00:00Z",
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": said.read,
            "eval_count": said.written,
        }
        chat: JsonValue = {"role": "assistant", "content": said.text}
        key, text = ("message", chat) if request.path == "/api/chat" else ("response", said.text)
        return Response.of({**last, key: text})


def _messages(body: Body) -> tuple[str, str]:
    """Return the system message and the last user message of a request."""
    given = body.get("messages")
    listed = given if isinstance(given, list) else []
    found = {str(m.get("role")): str(m.get("content")) for m in listed if isinstance(m, dict)}
    plain = {"system": str(body.get("system") or ""), "user": str(body.get("prompt") or "")}
    return found.get("system", plain["system"]), found.get("user", plain["user"])


def _texts(files: JsonValue) -> dict[str, str]:
    return {key: str(value) for key, value in files.items()} if isinstance(files, dict) else {}


def weights(made: Created) -> str:
    """Return the content hash that ``show`` names a model's weights by: a GGUF file's is its own."""
    whole_file = next((c for name, c in made.files.items() if name.endswith(".gguf")), None)
    if whole_file is not None:
        return hashlib.sha256(whole_file).hexdigest()
    whole = hashlib.sha256()
    for name in sorted(made.files):
        whole.update(name.encode() + b"\0" + made.files[name])
    return whole.hexdigest()


def manifest(made: Created) -> str:
    """Return a model's content hash, as the list of models tells it."""
    whole = hashlib.sha256(weights(made).encode())
    for part in (made.template, made.system, made.quantize):
        whole.update(part.encode() + b"\0")
    for name in sorted(made.adapters):
        whole.update(name.encode() + b"\0" + made.adapters[name])
    return whole.hexdigest()


def tagged(name: str) -> str:
    """Return a model's name with its tag."""
    return name if ":" in name else f"{name}:latest"
