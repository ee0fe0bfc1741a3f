"""A listener for what was not meant for it: a logging proxy, and a logging target of redirects."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

from preceptor.agents.servers.scripted import Request, Response, ScriptedServer, Trouble

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Listener:
    """Takes every connection, keeps every byte, and answers that the gateway is bad.

    Attributes:
        received: All that came.
    """

    def __init__(self) -> None:
        self.received = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """The same as a URL; ``localhost`` tells it from the servers of a test."""
        return f"http://localhost:{self.port}"

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection: socket.socket) -> None:
        connection.settimeout(0.3)
        with connection:
            try:
                while said := connection.recv(65536):
                    self.received += said
            except OSError:
                pass
            try:
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._socket.close()


def moved(target: Listener, status: int = 307) -> Trouble:
    """Return the trouble that sends a caller on to the listener, request and all."""
    return Trouble(Response(b"", status, {"Location": f"{target.url}/v1/chat/completions"}))


class Mover(ScriptedServer):
    """Sends every caller on to a listener.

    Args:
        target: The listener.
    """

    def __init__(self, target: Listener) -> None:
        self._target = target
        super().__init__()

    def respond(self, request: Request) -> Response:
        """Return the redirect, with the request's own path."""
        return Response(b"", 307, {"Location": self._target.url + request.path})
