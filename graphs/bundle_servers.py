"""A bundle that sends notes away: found before anything is asked, refused unless its host is allowed.

Owns what counts as the bundle's own doing: a server in the name of its student or of its index's
embedder, OpenAI's own, a cloud model of Ollama's. A server that the user's environment names
(``OLLAMA_HOST``, ``OPENAI_BASE_URL``) is the user's doing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from preceptor.core import served
from preceptor.core.address import parse
from preceptor.core.errors import InputError
from preceptor.core.settings import Settings
from preceptor.graphs import bundle, retrieval


@dataclass(frozen=True)
class Sender:
    """Who of a bundle sends notes away.

    Attributes:
        who: ``student`` or ``embedder``.
        spec: Its name.
        host: Where to.
    """

    who: str
    spec: str
    host: str


def senders(folder: Path, settings: Settings, environ: Mapping[str, str] = os.environ) -> list[Sender]:
    """Return who of a bundle sends notes to a server that the bundle names.

    Args:
        folder: The bundle, or a finished run.
        settings: The user's own embedder.
        environ: Servers of the user's own.

    Raises:
        InputError: If it is no bundle, or a name in it cannot be read.
    """
    recipe = bundle.read(folder).recipe
    found = [("student", recipe.model.spec)]
    if recipe.index is not None and not settings.embedder:
        named = retrieval.embedder_named(recipe.index, retrieval.snapshots(bundle.place(folder)))
        found += [("embedder", named)] if named else []
    hosts = [(who, spec, _host(spec, environ)) for who, spec in found]
    return [Sender(who, spec, host) for who, spec, host in hosts if host]


def check(found: Collection[Sender], allowed: Collection[str]) -> None:
    """Refuse a bundle that sends notes where nobody said that they may go.

    Args:
        found: What ``senders`` found.
        allowed: Hosts that may be sent notes.

    Raises:
        InputError: Naming the first host that is not among them.
    """
    for one in found:
        if one.host not in [host.strip().lower() for host in allowed]:
            raise InputError(
                f"this bundle sends notes to {one.host!r}: its {one.who} is {one.spec!r}",
                f"if they may go there: --allow-remote {one.host}",
            )


def _host(spec: str, environ: Mapping[str, str]) -> str:
    """Return the host that a name of the bundle's sends notes to; empty for this machine."""
    named = served.read(spec)
    own = named.kind == "openai" and any(environ.get(name) for name in served.OPENAI_NAMES)
    url = served.leads_to(named, environ)
    if not url or (not named.url and own):
        return ""
    # An Ollama server without a URL is the user's; its makers' cloud is not.
    if named.kind == "ollama" and not named.url and url != served.OLLAMA_CLOUD:
        return ""
    address = parse(url)
    return "" if address.is_local else address.host
