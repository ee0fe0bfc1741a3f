"""Checkpoints that are whole: a marker of our own is written last.

Owns which checkpoint a killed job goes on from. The trainer writes a checkpoint file by file; a process
that dies meanwhile leaves a torn one, which the trainer itself would choose. A checkpoint counts once
``complete.json`` names all its files with their hashes, and they still match; if it is of the job that
goes on; and if the checkpoint of the best step until then, which is kept beside it, counts, too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from pydantic import ValidationError

from preceptor.core.files import compact, write_whole
from preceptor.core.record import Record

MARKER = "complete.json"


class Marker(Record):
    """What a whole checkpoint holds.

    Attributes:
        job: The job's fingerprint.
        files: SHA-256 by file name.
        seconds: Training seconds up to it, over all processes.
        tokens: Tokens read up to it.
        best: The step that has done best on the patients aside until then, None if none is validated.
    """

    job: str
    files: dict[str, str]
    seconds: float
    tokens: int
    best: int | None = None


def _hashes(folder: Path, durably: bool = False) -> dict[str, str]:
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MARKER):
        with path.open("rb") as stream:
            found[str(path.relative_to(folder))] = hashlib.file_digest(stream, "sha256").hexdigest()
            if durably:
                os.fsync(stream.fileno())
    return found


def mark(folder: Path, job: str, seconds: float, tokens: int, best: int | None = None) -> None:
    """Declare a checkpoint whole; the arguments are those of ``Marker``."""
    files = _hashes(folder, durably=True)
    marker = Marker(job=job, files=files, seconds=seconds, tokens=tokens, best=best)
    write_whole(folder / MARKER, compact(marker.model_dump(mode="json")))


def at(root: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return root / f"checkpoint-{step}"


def read(folder: Path) -> Marker | None:
    """Return what a checkpoint holds, None if it is torn or damaged."""
    try:
        marker = Marker.from_json((folder / MARKER).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None
    return marker if _hashes(folder) == marker.files else None


def last(root: Path, job: str) -> tuple[Path, Marker] | None:
    """Return the latest checkpoint that a job can go on from, None if there is none."""
    for step in _steps(root):
        marker = read(at(root, step))
        if marker is None or marker.job != job:
            continue
        if marker.best in (None, step) or read(at(root, marker.best or 0)) is not None:
            return at(root, step), marker
    return None


def drop_after(root: Path, found: Path | None) -> list[str]:
    """Remove the checkpoints after the one that is gone on from.

    The trainer would take them for its own.

    Returns:
        Their names.
    """
    first = int(found.name.rpartition("-")[2]) if found is not None else 0
    dropped = [at(root, step) for step in _steps(root) if step > first]
    for folder in dropped:
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in dropped]


def drop_torn(root: Path) -> None:
    """Remove checkpoints that were never declared whole."""
    for step in _steps(root):
        if not (at(root, step) / MARKER).is_file():
            shutil.rmtree(at(root, step), ignore_errors=True)


def held(root: Path) -> int:
    """Return how many bytes all checkpoints take."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def _steps(root: Path) -> list[int]:
    """Return the steps that have a checkpoint, the latest first."""
    numbers = (p.name.rpartition("-")[2] for p in root.glob("checkpoint-*"))
    return sorted((int(n) for n in numbers if n.isdigit()), reverse=True)
