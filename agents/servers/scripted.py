"""A real HTTP server on loopback, in a thread, that answers and goes wrong as it was told.

Owns connections, recording and trouble (delays, error statuses, dropped connections, garbage); what
an answer looks like is a protocol's business: ``servers.ollama`` and ``servers.openai``.
"""

from __future__ import annotations

import json
import re
import select
import socket
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from pydantic import JsonValue

Body = dict[str, JsonValue]


@dataclass(frozen=True)
class Request:
    """One request, as it came: headers in lower case, ``at`` in seconds of a monotonic clock.

    ``body`` is its JSON object, empty if it has none; ``raw`` is all of it.
    """

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: Body
    raw: bytes = b""


@dataclass(frozen=True)
class Response:
    """One response: ``content`` is sent as it is."""

    content: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    type: str = "application/json"

    @classmethod
    def of(cls, value: JsonValue, status: int = 200) -> Response:
        """Return a JSON response."""
        return cls(json.dumps(value, ensure_ascii=False).encode(), status)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with one request for an answer.

    Attributes:
        response: What is sent in place of the answer, if anything.
        delay: Seconds before anything is sent.
        drop: Close the connection without a word.
    """

    response: Response | None = None
    delay: float = 0.0
    drop: bool = False

    @classmethod
    def status(cls, status: int, retry_after: str = "") -> Trouble:
        """Return an error status, with ``Retry-After`` if given."""
        headers = {"Retry-After": retry_after} if retry_after else {}
        content = json.dumps({"error": {"message": f"scripted {status}", "code": None}}).encode()
        return cls(Response(content, status, headers))


class ScriptedServer(ABC):
    """Serves until closed; a context manager.

    Args:
        troubles: What goes wrong with the first, second, ... request for an answer; None: nothing.
            Later requests are answered properly.
        latency: Seconds that every answer takes, computing included.

    Attributes:
        requests: All requests so far, in the order in which they came.
        most_parallel: The most answers that were in the making at once.
        working: How many are in the making now.
        abandoned: How many were given up because the client had gone away, as real servers do.
    """

    answering: tuple[str, ...] = ()

    def __init__(self, *, troubles: Iterable[Trouble | None] = (), latency: float = 0.0) -> None:
        self.requests: list[Request] = []
        self.most_parallel = 0
        self.working = self.abandoned = 0
        self._here = threading.local()
        self._troubles = iter(troubles)
        self._latency = latency
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def asked(self) -> list[Body]:
        """The bodies of the requests for an answer, in the order in which they came."""
        return [r.body for r in self.requests if r.path in self.answering]

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return len(self._http.held)

    def troubled(self, troubles: Iterable[Trouble | None]) -> None:
        """Script anew what goes wrong, from the next request for an answer on."""
        with self._lock:
            self._troubles = iter(troubles)

    def hang_up(self) -> None:
        """Close the connections that clients keep, and go on listening."""
        self._http.hang_up()

    def close(self) -> None:
        """Stop listening and hang up. May be called twice."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()
        self._http.hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def respond(self, request: Request) -> Response:
        """Return the proper response to ``request``."""

    def handle(self, request: Request) -> Response | None:
        """Record ``request`` and return what is sent, None to drop the connection."""
        wanted = request.path in self.answering
        with self._lock:
            self.requests.append(request)
            trouble = next(self._troubles, None) if wanted else None
            self.working += wanted
            self.most_parallel = max(self.most_parallel, self.working)
        try:
            until = (
                request.at + (trouble.delay if trouble else 0.0) + (self._latency if wanted else 0.0)
            )
            answer = None
            if not (trouble and trouble.drop):
                answer = (trouble.response if trouble else None) or self.respond(request)
            self._work(until - time.monotonic())
            return answer
        finally:
            with self._lock:
                self.working -= wanted

    def answer(self, request: Request, client: socket.socket) -> Response | None:
        """Handle a request of a client that may go away meanwhile."""
        self._here.client = client
        return self.handle(request)

    def _work(self, seconds: float) -> None:
        """Take so long, or end when the client has gone away.

        Raises:
            ConnectionAbortedError: If it has.
        """
        client = getattr(self._here, "client", None)
        if seconds <= 0:
            return
        if client is None:
            time.sleep(seconds)
        elif select.select([client], [], [], seconds)[0]:
            with self._lock:
                self.abandoned += 1
            raise ConnectionAbortedError


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.held: list[socket.socket] = []
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        self.held.append(connection)
        return connection, address

    def hang_up(self) -> None:
        """Close the connections that clients keep alive."""
        for connection in self.held:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hung up is part of the script."""


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave in two writes; Nagle's algorithm would hold the second back.
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _serve(self) -> None:
            method = self.command
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            sent = Request(time.monotonic(), method, self.path, headers, _body(raw), raw)
            response = server.answer(sent, self.connection)
            if response is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(response.status)
            self.send_header("Content-Type", response.type)
            self.send_header("Content-Length", str(len(response.content)))
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if method != "HEAD":
                self.wfile.write(response.content)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    return Handler


def _body(raw: bytes) -> Body:
    try:
        value = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokens(text: str) -> list[str]:
    """Return the tokens of a scripted server: words and signs, each with the space before it."""
    ends = [m.end() for m in _TOKEN.finditer(text)]
    return [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def prompt_text(body: Body) -> str:
    """Return the text of all messages of a chat request, and of its tools."""
    messages, tools = body.get("messages"), body.get("tools")
    found = [m for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []
    texts = [str(m.get("content") or "") for m in found]
    return "\n".join([*texts, json.dumps(tools)] if tools else texts)


def vectors(given: JsonValue, size: int) -> list[list[float]]:
    """Return one made-up vector per text of an embeddings request: counts of hashed tokens."""
    texts = [str(text) for text in given] if isinstance(given, list) else [str(given)]
    out = []
    for text in texts:
        found = [0.0] * size
        for token in tokens(text.casefold()):
            found[zlib.crc32(token.strip().encode()) % size] += 1.0
        out.append(found)
    return out


def simplest(schema: JsonValue) -> JsonValue:
    """Return a value that fits a JSON Schema made of objects, enums, lists and texts."""
    if not isinstance(schema, dict):
        return {}
    enum, properties = schema.get("enum"), schema.get("properties")
    if isinstance(enum, list) and enum:
        return enum[-1]
    if isinstance(properties, dict):
        return {name: simplest(inner) for name, inner in properties.items()}
    kinds: dict[str, JsonValue] = {
        "array": [],
        "object": {},
        "integer": 0,
        "number": 0,
        "boolean": False,
    }
    return kinds.get(str(schema.get("type")), "")
