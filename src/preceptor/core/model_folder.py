"""A model's folder by its content, for those who train it and those who ask it.

Owns which files hold the weights, and which decide what a model answers.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from preceptor.core.record import DIGEST_CHARS

_DECISIVE = (
    "config.json",
    "generation_config.json",  # which tokens end an answer
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)


def files(folder: Path) -> list[Path]:
    """Return the files of a model's weights: safetensors; pickles (``*.bin``) are never read."""
    return sorted(p for p in folder.iterdir() if p.suffix == ".safetensors")


def digest(folder: Path) -> str:
    """Return the content hash of a model: weights, configuration, tokenizer, chat template."""
    whole = hashlib.sha256()
    for file in [*files(folder), *(folder / n for n in _DECISIVE if (folder / n).is_file())]:
        with file.open("rb") as stream:
            whole.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()[:DIGEST_CHARS]


def known_digest(folder: Path) -> str:
    """Return what ``digest`` does; files that were not touched are read once per process."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    seen = tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file())
    return _hashed(folder, seen)


@lru_cache(maxsize=16)
def _hashed(folder: Path, _seen: tuple[tuple[str, int, int], ...]) -> str:
    return digest(folder)
