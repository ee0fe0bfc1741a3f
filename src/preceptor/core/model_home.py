"""Where fetched models live, which folder a name means, and whether a fetched folder is as it was.

Owns the home's place, the slip that every fetched folder holds, and the one resolution of names that
students, embedders and trainings share. Leaves the fetching to ``agents.models``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from preceptor.core import model_folder
from preceptor.core.catalogue import Kind, catalogue
from preceptor.core.errors import InputError
from preceptor.core.record import Record

SLIP = "fetched.json"
SMALL = 1 << 20
"""Bytes up to which a file is read whole at every use."""


class Stamp(Record):
    """What a file was when it was fetched: its size in bytes, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


class Fetched(Record):
    """What a fetched folder says about itself.

    Attributes:
        name: Its name in the catalogue.
        kind: Student or embedder.
        source: The package, or the hub's repository and revision, that it came from.
        licence: As the catalogue has it.
        date: When, ``YYYY-MM-DD``.
        digest: The content hash that a student of this folder has.
        prefix: What an embedder wants before every text.
        files: Every file of the folder but this one, by its path in it.
    """

    name: str
    kind: Kind
    source: str
    licence: str
    date: str
    digest: str
    prefix: str = ""
    files: dict[str, Stamp]


def default(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where models live unless ``models_dir`` says otherwise."""
    data = environ.get("XDG_DATA_HOME", "")
    base = Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share"
    return base / "preceptor" / "models"


def place(name: str, home: Path | None) -> Path:
    """Return where a model of the catalogue lies once it is fetched."""
    return (home or default()).expanduser() / name


def locate(name: str, home: Path | None = None, kind: Kind = "student") -> Path:
    """Return the folder that ``hf:NAME`` or ``st:NAME`` means; a folder of that path goes first.

    Args:
        name: A path, or a name in the catalogue.
        home: Where fetched models live; the default place if None.
        kind: What it must be.

    Raises:
        InputError: If it is in the catalogue but not fetched, of the other kind, changed since it
            was fetched, or nearly a name of the catalogue.
    """
    folder = Path(name).expanduser()
    if folder.is_dir() or "/" in name or name in ("", ".", ".."):
        return folder
    entry, near = catalogue().find(name), catalogue().near(name)
    if entry is None:
        if near:
            raise InputError(
                f"no folder, and no model of the catalogue, is called {name!r}",
                f"did you mean {' or '.join(near)}?",
            )
        return folder
    if entry.kind != kind:
        raise InputError(f"{name!r} is no {kind}", f"name it {entry.spec}")
    found = place(name, home)
    slip = read(found)
    if slip is None:
        raise InputError(f"the model {name!r} is not on this machine", f"preceptor models fetch {name}")
    wrong = changed(found, slip)
    if wrong:
        raise InputError(
            f"the model {name!r} was changed since it was fetched: {wrong[0]}",
            f"preceptor models fetch {name} (a model of your own belongs in a folder of its own)",
        )
    return found


def read(folder: Path) -> Fetched | None:
    """Return what a fetched folder says about itself, None if it is none."""
    try:
        return Fetched.from_json((folder / SLIP).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None


def changed(folder: Path, slip: Fetched, deep: bool = False) -> list[str]:
    """Return what is not as it was fetched, by the path in the folder.

    Args:
        folder: The model's.
        slip: What it says about itself.
        deep: Whether all files are read; else large ones are only if their size or times changed
            since this process read them last.
    """
    wrong = [path for path, stamp in slip.files.items() if not _same(folder / path, stamp, deep)]
    if not wrong and model_folder.known_digest(folder) != slip.digest:
        wrong.append("its content is another")
    return wrong


def stamps(folder: Path) -> dict[str, Stamp]:
    """Return what all files of a folder are, but for its slip."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != SLIP:
            found[name] = Stamp(size=path.stat().st_size, sha256=_sha256(path))
    return found


def listed(home: Path | None = None) -> list[Fetched]:
    """Return what was fetched, by name."""
    root = (home or default()).expanduser()
    folders = sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
    found = [(folder.name, read(folder)) for folder in folders if not folder.name.startswith(".")]
    return [slip for name, slip in found if slip is not None and slip.name == name]


def _same(path: Path, stamp: Stamp, deep: bool) -> bool:
    try:
        if path.stat().st_size != stamp.size:
            return False
        return _sha256(path) == stamp.sha256 if deep or stamp.size <= SMALL else True
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
