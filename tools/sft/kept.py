"""Trained weights where they are looked for, under their content hash.

Owns that they are whole: each file is compared with the hash that the result of their training names,
once per process and change. A job keeps a copy of its own, of which damaged or missing ones are made
anew.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from preceptor.core import private
from preceptor.core.files import store_error
from preceptor.tools.sft import base
from preceptor.tools.sft.job import Result

_SEEN: dict[str, tuple[int, int, str]] = {}
"""Size, time of the last change and hash of files that were read."""


def is_whole(folder: Path, result: Result) -> bool:
    """Tell whether a folder holds the weights of a result, undamaged, and the note about them."""
    try:
        about = base.About.from_json((folder / base.ABOUT).read_bytes())
        names = {path.name for path in folder.iterdir() if path.is_file()} - {base.ABOUT}
        return (
            about.adapter == result.adapter
            and names == result.files.keys()
            and _match(folder, result.files)
        )
    except (OSError, ValidationError, ValueError):
        return False


def _match(folder: Path, files: Mapping[str, str]) -> bool:
    return all(_hash(folder / name) == digest for name, digest in files.items())


def _hash(path: Path) -> str:
    """Return the SHA-256 of a file, read again only if its size or time has changed."""
    stat = path.stat()
    size, changed, known = _SEEN.get(str(path), (-1, -1, ""))
    if (size, changed) == (stat.st_size, stat.st_mtime_ns):
        return known
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    _SEEN[str(path)] = (stat.st_size, stat.st_mtime_ns, found)
    return found


def publish(own: Path, kept: Path, result: Result) -> None:
    """Copy weights to where they are looked for, whole or not at all; damaged ones there are replaced.

    Raises:
        StoreError: If the disk refuses.
    """
    name = f".{kept.name}.{uuid.uuid4().hex[:8]}"
    temporary, damaged = kept.with_name(f"{name}.tmp"), kept.with_name(f"{name}.old")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(own, temporary)
        if kept.is_dir() and not is_whole(kept, result):
            kept.rename(damaged)
        private.close(temporary)
        temporary.rename(kept)
    except OSError as cause:
        if not is_whole(kept, result):  # else somebody else has put them there meanwhile
            raise store_error("write", kept, cause) from cause
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(damaged, ignore_errors=True)
