"""Traces at LangSmith: only where the settings ask for them, and through the gate like all else.

Owns the switch and the session that LangSmith's client sends with. Every request of it is a line of
``egress.jsonl``, under ``tracing``. What would send traces otherwise is off: see ``core.quiet``.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from preceptor.core import quiet, wire
from preceptor.core.address import parse
from preceptor.core.egress import Egress
from preceptor.core.errors import InputError
from preceptor.core.record import digest
from preceptor.core.settings import Settings

if TYPE_CHECKING:
    import requests

ON = {"LANGSMITH_TRACING": "true", "LANGSMITH_TRACING_V2": "true", "LANGCHAIN_TRACING_V2": "true"}
WHOLE = "a trace"


def start(settings: Settings, gate: Egress, environ: MutableMapping[str, str]) -> None:
    """Switch tracing on if the settings ask for it.

    Args:
        settings: Whether, and the policy.
        gate: Logs what is sent.
        environ: The environment to change: ``os.environ``.

    Raises:
        InputError: If the policy lets no trace out.
    """
    if settings.tracing == "off":
        return
    if settings.egress != "open":
        raise InputError(
            f"tracing is {settings.tracing!r}, and the policy is {settings.egress}: "
            "a trace holds whole prompts, and cannot be redacted",
            "leave tracing off, or set egress = 'open' if these notes may leave this machine",
        )
    from langsmith import run_trees

    session = _session(gate)
    client = run_trees.get_cached_client(session=session)
    # Made by whoever was first in this process; from now on it sends through this gate.
    client.session = session
    environ.update(ON)
    quiet.tell_tracer()


def _session(gate: Egress) -> requests.Session:
    """Return what LangSmith's client sends with."""
    import requests

    class Logged(requests.Session):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            address = parse(str(request.url).partition("?")[0], "LANGSMITH_ENDPOINT")
            if request.body is not None:
                data = _bytes(request)
                gate.check(address.url, len(data), digest(data), "tracing", WHOLE)
            found = wire.proxy(address)
            kwargs |= {"allow_redirects": False, "proxies": {address.scheme: found} if found else {}}
            said = super().send(request, **kwargs)
            if 300 <= said.status_code < 400:
                raise wire.moved(address.host, said.status_code, said.headers.get("location"))
            return said

    return Logged()


def _bytes(request: requests.PreparedRequest) -> bytes:
    """Return a request's body, which is one piece from now on: what is logged is what is sent."""
    body: Any = request.body
    if hasattr(body, "read"):
        body = body.read()
    elif not isinstance(body, str | bytes):
        body = b"".join(body)
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
    request.body = data
    request.headers.pop("Transfer-Encoding", None)
    request.headers["Content-Length"] = str(len(data))
    return data
