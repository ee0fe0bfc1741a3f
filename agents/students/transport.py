"""How a student's requests travel: plain HTTP/1.1 over kept connections that can be hung up.

Owns the sockets of the clients that students use, for two reasons. A request that nobody waits for any
more must end at once, so that the server stops working on it; the clients' own transports cannot be
interrupted from another thread. And they spend twice as long on a call as all the rest of it, which
counts where many calls are under way. Whatever goes through a proxy keeps the client's own transport.
"""

from __future__ import annotations

import importlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import httpx

HangUp = Callable[[Collection[int]], None]
"""Ends what the threads with these identities are asking."""

PORTS = {"http": 80, "https": 443}


@dataclass
class _Line:
    """One request under way: its connection, once there is one, and whether it was hung up."""

    link: socket.socket | None
    hung_up: bool = False

    def hang_up(self) -> None:
        self.hung_up = True
        if self.link is not None:
            # Closing would not wake the thread that reads; a TLS socket would drop its state as well.
            with suppress(OSError):
                socket.socket.shutdown(self.link, socket.SHUT_RDWR)


class Wire:
    """A transport of ``httpx``, or of a library with its interface.

    Args:
        lib: The library whose responses and errors it speaks in.
    """

    def __init__(self, lib: ModuleType) -> None:
        self._lib = lib
        self._lock = threading.Lock()
        self._idle: dict[str, list[socket.socket]] = {}
        self._busy: dict[int, _Line] = {}
        self._trust: ssl.SSLContext | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, read to the end.

        Raises:
            httpx.TransportError: The library's own, by what failed.
        """
        where = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
        message = self._head(request)
        line = _Line(self._kept(where))
        with self._lock:
            self._busy[threading.get_ident()] = line
        stage, again = "Connect", False
        try:
            waits = request.extensions.get("timeout", {})
            if line.link is None:
                line.link = self._connected(request.url, waits.get("connect"))
            stage = "Write"
            if line.hung_up:
                raise ConnectionAbortedError("hung up")
            line.link.settimeout(waits.get("write"))
            _send(line.link, message, cast("Iterable[bytes]", request.stream))
            stage = "Read"
            line.link.settimeout(waits.get("read"))
            response, again = self._read(line.link, request)
            return response
        except TimeoutError as error:
            raise self._error(f"{stage}Timeout", error, request) from error
        except HTTPException as error:
            raise self._error("RemoteProtocolError", error, request) from error
        except OSError as error:
            raise self._error(f"{stage}Error", error, request) from error
        finally:
            self._end(line, where if again else "")

    def hang_up(self, threads: Collection[int]) -> None:
        """End the requests of these threads at once; they fail there."""
        with self._lock:
            for thread in threads:
                if thread in self._busy:
                    self._busy[thread].hang_up()

    def close(self) -> None:
        """Close all connections. May be called twice."""
        with self._lock:
            kept = [one for found in self._idle.values() for one in found]
            self._idle.clear()
            for line in self._busy.values():
                line.hang_up()
        for one in kept:
            one.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _head(self, request: httpx.Request) -> bytes:
        lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
        lines += [b"%s: %s" % pair for pair in request.headers.raw]
        if any(b"\n" in one or b"\r" in one for one in lines):
            error = ValueError("a header has a line break in it")
            raise self._error("LocalProtocolError", error, request)
        return b"\r\n".join([*lines, b"", b""])

    def _kept(self, where: str) -> socket.socket | None:
        """Return a kept connection that the server has not closed meanwhile."""
        while True:
            with self._lock:
                found = self._idle.get(where)
                one = found.pop() if found else None
            if one is None or not _is_readable(one):
                return one
            one.close()

    def _connected(self, url: httpx.URL, wait: float | None) -> socket.socket:
        host = url.raw_host.decode("ascii")
        made = socket.create_connection((host, url.port or PORTS[url.scheme]), wait)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if url.scheme == "http":
            return made
        if self._trust is None:
            self._trust = cast("ssl.SSLContext", self._lib.create_ssl_context())
        try:
            return self._trust.wrap_socket(made, server_hostname=host)
        except OSError:
            made.close()
            raise

    def _read(self, connection: socket.socket, request: httpx.Request) -> tuple[httpx.Response, bool]:
        """Return the response, and whether the connection can take another request."""
        got = HTTPResponse(connection, method=request.method)
        try:
            got.begin()
            content = got.read()
            response = self._lib.Response(
                got.status,
                headers=[(k.encode("latin-1"), v.encode("latin-1")) for k, v in got.getheaders()],
                stream=self._lib.ByteStream(content),
                request=request,
                extensions={"http_version": b"HTTP/1.1", "reason_phrase": got.reason.encode("latin-1")},
            )
            return cast("httpx.Response", response), not got.will_close
        finally:
            got.close()

    def _end(self, line: _Line, keep: str) -> None:
        with self._lock:
            self._busy.pop(threading.get_ident(), None)
            if keep and line.link is not None and not line.hung_up:
                self._idle.setdefault(keep, []).append(line.link)
                return
        if line.link is not None:
            line.link.close()

    def _error(self, name: str, error: Exception, request: httpx.Request) -> Exception:
        words = str(error) or type(error).__name__
        return cast("Exception", getattr(self._lib, name)(words, request=request))


def install(client: httpx.Client) -> HangUp:
    """Let a client of ``httpx`` or ``httpx2`` send over a wire, unless a proxy is in between.

    Returns:
        What hangs up; it does nothing where the client keeps its own transport.
    """
    own = client._transport
    if client._transport_for_url(client.base_url) is not own:
        return lambda threads: None
    wire = Wire(importlib.import_module(type(own).__module__.partition(".")[0]))
    own.close()
    client._transport = cast("httpx.BaseTransport", wire)
    return wire.hang_up


def _send(connection: socket.socket, head: bytes, body: Iterable[bytes]) -> None:
    """Send head and body, in one piece where the body is one."""
    chunked = b"\r\ntransfer-encoding: chunked" in head.lower()
    for piece in body:
        framed = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked and piece else piece
        connection.sendall(head + framed)
        head = b""
    connection.sendall(head + (b"0\r\n\r\n" if chunked else b""))


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
