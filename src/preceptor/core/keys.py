"""Which server is sent which key: a key goes where its owner said, and nowhere else.

Owns the rule. ``OPENAI_API_KEY`` is for OpenAI, and for the server that the user's own
``OPENAI_BASE_URL`` names; ``OLLAMA_API_KEY`` for Ollama's makers and the user's own ``OLLAMA_HOST``.
Any other server, one in the name of a model or a bundle among them, is sent a key only if
``api_key_env`` names the variable that holds it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from preceptor.core import served
from preceptor.core.address import Address, parse
from preceptor.core.errors import InputError

OPENAI, OLLAMA, QDRANT = "OPENAI_API_KEY", "OLLAMA_API_KEY", "QDRANT_API_KEY"

HINT = "name the variable that holds its key: api_key_env (docs/configuration.md)"


def openai(address: Address, named: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> str:
    """Return the key for a server of the OpenAI protocol; empty for none.

    Args:
        address: The server.
        named: Variables that hold keys, by server, as in the settings.
        environ: Where keys are.

    Raises:
        InputError: If the variable that is named for the server is not set.
    """
    own = [parse(served.OPENAI), served.openai("", environ)]
    return _key(address, named, environ, OPENAI if _is_one(address, own) else "")


def ollama(address: Address, named: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> str:
    """Return the key for an Ollama server; arguments and errors are those of ``openai``."""
    own = [parse(served.OLLAMA_CLOUD), served.ollama("", environ)]
    return _key(address, named, environ, OLLAMA if _is_one(address, own) else "")


def qdrant(address: Address, named: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> str:
    """Return the key for the Qdrant server that the settings name; as ``openai``."""
    return _key(address, named, environ, QDRANT)


def variable(address: Address, named: Mapping[str, str]) -> str:
    """Return the name of the variable that holds a server's key; empty if none is named.

    Raises:
        InputError: If a server in ``named`` is none.
    """
    for server, name in named.items():
        told = parse(server, f"api_key_env: {server.rpartition('@')[2]!r}")
        same = told.door == address.door if "://" in server else told.host == address.host
        if same and (told.port is None or told.door[2] == address.door[2]):
            return name
    return ""


def _key(address: Address, named: Mapping[str, str], environ: Mapping[str, str], usual: str) -> str:
    name = variable(address, named)
    if name and not environ.get(name):
        raise InputError(
            f"the key for {address.host!r} is not there", f"set {name}, as api_key_env says"
        )
    return environ.get(name or usual, "") if name or usual else ""


def _is_one(address: Address, own: list[Address]) -> bool:
    return address.door in [one.door for one in own]
