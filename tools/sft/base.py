"""Folders of weights: what is in them, by content.

Owns the content hash of trained weights, what their ``config.json`` says, and the note that trained
weights carry about the model that they belong to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from preceptor.core import model_folder
from preceptor.core.errors import InputError
from preceptor.core.files import compact, write_whole
from preceptor.core.reading import loads
from preceptor.core.record import DIGEST_CHARS, Record
from preceptor.core.records import AdapterRef

ABOUT = "preceptor.json"


class About(Record):
    """What trained weights say about themselves.

    Attributes:
        adapter: Their content hash and kind.
        base: The content hash of the model that they belong to.
        spec: What that model was called.
        job: The training that they come from.
    """

    adapter: AdapterRef
    base: str
    spec: str
    job: str


def model_digest(folder: Path) -> str:
    """Return the content hash of a model: the one that a student of this folder has.

    Raises:
        InputError: If there is no model in the folder.
    """
    check_model(folder)
    return model_folder.digest(folder)


def check_model(folder: Path) -> None:
    """Refuse a folder without a model.

    Raises:
        InputError: If there is no model in the folder.
    """
    if not (folder / "config.json").is_file() or not model_folder.files(folder):
        raise InputError(
            f"no model in {str(folder)!r}", "name a folder with config.json and *.safetensors"
        )


def model_bytes(folder: Path) -> int:
    """Return the size of a model's weights."""
    return sum(p.stat().st_size for p in model_folder.files(folder))


def architecture(folder: Path) -> str:
    """Return the architecture that a model's ``config.json`` names; empty if it names none."""
    try:
        said = loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return ""
    named = said.get("architectures") if isinstance(said, dict) else None
    return str(named[0]) if isinstance(named, list) and named else ""


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of trained weights, but for the note about them."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != ABOUT:
            with path.open("rb") as stream:
                found[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def weights_digest(hashes: Mapping[str, str]) -> str:
    """Return the content hash of trained weights from those of their files."""
    whole = "".join(f"{name}\0{hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(whole.encode()).hexdigest()[:DIGEST_CHARS]


def write_about(folder: Path, about: About) -> None:
    """Put the note about trained weights beside them."""
    write_whole(folder / ABOUT, compact(about.model_dump(mode="json")))


def read_about(folder: Path) -> About:
    """Return what trained weights say about themselves.

    Raises:
        InputError: If they say nothing, are damaged, or are other weights than they say.
    """
    try:
        about = About.from_json((folder / ABOUT).read_bytes())
    except (OSError, ValidationError, ValueError) as cause:
        raise InputError(f"no trained weights in {str(folder)!r}", "train them again") from cause
    if weights_digest(file_hashes(folder)) != about.adapter.digest:
        raise InputError(f"the weights in {str(folder)!r} are damaged", "train them again")
    return about


def check(folder: Path, adapter: AdapterRef, model: str) -> None:
    """Refuse trained weights that are missing, damaged, others than named, or of another model.

    Args:
        folder: Where they lie.
        adapter: Which they must be.
        model: The content hash of the model that they are put on; not looked at if empty.

    Raises:
        InputError: Saying which of these it is.
    """
    about = read_about(folder)
    if about.adapter != adapter:
        raise InputError(
            f"the weights in {str(folder)!r} are not the recipe's",
            f"recipe: {adapter.digest}, here: {about.adapter.digest}",
        )
    if model and about.base != model:
        raise InputError(
            f"the weights in {str(folder)!r} were trained on another model",
            f"trained on: {about.base}, here: {model}",
        )


def adapter_folder(root: Path, adapter: AdapterRef) -> Path:
    """Return where trained weights lie under the folder of all trainings."""
    return root / "adapters" / adapter.digest
