"""How every client of ours connects: to the address that the gate judged, and nowhere else.

Owns three rules and the one place where they stand. No redirect is followed: a 3xx is an error that
names where it points. What is meant for this machine goes through no proxy; what goes elsewhere goes
through the environment's, and the gate's log says so. A request to another host than the one that was
read is not sent.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from preceptor.core.address import Address
from preceptor.core.errors import InputError, StudentError

if TYPE_CHECKING:
    import httpx

CONNECTIONS, KEPT = 1024, 100
"""As many as ``concurrency`` may be, and how many stay open when nobody asks."""

_SHOWN = re.compile(r"[a-z0-9.:_-]{1,253}")


class Redirected(StudentError):
    """A server that points elsewhere: what was meant for it is not sent there."""


class _Url(Protocol):
    @property
    def host(self) -> str: ...


class _Request(Protocol):
    """A request of httpx, or of the library that has its place in newer clients."""

    @property
    def url(self) -> _Url: ...

    @property
    def headers(self) -> Any: ...


class _Response(Protocol):
    """A response of either."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Any: ...

    @property
    def request(self) -> Any: ...


def refuse_redirect(response: _Response) -> None:
    """Refuse an answer that points elsewhere; a hook for responses.

    Raises:
        Redirected: If it does.
    """
    if 300 <= response.status_code < 400:
        asked = str(response.request.url.host)
        raise moved(asked, response.status_code, response.headers.get("location"))


def moved(asked: str, status: int, location: str | None) -> Redirected:
    """Return the error for an answer that points elsewhere.

    Args:
        asked: The host that was asked.
        status: What it answered with.
        location: Where it points, as it says.
    """
    there = _host(location, asked)
    to = f"to {there!r}" if there else "and does not say where to"
    return Redirected(
        f"{asked!r} sends its callers on {to} (status {status}); nothing was sent there",
        "if that is the server, write its own address",
    )


def redirected(error: BaseException | None) -> Redirected | None:
    """Return the redirect behind an error that a client made of it, None if there is none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, Redirected):
            return error
        seen.add(id(error))
        # Qdrant's client keeps what went wrong under a name of its own.
        error = getattr(error, "source", None) or error.__cause__ or error.__context__
    return None


def proxy(address: Address) -> str:
    """Return the proxy that leads to an address; empty for none, and always for this machine.

    Raises:
        InputError: If there is one that cannot be used.
    """
    if address.is_local:
        return ""
    known = urllib.request.getproxies()
    found = known.get(address.scheme) or known.get("all") or ""
    _, host, port = address.door
    if not found or urllib.request.proxy_bypass(f"{host}:{port}"):
        return ""
    found = found if "://" in found else f"http://{found}"
    if proxy_host(found) == "":
        raise InputError("the environment's proxy is no address", "write HTTPS_PROXY=http://HOST:PORT")
    if found.startswith("socks") and find_spec("socksio") is None:
        raise InputError("a SOCKS proxy needs a package more", "pip install 'httpx[socks]'")
    return found


def proxy_host(url: str) -> str:
    """Return host and port of a proxy, without what it is asked with; empty if it is no address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    usable = parts.scheme in ("http", "https", "socks5", "socks5h") and _SHOWN.fullmatch(host)
    return (host if port is None else f"{host}:{port}") if usable else ""


def settings(address: Address, library: str = "httpx", key: str | None = None) -> dict[str, Any]:
    """Return the arguments of a client for one server.

    Args:
        address: The server.
        library: Whose client it is: ``httpx``, or ``httpx2``.
        key: What the server is asked with, where the client itself would take one from the
            environment for whatever server it asks; empty for none. None leaves the client's own.
    """
    http = import_module(library)
    limits = http.Limits(max_connections=CONNECTIONS, max_keepalive_connections=KEPT)
    by = proxy(address)
    return {
        # A transport of our own keeps the client from reading the environment's proxies.
        "transport": http.HTTPTransport(limits=limits),
        "mounts": {"all://": http.HTTPTransport(limits=limits, proxy=by)} if by else {},
        "follow_redirects": False,
        "event_hooks": {"request": [_only(address, key)], "response": [refuse_redirect]},
    }


def client(address: Address, timeout: float, key: str | None = None) -> httpx.Client:
    """Return a client for one server; paths are added to its address; ``key`` as for ``settings``."""
    import httpx

    return httpx.Client(base_url=address.url, timeout=timeout, **settings(address, key=key))


def seal(made: object, depth: int = 4) -> None:
    """Switch redirects off in the clients of a library whose makers give no other way.

    Args:
        made: What holds the clients, in its attributes or theirs.
        depth: How far down they are looked for.
    """
    # Some make their client when it is first asked for.
    late = [getattr(made, name, None) for name in ("_client", "client", "root_client", "async_client")]
    for held in (*late, *list(getattr(made, "__dict__", {}).values())):
        if held is None:
            continue
        if hasattr(held, "follow_redirects") and hasattr(held, "event_hooks"):
            held.follow_redirects = False
        elif depth and hasattr(held, "__dict__") and not isinstance(held, type):
            seal(held, depth - 1)


def openai_client(address: Address, timeout: float) -> Any:
    """Return what the OpenAI library sends with."""
    from openai import DefaultHttpxClient

    library = next(
        base.__module__.partition(".")[0]
        for base in DefaultHttpxClient.__mro__
        if base.__module__.startswith("httpx")
    )
    return DefaultHttpxClient(timeout=timeout, **settings(address, library))


def openai_async_client() -> Any:
    """Return what stands where LangChain wants a client that nobody asks: it takes nothing on."""
    from openai import DefaultAsyncHttpxClient

    return DefaultAsyncHttpxClient(follow_redirects=False, trust_env=False)


def _only(address: Address, key: str | None) -> Callable[[_Request], None]:
    """Return a hook that lets no request go elsewhere, and sets what the server is asked with."""

    def check(request: _Request) -> None:
        if str(request.url.host).lower() != address.host:
            raise Redirected(f"a request to another host than {address.host!r} was not sent")
        if key is not None:
            request.headers.pop("authorization", None)
            if key:
                request.headers["authorization"] = f"Bearer {key}"

    return check


def _host(location: str | None, asked: str) -> str:
    """Return the host that a redirect names; empty if it names none that can be shown."""
    try:
        parts = urlsplit(location or "")
        host, port = parts.hostname or (asked if location else ""), parts.port
    except ValueError:
        return ""
    named = host if port is None else f"{host}:{port}"
    if parts.scheme and parts.hostname == asked:
        named = f"{parts.scheme}://{named}"
    return named if _SHOWN.fullmatch(host) else ""
