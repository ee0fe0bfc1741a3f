"""Where a model named by its spec really is: the address that text for it would go to.

Owns only that judgement, for teachers, students and embedders alike. A name that says nothing about
an address counts as remote. How names are read is ``core.served``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from preceptor.core import served
from preceptor.core.egress import Egress, is_local
from preceptor.core.served import IN_PROCESS, OLLAMA, OLLAMA_CLOUD, OPENAI

__all__ = ["IN_PROCESS", "OLLAMA", "OLLAMA_CLOUD", "OPENAI", "check", "is_remote", "of"]


def of(spec: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the URL that text for ``spec`` goes to, an empty text if it stays in this process.

    Raises:
        InputError: If its address is none.
    """
    return served.leads_to(served.read(spec), environ)


def is_remote(spec: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether text for ``spec`` leaves this machine."""
    url = of(spec, environ)
    return bool(url) and not is_local(url)


def check(spec: str, gate: Egress) -> None:
    """Refuse a model that the policy never lets hear anything, before anything is sent.

    Raises:
        InputError: If it is one.
    """
    if url := of(spec):
        gate.refuse(url)
