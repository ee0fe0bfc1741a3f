"""Which server a model's name stands for: ``openai:NAME@URL``, ``ollama:NAME`` and ``OLLAMA_HOST``.

Owns the one reading of such names, for students, teachers, labellers and embedders alike. What it
returns is given to the gate and to the client, so that the two cannot differ.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from preceptor.core.address import Address, parse
from preceptor.core.errors import InputError

IN_PROCESS = ("rules", "nano", "hf", "scripted", "simulated", "st", "fastembed", "hash")
"""Kinds whose texts stay in this process: teachers, students, embedders."""

OPENAI = "https://api.openai.com/v1"
OLLAMA = "http://127.0.0.1:11434"
OLLAMA_CLOUD = "https://ollama.com"
OLLAMA_PORT = 11434

OPENAI_NAMES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
"""Where the user's own server instead of OpenAI's may stand; the first that is set counts."""


@dataclass(frozen=True)
class Named:
    """A model's name, taken apart.

    Attributes:
        kind: ``openai``, ``ollama``, ``nano`` …
        model: What it is called there.
        url: The server as it is written after the ``@``; empty if none is.
    """

    kind: str
    model: str
    url: str = ""


def read(spec: str) -> Named:
    """Take a model's name apart.

    Raises:
        InputError: If it holds a second ``@``, or a URL where none belongs.
    """
    kind, _, rest = spec.partition(":")
    if kind not in ("openai", "ollama"):
        # Names of other providers may hold an @ of their own.
        if kind not in IN_PROCESS and "://" in rest:
            raise InputError(
                f"a model of {kind!r} takes no URL", "only openai:NAME@URL and ollama:NAME@URL do"
            )
        return Named(kind, rest)
    model, at, url = rest.partition("@")
    if "@" in url:
        raise InputError(
            f"the name of a model of {kind!r} holds a second '@'",
            f"write {kind}:NAME@http://HOST:PORT, without a user name or password",
        )
    if (at and not (model and url)) or "://" in model:
        raise InputError(
            f"the name of a model of {kind!r} is not readable", f"write {kind}:NAME@http://HOST:PORT"
        )
    return Named(kind, model, url)


def openai(url: str = "", environ: Mapping[str, str] = os.environ) -> Address:
    """Return OpenAI's server, or one like it.

    Args:
        url: As it is named; the environment's, or OpenAI's own, if empty.
        environ: Where ``OPENAI_BASE_URL`` may stand.

    Raises:
        InputError: If it is no address.
    """
    if url:
        return parse(url, "the model's name")
    return next((parse(environ[n], n) for n in OPENAI_NAMES if environ.get(n)), parse(OPENAI))


def ollama(url: str = "", environ: Mapping[str, str] = os.environ) -> Address:
    """Return an Ollama server, its address read as Ollama reads it.

    Args:
        url: As it is named; the environment's, or the usual one, if empty.
        environ: Where ``OLLAMA_HOST`` may stand.

    Raises:
        InputError: If it is no address.
    """
    text, name = (url, "the model's name") if url else (environ.get("OLLAMA_HOST", ""), "OLLAMA_HOST")
    text = (text or OLLAMA).strip()
    here = f"127.0.0.1{text}" if text.startswith(":") else text
    return parse(here, name, None if "://" in here else OLLAMA_PORT)


def leads_to(named: Named, environ: Mapping[str, str] = os.environ) -> str:
    """Return the URL that a model's texts go to in the end; empty if they stay in this process.

    Raises:
        InputError: If its server's address is none.
    """
    if named.kind in IN_PROCESS or not named.kind:
        return ""
    if named.kind == "openai":
        return openai(named.url, environ).url
    if named.kind == "ollama":
        address = ollama(named.url, environ)
        # Ollama itself passes these on to its makers' servers.
        passed_on = named.model.casefold().endswith((":cloud", "-cloud"))
        return OLLAMA_CLOUD if passed_on else address.url
    return f"https://{named.kind}.invalid"
