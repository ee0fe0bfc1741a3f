"""What stands behind a student that Ollama serves: its base on the server, and the file of its weights.

Owns asking the server for it, the check that the base is still the one that a run began with, and the
finding of the served GGUF file on this machine, by content hash: what is trained is what is served
where that file is here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from preceptor.agents.publish import Publisher, Shown
from preceptor.core import model_home
from preceptor.core.egress import is_local
from preceptor.core.errors import InputError, PreceptorError, StudentError
from preceptor.core.folders import put_in_place
from preceptor.core.settings import Settings, masked
from preceptor.tools.sft.routes import Ground

LARGEST = 1 << 31
"""Bytes of a GGUF file up to which it is taken out of its blocks without being asked."""


@dataclass(frozen=True)
class Base:
    """A student's base on its server.

    Attributes:
        name: What Ollama calls it.
        digest: The server's.
        shown: What else the server says of it.
    """

    name: str
    digest: str = ""
    shown: Shown = field(default_factory=Shown)


def of(publisher: Publisher, name: str) -> Base:
    """Return a base as it is on a server; without a digest if it is not there.

    Raises:
        StudentError: If the server is gone.
    """
    found = publisher.digests().get(name, "")
    return Base(name, found, publisher.shown(name)) if found else Base(name)


def check_same(base: Base, wanted: str, url: str) -> None:
    """Refuse a base that is not the one that a run began with.

    Raises:
        InputError: If the server has another model of that name now, or none.
    """
    if wanted and base.digest != wanted:
        found = f"is another model now ({base.digest})" if base.digest else "is gone"
        raise InputError(
            f"the served base {base.name!r} {found}: this run began with {wanted}",
            f"put it back on {masked(url)}, or start a new run: preceptor refine",
        )


def ground(folder: Path, base: Base | None, settings: Settings) -> Ground:
    """Return what a way back is chosen from.

    Args:
        folder: The base model's weights here.
        base: The base on the server; None if it was not asked.
        settings: Where llama.cpp's converter and models are.
    """
    shown = base.shown if base is not None else Shown()
    kind = shown.architecture
    return Ground(
        folder=folder,
        served="" if shown.form != "gguf" else kind,
        form=shown.form,
        file=file_of(shown, settings.models_dir) if base is not None else None,
        converter=settings.llama_cpp is not None,
    )


def file_of(shown: Shown, models: Path | None) -> Path | None:
    """Return the served GGUF file where it is on this machine, None if it is not.

    It is looked for among the models that were fetched by name, and where the server says it lies.
    """
    if not shown.blob:
        return None
    for slip in model_home.listed(models):
        for name, stamp in slip.files.items():
            if stamp.sha256 == shown.blob:
                return model_home.place(slip.name, models) / name
    told = Path(shown.file)
    for place in (told, *(folder / told.name for folder in _blobs())):
        if place.is_file() and _sha256(place, place.stat().st_mtime_ns) == shown.blob:
            return place
    return None


def served_weights(name: str, settings: Settings) -> Path | None:
    """Return the folder of the very weights that Ollama serves, taken out of their blocks.

    Args:
        name: The student's name at Ollama.
        settings: Where models are.

    Returns:
        None if the file is not on this machine, cannot be read here, or the server is gone.
    """
    try:
        publisher = Publisher()
    except PreceptorError:
        return None
    try:
        if not is_local(publisher.url):
            return None
        shown = publisher.shown(name)
    except StudentError:
        return None
    finally:
        publisher.close()
    file = None if shown.adapted else file_of(shown, settings.models_dir)
    if file is None:
        return None
    if (file.parent / "config.json").is_file() and (file.parent / model_home.SLIP).is_file():
        return file.parent
    place = model_home.place(_folder(shown), settings.models_dir)
    return _taken_out(file, shown.blob, place)


def is_taken_out(shown: Shown, folder: Path) -> bool:
    """Return whether a folder holds the weights of a served file, taken out of their blocks."""
    return bool(shown.blob) and folder.name == _folder(shown)


def _folder(shown: Shown) -> str:
    return f"served-{shown.blob[:20]}"


@cache
def _taken_out(file: Path, blob: str, target: Path) -> Path | None:
    """Return the folder of a GGUF file's weights, made if it is not there; None if it cannot be."""
    from preceptor.agents.models import gguf

    if (target / "config.json").is_file():
        return target
    if file.stat().st_size > LARGEST:
        return None
    part = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        gguf.check_packages()
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        (part / "in").mkdir(parents=True)
        # The blob has no name that tells its kind.
        (part / "in" / f"{blob[:20]}.gguf").symlink_to(file.absolute())
        (part / "model").mkdir()
        gguf.convert(part / "in" / f"{blob[:20]}.gguf", part / "model")
        put_in_place(part / "model", target)
    except (PreceptorError, OSError):
        return None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _blobs() -> list[Path]:
    """Return where servers of this machine keep their files."""
    home = os.environ.get("OLLAMA_MODELS") or "~/.ollama/models"
    return [Path(home).expanduser() / "blobs"]


@cache
def _sha256(path: Path, _changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
