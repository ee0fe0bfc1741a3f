"""Checkpoints that are whole: a marker of our own is written last.

Owns which checkpoint a killed job goes on from. The trainer writes a checkpoint file by file; a process
that dies meanwhile leaves a torn one, which the trainer itself would choose. A checkpoint counts once
``complete.json`` names all its files with their hashes, and they still match.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pydantic import ValidationError

from preceptor.core.files import compact, write_whole
from preceptor.core.record import Record

MARKER = "complete.json"


class Marker(Record):
    """What a whole checkpoint holds.

    Attributes:
        files: SHA-256 by file name.
        seconds: Training seconds up to it, over all processes.
        tokens: Tokens read up to it.
    """

    files: dict[str, str]
    seconds: float
    tokens: int


def _hashes(folder: Path, durably: bool = False) -> dict[str, str]:
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MARKER):
        with path.open("rb") as stream:
            found[str(path.relative_to(folder))] = hashlib.file_digest(stream, "sha256").hexdigest()
            if durably:
                os.fsync(stream.fileno())
    return found


def mark(folder: Path, seconds: float, tokens: int) -> None:
    """Declare a checkpoint whole."""
    marker = Marker(files=_hashes(folder, durably=True), seconds=seconds, tokens=tokens)
    write_whole(folder / MARKER, compact(marker.model_dump(mode="json")))


def read(folder: Path) -> Marker | None:
    """Return what a checkpoint holds, None if it is torn or damaged."""
    try:
        marker = Marker.from_json((folder / MARKER).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None
    return marker if _hashes(folder) == marker.files else None


def last(root: Path) -> tuple[Path, Marker] | None:
    """Return the latest whole checkpoint, None if there is none."""
    numbered = [(p.name.rpartition("-")[2], p) for p in root.glob("checkpoint-*")]
    for _, folder in sorted(((int(n), p) for n, p in numbered if n.isdigit()), reverse=True):
        marker = read(folder)
        if marker is not None:
            return folder, marker
    return None
