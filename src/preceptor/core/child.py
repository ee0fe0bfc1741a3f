"""Processes that this program starts with its own interpreter.

Owns their environment, and the one line that says why one of them ended. What they do is said where
they are started.
"""

from __future__ import annotations

import os
from pathlib import Path

import preceptor


def environ(**more: str) -> dict[str, str]:
    """Return this process's environment, in which ``preceptor`` is found, with ``more`` on top."""
    search = str(Path(preceptor.__file__).parents[1])
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (search, before))), **more}


def last_line(log: bytes) -> str:
    """Return the last line of what a process wrote, at most 200 characters."""
    lines = [line.strip() for line in log[-4000:].decode("utf-8", "replace").splitlines()]
    return next((line[:200] for line in reversed(lines) if line), "")
