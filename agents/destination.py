"""Where a model named by its spec really is: the address that text for it would go to.

Owns only that judgement, for teachers, students and embedders alike. A name that says nothing about
an address counts as remote.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from preceptor.core.egress import Egress, is_local

IN_PROCESS = ("rules", "nano", "hf", "scripted", "simulated", "st", "fastembed", "hash")
"""Kinds whose texts stay in this process: teachers, students, embedders."""

OPENAI = "https://api.openai.com/v1"
OLLAMA = "http://127.0.0.1:11434"
OLLAMA_CLOUD = "https://ollama.com"


def of(spec: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the URL that text for ``spec`` goes to, an empty text if it stays in this process."""
    kind, _, rest = spec.partition(":")
    if kind in IN_PROCESS or not spec:
        return ""
    name, _, url = rest.rpartition("@") if "://" in rest else (rest, "", "")
    if kind == "openai":
        named = [url] if url else [environ.get(n, "") for n in ("OPENAI_API_BASE", "OPENAI_BASE_URL")]
        return _farthest([u for u in named if u] or [OPENAI])
    if kind == "ollama":
        # Ollama itself passes these on to its makers' servers.
        if name.casefold().endswith((":cloud", "-cloud")):
            return OLLAMA_CLOUD
        return _reachable(url or environ.get("OLLAMA_HOST", "") or OLLAMA)
    return f"https://{kind}.invalid"


def is_remote(spec: str) -> bool:
    """Return whether text for ``spec`` leaves this machine."""
    url = of(spec)
    return bool(url) and not is_local(url)


def check(spec: str, gate: Egress) -> None:
    """Refuse a model that the policy never lets hear anything, before anything is sent.

    Raises:
        InputError: If it is one.
    """
    if url := of(spec):
        gate.refuse(url)


def _farthest(urls: list[str]) -> str:
    return next((u for u in urls if not is_local(u)), urls[0])


def _reachable(url: str) -> str:
    """Return Ollama's address; what it listens on everywhere is reached on this machine."""
    for anywhere in ("0.0.0.0", "[::]"):
        if url.removeprefix("http://").startswith(anywhere):
            return OLLAMA
    return url if url.split(":")[0] else f"127.0.0.1{url}"
