"""What a teacher's server says about its model: how much it reads, and whether it takes tools.

Owns the requests that tell, none of which holds a word of a note: Ollama's ``/api/show``, the list of
models of an OpenAI-compatible server, and llama.cpp's ``/props``. A server that tells nothing is no
error. Leaves what follows from it to ``agents.chat``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue

from preceptor.core import keys, wire
from preceptor.core import served as names
from preceptor.core.errors import PreceptorError, TeacherError

if TYPE_CHECKING:
    import httpx

SECONDS = 5.0
"""For one of these requests."""


@dataclass(frozen=True)
class Served:
    """A model at its server.

    Attributes:
        context: The most tokens of prompt and answer, None if nobody says.
        tools: Whether it takes tools, None if nobody says.
        missing: Whether the server is there and does not have the model.
        thinks: Whether it may write thoughts before its answer.
    """

    context: int | None = None
    tools: bool | None = None
    missing: bool = False
    thinks: bool = False


def of(spec: str, api_key: str = "", named: Mapping[str, str] | None = None) -> Served:
    """Return what the server of a teacher tells; nothing if it does not answer.

    Args:
        spec: The teacher, as a run names it. Only a server of one's own is asked.
        api_key: What it asks for, if anything; the server's own, see ``core.keys``, if empty.
        named: The variables that hold the keys of servers, as in the settings (``api_key_env``).
    """
    import httpx

    found = names.read(spec)
    if found.kind not in ("ollama", "openai") or (found.kind == "openai" and not found.url):
        return Served()
    ollama = found.kind == "ollama"
    address = names.ollama(found.url) if ollama else names.openai(found.url)
    key = api_key or (keys.ollama if ollama else keys.openai)(address, named or {})
    try:
        with wire.client(address, SECONDS, key) as client:
            tell = _ollama if ollama else _openai
            return tell(client, address.url, found.model)
    except wire.Redirected as moved:
        raise TeacherError(f"teacher {spec!r}: {moved.message}", moved.hint) from moved
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, PreceptorError):
        return Served()


def _object(value: object) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _ollama(client: httpx.Client, url: str, name: str) -> Served:
    said = client.post(f"{url}/api/show", json={"model": name})
    if said.status_code == 404:
        return Served(missing=True)
    about = _object(said.json()) if said.is_success else {}
    info, able = _object(about.get("model_info")), about.get("capabilities")
    context = _whole(info.get(f"{info.get('general.architecture')}.context_length"))
    known = able if isinstance(able, list) else None
    tools = "tools" in known if known is not None else None
    return Served(context, tools, thinks="thinking" in (known or ()))


def _openai(client: httpx.Client, url: str, name: str) -> Served:
    listed = _told(lambda: client.get(f"{url}/models")).get("data")
    context = None
    for model in map(_object, listed if isinstance(listed, list) else ()):
        if model.get("id") == name:
            sizes = (model.get(key) for key in ("max_model_len", "context_length", "context_window"))
            context = next(filter(None, map(_whole, sizes)), None)
    props = _told(lambda: client.get(f"{url.removesuffix('/v1')}/props"))
    if "default_generation_settings" not in props:
        return Served(context)
    # Only llama.cpp has these; it passes over the tools of a template that has no place for them.
    slot, able = (_object(props.get(k)) for k in ("default_generation_settings", "chat_template_caps"))
    tools = able.get("supports_tools")
    return Served(_whole(slot.get("n_ctx")) or context, tools if isinstance(tools, bool) else None)


def _told(ask: Callable[[], httpx.Response]) -> Mapping[str, JsonValue]:
    """Return the object that a server answers with, empty if it has none."""
    import httpx

    try:
        said = ask()
        return _object(said.json()) if said.is_success else {}
    except (httpx.HTTPError, ValueError):
        return {}
